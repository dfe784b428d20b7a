//! The Redis or Valkey server that processes of the API share (`[cache] redis`), in the clear or over TLS.
//!
//! Guarantee: it holds up nobody. What it does not answer in [`limits::SHARED_WITHIN`] it did not say, and it is asked again a second later;
//! meanwhile each process counts for itself. A connection is made by one task, which may take longer than any request waits. Over TLS the server
//! shows a certificate for its name by one of the authorities in `[cache] redis_ca`, or of the system's where that is left out; nothing else is
//! spoken to. No password is told, in no log.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, ScriptInvocation, TlsCertificates, aio::MultiplexedConnection,
};
use runtime::config::Cache;
use schemas::limits::quotas as limits;
use tokio::task::JoinHandle;

/// The server.
pub struct Server {
    client: Client,
    /// How long a request waits for it.
    within: Duration,
    state: Arc<Mutex<State>>,
    /// Held by who makes a connection.
    connecting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// It is not asked before.
    not_before: Option<Instant>,
    /// It was told that it is away.
    told: bool,
}

impl Server {
    /// The server of these settings, not asked yet; `None`: there is none, or it cannot be used, which is said in the log.
    pub fn of(cache: &Cache) -> Option<Self> {
        let url = cache.redis.as_ref()?;
        let made = match &cache.redis_ca {
            None => Client::open(url.expose()).map_err(|error| error.to_string()),
            Some(file) => std::fs::read(file).map_err(|error| format!("{}: {error}", file.display())).and_then(|pem| {
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
                Client::build_with_tls(url.expose(), certificates)
                    .map_err(|error| format!("{}: {error}", file.display()))
            }),
        };
        match made {
            Ok(client) => {
                Some(Self { client, within: limits::SHARED_WITHIN, state: Arc::default(), connecting: Arc::default() })
            }
            Err(words) => {
                tracing::error!(
                    words,
                    "`[cache] redis` cannot be used: each process counts for itself what organisations use"
                );
                None
            }
        }
    }

    /// Runs a script; `None`: the server did not say.
    pub(super) async fn ask<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Option<T> {
        if lock(&self.state).not_before.is_some_and(|at| Instant::now() < at) {
            return None;
        }
        let asked = async {
            let mut connection = self.connection().await?;
            call.invoke_async(&mut connection).await.map_err(|error| error.to_string())
        };
        let words = match tokio::time::timeout(self.within, asked).await {
            Ok(Ok(answer)) => {
                self.answered();
                return Some(answer);
            }
            // A server's words may name its address, not a password.
            Ok(Err(words)) => words,
            Err(_) => format!("no answer within {:?}", self.within),
        };
        self.unanswered(&words);
        None
    }

    /// The one that there is, or another. That is made beside the request, which may give up before.
    async fn connection(&self) -> Result<MultiplexedConnection, String> {
        let known = || lock(&self.state).connection.clone();
        if let Some(connection) = known() {
            return Ok(connection);
        }
        let one = Arc::clone(&self.connecting).lock_owned().await;
        if let Some(connection) = known() {
            return Ok(connection);
        }
        let (client, state) = (self.client.clone(), Arc::clone(&self.state));
        let (connect, within) = (limits::SHARED_CONNECT.max(self.within), self.within);
        let made: JoinHandle<Result<MultiplexedConnection, String>> = tokio::spawn(async move {
            let _one = one;
            let config = AsyncConnectionConfig::new();
            let config = config.set_connection_timeout(Some(connect)).set_response_timeout(Some(within));
            let made = client.get_multiplexed_async_connection_with_config(&config).await;
            let made = made.map_err(|error| error.to_string())?;
            lock(&state).connection = Some(made.clone());
            Ok(made)
        });
        made.await.map_err(|error| error.to_string())?
    }

    fn answered(&self) {
        if std::mem::take(&mut lock(&self.state).told) {
            tracing::info!("`[cache] redis` answers: what organisations use is counted over all processes");
        }
    }

