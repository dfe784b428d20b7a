//! Which ranges of a network are held whole (rule 18), from the counts that the sink keeps.
//!
//! Guarantee: what is read does not grow with the rows that are held. Every bucket of heights that holds a block has a row in
//! `audit_rows`: its count, or a mark that it is to be counted. The marked ones, which are the open end and what changed a moment ago, are
//! counted here from their rows, the newest [`OPEN_BUCKETS`]; where there are more (a store that was just upgraded, a long back-fill) the
//! answer says of the others that they were not counted yet, and claims neither rows nor gaps. What is below the height that
//! `[store] keep` has removed is one range, `pruned`, whatever was there. The view `completeness` says the same.

use clickhouse::Row;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::{Network, limits::AUDIT_BUCKET_HEIGHTS};
use serde::Deserialize;

use super::{Bucket, Run};
use crate::{Store, StoreError};

/// Buckets that one question counts from their rows, at most.
const OPEN_BUCKETS: usize = 8;
/// Of them at the same time.
const AT_ONCE: usize = 4;
/// Ranges of buckets that were not counted whose edges are looked for; the others are told with the edges of their buckets.
const EDGES: usize = 32;
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

/// What is held of heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// Blocks with their transactions.
    Full,
    /// Blocks of which no transaction was to be had.
    Header,
    /// Nothing any more: `[store] keep` or `max_bytes` has removed it.
    Pruned,
}

impl Coverage {
    /// The word for it in SQL and REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Header => "header",
            Self::Pruned => "pruned",
        }
    }
}

/// Consecutive heights that are all complete, or all not, or all removed. Heights that no block was made for interrupt nothing.
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
    /// Whether every transaction and log that the headers count has its row; not of what was removed.
    pub complete: bool,
    /// What is held of it.
    pub coverage: Coverage,
}

#[derive(Row, Deserialize)]
struct Audited {
    from_height: u64,
    stale: u8,
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
            match self.bucket.runs.last_mut().filter(|last| last.word() == run.word() && follows(last)) {
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

/// Buckets as ranges of heights, those that follow each other as one. The buckets are sorted.
fn joined(buckets: &[u64]) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    for from in buckets {
        let to = from.saturating_add(AUDIT_BUCKET_HEIGHTS - 1);
        match found.last_mut().filter(|last| last.1.checked_add(1) == Some(*from)) {
            Some(last) => last.1 = to,
            None => found.push((*from, to)),
        }
    }
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
        coverage: if run.header_only { Coverage::Header } else { Coverage::Full },
    };
    Completeness { ranges: runs.into_iter().map(range).collect(), uncounted }
}

impl Store {
    /// What is held of a network.
    pub async fn completeness(&self, network: &Network) -> Result<Completeness, StoreError> {
        let (pruned, to_come) = futures::future::try_join(self.pruned_below(network), self.to_come(network)).await?;
        let below = pruned.as_ref().map_or(0, |pruned| pruned.below);
        // It lies below all that is there: the newest are copied first.
        let copied_from = to_come.as_ref().map_or(0, |range| range.to_number.saturating_add(1));
        let mut held = self.held(network, below, copied_from).await?;
        let pruned = pruned.filter(|pruned| pruned.from_height < below).map(|pruned| CompletenessRange {
            from_number: pruned.from_height,
            to_number: below - 1,
            blocks: 0,
            transactions_expected: 0,
            transactions_stored: 0,
            complete: false,
            coverage: Coverage::Pruned,
        });
        held.ranges.splice(0..0, pruned.into_iter().chain(to_come));
        Ok(held)
    }

