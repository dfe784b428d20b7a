//! The watchers of a partition at work: one per network, which come and go while the partition is held.
//!
//! Guarantee: a network that is taken out stops at once, and is forgotten when all that it had handed over is committed; one that comes
//! goes on from its checkpoint as the log has it, since nobody wrote of it meanwhile. Neither touches the partition's other networks.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use runtime::log::LogError;
use schemas::Network;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    chains::Seat,
    error::Error,
    networks::{Followed, Following},
    pipeline::Shared,
    readers::Readers,
    records::Scribe,
    state, status,
    unit::{Drained, Outlet},
};

/// Pause before the state of a network that comes is read again, after it could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// A network in hand.
struct InHand {
    life: u64,
    work: Option<Work>,
}

/// Its watcher.
struct Work {
    cancel: CancellationToken,
    told: AbortOnDropHandle<()>,
    drained: Drained,
}

/// The watchers of one life of a partition.
pub struct Crew {
    shared: Arc<Shared>,
    partition: u32,
    scribe: Scribe,
    outlet: Outlet,
    life: CancellationToken,
    watchers: JoinSet<()>,
    in_hand: HashMap<Network, InHand>,
    readers: Readers,
}

impl Crew {
    /// Nobody yet. All that comes ends with `life`.
    pub fn new(shared: Arc<Shared>, partition: u32, scribe: Scribe, outlet: Outlet, life: CancellationToken) -> Self {
        let readers = Readers::new(shared.log.clone(), partition);
        Self { shared, partition, scribe, outlet, life, watchers: JoinSet::new(), in_hand: HashMap::new(), readers }
    }

    /// Begins with these networks, whose states are these.
    pub fn begin(&mut self, networks: Vec<Following>, mut stored: state::States) {
        for network in networks {
            let stored = stored.remove(&network.source.network.slug).unwrap_or_else(|| Ok(state::Stored::default()));
            self.start(network, stored);
        }
    }

    /// Watches a network, unless its state cannot be read.
    fn start(&mut self, following: Following, stored: Result<state::Stored, String>) {
        let (partition, board) = (self.partition, &self.shared.config.board);
        let Following { source, life } = following;
        let network = &source.network.slug;
        let stored = match stored {
            Ok(stored) => stored,
            Err(problem) => {
                tracing::error!(%network, partition, problem, "the network stands still");
                status::stalled(board, partition, &source, &problem);
                self.in_hand.insert(network.clone(), InHand { life, work: None });
                return;
            }
        };
        let (said, feed) = watch::channel(source.status());
        let told = AbortOnDropHandle::new(tokio::spawn(status::tell(board.clone(), partition, feed)));
        if let Some(held) = &stored.checkpoint {
            let tip = |e: &&schemas::records::RingEntry| Some(e.height) == held.tip_height;
            let block_time = stored.ring.iter().find(tip).map(|e| e.block_time);
            let at = status::Published { sequence: held.sequence, height: held.tip_height, block_time };
            status::published(board, partition, network, at);
        }
        let (outlet, drained) = self.outlet.of_one();
        let seat = Seat {
            config: self.shared.config.clone(),
            stored,
            scribe: self.scribe.clone(),
            outlet,
            places: self.shared.places.clone(),
            fill_places: self.shared.fill_places.clone(),
            readers: Some(self.readers.clone()),
            status: said,
            requests: self.shared.requests.of(network),
        };
        let cancel = self.life.child_token();
        self.watchers.spawn(source.watch(seat, cancel.clone()));
        self.in_hand.insert(network.clone(), InHand { life, work: Some(Work { cancel, told, drained }) });
    }

    /// Follows what is to be watched here, for ever.
    pub async fn follow(&mut self, mut changes: watch::Receiver<Arc<Followed>>) -> Infallible {
        loop {
            let wanted = changes.borrow_and_update().of(self.partition);
            let lives = |network: &Network, life: u64| {
                wanted.iter().any(|f| f.source.network.slug == *network && f.life == life)
            };
            let gone: Vec<Network> =
                self.in_hand.iter().filter(|(n, h)| !lives(n, h.life)).map(|(n, _)| n.clone()).collect();
            for network in gone {
                self.stop(&network).await;
            }
            let came = wanted.into_iter().filter(|f| !self.in_hand.contains_key(&f.source.network.slug));
            let came: Vec<Following> = came.collect();
            if !came.is_empty() {
                match self.stored().await {
                    Ok(stored) => self.begin(came, stored),
                    Err(error) => {
                        tracing::warn!(partition = self.partition, %error, "the state of a network that comes cannot be read; trying again");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                }
            }
            // Networks are dropped with the stage, which ends this too.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn stored(&self) -> Result<state::States, LogError> {
        let _turn = self.shared.reading.acquire().await;
        let stored = state::read(&*self.shared.log, &self.shared.codec, self.partition).await?;
        self.shared.requests.up_to_now().await?;
        Ok(stored)
    }

    /// Ends a network's watcher, waits until what it handed over is committed, and says nothing of it any more.
    async fn stop(&mut self, network: &Network) {
        let Some(InHand { work, .. }) = self.in_hand.remove(network) else { return };
        if let Some(Work { cancel, told, mut drained }) = work {
            cancel.cancel();
            drained.wait().await;
            told.abort();
            let _ = told.await;
        }
        self.shared.config.board.forget(network);
        tracing::info!(%network, partition = self.partition, "the network is not watched any more");
    }

    /// Waits until all have ended; the life is over.
    ///
    /// # Errors
    /// A watcher that panicked.
    pub async fn ended(mut self) -> Result<(), Error> {
        // Tellers hear the watchers' last words.
        while let Some(ended) = self.watchers.join_next().await {
            if let Err(e) = ended
                && e.is_panic()
            {
                return Err(Error::Task(self.partition, e.to_string()));
            }
        }
        Ok(())
    }
}
