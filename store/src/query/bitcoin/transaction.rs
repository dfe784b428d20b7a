//! One Bitcoin transaction with its inputs and outputs, and who spends these.
//!
//! Guarantee: five look-ups, whatever the transaction has: one by its id, then by the place that was found its own row, inputs and outputs
//! by their key, and spenders by an index over what inputs spend, in blocks that are not older than it.

use std::collections::HashMap;

use clickhouse::{Row, query::Query};
use futures::future::try_join3;
use schemas::{Network, limits::bitcoin::TRANSACTION_PARTS};
use serde::Deserialize;

use crate::{
    Store, StoreError,
    query::{Transaction, transactions},
};

/// Which of a transaction's inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BitcoinParts {
    /// Position of the first input.
    pub inputs_from: u32,
    /// Position of the first output.
    pub outputs_from: u32,
    /// At most so many of each; cut to [`TRANSACTION_PARTS`].
    pub limit: u32,
}

/// A canonical Bitcoin transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct BitcoinTransactionDetail {
    /// What lists show: value is the outputs' sum, gas used are virtual bytes, gas price is the fee rate, satoshi per 1,000 virtual bytes.
    pub transaction: Transaction,
    /// The rest of it.
    pub bitcoin: BitcoinDetail,
    /// Its inputs that were asked for, in order.
    pub inputs: Vec<BitcoinInput>,
    /// Its outputs that were asked for, in order.
    pub outputs: Vec<BitcoinOutput>,
}

/// What a Bitcoin transaction has beyond the list's columns. Amounts in satoshi.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct BitcoinDetail {
    /// Hash with witnesses (BIP-141).
    pub wtxid: String,
    /// Version.
    pub version: u32,
    /// Lock time: a height below 500,000,000, else seconds since 1970.
    pub lock_time: u32,
    /// Bytes with witnesses.
    pub size: u32,
    /// Weight units (BIP-141).
    pub weight: u32,
    /// Virtual bytes.
    pub virtual_size: u32,
    /// Cost of signature operations (BIP-141), where it is known.
    pub sigops: Option<u32>,
    /// Whether it is its block's coinbase.
    pub is_coinbase: bool,
    /// Whether any input carries a witness.
    pub segwit: bool,
    /// Whether it says that it may be replaced (BIP-125).
    pub replaceable: bool,
    /// Inputs; 0 for the coinbase, as the public datasets have it.
    pub input_count: u32,
    /// Outputs.
    pub output_count: u32,
    /// Sum of what it spends; 0 for the coinbase, as the public datasets have it, `None` where it is not known.
    pub input_value: Option<u64>,
    /// Sum of its outputs.
    pub output_value: u64,
    /// What it left to the miner; 0 for the coinbase, `None` where it is not known.
    pub fee: Option<u64>,
    /// Satoshi per 1,000 virtual bytes.
    pub fee_rate: Option<u64>,
    /// On a coinbase: who made the block, where that is known.
    pub pool: Option<String>,
}

const DETAIL: &str = "wtxid, version, lock_time, size, weight, virtual_size, sigops, is_coinbase, segwit, replaceable, input_count, \
    output_count, input_value, output_value, fee, fee_rate, pool";

/// An input. A coinbase has one, that spends nothing.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct BitcoinInput {
    /// Position in the transaction.
    pub index: u32,
    /// Transaction whose output it spends; `None` on a coinbase.
    pub spent_txid: Option<String>,
    /// Position of that output; `None` on a coinbase.
    pub spent_index: Option<u32>,
    /// What it spends, satoshi, where that is known.
    pub value: Option<u64>,
    /// Core's word for the script of what it spends.
    pub kind: Option<String>,
    /// Addresses of that script.
    pub addresses: Vec<String>,
    /// The script of what it spends, hex, where that is known.
    pub spent_script: Option<String>,
    /// Height of the block that made what it spends, where that is known.
    pub spent_height: Option<u32>,
    /// Its own script, hex.
    pub script: String,
    /// Its sequence number.
    pub sequence: u32,
    /// Its witness, item by item, hex.
    pub witness: Vec<String>,
    /// Media type of an inscription that its witness reveals; empty text where it names none.
    pub envelope: Option<String>,
}

const INPUT: &str = "r.input_index AS `index`, if(r.is_coinbase = 1, NULL, lower(hex(r.spent_txid))) AS spent_txid, \
    if(r.is_coinbase = 1, NULL, r.spent_index) AS spent_index, if(bitTest(r.present, 0), r.value, NULL) AS value, \
    if(bitTest(r.present, 0), CAST(r.kind, 'Nullable(String)'), NULL) AS kind, r.addresses AS addresses, \
    if(bitTest(r.present, 0), lower(hex(r.spent_script)), NULL) AS spent_script, \
    if(bitTest(r.present, 1), r.spent_height, NULL) AS spent_height, lower(hex(r.script)) AS script, r.input_sequence AS sequence, \
    arrayMap(item -> lower(hex(item)), r.witness) AS witness, if(bitTest(r.present, 2), r.envelope, NULL) AS envelope";

const OUTPUT: &str = "r.output_index AS `index`, r.value AS value, CAST(r.kind, 'String') AS kind, r.addresses AS addresses, \
    lower(hex(r.script)) AS script";

/// An output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitcoinOutput {
    /// Position in the transaction.
    pub index: u32,
    /// Satoshi.
    pub value: u64,
    /// Core's word for its script.
    pub kind: String,
    /// Its addresses: one, none, or several for a bare multisig.
    pub addresses: Vec<String>,
    /// Its script, hex.
    pub script: String,
    /// The input that spends it, as far as that is held here.
    pub spent_by: Option<SpentBy>,
}