    async fn held(&self, network: &Network, below: u64, copied_from: u64) -> Result<Completeness, StoreError> {
        let (mut pieces, mut open) = self.counted(network, below, copied_from).await?;
        // From the highest: those are the open end.
        let count = open.split_off(open.len().saturating_sub(OPEN_BUCKETS));
        let count = count.into_iter().map(|bucket| async move {
            Ok::<_, StoreError>(Piece::of(bucket, self.audit_bucket(network, bucket).await?))
        });
        let counted: Vec<Piece> = stream::iter(count).buffered(AT_ONCE).try_collect().await?;
        pieces.extend(counted);
        let mut uncounted = Vec::new();
        for (i, (from, to)) in joined(&open).into_iter().rev().enumerate() {
            if i >= EDGES {
                uncounted.push((from, to));
                continue;
            }
            let edges = futures::future::try_join(
                self.block_in(network, from, to, "ASC"),
                self.block_in(network, from, to, "DESC"),
            );
            let (lowest, highest) = edges.await?;
            uncounted.extend(lowest.zip(highest));
        }
        Ok(answer(pieces, uncounted))
    }

    /// The sink's counts, added up as they come, and the buckets that it is still to count.
    async fn counted(
        &self,
        network: &Network,
        below: u64,
        copied_from: u64,
    ) -> Result<(Vec<Piece>, Vec<u64>), StoreError> {
        let sql = "SELECT from_height, stale, CAST(runs, 'Array(Tuple(UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt8))') AS runs, \
                   first_parent, last_hash FROM audit_rows FINAL WHERE network = {network:String} AND from_height >= {below:UInt64} \
                   AND (stale = 1 OR from_height + {heights:UInt64} > {copied_from:UInt64}) ORDER BY from_height";
        let query = self.read(sql).param("network", network.as_str()).param("below", below);
        let query = query.param("heights", AUDIT_BUCKET_HEIGHTS).param("copied_from", copied_from);
        let read = async {
            let mut rows = query.fetch::<Audited>()?;
            let (mut pieces, mut open): (Vec<Piece>, Vec<u64>) = (Vec::new(), Vec::new());
            while let Some(row) = rows.next().await? {
                if row.stale != 0 {
                    open.push(row.from_height);
                    continue;
                }
                let run = |(from_height, to_height, blocks, t_expected, t_stored, l_expected, l_stored, word)| Run {
                    from_height,
                    to_height,
                    blocks,
                    transactions_expected: t_expected,
                    transactions_stored: t_stored,
                    logs_expected: l_expected,
                    logs_stored: l_stored,
                    complete: word == 1,
                    header_only: word == 2,
                };
                let runs = row.runs.into_iter().map(run).collect();
                let bucket = Bucket { runs, first_parent: row.first_parent, last_hash: row.last_hash };
                let next = Piece::of(row.from_height, bucket);
                match pieces.last_mut().filter(|last| last.to.checked_add(1) == Some(next.from)) {
                    Some(last) => last.add(next),
                    None => pieces.push(next),
                }
            }
            Ok((pieces, open))
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
            header_only: false,
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
    fn buckets_that_follow_each_other_are_one_range() {
        assert_eq!(joined(&[]), []);
        assert_eq!(joined(&[1_024, 2_048, 5_120]), [(1_024, 3_071), (5_120, 6_143)]);
        assert_eq!(joined(&[u64::MAX - 1_023]), [(u64::MAX - 1_023, u64::MAX)]);
    }

    #[test]
    fn blocks_without_bodies_are_a_range_of_their_own() {
        let header = |from, to| Run { header_only: true, transactions_stored: 0, ..run(from, to, false) };
        let held = answer(
            vec![
                piece(1_024, &[run(1_024, 2_046, true), header(2_047, 2_047)]),
                piece(2_048, &[header(2_048, 2_050), run(2_051, 2_052, false)]),
            ],
            Vec::new(),
        );
        let seen: Vec<_> = held.ranges.iter().map(|r| (r.from_number, r.to_number, r.coverage.as_str())).collect();
        assert_eq!(seen, [(1_024, 2_046, "full"), (2_047, 2_050, "header"), (2_051, 2_052, "full")]);
    }
}
