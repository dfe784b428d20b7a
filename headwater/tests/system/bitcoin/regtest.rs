//! `headwater up` on a real Bitcoin node and a real Electrum server, on regtest: mining, a payment that is replaced (BIP-125), a child that pays
//! for its parent, and reorgs by `invalidateblock`, seen through SQL and REST. `scripts/fetch-bitcoin` provides both; without them
//! (and outside CI) the test says so and passes over.

use loadtest::node::bitcoind::{Bitcoind, ElectrumX};
use serde_json::{Value, json};

use super::headwater;
use crate::common::{Headwater, expected::assert_gapless, number, text};

const SLUG: &str = "regtest";

/// An amount in bitcoin, as the node writes it, in satoshi.
fn satoshi(amount: &Value) -> i64 {
    (amount.as_f64().expect("an amount") * 1e8).round() as i64
}

/// Waits until the node's tip is visible.
async fn at_tip(headwater: &mut Headwater, node: &Bitcoind) {
    let (_, hash) = node.head().await;
    headwater.until_visible(SLUG, &hash).await;
}

/// The row of a transaction, where there is one.
async fn transaction(headwater: &Headwater, txid: &str) -> Option<Value> {
    let sql = format!(
        "SELECT block_number, fee, virtual_size, replaceable, input_value, output_value FROM bitcoin_transactions \
         WHERE network = '{SLUG}' AND hash = '{txid}'"
    );
    let mut rows = headwater.query(&sql).await.expect("a row");
    assert!(rows.len() < 2, "{txid} is there twice: {rows:?}");
    rows.pop()
}

