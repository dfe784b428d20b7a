//! The stage against a real node: anvil with live blocks, a failing transaction, reorgs. `scripts/fetch-anvil` provides it;
//! without it (and outside CI) the test says so and passes over.

mod common;

use std::time::Duration;

use common::{Stage, config, endpoints, open, read_chain, trace, wait_for_state, wait_for_tip};
use ingest::Start;
use loadtest::node::anvil::Anvil;
use nodes::{
    ChainSource,
    evm::{
        Checks, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
        verify::Weight,
    },
    fleet::{Clock, Confirm, FleetConfig, MemberConfig},
};
use schemas::records::{NetworkState, Payload};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_real_node_through_failures_and_reorgs() {
    trace();
    let Some(anvil) = Anvil::start(runtime::cache::folder().as_deref()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let ws = anvil.ws_url();
    let stage = Stage::start(config(&anvil.url(), Some(&ws), 31_337, Start::Height(0)), log.clone());
    wait_for_state(&*log, NetworkState::Live).await;

    // A payment, a contract whose code is `PUSH0 PUSH0 REVERT`, and a call that fails.
    let accounts = anvil.call("eth_accounts", json!([])).await;
    let (from, to) = (accounts[0].clone(), accounts[1].clone());
    let pay = anvil.call("eth_sendTransaction", json!([{"from": from, "to": to, "value": "0x1"}])).await;
    let code = "0x625f5ffd5f526003601df3";
    let create = anvil.call("eth_sendTransaction", json!([{"from": from, "data": code, "gas": "0x30d40"}])).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let receipt = anvil.call("eth_getTransactionReceipt", json!([create])).await;
    let contract = receipt["contractAddress"].clone();
    let fail = anvil.call("eth_sendTransaction", json!([{"from": from, "to": contract, "gas": "0x30d40"}])).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;

    let (height, hash) = anvil.head().await;
    let chain = wait_for_tip_or_later(&log, &anvil, height, hash).await;
    let status = |hash: &Value| {
        let all = chain.transactions.values().flatten();
        let found = all.filter_map(|t| match &t.payload {
            Payload::Evm(t) if Some(t.hash.to_string().as_str()) == hash.as_str() => t.receipt_status,
            _ => None,
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!((status(&pay), status(&create), status(&fail)), (vec![1], vec![1], vec![0]));

    for depth in [1, 3, 5] {
        anvil.call("anvil_reorg", json!([depth, []])).await;
        anvil.call("evm_mine", json!([])).await;
        // Each is seen before the next one undoes it.
        let (height, hash) = anvil.head().await;
        wait_for_tip_or_later(&log, &anvil, height, hash).await;
    }
    let (height, hash) = anvil.head().await;
    let chain = wait_for_tip_or_later(&log, &anvil, height, hash).await;
    assert!(chain.reverts >= 1 + 3 + 5, "{} reverts", chain.reverts);
    let truth = anvil.chain().await;
    let held = chain.hashes();
    assert_eq!(held[..], truth[..held.len()]);
    stage.stop().await;
    assert_eq!(read_chain(&*log).await.remaining, 0);
}

/// A transaction of an impersonated account has no real signature, and its hash is not the hash of its bytes: it is kept with the
/// hash that the node says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_impersonated_accounts() {
    trace();
    let Some(anvil) = Anvil::start(runtime::cache::folder().as_deref()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let stage = Stage::start(config(&anvil.url(), None, 31_337, Start::Height(0)), log.clone());
    let accounts = anvil.call("eth_accounts", json!([])).await;
    let (usual, other) = (accounts[0].clone(), accounts[1].clone());
    let impersonated = json!(format!("0x{}", "be".repeat(20)));
    anvil.call("anvil_setBalance", json!([impersonated, "0xde0b6b3a7640000"])).await;
    anvil.call("anvil_impersonateAccount", json!([impersonated])).await;
    let mut sent = Vec::new();
    for from in [&usual, &impersonated, &usual] {
        let hash = anvil.call("eth_sendTransaction", json!([{"from": from, "to": other, "value": "0x1"}])).await;
        let receipt = anvil.receipt(&hash).await;
        sent.push((hash, from.clone(), receipt["blockHash"].clone()));
    }
    let (height, hash) = anvil.head().await;
    let chain = wait_for_tip_or_later(&log, &anvil, height, hash).await;
    for (hash, from, block) in &sent {
        let mut found = chain.transactions.values().flatten().filter_map(|t| match &t.payload {
            Payload::Evm(tx) if Some(tx.hash.to_string().as_str()) == hash.as_str() => Some((t, tx)),
            _ => None,
        });
        let (record, tx) = found.next().unwrap_or_else(|| panic!("{hash} of {from}"));
        assert_eq!(format!("{:#x}", tx.from_address), from.as_str().unwrap());
        assert_eq!(Some(record.envelope.block_hash.as_str()), block.as_str());
    }
    stage.stop().await;
    // And it is such a case: what the node says of it does not hash to what it says.
    let endpoint = endpoints(&mut config(&anvil.url(), None, 31_337, Start::Latest)).remove(0);
    let strict = Checks { transaction_hashes: Weight::Decide, ..Checks::OFF };
    let config = EvmFleetConfig {
        network: "anvil".parse().unwrap(),
        chain_id: 31_337,
        observer: "ingest/test".into(),
        checks: strict,
        tuning: Tuning { tries: 1, ..Tuning::default() },
        confirm: Confirm::Auto,
        confirm_within: Duration::from_secs(2),
        fleet: FleetConfig::default(),
    };
    let member = MemberConfig::new(&endpoint.name, endpoint.url.as_str());
    let client = EvmFleet::new(config, vec![(member, endpoint)], Clock::system()).unwrap();
    let receipt = anvil.receipt(&sent[1].0).await;
    let at = receipt["blockNumber"].as_str().and_then(|n| u64::from_str_radix(n.trim_start_matches("0x"), 16).ok());
    let lie = client.fetch(at.unwrap(), None).await.unwrap_err();
    assert!(lie.to_string().contains("does not hash"), "{lie}");
}

/// The node goes on by itself: its head of now, or a later one.
async fn wait_for_tip_or_later(
    log: &runtime::log::embedded::EmbeddedLog,
    anvil: &Anvil,
    height: u64,
    hash: String,
) -> common::Chain {
    for _ in 0..100 {
        let chain = read_chain(log).await;
        if chain.hashes().contains(&(height, hash.clone())) {
            return chain;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (now, there) = anvil.head().await;
    wait_for_tip(log, now, &there).await
}
