//! Links that acknowledge an alert without a login: good once, for one alert, for a day.
//!
//! Guarantee: of all who come with one link, and of all times that one comes, [`Control::use_ack_token`] lets one through; that it did
//! stands in the audit, in the same transaction.

mod token;

use schemas::TimeMs;

pub use token::{AckToken, AckTokens, NoAckToken};

use crate::{
    audit::{Action, Change, Outcome, Subject},
    db::Value,
    error::Error,
    open::Control,
    sql::Sql,
    tenant::Caller,
    tenants,
};

const USED: Sql = Sql::of_tenant("SELECT mark FROM ack_tokens WHERE tenant_id = $1 AND mark = $2");
const USE: Sql = Sql::of_tenant(
    "INSERT INTO ack_tokens (tenant_id, mark, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant_id, mark) DO NOTHING RETURNING mark",
);
const GIVE_BACK: Sql = Sql::of_tenant("DELETE FROM ack_tokens WHERE tenant_id = $1 AND mark = $2 RETURNING mark");
const FORGET: Sql = Sql::of_tenant("DELETE FROM ack_tokens WHERE tenant_id = $1 AND expires_at <= $2");

pub(crate) const STATEMENTS: &[(&str, Sql)] = &[
    ("acknowledging: used", USED),
    ("acknowledging: use", USE),
    ("acknowledging: give back", GIVE_BACK),
    ("acknowledging: forget", FORGET),
];

impl Control {
    /// Tokens of links, with this store's secret.
    pub fn ack_tokens(&self) -> AckTokens {
        AckTokens::new(&self.pepper)
    }

    /// Whether this link was used. It changes nothing: who only looks (a mail scanner) uses nothing up.
    ///
    /// # Errors
    /// [`Error::NotFound`] where its tenant is suspended or gone; the store is away.
    pub async fn ack_token_used(&self, token: &AckToken) -> Result<bool, Error> {
        let mut tx = self.db.read(token.who.tenant()).await?;
        let done = async {
            if tenants::suspended(&mut tx).await? {
                return Err(Error::NotFound);
            }
            Ok(tx.row(USED, &[Value::from(&token.mark)]).await?.is_some())
        };
        let done = done.await;
        tx.end(done).await
    }

    /// Uses this link up: `true` for the one that does, `false` for all who come later. `by` is made with [`AckToken::who`].
    ///
    /// Whoever cannot carry out then what was asked gives it back with [`Control::give_back_ack_token`].
    ///
    /// # Errors
    /// [`Error::NotFound`] where its tenant is suspended or gone; the store is away.
    pub async fn use_ack_token(&self, by: Caller<'_>, token: &AckToken) -> Result<bool, Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = use_up(&mut change, token).await;
        change.end(done).await
    }

    /// What was asked with this link could not be carried out: it is good again.
    ///
    /// # Errors
    /// The store is away.
    pub async fn give_back_ack_token(&self, by: Caller<'_>, token: &AckToken) -> Result<(), Error> {
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let done = async {
            if change.write(GIVE_BACK, &[Value::from(&token.mark)]).await?.is_empty() {
                return Err(Error::NotFound);
            }
            change.audit(Action::AlertAcknowledge, &subject(token), None, None, Outcome::Failed).await
        };
        let done = done.await;
        change.end(done).await
    }
}

async fn use_up(change: &mut Change<'_>, token: &AckToken) -> Result<bool, Error> {
    if tenants::suspended(change.tx()).await? {
        return Err(Error::NotFound);
    }
    change.tx().rows(FORGET, &[Value::from(TimeMs::now().0)]).await?;
    if change.tx().rows(USE, &[Value::from(&token.mark), token.expires_at.0.into()]).await?.is_empty() {
        return Ok(false);
    }
    change.audit(Action::AlertAcknowledge, &subject(token), None, None, Outcome::Done).await?;
    Ok(true)
}

fn subject(token: &AckToken) -> Subject {
    Subject { kind: "alert", id: token.alert.clone(), name: None }
}
