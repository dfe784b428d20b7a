//! Blocks: lists, and one by height or hash.

use alloy_primitives::U256;
use clickhouse::Row;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::{BlockHash, Network, TimeMs, limits, records::RingEntry};
use serde::{Deserialize, Serialize};

use super::{
    Page, Sort,
    windows::{End, Looked, Windows, look},
    wire,
};
use crate::{Store, StoreError, StoreErrorKind};

/// A canonical block.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Block {
    /// Slug of the network.
    pub network: String,
    /// Chain family.
    pub family: String,
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: String,
    /// Hash of the parent.
    pub parent_hash: String,
    /// The block's own time.
    pub timestamp: TimeMs,
    /// `live` or `backfill`.
    pub origin: String,
    /// Transactions, unreadable ones included.
    pub transaction_count: u32,
    /// With status `failed`.
    pub failed_count: u32,
    /// With status `unknown`.
    pub unknown_count: u32,
    /// That could not be read; they have no row.
    pub unreadable_count: u32,
    /// Logs.
    pub log_count: u32,
    /// ERC-20 and ERC-721 transfers.
    pub token_transfer_count: u32,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas used, as the header says.
    pub gas_used: u64,
    /// Sum of fees really paid, wei.
    #[serde(with = "wire::u256")]
    pub fee_total: U256,
    /// Sum of effective gas prices over transactions that paid gas, wei.
    #[serde(with = "wire::u256")]
    pub gas_price_sum: U256,
    /// Number of transactions in `gas_price_sum`.
    pub gas_price_count: u32,
    /// Base fee, wei per gas.
    #[serde(with = "wire::u256_option")]
    pub base_fee_per_gas: Option<U256>,
    /// Beneficiary of the fees.
    pub miner: Option<String>,
    /// Bytes, as the node counts them.
    pub size: Option<u64>,
    /// Free bytes of the block's maker, hex.
    pub extra_data: String,
    /// Blob gas used.
    pub blob_gas_used: Option<u64>,
    /// Excess blob gas.
    pub excess_blob_gas: Option<u64>,
    /// `full`, or `header`: no body was to be had, and nothing is said of transactions.
    pub coverage: String,
    /// Bitcoin: median of the time stamps of this block and the ten before it, where these were to be had.
    pub median_time: Option<TimeMs>,
    /// Bitcoin: weight units of the block.
    pub weight: Option<u32>,
    /// Bitcoin: who made the block, where that is known.
    pub pool: Option<String>,
    /// Offset in the network's partition of `contract.facts` before which all facts were used; `None`: none was.
    pub facts_position: Option<u64>,
    /// Sequence of the event that applied the block.
    pub sequence: u64,
    /// When ingest first saw it.
    pub observed_at: TimeMs,
    /// When the row was written.
    pub stored_at: TimeMs,
}

impl Block {
    /// Transactions that have a row.
    pub fn readable_count(&self) -> usize {
        self.transaction_count.saturating_sub(self.unreadable_count) as usize
    }
}

pub(super) const COLUMNS: &str = "network, family, number, hash, parent_hash, timestamp, origin, transaction_count, \
    failed_count, unknown_count, unreadable_count, log_count, token_transfer_count, gas_limit, gas_used, fee_total, \
    gas_price_sum, gas_price_count, base_fee_per_gas, miner, size, extra_data, blob_gas_used, excess_blob_gas, coverage, median_time, weight, \
    pool, facts_position, sequence, observed_at, stored_at";

#[derive(Row, Deserialize)]
struct HeldBlock {
    height: u64,
    hash: String,
    parent_hash: String,
    block_time: TimeMs,
    sequence: u64,
    tx_count: u32,
    log_count: u32,
}

impl HeldBlock {
    fn entry(self, network: &Network) -> Result<RingEntry, StoreError> {
        let Self { height, hash, parent_hash, block_time, sequence, tx_count, log_count } = self;
        let parsed = |what: &str, text: &str| {
            text.parse::<BlockHash>().map_err(|error| {
                StoreError::new(
                    StoreErrorKind::Version,
                    "reading what stands at heights",
                    format!(
                        "in block_rows, the {what} of block {height} of {network} (sequence {sequence}) cannot be read: {error}. This \
                         program writes no such row: find out who did, and have the height written anew with `headwater backfill --again`"
                    ),
                )
            })
        };
        Ok(RingEntry {
            network: network.clone(),
            height,
            block_hash: parsed("hash", &hash)?,
            parent_hash: parsed("parent's hash", &parent_hash)?,
            block_time,
            sequence,
            tx_count,
            log_count,
        })
    }
}

