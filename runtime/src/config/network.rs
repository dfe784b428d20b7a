//! `[[network]]` and `[[network.endpoint]]`.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue};
use schemas::{Family, limits};
use url::Url;

use super::{
    Secret,
    chain::{self, Chain, Keys},
    providers::{self, Confirm, Rate, Role},
    source::{Collector, Placed, Section},
};

/// A network to follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its slug.
    pub slug: schemas::Network,
    /// Which chain it is on.
    pub chain: Chain,
    /// Where to start when nothing is stored yet.
    pub start: Start,
    /// What is checked of its nodes' answers.
    pub verify: Verify,
    /// How many operators must show a block.
    pub confirm: Confirm,
    /// How long they have for it; then the block is published as unconfirmed.
    pub confirm_within: Duration,
    /// How long its rows are kept, in the place of `[store] keep`.
    pub keep: Option<Duration>,
    /// Whether each of its logs is written to `enriched.events` too.
    pub events: bool,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
}

impl Network {
    /// Its family.
    pub const fn family(&self) -> Family {
        self.chain.family()
    }
}

/// Where a network starts when nothing is stored yet. A stored checkpoint beats it (rule 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the node's tip.
    Latest,
    /// At this height.
    Height(u64),
}

/// What is checked of a node's answers (rule 24). Links, counts and order always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Hashes and roots: decisive where the chain's profile says that they hold, counted elsewhere.
    Profile,
    /// Senders too, recovered from signatures.
    Signatures,
    /// Nothing more.
    Structure,
}

/// A node of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// JSON-RPC over HTTP; of Bitcoin also an Electrum server, `tcp://` or `ssl://`.
    pub url: Url,
    /// EVM: WebSocket for subscriptions.
    pub ws: Option<Url>,
    /// Bitcoin Core: its cookie file.
    pub cookie: Option<PathBuf>,
    /// Bitcoin Core: where it publishes that there is a new block.
    pub zmq: Option<Url>,
    /// Electrum over TLS: SHA-256 of the certificate; `None`: the first that is seen is remembered.
    pub fingerprint: Option<[u8; 32]>,
    /// HTTP headers that go with every call.
    pub headers: Vec<(String, Secret)>,
    /// Whose it is; endpoints of one operator are one voice.
    pub operator: String,
    /// What it is used for; never empty.
    pub roles: Vec<Role>,
    /// Lower is asked first; equal ones share.
    pub priority: u16,
    /// Requests of all our processes together; `None`: found out.
    pub limit: Option<Rate>,
    /// A cap on requests a day (UTC), near which only the stream is served.
    pub per_day: Option<u64>,
}

pub(super) fn read_all(sections: Vec<Section>, folder: &Path, c: &mut Collector) -> Vec<Network> {
    if sections.len() > limits::NETWORKS {
        let problem = format!("{} networks; at most {} in one file", sections.len(), limits::NETWORKS);
        c.mistake(sections[0].at(), "network", problem, "split them over several processes");
    }
    let mut slugs = HashSet::new();
    sections.into_iter().filter_map(|s| read(s, &mut slugs, folder, c)).collect()
}

pub(super) fn missing(s: &Section, name: &str, example: &str, c: &mut Collector) {
    c.mistake(s.at(), &s.key(name), "is missing", format!("add a line such as `{name} = {example}`"));
}

fn read(mut s: Section, slugs: &mut HashSet<String>, folder: &Path, c: &mut Collector) -> Option<Network> {
    if !s.has("slug") {
        missing(&s, "slug", "\"mantle-mainnet\"", c);
    }
    let slug = s.string("slug", c).and_then(|p| check_slug(&s, p, slugs, c));

    let family = read_family(&mut s, c);
    let chain = chain::read(&mut s, family, c);
    let start = read_start(&mut s, c);
    only_of_evm(&s, family, c);
    let verify = read_verify(&mut s, c);
    let before = c.count();
    let endpoints = read_endpoints(&mut s, family, folder, c);
    let operators = endpoints.iter().map(|e| &*e.operator).collect::<HashSet<_>>().len();
    // Of endpoints that are not all known nothing is concluded.
    let operators = if c.count() == before { operators } else { usize::MAX };
    let confirm = providers::read_confirm(&mut s, operators, c);
    let confirm_within = providers::read_confirm_within(&mut s, c);
    let keep = s.duration("keep", "30d", limits::KEEP, c);
    let events = s.boolean("events", c).unwrap_or(false);
    s.finish(c);
    let (slug, chain) = (slug?, chain?);
    Some(Network { slug, chain, start, verify, confirm, confirm_within, keep, events, endpoints })
}

