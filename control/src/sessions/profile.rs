//! What a person sees of itself.

use crate::{
    db::{Tx, Value},
    error::Error,
    id::Id,
    open::Control,
    organisations,
    roles::Role,
    sql::SystemSql,
};

pub(super) const USER: SystemSql =
    SystemSql("SELECT user_id, email, name, password, totp, verified_at FROM users WHERE user_id = $1");

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
    /// `active`, `importing`, `suspended`, `deleting`.
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
    let organisations = organisations::of_person(tx, user).await?;
    Ok(Profile {
        id: *user,
        email: row.text("email")?,
        name: row.text("name")?,
        verified: row.opt_int("verified_at")?.is_some(),
        totp: row.opt_text("totp")?.is_some(),
        password: row.opt_text("password")?.is_some(),
        organisations: organisations
            .into_iter()
            .map(|of| Belonging {
                id: of.organisation.id,
                state: of.organisation.state(),
                name: of.organisation.name,
                role: of.role,
            })
            .collect(),
    })
}
