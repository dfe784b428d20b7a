//! What the store shows of each network, asked at most once per interval by however many requests.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use schemas::TimeMs;
use store::{Store, StoreError, query::StoredNetwork};

use crate::{config::NetworkConfig, error::ApiError};

/// How long a store that has not answered yet is not worth a line in the log.
const QUIET: Duration = Duration::from_secs(20);

/// The store's networks as last seen.
pub struct Visible {
    every: Duration,
    since: Instant,
    /// Held while the store is asked, so that one question answers all who wait.
    asking: tokio::sync::Mutex<Option<(Instant, Result<(), ApiError>)>>,
    known: Mutex<HashMap<String, StoredNetwork>>,
    answered: AtomicBool,
}

impl Visible {
    /// Nothing seen yet.
    pub fn new(every: Duration) -> Self {
        Self {
            every,
            since: Instant::now(),
            asking: tokio::sync::Mutex::new(None),
            known: Mutex::default(),
            answered: AtomicBool::new(false),
        }
    }

    /// Asks the store, unless it was asked less than the interval ago. `configured` networks are asked for even when the sink
    /// has not told of them yet: its rows may be visible before its word.
    pub async fn refresh(&self, store: &Store, configured: &[NetworkConfig]) -> Result<(), ApiError> {
        let mut asking = self.asking.lock().await;
        if let Some((at, outcome)) = &*asking
            && at.elapsed() < self.every
        {
            return outcome.clone();
        }
        let outcome = match ask(store, configured).await {
            Ok(networks) => {
                for network in &networks {
                    crate::metrics::visible(&network.network, network.processed_sequence);
                }
                let networks = networks.into_iter().map(|n| (n.network.clone(), n)).collect();
                *self.known.lock().unwrap_or_else(|e| e.into_inner()) = networks;
                self.answered.store(true, Relaxed);
                Ok(())
            }
            Err(error) if self.may_be_starting(QUIET) => Err(ApiError::of_store(&error)),
            Err(error) => Err(ApiError::from_store(&error)),
        };
        *asking = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Whether the service is so young that a store that never answered may just be starting.
    pub fn may_be_starting(&self, grace: Duration) -> bool {
        !self.was_seen() && self.since.elapsed() < grace
    }

    /// Whether the store has ever answered.
    pub fn was_seen(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// A network as last seen.
    pub fn of(&self, network: &str) -> Option<StoredNetwork> {
        self.known.lock().unwrap_or_else(|e| e.into_inner()).get(network).cloned()
    }

    /// All networks as last seen.
    pub fn networks(&self) -> Vec<StoredNetwork> {
        self.known.lock().unwrap_or_else(|e| e.into_inner()).values().cloned().collect()
    }
}

async fn ask(store: &Store, configured: &[NetworkConfig]) -> Result<Vec<StoredNetwork>, StoreError> {
    let mut networks = store.networks().await?;
    for NetworkConfig { network, family } in configured {
        if networks.iter().all(|n| n.network != network.as_str()) {
            networks.push(StoredNetwork {
                network: network.to_string(),
                family: family.to_string(),
                state: String::new(),
                message: String::new(),
                state_since: TimeMs::default(),
                processed_sequence: store.processed_sequence(network.as_str()).await?,
                head: store.head(network.as_str()).await?,
            });
        }
    }
    Ok(networks)
}
