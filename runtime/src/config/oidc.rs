//! `[[auth.oidc]]`: who else says who somebody is (OpenID Connect Core 1.0).
//!
//! Guarantee: an issuer is an `https` URL, or one of this machine for trying it out; its name is a word that a URL and a button can have,
//! and no two have the same. A secret is never shown.

use schemas::limits::people as limits;
use url::{Host, Url};

use super::source::{Collector, Placed, Section};
use crate::secret::Secret;

/// One `[[auth.oidc]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// In URLs: `GET /api/v1/auth/oidc/{id}`.
    pub id: String,
    /// On the button.
    pub name: String,
    /// The issuer, exactly as the provider writes it: with or without a slash at the end.
    pub issuer: String,
    /// The client's id there.
    pub client_id: String,
    /// Its secret; `None`: a public client, which has PKCE alone.
    pub client_secret: Option<Secret>,
    /// What is asked for besides `openid` and `email`.
    pub scopes: Vec<String>,
    /// Whether an address counts as its owner's although the provider does not say `email_verified`: for a provider of one's own company.
    pub trust_email: bool,
}

/// Reads all of them.
pub(super) fn read_all(sections: Vec<Section>, c: &mut Collector) -> Vec<Provider> {
    let mut providers: Vec<Provider> = Vec::with_capacity(sections.len());
    if let Some(over) = sections.get(limits::PROVIDERS) {
        let cure = format!("write at most {}", limits::PROVIDERS);
        c.mistake(over.at(), "auth.oidc", format!("there are {} providers", sections.len()), cure);
    }
    for mut s in sections {
        let (at, key) = (s.place("id"), s.key("id"));
        if let Some(provider) = read(&mut s, c) {
            if providers.iter().any(|other| other.id == provider.id) {
                c.mistake(at, &key, format!("`{}` stands twice", provider.id), "give each provider its own");
            }
            if providers.iter().any(|other| other.issuer == provider.issuer) {
                let cure = "one issuer is one provider: people are known by issuer and subject";
                c.mistake(s.place("issuer"), &s.key("issuer"), "is another provider's too", cure);
            }
            providers.push(provider);
        }
        s.finish(c);
    }
    providers
}

fn read(s: &mut Section, c: &mut Collector) -> Option<Provider> {
    const ISSUER: &str = "write the issuer as the provider does, such as \"https://accounts.example.org\"";
    let id = wanted(s, "id", "write a short word of small letters, digits and `-`, such as \"company\"", c, |text| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (!text.is_empty() && text.len() <= limits::PROVIDER_ID && text.bytes().all(fits)).then(|| text.to_owned())
    });
    let name = s.string("name", c).map(|p| p.value.trim().to_owned()).filter(|name| !name.is_empty());
    let issuer = wanted(s, "issuer", ISSUER, c, |text| issuer(text).then(|| text.to_owned()));
    let client_id = wanted(s, "client_id", "write the client's id at the provider", c, |text| {
        (!text.trim().is_empty()).then(|| text.to_owned())
    });
    let secret = s.string("client_secret", c);
    if let Some(Placed { at, .. }) = secret.as_ref().filter(|p| p.value.trim().is_empty()) {
        let cure = "write the client's secret, such as \"${OIDC_SECRET}\", or leave it out for a public client";
        c.mistake(*at, &s.key("client_secret"), "is empty", cure);
    }
    let scopes = s.list("scopes", limits::PROVIDER_SCOPES, "[\"profile\"]", c);
    let mut asked = Vec::with_capacity(scopes.len());
    for p in scopes {
        // RFC 6749, appendix A.4.
        let token = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
        if p.value.is_empty() || !p.value.bytes().all(token) {
            c.mistake(p.at, &s.key("scopes"), "has an entry that is no scope", "write such as [\"profile\"]");
        }
        asked.push(p.value);
    }
    let trust_email = s.boolean("trust_email", c).unwrap_or(false);
    let id = id?;
    Some(Provider {
        name: name.unwrap_or_else(|| id.clone()),
        id,
        issuer: issuer?,
        client_id: client_id?,
        client_secret: secret.map(|p| Secret::new(p.value)),
        scopes: asked,
        trust_email,
    })
}

