//! What is decoded on reading: by the reader's own ABIs, for the reader alone (rule 14), and said so.

use alloy_primitives::{Address, keccak256};
use control::{Caller, Networks, NewKey, Scopes};
use schemas::{
    Status,
    records::{ContractFacts, FactSource, FoundBy, Implementation, Payload},
};
use serde_json::{Value, json};

use crate::{
    chain::{Chain, recorded},
    door::Keyed,
    world::World,
};

const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

fn abi() -> Value {
    let parameter = |name: &str, kind: &str, indexed: Option<bool>| match indexed {
        None => json!({"name": name, "type": kind}),
        Some(indexed) => json!({"name": name, "type": kind, "indexed": indexed}),
    };
    json!([
        {"type": "function", "name": "transfer", "stateMutability": "nonpayable", "outputs": [],
         "inputs": [parameter("whom_of_mine", "address", None), parameter("much_of_mine", "uint256", None)]},
        {"type": "function", "name": "functionOfMine", "stateMutability": "view", "outputs": [], "inputs": []},
        {"type": "event", "name": "Transfer", "anonymous": false, "inputs": [
            parameter("giver_of_mine", "address", Some(true)), parameter("taker_of_mine", "address", Some(true)),
            parameter("much_of_mine", "uint256", Some(false))]},
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_abi_is_applied_for_that_tenant_alone() {
    let mut keyed = Keyed::start(&["ethereum"]).await;
    keyed.world.start_sink().await;
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    for _ in 0..8 {
        chain.apply();
    }
    keyed.world.publish_and_wait(&chain.events).await;
    let mine = keyed.key(&["*:*"]).await;
    let mine = mine.text.expose();
    let other = keyed.second_tenant().await;
    let new = NewKey { name: "theirs".to_owned(), scopes: Scopes::ALL, networks: Networks::All, expires_in: None };
    let theirs = keyed.operator.control().create_key(Caller::here(&other), new).await.expect("a key");
    let theirs = theirs.text.expose();

    // A token's transfer that moved something, of the recorded ones.
    let all = chain.transactions();
    let transfer = all.iter().find_map(|record| match &record.payload {
        Payload::Evm(p) => {
            let (tx, found) = &**p;
            let logs = tx.logs.len() == 1 && Some(tx.logs[0].address) == tx.to_address && tx.logs[0].topics.len() == 3;
            let calls = found.method.is_some_and(|method| method == TRANSFER) && found.status == Status::Success;
            (calls && logs).then(|| tx.clone())
        }
        _ => None,
    });
    let transfer = transfer.expect("a transfer");
    let token = const_hex::encode_prefixed(transfer.to_address.expect("a token"));
    let target = format!("/api/v1/txs/ethereum/{}", const_hex::encode_prefixed(transfer.hash));
    let read = async |key: &str| -> Value {
        let answer = keyed.ask("GET", &target, key).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut detail = answer.json();
        // They are null where the store took long, and decode nothing.
        for beside in ["similar", "endpoints"] {
            detail.as_object_mut().expect("an object").remove(beside);
        }
        detail
    };

    // Before anybody says anything: the table that is compiled in.
    let before = read(mine).await;
    assert!(before["call"]["signature"].as_str().is_some_and(|s| s.starts_with("transfer(address ")), "{before}");
    assert_eq!(before["to_name"], Value::Null);
    let moved = &before["transfers"][0];
    assert_eq!(
        (&moved["standard"], &moved["token"], &moved["token_name"]),
        (&json!("erc20"), &json!(token), &Value::Null)
    );
    let amount = alloy_primitives::U256::from_be_slice(&transfer.logs[0].data).to_string();
    assert_eq!((&moved["amount"], &moved["id"]), (&json!(amount), &Value::Null));
    assert_eq!(moved["log_index"], before["events"][0]["log_index"]);
    assert_eq!((before["nonce"].as_u64(), before["gas"].as_u64()), (Some(transfer.nonce), Some(transfer.gas)));
    assert_eq!(before["input"], json!(const_hex::encode_prefixed(&transfer.input)));

    let contract = json!({"network": "ethereum", "address": token, "name": "Token of mine", "abi": abi()}).to_string();
    let made = keyed.send("POST", "/api/v1/contracts", mine, &[], &contract).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let after = read(mine).await;
    let call = &after["call"];
    assert_eq!(call["signature"], "transfer(address whom_of_mine, uint256 much_of_mine)");
    assert_eq!(
        (&call["contract"], &call["source"], &call["late"]),
        (&json!("Token of mine"), &json!("yours"), &json!(true))
    );
    assert_eq!(call["arguments"]["much_of_mine"], json!(amount));
    assert_eq!(after["to_name"], "Token of mine");
    let event = &after["events"][0];
    assert_eq!(
        event["event"],
        "Transfer(address indexed giver_of_mine, address indexed taker_of_mine, uint256 much_of_mine)"
    );
    assert_eq!(
        (&event["contract"], &event["source"], &event["late"]),
        (&json!("Token of mine"), &json!("yours"), &json!(true))
    );
    assert_eq!(after["transfers"][0]["token_name"], "Token of mine");
    // What lists say is the stream's.
    assert_eq!(after["signature"], before["signature"]);
    // Nobody else sees anything of it.
    assert_eq!(read(theirs).await, before);
    let methods = async |key: &str| keyed.ask("GET", "/api/v1/txs?method=functionOfMine", key).await.status;
    assert_eq!((methods(mine).await, methods(theirs).await), (200, 400));
    let both = keyed.ask("GET", "/api/v1/txs?method=transfer&limit=1", mine).await;
    assert_eq!(both.json()["items"].as_array().map(Vec::len), Some(1));

    // A change is seen at once, and what is removed is gone.
    let path = made.header("location").expect("where it is").to_owned();
    let patched =
        keyed.send("PATCH", &path, mine, &[("If-Match", "\"1\"")], r#"{"name": "Renamed", "abi": null}"#).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    let renamed = read(mine).await;
    assert_eq!((&renamed["to_name"], &renamed["call"]["signature"]), (&json!("Renamed"), &before["call"]["signature"]));
    assert_eq!(keyed.send("DELETE", &path, mine, &[("If-Match", "*")], "").await.status, 204);
    assert_eq!(read(mine).await, before);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_be_known_later_is_applied_on_reading_and_says_so() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let full = recorded("ethereum").into_iter().filter(|block| !block.transactions.is_empty()).collect();
    let mut chain = Chain::new("ethereum", full);
    let (proxy, code) = (Address::repeat_byte(0x71), Address::repeat_byte(0x72));
    let input = [&keccak256("functionOfFacts(uint256)")[..4], &[0; 31], &[7]].concat();
    for _ in 0..2 {
        chain.apply_calling(proxy, &input);
    }
    world.publish_and_wait(&chain.events).await;
    let hash = |n: usize| {
        let Payload::Evm(payload) = &chain.canonical[n].1[0].payload else { panic!("a transaction") };
        const_hex::encode_prefixed(payload.0.hash)
    };
    let (before, at) = (hash(0), hash(1));
    let read = async |hash: &str| api.get(&format!("/api/v1/txs/ethereum/{hash}")).await.json();
    assert_eq!(read(&at).await["call"], Value::Null);
    assert_eq!(read(&at).await["text"], Value::Null);

    // A proxy with code behind it from the second block on.
    let abi = json!([{"type": "function", "name": "functionOfFacts", "stateMutability": "view", "outputs": [],
        "inputs": [{"name": "seven", "type": "uint256"}]}]);
    let implementation = Implementation {
        from_height: chain.canonical[1].0.envelope.height,
        address: Some(code),
        found_by: FoundBy::Stream,
        ..Implementation::default()
    };
    let of = |address| ContractFacts { revision: 1, ..ContractFacts::nothing(chain.network.clone(), address) };
    let facts = ContractFacts {
        name: Some("A proxy".to_owned()),
        name_source: Some(FactSource::Sourcify),
        implementations: vec![implementation],
        ..of(proxy)
    };
    world.tell(&chain.network, &facts).await;
    let facts = ContractFacts { abi: Some(abi.to_string()), abi_source: Some(FactSource::Sourcify), ..of(code) };
    world.tell(&chain.network, &facts).await;
    let known = async {
        while read(&at).await["call"].is_null() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), known).await.expect("known in time");
    let detail = read(&at).await;
    let call = json!({"signature": "functionOfFacts(uint256 seven)", "arguments": {"seven": "7"}, "contract": "A proxy",
        "source": "sourcify", "late": true});
    assert_eq!((&detail["call"], &detail["to_name"]), (&call, &json!("A proxy")));
    // What lists show is what the stream said, the same for everybody.
    assert_eq!(detail["signature"], Value::Null);
    let detail = read(&before).await;
    assert_eq!(
        (&detail["call"], &detail["to_name"]),
        (&Value::Null, &json!("A proxy")),
        "nothing stood behind it then"
    );
    api.stop().await;
}
