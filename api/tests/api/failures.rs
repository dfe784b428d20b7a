//! Why transactions failed, over REST: what is stored before and after a cause is found, lists by cause, groups, others that failed alike,
//! endpoints at that time, and a tenant's own names of errors, for that tenant alone.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use control::{Caller, Networks, NewKey, Scopes};
use schemas::{
    TimeMs,
    records::{CallSample, CauseEvidence, EnrichedCause, EnrichedTransaction, MinuteSample, Outcome, Payload, Seen},
};
use serde_json::{Value, json};

use crate::{
    chain::{Chain, Event, recorded},
    door::Keyed,
    providers::{sample, until},
    world::{Api, World},
};

pub const ROUTER: Address = Address::repeat_byte(0x71);
pub const POOL: Address = Address::repeat_byte(0x72);

/// A call that fails in these tests: a transfer.
pub fn call() -> Vec<u8> {
    [&keccak256("transfer(address,uint256)")[..4], &ROUTER.into_word()[..], &U256::from(42).to_be_bytes::<32>()]
        .concat()
}

/// A chain whose blocks are of the last minutes.
pub fn fresh(network: &str) -> Chain {
    let full = recorded("ethereum").into_iter().filter(|block| !block.transactions.is_empty()).collect();
    Chain::new(network, full).since((TimeMs::now().0 / 1_000) as u64 - 120)
}

/// The first transaction of a block event.
pub fn first(event: &Event) -> &EnrichedTransaction {
    event.1.first().expect("a transaction")
}

pub fn hash_of(record: &EnrichedTransaction) -> String {
    let Payload::Evm(payload) = &record.payload else { panic!("a transaction") };
    const_hex::encode_prefixed(payload.0.hash)
}

/// What came back of an error of one number.
pub fn output(signature: &str, number: u64) -> Vec<u8> {
    [&keccak256(signature)[..4], &U256::from(number).to_be_bytes::<32>()].concat()
}

/// A cause of a transaction, as it was found by its trace.
pub fn cause(record: &EnrichedTransaction, class: &str, output: &[u8]) -> EnrichedCause {
    let Payload::Evm(payload) = &record.payload else { panic!("a transaction") };
    let (tx, found) = &**payload;
    let e = &record.envelope;
    EnrichedCause {
        network: e.network.clone(),
        sequence: e.sequence,
        height: e.height,
        block_hash: e.block_hash.clone(),
        block_time: e.block_time,
        transaction_index: tx.transaction_index,
        transaction_hash: B256::from(tx.hash.0),
        revision: 1,
        cause: class.to_owned(),
        reason: format!("the words of {class}"),
        rule: Some(format!("rule of {class}")),
        found_by: CauseEvidence::Trace,
        approximate: false,
        from_address: Some(tx.from_address),
        contract: tx.to_address,
        method: found.method.map(|method| FixedBytes::from(method.0)),
        entry: tx.to_address,
        frame_address: Some(POOL),
        frame_depth: Some(2),
        error: Some("execution reverted".to_owned()),
        error_selector: output.first_chunk::<4>().map(FixedBytes::from),
        error_signature: None,
        error_arguments: None,
        output: Bytes::copy_from_slice(output),
        calls: Some(
            json!({"type": "CALL", "to": ROUTER, "calls": [{"type": "CALL", "to": POOL, "failed_here": true}]})
                .to_string(),
        ),
        group: None,
        found_at: TimeMs::now(),
    }
}

