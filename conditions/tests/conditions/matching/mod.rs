//! What monitors find in recorded blocks and in transactions that are made for it.

mod bitcoin;
mod fixtures;
mod index;

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use conditions::{Hit, Index, Matched, Monitor, Party, Scratch};
use schemas::{
    Op,
    records::{EnrichedTransaction, EvmLog, EvmTransaction, FoundKind, Payload},
};
use serde_json::{Value, json};

use crate::blocks::{block, enriched, envelope, inside};

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

fn monitor(addresses: Value, conditions: Value) -> Arc<Monitor> {
    let definition = json!({"name": "m", "network": "demo", "addresses": addresses, "match_conditions": conditions});
    Arc::new(Monitor::parse(&definition).unwrap_or_else(|mistakes| panic!("{definition}: {mistakes:?}")))
}

fn alone(monitor: &Arc<Monitor>) -> Index {
    Index::of([("t", "m", 1, monitor.clone())])
}

/// Kind, position, condition and arguments of all that one monitor finds in one transaction.
fn found(monitor: &Arc<Monitor>, tx: &EnrichedTransaction) -> Vec<(FoundKind, Option<u32>, u32, String)> {
    let index = alone(monitor);
    let hits = index.find(tx, &mut Scratch::default());
    assert!(hits.len() <= 1);
    let all = hits.into_iter().flat_map(|hit| hit.matched);
    all.map(|m| (m.found.kind, m.found.position, m.found.condition, m.found.arguments)).collect()
}

fn word(address: Address) -> B256 {
    address.into_word()
}

#[test]
fn transfers_of_recorded_blocks() {
    let mut seen = 0;
    for name in ["ethereum/18000000", "ethereum/19433902", "polygon/38102393", "optimism/154497277"] {
        let block = block(name);
        let logs = || block.iter().flat_map(|tx| inside(tx).logs.iter());
        let is_transfer = |log: &EvmLog| log.topics.len() == 3 && log.topics[0].to_string() == TRANSFER;
        let mut tokens: Vec<Address> = logs().filter(|log| is_transfer(log)).map(|log| log.address).collect();
        tokens.sort();
        tokens.dedup();
        let limit = U256::from(1_000_000_000_000_000_000u64);
        for chosen in [vec![], tokens.iter().copied().step_by(2).collect::<Vec<_>>()] {
            let addresses: Vec<Value> =
                chosen.iter().map(|address| json!({"address": address.to_string().to_lowercase()})).collect();
            let conditions = json!({"events": [{"signature": "Transfer(address,address,uint256)", "expression": "value >= 1 ether"}]});
            let monitor = monitor(json!(addresses), conditions);
            let index = alone(&monitor);
            let mut scratch = Scratch::default();
            for tx in &block {
                let expected: Vec<(u32, Address, String)> = inside(tx)
                    .logs
                    .iter()
                    .enumerate()
                    .filter(|(_, log)| is_transfer(log) && (chosen.is_empty() || chosen.contains(&log.address)))
                    .filter(|(_, log)| log.data.len() == 32 && U256::from_be_slice(&log.data) >= limit)
                    .map(|(at, log)| {
                        let party = |topic: &B256| Address::from_word(*topic).to_string().to_lowercase();
                        let (from, to) = (party(&log.topics[1]), party(&log.topics[2]));
                        let value = U256::from_be_slice(&log.data);
                        (
                            at as u32,
                            log.address,
                            json!({"from": from, "to": to, "value": value.to_string()}).to_string(),
                        )
                    })
                    .collect();
                let hits = index.find(tx, &mut scratch);
                let of = |m: &Matched| {
                    let emitter = m.contract.as_ref().and_then(Party::evm).unwrap();
                    (m.found.position.unwrap(), emitter, m.found.arguments.clone())
                };
                let given: Vec<_> = hits.iter().flat_map(|hit| hit.matched.iter()).map(of).collect();
                assert_eq!(given, expected, "{name}");
                let all = hits.iter().flat_map(|hit| &hit.matched);
                for m in all {
                    assert_eq!(m.found.signature.as_deref(), Some("Transfer(address,address,uint256)"));
                    assert_eq!((m.found.transaction_hash, m.found.kind), (inside(tx).hash, FoundKind::Event));
                    seen += 1;
                }
            }
            assert_eq!(scratch.faults, 0);
        }
    }
    assert!(seen > 100, "{seen}");
}

