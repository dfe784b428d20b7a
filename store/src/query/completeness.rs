//! Counting what is held whole (rule 18), a bucket of heights at a time. [`super::held`] adds the counts up.

use std::collections::HashMap;

use clickhouse::Row;
use schemas::{Network, limits::AUDIT_BUCKET_HEIGHTS};
use serde::Deserialize;

use crate::{Store, StoreError};

/// How whole the newest heights of a network are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentCompleteness {
    /// Blocks held.
    pub blocks: u64,
    /// Of them, those that lack the row of a transaction or log which their header counts.
    pub incomplete_blocks: u64,
    /// Transactions that the headers count.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
}

impl RecentCompleteness {
    /// The sum of blocks. Pure.
    pub fn of<'c>(blocks: impl IntoIterator<Item = &'c BlockCount>) -> Self {
        blocks.into_iter().fold(Self::default(), |sum, block| Self {
            blocks: sum.blocks + 1,
            incomplete_blocks: sum.incomplete_blocks + u64::from(!block.whole),
            transactions_expected: sum.transactions_expected + block.transactions_expected,
            transactions_stored: sum.transactions_stored + block.transactions_stored,
        })
    }
}

/// How whole a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Deserialize)]
pub struct BlockCount {
    /// Its height.
    pub height: u64,
    /// Transactions that its header counts.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
    /// Whether every transaction and log that the header counts has its row.
    pub whole: bool,
}

/// Consecutive heights of a bucket that are all complete, or all not, or all without anything but headers. Heights that a block's parent hash shows to hold no block
/// (null rounds) interrupt nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First height.
    pub from_height: u64,
    /// Last height.
    pub to_height: u64,
    /// Blocks in it.
    pub blocks: u64,
    /// Transactions that the headers count.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
    /// Logs that the headers count.
    pub logs_expected: u64,
    /// Logs with a row.
    pub logs_stored: u64,
    /// Whether every transaction and log that the headers count has its row.
    pub complete: bool,
    /// Whether no body was to be had: the blocks say so, or their headers count some transactions and none of them has a row.
    pub header_only: bool,
}

impl Run {
    /// How `audit_rows` says it: 1 complete, 2 header only, 0 else.
    pub(crate) fn word(&self) -> u8 {
        if self.header_only { 2 } else { u8::from(self.complete) }
    }
}

/// What a bucket of heights holds. `H`: how hashes are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket<H = String> {
    /// Its runs, lowest first; none when it holds no block.
    pub runs: Vec<Run>,
    /// Parent hash of its lowest block.
    pub first_parent: H,
    /// Hash of its highest block.
    pub last_hash: H,
}

/// A block with what is held of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted<H = String> {
    pub height: u64,
    pub hash: H,
    pub parent_hash: H,
    /// Its header alone was to be had (rule 18).
    pub header: bool,
    pub transactions_expected: u64,
    pub transactions_stored: u64,
    pub logs_expected: u64,
    pub logs_stored: u64,
}

impl<H: Clone + Default + PartialEq> Bucket<H> {
    /// From its blocks, lowest first. Pure.
    pub(super) fn of<'b>(blocks: impl IntoIterator<Item = &'b Counted<H>>) -> Self
    where
        H: 'b,
    {
        let mut bucket = Self::default();
        for b in blocks {
            let complete =
                !b.header && (b.transactions_expected, b.logs_expected) == (b.transactions_stored, b.logs_stored);
            let header_only = b.header || (!complete && (b.transactions_stored, b.logs_stored) == (0, 0));
            let follows = |r: &Run| r.to_height + 1 == b.height || b.parent_hash == bucket.last_hash;
            let alike = |r: &Run| (r.complete, r.header_only) == (complete, header_only);
            match bucket.runs.last_mut().filter(|r| alike(r) && follows(r)) {
                Some(run) => {
                    run.to_height = b.height;
                    run.blocks += 1;
                    run.transactions_expected += b.transactions_expected;
                    run.transactions_stored += b.transactions_stored;
                    run.logs_expected += b.logs_expected;
                    run.logs_stored += b.logs_stored;
                }
                None => {
                    if bucket.runs.is_empty() {
                        bucket.first_parent.clone_from(&b.parent_hash);
                    }
                    bucket.runs.push(Run {
                        from_height: b.height,
                        to_height: b.height,
                        blocks: 1,
                        transactions_expected: b.transactions_expected,
                        transactions_stored: b.transactions_stored,
                        logs_expected: b.logs_expected,
                        logs_stored: b.logs_stored,
                        complete,
                        header_only,
                    });
                }
            }
            bucket.last_hash.clone_from(&b.hash);
        }
        bucket
    }
}

