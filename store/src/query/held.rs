//! Which ranges of a network are held whole (rule 18), from the counts that the sink keeps.
//!
//! Guarantee: what is read does not grow with the rows that are held. Buckets of heights that no reorg reaches any more were
//! counted by the sink, once (`audit_rows`); those at the open end are counted from their rows, the newest [`OPEN_BUCKETS`]. Where
//! the sink has not counted yet, in a store of an older version or after a change, the answer says so and claims neither rows
//! nor gaps. The view `completeness` counts everything each time.

use clickhouse::Row;
use schemas::{Network, limits::AUDIT_BUCKET_HEIGHTS};
use serde::Deserialize;

use super::{Bucket, Run};
use crate::{Store, StoreError};

/// Buckets that one question counts from their rows, at most.
const OPEN_BUCKETS: usize = 8;
/// Holes between counted buckets that one question looks into; others are told as not counted.
const HOLES: usize = 32;
/// Ranges of one answer; what lies above is told as not counted.
const RANGES: usize = 10_000;

/// What is held of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Ranges that were counted, from the lowest height.
    pub ranges: Vec<CompletenessRange>,
    /// Heights that hold blocks and were not counted yet, first and last of each range, from the lowest.
    pub uncounted: Vec<(u64, u64)>,
}

/// Consecutive heights that are all complete, or all not. Heights that no block was made for interrupt nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletenessRange {
    /// First height.
    pub from_number: u64,
    /// Last height.
    pub to_number: u64,
    /// Blocks in it.
    pub blocks: u64,
    /// Transactions that the headers count.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
    /// Whether every transaction and log that the headers count has its row.
    pub complete: bool,
}

#[derive(Row, Deserialize)]
struct Audited {
    from_height: u64,
    #[allow(clippy::type_complexity)]
    runs: Vec<(u64, u64, u64, u64, u64, u64, u64, u8)>,
    first_parent: String,
    last_hash: String,
}

/// Buckets that follow each other without a hole, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// First height of the first bucket.
    from: u64,
    /// Last height of the last bucket.
    to: u64,
    bucket: Bucket,
}

impl Piece {
    fn of(from: u64, bucket: Bucket) -> Self {
        Self { from, to: from.saturating_add(AUDIT_BUCKET_HEIGHTS - 1), bucket }
    }

    /// Adds what follows. Heights between the two hold no block, or blocks that were not counted.
    fn add(&mut self, next: Self) {
        self.to = next.to;
        if self.bucket.runs.is_empty() {
            self.bucket = next.bucket;
            return;
        }
        let mut linked = self.bucket.last_hash == next.bucket.first_parent && !self.bucket.last_hash.is_empty();
        if !next.bucket.runs.is_empty() {
            self.bucket.last_hash = next.bucket.last_hash;
        }
        for run in next.bucket.runs {
            let follows = |last: &Run| linked || last.to_height.checked_add(1) == Some(run.from_height);
            match self.bucket.runs.last_mut().filter(|last| last.complete == run.complete && follows(last)) {
                Some(last) => join(last, &run),
                None => self.bucket.runs.push(run),
            }
            linked = false;
        }
    }
}

fn join(run: &mut Run, next: &Run) {
    run.to_height = next.to_height;
    run.blocks += next.blocks;
    run.transactions_expected += next.transactions_expected;
    run.transactions_stored += next.transactions_stored;
    run.logs_expected += next.logs_expected;
    run.logs_stored += next.logs_stored;
}

/// First height of the bucket of a height.
const fn bucket_of(height: u64) -> u64 {
    height - height % AUDIT_BUCKET_HEIGHTS
}

/// What lies between `low` and `high` and in no piece, by whole buckets, highest first. The pieces are sorted.
fn holes(pieces: &[Piece], low: u64, high: u64) -> Vec<(u64, u64)> {
    let end = bucket_of(high).saturating_add(AUDIT_BUCKET_HEIGHTS - 1);
    let mut found = Vec::new();
    let mut from = bucket_of(low);
    for piece in pieces {
        if piece.from > from {
            found.push((from, (piece.from - 1).min(end)));
        }
        match piece.to.checked_add(1) {
            Some(next) => from = from.max(next),
            None => return found.into_iter().rev().collect(),
        }
    }
    if from <= end {
        found.push((from, end));
    }
    found.retain(|(from, to)| from <= to);
    found.reverse();
    found
}

