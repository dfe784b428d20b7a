//! A simulated node, the stage, and somebody who asks.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ingest::{Config, Start};
use loadtest::node::evm::{Clock, Config as Sim, Dataset, EndpointConfig, Simulator, spawn};
use runtime::log::{Log, NewRecord, TopicPartition, Transaction, embedded::EmbeddedLog};
use schemas::{
    TimeMs,
    codec::{Codec, Record as _},
    records::{
        Asked, Asks, Checkpoint, CheckpointRecord, ControlConfig, HeldRange, Request, RequestProgress, RequestState,
        Wanted,
    },
    topics,
};

use crate::common::{self, Chain, SLUG, config, open, read_chain, read_topic, trace};

/// Heights from the head down to the finalized one.
pub const FINALITY: u64 = 20;

/// A chain of so many blocks, of which all but the last are final, on a node with these endpoints beside the first.
pub async fn node_of(history: u64, endpoints: Vec<EndpointConfig>) -> Simulator {
    trace();
    let data = Dataset::embedded("optimism").unwrap();
    let sim =
        Sim { clock: Clock::Manual, history, finality_depth: FINALITY, safe_depth: 10, endpoints, ..Sim::new(data) };
    spawn(sim).await.unwrap()
}

pub struct Set {
    pub sim: Simulator,
    pub dir: tempfile::TempDir,
    pub log: Arc<EmbeddedLog>,
}

impl Set {
    pub async fn new(history: u64) -> Self {
        let sim = node_of(history, Vec::new()).await;
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path()).await;
        Self { sim, dir, log }
    }
    /// From the head on.
    pub fn config(&self) -> Config {
        config(&self.sim.url(), Some(&self.sim.ws_url()), self.sim.chain_id(), Start::Latest)
    }
}

pub fn request(id: &str, from: u64, to: u64) -> Request {
    Request {
        id: id.into(),
        network: SLUG.parse().unwrap(),
        asks: Asks::Backfill { heights: HeldRange { from, to }, again: false },
        wanted: Wanted::Run,
        asked_at: TimeMs::now(),
    }
}

pub fn again(request: Request) -> Request {
    let Asks::Backfill { heights, .. } = request.asks else { unreachable!() };
    Request { asks: Asks::Backfill { heights, again: true }, ..request }
}

/// Writes a request as the command does.
pub async fn ask(log: &dyn Log, request: &Request) {
    let record = ControlConfig::Request(request.clone());
    let record = NewRecord {
        to: TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 },
        key: Some(record.key().into()),
        value: Some(Codec::builtin().encode(&record).unwrap()),
        headers: record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
    };
    let mut producer = log.producer("command").await.unwrap();
    producer.commit(Transaction { records: vec![record], offsets: None }).await.unwrap();
}

/// The network's checkpoint. Between two writes a reading may miss both.
pub async fn checkpoint(log: &dyn Log) -> Checkpoint {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match seen_checkpoint(log).await {
            Some(checkpoint) => return checkpoint,
            None => assert!(Instant::now() < deadline, "no checkpoint"),
        }
    }
}

async fn seen_checkpoint(log: &dyn Log) -> Option<Checkpoint> {
    let codec = Codec::builtin();
    let records = read_topic(log, topics::INGEST_CHECKPOINTS).await;
    let of = |r: &runtime::log::Record| match codec.decode::<CheckpointRecord>(r.value.as_ref()?).ok()? {
        CheckpointRecord::Checkpoint(c) => Some(c),
        CheckpointRecord::Ring(_) => None,
    };
    records.iter().filter_map(of).last()
}

pub async fn progress(log: &dyn Log, id: &str) -> Option<RequestProgress> {
    checkpoint(log).await.requests.into_iter().find(|r| r.id == id)
}

/// Waits until a request stands as it should.
pub async fn until(log: &dyn Log, id: &str, what: &str, is: impl Fn(&RequestProgress) -> bool) -> RequestProgress {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = progress(log, id).await;
        match now {
            Some(r) if is(&r) => return r,
            other => assert!(
                Instant::now() < deadline,
                "{id}: {what} was expected, is {other:?}; {:?}",
                common::status(log).await
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn until_state(log: &dyn Log, id: &str, state: RequestState) -> RequestProgress {
    until(log, id, state.as_str(), |r| r.state == state).await
}

pub fn next(r: &RequestProgress) -> u64 {
    match r.asks {
        Asked::Backfill { next, .. } => next,
        Asked::AcceptReorg => panic!("no range"),
    }
}

/// Waits until the live chain is the node's, and returns all that was written, checked.
pub async fn same_live(log: &EmbeddedLog, sim: &Simulator) -> Chain {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let chain = read_chain(log).await;
        let Some(first) = chain.blocks.first().map(|b| b.envelope.height) else {
            assert!(Instant::now() < deadline, "no live block; {:?}", common::status(log).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let canonical = sim.canonical(first..=sim.head());
        let expected: Vec<_> = canonical.iter().map(|c| (c.height, c.hash.to_string())).collect();
        if chain.hashes() == expected {
            return chain;
        }
        assert!(Instant::now() < deadline, "{:?} of {:?}", chain.tip(), expected.last());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What was filled is the node's chain at these heights, each so often.
pub fn same_filled(chain: &Chain, sim: &Simulator, times: &BTreeMap<u64, usize>) {
    let mut filled: BTreeMap<u64, usize> = BTreeMap::new();
    for block in &chain.filled {
        let e = &block.envelope;
        *filled.entry(e.height).or_default() += 1;
        let truth = sim.canonical(e.height..=e.height).pop().unwrap();
        assert_eq!(e.block_hash.as_str(), truth.hash.to_string());
        assert_eq!((u64::from(e.tx_count), u64::from(e.log_count)), (truth.facts.tx_count, truth.facts.logs));
    }
    assert_eq!(&filled, times);
}

pub fn once(heights: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    heights.into_iter().map(|height| (height, 1)).collect()
}