/// A transfer of five of a token, by a call with something appended.
fn transfer() -> EvmTransaction {
    let (token, alice, bob) = (Address::repeat_byte(0xaa), Address::repeat_byte(1), Address::repeat_byte(2));
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend(word(bob));
    input.extend(U256::from(5).to_be_bytes::<32>());
    input.extend(b"builder code");
    let log = EvmLog {
        log_index: 70,
        address: token,
        topics: vec![TRANSFER.parse().unwrap(), word(alice), word(bob)],
        data: Bytes::from(U256::from(5).to_be_bytes::<32>()),
    };
    EvmTransaction {
        hash: B256::repeat_byte(9),
        from_address: alice,
        to_address: Some(token),
        value: U256::from(7),
        input: input.into(),
        receipt_status: Some(1),
        logs: vec![log],
        ..EvmTransaction::default()
    }
}

fn record(tx: EvmTransaction) -> EnrichedTransaction {
    enriched(envelope("demo", 5), tx)
}

const TOKEN: &str = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const ALICE: &str = "0x0101010101010101010101010101010101010101";
const OTHER: &str = "0x7777777777777777777777777777777777777777";

#[test]
fn functions_or_events_and_transactions() {
    let tx = record(transfer());
    let event = |expression: Value| json!({"signature": "Transfer(address,address,uint256)", "expression": expression});
    let call =
        |expression: Value| json!({"signature": "transfer(address to, uint256 amount)", "expression": expression});
    let (yes, no) = (json!("value == 5"), json!("value == 6"));
    let (sends, sends_not) = (json!("amount == 5"), json!("amount == 6"));
    let of = |functions: Value, events: Value, transactions: Value| {
        let conditions = json!({"functions": functions, "events": events, "transactions": transactions});
        let kinds = found(&monitor(json!([{"address": TOKEN}]), conditions), &tx);
        kinds.into_iter().map(|(kind, position, condition, _)| (kind.as_str(), position, condition)).collect::<Vec<_>>()
    };
    let (f, e) = (("function", None, 0), ("event", Some(0), 0));
    let any = json!([{"status": "Any"}]);
    assert_eq!(of(json!([call(json!(null))]), json!([]), json!([])), [f]);
    assert_eq!(of(json!([call(sends.clone())]), json!([event(yes.clone())]), json!([])), [f, e]);
    assert_eq!(of(json!([call(sends.clone())]), json!([event(no.clone())]), any.clone()), [f]);
    assert_eq!(of(json!([call(sends_not.clone())]), json!([event(yes.clone())]), any.clone()), [e]);
    assert_eq!(of(json!([call(sends_not.clone())]), json!([event(no.clone())]), any.clone()), []);
    for (transactions, passes) in [
        (json!([{"status": "Success"}]), true),
        (json!([{"status": "Failure"}]), false),
        (json!([{"status": "Failure"}, {"status": "Success", "expression": "value == 7"}]), true),
        (json!([{"status": "Success", "expression": "value == 8"}]), false),
        (
            json!([{"status": "Any", "expression": format!("from == {ALICE} AND method == 0xa9059cbb AND status == 'success'")}]),
            true,
        ),
    ] {
        let given =
            of(json!([]), json!([event(yes.clone()), event(no.clone()), event(json!(null))]), transactions.clone());
        let expected = [e, ("event", Some(0), 2)];
        assert_eq!(given, if passes { &expected[..] } else { &[] }, "{transactions}");
    }
}

#[test]
fn transactions_alone_are_those_from_or_to_an_address_or_all() {
    let of = |addresses: Value, transactions: Value, tx: EvmTransaction| {
        let monitor = monitor(addresses, json!({"transactions": transactions}));
        let index = alone(&monitor);
        let matched = index.find(&record(tx), &mut Scratch::default()).into_iter().flat_map(|hit| hit.matched);
        matched.map(|m| (m.found.condition, m.contract.map(|c| c.to_string().to_lowercase()))).collect::<Vec<_>>()
    };
    let token = || Some(TOKEN.to_owned());
    assert_eq!(of(json!([]), json!([]), transfer()), [(0, token())]);
    assert_eq!(of(json!([{"address": TOKEN}]), json!([]), transfer()), [(0, token())]);
    assert_eq!(of(json!([{"address": ALICE}]), json!([{"status": "Any"}]), transfer()), [(0, Some(ALICE.to_owned()))]);
    assert_eq!(of(json!([{"address": OTHER}]), json!([]), transfer()), []);
    // Both parties: once.
    assert_eq!(of(json!([{"address": ALICE}, {"address": TOKEN}]), json!([]), transfer()), [(0, token())]);
    let two = json!([{"expression": "value == 7"}, {"expression": "value == 8"}, {"status": "Success"}]);
    assert_eq!(of(json!([]), two, transfer()), [(0, token()), (2, token())]);
    // A transaction that creates a contract has no receiver, and no function is called by it.
    let creation = EvmTransaction { to_address: None, logs: Vec::new(), ..transfer() };
    assert_eq!(
        of(
            json!([]),
            json!([{"expression": format!("to == {TOKEN}")}, {"expression": format!("to != {TOKEN}")}]),
            creation.clone()
        ),
        []
    );
    assert_eq!(
        found(
            &monitor(json!([]), json!({"functions": [{"signature": "transfer(address,uint256)"}]})),
            &record(creation)
        ),
        []
    );
    // An outcome that nobody knows is neither success nor failure.
    let unknown = EvmTransaction { receipt_status: None, ..transfer() };
    assert_eq!(
        of(json!([]), json!([{"status": "Success"}, {"status": "Failure"}, {"status": "Any"}]), unknown),
        [(2, token())]
    );
}