/// All pieces as one answer.
fn answer(mut pieces: Vec<Piece>, mut uncounted: Vec<(u64, u64)>) -> Completeness {
    pieces.sort_by_key(|piece| piece.from);
    let all = pieces.into_iter().reduce(|mut all, next| {
        all.add(next);
        all
    });
    let mut runs = all.map(|piece| piece.bucket.runs).unwrap_or_default();
    let beyond = runs.split_off(runs.len().min(RANGES));
    uncounted.extend(beyond.first().zip(beyond.last()).map(|(first, last)| (first.from_height, last.to_height)));
    uncounted.sort_unstable();
    let range = |run: Run| CompletenessRange {
        from_number: run.from_height,
        to_number: run.to_height,
        blocks: run.blocks,
        transactions_expected: run.transactions_expected,
        transactions_stored: run.transactions_stored,
        complete: run.complete,
    };
    Completeness { ranges: runs.into_iter().map(range).collect(), uncounted }
}

impl Store {
    /// What is held of a network.
    pub async fn completeness(&self, network: &Network) -> Result<Completeness, StoreError> {
        let mut held = self.held(network).await?;
        // It lies below all that is there: the newest are copied first.
        held.ranges.splice(0..0, self.to_come(network).await?);
        Ok(held)
    }

    async fn held(&self, network: &Network) -> Result<Completeness, StoreError> {
        let Some((low, high)) = self.height_bounds(network.as_str()).await? else {
            return Ok(Completeness::default());
        };
        let mut pieces = self.counted(network).await?;
        let (mut uncounted, mut left) = (Vec::new(), OPEN_BUCKETS);
        for (i, (from, mut to)) in holes(&pieces, low, high).into_iter().enumerate() {
            if i >= HOLES {
                uncounted.push((from, to));
                continue;
            }
            while let Some(top) = self.block_in(network, from, to, "DESC").await? {
                if left == 0 {
                    let lowest = self.block_in(network, from, to, "ASC").await?.unwrap_or(top);
                    uncounted.push((lowest, top));
                    break;
                }
                left -= 1;
                let bucket = bucket_of(top);
                pieces.push(Piece::of(bucket, self.audit_bucket(network, bucket).await?));
                match bucket.checked_sub(1).filter(|below| *below >= from) {
                    Some(below) => to = below,
                    None => break,
                }
            }
        }
        Ok(answer(pieces, uncounted))
    }

    /// The sink's counts, added up as they come.
    async fn counted(&self, network: &Network) -> Result<Vec<Piece>, StoreError> {
        let sql = "SELECT from_height, CAST(runs, 'Array(Tuple(UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt8))') AS runs, \
                   first_parent, last_hash FROM audit_rows FINAL WHERE network = {network:String} AND stale = 0 ORDER BY from_height";
        let query = self.read(sql).param("network", network.as_str());
        let read = async {
            let mut rows = query.fetch::<Audited>()?;
            let mut pieces: Vec<Piece> = Vec::new();
            while let Some(row) = rows.next().await? {
                let run =
                    |(from_height, to_height, blocks, t_expected, t_stored, l_expected, l_stored, complete)| Run {
                        from_height,
                        to_height,
                        blocks,
                        transactions_expected: t_expected,
                        transactions_stored: t_stored,
                        logs_expected: l_expected,
                        logs_stored: l_stored,
                        complete: complete != 0,
                    };
                let runs = row.runs.into_iter().map(run).collect();
                let bucket = Bucket { runs, first_parent: row.first_parent, last_hash: row.last_hash };
                let next = Piece::of(row.from_height, bucket);
                match pieces.last_mut().filter(|last| last.to.checked_add(1) == Some(next.from)) {
                    Some(last) => last.add(next),
                    None => pieces.push(next),
                }
            }
            Ok(pieces)
        };
        self.within("reading counts of completeness", read).await
    }

