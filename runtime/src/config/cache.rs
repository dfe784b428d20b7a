//! `[cache]`: what several processes of the API share beside the control store.

use url::Url;

use super::source::{Collector, Section};
use crate::secret::Secret;

/// `[cache]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cache {
    /// A Redis or Valkey server (`redis://[user:password@]host[:port][/db]`): tenants' requests of a minute are counted over all processes
    /// there. `None`: each process counts for itself.
    pub redis: Option<Secret>,
}

/// Reads the section.
pub(super) fn read(mut s: Section, c: &mut Collector) -> Cache {
    let redis = s.string("redis", c).and_then(|p| {
        let good = p.value.parse::<Url>().is_ok_and(|url| url.scheme() == "redis" && url.host().is_some());
        if !good {
            // Not the value: there may be a password in it.
            let cure = "write one such as \"redis://10.0.0.5:6379\" or \"redis://:${REDIS_PASSWORD}@10.0.0.5:6379\"";
            c.mistake(p.at, &s.key("redis"), "is no redis:// URL with a host", cure);
        }
        good.then(|| Secret::new(p.value))
    });
    s.finish(c);
    Cache { redis }
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
        for bad in ["http://10.0.0.5:hunter2", "redis:hunter2", "hunter2"] {
            let mistakes = of(&format!("[cache]\nredis = \"{bad}\"")).expect_err(bad);
            let first = mistakes.first().expect("one");
            assert_eq!(first.key, "cache.redis");
            assert!(!first.problem.contains("hunter2") && first.cure.contains("redis://"), "{first:?}");
        }
    }
}