/// An input that spends an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentBy {
    /// Its transaction.
    pub txid: String,
    /// Its position there.
    pub index: u32,
    /// Height of its block.
    pub height: u64,
}

#[derive(Row, Deserialize)]
struct OutputRow {
    index: u32,
    value: u64,
    kind: String,
    addresses: Vec<String>,
    script: String,
}

#[derive(Row, Deserialize)]
struct Spender {
    spent: u32,
    txid: String,
    index: u32,
    height: u64,
}

/// Occurrences of one id that are looked at: BIP-30 let two ids occur twice on the main chain.
const OCCURRENCES: u32 = 4;

impl Store {
    /// The canonical transactions of a Bitcoin network with this id (64 lower-case hex digits), newest first: one, or none, and two for the
    /// two ids that occur twice.
    ///
    /// # Errors
    /// The store is away.
    pub async fn bitcoin_transaction(
        &self,
        network: &Network,
        txid: &str,
        parts: &BitcoinParts,
    ) -> Result<Vec<BitcoinTransactionDetail>, StoreError> {
        let sql = format!(
            "SELECT {} FROM transactions WHERE network = {{network:String}} AND hash = {{hash:String}} AND family = 'bitcoin' \
             ORDER BY block_number DESC, transaction_index DESC LIMIT {OCCURRENCES}",
            transactions::COLUMNS
        );
        let call = self.read(&sql).param("network", network.as_str()).param("hash", txid);
        let found = self.within("looking up a transaction", call.fetch_all::<Transaction>()).await?;
        let mut details = Vec::with_capacity(found.len());
        for transaction in found {
            // Reverted between the two questions: not canonical any more.
            details.extend(self.bitcoin_detail(network, transaction, parts).await?);
        }
        Ok(details)
    }

    /// Who spends which outputs of a transaction, of those from one position on, at most so many. `since`: height of the block that made
    /// them.
    ///
    /// # Errors
    /// The store is away.
    pub async fn bitcoin_spenders(
        &self,
        network: &Network,
        txid: &str,
        since: u64,
        (from, limit): (u32, u32),
    ) -> Result<HashMap<u32, SpentBy>, StoreError> {
        let sql = "SELECT spent_output_index AS spent, transaction_hash AS txid, `index`, block_number AS height FROM bitcoin_inputs \
                   WHERE network = {network:String} AND block_number >= {since:UInt64} AND spent_transaction_hash = {txid:String} \
                   AND spent_output_index >= {from:UInt32} AND spent_output_index < {end:UInt64} LIMIT {limit:UInt32}";
        let query = self.read(sql).param("network", network.as_str()).param("since", since).param("txid", txid);
        let query = query.param("from", from).param("end", u64::from(from) + u64::from(limit)).param("limit", limit);
        let rows = self.within("looking for who spends", query.fetch_all::<Spender>()).await?;
        let spender = |s: Spender| (s.spent, SpentBy { txid: s.txid, index: s.index, height: s.height });
        Ok(rows.into_iter().map(spender).collect())
    }

    /// The rest of a transaction that was found; `None`: it is not canonical any more.
    async fn bitcoin_detail(
        &self,
        network: &Network,
        transaction: Transaction,
        parts: &BitcoinParts,
    ) -> Result<Option<BitcoinTransactionDetail>, StoreError> {
        let limit = parts.limit.clamp(1, TRANSACTION_PARTS);
        let sql = format!(
            "SELECT {DETAIL} FROM bitcoin_transactions WHERE network = {{network:String}} AND block_number = {{number:UInt64}} \
             AND `index` = {{index:UInt32}} AND sequence = {{sequence:UInt64}}"
        );
        let detail = self.at(&sql, network, &transaction).fetch_optional::<BitcoinDetail>();
        let of = |what: &str, part: &str, table: &str| {
            format!(
                "SELECT {what} FROM {table} AS r FINAL WHERE r.network = {{network:String}} AND r.height = {{number:UInt64}} \
                 AND r.transaction_index = {{index:UInt32}} AND r.sequence = {{sequence:UInt64}} AND r.{part} >= {{from:UInt32}} \
                 AND r.{part} < {{end:UInt64}} ORDER BY r.{part}"
            )
        };
        let end = |from: u32| u64::from(from) + u64::from(limit);
        let (inputs, outputs) =
            (of(INPUT, "input_index", "bitcoin_input_rows"), of(OUTPUT, "output_index", "bitcoin_output_rows"));
        let inputs = self.at(&inputs, network, &transaction).param("from", parts.inputs_from);
        let inputs = inputs.param("end", end(parts.inputs_from)).fetch_all::<BitcoinInput>();
        let outputs = self.at(&outputs, network, &transaction).param("from", parts.outputs_from);
        let outputs = outputs.param("end", end(parts.outputs_from)).fetch_all::<OutputRow>();
        let (detail, inputs, outputs) =
            self.within("reading a transaction", try_join3(detail, inputs, outputs)).await?;
        let Some(bitcoin) = detail else { return Ok(None) };
        let asked = (parts.outputs_from, limit);
        let mut spenders = self.bitcoin_spenders(network, &transaction.hash, transaction.block_number, asked).await?;
        let output = |row: OutputRow| BitcoinOutput {
            spent_by: spenders.remove(&row.index),
            index: row.index,
            value: row.value,
            kind: row.kind,
            addresses: row.addresses,
            script: row.script,
        };
        let outputs = outputs.into_iter().map(output).collect();
        Ok(Some(BitcoinTransactionDetail { transaction, bitcoin, inputs, outputs }))
    }

    fn at(&self, sql: &str, network: &Network, transaction: &Transaction) -> Query {
        let query = self.read(sql).param("network", network.as_str()).param("number", transaction.block_number);
        query.param("index", transaction.transaction_index).param("sequence", transaction.sequence)
    }
}
