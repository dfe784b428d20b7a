//! A log, the stage on it, and what came of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256};
use decode::causes::Table;
use enrich::causes::{AllNodes, Budgets, Calls, Config, Nodes, failures::Failures, run};
use nodes::{
    evm::{
        Checks, Endpoint, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
    },
    fleet::{Clock, Confirm, FleetConfig, MemberConfig},
};
use runtime::log::{
    Log, LogError, NewRecord, Record as LogRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
    fold,
};
use schemas::{
    BlockHash, Codec, Envelope, Network, Op, Origin, Record, TimeMs,
    records::{ControlConfig, EnrichedCause, EvmTransaction, NetworkPartition, Payload, RawBlock, RawTransaction},
    topics,
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::node::{CHAIN_ID, Node};

pub const PARTITION: u32 = 1;

pub fn network() -> Network {
    "eth".parse().expect("a slug")
}

pub struct Bench {
    pub log: Arc<EmbeddedLog>,
    pub codec: Arc<Codec>,
    pub config: Config,
    sequence: u64,
    _dir: tempfile::TempDir,
}

pub struct Running(CancellationToken, JoinHandle<Result<(), enrich::Error>>);

impl Running {
    pub async fn stop(self) {
        self.0.cancel();
        self.1.await.expect("it ends").expect("without an error");
    }

    /// As a kill does: nothing is committed any more.
    pub async fn kill(self) {
        self.1.abort();
        let _ = self.1.await;
    }
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let log =
            EmbeddedLog::open(EmbeddedConfig { min_free_bytes: 0, ..EmbeddedConfig::new(dir.path().join("log")) });
        let log = log.await.expect("a log");
        log.ensure_topics(&topics::ALL, 2).await.expect("topics");
        let mut config = Config::new("test", dir.path().join("contracts-cache"));
        config.budgets = Budgets::new(Calls { per_second: 1_000.0, per_day: 1_000_000 });
        config.failures = Failures {
            traces: true,
            table: Arc::new(Table::builtin().clone()),
            give_up_after: Duration::from_secs(60),
        };
        let bench = Self { log, codec: Arc::new(Codec::builtin()), config, sequence: 0, _dir: dir };
        let partition = NetworkPartition { network: network(), partition: PARTITION, decided_at: TimeMs(0) };
        bench.publish("t.control", vec![bench.record(&ControlConfig::NetworkPartition(partition), 0)]).await;
        bench
    }

    /// With a node that answers as it is told.
    pub async fn with(node: &Node) -> Self {
        let mut bench = Self::new().await;
        bench.config.nodes = nodes(&node.url());
        bench
    }

    pub fn start(&self) -> Running {
        self.start_as("test")
    }

    pub fn start_as(&self, instance: &str) -> Running {
        let stop = CancellationToken::new();
        let config = Config { instance: instance.to_owned(), ..self.config.clone() };
        let running = run(config, self.log.clone(), self.codec.clone(), stop.clone());
        Running(stop, tokio::spawn(running))
    }

    pub fn record<R: Record>(&self, record: &R, partition: u32) -> NewRecord {
        NewRecord {
            to: TopicPartition { topic: R::TOPIC.name, partition },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record).expect("encoded")),
            headers: record.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
        }
    }

    pub async fn publish(&self, id: &str, records: Vec<NewRecord>) {
        let mut producer = self.log.producer(id).await.expect("a producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("committed");
    }

    pub fn envelope(&mut self, op: Op, height: u64, hash: B256, transactions: usize) -> Envelope {
        self.sequence += 1;
        let time = TimeMs(height as i64 * 1_000);
        Envelope {
            network: network(),
            sequence: self.sequence,
            op,
            origin: Origin::Live,
            height,
            block_hash: BlockHash::from(hash),
            parent_hash: BlockHash::from(B256::ZERO),
            block_time: time,
            observed_at: time,
            safe_height: None,
            finalized_height: None,
            tx_count: transactions as u32,
            log_count: 0,
            reverts_sequence: None,
            reorg_remaining: 0,
        }
    }

    /// A block; transactions have the indexes in which they stand. Returns its sequence.
    pub async fn apply(&mut self, height: u64, hash: B256, transactions: Vec<EvmTransaction>) -> u64 {
        let header = self.envelope(Op::Apply, height, hash, transactions.len());
        let envelope = header.child();
        let header = RawBlock { envelope: header, evm: Some(Box::default()), bitcoin: None };
        let records = transactions.into_iter().zip(0..).map(|(transaction, transaction_index)| {
            let transaction = EvmTransaction { transaction_index, ..transaction };
            let payload = Payload::Evm(Box::new(transaction));
            self.record(&RawTransaction { envelope: envelope.clone(), payload }, PARTITION)
        });
        let records = std::iter::once(self.record(&header, PARTITION)).chain(records).collect();
        self.publish("t.ingest", records).await;
        envelope.sequence
    }

    pub async fn revert(&mut self, height: u64, hash: B256) {
        let envelope = self.envelope(Op::Revert, height, hash, 0).child();
        let raw = RawTransaction { envelope, payload: Payload::Revert };
        self.publish("t.ingest", vec![self.record(&raw, PARTITION)]).await;
    }

    /// All records of causes, in their order.
    pub async fn causes(&self) -> Vec<EnrichedCause> {
        let at = TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition: PARTITION };
        let mut causes = Vec::new();
        let each = |record: LogRecord| {
            let value = record.value.as_ref().expect("no removals");
            causes.push(self.codec.decode::<EnrichedCause>(value).expect("a cause"));
            Ok::<(), LogError>(())
        };
        fold(&*self.log, at, each).await.expect("read");
        causes
    }

    /// The causes once there are so many, in their order; each event's transaction has one.
    pub async fn until(&self, many: usize) -> Vec<EnrichedCause> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let causes = self.causes().await;
            if causes.len() >= many || Instant::now() > until {
                once(&causes);
                assert_eq!(causes.len(), many, "{causes:#?}");
                return causes;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How far the group is.
    pub async fn position(&self) -> Option<u64> {
        let lags = self.log.lag("causes-failures", &[topics::RAW_TRANSACTIONS.name]).await.expect("known");
        lags.into_iter().find(|lag| lag.at.partition == PARTITION).and_then(|lag| lag.position)
    }
}

