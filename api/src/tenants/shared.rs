//! Requests of a minute, counted over all processes by a Redis or Valkey server (`[cache] redis`).
//!
//! Guarantee: a tenant's requests are counted by GCRA in one script on the server and by the server's clock, so that all processes together let
//! in what one would. A server that is away, or does not answer in [`limits::SHARED_WITHIN`], holds up nobody: each process counts for itself
//! until the server is asked again, a second later. Keys end by themselves when they say no more than a missing one does.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use control::Id;
use redis::{AsyncConnectionConfig, Client, Script, aio::MultiplexedConnection};
use runtime::config::{Rate, Secret};
use schemas::limits::quotas as limits;

use crate::door::Standing;

/// All that is kept is when the bucket will be full again (the theoretical arrival time), in microseconds. Answers whether it was let in,
/// how many more may come at once, how long until the next, and how long until all of it is there again.
const GCRA: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local one, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
if full < now then full = now end
local then_full = full + one
local allowed_at = then_full - burst * one
if allowed_at > now then
  return {0, 0, allowed_at - now, full - now}
end
redis.call('SET', KEYS[1], string.format('%.0f', then_full), 'PX', math.ceil((then_full - now) / 1000))
return {1, math.floor((now - allowed_at) / one), 0, then_full - now}
";

/// How long a server that did not answer is left alone.
const AGAIN: Duration = Duration::from_secs(1);

/// The server.
pub struct Shared {
    client: Client,
    script: Script,
    /// How long a request waits for it.
    within: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// It is not asked before.
    not_before: Option<Instant>,
    /// It was told that it is away.
    told: bool,
}

impl Shared {
    /// The server of this URL, not asked yet; `None`: the URL cannot be used, which is said in the log.
    pub fn of(url: &Secret) -> Option<Self> {
        match Client::open(url.expose()) {
            Ok(client) => {
                let (script, within) = (Script::new(GCRA), limits::SHARED_WITHIN);
                Some(Self { client, script, within, state: Mutex::default() })
            }
            Err(error) => {
                tracing::error!(%error, "`[cache] redis` cannot be used: each process counts tenants' requests for itself");
                None
            }
        }
    }

    /// Counts a request of a tenant; `None`: the server did not say.
    pub async fn count(&self, tenant: &Id, rate: Rate) -> Option<Result<Standing, (Standing, Duration)>> {
        if self.state().not_before.is_some_and(|at| Instant::now() < at) {
            return None;
        }
        let asked = tokio::time::timeout(self.within, self.ask(tenant, rate)).await;
        let words = match asked {
            Ok(Ok((let_in, remaining, wait, full))) => {
                self.answered();
                let micros = |n: i64| Duration::from_micros(u64::try_from(n).unwrap_or(0));
                let remaining = u32::try_from(remaining).unwrap_or(0);
                let standing = Standing::new(rate.requests, remaining, micros(full));
                return Some(if let_in == 1 { Ok(standing) } else { Err((standing, micros(wait))) });
            }
            // A server's words may name its address, not a password.
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", self.within),
        };
        self.unanswered(&words);
        None
    }

    async fn ask(&self, tenant: &Id, rate: Rate) -> redis::RedisResult<(i64, i64, i64, i64)> {
        let known = self.state().connection.clone();
        let mut connection = match known {
            Some(connection) => connection,
            None => {
                let config = AsyncConnectionConfig::new();
                let config = config.set_connection_timeout(Some(self.within)).set_response_timeout(Some(self.within));
                let made = self.client.get_multiplexed_async_connection_with_config(&config).await?;
                self.state().connection = Some(made.clone());
                made
            }
        };
        let one = rate.per.as_micros() / u128::from(rate.requests.max(1));
        let one = u64::try_from(one).unwrap_or(u64::MAX).max(1);
        let key = format!("headwater:requests:{tenant}");
        self.script.key(key).arg(one).arg(rate.requests).invoke_async(&mut connection).await
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn answered(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.told) {
            tracing::info!("`[cache] redis` answers: tenants' requests are counted over all processes");
        }
    }

    fn unanswered(&self, words: &str) {
        let mut state = self.state();
        (state.connection, state.not_before) = (None, Some(Instant::now() + AGAIN));
        if !std::mem::replace(&mut state.told, true) {
            tracing::warn!(
                words,
                "`[cache] redis` does not answer: each process counts tenants' requests for itself meanwhile"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn server() -> Option<Secret> {
        let Some(url) = std::env::var("HEADWATER_TEST_REDIS").ok() else {
            assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_REDIS is not set: run `scripts/redis run …`");
            eprintln!("SKIPPED: HEADWATER_TEST_REDIS is not set (run `scripts/redis run …`)");
            return None;
        };
        Some(Secret::new(url))
    }

    fn tenant() -> Id {
        let digits: String = (0..16).map(|_| char::from(b'0' + fastrand::u8(..10))).collect();
        format!("01J0000000{digits}").parse().expect("an id")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn processes_let_in_together_what_one_would() {
        let Some(url) = server() else { return };
        // What is answered too late was counted all the same: nobody gives up here, however busy the machine is.
        let patient = || Shared { within: Duration::from_secs(60), ..Shared::of(&url).expect("a server") };
        let processes: Vec<Arc<Shared>> = (0..4).map(|_| Arc::new(patient())).collect();
        let (one, other) = (tenant(), tenant());
        let rate = Rate { requests: 50, per: Duration::from_secs(3_600) };
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..200_usize {
            let shared = Arc::clone(&processes[n % 4]);
            tasks.spawn(async move { shared.count(&one, rate).await.expect("an answer") });
        }
        let mut let_in = 0;
        while let Some(said) = tasks.join_next().await {
            match said.expect("no panic") {
                Ok(_) => let_in += 1,
                Err((standing, wait)) => {
                    assert_eq!((standing.limit(), standing.used().0), (50, 50));
                    assert!(wait > Duration::from_secs(1) && wait <= Duration::from_secs(72), "{wait:?}");
                }
            }
        }
        assert_eq!(let_in, 50);
        let others = processes[0].count(&other, rate).await.expect("an answer").expect("let in");
        assert_eq!(others.used().0, 1);
    }

    #[tokio::test]
    async fn a_server_that_is_away_holds_up_nobody() {
        let shared = Shared::of(&Secret::new("redis://127.0.0.1:1")).expect("a URL");
        let rate = Rate { requests: 1, per: Duration::from_secs(60) };
        let begun = Instant::now();
        for _ in 0..100 {
            assert!(shared.count(&Id::DEFAULT_TENANT, rate).await.is_none());
        }
        assert!(begun.elapsed() < limits::SHARED_WITHIN * 10, "it is asked once a second: {:?}", begun.elapsed());
        assert!(Shared::of(&Secret::new("http://127.0.0.1")).is_none());
    }
}
