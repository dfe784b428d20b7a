//! What the store shows of each network, asked at most once per interval by however many requests.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use schemas::Network;
use store::{Store, query::StoredNetwork};

use crate::error::ApiError;

/// The store's networks as last seen.
pub struct Visible {
    every: Duration,
    /// Held while the store is asked, so that one question answers all who wait.
    asking: tokio::sync::Mutex<Option<(Instant, Result<(), ApiError>)>>,
    known: Mutex<HashMap<String, StoredNetwork>>,
    answered: AtomicBool,
}

impl Visible {
    /// Nothing seen yet.
    pub fn new(every: Duration) -> Self {
        Self { every, asking: tokio::sync::Mutex::new(None), known: Mutex::default(), answered: AtomicBool::new(false) }
    }

    /// Asks the store, unless it was asked less than the interval ago.
    pub async fn refresh(&self, store: &Store) -> Result<(), ApiError> {
        let mut asking = self.asking.lock().await;
        if let Some((at, outcome)) = &*asking {
            if at.elapsed() < self.every {
                return outcome.clone();
            }
        }
        let outcome = match store.networks().await {
            Ok(networks) => {
                for network in &networks {
                    crate::metrics::visible(&network.network, network.processed_sequence);
                }
                let networks = networks.into_iter().map(|n| (n.network.clone(), n)).collect();
                *self.known.lock().unwrap_or_else(|e| e.into_inner()) = networks;
                self.answered.store(true, Relaxed);
                Ok(())
            }
            Err(error) => Err(ApiError::from_store(&error)),
        };
        *asking = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Whether the store has ever answered.
    pub fn was_seen(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// A network as last seen.
    pub fn of(&self, network: &str) -> Option<StoredNetwork> {
        self.known.lock().unwrap_or_else(|e| e.into_inner()).get(network).cloned()
    }

    /// Its last visible sequence, as last seen.
    pub fn sequence(&self, network: &Network) -> Option<u64> {
        self.of(network.as_str()).map(|n| n.processed_sequence)
    }

    /// All networks as last seen.
    pub fn networks(&self) -> Vec<StoredNetwork> {
        self.known.lock().unwrap_or_else(|e| e.into_inner()).values().cloned().collect()
    }
}
