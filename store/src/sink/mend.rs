//! Rows that placeholders stand for, inserted later (`headwater dead-letters replay`, rule 13).
//!
//! Guarantee: a row is inserted only where its event's block stands and the row does not, at the event's sequence and version:
//! nothing is written over, and who calls again inserts nothing (rule 16). Only blocks are mended that are final, or deeper than the reorg
//! limit; such a block can still lose its place, to a back-fill that is asked for again. No row is left then: the sink looks for what
//! a block holds a second time once the block is deleted, and whoever inserts looks for the block once the rows are there. So either
//! the sink finds the rows, or the inserter finds no block and deletes them ([`clear`]); where it is killed before that, whoever takes
//! the letter up again does so. Shown by `tests/sink/mend.rs`.
//!
//! The block's own sums are added up anew from its rows ([`sum_up`]) and its row is inserted again at its version: of equal versions
//! the later one counts, and nothing inserts the earlier one again, since the sink passes over events that the store holds. It is
//! worked out from the rows alone, so it may be done any number of times.
//!
//! What is said here holds for every family: which tables hold a transaction follows from its block's hash ([`super::family`]).

use alloy_primitives::{Address, U256};
use clickhouse::Row;
use schemas::{
    ChildEnvelope, Family, Network,
    bitcoin::BitcoinChain,
    limits::REORG_LIMIT_BLOCKS,
    records::{EnrichedTransaction, Payload},
};
use serde::Deserialize;

use super::{
    delete::delete_left,
    family::{children_of, family_of},
    insert::{
        SETTINGS, insert_bitcoin_inputs, insert_bitcoin_outputs, insert_bitcoin_transactions, insert_logs,
        insert_transactions,
    },
    spans, stale,
};
use crate::{Store, StoreError, client::deadline, query::wire};

/// How a transaction of an event stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Its block stands, its row is missing, and nothing can revert the block any more: it can be inserted.
    Missing {
        /// The block's base fee, wei per gas: what enriching an EVM transaction needs.
        base_fee: Option<U256>,
        /// Which of Bitcoin's chains the block is of: what decoding one of its transactions needs.
        chain: Option<BitcoinChain>,
        /// How far facts about contracts were known when the block was enriched: an offset of `contract.facts`.
        facts_position: Option<u64>,
    },
    /// Its row is there.
    Held,
    /// Its block was reverted, or another event stands at its height: there is nothing to insert.
    Reverted,
    /// `[store] keep` has removed what lies at its height: there is nothing to insert.
    Pruned,
    /// The sink has not come to its event.
    NotStored,
    /// Its block may still be reverted.
    NotFinal,
}

#[derive(Row, Deserialize)]
struct Applied {
    sequence: u64,
    hash: String,
    #[serde(with = "wire::u256_option")]
    base_fee_per_gas: Option<U256>,
    chain: String,
    facts_position: Option<u64>,
}

/// Looks a transaction up. `finalized`: highest final height of its network, where it is known.
pub async fn place(store: &Store, of: &ChildEnvelope, index: u32, finalized: Option<u64>) -> Result<Place, StoreError> {
    if store.processed_sequence(of.network.as_str()).await? < of.sequence {
        return Ok(Place::NotStored);
    }
    if store.pruned_below(&of.network).await?.is_some_and(|pruned| pruned.has(of.height)) {
        return Ok(Place::Pruned);
    }
    let Some(applied) = applied(store, of).await? else { return Ok(Place::Reverted) };
    if children_of(family_of(&of.block_hash)).is_empty() {
        return Ok(Place::Reverted);
    }
    if is_held(store, &of.network, (of.height, of.sequence), index).await? {
        return Ok(Place::Held);
    }
    let highest = store.height_bounds(of.network.as_str()).await?.map_or(0, |(_, high)| high);
    let settled = finalized.is_some_and(|f| of.height <= f) || of.height.saturating_add(REORG_LIMIT_BLOCKS) < highest;
    Ok(match settled {
        true => Place::Missing {
            base_fee: applied.base_fee_per_gas,
            chain: applied.chain.parse().ok(),
            facts_position: applied.facts_position,
        },
        false => Place::NotFinal,
    })
}

