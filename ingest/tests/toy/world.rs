//! A watcher at work over a toy source, and a reader of what it publishes that takes nothing on trust.

use std::{sync::Arc, time::Duration};

use ingest::{
    Config, Endpoint, NetworkConfig, Start,
    chains::{FillPlaces, Places, Seat, Traits},
    records::{Limits, Scribe},
    source::Source,
    state::Stored,
    unit::{Memory, Outlet, Queued},
};
use runtime::control::Wishes;
use schemas::{
    Op, Origin,
    codec::Codec,
    records::{Checkpoint, NetworkState, NetworkStatus, RawBlock, RingEntry},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::chain::{CONFIRM_WITHIN, Toy, ToySource, View};

/// A chain whose finality is told, and whose heights may have no block.
pub const TOLD: Traits = Traits { instant_finality: false, heights_without_block: true, block_time: None };

/// What a reader has read.
#[derive(Default)]
pub struct Reader {
    /// Height and hash of what was applied and not reverted, with the sequence.
    pub blocks: Vec<(u64, String, u64)>,
    pub sequence: u64,
    pub reverts: usize,
    pub finalized: Option<u64>,
    pub checkpoint: Option<Checkpoint>,
    pub ring: Vec<RingEntry>,
    /// Heights that were filled on request, with the sequence.
    pub filled: Vec<(u64, u64)>,
}

impl Reader {
    fn read(&mut self, queued: Queued) {
        let codec = Codec::builtin();
        for record in queued.unit.records.iter().filter(|r| r.to.topic == "raw.blocks") {
            let block: RawBlock = codec.decode(record.value.as_ref().expect("a value")).expect("a header");
            let e = block.envelope;
            self.finalized = e.finalized_height;
            if e.op == Op::Finality {
                continue;
            }
            self.sequence += 1;
            assert_eq!(e.sequence, self.sequence, "no gap, no repeat");
            if e.origin == Origin::Backfill {
                assert!(queued.unit.ring.is_none() && self.tip().is_some_and(|tip| e.height <= tip));
                self.filled.push((e.height, e.sequence));
            } else if e.op == Op::Apply {
                if let Some((height, hash, _)) = self.blocks.last() {
                    assert!(*height < e.height && *hash == e.parent_hash.to_string(), "linked at {}", e.height);
                }
                self.blocks.push((e.height, e.block_hash.to_string(), e.sequence));
            } else {
                let top = self.blocks.pop().expect("a block to be reverted");
                assert_eq!((top.0, &top.1), (e.height, &e.block_hash.to_string()), "newest first");
                assert_eq!(e.reverts_sequence, Some(top.2));
                self.reverts += 1;
            }
        }
        self.ring.extend(queued.unit.ring.clone());
        self.checkpoint = Some(queued.unit.checkpoint.clone());
    }

    pub fn tip(&self) -> Option<u64> {
        self.blocks.last().map(|b| b.0)
    }
}

/// A network at work.
pub struct World {
    pub source: ToySource,
    pub reader: Reader,
    pub status: watch::Receiver<NetworkStatus>,
    /// What operators ask.
    pub ask: watch::Sender<Wishes>,
    traits: Traits,
    units: mpsc::Receiver<Queued>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    /// Follows this chain from its lowest block on.
    pub fn over(view: View) -> Self {
        Self::of(ToySource::new(view.clone()), TOLD, Reader::default(), view.0[0].height)
    }

    /// Follows a source.
    pub fn of(source: ToySource, traits: Traits, reader: Reader, start: u64) -> Self {
        let endpoint = Endpoint {
            name: "toy".into(),
            url: "http://127.0.0.1:9".parse().expect("a URL"),
            ws: None,
            headers: Vec::new(),
        };
        let mut network = NetworkConfig::evm("toy-net".parse().expect("a slug"), 1, endpoint);
        (network.start, network.confirm_within) = (Start::Height(start), CONFIRM_WITHIN);
        let config = Config {
            backoff: (Duration::from_millis(10), Duration::from_millis(100)),
            seldom: Duration::from_millis(200),
            finality_every: Duration::from_millis(50),
            ..Config::default()
        };
        let watched = Source::new(network, Toy { traits }, Arc::new(source.clone()));
        let (said, status) = watch::channel(watched.status());
        let (ask, asked) = watch::channel(Wishes::default());
        let (outlet, units) = Outlet::channel(&Memory::default());
        let most = 1 << 20;
        let seat = Seat {
            config,
            stored: Stored { checkpoint: reader.checkpoint.clone(), ring: reader.ring.clone() },
            scribe: Scribe::new(
                Arc::new(Codec::builtin()),
                0,
                Limits { blocks: most, transactions: most, letters: most },
            ),
            outlet,
            places: Places::default(),
            fill_places: FillPlaces::default(),
            readers: None,
            status: said,
            requests: asked,
        };
        let cancel = CancellationToken::new();
        let task = tokio::spawn(watched.watch(seat, cancel.clone()));
        Self { source, reader, status, ask, traits, units, cancel, task }
    }

    /// Killed, and begun again from what was published.
    pub async fn restart(mut self) -> Self {
        self.cancel.cancel();
        self.task.await.expect("no panic");
        while let Ok(unit) = self.units.try_recv() {
            self.reader.read(unit);
        }
        let start = self.reader.blocks.first().map_or(0, |b| b.0);
        let wishes = self.ask.borrow().clone();
        let world = Self::of(self.source, self.traits, self.reader, start);
        world.ask.send_replace(wishes);
        world
    }

    /// Reads for so long.
    pub async fn read_for(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(unit)) = tokio::time::timeout_at(until, self.units.recv()).await {
            self.reader.read(unit);
        }
    }

    /// Reads until the chain is this one; how long that took.
    pub async fn until(&mut self, view: &View, within: Duration) -> Duration {
        let truth: Vec<_> = view.0.iter().map(|b| (b.height, b.hash.to_string())).collect();
        let began = tokio::time::Instant::now();
        loop {
            let held: Vec<_> = self.reader.blocks.iter().map(|b| (b.0, b.1.clone())).collect();
            if held == truth {
                return began.elapsed();
            }
            match tokio::time::timeout_at(began + within, self.units.recv()).await {
                Ok(unit) => self.reader.read(unit.expect("the watcher lives")),
                Err(_) => panic!(
                    "tip {:?} within {within:?}, is {:?}; {:?}; asked {:?}",
                    truth.last(),
                    held.last(),
                    *self.status.borrow(),
                    self.source.state().asked.iter().rev().take(20).collect::<Vec<_>>()
                ),
            }
        }
    }

    /// Waits for a state, reading on; what it says.
    pub async fn state(&mut self, state: NetworkState) -> String {
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let now = self.status.borrow_and_update().clone();
            if now.state == state {
                return now.detail.unwrap_or_default();
            }
            assert!(tokio::time::Instant::now() < until, "{state:?} was expected: {now:?}");
            self.read_for(Duration::from_millis(5)).await;
        }
    }
}
