//! `[api]` beyond its address: how people reach it, which proxies are believed, how much one caller may ask, TLS.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use schemas::limits;
use url::Url;

use super::{
    providers::{Rate, rate_of},
    source::{Collector, Section},
};

/// `[api]` beyond its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiDoor {
    /// How people reach it: scheme, host and port; `None`: by the listen address.
    pub public_url: Option<Url>,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests by key, and by address for callers without one.
    pub rate_limit: Rate,
    /// Certificate and key; `None`: plain HTTP.
    pub tls: Option<Tls>,
}

/// `[api.tls]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that it is signed by, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Default of `rate_limit`.
pub const RATE_LIMIT: Rate = Rate { requests: 1_000, per: Duration::from_secs(60) };

impl Default for ApiDoor {
    fn default() -> Self {
        Self { public_url: None, trusted_proxies: Vec::new(), rate_limit: RATE_LIMIT, tls: None }
    }
}

/// Reads these keys of the section.
pub(super) fn read(s: &mut Section, folder: &Path, c: &mut Collector) -> ApiDoor {
    const URL: &str = "write how people reach it, such as \"https://headwater.example.org\"";
    let public_url = s.string("public_url", c).and_then(|p| {
        let url: Option<Url> = p.value.parse().ok();
        let good = url.filter(|url| {
            let bare =
                url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| !h.is_empty()) && bare
        });
        if good.is_none() {
            c.mistake(p.at, &s.key("public_url"), "is not scheme, host and port of a site", URL);
        }
        good
    });
    let listed = s.list("trusted_proxies", limits::TRUSTED_PROXIES, "[\"10.0.0.0/8\"]", c);
    let trusted_proxies = listed.into_iter().filter_map(|p| {
        let net = p.value.parse::<IpNet>().ok().or_else(|| p.value.parse::<IpAddr>().ok().map(IpNet::from));
        if net.is_none() {
            let problem = format!("`{}` is no address and no network", p.value.chars().take(60).collect::<String>());
            c.mistake(p.at, &s.key("trusted_proxies"), problem, "write such as \"10.0.0.0/8\" or \"10.0.0.1\"");
        }
        net
    });
    let trusted_proxies = trusted_proxies.collect();
    let rate_limit = s.string("rate_limit", c).map_or(RATE_LIMIT, |p| {
        rate_of(&p.value).unwrap_or_else(|| {
            let cure = "write requests per time, such as \"1000/min\", \"20/s\" or \"10000/h\"";
            c.mistake(p.at, &s.key("rate_limit"), format!("`{}` is no rate", p.value), cure);
            RATE_LIMIT
        })
    });
    let there = s.has("tls");
    let mut tls = s.section("tls", c);
    let (cert, key) = (tls.string("cert", c), tls.string("key", c));
    let at = tls.at();
    for (name, found) in [("cert", &cert), ("key", &key)] {
        if there && found.as_ref().is_none_or(|p| p.value.is_empty()) {
            let cure = "write the name of a PEM file, such as \"tls/cert.pem\" and \"tls/key.pem\"";
            c.mistake(found.as_ref().map_or(at, |p| p.at), &tls.key(name), "is missing beside the other", cure);
        }
    }
    tls.finish(c);
    let tls = cert.zip(key).map(|(cert, key)| Tls { cert: folder.join(cert.value), key: folder.join(key.value) });
    ApiDoor { public_url, trusted_proxies, rate_limit, tls }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_is_written_is_read_and_what_is_wrong_is_told() {
        let read =
            |text: &str| parse(&format!("[api]\n{text}"), Path::new("/etc/hw"), &|_| None).map(|config| config.api);
        assert_eq!(read("").expect("good"), ApiDoor::default());
        let api = read(
            "public_url = \"https://hw.example\"\ntrusted_proxies = [\"10.0.0.0/8\", \"fd00::1\"]\nrate_limit = \"20/s\"\n\
             [api.tls]\ncert = \"c.pem\"\nkey = \"/k.pem\"",
        )
        .expect("good");
        assert_eq!(api.public_url.map(|u| u.to_string()).as_deref(), Some("https://hw.example/"));
        assert_eq!((api.trusted_proxies.len(), api.rate_limit.requests), (2, 20));
        assert_eq!(api.tls, Some(Tls { cert: "/etc/hw/c.pem".into(), key: "/k.pem".into() }));
        for (text, key) in [
            ("public_url = \"hw.example\"", "api.public_url"),
            ("public_url = \"https://hw.example/app\"", "api.public_url"),
            ("trusted_proxies = [\"everybody\"]", "api.trusted_proxies"),
            ("rate_limit = \"many\"", "api.rate_limit"),
            ("[api.tls]\ncert = \"c.pem\"", "api.tls.key"),
            ("[api.tls]", "api.tls.cert"),
            ("[api.tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\nca = \"x\"", "api.tls.ca"),
        ] {
            let mistakes = read(text).expect_err(text);
            assert!(mistakes.iter().any(|m| m.key == key && !m.cure.is_empty()), "{text}: {mistakes:?}");
        }
    }

    #[test]
    fn where_everybody_is_let_in_only_this_machine_comes_in() {
        let check = |text: &str| parse(text, Path::new(""), &|_| None);
        for (text, key, line) in [
            ("[api]\nlisten = \"0.0.0.0:8080\"", "api.listen", 2),
            ("[auth]\nmode = \"none\"\n[admin]\nlisten = \"[::]:9090\"", "admin.listen", 4),
            ("[api]\nlisten = \"10.0.0.1:8080\"", "api.listen", 2),
            ("[auth]\nmode = \"people\"", "auth.mode", 2),
        ] {
            let mistakes = check(text).expect_err(text);
            assert!(mistakes.iter().any(|m| m.key == key && m.line == line), "{text}: {mistakes:?}");
        }
        for good in [
            "[api]\nlisten = \"[::ffff:127.0.0.1]:8080\"",
            "[auth]\nmode = \"keys\"\n[api]\nlisten = \"0.0.0.0:8080\"\n[admin]\nlisten = \"0.0.0.0:9090\"",
            "[auth]\nallow_remote = true\n[api]\nlisten = \"0.0.0.0:8080\"",
        ] {
            check(good).unwrap_or_else(|mistakes| panic!("{good}: {mistakes:?}"));
        }
        let open = check("[auth]\nallow_remote = true\n[api]\nlisten = \"0.0.0.0:8080\"").expect("good");
        assert!(open.auth.warnings(&open.doors())[0].contains("0.0.0.0:8080"));
        let near = check("[auth]\nallow_remote = true").expect("good");
        assert!(near.auth.warnings(&near.doors()).is_empty());
    }
}