/// Each once.
pub fn once(causes: &[EnrichedCause]) {
    let mut seen: BTreeMap<(u64, u32), usize> = BTreeMap::new();
    for cause in causes {
        assert_eq!(cause.revision, 1);
        *seen.entry((cause.sequence, cause.transaction_index)).or_default() += 1;
    }
    let twice: Vec<_> = seen.into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "more than one record: {twice:?}");
}

pub fn nodes(url: &str) -> AllNodes {
    let endpoint = Endpoint { name: "node".into(), url: url.parse().expect("a URL"), ws: None, headers: vec![] };
    let config = EvmFleetConfig {
        network: network(),
        chain_id: CHAIN_ID,
        observer: "causes/test".into(),
        checks: Checks::OFF,
        tuning: Tuning::default(),
        confirm: Confirm::Never,
        confirm_within: Duration::from_secs(2),
        fleet: FleetConfig::default(),
    };
    let member = MemberConfig::new("node", url);
    let fleet = EvmFleet::new(config, vec![(member, endpoint)], Clock::system()).expect("a fleet");
    let nodes = AllNodes::default();
    nodes.set(BTreeMap::from([(network(), Nodes { chain_id: CHAIN_ID, fleet })]));
    nodes
}

pub fn hash(n: u64) -> B256 {
    B256::from(U256::from(n))
}

pub fn contract(n: u64) -> Address {
    Address::from_word(hash(0x1_0000 + n))
}

/// A failed call of a contract's function `0xa9059cbb`, that used some of its gas.
pub fn failed(n: u64, to: Address) -> EvmTransaction {
    EvmTransaction {
        hash: hash(0x1000_0000 + n),
        from_address: Address::repeat_byte(9),
        to_address: Some(to),
        input: Bytes::from_static(&[0xa9, 0x05, 0x9c, 0xbb]),
        gas: 30_000,
        receipt_gas_used: 21_000,
        receipt_status: Some(0),
        ..EvmTransaction::default()
    }
}

/// One that succeeded.
pub fn fine(n: u64) -> EvmTransaction {
    EvmTransaction { receipt_status: Some(1), ..failed(n, contract(n)) }
}

impl Node {
    /// Makes what the node has of a block.
    pub fn has(&self, block: B256, transactions: &[EvmTransaction], text: &str) {
        let mut failed = self.chain.failed.lock().expect("alone");
        for transaction in transactions.iter().filter(|t| t.receipt_status == Some(0)) {
            failed.insert(transaction.hash, (block, transaction.to_address.unwrap_or_default(), text.to_owned()));
        }
    }
}