/// What says nothing of another family's chain is a mistake, lest somebody rely on it.
fn only_of_evm(s: &Section, family: Option<Family>, c: &mut Collector) {
    if family != Some(Family::Bitcoin) {
        return;
    }
    let keys = [
        ("verify", "take it out: of a Bitcoin block everything is checked that its header proves"),
        ("events", "take it out: Bitcoin has no logs"),
    ];
    for (name, cure) in keys.into_iter().filter(|(name, _)| s.has(name)) {
        c.mistake(s.place(name), &s.key(name), "is for EVM networks", cure);
    }
}

fn read_verify(s: &mut Section, c: &mut Collector) -> Verify {
    let Some(p) = s.string("verify", c) else { return Verify::Profile };
    match p.value.as_str() {
        "profile" => Verify::Profile,
        "signatures" => Verify::Signatures,
        "structure" => Verify::Structure,
        other => {
            let cure = "write \"profile\" (the default), \"signatures\" (senders too), or \"structure\" (links, counts and \
                        order only)";
            c.mistake(p.at, &s.key("verify"), format!("is `{other}`"), cure);
            Verify::Profile
        }
    }
}

fn check_slug(
    s: &Section,
    p: Placed<String>,
    slugs: &mut HashSet<String>,
    c: &mut Collector,
) -> Option<schemas::Network> {
    if !slugs.insert(p.value.clone()) {
        let problem = format!("`{}` stands twice", p.value);
        c.mistake(p.at, &s.key("slug"), problem, "give each network a slug of its own");
    }
    p.value
        .parse()
        .map_err(|e: schemas::primitives::ParseError| {
            c.mistake(p.at, &s.key("slug"), format!("`{}` is not a slug", e.text), format!("write {}", e.expected));
        })
        .ok()
}

fn read_family(s: &mut Section, c: &mut Collector) -> Option<Family> {
    if !s.has("family") {
        missing(s, "family", "\"evm\"", c);
    }
    let p = s.string("family", c)?;
    match p.value.parse() {
        Ok(family @ (Family::Evm | Family::Bitcoin)) => Some(family),
        Ok(other) => {
            let problem = format!("`{other}` is not followed by this version");
            c.mistake(p.at, &s.key("family"), problem, "write \"evm\" or \"bitcoin\"");
            None
        }
        Err(_) => {
            let cure = "write \"evm\" or \"bitcoin\"";
            c.mistake(p.at, &s.key("family"), format!("`{}` is not a family", p.value), cure);
            None
        }
    }
}

fn read_start(s: &mut Section, c: &mut Collector) -> Start {
    match s.text_or_number("start", c) {
        None => Start::Latest,
        Some(p) if p.value == "latest" => Start::Latest,
        Some(p) => p.value.parse().map_or_else(
            |_| {
                let problem = format!("is `{}`", p.value);
                c.mistake(p.at, &s.key("start"), problem, "write \"latest\" or a height such as 65000000");
                Start::Latest
            },
            Start::Height,
        ),
    }
}

fn read_endpoints(s: &mut Section, family: Option<Family>, folder: &Path, c: &mut Collector) -> Vec<Endpoint> {
    let sections = s.sections("endpoint", c);
    let at = s.at();
    if sections.is_empty() {
        let cure = "add `[[network.endpoint]]` with `name` and `url` below the network";
        c.mistake(at, &s.key("endpoint"), "is missing", cure);
    }
    if sections.len() > limits::ENDPOINTS_PER_NETWORK {
        let cure = format!("keep at most {}", limits::ENDPOINTS_PER_NETWORK);
        c.mistake(at, &s.key("endpoint"), "stands too often", cure);
    }
    let mut names = HashSet::new();
    let first = sections.first().map(Section::at);
    let of = (family, folder);
    let endpoints: Vec<Endpoint> = sections.into_iter().filter_map(|e| read_endpoint(e, &mut names, of, c)).collect();
    if let Some(first) = first
        && !endpoints.is_empty()
        && endpoints.iter().all(|e| !e.roles.is_empty() && !e.roles.contains(&Role::Stream))
    {
        let cure = "add \"stream\" to the `roles` of one, or leave `roles` out: without it nobody follows the chain";
        c.mistake(first, &s.key("endpoint"), "no endpoint has the role stream", cure);
    }
    endpoints
}

