//! What belongs to tenants is read by the API and the stages, and by no analyst: by the judge alone, by the grants alone, and by both.

use store::{Store, StoreConfig};

use crate::harness::Running;

const CANARY: &str = "01J0000000000000000CANARY0";
const OF_OPERATORS: [&str; 2] = ["alert_events", "alert_deliveries"];

/// A store with a tenant's rows in it, behind these walls; behind all without.
async fn behind(walls: Option<&str>) -> (Running, Store) {
    let engine = match walls {
        Some(walls) => Running::start_behind(walls).await,
        None => Running::start().await,
    };
    let connect = |user: &str, password: &str| {
        Store::connect(StoreConfig::new(engine.url.clone(), "headwater", user, password)).expect("a plain name")
    };
    let stages = connect("headwater", engine.credentials.stages.expose());
    stages.migrate().await.expect("tables");
    // As several processes do, and again.
    stages.migrate_tenants().await.expect("tables of tenants");
    stages.migrate_tenants().await.expect("the same again");
    for sql in [
        format!(
            "INSERT INTO headwater_tenants.alert_event_rows (tenant, alert_id, revision, at, kind, alert) \
             VALUES ('{CANARY}', '{CANARY}', 1, now64(3), 'fired', '{{}}')"
        ),
        format!(
            "INSERT INTO headwater_tenants.alert_delivery_rows (tenant, delivery_id, made_at, at, state) \
             VALUES ('{CANARY}', '{CANARY}', now64(3), now64(3), 'sent')"
        ),
    ] {
        let reply = engine.as_stages("/", sql.as_bytes());
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    }
    let api = connect("api", engine.credentials.api.expose());
    (engine, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn analysts_do_not_reach_what_belongs_to_tenants() {
    for walls in [None, Some("judge"), Some("grants")] {
        let (engine, _) = behind(walls).await;
        let rows = "headwater_tenants.alert_event_rows";
        let mut statements = vec![
            format!("SELECT * FROM {rows}"),
            format!("SELECT count() FROM {rows}"),
            "SELECT * FROM `headwater_tenants`.`alert_rows`".to_owned(),
            "SELECT * FROM headwater_tenants.schema_migrations".to_owned(),
            format!("SELECT (SELECT count() FROM {rows})"),
            format!("SELECT 1 WHERE 'x' IN (SELECT tenant FROM {rows})"),
            format!("SELECT 1 FROM system.one AS o LEFT JOIN {rows} AS r ON 1"),
            format!("WITH t AS (SELECT * FROM {rows}) SELECT * FROM t"),
            format!("DESCRIBE TABLE {rows}"),
            format!("SHOW CREATE TABLE {rows}"),
            format!("EXPLAIN SELECT * FROM {rows}"),
        ];
        for view in OF_OPERATORS {
            statements.push(format!("SELECT * FROM headwater_tenants.{view}"));
            statements.push(format!("SELECT count() FROM headwater_tenants.`{view}`"));
            statements.push(format!("SELECT tenant FROM (SELECT * FROM headwater_tenants.{view})"));
        }
        for sql in &statements {
            let reply = engine.as_analyst("/", sql.as_bytes());
            assert!(reply.status >= 400, "{walls:?}: {sql}: {}", reply.text());
            assert!(!reply.text().contains("CANARY"), "{walls:?}: {sql}: {}", reply.text());
            let code = reply.header("x-clickhouse-exception-code").unwrap_or_default();
            assert!(["497", "60", "81", "36"].contains(&code), "{walls:?}: {sql}: {code} {}", reply.text());
        }
        // What the engine says of columns is filtered by grants alone.
        let of_columns = "SELECT database, table, name FROM system.columns WHERE database LIKE '%tenants%'";
        for sql in [
            "SHOW DATABASES",
            "SELECT name FROM system.databases",
            "SELECT database, name FROM system.tables WHERE database != 'system'",
            "SELECT database, table FROM system.parts",
            if walls == Some("judge") { "SHOW TABLES" } else { of_columns },
        ] {
            let reply = engine.as_analyst("/", sql.as_bytes());
            assert!(
                !reply.text().contains("headwater_tenants\n") && !reply.text().contains("headwater_tenants\t"),
                "{walls:?}: {sql}: {}",
                reply.text()
            );
        }
        assert_eq!(engine.as_analyst("/", b"SELECT count() FROM blocks").text(), "0\n", "what is allowed goes on");
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_and_the_api_read_it_and_the_api_changes_nothing() {
    let (engine, api) = behind(None).await;
    for (view, column) in [("alert_events", "alert_id"), ("alert_deliveries", "id")] {
        let sql = format!("SELECT {column} FROM headwater_tenants.{view} WHERE tenant = '{CANARY}'");
        assert_eq!(engine.as_stages("/", sql.as_bytes()).text(), format!("{CANARY}\n"), "{view}");
        let uncommented = format!(
            "SELECT count() FROM system.columns WHERE database = 'headwater_tenants' AND table = '{view}' AND comment = ''"
        );
        assert_eq!(engine.as_stages("/", uncommented.as_bytes()).text(), "0\n", "{view}");
    }
    let sql = "SELECT alert_id FROM headwater_tenants.alert_event_rows";
    assert_eq!(engine.as_api("/", sql.as_bytes()).text(), format!("{CANARY}\n"));
    for sql in [
        "INSERT INTO headwater_tenants.alert_event_rows (tenant) VALUES ('x')",
        "DROP TABLE headwater_tenants.alert_rows",
    ] {
        assert!(engine.as_api("/", sql.as_bytes()).status >= 400, "{sql}");
    }
    // What people may query is told without them.
    let views = api.views().await.expect("views");
    assert!(!views.is_empty() && views.iter().all(|view| !OF_OPERATORS.contains(&view.name.as_str())), "{views:?}");
    engine.stop().await;
}
