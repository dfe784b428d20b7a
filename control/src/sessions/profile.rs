//! What a person sees of itself.

use super::member_of_is_asked;
use crate::{
    db::{Row, Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    roles::Role,
    sql::SystemSql,
};

pub(super) const USER: SystemSql =
    SystemSql("SELECT user_id, email, name, password, totp, verified_at FROM users WHERE user_id = $1");
/// On PostgreSQL after `headwater.user` was set.
pub(super) const ORGANISATIONS: SystemSql = SystemSql(
    "SELECT t.tenant_id, t.name, t.suspended_at, t.deleting_at, u.role FROM tenant_users u \
     JOIN tenants t ON t.tenant_id = u.tenant_id WHERE u.user_id = $1 ORDER BY u.tenant_id LIMIT $2",
);

/// A person, and where it is what.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Ours.
    pub id: Id,
    /// The address of the account.
    pub email: String,
    /// What the person is called.
    pub name: String,
    /// Whether the address was shown to be the person's.
    pub verified: bool,
    /// Whether there is a second factor.
    pub totp: bool,
    /// Whether there is a password.
    pub password: bool,
    /// The organisations, the oldest first.
    pub organisations: Vec<Belonging>,
}

/// What a person is in an organisation.
#[derive(Debug, Clone)]
pub struct Belonging {
    /// The organisation.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// What the person is there.
    pub role: Role,
    /// `active`, `suspended`, `deleting`.
    pub state: &'static str,
}

impl Control {
    /// What a person sees of itself.
    ///
    /// # Errors
    /// There is no such person; the store is away.
    pub async fn profile(&self, user: &Id) -> Result<Profile, Error> {
        let mut tx = self.db.system(false).await?;
        let found = look_up(&mut tx, user).await;
        tx.end(found).await
    }
}

async fn look_up(tx: &mut Tx, user: &Id) -> Result<Profile, Error> {
    let rows = tx.system(USER, &[Value::from(user)]).await?;
    let row = rows.first().ok_or(Error::NotFound)?;
    let most = member_of_is_asked(tx, user).await?;
    let organisations = tx.system(ORGANISATIONS, &[Value::from(user), most.into()]).await?;
    Ok(Profile {
        id: *user,
        email: row.text("email")?,
        name: row.text("name")?,
        verified: row.opt_int("verified_at")?.is_some(),
        totp: row.opt_text("totp")?.is_some(),
        password: row.opt_text("password")?.is_some(),
        organisations: organisations.iter().map(membership).collect::<Result<_, _>>()?,
    })
}

fn membership(row: &Row) -> Result<Belonging, Error> {
    let (suspended, deleting) = (row.opt_int("suspended_at")?, row.opt_int("deleting_at")?);
    let state = match (deleting, suspended) {
        (Some(_), _) => "deleting",
        (None, Some(_)) => "suspended",
        (None, None) => "active",
    };
    Ok(Belonging { id: row.parsed("tenant_id")?, name: row.text("name")?, role: row.parsed("role")?, state })
}
