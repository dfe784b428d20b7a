//! The stage over a real log: exactly once, whatever it is cut off in; what retention took and what cannot be read is told.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use aggregate::{Config, run};
use alloy_primitives::{Address, U256};
use fastrand::Rng;
use runtime::log::{
    Log, LogError, NewRecord, Record as LogRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
    fold,
};
use schemas::{
    BitcoinChain, BitcoinHash, Codec, Envelope, Family, Network, Op, Origin, Record as _, TimeMs,
    records::{BitcoinHeader, BlockSummary, ContractSum, Coverage, EnrichedBlock, Partial, Window},
    sketch::{Bins, Distinct},
    topics::{self, TopicSpec},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
const CONTRACTS: [Address; 2] = [Address::repeat_byte(1), Address::repeat_byte(2)];

struct Bench {
    log: Arc<EmbeddedLog>,
    codec: Arc<Codec>,
    _dir: tempfile::TempDir,
}

type Running = (CancellationToken, JoinHandle<Result<(), aggregate::Error>>);

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let config = EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(dir.path()) };
        let log = EmbeddedLog::open(config).await.expect("a log");
        log.ensure_topics(&topics::ALL, 2).await.expect("topics");
        Self { log, codec: Arc::new(Codec::builtin()), _dir: dir }
    }

    fn start(&self) -> Running {
        let families = HashMap::from([("one".parse::<Network>().expect("a slug"), Family::Evm)]);
        let mut config = Config::new("test", families);
        (config.open_every, config.contracts_open_every) = (Duration::ZERO, Duration::from_millis(20));
        let stop = CancellationToken::new();
        let stage = run(config, self.log.clone(), self.codec.clone(), stop.clone());
        (stop, tokio::spawn(stage))
    }

    async fn write(&self, partition: u32, blocks: &[EnrichedBlock]) {
        let to = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition };
        let record = |block: &EnrichedBlock| NewRecord {
            to,
            key: Some(block.key().into()),
            value: Some(self.codec.encode(block).expect("encodes")),
            headers: block.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        };
        let records = blocks.iter().map(record).collect();
        let mut producer = self.log.producer("enrich.test").await.expect("a producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("committed");
    }

    /// The records of windows, in their order.
    async fn windows(&self, partition: u32) -> Vec<(LogRecord, Window)> {
        let at = TopicPartition { topic: topics::METRICS_WINDOWS.name, partition };
        let mut windows = Vec::new();
        let each = |record: LogRecord| {
            let window = self.codec.decode::<Window>(record.value.as_deref().expect("a value")).expect("a window");
            windows.push((record, window));
            Ok::<(), LogError>(())
        };
        fold(&*self.log, at, each).await.expect("read");
        windows
    }

    /// Waits until windows say that they are at this sequence of a network.
    async fn until(&self, partition: u32, network: &Network, sequence: u64) {
        let there = async {
            loop {
                let windows = self.windows(partition).await;
                if windows.iter().any(|(_, w)| w.network == *network && w.sequence == sequence) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("{network} {sequence} does not come"));
    }
}

/// A chain that grows and forks, as events.
struct Chain {
    network: Network,
    rng: Rng,
    sequence: u64,
    hashes: u64,
    blocks: Vec<EnrichedBlock>,
    /// What is canonical after each event.
    after: Vec<Vec<EnrichedBlock>>,
}

impl Chain {
    fn new(network: &str, seed: u64) -> Self {
        let network = network.parse().expect("a slug");
        let rng = Rng::with_seed(seed);
        Self { network, rng, sequence: 0, hashes: seed << 32, blocks: Vec::new(), after: vec![Vec::new()] }
    }

