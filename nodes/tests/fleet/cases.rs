//! Cases from public reports (`loadtest/data/cases`), over two endpoints that both behave so: what all nodes of a chain do is no reason
//! to go to the next, and the value is right.

use std::{fs, path::Path, sync::atomic::Ordering};

use nodes::{ChainSource, Class, SourceBlock, evm::Checks};
use schemas::profiles::Profile;
use serde_json::{Value, json};

use super::{
    fleet_with,
    node::{FIRST, Node, Reply},
    state_of,
};

/// What a node does in a case.
type Does = fn(&str, &Value, Value) -> Reply;

struct Case {
    name: &'static str,
    chain: u64,
    does: Does,
    /// Transactions, logs, gas of all blocks.
    sums: (usize, usize, u64),
    tip: &'static str,
}

fn honest(_: &str, _: &Value, answer: Value) -> Reply {
    Reply::Result(answer)
}

/// Receipts of one block are an error, asked for in whichever way.
fn receipts_of(height: u64, method: &str, answer: Value, error: Value) -> Reply {
    let of_block = answer.get(0).is_some_and(|r| r["blockNumber"] == json!(format!("0x{height:x}")));
    if method == "eth_getBlockReceipts" && of_block { Reply::Error(error) } else { Reply::Result(answer) }
}

const CASES: [Case; 7] = [
    Case {
        name: "batch-limit",
        chain: 3_448_148_188,
        does: |method, _, answer| match method {
            "eth_getBlockReceipts" => Reply::Error(json!({"code": -32601, "message": "the method is not available"})),
            _ => Reply::Result(answer),
        },
        sums: (60, 201, 7_160_905),
        tip: "0xa7ca09ef37618aa938ff0c8f134e55f687744a237a7fdbb8925e1262aedb7a63",
    },
    Case {
        name: "response-too-big",
        chain: 999,
        does: |method, _, answer| {
            let error =
                json!({"code": -32008, "message": "Response is too big", "data": "Exceeded max limit of 1048576"});
            receipts_of(FIRST + 3, method, answer, error)
        },
        sums: (72, 268, 9_452_017),
        tip: "0x0fc0b8773b0cf134e4bce1401eab9b9e56230d0edae0c62a1d04d2aa2c338e5f",
    },
    Case {
        name: "sei-block-receipts-error",
        chain: 1_329,
        does: |method, _, answer| {
            let error = json!({"code": -32000, "message": "failed to find transaction in block"});
            receipts_of(FIRST + 2, method, answer, error)
        },
        sums: (15, 73, 2_586_361),
        tip: "0x3a25211f2b4641abbfd1dffb3f485d2f706b7c250f9405dfcbf82a48e61efd8f",
    },
    Case {
        name: "sei-other-index",
        chain: 1_329,
        does: honest,
        sums: (12, 67, 2_291_112),
        tip: "0x99253b5add713ca7c249044e110ea69ef72693c39bcf5c422c5e6907bc352d38",
    },
    Case {
        name: "bor-state-sync-typed",
        chain: 137,
        does: honest,
        sums: (9, 37, 1_172_665),
        tip: "0x54cf921724f895a29c2c2c40966190353c8d30e4902668d3b6a5584f6540a257",
    },
    Case {
        name: "filecoin-null-round",
        chain: 314,
        does: |_, params, answer| match params[0].as_str() {
            Some("0x1312d02") => Reply::Error(
                json!({"code": 12, "message": "requested epoch was a null round (20000002)", "data": 20_000_002}),
            ),
            _ => Reply::Result(answer),
        },
        sums: (15, 73, 2_586_361),
        tip: "0x39f052e48ca28b38a50adfbd624464d4429154d8548081173a6f53eaf7105187",
    },
    Case { name: "quorum-nanoseconds", chain: 1_337, does: honest, sums: (0, 0, 0), tip: "" },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reported_gives_the_right_value_over_several_endpoints() {
    for case in CASES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/cases").join(case.name);
        let blocks: Vec<Value> =
            serde_json::from_str(&fs::read_to_string(folder.join("blocks.json")).unwrap()).unwrap();
        let last = blocks.len() - 1;
        let nodes = [Node::with(blocks.clone(), last).await, Node::with(blocks.clone(), last).await];
        for node in &nodes {
            node.twist(case.does);
            node.batch.store(3, Ordering::Relaxed);
        }
        let fleet = fleet_with(&[&nodes[0], &nodes[1]], &[], Checks::of(&Profile::of(case.chain)));
        let (mut sums, mut tip) = ((0, 0, 0), String::new());
        let top = blocks[last]["block"]["number"].as_str().unwrap();
        let top = u64::from_str_radix(top.trim_start_matches("0x"), 16).unwrap();
        for height in FIRST..=top {
            for by_hash in [false, true] {
                let at = blocks.iter().find(|b| b["block"]["number"] == json!(format!("0x{height:x}")));
                let hash = at.map(|b| b["block"]["hash"].as_str().unwrap().parse().unwrap());
                let block = match fleet.fetch(height, hash.as_ref().filter(|_| by_hash)).await {
                    Ok(block) => block,
                    Err(e) if e.class() == Class::NoBlock => {
                        assert_eq!((case.name, height), ("filecoin-null-round", 20_000_002), "{e}");
                        continue;
                    }
                    Err(e) => panic!("{}, {height}: {e}", case.name),
                };
                tip = block.head().hash.to_string();
                assert_eq!(Some(&block.head().hash), hash.as_ref(), "{}", case.name);
                if by_hash {
                    let gas: u64 = block.transactions.iter().map(|t| t.receipt_gas_used).sum();
                    sums = (sums.0 + block.transactions.len(), sums.1 + block.log_count as usize, sums.2 + gas);
                }
                if case.name == "quorum-nanoseconds" {
                    let ms = block.head().time.0;
                    assert_eq!(ms, 1_761_317_324_396 + (height - FIRST) as i64 * 50, "its own time, not a made-up one");
                }
            }
        }
        if !case.tip.is_empty() {
            assert_eq!((sums, tip.as_str()), (case.sums, case.tip), "{}", case.name);
        }
        assert_eq!(fleet.endpoint(), "a", "{}", case.name);
        assert!(["a", "b"].iter().all(|name| state_of(&fleet, name).state.as_str() != "quarantined"), "{}", case.name);
    }
}
