//! The group alerts.match over a real log: what is told is what the chain has, once, whatever it is cut off in.

#[path = "matching/aside.rs"]
mod aside;
#[path = "matching/bitcoin.rs"]
mod bitcoin;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use alerts::{
    Config,
    past::{Did, Keeper, Past},
    run,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use fastrand::Rng;
use runtime::log::{
    Log, LogError, NewRecord, Record as LogRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
    fold,
    kafka::{KafkaConfig, KafkaLog},
};
use schemas::{
    Codec, Envelope, Family, Network, Op, Origin, Record, Status, TimeMs,
    records::{
        AlertMatch, BlockSummary, CauseEvidence, ControlConfig, ControlTenant, Definition, DefinitionKind,
        EnrichedBlock, EnrichedCause, EnrichedTransaction, Enrichment, EvmTransaction, Found, FoundKind, MatchOp,
        Payload, TenantThing, WatchedAddress,
    },
    topics,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(120);
const CONTRACT: Address = Address::repeat_byte(7);

type Running = (CancellationToken, JoinHandle<Result<(), alerts::Error>>);

struct Bench {
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    _dir: Option<tempfile::TempDir>,
}

fn network() -> Network {
    "demo".parse().expect("a slug")
}

fn other() -> Network {
    "other".parse().expect("a slug")
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let config = EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(dir.path()) };
        let log = EmbeddedLog::open(config).await.expect("a log");
        Self::over(log, Some(dir)).await
    }

    /// Over Kafka; says so where there is none.
    #[allow(clippy::print_stderr)]
    async fn kafka() -> Option<Self> {
        let Some(servers) = std::env::var("HEADWATER_TEST_KAFKA").ok() else {
            assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
            eprintln!("SKIPPED: no Kafka; run it with `scripts/services run cargo test …`");
            return None;
        };
        let prefix = format!("test-{:x}.", fastrand::u64(..));
        let log = KafkaLog::connect(KafkaConfig { prefix, ..KafkaConfig::new(&servers) }).await.expect("Kafka");
        Some(Self::over(log, None).await)
    }

    async fn over(log: Arc<dyn Log>, dir: Option<tempfile::TempDir>) -> Self {
        log.ensure_topics(&topics::ALL, 2).await.expect("topics");
        Self { log, codec: Arc::new(Codec::builtin()), _dir: dir }
    }

    fn start(&self) -> Running {
        self.start_with(Keeper::default())
    }

    /// With somebody who has rows.
    fn start_with(&self, past: Keeper) -> Running {
        self.start_as(|config| config.past = past)
    }

    fn start_as(&self, change: impl FnOnce(&mut Config)) -> Running {
        let families = HashMap::from([(network(), Family::Evm), (other(), Family::Evm)]);
        let mut config = Config::new("test", families, "http://127.0.0.1:8080");
        change(&mut config);
        let stop = CancellationToken::new();
        (stop.clone(), tokio::spawn(run(config, self.log.clone(), self.codec.clone(), stop)))
    }

