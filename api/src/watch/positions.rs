//! How far the store shows each network that somebody waits for.
//!
//! Guarantee: however many wait, the store is asked about a network at most once per interval, by one task, which ends with the
//! last of them; all wake when the answer changes, and not before. It is asked at that pace only while there is something to wait for:
//! the log has brought an event that the store does not show yet, or the store does not answer. Otherwise the log's next event has it
//! asked, and now and then it is asked all the same ([`QUIET`] intervals): rows may be there of which the log told before this
//! process listened, and the sink may halt a network.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use schemas::Network;
use store::{Store, StoreError, query::StoredPosition};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{error::ApiError, live::Ring};

/// How many intervals pass between two questions while nothing happens.
const QUIET: u32 = 10;

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

    /// What the store says of the ring's network, for as long as the receiver is kept.
    pub fn follow(&self, store: &Store, ring: &Arc<Ring>, shutdown: &CancellationToken) -> watch::Receiver<Known> {
        let network = ring.network();
        let mut networks = self.networks.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = networks.get(network) {
            return known.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        networks.insert(network.clone(), sender);
        let asking = ask(self.every, store.clone(), Arc::clone(ring), Arc::clone(&self.networks));
        let shutdown = shutdown.clone();
        tokio::spawn(async move { shutdown.run_until_cancelled(asking).await });
        receiver
    }
}

/// Asks again and again, until nobody waits.
async fn ask(every: Duration, store: Store, ring: Arc<Ring>, networks: Senders) {
    let network = ring.network().clone();
    let mut moved = ring.changes();
    loop {
        moved.mark_unchanged();
        let answer = store.position(network.as_str()).await;
        let waits = answer.as_ref().is_ok_and(|shown| ring.span().is_none_or(|span| span.newest <= shown.sequence));
        if let Ok(position) = &answer {
            crate::metrics::visible(network.as_str(), position.sequence);
        }
        if let Some(known) = networks.lock().unwrap_or_else(|e| e.into_inner()).get(&network) {
            known.send_if_modified(|last| tell(last, &network, answer));
        }
        tokio::time::sleep(every).await;
        if waits {
            tokio::select! {
                _ = moved.changed() => {}
                () = tokio::time::sleep(every * (QUIET - 1)) => {}
            }
        }
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
