//! What each tenant asks of this process: how much in a minute and a day, how many connections, and which share of the places that all share.
//!
//! Guarantee: nobody is let in beyond its plan. Requests of a minute are counted by GCRA, and connections, over all processes where there is a
//! Redis server ([`shared`], [`sockets`]), else in this process; those of a day over all processes,
//! of which each knows the others' to a few seconds. What is known of a plan is believed for 5 s, is asked anew beside the requests, and goes
//! on to hold while the control store is away. What was used is written down every 4 s ([`Tenants::flush`]), each flush once whatever is
//! killed. While several tenants ask, one that takes more than its share of the places leaves the last quarter of them to others. Memory is
//! bounded by the tenants that asked of late.

mod account;
mod server;
mod shared;
mod sockets;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use control::{Authenticated, Control, Id, Metered};
use runtime::config::Cache;
use schemas::{Quota, TimeMs, limits::quotas as limits};

use account::Look;
pub use account::{Account, Now, Place, Places, Present};
use server::Server;
use sockets::Telling;

use crate::{door::Standing, error::ApiError};

/// A flush that is under way, or whose end is not known.
struct Flush {
    number: i64,
    counted: Vec<Metered>,
}

/// What is written down, one after the other.
#[derive(Default)]
struct Ledger {
    /// The number of the last one that was begun.
    number: i64,
    /// What was begun and is not known to be written: with the same number and sums until it is.
    open: Vec<Flush>,
}

/// All that asked of late.
pub struct Tenants {
    /// A name that no other process has or had.
    instance: String,
    accounts: RwLock<HashMap<Id, Arc<Account>>>,
    ledger: tokio::sync::Mutex<Ledger>,
    /// The server that counts for all processes, and the name under which this one speaks to it.
    telling: Option<Telling>,
    /// Since when nobody could say what plans give.
    silent: Mutex<Option<std::time::Instant>>,
}

impl Tenants {
    /// For the process of this name, and what it shares with others.
    pub fn new(instance: &str, cache: &Cache) -> Self {
        Self::by(instance, Server::of(cache))
    }

    fn by(instance: &str, server: Option<Server>) -> Self {
        let instance = format!("{instance} {:032x}", fastrand::u128(..));
        Self {
            telling: server.map(|server| Telling {
                server: Arc::new(server),
                process: instance.as_str().into(),
                lease: limits::SOCKETS_LEASE,
            }),
            instance,
            accounts: RwLock::default(),
            ledger: tokio::sync::Mutex::default(),
            silent: Mutex::default(),
        }
    }

    /// Somebody's tenant.
    pub fn of(&self, who: &Authenticated) -> Arc<Account> {
        let id = who.tenant().id();
        if let Some(account) = self.known(id) {
            return account;
        }
        let mut accounts = self.accounts.write().unwrap_or_else(|e| e.into_inner());
        Arc::clone(accounts.entry(*id).or_insert_with(|| Arc::new(Account::new(who.tenant().clone()))))
    }

    /// A tenant, where it asked of late.
    pub fn known(&self, id: &Id) -> Option<Arc<Account>> {
        self.accounts.read().unwrap_or_else(|e| e.into_inner()).get(id).cloned()
    }

    /// Counts a request of somebody, unless its tenant used up what it may. `standing` becomes the tighter of what it was and the tenant's.
    ///
    /// # Errors
    /// Too many: of the minute, or of the day.
    pub async fn admit(
        &self,
        control: Option<Arc<Control>>,
        who: &Authenticated,
        standing: &mut Option<Standing>,
    ) -> Result<Arc<Account>, ApiError> {
        let account = self.of(who);
        if let Some(control) = control {
            self.know(&control, &account).await;
        }
        let shared = self.telling.as_ref().and_then(|telling| Some((&telling.server, account.rate()?)));
        let by_all = match shared {
            Some((server, rate)) if account.may_ask(Now::new()).is_ok() => server.count(who.tenant().id(), rate).await,
            _ => None,
        };
        match account.request(Now::new(), by_all) {
            Ok(None) => {}
            Ok(Some(theirs)) => *standing = Some(standing.map_or(theirs, |standing| standing.tighter(theirs))),
            Err((theirs, wait)) => {
                *standing = Some(theirs);
                return Err(ApiError::TooFast { standing: theirs, wait });
            }
        }
        Ok(account)
    }

