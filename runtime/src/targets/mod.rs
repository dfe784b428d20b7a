//! Where the product may send to when somebody else named the place: webhooks, chats, mail servers.
//!
//! Guarantee: what [`Targets::url`] and [`Targets::host`] give are addresses that were all looked at, and the caller connects to these and
//! resolves nothing again, so that a name that changes in between changes nothing. A name is refused when one of its addresses is. Public
//! addresses on the ports of the list are allowed; anything else only where the operator's list has it. Resolving has a deadline, and so
//! many names are resolved at once at most.

mod client;
mod special;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{Error, Result as IoResult},
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
pub use client::{Clients, told};
use ipnet::IpNet;
pub use special::is_public;
use tokio::{sync::Semaphore, time::timeout};
use url::{Host, Url};

/// Ports of public targets where the configuration says nothing: HTTPS, HTTP, and mail.
pub const PORTS: [u16; 5] = [443, 80, 465, 587, 8443];
/// How long a name may take to be resolved.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
/// Names that are resolved at once; each holds a thread of the pool for blocking calls.
const RESOLVED_AT_ONCE: usize = 16;
/// Addresses of one name that are used.
const ADDRESSES: usize = 16;

/// Why nothing is sent to a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not allowed, and will not be until somebody changes something.
    #[error("{0}")]
    NotAllowed(String),
    /// Its name could not be resolved now.
    #[error("{0}")]
    Unresolved(String),
}

/// How names become addresses.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of a name.
    async fn addresses(&self, name: &str) -> IoResult<Vec<IpAddr>>;
}

/// The system's resolver.
struct System;

#[async_trait]
impl Resolve for System {
    async fn addresses(&self, name: &str) -> IoResult<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// What is allowed. Cheap to clone.
#[derive(Clone)]
pub struct Targets {
    allowed: Arc<[Allowed]>,
    ports: Arc<[u16]>,
    resolver: Arc<dyn Resolve>,
    turns: Arc<Semaphore>,
    /// The operator's list, by its name in the configuration.
    list: &'static str,
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Targets").field("allowed", &self.allowed).field("ports", &self.ports).finish_non_exhaustive()
    }
}

/// An entry of the operator's list (`[alerts] allow_targets`): a host, an address or a range, with a port where only that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    what: What,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Net(IpNet),
    Name(String),
}

impl FromStr for Allowed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no target");
        let of_net = |text: &str| -> Option<IpNet> {
            text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        };
        let bare = |text: &str| of_net(text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text));
        if let Some(net) = bare(text) {
            return Ok(Self { what: What::Net(net), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)?)),
            None => (text, None),
        };
        if let Some(net) = bare(host) {
            return Ok(Self { what: What::Net(net), port });
        }
        match Host::parse(host) {
            Ok(Host::Domain(name)) if !name.is_empty() => Ok(Self { what: What::Name(without_dot(&name)), port }),
            _ => Err(wrong()),
        }
    }
}

impl Allowed {
    /// What may be written.
    pub const CURE: &'static str = "write a host, an address or a range, with one port where only that is meant, such as `127.0.0.1:9000`, \
                                    `10.1.0.0/16`, `[fd00::1]:25` or `mail.corp.internal:25`";

    fn fits_name(&self, name: &str, port: u16) -> bool {
        matches!(&self.what, What::Name(allowed) if allowed == name) && self.port.is_none_or(|only| only == port)
    }
    fn fits(&self, address: IpAddr, port: u16) -> bool {
        matches!(&self.what, What::Net(net) if net.contains(&address)) && self.port.is_none_or(|only| only == port)
    }
}

/// Public targets on [`PORTS`].
impl Default for Targets {
    fn default() -> Self {
        Self::of(Vec::new(), PORTS.to_vec(), Arc::new(System))
    }
}

impl Targets {
    /// Of the operator's lists.
    ///
    /// # Errors
    /// What is wrong with each entry, and what to write.
    pub fn new(allow: &[String], ports: &[u16]) -> Result<Self, Vec<String>> {
        let (mut allowed, mut wrong) = (Vec::new(), Vec::new());
        for entry in allow {
            match entry.trim().parse() {
                Ok(entry) => allowed.push(entry),
                Err(problem) => wrong.push(problem),
            }
        }
        if wrong.is_empty() { Ok(Self::of(allowed, ports.to_vec(), Arc::new(System))) } else { Err(wrong) }
    }

