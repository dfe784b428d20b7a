//! Migrations: run twice, half-way, and against a newer database.

use std::time::Duration;

use store::StoreErrorKind;

use crate::{
    harness::Running,
    setup::{execute, long, rows, store_in},
};

/// All that there is in a database but the ledger, and how it was made.
const OBJECTS: &str = "SELECT concat(name, ' ', replaceAll(create_table_query, currentDatabase(), '')) FROM system.tables \
                       WHERE database = currentDatabase() AND name != 'schema_migrations' ORDER BY name";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_are_run_once_repaired_when_cut_off_and_refused_when_newer() {
    let engine = Running::start().await;
    let store = store_in(&engine, "migrations");
    store.migrate().await.expect("the first time");
    let tables = "SELECT name FROM system.tables WHERE database = 'migrations' ORDER BY name";
    let first = rows::<String>(&engine, &store, tables).await;
    for view in [
        "blocks",
        "block_events",
        "transactions",
        "evm_transactions",
        "evm_logs",
        "causes",
        "completeness",
        "contract_blocks",
        "endpoints",
        "provider_minutes",
        "provider_samples",
        "windows",
    ] {
        assert!(first.iter().any(|t| t == view), "{view} is missing in {first:?}");
    }
    store.migrate().await.expect("the second time");
    assert_eq!(rows::<String>(&engine, &store, tables).await, first);
    let ledger = "SELECT count() FROM schema_migrations FINAL";
    assert_eq!(rows::<u64>(&engine, &store, ledger).await, [store::ddl::MIGRATIONS.len() as u64]);

    execute(&engine, &store, "INSERT INTO schema_migrations VALUES (9999, 'from_the_future', now64(3))").await;
    let refused = store.migrate().await.expect_err("a newer database");
    assert_eq!(refused.kind, StoreErrorKind::Version);
    assert!(refused.message.contains("9999") && refused.message.contains("newer"), "{refused}");
    engine.stop().await;
}

/// Cut off after each statement and before its record; and by two processes at once, of which one is late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_cut_off_anywhere_is_run_again() {
    let engine = Running::start().await;
    let whole = store_in(&engine, "cut_whole");
    whole.migrate().await.expect("at once");
    let wanted = rows::<String>(&engine, &whole, OBJECTS).await;
    assert!(wanted.len() >= 12, "{wanted:?}");
    let is_former = |object: &String| object.starts_with("former_") || object.starts_with("coarse_");
    assert!(!wanted.iter().any(is_former), "a new database has nothing of former layouts");
    let mut by_all_files: Option<Vec<String>> = None;
    let ledger = store::ddl::MIGRATIONS;
    // What was there in the first versions is said to be run again by `IF NOT EXISTS` and `OR REPLACE` alone.
    // All of the later ones in the long form; else those that are run under a condition, those behind them, and some.
    let wary = |cut: usize| ledger.get(cut).is_some_and(|m| m.only_if.is_some());
    let tried = |cut: &usize| long() || wary(*cut) || wary(cut.wrapping_sub(1)) || cut % 20 == 19;
    for cut in (0..ledger.len()).filter(|cut| *cut < 2 || *cut >= 22).filter(|cut| *cut < 2 || tried(cut)) {
        let database = format!("cut_{cut}");
        let store = store_in(&engine, &database);
        execute(&engine, &store_in(&engine, "default"), &format!("CREATE DATABASE {database}")).await;
        let table = "CREATE TABLE schema_migrations (number UInt32, name String, applied_at DateTime64(3, 'UTC')) \
                     ENGINE = ReplacingMergeTree(applied_at) ORDER BY number";
        execute(&engine, &store, table).await;
        for migration in &ledger[..=cut] {
            execute(&engine, &store, migration.sql).await;
        }
        let done = format!("INSERT INTO schema_migrations SELECT number + 1, '', now64(3) FROM numbers({cut})");
        execute(&engine, &store, &done).await;
        store.migrate().await.expect("the rest");
        let there = rows::<String>(&engine, &store, OBJECTS).await;
        assert_eq!(&there, by_all_files.get_or_insert_with(|| there.clone()), "cut off in {}", ledger[cut].name);
        let (former, others): (Vec<String>, Vec<String>) = there.into_iter().partition(is_former);
        assert_eq!((others, former.is_empty()), (wanted.clone(), false), "cut off in {}", ledger[cut].name);
    }
    // Who read the ledger before the other one was done does all of it again, and moves no new table away.
    let late = store_in(&engine, "cut_1");
    execute(&engine, &late, "DROP TABLE former_evm_log_rows").await;
    execute(&engine, &late, "INSERT INTO evm_log_rows (network, height, span) VALUES ('a', 1, 1024)").await;
    execute(&engine, &late, "DELETE FROM schema_migrations WHERE number >= 24").await;
    late.migrate().await.expect("again");
    assert_eq!(rows::<u64>(&engine, &late, "SELECT count() FROM evm_logs").await, [1]);
    engine.stop().await;
}

/// As the processes of a stage that start together do, one a little behind the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_make_a_new_database_at_once() {
    let engine = Running::start().await;
    let alone = store_in(&engine, "made_alone");
    alone.migrate().await.expect("made");
    let wanted = rows::<String>(&engine, &alone, OBJECTS).await;
    for behind in [0, 15, 60, 250] {
        let database = format!("made_together_{behind}");
        let together = (0..4).map(|nth| {
            let store = store_in(&engine, &database);
            async move {
                tokio::time::sleep(Duration::from_millis(nth * behind)).await;
                store.migrate().await
            }
        });
        for outcome in futures::future::join_all(together).await {
            outcome.expect("made");
        }
        assert_eq!(rows::<String>(&engine, &store_in(&engine, &database), OBJECTS).await, wanted, "{behind} ms");
    }
    engine.stop().await;
}

#[tokio::test]
async fn failures_are_classified() {
    let engine = Running::start().await;
    let mut config = store_in(&engine, "classified").config().clone();
    config.password = "wrong".into();
    let denied = store::Store::connect(config.clone()).expect("a handle").ping().await.expect_err("denied");
    assert_eq!(denied.kind, StoreErrorKind::Denied, "{denied}");
    config.url = "http://127.0.0.1:1/".parse().expect("a URL");
    let away = store::Store::connect(config.clone()).expect("a handle").ping().await.expect_err("nobody there");
    assert_eq!(away.kind, StoreErrorKind::Unreachable, "{away}");
    config.database = "a; DROP".into();
    assert_eq!(store::Store::connect(config).expect_err("no name").kind, StoreErrorKind::BadRequest);
    let missing = store_in(&engine, "never_made").totals().await.expect_err("no tables");
    assert_eq!(missing.kind, StoreErrorKind::Version, "{missing}");
    engine.stop().await;
}