/// A line of what [`Store::blocks_between`] asks for.
#[derive(Row, Deserialize)]
struct Line {
    height: u64,
    sequence: u64,
    /// 0: a block, 1: its transactions, 2: its logs.
    kind: u8,
    hash: String,
    parent_hash: String,
    /// Transactions that the header counts, or rows.
    n: u64,
    /// Logs that the header counts.
    logs: u64,
    /// Of a block: whether its header alone was to be had.
    header: u8,
}

/// Blocks, lowest first, each with the rows of its own event. Pure.
fn put_together(lines: Vec<Line>) -> Vec<Counted> {
    let (mut blocks, mut rows) = (Vec::new(), HashMap::new());
    for line in lines {
        if line.kind == 0 {
            blocks.push(line);
        } else {
            rows.insert((line.height, line.sequence, line.kind), line.n);
        }
    }
    blocks.sort_unstable_by_key(|block| block.height);
    let counted = |block: Line| Counted {
        height: block.height,
        hash: block.hash,
        parent_hash: block.parent_hash,
        header: block.header != 0,
        transactions_expected: block.n,
        transactions_stored: rows.get(&(block.height, block.sequence, 1)).copied().unwrap_or_default(),
        logs_expected: block.logs,
        logs_stored: rows.get(&(block.height, block.sequence, 2)).copied().unwrap_or_default(),
    };
    blocks.into_iter().map(counted).collect()
}

impl Store {
    /// Counts the bucket that begins at a height, a multiple of [`AUDIT_BUCKET_HEIGHTS`], from its rows.
    pub async fn audit_bucket(&self, network: &Network, from_height: u64) -> Result<Bucket, StoreError> {
        let to_height = from_height.saturating_add(AUDIT_BUCKET_HEIGHTS - 1);
        Ok(Bucket::of(&self.blocks_between(network, from_height, to_height).await?))
    }

    /// The blocks of some heights, both ends included, counted from their rows. Three counts side by side and no join: what little of it
    /// is left is put together here.
    pub(super) async fn blocks_between(
        &self,
        network: &Network,
        from_height: u64,
        to_height: u64,
    ) -> Result<Vec<Counted>, StoreError> {
        const SQL: &str = "SELECT height, sequence, toUInt8(0) AS kind, hash, parent_hash, toUInt64(transaction_count) AS n, \
                toUInt64(log_count) AS logs, toUInt8(coverage = 'header') AS header FROM block_rows FINAL \
                WHERE network = {network:String} AND height BETWEEN {from:UInt64} AND {to:UInt64} \
            UNION ALL SELECT height, sequence, toUInt8(1), '', '', count(), toUInt64(0), toUInt8(0) FROM evm_transaction_rows FINAL \
                WHERE network = {network:String} AND height BETWEEN {from:UInt64} AND {to:UInt64} GROUP BY height, sequence \
            UNION ALL SELECT height, sequence, toUInt8(1), '', '', count(), toUInt64(0), toUInt8(0) FROM bitcoin_transaction_rows FINAL \
                WHERE network = {network:String} AND height BETWEEN {from:UInt64} AND {to:UInt64} GROUP BY height, sequence \
            UNION ALL SELECT height, sequence, toUInt8(2), '', '', count(), toUInt64(0), toUInt8(0) FROM evm_log_rows FINAL \
                WHERE network = {network:String} AND height BETWEEN {from:UInt64} AND {to:UInt64} GROUP BY height, sequence";
        let call = self
            .read(SQL)
            .with_setting("max_threads", "1")
            .param("network", network.as_str())
            .param("from", from_height)
            .param("to", to_height);
        self.within("counting a range of heights", call.fetch_all::<Line>()).await.map(put_together)
    }

    /// How whole the `heights` newest heights are. A block whose rows are being written or deleted at that moment may look incomplete.
    pub async fn recent_completeness(&self, network: &Network, heights: u64) -> Result<RecentCompleteness, StoreError> {
        let Some((_, tip)) = self.height_bounds(network.as_str()).await? else {
            return Ok(RecentCompleteness::default());
        };
        let counts = self.counts_from(network, (tip + 1).saturating_sub(heights)).await?;
        Ok(RecentCompleteness::of(&counts))
    }