/// Which blocks.
#[derive(Debug, Clone, Default)]
pub struct BlockFilter {
    /// Of this network only; without it of all, sorted by time.
    pub network: Option<Network>,
    /// Order.
    pub sort: Sort,
    /// Where the former page ended.
    pub cursor: Option<BlockCursor>,
    /// At most this many; cut to [`limits::PAGE_ITEMS_MAX`].
    pub limit: u32,
}

/// The last block of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockCursor {
    /// Its time.
    pub timestamp: TimeMs,
    /// Its network.
    pub network: String,
    /// Its height.
    pub number: u64,
}

/// Width of the first window of heights of a list.
const FIRST_HEIGHTS: u64 = 128;
/// Width of the first window of times of a list, in milliseconds.
const FIRST_MS: u64 = 60_000;
/// Networks whose edges are looked up in one statement, and such statements at a time.
const NETWORKS_AT_ONCE: usize = 32;
/// See [`NETWORKS_AT_ONCE`].
const STATEMENTS_AT_ONCE: usize = 4;
/// Rows at either end of a network among which its earliest and latest block is: more than a reorg reverts.
const EDGE_ROWS: u64 = 4 * limits::REORG_LIMIT_BLOCKS;

impl Store {
    /// Blocks of one network by height, or of all networks by time.
    pub async fn blocks(&self, filter: &BlockFilter) -> Result<Page<Block, BlockCursor>, StoreError> {
        let limit = filter.limit.clamp(1, limits::PAGE_ITEMS_MAX);
        let (axis, bounds, first) = match &filter.network {
            Some(network) => ("number", self.height_bounds(network.as_str()).await?, FIRST_HEIGHTS),
            None => ("toUnixTimestamp64Milli(timestamp)", self.time_bounds().await?, FIRST_MS),
        };
        let Some((mut low, mut high)) = bounds else { return Ok(Page { items: Vec::new(), next: None }) };
        if let Some(c) = &filter.cursor {
            let at = if filter.network.is_some() { c.number } else { c.timestamp.0.max(0) as u64 };
            match filter.sort {
                Sort::Newest => high = high.min(at),
                Sort::Oldest => low = low.max(at),
            }
        }
        let (before, direction) = match filter.sort {
            Sort::Newest => ("<", "DESC"),
            Sort::Oldest => (">", "ASC"),
        };
        let range = match filter.network {
            Some(_) => "network = {network:String} AND number BETWEEN {from:UInt64} AND {to:UInt64}",
            None => {
                "timestamp BETWEEN fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND fromUnixTimestamp64Milli({to:Int64}, 'UTC')"
            }
        };
        let after = match (&filter.cursor, &filter.network) {
            (None, _) => String::new(),
            (Some(_), Some(_)) => format!("AND number {before} {{c_number:UInt64}}"),
            (Some(_), None) => format!(
                "AND ({axis}, network, number) {before} ({{c_time:Int64}}, {{c_network:String}}, {{c_number:UInt64}})"
            ),
        };
        let order = match filter.network {
            Some(_) => format!("number {direction}"),
            None => format!("timestamp {direction}, network {direction}, number {direction}"),
        };
        let sql = format!("SELECT {COLUMNS} FROM blocks WHERE {range} {after} ORDER BY {order} LIMIT {{limit:UInt32}}");

        let looked =
            look(Windows::new(low, high, first, filter.sort), limit, self.list_time(), |(from, to), missing| {
                let mut query = self.read_window(&sql).param("from", from).param("to", to).param("limit", missing);
                if let Some(network) = &filter.network {
                    query = query.param("network", network.as_str());
                }
                if let Some(c) = &filter.cursor {
                    query = query
                        .param("c_number", c.number)
                        .param("c_time", c.timestamp.0)
                        .param("c_network", c.network.as_str());
                }
                self.within("listing blocks", query.fetch_all::<Block>())
            });
        let Looked { items, end } = looked.await?;
        let next = match end {
            End::Over => None,
            End::OutOfTime((from, to)) => Some(edge(filter, from, to)),
            End::Full => items.last().map(|b| BlockCursor {
                timestamp: b.timestamp,
                network: b.network.clone(),
                number: b.number,
            }),
        };
        Ok(Page { items, next })
    }

