//! Odd values in fields on which nothing rests: the block is followed, and what counts is where things stand.

use loadtest::node::fixed::{Pair, recorded};
use schemas::records::{EvmTransaction, NetworkState, Payload};
use serde_json::{Value, json};

use crate::{
    common::Chain,
    run::{Run, Totals},
};

const SEI: &str = "sei-other-index";

fn transactions(chain: &Chain) -> Vec<Vec<EvmTransaction>> {
    let of = |sequence: u64| {
        let records = chain.transactions[&sequence].iter();
        records.map(|r| if let Payload::Evm(t) = &r.payload { (**t).clone() } else { panic!("unreadable") })
    };
    chain.blocks.iter().map(|b| of(b.envelope.sequence).collect()).collect()
}

/// Tip and sums of the case, whatever is changed of it.
async fn followed(blocks: Vec<Pair>, what: &str) -> Chain {
    let mut run = Run::over(blocks, 1329, |_| {}).await;
    let chain = run.whole().await;
    let t = Totals::of(&chain);
    assert_eq!((t.transactions, t.logs, t.gas, t.fees), (12, 67, 2_291_112, 90_986_722_305_483_600), "{what}");
    let tip = "0x99253b5add713ca7c249044e110ea69ef72693c39bcf5c422c5e6907bc352d38".to_owned();
    assert_eq!(t.tip, (20_000_003, tip), "{what}");
    for block in transactions(&chain) {
        let indexes: Vec<u32> = block.iter().flat_map(|t| &t.logs).map(|l| l.log_index).collect();
        assert_eq!(indexes, (0..indexes.len() as u32).collect::<Vec<_>>(), "{what}");
    }
    run.stop().await;
    chain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_place_in_the_block_counts_not_the_index_that_is_stated() {
    let truth = recorded(SEI).expect("recorded blocks");
    followed(truth.clone(), "as recorded").await;
    type Oddity = fn(&mut Pair);
    let oddities: [(&str, Oddity); 6] = [
        ("an index twice", |p| p.receipts[1]["transactionIndex"] = json!("0x0")),
        ("another index of a transaction", |p| p.block["transactions"][2]["transactionIndex"] = json!("0x77")),
        ("logs counted from 0 in each receipt", |p| {
            for receipt in &mut p.receipts {
                for (i, log) in receipt["logs"].as_array_mut().expect("logs").iter_mut().enumerate() {
                    log["logIndex"] = json!(format!("{i:#x}"));
                }
            }
        }),
        ("a log of another transaction, by its own word", |p| {
            p.receipts[0]["logs"][0]["transactionHash"] = p.receipts[1]["transactionHash"].clone();
        }),
        ("fields that are misspelled", |p| {
            for field in ["size", "difficulty", "totalDifficulty", "nonce", "mixHash", "extraData", "l1BlockNumber"] {
                p.block[field] = json!("0x-1");
            }
            p.block["miner"] = json!({"none": [1, 2]});
            for field in ["chainId", "v", "r", "yParity"] {
                p.block["transactions"][0][field] = json!("none");
            }
            p.receipts[1]["logsBloom"] = json!("none");
            p.receipts[1]["transactionIndex"] = json!("-0x1");
            p.receipts[1]["blockNumber"] = json!(1.5);
        }),
        ("a type that nobody knows", |p| {
            p.block["transactions"][1]["type"] = json!("0x42");
            p.receipts[1]["type"] = json!("0x42");
        }),
    ];
    for (what, oddity) in oddities {
        let mut told = truth.clone();
        oddity(&mut told[2]);
        followed(told, what).await;
    }
}

/// What follows from the rest is filled in, what something rests on is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_out_follows_from_the_rest_or_stops_the_network() {
    let truth = recorded(SEI).expect("recorded blocks");
    let mut told = truth.clone();
    let left_out = |value: &mut Value, field: &str| drop(value.as_object_mut().expect("an object").remove(field));
    left_out(&mut told[0].receipts[1], "gasUsed");
    left_out(&mut told[1].receipts[2], "cumulativeGasUsed");
    let (first, second) =
        (transactions(&followed(truth.clone(), "as recorded").await), transactions(&followed(told, "left out").await));
    assert_eq!(first, second);

    for (field, value) in
        [("timestamp", json!("-0x1")), ("timestamp", json!("0x300000000")), ("gasUsed", json!("much"))]
    {
        let mut told = truth.clone();
        told[1].block[field] = value.clone();
        let mut run = Run::over(told, 1329, |_| {}).await;
        let detail = run.state(NetworkState::Stalled).await.detail.expect("words");
        assert!(detail.contains(field), "{field} {value}: {detail}");
        run.node.replace(truth.clone());
        run.whole().await;
        run.stop().await;
    }
}

/// Celo's block receipts: the header's count has their logs, no row has, so that the ledger shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_no_transaction_are_counted() {
    let mut told = recorded(SEI).expect("recorded blocks");
    let mut own = told[2].receipts[0].clone();
    own["transactionHash"] = told[2].block["hash"].clone();
    let logs = own["logs"].as_array().expect("logs").len() as u32;
    assert!(logs > 0);
    told[2].receipts.push(own.clone());
    let mut run = Run::over(told.clone(), 1329, |_| {}).await;
    run.reached().await;
    run.stop().await;
    let counts = run.counts().await;
    let of = |pair: &Pair| pair.receipts.iter().map(|r| r["logs"].as_array().expect("logs").len() as u32).sum::<u32>();
    assert_eq!(counts, told.iter().map(|p| (3, of(p))).collect::<Vec<_>>());
    // Of another block, or of a transaction that has its receipt already, it is no block receipt: no log of it is counted.
    let truth: Vec<(u32, u32)> = recorded(SEI).expect("recorded blocks").iter().map(|p| (3, of(p))).collect();
    for (field, value) in [
        ("blockHash", told[1].block["hash"].clone()),
        ("blockHash", Value::Null),
        ("transactionHash", told[2].receipts[1]["transactionHash"].clone()),
    ] {
        let mut told = told.clone();
        told[2].receipts[3][field] = value;
        let mut run = Run::over(told, 1329, |_| {}).await;
        run.reached().await;
        run.stop().await;
        assert_eq!(run.counts().await, truth, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_stamps_in_nanoseconds_are_times() {
    let mut run = Run::case("quorum-nanoseconds", 1337, |_| {}).await;
    let chain = run.whole().await;
    let times: Vec<String> = chain.blocks.iter().map(|b| b.envelope.block_time.rfc3339()).collect();
    let wanted = [396, 446, 496, 546].map(|ms| format!("2025-10-24T14:48:44.{ms}Z"));
    assert_eq!(times, wanted);
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_that_a_fee_was_paid_in_is_kept() {
    let blocks = recorded("celo-fee-currency").expect("recorded blocks");
    let token = |value: Value| {
        let mut blocks = blocks.clone();
        blocks[1].block["transactions"][1]["feeCurrency"] = value;
        blocks
    };
    for (blocks, wanted) in [
        (blocks.clone(), Some("0x765de816845861e75a25fca122bb6898b8b1282a")),
        (token(Value::Null), None),
        (token(json!("0x0000000000000000000000000000000000000000")), None),
    ] {
        let mut run = Run::over(blocks, 42_220, |_| {}).await;
        let all = transactions(&run.whole().await);
        let tokens: Vec<_> = all.iter().flatten().map(|t| t.fee_currency).collect();
        let mut expected = vec![None; 9];
        expected[4] = wanted.map(|w| w.parse().expect("an address"));
        assert_eq!(tokens, expected);
        run.stop().await;
    }
}