fn read_endpoint(
    mut s: Section,
    names: &mut HashSet<String>,
    (family, folder): (Option<Family>, &Path),
    c: &mut Collector,
) -> Option<Endpoint> {
    let bitcoin = family == Some(Family::Bitcoin);
    let (at, key) = (s.at(), s.key("name"));
    let name = s.string("name", c);
    if let Some(p) = name.as_ref().filter(|p| !is_name(&p.value)) {
        let cure =
            format!("write one line of at most {} characters, such as \"official\"", limits::ENDPOINT_NAME_CHARACTERS);
        c.mistake(p.at, &key, "is empty, too long, or not in one line", cure);
    }
    if let Some(p) = &name
        && !names.insert(p.value.clone())
    {
        let problem = format!("`{}` stands twice in this network", p.value);
        c.mistake(p.at, &s.key("name"), problem, "give each endpoint a name of its own");
    }
    if !s.has("url") {
        missing(&s, "url", if bitcoin { "\"http://127.0.0.1:8332\"" } else { "\"https://rpc.mantle.xyz\"" }, c);
    }
    let schemes: &[&str] = if bitcoin { &["http", "https", "tcp", "ssl"] } else { &["http", "https"] };
    let url_at = s.place("url");
    let url = read_url(&mut s, "url", schemes, c);
    let (ws, Keys { cookie, zmq, fingerprint }) = match bitcoin {
        true => (None, chain::read_endpoint(&mut s, (url.as_ref(), url_at), folder, c)),
        false => (read_url(&mut s, "ws", &["ws", "wss"], c), Keys::default()),
    };
    let headers = read_headers(&mut s, c);
    let operator = providers::read_operator(&mut s, url.as_ref(), c);
    let roles = providers::read_roles(&mut s, c);
    let priority = providers::read_priority(&mut s, c);
    let limit = providers::read_limit(&mut s, c);
    let per_day = providers::read_per_day(&mut s, c);
    s.finish(c);
    let url = url?;
    let name = match name {
        Some(p) => p.value,
        None => {
            let host = url.host_str().unwrap_or("endpoint").to_owned();
            if !names.insert(host.clone()) {
                let problem =
                    format!("is left out, and `{host}`, the host, names another endpoint of this network already");
                c.mistake(at, &key, problem, "give each endpoint a name of its own");
            }
            host
        }
    };
    Some(Endpoint { name, url, ws, cookie, zmq, fingerprint, headers, operator, roles, priority, limit, per_day })
}

/// HTTP headers of an endpoint, as HTTP allows them (RFC 9110, section 5).
fn read_headers(s: &mut Section, c: &mut Collector) -> Vec<(String, Secret)> {
    let key = s.key("headers");
    let written = s.section("headers", c).strings(c).into_iter();
    let read = written.map(|(name, value)| {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            let cure = "write letters, digits and `-`, such as `authorization`";
            c.mistake(value.at, &format!("{key}.{name}"), "is no name that HTTP allows", cure);
        }
        if HeaderValue::from_str(&value.value).is_err() {
            let cure = "write visible characters and spaces in one line";
            c.mistake(value.at, &format!("{key}.{name}"), "has a value that HTTP does not allow", cure);
        }
        (name, Secret::new(value.value))
    });
    read.collect()
}

fn is_name(name: &str) -> bool {
    let characters = name.chars().count();
    (1..=limits::ENDPOINT_NAME_CHARACTERS).contains(&characters) && !name.chars().any(char::is_control)
}

pub(super) fn read_url(s: &mut Section, name: &'static str, schemes: &[&str], c: &mut Collector) -> Option<Url> {
    let p = s.string(name, c)?;
    let wanted = format!("write a URL that starts with {}", schemes.join(":// or ") + "://");
    match p.value.parse::<Url>() {
        Ok(url) if schemes.contains(&url.scheme()) && url.host().is_some() => Some(url),
        Ok(_) => {
            c.mistake(p.at, &s.key(name), "has another scheme or no host", wanted);
            None
        }
        Err(e) => {
            c.mistake(p.at, &s.key(name), format!("is not a URL: {e}"), wanted);
            None
        }
    }
}