    /// The lowest (`ASC`) or highest (`DESC`) height between two that ever had a block row.
    async fn block_in(&self, network: &Network, from: u64, to: u64, order: &str) -> Result<Option<u64>, StoreError> {
        let sql = format!(
            "SELECT height FROM block_rows WHERE network = {{network:String}} AND height BETWEEN {{from:UInt64}} AND {{to:UInt64}} \
             ORDER BY network {order}, height {order} LIMIT 1"
        );
        let query = self.read(&sql).param("network", network.as_str()).param("from", from).param("to", to);
        self.within("looking for blocks that were not counted", query.fetch_optional::<u64>()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from_height: u64, to_height: u64, complete: bool) -> Run {
        let blocks = to_height - from_height + 1;
        let stored = if complete { blocks * 2 } else { blocks };
        Run {
            from_height,
            to_height,
            blocks,
            transactions_expected: blocks * 2,
            transactions_stored: stored,
            logs_expected: 0,
            logs_stored: 0,
            complete,
        }
    }

    fn piece(from: u64, runs: &[Run]) -> Piece {
        let first_parent = runs.first().map_or(String::new(), |r| format!("h{}", r.from_height - 1));
        let last_hash = runs.last().map_or(String::new(), |r| format!("h{}", r.to_height));
        Piece::of(from, Bucket { runs: runs.to_vec(), first_parent, last_hash })
    }

    fn seen(held: &Completeness) -> Vec<(u64, u64, u64, bool)> {
        held.ranges.iter().map(|r| (r.from_number, r.to_number, r.blocks, r.complete)).collect()
    }

    #[test]
    fn ranges_go_on_over_the_edges_of_buckets() {
        let held = answer(
            vec![
                piece(4_096, &[run(4_100, 4_200, true)]),
                piece(1_024, &[run(1_500, 2_047, true)]),
                piece(2_048, &[run(2_048, 2_050, true), run(2_051, 2_060, false), run(2_061, 3_071, true)]),
                piece(3_072, &[]),
            ],
            vec![(9_000, 9_500), (7_000, 7_100)],
        );
        let wanted = [
            (1_500, 2_050, 551, true),
            (2_051, 2_060, 10, false),
            (2_061, 3_071, 1_011, true),
            (4_100, 4_200, 101, true),
        ];
        assert_eq!(seen(&held), wanted);
        assert_eq!((held.ranges[0].transactions_expected, held.ranges[1].transactions_stored), (1_102, 10));
        assert_eq!(held.uncounted, [(7_000, 7_100), (9_000, 9_500)]);
        assert_eq!(answer(Vec::new(), Vec::new()), Completeness::default());
    }

    #[test]
    fn more_ranges_than_one_answer_gives_are_told() {
        let runs: Vec<Run> = (1..RANGES as u64 + 3).map(|height| run(height, height, height % 2 == 0)).collect();
        let held = answer(vec![piece(1, &runs)], vec![(20_000, 20_001)]);
        assert_eq!(held.ranges.len(), RANGES);
        assert_eq!(held.uncounted, [(10_001, 10_002), (20_000, 20_001)]);
    }

    #[test]
    fn heights_that_no_block_was_made_for_interrupt_nothing() {
        // 2,046 to 2,049 hold no block: the parent of 2,050 is 2,045.
        let mut next = piece(2_048, &[run(2_050, 2_060, true)]);
        next.bucket.first_parent = "h2045".into();
        let held = answer(vec![piece(1_024, &[run(1_024, 2_045, true)]), next.clone()], Vec::new());
        assert_eq!(seen(&held), [(1_024, 2_060, 1_033, true)]);
        // The same over a bucket without any.
        next = piece(3_072, &[run(3_080, 3_090, true)]);
        next.bucket.first_parent = "h2045".into();
        let held = answer(vec![piece(1_024, &[run(1_024, 2_045, true)]), piece(2_048, &[]), next], Vec::new());
        assert_eq!(seen(&held), [(1_024, 3_090, 1_033, true)]);
    }

    #[test]
    fn what_was_not_counted_is_found_newest_first() {
        assert_eq!(holes(&[], 1_500, 3_000), [(1_024, 3_071)]);
        let pieces = [piece(2_048, &[]), piece(5_120, &[])];
        assert_eq!(holes(&pieces, 100, 8_000), [(6_144, 8_191), (3_072, 5_119), (0, 2_047)]);
        assert_eq!(holes(&pieces, 2_048, 6_143), [(3_072, 5_119)]);
        assert_eq!(holes(&pieces, 2_048, 3_000), []);
        let last = Piece { from: 0, to: u64::MAX, bucket: Bucket::default() };
        assert_eq!(holes(&[last], 0, u64::MAX), []);
    }
}
