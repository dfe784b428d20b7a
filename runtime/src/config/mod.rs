//! The configuration file: read once, before any port opens; typed; unknown keys refused; secrets masked.
//!
//! Guarantee: [`load`] either gives a whole valid [`Config`] or every mistake of the file at once, each with line, key and
//! what to write instead. It opens nothing but the file, and those of ABIs that it names.
//!
//! A process that runs may read it again: [`changes`] says what differs and what of it can be taken over, and [`Live`] hands that on.

mod alerts;
mod api;
mod auth;
mod cache;
mod causes;
mod chain;
pub mod changes;
mod contracts;
mod control;
mod doors;
pub mod folder;
mod live;
mod log;
mod mail;
mod mistakes;
mod network;
mod oidc;
mod plans;
mod providers;
mod source;

use std::{
    net::SocketAddr,
    path::{Component, Path, PathBuf},
    time::Duration,
};

pub use alerts::Alerts;
pub use api::{ApiDoor, RATE_LIMIT, Tls};
pub use auth::{Auth, AuthMode, SignUp, is_near};
pub use cache::Cache;
pub use causes::{Causes, ContractSource};
pub use chain::Chain;
pub use contracts::Contract;
pub use control::{Control, ControlPlace};
use doors::Door;
pub use live::Live;
pub use log::{Kafka, Log};
pub use mail::{AuthMail, MailSecurity};
pub use mistakes::{Mistake, Mistakes};
pub use network::{Endpoint, Network, Start, Verify};
pub use oidc::Provider;
pub use plans::Plan;
pub use providers::{Confirm, Providers, Rate, Role};
use schemas::limits;
use source::{Collector, Env, Placed, Section};
use url::Url;

pub use crate::secret::Secret;

/// Default of `[api] listen`.
pub const API_LISTEN: &str = "127.0.0.1:8080";
/// Default of `[admin] listen`.
pub const ADMIN_LISTEN: &str = "127.0.0.1:9090";
/// Default of `[store] listen`.
pub const STORE_LISTEN: &str = "127.0.0.1:8123";
/// The store's user that only reads.
const ANALYST: &str = "analyst";
/// The user of the API, unless the file names another.
const API: &str = "api";
/// Default of `[store] database`.
pub const DATABASE: &str = "headwater";

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
    /// Names under which clients may call the API's port, besides the loopback ones and the listen address.
    pub api_hosts: Vec<String>,
    /// Other sites (`https://host[:port]`) whose pages may call the API.
    pub allowed_origins: Vec<String>,
    /// Where `/healthz`, `/readyz` and `/metrics` listen.
    pub admin_listen: SocketAddr,
    /// Names under which clients may call the admin port.
    pub admin_hosts: Vec<String>,
    /// `[api]` beyond its address.
    pub api: ApiDoor,
    /// Whom the doors let in.
    pub auth: Auth,
    /// Names this process to its groups.
    pub instance: String,
    /// The log.
    pub log: Log,
    /// The store.
    pub store: Store,
    /// The control store.
    pub control: Control,
    /// How endpoints are looked after.
    pub providers: Providers,
    /// The networks to follow.
    pub networks: Vec<Network>,
    /// The operator's contracts.
    pub contracts: Vec<Contract>,
    /// What may be asked of nodes for facts about contracts.
    pub causes: Causes,
    /// Who is asked for names and ABIs of contracts, in this order.
    pub contract_sources: Vec<ContractSource>,
    /// Where messages of alerts may go, and what alerts may cost.
    pub alerts: Alerts,
    /// What several processes of the API share.
    pub cache: Cache,
    /// What tenants may have, by plans; none of them: no more bounds than everybody's.
    pub plans: Vec<Plan>,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// A ClickHouse server; `None`: the embedded engine.
    pub url: Option<Url>,
    /// Where the embedded engine listens.
    pub listen: SocketAddr,
    /// Names under which clients may call the embedded engine.
    pub hosts: Vec<String>,
    /// Database.
    pub database: String,
    /// The stages' user.
    pub user: String,
    /// The stages' password; `None` with the embedded engine: generated once into the data directory.
    pub password: Option<Secret>,
    /// The API's user, who reads; with a `url` only where `api_password` is there too.
    pub api_user: String,
    /// The API's password; `None`: generated as above, and with a `url` the API asks as the stages' user.
    pub api_password: Option<Secret>,
    /// The analyst's password; `None` as above.
    pub analyst_password: Option<Secret>,
    /// Whether the analyst's user exists where the kernel cannot confine the engine to its own files.
    pub analyst_without_landlock: bool,
    /// Whether analysts read which contracts are watched; `None`: as [`Config::analysts_see_contracts`] says.
    pub analyst_contracts: Option<bool>,
    /// How long rows are kept, by their blocks' times, unless a network says otherwise; `None`: for ever.
    pub keep: Option<Duration>,
    /// How long windows are kept, by their beginning, whole months of them; `None`: for ever.
    pub keep_windows: Option<Duration>,
    /// Bytes on disk above which the oldest rows go; `None`: no bound.
    pub max_bytes: Option<u64>,
}