    /// With a resolver of one's own.
    pub fn of(allowed: Vec<Allowed>, ports: Vec<u16>, resolver: Arc<dyn Resolve>) -> Self {
        let turns = Arc::new(Semaphore::new(RESOLVED_AT_ONCE));
        Self { allowed: allowed.into(), ports: ports.into(), resolver, turns, list: "[alerts] allow_targets" }
    }

    /// The same with another list of the operator's, which is what who is refused is told of.
    #[must_use]
    pub fn listed_in(self, list: &'static str) -> Self {
        Self { list, ..self }
    }

    /// The addresses of a URL's host, to be connected to as they are.
    ///
    /// # Errors
    /// It is not allowed, or cannot be resolved.
    pub async fn url(&self, url: &Url) -> Result<Vec<SocketAddr>, Refused> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err(not_allowed(format!("`{}:` is not sent to; write an https URL", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(not_allowed("a URL with a user or a password in it is not sent to"));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(not_allowed("the URL has no host"));
        };
        self.checked(host.to_owned(), port).await
    }

    /// The same of a host that is written by itself, such as a mail server's.
    ///
    /// # Errors
    /// As of [`Self::url`].
    pub async fn host(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let parsed = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => Host::Ipv6(address),
            Err(_) => Host::parse(host).map_err(|_| not_allowed(format!("`{host}` is no name of a host")))?,
        };
        self.checked(parsed, port).await
    }

    async fn checked(&self, host: Host<String>, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        if port == 0 {
            return Err(not_allowed("port 0 is not sent to"));
        }
        let (addresses, named) = match host {
            Host::Ipv4(address) => (vec![IpAddr::V4(address)], false),
            Host::Ipv6(address) => (vec![IpAddr::V6(address)], false),
            Host::Domain(name) => {
                let name = without_dot(&name);
                let named = self.allowed.iter().any(|allowed| allowed.fits_name(&name, port));
                if !named && is_local_name(&name) && !self.allowed.iter().any(|a| matches!(a.what, What::Net(_))) {
                    return Err(not_allowed(format!("`{name}` is a name of a private network")));
                }
                (self.resolve(&name).await?, named)
            }
        };
        let mut checked = Vec::with_capacity(addresses.len());
        for address in addresses {
            let address = address.to_canonical();
            let listed = named || self.allowed.iter().any(|allowed| allowed.fits(address, port));
            if !listed && !is_public(address) {
                // The address is not told: what an internal name resolves to is nobody's business.
                let list = self.list;
                return Err(not_allowed(format!("it is no public address; an operator may list it in `{list}`")));
            }
            if !listed && !self.ports.contains(&port) {
                let ports = self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                return Err(not_allowed(format!("port {port} is not sent to; allowed are {ports}")));
            }
            checked.push(SocketAddr::new(address, port));
        }
        Ok(checked)
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Refused> {
        let resolving = async {
            let _turn = self.turns.acquire().await.map_err(|_| Error::other("stopping"))?;
            self.resolver.addresses(name).await
        };
        let mut addresses = match timeout(RESOLVE_WITHIN, resolving).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(_)) => return Err(Refused::Unresolved(format!("`{name}` cannot be resolved"))),
            Err(_) => {
                let seconds = RESOLVE_WITHIN.as_secs();
                return Err(Refused::Unresolved(format!("`{name}` was not resolved within {seconds} s")));
            }
        };
        if addresses.is_empty() {
            return Err(Refused::Unresolved(format!("`{name}` has no address")));
        }
        addresses.truncate(ADDRESSES);
        Ok(addresses)
    }
}

fn not_allowed(why: impl Into<String>) -> Refused {
    Refused::NotAllowed(why.into())
}

fn without_dot(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Names that mean something in a private network only (RFC 6761, 6762, 8375, 9476), and names of one label.
fn is_local_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !name.contains('.')
        || matches!(
            last,
            "localhost"
                | "local"
                | "internal"
                | "localdomain"
                | "lan"
                | "intranet"
                | "corp"
                | "home"
                | "test"
                | "invalid"
                | "onion"
                | "alt"
        )
        || name.ends_with(".home.arpa")
}
