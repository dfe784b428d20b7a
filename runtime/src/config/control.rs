//! `[control]`: where tenants, keys and contracts are kept.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use schemas::limits::control as limits;
use url::Url;

use super::{
    Secret,
    source::{Collector, Placed, Section},
};

/// `[control]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// Which database.
    pub place: ControlPlace,
    /// What hashes of keys and the audit's chain are keyed with; `None` (SQLite only): a file beside the database, made once.
    pub secret: Option<Secret>,
    /// The secret before that one, while it is being changed: good for reading what was sealed and given out with it.
    pub former_secret: Option<Secret>,
}

/// Where the control store is.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlPlace {
    /// SQLite, for one machine: this file.
    Sqlite(PathBuf),
    /// PostgreSQL, for many.
    Postgres {
        /// As the role that works with the tables, `postgres://…`.
        url: Secret,
        /// As the role that owns them, for `headwater control migrate` alone; `None`: the same.
        owner_url: Option<Secret>,
    },
}

impl Control {
    /// Where it is, in words without a secret.
    pub fn place(&self) -> String {
        match &self.place {
            ControlPlace::Sqlite(file) => format!("sqlite:{}", file.display()),
            ControlPlace::Postgres { url, .. } => shown(url),
        }
    }

    /// What is no mistake but should be known.
    pub fn warnings(&self) -> Vec<String> {
        let former = "[control] former_secret: what was made with it is good still; run `headwater control rotate-secret --finish`, and take it out";
        let former = self.former_secret.as_ref().map(|_| former.to_owned());
        self.unverified().into_iter().chain(former).collect()
    }