impl Store {
    /// What is no mistake but should be known where the embedded engine listens.
    pub fn warnings(&self) -> Vec<String> {
        if self.url.is_some() {
            let words = "[store] api_password: is left out beside `url`, so the API asks the store as the stages' user, and many \
                         readers can keep the sink waiting; make it a user of its own, as docs/clients.md describes";
            return self.api_password.is_none().then(|| words.to_owned()).into_iter().collect();
        }
        let open = !self.listen.ip().to_canonical().is_loopback();
        let words = format!(
            "[store] listen: other machines reach the store at {}, and it speaks no TLS: passwords and rows pass in the clear; \
             listen on 127.0.0.1 behind a proxy with TLS, or keep the port to a network that you trust",
            self.listen
        );
        open.then_some(words).into_iter().collect()
    }
}

impl Config {
    /// The doors that `[auth]` is about, by section.
    pub fn doors(&self) -> [(&'static str, SocketAddr); 2] {
        [("api", self.api_listen), ("admin", self.admin_listen)]
    }

    /// Whether analysts of the embedded store read which contracts are watched. Where everybody is one tenant there is nobody to keep it from.
    pub fn analysts_see_contracts(&self) -> bool {
        self.store.analyst_contracts.unwrap_or(self.auth.mode == AuthMode::None)
    }
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

/// A time as the file has it, such as `90d`, for arguments of commands.
///
/// # Errors
/// It is none; what to write.
pub fn time(text: &str) -> Result<Duration, String> {
    source::duration_of(text)
        .ok_or_else(|| "write a whole number and its unit (ms, s, m, h, d, w, y), such as 90d".to_owned())
}

/// Where the process that runs with this file can be asked, whatever else is wrong in it: its `[admin] listen`. Mistakes are for
/// [`load`], in the process that is asked: it may know environment variables that this one does not.
///
/// # Errors
/// The file cannot be read.
pub fn admin_of(file: &Path) -> Result<SocketAddr, ConfigError> {
    let text = read_text(file)?;
    let parsed = toml_span::parse(&text).ok();
    let written = parsed.as_ref().and_then(|root| root.pointer("/admin/listen")?.as_str()?.parse().ok());
    Ok(written.unwrap_or_else(|| ADMIN_LISTEN.parse().expect("the defaults are addresses")))
}

/// Reads and checks a file. Relative paths in it are relative to its folder.
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    let text = read_text(file)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    parse(&text, folder, &|name| std::env::var(name).ok())
        .map_err(|list| Mistakes { file: file.to_owned(), list }.into())
}

fn read_text(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > FILE_BYTES {
        return Err(unreadable(std::io::Error::other(format!("it has {size} bytes; at most {FILE_BYTES} are read"))));
    }
    std::fs::read_to_string(file).map_err(unreadable)
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
    let data_dir = read_data_dir(root.section("data", c), folder, c);

    let mut section = root.section("api", c);
    let api_listen = doors::listen(&mut section, "api", API_LISTEN, c);
    let api_hosts = doors::read_hosts(&mut section, c);
    let allowed_origins = doors::read_origins(&mut section, c);
    let api_door = api::read(&mut section, folder, c);
    section.finish(c);
    let mut section = root.section("admin", c);
    let admin = doors::listen(&mut section, "admin", ADMIN_LISTEN, c);
    let admin_hosts = doors::read_hosts(&mut section, c);
    section.finish(c);

    let auth = auth::read(root.section("auth", c), c);
    if let Some(mistake) = auth.without_url(api_door.public_url.as_ref()) {
        c.mistake(api_listen.at, &mistake.key, mistake.problem, mistake.cure);
    }
    for (mistake, door) in [&api_listen, &admin]
        .into_iter()
        .flat_map(|d| auth.open_doors(&[(d.section, d.address)]).into_iter().map(move |m| (m, d)))
    {
        c.mistake(door.at, &mistake.key, mistake.problem, mistake.cure);
    }

    let mut runtime = root.section("runtime", c);
    let instance = runtime.string("instance", c).map(|p| p.value);
    runtime.finish(c);

    let log = log::read(root.section("log", c), c);
    let (store, store_door) = read_store(root.section("store", c), c);
    // A store elsewhere takes no port of this machine.
    let embedded = store.url.is_none().then_some(&store_door);
    let listening: Vec<&Door> = [&api_listen, &admin].into_iter().chain(embedded).collect();
    doors::check_ports(&listening, c);
    let control = control::read(root.section("control", c), &data_dir, folder, c);
    let providers = providers::read(root.section("providers", c), c);
    let networks = network::read_all(root.sections("network", c), folder, c);
    let contracts = contracts::read_all(root.sections("contract", c), &networks, folder, c);
    let causes = causes::read(root.section("causes", c), folder, c);
    let contract_sources = causes::read_all(root.sections("contract_source", c), &networks, c);
    let alerts = alerts::read(root.section("alerts", c), &data_dir, folder, c);
    let cache = cache::read(root.section("cache", c), folder, c);
    let plans = plans::read(root.section("plans", c), c);
    let instance = instance.unwrap_or_else(|| format!("{}:{}", host_name(), data_dir.display()));
    Config {
        data_dir,
        api_listen: api_listen.address,
        api_hosts,
        allowed_origins,
        admin_listen: admin.address,
        admin_hosts,
        api: api_door,
        auth,
        instance,
        log,
        store,
        control,
        providers,
        networks,
        contracts,
        causes,
        contract_sources,
        alerts,
        cache,
        plans,
    }
}

/// Where the kernel shows itself: nothing can be kept there.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

fn read_data_dir(mut s: Section, folder: &Path, c: &mut Collector) -> PathBuf {
    let dir = s.string("dir", c).unwrap_or_else(|| Placed { value: "data".to_owned(), at: s.at() });
    let path = folder.join(&dir.value);
    let cure = "write a folder on a disk, such as \"data\" or \"/var/lib/headwater\"";
    if dir.value.trim().is_empty() {
        c.mistake(dir.at, &s.key("dir"), "is empty", cure);
    }
    let plain = without_dots(&path);
    if let Some(kernel) = KERNEL.iter().find(|k| plain.starts_with(k) && !plain.starts_with("/dev/shm")) {
        c.mistake(dir.at, &s.key("dir"), format!("lies in {kernel}, where nothing can be kept"), cure);
    }
    s.finish(c);
    path
}

/// The path without `.` and `..`, by its text alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

fn read_store(mut s: Section, c: &mut Collector) -> (Store, Door) {
    let url = s.parsed::<Url>("url", "a ClickHouse server, such as \"http://10.0.0.4:8123\"", c).and_then(|p| {
        let good = matches!(p.value.scheme(), "http" | "https") && p.value.host().is_some();
        if !good {
            c.mistake(p.at, &s.key("url"), "is not an http or https URL", "write one such as \"http://10.0.0.4:8123\"");
        }
        good.then_some(p.value)
    });
    let door = doors::listen(&mut s, "store", STORE_LISTEN, c);
    let hosts = doors::read_hosts(&mut s, c);
    let database = s.string("database", c);
    if let Some(p) = &database
        && !is_identifier(&p.value)
    {
        let problem = format!("`{}` is not a database name", p.value);
        c.mistake(p.at, &s.key("database"), problem, "write letters, digits and _, starting with a letter");
    }
    let user = s.string("user", c);
    check_user(user.as_ref(), &s.key("user"), "headwater", c);
    let api_user = s.string("api_user", c);
    check_user(api_user.as_ref(), &s.key("api_user"), API, c);
    let (stages, api) = (named(&user, "headwater"), named(&api_user, API));
    if stages == api {
        let (at, key) = match &api_user {
            Some(p) => (p.at, s.key("api_user")),
            None => (user.as_ref().map_or(s.at(), |p| p.at), s.key("user")),
        };
        let problem =
            format!("is `{api}`, as the {} is called", if api_user.is_some() { "stages' user" } else { "API's user" });
        c.mistake(at, &key, problem, "each of the two has a name of its own");
    }
    let password = s.string("password", c);
    doors::check_password(&door, s.key("password"), password.as_ref(), c);
    let api_password = s.string("api_password", c);
    doors::check_password(&door, s.key("api_password"), api_password.as_ref(), c);
    let analyst_password = s.string("analyst_password", c);
    doors::check_password(&door, s.key("analyst_password"), analyst_password.as_ref(), c);
    let analyst_without_landlock = s.boolean("analyst_without_landlock", c).unwrap_or(false);
    let analyst_contracts = s.boolean("analyst_contracts", c);
    let keep = s.duration("keep", "90d", limits::KEEP, c);
    let keep_windows = s.duration("keep_windows", "730d", limits::KEEP, c);
    let max_bytes = s.bytes("max_bytes", "200GiB", limits::STORE_BYTES_LEAST, c);
    if url.is_some() && password.is_none() {
        let cure = "add `password = \"${HEADWATER_STORE_PASSWORD}\"`; only the embedded store makes its own";
        c.mistake(s.at(), &s.key("password"), "is missing beside `url`", cure);
    }
    s.finish(c);
    let secret = |p: Placed<String>| Secret::new(p.value);
    let store = Store {
        url,
        listen: door.address,
        hosts,
        database: database.map_or_else(|| DATABASE.to_owned(), |p| p.value),
        user: stages,
        api_user: api,
        api_password: api_password.map(secret),
        password: password.map(secret),
        analyst_password: analyst_password.map(secret),
        analyst_without_landlock,
        analyst_contracts,
        keep,
        keep_windows,
        max_bytes,
    };
    (store, door)
}

/// A user's name as it is written, or the default.
fn named(user: &Option<Placed<String>>, default: &str) -> String {
    user.as_ref().map_or_else(|| default.to_owned(), |p| p.value.clone())
}

/// No user of ours is nameless, or the analyst.
fn check_user(user: Option<&Placed<String>>, key: &str, default: &str, c: &mut Collector) {
    let Some(p) = user.filter(|p| p.value.is_empty() || p.value == ANALYST) else { return };
    let problem = match p.value.is_empty() {
        true => "is empty".to_owned(),
        false => format!("is `{ANALYST}`, which is the user for people's SQL"),
    };
    c.mistake(p.at, key, problem, format!("write another name, or leave it out: \"{default}\""));
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