/// Whether a transaction has its row, of the event of this height and sequence.
pub async fn is_held(
    store: &Store,
    network: &Network,
    (height, sequence): (u64, u64),
    index: u32,
) -> Result<bool, StoreError> {
    for table in Family::ALL.iter().filter_map(|&family| children_of(family).first()) {
        let sql = format!(
            "SELECT count() FROM {} FINAL WHERE network = {{network:String}} AND height = {{height:UInt64}} \
             AND transaction_index = {{index:UInt32}} AND sequence = {{sequence:UInt64}}",
            table.name
        );
        let rows = store.read(&sql).param("network", network.as_str()).param("height", height);
        let rows = rows.param("index", index).param("sequence", sequence);
        if store.within("looking for a row", rows.fetch_one::<u64>()).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The height of an event whose block stands; or why there is nothing to mend: letters name the sequence alone.
pub async fn height_of(store: &Store, network: &Network, sequence: u64) -> Result<Result<u64, Place>, StoreError> {
    let of = |sql: &str| store.read(sql).param("network", network.as_str()).param("sequence", sequence);
    let sql =
        "SELECT height FROM block_event_rows FINAL WHERE network = {network:String} AND sequence = {sequence:UInt64}";
    let event = store.within("looking for a block event", of(sql).fetch_optional::<u64>()).await?;
    let Some(height) = event else { return Ok(Err(Place::NotStored)) };
    if store.pruned_below(network).await?.is_some_and(|pruned| pruned.has(height)) {
        return Ok(Err(Place::Pruned));
    }
    let sql = "SELECT count() FROM block_rows FINAL WHERE network = {network:String} AND height = {height:UInt64} \
               AND sequence = {sequence:UInt64}";
    let stands = of(sql).param("height", height).fetch_one::<u64>();
    let stands = store.within("reading what stands at a height", stands).await? > 0;
    Ok(if stands { Ok(height) } else { Err(Place::Reverted) })
}

/// The block that stands at the event's height, if it is the event's.
async fn applied(store: &Store, of: &ChildEnvelope) -> Result<Option<Applied>, StoreError> {
    let sql = "SELECT sequence, hash, base_fee_per_gas, chain, facts_position FROM block_rows FINAL \
               WHERE network = {network:String} AND height = {height:UInt64}";
    let row = store.read(sql).param("network", of.network.as_str()).param("height", of.height);
    let row = store.within("reading what stands at a height", row.fetch_optional::<Applied>()).await?;
    Ok(row.filter(|row| row.sequence == of.sequence && row.hash == of.block_hash.as_str()))
}

/// Inserts the rows of a transaction that is [`Place::Missing`]: its logs, or inputs and outputs, first, so that whoever finds its own
/// row finds them too. [`Place::Reverted`] when its event lost its place meanwhile: then nothing of it stays.
///
/// `contracts`: watched ones that it touches.
pub async fn insert(
    store: &Store,
    transaction: &EnrichedTransaction,
    contracts: &[Address],
) -> Result<Place, StoreError> {
    let of = &transaction.envelope;
    let run = [std::slice::from_ref(transaction)];
    let spans = spans::held(store, &of.network).await?;
    match &transaction.payload {
        Payload::Evm(_) => {
            insert_logs(store, &run, &spans).await?;
            insert_transactions(store, &run, &spans).await?;
        }
        Payload::Bitcoin(_) => {
            insert_bitcoin_inputs(store, &run, &spans).await?;
            insert_bitcoin_outputs(store, &run, &spans).await?;
            insert_bitcoin_transactions(store, &run, &spans).await?;
        }
        Payload::Revert | Payload::Unreadable { .. } => return Ok(Place::Reverted),
    }
    if applied(store, of).await?.is_some() {
        sum_up(store, of, contracts).await?;
        return Ok(Place::Held);
    }
    clear(store, of).await?;
    Ok(Place::Reverted)
}

/// Deletes what an event that is [`Place::Reverted`] holds, as somebody left it who was killed inside [`insert`]. Nothing where the event
/// stands; usually there is nothing.
pub async fn clear(store: &Store, of: &ChildEnvelope) -> Result<(), StoreError> {
    let sql = "SELECT count() FROM block_rows FINAL WHERE network = {network:String} AND height = {height:UInt64} \
               AND sequence = {sequence:UInt64}";
    let stands = store.read(sql).param("network", of.network.as_str()).param("height", of.height);
    let stands = stands.param("sequence", of.sequence).fetch_one::<u64>();
    if store.within("reading what stands at a height", stands).await? > 0 {
        return Ok(());
    }
    let held = [(of.height, of.sequence)];
    for table in children_of(family_of(&of.block_hash)) {
        delete_left(store, *table, &of.network, &held).await?;
    }
    Ok(())
}

/// The sums of a block's row over its transactions' rows, as enrich adds them up. Contracts are those that the row has and those that
/// are named.
const SUM_UP: &str = "INSERT INTO block_rows
WITH
    (SELECT base_fee_per_gas FROM block_rows FINAL WHERE network = {network:String} AND height = {height:UInt64}) AS base_fee,
    coalesce(receipt_effective_gas_price, least(max_fee_per_gas, base_fee + max_priority_fee_per_gas), gas_price) AS price,
    ifNull(execution_fee > 0, 0) AND price IS NOT NULL AS paid,
    t AS (
        SELECT toUInt32(count()) AS stored, toUInt32(countIf(status = 'failed')) AS failed,
            toUInt32(countIf(status = 'unknown')) AS unknown,
            toUInt32(countIf(status != 'failed' AND to_address IS NULL)) AS created,
            sum(receipt_gas_used) AS gas, sum(ifNull(fee, 0)) AS fees, toUInt32(countIf(fee IS NULL)) AS fees_unknown,
            sumIf(ifNull(price, 0), paid) AS price_sum, toUInt32(countIf(paid)) AS price_count,
            minOrNullIf(price, paid) AS price_min, maxOrNullIf(price, paid) AS price_max,
            sumIf(value, status != 'failed') AS moved
        FROM evm_transactions
        WHERE network = {network:String} AND height = {height:UInt64} AND sequence = {sequence:UInt64}
    ),
    l AS (
        SELECT toUInt32(count()) AS transfers
        FROM token_transfers
        WHERE network = {network:String} AND height = {height:UInt64} AND sequence = {sequence:UInt64} AND standard IN ('erc20', 'erc721')
    ),
    b AS (SELECT * FROM block_rows FINAL WHERE network = {network:String} AND height = {height:UInt64} AND sequence = {sequence:UInt64}),
    (SELECT arrayConcat(contract_addresses, arrayMap(a -> toFixedString(unhex(substring(a, 3)), 20), {contracts:Array(String)})) FROM b)
        AS listed,
    of_logs AS (
        SELECT address, toUInt32(count()) AS logs FROM evm_log_rows FINAL
        WHERE network = {network:String} AND height = {height:UInt64} AND sequence = {sequence:UInt64} AND has(listed, address)
        GROUP BY address
    ),
    of_contracts AS (
        SELECT address, toUInt32(count()) AS transactions, toUInt32(countIf(status = 'failed')) AS failed,
            toUInt32(countIf(status = 'unknown')) AS unknown, sum(receipt_gas_used) AS gas
        FROM evm_transaction_rows FINAL ARRAY JOIN contracts AS address
        WHERE network = {network:String} AND height = {height:UInt64} AND sequence = {sequence:UInt64} AND has(listed, address)
        GROUP BY address
    ),
    c AS (
        SELECT groupArray(address) AS addresses, groupArray(transactions) AS transactions, groupArray(failed) AS failed,
            groupArray(unknown) AS unknown, groupArray(logs) AS logs, groupArray(gas) AS gas
        FROM (SELECT address, transactions, failed, unknown, gas, logs FROM of_contracts LEFT JOIN of_logs USING (address) ORDER BY address)
    )
SELECT b.* REPLACE (
    t.failed AS failed_count, t.unknown AS unknown_count, toUInt32(b.transaction_count - t.stored) AS unreadable_count,
    l.transfers AS token_transfer_count, t.created AS created_count, t.gas AS receipt_gas_used, t.fees AS fee_total,
    t.fees_unknown AS fee_unknown_count, t.price_sum AS gas_price_sum, t.price_count AS gas_price_count,
    t.price_min AS gas_price_min, t.price_max AS gas_price_max, t.moved AS value_total,
    c.addresses AS contract_addresses, c.transactions AS contract_transactions, c.failed AS contract_failed,
    c.unknown AS contract_unknown, c.logs AS contract_logs, c.gas AS contract_gas_used)
FROM b CROSS JOIN t CROSS JOIN l CROSS JOIN c
WHERE b.unreadable_count + t.stored > b.transaction_count";

/// The same of a Bitcoin block: virtual bytes as what was used, fee rates as prices, and what its coinbase tells.
const SUM_UP_BITCOIN: &str = "INSERT INTO block_rows
WITH
    t AS (
        SELECT toUInt32(count()) AS stored, sum(virtual_size) AS used, sum(fee) AS fees,
            toUInt32(countIf(NOT bitTest(present, 2))) AS fees_unknown,
            sumIf(fee_rate, fee > 0 AND bitTest(present, 3)) AS price_sum,
            toUInt32(countIf(fee > 0 AND bitTest(present, 3))) AS price_count,
            minOrNullIf(fee_rate, fee > 0 AND bitTest(present, 3)) AS price_min,
            maxOrNullIf(fee_rate, fee > 0 AND bitTest(present, 3)) AS price_max,
            sumIf(output_value, is_coinbase = 0) AS moved, maxOrNullIf(output_value, is_coinbase = 1) AS paid_out,
            maxIf(toString(pool), is_coinbase = 1) AS made_by
        FROM bitcoin_transaction_rows FINAL
        WHERE network = {network:String} AND height = {height:UInt64} AND sequence = {sequence:UInt64}
    ),
    b AS (SELECT * FROM block_rows FINAL WHERE network = {network:String} AND height = {height:UInt64} AND sequence = {sequence:UInt64})
SELECT b.* REPLACE (
    toUInt32(b.transaction_count - t.stored) AS unreadable_count, t.used AS gas_used, t.used AS receipt_gas_used,
    t.fees AS fee_total, t.fees_unknown AS fee_unknown_count, t.price_sum AS gas_price_sum, t.price_count AS gas_price_count,
    t.price_min AS gas_price_min, t.price_max AS gas_price_max, t.moved AS value_total, t.paid_out AS coinbase_value, t.made_by AS pool)
FROM b CROSS JOIN t
WHERE b.unreadable_count + t.stored > b.transaction_count";

/// Adds a block's sums up anew, where its row calls transactions unreadable that have a row by now, and has its heights counted again.
/// `contracts`: watched ones that its row may lack.
pub async fn sum_up(store: &Store, of: &ChildEnvelope, contracts: &[Address]) -> Result<(), StoreError> {
    let of_family = |sql: &str| {
        let statement = store.client().query(sql).param("network", of.network.as_str());
        statement.param("height", of.height).param("sequence", of.sequence)
    };
    let statement = match family_of(&of.block_hash) {
        Family::Evm => {
            let contracts: Vec<String> = contracts.iter().map(const_hex::encode_prefixed).collect();
            of_family(SUM_UP).param("contracts", contracts)
        }
        Family::Bitcoin => of_family(SUM_UP_BITCOIN),
        Family::Stellar => return Ok(()),
    };
    let statement = SETTINGS.iter().fold(statement, |statement, (name, value)| statement.with_setting(*name, *value));
    deadline("adding up a block", store.config().write_deadline, statement.execute()).await?;
    // Last: a repeated call does this again, whatever was cut off before.
    stale::mark(store, &of.network, &[of.height]).await
}
