//! The connection to the store: ClickHouse's HTTP interface through the `clickhouse` crate, the same for the embedded engine
//! and for a server. Every call has a deadline; nothing is opened before the first call.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clickhouse::{Client, Compression, query::Query};
use schemas::limits;
use url::{Host, Url};

use crate::{
    error::{StoreError, StoreErrorKind},
    query::heads::Seen,
};

/// Where the store is and who we are to it.
#[derive(Clone)]
pub struct StoreConfig {
    /// Base URL of the HTTP interface, such as `http://127.0.0.1:8123`.
    pub url: Url,
    /// Database; letters, digits and `_`, not starting with a digit.
    pub database: String,
    /// The stages' user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How long a read may take.
    pub read_deadline: Duration,
    /// How long one insert may take before its outcome counts as unknown.
    pub write_deadline: Duration,
}

impl StoreConfig {
    /// With default deadlines.
    pub fn new(url: Url, database: impl Into<String>, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            url,
            database: database.into(),
            user: user.into(),
            password: password.into(),
            read_deadline: limits::STORE_READ_DEADLINE,
            write_deadline: limits::STORE_WRITE_DEADLINE,
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("url", &self.url.as_str())
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A handle on one database of the store. Cloning is cheap and shares connections.
#[derive(Clone)]
pub struct Store {
    client: Client,
    server: Client,
    config: StoreConfig,
    answered: Arc<Mutex<Option<Instant>>>,
    seen: Arc<Seen>,
}

impl Store {
    /// A handle; opens nothing. Fails when the database's name is not a plain identifier.
    pub fn connect(config: StoreConfig) -> Result<Self, StoreError> {
        let name = config.database.as_bytes();
        let plain = !name.is_empty()
            && name.len() <= limits::DATABASE_NAME_BYTES
            && !name[0].is_ascii_digit()
            && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if !plain {
            return Err(StoreError::new(
                StoreErrorKind::BadRequest,
                "connecting to the store",
                format!(
                    "`{}` is not a database name: letters, digits and _, not starting with a digit",
                    config.database
                ),
            ));
        }
        // On one machine compressing costs more than it saves.
        let near = match config.url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let server = Client::default()
            .with_compression(if near { Compression::None } else { Compression::Lz4 })
            .with_url(config.url.as_str().trim_end_matches('/'))
            .with_user(&config.user)
            .with_password(&config.password);
        let client = server.clone().with_database(&config.database);
        Ok(Self { client, server, config, answered: Arc::default(), seen: Arc::default() })
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.config.database
    }

    /// The same server, users and deadlines, with another database. Its name is one that was made from ours.
    pub(crate) fn beside(&self, database: String) -> Self {
        Self {
            client: self.server.clone().with_database(&database),
            config: StoreConfig { database, ..self.config.clone() },
            server: self.server.clone(),
            answered: Arc::clone(&self.answered),
            seen: Arc::default(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A client that names no database, for making one.
    pub(crate) fn server(&self) -> &Client {
        &self.server
    }

    /// Where heads of this database were when they were last asked for.
    pub(crate) fn heads(&self) -> &Seen {
        &self.seen
    }

    /// A read in our database, limited in time on the store's side too.
    pub(crate) fn read(&self, sql: &str) -> Query {
        let seconds = self.config.read_deadline.as_secs().max(1);
        self.client.query(sql).with_setting("max_execution_time", seconds.to_string())
    }

    /// Runs a read under the deadline.
    pub(crate) async fn within<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, StoreError> {
        let outcome = deadline(doing, self.config.read_deadline, call).await;
        if outcome.is_ok() {
            self.has_answered();
        }
        outcome
    }

    /// The store has answered just now.
    pub(crate) fn has_answered(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the store answers, within a second.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let one = self.server.query("SELECT 1").fetch_one::<u8>();
        deadline("asking whether the store is there", Duration::from_secs(1), one).await?;
        self.has_answered();
        Ok(())
    }

    /// Whether the store answers: it is asked only when nothing that was asked through this handle or a clone of it has been answered
    /// within `last`.
    pub async fn is_there(&self, last: Duration) -> Result<(), StoreError> {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        match answered {
            Some(at) if at.elapsed() < last => Ok(()),
            _ => self.ping().await,
        }
    }

    /// Waits until the store answers, at most this long. A wrong password fails at once.
    pub async fn wait_ready(&self, at_most: Duration) -> Result<(), StoreError> {
        let give_up = Instant::now() + at_most;
        loop {
            match self.ping().await {
                Ok(()) => return Ok(()),
                Err(e) if !e.is_transient() || Instant::now() >= give_up => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.config).finish()
    }
}

/// One statement with a deadline, its error classified. It is counted by what is done with it.
pub(crate) async fn deadline<T>(
    doing: &'static str,
    after: Duration,
    call: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, StoreError> {
    crate::metrics::statement(doing);
    match tokio::time::timeout(after, call).await {
        Ok(result) => result.map_err(|e| StoreError::of(doing, e)),
        Err(_) => Err(StoreError::deadline(doing, after)),
    }
}
