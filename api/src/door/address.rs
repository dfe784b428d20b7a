//! Where a request comes from.
//!
//! Guarantee: it is the address of the connection, unless that is a trusted proxy's (`[api] trusted_proxies`): then the last address in
//! `X-Forwarded-For` that is no trusted proxy's, since everything left of it is what somebody claims. Nobody else's headers count. The same
//! holds for `X-Forwarded-Proto`.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of a connection, put into each of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// Where a request comes from.
pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut at = peer.to_canonical();
    let hops = headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|v| v.to_str().unwrap_or("?").rsplit(','));
    for hop in hops {
        if !is_trusted(&at) {
            break;
        }
        // What is no address was written by nobody that is trusted with it.
        let Some(ip) = address(hop.trim()) else { break };
        at = ip.to_canonical();
    }
    at
}

/// Whether the client speaks TLS, to us or to a trusted proxy.
pub fn is_tls(peer: &Peer, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let proxied = trusted.iter().any(|net| net.contains(&peer.address.ip().to_canonical()));
    peer.tls || proxied && headers.get("x-forwarded-proto").is_some_and(|v| v == "https")
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|n| n.parse().expect("net")).to_vec();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().expect("value"));
        }
        super::of(peer.parse().expect("address"), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(of("203.0.113.9", &["127.0.0.1"]), "203.0.113.9", "anybody can write the header");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(of("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(of("10.0.0.1", &["127.0.0.1, 203.0.113.9"]), "203.0.113.9", "what is left of it is a claim");
        assert_eq!(
            of("10.0.0.1", &["127.0.0.1", "203.0.113.9, 10.0.0.2"]),
            "203.0.113.9",
            "over two proxies and headers"
        );
        assert_eq!(of("10.0.0.1", &["127.0.0.1, nonsense"]), "10.0.0.1", "nobody passes what is no address");
        assert_eq!(of("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(of("fd00::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(of("::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(of("10.0.0.1", &["10.0.0.3"]), "10.0.0.3", "all the way through");
    }
}
