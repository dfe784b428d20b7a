//! Every recorded block with receipts: what enrich says equals the manifest, and a recomputation from the raw JSON that
//! shares no code with it, to the last wei.

mod support;

use alloy_primitives::{U256, hex};
use enrich::enrich_event;
use schemas::{
    Codec, Status,
    profiles::Profile,
    records::{BlockSummary, EnrichedTransaction, Payload},
};
use serde_json::Value;
use support::{Recorded, amount, number, recorded};

/// Naive sums over the raw JSON.
#[derive(Debug, Default, PartialEq)]
struct Naive {
    failed: u32,
    unknown: u32,
    logs: u32,
    transfers: u32,
    created: u32,
    gas: u64,
    fee: U256,
    price_sum: U256,
    price_count: u32,
    price_min: Option<U256>,
    price_max: Option<U256>,
    value: U256,
}

fn naive(recorded: &Recorded) -> Naive {
    let mut n = Naive::default();
    let transactions = recorded.block["transactions"].as_array().unwrap();
    for (t, r) in transactions.iter().zip(&recorded.receipts) {
        let failed = r["status"] == "0x0";
        n.failed += u32::from(failed);
        n.unknown += u32::from(r["status"].is_null());
        n.gas += number(&r["gasUsed"]).unwrap();
        if !failed {
            n.value += amount(&t["value"]).unwrap();
            n.created += u32::from(t["to"].is_null());
        }
        for log in r["logs"].as_array().unwrap() {
            n.logs += 1;
            let topics = log["topics"].as_array().unwrap();
            let data = log["data"].as_str().unwrap().len();
            let transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
            if topics.first().is_some_and(|s| s == transfer) && matches!((topics.len(), data), (3, 66) | (4, 2)) {
                n.transfers += 1;
            }
        }
        if matches!(t["type"].as_str(), Some("0x7e" | "0x6a")) {
            continue;
        }
        let price = amount(&r["effectiveGasPrice"]).or(amount(&t["gasPrice"])).unwrap();
        let gas = amount(&r["gasUsed"]).unwrap();
        n.fee += gas * price;
        n.fee += amount(&r["l1Fee"]).unwrap_or_default();
        if t["type"] == "0x3" {
            n.fee += amount(&r["blobGasUsed"]).unwrap() * amount(&r["blobGasPrice"]).unwrap();
        }
        // No recorded block has an operator fee: recorded receipts of Mantle have (`fees.rs`).
        assert!(r["operatorFeeScalar"].is_null() || r["operatorFeeScalar"] == "0x0");
        if !(gas * price).is_zero() {
            n.price_sum += price;
            n.price_count += 1;
            n.price_min = Some(n.price_min.unwrap_or(price).min(price));
            n.price_max = Some(n.price_max.unwrap_or(price).max(price));
        }
    }
    n
}

fn of_summary(s: &BlockSummary) -> Naive {
    Naive {
        failed: s.failed,
        unknown: s.unknown,
        logs: s.logs,
        transfers: s.token_transfers,
        created: s.contracts_created,
        gas: s.gas_used,
        fee: s.fee_total,
        price_sum: s.gas_price_sum,
        price_count: s.gas_price_count,
        price_min: s.gas_price_min,
        price_max: s.gas_price_max,
        value: s.value_total,
    }
}

/// A figure of the manifest, when it has it.
fn stat(stats: &Value, name: &str) -> Option<U256> {
    stats.get(name).filter(|v| !v.is_null()).map(|v| v.to_string().trim_matches('"').parse().unwrap())
}

#[test]
fn figures_equal_the_manifest_and_a_recomputation() {
    let codec = Codec::builtin();
    let (mut blocks, mut fees, mut l1_fees, mut transfers) = (0, 0, 0, 0);
    for recorded in recorded() {
        let at = format!("{} {}", recorded.chain, recorded.number);
        let profile = Profile::of(recorded.chain_id);
        let (raw, txs) = recorded.event("recorded", 1);
        let envelope = raw.envelope.clone();
        let (block, enriched) = enrich_event(&profile, raw, txs);
        assert_eq!((&block.envelope, enriched.len()), (&envelope, recorded.receipts.len()), "{at}");
        let summary = block.summary.clone().unwrap();
        assert_eq!((summary.unreadable, summary.fee_unknown), (0, 0), "{at}");
        assert_eq!(of_summary(&summary), naive(&recorded), "{at}");

        let figure = |name: &str| stat(&recorded.stats, name);
        let same = |name: &str, value: U256| {
            if let Some(expected) = figure(name) {
                assert_eq!(value, expected, "{at} {name}");
            }
            usize::from(figure(name).is_some())
        };
        assert_eq!(same("receipts", U256::from(summary.transactions)), 1, "{at}: the manifest has no figures");
        same("failed", U256::from(summary.failed));
        same("logs", U256::from(summary.logs));
        same("no_status_receipts", U256::from(summary.unknown));
        same("sum_gas_used", U256::from(summary.gas_used));
        // The manifest counts creations that failed, too.
        let creations = enriched.iter().filter(|tx| payload(tx).0.to_address.is_none()).count();
        same("contract_creations", U256::from(creations));
        // The manifest's fee is gas used × effective gas price, on Arbitrum with L1's part in it; its L1 fee counts what deposits
        // show, which is nothing.
        let part = |f: fn(&schemas::records::FeeParts) -> U256| {
            enriched.iter().map(|tx| f(&payload(tx).1.fee.unwrap())).fold(U256::ZERO, |a, b| a + b)
        };
        let l1_in_gas = recorded.receipts.iter().any(|r| !r["gasUsedForL1"].is_null());
        let gas_paid = if l1_in_gas { part(|f| f.total()) } else { part(|f| f.execution) };
        fees += same("sum_fee_wei", gas_paid);
        l1_fees += same("sum_l1_fee_wei", part(|f| f.l1.unwrap_or_default()));
        assert_eq!(summary.fee_total, part(|f| f.total()), "{at}");

        // The records are written and read back as they are.
        assert_eq!(codec.decode::<schemas::records::EnrichedBlock>(&codec.encode(&block).unwrap()).unwrap(), block);
        for tx in &enriched {
            assert_eq!(&codec.decode::<EnrichedTransaction>(&codec.encode(tx).unwrap()).unwrap(), tx, "{at}");
            check_transaction(tx, &at);
        }
        blocks += 1;
        transfers += summary.token_transfers;
    }
    assert!(blocks >= 24 && fees >= 15 && l1_fees >= 5 && transfers > 1_000, "{blocks} {fees} {l1_fees} {transfers}");
}

