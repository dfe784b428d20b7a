//! Sessions of people: one row for each time that somebody signed in, in one organisation.
//!
//! Guarantee: cookie, access token and refresh token of a session all lead to its row, and nothing is believed of them but which row that is:
//! who signed out, was removed from the organisation, got another role or another password is known by it within 5 s, as keys are; and whose session
//! was ended changes nothing from that moment on: a change asks the row itself. A session
//! is made anew at each sign-in and each change of the organisation, with a random id, so that none can be planted beforehand. The row holds
//! no secret: cookies and refresh tokens are MACs under a key that is derived from the control store's secret. A remembered session costs one
//! MAC, or one hash of its token, and one look into a bounded map.

mod begin;
mod door;
mod end;
mod jwt;
mod profile;
mod refresh;
mod sign_in;
mod signing;

use schemas::TimeMs;

pub use begin::{AccessToken, Begun};
pub use door::PersonSession;
pub(crate) use door::Remembered;
pub use end::SessionInfo;
pub(crate) use end::end_others;
pub use profile::{Belonging, Profile};
pub use sign_in::{SignIn, SignedIn};
pub use signing::PublicKey;
pub(crate) use signing::{KIND as SIGNING_KEY, Signing};

use crate::{
    db::{Row, Tx, Value},
    error::{Denied, Error},
    id::Id,
    organisations::{entitled, role_of},
    sql::SystemSql,
    tenant::{Actor, Authenticated, Tenant},
    tenants,
};

/// A person, as far as signing in goes.
pub(crate) struct Person {
    pub(crate) id: Id,
    pub(crate) email: String,
    pub(crate) password: Option<String>,
    /// Whether there is a second factor.
    pub(crate) totp: bool,
    pub(crate) generation: i64,
    pub(crate) platform: bool,
    pub(crate) disabled: bool,
}

macro_rules! columns {
    () => {
        "user_id, email, password, totp, generation, platform, disabled_at"
    };
}

const BY_ID: SystemSql = SystemSql(concat!("SELECT ", columns!(), " FROM users WHERE user_id = $1"));
const BY_EMAIL: SystemSql = SystemSql(concat!("SELECT ", columns!(), " FROM users WHERE email = $1"));
const GOES_ON: SystemSql = SystemSql(
    "SELECT s.session_id FROM sessions s JOIN users u ON u.user_id = s.user_id \
     WHERE s.session_id = $1 AND s.revoked_at IS NULL AND s.generation = u.generation",
);
/// A person's organisations: on PostgreSQL after `headwater.user` was set.
const MEMBER_OF: SystemSql =
    SystemSql("SELECT tenant_id FROM tenant_users WHERE user_id = $1 ORDER BY tenant_id LIMIT $2");

pub(crate) const SYSTEM_STATEMENTS: &[(&str, SystemSql)] = &[
    ("sessions: person", BY_ID),
    ("sessions: person by e-mail", BY_EMAIL),
    ("sessions: goes on", GOES_ON),
    ("sessions: organisations", MEMBER_OF),
    ("sessions: profile", profile::USER),
    ("sessions: look up", door::SESSION),
    ("sessions: latest", begin::LATEST),
    ("sessions: sweep", begin::SWEEP),
    ("sessions: cap", begin::CAP),
    ("sessions: going on", begin::GOING_ON),
    ("sessions: hold", refresh::HOLD),
    ("sessions: rotate", refresh::ROTATE),
    ("sessions: end", end::END),
    ("sessions: end of person", end::END_OF),
    ("sessions: list", end::LIST),
];

fn read(row: &Row) -> Result<Person, Error> {
    Ok(Person {
        id: row.parsed("user_id")?,
        email: row.text("email")?,
        password: row.opt_text("password")?,
        totp: row.opt_text("totp")?.is_some(),
        generation: row.int("generation")?,
        platform: row.int("platform")? != 0,
        disabled: row.opt_int("disabled_at")?.is_some(),
    })
}

pub(crate) async fn person(tx: &mut Tx, id: &Id) -> Result<Person, Error> {
    let rows = tx.system(BY_ID, &[Value::from(id)]).await?;
    read(rows.first().ok_or(Error::NotFound)?)
}

pub(crate) async fn person_by_email(tx: &mut Tx, email: &str) -> Result<Option<Person>, Error> {
    let rows = tx.system(BY_EMAIL, &[Value::from(email)]).await?;
    rows.first().map(read).transpose()
}

/// Organisations that a person is in, as many as one may be in.
pub(crate) async fn member_of(tx: &mut Tx, user: &Id) -> Result<Vec<Id>, Error> {
    tx.set("headwater.user", user.as_str()).await?;
    let rows = tx.system(MEMBER_OF, &[Value::from(user), schemas::limits::accounts::ORGANISATIONS.into()]).await?;
    rows.iter().map(|row| row.parsed("tenant_id")).collect()
}

/// What a person with this session is in an organisation now. From here on the transaction is of that tenant.
pub(crate) async fn standing(
    tx: &mut Tx,
    person: &Person,
    tenant: &Id,
    session: &Id,
) -> Result<Result<Authenticated, Denied>, Error> {
    tx.enter(tenant).await?;
    if person.disabled {
        return Ok(Err(Denied::Revoked));
    }
    // Before anything is told of the organisation: to who is not in it one that is suspended, and one that is not there, are alike.
    let Some(role) = role_of(tx, &person.id).await? else { return Ok(Err(Denied::Revoked)) };
    if tenants::suspended(tx).await? {
        return Ok(Err(Denied::Suspended));
    }
    let reach = entitled(tx).await?;
    Ok(Ok(Authenticated {
        tenant: Tenant { reach, ..Tenant::whole(*tenant) },
        actor: Actor::User { id: person.id, name: person.email.clone() },
        scopes: role.scopes(),
        role: Some(role),
        platform: person.platform,
        // What a person makes does not end with a session.
        expires_at: None,
        session: Some(*session),
    }))
}

/// Whether a session is neither ended nor of a former generation: asked before each change of its person, in the transaction of the change, so that
/// what ended it is never overtaken by what is remembered of it.
async fn goes_on(tx: &mut Tx, session: &Id) -> Result<bool, Error> {
    Ok(!tx.system(GOES_ON, &[Value::from(session)]).await?.is_empty())
}

/// The same of whoever changes something. Whoever came otherwise has no session that could have ended.
///
/// # Errors
/// The session is over ([`Error::SessionOver`]); the store is away.
pub(crate) async fn still_on(tx: &mut Tx, who: &Authenticated) -> Result<(), Error> {
    let Some(session) = &who.session else { return Ok(()) };
    if goes_on(tx, session).await? { Ok(()) } else { Err(Error::SessionOver) }
}

/// What a failure of the store means to who wants to come in.
fn away(error: Error) -> Denied {
    match error {
        Error::Busy { .. } => Denied::Busy,
        Error::NotFound => Denied::Unknown,
        error => {
            tracing::warn!(%error, "a session cannot be looked up");
            Denied::Away
        }
    }
}

/// Milliseconds since 1970, after a while.
fn after(now: TimeMs, life: std::time::Duration) -> TimeMs {
    TimeMs(now.0 + life.as_millis() as i64)
}