    fn record(&self, topic: &'static str, record: &impl Record) -> NewRecord {
        NewRecord {
            to: TopicPartition { topic, partition: 0 },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record).expect("encodes")),
            headers: record.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }

    async fn define(&self, kind: DefinitionKind, id: &str, version: u64, definition: Value) {
        self.define_of("t", kind, id, version, definition).await;
    }

    async fn define_of(&self, tenant: &str, kind: DefinitionKind, id: &str, version: u64, definition: Value) {
        let name = definition["name"].as_str().expect("a name").to_owned();
        let definition = definition.to_string();
        let definition = Definition { name, version, definition, sealed: None, disabled: None };
        let (tenant, thing) = (tenant.to_owned(), TenantThing::of(kind, definition));
        let thing = ControlTenant { tenant, id: id.to_owned(), revision: version, thing };
        self.commit("control.test", vec![self.record(topics::CONTROL_TENANTS.name, &thing)]).await;
    }

    /// Somebody has watched a contract since then.
    async fn watch(&self, contract: Address, since: i64) {
        let address = contract.to_string().to_lowercase();
        let watched = WatchedAddress { network: network(), address, revision: 1, since: Some(TimeMs(since)) };
        let record = self.record(topics::CONTROL_CONFIG.name, &ControlConfig::Watched(watched));
        self.commit("control.test", vec![record]).await;
    }

    async fn commit(&self, id: &str, records: Vec<NewRecord>) {
        let mut producer = self.log.producer(id).await.expect("a producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("committed");
    }

    async fn write(&self, events: &[Event]) {
        let mut records = Vec::new();
        for (block, children) in events {
            records.push(self.record(topics::ENRICHED_BLOCKS.name, block));
            records.extend(children.iter().map(|child| self.record(topics::ENRICHED_TRANSACTIONS.name, child)));
        }
        self.commit("enrich.test", records).await;
    }

    /// All that the tenant was told, in its order.
    async fn matches(&self) -> Vec<AlertMatch> {
        self.matches_of("t").await
    }

    async fn matches_of(&self, tenant: &str) -> Vec<AlertMatch> {
        let at = TopicPartition { topic: topics::ALERTS_MATCHES.name, partition: 0 };
        let mut matches = Vec::new();
        let each = |record: LogRecord| {
            let value = record.value.as_deref().expect("a value");
            let found = self.codec.decode::<AlertMatch>(value).expect("a match");
            // The stage tests itself beside it.
            if found.tenant == tenant {
                matches.push(found);
            }
            Ok::<(), LogError>(())
        };
        fold(&*self.log, at, each).await.expect("read");
        matches
    }

    async fn until(&self, what: &str, is_there: impl Fn(&[AlertMatch]) -> bool) -> Vec<AlertMatch> {
        let there = async {
            loop {
                let matches = self.matches().await;
                if is_there(&matches) {
                    return matches;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, there).await {
            Ok(matches) => matches,
            Err(_) => panic!("{what} does not come: {:?}", self.matches().await),
        }
    }

    /// Waits until the group has committed all that there is.
    async fn until_read(&self) {
        let there = async {
            loop {
                let lags = self.log.lag("alerts.match", &[topics::ENRICHED_BLOCKS.name]).await.expect("positions");
                if lags.iter().all(|lag| lag.offsets() == 0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.expect("the group reads to the end");
    }
}

async fn stop((stop, running): Running) {
    stop.cancel();
    running.await.expect("no panic").expect("stopped");
}

type Event = (EnrichedBlock, Vec<EnrichedTransaction>);

/// A chain of blocks with transactions, failed ones among them.
struct Chain {
    network: Network,
    sequence: u64,
    hashes: u64,
    time: i64,
    blocks: Vec<Event>,
}

impl Chain {
    fn new() -> Self {
        Self::of(network())
    }

    fn of(network: Network) -> Self {
        Self { network, sequence: 0, hashes: 0, time: 1_700_000_000_000, blocks: Vec::new() }
    }

    fn envelope(&mut self, op: Op, remaining: u32) -> Envelope {
        self.sequence += 1;
        self.hashes += 1;
        let hash = |n: u64| B256::from(U256::from(n)).into();
        let tip = self.blocks.last().map(|(block, _)| &block.envelope);
        Envelope {
            network: self.network.clone(),
            sequence: self.sequence,
            op,
            origin: Origin::Live,
            height: tip.map_or(100, |tip| tip.height + 1),
            block_hash: hash(self.hashes),
            parent_hash: tip.map_or_else(|| hash(1 << 40), |tip| tip.block_hash.clone()),
            block_time: TimeMs(self.time),
            observed_at: TimeMs(self.time + 500),
            safe_height: None,
            finalized_height: None,
            tx_count: 0,
            log_count: 0,
            reverts_sequence: None,
            reorg_remaining: remaining,
        }
    }

    /// A block of these transactions: their numbers, and whether they failed.
    fn apply(&mut self, transactions: &[(u64, bool)], remaining: u32) -> Event {
        self.time += 2_000;
        let mut envelope = self.envelope(Op::Apply, remaining);
        envelope.tx_count = u32::try_from(transactions.len()).expect("few");
        let mut children = Vec::new();
        for (index, (number, failed)) in (0..).zip(transactions) {
            let hash = B256::from(U256::from(*number));
            let to_address = Some(CONTRACT);
            let evm = EvmTransaction { transaction_index: index, hash, to_address, ..EvmTransaction::default() };
            let enrichment = Enrichment {
                status: if *failed { Status::Failed } else { Status::Success },
                fee: None,
                fee_reason: Some("unknown".to_owned()),
                fee_token_amount: None,
                method: None,
                failure_cause: failed.then(|| "gas_limit".to_owned()),
                failure_reason: None,
                call: None,
                inner_calls: None,
                events: Vec::new(),
            };
            let payload = Payload::Evm(Box::new((evm, enrichment)));
            children.push(EnrichedTransaction { envelope: envelope.child(), payload });
        }
        let failed = transactions.iter().filter(|(_, failed)| *failed).count();
        let summary = BlockSummary {
            transactions: envelope.tx_count,
            failed: u32::try_from(failed).expect("few"),
            ..BlockSummary::default()
        };
        let block = EnrichedBlock { envelope, evm: None, bitcoin: None, summary: Some(summary), facts_position: None };
        self.blocks.push((block.clone(), children.clone()));
        (block, children)
    }

    /// A block of history, filled in between.
    fn fill(&mut self, height: u64) -> Event {
        let mut envelope = self.envelope(Op::Apply, 0);
        (envelope.origin, envelope.height, envelope.block_time) = (Origin::Backfill, height, TimeMs(1_600_000_000_000));
        envelope.parent_hash = B256::from(U256::from(7u64 << 32)).into();
        let summary = Some(BlockSummary::default());
        (EnrichedBlock { envelope, evm: None, bitcoin: None, summary, facts_position: None }, Vec::new())
    }

    fn revert(&mut self, remaining: u32) -> Event {
        let (block, _) = self.blocks.pop().expect("a block");
        let sequence = self.envelope(Op::Revert, remaining).sequence;
        let envelope = Envelope {
            sequence,
            op: Op::Revert,
            tx_count: 0,
            reverts_sequence: Some(block.envelope.sequence),
            reorg_remaining: remaining,
            ..block.envelope
        };
        let child = EnrichedTransaction { envelope: envelope.child(), payload: Payload::Revert };
        (EnrichedBlock { envelope, evm: None, bitcoin: None, summary: None, facts_position: None }, vec![child])
    }

    /// The transactions of the newest block.
    fn newest(&self) -> Vec<(u64, bool)> {
        let (_, children) = self.blocks.last().expect("a block");
        children.iter().filter_map(transaction).map(|(hash, failed)| (number(hash), failed)).collect()
    }

    /// Failed transactions of the chain as it is, with their block's hash.
    fn failed(&self) -> BTreeMap<B256, String> {
        let mut all = BTreeMap::new();
        for (block, children) in &self.blocks {
            let failed = children.iter().filter_map(transaction).filter(|(_, failed)| *failed);
            all.extend(failed.map(|(hash, _)| (hash, block.envelope.block_hash.as_str().to_owned())));
        }
        all
    }
}

fn transaction(of: &EnrichedTransaction) -> Option<(B256, bool)> {
    match &of.payload {
        Payload::Evm(whole) => Some((whole.0.hash, whole.1.status == Status::Failed)),
        _ => None,
    }
}

fn number(hash: B256) -> u64 {
    U256::from_be_bytes(hash.0).to::<u64>()
}

fn monitor(name: &str, status: &str) -> Value {
    json!({
        "name": name, "network": "demo", "group_by": ["transaction"],
        "match_conditions": {"transactions": [{"status": status}]}
    })
}

fn ops(matches: &[AlertMatch]) -> Vec<(MatchOp, u64, u64)> {
    let of = |m: &AlertMatch| m.found.as_ref().map_or(0, |found| number(found.transaction_hash));
    matches.iter().map(|m| (m.op, of(m), m.source.version)).collect()
}

/// What a reader of the matches holds to be true.
fn standing(matches: &[AlertMatch]) -> BTreeMap<B256, String> {
    let (mut standing, mut taken_back) = (BTreeMap::new(), BTreeMap::new());
    for one in matches {
        let Some(found) = &one.found else { continue };
        let (hash, block) = (found.transaction_hash, one.block_hash.as_ref().expect("a block").as_str().to_owned());
        match one.op {
            MatchOp::Match => {
                assert!(!taken_back.contains_key(&hash), "told as new what was taken back");
                assert!(standing.insert(hash, block).is_none(), "told twice");
            }
            MatchOp::IncludedAgain => {
                assert!(taken_back.remove(&hash).is_some(), "included again, and never taken back");
                assert!(standing.insert(hash, block).is_none(), "told twice");
            }
            MatchOp::Retract => {
                assert_eq!(standing.remove(&hash).as_ref(), Some(&block), "taken back as it was given");
                taken_back.insert(hash, block);
            }
            MatchOp::Amend | MatchOp::Figure | MatchOp::LeftOut | MatchOp::Settled => {}
        }
    }
    standing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_takes_back_what_was_told_though_the_monitor_was_edited_and_the_branch_back_includes_it_again() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    bench.define(DefinitionKind::Monitor, "m", 1, monitor("Failures", "Failure")).await;
    let running = bench.start();
    bench.write(&[chain.apply(&[(1, false), (2, true)], 0), chain.apply(&[(3, true), (4, false)], 0)]).await;
    let told = bench.until("both", |matches| matches.len() == 2).await;
    assert_eq!(ops(&told), [(MatchOp::Match, 2, 1), (MatchOp::Match, 3, 1)]);
    assert_eq!((told[0].height, told[0].sequence, told[0].tenant.as_str()), (100, 1, "t"));
    let hash = B256::from(U256::from(2)).to_string();
    assert_eq!((told[0].group.get("transaction"), hash.len()), (Some(&hash), 66));

    // Edited: it would find neither now.
    bench.define(DefinitionKind::Monitor, "m", 2, monitor("Successes", "Success")).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    bench.write(&[chain.revert(2), chain.apply(&[(5, false)], 1), chain.apply(&[(6, true)], 0)]).await;
    let told = bench.until("the reorg", |matches| matches.len() == 5).await;
    assert_eq!(ops(&told)[2..], [(MatchOp::Retract, 3, 1), (MatchOp::Match, 5, 2), (MatchOp::Settled, 0, 0)]);

    // And back again, as it was.
    bench.define(DefinitionKind::Monitor, "m", 3, monitor("Failures", "Failure")).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let back = [chain.revert(3), chain.revert(2), chain.apply(&[(3, true)], 1), chain.apply(&[(7, true)], 0)];
    bench.write(&back).await;
    let told = bench.until("the branch back", |matches| matches.len() == 9).await;
    let expected =
        [(MatchOp::Retract, 5, 2), (MatchOp::IncludedAgain, 3, 3), (MatchOp::Match, 7, 3), (MatchOp::Settled, 0, 0)];
    assert_eq!(ops(&told)[5..], expected);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_that_cost_too_much_are_left_out_for_their_tenant_alone_which_is_told() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let all = json!({
        "name": "All", "network": "demo",
        "match_conditions": {"transactions": [{"status": "Any", "expression": "gas_used >= 0"}]}
    });
    bench.define(DefinitionKind::Monitor, "m", 1, all).await;
    bench.define_of("u", DefinitionKind::Monitor, "n", 1, monitor("Failures", "Failure")).await;
    // To tell that one fits takes four steps, and a match 64: there is room for four of ten.
    let running = bench.start_as(|config| config.alerts.max_steps = 300);
    let ten: Vec<(u64, bool)> = (1..=10).map(|number| (number, number == 10)).collect();
    bench.write(&[chain.apply(&ten, 0), chain.apply(&[(11, false)], 0)]).await;
    let told = bench.until("the next block", |matches| ops(matches).contains(&(MatchOp::Match, 11, 1))).await;
    stop(running).await;
    let found: Vec<(MatchOp, u64, u64)> = [1, 2, 3, 4, 11].map(|number| (MatchOp::Match, number, 1)).to_vec();
    assert_eq!(ops(&told)[1..], found, "the next block has room of its own");
    assert_eq!((told[0].op, told[0].source.id.as_str(), told[0].height), (MatchOp::LeftOut, "m", 100));
    assert_eq!(evidence(&told[0]), json!({"not_looked_at": 6}));
    // Nobody else has less of it.
    assert_eq!(ops(&bench.matches_of("u").await), [(MatchOp::Match, 10, 1)]);
}

/// Nobody knows why the block's transactions failed.
fn without_causes(mut event: Event) -> Event {
    for child in &mut event.1 {
        if let Payload::Evm(whole) = &mut child.payload {
            whole.1.failure_cause = None;
        }
    }
    event
}

/// Why a transaction of a block failed; its number is its place in the block, from 1.
fn cause(block: &EnrichedBlock, number: u64, cause: &str) -> EnrichedCause {
    let envelope = &block.envelope;
    EnrichedCause {
        network: envelope.network.clone(),
        sequence: envelope.sequence,
        height: envelope.height,
        block_hash: envelope.block_hash.clone(),
        block_time: envelope.block_time,
        transaction_index: u32::try_from(number - 1).expect("few"),
        transaction_hash: B256::from(U256::from(number)),
        revision: 1,
        cause: cause.to_owned(),
        reason: "it says so".to_owned(),
        rule: None,
        found_by: CauseEvidence::Trace,
        approximate: false,
        from_address: None,
        contract: Some(CONTRACT),
        method: None,
        entry: None,
        frame_address: None,
        frame_depth: None,
        error: None,
        error_selector: None,
        error_signature: None,
        error_arguments: None,
        output: Bytes::new(),
        calls: None,
        group: None,
        found_at: envelope.block_time,
    }
}

/// Operation, transaction, monitor and cause.
fn causes(matches: &[AlertMatch]) -> Vec<(MatchOp, u64, &str, Option<&str>)> {
    let of = |found: &Found| number(found.transaction_hash);
    let found = matches.iter().filter_map(|one| Some((one, one.found.as_ref()?)));
    found.map(|(one, found)| (one.op, of(found), one.source.id.as_str(), found.cause.as_deref())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_cause_amends_what_was_told_and_brings_what_fits_by_it_alone() {
    use MatchOp::{Amend, Match, Retract};
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let slippage = json!({
        "name": "Slippage", "network": "demo", "group_by": ["transaction"],
        "match_conditions": {"transactions": [{"status": "Failure", "expression": "failure_cause == 'slippage'"}]}
    });
    bench.define(DefinitionKind::Monitor, "m", 1, monitor("Failures", "Failure")).await;
    bench.define(DefinitionKind::Monitor, "s", 1, slippage).await;
    let running = bench.start();
    let block = without_causes(chain.apply(&[(1, true), (2, true), (3, false)], 0));
    bench.write(std::slice::from_ref(&block)).await;
    let told = bench.until("both failures", |matches| matches.len() == 2).await;
    assert_eq!(causes(&told), [(Match, 1, "m", None), (Match, 2, "m", None)]);
    let found = |block: &EnrichedBlock, number: u64, word: &str| {
        bench.record(topics::ENRICHED_CAUSES.name, &cause(block, number, word))
    };
    // That nothing could be found out is no news.
    let late = vec![found(&block.0, 2, "unknown"), found(&block.0, 1, "slippage"), found(&block.0, 2, "deadline")];
    bench.commit("causes.test", late.clone()).await;
    let told = bench.until("what follows", |matches| matches.len() == 5).await;
    let (slippage, deadline) = (Some("slippage"), Some("deadline"));
    // Of a block first what was told already.
    let expected = [(Amend, 1, "m", slippage), (Amend, 2, "m", deadline), (Match, 1, "s", slippage)];
    assert_eq!(causes(&told[2..]), expected);
    let given = told[4].found.as_ref().expect("a match");
    assert_eq!((told[4].height, given.kind, told[4].group.len()), (100, FoundKind::Transaction, 1));
    stop(running).await;

    // Whoever comes next reads them once more, which says nothing new; and a cause may come before its transaction.
    let running = bench.start();
    let next = without_causes(chain.apply(&[(1, false), (2, false), (3, true)], 0));
    bench.commit("causes.test", vec![found(&next.0, 3, "slippage")]).await;
    // It is looked for once a second.
    tokio::time::sleep(Duration::from_secs(4)).await;
    bench.write(std::slice::from_ref(&next)).await;
    let told = bench.until("the next block", |matches| matches.len() >= 7).await;
    let expected = [(Match, 3, "m", slippage), (Match, 3, "s", slippage)];
    assert_eq!(causes(&told[5..]), expected);

    // With their blocks all of it goes, what came late too; and of a block that is reverted no cause says anything.
    let reverts = [chain.revert(2), chain.revert(1)];
    bench.write(&reverts).await;
    bench.write(&[without_causes(chain.apply(&[(4, false)], 0))]).await;
    let told = bench.until("all taken back", |matches| matches.iter().any(|one| one.op == MatchOp::Settled)).await;
    bench.commit("causes.test", late).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let retracted = |of: &[AlertMatch]| -> BTreeSet<(u64, String)> {
        let of = causes(of).into_iter().filter(|(op, ..)| *op == Retract);
        of.map(|(_, number, monitor, _)| (number, monitor.to_owned())).collect()
    };
    let all = [(1, "m"), (1, "s"), (2, "m"), (3, "m"), (3, "s")].map(|(number, id)| (number, id.to_owned()));
    assert_eq!(retracted(&told[7..]), BTreeSet::from(all));
    assert_eq!(bench.matches().await.len(), told.len(), "nothing is said of what is gone");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cause_that_comes_after_a_restart_finds_its_transaction_once() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let slippage = json!({
        "name": "Slippage", "network": "demo",
        "match_conditions": {"transactions": [{"status": "Failure", "expression": "failure_cause == 'slippage'"}]}
    });
    bench.define(DefinitionKind::Monitor, "s", 1, slippage).await;
    let mut running = bench.start();
    let block = without_causes(chain.apply(&[(1, true), (2, true), (3, true)], 0));
    let gone = without_causes(chain.apply(&[(4, true)], 0));
    let found = |block: &EnrichedBlock, number: u64| {
        bench.record(topics::ENRICHED_CAUSES.name, &cause(block, number, "slippage"))
    };
    bench.write(&[block.clone(), gone.clone(), chain.revert(0)]).await;
    bench.until_read().await;
    let wanted = [1u64, 2].map(|number| (MatchOp::Match, number, "s", Some("slippage")));
    for at in 1..=2usize {
        stop(running).await;
        running = bench.start();
        // That of a transaction whose block is gone by now comes, too.
        let number = u64::try_from(at).expect("few");
        bench.commit("causes.test", vec![found(&gone.0, 4), found(&block.0, number)]).await;
        let told = bench.until("what fits by its cause", |matches| matches.len() >= at).await;
        assert_eq!(causes(&told), wanted[..at]);
    }
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_it_is_cut_off_in_each_match_is_told_once() {
    cut_off_anywhere(Bench::new().await, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_over_kafka() {
    if let Some(bench) = Bench::kafka().await {
        cut_off_anywhere(bench, 12).await;
    }
}

/// `kill -9`, as far as one process can do it to a part of itself: the stage is dropped wherever it is, once in so many writes.
async fn cut_off_anywhere(bench: Bench, rarely: u8) {
    let (mut chain, mut random) = (Chain::new(), Rng::with_seed(11));
    bench.define(DefinitionKind::Monitor, "m", 1, monitor("Failures", "Failure")).await;
    let (mut running, mut numbers, mut cuts) = (bench.start(), 0, 0);
    let mut new = |random: &mut Rng| -> Vec<(u64, bool)> {
        let count = random.usize(0..4);
        (0..count)
            .map(|_| {
                numbers += 1;
                (numbers, random.bool())
            })
            .collect()
    };
    for _ in 0..120 {
        let mut events = Vec::new();
        if chain.blocks.len() > 6 && random.u8(0..4) == 0 {
            let depth = random.u32(1..5);
            let mut again = Vec::new();
            for at in 0..depth {
                again.extend(chain.newest());
                events.push(chain.revert(2 * depth - at));
            }
            for at in 0..=depth {
                let count = again.len().min(random.usize(0..4));
                let mut transactions: Vec<_> = again.drain(..count).collect();
                transactions.extend(new(&mut random));
                events.push(chain.apply(&transactions, depth - at));
            }
        } else {
            events.push(chain.apply(&new(&mut random), 0));
        }
        bench.write(&events).await;
        if random.u8(0..rarely) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(0..120))).await;
            running.1.abort();
            let _ = (&mut running.1).await;
            running = bench.start();
            cuts += 1;
        }
    }
    const LAST: u64 = 1 << 40;
    bench.write(&[chain.apply(&[(LAST, true)], 0)]).await;
    let is_last = |m: &AlertMatch| m.found.as_ref().is_some_and(|found| number(found.transaction_hash) == LAST);
    let told = bench.until("the last one", |matches| matches.iter().any(is_last)).await;
    assert_eq!(standing(&told), chain.failed(), "after {cuts} cuts");
    assert!(cuts > 4 && told.iter().any(|m| m.op == MatchOp::Retract), "the test shows too little");
    stop(running).await;
}

fn evidence(of: &AlertMatch) -> Value {
    serde_json::from_str(&of.figure.as_ref().expect("a figure").evidence).expect("JSON")
}

fn is_over(of: &AlertMatch) -> bool {
    of.figure.as_ref().is_some_and(|figure| figure.over)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_says_when_its_figure_crosses_and_a_restart_says_nothing_new() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let rule = json!({
        "name": "Failures", "network": "demo", "metric": "failure_rate", "threshold": 0.25, "window": "1m", "min_count": 4
    });
    bench.define(DefinitionKind::Rule, "r", 1, rule).await;
    let running = bench.start();
    // A minute of blocks with one failure in ten, then with one in two.
    let mut numbers = 0;
    let mut block = |every: u64| -> Vec<(u64, bool)> {
        numbers += 10;
        (0..10).map(|at| (numbers + at, every > 0 && at % every == 0)).collect()
    };
    let events: Vec<Event> = (0..40).map(|_| chain.apply(&block(10), 0)).collect();
    bench.write(&events).await;
    let told = bench.until("the first look", |matches| !matches.is_empty()).await;
    assert!(told.iter().all(|one| one.figure.is_some() && !is_over(one)), "{told:?}");
    let events: Vec<Event> = (0..20).map(|_| chain.apply(&block(2), 0)).collect();
    bench.write(&events).await;
    let told = bench.until("the crossing", |matches| matches.iter().any(is_over)).await;
    let first = told.iter().find(|one| is_over(one)).expect("over");
    // Of 30 blocks of 10: with 12 bad ones 12 × 5 + 18 = 78 of 300 are more than a quarter, with 11 of them 74 are not.
    let said = evidence(first);
    assert_eq!((first.sequence, first.op), (52, MatchOp::Figure), "{said}");
    assert_eq!((&said["failed"], &said["transactions"]), (&json!(78), &json!(300)), "{said}");
    assert_eq!((&said["metric"], &said["threshold"]), (&json!("failure_rate"), &json!(0.25)), "{said}");
    assert_eq!((&said["window"], &said["causes"][0]), (&json!("1m"), &json!({"cause": "gas_limit", "count": 78})));
    bench.until_read().await;
    stop(running).await;

    // Whoever takes over rebuilds the window from the log, and says that it still holds, and no more.
    let before = bench.matches().await.len();
    let running = bench.start();
    bench.write(&[chain.apply(&block(2), 0)]).await;
    let told = bench.until("the next block", |matches| matches.len() > before).await;
    let last = told.last().expect("one");
    assert!(is_over(last) && told.len() == before + 1, "{told:?}");
    // 21 bad blocks and 9 good ones.
    let said = evidence(last);
    assert_eq!((&said["failed"], &said["transactions"]), (&json!(114), &json!(300)), "{said}");

    // A fork takes the crossing back with its block, and says what holds when it is over.
    let reverts = 10;
    let mut events: Vec<Event> = (0..reverts).map(|at| chain.revert(2 * reverts - at)).collect();
    for at in 0..=reverts {
        events.push(chain.apply(&block(0), reverts - at));
    }
    bench.write(&events).await;
    let told = bench.until("settled", |matches| matches.iter().any(|one| one.op == MatchOp::Settled)).await;
    let rest: Vec<MatchOp> = told[before + 1..].iter().map(|one| one.op).collect();
    assert_eq!(rest, [MatchOp::Retract, MatchOp::Figure, MatchOp::Settled], "{told:?}");
    assert!(!is_over(&told[before + 2]), "{told:?}");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_that_is_filled_in_between_leaves_windows_whole_and_is_nobodys_alert() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let rule = json!({
        "name": "Quiet", "network": "demo", "metric": "transactions", "operator": "<", "threshold": 291, "window": "1m"
    });
    bench.define(DefinitionKind::Rule, "r", 1, rule).await;
    bench.define(DefinitionKind::Monitor, "m", 1, monitor("All", "Any")).await;
    let running = bench.start();
    let ten = |from: u64| -> Vec<(u64, bool)> { (0..10).map(|at| (from + at, false)).collect() };
    let events: Vec<Event> = (0..40).map(|block| chain.apply(&ten(1 + block * 10), 0)).collect();
    bench.write(&events).await;
    // Of a window that is not whole nothing is said: with the 31st block it is.
    let told = bench.until("the first look", |matches| matches.iter().any(|one| one.figure.is_some())).await;
    let first = told.iter().find(|one| one.figure.is_some()).expect("one");
    assert!(!is_over(first) && first.sequence == 31, "{first:?}");
    let mut events: Vec<Event> = (1..6).map(|height| chain.fill(height)).collect();
    events.extend([chain.apply(&[], 0), chain.fill(6), chain.apply(&[], 0)]);
    bench.write(&events).await;
    let told = bench.until("the quiet", |matches| matches.iter().any(is_over)).await;
    let over = told.iter().find(|one| is_over(one)).expect("over");
    let said = evidence(over);
    assert_eq!((&said["transactions"], &said["complete"]), (&json!(290), &json!(true)), "{said}");
    assert!(told.iter().filter(|one| one.found.is_some()).all(|one| one.height >= 100), "history fires nothing");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_is_silent_only_where_it_was_watched_and_its_sums_were_kept() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let rule = |contract: Address| {
        json!({
            "name": "Silent", "network": "demo", "metric": "transactions", "operator": "<", "threshold": 1, "window": "1m",
            "contract": contract.to_string().to_lowercase()
        })
    };
    let other = Address::repeat_byte(8);
    bench.define(DefinitionKind::Rule, "r", 1, rule(CONTRACT)).await;
    let running = bench.start();
    // What nobody has watched is not silent.
    let events: Vec<Event> = (0..40).map(|_| chain.apply(&[], 0)).collect();
    bench.write(&events).await;
    bench.until_read().await;
    assert!(bench.matches().await.is_empty(), "{:?}", bench.matches().await);
    // Since long before, as it turns out.
    bench.watch(CONTRACT, 1_600_000_000_000).await;
    bench.watch(other, 1_600_000_000_000).await;
    let mut said = Vec::new();
    for _ in 0..200 {
        bench.write(&[chain.apply(&[], 0)]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        said = bench.matches().await;
        if !said.is_empty() {
            break;
        }
    }
    assert!(said.first().is_some_and(is_over), "{said:?}");
    assert_eq!(evidence(&said[0])["complete"], json!(true));
    // Of one that a rule comes to want, sums are kept from the next block on: it is silent a minute later.
    let before = chain.sequence;
    bench.define(DefinitionKind::Rule, "s", 1, rule(other)).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let events: Vec<Event> = (0..45).map(|_| chain.apply(&[], 0)).collect();
    bench.write(&events).await;
    let is_of = |one: &AlertMatch| one.source.id == "s";
    let told = bench.until("the other", |matches| matches.iter().any(is_of)).await;
    let first = told.iter().find(|one| is_of(one)).expect("one");
    assert!(is_over(first) && first.sequence >= before + 30, "{before}: {first:?}");
    stop(running).await;
}

/// Rows of one contract that did something once.
struct Rows(Did);

#[async_trait::async_trait]
impl Past for Rows {
    async fn of(
        &self,
        _: &Network,
        contract: Address,
        times: (TimeMs, TimeMs),
        sequence: u64,
    ) -> Result<Vec<Did>, String> {
        assert_eq!(contract, CONTRACT);
        assert!(sequence > 1, "the events that the group has read have to be in the rows");
        Ok([self.0].into_iter().filter(|did| (times.0.0..times.1.0).contains(&did.at)).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_contract_did_before_it_was_watched_is_taken_from_the_store() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let begun = chain.time;
    let rule = |id: &str, threshold: u64| {
        json!({
            "name": id, "network": "demo", "metric": "transactions", "operator": "<", "threshold": threshold, "window": "5m",
            "contract": CONTRACT.to_string().to_lowercase()
        })
    };
    bench.define(DefinitionKind::Rule, "three", 1, rule("three", 3)).await;
    bench.define(DefinitionKind::Rule, "four", 1, rule("four", 4)).await;
    bench.watch(CONTRACT, begun).await;
    let did = Did { at: begun + 60_000, height: 130, transactions: 3, failed: 1, ..Did::default() };
    let running = bench.start_with(Keeper(Some(Arc::new(Rows(did)))));
    // Three minutes, and a chain that was followed for an hour before: the window begins before anybody watched.
    chain.time -= 3_600_000;
    bench.write(&[chain.apply(&[], 0)]).await;
    chain.time = begun;
    let events: Vec<Event> = (0..90).map(|_| chain.apply(&[], 0)).collect();
    bench.write(&events).await;
    let is_of = |id: &'static str| move |one: &&AlertMatch| one.source.id == id;
    let told = bench
        .until("both rules", |matches| {
            matches.iter().any(|one| is_of("three")(&one)) && matches.iter().any(|one| is_of("four")(&one))
        })
        .await;
    for (id, over) in [("three", false), ("four", true)] {
        let first = told.iter().find(is_of(id)).expect("one");
        let said = evidence(first);
        assert_eq!((is_over(first), first.sequence), (over, chain.sequence), "{said}");
        assert_eq!((&said["transactions"], &said["failed"]), (&json!(3), &json!(1)), "{said}");
        assert_eq!(said["complete"], json!(true), "{said}");
    }
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_window_is_looked_at_with_the_event_that_ends_a_reorg() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let rule = json!({
        "name": "Failed", "network": "demo", "metric": "failed", "operator": ">=", "threshold": 3, "window": "1h"
    });
    bench.define(DefinitionKind::Rule, "r", 1, rule).await;
    let running = bench.start();
    // It begins to hold with the first block of a minute.
    chain.time = 1_700_000_040_000 - 2_000;
    bench.write(&[chain.apply(&[], 0)]).await;
    chain.time = 1_700_000_100_000 - 2_000;
    bench.write(&[chain.apply(&[(1, true), (2, true), (3, true)], 0)]).await;
    let told = bench.until("the crossing", |matches| matches.iter().any(is_over)).await;
    let before = told.len();
    // Another block of the same minute takes its place, and it holds there too: nobody waits for the next minute to hear so.
    let fork = [chain.revert(2), chain.apply(&[(1, true), (2, true), (3, true)], 1), chain.apply(&[], 0)];
    let end = fork[2].0.envelope.sequence;
    bench.write(&fork).await;
    let holds = |one: &&AlertMatch| one.op == MatchOp::Figure && is_over(one);
    let told = bench.until("the crossing again", |matches| matches[before..].iter().any(|one| holds(&one))).await;
    let again = told[before..].iter().find(holds).expect("over");
    assert_eq!((told[before].op, again.sequence), (MatchOp::Retract, end), "{told:?}");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_whose_end_is_taken_back_goes_on_with_the_same_alert() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let rule = json!({
        "name": "Failed", "network": "demo", "metric": "failed", "operator": ">=", "threshold": 3, "window": "1m"
    });
    bench.define(DefinitionKind::Rule, "r", 1, rule).await;
    let running = bench.start();
    // 30 blocks are a minute: three failures in the first of 41, and with the 31st they are a minute ago.
    let mut events = vec![chain.apply(&[(1, true), (2, true), (3, true)], 0)];
    events.extend((0..40).map(|_| chain.apply(&[], 0)));
    bench.write(&events).await;
    let told = bench.until("the end", |matches| matches.len() > 1 && !matches.last().is_some_and(is_over)).await;
    assert!(is_over(&told[0]) && told[0].sequence == 1, "{told:?}");
    let before = told.len();
    assert_eq!(told[before - 1].sequence, 31);
    // The chain forks below the end, and in the new branch it holds again.
    let mut events: Vec<Event> = (0..11).map(|at| chain.revert(22 - at)).collect();
    events.extend(
        (0..12).map(|at| chain.apply(if at == 11 { &[(4, true), (5, true), (6, true)] } else { &[] }, 11 - at)),
    );
    bench.write(&events).await;
    let told = bench.until("the same again", |matches| matches.len() >= before + 2).await;
    let rest: Vec<MatchOp> = told[before..].iter().map(|one| one.op).collect();
    assert_eq!(rest, [MatchOp::IncludedAgain, MatchOp::Figure], "{told:?}");
    assert!(is_over(&told[before + 1]) && told[before].found.is_none(), "{told:?}");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_for_a_while_only_while_nobody_is_there_is_said_all_the_same() {
    let (bench, mut chain, mut another) = (Bench::new().await, Chain::new(), Chain::of(other()));
    let rule = |network: &str| {
        json!({
            "name": "Failed", "network": network, "metric": "failed", "operator": ">=", "threshold": 3, "window": "1m"
        })
    };
    bench.define(DefinitionKind::Rule, "r", 1, rule("demo")).await;
    bench.define(DefinitionKind::Rule, "s", 1, rule("other")).await;
    let running = bench.start();
    for _ in 0..20 {
        let events: Vec<Event> = (0..20).flat_map(|_| [chain.apply(&[], 0), another.apply(&[], 0)]).collect();
        bench.write(&events).await;
    }
    bench.until_read().await;
    stop(running).await;

    // Two networks are read back at the same time, and what comes first is a minute for which the rule holds.
    let before = bench.matches().await.len();
    let mut events = vec![another.apply(&[], 0), chain.apply(&[(1, true), (2, true), (3, true)], 0)];
    let begins = chain.sequence;
    events.extend((0..40).map(|_| chain.apply(&[], 0)));
    bench.write(&events).await;
    let running = bench.start();
    let is_of = |one: &&AlertMatch| one.network == network();
    let ends = |matches: &[AlertMatch]| matches[before..].iter().filter(is_of).any(|one| !is_over(one));
    let told = bench.until("its end", ends).await;
    let said: Vec<(u64, bool)> = told[before..].iter().filter(is_of).map(|one| (one.sequence, is_over(one))).collect();
    assert_eq!(said.first(), Some(&(begins, true)), "{told:?}");
    assert_eq!(said.last(), Some(&(begins + 30, false)), "{told:?}");
    stop(running).await;
}
