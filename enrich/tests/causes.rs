//! The stage `causes` over the embedded log: what logs say becomes facts, reverts take it back, a kill forgets nothing and doubles
//! nothing; the operator's contracts are copied; and on a real EVM node (anvil, `scripts/fetch-anvil`) what stands behind a proxy is
//! found at a block's hash, before and after an upgrade. What waits in the stream never waits for any of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use enrich::causes::{AllNodes, Budgets, Calls, Config, Nodes, run};
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

const PARTITION: u32 = 1;
const SLUG: &str = "eth";

fn network() -> Network {
    SLUG.parse().expect("a slug")
}

fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

struct Bench {
    log: Arc<EmbeddedLog>,
    codec: Arc<Codec>,
    config: Config,
    dir: tempfile::TempDir,
    sequence: u64,
}

struct Running(CancellationToken, JoinHandle<Result<(), enrich::Error>>);

impl Running {
    async fn stop(self) {
        self.0.cancel();
        self.1.await.expect("it ends").expect("without an error");
    }

    /// As a kill does: nothing is committed any more.
    async fn kill(self) {
        self.1.abort();
        let _ = self.1.await;
    }
}

impl Bench {
    async fn new() -> Self {
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

    fn start(&self) -> Running {
        let stop = CancellationToken::new();
        let running = run(self.config.clone(), self.log.clone(), self.codec.clone(), stop.clone());
        Running(stop, tokio::spawn(running))
    }

    fn record<R: Record>(&self, record: &R, partition: u32) -> NewRecord {
        NewRecord {
            to: TopicPartition { topic: R::TOPIC.name, partition },
            key: Some(record.key().into()),
            value: Some(self.codec.encode(record).expect("encoded")),
            headers: record.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
        }
    }

    async fn publish(&self, id: &str, records: Vec<NewRecord>) {
        let mut producer = self.log.producer(id).await.expect("a producer");
        producer.commit(Transaction { records, offsets: None }).await.expect("committed");
    }

    fn child(&mut self, op: Op, height: u64, hash: BlockHash) -> ChildEnvelope {
        self.sequence += 1;
        let (network, sequence) = (network(), self.sequence);
        let time = TimeMs(height as i64 * 1_000);
        ChildEnvelope { network, sequence, op, height, block_hash: hash, block_time: time, observed_at: time }
    }

    /// A block of one transaction.
    async fn apply(&mut self, height: u64, hash: BlockHash, transaction: EvmTransaction) {
        let envelope = self.child(Op::Apply, height, hash);
        let raw = RawTransaction { envelope, payload: Payload::Transaction(Box::new(transaction)) };
        self.publish("t.ingest", vec![self.record(&raw, PARTITION)]).await;
    }

    async fn revert(&mut self, height: u64, hash: BlockHash) {
        let envelope = self.child(Op::Revert, height, hash);
        let raw = RawTransaction { envelope, payload: Payload::Revert };
        self.publish("t.ingest", vec![self.record(&raw, PARTITION)]).await;
    }

    /// Facts as a reader of the whole topic has them, and how many records there are. No revision ever falls.
    async fn facts(&self) -> (BTreeMap<Address, ContractFacts>, usize) {
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
    async fn until(&self, what: &str, of: Address, right: impl Fn(Option<&ContractFacts>) -> bool) {
        for _ in 0..300 {
            if right(self.facts().await.0.get(&of)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: {:#?}", self.facts().await.0);
    }

    async fn until_behind(&self, what: &str, of: Address, expected: &[(u64, Address)]) {
        self.until(what, of, |facts| behind(facts) == expected).await;
    }
}

fn behind(facts: Option<&ContractFacts>) -> Vec<(u64, Address)> {
    let of = facts.map(|facts| facts.implementations.clone()).unwrap_or_default();
    of.into_iter().filter_map(|i| Some((i.from_height, i.address?))).collect()
}

fn hash(n: u64) -> BlockHash {
    BlockHash::from(B256::from(U256::from(n)))
}

fn upgraded(contract: Address, to: Address) -> EvmTransaction {
    let topics = vec![keccak256("Upgraded(address)"), to.into_word()];
    let log = EvmLog { log_index: 0, address: contract, topics, data: Bytes::new() };
    EvmTransaction { logs: vec![log], ..EvmTransaction::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_logs_say_becomes_facts_and_reverts_take_it_back_over_kills() {
    let mut bench = Bench::new().await;
    bench.apply(10, hash(10), upgraded(address(1), address(5))).await;
    bench.apply(11, hash(11), upgraded(address(1), address(6))).await;
    let running = bench.start();
    bench.until_behind("both", address(1), &[(10, address(5)), (11, address(6))]).await;
    running.kill().await;
    // While it is away the chain turns.
    bench.revert(11, hash(11)).await;
    bench.apply(11, hash(111), upgraded(address(2), address(7))).await;
    let running = bench.start();
    bench.until_behind("the other branch", address(2), &[(11, address(7))]).await;
    bench.until_behind("the former is back", address(1), &[(10, address(5))]).await;
    bench.revert(11, hash(111)).await;
    bench.revert(10, hash(10)).await;
    bench.until("nothing is left", address(1), |facts| facts.is_none()).await;
    bench.until("nothing is left", address(2), |facts| facts.is_none()).await;
    bench.apply(10, hash(110), upgraded(address(1), address(8))).await;
    bench.until_behind("anew", address(1), &[(10, address(8))]).await;
    let (facts, records) = bench.facts().await;
    let entry = &facts[&address(1)].implementations[0];
    assert_eq!((entry.found_by, entry.block_hash.clone()), (FoundBy::Stream, Some(hash(110))));
    running.stop().await;
    // Started again and again, it has nothing to say.
    for _ in 0..2 {
        let running = bench.start();
        tokio::time::sleep(Duration::from_millis(600)).await;
        running.stop().await;
    }
    assert_eq!(bench.facts().await.1, records, "nothing is written twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_contracts_are_copied_and_taken_back() {
    let mut bench = Bench::new().await;
    let operators = |revision: u64, name: &str| {
        let contract = Contract {
            network: network(),
            address: format!("{:#x}", address(1)),
            name: name.into(),
            labels: Vec::new(),
            abi: Some("[]".into()),
        };
        ControlConfig::Contract(OperatorContract { revision, contract })
    };
    bench.publish("t.control", vec![bench.record(&operators(1, "Router"), 0)]).await;
    let running = bench.start();
    let named = |name: &'static str| {
        move |facts: Option<&ContractFacts>| {
            facts.is_some_and(|f| f.name.as_deref() == Some(name) && f.abi_source == Some(FactSource::Operator))
        }
    };
    bench.until("there from the start", address(1), named("Router")).await;
    bench.publish("t.control", vec![bench.record(&operators(2, "Router v2"), 0)]).await;
    bench.until("changed while it runs", address(1), named("Router v2")).await;
    bench.apply(10, hash(10), upgraded(address(1), address(5))).await;
    bench.until_behind("and what the stream says stands beside it", address(1), &[(10, address(5))]).await;
    let mut gone = bench.record(&operators(3, ""), 0);
    gone.value = None;
    bench.publish("t.control", vec![gone]).await;
    let left = |facts: Option<&ContractFacts>| {
        facts.is_some_and(|f| f.name.is_none() && f.abi.is_none()) && behind(facts) == [(10, address(5))]
    };
    bench.until("taken back", address(1), left).await;
    running.stop().await;
}

/// A proxy of EIP-1967, assembled by hand. `upgradeTo(address)` (0x3659cfe6) stores an implementation and says so; every other call is
/// handed on by DELEGATECALL. The constructor stores the first implementation and says nothing.
fn proxy(first: Address) -> Vec<u8> {
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
fn silent(function: &str) -> Vec<u8> {
    let mut runtime = vec![0x63];
    runtime.extend(&keccak256(function)[..4]);
    runtime.extend(hex!("5000"));
    let mut code = vec![0x60, 7, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend(runtime);
    code
}

struct Node {
    anvil: Anvil,
    from: Value,
}

impl Node {
    async fn start() -> Option<Self> {
        let anvil = Anvil::start(runtime::cache::folder().as_deref())?;
        let from = anvil.call("eth_accounts", json!([])).await[0].clone();
        Some(Self { anvil, from })
    }

    fn nodes(&self) -> AllNodes {
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

    async fn send(&self, to: Option<Address>, data: &[u8]) -> Value {
        let mut transaction = json!({"from": self.from, "data": hex::encode_prefixed(data), "gas": "0x1e8480"});
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let hash = self.anvil.call("eth_sendTransaction", json!([transaction])).await;
        let receipt = self.anvil.receipt(&hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    async fn deploy(&self, code: &[u8]) -> Address {
        let receipt = self.send(None, code).await;
        receipt["contractAddress"].as_str().expect("made").parse().expect("an address")
    }
}

/// A transaction as the node has it, as far as the stage looks.
fn transaction(receipt: &Value, to: Address, input: &[u8]) -> (u64, BlockHash, EvmTransaction) {
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

fn upgrade_to(to: Address) -> Vec<u8> {
    [&hex!("3659cfe6")[..], to.into_word().as_slice()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_of_a_real_node_is_known_before_and_after_its_upgrade() {
    let Some(node) = Node::start().await else { return };
    let mut bench = Bench::new().await;
    bench.config.nodes = node.nodes();
    (bench.config.calls, bench.config.budgets) = (true, Budgets::new(Calls { per_second: 50.0, per_day: 10_000 }));
    let (alpha, beta) = (node.deploy(&silent("alpha()")).await, node.deploy(&silent("beta()")).await);
    let proxied = node.deploy(&proxy(alpha)).await;
    // EIP-1167, in the form of its text.
    let minimal =
        [&hex!("363d3d373d3d3d363d73")[..], alpha.as_slice(), &hex!("5af43d82803e903d91602b57fd5bf3")].concat();
    let cloned = node.deploy(&[&hex!("3d602d80600a3d3981f3")[..], &minimal].concat()).await;
    let running = bench.start();

    let call = keccak256("alpha()")[..4].to_vec();
    let (at, hash, called) = transaction(&node.send(Some(proxied), &call).await, proxied, &call);
    bench.apply(at, hash.clone(), called).await;
    bench.until_behind("what was there before", proxied, &[(at, alpha)]).await;
    let found = bench.facts().await.0.remove(&proxied).expect("known");
    assert_eq!(found.proxy, Some(ProxyKind::Eip1967));
    assert_eq!((found.implementations[0].found_by, &found.implementations[0].block_hash), (FoundBy::Call, &Some(hash)));

    let (then, hash, called) = transaction(&node.send(Some(cloned), &call).await, cloned, &call);
    bench.apply(then, hash, called).await;
    bench.until_behind("a clone", cloned, &[(then, alpha)]).await;

    let data = upgrade_to(beta);
    let (upgrade, hash, called) = transaction(&node.send(Some(proxied), &data).await, proxied, &data);
    bench.apply(upgrade, hash.clone(), called).await;
    bench.until_behind("both", proxied, &[(at, alpha), (upgrade, beta)]).await;
    // A kill in between, and the upgrade is taken back; nobody is asked again, since all is known.
    running.kill().await;
    bench.revert(upgrade, hash).await;
    let running = bench.start();
    bench.until_behind("before the upgrade", proxied, &[(at, alpha)]).await;
    // A contract that is none is not asked about in vain, and nothing is said of it.
    let (height, hash, called) = transaction(&node.send(Some(beta), &call).await, beta, &call);
    bench.apply(height, hash, called).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!bench.facts().await.0.contains_key(&beta));
    running.stop().await;
    assert!(!bench.dir.path().join("contracts-cache").exists(), "nobody was configured");
}