/// Every block and every transaction is the node's, and what blocks pay in fees is what the node adds up.
async fn assert_nodes(headwater: &Headwater, node: &Bitcoind) {
    let (height, _) = node.head().await;
    let mut wanted = Vec::new();
    for height in 0..=height {
        let block = node.call("getblock", json!([node.hash(height).await, 1])).await;
        // What the node adds up wants undo data, which the first block has none of.
        let fees = match height {
            0 => 0,
            _ => node.call("getblockstats", json!([height, ["totalfee"]])).await["totalfee"].as_u64().expect("fees"),
        };
        let txids: Vec<&str> =
            block["tx"].as_array().expect("transactions").iter().map(|txid| txid.as_str().expect("an id")).collect();
        let of_it = (&block["size"], &block["weight"], &block["mediantime"]);
        wanted.push(format!(
            "{height} {} {} {} {} {fees} {}",
            text(&block, "hash"),
            of_it.0,
            of_it.1,
            of_it.2,
            txids.join(",")
        ));
    }
    let rows = headwater
        .outside()
        .lines(&format!(
            "SELECT concat(toString(b.number), ' ', b.hash, ' ', toString(assumeNotNull(b.size)), ' ', toString(assumeNotNull(b.weight)), ' ', \
             toString(toUnixTimestamp(assumeNotNull(b.median_time))), ' ', toString(b.fee_total), ' ', t.ids) AS line \
             FROM (SELECT * FROM bitcoin_blocks WHERE network = '{SLUG}') AS b LEFT JOIN (SELECT block_number, arrayStringConcat(arrayMap(x -> x.2, arraySort(x -> x.1, \
             groupArray((transaction_index, hash)))), ',') AS ids FROM bitcoin_transactions WHERE network = '{SLUG}' GROUP BY block_number) AS t \
             ON t.block_number = b.number ORDER BY b.number"
        ))
        .await
        .expect("rows");
    assert_eq!(rows, wanted);
    assert_gapless(headwater, SLUG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_node_and_a_real_server_are_followed_through_replacements_and_reorgs() {
    let Some(node) = Bitcoind::start(runtime::cache::folder().as_deref()).await else { return };
    let address = node.wallet().await;
    // What is paid with stays old enough whatever is taken back.
    node.mine(10).await;
    let server = ElectrumX::start(&node).await;
    let mut headwater = headwater(&[format!(
        "[[network]]\nslug = \"{SLUG}\"\nfamily = \"bitcoin\"\nchain = \"regtest\"\nstart = 0\n\
         [[network.endpoint]]\nname = \"core\"\noperator = \"core\"\nurl = \"{}\"\nzmq = \"{}\"\n\
         [[network.endpoint]]\nname = \"electrumx\"\noperator = \"electrumx\"\nurl = \"{}\"\n",
        node.url(),
        node.zmq_url(),
        server.url()
    )]);
    headwater.start();
    at_tip(&mut headwater, &node).await;

    // A payment that is replaced by one that pays more: only the second is ever in a block.
    let to = node.text("getnewaddress", json!([])).await;
    let first = node.text("sendtoaddress", json!([to, 1.5])).await;
    let bumped = node.call("bumpfee", json!([first])).await;
    let second = text(&bumped, "txid");
    node.mine(1).await;
    at_tip(&mut headwater, &node).await;
    assert_eq!(transaction(&headwater, &first).await, None);
    let row = transaction(&headwater, &second).await.expect("the second payment");
    let told = node.call("gettransaction", json!([second])).await;
    assert_eq!(number(&row, "fee") as i64, -satoshi(&told["fee"]));
    assert_eq!(number(&row, "fee") as i64, satoshi(&bumped["fee"]));
    assert_eq!(row["replaceable"], true, "{row}");

    // A child that pays for its parent: both are in one block, and what spends the parent's output is found.
    let parent = node.text("sendtoaddress", json!([to, 1.0, "", "", false, true, null, "unset", false, 1])).await;
    let details = node.call("gettransaction", json!([parent])).await["details"].take();
    let details = details.as_array().expect("details");
    let received = details.iter().find(|one| one["category"] == "receive").expect("what it receives");
    let vout = received["vout"].as_u64().expect("an output");
    let options = json!({"inputs": [{"txid": parent, "vout": vout}], "fee_rate": 60});
    let pays = serde_json::Map::from_iter([(address, json!(0.9))]);
    let sent = node.call("send", json!([[pays], null, "unset", null, options])).await;
    let child = text(&sent, "txid");
    node.mine(1).await;
    at_tip(&mut headwater, &node).await;
    let (parents, childs) = (transaction(&headwater, &parent).await, transaction(&headwater, &child).await);
    let (parents, childs) = (parents.expect("the parent"), childs.expect("the child"));
    assert_eq!(number(&parents, "block_number"), number(&childs, "block_number"));
    let rate = |row: &Value| number(row, "fee") / number(row, "virtual_size");
    assert!(rate(&parents) < 5 && rate(&childs) > 50, "{parents} {childs}");
    let spender = headwater
        .outside()
        .lines(&format!(
            "SELECT transaction_hash AS line FROM bitcoin_inputs \
             WHERE network = '{SLUG}' AND spent_transaction_hash = '{parent}' AND spent_output_index = {vout}"
        ))
        .await;
    assert_eq!(spender.expect("an input"), std::slice::from_ref(&child));
    let shown = headwater.get(&format!("/txs/{SLUG}/{parent}")).await.expect("the parent");
    let outputs = shown["bitcoin"]["outputs"].as_array().expect("outputs");
    let output = outputs.iter().find(|output| output["index"] == vout).expect("the output");
    assert_eq!(output["spent_by"]["txid"], child.as_str(), "{output}");
    assert_nodes(&headwater, &node).await;

    // Reorgs by work: rows are those of the branch that stands.
    for depth in [1, 3] {
        node.reorg(depth).await;
        at_tip(&mut headwater, &node).await;
        assert_nodes(&headwater, &node).await;
        // Whether the node has put it into the new branch is its own affair.
        let confirmations = node.call("gettransaction", json!([child])).await["confirmations"].as_i64();
        let confirmed = confirmations.is_some_and(|n| n > 0);
        assert_eq!(transaction(&headwater, &child).await.is_some(), confirmed, "the child, {confirmations:?} deep");
    }
    let reverts = headwater
        .query(&format!("SELECT countIf(op = 'revert') AS n FROM block_events WHERE network = '{SLUG}'"))
        .await
        .expect("events");
    assert_eq!(number(&reverts[0], "n"), 4);

    // Cut off in the middle of blocks, it goes on.
    headwater.kill();
    node.mine(5).await;
    headwater.start();
    at_tip(&mut headwater, &node).await;
    assert_nodes(&headwater, &node).await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
