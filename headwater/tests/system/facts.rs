//! Facts about contracts in the real binary, on a real EVM node (anvil, `scripts/fetch-anvil`): a proxy that was there before is known,
//! its upgrade is, a reorg takes that back, and calls are decoded with what stood behind the proxy at their height. ABIs come by REST
//! while it runs, through an open door (rule 14). Sources that are away, slow or lying cost no block anything.

use std::{process::Command, time::Duration};

use loadtest::node::anvil::Anvil;
use serde_json::{Value, json};

use crate::common::{Headwater, Net, binary, text};

/// A proxy of EIP-1967 (`enrich/tests/causes.rs` assembles it): `upgradeTo(address)` stores an implementation and says `Upgraded`, the rest
/// is handed on by DELEGATECALL. Constructor: the first implementation, in place of the zeros behind `73`.
fn proxy(first: &str) -> String {
    let slot = "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
    let topic = alloy_primitives::hex::encode(alloy_primitives::keccak256("Upgraded(address)"));
    let mut runtime = format!("5f3560e01c633659cfe61460JJ57365f5f375f5f365f7f{slot}545af43d5f5f3e60RR573d5ffd");
    runtime = runtime.replace("RR", &format!("{:02x}", runtime.len() / 2)) + "5b3d5ff3";
    runtime = runtime.replace("JJ", &format!("{:02x}", runtime.len() / 2));
    runtime += &format!("5b600435807f{slot}557f{topic}5f5fa200");
    let begin = format!("0x73{}7f{slot}55", first.trim_start_matches("0x"));
    format!("{begin}60{:02x}8060{:02x}5f395ff3{runtime}", runtime.len() / 2, begin.len() / 2 - 1 + 9)
}

/// A contract that does nothing whatever it is called for.
const SILENT: &str = "0x60018060095f395ff300";

fn selector(signature: &str) -> String {
    alloy_primitives::hex::encode(&alloy_primitives::keccak256(signature)[..4])
}

struct Chain {
    anvil: Anvil,
}

impl Chain {
    /// Sends a transaction; its receipt, when it succeeded.
    async fn send(&self, to: Option<&str>, data: &str) -> Value {
        self.anvil.send(to, data).await
    }

    async fn deploy(&self, code: &str) -> String {
        text(&self.send(None, code).await, "contractAddress")
    }
}

fn height(receipt: &Value) -> u64 {
    u64::from_str_radix(text(receipt, "blockNumber").trim_start_matches("0x"), 16).expect("a height")
}

/// The present facts of a contract.
fn facts(headwater: &Headwater, address: &str) -> Option<Value> {
    let tail = ["tail", "contract.facts", "--config"];
    let output = Command::new(binary()).args(tail).arg(&headwater.config).output().expect("tail");
    let key = format!("anvil/{address}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.rev().find(|record| record["key"] == key.as_str()).map(|mut record| record["value"].take())
}

/// Heights and addresses of what stands behind a contract.
async fn until_behind(headwater: &mut Headwater, what: &str, of: &str, expected: &[(u64, &str)]) {
    let expected: Vec<Value> = expected.iter().map(|(height, address)| json!([height, address])).collect();
    headwater
        .until(what, async |h| {
            let facts = facts(h, of)?;
            let list = facts["implementations"].as_array()?;
            let behind: Vec<Value> = list.iter().map(|i| json!([i["from_height"], i["address"]])).collect();
            (behind == expected).then_some(())
        })
        .await;
    // The stages know it within moments.
    tokio::time::sleep(Duration::from_millis(500)).await;
}

async fn abi(headwater: &Headwater, address: &str, name: &str, function: Value) {
    let new = json!({"network": "anvil", "address": address, "name": name, "abi": [function]});
    let at = format!("{}/api/v1/contracts", headwater.api);
    let answer = reqwest::Client::new().post(at).json(&new).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 201, "{}", answer.text().await.unwrap_or_default());
}

fn function(name: &str, inputs: Value) -> Value {
    json!({"type": "function", "name": name, "inputs": inputs, "outputs": [], "stateMutability": "nonpayable"})
}

