//! A store whose partitions are a million heights of all networks (migrations up to 44) is copied into partitions of one network, cut off
//! at its statements: every view shows what it showed (rules 16 and 32).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use store::{Store, ddl::MIGRATIONS};

use crate::{
    chain::Dice,
    door::Door,
    harness::Running,
    history::{History, compare},
    setup::{RunningSink, TestLog, execute, long, rows, store_in, until, until_processed},
    upgrade::{assert_same, columns, cut_off_after, shown, until_upgraded},
};

/// Columns of blocks that came with Bitcoin.
const BITCOIN: &str = "coverage|chain|block_version|merkle_root|bits|work_nonce|median_time|chain_work|stripped_size|weight|\
                       header_transaction_count|coinbase|coinbase_value|pool";

/// A database of layout 44 with what today's `headwater` holds.
async fn coarse_database(engine: &Running, name: &str) -> Store {
    let (store, server) = (store_in(engine, name), store_in(engine, "headwater"));
    execute(engine, &server, &format!("CREATE DATABASE {name}")).await;
    // The last layout of each table is its own; what makes room for it had nothing to move.
    for migration in MIGRATIONS.iter().filter(|m| m.number <= 44 && m.only_if.is_none() && m.number >= 5) {
        // Views over tables that are not there yet are made anew later.
        let of_former = migration.number < 27 && migration.number != 5;
        if !of_former {
            execute(engine, &store, migration.sql).await;
        }
    }
    for migration in MIGRATIONS.iter().filter(|m| [14, 15].contains(&m.number)) {
        execute(engine, &store, migration.sql).await;
    }
    for table in ["block_rows", "evm_transaction_rows", "evm_log_rows"] {
        let all = format!(
            "INSERT INTO {name}.{table} SELECT * EXCEPT ('^(span|contract_.*|facts_position|found_by|error_selector|evidence|{BITCOIN})$') FROM headwater.{table} SETTINGS max_partitions_per_insert_block = 0"
        );
        execute(engine, &server, &all).await;
    }
    for table in ["block_event_rows", "sink_status_rows"] {
        execute(engine, &server, &format!("INSERT INTO {name}.{table} SELECT * FROM headwater.{table}")).await;
    }
    // That version counted what lay deeper than 256 blocks, and marked what changed there; nothing else had a row.
    let counted = format!("INSERT INTO {name}.audit_rows SELECT * FROM headwater.audit_rows FINAL WHERE stale = 0");
    execute(engine, &server, &counted).await;
    let ledger = "CREATE TABLE schema_migrations (number UInt32, name String, applied_at DateTime64(3, 'UTC')) \
                  ENGINE = ReplacingMergeTree(applied_at) ORDER BY number";
    execute(engine, &store, ledger).await;
    let done = "INSERT INTO schema_migrations SELECT number + 1, '', now64(3) FROM numbers(44)";
    execute(engine, &store, done).await;
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_held_shows_as_before_wherever_it_is_cut_off() {
    let engine = Running::start().await;
    let store = store_in(&engine, "headwater");
    let (log, mut dice) = (TestLog::open().await, Dice(44));
    let mut histories = [History::whole("net-0", 3_000), History::whole("net-1", 999_500)];
    for h in &mut histories {
        for _ in 0..2 {
            let mut events = h.grow(&mut dice, 300);
            events.extend(h.revert(5));
            let from = h.first - 400 + dice.roll(200);
            events.extend(h.fill(&mut dice, from, from + 60));
            for some in events.chunks(200) {
                log.publish(some).await;
            }
        }
    }
    let sink = RunningSink::start(&store, &log);
    for h in &histories {
        until_processed(&store, &h.network, h.sequence).await;
    }
    sink.stop().await.expect("a clean end");
    let columns = columns(&engine, &store).await;
    let before = shown(&engine, &store, &columns, "1").await;
    assert!(before.iter().all(|rows| !rows.is_empty()), "an empty view");

    let (mut cut, mut cuts, empty) = (0, 0, TestLog::open().await);
    loop {
        let name = format!("coarse_{cut}");
        let coarse = coarse_database(&engine, &name).await;
        let door = Door::before(&engine.url).await;
        let was_cut = cut_off_after(cut, &engine, &coarse, &door, &empty).await;
        if was_cut {
            let sink = RunningSink::start(&coarse, &empty);
            until_upgraded(&engine, &coarse).await;
            until("readiness", || async { sink.config.board.not_ready().is_none() }).await;
            sink.stop().await.expect("a clean end");
            cuts += 1;
        }
        assert_same(&shown(&engine, &coarse, &columns, "1").await, &before, &format!("cut off after {cut} statements"));
        for h in &histories {
            compare(&engine, &coarse, &h.network, &format!("cut off after {cut} statements")).await;
        }
        // As its blocks' times say: 12 s.
        let spans = "SELECT DISTINCT span FROM partition_rows";
        assert_eq!(rows::<u32>(&engine, &coarse, spans).await, [50_176]);
        execute(&engine, &store, &format!("DROP DATABASE {name}")).await;
        if !was_cut {
            break;
        }
        cut += if long() { 1 } else { 6 + dice.roll(6) };
    }
    assert!(cuts > 2, "{cuts} cuts only");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_half_way_from_a_yet_older_layout_is_refused() {
    let engine = Running::start().await;
    let store = store_in(&engine, "headwater");
    store.migrate().await.expect("tables");
    let half = coarse_database(&engine, "half").await;
    execute(&engine, &half, "INSERT INTO block_rows (network, height, version) VALUES ('a', 1, 256)").await;
    execute(&engine, &half, "CREATE TABLE former_block_rows AS block_rows").await;
    let refused = half.migrate().await.expect_err("half-way");
    assert!(refused.message.contains("let it finish"), "{refused}");
    assert_eq!(rows::<u64>(&engine, &half, "SELECT height FROM block_rows").await, [1], "nothing was moved");
    engine.stop().await;
}

/// Two processes upgrade it at once, and a reader asks all the time: no view is ever without its tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_finds_every_table_at_every_moment_of_an_upgrade() {
    let engine = Arc::new(Running::start().await);
    let store = store_in(&engine, "headwater");
    let (log, mut dice) = (TestLog::open().await, Dice(45));
    let mut history = History::whole("net-0", 3_000);
    log.publish(&history.grow(&mut dice, 150)).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &history.network, history.sequence).await;
    sink.stop().await.expect("a clean end");
    let tops = "SELECT max(number), count() FROM blocks";
    let before = rows::<(u64, u64)>(&engine, &store, tops).await;
    for round in 0..3 {
        let name = format!("read_{round}");
        let coarse = coarse_database(&engine, &name).await;
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let reader = |view: &'static str| {
            let (engine, coarse, stop, looks) = (engine.clone(), coarse.clone(), stop.clone(), looks.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    // It fails where a table is missing.
                    rows::<u64>(&engine, &coarse, &format!("SELECT count() FROM {view}")).await;
                    looks.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let readers = ["blocks", "transactions", "evm_logs"].map(reader);
        let others = [TestLog::open().await, TestLog::open().await];
        let sinks = others.each_ref().map(|log| RunningSink::start(&coarse, log));
        until_upgraded(&engine, &coarse).await;
        for sink in sinks {
            until("readiness", || async { sink.config.board.not_ready().is_none() }).await;
            sink.stop().await.expect("a clean end");
        }
        let seen = looks.load(Ordering::SeqCst);
        until("another look of everybody", || async { looks.load(Ordering::SeqCst) > seen + 6 }).await;
        stop.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.await.expect("a table is missing");
        }
        assert_eq!(rows::<(u64, u64)>(&engine, &coarse, tops).await, before, "round {round}");
        let between = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE 'swap_%'";
        assert_eq!(rows::<String>(&engine, &coarse, between).await, Vec::<String>::new());
    }
    let Some(engine) = Arc::into_inner(engine) else { panic!("somebody still asks") };
    engine.stop().await;
}
