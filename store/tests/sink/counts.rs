//! Completeness equals a count of all rows (rule 18): after growth with heights that hold no block, shallow and deep reorgs, back-fills in
//! any order, kills of the sink and prunes, at every step, whatever was counted before and whatever is marked; and so does what processes
//! make of what they remember, each for itself, one that asks all the time, also in the middle of it, and one that seldom does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schemas::records::Payload;
use store::{
    query::Remembered,
    sink::{Keeping, mend},
};

use crate::{
    chain::{Chain, Dice},
    door::{Door, Let},
    harness::Running,
    history::{History, SPAN, compare, keep_from},
    setup::{RunningSink, TestLog, long, rows, store_in, until, until_processed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_equals_a_count_of_all_rows_after_any_history() {
    let engine = Running::start().await;
    for seed in 0..if long() { 4 } else { 1 } {
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
        let mut remembered = [[(); 2]; 2].map(|of| of.map(|()| Remembered::default()));
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
            for (h, [often, _]) in histories.iter().zip(&mut remembered) {
                // Whatever is half written now; at first the tables are.
                if step > 0 {
                    store.completeness_again(&h.network, often).await.expect("an answer");
                }
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
            for (h, [often, seldom]) in histories.iter().zip(&mut remembered) {
                let afresh = store.completeness(&h.network).await.expect("an answer");
                let who = [Some(often), (dice.roll(3) == 0).then_some(seldom)];
                for remembered in who.into_iter().flatten() {
                    let told = store.completeness_again(&h.network, remembered).await.expect("an answer");
                    assert_eq!(told, afresh, "of {} by one who remembers, seed {seed}, step {step}{words}", h.network);
                    assert_eq!(remembered.sequence(), h.sequence);
                }
            }
        }
        // When everything that can be is counted it is the same, and little is left to be counted from rows.
        let open = "SELECT count() FROM audit_rows FINAL WHERE stale = 1";
        until("counts", || async { rows::<u64>(&engine, &store, open).await[0] <= 6 }).await;
        for (h, of) in histories.iter().zip(&mut remembered) {
            compare(&engine, &store, &h.network, &format!("seed {seed}, at last")).await;
            let afresh = store.completeness(&h.network).await.expect("an answer");
            for remembered in of {
                assert_eq!(store.completeness_again(&h.network, remembered).await.expect("an answer"), afresh);
            }
        }
        sink.stop().await.expect("a clean end");
    }
    engine.stop().await;
}

/// What is missing is replayed from outside the sink, with no event: the mark of its bucket has it counted again, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_remembers_sees_what_is_mended_and_reads_only_what_changed() {
    let engine = Running::start().await;
    let store = store_in(&engine, "remembered");
    let (log, mut dice) = (TestLog::open().await, Dice(77));
    let mut chain = Chain::new("a", 100);
    let missing = loop {
        let mut event = chain.apply(&mut dice);
        if event.block.envelope.tx_count == 0 {
            log.publish(&[event]).await;
            continue;
        }
        let whole = event.transactions[0].clone();
        let Payload::Evm(both) = &whole.payload else { panic!("it can be read") };
        event.transactions[0].payload =
            Payload::Unreadable { index: both.0.transaction_index, error: "cut off".into() };
        log.publish(&[event]).await;
        break whole;
    };
    let after: Vec<_> = (0..300).map(|_| chain.apply(&mut dice)).collect();
    log.publish(&after).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;
    let mut remembered = Remembered::default();
    let held = store.completeness_again(&chain.network, &mut remembered).await.expect("an answer");
    let torn: Vec<_> = held.ranges.iter().filter(|range| !range.complete).map(|range| range.from_number).collect();
    assert_eq!(torn, [missing.envelope.height]);

    // Nothing changed, and then one transaction is mended.
    let door = Door::before(&engine.url).await;
    let counts = Arc::new(AtomicU64::new(0));
    let counted = counts.clone();
    door.rule(move |statement| {
        counted.fetch_add(u64::from(statement.contains("evm_log_rows FINAL")), Ordering::SeqCst);
        Let::Through
    });
    let reader = door.store(&store);
    let ask = async |remembered: &mut Remembered| {
        let before = counts.load(Ordering::SeqCst);
        let held = reader.completeness_again(&chain.network, remembered).await.expect("an answer");
        (held, counts.load(Ordering::SeqCst) - before)
    };
    assert_eq!(ask(&mut remembered).await, (held.clone(), 0), "nothing is counted");
    assert_eq!(mend::insert(&store, &missing, &[]).await.expect("mended"), mend::Place::Held);
    let (mended, statements) = ask(&mut remembered).await;
    assert!(mended.ranges.iter().all(|range| range.complete), "{mended:?}");
    assert_eq!((statements, &mended), (1, &store.completeness(&chain.network).await.expect("an answer")));
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
