//! The configuration file: read once, before any port opens; typed; unknown keys refused; secrets masked.
//!
//! Guarantee: [`load`] either gives a whole valid [`Config`] or every mistake of the file at once, each with line, key and
//! what to write instead. It opens nothing but the file.

mod log;
mod mistakes;
mod network;
mod source;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use log::{Kafka, Log};
pub use mistakes::{Mistake, Mistakes};
pub use network::{Contract, Endpoint, Network, Start};
use source::{Collector, Env, Section};
use url::Url;

/// Default of `[api] listen`.
pub const API_LISTEN: &str = "127.0.0.1:8080";
/// Default of `[admin] listen`.
pub const ADMIN_LISTEN: &str = "127.0.0.1:9090";
/// Default of `[store] listen`.
pub const STORE_LISTEN: &str = "127.0.0.1:8123";
/// Default of `[store] database`.
pub const DATABASE: &str = "headwater";

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// The text itself, to be handed to whoever needs it, never to a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL with what may be secret in it (user, password, path after the host, query) replaced by `***`.
pub fn masked(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
    let rest = if url.path().len() > 1 || url.query().is_some() { "/***" } else { "" };
    format!("{}://{user}{}{port}{rest}", url.scheme(), url.host_str().unwrap_or(""))
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where everything is kept on this machine. Absolute, or relative to the process's folder.
    pub data_dir: PathBuf,
    /// Where REST, WebSocket and dashboard listen.
    pub api_listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` listen.
    pub admin_listen: SocketAddr,
    /// Names this process to its groups.
    pub instance: String,
    /// The log.
    pub log: Log,
    /// The store.
    pub store: Store,
    /// The networks to follow.
    pub networks: Vec<Network>,
    /// The operator's contracts.
    pub contracts: Vec<Contract>,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// A ClickHouse server; `None`: the embedded engine.
    pub url: Option<Url>,
    /// Where the embedded engine listens.
    pub listen: SocketAddr,
    /// Database.
    pub database: String,
    /// The stages' user.
    pub user: String,
    /// The stages' password; `None` with the embedded engine: generated once into the data directory.
    pub password: Option<Secret>,
    /// The analyst's password; `None` as above.
    pub analyst_password: Option<Secret>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}; name an existing file with `--config FILE`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has mistakes.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

/// Largest configuration file that is read, in bytes.
const FILE_BYTES: u64 = 4 << 20;

/// Reads and checks a file. Relative paths in it are relative to its folder.
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > FILE_BYTES {
        return Err(unreadable(std::io::Error::other(format!("it has {size} bytes; at most {FILE_BYTES} are read"))));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    parse(&text, folder, &|name| std::env::var(name).ok())
        .map_err(|list| Mistakes { file: file.to_owned(), list }.into())
}

/// Checks a document. `folder` is what relative paths are relative to.
pub fn parse(text: &str, folder: &Path, env: Env) -> Result<Config, Vec<Mistake>> {
    let mut c = Collector::new(text, env);
    let mut value = match toml_span::parse(text) {
        Ok(value) => value,
        Err(e) => {
            c.mistake(e.span.start, "", format!("not TOML: {e}"), "see https://toml.io for the syntax");
            return Err(c.into_mistakes());
        }
    };
    let toml_span::value::ValueInner::Table(table) = value.take() else {
        c.mistake(0, "", "the document is not a table", "start with `[data]`");
        return Err(c.into_mistakes());
    };
    let mut root = Section::root(table);
    let config = read(&mut root, folder, &mut c);
    root.finish(&mut c);
    if c.is_clean() { Ok(config) } else { Err(c.into_mistakes()) }
}

fn read(root: &mut Section, folder: &Path, c: &mut Collector) -> Config {
    let mut data = root.section("data", c);
    let dir = data.string("dir", c).map_or_else(|| "data".to_owned(), |p| p.value);
    data.finish(c);

    let api_listen = listen(root, "api", API_LISTEN, c);
    let admin_listen = listen(root, "admin", ADMIN_LISTEN, c);

    let mut runtime = root.section("runtime", c);
    let instance = runtime.string("instance", c).map(|p| p.value);
    runtime.finish(c);
    let data_dir = folder.join(dir);

    let log = log::read(root.section("log", c), c);
    let store = read_store(root.section("store", c), c);
    let networks = network::read_all(root.sections("network", c), c);
    let contracts = network::read_contracts(root.sections("contract", c), &networks, folder, c);
    let instance = instance.unwrap_or_else(|| format!("{}:{}", host_name(), data_dir.display()));
    Config { data_dir, api_listen, admin_listen, instance, log, store, networks, contracts }
}

fn address(section: &mut Section, name: &'static str, default: &str, c: &mut Collector) -> SocketAddr {
    let fallback = || default.parse().expect("the defaults above are addresses");
    section.parsed(name, &format!("an address and a port, such as \"{default}\""), c).map_or_else(fallback, |p| p.value)
}

fn listen(root: &mut Section, name: &'static str, default: &str, c: &mut Collector) -> SocketAddr {
    let mut section = root.section(name, c);
    let address = address(&mut section, "listen", default, c);
    section.finish(c);
    address
}

fn read_store(mut s: Section, c: &mut Collector) -> Store {
    let url = s.parsed::<Url>("url", "a ClickHouse server, such as \"http://10.0.0.4:8123\"", c).and_then(|p| {
        let good = matches!(p.value.scheme(), "http" | "https") && p.value.host().is_some();
        if !good {
            c.mistake(p.at, &s.key("url"), "is not an http or https URL", "write one such as \"http://10.0.0.4:8123\"");
        }
        good.then_some(p.value)
    });
    let listen = address(&mut s, "listen", STORE_LISTEN, c);
    let database = s.string("database", c);
    if let Some(p) = &database
        && !is_identifier(&p.value)
    {
        let problem = format!("`{}` is not a database name", p.value);
        c.mistake(p.at, &s.key("database"), problem, "write letters, digits and _, starting with a letter");
    }
    let user = s.string("user", c).map_or_else(|| "headwater".to_owned(), |p| p.value);
    let password = s.string("password", c).map(|p| Secret::new(p.value));
    let analyst_password = s.string("analyst_password", c).map(|p| Secret::new(p.value));
    if url.is_some() && password.is_none() {
        let cure = "add `password = \"${HEADWATER_STORE_PASSWORD}\"`; only the embedded store makes its own";
        c.mistake(s.at(), &s.key("password"), "is missing beside `url`", cure);
    }
    s.finish(c);
    let database = database.map_or_else(|| DATABASE.to_owned(), |p| p.value);
    Store { url, listen, database, user, password, analyst_password }
}

fn is_identifier(s: &str) -> bool {
    s.len() <= 64
        && s.starts_with(|ch: char| ch.is_ascii_alphabetic())
        && s.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '_')
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
