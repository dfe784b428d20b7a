//! Bitcoin by REST and live: blocks with bodies and of headers only, a transaction with who spends it, search and filters by address.

use std::time::Duration;

use alloy_primitives::U256;
use schemas::{
    BitcoinChain, BitcoinHash, BlockHash, Envelope, Network, Op, Origin, TimeMs,
    records::{
        BitcoinDecoded, BitcoinHeader, BitcoinInput, BitcoinOutput, BitcoinSpent, BlockSummary, Coverage,
        EnrichedBlock, EnrichedTransaction, Payload, ScriptKind, StageStatus,
    },
};
use serde_json::{Value, json};

use crate::{
    chain::Event,
    providers::until,
    world::{Api, World},
    ws::Ws,
};

const NETWORK: &str = "bitcoin-mainnet";
const ALICE: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
const BOB: &str = "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy";

fn hash(n: u8) -> BitcoinHash {
    BitcoinHash([n; 32])
}

fn output(value: u64, address: &str) -> BitcoinOutput {
    BitcoinOutput {
        value,
        script: vec![0_u8, 20].into(),
        kind: ScriptKind::WitnessV0KeyHash,
        addresses: vec![address.to_owned()],
    }
}

/// A coinbase that pays to Alice.
fn coinbase(txid: BitcoinHash) -> BitcoinDecoded {
    let input = BitcoinInput {
        spent_index: u32::MAX,
        script: b"\x03\xe8\x03\x00/Mined by us/".to_vec().into(),
        sequence: u32::MAX,
        ..BitcoinInput::default()
    };
    BitcoinDecoded {
        txid,
        wtxid: txid,
        version: 1,
        size: 100,
        weight: 400,
        virtual_size: 100,
        is_coinbase: true,
        output_value: 5_000,
        fee: Some(0),
        inputs: vec![input],
        outputs: vec![output(5_000, ALICE)],
        ..BitcoinDecoded::default()
    }
}

/// Spends that coinbase: to Bob, the rest back.
fn spending(txid: BitcoinHash, spent: BitcoinHash) -> BitcoinDecoded {
    let of = output(5_000, ALICE);
    let spent_output = BitcoinSpent {
        value: of.value,
        script: of.script,
        kind: of.kind,
        addresses: of.addresses,
        height: Some(1_000),
    };
    let input = BitcoinInput {
        spent_txid: spent,
        sequence: 0xffff_fffd,
        witness: vec![vec![1_u8, 2, 3].into()],
        spent: Some(spent_output),
        ..BitcoinInput::default()
    };
    BitcoinDecoded {
        transaction_index: 1,
        txid,
        wtxid: hash(0xee),
        version: 2,
        lock_time: 1_000,
        size: 200,
        weight: 500,
        virtual_size: 125,
        sigops: Some(1),
        segwit: true,
        replaceable: true,
        input_value: Some(5_000),
        output_value: 4_750,
        fee: Some(250),
        fee_rate: Some(2_000),
        inputs: vec![input],
        outputs: vec![output(3_000, BOB), output(1_750, ALICE)],
        ..BitcoinDecoded::default()
    }
}