    /// Counts each block from a height on. Likewise.
    pub async fn counts_from(&self, network: &Network, from: u64) -> Result<Vec<BlockCount>, StoreError> {
        let sql = "SELECT b.height AS height, toUInt64(b.transaction_count) AS transactions_expected, \
                t.n AS transactions_stored, toBool(b.transaction_count = t.n AND b.log_count = l.n) AS whole \
            FROM (SELECT height, sequence, transaction_count, log_count FROM block_rows FINAL \
                WHERE network = {network:String} AND height >= {from:UInt64}) AS b \
            LEFT JOIN (SELECT height, sequence, count() AS n FROM evm_transaction_rows FINAL \
                WHERE network = {network:String} AND height >= {from:UInt64} GROUP BY height, sequence \
                UNION ALL SELECT height, sequence, count() AS n FROM bitcoin_transaction_rows FINAL \
                WHERE network = {network:String} AND height >= {from:UInt64} GROUP BY height, sequence) AS t \
                ON b.height = t.height AND b.sequence = t.sequence \
            LEFT JOIN (SELECT height, sequence, count() AS n FROM evm_log_rows FINAL \
                WHERE network = {network:String} AND height >= {from:UInt64} GROUP BY height, sequence) AS l \
                ON b.height = l.height AND b.sequence = l.sequence";
        let call = self.read(sql).param("network", network.as_str()).param("from", from);
        self.within("reading completeness", call.fetch_all::<BlockCount>()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64, parent: u64, stored: u64) -> Counted {
        Counted {
            height,
            hash: format!("h{height}"),
            parent_hash: format!("h{parent}"),
            header: false,
            transactions_expected: 2,
            transactions_stored: stored,
            logs_expected: 0,
            logs_stored: 0,
        }
    }

    #[test]
    fn runs_end_where_completeness_changes_and_at_gaps_but_not_at_null_rounds() {
        // 13 and 14 hold no block, as the parent hash of 15 says; 17 is missing.
        let blocks = [(10, 9, 2), (11, 10, 2), (12, 11, 1), (15, 12, 1), (16, 15, 2), (18, 17, 2)];
        let blocks: Vec<Counted> = blocks.into_iter().map(|(h, p, s)| block(h, p, s)).collect();
        let bucket = Bucket::of(&blocks);
        let seen: Vec<_> = bucket.runs.iter().map(|r| (r.from_height, r.to_height, r.blocks, r.complete)).collect();
        assert_eq!(seen, [(10, 11, 2, true), (12, 15, 2, false), (16, 16, 1, true), (18, 18, 1, true)]);
        assert_eq!((bucket.runs[1].transactions_expected, bucket.runs[1].transactions_stored), (4, 2));
        assert_eq!((bucket.first_parent.as_str(), bucket.last_hash.as_str()), ("h9", "h18"));
        // 21 and 22 have nothing but their headers.
        let blocks = [(20, 19, 1), (21, 20, 0), (22, 21, 0), (23, 22, 2)];
        let blocks: Vec<Counted> = blocks.into_iter().map(|(h, p, s)| block(h, p, s)).collect();
        let bucket = Bucket::of(&blocks);
        let seen: Vec<_> =
            bucket.runs.iter().map(|r| (r.from_height, r.to_height, r.complete, r.header_only)).collect();
        assert_eq!(seen, [(20, 20, false, false), (21, 22, false, true), (23, 23, true, false)]);
        // 31 and 32 say that their headers alone were to be had: they count no transactions, and lack none.
        let blocks = [(30, 29, 2), (31, 30, 0), (32, 31, 0), (33, 32, 2)];
        let header = |b: Counted| match b.transactions_stored {
            0 => Counted { header: true, transactions_expected: 0, ..b },
            _ => b,
        };
        let blocks: Vec<Counted> = blocks.into_iter().map(|(h, p, s)| header(block(h, p, s))).collect();
        let seen: Vec<_> =
            Bucket::of(&blocks).runs.iter().map(|r| (r.from_height, r.to_height, r.complete, r.header_only)).collect();
        assert_eq!(seen, [(30, 30, true, false), (31, 32, false, true), (33, 33, true, false)]);
        assert_eq!(Bucket::<String>::of([]), Bucket::default());
    }
}
