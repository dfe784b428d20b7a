//! The door: who comes in, and what for.
//!
//! Guarantee: a request reaches a route only if the table of permissions ([`permissions`]) has a row for its route and method and whoever
//! sent it may do what the row says; what has no row is shut. Who it is stands in the request's extensions, put there by [`enter`] alone
//! ([`Who`]). Refusals say no more of keys than that one is needed: an unknown, a wrong, a revoked and an expired one get the same answer.

mod control;
pub mod describe;
pub mod permissions;
mod who;

use std::sync::Arc;

use ::control::{Allowed, Authenticated, Denied, Mode, Resource};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use self::permissions::{Needs, Said};
pub use self::{
    control::ControlStore,
    who::{From, RequestId, Who},
};
use crate::{app::App, error::ApiError, metrics};

/// Lets in who may, and says who it is. Inside of CORS, so that an allowed page can read the refusal.
pub async fn enter(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    match admit(&app, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn admit(app: &App, request: &mut Request) -> Result<(), ApiError> {
    // What the router does not know is answered by the page's files, or by nothing.
    let Some(route) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
    let needs = match permissions::of(request.method(), route.as_str()) {
        Said::Needs(needs) => needs,
        Said::NoSuchMethod(rows) => {
            let method = crate::error::cut(request.method().as_str());
            return Err(ApiError::MethodNotAllowed { method, allow: permissions::allow(rows) });
        }
        Said::NoRow => {
            tracing::error!(route = route.as_str(), "this route has no row in the table of permissions, and is shut");
            return Err(ApiError::Internal);
        }
    };
    if needs == Needs::Nothing {
        return Ok(());
    }
    let Some(who) = who(app, request.headers(), needs).await? else { return Ok(()) };
    if let Needs::Scope(resource, action) = needs
        && !who.allows(resource, action)
    {
        return Err(ApiError::Forbidden { needs: needs.word(), has: who.scopes().texts().join(" ") });
    }
    request.extensions_mut().insert(who);
    Ok(())
}

/// Who sends this; nobody in particular where everybody may read of chains and the store is away.
async fn who(app: &App, headers: &HeaderMap, needs: Needs) -> Result<Option<Arc<Authenticated>>, ApiError> {
    let control = app.control();
    if app.config.control.mode() == Mode::None {
        return match control {
            Ok(control) => Ok(control.anyone().map(Arc::new)),
            Err(_) if needs == Needs::Scope(Resource::Chains, Allowed::Read) => Ok(None),
            Err(away) => Err(away),
        };
    }
    let presented = bearer(headers)?;
    let Some(presented) = presented else {
        return Err(ApiError::Unauthenticated { problem: "this needs a key: `Authorization: Bearer hw_…`" });
    };
    control?.authenticate(presented).await.map(Some).map_err(denied)
}

/// The token of `Authorization: Bearer TOKEN`. Two of them, or another scheme, are nobody's.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let wrong = |problem| Err(ApiError::Unauthenticated { problem });
    if all.next().is_some() {
        return wrong("`Authorization` stands more than once");
    }
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => wrong("`Authorization` is not of the form `Bearer hw_…`"),
    }
}

/// What is told outside: nothing of why a key is not good.
fn denied(denied: Denied) -> ApiError {
    let (reason, error) = match denied {
        Denied::Away => ("away", ApiError::ControlAway { problem: "keys cannot be looked up".to_owned() }),
        Denied::Busy => ("busy", ApiError::Overloaded { what: "unknown keys" }),
        Denied::Malformed => ("malformed", BAD_KEY),
        Denied::Unknown => ("unknown", BAD_KEY),
        Denied::Revoked => ("revoked", BAD_KEY),
        Denied::Expired => ("expired", BAD_KEY),
        Denied::Suspended => ("suspended", BAD_KEY),
    };
    metrics::denied(reason);
    error
}

/// A new id of a request: 128 random bits in hex. Ids of clients are not taken over, since the audit and the log rely on them.
pub fn request_id() -> RequestId {
    RequestId(format!("{:032x}", fastrand::u128(..)).into())
}

const BAD_KEY: ApiError = ApiError::Unauthenticated { problem: "this key is not good (any more)" };
