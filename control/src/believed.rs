//! What is believed of something that was asked of the store, for a while.
//!
//! Guarantee: an answer is believed for 2 s, asked for anew by one caller at a time, and used by nobody when it is older than twice that while
//! the store answers; while the store is away it is used for 10 minutes since it last was confirmed. What is not there finds a bounded number
//! of look-ups, and pushes nothing out that is.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures::future::BoxFuture;
use quick_cache::sync::Cache;
use schemas::limits::control as limits;
use tokio::sync::{Mutex, Semaphore};

use crate::{
    error::{Denied, Error},
    open::Trust,
};

/// An answer as it was when the store was last asked.
struct Entry<V> {
    value: V,
    checked: Instant,
    /// One caller at a time asks anew.
    asking: Mutex<()>,
    /// Milliseconds after `checked` before which the store, being away, is not asked again.
    again: AtomicU64,
}

/// Answers, by what was asked.
pub(crate) struct Believed<K, V> {
    /// What is asked for, for the log: `keys`.
    what: &'static str,
    trust: Trust,
    known: Cache<K, Arc<Entry<V>>>,
    unknown: Cache<K, Instant>,
    look_ups: Semaphore,
}

impl<K: Copy + Eq + Hash, V: Clone> Believed<K, V> {
    /// So many that are there, so many that are not, and so many look-ups of unknown ones at once.
    pub(crate) fn new(what: &'static str, trust: Trust, (known, unknown): (usize, usize), look_ups: usize) -> Self {
        Self { what, trust, known: Cache::new(known), unknown: Cache::new(unknown), look_ups: Semaphore::new(look_ups) }
    }

    /// In this process at once; in others within their time.
    pub(crate) fn forget(&self, key: &K) {
        self.known.remove(key);
    }

    /// The same of all.
    pub(crate) fn clear(&self) {
        self.known.clear();
    }

    /// The answer, asked for where that is due. Where what is remembered does not fit, however old it is, nothing is asked.
    pub(crate) async fn get<'a>(
        &self,
        key: K,
        fits: impl Fn(&V) -> bool,
        ask: impl Fn() -> BoxFuture<'a, Result<Option<V>, Error>>,
    ) -> Result<V, Denied> {
        match self.known.get(&key) {
            Some(entry) if !fits(&entry.value) => Err(Denied::Unknown),
            Some(entry) => self.present(key, entry, ask).await,
            None => self.first(key, ask).await,
        }
    }

    async fn present<'a>(
        &self,
        key: K,
        entry: Arc<Entry<V>>,
        ask: impl Fn() -> BoxFuture<'a, Result<Option<V>, Error>>,
    ) -> Result<V, Denied> {
        let Trust { fresh, while_away } = self.trust;
        let age = entry.checked.elapsed();
        if age < fresh {
            return Ok(entry.value.clone());
        }
        let _asking = match entry.asking.try_lock() {
            Ok(guard) => guard,
            // Somebody asks already.
            Err(_) if age < 2 * fresh => return Ok(entry.value.clone()),
            Err(_) => entry.asking.lock().await,
        };
        if let Some(newer) = self.known.get(&key)
            && newer.checked.elapsed() < fresh
        {
            return Ok(newer.value.clone());
        }
        if entry.again.load(Ordering::Relaxed) <= entry.checked.elapsed().as_millis() as u64 {
            match self.ask(key, ask).await {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => {
                    self.known.remove(&key);
                    return Err(Denied::Unknown);
                }
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "{} cannot be looked up; those that are known go on to work for a while",
                        self.what
                    );
                    let again = entry.checked.elapsed() + limits::KEY_LOOK_UP;
                    entry.again.store(again.as_millis() as u64, Ordering::Relaxed);
                }
            }
        }
        if entry.checked.elapsed() < while_away { Ok(entry.value.clone()) } else { Err(Denied::Away) }
    }

    async fn first<'a>(&self, key: K, ask: impl Fn() -> BoxFuture<'a, Result<Option<V>, Error>>) -> Result<V, Denied> {
        if self.unknown.get(&key).is_some_and(|at| at.elapsed() < self.trust.fresh) {
            return Err(Denied::Unknown);
        }
        let _turn = self.look_ups.try_acquire().map_err(|_| Denied::Busy)?;
        match self.ask(key, ask).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                self.unknown.insert(key, Instant::now());
                Err(Denied::Unknown)
            }
            Err(error) => {
                tracing::warn!(%error, "{} cannot be looked up, and this one is not known", self.what);
                Err(Denied::Away)
            }
        }
    }

    async fn ask<'a>(
        &self,
        key: K,
        ask: impl Fn() -> BoxFuture<'a, Result<Option<V>, Error>>,
    ) -> Result<Option<V>, Error> {
        // Counted from before the question: what ends while it is under way counts as not known yet.
        let checked = Instant::now();
        let found = tokio::time::timeout(limits::KEY_LOOK_UP, ask()).await;
        let found = found.map_err(|_| Error::Away(format!("no answer within {:?}", limits::KEY_LOOK_UP)))??;
        let Some(value) = found else { return Ok(None) };
        let entry = Entry { value: value.clone(), checked, asking: Mutex::new(()), again: AtomicU64::new(0) };
        self.known.insert(key, Arc::new(entry));
        Ok(Some(value))
    }
}
