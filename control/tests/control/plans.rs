//! No statement reads a table from end to end: their plans say so, on 10,000 contracts and 1,000 keys of each of three tenants.

use sqlx::Row;

use crate::common::{Raw, both};

const TENANTS: [&str; 3] = ["00000000000000000000000000", "01J00000000000000000000002", "01J00000000000000000000003"];

/// `n` from 1 to `most`, in either database.
fn numbers(sqlite: bool, most: u32) -> String {
    match sqlite {
        true => format!(
            "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {most}) SELECT n FROM s) AS s"
        ),
        false => format!("(SELECT generate_series(1, {most}) AS n) AS s"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_is_without_an_index() {
    both(async |store| {
        let sqlite = store.is_sqlite();
        let pad = |n: &str| match sqlite {
            true => format!("SUBSTR('00000000000000000000' || CAST({n} AS TEXT), -20)"),
            false => format!("LPAD(CAST({n} AS TEXT), 20, '0')"),
        };
        let id = pad("n");
        for tenant in TENANTS {
            if tenant != TENANTS[0] {
                store.raw.run(&format!("INSERT INTO tenants (tenant_id, slug, name, created_at, version) VALUES ('{tenant}', '{tenant}', 'x', 1, 1)")).await;
                store.raw.run(&format!("INSERT INTO audit_heads (tenant_id, entries, at, hash) VALUES ('{tenant}', 0, 0, '')")).await;
            }
            let (many, some) = (numbers(sqlite, 10_000), numbers(sqlite, 1_000));
            for sql in [
                format!("INSERT INTO tenant_contracts (tenant_id, id, network, address, name, labels, created_at, updated_at, version) SELECT '{tenant}', {id}, 'net' || CAST(n % 7 AS TEXT), {id}, 'c', '[]', n, n, 1 FROM {many}"),
                format!("INSERT INTO api_keys (tenant_id, id, prefix, name, scopes, networks, created_at, created_by_kind, created_by, version) SELECT '{tenant}', {id}, {id}, 'k', '[]', '[]', n, 'operator', 'operator', 1 FROM {some}"),
                format!("INSERT INTO api_key_secrets (tenant_id, prefix, key_id, hash) SELECT '{tenant}', '{}' || {id}, {id}, '' FROM {some}", &tenant[20..]),
                format!("INSERT INTO audit_logs (tenant_id, entry, id, at, actor_kind, actor_id, actor_name, acting_as, action, resource_kind, resource_id, outcome, previous, hash) SELECT '{tenant}', n, {id}, n, 'key', 'k' || CAST(n % 100 AS TEXT), 'k', '', 'a' || CAST(n % 7 AS TEXT), 'r' || CAST(n % 5 AS TEXT), {id}, 'done', '', '' FROM {many}"),
                format!("INSERT INTO idempotency_keys (tenant_id, idempotency_key, action, request, resource_id, created_at) SELECT '{tenant}', {id}, '', '', '', n FROM {many}"),
                format!("INSERT INTO outbox (tenant_id, kind, id, revision, published) SELECT '{tenant}', 'contract', {id}, 1, 0 FROM {many}"),
                format!("INSERT INTO outbox (tenant_id, kind, id, revision, published) SELECT '{tenant}', 'monitor', {id}, 1, 0 FROM {many}"),
                format!("INSERT INTO tenant_definitions (tenant_id, kind, id, name, definition, unindexed, created_at, created_by_kind, created_by, updated_at, version) SELECT '{tenant}', 'monitor', {id}, {id}, '{{}}', 0, n, 'operator', 'operator', n, 1 FROM {many}"),
                format!("INSERT INTO ack_tokens (tenant_id, mark, expires_at) SELECT '{tenant}', {id}, n FROM {many}"),
                format!("INSERT INTO users (user_id, email, name, created_at, updated_at, version) SELECT '{t}' || {id}, '{t}' || {id}, 'u', n, n, 1 FROM {many}", t = &tenant[20..]),
                format!("INSERT INTO tenant_users (tenant_id, user_id, role, created_at, version) SELECT '{tenant}', '{t}' || {id}, 'viewer', n, 1 FROM {many}", t = &tenant[20..]),
                format!("INSERT INTO invitations (tenant_id, id, email, role, hash, created_at, created_by_kind, created_by, expires_at, version) SELECT '{tenant}', {id}, {id}, 'viewer', '{tenant}' || {id}, n, 'user', 'u', n, 1 FROM {some}"),
                format!("INSERT INTO tenant_networks (tenant_id, network, created_at, version) SELECT '{tenant}', 'net' || CAST(n AS TEXT), n, 1 FROM {some}"),
            ] {
                store.raw.run(&sql).await;
            }
        }
        let many = numbers(sqlite, 10_000);
        store.raw.run(&format!("INSERT INTO operator_contracts (id, network, address, name, labels, created_at, updated_at, version) SELECT {id}, 'net' || CAST(n % 7 AS TEXT), {id}, 'c', '[]', n, n, 1 FROM {many}")).await;
        for (kind, published) in [("contract", 0), ("watched", 1)] {
            store.raw.run(&format!("INSERT INTO config_outbox (kind, network, address, revision, published) SELECT '{kind}', 'net' || CAST(n % 7 AS TEXT), {id}, 1, {published} FROM {many}")).await;
        }
        store.raw.run("ANALYZE").await;
        let statements = control::statements();
        assert!(statements.len() > 25, "all of them: {}", statements.len());
        // Of those that are nobody's: what is everybody's, and the question before a tenant is known.
        let nobodys = control::system_statements();
        assert!(nobodys.len() > 5, "all of them: {}", nobodys.len());
        for (name, sql) in statements.into_iter().map(|(name, sql)| (name, sql.text())).chain(nobodys) {
            let plan = plan(&store.raw, sql).await;
            let whole = plan.iter().find(|line| reads_all(sqlite, line));
            assert_eq!(whole, None, "{name}: {sql}\n{plan:#?}");
        }
        store
    })
    .await;
}

/// Whether a line of a plan says that a whole table, or what was found of it sorted anew, is read.
fn reads_all(sqlite: bool, line: &str) -> bool {
    match sqlite {
        true => line.starts_with("SCAN") || line.contains("TEMP B-TREE"),
        // Of a table with a handful of rows PostgreSQL rightly reads all: what is meant is that it need not.
        false => line.contains("Seq Scan") || line.contains("Sort Key"),
    }
}

/// How the database would carry a statement out. The first value is the second tenant; each other is a text where that goes.
async fn plan(raw: &Raw, sql: &str) -> Vec<String> {
    let most = (1..30).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
    match raw {
        Raw::Sqlite(pool) => {
            let text = format!("EXPLAIN QUERY PLAN {sql}");
            let mut query = sqlx::query(&text);
            for n in 1..=most {
                query = if n == 1 { query.bind(TENANTS[1]) } else { query.bind(5i64) };
            }
            let rows = query.fetch_all(pool).await.expect(sql);
            rows.iter().map(|r| r.get::<String, _>("detail")).collect()
        }
        Raw::Postgres(pool) => {
            let mut tx = pool.begin().await.expect("a transaction");
            sqlx::raw_sql("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
                .execute(&mut *tx)
                .await
                .expect("set");
            // A prepared statement knows its types by itself; its plan is that for every value.
            sqlx::raw_sql("SET LOCAL plan_cache_mode = force_generic_plan").execute(&mut *tx).await.expect("set");
            sqlx::raw_sql(&format!("PREPARE p AS {sql}")).execute(&mut *tx).await.expect(sql);
            let nulls = vec!["NULL"; most].join(", ");
            let explain =
                if most == 0 { "EXPLAIN EXECUTE p".to_owned() } else { format!("EXPLAIN EXECUTE p({nulls})") };
            let rows = sqlx::raw_sql(&explain).fetch_all(&mut *tx).await.expect(sql);
            sqlx::raw_sql("DEALLOCATE p").execute(&mut *tx).await.expect("deallocated");
            tx.rollback().await.expect("rolled back");
            rows.iter().map(|r| r.get::<String, _>(0)).collect()
        }
    }
}
