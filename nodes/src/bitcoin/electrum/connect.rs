//! Making a connection: TCP, TLS where the URL says so, the protocol's version, and which chain the server is on.
//!
//! Guarantee: a session that is given has negotiated (`server.version` was the first message, as version 1.6 wants it, and nothing was
//! sent beside it) and knows the server's first block. All of it within the connecting deadline.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rustls::{
    ClientConfig,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use schemas::BitcoinHash;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_rustls::TlsConnector;
use url::Host;

use super::{
    answers::{self, VERSIONS},
    certificate::{Certificates, fingerprint},
    message, metrics,
    notice::Notice,
    session::{Failure, Greeting, Session},
    tuning::ElectrumTuning,
};
use crate::{
    bitcoin::{Endpoint, header::Header},
    error::{NodeErrorKind, with_causes},
};

/// Ports that servers usually have, without TLS and with it.
const PORTS: (u16, u16) = (50_001, 50_002);

/// Makes connections to one endpoint.
pub(super) struct Connector {
    endpoint: Arc<str>,
    host: String,
    port: u16,
    tls: Option<Tls>,
    tuning: ElectrumTuning,
    open: Arc<AtomicU32>,
}

struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    certificates: Arc<Certificates>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({}, {}:{})", self.endpoint, self.host, self.port)
    }
}

impl Tls {
    fn new(endpoint: &Endpoint, host: &str, port: u16) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("endpoint `{}`: `{host}` is no name that a certificate can be for", endpoint.name))?;
        let place = format!("{host}:{port}");
        let certificates = Arc::new(Certificates::new(
            endpoint.name.as_str().into(),
            endpoint.fingerprint,
            endpoint.certificates.as_deref(),
            &place,
        ));
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS cannot be used: {e}"))?
            .dangerous()
            .with_custom_certificate_verifier(certificates.clone())
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name, certificates })
    }

    /// The server has proved that it holds the key of the first of these: its fingerprint, where that is to be remembered.
    fn proved(&self, all: &[CertificateDer<'_>]) -> Result<Option<[u8; 32]>, String> {
        let Some(shown) = all.first().map(|own| fingerprint(own)) else { return Ok(None) };
        let news = self.certificates.proved(shown, || self.certificates.vouched_for(all, &self.name))?;
        Ok(news.then_some(shown))
    }
}

impl Connector {
    /// For an endpoint; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// Its URL is none of an Electrum server: what to write instead.
    pub fn new(endpoint: &Endpoint, tuning: &ElectrumTuning) -> Result<Self, String> {
        let url = &endpoint.url;
        let wrong = |what: &str| {
            format!("endpoint `{}`: {what}; write `tcp://host:50001`, or `ssl://host:50002` for TLS", endpoint.name)
        };
        let tls = match url.scheme() {
            "tcp" => false,
            "ssl" => true,
            other => return Err(wrong(&format!("`{other}://` is no Electrum server"))),
        };
        let host = match url.host() {
            Some(Host::Domain(domain)) if !domain.is_empty() => domain.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(wrong("its URL has no host")),
        };
        let port = url.port().unwrap_or(if tls { PORTS.1 } else { PORTS.0 });
        let tls = if tls { Some(Tls::new(endpoint, &host, port)?) } else { None };
        Ok(Self {
            endpoint: endpoint.name.as_str().into(),
            host,
            port,
            tls,
            tuning: tuning.clone(),
            open: Arc::default(),
        })
    }

