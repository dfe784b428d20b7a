//! `[cache]`: what several processes of the API share beside the control store.

use std::path::{Path, PathBuf};

use url::Url;

use super::source::{Collector, Section};
use crate::secret::Secret;

/// `[cache]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cache {
    /// A Redis or Valkey server (`redis://[user:password@]host[:port][/db]`, over TLS `rediss://…`): tenants' requests of a minute and their
    /// WebSocket connections are counted over all processes there. `None`: each process counts for itself.
    pub redis: Option<Secret>,
    /// Over TLS: the authorities that its certificate is to be by, PEM; `None`: the system's.
    pub redis_ca: Option<PathBuf>,
}

/// Reads the section. `folder` is what relative paths are relative to.
pub(super) fn read(mut s: Section, folder: &Path, c: &mut Collector) -> Cache {
    let (is_named, mut tls) = (s.has("redis"), false);
    let redis = s.string("redis", c).and_then(|p| {
        let url = p.value.parse::<Url>().ok();
        // Behind a `#` would stand that no certificate is looked at.
        let good = url.filter(|url| {
            matches!(url.scheme(), "redis" | "rediss") && url.host().is_some() && url.fragment().is_none()
        });
        if good.is_none() {
            // Not the value: there may be a password in it.
            let cure = "write one such as \"redis://10.0.0.5:6379\", or over TLS \"rediss://:${REDIS_PASSWORD}@redis.example.org:6379\"";
            c.mistake(p.at, &s.key("redis"), "is no redis:// or rediss:// URL with a host", cure);
        }
        good.map(|url| {
            tls = url.scheme() == "rediss";
            Secret::new(p.value)
        })
    });
    let redis_ca = s.string("redis_ca", c).and_then(|p| {
        let problem = if p.value.is_empty() {
            Some("names no file")
        } else if !is_named {
            Some("stands without `redis`, whose certificate it would be for")
        } else if redis.is_some() && !tls {
            Some("stands beside a server without TLS")
        } else {
            None
        };
        if let Some(problem) = problem {
            let cure = "write the name of a PEM file beside `redis = \"rediss://…\"`, or leave it out";
            c.mistake(p.at, &s.key("redis_ca"), problem, cure);
        }
        problem.is_none().then(|| folder.join(p.value))
    });
    s.finish(c);
    Cache { redis, redis_ca }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::parse;

    #[test]
    fn a_server_is_named_by_its_url_and_no_password_is_told() {
        let of = |text: &str| parse(text, Path::new(""), &|_| None);
        assert!(of("").expect("good").cache.redis.is_none());
        let config = of("[cache]\nredis = \"redis://:hunter2@10.0.0.5:6379\"").expect("good");
        assert_eq!(config.cache.redis.as_ref().map(|url| url.expose()), Some("redis://:hunter2@10.0.0.5:6379"));
        assert!(!format!("{:?}", config.cache).contains("hunter2"));
        let tls =
            parse("[cache]\nredis = \"rediss://r.example\"\nredis_ca = \"ca.pem\"", Path::new("/etc/hw"), &|_| None);
        assert_eq!(tls.expect("good").cache.redis_ca.as_deref(), Some(Path::new("/etc/hw/ca.pem")));
        let beside = of("[cache]\nredis = \"redis://r.example\"\nredis_ca = \"ca.pem\"").expect_err("no TLS");
        assert_eq!(beside.first().expect("one").key, "cache.redis_ca");
        let alone = of("[cache]\nredis_ca = \"ca.pem\"").expect_err("no server");
        let said = alone.first().expect("one");
        assert_eq!((alone.len(), said.key.as_str()), (1, "cache.redis_ca"));
        assert!(said.problem.contains("without `redis`") && said.cure.contains("rediss://"), "{said:?}");
        // Of a server that is wrong that is told, and nothing of its authorities.
        let wrong = of("[cache]\nredis = \"r.example\"\nredis_ca = \"ca.pem\"").expect_err("no URL");
        assert_eq!(wrong.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["cache.redis"]);
        for bad in ["http://10.0.0.5:hunter2", "redis:hunter2", "hunter2", "rediss://:hunter2@10.0.0.5/#insecure"] {
            let mistakes = of(&format!("[cache]\nredis = \"{bad}\"")).expect_err(bad);
            let first = mistakes.first().expect("one");
            assert_eq!(first.key, "cache.redis");
            assert!(!first.problem.contains("hunter2") && first.cure.contains("redis://"), "{first:?}");
        }
    }
}
