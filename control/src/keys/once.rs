//! Keys that are made and rotated by requests that may come twice.
//!
//! Guarantee: a request with an idempotency key is carried out once. The same one again is told which key it made, but not its secret:
//! that is kept nowhere.

use std::time::Duration;

use runtime::config::Secret;
use schemas::TimeMs;
use serde_json::json;

use super::{Fresh, Key, NewKey, create_in, get, rotate_in};
use crate::{
    audit::{Action, Change},
    error::Error,
    expected::Expected,
    id::Id,
    idempotency::{self, IdempotencyKey},
    open::Control,
    tenant::Caller,
};

/// What a request made, or had made before.
#[derive(Debug, Clone)]
pub struct Made {
    /// The key.
    pub key: Key,
    /// All of it; `None` where the same request came before, and nothing was done now.
    pub text: Option<Secret>,
}

impl From<Fresh> for Made {
    fn from(fresh: Fresh) -> Self {
        Self { key: fresh.key, text: Some(fresh.text) }
    }
}

impl Control {
    /// Makes a key as [`Control::create_key`] does, once for each idempotency key; `until` is a time at which it ends, in the place of
    /// `expires_in`.
    ///
    /// # Errors
    /// As of [`Control::create_key`]; the idempotency key was used for something else.
    pub async fn create_key_once(
        &self,
        by: Caller<'_>,
        new: NewKey,
        until: Option<TimeMs>,
        once: Option<&IdempotencyKey>,
    ) -> Result<Made, Error> {
        let request = json!([
            new.name,
            new.scopes.texts(),
            new.networks.listed(),
            new.expires_in.map(|d| d.as_millis() as u64),
            until.map(|t| t.0)
        ]);
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let work = async |change: &mut Change<'_>| create_in(change, &self.pepper, new, until).await;
        let done = only_once(&mut change, once, Action::KeyCreate, &request.to_string(), work).await;
        change.end(done).await
    }

    /// Rotates a key as [`Control::rotate_key`] does, once for each idempotency key, if it is of the version expected.
    ///
    /// # Errors
    /// As of [`Control::rotate_key`]; changed since ([`Error::Stale`]); the idempotency key was used for something else.
    pub async fn rotate_key_once(
        &self,
        by: Caller<'_>,
        id: &Id,
        expected: &Expected,
        overlap: Duration,
        once: Option<&IdempotencyKey>,
    ) -> Result<Made, Error> {
        let request = json!([id, overlap.as_millis() as u64]);
        let mut change = Change::begin(&self.db, &self.pepper, by).await?;
        let work = async |change: &mut Change<'_>| {
            expected.check(get(change.tx(), id).await?.version)?;
            rotate_in(change, self, id, overlap).await
        };
        let done = only_once(&mut change, once, Action::KeyRotate, &request.to_string(), work).await;
        change.end(done).await
    }
}

async fn only_once<'c>(
    change: &mut Change<'c>,
    once: Option<&IdempotencyKey>,
    action: Action,
    request: &str,
    work: impl AsyncFnOnce(&mut Change<'c>) -> Result<Fresh, Error>,
) -> Result<Made, Error> {
    let (action, request) = (action.as_str(), request.as_bytes());
    if let Some(once) = once
        && let Some(id) = idempotency::find(change.tx(), once, action, request).await?
    {
        return Ok(Made { key: get(change.tx(), &id).await?, text: None });
    }
    let fresh = work(change).await?;
    if let Some(once) = once {
        idempotency::remember(change.tx(), once, action, request, &fresh.key.id).await?;
    }
    Ok(fresh.into())
}
