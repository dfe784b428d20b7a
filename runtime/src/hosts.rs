//! The names under which a port may be called.
//!
//! Guarantee: a web page cannot reach a port of ours by a host name of its own that points to this machine (DNS rebinding).
//! Such a page sends its own name as `Host`, and that is answered only where it is a loopback name, the listen address, or
//! configured. A literal address is no name: nobody can point it elsewhere.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// The names of one port.
#[derive(Debug, Clone)]
pub struct Hosts {
    names: Vec<String>,
    any_address: bool,
}

impl Hosts {
    /// The loopback names, the listen address, and what is configured. Listening on every address, any literal address is as
    /// good.
    pub fn new(listen: SocketAddr, configured: &[String]) -> Self {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let address = listen.ip().to_canonical();
        names.push(address.to_string());
        names.extend(configured.iter().map(|name| canonical(name)));
        Self { names, any_address: address.is_unspecified() }
    }

    /// Whether a request is for this port: each host that it names (in its target and in `Host`) is known, and it names one.
    pub fn know(&self, target: &Uri, headers: &HeaderMap) -> bool {
        let header = headers.get_all(header::HOST).iter().map(|h| h.to_str().unwrap_or_default());
        let mut named = target.authority().map(|a| a.as_str()).into_iter().chain(header).peekable();
        named.peek().is_some() && named.all(|authority| self.knows(authority))
    }

    fn knows(&self, authority: &str) -> bool {
        let name = canonical(host_of(authority));
        self.names.contains(&name) || (self.any_address && name.parse::<IpAddr>().is_ok())
    }
}

/// Whether a browser's page that sends this is the port's own, as `Origin` says: its host and port are those of `Host`, which must be
/// known to be ours ([`Hosts::know`]). Without `Origin` it is none.
pub fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    match (text(header::ORIGIN).and_then(|origin| origin.split_once("://")), text(header::HOST)) {
        (Some(("http" | "https", authority)), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// Whether a page of another site asks. On a port that no page of another site has any business with, that is refused.
pub fn is_foreign_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) && !is_own_page(headers)
        || headers.get_all(header::ORIGIN).iter().count() > 1
        || names_another_site(headers)
}

/// Whether a browser says by `Sec-Fetch-Site` (Fetch Metadata) that a page of another site asks.
pub fn names_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok());
    matches!(site, Some("cross-site" | "same-site"))
}

/// The host of `host[:port]`, brackets of IPv6 removed.
fn host_of(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Addresses in their shortest form, names in lower case and without the root's dot.
fn canonical(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
    }
}

/// What is wrong with a configured host name, and what to write instead.
pub fn wrong_name(text: &str) -> Option<(&'static str, String)> {
    const EXAMPLE: &str = "write a name such as \"headwater.example.org\"";
    let only = |authority: &str| match host_of(authority) {
        host if is_name(host) => format!("write only the host: \"{host}\""),
        _ => EXAMPLE.to_owned(),
    };
    if is_name(text) {
        None
    } else if text.is_empty() {
        Some(("is empty", EXAMPLE.to_owned()))
    } else if let Some((_, rest)) = text.split_once("://") {
        Some(("is a URL", only(rest.split(['/', '?', '#']).next().unwrap_or_default())))
    } else if text.contains('*') {
        Some(("has a wildcard", "write each name: a wildcard would let foreign pages in".to_owned()))
    } else if text.contains(['/', ':', '[', ']', '@']) {
        Some(("is more than a host", only(text.split(['/', '?', '#']).next().unwrap_or_default())))
    } else {
        Some(("is not a host name", format!("{EXAMPLE} (letters, digits, `-` and `.`; others as `xn--…`)")))
    }
}

