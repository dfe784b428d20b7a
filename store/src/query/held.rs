//! Which ranges of a network are held whole (rule 18), from counts of buckets of heights. Pure; [`super::remembered`] asks for the counts.

use std::hash::{DefaultHasher, Hash, Hasher};

use schemas::limits::AUDIT_BUCKET_HEIGHTS;

use super::{Bucket, Run};

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

impl Completeness {
    /// The lowest height from which on everything up to the highest block is held whole (rule 31: only there may somebody say that something
    /// is not, or is unspent); `None`: that of the highest block is not known, or no body of it was to be had.
    pub fn full_from(&self) -> Option<u64> {
        let last = self.ranges.last()?;
        let above = self.uncounted.last().is_some_and(|(_, to)| *to >= last.from_number);
        (last.complete && last.coverage == Coverage::Full && !above).then_some(last.from_number)
    }
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

/// A block's hash, short: it is only compared with those of blocks around. 0: none.
pub(super) fn link(hash: &str) -> u64 {
    if hash.is_empty() {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    hash.hash(&mut hasher);
    hasher.finish().max(1)
}

/// Buckets that follow each other without a hole, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// First height of the first bucket.
    pub from: u64,
    /// Last height of the last bucket.
    pub to: u64,
    bucket: Bucket<u64>,
}

impl Piece {
    pub fn of(from: u64, bucket: Bucket<u64>) -> Self {
        Self { from, to: from.saturating_add(AUDIT_BUCKET_HEIGHTS - 1), bucket }
    }

    /// Adds what follows. Heights between the two hold no block, or blocks that were not counted.
    pub fn add(&mut self, next: Self) {
        self.to = next.to;
        if self.bucket.runs.is_empty() {
            self.bucket = next.bucket;
            return;
        }
        let mut linked = self.bucket.last_hash == next.bucket.first_parent && self.bucket.last_hash != 0;
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
pub(super) fn joined(buckets: &[u64]) -> Vec<(u64, u64)> {
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
pub(super) fn answer(mut pieces: Vec<Piece>, mut uncounted: Vec<(u64, u64)>) -> Completeness {
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
        let first_parent = runs.first().map_or(0, |r| link(&format!("h{}", r.from_height - 1)));
        let last_hash = runs.last().map_or(0, |r| link(&format!("h{}", r.to_height)));
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
        next.bucket.first_parent = link("h2045");
        let held = answer(vec![piece(1_024, &[run(1_024, 2_045, true)]), next.clone()], Vec::new());
        assert_eq!(seen(&held), [(1_024, 2_060, 1_033, true)]);
        // The same over a bucket without any.
        next = piece(3_072, &[run(3_080, 3_090, true)]);
        next.bucket.first_parent = link("h2045");
        let held = answer(vec![piece(1_024, &[run(1_024, 2_045, true)]), piece(2_048, &[]), next], Vec::new());
        assert_eq!(seen(&held), [(1_024, 3_090, 1_033, true)]);
    }

    #[test]
    fn the_ledger_is_full_from_where_nothing_is_missing_up_to_the_tip() {
        let at =
            |runs: &[Run], uncounted: &[(u64, u64)]| answer(vec![piece(1_024, runs)], uncounted.to_vec()).full_from();
        assert_eq!(at(&[run(1_030, 1_100, true)], &[]), Some(1_030));
        assert_eq!(at(&[run(1_030, 1_050, true), run(1_060, 1_100, true)], &[]), Some(1_060));
        assert_eq!(at(&[run(1_030, 1_050, false), run(1_051, 1_100, true)], &[(3, 9)]), Some(1_051));
        assert_eq!(at(&[run(1_030, 1_050, true), run(1_051, 1_100, false)], &[]), None);
        assert_eq!(at(&[run(1_030, 1_100, true)], &[(1_101, 1_102)]), None, "blocks above it were not counted");
        assert_eq!(at(&[Run { header_only: true, ..run(1_030, 1_100, false) }], &[]), None);
        assert_eq!(at(&[], &[]), None);
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
