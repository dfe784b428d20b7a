//! Who asks, for routes: an extractor. What the door found out is in the request's extensions.

use std::{net::IpAddr, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use control::{Authenticated, Caller, Networks, Tenant};

use super::Counted;
use crate::{app::App, error::ApiError};

/// The id of a request, in the answer's `x-request-id`, the log and the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// Where a request comes from: behind trusted proxies the client's address, else that of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From(pub IpAddr);

/// Somebody who was let in. A route that takes it is not reached by anybody else.
#[derive(Debug, Clone)]
pub struct Who {
    /// Who, and what it may.
    pub who: Arc<Authenticated>,
    ip: Option<IpAddr>,
    request_id: Option<RequestId>,
}

impl Who {
    /// The way to the tenant's rows.
    pub fn tenant(&self) -> &Tenant {
        self.who.tenant()
    }

    /// As changes want it.
    pub fn caller(&self) -> Caller<'_> {
        Caller { who: &self.who, ip: self.ip, request_id: self.request_id.as_ref().map(|id| &*id.0) }
    }
}

impl FromRequestParts<Arc<App>> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Some(who) = parts.extensions.get::<Arc<Authenticated>>() else {
            // Somebody is let in without a store only where everybody is, and only to read of chains.
            return Err(app.control().err().unwrap_or(ApiError::Internal));
        };
        Ok(Self {
            who: Arc::clone(who),
            ip: parts.extensions.get::<From>().map(|from| from.0),
            request_id: parts.extensions.get::<RequestId>().cloned(),
        })
    }
}

/// Whoever reads of chains: somebody, or nobody in particular where everybody may and the control store is away.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// Who.
    pub who: Option<Arc<Authenticated>>,
    ip: Option<IpAddr>,
}

impl Asking {
    /// As what it is counted: by key or person, else by address.
    pub fn counted(&self) -> Option<Counted> {
        let known = self.who.as_ref().and_then(|who| Counted::of(who));
        known.or(self.ip.map(|ip| Counted::Address(Counted::at(ip))))
    }

    /// The way to the tenant's rows, where there is one.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.who.as_ref().map(|who| who.tenant())
    }

    /// The networks that are reached.
    pub fn reach(&self) -> &Networks {
        self.tenant().map_or(&Networks::All, Tenant::reach)
    }
}

impl FromRequestParts<Arc<App>> for Asking {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Self::Rejection> {
        Ok(Self {
            who: parts.extensions.get::<Arc<Authenticated>>().cloned(),
            ip: parts.extensions.get::<From>().map(|from| from.0),
        })
    }
}
