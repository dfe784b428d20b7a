//! The stage `causes` over an embedded log of its own, and contracts of a real EVM node (anvil, `scripts/fetch-anvil`), assembled by hand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use enrich::causes::{AllNodes, Calls, Config, Nodes, run};
use loadtest::node::anvil::Anvil;
use nodes::{
    evm::{
        Checks, Endpoint, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
    },
    fleet::{Clock, Confirm, FleetConfig, MemberConfig},
};
use runtime::log::{
    Log, NewRecord, Record as LogRecord, TopicPartition, Transaction,
    compacted::{Found, judge},
    embedded::{EmbeddedConfig, EmbeddedLog},
    fold,
};
use schemas::{
    BlockHash, ChildEnvelope, Codec, Network, Op, Record, TimeMs,
    records::{
        Contract, ContractFacts, ControlConfig, EvmLog, EvmTransaction, FactSource, FoundBy, NetworkPartition,
        OperatorContract, Payload, ProxyKind, RawTransaction,
    },
    topics,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PARTITION: u32 = 1;
pub const SLUG: &str = "eth";

pub fn network() -> Network {
    SLUG.parse().expect("a slug")
}

pub fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

pub struct Bench {
    pub log: Arc<EmbeddedLog>,
    pub codec: Arc<Codec>,
    pub config: Config,
    pub dir: tempfile::TempDir,
    pub sequence: u64,
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
        let config = Config::new("test", dir.path().join("contracts-cache"));
        let bench = Self { log, codec: Arc::new(Codec::builtin()), config, dir, sequence: 0 };
        let partition = NetworkPartition { network: network(), partition: PARTITION, decided_at: TimeMs(0) };
        bench.publish("t.control", vec![bench.record(&ControlConfig::NetworkPartition(partition), 0)]).await;
        bench
    }

    pub fn start(&self) -> Running {
        let stop = CancellationToken::new();
        let running = run(self.config.clone(), self.log.clone(), self.codec.clone(), stop.clone());
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

    pub fn child(&mut self, op: Op, height: u64, hash: BlockHash) -> ChildEnvelope {
        self.sequence += 1;
        let (network, sequence) = (network(), self.sequence);
        let time = TimeMs(height as i64 * 1_000);
        ChildEnvelope { network, sequence, op, height, block_hash: hash, block_time: time, observed_at: time }
    }

    /// A block of one transaction.
    pub async fn apply(&mut self, height: u64, hash: BlockHash, transaction: EvmTransaction) {
        let envelope = self.child(Op::Apply, height, hash);
        let raw = RawTransaction { envelope, payload: Payload::Evm(Box::new(transaction)) };
        self.publish("t.ingest", vec![self.record(&raw, PARTITION)]).await;
    }

    pub async fn revert(&mut self, height: u64, hash: BlockHash) {
        let envelope = self.child(Op::Revert, height, hash);
        let raw = RawTransaction { envelope, payload: Payload::Revert };
        self.publish("t.ingest", vec![self.record(&raw, PARTITION)]).await;
    }

    /// Facts as a reader of the whole topic has them, and how many records there are. No revision ever falls.
    pub async fn facts(&self) -> (BTreeMap<Address, ContractFacts>, usize) {
        let at = TopicPartition { topic: topics::CONTRACT_FACTS.name, partition: PARTITION };
        let (mut facts, mut revisions, mut records) = (BTreeMap::new(), BTreeMap::new(), 0);
        let each = |record: LogRecord| {
            records += 1;
            let key = String::from_utf8(record.key.clone().expect("a key").to_vec()).expect("text");
            let (_, address) = ContractFacts::in_key(&key).expect("a contract");
            let revision = runtime::facts::removed_at(&record).expect("in the header");
            let before = revisions.insert(address, revision);
            assert!(before.is_none_or(|before| before < revision), "{key}: {before:?}, then {revision}");
            match judge::<ContractFacts>(&self.codec, &record) {
                Found::Ours(found) => drop(facts.insert(address, found)),
                Found::Removed => drop(facts.remove(&address)),
                other => panic!("{key}: {other:?}"),
            }
            Ok::<(), runtime::log::LogError>(())
        };
        fold(&*self.log, at, each).await.expect("read");
        (facts, records)
    }

    /// Waits until the facts of a contract are as they should be.
    pub async fn until(&self, what: &str, of: Address, right: impl Fn(Option<&ContractFacts>) -> bool) {
        for _ in 0..300 {
            if right(self.facts().await.0.get(&of)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: {:#?}", self.facts().await.0);
    }

    pub async fn until_behind(&self, what: &str, of: Address, expected: &[(u64, Address)]) {
        self.until(what, of, |facts| behind(facts) == expected).await;
    }
}

pub fn behind(facts: Option<&ContractFacts>) -> Vec<(u64, Address)> {
    let of = facts.map(|facts| facts.implementations.clone()).unwrap_or_default();
    of.into_iter().filter_map(|i| Some((i.from_height, i.address?))).collect()
}

pub fn hash(n: u64) -> BlockHash {
    BlockHash::from(B256::from(U256::from(n)))
}

pub fn upgraded(contract: Address, to: Address) -> EvmTransaction {
    let topics = vec![keccak256("Upgraded(address)"), to.into_word()];
    let log = EvmLog { log_index: 0, address: contract, topics, data: Bytes::new() };
    EvmTransaction { logs: vec![log], ..EvmTransaction::default() }
}

/// A proxy of EIP-1967, assembled by hand. `upgradeTo(address)` (0x3659cfe6) stores an implementation and says so; every other call is
/// handed on by DELEGATECALL. The constructor stores the first implementation and says nothing.
pub fn proxy(first: Address) -> Vec<u8> {
    let slot = hex!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
    let topic = keccak256("Upgraded(address)");
    let mut runtime = hex!("5f3560e01c633659cfe614600057").to_vec(); // is it upgradeTo? then there
    let jump = runtime.len() - 2;
    runtime.extend(hex!("365f5f375f5f365f7f")); // calldata to memory; delegatecall(gas, sload(slot), 0, size, 0, 0)
    runtime.extend(slot);
    runtime.extend(hex!("545af43d5f5f3e6000573d5ffd")); // what came back, returned or reverted
    let returns = runtime.len() - 5;
    runtime[returns] = u8::try_from(runtime.len()).expect("short");
    runtime.extend(hex!("5b3d5ff3"));
    runtime[jump] = u8::try_from(runtime.len()).expect("short");
    runtime.extend(hex!("5b600435807f")); // sstore(slot, address); log2(0, 0, topic, address)
    runtime.extend(slot);
    runtime.extend(hex!("557f"));
    runtime.extend(topic);
    runtime.extend(hex!("5f5fa200"));
    let mut code = vec![0x73];
    code.extend(first);
    code.push(0x7f);
    code.extend(slot);
    code.push(0x55);
    let length = u8::try_from(runtime.len()).expect("short");
    let offset = u8::try_from(code.len() + 9).expect("short");
    code.extend([0x60, length, 0x80, 0x60, offset, 0x5f, 0x39, 0x5f, 0xf3]);
    code.extend(runtime);
    code
}

/// A contract that does nothing, whatever it is called for; its code has a selector in it.
pub fn silent(function: &str) -> Vec<u8> {
    let mut runtime = vec![0x63];
    runtime.extend(&keccak256(function)[..4]);
    runtime.extend(hex!("5000"));
    let mut code = vec![0x60, 7, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend(runtime);
    code
}

pub struct Node {
    pub anvil: Anvil,
}

impl Node {
    pub async fn start() -> Option<Self> {
        let anvil = Anvil::start(runtime::cache::folder().as_deref())?;
        Some(Self { anvil })
    }

    pub fn nodes(&self) -> AllNodes {
        let endpoint =
            Endpoint { name: "anvil".into(), url: self.anvil.url().parse().expect("a URL"), ws: None, headers: vec![] };
        let config = EvmFleetConfig {
            network: network(),
            chain_id: 31_337,
            observer: "causes/test".into(),
            checks: Checks::OFF,
            tuning: Tuning::default(),
            confirm: Confirm::Never,
            confirm_within: Duration::from_secs(2),
            fleet: FleetConfig::default(),
        };
        let member = MemberConfig::new("anvil", &self.anvil.url());
        let fleet = EvmFleet::new(config, vec![(member, endpoint)], Clock::system()).expect("a fleet");
        let nodes = AllNodes::default();
        nodes.set(BTreeMap::from([(network(), Nodes { chain_id: 31_337, fleet })]));
        nodes
    }

    pub async fn send(&self, to: Option<Address>, data: &[u8]) -> Value {
        self.anvil.send(to.map(|to| to.to_string()).as_deref(), &hex::encode_prefixed(data)).await
    }

    pub async fn deploy(&self, code: &[u8]) -> Address {
        let receipt = self.send(None, code).await;
        receipt["contractAddress"].as_str().expect("made").parse().expect("an address")
    }
}

/// A transaction as the node has it, as far as the stage looks.
pub fn transaction(receipt: &Value, to: Address, input: &[u8]) -> (u64, BlockHash, EvmTransaction) {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let height = u64::from_str_radix(text(&receipt["blockNumber"]).trim_start_matches("0x"), 16).expect("a height");
    let log = |log: &Value| EvmLog {
        log_index: 0,
        address: text(&log["address"]).parse().expect("an address"),
        topics: log["topics"].as_array().expect("topics").iter().map(|t| text(t).parse().expect("a hash")).collect(),
        data: text(&log["data"]).parse().expect("data"),
    };
    let transaction = EvmTransaction {
        to_address: Some(to),
        input: Bytes::copy_from_slice(input),
        logs: receipt["logs"].as_array().expect("logs").iter().map(log).collect(),
        ..EvmTransaction::default()
    };
    (height, text(&receipt["blockHash"]).parse().expect("a hash"), transaction)
}

pub fn upgrade_to(to: Address) -> Vec<u8> {
    [&hex!("3659cfe6")[..], to.into_word().as_slice()].concat()
}