#[test]
fn what_is_appended_hides_nothing_and_what_is_no_encoding_fits_no_expression() {
    let call = |expression: Value| {
        monitor(json!([]), json!({"functions": [{"signature": "transfer(address,uint256)", "expression": expression}]}))
    };
    let [(_, _, _, arguments)] = &found(&call(json!("value == 5")), &record(transfer()))[..] else {
        panic!("one call");
    };
    assert!(arguments.contains("\"5\""), "{arguments}");
    let mut short = transfer();
    short.input = short.input.slice(..40);
    assert_eq!(found(&call(json!(null)), &record(short.clone())).len(), 1);
    let index = alone(&monitor(
        json!([]),
        json!({"functions": [{"signature": "transfer(address to, uint256 n)", "expression": "n > 0"}]}),
    ));
    let mut scratch = Scratch::default();
    assert!(index.find(&record(short), &mut scratch).is_empty());
    assert_eq!(scratch.undecoded, 1);
}

#[test]
fn one_topic_of_two_standards() {
    let mut token = transfer();
    let id = U256::from(5).to_be_bytes::<32>();
    token.logs[0].topics.push(id.into());
    token.logs[0].data = Bytes::new();
    let of = |expression: &str, tx: &EvmTransaction| {
        let conditions =
            json!({"events": [{"signature": "Transfer(address,address,uint256)", "expression": expression}]});
        found(&monitor(json!([]), conditions), &record(tx.clone())).len()
    };
    assert_eq!((of("value == 5", &transfer()), of("value == 5", &token)), (1, 0));
    assert_eq!((of("tokenId == 5", &transfer()), of("tokenId == 5", &token)), (0, 1));
    assert_eq!((of(&format!("from == {ALICE}"), &transfer()), of(&format!("from == {ALICE}"), &token)), (1, 1));
}

#[test]
fn reverts_placeholders_other_networks_and_paused_monitors_fit_nothing() {
    let monitor = monitor(json!([]), json!({}));
    let index = alone(&monitor);
    let mut scratch = Scratch::default();
    let tx = record(transfer());
    assert_eq!(index.find(&tx, &mut scratch).len(), 1);
    let mut elsewhere = tx.clone();
    elsewhere.envelope.network = "other".parse().unwrap();
    let mut revert = tx.clone();
    (revert.envelope.op, revert.payload) = (Op::Revert, Payload::Revert);
    let unreadable = EnrichedTransaction { payload: Payload::Unreadable { index: 0, error: "x".into() }, ..tx.clone() };
    for nothing in [&elsewhere, &revert, &unreadable] {
        assert!(index.find(nothing, &mut scratch).is_empty());
    }
    let paused = Arc::new(Monitor { paused: true, ..(*monitor).clone() });
    let mut index = index;
    index.insert("t", "m", 2, paused);
    assert!(index.find(&tx, &mut scratch).is_empty());
    assert_eq!((index.len(), index.unindexed(None)), (1, 0));
    index.insert("t", "m", 3, monitor);
    assert_eq!(
        (index.find(&tx, &mut scratch)[0].entry.version, index.unindexed(Some("t")), index.unindexed(Some("u"))),
        (3, 1, 0)
    );
}

#[test]
fn what_many_share_is_evaluated_once() {
    let conditions = json!({"events": [{"signature": "Transfer(address,address,uint256)", "expression": "value == 5"}],
        "transactions": [{"status": "Success", "expression": "value == 7"}]});
    let monitor = monitor(json!([{"address": TOKEN}]), conditions);
    let ids: Vec<String> = (0..1_000).map(|n| format!("m{n}")).collect();
    let index = Index::of(ids.iter().map(|id| ("t", id.as_str(), 1, monitor.clone())));
    let mut scratch = Scratch::default();
    assert_eq!(index.find(&record(transfer()), &mut scratch).len(), 1_000);
    // Of the event by the table's shape of three topics, and of the transaction.
    assert_eq!(scratch.evaluated, 2);
    assert!(index.tests() <= 3, "{}", index.tests());
}

type Flat = Vec<(String, String, u64, Vec<Matched>)>;

fn flat(hits: Vec<Hit<'_>>) -> Flat {
    hits.into_iter()
        .map(|hit| (hit.entry.tenant.to_string(), hit.entry.id.to_string(), hit.entry.version, hit.matched))
        .collect()
}