async fn detail(api: &Api, network: &str, hash: &str) -> Value {
    let answer = api.get(&format!("/api/v1/txs/{network}/{hash}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits until a cause was folded into its row.
pub async fn folded(api: &Api, network: &str, hash: &str) -> Value {
    let target = format!("/api/v1/txs/{network}/{hash}");
    until(api, &target, "the cause in the row", |detail| detail["found_by"].is_string()).await
}

fn hashes(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|item| item["hash"].as_str().expect("a hash").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_is_pending_and_then_there_with_its_evidence() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = fresh("ethereum");
    let fails = chain.apply_failing(ROUTER, &call());
    for _ in 0..3 {
        chain.apply();
    }
    world.publish_and_wait(&chain.events).await;
    let hash = hash_of(first(&fails));
    let before = detail(&api, "ethereum", &hash).await;
    assert_eq!((&before["status"], &before["found_by"]), (&json!("failed"), &Value::Null));
    let failure = &before["failure"];
    assert_eq!(
        (&failure["pending"], &failure["found_by"], &failure["late"]),
        (&json!(true), &Value::Null, &json!(false))
    );
    assert!(before["sentence"].as_str().is_some_and(|s| !s.is_empty()), "{before}");

    let told = cause(first(&fails), "slippage", &output("NobodyKnows(uint256)", 41));
    world.tell(&chain.network, &told).await;
    let after = folded(&api, "ethereum", &hash).await;
    assert_eq!((&after["cause"], &after["found_by"]), (&json!("slippage"), &json!("trace")));
    assert_eq!(after["sentence"], "the words of slippage");
    let failure = &after["failure"];
    for (field, value) in [
        ("cause", json!("slippage")),
        ("reason", json!("the words of slippage")),
        ("found_by", json!("trace")),
        ("approximate", json!(false)),
        ("rule", json!("rule of slippage")),
        ("group", Value::Null),
        ("entry", json!(const_hex::encode_prefixed(ROUTER))),
        ("frame", json!({"address": const_hex::encode_prefixed(POOL), "name": null, "depth": 2})),
        ("error", json!("execution reverted")),
        ("error_selector", json!(const_hex::encode_prefixed(&told.output[..4]))),
        ("error_signature", Value::Null),
        ("error_arguments", Value::Null),
        ("output", json!(const_hex::encode_prefixed(&told.output))),
        ("late", json!(false)),
        ("pending", json!(false)),
    ] {
        assert_eq!(failure[field], value, "{field}: {failure}");
    }
    assert_eq!(failure["calls"]["calls"][0]["failed_here"], true);
    // One that did not fail has no failure.
    let good = chain
        .transactions()
        .into_iter()
        .find(|t| matches!(&t.payload, Payload::Evm(p) if p.1.status == schemas::Status::Success));
    let good = detail(&api, "ethereum", &hash_of(&good.expect("one that succeeded"))).await;
    assert_eq!((&good["failure"], &good["sentence"], &good["similar"]), (&Value::Null, &Value::Null, &json!([])));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_listed_grouped_and_compared() {
    let world = World::start(&["ethereum", "mantle"]).await;
    let api = world.api().await;
    let (mut ethereum, mut mantle) = (fresh("ethereum"), fresh("mantle"));
    let errors = [output("One(uint256)", 1), output("Two(uint256)", 2)];
    let mut told = Vec::new();
    for n in 0..6 {
        let event = ethereum.apply_failing(ROUTER, &call());
        told.push(match n {
            0..4 => cause(first(&event), "slippage", &errors[n / 3]),
            _ => EnrichedCause {
                found_by: CauseEvidence::Receipt,
                output: Bytes::new(),
                error_selector: None,
                ..cause(first(&event), "gas_limit", &[])
            },
        });
    }
    let other = mantle.apply_failing(ROUTER, &call());
    world.publish_and_wait(&ethereum.events).await;
    world.publish_and_wait(&mantle.events).await;
    for cause in &told {
        world.tell(&ethereum.network, cause).await;
    }
    world.tell(&mantle.network, &cause(first(&other), "slippage", &errors[0])).await;
    let hash = |n: usize| const_hex::encode_prefixed(told[n].transaction_hash);
    for n in 0..6 {
        folded(&api, "ethereum", &hash(n)).await;
    }
    folded(&api, "mantle", &hash_of(first(&other))).await;

    // Lists: by class, by either of its names, and by evidence.
    let list = async |query: &str| {
        let answer =
            api.get(&format!("/api/v1/txs?network=ethereum&sort=oldest&limit=100&contract={ROUTER:#x}{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        hashes(&answer.json())
    };
    let of = |range: std::ops::Range<usize>| range.map(hash).collect::<Vec<_>>();
    assert_eq!(list("&cause=slippage").await, of(0..4));
    assert_eq!(list("&cause=gas_limit").await, of(4..6));
    assert_eq!(list("&cause=out_of_gas").await, of(4..6));
    assert_eq!(list("&found_by=trace").await, of(0..4));
    assert_eq!(list("&found_by=receipt&cause=gas_limit").await, of(4..6));
    assert_eq!(list("&found_by=call").await, [""; 0]);
    let refused = api.get("/api/v1/txs?found_by=guess").await;
    assert_eq!((refused.status, refused.json()["parameter"].as_str()), (400, Some("found_by")));
    let csv = api.get(&format!("/api/v1/txs/export?network=ethereum&found_by=trace&contract={ROUTER:#x}")).await.text();
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(csv.lines().skip(1).all(|line| line.ends_with(",trace")), "{csv}");

    // Groups.
    let groups = async |query: &str| {
        let answer = api.get(&format!("/api/v1/failures?window=1h{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let found = groups(&format!("&network=ethereum&contract={ROUTER:#x}")).await;
    let items = found["items"].as_array().expect("items");
    assert_eq!(found["failed"], 6, "{found}");
    assert_eq!(items.iter().map(|item| item["count"].as_u64().unwrap_or(0)).sum::<u64>(), 6);
    let slippage: Vec<&Value> = items.iter().filter(|item| item["cause"] == "slippage").collect();
    assert!(!slippage.is_empty(), "{found}");
    for item in &slippage {
        assert_eq!((&item["contract"], &item["method_name"]), (&json!(format!("{ROUTER:#x}")), &json!("transfer")));
        assert_eq!(item["trend"].as_array().map(Vec::len), Some(24));
        let sum: u64 = item["trend"].as_array().expect("numbers").iter().filter_map(Value::as_u64).sum();
        assert_eq!(Some(sum), item["count"].as_u64(), "{item}");
        let example = item["example"].as_str().expect("a hash");
        assert!(of(0..4).iter().any(|hash| hash == example), "{item}");
    }
    assert_eq!((found["total"].as_u64(), items.len()), (Some(3), 3), "{found}");
    let one = groups(&format!("&network=ethereum&limit=1&contract={ROUTER:#x}")).await;
    assert_eq!((&one["total"], &one["failed"], one["items"].as_array().map(Vec::len)), (&json!(3), &json!(6), Some(1)));
    assert_eq!(one["items"][0]["share"], json!(0.5), "{one}");
    let only = groups(&format!("&network=ethereum&cause=out_of_gas&contract={ROUTER:#x}")).await;
    assert_eq!(
        only["items"].as_array().expect("items").iter().map(|i| i["count"].as_u64().unwrap_or(0)).sum::<u64>(),
        2,
        "{only}"
    );
    let all = groups(&format!("&contract={ROUTER:#x}")).await;
    assert_eq!(all["failed"], 7, "of both networks: {all}");
    for (query, parameter) in
        [("&window=2h", "window"), ("&limit=0", "limit"), ("&limit=201", "limit"), ("&sort=newest", "sort")]
    {
        let answer = api.get(&format!("/api/v1/failures?limit=9{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        let named = answer.json()["parameter"].as_str().map(str::to_owned);
        assert_eq!(named.as_deref(), Some(parameter), "{query}");
    }
    assert_eq!(api.get("/api/v1/failures?network=nowhere").await.status, 404);

    // Alike: of the same selector, the nearest first, without itself, of its own network.
    let similar = async |n: usize, query: &str| {
        let answer = api.get(&format!("/api/v1/txs/ethereum/{}/similar{query}", hash(n))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        hashes(&answer.json())
    };
    let mut alike = similar(0, "").await;
    assert_eq!(alike.first(), Some(&hash(1)), "the nearest in time first: {alike:?}");
    alike.sort();
    let mut wanted = of(1..3);
    wanted.sort();
    assert_eq!(alike, wanted);
    assert_eq!(similar(0, "?limit=1").await, of(1..2));
    assert_eq!(similar(4, "").await, of(5..6), "by its cause, where nothing came back");
    let whole = detail(&api, "ethereum", &hash(0)).await;
    assert_eq!(hashes(&json!({"items": whole["similar"]})).len(), 2);
    let unknown = format!("0x{}", "0".repeat(64));
    for route in ["similar", "endpoints"] {
        assert_eq!(api.get(&format!("/api/v1/txs/ethereum/{unknown}/{route}")).await.status, 404);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_told_as_they_were() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = fresh("ethereum");
    let event = chain.apply_failing(ROUTER, &call());
    world.publish_and_wait(&chain.events).await;
    let at = event.0.envelope.block_time;
    let call = |height: Option<u64>, outcome: Outcome, error: Option<&str>| {
        Seen::Call(CallSample {
            method: "eth_blockNumber".into(),
            probe: false,
            latency_ms: 80,
            outcome,
            height,
            error: error.map(str::to_owned),
            bytes: 1,
        })
    };
    let minute = MinuteSample {
        method: "eth_blockNumber".into(),
        calls: 40,
        failures: 2,
        latency_p50_ms: Some(90),
        latency_p95_ms: Some(200),
        bytes: 1,
    };
    let tell = async |endpoint: &str, after: i64, seen: Seen| {
        world.tell(&chain.network, &sample(&chain.network, endpoint, TimeMs(at.0 + after), seen)).await;
    };
    tell("good", 1_000, call(Some(1_000), Outcome::Ok, None)).await;
    tell("good", 0, Seen::Minute(minute)).await;
    tell("late", 1_000, call(Some(990), Outcome::Ok, None)).await;
    tell("broken", 2_000, call(None, Outcome::Failing, Some("HTTP 503"))).await;
    tell("elsewhen", 600_000, call(Some(2_000), Outcome::Ok, None)).await;
    let target = format!("/api/v1/txs/ethereum/{}/endpoints", hash_of(first(&event)));
    let found = until(&api, &target, "all samples", |found| {
        let calls =
            found["items"].as_array().map(|items| items.iter().filter_map(|i| i["calls"].as_u64()).sum::<u64>());
        calls == Some(42)
    })
    .await;
    let told = |name: &str| {
        found["items"].as_array().expect("items").iter().find(|i| i["endpoint"] == name).expect(name).clone()
    };
    let good = told("good");
    assert_eq!((&good["state"], &good["height"], &good["lag_blocks"]), (&json!("ok"), &json!(1_000), &json!(0)));
    assert_eq!((&good["calls"], &good["failures"], &good["latency_ms"]), (&json!(40), &json!(2), &json!(90)));
    let late = told("late");
    assert_eq!((&late["state"], &late["lag_blocks"]), (&json!("behind"), &json!(10)));
    let broken = told("broken");
    assert_eq!(
        (&broken["state"], &broken["error"], &broken["height"]),
        (&json!("failing"), &json!("HTTP 503"), &Value::Null)
    );
    assert_eq!(found["items"].as_array().map(Vec::len), Some(3), "{found}");
    let whole = detail(&api, "ethereum", &hash_of(first(&event))).await;
    assert_eq!(whole["endpoints"], found["items"]);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_abi_names_an_error_for_that_tenant_alone() {
    let mut keyed = Keyed::start(&["ethereum"]).await;
    keyed.world.start_sink().await;
    let mut chain = fresh("ethereum");
    let event = chain.apply_failing(ROUTER, &call());
    keyed.world.publish_and_wait(&chain.events).await;
    let told = cause(first(&event), "custom", &output("MyOwnTrouble(uint256)", 41));
    keyed.world.tell(&chain.network, &told).await;
    let mine = keyed.key(&["*:*"]).await;
    let mine = mine.text.expose();
    let other = keyed.second_tenant().await;
    let new = NewKey { name: "theirs".to_owned(), scopes: Scopes::ALL, networks: Networks::All, expires_in: None };
    let theirs = keyed.operator.control().create_key(Caller::here(&other), new).await.expect("a key");
    let theirs = theirs.text.expose();
    let target = format!("/api/v1/txs/ethereum/{}", hash_of(first(&event)));
    let read = async |key: &str| -> Value {
        loop {
            let answer = keyed.ask("GET", &target, key).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            if answer.json()["found_by"].is_string() {
                return answer.json();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let before = read(mine).await;
    assert_eq!((&before["failure"]["late"], &before["failure"]["error_signature"]), (&json!(false), &Value::Null));
    let abi = json!([{"type": "error", "name": "MyOwnTrouble", "inputs": [{"name": "mine", "type": "uint256"}]}]);
    let contract = json!({"network": "ethereum", "address": POOL, "name": "Pool of mine", "abi": abi}).to_string();
    let made = keyed.send("POST", "/api/v1/contracts", mine, &[], &contract).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let after = read(mine).await;
    let failure = &after["failure"];
    assert_eq!(failure["error_signature"], "MyOwnTrouble(uint256 mine)", "{failure}");
    assert_eq!(failure["error_arguments"], json!({"mine": "41"}));
    assert_eq!((&failure["late"], &failure["source"]), (&json!(true), &json!("yours")));
    assert_eq!(failure["frame"]["name"], "Pool of mine");
    assert_eq!(failure["names"], json!({const_hex::encode_prefixed(POOL): "Pool of mine"}));
    assert!(after["sentence"].as_str().is_some_and(|s| s.contains("MyOwnTrouble")), "{after}");
    // What lists say is the stream's, and nobody else sees anything of it.
    assert_eq!((&after["cause"], &after["reason"]), (&before["cause"], &before["reason"]));
    assert_eq!(read(theirs).await["failure"], before["failure"]);
    keyed.api.stop().await;
}