    /// Where a database elsewhere is not asked who it is.
    fn unverified(&self) -> Option<String> {
        let ControlPlace::Postgres { url, .. } = &self.place else { return None };
        let Ok(url) = url.expose().parse::<Url>() else { return None };
        let near = match url.host() {
            // Of a scheme that browsers do not know, an address is taken for a name.
            Some(url::Host::Domain(name)) => {
                name.is_empty() || name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => true,
        };
        let verified = url.query_pairs().any(|(k, v)| k == "sslmode" && matches!(&*v, "verify-full" | "verify-ca"));
        let words = "[control] url: the database's certificate is not checked, so that whoever stands between may read and change what \
                     passes; add `?sslmode=verify-full` (and `&sslrootcert=FILE`)";
        (!near && !verified).then(|| words.to_owned())
    }
}

/// Of a database's URL only scheme, host and port.
pub(super) fn shown(url: &Secret) -> String {
    url.expose().parse::<Url>().map_or_else(|_| "***".to_owned(), |url| super::masked(&url))
}

const EXAMPLE: &str =
    "\"sqlite:control.db\" or \"postgres://headwater:${HEADWATER_CONTROL_PASSWORD}@10.0.0.5/headwater\"";

/// Reads the section. `folder` is what relative paths are relative to.
pub(super) fn read(mut s: Section, data_dir: &Path, folder: &Path, c: &mut Collector) -> Control {
    let default = || ControlPlace::Sqlite(data_dir.join("control").join("control.db"));
    let written = s.string("url", c);
    let (owner, owner_key) = read_owner(&mut s, c);
    let (secret, former) = (s.string("secret", c), s.string("former_secret", c));
    let place = match &written {
        None => default(),
        Some(p) => place(p, &s, folder, c).unwrap_or_else(default),
    };
    let place = match (place, owner) {
        (ControlPlace::Postgres { url, .. }, Some(p)) => {
            if !is_postgres(&p.value) {
                let cure =
                    "write a URL such as \"postgres://owner:${HEADWATER_CONTROL_OWNER_PASSWORD}@10.0.0.5/headwater\"";
                c.mistake(p.at, &owner_key, "is no URL of a PostgreSQL database", cure);
            }
            ControlPlace::Postgres { url, owner_url: Some(Secret::new(p.value)) }
        }
        (place @ ControlPlace::Sqlite(_), Some(p)) => {
            c.mistake(p.at, &owner_key, "is for PostgreSQL, and `url` is not", "take it out");
            place
        }
        (place, None) => place,
    };
    match &secret {
        Some(p) if p.value.chars().count() < limits::SECRET_CHARACTERS => {
            let problem = format!("is shorter than {} characters", limits::SECRET_CHARACTERS);
            let cure =
                "write a random one, such as what `openssl rand -hex 32` prints, and keep it: without it no key works";
            c.mistake(p.at, &s.key("secret"), problem, cure);
        }
        None if matches!(place, ControlPlace::Postgres { .. }) => {
            let at = written.as_ref().map_or(s.at(), |p| p.at);
            let cure = "add `secret = \"${HEADWATER_CONTROL_SECRET}\"`, the same for every process; only beside SQLite one is made";
            c.mistake(at, &s.key("secret"), "is missing beside PostgreSQL", cure);
        }
        _ => {}
    }
    match (&secret, &former) {
        (None, Some(p)) => {
            let cure = "write the new one as `secret`; a secret that is a file is changed by `headwater control rotate-secret` alone";
            c.mistake(p.at, &s.key("former_secret"), "goes with a new `secret`", cure);
        }
        (Some(now), Some(p)) if now.value == p.value => {
            c.mistake(
                p.at,
                &s.key("former_secret"),
                "is the present `secret`",
                "write the one that was there before, or take it out",
            );
        }
        _ => {}
    }
    s.finish(c);
    let [secret, former_secret] = [secret, former].map(|p| p.map(|p| Secret::new(p.value)));
    Control { place, secret, former_secret }
}

/// Who owns the tables, and the key that says so: `migrate_url`, or `owner_url` as it was called first.
fn read_owner(s: &mut Section, c: &mut Collector) -> (Option<Placed<String>>, String) {
    let (now, former) = (s.string("migrate_url", c), s.string("owner_url", c));
    if let (Some(_), Some(p)) = (&now, &former) {
        c.mistake(p.at, &s.key("owner_url"), "is the former name of `migrate_url`, which is there too", "take it out");
    }
    match (now, former) {
        (None, Some(p)) => (Some(p), s.key("owner_url")),
        (now, _) => (now, s.key("migrate_url")),
    }
}

fn place(p: &Placed<String>, s: &Section, folder: &Path, c: &mut Collector) -> Option<ControlPlace> {
    let key = s.key("url");
    if is_postgres(&p.value) {
        return Some(ControlPlace::Postgres { url: Secret::new(p.value.clone()), owner_url: None });
    }
    let wanted = format!("write {EXAMPLE}");
    // Words without the text: there may be a password in it.
    let Some(file) = p.value.strip_prefix("sqlite:") else {
        c.mistake(p.at, &key, "is neither a SQLite file nor the URL of a PostgreSQL database", wanted);
        return None;
    };
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.is_empty() || file.starts_with(':') || file.ends_with('/') || file.contains('?') {
        c.mistake(p.at, &key, "names no file, and what is kept in memory alone is not kept", wanted);
        return None;
    }
    Some(ControlPlace::Sqlite(folder.join(file)))
}

fn is_postgres(text: &str) -> bool {
    let Ok(url) = text.parse::<Url>() else { return false };
    matches!(url.scheme(), "postgres" | "postgresql") && !url.username().is_empty() && url.path().len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mistake, parse};

    fn config(text: &str) -> Result<Config, Vec<Mistake>> {
        parse(text, Path::new("/etc/hw"), &|name| (name == "PW").then(|| "s3cret".to_owned()))
    }

