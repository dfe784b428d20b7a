//! `headwater up` on a real EVM node (`anvil`): live blocks, a failing transaction, a reorg, seen through REST and SQL.
//! `scripts/fetch-anvil` provides it; without it (and outside CI) the test says so and passes over.

use crate::common::{Headwater, Net, number, text};
use loadtest::node::anvil::Anvil;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_node_is_followed_through_a_failure_and_reorgs() {
    let Some(anvil) = Anvil::start(runtime::cache::folder().as_deref()) else { return };
    let mut headwater = Headwater::new(&[Net {
        slug: "anvil",
        chain_id: 31_337,
        start: "0".into(),
        url: anvil.url(),
        ws: Some(anvil.ws_url()),
    }]);
    headwater.start();

    // A contract whose code is `PUSH0 PUSH0 REVERT`, and a call of it, which fails.
    let from = anvil.call("eth_accounts", json!([])).await[0].clone();
    let code = "0x625f5ffd5f526003601df3";
    let create = anvil.call("eth_sendTransaction", json!([{"from": from, "data": code, "gas": "0x30d40"}])).await;
    let contract = anvil.receipt(&create).await["contractAddress"].clone();
    let fail = anvil.call("eth_sendTransaction", json!([{"from": from, "to": contract, "gas": "0x30d40"}])).await;
    let receipt = anvil.receipt(&fail).await;
    headwater.until_visible("anvil", receipt["blockHash"].as_str().expect("a hash")).await;
    let failed = headwater.get("/txs?network=anvil&status=failed").await.expect("transactions");
    let items = failed["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{failed}");
    assert_eq!((&items[0]["hash"], &items[0]["to"]), (&fail, &contract));

    for depth in [1, 3] {
        anvil.call("anvil_reorg", json!([depth, []])).await;
        anvil.call("evm_mine", json!([])).await;
    }
    // Mining stops, so that the node's chain and ours can be compared.
    anvil.call("evm_setIntervalMining", json!([0])).await;
    let head = anvil.block("latest").await;
    headwater.until_visible("anvil", head["hash"].as_str().expect("a hash")).await;
    let rows = headwater.query("SELECT number, hash FROM blocks WHERE network = 'anvil' ORDER BY number").await;
    let held: Vec<_> = rows.expect("blocks").iter().map(|row| (number(row, "number"), text(row, "hash"))).collect();
    assert_eq!(held, anvil.chain().await);
    crate::common::expected::assert_gapless(&headwater, "anvil").await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
