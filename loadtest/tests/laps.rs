//! A replayed block passes every check that the product knows, on every lap and every branch, and none of its transactions was
//! there before.

mod common;

use alloy_primitives::B256;
use common::{client, data, manual};
use nodes::evm::Checks;
use nodes::evm::verify::{Weight, verify};
use nodes::evm::wire::{Answer, Block, Receipt, Wire, parse_answer};
use schemas::profiles::Profile;
use serde_json::{Value, json};
use std::collections::HashSet;

async fn ask<T: Wire>(url: &str, method: &str, params: Value) -> T {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = client().post(url).json(&call).send().await.expect("an answer").text().await.expect("text");
    match parse_answer(&answer).expect("readable") {
        Answer::Result(value) => value,
        _ => panic!("no result: {method}"),
    }
}

/// All checks decide, but for those that do not hold for the recorded blocks of the chain either.
fn checks(chain: &str) -> Checks {
    let all = Checks::all(Weight::Decide);
    match chain {
        "arbitrum" => Checks { transactions_root: Weight::Off, price: Weight::Off, ..all },
        "cronos" => Checks { transaction_hashes: Weight::Decide, created: Weight::Decide, ..Checks::OFF },
        _ => all,
    }
}

#[tokio::test]
async fn every_check_of_the_product_holds_on_every_lap_and_branch() {
    for chain in ["arbitrum", "base", "base-goerli", "cronos", "ethereum", "hyperliquid", "optimism", "polygon"] {
        let set = data(chain);
        let cycle = set.blocks().len() as u64;
        let node = manual(chain, 2 * cycle).await;
        let (mut seen, mut transactions) = (HashSet::<B256>::new(), 0);
        let (mut from, mut parent) = (1, None);
        for _ in 0..2 {
            for height in from..=node.head() {
                let at = format!("{height:#x}");
                let block: Block = ask(&node.url(), "eth_getBlockByNumber", json!([at, true])).await;
                let receipts: Vec<Receipt> = ask(&node.url(), "eth_getBlockReceipts", json!([at])).await;
                for checks in [checks(chain), Checks::of(&Profile::of(node.chain_id()))] {
                    verify(&block, &receipts, height, &checks).unwrap_or_else(|lie| panic!("{chain} {height}: {lie}"));
                }
                assert!(parent.is_none_or(|parent| block.parent_hash == parent), "{chain} {height}");
                parent = Some(block.hash);
                let list = block.transactions.expect("transactions");
                transactions += list.len();
                seen.extend(list.iter().map(|t| t.hash.expect("a hash")));
                let mut logs = receipts.iter().flat_map(|r| r.logs.iter().flatten().map(move |log| (r, log)));
                assert!(logs.all(|(r, log)| log.transaction_hash == r.transaction_hash), "{chain} {height}");
            }
            // Another branch, from the middle of the first lap on.
            node.fork_and_advance(2 * cycle - cycle / 2, 3).expect("possible");
            from = node.canonical(1..=node.head()).iter().position(|b| b.version > 0).expect("a branch") as u64 + 1;
            parent = None;
        }
        assert_eq!(seen.len(), transactions, "{chain}: a hash occurs twice");
        assert!(transactions > 0, "{chain}");
    }
}
