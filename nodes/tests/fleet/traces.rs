//! Why transactions failed, as each client tells it: traces and calls over simulated endpoints, with each fault, and answers of any
//! length.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256};
use loadtest::node::{
    evm::{Client, EndpointConfig, Simulator},
    fixed::{FixedNode, Reply},
};
use nodes::{
    Class,
    evm::{
        Endpoint,
        fleet::{EvmFleet, StateAt},
        trace::{CallEnd, CallLike, Style, Wanted},
    },
    fleet::{Clock, MemberConfig},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::simulated::{fleet_over, simulated};

/// Blocks of the data set.
const BLOCKS: u64 = 14;

async fn ask(url: &str, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let reply = reqwest::Client::new().post(url).body(body).send().await.unwrap();
    serde_json::from_str::<Value>(&reply.text().await.unwrap()).unwrap()["result"].take()
}

fn of<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

/// A block's failures.
struct Failures {
    at: StateAt,
    parent: StateAt,
    wanted: Vec<Wanted>,
    calls: Vec<CallLike>,
}

async fn failures(sim: &Simulator) -> Vec<Failures> {
    let mut found = Vec::new();
    for height in 1..=BLOCKS {
        let block = ask(&sim.url(), "eth_getBlockByNumber", json!([format!("{height:#x}"), true])).await;
        let receipts = ask(&sim.url(), "eth_getBlockReceipts", json!([format!("{height:#x}")])).await;
        let (transactions, receipts) = (block["transactions"].as_array().unwrap(), receipts.as_array().unwrap());
        let failed: Vec<usize> = (0..receipts.len()).filter(|i| receipts[*i]["status"] == "0x0").collect();
        let hash = |value: &Value| of::<B256>(value);
        let to = |t: &Value| t["to"].as_str().map(|to| to.parse::<Address>().unwrap());
        found.push(Failures {
            at: StateAt { height, hash: hash(&block["hash"]) },
            parent: StateAt { height: height - 1, hash: hash(&block["parentHash"]) },
            wanted: failed
                .iter()
                .map(|i| {
                    let t = &transactions[*i];
                    Wanted { index: *i as u32, hash: hash(&t["hash"]), from: of(&t["from"]), to: to(t) }
                })
                .collect(),
            calls: failed
                .iter()
                .map(|i| {
                    let t = &transactions[*i];
                    let gas = of::<U256>(&t["gas"]).to();
                    CallLike { from: of(&t["from"]), to: to(t), input: of(&t["input"]), value: of(&t["value"]), gas }
                })
                .collect(),
        });
    }
    found.retain(|block| !block.wanted.is_empty());
    found
}

async fn sim_of(client: Client, others: &[&str]) -> (Simulator, Vec<Failures>) {
    let named = |name: &&str| EndpointConfig { client, ..EndpointConfig::new(name) };
    let sim = simulated("ethereum", BLOCKS, others.iter().map(named).collect()).await;
    sim.endpoint("main").unwrap().set_client(client);
    let failures = failures(&sim).await;
    (sim, failures)
}

fn fleet(sim: &Simulator, names: &[&str]) -> EvmFleet {
    fleet_over(sim, names, super::config())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_behind_says_so_and_gives_the_trace_once_it_has_the_block() {
    for client in [Client::Geth, Client::Parity] {
        let (sim, blocks) = sim_of(client, &[]).await;
        let fleet = fleet(&sim, &["main"]);
        let block = blocks.last().unwrap();
        assert_eq!(fleet.traces_are_behind(block.at.height).await, Some(false));
        let main = sim.endpoint("main").unwrap();
        main.fault(format!("stale-head:{}", sim.head() - block.at.height + 1).parse().unwrap());
        assert_eq!(fleet.trace_transaction(block.at, block.wanted[0]).await.unwrap_err().class(), Class::Empty);
        assert_eq!(fleet.trace_block(block.at, block.wanted.clone()).await.unwrap_err().class(), Class::Empty);
        assert_eq!(fleet.traces_are_behind(block.at.height).await, Some(true));
        assert_eq!(fleet.traces_are_behind(block.at.height - 1).await, Some(false));
        main.clear_faults();
        // Nothing was remembered against its methods.
        assert_eq!(fleet.traces_are_behind(block.at.height).await, Some(false));
        fleet.trace_transaction(block.at, block.wanted[0]).await.unwrap();
        fleet.trace_block(block.at, block.wanted.clone()).await.unwrap();
        // Who does not answer says nothing.
        main.fault("closed".parse().unwrap());
        assert_eq!(fleet.traces_are_behind(block.at.height).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_traces_does_not_hide_that_the_one_with_traces_is_behind() {
    let (sim, blocks) = sim_of(Client::Geth, &["archive"]).await;
    let (main, archive) = (sim.endpoint("main").unwrap(), sim.endpoint("archive").unwrap());
    main.set_client(Client::None);
    let fleet = fleet(&sim, &["main", "archive"]);
    let block = blocks.last().unwrap();
    archive.fault(format!("stale-head:{}", sim.head() - block.at.height + 1).parse().unwrap());
    fleet.trace_transaction(block.at, block.wanted[0]).await.unwrap_err();
    assert_eq!(fleet.traces_are_behind(block.at.height).await, Some(true));
    archive.clear_faults();
    assert_eq!(fleet.traces_are_behind(block.at.height).await, Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_s_traces_are_taken_for_those_of_their_transactions() {
    for (client, word) in Client::ALL {
        let (sim, blocks) = sim_of(client, &[]).await;
        let fleet = fleet(&sim, &["main"]);
        // 11,098,450, of which traces were recorded.
        let several = blocks.iter().find(|block| block.wanted.len() == 7).unwrap();
        let of_block = fleet.trace_block(several.at, several.wanted.clone()).await;
        let singly = fleet.trace_transaction(several.at, several.wanted[0]).await;
        if client == Client::None {
            assert_eq!(of_block.unwrap_err().class(), Class::Missing);
            assert_eq!(singly.unwrap_err().class(), Class::Missing);
        } else {
            let style = if client == Client::Parity { Style::Parity } else { Style::CallTracer };
            let of_block = of_block.unwrap().of;
            assert_eq!(of_block.len(), several.wanted.len());
            for (found, wanted) in of_block.iter().zip(&several.wanted) {
                let found = found.as_ref().unwrap();
                assert!(found.style == style && found.whole, "{word}");
                let json: Value = serde_json::from_slice(&found.json).unwrap();
                let root = if style == Style::Parity { &json[0]["action"] } else { &json };
                assert_eq!(of::<Address>(&root["from"]), wanted.from, "{word}");
            }
            assert_eq!(singly.unwrap().json, of_block[0].as_ref().unwrap().json, "{word}");
        }
        let call = fleet.call_at_parent(several.calls[1].clone(), several.parent).await.unwrap();
        let CallEnd::Failed { message, data } = call else { panic!("{word}: it fails") };
        assert!(message.to_lowercase().contains("revert") || message.contains("VM execution"), "{word}: {message}");
        assert!(data.starts_with(&[0x08, 0xc3, 0x79, 0xa0]), "{word}: {data}");
        let other = CallLike { value: U256::from(7), input: vec![1].into(), ..several.calls[1].clone() };
        assert_eq!(fleet.call_at_parent(other, several.parent).await.unwrap(), CallEnd::Returned, "{word}");
        assert_eq!(fleet.parent_of(several.at).await.unwrap(), several.parent.hash);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_each_fault_the_next_method_or_endpoint_gives_it_and_nobody_is_accused() {
    let faults: [&[&str]; 10] = [
        &["no-method/debug_traceBlockByHash", "no-method/debug_traceTransaction"],
        &[
            "no-method/debug_traceBlockByHash",
            "no-method/trace_block",
            "no-method/debug_traceTransaction",
            "no-method/trace_transaction",
        ],
        &["pruned"],
        &["trace-timeout"],
        &["other-trace"],
        &["truncated/debug_traceBlockByHash", "truncated/debug_traceTransaction"],
        &["truncated-json/debug_traceBlockByHash", "truncated-json/debug_traceTransaction"],
        &["html/debug_traceBlockByHash", "html/debug_traceTransaction"],
        &["http403/debug_traceBlockByHash", "http403/debug_traceTransaction"],
        &["rpc-error:-32603"],
    ];
    let (sim, blocks) = sim_of(Client::Erigon, &["odd"]).await;
    let block = blocks.iter().max_by_key(|block| block.wanted.len()).unwrap();
    for fault in faults {
        let odd = sim.endpoint("odd").unwrap();
        odd.clear_faults();
        // What stands before a question is asked honestly.
        let both = fleet(&sim, &["odd", "main"]);
        both.parent_of(block.at).await.unwrap();
        fault.iter().for_each(|fault| odd.fault(fault.parse().unwrap()));
        let began = Instant::now();
        let mut given: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..4 {
            let traces = both.trace_block(block.at, block.wanted.clone()).await;
            for found in traces.unwrap_or_else(|e| panic!("{fault:?}: {e}")).of {
                match found {
                    Ok(trace) => *given.entry(trace.endpoint.to_string()).or_default() += 1,
                    // Of a block the node itself says so, transaction by transaction.
                    Err(said) => {
                        assert!(fault == ["trace-timeout"] && said == "execution timeout", "{fault:?}: {said}")
                    }
                }
            }
            let singly = both.trace_transaction(block.at, block.wanted[0]).await;
            *given.entry(singly.unwrap_or_else(|e| panic!("{fault:?}: {e}")).endpoint.to_string()).or_default() += 1;
        }
        eprintln!("{fault:?}: {given:?}, {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(60), "{fault:?}");
        assert!(!both.fleet().members().iter().any(|member| member.quarantined()), "{fault:?}");
        // Of the methods that are there the ones that work are used at the same endpoint.
        let alone = fleet(&sim, &["odd"]);
        let alone = alone.trace_block(block.at, block.wanted.clone()).await;
        let works = fault.len() == 2;
        assert!(alone.is_ok_and(|found| found.of.iter().all(Result::is_ok)) == works, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_of_another_block_is_none() {
    for client in [Client::Geth, Client::Parity] {
        let (sim, blocks) = sim_of(client, &[]).await;
        let fleet = fleet(&sim, &["main"]);
        let (one, other) = (&blocks[0], &blocks[1]);
        let elsewhere = StateAt { hash: other.at.hash, ..one.at };
        let e = fleet.trace_transaction(elsewhere, one.wanted[0]).await.unwrap_err();
        assert_eq!(e.class(), Class::Empty, "{client}: {e}");
        let e = fleet.trace_block(elsewhere, one.wanted.clone()).await.unwrap_err();
        assert_ne!(e.class(), Class::Missing, "{client}: {e}");
        // A branch that was left is known by its hash, and its traces are not those of the new one.
        let head = sim.head();
        let gone =
            of::<B256>(&ask(&sim.url(), "eth_getBlockByNumber", json!([format!("{head:#x}"), false])).await["hash"]);
        sim.fork(1).unwrap();
        let wanted = one.wanted[0];
        let e = fleet.trace_block(StateAt { height: head, hash: gone }, vec![wanted]).await.unwrap_err();
        eprintln!("{client}: {e}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_method_is_not_asked_for_it_again() {
    let (sim, blocks) = sim_of(Client::None, &[]).await;
    let fleet = fleet(&sim, &["main"]);
    for block in &blocks {
        for _ in 0..5 {
            fleet.trace_block(block.at, block.wanted.clone()).await.unwrap_err();
            fleet.trace_transaction(block.at, block.wanted[0]).await.unwrap_err();
        }
    }
    let counts = sim.endpoint("main").unwrap().counts();
    let asked: Vec<_> = counts.methods.iter().filter(|(method, _)| method.contains("trace")).collect();
    assert!(asked.iter().all(|(_, times)| **times == 1) && asked.len() == 4, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_is_too_large_is_asked_for_at_its_outermost_call() {
    let node = FixedNode::spawn(999, Vec::new()).await.unwrap();
    let (at, wanted) = (StateAt { height: 7, hash: B256::repeat_byte(7) }, wanted(3));
    let frame = json!({"type": "CALL", "from": wanted.from, "to": wanted.to, "error": "execution reverted"});
    node.quirk(move |asked, _| {
        let mut frame = frame.clone();
        match asked.method.as_str() {
            "debug_traceTransaction" if asked.params[1]["tracerConfig"]["onlyTopCall"] == true => {}
            "debug_traceTransaction" => frame["input"] = "00".repeat(5 << 20).into(),
            "eth_getTransactionReceipt" => frame = json!({"transactionHash": asked.params[0], "blockHash": at.hash}),
            _ => return None,
        }
        Some(Reply::Result(frame))
    });
    let endpoint = Endpoint { name: "a".into(), url: node.url().parse().unwrap(), ws: None, headers: Vec::new() };
    let fleet = EvmFleet::new(super::config(), vec![(MemberConfig::new("a", &node.url()), endpoint)], Clock::system());
    let trace = fleet.unwrap().trace_transaction(at, wanted).await.unwrap();
    assert!(!trace.whole && trace.json.len() < 1_000);
}

fn wanted(index: u32) -> Wanted {
    let of = |n: u8| Address::repeat_byte(n);
    Wanted { index, hash: B256::repeat_byte(index as u8), from: of(1), to: Some(of(2)) }
}

/// A server whose answer to everything but `eth_chainId` is a block's traces of more than 150 MB.
async fn endless(wanted: Wanted) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let read = socket.read(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
                socket.write_all(head.as_bytes()).await.unwrap();
                if text.contains("eth_chainId") {
                    return socket.write_all(br#"{"jsonrpc":"2.0","id":1,"result":"0x3e7"}"#).await.unwrap();
                }
                socket.write_all(br#"{"jsonrpc":"2.0","id":1,"result":["#).await.unwrap();
                // Most of them are of others; one is longer than any may be. None is held whole here either.
                let zeros = "0".repeat(64 << 10);
                for n in 0..=60u8 {
                    let (hash, pieces) = match n {
                        30 => (B256::repeat_byte(0x80 | n), 320),
                        60 => (wanted.hash, 0),
                        _ => (B256::repeat_byte(0x80 | n), 32),
                    };
                    let (from, to) = (wanted.from, wanted.to.unwrap());
                    let frame = format!(
                        r#"{{"txHash":"{hash}","result":{{"from":"{from}","to":"{to}","error":"x","input":"0x"#
                    );
                    socket.write_all(frame.as_bytes()).await.unwrap();
                    for _ in 0..pieces {
                        socket.write_all(zeros.as_bytes()).await.unwrap();
                    }
                    socket.write_all(if n < 60 { br#""}},"# } else { br#""}}]}"# }).await.unwrap();
                }
            });
        }
    });
    url
}

/// Memory of this process, at its most, MiB.
fn most_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_of_any_length_are_taken_apart_as_they_come() {
    let wanted = wanted(60);
    let url = endless(wanted).await;
    let endpoint = Endpoint { name: "a".into(), url: url.parse().unwrap(), ws: None, headers: Vec::new() };
    let fleet =
        EvmFleet::new(super::config(), vec![(MemberConfig::new("a", &url), endpoint)], Clock::system()).unwrap();
    // Counted from here on (proc(5), clear_refs): what others needed before does not hide it.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, began) = (most_mib(), Instant::now());
    let at = StateAt { height: 7, hash: B256::repeat_byte(7) };
    let found = fleet.trace_block(at, vec![wanted]).await.unwrap().of;
    assert!(found[0].as_ref().unwrap().json.len() < 2_000);
    let grown = most_mib().saturating_sub(before);
    eprintln!("140 MB of traces took {:?} and {grown} MiB", began.elapsed());
    assert!(grown < 130, "{grown} MiB");
}
