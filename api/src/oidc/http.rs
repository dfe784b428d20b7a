//! Requests to providers.
//!
//! Guarantee: every address of a request, that of the issuer and those that the provider names itself, is resolved and looked at for this
//! request (`runtime::targets`), and what was looked at is what is connected to: no connection is kept, no proxy used, no redirect followed.
//! It is `https`, unless the issuer itself is not, which only one of this machine may be. It ends within [`limits::PROVIDER_WITHIN`], at most
//! [`limits::PROVIDER_BYTES`] are read, and so many run at once. No URL and no header is in an error.

use std::sync::Arc;

use axum::http::{Response, header::CONTENT_TYPE};
use futures::StreamExt;
use openidconnect::{HttpRequest, HttpResponse};
use runtime::targets::{Clients, Refused, Targets, told};
use schemas::limits::people as limits;
use tokio::{sync::Semaphore, time::timeout};
use url::Url;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing may be sent there.
    #[error("{0}")]
    NotAllowed(String),
    /// Nothing came, or not in time, or too much.
    #[error("{0}")]
    Away(String),
}

/// What asks providers. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    targets: Targets,
    clients: Clients,
    turns: Arc<Semaphore>,
}

impl Http {
    /// To these targets; certificates are the system's.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn new(targets: Targets) -> Result<Self, String> {
        let clients = Clients::new(&[], "no provider can be asked over TLS")?;
        Ok(Self { targets, clients, turns: Arc::new(Semaphore::new(limits::PROVIDER_REQUESTS)) })
    }

    /// Asks; `plain`: without TLS, too.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn ask(&self, request: HttpRequest, plain: bool) -> Result<HttpResponse, Trouble> {
        let late = || Trouble::Away(format!("no answer within {} s", limits::PROVIDER_WITHIN.as_secs()));
        let _turn = self.turns.try_acquire().map_err(|_| Trouble::Away("too many ask providers at once".to_owned()))?;
        timeout(limits::PROVIDER_WITHIN, self.asking(request, plain)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn asking(&self, request: HttpRequest, plain: bool) -> Result<HttpResponse, Trouble> {
        let (parts, body) = request.into_parts();
        let wrong = |_| Trouble::NotAllowed("the provider names what is no URL".to_owned());
        let url: Url = parts.uri.to_string().parse().map_err(wrong)?;
        if url.scheme() != "https" && !plain {
            return Err(Trouble::NotAllowed("a provider is asked over https alone".to_owned()));
        }
        let addresses = self.targets.url(&url).await.map_err(|refused| match refused {
            Refused::NotAllowed(why) => Trouble::NotAllowed(why),
            Refused::Unresolved(why) => Trouble::Away(why),
        })?;
        let client = self.clients.one(&url, &addresses, limits::PROVIDER_WITHIN / 2);
        let client = client.map_err(|e| Trouble::Away(told(e)))?;
        let asked = client.request(parts.method, url).headers(parts.headers).body(body);
        let answer = asked.send().await.map_err(|e| Trouble::Away(told(e)))?;
        let mut response = Response::builder().status(answer.status());
        if let Some(kind) = answer.headers().get(CONTENT_TYPE) {
            response = response.header(CONTENT_TYPE, kind);
        }
        let mut read = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            read.extend_from_slice(&piece.map_err(|e| Trouble::Away(told(e)))?);
            if read.len() > limits::PROVIDER_BYTES {
                return Err(Trouble::Away(format!("an answer has more than {} bytes", limits::PROVIDER_BYTES)));
            }
        }
        response.body(read).map_err(|e| Trouble::Away(e.to_string()))
    }
}
