//! Why a transaction failed, on a real EVM node (anvil, `scripts/fetch-anvil`): small contracts that fail in every class of the table, in
//! the call of the transaction itself and three calls deep; class, sentence and the contract that failed are right by trace, in each way
//! in which a node gives one, and by call where it gives none. A door before the node refuses methods. No class is ever a wrong one.

mod contracts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use axum::{Router, extract::State, routing::post};
use decode::causes::{Cause, Failed, Finding, Table, by_call, by_trace};
use enrich::causes::failures::evidence::{BlockOfFailures, Evidence, Turns, Why, evidence};
use loadtest::node::anvil::Anvil;
use nodes::{
    evm::{
        Checks, Endpoint, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
    },
    fleet::{Clock, Confirm, FleetConfig, MemberConfig},
};
use schemas::records::EvmTransaction;
use serde_json::{Value, json};

use contracts::{Case, Mode};

/// As many questions as anybody likes, counted.
#[derive(Default)]
struct Free(AtomicUsize);

impl Turns for Free {
    async fn turn(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// No more than so many.
struct Few(AtomicUsize);

impl Turns for Few {
    async fn turn(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A door before a node: hands on what it does not refuse.
struct Door {
    url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    behind: String,
    http: reqwest::Client,
    refused: BTreeSet<&'static str>,
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Door {
    async fn before(anvil: &Anvil, refused: &[&'static str]) -> Self {
        let (http, refused) = (reqwest::Client::new(), refused.iter().copied().collect());
        let shared = Arc::new(Shared { behind: anvil.url(), http, refused, asked: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().route("/", post(hand_on)).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("served") });
        Self { url, shared, task }
    }

    /// How often methods were asked for that were not refused.
    fn asked(&self) -> BTreeMap<String, usize> {
        self.shared.asked.lock().expect("whole").clone()
    }

    fn fleet(&self) -> EvmFleet {
        let endpoint =
            Endpoint { name: "anvil".into(), url: self.url.parse().expect("a URL"), ws: None, headers: vec![] };
        let config = EvmFleetConfig {
            network: "eth".parse().expect("a slug"),
            chain_id: 31_337,
            observer: "causes/test".into(),
            checks: Checks::OFF,
            tuning: Tuning::default(),
            confirm: Confirm::Never,
            confirm_within: Duration::from_secs(2),
            fleet: FleetConfig::default(),
        };
        let member = MemberConfig::new("anvil", &self.url);
        EvmFleet::new(config, vec![(member, endpoint)], Clock::system()).expect("a fleet")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_on(State(shared): State<Arc<Shared>>, body: String) -> String {
    let call: Value = serde_json::from_str(&body).expect("JSON");
    let method = call["method"].as_str().expect("a method").to_owned();
    if shared.refused.contains(method.as_str()) {
        let error = json!({"code": -32601, "message": format!("the method {method} does not exist/is not available")});
        return json!({"jsonrpc": "2.0", "id": call["id"], "error": error}).to_string();
    }
    *shared.asked.lock().expect("whole").entry(method).or_default() += 1;
    let request = shared.http.post(&shared.behind).header("content-type", "application/json").body(body);
    request.send().await.expect("sent").text().await.expect("read")
}

struct Node {
    anvil: Anvil,
    from: Address,
}

impl Node {
    async fn start() -> Option<Self> {
        let anvil = Anvil::start(runtime::cache::folder().as_deref())?;
        let from = text(&anvil.call("eth_accounts", json!([])).await[0]).parse().expect("an address");
        Some(Self { anvil, from })
    }

    async fn deploy(&self, code: &[u8]) -> Address {
        let transaction = json!({"from": self.from, "data": hex::encode_prefixed(code), "gas": "0x1e8480"});
        let hash = self.anvil.call("eth_sendTransaction", json!([transaction])).await;
        let receipt = self.anvil.receipt(&hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        text(&receipt["contractAddress"]).parse().expect("an address")
    }

    /// Sends a transaction that fails, without waiting for it.
    async fn fail(&self, to: Address, input: &[u8]) -> Value {
        let transaction =
            json!({"from": self.from, "to": to, "data": hex::encode_prefixed(input), "gas": format!("{GAS:#x}")});
        self.anvil.call("eth_sendTransaction", json!([transaction])).await
    }

    /// What the stage knows of it.
    async fn mined(&self, hash: &Value, input: &[u8]) -> (BlockOfFailures, EvmTransaction) {
        let receipt = self.anvil.receipt(hash).await;
        assert_eq!(receipt["status"], "0x0", "{receipt}");
        let number = |value: &Value| u64::from_str_radix(text(value).trim_start_matches("0x"), 16).expect("a number");
        let block = BlockOfFailures {
            height: number(&receipt["blockNumber"]),
            hash: text(&receipt["blockHash"]).parse().expect("a hash"),
            last: true,
        };
        let transaction = EvmTransaction {
            transaction_index: number(&receipt["transactionIndex"]) as u32,
            hash: text(hash).parse().expect("a hash"),
            from_address: self.from,
            to_address: Some(text(&receipt["to"]).parse().expect("an address")),
            input: Bytes::copy_from_slice(input),
            value: U256::ZERO,
            gas: GAS,
            receipt_status: Some(0),
            receipt_gas_used: number(&receipt["gasUsed"]),
            ..EvmTransaction::default()
        };
        (block, transaction)
    }
}

/// Gas limit of what fails: enough that the last of three calls' remainders returns.
const GAS: u64 = 1_000_000;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("text: {value}"))
}

/// A failure on the chain, and what it must be found to be.
struct Happened {
    case: Case,
    calls: u16,
    block: BlockOfFailures,
    transaction: EvmTransaction,
    /// Whose code failed.
    contract: Address,
}

impl Happened {
    fn failed(&self) -> Failed<'_> {
        let of = &self.transaction;
        Failed {
            from: of.from_address,
            to: of.to_address,
            value: of.value,
            input: &of.input,
            gas: of.gas,
            gas_used: of.receipt_gas_used,
            ..Failed::default()
        }
    }
}

/// Every case, in the frame itself and three calls deep.
async fn all(node: &Node) -> Vec<Happened> {
    // d is called by c, c by b, b by a; what d calls is a contract that always fails.
    let last = node.deploy(&contracts::relay(Address::ZERO, false)).await;
    let d = node.deploy(&contracts::relay(last, false)).await;
    let c = node.deploy(&contracts::relay(d, false)).await;
    let c_static = node.deploy(&contracts::relay(d, true)).await;
    let b = node.deploy(&contracts::relay(c, false)).await;
    let b_static = node.deploy(&contracts::relay(c_static, false)).await;
    let a = node.deploy(&contracts::relay(b, false)).await;
    let a_static = node.deploy(&contracts::relay(b_static, false)).await;
    let proxy = node.deploy(&contracts::proxy(d)).await;
    let mut sent = Vec::new();
    for case in contracts::cases() {
        let places: Vec<(u8, u16, Address, Address)> = match case.mode {
            // The transaction's own call may write.
            Mode::Write => vec![(1, 1, c_static, d), (3, 3, a_static, d)],
            // A proxy calls its implementation.
            Mode::Behind => vec![(0, 1, proxy, d)],
            _ => vec![(0, 0, d, d), (3, 3, a, d)],
        };
        for (depth, calls, entry, contract) in places {
            let input = case.input(depth);
            sent.push((node.fail(entry, &input).await, input, calls, contract, case.clone()));
        }
    }
    let mut happened = Vec::new();
    for (hash, input, calls, contract, case) in sent {
        let (block, transaction) = node.mined(&hash, &input).await;
        happened.push(Happened { case, calls, block, transaction, contract });
    }
    happened
}

/// What is found of each failure, block by block.
async fn found(fleet: &EvmFleet, happened: &[Happened], one_by_one: bool) -> Vec<(Evidence, Finding)> {
    let mut blocks: BTreeMap<(u64, u32), Vec<usize>> = BTreeMap::new();
    for (i, it) in happened.iter().enumerate() {
        blocks.entry((it.block.height, if one_by_one { i as u32 } else { 0 })).or_default().push(i);
    }
    let mut found: Vec<Option<(Evidence, Finding)>> = happened.iter().map(|_| None).collect();
    for of in blocks.into_values() {
        let failed: Vec<&EvmTransaction> = of.iter().map(|i| &happened[*i].transaction).collect();
        let told = evidence(fleet, &happened[of[0]].block, &failed, &Free::default()).await;
        for (i, told) in of.into_iter().zip(told) {
            let finding = match &told {
                Evidence::Trace { frame, whole } => {
                    assert!(whole);
                    by_trace(frame, &happened[i].failed(), &(), Table::builtin())
                }
                Evidence::Call(answer) => by_call(answer, &happened[i].failed(), &(), Table::builtin()),
                Evidence::None(why) => panic!("{}: {why}", happened[i].case.name),
            };
            found[i] = Some((told, finding));
        }
    }
    found.into_iter().map(|found| found.expect("all")).collect()
}

/// Ways in which a node gives evidence: what it refuses, whether it is asked one by one, and what it must have been asked.
const WAYS: [(&str, &[&str], bool, &str); 5] = [
    ("trace by block, callTracer", &["trace_block", "trace_transaction"], false, "debug_traceBlockByHash"),
    ("trace by block, flat list", &["debug_traceBlockByHash", "debug_traceTransaction"], false, "trace_block"),
    ("trace by hash, callTracer", &["debug_traceBlockByHash", "trace_block"], true, "debug_traceTransaction"),
    (
        "trace by hash, flat list",
        &["debug_traceBlockByHash", "debug_traceTransaction", "trace_block"],
        true,
        "trace_transaction",
    ),
    (
        "call at the parent",
        &["debug_traceBlockByHash", "debug_traceTransaction", "trace_block", "trace_transaction"],
        false,
        "eth_call",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_is_found_in_every_way() {
    let Some(node) = Node::start().await else { return };
    let happened = all(&node).await;
    let classes: BTreeSet<&str> = happened.iter().map(|it| it.case.cause.word()).collect();
    for cause in Cause::ALL {
        // Without evidence nothing fails here.
        assert!(
            classes.contains(cause.word()) || matches!(cause, Cause::Unknown),
            "nothing fails of `{}`",
            cause.word()
        );
    }
    let (mut table, mut said, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (way, refused, one_by_one, asked) in WAYS {
        let door = Door::before(&node.anvil, refused).await;
        let found = found(&door.fleet(), &happened, one_by_one).await;
        assert!(door.asked().contains_key(asked), "{way}: {:?}", door.asked());
        let (mut right, mut less) = (0, 0);
        for (it, (evidence, finding)) in happened.iter().zip(&found) {
            let by_call = matches!(evidence, Evidence::Call(_));
            assert_eq!(by_call, asked == "eth_call", "{way}: {}", it.case.name);
            let name = format!("{} {} calls deep, {way}", it.case.name, it.calls);
            let told = format!("{} ({}): {}", finding.cause.word(), finding.rule, finding.reason);
            // A flat list has one word for `INVALID` and for what is no instruction.
            let flat = way.ends_with("flat list") && matches!(it.case.mode, Mode::Invalid | Mode::Undefined);
            let cause =
                finding.cause == it.case.cause || (flat && matches!(finding.cause, Cause::Assert | Cause::BadCode));
            let reason = it.case.says.iter().all(|word| finding.reason.to_lowercase().contains(&word.to_lowercase()));
            // Of a call's end alone it cannot be known who failed, nor of what where nothing came back.
            let place = by_call || (finding.frame == Some(it.contract) && finding.depth == it.calls);
            let silent = by_call && it.case.is_silent(it.calls) && !finding.cause.is_classed();
            match (cause && reason && place, silent) {
                (true, _) => {
                    right += 1;
                    if asked == "debug_traceBlockByHash" {
                        let (class, name) = (it.case.cause.word(), it.case.name);
                        said.push(format!("  {class:15} {name:38} {} calls deep: {}", it.calls, finding.reason));
                    }
                }
                (false, true) => less += 1,
                _ => wrong.push(format!(
                    "{name}: wanted {} at {} {:?}: {told}, at {:?}, depth {}, error {:?}, output {}",
                    it.case.cause.word(),
                    it.contract,
                    it.case.says,
                    finding.frame,
                    finding.depth,
                    finding.error,
                    hex::encode(&finding.output)
                )),
            }
            assert_eq!(finding.approximate, by_call, "{name}");
        }
        table.push(format!("{way:28} {:4} failures {right:4} right {less:4} not to be known", happened.len()));
    }
    eprintln!("{} cases of {} classes", happened.len(), classes.len());
    table.iter().for_each(|line| eprintln!("{line}"));
    said.iter().for_each(|line| eprintln!("{line}"));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_is_of_the_block_s_hash_and_no_question_goes_without_a_turn() {
    let Some(node) = Node::start().await else { return };
    let contract = node.deploy(&contracts::relay(Address::ZERO, false)).await;
    let case = contracts::cases().remove(0);
    let input = case.input(0);
    // Two in one block: they are sent at the same time, and again where a block came between.
    let (block, transaction, other) = loop {
        let sent = (node.fail(contract, &input).await, node.fail(contract, &input).await);
        let (block, transaction) = node.mined(&sent.0, &input).await;
        let (same, other) = node.mined(&sent.1, &input).await;
        if same == block {
            break (block, transaction, other);
        }
    };
    let of_both = [&transaction, &other];
    let door = Door::before(&node.anvil, &[]).await;
    let fleet = door.fleet();
    let free = Free::default();
    let found = evidence(&fleet, &block, &[&transaction], &free).await;
    assert!(matches!(found[..], [Evidence::Trace { .. }]), "{found:?}");
    assert_eq!(free.0.load(Ordering::Relaxed), 2, "the trace, and the receipt behind it");
    // The same transaction in another block: nobody has it there, and the block's parent is not known either.
    let elsewhere = BlockOfFailures { hash: B256::repeat_byte(9), ..block };
    let found = evidence(&fleet, &elsewhere, &[&transaction], &Free::default()).await;
    assert!(matches!(&found[..], [Evidence::None(Why::OtherBlock(_))]), "{found:?}");
    for turns in 0..2 {
        let found = evidence(&fleet, &block, &[&transaction], &Few(AtomicUsize::new(turns))).await;
        assert_eq!(found, [Evidence::None(Why::Budget)]);
    }
    let found = evidence(&fleet, &block, &of_both, &Few(AtomicUsize::new(1))).await;
    assert!(matches!(found[..], [Evidence::Trace { .. }, Evidence::Trace { .. }]), "one question for both: {found:?}");
    // What nobody has is asked for once, and costs no turn again.
    let silent = Door::before(&node.anvil, WAYS[4].1).await;
    let silent = silent.fleet();
    for turns in [1 + 2 + 1 + 2, 1 + 2] {
        let free = Free::default();
        let found = evidence(&silent, &block, &of_both, &free).await;
        assert!(matches!(found[..], [Evidence::Call(_), Evidence::Call(_)]), "{found:?}");
        assert_eq!(free.0.load(Ordering::Relaxed), turns);
    }
    // Where the node is away, calls do not stand in for traces that may come later.
    drop(door);
    let away = BlockOfFailures { last: false, ..block };
    let found = evidence(&fleet, &away, &[&transaction], &Free::default()).await;
    assert!(matches!(&found[..], [Evidence::None(Why::Away(_))]), "{found:?}");
}

/// The transaction fails in one branch for one reason, and in the next for another: each block has its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_fails_in_two_branches_has_each_branch_s_cause() {
    let Some(node) = Node::start().await else { return };
    // Reverts with a text while nothing was written, and is out of anything to say once something was.
    let contract = node.deploy(&contracts::two_faced()).await;
    let base = node.anvil.head().await.0;
    let (first, second) = (contracts::call("first()"), contracts::call("write()"));
    let sent = node.fail(contract, &first).await;
    let (before, transaction) = node.mined(&sent, &first).await;
    let door = Door::before(&node.anvil, &[]).await;
    let fleet = door.fleet();
    let cause = |evidence: &Evidence, of: &EvmTransaction| match evidence {
        Evidence::Trace { frame, .. } => {
            let tx = Failed {
                from: of.from_address,
                to: of.to_address,
                input: &of.input,
                gas: of.gas,
                gas_used: of.receipt_gas_used,
                ..Failed::default()
            };
            by_trace(frame, &tx, &(), Table::builtin()).cause
        }
        other => panic!("{other:?}"),
    };
    let found = evidence(&fleet, &before, &[&transaction], &Free::default()).await;
    assert_eq!(cause(&found[0], &transaction), Cause::of("deadline").expect("a class"));
    // The chain turns: in the new branch something was written before the same transaction.
    while node.anvil.head().await.0 < base + 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let depth = node.anvil.head().await.0 - base;
    let raw = node.anvil.call("eth_getRawTransactionByHash", json!([sent])).await;
    let other = &node.anvil.call("eth_accounts", json!([])).await[1];
    let write = json!({"from": other, "to": contract, "data": hex::encode_prefixed(&second), "gas": "0x30d40"});
    node.anvil.call("anvil_reorg", json!([depth, [[write, 0], [raw, 1]]])).await;
    let mut after = None;
    for _ in 0..100 {
        let receipt = node.anvil.call("eth_getTransactionReceipt", json!([sent])).await;
        if receipt["blockHash"].as_str().is_some_and(|hash| hash.parse::<B256>().ok() != Some(before.hash)) {
            after = Some(node.mined(&sent, &first).await);
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (after, again) = after.expect("mined in the new branch");
    assert_ne!(before.hash, after.hash);
    let found = evidence(&fleet, &after, &[&again], &Free::default()).await;
    assert_eq!(cause(&found[0], &again), Cause::of("paused").expect("a class"));
    // What is asked of the former block is not answered with what happened in the new one.
    let found = evidence(&fleet, &before, &[&transaction], &Free::default()).await;
    assert!(matches!(&found[..], [Evidence::None(_) | Evidence::Call(_)]), "{found:?}");
    if let Evidence::Call(answer) = &found[0] {
        eprintln!("of the former block: {answer:?}");
    }
}
