//! Migrations: run twice, half-way, and against a newer database.

use store::StoreErrorKind;

use crate::{
    harness::Running,
    setup::{execute, rows, store_in},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_are_run_once_repaired_when_cut_off_and_refused_when_newer() {
    let engine = Running::start().await;
    let store = store_in(&engine, "migrations");
    store.migrate().await.expect("the first time");
    let tables = "SELECT name FROM system.tables WHERE database = 'migrations' ORDER BY name";
    let first = rows::<String>(&engine, &store, tables).await;
    for view in ["blocks", "block_events", "transactions", "evm_transactions", "evm_logs", "completeness"] {
        assert!(first.iter().any(|t| t == view), "{view} is missing in {first:?}");
    }
    store.migrate().await.expect("the second time");
    assert_eq!(rows::<String>(&engine, &store, tables).await, first);
    let ledger = "SELECT count() FROM schema_migrations FINAL";
    assert_eq!(rows::<u64>(&engine, &store, ledger).await, [store::ddl::MIGRATIONS.len() as u64]);

    // Cut off between a statement and its record, and before a statement.
    execute(&engine, &store, "DROP VIEW evm_logs").await;
    execute(&engine, &store, "TRUNCATE TABLE schema_migrations").await;
    store.migrate().await.expect("again from the beginning");
    assert_eq!(rows::<String>(&engine, &store, tables).await, first);

    execute(&engine, &store, "INSERT INTO schema_migrations VALUES (9999, 'from_the_future', now64(3))").await;
    let refused = store.migrate().await.expect_err("a newer database");
    assert_eq!(refused.kind, StoreErrorKind::Version);
    assert!(refused.message.contains("9999") && refused.message.contains("newer"), "{refused}");
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
