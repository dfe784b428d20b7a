//! People: who somebody is, whatever organisation he is in.
//!
//! Guarantee: a person is one row, known by a random id, with an e-mail address that no other has. It belongs to no organisation, and so no
//! row-level security holds for it; it is reached by its own id, its address, its identity at a provider, or through an organisation that it
//! is a member of. No answer to another person says whether an address is known.

mod by_letter;
mod email;
mod operators;
mod sign_up;

pub use by_letter::SignUpLetter;
pub use email::email;
use schemas::TimeMs;
pub use sign_up::{Joining, NewPerson, SignedUp};

use crate::{
    db::{Row, Tx, Value},
    error::Error,
    id::Id,
    organisations::role_of,
    roles::Role,
    sql::{Sql, SystemSql},
    tenant::{Actor, Authenticated, Tenant},
    tenants,
};

/// A person, without what proves to be it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The id.
    pub id: Id,
    /// The e-mail address, in lower case.
    pub email: String,
    /// How the person wants to be called.
    pub name: String,
    /// Whether this is an operator of the platform.
    pub platform: bool,
    /// When the address was proven to be the person's.
    pub verified_at: Option<TimeMs>,
    /// Whether a code is wanted besides the password.
    pub second_factor: bool,
    /// Since when the person is not let in.
    pub disabled_at: Option<TimeMs>,
    /// Since when there is this account.
    pub created_at: TimeMs,
    /// It rises with each change.
    pub version: i64,
}

impl Person {
    /// The person in this role in an organisation, as the audit there has it: by no session, and as no operator.
    pub(crate) fn acting(&self, organisation: Id, role: Role) -> Authenticated {
        Authenticated {
            tenant: Tenant::whole(organisation),
            actor: Actor::User { id: self.id, name: self.email.clone() },
            scopes: role.scopes(),
            role: Some(role),
            platform: false,
            expires_at: None,
            session: None,
        }
    }
}

macro_rules! columns {
    () => {
        "user_id, email, name, platform, verified_at, totp, disabled_at, created_at, version"
    };
}

const BY_ID: SystemSql = SystemSql(concat!("SELECT ", columns!(), " FROM users WHERE user_id = $1"));
const BY_EMAIL: SystemSql = SystemSql(concat!("SELECT ", columns!(), " FROM users WHERE email = $1"));
/// The same, held until the end of the transaction: what is counted of one person is counted by one at a time.
const HOLD: SystemSql =
    SystemSql(concat!("UPDATE users SET updated_at = updated_at WHERE user_id = $1 RETURNING ", columns!()));
/// The role of a person in the tenant, and whether the person is let in at all: for keys that the person made.
const ROLE: Sql = Sql::of_tenant(
    "SELECT m.role, u.disabled_at FROM tenant_users m JOIN users u ON u.user_id = m.user_id AND m.tenant_id = $1 \
     WHERE m.tenant_id = $1 AND m.user_id = $2",
);

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[("people: role", ROLE)];
pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[
    ("people: by id", BY_ID),
    ("people: by e-mail", BY_EMAIL),
    ("people: hold", HOLD),
    ("people: insert", sign_up::INSERT),
    ("people: insert identity", crate::identities::ADD),
    ("people: operator", operators::SET),
    ("people: operators", operators::LIST),
];

pub(crate) async fn get(tx: &mut Tx, id: &Id) -> Result<Person, Error> {
    read(tx.system(BY_ID, &[Value::from(id)]).await?.first().ok_or(Error::NotFound)?)
}

/// The same, while nobody else founds or joins something in this person's name.
pub(crate) async fn hold(tx: &mut Tx, id: &Id) -> Result<Person, Error> {
    read(tx.system(HOLD, &[Value::from(id)]).await?.first().ok_or(Error::NotFound)?)
}

pub(crate) async fn by_email(tx: &mut Tx, email: &str) -> Result<Option<Person>, Error> {
    tx.system(BY_EMAIL, &[Value::from(email)]).await?.first().map(read).transpose()
}

/// What a person is in the organisation of this transaction; `None`: nothing, or not let in at all.
pub(crate) async fn role(tx: &mut Tx, user: &Id) -> Result<Option<Role>, Error> {
    let Some(row) = tx.row(ROLE, &[Value::from(user)]).await? else { return Ok(None) };
    if row.opt_int("disabled_at")?.is_some() {
        return Ok(None);
    }
    row.parsed("role").map(Some)
}

/// A person in one of its organisations, as the audit there has it; `None`: it is no member, or the organisation is being deleted. From here on
/// the transaction is of that organisation.
pub(crate) async fn within(tx: &mut Tx, person: &Person, organisation: &Id) -> Result<Option<Authenticated>, Error> {
    tx.enter(organisation).await?;
    let Some(role) = role_of(tx, &person.id).await? else { return Ok(None) };
    if tenants::get(tx).await?.deleting_at.is_some() {
        return Ok(None);
    }
    Ok(Some(person.acting(*organisation, role)))
}

fn read(row: &Row) -> Result<Person, Error> {
    let time = |column: &str| row.opt_int(column).map(|t| t.map(TimeMs));
    Ok(Person {
        id: row.parsed("user_id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        platform: row.int("platform")? != 0,
        verified_at: time("verified_at")?,
        second_factor: row.opt_text("totp")?.is_some(),
        disabled_at: time("disabled_at")?,
        created_at: TimeMs(row.int("created_at")?),
        version: row.int("version")?,
    })
}
