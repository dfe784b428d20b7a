//! A simulated node's settings, and those of each of its endpoints as they are written on a command line.

use super::{Clock, Dataset, Error, Fault, Latency, Origin, Schedule};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// Bytes of blocks that are kept by default.
const CACHE_BYTES: usize = 128 << 20;

/// What speaks on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bitcoin Core: JSON-RPC and REST over HTTP.
    Core,
    /// An Electrum server: lines of JSON-RPC over TCP.
    Electrum,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::Electrum => "electrum",
        })
    }
}

/// The settings of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointConfig {
    /// What it is called in orders and output; unique on its node.
    pub name: String,
    /// What speaks there.
    pub kind: Kind,
    /// Default: a free port on 127.0.0.1.
    pub listen: SocketAddr,
    /// Core: `USER:PASSWORD` that JSON-RPC must come with (RFC 7617); others get 401. Default: none.
    pub credentials: Option<String>,
    /// Core: its version, 10,000 for each major one. From 300,000 on it has `/rest/spenttxouts`. Default: 300,000.
    pub version: u32,
    /// Core: whether it has REST. Default: yes.
    pub rest: bool,
    /// Core: whether it says by ZMQ that there is a new block, on a port of its own. Default: no.
    pub zmq: bool,
    /// Electrum: the highest protocol that it speaks, `1.4` or `1.6`. Default: `1.6`.
    pub protocol: Protocol,
    /// How long answers and notifications take. Default: no time.
    pub latency: Option<Latency>,
    /// Faults and lies from the start on. Default: none.
    pub faults: Vec<Fault>,
}

/// A version of Electrum's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// 1.4, as electrs.
    V1_4,
    /// 1.6, as ElectrumX 2.
    V1_6,
}

impl Protocol {
    /// As it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::V1_4 => "1.4",
            Self::V1_6 => "1.6",
        }
    }
}

impl EndpointConfig {
    /// A node of Bitcoin Core that does nothing wrong.
    #[must_use]
    pub fn core(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Core,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            credentials: None,
            version: 300_000,
            rest: true,
            zmq: false,
            protocol: Protocol::V1_6,
            latency: None,
            faults: Vec::new(),
        }
    }

    /// An Electrum server that does nothing wrong.
    #[must_use]
    pub fn electrum(name: &str) -> Self {
        Self { kind: Kind::Electrum, ..Self::core(name) }
    }

    /// With a fault, as [`Fault`] is written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn fault(mut self, text: &str) -> Result<Self, Error> {
        self.faults.push(text.parse()?);
        Ok(self)
    }

    /// Reads `NAME[,KEY=VALUE]…`; of this kind where the text names none.
    ///
    /// # Errors
    /// What belongs there.
    pub fn read(text: &str, kind: Kind) -> Result<Self, Error> {
        let bad = |what: &str| Error::Setting(format!("endpoint {text:?}: {what}"));
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        if name.is_empty() || name.contains(['=', ' ']) {
            return Err(bad("it begins with a name"));
        }
        let mut config = Self { kind, ..Self::core(name) };
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| bad("after the name comes KEY=VALUE"))?;
            match (key, value) {
                ("kind", "core") => config.kind = Kind::Core,
                ("kind", "electrum") => config.kind = Kind::Electrum,
                ("listen", _) => {
                    config.listen = value.parse().map_err(|_| bad("listen wants an address such as 127.0.0.1:0"))?;
                }
                ("credentials", _) if value.contains(':') => config.credentials = Some(value.to_owned()),
                ("version", _) => {
                    config.version = value.parse().map_err(|_| bad("version is a number such as 290000"))?
                }
                ("rest", "on" | "off") => config.rest = value == "on",
                ("zmq", "on" | "off") => config.zmq = value == "on",
                ("protocol", "1.4") => config.protocol = Protocol::V1_4,
                ("protocol", "1.6") => config.protocol = Protocol::V1_6,
                ("latency", _) => config.latency = Some(value.parse()?),
                ("fault", _) => config.faults.push(value.parse()?),
                _ => {
                    return Err(bad(
                        "there are kind=core|electrum, listen=ADDR, credentials=USER:PASSWORD, version=NUMBER, rest=on|off, zmq=on|off, \
                         protocol=1.4|1.6, latency=…, fault=… (repeatable)",
                    ));
                }
            }
        }
        Ok(config)
    }
}

impl FromStr for EndpointConfig {
    type Err = Error;

    /// `NAME[,kind=electrum][,listen=ADDR][,credentials=USER:PASSWORD][,version=290000][,rest=off][,zmq=on][,protocol=1.4][,latency=…][,fault=…]…`
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::read(text, Kind::Core)
    }
}

/// A simulated node's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is served.
    pub data: Arc<Dataset>,
    /// At least one.
    pub endpoints: Vec<EndpointConfig>,
    /// Another seed is another chain.
    pub seed: u64,
    /// Blocks beyond block 1 (of a chain that is served as it is: beyond block 0) that exist at the origin. Default 0.
    pub history: u64,
    /// Default: one block in ten seconds.
    pub clock: Clock,
    /// The chain ends with this height. Default: endless, or where the recorded chain ends.
    pub blocks: Option<u64>,
    /// Forks on a schedule, on a replayed chain. Default: none.
    pub forks: Option<Schedule>,
    /// Default: now.
    pub origin: Origin,
    /// Bytes of blocks that are kept; others are made again when they are asked for. Default: 128 MiB.
    pub cache_bytes: usize,
}

impl Config {
    /// The defaults, with these endpoints.
    #[must_use]
    pub fn new(data: impl Into<Arc<Dataset>>, endpoints: Vec<EndpointConfig>) -> Self {
        Self {
            data: data.into(),
            endpoints,
            seed: 0,
            history: 0,
            clock: Clock::Rate(0.1),
            blocks: None,
            forks: None,
            origin: Origin::Now,
            cache_bytes: CACHE_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text =
            "odd,kind=electrum,listen=127.0.0.1:50001,protocol=1.4,latency=80ms,fault=stale-tip:2,fault=slow:250@0.1";
        let config: EndpointConfig = text.parse().expect("valid");
        assert_eq!((config.kind, config.protocol, config.listen.port()), (Kind::Electrum, Protocol::V1_4, 50001));
        assert_eq!(config.faults.iter().map(ToString::to_string).collect::<Vec<_>>(), ["stale-tip:2", "slow:250@0.1"]);
        let config: EndpointConfig = "old,version=250000,rest=off,zmq=on,credentials=user:word".parse().expect("valid");
        assert_eq!((config.kind, config.version, config.rest, config.zmq), (Kind::Core, 250_000, false, true));
        assert_eq!(EndpointConfig::read("a", Kind::Electrum).expect("valid"), EndpointConfig::electrum("a"));
        for text in
            ["", "a=b", "a,b", "a,kind=esplora", "a,rest=maybe", "a,version=x", "a,protocol=1.5", "a,fault=gone"]
        {
            assert!(text.parse::<EndpointConfig>().is_err(), "{text}");
        }
    }
}
