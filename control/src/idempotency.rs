//! Requests that come twice: the key that a client gives to one, and what became of it.
//!
//! Guarantee: within 24 hours a request with a key is carried out once, whatever is killed, since the key is written in the transaction
//! of the change; the same request again gets the thing that was made, and another request with the same key is refused.

use schemas::{TimeMs, limits::control as limits};
use sha2::{Digest, Sha256};

use crate::{
    db::{Tx, Value},
    error::{Error, Mistake},
    id::Id,
    sql::Sql,
};

/// An idempotency key, as the header `Idempotency-Key` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads one.
    ///
    /// # Errors
    /// It is empty, too long, or not visible ASCII.
    pub fn read(text: &str) -> Result<Self, Error> {
        let good =
            (1..=limits::IDEMPOTENCY_CHARACTERS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let cure = format!("send 1 to {} visible ASCII characters, such as a UUID", limits::IDEMPOTENCY_CHARACTERS);
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| Error::Invalid(vec![Mistake::new("Idempotency-Key", "is no idempotency key", cure)]))
    }
}

const FORGET: Sql = Sql::of_tenant("DELETE FROM idempotency_keys WHERE tenant_id = $1 AND created_at < $2");
const FIND: Sql = Sql::of_tenant(
    "SELECT action, request, resource_id FROM idempotency_keys WHERE tenant_id = $1 AND idempotency_key = $2",
);
const REMEMBER: Sql = Sql::of_tenant(
    "INSERT INTO idempotency_keys (tenant_id, idempotency_key, action, request, resource_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
);
pub(crate) const STATEMENTS: &[(&str, Sql)] =
    &[("idempotency: forget", FORGET), ("idempotency: find", FIND), ("idempotency: remember", REMEMBER)];

/// What a request with this key made before, if it did.
pub(crate) async fn find(tx: &mut Tx, key: &IdempotencyKey, action: &str, request: &[u8]) -> Result<Option<Id>, Error> {
    let oldest = TimeMs::now().0 - limits::IDEMPOTENCY_KEPT.as_millis() as i64;
    tx.rows(FORGET, &[Value::from(oldest)]).await?;
    let Some(row) = tx.row(FIND, &[Value::from(&key.0)]).await? else { return Ok(None) };
    match row.text("action")? == action && row.text("request")? == digest(request) {
        true => row.parsed("resource_id").map(Some),
        false => Err(Error::Reused),
    }
}

/// Remembers what a request with this key made.
pub(crate) async fn remember(
    tx: &mut Tx,
    key: &IdempotencyKey,
    action: &str,
    request: &[u8],
    made: &Id,
) -> Result<(), Error> {
    let values = [Value::from(&key.0), action.into(), digest(request).into(), made.into(), TimeMs::now().0.into()];
    tx.rows(REMEMBER, &values).await.map(drop)
}

fn digest(request: &[u8]) -> String {
    const_hex::encode(Sha256::digest(request))
}