fn wanted(
    s: &mut Section,
    name: &'static str,
    cure: &str,
    c: &mut Collector,
    good: impl FnOnce(&str) -> Option<String>,
) -> Option<String> {
    let there = s.has(name);
    let at = s.at();
    match s.string(name, c) {
        Some(p) => {
            let value = good(&p.value);
            if value.is_none() {
                c.mistake(p.at, &s.key(name), "is not of the form", cure);
            }
            value
        }
        None => {
            if !there {
                c.mistake(at, &s.key(name), "is missing", cure);
            }
            None
        }
    }
}

/// OpenID Connect Discovery 1.0, section 2: `https`, no query, no fragment. Plain HTTP only on this machine.
fn issuer(text: &str) -> bool {
    let Ok(url) = text.parse::<Url>() else { return false };
    let near = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let scheme = url.scheme() == "https" || url.scheme() == "http" && near;
    let bare =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    scheme && bare && url.host().is_some()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Mistake, parse};

    const GOOD: &str = "[api]\npublic_url = \"https://hw.example\"\n[auth]\nmode = \"accounts\"\n";

    fn providers(text: &str) -> Result<Vec<Provider>, Vec<Mistake>> {
        parse(&format!("{GOOD}{text}"), Path::new(""), &|_| None).map(|config| config.auth.providers)
    }

    #[test]
    fn what_is_written_is_read_and_a_secret_is_not_shown() {
        let text = "[[auth.oidc]]\nid = \"company\"\nname = \"The company\"\nissuer = \"https://id.example/realms/x\"\nclient_id = \"hw\"\n\
                    client_secret = \"very secret\"\nscopes = [\"profile\"]\ntrust_email = true\n\
                    [[auth.oidc]]\nid = \"here\"\nissuer = \"http://127.0.0.1:9000\"\nclient_id = \"hw\"\n";
        let found = providers(text).expect("good");
        assert_eq!((found[0].name.as_str(), found[1].name.as_str()), ("The company", "here"));
        assert_eq!((found[0].trust_email, found[1].trust_email, found[1].client_secret.is_none()), (true, false, true));
        assert!(!format!("{found:?}").contains("very secret"));
    }

    #[test]
    fn each_mistake_has_its_key() {
        let with = |line: &str| {
            let mut lines = vec!["id = \"a\"", "issuer = \"https://id.example\"", "client_id = \"hw\""];
            let key = line.split(' ').next().unwrap_or_default();
            lines.retain(|l| l.split(' ').next() != Some(key));
            lines.push(line);
            format!("[[auth.oidc]]\n{}\n", lines.join("\n"))
        };
        for (line, key) in [
            ("id = \"A\"", "auth.oidc[0].id"),
            ("id = \"a/b\"", "auth.oidc[0].id"),
            ("issuer = \"http://id.example\"", "auth.oidc[0].issuer"),
            ("issuer = \"https://id.example?x=1\"", "auth.oidc[0].issuer"),
            ("issuer = \"https://u:p@id.example\"", "auth.oidc[0].issuer"),
            ("client_secret = \" \"", "auth.oidc[0].client_secret"),
            ("scopes = [\"a b\"]", "auth.oidc[0].scopes"),
            ("client = \"x\"", "auth.oidc[0].client"),
        ] {
            let mistakes = providers(&with(line)).expect_err(line);
            assert!(mistakes.len() == 1 && mistakes[0].key == key, "{line}: {mistakes:?}");
        }
        let twice = format!("{0}{0}", with("id = \"a\""));
        assert_eq!(providers(&twice).expect_err("twice").len(), 2);
        assert!(providers("[[auth.oidc]]\n").expect_err("empty").len() == 3);
    }
}