    /// Looks its plan up, where it is not known at all; else beside the request, where it has been known for long.
    async fn know(&self, control: &Arc<Control>, account: &Arc<Account>) {
        let is_known = match account.look() {
            Look::Good => return,
            Look::Old => true,
            Look::Unknown => false,
        };
        let look = {
            let (control, account) = (Arc::clone(control), Arc::clone(account));
            async move {
                let standing = tokio::time::timeout(limits::LOOK_UP, control.standing(account.tenant())).await;
                match standing {
                    Ok(Ok(standing)) => account.know(Some(standing), Now::new()),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a tenant's plan could not be looked up");
                        account.know(None, Now::new());
                    }
                    Err(_) => account.know(None, Now::new()),
                }
            }
        };
        if is_known {
            drop(tokio::spawn(look));
            return;
        }
        // Who else comes meanwhile waits for the same answer.
        let _one = account.looking().await;
        if matches!(account.look(), Look::Unknown) && tokio::spawn(look).await.is_err() {
            account.know(None, Now::new());
        }
    }

    fn all(&self) -> Vec<Arc<Account>> {
        self.accounts.read().unwrap_or_else(|e| e.into_inner()).values().map(Arc::clone).collect()
    }

    /// Whether several tenants ask.
    pub fn are_several(&self) -> bool {
        self.accounts.read().unwrap_or_else(|e| e.into_inner()).len() > 1
    }

    /// Writes down what was used, and says to other processes which connections are here, for ever.
    pub async fn follow(&self, control: &Control) {
        tokio::join!(self.write_down(control), self.renew());
    }

    async fn write_down(&self, control: &Control) {
        let mut every = tokio::time::interval(limits::FLUSH_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.flush(control).await;
            self.forget();
        }
    }

    /// Writes down what was used. What does not succeed is tried again with the next, and counts once.
    pub async fn flush(&self, control: &Control) {
        let mut ledger = self.ledger.lock().await;
        if ledger.open.is_empty() {
            let counted: Vec<Metered> = self.all().iter().flat_map(|account| account.counted(Now::new())).collect();
            for counted in counted.chunks(limits::FLUSH_TENANTS) {
                ledger.number += 1;
                let flush = Flush { number: ledger.number, counted: counted.to_vec() };
                ledger.open.push(flush);
            }
        }
        while let Some(flush) = ledger.open.first() {
            match control.meter(&self.instance, flush.number, &flush.counted).await {
                Ok(sums) => {
                    self.told();
                    for metered in &flush.counted {
                        let sum = sums.get(&(metered.tenant, metered.quota)).copied();
                        if let Some(account) = self.known(&metered.tenant) {
                            account.written(metered, sum);
                        }
                    }
                    ledger.open.remove(0);
                }
                Err(error) => {
                    self.untold(&error);
                    return;
                }
            }
        }
    }

    fn told(&self) {
        let since = self.silent.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(since) = since {
            tracing::info!(seconds = since.elapsed().as_secs(), "what tenants use is written down again");
        }
    }

    fn untold(&self, error: &control::Error) {
        let mut silent = self.silent.lock().unwrap_or_else(|e| e.into_inner());
        if silent.is_none() {
            tracing::warn!(%error, "what tenants use cannot be written down; it is counted on, and written when the control store is back");
            *silent = Some(std::time::Instant::now());
        }
    }

    /// Forgets who asked nothing for long.
    fn forget(&self) {
        let mut accounts = self.accounts.write().unwrap_or_else(|e| e.into_inner());
        accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.is_idle());
    }
}

/// How long until the next day (UTC) begins.
pub fn until_tomorrow(now: TimeMs) -> Duration {
    let left = Control::day_of(now).0 + 86_400_000 - now.0;
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

/// What of a day is counted.
pub(crate) const OF_A_DAY: [Quota; 2] = [Quota::RequestsPerDay, Quota::BacktestRows];

#[cfg(test)]
mod tests;
