//! Completeness equals a count of all rows (rule 18): after growth with heights that hold no block, shallow and deep reorgs, back-fills in
//! any order, kills of the sink and prunes, at every step, whatever was counted before and whatever is marked.

use std::time::Duration;

use store::sink::Keeping;

use crate::{
    chain::Dice,
    harness::Running,
    history::{History, SPAN, compare, keep_from},
    setup::{RunningSink, TestLog, rows, store_in, until, until_processed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_equals_a_count_of_all_rows_after_any_history() {
    let engine = Running::start().await;
    for seed in 0..2 {
        let mut dice = Dice(900 + seed);
        let store = store_in(&engine, &format!("counts_{seed}"));
        let (log, keeping) = (TestLog::open().await, Keeping::default());
        let mut histories = [History::new("a", 7_000), History::new("b", 300)];
        let start = || {
            RunningSink::start_with(&store, log.log.clone(), |config| {
                let spans = [("a", SPAN), ("b", SPAN)].map(|(n, s)| (n.parse().expect("a slug"), s as u32)).into();
                config.spans = tokio::sync::watch::Sender::new(spans).subscribe();
                config.keep = keeping.clone();
            })
        };
        let mut sink = start();
        let mut floor = 0;
        for step in 0..10 {
            let mut words = String::new();
            for h in &mut histories {
                let (blocks, few, filled) = (1 + dice.roll(400), dice.roll(20), 1 + dice.roll(250));
                let events = match dice.roll(6) {
                    0 | 1 => h.grow(&mut dice, blocks),
                    // Into what was counted, at times.
                    2 => {
                        let depth = if dice.roll(3) == 0 { 60 } else { 3 };
                        let mut events = h.revert(1 + dice.roll(depth));
                        events.extend(h.grow(&mut dice, few));
                        events
                    }
                    _ => {
                        let low = floor.max(h.first.saturating_sub(5_000));
                        let from = low + dice.roll(h.first.saturating_sub(low).max(1));
                        h.fill(&mut dice, from, from + filled)
                    }
                };
                words += &format!("; {}: {} events up to {}", h.network, events.len(), h.sequence);
                for some in events.chunks(200) {
                    log.publish(some).await;
                }
            }
            if dice.roll(4) == 0 {
                tokio::time::sleep(Duration::from_millis(dice.roll(300))).await;
                sink.kill().await;
                sink = start();
            }
            for h in &histories {
                until_processed(&store, &h.network, h.sequence).await;
            }
            if step % 5 == 4 {
                let a = &histories[0];
                floor = (4_096 + dice.roll(2_000) + step * 100) / SPAN * SPAN;
                keeping.set(keep_from(floor + 1));
                if let Some((height, _)) = a.held.range(..floor).next_back() {
                    let below = (height / SPAN + 1) * SPAN;
                    until("what is old to go", || async {
                        let pruned = store.pruned_below(&a.network).await.expect("an answer");
                        pruned.is_some_and(|pruned| pruned.below >= below)
                    })
                    .await;
                }
                words += &format!("; nothing below {floor}");
            }
            for h in &histories {
                compare(&engine, &store, &h.network, &format!("seed {seed}, step {step}{words}")).await;
            }
        }
        // When everything that can be is counted it is the same, and little is left to be counted from rows.
        let open = "SELECT count() FROM audit_rows FINAL WHERE stale = 1";
        until("counts", || async { rows::<u64>(&engine, &store, open).await[0] <= 6 }).await;
        for h in &histories {
            compare(&engine, &store, &h.network, &format!("seed {seed}, at last")).await;
        }
        sink.stop().await.expect("a clean end");
    }
    engine.stop().await;
}