fn payload(tx: &EnrichedTransaction) -> &(schemas::records::EvmTransaction, schemas::records::Enrichment) {
    let Payload::Evm(payload) = &tx.payload else { panic!("{tx:?}") };
    payload
}

fn check_transaction(record: &EnrichedTransaction, at: &str) {
    let (tx, found) = payload(record);
    assert_eq!(found.events.len(), tx.logs.len());
    match found.method {
        Some(selector) => assert!(tx.input.starts_with(selector.as_slice()) && tx.to_address.is_some()),
        None => assert!(tx.to_address.is_none() || tx.input.len() < 4, "{at}"),
    }
    match found.failure_cause.as_deref() {
        Some("gas_limit") => assert_eq!((found.status, tx.gas), (Status::Failed, tx.receipt_gas_used), "{at}"),
        Some(other) => panic!("{at}: {other}"),
        None => assert!(found.status != Status::Failed || tx.receipt_gas_used < tx.gas, "{at}"),
    }
    for (log, event) in tx.logs.iter().zip(&found.events) {
        let Some(event) = event else { continue };
        let arguments: Value = serde_json::from_str(&event.arguments).unwrap();
        let arguments: Vec<_> = arguments.as_object().unwrap().iter().collect();
        let name = event.event.split('(').next().unwrap();
        let transfers = ["Transfer", "Approval"].contains(&name);
        if !transfers || !matches!((log.topics.len(), log.data.len()), (3, 32) | (4, 0)) {
            continue;
        }
        assert_eq!(arguments.len(), 3);
        let word = |i: usize| format!("0x{}", &hex::encode(log.topics[i])[24..]);
        let texts: Vec<_> = arguments.iter().map(|(_, v)| v.as_str().unwrap().to_owned()).collect();
        assert!(texts.contains(&word(1)) && texts.contains(&word(2)), "{at}");
        let number = if log.topics.len() == 4 { log.topics[3].0 } else { log.data[..].try_into().unwrap() };
        assert!(texts.contains(&U256::from_be_bytes(number).to_string()), "{at}");
    }
    if let Some(call) = &found.call {
        assert!(tx.to_address.is_some() && tx.input.len() >= 4 && call.signature.ends_with(')'), "{at}");
        match &call.arguments {
            Some(arguments) => assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object(), "{at}"),
            // Batches of rollups.
            None => assert!(tx.input.len() > schemas::limits::ARGUMENTS_BYTES / 8, "{at}"),
        }
    }
    for inner in found.inner_calls.iter().flat_map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap()) {
        let keys: Vec<_> = inner.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["arguments", "call", "method", "to", "value"], "{at}");
        assert_eq!(inner["call"].is_null(), inner["arguments"].is_null(), "{at}");
        assert!(inner["arguments"].is_null() || inner["arguments"].is_object(), "{at}");
    }
}

/// The greater part of what recorded blocks say is decoded, and calls inside of calls are among it.
#[test]
fn shares_that_are_decoded() {
    let [mut calls, mut called, mut logs, mut events, mut inner] = [0usize; 5];
    for r in recorded() {
        let (block, txs) = r.event("recorded", 1);
        for tx in &enrich_event(&Profile::of(r.chain_id), block, txs).1 {
            let (tx, found) = payload(tx);
            let is_call = found.method.is_some() && decode::text(&tx.input).is_none();
            calls += usize::from(is_call);
            called += usize::from(is_call && found.call.is_some());
            logs += tx.logs.len();
            events += found.events.iter().flatten().count();
            inner += usize::from(found.inner_calls.is_some());
        }
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    let (of_calls, of_logs) = (share(called, calls), share(events, logs));
    // Of the blocks that are here; `decode/` has the shares of all that were recorded.
    assert!(of_calls >= 0.60 && of_logs >= 0.85 && inner > 10, "{called}/{calls} calls, {events}/{logs} logs, {inner}");
}

/// A block of which a real transaction failed by running out of gas, and others that failed otherwise.
#[test]
fn causes_that_the_records_tell() {
    let causes: Vec<_> = recorded()
        .iter()
        .flat_map(|r| enrich_event(&Profile::of(r.chain_id), r.event("recorded", 1).0, r.event("recorded", 1).1).1)
        .filter(|tx| payload(tx).1.status == Status::Failed)
        .map(|tx| payload(&tx).1.failure_cause.clone())
        .collect();
    assert!(causes.iter().any(|c| c.as_deref() == Some("gas_limit")));
    assert!(causes.iter().filter(|c| c.is_none()).count() > 10);
}