    fn event(&mut self, op: Op, of: Option<&EnrichedBlock>) -> EnrichedBlock {
        self.sequence += 1;
        self.hashes += 1;
        let rng = &mut self.rng;
        let envelope = match of {
            Some(block) => Envelope {
                op,
                sequence: self.sequence,
                reverts_sequence: Some(block.envelope.sequence),
                ..block.envelope.clone()
            },
            None => {
                let tip = self.blocks.last().map(|block| &block.envelope);
                let hash = |n: u64| format!("0x{n:064x}").parse().expect("a hash");
                let start = 1_700_000_000_000 + 86_400_000 - 1_700_000_000_000 % 86_400_000 - 1_800_000;
                Envelope {
                    network: self.network.clone(),
                    sequence: self.sequence,
                    op,
                    origin: Origin::Live,
                    height: tip.map_or(100, |tip| tip.height + 1),
                    block_hash: hash(self.hashes),
                    parent_hash: tip.map_or_else(|| hash(1), |tip| tip.block_hash.clone()),
                    block_time: TimeMs(tip.map_or(start, |tip| tip.block_time.0) + rng.i64(0..30_000)),
                    observed_at: TimeMs(0),
                    safe_height: None,
                    finalized_height: tip.map(|tip| tip.height.saturating_sub(40)),
                    tx_count: 0,
                    log_count: 0,
                    reverts_sequence: None,
                    reorg_remaining: 0,
                }
            }
        };
        let summary = (op == Op::Apply).then(|| {
            let mut summary = BlockSummary {
                transactions: rng.u32(0..100),
                gas_used: rng.u64(0..30_000_000),
                fee_total: U256::from(rng.u64(..)),
                bins: Some(Bins::default()),
                senders: Some(Distinct::default()),
                fees: Some(Vec::new()),
                ..BlockSummary::default()
            };
            for contract in CONTRACTS.into_iter().filter(|_| rng.bool()).collect::<Vec<_>>() {
                let (mut bins, mut senders) = (Bins::default(), Distinct::default());
                bins.add(U256::from(rng.u64(..)));
                senders.add(&rng.u8(..).to_be_bytes());
                summary.contracts.push(ContractSum {
                    address: contract,
                    transactions: rng.u32(1..9),
                    bins: Some(bins),
                    senders: Some(senders),
                    watched_from: Some(TimeMs(0)),
                    ..ContractSum::default()
                });
            }
            summary
        });
        EnrichedBlock { envelope, evm: None, bitcoin: None, summary, facts_position: None }
    }

    fn apply(&mut self, events: &mut Vec<EnrichedBlock>) {
        let block = self.event(Op::Apply, None);
        self.blocks.push(block.clone());
        self.after.push(self.blocks.clone());
        events.push(block);
    }

    /// Some events.
    fn grow(&mut self) -> Vec<EnrichedBlock> {
        let mut events = Vec::new();
        if self.rng.u8(0..4) == 0 {
            let depth = self.rng.usize(1..12).min(self.blocks.len().saturating_sub(1));
            for _ in 0..depth {
                let gone = self.blocks.pop().expect("a block");
                let event = self.event(Op::Revert, Some(&gone));
                events.push(event);
                self.after.push(self.blocks.clone());
            }
            (0..depth).for_each(|_| self.apply(&mut events));
        }
        (0..self.rng.usize(1..6)).for_each(|_| self.apply(&mut events));
        events
    }

    fn recompute(&self, window: &Window) -> Partial {
        let mut sum = Partial::default();
        for block in &self.after[window.sequence as usize] {
            let e = &block.envelope;
            if e.block_time < window.window_start || e.block_time >= window.end() {
                continue;
            }
            let summary = block.summary.as_ref().expect("a summary");
            match window.contract {
                None => sum.merge(&Partial::of_block(e, None, summary)),
                Some(contract) => {
                    let of = summary.contracts.iter().filter(|sum| sum.address == contract);
                    of.for_each(|of| sum.merge(&Partial::of_contract(e, of).expect("all of it")));
                }
            }
        }
        sum
    }