    /// What stands at these heights, both ends included, lowest first: all that a revert has to name. A row that holds no block's hash is
    /// an error and not left out: whoever reverts would pass its height by, and its rows would stay.
    pub async fn held_blocks(&self, network: &Network, from: u64, to: u64) -> Result<Vec<RingEntry>, StoreError> {
        let sql = "SELECT height, hash, parent_hash, block_time, sequence, toUInt32(transaction_count) AS tx_count, \
                   toUInt32(log_count) AS log_count FROM block_rows FINAL WHERE network = {network:String} \
                   AND height BETWEEN {from:UInt64} AND {to:UInt64} ORDER BY height";
        let query = self.read(sql).param("network", network.as_str()).param("from", from).param("to", to);
        let held = self.within("reading what stands at heights", query.fetch_all::<HeldBlock>()).await?;
        held.into_iter().map(|block| block.entry(network)).collect()
    }

    /// The canonical block at a height.
    pub async fn block_by_height(&self, network: &Network, number: u64) -> Result<Option<Block>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM blocks WHERE network = {{network:String}} AND number = {{number:UInt64}}");
        let call = self.read(&sql).param("network", network.as_str()).param("number", number);
        self.within("reading a block by height", call.fetch_optional::<Block>()).await
    }

    /// The canonical block with a hash.
    pub async fn block_by_hash(&self, network: &Network, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM blocks WHERE network = {{network:String}} AND hash = {{hash:String}} \
             ORDER BY number DESC LIMIT 1"
        );
        let call = self.read(&sql).param("network", network.as_str()).param("hash", hash.as_str());
        self.within("reading a block by hash", call.fetch_optional::<Block>()).await
    }

    /// Earliest and latest block time of all networks in milliseconds since 1970, deleted rows included: of the lowest and
    /// highest heights of each, since a block's time follows its height.
    pub(super) async fn time_bounds(&self) -> Result<Option<(u64, u64)>, StoreError> {
        let networks = self.network_names().await?;
        let chunks: Vec<Vec<String>> = networks.chunks(NETWORKS_AT_ONCE).map(<[String]>::to_vec).collect();
        let all = stream::iter(chunks).map(|networks| async move {
            let branch = |i: usize, direction: &str| {
                format!(
                    "SELECT block_time FROM (SELECT block_time FROM block_rows WHERE network = {{n{i}:String}} \
                     ORDER BY network {direction}, height {direction} LIMIT {EDGE_ROWS})"
                )
            };
            let branches: Vec<String> =
                (0..networks.len()).flat_map(|i| [branch(i, "ASC"), branch(i, "DESC")]).collect();
            let sql = format!(
                "SELECT count() AS n, toUnixTimestamp64Milli(min(block_time)) AS low, \
                 toUnixTimestamp64Milli(max(block_time)) AS high FROM ({})",
                branches.join(" UNION ALL ")
            );
            let query = networks.iter().enumerate().fold(self.read(&sql), |q, (i, n)| q.param(&format!("n{i}"), n));
            self.within("reading the range of times", query.fetch_one::<(u64, i64, i64)>()).await
        });
        let found: Vec<(u64, i64, i64)> = all.buffered(STATEMENTS_AT_ONCE).try_collect().await?;
        let held = || found.iter().filter(|(n, ..)| *n > 0);
        let low = held().map(|(_, low, _)| (*low).max(0) as u64).min();
        let high = held().map(|(.., high)| (*high).max(0) as u64).max();
        Ok(low.zip(high))
    }
}

/// Where a list goes on that ran out of time after the window `from..=to`.
fn edge(filter: &BlockFilter, from: u64, to: u64) -> BlockCursor {
    // Everything in the window has been seen: a position at its far end that sorts after all of it.
    let at = if filter.sort == Sort::Newest { from } else { to };
    match &filter.network {
        Some(network) => BlockCursor { timestamp: TimeMs(0), network: network.as_str().into(), number: at },
        None => {
            let (network, number) =
                if filter.sort == Sort::Newest { (String::new(), 0) } else { ("~".into(), u64::MAX) };
            BlockCursor { timestamp: TimeMs(at as i64), network, number }
        }
    }
}
