//! Connections of a tenant over all processes, by the server that they share.
//!
//! Guarantee: each process says how many it has, under its own name and for [`limits::SOCKETS_LEASE`]; a new connection is let in by one script,
//! which adds up what the others said, so that however many come at once over however many processes, no more are let in than the plan gives.
//! What a killed process had counts until its lease ends. A server that does not say holds up nobody: meanwhile the plan's number holds for
//! each process, and connections that are there stay. Shown by `tests.rs`, on a real server.

use std::{
    sync::{Arc, LazyLock, atomic::Ordering},
    time::Duration,
};

use control::Id;
use redis::Script;
use schemas::{Quota, limits::quotas as limits};

use super::{Account, Tenants, account::Socket, server::Server};
use crate::error::ApiError;

/// A hash of each tenant: by process how many it has, and until when that holds, in milliseconds by the server's clock. Answers whether this
/// many may be here, and how many the others have. `ARGV`: the process, how many it has (with the new one), the most over all or -1, the lease.
const COUNT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own, most, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local others = 0
local said = redis.call('HGETALL', KEYS[1])
for at = 1, #said, 2 do
  if said[at] ~= ARGV[1] then
    local count, ends = string.match(said[at + 1], '^(%d+) (%d+)$')
    if ends and tonumber(ends) > now then
      others = others + tonumber(count)
    else
      redis.call('HDEL', KEYS[1], said[at])
    end
  end
end
if most >= 0 and others + own > most then
  return {0, others}
end
if own > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%d %.0f', own, now + lease))
  if redis.call('PTTL', KEYS[1]) < lease then
    redis.call('PEXPIRE', KEYS[1], lease)
  end
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return {1, others}
";
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(COUNT));

/// How connections of this process are told to the others.
#[derive(Clone)]
pub(super) struct Telling {
    pub(super) server: Arc<Server>,
    pub(super) process: Arc<str>,
    /// How long it holds.
    pub(super) lease: Duration,
}

impl Telling {
    /// Says that this process has so many connections of a tenant. `Ok`: how many the others have; `Err`: the same, and these would be more
    /// than `most`, so that nothing was said. `None`: the server did not say.
    async fn say(&self, tenant: &Id, own: usize, most: Option<i64>) -> Option<Result<i64, i64>> {
        let mut call = SCRIPT.key(format!("headwater:sockets:{tenant}"));
        let lease = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        call.arg(&*self.process).arg(own).arg(most.unwrap_or(-1)).arg(lease);
        let (let_in, others): (i64, i64) = self.server.ask(&call).await?;
        Some(if let_in == 1 { Ok(others) } else { Err(others) })
    }

    /// Says how many there are now.
    async fn tell(&self, account: &Account) -> bool {
        let _one = account.counting.lock().await;
        account.untold.store(false, Ordering::Release);
        let own = account.sockets.load(Ordering::Acquire);
        match self.say(account.tenant().id(), own, None).await {
            Some(Ok(others) | Err(others)) => {
                account.others.store(others, Ordering::Release);
                true
            }
            None => false,
        }
    }

    /// A connection has gone: the others hear of it at once, and of many that go together by one word.
    pub(super) fn gone(self, account: Arc<Account>) {
        if account.untold.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move { self.tell(&account).await }));
        }
    }
}

impl Tenants {
    /// A place for one connection.
    ///
    /// # Errors
    /// There are as many as the plan gives: over all processes where they share a server that answers, else in this one.
    pub async fn socket(&self, account: &Arc<Account>) -> Result<Socket, ApiError> {
        let Some(telling) = self.telling.clone() else { return account.socket() };
        // One after the other: each says a number that is so.
        let _one = account.counting.lock().await;
        let socket = account.socket()?;
        let (own, limit) = (account.sockets.load(Ordering::Acquire), account.most_sockets());
        match telling.say(account.tenant().id(), own, limit).await {
            Some(Err(others)) => {
                let used = others.saturating_add(i64::try_from(own).unwrap_or(i64::MAX)) - 1;
                Err(ApiError::Quota { name: Quota::Sockets, limit: limit.unwrap_or(used), used })
            }
            Some(Ok(others)) => {
                account.others.store(others, Ordering::Release);
                Ok(socket.told_by(telling))
            }
            None => Ok(socket.told_by(telling)),
        }
    }

    /// Asks how many connections the other processes have of it, where they share a server.
    pub async fn hear(&self, account: &Account) {
        if let Some(telling) = &self.telling {
            telling.tell(account).await;
        }
    }

    /// Says of all connections of this process that they are there still, for ever.
    pub(super) async fn renew(&self) {
        let Some(telling) = &self.telling else { return std::future::pending().await };
        let mut every = tokio::time::interval(limits::SOCKETS_RENEWED);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let any = |account: &&Arc<Account>| {
                account.sockets.load(Ordering::Acquire) > 0 || account.others.load(Ordering::Acquire) > 0
            };
            for account in self.all().iter().filter(any) {
                // Away: with the next turn.
                if !telling.tell(account).await {
                    break;
                }
            }
        }
    }
}
