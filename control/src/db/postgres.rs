//! PostgreSQL, as it is opened: a role that no policy is lifted for, and that owns nothing unless there is no other, and every
//! transaction bounded in time.

use std::str::FromStr;

use runtime::config::Secret;
use schemas::limits::control as limits;
use sqlx::{ConnectOptions, pool::PoolOptions, postgres::PgConnectOptions};

use super::{Db, Pools, Tx, deadline};
use crate::{error::Error, sql::SystemSql};

/// Connects; nothing is asked yet.
pub(crate) async fn open(url: &Secret, connections: u32) -> Result<Db, Error> {
    let deadline_ms = limits::DEADLINE.as_millis().to_string();
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(|e| Error::Settings(format!("`[control] url` cannot be used: {e}")))?
        .application_name("headwater")
        .options([
            ("statement_timeout", deadline_ms.as_str()),
            ("lock_timeout", deadline_ms.as_str()),
            ("idle_in_transaction_session_timeout", "30000"),
        ])
        .disable_statement_logging();
    let pool = PoolOptions::new().max_connections(connections).acquire_timeout(limits::DEADLINE);
    let pool = deadline(pool.connect_with(options)).await.map_err(|e| {
        Error::Away(match e {
            Error::Away(words) | Error::Database(words) => words,
            e => e.to_string(),
        })
    })?;
    Ok(Db::new(Pools::Postgres(pool)))
}

/// The role that a URL names.
pub(crate) fn role(url: &Secret) -> Result<String, Error> {
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(|e| Error::Settings(format!("`[control] url` cannot be used: {e}")))?;
    Ok(options.get_username().to_owned())
}

const ROLE: SystemSql = SystemSql(
    "SELECT CAST(current_user AS TEXT) AS role, CAST((r.rolsuper OR r.rolbypassrls)::int AS BIGINT) AS free, \
     CAST((EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = to_regclass('tenants') AND c.relowner = r.oid))::int AS BIGINT) AS owns \
     FROM pg_roles r WHERE r.rolname = current_user",
);

/// Refuses a role that the second wall does not hold for: a super user always, and the tables' owner where another was to own them.
pub(crate) async fn check_role(tx: &mut Tx, two: bool) -> Result<(), Error> {
    let rows = tx.system(ROLE, &[]).await?;
    let row = rows.first().ok_or_else(|| Error::Database("pg_roles does not name the current role".to_owned()))?;
    let role = row.text("role")?;
    let cure = "work as a role of its own without SUPERUSER and BYPASSRLS, and give the owner of the tables as `[control] migrate_url`, \
                which only `headwater control migrate` uses; docs/control.md shows both";
    if row.int("free")? != 0 {
        return Err(Error::Settings(format!(
            "`[control] url`: row-level security does not hold for the role `{role}`; {cure}"
        )));
    }
    match (row.int("owns")? != 0, two) {
        (true, true) => Err(Error::Settings(format!("`[control] url`: the role `{role}` owns the tables; {cure}"))),
        (true, false) => {
            tracing::warn!(
                role,
                "the role of `[control] url` owns the tables: row-level security holds for it, but it could lift it; {cure}"
            );
            Ok(())
        }
        (false, _) => Ok(()),
    }
}

/// What the working role may do, table by table: nothing else.
pub(crate) const GRANTS: &[(&str, &str)] = &[
    ("control_migrations", "SELECT"),
    ("control_meta", "SELECT, INSERT"),
    ("tenants", "SELECT, INSERT, UPDATE"),
    ("tenant_users", "SELECT, INSERT, UPDATE, DELETE"),
    ("tenant_networks", "SELECT, INSERT, UPDATE, DELETE"),
    ("tenant_definitions", "SELECT, INSERT, UPDATE, DELETE"),
    ("ack_tokens", "SELECT, INSERT, DELETE"),
    ("tenant_contracts", "SELECT, INSERT, UPDATE, DELETE"),
    ("operator_contracts", "SELECT, INSERT, UPDATE, DELETE"),
    ("api_keys", "SELECT, INSERT, UPDATE"),
    ("api_key_secrets", "SELECT, INSERT, UPDATE, DELETE"),
    ("audit_heads", "SELECT, INSERT, UPDATE"),
    ("audit_logs", "SELECT, INSERT"),
    ("idempotency_keys", "SELECT, INSERT, DELETE"),
    ("outbox", "SELECT, INSERT, UPDATE, DELETE"),
    ("config_outbox", "SELECT, INSERT, UPDATE"),
    ("control_leases", "SELECT, UPDATE"),
    ("users", "SELECT, INSERT, UPDATE"),
    ("identities", "SELECT, INSERT, DELETE"),
    ("invitations", "SELECT, INSERT, UPDATE, DELETE"),
    ("sessions", "SELECT, INSERT, UPDATE, DELETE"),
    ("password_resets", "SELECT, INSERT, UPDATE, DELETE"),
    ("sign_in_attempts", "SELECT, INSERT, UPDATE, DELETE"),
    ("signing_keys", "SELECT, INSERT, DELETE"),
    ("tenant_quotas", "SELECT, INSERT, UPDATE, DELETE"),
    ("tenant_usage", "SELECT, INSERT, UPDATE, DELETE"),
    ("plans", "SELECT, INSERT, UPDATE, DELETE"),
    ("tenant_exports", "SELECT, INSERT, UPDATE, DELETE"),
    ("tenant_tombstones", "SELECT, INSERT"),
    ("usage_flushes", "SELECT, INSERT, UPDATE, DELETE"),
];

/// The statements that give them.
pub(crate) fn grants(role: &str) -> String {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let mut text = String::new();
    for (table, rights) in GRANTS {
        text.push_str(&format!("REVOKE ALL ON {table} FROM {role};\nGRANT {rights} ON {table} TO {role};\n"));
    }
    text
}

/// The statement that keeps a role that owns the tables from changing what was written into the audit, and what is kept of who was deleted. It could lift that again.
pub(crate) fn kept_from(role: &str) -> String {
    format!("REVOKE UPDATE, DELETE, TRUNCATE ON audit_logs, tenant_tombstones FROM \"{}\"", role.replace('"', "\"\""))
}
