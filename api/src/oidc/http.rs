//! Requests to providers.
//!
//! Guarantee: every address of a request, that of the issuer and those that the provider names itself, is resolved and looked at for this
//! request (`runtime::targets`), and what was looked at is what is connected to: no connection is kept, no proxy used, no redirect followed.
//! It is `https`, unless the issuer itself is not, which only one of this machine may be. It ends within [`limits::PROVIDER_WITHIN`], at most
//! [`limits::PROVIDER_BYTES`] are read, and so many run at once. No URL and no header is in an error.

use std::{error::Error as StdError, sync::Arc};

use axum::http::{Response, header::CONTENT_TYPE};
use futures::StreamExt;
use openidconnect::{HttpRequest, HttpResponse};
use reqwest::{Client, redirect::Policy};
use runtime::targets::{Refused, Targets};
use rustls::{ClientConfig, RootCertStore};
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
    tls: ClientConfig,
    turns: Arc<Semaphore>,
}

impl Http {
    /// To these targets; certificates are the system's.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn new(targets: Targets) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            tracing::warn!("the system has no certificates: no provider can be asked over TLS");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS cannot be used: {e}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { targets, tls, turns: Arc::new(Semaphore::new(limits::PROVIDER_REQUESTS)) })
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
        let mut client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0)
            .connect_timeout(limits::PROVIDER_WITHIN / 2)
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")));
        if let Some(name) = url.domain() {
            client = client.resolve_to_addrs(name, &addresses);
        }
        let client = client.build().map_err(|e| Trouble::Away(told(e)))?;
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

/// An error with its causes, without the URL.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