/// A block event; without transactions: of its header only.
fn block(network: &Network, sequence: u64, height: u64, transactions: Vec<BitcoinDecoded>) -> Event {
    let coverage = if transactions.is_empty() { Coverage::Header } else { Coverage::Full };
    let at = |height: u64| -> BlockHash { hash(height as u8).into() };
    let time = 1_700_000_000 + 600 * (height - 1_000);
    let envelope = Envelope {
        network: network.clone(),
        sequence,
        op: Op::Apply,
        origin: Origin::Live,
        height,
        block_hash: at(height),
        parent_hash: at(height - 1),
        block_time: TimeMs::from_secs(time),
        observed_at: TimeMs::now(),
        safe_height: None,
        finalized_height: None,
        tx_count: transactions.len() as u32,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    let whole = coverage == Coverage::Full;
    let header = BitcoinHeader {
        chain: BitcoinChain::Main,
        coverage,
        version: 2,
        merkle_root: hash(9),
        time: time as u32,
        bits: 0x1d00_ffff,
        nonce: 7,
        median_time: Some(TimeMs::from_secs(time - 3_600)),
        chain_work: Some(U256::from(0x1_0001_0001_u64)),
        size: whole.then_some(1_000),
        stripped_size: whole.then_some(900),
        weight: whole.then_some(3_700),
        transaction_count: Some(2),
        coinbase: transactions.first().map(|tx| tx.inputs[0].script.clone()),
    };
    let summary = whole.then(|| BlockSummary {
        transactions: transactions.len() as u32,
        fee_total: U256::from(transactions.iter().filter_map(|tx| tx.fee).sum::<u64>()),
        ..BlockSummary::default()
    });
    let child = envelope.child();
    let record = |tx| EnrichedTransaction { envelope: child.clone(), payload: Payload::Bitcoin(Box::new(tx)) };
    let transactions = transactions.into_iter().map(record).collect();
    let block = EnrichedBlock { envelope, evm: None, bitcoin: Some(Box::new(header)), summary, facts_position: None };
    (block, transactions)
}

async fn json_of(api: &Api, path: &str) -> Value {
    let answer = api.get(&format!("/api/v1{path}")).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_transactions_and_who_spends_them_are_told_by_rest_as_they_are_live() {
    let world = World::start(&[NETWORK]).await;
    let api = world.api().await;
    let network: Network = NETWORK.parse().expect("a slug");
    let (made, spent) = (hash(0xc1), hash(0xd1));
    let mut everything = Ws::connect(api.at).await;
    everything.subscribe(Some(NETWORK), &["blocks", "transactions"], None).await;
    let events = [
        block(&network, 1, 1_000, vec![coinbase(made)]),
        block(&network, 2, 1_001, vec![coinbase(hash(0xc2)), spending(spent, made)]),
    ];
    world.publish_and_wait(&events).await;
    let frames = everything.until(2).await;

    // Lists are what was told live.
    let live: Vec<&Value> = frames.iter().filter(|f| f["type"] == "transaction").map(|f| &f["data"]).collect();
    let listed = json_of(&api, &format!("/txs?network={NETWORK}&sort=oldest")).await;
    assert_eq!(listed["items"].as_array().map(|items| items.iter().collect::<Vec<_>>()), Some(live));
    let item = &listed["items"][2];
    assert_eq!(item["hash"], json!(spent.to_string()));
    for (field, value) in [
        ("family", json!("bitcoin")),
        ("from", Value::Null),
        ("to", Value::Null),
        ("value", json!("4750")),
        ("fee", json!("250")),
        ("gas_price", json!("2000")),
        ("gas_used", Value::Null),
        ("status", json!("success")),
    ] {
        assert_eq!(item[field], value, "{field}");
    }
    let blocks = json_of(&api, &format!("/blocks?network={NETWORK}&sort=oldest")).await;
    let live: Vec<Value> = frames.iter().filter(|f| f["type"] == "block").map(|f| f["data"].clone()).collect();
    for (listed, live) in blocks["items"].as_array().expect("blocks").iter().zip(&live) {
        let mut listed = listed.clone();
        listed["stored_at"] = Value::Null;
        assert_eq!(&listed, live);
    }
    assert_eq!(blocks["items"][1]["fee_total"], json!("250"));
    assert_eq!(blocks["items"][1]["coverage"], json!("full"));
    assert_eq!(blocks["items"][0]["median_time"], json!("2023-11-14T21:13:20.000Z"));

    // The coinbase's output is spent, by whom; what spends it is the tip's, and the chain is held from here on.
    let first = json_of(&api, &format!("/txs/{NETWORK}/{made}")).await;
    let bitcoin = &first["bitcoin"];
    assert_eq!((&bitcoin["is_coinbase"], &bitcoin["input_count"]), (&json!(true), &json!(1)));
    assert_eq!((&bitcoin["inputs"][0]["spent_txid"], &bitcoin["input_value"]), (&Value::Null, &Value::Null));
    let by = json!({"txid": spent.to_string(), "index": 0, "height": 1_001});
    assert_eq!((&bitcoin["outputs"][0]["spent"], &bitcoin["outputs"][0]["spent_by"]), (&json!("spent"), &by));
    let second = json_of(&api, &format!("/txs/{NETWORK}/{spent}")).await;
    let bitcoin = &second["bitcoin"];
    assert_eq!(bitcoin["outputs"][0]["spent"], "unspent", "{bitcoin}");
    assert_eq!(bitcoin["outputs"][0]["addresses"], json!([BOB]));
    assert_eq!(bitcoin["inputs"][0]["value"], "5000");
    assert_eq!(bitcoin["inputs"][0]["type"], "witness_v0_keyhash");
    assert_eq!(bitcoin["inputs"][0]["witness"], json!(["010203"]));
    assert_eq!((&bitcoin["fee_rate"], &bitcoin["input_value"]), (&json!("2000"), &json!("5000")));
    assert_eq!((&second["input"], &second["nonce"], &second["gas"]), (&Value::Null, &Value::Null, &Value::Null));
    let part = json_of(&api, &format!("/txs/{NETWORK}/{spent}?outputs_from=1")).await;
    assert_eq!(part["bitcoin"]["outputs"].as_array().map(Vec::len), Some(1));
    assert_eq!(part["bitcoin"]["outputs"][0]["index"], 1);
    assert_eq!(api.get(&format!("/api/v1/txs/{NETWORK}/{spent}?outputs_from=-1")).await.status, 400);
    assert_eq!(json_of(&api, &format!("/txs/{NETWORK}/{spent}/similar")).await["items"], json!([]));

    let header = json_of(&api, &format!("/blocks/{NETWORK}/1000")).await;
    assert_eq!(header["bitcoin"]["difficulty"], json!(1.0));
    assert_eq!(header["bitcoin"]["bits"], json!(0x1d00_ffff));
    assert_eq!(header["bitcoin"]["coinbase_text"], "/Mined by us/");
    assert!(header["bitcoin"]["chain_work"].as_str().is_some_and(|work| work.ends_with("0000000100010001")));

    // Addresses, in the search and in lists; a txid without 0x.
    let found = json_of(&api, &format!("/search?q={BOB}")).await;
    assert_eq!((&found["items"][0]["kind"], &found["items"][0]["network"]), (&json!("address"), &json!(NETWORK)));
    let found = json_of(&api, &format!("/search?q={spent}")).await;
    assert_eq!(found["items"][0]["path"], json!(format!("/txs/{NETWORK}/{spent}")));
    let of_bob = json_of(&api, &format!("/txs?network={NETWORK}&address={BOB}")).await;
    assert_eq!(of_bob["items"].as_array().map(Vec::len), Some(1));
    let of_alice = json_of(&api, &format!("/txs?network={NETWORK}&address={}", ALICE.to_uppercase())).await;
    assert_eq!(of_alice["items"].as_array().map(Vec::len), Some(3), "as cameras read it");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_header_alone_nothing_is_said_of_transactions() {
    let world = World::start(&["headers"]).await;
    let api = world.api().await;
    let network: Network = "headers".parse().expect("a slug");
    let mut ws = Ws::connect(api.at).await;
    ws.subscribe(Some("headers"), &["blocks"], None).await;
    world.publish_and_wait(&[block(&network, 1, 1_000, Vec::new()), block(&network, 2, 1_001, Vec::new())]).await;
    let frames = ws.until(2).await;
    let listed = json_of(&api, "/blocks?network=headers").await;
    let live = frames.iter().find(|f| f["type"] == "block" && f["sequence"] == 2).map(|f| &f["data"]);
    for block in [Some(&listed["items"][0]), live] {
        let block = block.expect("a block");
        assert_eq!((&block["family"], &block["coverage"]), (&json!("bitcoin"), &json!("header")));
        for field in ["transaction_count", "failed_count", "fee_total"] {
            assert_eq!(block[field], Value::Null, "{field}");
        }
    }
    let detail = json_of(&api, "/blocks/headers/1001").await;
    assert_eq!(detail["bitcoin"]["transaction_count"], 2);
    assert_eq!(detail["bitcoin"]["coinbase"], Value::Null);
    let held = json_of(&api, "/networks/headers/completeness").await;
    assert_eq!(held["ranges"][0]["coverage"], "header");
    // That a transaction is not there cannot be said.
    let told = "of blocks 1000 to 1001 of headers only headers are held";
    let missing = api.get(&format!("/api/v1/txs/headers/{}", hash(0xc1))).await;
    assert_eq!(missing.status, 404);
    assert!(missing.json()["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{}", missing.text());
    let listed = json_of(&api, "/txs?network=headers").await;
    assert_eq!(listed["items"], json!([]));
    assert!(listed["note"].as_str().is_some_and(|note| note.contains(told)), "{listed}");
    let found = json_of(&api, &format!("/search?q={}&network=headers", hash(0xc1))).await;
    assert!(found["note"].as_str().is_some_and(|note| note.contains(told)), "{found}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_compares_what_a_bitcoin_network_has_and_names_the_rest() {
    const HEADERS: &str = "bitcoin-headers";
    let world = World::start(&[NETWORK, HEADERS]).await;
    let api = world.api().await;
    let [full, headers]: [Network; 2] = [NETWORK, HEADERS].map(|slug| slug.parse().expect("a slug"));
    let transactions = vec![coinbase(hash(0xc1)), spending(hash(0xd1), hash(0xc1))];
    world.publish_and_wait(&[block(&full, 1, 1_000, transactions)]).await;
    world.publish_and_wait(&[block(&headers, 1, 1_000, Vec::new())]).await;
    let missing = |told: &Value, words: &str| {
        let all = told["missing"].as_array().expect("a list");
        all.iter().filter_map(Value::as_str).any(|missing| missing.contains(words))
    };

    // Its last block is years old, and nothing is said of what there is not on Bitcoin.
    let told = json_of(&api, &format!("/diagnosis?network={NETWORK}")).await;
    let sentence = told["sentence"].as_str().expect("a sentence");
    assert_eq!(told["verdict"], "provider", "{told:#}");
    assert!(sentence.contains("the newest block that is known is"), "{sentence}");
    assert!(missing(&told, "how full blocks are: no window of the last hour tells of a block"), "{told:#}");
    assert!(
        missing(&told, "the fee rate: no window of the last hour tells of a transaction that paid one"),
        "{told:#}"
    );
    for word in ["gas", "base fee", "fails", "failure", "contract", "last minutes"] {
        assert!(!told.to_string().replace("\"contract\":null", "").contains(word), "`{word}` is in {told:#}");
    }

    // An address is no contract.
    let told = json_of(&api, &format!("/diagnosis?network={NETWORK}&contract={ALICE}")).await;
    assert!(missing(&told, &format!("/txs?network={NETWORK}&address={ALICE} lists what the address did")), "{told:#}");
    assert!(
        missing(&told, "Bitcoin has no contracts") && !missing(&told, "tells of a transaction with it"),
        "{told:#}"
    );

    // Of headers it is said what cannot be compared, and why.
    let told = json_of(&api, &format!("/diagnosis?network={HEADERS}")).await;
    for what in ["how full blocks are", "the fee rate", "how fast blocks come"] {
        assert!(missing(&told, &format!("{what}: of this network block headers alone are held")), "{told:#}");
    }
    assert_eq!(told["evidence"][0]["name"], "age of the newest block");

    // While its sources are on different branches that comes first.
    let why = "Bitcoin Core `core` and Electrum server `electrum` are on different branches since block 1000";
    let status = StageStatus::new("ingest", "host", "diverged", Duration::from_secs(5), TimeMs::now());
    let status = StageStatus { network: Some(full.clone()), detail: Some(why.to_owned()), ..status };
    world.tell(&full, &status).await;
    let first = format!("The provider: its sources contradict each other: {why}");
    let target = format!("/api/v1/diagnosis?network={NETWORK}");
    let told = until(&api, &target, "the divergence", |told| told["sentence"] == first.as_str()).await;
    let branches = told["evidence"].as_array().expect("a list").iter().find(|item| item["unit"] == "branches");
    assert_eq!(branches.map(|item| (&item["value"], &item["verdict"])), Some((&json!(2.0), &json!("provider"))));
    api.stop().await;
}
