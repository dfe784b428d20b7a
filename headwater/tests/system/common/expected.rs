//! What a chain's rows must say, computed naively from the raw receipts and from nothing of ours.

use std::collections::HashMap;

use alloy_primitives::U256;
use loadtest::node::evm::Simulator;
use serde_json::Value;

use super::{Headwater, number, recorded, text};

/// Sums over the transactions of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub blocks: u64,
    pub transactions: u64,
    pub failed: u64,
    pub gas_used: U256,
    pub fees: U256,
    pub logs: u64,
}

impl std::ops::AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.transactions += other.transactions;
        self.failed += other.failed;
        self.gas_used += other.gas_used;
        self.fees += other.fees;
        self.logs += other.logs;
    }
}

fn hex(value: &Value) -> U256 {
    value.as_str().map_or(U256::ZERO, |s| s.parse().unwrap_or_else(|_| panic!("not hex: {s}")))
}

fn result(mut value: Value) -> Value {
    if value.get("jsonrpc").is_some() { value["result"].take() } else { value }
}

fn read(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    result(serde_json::from_str(&text).expect("recorded JSON"))
}

/// Totals of one recorded block, `chain/number`.
pub fn of_recorded(name: &str) -> Totals {
    let folder = recorded().join(name);
    let block = read(&folder.join("block.json"));
    let receipts = read(&folder.join("receipts.json"));
    let mut totals = Totals { blocks: 1, ..Totals::default() };
    for (tx, receipt) in
        block["transactions"].as_array().expect("txs").iter().zip(receipts.as_array().expect("receipts"))
    {
        let gas = hex(&receipt["gasUsed"]);
        let price =
            if receipt["effectiveGasPrice"].is_null() { &tx["gasPrice"] } else { &receipt["effectiveGasPrice"] };
        let kind = hex(&tx["type"]);
        let free = kind == U256::from(0x7e) || (U256::from(0x64)..=U256::from(0x6a)).contains(&kind);
        if !free {
            totals.fees += gas * hex(price) + hex(&receipt["l1Fee"]);
            if kind == U256::from(3) {
                totals.fees += hex(&receipt["blobGasUsed"]) * hex(&receipt["blobGasPrice"]);
            }
        }
        totals.transactions += 1;
        totals.failed += u64::from(receipt["status"] == "0x0");
        totals.gas_used += gas;
        totals.logs += receipt["logs"].as_array().map_or(0, Vec::len) as u64;
    }
    totals
}

/// Compares every row of a network with the node's canonical chain, up to the node's head, which must not move meanwhile.
pub async fn assert_canonical(headwater: &Headwater, slug: &str, node: &Simulator) {
    let chain = node.canonical(1..=node.head());
    let mut known = HashMap::new();
    let mut expected = Totals::default();
    for block in &chain {
        let totals = known.entry(block.recorded.clone()).or_insert_with(|| of_recorded(&block.recorded));
        expected += &*totals;
    }

    let rows = headwater
        .query(&format!("SELECT number, hash, parent_hash, transaction_count, failed_count FROM blocks WHERE network = '{slug}' ORDER BY number"))
        .await
        .expect("blocks");
    assert_eq!(rows.len(), chain.len(), "blocks of {slug}");
    for (row, block) in rows.iter().zip(&chain) {
        assert_eq!(number(row, "number"), block.height);
        assert_eq!(text(row, "hash"), block.hash.to_string(), "{slug} {}", block.height);
        assert_eq!(text(row, "parent_hash"), block.parent_hash.to_string());
        assert_eq!(number(row, "transaction_count"), block.facts.tx_count);
        assert_eq!(number(row, "failed_count"), block.facts.failed);
    }
    assert_eq!(totals_in_sql(headwater, slug).await, expected, "totals of {slug}");

    let doubles = headwater
        .query(&format!("SELECT block_number, transaction_index, count() AS n FROM transactions WHERE network = '{slug}' GROUP BY ALL HAVING n > 1 LIMIT 5"))
        .await
        .expect("doubles");
    assert!(doubles.is_empty(), "rows that are there twice: {doubles:?}");
    let orphans = headwater
        .query(&format!("SELECT block_number, block_hash FROM transactions WHERE network = '{slug}' AND block_hash NOT IN (SELECT hash FROM blocks WHERE network = '{slug}') LIMIT 5"))
        .await
        .expect("orphans");
    assert!(orphans.is_empty(), "transactions of reverted blocks: {orphans:?}");
    assert_gapless(headwater, slug).await;
}

/// Sums in SQL.
pub async fn totals_in_sql(headwater: &Headwater, slug: &str) -> Totals {
    let one =
        |sql: String| async move { headwater.query(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).remove(0) };
    let big = |row: &Value, column: &str| text(row, column).parse::<U256>().expect("a number");
    let tx = one(format!(
        "SELECT count() AS n, countIf(status = 'failed') AS failed, toString(sum(receipt_gas_used)) AS gas, toString(sum(fee)) AS fees \
         FROM (SELECT t.status AS status, e.receipt_gas_used AS receipt_gas_used, e.fee AS fee FROM evm_transactions AS e \
         INNER JOIN transactions AS t ON t.network = e.network AND t.block_number = e.block_number AND t.transaction_index = e.transaction_index \
         WHERE e.network = '{slug}' AND t.network = '{slug}')"
    ))
    .await;
    let blocks = one(format!("SELECT count() AS n FROM blocks WHERE network = '{slug}'")).await;
    let logs = one(format!("SELECT count() AS n FROM evm_logs WHERE network = '{slug}'")).await;
    Totals {
        blocks: number(&blocks, "n"),
        transactions: number(&tx, "n"),
        failed: number(&tx, "failed"),
        gas_used: big(&tx, "gas"),
        fees: big(&tx, "fees"),
        logs: number(&logs, "n"),
    }
}

/// Sequences 1 to the last, each once.
pub async fn assert_gapless(headwater: &Headwater, slug: &str) {
    let row = headwater
        .query(&format!("SELECT count() AS n, uniqExact(sequence) AS distinct, min(sequence) AS first, max(sequence) AS last FROM block_events WHERE network = '{slug}'"))
        .await
        .expect("block_events")
        .remove(0);
    let last = number(&row, "last");
    assert_eq!((number(&row, "first"), number(&row, "n"), number(&row, "distinct")), (1, last, last), "gapless {slug}");
}
