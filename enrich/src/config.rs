//! What the stage is told at start-up.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use runtime::beat::{Board, Unnamed};
use schemas::{
    Network,
    profiles::Profile,
    records::stage_status::{stage, state},
};
use tokio::sync::watch;

/// The stage's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names this process to the consumer group, and is the end of its transactional id (`[runtime] instance`).
    pub instance: String,
    /// EIP-155 chain id of each network of the configuration, as that changes: its profile follows from it, and others compare it. `None`
    /// where chains of the family have none.
    pub chain_ids: watch::Receiver<HashMap<Network, Option<u64>>>,
    /// Those of networks that were taken out: what is still to be read of them is enriched as before.
    former: Arc<Mutex<HashMap<Network, Option<u64>>>>,
    /// Networks whose logs are written to `enriched.events` too, as that changes.
    events: watch::Receiver<HashSet<Network>>,
    /// How long a transaction of the log gathers events after its first. Adds to the latency of a block at the tip.
    pub linger: Duration,
    /// The same while catching up, that is, when `catch_up_bytes` came within `linger`: fewer, larger transactions.
    pub catch_up_linger: Duration,
    /// Bytes of input values within `linger` from which on the stage is catching up.
    pub catch_up_bytes: usize,
    /// Bytes of input values after which a transaction of the log is closed. One event may exceed it.
    pub batch_bytes: usize,
    /// Events after which a transaction of the log is closed.
    pub batch_events: usize,
    /// What the stage says of itself.
    pub board: Board,
}

impl Config {
    /// Defaults: 50 ms, 250 ms from 512 KiB on, 8 MiB, 256 events.
    pub fn new(instance: impl Into<String>, chain_ids: HashMap<Network, u64>) -> Self {
        let chain_ids = chain_ids.into_iter().map(|(network, id)| (network, Some(id))).collect();
        Self::following(instance, watch::Sender::new(chain_ids).subscribe())
    }

    /// The same, of networks that come and go; none has its logs written to `enriched.events`.
    pub fn following(instance: impl Into<String>, chain_ids: watch::Receiver<HashMap<Network, Option<u64>>>) -> Self {
        let former = Arc::new(Mutex::new(chain_ids.borrow().clone()));
        Self {
            instance: instance.into(),
            former,
            chain_ids,
            events: watch::Sender::default().subscribe(),
            linger: Duration::from_millis(50),
            catch_up_linger: Duration::from_millis(250),
            catch_up_bytes: 512 << 10,
            batch_bytes: schemas::limits::ENRICH_BATCH_BYTES,
            batch_events: 256,
            board: Board::new(stage::ENRICH, state::RUNNING),
        }
    }

    /// With the logs of these networks written to `enriched.events`, as they come and go.
    pub fn with_events(self, events: watch::Receiver<HashSet<Network>>) -> Self {
        Self { events, ..self }
    }

    /// The profile of a network; [`schemas::profiles::TOLERANT`] of one that was never in the configuration.
    pub fn profile(&self, network: &Network) -> Profile {
        let id = self.chain_ids.borrow().get(network).copied();
        let former = || self.former().get(network).copied();
        id.or_else(former).flatten().map(Profile::of).unwrap_or_default()
    }

    /// Whether a network's logs are written to `enriched.events` too.
    pub(crate) fn has_events(&self, network: &Network) -> bool {
        self.events.borrow().contains(network)
    }

    fn former(&self) -> MutexGuard<'_, HashMap<Network, Option<u64>>> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says on the board which networks are configured, and remembers them.
    pub(crate) fn tell(&self, unnamed: Unnamed) {
        let now = self.chain_ids.borrow().clone();
        self.former().extend(now.iter().map(|(network, id)| (network.clone(), *id)));
        self.board.configure(now, Some(unnamed));
    }

    /// The same at every change, for ever.
    pub(crate) async fn keep_telling(&self, unnamed: Unnamed) -> Infallible {
        let mut chain_ids = self.chain_ids.clone();
        while chain_ids.changed().await.is_ok() {
            self.tell(unnamed);
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_comes_has_its_profile_at_once_and_one_that_went_keeps_it() {
        let slug = |name: &str| name.parse::<Network>().expect("a slug");
        let ids = |of: &[(&str, u64)]| of.iter().map(|(name, id)| (slug(name), Some(*id))).collect::<HashMap<_, _>>();
        let put = watch::Sender::new(ids(&[("op", 10)]));
        let config = Config::following("one", put.subscribe());
        let known = |name: &str| config.profile(&slug(name)) == Profile::of(10);
        assert!(known("op") && !known("base"));
        put.send_replace(ids(&[("op", 10), ("base", 10)]));
        assert!(known("base"));
        config.tell(Unnamed { state: state::UNCONFIGURED, detail: "" });
        put.send_replace(ids(&[]));
        assert!(known("op") && known("base"));
    }
}
