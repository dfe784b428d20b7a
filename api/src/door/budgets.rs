//! How much who may ask: GCRA (`governor`), by key and by person, and by address for callers without either.
//!
//! Guarantee: bounded memory; what is pushed out begins anew. An IPv6 caller is its /64, which is what one customer has. Each process counts
//! for itself.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use control::{Authenticated, Id};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use quick_cache::sync::Cache;
use runtime::config::Rate;
use schemas::limits;

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// A key, from wherever it comes.
    Key(Id),
    /// A person, with whatever session.
    Person(Id),
    /// An address.
    Address(IpAddr),
    /// An address, for attempts to log in.
    LogIn(IpAddr),
}

impl Counted {
    /// Whoever was let in, unless it is anybody.
    pub fn of(who: &Authenticated) -> Option<Self> {
        who.key().map(|id| Self::Key(*id)).or(who.user().map(|id| Self::Person(*id)))
    }

    /// By address, IPv6 by /64.
    pub fn at(ip: IpAddr) -> IpAddr {
        match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip) & !u128::from(u64::MAX))),
            v4 => v4,
        }
    }
}

type State = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// One that is counted, in this process.
pub struct Bucket {
    rate: Rate,
    state: State,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate) -> Self {
        let burst = NonZeroU32::new(rate.requests).unwrap_or(NonZeroU32::MIN);
        let one = (rate.per / burst.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(one).map_or_else(|| Quota::per_second(burst), |quota| quota.allow_burst(burst));
        Self { rate, state: RateLimiter::direct(quota).with_middleware() }
    }

    /// How much it holds, and in what time that comes anew.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Counts one. `Err`: too many; how long until the next.
    pub fn count(&self) -> Result<Standing, (Standing, Duration)> {
        let limit = self.rate.requests;
        match self.state.check() {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let missing = self.rate.per / limit.max(1) * limit.saturating_sub(remaining);
                Ok(Standing { limit, remaining, reset: up(missing) })
            }
            Err(not) => {
                let wait = not.wait_time_from(self.state.clock().now());
                Err((Standing { limit, remaining: 0, reset: up(self.rate.per) }, wait))
            }
        }
    }
}

/// How somebody stands, for the answer's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    /// Seconds until all of it is there again.
    reset: u64,
}

impl Standing {
    /// So much is allowed, so much of it is left, and all of it is there again after that time.
    pub fn new(limit: u32, remaining: u32, reset: Duration) -> Self {
        Self { limit, remaining, reset: up(reset) }
    }

    /// The one that lets less through.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        if other.remaining < self.remaining { other } else { self }
    }

    /// How many of them have been used, and the seconds until none is.
    pub fn used(&self) -> (u32, u64) {
        (self.limit.saturating_sub(self.remaining), self.reset)
    }

    /// How many there may be at once.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Says it (draft-ietf-httpapi-ratelimit-headers).
    pub fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            ("ratelimit-limit", u64::from(self.limit)),
            ("ratelimit-remaining", u64::from(self.remaining)),
            ("ratelimit-reset", self.reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

/// All who are counted.
pub struct Budgets {
    rate: Rate,
    buckets: Cache<Counted, Arc<Bucket>>,
}

impl Budgets {
    /// So much for each.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Cache::new(limits::RATE_CALLERS) }
    }

    /// Counts one request. `Err`: too many; how long until the next.
    pub fn count(&self, who: Counted) -> Result<Standing, (Standing, Duration)> {
        let rate = match who {
            Counted::LogIn(_) => Rate { requests: limits::LOG_INS, per: Duration::from_secs(60) },
            Counted::Key(_) | Counted::Person(_) | Counted::Address(_) => self.rate,
        };
        let bucket = self.buckets.get(&who).unwrap_or_else(|| {
            let made = Arc::new(Bucket::new(rate));
            self.buckets.insert(who, Arc::clone(&made));
            made
        });
        bucket.count()
    }
}

/// Whole seconds, rounded up.
pub fn up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_is_told_when_to_come_back() {
        let budgets = Budgets::new(Rate { requests: 3, per: Duration::from_secs(60) });
        let at = |text: &str| Counted::Address(Counted::at(text.parse().expect("address")));
        let left: Vec<u32> = (0..3).map(|_| budgets.count(at("10.0.0.1")).expect("free").remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let (standing, wait) = budgets.count(at("10.0.0.1")).expect_err("used up");
        assert_eq!((standing.limit, standing.remaining, standing.reset), (3, 0, 60));
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        assert!(budgets.count(at("10.0.0.2")).is_ok());
        assert!(budgets.count(at("2001:db8::1")).is_ok());
        assert_eq!(budgets.count(at("2001:db8::2")).expect("free").remaining, 1, "the same /64");
        assert_eq!(budgets.count(at("2001:db8:0:1::2")).expect("free").remaining, 2);
        assert_eq!(up(Duration::from_millis(1)), 1);
    }
}
