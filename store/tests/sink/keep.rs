//! What is old goes (rule 32): whole partitions, hidden at once, while others ask, write, revert, fill and are killed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use schemas::{Network, limits::REORG_LIMIT_BLOCKS};
use store::{
    Store,
    query::{BlockFilter, GapReason, Sort},
    sink::{Keep, Keeping},
};

use crate::{
    chain::Dice,
    door::{Door, Let},
    harness::Running,
    history::{History, SPAN, compare, keep_from},
    setup::{RunningSink, TestLog, execute, long, rows, store_in, until, until_processed},
};

fn start(store: &Store, log: &TestLog, keeping: &Keeping, networks: &[&str]) -> RunningSink {
    RunningSink::start_with(store, log.log.clone(), |config| {
        let spans = networks.iter().map(|n| (n.parse().expect("a slug"), SPAN as u32)).collect();
        config.spans = tokio::sync::watch::Sender::new(spans).subscribe();
        config.keep = keeping.clone();
    })
}

async fn publish(log: &TestLog, events: &[store::sink::batch::Event]) {
    for some in events.chunks(200) {
        log.publish(some).await;
    }
}

async fn until_pruned(store: &Store, network: &Network, below: u64) {
    until(&format!("{network} to end at {below}"), || async {
        store.pruned_below(network).await.expect("an answer").is_some_and(|p| p.below >= below)
    })
    .await;
}

/// Partitions of the tables that have rows, by network and number.
async fn partitions(engine: &Running, store: &Store, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT DISTINCT partition FROM system.parts WHERE database = '{}' AND table = '{table}' AND active ORDER BY partition",
        store.database()
    );
    rows(engine, store, &sql).await
}

const TABLES: [&str; 3] = ["block_rows", "evm_transaction_rows", "evm_log_rows"];

