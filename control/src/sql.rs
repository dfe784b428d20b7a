//! Texts of statements. One that touches a tenant's rows without binding the tenant does not compile.
//!
//! Every such text is a constant made by [`Sql::of_tenant`], which looks at it while the crate is compiled: each table that is read,
//! changed or deleted from has its `tenant_id = $1`, and each insert puts `$1` into `tenant_id`. The transaction binds `$1` itself
//! (`db::Tx`), to the tenant that it was opened for.
//!
//! ```
//! const GOOD: control::Sql = control::Sql::of_tenant("SELECT id FROM tenant_contracts WHERE tenant_id = $1 AND id = $2");
//! # let _ = GOOD;
//! ```
//!
//! ```compile_fail,E0080
//! const WRONG: control::Sql = control::Sql::of_tenant("SELECT id FROM tenant_contracts WHERE id = $2");
//! # let _ = WRONG;
//! ```

use crate::{
    acks, attempts, audit, contracts, definitions, idempotency, identities, invitations, keys, life, organisations,
    outbox, people, publisher, quotas, resets, rotation, sessions, tenants, totp,
};

/// The text of a statement on a tenant's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sql(&'static str);

impl Sql {
    /// Takes a text that binds its tenant.
    ///
    /// # Panics
    /// It does not. In a constant that is an error of the compiler.
    pub const fn of_tenant(text: &'static str) -> Self {
        let tables = count(text, "FROM ") + count(text, "JOIN ") + count(text, "UPDATE ")
            - count(text, "DO UPDATE ")
            - count(text, "FOR UPDATE ");
        assert!(count(text, "tenant_id = $1") >= tables, "a table is named without its `tenant_id = $1`");
        let inserts = count(text, "INSERT INTO ");
        assert!(inserts <= 1 && tables + inserts > 0, "one statement at a time, and one that names a table");
        if inserts == 1 {
            assert!(bracket_begins(text, "tenant_id, "), "an insert has `tenant_id` as its first column");
            assert!(count(text, ") VALUES ($1, ") == 1, "an insert has `$1` as its first value, and no SELECT");
        }
        Self(text)
    }

    /// The text.
    pub const fn text(self) -> &'static str {
        self.0
    }
}

/// The text of a statement on what belongs to no tenant, or to whoever is not known yet. There are few, and they stand in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SystemSql(pub(crate) &'static str);

/// How often `part` stands in `text`.
const fn count(text: &str, part: &str) -> usize {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let (mut at, mut found) = (0, 0);
    while at + part.len() <= text.len() {
        let mut same = 0;
        while same < part.len() && text[at + same] == part[same] {
            same += 1;
        }
        if same == part.len() {
            found += 1;
        }
        at += 1;
    }
    found
}

/// Whether what follows the first bracket begins so.
const fn bracket_begins(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let mut at = 0;
    while at < text.len() && text[at] != b'(' {
        at += 1;
    }
    let mut same = 0;
    while same < part.len() && at + 1 + same < text.len() && text[at + 1 + same] == part[same] {
        same += 1;
    }
    same == part.len()
}

/// The texts of all statements on what belongs to no tenant that has many rows, with their names: for the same tests.
pub fn system_statements() -> Vec<(&'static str, &'static str)> {
    let rooms = [
        attempts::SYSTEM_STATEMENTS,
        contracts::SYSTEM_STATEMENTS,
        identities::SYSTEM_STATEMENTS,
        invitations::SYSTEM_STATEMENTS,
        keys::SYSTEM_STATEMENTS,
        life::SYSTEM_STATEMENTS[0],
        life::SYSTEM_STATEMENTS[1],
        organisations::SYSTEM_STATEMENTS,
        people::SYSTEM_STATEMENTS,
        quotas::SYSTEM_STATEMENTS,
        resets::SYSTEM_STATEMENTS,
        rotation::SYSTEM_STATEMENTS,
        sessions::SYSTEM_STATEMENTS,
        tenants::SYSTEM_STATEMENTS,
        totp::SYSTEM_STATEMENTS,
    ];
    let rooms = rooms.into_iter().flatten().copied();
    rooms.chain(publisher::statements()).map(|(name, sql)| (name, sql.0)).collect()
}

/// Every statement that is ever asked for a tenant, with its name: for tests that look at their plans.
pub fn statements() -> Vec<(&'static str, Sql)> {
    let rooms = [
        acks::STATEMENTS,
        audit::STATEMENTS,
        contracts::STATEMENTS,
        definitions::STATEMENTS,
        idempotency::STATEMENTS,
        invitations::STATEMENTS,
        keys::STATEMENTS,
        organisations::STATEMENTS,
        outbox::STATEMENTS,
        people::STATEMENTS,
        rotation::STATEMENTS,
        quotas::STATEMENTS,
        tenants::STATEMENTS,
    ];
    rooms.into_iter().flatten().copied().chain(life::statements()).collect()
}
