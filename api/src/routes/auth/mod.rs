//! `/auth/…`: how people and the page come in, go on and go out. A file for each thing.
//!
//! Guarantee: keys and passwords are kept nowhere; attempts are few for an address ([`limits::LOG_INS`](schemas::limits::LOG_INS) a minute); the
//! cookie is shut to scripts and to other sites, and what it changes wants `X-Headwater-Csrf` besides. What answers with a token or a cookie
//! may be kept by nobody on the way.

pub mod answer;
pub mod identities;
pub mod log_in;
pub mod me;
pub mod oidc;
pub mod password;
pub mod reset;
pub mod sessions;
pub mod sign_up;
pub mod tokens;
pub mod totp;
pub mod ways;

use std::net::IpAddr;

use axum::{Extension, http::HeaderMap};
use control::{Authenticated, Id, Origin};

use crate::{
    app::App,
    door::{Counted, From, Peer, RequestId},
    error::ApiError,
};

/// Counts one attempt of an address.
fn count(app: &App, from: Option<Extension<From>>) -> Result<Option<IpAddr>, ApiError> {
    let Some(Extension(From(ip))) = from else { return Ok(None) };
    let counted = app.budgets.count(Counted::LogIn(Counted::at(ip)));
    counted.map_err(|(standing, wait)| ApiError::TooFast { standing, wait })?;
    Ok(Some(ip))
}

/// Where somebody comes from who is not known yet.
fn origin(ip: Option<IpAddr>, request_id: Option<&Extension<RequestId>>) -> Origin<'_> {
    Origin { ip, request_id: request_id.map(|Extension(id)| &*id.0) }
}

/// Whether a client speaks TLS, as far as its connection is known.
fn is_tls(app: &App, peer: Option<Extension<Peer>>, headers: &HeaderMap) -> bool {
    peer.is_some_and(|Extension(peer)| app.config.is_tls(&peer, headers))
}

/// The person that somebody is.
fn person(who: &Authenticated) -> Result<&Id, ApiError> {
    who.user().ok_or(ApiError::NoPerson)
}