    /// Each window that is complete is what the blocks give that were canonical then; at the end each that is over is there.
    fn judge(&self, windows: &[(LogRecord, Window)]) {
        let mut newest = BTreeMap::new();
        for (_, window) in windows.iter().filter(|(_, window)| window.network == self.network) {
            let sum = self.recompute(window);
            let has_sketches = window.window_seconds == 60 || window.window_seconds == 3_600 && window.complete;
            let expected = if has_sketches { sum } else { Partial { bins: None, senders: None, ..sum } };
            assert_eq!(window.partial, expected, "{} at {}", window.key(), window.sequence);
            newest.insert(window.key(), window);
        }
        let first = self.blocks.first().expect("a block").envelope.block_time;
        let last = self.blocks.last().expect("a block").envelope.block_time;
        let mut at = Window::start_of(first, 60).0 + 60_000;
        while at + 60_000 <= last.0 {
            let key = Window::key_of(&self.network, None, 60, TimeMs(at));
            assert!(newest.get(&key).is_some_and(|window| window.complete), "{key}: {:?}", newest.get(&key));
            at += 60_000;
        }
        // What is open is given when its minute ends.
        for window in newest.values().filter(|window| window.complete) {
            let stands = Window { sequence: self.sequence, ..(*window).clone() };
            let sum = self.recompute(&stands);
            assert_eq!(
                (sum.blocks, sum.transactions),
                (window.partial.blocks, window.partial.transactions),
                "at the end"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_it_is_cut_off_in_windows_are_published_once_and_right() {
    let bench = Bench::new().await;
    let seed = std::env::var("HEADWATER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let mut rng = Rng::with_seed(seed);
    // The last two share a partition, and the third is quiet after a while.
    let mut chains = [Chain::new("one", seed ^ 1), Chain::new("two", seed ^ 2), Chain::new("three", seed ^ 3)];
    let (mut stop, mut stage) = bench.start();
    for round in 0..120 {
        for (n, chain) in chains.iter_mut().enumerate().filter(|(n, _)| *n != 2 || round < 30) {
            let events = chain.grow();
            bench.write(n.min(1) as u32, &events).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(0..30))).await;
        if rng.u8(0..3) == 0 {
            // Wherever it is: what is committed is, what is not is not.
            stage.abort();
            let _ = stage.await;
            tokio::time::sleep(Duration::from_millis(rng.u64(0..30))).await;
            (stop, stage) = bench.start();
        }
    }
    for (n, chain) in chains.iter().enumerate() {
        bench.until(n.min(1) as u32, &chain.network, chain.sequence).await;
    }
    stop.cancel();
    stage.await.expect("joins").expect("ends well");
    for (n, chain) in chains.iter().enumerate() {
        let windows = bench.windows(n.min(1) as u32).await;
        let of_chain = windows.iter().filter(|(_, window)| window.network == chain.network).count();
        eprintln!("seed {seed}: {} of {} events, {of_chain} records", chain.network, chain.sequence);
        chain.judge(&windows);
        // Each restart gives what was open once more, and nothing of what was over: twice the events would be ten times as many.
        let places: std::collections::HashSet<_> = windows
            .iter()
            .map(|(_, w)| (w.network.clone(), w.contract, w.window_seconds, w.window_start, w.sequence))
            .collect();
        let again = windows.len() - places.len();
        assert!(again < windows.len() / 4, "{again} of {} records say nothing new", windows.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_due_again_is_not_published_again() {
    let bench = Bench::new().await;
    let mut chain = Chain::new("one", 7);
    let mut events = Vec::new();
    (0..60).for_each(|_| events.extend(chain.grow()));
    bench.write(0, &events).await;
    let (stop, stage) = bench.start();
    bench.until(0, &chain.network, chain.sequence).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    stage.await.expect("joins").expect("ends well");
    let before = bench.windows(0).await;
    let closed = |windows: &[(LogRecord, Window)]| windows.iter().filter(|(_, window)| window.complete).count();
    // Each start reads again what the day still needs.
    for _ in 0..2 {
        let (stop, stage) = bench.start();
        tokio::time::sleep(Duration::from_millis(800)).await;
        stop.cancel();
        stage.await.expect("joins").expect("ends well");
    }
    let after = bench.windows(0).await;
    assert_eq!(closed(&after), closed(&before), "what is over is not told again");
    assert!(after.len() - before.len() <= 2 * 3 * 4, "open ones at most: {} and {}", before.len(), after.len());
    chain.judge(&after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bitcoin_network_that_the_configuration_does_not_name_goes_by_its_median_time() {
    let bench = Bench::new().await;
    let mut chain = Chain::new("coins", 9);
    let mut events = Vec::new();
    (0..10).for_each(|_| chain.apply(&mut events));
    let start = Window::start_of(events[0].envelope.block_time, 60);
    for (minute, event) in (0..).zip(&mut events) {
        let time = TimeMs(start.0 + 60_000 * minute);
        event.envelope.block_time = time;
        event.bitcoin = Some(Box::new(BitcoinHeader {
            chain: BitcoinChain::Main,
            coverage: Coverage::Full,
            version: 1,
            merkle_root: BitcoinHash::default(),
            time: u32::try_from(time.0 / 1_000).expect("before 2106"),
            bits: 0x1d00_ffff,
            nonce: 0,
            median_time: Some(start),
            chain_work: None,
            size: None,
            stripped_size: None,
            weight: None,
            transaction_count: None,
            coinbase: None,
        }));
    }
    bench.write(0, &events).await;
    let (stop, stage) = bench.start();
    bench.until(0, &chain.network, 10).await;
    let windows = bench.windows(0).await;
    let complete = windows.iter().filter(|(_, window)| window.complete).count();
    assert_eq!(complete, 0, "blocks may still fall into all of them");
    stop.cancel();
    stage.await.expect("joins").expect("ends well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_makes_windows_incomplete_and_halts_nobody() {
    let bench = Bench::new().await;
    let mut chain = Chain::new("one", 9);
    let mut events = Vec::new();
    (0..20).for_each(|_| events.extend(chain.grow()));
    bench.write(0, &events).await;
    let mut before = chain.grow();
    let gone = before.pop().expect("a block");
    bench.write(0, &before).await;
    let to = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition: 0 };
    let headers = gone.headers().into_iter().map(|(name, value)| (name.into(), value)).collect();
    let record = NewRecord { to, key: Some(gone.key().into()), value: Some("nonsense".into()), headers };
    let mut producer = bench.log.producer("enrich.test").await.expect("a producer");
    producer.commit(Transaction { records: vec![record], offsets: None }).await.expect("committed");
    let mut rest = Vec::new();
    (0..20).for_each(|_| rest.extend(chain.grow()));
    bench.write(0, &rest).await;
    let (stop, stage) = bench.start();
    bench.until(0, &chain.network, chain.sequence).await;
    stop.cancel();
    stage.await.expect("joins").expect("ends well");
    let (mut newest, mut told) = (BTreeMap::new(), 0);
    let at = gone.envelope.block_time;
    for (_, window) in bench.windows(0).await {
        let touched = window.window_start <= at && at < window.end() && window.contract.is_none();
        told += u32::from(touched && !window.complete);
        newest.insert(window.key(), window);
    }
    assert!(told >= 3, "five minutes, the hour and the day of the block: {told}");
    assert!(newest.values().any(|w| w.complete && w.window_start > at), "it goes on behind it");
    for window in newest.values().filter(|window| window.complete) {
        let stands = Window { sequence: chain.sequence, ..window.clone() };
        let (found, sum) = (&window.partial, chain.recompute(&stands));
        assert_eq!((found.blocks, found.fee_total), (sum.blocks, sum.fee_total), "{}", window.key());
    }
}

/// Away for longer than the blocks are kept: among what nobody read were reverts of blocks in windows that were over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_whose_blocks_may_be_gone_unseen_are_complete_no_more() {
    let bench = Bench::new().await;
    let mut chain = Chain::new("one", 21);
    let mut events = Vec::new();
    (0..80).for_each(|_| chain.apply(&mut events));
    bench.write(0, &events).await;
    let (stop, stage) = bench.start();
    bench.until(0, &chain.network, chain.sequence).await;
    stop.cancel();
    stage.await.expect("joins").expect("ends well");
    let over = bench.windows(0).await.iter().filter(|(_, window)| window.complete).count();
    assert!(over > 10, "{over}");

    let mut unseen = Vec::new();
    for _ in 0..20 {
        let gone = chain.blocks.pop().expect("a block");
        let event = chain.event(Op::Revert, Some(&gone));
        unseen.push(event);
        chain.after.push(chain.blocks.clone());
    }
    (0..30).for_each(|_| chain.apply(&mut unseen));
    bench.write(0, &unseen).await;
    let short = TopicSpec { retention_bytes: Some(1), ..topics::ENRICHED_BLOCKS };
    bench.log.ensure_topics(&[short], 2).await.expect("other retention");
    bench.log.apply_retention().await.expect("removed");
    bench.log.ensure_topics(&[topics::ENRICHED_BLOCKS], 2).await.expect("as it was");
    let mut rest = Vec::new();
    (0..40).for_each(|_| chain.apply(&mut rest));
    bench.write(0, &rest).await;
    let (stop, stage) = bench.start();
    bench.until(0, &chain.network, chain.sequence).await;
    stop.cancel();
    stage.await.expect("joins").expect("ends well");

    let (mut newest, mut doubted) = (BTreeMap::new(), 0);
    for (_, window) in bench.windows(0).await {
        let lost = window.reason.as_deref().is_some_and(|reason| reason.contains("may have reverted blocks of it"));
        doubted += usize::from(lost);
        newest.insert(window.key(), window);
    }
    assert!(doubted > 10, "{doubted}");
    let mut complete = 0;
    for window in newest.values().filter(|window| window.complete) {
        let stands = Window { sequence: chain.sequence, ..window.clone() };
        let (found, sum) = (&window.partial, chain.recompute(&stands));
        assert_eq!((found.blocks, found.fee_total), (sum.blocks, sum.fee_total), "{}", window.key());
        complete += 1;
    }
    assert!(complete > 5, "{complete} behind what was lost");
}
