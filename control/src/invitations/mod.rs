//! Invitations into an organisation.
//!
//! Guarantee: an invitation is good once, for a bounded time, for the address that it was written to, and gives no more than who wrote it
//! may give. Its token has 131 random bits and is kept as a keyed hash. Inviting answers the same whether or not there is an account of the
//! address. Who loses his role, or is removed, takes his open invitations along; those that a key wrote are good while it may give what they
//! give.

mod accept;
mod invite;

pub use accept::Membership;
pub(crate) use accept::{join, of_token};
pub use invite::Invited;
use schemas::TimeMs;

use crate::{
    db::{Row, Tx, Value},
    error::Error,
    id::Id,
    roles::Role,
    sql::{Sql, SystemSql},
};

/// An invitation, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: Id,
    /// To whom.
    pub email: String,
    /// What it makes of who accepts it.
    pub role: Role,
    /// When it was written.
    pub created_at: TimeMs,
    /// Until when it is good.
    pub expires_at: TimeMs,
    /// For `If-Match`.
    pub version: i64,
}

macro_rules! columns {
    () => {
        "id, email, role, created_at, expires_at, version"
    };
}

/// Those that were not accepted.
const LIST: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    " FROM invitations WHERE tenant_id = $1 AND id > $2 AND accepted_at IS NULL ORDER BY id LIMIT $3"
));
const GET: Sql = Sql::of_tenant(concat!(
    "SELECT ",
    columns!(),
    " FROM invitations WHERE tenant_id = $1 AND id = $2 AND accepted_at IS NULL"
));
const DELETE: Sql = Sql::of_tenant(concat!(
    "DELETE FROM invitations WHERE tenant_id = $1 AND id = $2 AND accepted_at IS NULL RETURNING ",
    columns!()
));
const DELETE_OF: Sql = Sql::of_tenant(
    "DELETE FROM invitations WHERE tenant_id = $1 AND created_by_kind = 'user' AND created_by = $2 AND accepted_at IS NULL",
);

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("invitations: list", LIST),
    ("invitations: get", GET),
    ("invitations: delete", DELETE),
    ("invitations: delete those of a person", DELETE_OF),
    ("invitations: the last that may be", invite::LAST),
    ("invitations: forget", invite::FORGET),
    ("invitations: insert", invite::INSERT),
    ("invitations: claim", accept::CLAIM),
];
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[("invitations: of a token", accept::OF_HASH)];

/// Those that are open, by age.
pub(crate) async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Invitation>, Error> {
    tx.rows(LIST, &[Value::from(after), limit.into()]).await?.iter().map(read).collect()
}

/// One that is open.
pub(crate) async fn get(tx: &mut Tx, id: &Id) -> Result<Option<Invitation>, Error> {
    tx.row(GET, &[Value::from(id)]).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Invitation, Error> {
    Ok(Invitation {
        id: row.parsed("id")?,
        email: row.text("email")?,
        role: row.parsed("role")?,
        created_at: TimeMs(row.int("created_at")?),
        expires_at: TimeMs(row.int("expires_at")?),
        version: row.int("version")?,
    })
}

/// Takes one back.
pub(crate) async fn delete(change: &mut crate::audit::Change<'_>, id: &Id) -> Result<Option<Invitation>, Error> {
    let rows = change.write(DELETE, &[Value::from(id)]).await?;
    rows.first().map(read).transpose()
}

/// Takes back the open ones that a person wrote.
pub(crate) async fn delete_of(change: &mut crate::audit::Change<'_>, user: &Id) -> Result<(), Error> {
    change.write(DELETE_OF, &[Value::from(user)]).await.map(drop)
}
