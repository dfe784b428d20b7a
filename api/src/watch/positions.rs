//! How far the store shows each network that somebody waits for.
//!
//! Guarantee: however many wait, the store is asked about a network at most once per interval, by one task, which ends with the
//! last of them; all wake when the answer changes, and not before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use schemas::Network;
use store::{Store, StoreError, query::StoredPosition};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;

/// What the store last said; `None` before the first answer.
pub type Known = Option<Result<StoredPosition, ApiError>>;

type Senders = Arc<Mutex<HashMap<Network, watch::Sender<Known>>>>;

/// The positions of networks that somebody waits for.
pub struct Positions {
    every: Duration,
    networks: Senders,
}

impl Positions {
    /// Nobody waits yet.
    pub fn new(every: Duration) -> Self {
        Self { every, networks: Arc::default() }
    }

    /// What the store says of the network, for as long as the receiver is kept.
    pub fn follow(&self, store: &Store, network: &Network, shutdown: &CancellationToken) -> watch::Receiver<Known> {
        let mut networks = self.networks.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = networks.get(network) {
            return known.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        networks.insert(network.clone(), sender);
        let asking = ask(self.every, store.clone(), network.clone(), Arc::clone(&self.networks));
        let shutdown = shutdown.clone();
        tokio::spawn(async move { shutdown.run_until_cancelled(asking).await });
        receiver
    }
}

/// Asks again and again, until nobody waits.
async fn ask(every: Duration, store: Store, network: Network, networks: Senders) {
    loop {
        let answer = store.position(network.as_str()).await;
        if let Ok(position) = &answer {
            crate::metrics::visible(network.as_str(), position.sequence);
        }
        if let Some(known) = networks.lock().unwrap_or_else(|e| e.into_inner()).get(&network) {
            known.send_if_modified(|last| tell(last, &network, answer));
        }
        tokio::time::sleep(every).await;
        // Whoever comes to wait does so under the same lock.
        let mut networks = networks.lock().unwrap_or_else(|e| e.into_inner());
        if networks.get(&network).is_none_or(|known| known.receiver_count() == 0) {
            networks.remove(&network);
            return;
        }
    }
}

/// Whether the answer is another one.
fn tell(last: &mut Known, network: &Network, answer: Result<StoredPosition, StoreError>) -> bool {
    let answer = match answer {
        Ok(position) => Ok(position),
        Err(error) if matches!(last, Some(Err(_))) => Err(ApiError::of_store(&error)),
        Err(error) => {
            tracing::warn!(%network, %error, "WebSocket replays wait for the store");
            Err(ApiError::of_store(&error))
        }
    };
    let before = last.replace(answer);
    before != *last
}