    /// What is spoken, in words.
    pub fn protocol(&self) -> &'static str {
        if self.tls.is_some() { "electrum tls" } else { "electrum tcp" }
    }

    /// Connections that are open.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connects. Notifications go to `notices`; without it they are passed over.
    pub async fn connect(&self, notices: Option<mpsc::Sender<Notice>>) -> Result<Session, NodeErrorKind> {
        let within = self.tuning.connect_timeout;
        let outcome = timeout(within, self.connect_unbounded(notices)).await;
        metrics::sockets(&self.endpoint, self.open());
        outcome.unwrap_or(Err(NodeErrorKind::Timeout(within)))
    }

    async fn connect_unbounded(&self, notices: Option<mpsc::Sender<Notice>>) -> Result<Session, NodeErrorKind> {
        let unreachable = |e: std::io::Error| NodeErrorKind::Unreachable(with_causes(&e));
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        // Requests are small and are waited for.
        stream.set_nodelay(true).map_err(unreachable)?;
        let (t, open) = (&self.tuning, self.open.clone());
        let session = match &self.tls {
            None => Session::begin(stream, notices, t.in_flight, t.ping_every, t.call_timeout, open),
            Some(tls) => {
                let shaken = tls.connector.connect(tls.name.clone(), stream).await;
                let stream = shaken.map_err(|e| NodeErrorKind::Unreachable(refused(&e)))?;
                let news = match stream.get_ref().1.peer_certificates() {
                    Some(all) => tls.proved(all).map_err(NodeErrorKind::Unreachable)?,
                    None => None,
                };
                if let Some(news) = news {
                    tls.certificates.remember(news).await;
                }
                Session::begin(stream, notices, t.in_flight, t.ping_every, t.call_timeout, open)
            }
        };
        session.greeted(self.greet(&session).await?);
        Ok(session)
    }

    async fn greet(&self, session: &Session) -> Result<Greeting, NodeErrorKind> {
        let within = self.tuning.connect_timeout;
        let ours = serde_json::json!([concat!("headwater/", env!("CARGO_PKG_VERSION")), VERSIONS]).to_string();
        let answered = session.call("server.version", &ours, within).await.map_err(Failure::kind)?;
        let (software, version) = answers::greeting(&answered.result)?;
        let genesis = self.genesis(session).await?;
        Ok(Greeting { software, version, genesis })
    }

    /// The first block of the server's chain, as it says; where it does not, by its header.
    async fn genesis(&self, session: &Session) -> Result<BitcoinHash, NodeErrorKind> {
        let within = self.tuning.connect_timeout;
        match session.call("server.features", "[]", within).await {
            Ok(answered) => {
                if let Some(genesis) = answers::features(&answered.result)?.genesis {
                    return Ok(genesis);
                }
            }
            Err(Failure::Refused(_)) => {}
            Err(failure) => return Err(failure.kind()),
        }
        let answered = session.call("blockchain.block.header", "[0]", within).await.map_err(Failure::kind)?;
        let hex: String = serde_json::from_str(&answered.result).map_err(|e| {
            NodeErrorKind::Malformed(format!("the first header is of another form: {}", message::words(e)))
        })?;
        Header::from_hex(&hex).map(|header| header.hash).map_err(answers::refused)
    }
}

/// Why a TLS connection did not come about.
fn refused(e: &std::io::Error) -> String {
    let cause = e.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::General(why)) => why.clone(),
        Some(other) => format!("TLS: {other}"),
        None => format!("TLS: {}", with_causes(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_what_is_wrong_is_said() {
        let of = |url: &str| Connector::new(&Endpoint::new("a", url.parse().unwrap()), &ElectrumTuning::default());
        let place = |url: &str| of(url).map(|c| (c.host.clone(), c.port, c.protocol())).unwrap();
        assert_eq!(place("tcp://e.example:7"), ("e.example".into(), 7, "electrum tcp"));
        assert_eq!(place("ssl://e.example"), ("e.example".into(), 50_002, "electrum tls"));
        assert_eq!(place("tcp://127.0.0.1"), ("127.0.0.1".into(), 50_001, "electrum tcp"));
        assert_eq!(place("ssl://[::1]:9"), ("::1".into(), 9, "electrum tls"));
        assert!(of("http://e.example").unwrap_err().contains("tcp://host:50001"));
        assert!(of("tcp:///").is_err());
    }
}