    #[test]
    fn sqlite_in_the_data_directory_unless_it_is_said() {
        let sqlite = |text: &str| match config(text).expect("good").control.place {
            ControlPlace::Sqlite(file) => file,
            other => panic!("{other:?}"),
        };
        assert_eq!(sqlite(""), Path::new("/etc/hw/data/control/control.db"));
        assert_eq!(sqlite("[control]\nurl = \"sqlite:c.db\""), Path::new("/etc/hw/c.db"));
        assert_eq!(sqlite("[control]\nurl = \"sqlite:/var/c.db\""), Path::new("/var/c.db"));
        assert_eq!(sqlite("[control]\nurl = \"sqlite:///var/c.db\""), Path::new("/var/c.db"));
    }

    #[test]
    fn postgres_is_masked_and_wants_a_secret() {
        let secret = "x".repeat(32);
        let text = format!(
            "[control]\nurl = \"postgres://h:${{PW}}@db.example/hw\"\nowner_url = \"postgres://o:${{PW}}@db.example/hw\"\nsecret = \"{secret}\""
        );
        let control = config(&text).expect("good").control;
        assert!(!format!("{control:?}{}", control.place()).contains("s3cret"));
        assert_eq!(control.place(), "postgres://***@db.example/***");
        assert!(control.warnings()[0].contains("verify-full"));
        let owner = |control: &Control| match &control.place {
            ControlPlace::Postgres { owner_url, .. } => owner_url.clone(),
            other => panic!("{other:?}"),
        };
        let renamed = config(&text.replace("owner_url", "migrate_url")).expect("good").control;
        assert!(owner(&renamed).is_some() && owner(&renamed) == owner(&control));
        let both = text.replace("secret =", "migrate_url = \"postgres://o:${PW}@db.example/hw\"\nsecret =");
        assert!(config(&both).expect_err("twice").iter().any(|m| m.key == "control.owner_url" && m.line == 3));
        let near = text.replace("db.example", "127.0.0.1");
        assert!(config(&near).expect("good").control.warnings().is_empty());
        assert!(
            config(&text.replace("/hw\"\nowner", "/hw?sslmode=verify-full\"\nowner"))
                .expect("good")
                .control
                .warnings()
                .is_empty()
        );
    }

    #[test]
    fn a_former_secret_goes_with_another_present_one_and_is_warned_of() {
        let (one, two) = ("1".repeat(32), "2".repeat(32));
        let text = |former: &str| format!("[control]\nsecret = \"{two}\"\nformer_secret = \"{former}\"");
        let control = config(&text(&one)).expect("good").control;
        assert_eq!(control.former_secret, Some(Secret::new(one.as_str())));
        let warnings = control.warnings();
        assert!(warnings.iter().any(|w| w.contains("rotate-secret") && !w.contains(&one)), "{warnings:?}");
        let mistakes = config(&text(&two)).expect_err("the same");
        assert!(mistakes.iter().any(|m| m.key == "control.former_secret" && m.line == 3), "{mistakes:?}");
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, key, words) in [
            ("url = \"mysql://h:${PW}@db/hw\"", "control.url", "neither"),
            ("url = \"sqlite::memory:\"", "control.url", "in memory"),
            ("url = \"sqlite:\"", "control.url", "names no file"),
            ("url = \"postgres://db/hw\"", "control.url", "neither"),
            ("url = \"postgres://h:${PW}@db/hw\"", "control.secret", "missing beside PostgreSQL"),
            ("secret = \"short\"", "control.secret", "shorter than 32"),
            ("former_secret = \"x\"", "control.former_secret", "goes with a new"),
            ("owner_url = \"postgres://h:${PW}@db/hw\"", "control.owner_url", "is for PostgreSQL"),
            ("migrate_url = \"postgres://h:${PW}@db/hw\"", "control.migrate_url", "is for PostgreSQL"),
            ("ulr = \"sqlite:x\"", "control.ulr", "is not known"),
        ] {
            let mistakes = config(&format!("[control]\n{text}")).expect_err(text);
            assert!(mistakes.iter().any(|m| m.key == key && m.problem.contains(words)), "{text}: {mistakes:?}");
            assert!(mistakes.iter().all(|m| m.line == 2 && !format!("{m:?}").contains("s3cret")), "{mistakes:?}");
        }
    }
}
