//! How one endpoint of a simulated chain is set up, and how that is written on a command line.

use super::super::{Client, Error, Fault, Latency, Limit};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The settings of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointConfig {
    /// What it is called in orders and output; unique on its node.
    pub name: String,
    /// Default: a free port on 127.0.0.1.
    pub listen: SocketAddr,
    /// The path that requests must have, `/v3/KEY`; others get 404. Default: any.
    pub path: Option<String>,
    /// `USER:PASSWORD` that requests and WebSockets must come with (RFC 7617); others get 401. Default: none.
    pub credentials: Option<String>,
    /// How long answers and notifications take. Default: no time.
    pub latency: Option<Latency>,
    /// How many calls it lets through. Default: all.
    pub limit: Option<Limit>,
    /// Faults and lies from the start on. Default: none.
    pub faults: Vec<Fault>,
    /// Whether it has a WebSocket. Default: yes.
    pub websocket: bool,
    /// Which client it plays where somebody asks why transactions failed. Default: geth.
    pub client: Client,
}

impl EndpointConfig {
    /// An endpoint that does nothing wrong.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            path: None,
            credentials: None,
            latency: None,
            limit: None,
            faults: Vec::new(),
            websocket: true,
            client: Client::Geth,
        }
    }

    /// With a fault, as [`Fault`] is written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn fault(mut self, text: &str) -> Result<Self, Error> {
        self.faults.push(text.parse()?);
        Ok(self)
    }
}

impl FromStr for EndpointConfig {
    type Err = Error;

    /// `NAME[,listen=ADDR][,path=/PATH][,credentials=USER:PASSWORD][,latency=…][,limit=…][,fault=…]…[,ws=off][,client=…]`
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Setting(format!("endpoint {text:?}: {what}"));
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        if name.is_empty() || name.contains(['=', ' ']) {
            return Err(bad("it begins with a name"));
        }
        let mut config = Self::new(name);
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| bad("after the name comes KEY=VALUE"))?;
            match key {
                "listen" => {
                    config.listen = value.parse().map_err(|_| bad("listen wants an address such as 127.0.0.1:0"))?
                }
                "path" if value.starts_with('/') => config.path = Some(value.to_owned()),
                "credentials" if value.contains(':') => config.credentials = Some(value.to_owned()),
                "latency" => config.latency = Some(value.parse()?),
                "limit" => config.limit = Some(value.parse()?),
                "fault" => config.faults.push(value.parse()?),
                "client" => config.client = value.parse()?,
                "ws" if matches!(value, "on" | "off") => config.websocket = value == "on",
                _ => {
                    return Err(bad(
                        "there are listen=ADDR, path=/PATH, credentials=USER:PASSWORD, latency=…, limit=…, fault=… \
                         (repeatable), ws=on|off, client=…",
                    ));
                }
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "slow,listen=127.0.0.1:8545,path=/v3/key,credentials=user:word,latency=lognormal:300ms:0.4,\
                    limit=10/s:bare,fault=html@0.1,fault=old-fork#%20,ws=off,client=besu-old";
        let config: EndpointConfig = text.parse().expect("valid");
        assert_eq!((config.name.as_str(), config.listen.port(), config.websocket), ("slow", 8545, false));
        assert_eq!((config.path.as_deref(), config.credentials.as_deref()), (Some("/v3/key"), Some("user:word")));
        assert_eq!(config.faults.iter().map(ToString::to_string).collect::<Vec<_>>(), ["html@0.1", "old-fork#%20"]);
        assert_eq!(config.latency.expect("set").to_string(), "lognormal:300ms:0.4");
        assert_eq!(config.limit.expect("set").to_string(), "10/s+10:bare");
        assert_eq!((config.client, config.client.to_string()), (Client::BesuOld, "besu-old".into()));
        assert_eq!("plain".parse::<EndpointConfig>().expect("valid"), EndpointConfig::new("plain"));
        for text in [
            "",
            "a=b",
            "a,b",
            "a,ws=maybe",
            "a,path=key",
            "a,credentials=x",
            "a,fault=gone",
            "a,listen=here",
            "a,client=x",
        ] {
            assert!(text.parse::<EndpointConfig>().is_err(), "{text}");
        }
    }
}
