//! The walls behind the types: PostgreSQL's own, settings that would take them down, and secrets and shapes that do not fit.

use control::{Caller, Control, Error, Mode, Trust};
use runtime::config::{ControlPlace, Secret};
use sqlx::{PgPool, Row};

use crate::common::{both, contract, key, new_key, postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_shows_no_tenants_rows_to_a_statement_that_forgot_its_tenant() {
    postgres(async |store| {
        let operator = store.operator().await;
        let (control, home) = (operator.control(), operator.at_home());
        let second = store.second_tenant(&operator).await;
        for who in [&home, &second] {
            control.create_contract(Caller::here(who), &contract("a", 1), None).await.expect("made");
            key(control, who, new_key("k", &["*:read"])).await;
        }
        let ControlPlace::Postgres { url, owner_url } = &store.settings.place else { panic!("it is PostgreSQL") };
        let owner = owner_url.as_ref().expect("it has one");
        let tables = [
            "tenants",
            "tenant_contracts",
            "api_keys",
            "api_key_secrets",
            "audit_logs",
            "audit_heads",
            "outbox",
            "idempotency_keys",
            "tenant_users",
            "tenant_networks",
            "tenant_definitions",
            "ack_tokens",
            "invitations",
            "tenant_quotas",
            "tenant_usage",
            "tenant_exports",
        ];
        for url in [url, owner] {
            let pool = PgPool::connect(url.expose()).await.expect("the role");
            let mut conn = pool.acquire().await.expect("a connection");
            let count = async |conn: &mut sqlx::PgConnection, table: &str| -> i64 {
                let sql = format!("SELECT count(*) FROM {table}");
                sqlx::query(&sql).fetch_one(conn).await.expect("counted").get(0)
            };
            for table in tables {
                assert_eq!(count(&mut conn, table).await, 0, "{table}: without a tenant there is nothing");
            }
            let set = format!("BEGIN; SET LOCAL headwater.tenant = '{}'", second.tenant().id());
            sqlx::raw_sql(&set).execute(&mut *conn).await.expect("set");
            for table in ["tenants", "tenant_contracts", "api_keys", "api_key_secrets", "audit_heads", "outbox"] {
                assert_eq!(count(&mut conn, table).await, 1, "{table}: its own");
            }
            assert_eq!(count(&mut conn, "audit_logs").await, 2);
            // Not a row of another can be changed, or made.
            let done =
                sqlx::raw_sql("UPDATE tenant_contracts SET name = 'x'").execute(&mut *conn).await.expect("its own");
            assert_eq!(done.rows_affected(), 1);
            let theirs = format!("INSERT INTO outbox VALUES ('{}', 'contract', 'x', 1, 0)", home.tenant().id());
            let e = sqlx::raw_sql(&theirs).execute(&mut *conn).await.expect_err("another tenant's");
            assert!(e.to_string().contains("row-level security"), "{e}");
            sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await.expect("rolled back");
            for table in tables {
                assert_eq!(count(&mut conn, table).await, 0, "{table}: it ended with its transaction");
            }
            drop(conn);
            pool.close().await;
        }
        // The audit is written and read by who works, and never changed; nor is what the database is made of.
        let pool = PgPool::connect(url.expose()).await.expect("the role");
        for sql in [
            "UPDATE audit_logs SET outcome = 'x'",
            "DELETE FROM audit_logs",
            "TRUNCATE audit_logs",
            "DELETE FROM api_keys",
            "UPDATE control_meta SET value = 'x'",
            "DELETE FROM control_migrations",
            "ALTER TABLE tenant_contracts DISABLE ROW LEVEL SECURITY",
            "CREATE TABLE mine (a BIGINT)",
        ] {
            let e = sqlx::raw_sql(sql).execute(&pool).await.expect_err(sql).to_string();
            assert!(e.contains("permission denied") || e.contains("must be owner"), "{sql}: {e}");
        }
        pool.close().await;
        control.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_no_policy_holds_for_is_refused() {
    postgres(async |store| {
        let ControlPlace::Postgres { url, owner_url } = &store.settings.place else { panic!("it is PostgreSQL") };
        let owner = owner_url.clone().expect("it has one");
        let open = async |settings: &runtime::config::Control| {
            Control::open(settings, Mode::Keys, Trust::default()).await.err().expect("refused").to_string()
        };
        let as_owner = ControlPlace::Postgres { url: owner.clone(), owner_url: Some(url.clone()) };
        let words = open(&runtime::config::Control { place: as_owner, ..store.settings.clone() }).await;
        assert!(words.contains("owns the tables") && words.contains("migrate_url"), "{words}");
        let (server, name) = store.server.as_ref().expect("it is PostgreSQL");
        for (sql, undo) in [("BYPASSRLS", "NOBYPASSRLS"), ("SUPERUSER", "NOSUPERUSER")] {
            sqlx::raw_sql(&format!("ALTER ROLE {name}_work {sql}")).execute(server).await.expect(sql);
            let words = open(&store.settings).await;
            assert!(words.contains("row-level security does not hold"), "{words}");
            sqlx::raw_sql(&format!("ALTER ROLE {name}_work {undo}")).execute(server).await.expect(undo);
        }
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_role_for_all_sees_no_more_than_two_would() {
    postgres(async |store| {
        let ControlPlace::Postgres { owner_url, .. } = &store.settings.place else { panic!("it is PostgreSQL") };
        let url = owner_url.clone().expect("it has one");
        for owner_url in [None, Some(url.clone())] {
            let place = ControlPlace::Postgres { url: url.clone(), owner_url };
            let settings = runtime::config::Control { place, ..store.settings.clone() };
            assert!(control::migrate(&settings, false).await.expect("migrates").is_empty());
            let operator = control::Operator::open(&settings, "test").await.expect("opens");
            let home = operator.at_home();
            key(operator.control(), &home, new_key("k", &["*:read"])).await;
            operator.control().close().await;
        }
        let pool = PgPool::connect(url.expose()).await.expect("the role");
        let rows = sqlx::query("SELECT id FROM api_keys").fetch_all(&pool).await.expect("read");
        assert!(rows.is_empty(), "without a tenant there is nothing");
        for sql in ["UPDATE audit_logs SET outcome = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"] {
            let e = sqlx::raw_sql(sql).execute(&pool).await.expect_err(sql).to_string();
            assert!(e.contains("permission denied"), "{sql}: {e}");
        }
        pool.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_or_shape_is_told_at_the_start() {
    both(async |store| {
        store.open().await.close().await;
        let other = runtime::config::Control { secret: Some(Secret::new("z".repeat(40))), ..store.settings.clone() };
        let e = Control::open(&other, Mode::Keys, Trust::default()).await.err().expect("refused");
        assert!(matches!(&e, Error::Settings(w) if w.contains("another secret")), "{e}");
        store.open().await.close().await;

        assert!(control::migrate(&store.settings, true).await.expect("a dry run").is_empty());
        store
            .raw
            .run("INSERT INTO control_migrations (number, name, checksum, applied_at) VALUES (99, 'later', 'x', 1)")
            .await;
        for e in [
            Control::open(&store.settings, Mode::Keys, Trust::default()).await.err().expect("refused"),
            control::migrate(&store.settings, false).await.unwrap_err(),
        ] {
            assert!(e.to_string().contains("changed by a later version"), "{e}");
        }
        store.raw.run("DELETE FROM control_migrations WHERE number = 99").await;
        store.raw.run("UPDATE control_migrations SET checksum = 'x'").await;
        let e = Control::open(&store.settings, Mode::Keys, Trust::default()).await.err().expect("refused");
        assert!(e.to_string().contains("checksum"), "{e}");
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_migrated_by_the_command_and_by_nobody_else() {
    postgres(async |store| {
        for table in [
            "usage_flushes",
            "tenant_tombstones",
            "tenant_exports",
            "plans",
            "tenant_usage",
            "tenant_quotas",
            "signing_keys",
            "sign_in_attempts",
            "password_resets",
            "sessions",
            "invitations",
            "identities",
            "users",
            "control_leases",
            "config_outbox",
            "outbox",
            "idempotency_keys",
            "audit_logs",
            "audit_heads",
            "api_key_secrets",
            "api_keys",
            "tenant_contracts",
            "operator_contracts",
            "tenant_definitions",
            "ack_tokens",
            "tenant_networks",
            "tenant_users CASCADE",
            "tenants",
            "control_meta",
            "control_migrations",
        ] {
            store.raw.run(&format!("DROP TABLE {table}")).await;
        }
        let e = Control::open(&store.settings, Mode::Keys, Trust::default()).await.err().expect("refused");
        assert!(e.to_string().contains("headwater control migrate"), "{e}");
        let would = control::migrate(&store.settings, true).await.expect("a dry run");
        assert!(would[0].sql.contains("CREATE TABLE tenants") && would[0].sql.contains("ROW LEVEL SECURITY"));
        assert!(store.raw.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await.is_empty());
        // Two at once: one of them does it.
        let (a, b) = tokio::join!(control::migrate(&store.settings, false), control::migrate(&store.settings, false));
        assert_eq!(a.expect("done").len() + b.expect("done").len(), would.len());
        store.open().await.close().await;
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_opened_so_that_a_commit_is_on_disk() {
    both(async |store| {
        if store.is_sqlite() {
            assert_eq!(store.raw.texts("PRAGMA journal_mode").await, ["wal"]);
            use std::os::unix::fs::PermissionsExt;
            let folder = store.folder().join("control");
            assert_eq!(std::fs::metadata(&folder).expect("there").permissions().mode() & 0o777, 0o700);
            assert_eq!(std::fs::metadata(folder.join("secret")).expect("there").permissions().mode() & 0o777, 0o600);
        }
        store
    })
    .await;
}
