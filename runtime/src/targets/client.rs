//! HTTP to a place that somebody else named.
//!
//! Guarantee: a client goes to the addresses that were looked at and resolves nothing again; it keeps no connection, uses no proxy, follows no
//! redirect and says no referrer. No URL is in an error ([`told`]).

use std::{error::Error as StdError, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{Client, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use url::Url;

/// What clients of single requests are made of. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    tls: ClientConfig,
}

impl Clients {
    /// Certificates are the system's, and these; `without` is what is not possible where there are none, for the log.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub fn new(further: &[CertificateDer<'static>], without: &str) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(further.iter().cloned());
        if roots.is_empty() {
            tracing::warn!("the system has no certificates: {without}");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS cannot be used: {e}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls })
    }

    /// A client of one request to this URL, at these addresses; without any, at whatever its name resolves to.
    ///
    /// # Errors
    /// As the library has it.
    pub fn one(&self, url: &Url, addresses: &[SocketAddr], connect_within: Duration) -> reqwest::Result<Client> {
        let mut client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0)
            .connect_timeout(connect_within)
            .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")));
        if let Some(name) = url.domain().filter(|_| !addresses.is_empty()) {
            client = client.resolve_to_addrs(name, addresses);
        }
        client.build()
    }
}

/// An error with its causes, without the URL.
pub fn told(error: reqwest::Error) -> String {
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
