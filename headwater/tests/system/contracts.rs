//! A contract that somebody adds over REST while the real binary runs: the blocks that follow say what happened there, over reorgs and a
//! kill, and no more once it is removed. What they say equals recomputation from the transactions and logs.

use std::sync::Arc;

use loadtest::node::evm::{Clock, Config, Dataset, Simulator, spawn};
use serde_json::{Value, json};

use crate::common::{Headwater, Net, number, text};

/// Of an OP-stack chain: every block's first transaction goes there.
const L1_BLOCK: &str = "0x4200000000000000000000000000000000000015";

async fn node() -> Arc<Simulator> {
    let data = Dataset::embedded("optimism").expect("embedded data");
    Arc::new(spawn(Config { clock: Clock::Manual, history: 8, ..Config::new(data) }).await.expect("simulator"))
}

async fn head_visible(headwater: &mut Headwater, node: &Simulator) {
    let head = node.canonical(node.head()..=node.head()).remove(0);
    headwater.until_visible("op", &head.hash.to_string()).await;
}

/// Blocks on top of which something is said of the contract, and of those from `first` on the ones where that is not what their
/// transactions and logs tell.
async fn told(headwater: &Headwater, first: u64) -> (Vec<u64>, Vec<String>) {
    let there =
        format!("SELECT height FROM contract_blocks WHERE network = 'op' AND contract = '{L1_BLOCK}' ORDER BY height");
    let heights = headwater.query(&there).await.expect("the view").iter().map(|row| number(row, "height")).collect();
    let of = format!("network = 'op' AND height >= {first}");
    let differ = format!(
        "SELECT toString((height, one.n, one.f, one.g, one.l, other.n, other.f, other.g, other.l)) AS d FROM
            (SELECT height, transactions AS n, failed AS f, gas_used AS g, logs AS l FROM contract_blocks
             WHERE {of} AND contract = '{L1_BLOCK}') AS one
         FULL JOIN
            (SELECT t.height AS height, count() AS n, countIf(status = 'failed') AS f, sum(receipt_gas_used) AS g, sum(emitted) AS l
             FROM evm_transactions AS t LEFT JOIN
                (SELECT transaction_hash AS hash, count() AS emitted FROM evm_logs WHERE {of} AND address = '{L1_BLOCK}' GROUP BY hash)
                AS logs USING (hash)
             WHERE {of} AND (to_address = '{L1_BLOCK}' OR emitted > 0) GROUP BY height) AS other
         USING (height)
         WHERE (one.n, one.f, one.g, one.l) != (other.n, other.f, other.g, other.l)"
    );
    let differ = headwater.query(&differ).await.expect("both").iter().map(|row| text(row, "d")).collect();
    (heights, differ)
}

/// Advances until the newest block tells of the contract, or no more; its height.
async fn until_heard(headwater: &mut Headwater, node: &Simulator, wanted: bool) -> u64 {
    for _ in 0..60 {
        node.advance(1).expect("advance");
        head_visible(headwater, node).await;
        if told(headwater, node.head()).await.0.contains(&node.head()) == wanted {
            return node.head();
        }
    }
    panic!("the stages hear nothing of it")
}

async fn send(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_is_counted_in_the_blocks_that_follow() {
    let node = node().await;
    let mut headwater = Headwater::new(&[Net { start: "latest".into(), ..Net::of("op", &node) }]);
    headwater.start();
    head_visible(&mut headwater, &node).await;
    let (client, at) = (reqwest::Client::new(), format!("{}/api/v1/contracts", headwater.api));

    let new = json!({"network": "op", "address": L1_BLOCK.to_uppercase().replace("0X", "0x"), "name": "L1 block"});
    let (status, made) = send(client.post(&at).json(&new)).await;
    assert_eq!((status, &made["address"]), (201, &json!(L1_BLOCK)), "{made}");
    let first = until_heard(&mut headwater, &node, true).await;

    // Every block from the first one on, the reorg's new branch and what comes after a kill included.
    node.advance(3).expect("advance");
    node.fork_and_advance(2, 4).expect("fork");
    head_visible(&mut headwater, &node).await;
    headwater.kill();
    node.advance(2).expect("advance");
    headwater.start();
    head_visible(&mut headwater, &node).await;
    let (heights, differ) = told(&headwater, first).await;
    assert_eq!(heights, (first..=node.head()).collect::<Vec<_>>());
    assert_eq!(differ, [""; 0], "height, then transactions, failed, gas, logs as told and as recomputed");

    // Its own page says as much.
    let one = format!("{at}/{}", made["id"].as_str().expect("an id"));
    let (status, found) = send(client.get(&one)).await;
    assert!(status == 200 && found["name"] == "L1 block" && found["figures"]["failed_24h"] == 0, "{found}");

    let (status, said) = send(client.delete(&one).header("if-match", "*")).await;
    assert_eq!(status, 204, "{said}");
    let last = until_heard(&mut headwater, &node, false).await;
    let (heights, differ) = told(&headwater, first).await;
    assert_eq!(heights, (first..last).collect::<Vec<_>>(), "what was counted stays");
    assert_eq!(differ.len() as u64, 1, "only the newest block is not counted any more: {differ:?}");
    assert_eq!(headwater.stop(), Some(0));
}