async fn until_dropped(engine: &Running, store: &Store, network: &str, part: u64) {
    let name = format!("('{network}',{part})");
    until(&format!("{name} to be dropped"), || async {
        let mut left = 0;
        for table in TABLES {
            left += partitions(engine, store, table).await.iter().filter(|p| **p == name).count();
        }
        left == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_goes_and_everybody_is_told() {
    let engine = Running::start().await;
    let store = store_in(&engine, "keep_told");
    let (log, keeping, mut dice) = (TestLog::open().await, Keeping::default(), Dice(31));
    let (mut a, mut b) = (History::new("a", 500), History::new("b", 500));
    publish(&log, &a.grow(&mut dice, 3_000)).await;
    publish(&log, &b.grow(&mut dice, 1_400)).await;
    let sink = start(&store, &log, &keeping, &["a", "b"]);
    until_processed(&store, &a.network, a.sequence).await;
    until_processed(&store, &b.network, b.sequence).await;
    assert_eq!(store.pruned().await.expect("nothing"), []);
    let whole = store.totals().await.expect("totals");

    // Two partitions of `a` are old; `b` is told to keep everything.
    let keep = Keep {
        networks: [(b.network.clone(), Duration::from_secs(36_000 * 86_400))].into(),
        ..keep_from(2 * SPAN + 100)
    };
    keeping.set(keep.clone());
    until_pruned(&store, &a.network, 2 * SPAN).await;
    let pruned = store.pruned_below(&a.network).await.expect("an answer").expect("pruned");
    assert_eq!((pruned.from_height, pruned.below, pruned.reason.as_str()), (500, 2 * SPAN, "keep"));
    let newest = a.held.range(..2 * SPAN).next_back().expect("a block").1.block.envelope.block_time;
    assert_eq!(pruned.newest_time, newest);
    // At once, whatever is dropped when.
    let sql = "SELECT toString(network), min(number), count() FROM blocks GROUP BY network ORDER BY network";
    let kept = |h: &History, from: u64| h.held.range(from..).map(|(height, _)| *height).collect::<Vec<u64>>();
    let (left, all) = (kept(&a, 2 * SPAN), kept(&b, 0));
    let wanted = [("a".to_owned(), left[0], left.len() as u64), ("b".to_owned(), 500, all.len() as u64)];
    assert_eq!(rows::<(String, u64, u64)>(&engine, &store, sql).await, wanted);
    compare(&engine, &store, &a.network, "while it goes").await;
    until_dropped(&engine, &store, "a", 0).await;
    until_dropped(&engine, &store, "a", 1).await;
    compare(&engine, &store, &a.network, "when it is gone").await;
    let hidden = "SELECT count() FROM pruned_rows FINAL WHERE gone = 0";
    until("nothing to be hidden", || async { rows::<u64>(&engine, &store, hidden).await == [0] }).await;
    assert_eq!(rows::<(String, u64, u64)>(&engine, &store, sql).await, wanted);
    assert_eq!(store.totals().await.expect("totals")[1], whole[1], "b is as it was");
    for table in TABLES {
        let parts = partitions(&engine, &store, table).await;
        assert!(parts.contains(&"('b',0)".to_owned()) && parts.contains(&"('a',2)".to_owned()), "{table}: {parts:?}");
    }

    // A list ends there; a replay says what is gone, once, and goes on behind it.
    let filter = BlockFilter { network: Some(a.network.clone()), sort: Sort::Oldest, limit: 1, ..Default::default() };
    assert_eq!(store.blocks(&filter).await.expect("a list").items[0].number, left[0]);
    let first_kept = a.held[&left[0]].block.envelope.sequence;
    let page = store.replay(&a.network, 0, a.sequence, Some(1_000)).await.expect("a part");
    assert_eq!((page.gap, page.reason, page.position), (Some((1, first_kept - 1)), GapReason::Pruned, first_kept - 1));
    assert!(page.events.is_empty() && !page.torn && !page.done);
    let page = store.replay(&a.network, page.position, a.sequence, Some(1_000)).await.expect("a part");
    assert_eq!((page.gap, page.events[0].event.sequence), (None, first_kept));
    // Events stand, so that gaplessness is a query still.
    let sql = "SELECT count() = max(sequence) FROM block_events WHERE network = 'a'";
    assert_eq!(rows::<u8>(&engine, &store, sql).await, [1]);

    // A back-fill of what was removed brings its events and no rows, and a sink that is new knows it too.
    let low = a.fill(&mut dice, 100, 110);
    publish(&log, &low).await;
    until_processed(&store, &a.network, a.sequence).await;
    sink.stop().await.expect("a clean end");
    publish(&log, &a.fill(&mut dice, 200, 210)).await;
    let sink = start(&store, &log, &Keeping::default(), &["a", "b"]);
    until_processed(&store, &a.network, a.sequence).await;
    for table in TABLES {
        let sql = format!("SELECT count() FROM {table} WHERE network = 'a' AND height < {}", 2 * SPAN);
        assert_eq!(rows::<u64>(&engine, &store, &sql).await, [0], "{table}");
    }
    compare(&engine, &store, &a.network, "after a back-fill of it").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cut_off_writer_leaves_is_swept_and_what_a_reorg_may_reach_stays() {
    let engine = Running::start().await;
    let store = store_in(&engine, "keep_swept");
    let (log, keeping, mut dice) = (TestLog::open().await, Keeping::new(keep_from(2_000_000)), Dice(32));
    let mut a = History::new("a", 0);
    while a.tip() < SPAN + REORG_LIMIT_BLOCKS {
        publish(&log, &a.grow(&mut dice, SPAN + REORG_LIMIT_BLOCKS - a.tip())).await;
    }
    // The highest is one short of what lets the first partition go.
    let over = a.tip() - (SPAN + REORG_LIMIT_BLOCKS);
    publish(&log, &a.revert(over + 1)).await;
    let sink = start(&store, &log, &keeping, &["a"]);
    until_processed(&store, &a.network, a.sequence).await;
    if a.tip() + over <= SPAN + REORG_LIMIT_BLOCKS {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(store.pruned().await.expect("nothing"), []);
        }
    }
    publish(&log, &a.grow(&mut dice, 10)).await;
    until_pruned(&store, &a.network, SPAN).await;
    until_dropped(&engine, &store, "a", 0).await;
    let hidden = "SELECT count() FROM pruned_rows FINAL WHERE gone = 0";
    until("nothing to be hidden", || async { rows::<u64>(&engine, &store, hidden).await == [0] }).await;
    // A batch of a process that was cut off long ago arrives.
    let late = format!(
        "INSERT INTO block_rows (network, height, version, hash, span) SELECT 'a', number, 256, 'late', {SPAN} FROM numbers(50)"
    );
    execute(&engine, &store, &late).await;
    let shown = "SELECT count() FROM blocks WHERE network = 'a' AND hash = 'late'";
    until("it to be hidden", || async { rows::<u64>(&engine, &store, shown).await == [0] }).await;
    until_dropped(&engine, &store, "a", 0).await;
    compare(&engine, &store, &a.network, "after it was swept").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// Asks again and again, until told to stop; a partition is there whole or not at all, and nobody fails.
async fn reader(engine: Arc<Running>, store: Store, stop: Arc<AtomicBool>, whole: Vec<u64>) -> u64 {
    let mut looks = 0;
    while !stop.load(Ordering::SeqCst) {
        for (view, number) in [("blocks", "number"), ("transactions", "block_number"), ("evm_logs", "block_number")] {
            let sql = format!(
                "SELECT intDiv({number}, {SPAN}) AS part, uniqExact({number}) FROM {view} WHERE network = 'a' AND part < 3 \
                 GROUP BY part ORDER BY part"
            );
            let seen = rows::<(u64, u64)>(&engine, &store, &sql).await;
            if view == "blocks" {
                for (part, blocks) in seen {
                    assert_eq!(blocks, whole[part as usize], "partition {part} in part");
                }
            }
        }
        // What a view shows it shows of all: at a second look, since two views are two questions.
        let sql = "SELECT count() FROM (SELECT number, transaction_count AS n FROM blocks WHERE network = 'a' AND number < 3072 AND n > 0) AS b \
                   FULL OUTER JOIN (SELECT block_number AS number, toUInt32(count()) AS n FROM transactions WHERE network = 'a' AND number < 3072 \
                   GROUP BY number) AS t USING (number) WHERE b.n != t.n";
        let mut torn = rows::<u64>(&engine, &store, sql).await[0];
        for _ in 0..3 {
            if torn > 0 {
                torn = rows::<u64>(&engine, &store, sql).await[0];
            }
        }
        assert_eq!(torn, 0, "blocks and transactions differ");
        looks += 1;
    }
    looks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_half_a_partition_whatever_is_killed_when() {
    let engine = Arc::new(Running::start().await);
    for seed in 0..if long() { 4 } else { 1u64 } {
        let mut dice = Dice(70 + seed);
        let store = store_in(&engine, &format!("keep_kills_{seed}"));
        let (log, keeping) = (TestLog::open().await, Keeping::default());
        // Every transaction can be read, so that blocks and transactions can be compared.
        let mut a = History::whole("a", 0);
        let mut events = Vec::new();
        while a.tip() < 3 * SPAN + 400 {
            events.extend(a.grow(&mut dice, 1));
        }
        publish(&log, &events).await;
        let sink = start(&store, &log, &keeping, &["a"]);
        until_processed(&store, &a.network, a.sequence).await;
        sink.stop().await.expect("a clean end");
        let whole: Vec<u64> = (0..3).map(|part| a.held.range(part * SPAN..(part + 1) * SPAN).count() as u64).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(reader(engine.clone(), store.clone(), stop.clone(), whole));
        let door = Door::before(&engine.url).await;
        let mut kept_from = 0;
        for round in 1..=3u64 {
            keeping.set(keep_from(round * SPAN + 1));
            // Cut off at some statement that publishes or drops, and once more.
            for _ in 0..2 {
                let (seen, at) = (Arc::new(AtomicU64::new(0)), dice.roll(5));
                let counted = seen.clone();
                door.rule(move |statement| {
                    let prunes =
                        statement.contains("INSERT INTO pruned_rows") || statement.contains("DROP PARTITION ID");
                    let hangs = prunes && counted.fetch_add(1, Ordering::SeqCst) >= at;
                    if hangs { Let::Hang } else { Let::Through }
                });
                let sink = start(&door.store(&store), &log, &keeping, &["a"]);
                let mut more = a.revert(dice.roll(5));
                more.extend(a.grow(&mut dice, 6));
                publish(&log, &more).await;
                let waited = tokio::time::Instant::now();
                while seen.load(Ordering::SeqCst) <= at && waited.elapsed() < Duration::from_secs(2) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                sink.kill().await;
            }
            door.rule(|_| Let::Through);
            let sink = start(&store, &log, &keeping, &["a"]);
            until_processed(&store, &a.network, a.sequence).await;
            until_pruned(&store, &a.network, round * SPAN).await;
            until_dropped(&engine, &store, "a", round - 1).await;
            sink.stop().await.expect("a clean end");
            assert!(!asking.is_finished(), "a reader has failed");
            compare(&engine, &store, &a.network, &format!("seed {seed}, round {round}")).await;
            kept_from = round * SPAN;
        }
        stop.store(true, Ordering::SeqCst);
        assert!(asking.await.expect("no reader failed") > 3, "too few looks");
        // What is above is the chain's.
        let sql = "SELECT number, hash FROM blocks WHERE network = 'a' ORDER BY number";
        let hash = |e: &store::sink::batch::Event| e.block.envelope.block_hash.as_str().to_owned();
        let wanted: Vec<(u64, String)> = a.held.range(kept_from..).map(|(height, e)| (*height, hash(e))).collect();
        assert_eq!(rows::<(u64, String)>(&engine, &store, sql).await, wanted);
    }
    let Some(engine) = Arc::into_inner(engine) else { panic!("somebody still asks") };
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_of_all_networks_goes_first_when_there_is_too_much() {
    let engine = Running::start().await;
    let store = store_in(&engine, "keep_size");
    let (log, keeping, mut dice) = (TestLog::open().await, Keeping::default(), Dice(33));
    // The lower heights are the older ones.
    let (mut a, mut b) = (History::new("a", 10 * SPAN), History::new("b", 0));
    publish(&log, &a.grow(&mut dice, 2_500)).await;
    publish(&log, &b.grow(&mut dice, 2_500)).await;
    let sink = start(&store, &log, &keeping, &["a", "b"]);
    until_processed(&store, &a.network, a.sequence).await;
    until_processed(&store, &b.network, b.sequence).await;
    let bytes = "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'keep_size' AND active";
    // Merges are over when it stands still.
    for table in ["block_rows", "evm_transaction_rows", "evm_log_rows", "block_event_rows", "audit_rows"] {
        execute(&engine, &store, &format!("OPTIMIZE TABLE {table} FINAL")).await;
    }
    let all = rows::<u64>(&engine, &store, bytes).await[0];
    let of_b = "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'keep_size' AND active AND partition = '(\\'b\\',0)'";
    let first = rows::<u64>(&engine, &store, of_b).await[0];
    assert!(first > 0);
    keeping.set(Keep { max_bytes: Some(all - first / 2), ..Keep::default() });
    until_pruned(&store, &b.network, SPAN).await;
    until_dropped(&engine, &store, "b", 0).await;
    let pruned = store.pruned().await.expect("an answer");
    let seen: Vec<_> = pruned.iter().map(|p| (p.network.as_str(), p.below, p.reason.as_str())).collect();
    assert_eq!(seen, [("b", SPAN, "max_bytes")]);
    assert!(rows::<u64>(&engine, &store, bytes).await[0] < all);
    for h in [&a, &b] {
        compare(&engine, &store, &h.network, "by size").await;
    }
    // Less than can be: what may go goes, and it is said that it is not enough.
    keeping.set(Keep { max_bytes: Some(1), ..Keep::default() });
    until_pruned(&store, &b.network, 2 * SPAN).await;
    until_pruned(&store, &a.network, 12 * SPAN).await;
    until("a word of it", || async {
        sink.config.board.said_of_the_process().is_some_and(|words| words.contains("nothing more may go"))
    })
    .await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_before_it_is_too_much_it_is_said_what_will_go() {
    let engine = Running::start().await;
    let store = store_in(&engine, "keep_warns");
    let (log, keeping, mut dice) = (TestLog::open().await, Keeping::default(), Dice(34));
    let mut a = History::new("a", 0);
    publish(&log, &a.grow(&mut dice, 1_500)).await;
    let sink = start(&store, &log, &keeping, &["a"]);
    until_processed(&store, &a.network, a.sequence).await;
    // All of it was written within the last two hours, evenly: twelve times as much will come in a day.
    execute(&engine, &store, "ALTER TABLE block_event_rows UPDATE stored_at = now64(3, 'UTC') - INTERVAL 2 HOUR WHERE sequence = 1 SETTINGS mutations_sync = 2").await;
    let bytes = "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'keep_warns' AND active";
    let all = rows::<u64>(&engine, &store, bytes).await[0];
    keeping.set(Keep { max_bytes: Some(all * 40), ..Keep::default() });
    until("a warning", || async {
        sink.config.board.said_of_the_process().is_some_and(|words| {
            words.contains("in about 3 days") && words.contains("first rows of a below height 1024")
        })
    })
    .await;
    assert!(sink.config.board.not_ready().is_none(), "nothing is wrong yet");
    assert_eq!(store.pruned().await.expect("nothing"), []);
    keeping.set(Keep { max_bytes: Some(all * 400), ..Keep::default() });
    until("no warning", || async { sink.config.board.said_of_the_process().is_none() }).await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
