//! Bodies of requests that change something, strictly: JSON in which no key stands twice at any depth, that nests no deeper than it may,
//! and of which every field is known and is what it should be.
//!
//! Guarantee: what a route does not take is refused and never ignored, so that a misspelt field, one that only the server sets (an id, a
//! tenant, who made it), or a second value of one never passes unnoticed. Every mistake is a 422 with its path, and all of a kind are told
//! at once.

mod fields;
mod json;
pub mod lines;

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use schemas::limits;
use serde_json::{Map, Value};

pub use self::fields::Fields;
use crate::{app::App, error::ApiError};

/// The JSON of a request.
pub struct Body(Value);

impl Body {
    /// All of it, for what reads its fields itself.
    pub fn into_value(self) -> Value {
        self.0
    }

    /// Its fields.
    ///
    /// # Errors
    /// It is no object.
    pub fn fields(self) -> Result<Fields, ApiError> {
        Fields::of(self.0)
    }
}

impl FromRequest<Arc<App>> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = bytes(request, app).await?;
        json::read(&bytes).map(Self).map_err(|mistakes| ApiError::InvalidBody { mistakes })
    }
}

/// The same of a route that also takes none: then it is `{}`.
pub struct MaybeBody(pub Body);

impl FromRequest<Arc<App>> for MaybeBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let bytes = bytes(request, app).await?;
        if bytes.is_empty() {
            return Ok(Self(Body(Value::Object(Map::new()))));
        }
        json::read(&bytes).map(Body).map(Self).map_err(|mistakes| ApiError::InvalidBody { mistakes })
    }
}

async fn bytes(request: Request, app: &Arc<App>) -> Result<Bytes, ApiError> {
    // A body that is announced as longer was refused before; this is one that is longer than it said, or said nothing.
    let too_large = |_| ApiError::BodyTooLarge { limit: limits::HTTP_BODY_BYTES };
    Bytes::from_request(request, app).await.map_err(too_large)
}