/// What is told of a call, once it is visible.
async fn call_of(headwater: &mut Headwater, receipt: &Value) -> (Value, Value) {
    headwater.until_visible("anvil", &text(receipt, "blockHash")).await;
    let hash = text(receipt, "transactionHash");
    let sql = format!("SELECT call, call_arguments FROM evm_transactions WHERE network = 'anvil' AND hash = '{hash}'");
    let mut rows = headwater.query(&sql).await.expect("the view");
    let row = &mut rows[0];
    (row["call"].take(), row["call_arguments"].take())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_decoded_by_what_stood_behind_it_at_the_height() {
    let Some(anvil) = Anvil::start(runtime::cache::folder().as_deref()) else { return };
    let chain = Chain { anvil };
    let (first, second) = (chain.deploy(SILENT).await, chain.deploy(SILENT).await);
    let proxied = chain.deploy(&proxy(&first)).await;

    let mut headwater = Headwater::new(&[Net {
        slug: "anvil",
        chain_id: 31_337,
        start: "latest".into(),
        url: chain.anvil.url(),
        ws: Some(chain.anvil.ws_url()),
    }]);
    // Somebody to be asked who is never there: no block waits for him.
    let config = std::fs::read_to_string(&headwater.config).expect("the file");
    let away = "\n[[contract_source]]\nkind = \"sourcify\"\nurl = \"http://127.0.0.1:9\"\n";
    std::fs::write(&headwater.config, config + away).expect("written");
    headwater.start();
    let head = chain.anvil.head().await.1;
    headwater.until_visible("anvil", &head).await;

    // ABIs of what stands behind it, by REST.
    abi(&headwater, &first, "First", function("alpha", json!([{"name": "amount", "type": "uint256"}]))).await;
    let beta = json!([{"name": "to", "type": "address"}, {"name": "fast", "type": "bool"}]);
    abi(&headwater, &second, "Second", function("beta", beta)).await;
    headwater
        .until("the operator's word on both", async |h| {
            let told =
                |of: &str, name: &str| facts(h, of).is_some_and(|f| f["name"] == name && f["abi_source"] == "operator");
            (told(&first, "First") && told(&second, "Second")).then_some(())
        })
        .await;

    // Seen for the first time: what stands behind it is found out. What follows is decoded.
    let alpha = format!("0x{}{:064x}", selector("alpha(uint256)"), 7);
    let called = height(&chain.send(Some(&proxied), &alpha).await);
    let found = headwater
        .until("what was there before", async |h| {
            facts(h, &proxied).filter(|f| f["implementations"][0]["address"] == first.as_str())
        })
        .await;
    // Where the block that made it was the first one, it was seen there.
    let seen = found["implementations"][0]["from_height"].as_u64().expect("a height");
    assert!(seen <= called && found["implementations"].as_array().is_some_and(|list| list.len() == 1), "{found}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((&found["proxy"], &found["implementations"][0]["found_by"]), (&json!("eip1967"), &json!("call")));
    let before = chain.send(Some(&proxied), &alpha).await;
    let (call, arguments) = call_of(&mut headwater, &before).await;
    assert_eq!((call, arguments), (json!("alpha(uint256 amount)"), json!("{\"amount\":\"7\"}")));

    // An upgrade, in the stream.
    let data = format!("0x3659cfe6{:0>64}", second.trim_start_matches("0x"));
    let upgrade = chain.send(Some(&proxied), &data).await;
    let at = height(&upgrade);
    until_behind(&mut headwater, "the upgrade", &proxied, &[(seen, &first), (at, &second)]).await;
    let beta = format!("0x{}{:0>64}{:064x}", selector("beta(address,bool)"), first.trim_start_matches("0x"), 1);
    let after = chain.send(Some(&proxied), &beta).await;
    let (call, arguments) = call_of(&mut headwater, &after).await;
    assert_eq!(call, "beta(address to, bool fast)");
    assert_eq!(arguments, format!("{{\"to\":\"{first}\",\"fast\":true}}"));
    // What was meant for the former code is none of the present one's.
    let late = chain.send(Some(&proxied), &alpha).await;
    assert_eq!(call_of(&mut headwater, &late).await.0, Value::Null);

    // Killed, and the upgrade is taken back meanwhile.
    headwater.kill();
    chain.anvil.call("evm_setIntervalMining", json!([0])).await;
    let depth = chain.anvil.head().await.0 - at + 1;
    chain.anvil.call("anvil_reorg", json!([depth, []])).await;
    chain.anvil.call("evm_mine", json!([])).await;
    chain.anvil.call("evm_setIntervalMining", json!([1])).await;
    headwater.start();
    until_behind(&mut headwater, "before the upgrade", &proxied, &[(seen, &first)]).await;
    let again = chain.send(Some(&proxied), &alpha).await;
    assert_eq!(call_of(&mut headwater, &again).await.0, "alpha(uint256 amount)");

    // The stage is one of those that `/health` lists, and it says that it is well, once it has said anything since the start.
    headwater
        .until("the stage is well", async |h| {
            let health = h.get("/health").await.ok()?;
            let stages = health["stages"].as_array()?;
            stages.iter().any(|s| s["stage"] == "causes" && s["state"] == "running").then_some(())
        })
        .await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
