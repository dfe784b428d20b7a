//! Every value of a transaction and a log, through the sink into the views: what is set shows under its name and nowhere else, and
//! what is zero is not what is missing.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use schemas::{
    Status,
    records::{DecodedCall, DecodedEvent, EnrichedTransaction, Enrichment, EvmLog, EvmTransaction, FeeParts, Payload},
};
use serde_json::{Map, Value, json};
use store::Store;

use crate::{
    chain::{Chain, Dice},
    harness::Running,
    setup::{RunningSink, TestLog, store_in, until_processed},
};

type Set = Box<dyn Fn(&mut EvmTransaction, &mut Enrichment)>;

/// What is set, and the columns that tell it.
struct Case {
    set: Set,
    shows: Vec<(&'static str, Value)>,
}

fn case(shows: Vec<(&'static str, Value)>, set: impl Fn(&mut EvmTransaction, &mut Enrichment) + 'static) -> Case {
    Case { set: Box::new(set), shows }
}

/// The columns of an amount.
fn amount(name: &'static str, text: &'static str, value: U256) -> Vec<(&'static str, Value)> {
    vec![(name, json!(value.to_string())), (text, json!(value.to_string()))]
}

macro_rules! amounts {
    ($cases:ident, $($field:ident / $text:literal),*) => {$(
        for value in [U256::ZERO, U256::MAX] {
            $cases.push(case(amount(stringify!($field), $text, value), move |t, _| t.$field = Some(value)));
        }
    )*};
}

macro_rules! numbers {
    ($cases:ident, $($field:ident),*) => {$(
        for value in [0, u64::MAX] {
            $cases.push(case(vec![(stringify!($field), json!(value.to_string()))], move |t, _| t.$field = Some(value)));
        }
    )*};
}

fn fee(parts: FeeParts) -> impl Fn(&mut EvmTransaction, &mut Enrichment) {
    move |_, x| x.fee = Some(parts)
}

/// The columns of a fee.
fn fee_shows(parts: FeeParts) -> Vec<(&'static str, Value)> {
    let mut shows = amount("fee", "fee_text", parts.total());
    shows.extend(amount("execution_fee", "execution_fee_text", parts.execution));
    shows.push(("fee_reason", Value::Null));
    let others = [
        ("l1_fee", "l1_fee_text", parts.l1),
        ("operator_fee", "operator_fee_text", parts.operator),
        ("blob_fee", "blob_fee_text", parts.blob),
    ];
    for (name, text, part) in others {
        shows.extend(part.into_iter().flat_map(|part| amount(name, text, part)));
    }
    shows
}

fn cases() -> Vec<Case> {
    let mut cases = vec![case(vec![], |_, _| {})];
    amounts!(
        cases,
        gas_price / "gas_price_text",
        max_fee_per_gas / "max_fee_per_gas_text",
        max_priority_fee_per_gas / "max_priority_fee_per_gas_text",
        max_fee_per_blob_gas / "max_fee_per_blob_gas_text",
        mint / "mint_text",
        receipt_effective_gas_price / "receipt_effective_gas_price_text",
        receipt_blob_gas_price / "receipt_blob_gas_price_text",
        receipt_l1_fee / "receipt_l1_fee_text",
        receipt_l1_gas_used / "receipt_l1_gas_used_text",
        receipt_l1_gas_price / "receipt_l1_gas_price_text",
        receipt_l1_blob_base_fee / "receipt_l1_blob_base_fee_text",
        receipt_token_ratio / "receipt_token_ratio_text"
    );
    numbers!(
        cases,
        chain_id,
        receipt_blob_gas_used,
        receipt_l1_base_fee_scalar,
        receipt_l1_blob_base_fee_scalar,
        receipt_operator_fee_scalar,
        receipt_operator_fee_constant,
        receipt_da_footprint_gas_scalar,
        receipt_gas_used_for_l1,
        receipt_l1_block_number,
        receipt_deposit_nonce,
        receipt_deposit_receipt_version
    );
    for byte in [0, 0xab] {
        let (address, text) = (Address::repeat_byte(byte), json!(format!("0x{}", format!("{byte:02x}").repeat(20))));
        let to = vec![("to_address", text.clone()), ("to", text.clone()), ("contracts", json!([text]))];
        cases.push(case(to, move |t, _| t.to_address = Some(address)));
        let created = vec![("receipt_contract_address", text.clone()), ("contracts", json!([text]))];
        cases.push(case(created, move |t, _| t.receipt_contract_address = Some(address)));
        cases.push(case(vec![("fee_token", text)], move |t, _| t.fee_currency = Some(address)));
        let (word, text) = (B256::repeat_byte(byte), json!(format!("0x{}", format!("{byte:02x}").repeat(32))));
        cases.push(case(vec![("receipt_root", text.clone())], move |t, _| t.receipt_root = Some(word)));
        cases.push(case(vec![("source_hash", text.clone())], move |t, _| t.source_hash = Some(word)));
        let blobs = vec![("blob_versioned_hashes", json!([text, text]))];
        cases.push(case(blobs, move |t, _| t.blob_versioned_hashes = vec![word; 2]));
        let method = json!(format!("0x{}", format!("{byte:02x}").repeat(4)));
        cases.push(case(vec![("method", method)], move |_, x| x.method = Some(FixedBytes::repeat_byte(byte))));
    }
    for status in [0u64, 1] {
        cases.push(case(vec![("receipt_status", json!(status))], move |t, _| t.receipt_status = Some(status)));
    }
    for count in [0, u32::MAX] {
        cases.push(case(vec![("authorization_count", json!(count))], move |t, _| t.authorization_count = Some(count)));
    }
    for value in [U256::ZERO, U256::MAX] {
        let shows = amount("fee_token_amount", "fee_token_amount_text", value);
        cases.push(case(shows, move |_, x| x.fee_token_amount = Some(value)));
        cases.push(case(amount("value", "value_text", value), move |t, _| t.value = value));
    }
    cases.push(case(vec![("receipt_l1_fee_scalar", json!("0.684"))], |t, _| {
        t.receipt_l1_fee_scalar = Some("0.684".into());
    }));
    for kind in [0x7e, u64::MAX] {
        let shows = vec![("transaction_type", json!(kind.to_string()))];
        cases.push(case(shows, move |t, _| t.transaction_type = kind));
    }
    let input = Bytes::from((0..=255).collect::<Vec<u8>>());
    cases.push(case(vec![("input", json!(format!("{input:#x}")))], move |t, _| t.input = input.clone()));
    cases.push(case(vec![("failure_cause", json!("out_of_gas")), ("cause", json!("out_of_gas"))], |_, x| {
        x.failure_cause = Some("out_of_gas".into());
    }));
    let why = "\"quoted\", \\ and \u{2713}";
    cases.push(case(vec![("failure_reason", json!(why)), ("reason", json!(why))], move |_, x| {
        x.failure_reason = Some(why.into());
    }));
    let call = "f(uint256 a, string b)";
    for arguments in [None, Some("{}"), Some(r#"{"a":"1","b":"\"quoted\" \\ / \u2713 ✓"}"#)] {
        let shows = vec![("call", json!(call)), ("call_arguments", json!(arguments))];
        cases.push(case(shows, move |_, x| {
            x.call = Some(DecodedCall { signature: call.into(), arguments: arguments.map(str::to_owned) });
        }));
    }
    let inner =
        r#"[{"to":"0x","value":null,"method":null,"call":"f(string a)","arguments":{"a":"\"quoted\" \\ / \u2713 ✓"}}]"#;
    cases.push(case(vec![("inner_calls", json!(inner))], move |_, x| x.inner_calls = Some(inner.into())));
    cases.push(case(vec![("fee_reason", json!("token"))], |_, x| x.fee_reason = Some("token".into())));
    let some = |n: u64| Some(U256::from(n));
    let parts = [
        FeeParts::default(),
        FeeParts { execution: U256::from(5), l1: some(0), operator: some(0), blob: some(0) },
        FeeParts { execution: U256::from(5), l1: some(7), operator: some(11), blob: some(13) },
        // The sum saturates: what is left of it is not the part.
        FeeParts { execution: U256::MAX, l1: some(7), operator: None, blob: None },
    ];
    for parts in parts {
        cases.push(case(fee_shows(parts), fee(parts)));
    }
    // The L1 fee as the receipt says it, and another.
    for paid in [7, 8] {
        let parts = FeeParts { execution: U256::from(5), l1: some(paid), operator: None, blob: None };
        let mut shows = fee_shows(parts);
        shows.extend(amount("receipt_l1_fee", "receipt_l1_fee_text", U256::from(7)));
        cases.push(case(shows, move |t, x| {
            t.receipt_l1_fee = Some(U256::from(7));
            x.fee = Some(parts);
        }));
    }
    cases
}

async fn all(engine: &Running, store: &Store, sql: &str) -> Vec<Map<String, Value>> {
    let quoted = format!("/?output_format_json_quote_64bit_integers=1&database={}", store.database());
    let reply = engine.as_stages(&quoted, format!("{sql} FORMAT JSONEachRow").as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text().lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_shows_under_its_name_and_nowhere_else() {
    let engine = Running::start().await;
    let near = store_in(&engine, "values");
    check(&engine, &near).await;
    // An address that is not known to be this machine's: what is sent to it is compressed.
    let mut config = store_in(&engine, "values_from_afar").config().clone();
    config.url.set_host(Some("[::ffff:127.0.0.1]")).expect("an address");
    check(&engine, &Store::connect(config).expect("a store")).await;
    engine.stop().await;
}

async fn check(engine: &Running, store: &Store) {
    let log = TestLog::open().await;
    let mut chain = Chain::new("a", 7);
    let mut event = chain.apply(&mut Dice(1));
    let cases = cases();
    event.transactions = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let mut t = EvmTransaction { transaction_index: i as u32, ..EvmTransaction::default() };
        let mut x = Enrichment {
            status: Status::Unknown,
            fee: None,
            fee_reason: None,
            fee_token_amount: None,
            method: None,
            failure_cause: None,
            failure_reason: None,
            call: None,
            inner_calls: None,
            events: Vec::new(),
        };
        (case.set)(&mut t, &mut x);
        let payload = Payload::Evm(Box::new((t, x)));
        event.transactions.push(EnrichedTransaction { envelope: event.block.envelope.child(), payload });
    }
    event.block.envelope.tx_count = cases.len() as u32;
    event.block.envelope.log_count = 0;
    log.publish(&[event]).await;
    let sink = RunningSink::start(store, &log);
    until_processed(store, &chain.network, 1).await;

    let rows = all(engine, store, "SELECT * FROM evm_transactions ORDER BY transaction_index").await;
    assert_eq!(rows.len(), cases.len());
    let of_row = ["transaction_index", "index"];
    for (i, (row, case)) in rows.iter().zip(&cases).enumerate() {
        let mut wanted = rows[0].clone();
        of_row.iter().for_each(|name| drop(wanted.insert((*name).into(), json!(i))));
        for (name, value) in &case.shows {
            // Amounts are numbers in the first column and text in the twin.
            assert!(wanted.contains_key(*name), "{name}");
            wanted.insert((*name).into(), value.clone());
        }
        for (name, value) in row {
            let shown = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            assert_eq!(shown(value), shown(&wanted[name]), "{name} of case {i}: {:?}", case.shows);
        }
    }
    sink.stop().await.expect("a clean end");
}

/// As many different signatures as a block of the format numbers with one byte, two and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_show_what_they_are_however_many_signatures_there_are() {
    const LOGS: u32 = 70_000;
    let engine = Running::start().await;
    let store = store_in(&engine, "values");
    let log = TestLog::open().await;
    let mut chain = Chain::new("a", 7);
    for (sequence, signatures) in [(1, 256), (2, 257), (3, 65_537)] {
        let mut event = chain.apply(&mut Dice(1));
        let logs: Vec<EvmLog> = (0..LOGS)
            .map(|i| EvmLog {
                log_index: i,
                address: Address::left_padding_from(&i.to_be_bytes()),
                topics: vec![B256::left_padding_from(&i.to_be_bytes()); i as usize % 5],
                data: Bytes::copy_from_slice(&vec![i as u8; i as usize % 300]),
            })
            .collect();
        let known = |i: u32| {
            let event = format!("E{}()", i % signatures);
            (!i.is_multiple_of(3)).then(|| DecodedEvent { event, arguments: format!("{{\"i\":\"{i}\"}}") })
        };
        // A record has a limit: the logs are those of several transactions.
        let transaction = |(index, logs): (usize, &[EvmLog])| {
            let events = logs.iter().map(|log| known(log.log_index)).collect();
            let logs = logs.to_vec();
            let t = EvmTransaction { transaction_index: index as u32, logs, ..EvmTransaction::default() };
            let x = Enrichment {
                status: Status::Success,
                fee: None,
                fee_reason: None,
                fee_token_amount: None,
                method: None,
                failure_cause: None,
                failure_reason: None,
                call: None,
                inner_calls: None,
                events,
            };
            let payload = Payload::Evm(Box::new((t, x)));
            EnrichedTransaction { envelope: event.block.envelope.child(), payload }
        };
        let transactions: Vec<_> = logs.chunks(7_000).enumerate().map(transaction).collect();
        (event.block.envelope.tx_count, event.block.envelope.log_count) = (transactions.len() as u32, LOGS);
        event.transactions = transactions;
        log.publish(&[event]).await;
        let sink = RunningSink::start(&store, &log);
        until_processed(&store, &chain.network, sequence).await;
        sink.stop().await.expect("a clean end");
        let right = format!(
            "SELECT count() FROM evm_logs WHERE sequence = {sequence} \
             AND event IS NOT DISTINCT FROM if(log_index % 3 = 0, NULL, concat('E', toString(log_index % {signatures}), '()')) \
             AND arguments IS NOT DISTINCT FROM if(log_index % 3 = 0, NULL, concat('{{\"i\":\"', toString(log_index), '\"}}')) \
             AND address = concat('0x', lower(leftPad(hex(log_index), 40, '0'))) \
             AND topics = arrayWithConstant(log_index % 5, concat('0x', lower(leftPad(hex(log_index), 64, '0')))) \
             AND data = concat('0x', repeat(lower(hex(toUInt8(log_index % 256))), log_index % 300))"
        );
        assert_eq!(crate::setup::rows::<u64>(&engine, &store, &right).await, [u64::from(LOGS)], "{signatures}");
    }
    engine.stop().await;
}
