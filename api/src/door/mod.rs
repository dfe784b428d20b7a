//! The door: who comes in, and what for.
//!
//! Guarantee: a request reaches a route only if the table of permissions ([`permissions`]) has a row for its route and method and whoever
//! sent it may do what the row says; what has no row is shut. Who it is stands in the request's extensions, put there by [`enter`] alone
//! ([`Who`]). In this order: pages of other sites, the row, the credential, how much, the page's proof, what form, the scope, the network.

pub mod address;
mod budgets;
mod control;
mod credential;
pub mod describe;
mod origin;
pub mod permissions;
mod reach;
mod who;

use std::sync::Arc;

use ::control::{Allowed, Authenticated, Denied, Mode, Resource};
use axum::{
    extract::{MatchedPath, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use permissions::{Is, Needs, Said};
use schemas::limits;

pub use self::{
    address::Peer,
    budgets::{Bucket, Budgets, Counted, Standing, up},
    control::ControlStore,
    credential::{Came, Credential, cookie_named, denied, set_cookie},
    origin::check as check_origin,
    who::{Asking, From, RequestId, Who},
};
use crate::{app::App, error::ApiError};

/// Lets in who may, and says who it is. Inside of CORS, so that an allowed page can read the refusal.
pub async fn enter(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let mut standing = None;
    let mut response = match admit(&app, &mut request, &mut standing).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    response
}

async fn admit(app: &App, request: &mut Request, standing: &mut Option<Standing>) -> Result<(), ApiError> {
    let changes = !origin::is_safe(request.method());
    if changes {
        check_origin(request.headers(), &app.config.allowed_origins, app.config.own_origin().as_deref())?;
    }
    // What the router does not know is answered by the page's files, or by nothing.
    let Some(route) = request.extensions().get::<MatchedPath>().cloned() else { return Ok(()) };
    let route = route.as_str();
    let row = permissions::of(request.method(), route);
    let ip = from(app, request);
    if let Some(ip) = ip {
        request.extensions_mut().insert(From(ip));
    }
    let by_address = ip.map(|ip| Counted::Address(Counted::at(ip)));
    let free = app.config.control.mode() == Mode::None && ip.is_none_or(|ip| ip.is_loopback());
    let mut count = |who: Option<Counted>| -> Result<(), ApiError> {
        let Some(who) = who.filter(|_| !free) else { return Ok(()) };
        let counted = app.budgets.count(who);
        *standing = Some(counted.as_ref().map_or_else(|(standing, _)| *standing, |standing| *standing));
        counted.map(drop).map_err(|(standing, wait)| ApiError::TooFast { standing, wait })
    };
    let needs = match row {
        Said::Needs(needs) => needs,
        Said::NoSuchMethod(rows) => {
            count(by_address)?;
            let method = crate::error::cut(request.method().as_str());
            return Err(ApiError::MethodNotAllowed { method, allow: permissions::allow(rows) });
        }
        Said::NoRow => {
            tracing::error!(route, "this route has no row in the table of permissions, and is shut");
            return Err(ApiError::Internal);
        }
    };
    if needs == Needs::Nothing {
        count(by_address)?;
        return check_form(request, route);
    }
    let came = match who(app, request.headers(), needs).await {
        Ok(came) => came,
        Err(error) => {
            // Whoever guesses is counted by where it comes from.
            count(by_address)?;
            return Err(error);
        }
    };
    let Some((came, credential)) = came else {
        count(by_address)?;
        return Ok(());
    };
    count(Counted::of(&came.who).or(by_address))?;
    let account = app.tenants.admit(app.control().ok(), &came.who, standing).await?;
    request.extensions_mut().insert(account);
    if changes && let Some(csrf) = came.csrf() {
        check_csrf(request.headers(), csrf)?;
    }
    if let Some(session) = came.session {
        request.extensions_mut().insert(session);
    }
    if let Some(session) = came.person {
        request.extensions_mut().insert(session);
    }
    check_form(request, route)?;
    let who = came.who;
    let is = Is { role: who.role(), platform: who.is_platform() };
    if !needs.is_met(is, |resource, action| who.allows(resource, action)) {
        return Err(ApiError::Forbidden { needs: needs.word(), has: who.scopes().texts().join(" ") });
    }
    if matches!(needs, Needs::Scope(Resource::Chains, _))
        && let Some(instead) = reach::check(who.tenant().reach(), route, request.uri())?
    {
        *request.uri_mut() = instead;
    }
    if let Some(credential) = credential {
        request.extensions_mut().insert(credential);
    }
    request.extensions_mut().insert(who);
    Ok(())
}

/// Where it comes from.
fn from(app: &App, request: &Request) -> Option<std::net::IpAddr> {
    let peer = request.extensions().get::<Peer>()?;
    Some(address::of(peer.address.ip(), request.headers(), &app.config.trusted_proxies))
}

/// What changes something is JSON; the registry refuses changes in its own form, and looks schemas up by bodies of its own. The button of a
/// message's page sends a form, which a page of another site could send as well: it would have to have the link.
fn check_form(request: &Request, route: &str) -> Result<(), ApiError> {
    let own_form = route.starts_with("/registry/") || route.starts_with("/ack/");
    match origin::is_safe(request.method()) || own_form {
        true => Ok(()),
        false => origin::check_json(request.method(), request.uri().path(), request.headers()),
    }
}

/// A change by a session proves that it is the page's own.
fn check_csrf(headers: &HeaderMap, csrf: &str) -> Result<(), ApiError> {
    let mut said = headers.get_all(credential::CSRF).iter();
    let (first, more) = (said.next(), said.next());
    let good = first.is_some_and(|v| ::control::same_text(csrf, v.to_str().unwrap_or_default()));
    if good && more.is_none() { Ok(()) } else { Err(ApiError::Csrf) }
}

/// Who came, and with what.
type Comer = (Came, Option<Credential>);

/// Who sends this; nobody in particular where everybody may read of chains and the store is away.
async fn who(app: &App, headers: &HeaderMap, needs: Needs) -> Result<Option<Comer>, ApiError> {
    let control = app.control();
    if app.config.control.mode() == Mode::None {
        return match control {
            Ok(control) => Ok(control.anyone().map(|who| (Came::without_session(Arc::new(who)), None))),
            Err(_) if needs == Needs::Scope(Resource::Chains, Allowed::Read) => Ok(None),
            Err(away) => Err(away),
        };
    }
    let Some(credential) = Credential::of(headers)? else {
        return Err(ApiError::Unauthenticated {
            problem: "this needs a key, an access token or a session: `Authorization: Bearer …`",
        });
    };
    let came = credential.who(&*control?).await.map_err(denied)?;
    match app.is_ended(&came) {
        true => Err(denied(Denied::Revoked)),
        false => Ok(Some((came, Some(credential)))),
    }
}

/// A new id of a request: 128 random bits in hex. Ids of clients are not taken over, since the audit and the log rely on them.
pub fn request_id() -> RequestId {
    RequestId(format!("{:032x}", fastrand::u128(..)).into())
}

/// Returns when whoever came with this may no longer read of chains, or of alerts where it `had` that; when a person's role or organisation
/// is another, or the networks that are reached are: for what goes on behind a request, which opens again with what is so now. A store that is
/// away ends nothing that [`::control::Control`] lets go on.
pub async fn until_ended(app: &App, credential: Option<Credential>, had: Option<Arc<Authenticated>>) {
    let may = |who: &Authenticated, resource| who.allows(resource, Allowed::Read);
    let good = |who: &Authenticated| {
        let same = had.as_ref().is_none_or(|had| {
            let alerts = !may(had, Resource::Alerts) || may(who, Resource::Alerts);
            alerts && had.role() == who.role() && had.tenant() == who.tenant()
        });
        same && may(who, Resource::Chains)
    };
    let Some(credential) = credential else { return std::future::pending().await };
    loop {
        tokio::time::sleep(limits::SESSION_LOOK).await;
        let Ok(control) = app.control() else { continue };
        match credential.who(&control).await {
            Ok(came) if good(&came.who) && !app.is_ended(&came) => {}
            Err(Denied::Busy) => {}
            Ok(_) | Err(_) => return,
        }
    }
}
