//! Requests of a minute, counted over all processes by a Redis or Valkey server (`[cache] redis`).
//!
//! Guarantee: a tenant's requests are counted by GCRA in one script on the server and by the server's clock, so that all processes together let
//! in what one would. A server that does not say ([`Server`]) holds up nobody: each process counts for itself meanwhile. Keys end by themselves
//! when they say no more than a missing one does.

use std::{sync::LazyLock, time::Duration};

use control::Id;
use redis::Script;
use runtime::config::Rate;

use super::server::Server;
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
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(GCRA));

impl Server {
    /// Counts a request of a tenant; `None`: the server did not say.
    pub async fn count(&self, tenant: &Id, rate: Rate) -> Option<Result<Standing, (Standing, Duration)>> {
        let one = rate.per.as_micros() / u128::from(rate.requests.max(1));
        let one = u64::try_from(one).unwrap_or(u64::MAX).max(1);
        let mut call = SCRIPT.key(format!("headwater:requests:{tenant}"));
        let (let_in, remaining, wait, full): (i64, i64, i64, i64) = self.ask(call.arg(one).arg(rate.requests)).await?;
        let micros = |n: i64| Duration::from_micros(u64::try_from(n).unwrap_or(0));
        let standing = Standing::new(rate.requests, u32::try_from(remaining).unwrap_or(0), micros(full));
        Some(if let_in == 1 { Ok(standing) } else { Err((standing, micros(wait))) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::server::tests::{server, tenant},
        *,
    };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn processes_let_in_together_what_one_would() {
        let Some(cache) = server() else { return };
        let processes: Vec<Arc<Server>> = (0..4).map(|_| Arc::new(Server::patient(&cache))).collect();
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
}