    fn unanswered(&self, words: &str) {
        let mut state = lock(&self.state);
        (state.connection, state.not_before) = (None, Some(Instant::now() + limits::SHARED_AGAIN));
        if !std::mem::replace(&mut state.told, true) {
            tracing::warn!(
                words,
                "`[cache] redis` does not answer: each process counts for itself meanwhile what organisations use"
            );
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
        path::Path,
        process::{Child, Command, Stdio},
    };

    use control::Id;
    use runtime::config::{Rate, Secret};

    use super::*;

    /// What tests name the server by; `None`: there is none here, which is said.
    pub fn server() -> Option<Cache> {
        let Some(url) = std::env::var("HEADWATER_TEST_REDIS").ok() else {
            assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_REDIS is not set: run `scripts/redis run …`");
            eprintln!("SKIPPED: HEADWATER_TEST_REDIS is not set (run `scripts/redis run …`)");
            return None;
        };
        Some(Cache { redis: Some(Secret::new(url)), redis_ca: None })
    }

    pub fn tenant() -> Id {
        let digits: String = (0..16).map(|_| char::from(b'0' + fastrand::u8(..10))).collect();
        format!("01J0000000{digits}").parse().expect("an id")
    }

    impl Server {
        /// That wants an answer, however busy the machine is: what is answered too late was counted all the same.
        pub fn patient(cache: &Cache) -> Self {
            Self { within: Duration::from_secs(60), ..Self::of(cache).expect("a server") }
        }
    }

    /// A server of a test's own, over TLS alone, for as long as this is held.
    struct OverTls(Child, SocketAddr);

    impl OverTls {
        fn start(dir: &Path) -> Self {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let at = listener.local_addr().expect("bound");
            drop(listener);
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
            let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
            std::fs::write(&cert, made.cert.pem()).expect("written");
            std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
            let program = std::env::var_os("HEADWATER_REDIS").unwrap_or_else(|| "redis-server".into());
            let mut command = Command::new(program);
            command.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &at.port().to_string()]);
            command.args(["--tls-auth-clients", "no", "--save", "", "--appendonly", "no"]);
            command.arg("--dir").arg(dir).arg("--tls-cert-file").arg(&cert).arg("--tls-key-file").arg(&key);
            command.arg("--tls-ca-cert-file").arg(&cert).stdin(Stdio::null()).stdout(Stdio::null());
            let mut child = command.spawn().expect("a Redis");
            for _ in 0..500 {
                if TcpStream::connect(at).is_ok() {
                    break;
                }
                assert!(child.try_wait().expect("asked").is_none(), "this Redis speaks no TLS");
                std::thread::sleep(Duration::from_millis(20));
            }
            Self(child, at)
        }
    }

    impl Drop for OverTls {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn over_tls_who_shows_the_right_certificate_is_spoken_to_and_nobody_else() {
        if server().is_none() {
            return;
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a folder");
        let redis = OverTls::start(dir.path());
        let (rate, right) = (Rate { requests: 5, per: Duration::from_secs(60) }, dir.path().join("cert.pem"));
        let other = dir.path().join("other.pem");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(&other, made.cert.pem()).expect("written");
        let of = |url: String, ca: &Path| Cache { redis: Some(Secret::new(url)), redis_ca: Some(ca.to_owned()) };
        let by = |host: &str, ca: &Path| Server::patient(&of(format!("rediss://{host}:{}", redis.1.port()), ca));
        let clear = of(format!("redis://localhost:{}", redis.1.port()), &right);
        let standing = by("localhost", &right).count(&tenant(), rate).await.expect("an answer").expect("let in");
        assert_eq!(standing.used().0, 1);
        for (server, what) in [
            (by("localhost", &other), "another authority"),
            (by("127.0.0.1", &right), "another name"),
            (Server::patient(&Cache { redis_ca: None, ..clear }), "in the clear"),
        ] {
            assert!(server.count(&tenant(), rate).await.is_none(), "{what}");
        }
        // Nor is anybody kept waiting by a file that is not there, or is none.
        std::fs::write(&other, "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n").expect("written");
        for file in [&other, &dir.path().join("nowhere.pem")] {
            assert!(Server::of(&of("rediss://localhost".to_owned(), file)).is_none(), "{}", file.display());
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_holds_up_nobody() {
        let away = |url: &str| Server::of(&Cache { redis: Some(Secret::new(url.to_owned())), redis_ca: None });
        let server = away("redis://127.0.0.1:1").expect("a URL");
        let rate = Rate { requests: 1, per: Duration::from_secs(60) };
        let begun = Instant::now();
        for _ in 0..100 {
            assert!(server.count(&Id::DEFAULT_TENANT, rate).await.is_none());
        }
        assert!(begun.elapsed() < limits::SHARED_WITHIN * 10, "it is asked once a second: {:?}", begun.elapsed());
        assert!(away("http://127.0.0.1").is_none());
    }
}