/// A literal address without brackets, or a host name (RFC 1123, and `_`, which container names have).
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.parse::<IpAddr>().is_ok()
        || (text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str, configured: &[&str]) -> Hosts {
        let configured: Vec<String> = configured.iter().map(|n| (*n).to_owned()).collect();
        Hosts::new(listen.parse().expect("address"), &configured)
    }

    fn asked(hosts: &Hosts, target: &'static str, named: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for name in named {
            headers.append(header::HOST, name.parse().expect("value"));
        }
        hosts.know(&Uri::from_static(target), &headers)
    }

    #[test]
    fn only_known_names_are_answered() {
        let hosts = hosts("127.0.0.1:8123", &["Store.Local", "10.9.8.7"]);
        for known in [
            "localhost",
            "LOCALHOST:8123",
            "localhost.:8123",
            "127.0.0.1:1",
            "[::1]:8123",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]:8123",
            "store.local:8123",
            "10.9.8.7:80",
        ] {
            assert!(asked(&hosts, "/", &[known]), "{known}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example:8123",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "0.0.0.0:8123",
            "localhost@evil.example",
            "evil.example:localhost",
            "",
            ":8123",
        ] {
            assert!(!asked(&hosts, "/", &[foreign]), "{foreign}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_known_by_their_origin() {
        let foreign = |list: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            headers.append(header::HOST, "localhost:9090".parse().expect("value"));
            for (name, value) in list {
                headers.append(*name, value.parse().expect("value"));
            }
            is_foreign_page(&headers)
        };
        assert!(
            !foreign(&[])
                && !foreign(&[("origin", "http://localhost:9090")])
                && !foreign(&[("sec-fetch-site", "none")])
        );
        for origin in ["http://evil.example", "null", "", "http://localhost:8080", "http://localhost:9090.evil.example"]
        {
            assert!(foreign(&[("origin", origin)]), "{origin}");
        }
        assert!(foreign(&[("sec-fetch-site", "cross-site")]));
        assert!(foreign(&[("origin", "http://localhost:9090"), ("origin", "http://evil.example")]));
    }

    #[test]
    fn every_host_that_a_request_names_counts() {
        let hosts = hosts("127.0.0.1:8123", &[]);
        assert!(!asked(&hosts, "/", &[]), "none at all");
        assert!(asked(&hosts, "http://localhost:8123/", &[]) && !asked(&hosts, "http://evil.example/", &["localhost"]));
        assert!(
            !asked(&hosts, "http://localhost/", &["evil.example"]),
            "a known target does not hide a foreign header"
        );
        assert!(
            !asked(&hosts, "/", &["localhost", "evil.example"]) && !asked(&hosts, "/", &["evil.example", "localhost"])
        );
    }

    #[test]
    fn on_every_address_any_literal_is_good_but_names_are_not() {
        for listen in ["0.0.0.0:8080", "[::]:8080"] {
            let hosts = hosts(listen, &["headwater"]);
            for known in ["10.0.0.1:8080", "[fd00::1]:8080", "localhost", "headwater:8080"] {
                assert!(asked(&hosts, "/", &[known]), "{listen} {known}");
            }
            assert!(!asked(&hosts, "/", &["evil.example:8080"]) && !asked(&hosts, "/", &["10.0.0.1.evil.example"]));
        }
    }

    #[test]
    fn wrong_names_are_told_with_what_to_write() {
        for good in
            ["headwater", "a.b-c.example.org", "xn--bcher-kva.example", "my_service", "10.0.0.1", "fd00::1", "a."]
        {
            assert_eq!(wrong_name(good), None, "{good}");
        }
        for (wrong, cure) in [
            ("", "headwater.example.org"),
            ("https://ops.example/x", "\"ops.example\""),
            ("ops.example:8080", "\"ops.example\""),
            ("[fd00::1]:80", "\"fd00::1\""),
            ("ops.example/x", "\"ops.example\""),
            ("*.example.org", "each name"),
            ("büro.example", "xn--"),
            ("a..b", "headwater.example.org"),
            ("a b", "headwater.example.org"),
            ("://", "headwater.example.org"),
            ("ab[", "headwater.example.org"),
        ] {
            let told = wrong_name(wrong).unwrap_or_else(|| panic!("{wrong} passes"));
            assert!(told.1.contains(cure), "{wrong}: {told:?}");
        }
    }
}
