//! What a process remembers of a network's completeness (rule 18), so that who asks again has only that counted which changed.
//!
//! Guarantee: the answer equals a count of all rows, whoever writes, prunes, fills, reverts or mends, from whichever process. What is
//! read grows neither with the rows that are held nor with the time since the last question. Every bucket of heights that holds a block
//! has a row in `audit_rows`: its count, or a mark that it is to be counted. Marked ones are the open end and what changed a moment ago:
//! the newest [`OPEN_BUCKETS`] are counted from their rows, and remembered by block; where there are more (a store that was just
//! upgraded, a long back-fill) the answer says of the others that they were not counted yet, and claims neither rows nor gaps. What is
//! below the height that `[store] keep` has removed is one range, `pruned`, whatever was there. The view `completeness` says the same.
//!
//! Why what is remembered holds: first of all it is asked where the store stands ([`Standing`]), in one statement, before anything is
//! counted. The rows of a height change with an event, whose row is written last, or with a mark of its bucket, which is written last too
//! (`sink::stale`). So heights of events above the sequence at which they were counted are counted again, and buckets whose mark is
//! another one; the sink's counts are read again when the newest versions of any bucket differ. A count that sees rows of an event that
//! has no row yet is made again when it has.

use std::collections::BTreeMap;

use clickhouse::Row;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::{Network, limits::AUDIT_BUCKET_HEIGHTS};
use serde::Deserialize;

use super::{
    Bucket, Completeness, CompletenessRange, Coverage, Pruned, Run,
    completeness::Counted,
    held::{Piece, answer, joined, link},
};
use crate::{Store, StoreError};

/// Buckets that one question counts from their rows, at most.
const OPEN_BUCKETS: usize = 8;
/// Of them at the same time.
const AT_ONCE: usize = 4;
/// Ranges of buckets that were not counted whose edges are looked for; the others are told with the edges of their buckets.
const EDGES: usize = 32;
/// Events since the last question from which on all that is open is counted anew.
const CHANGES: u64 = 4 * AUDIT_BUCKET_HEIGHTS;

/// What is remembered of one network: runs of what the sink has counted, and some 60 bytes for each block of at most [`OPEN_BUCKETS`]
/// buckets. Of another network nothing of it holds.
#[derive(Debug, Default)]
pub struct Remembered {
    standing: Option<Standing>,
    pruned: Option<Pruned>,
    /// The sink's counts, those of buckets that follow each other as one.
    counted: Vec<Piece>,
    /// Buckets that are marked, with the version of the mark, lowest first.
    marked: Vec<(u64, u64)>,
    /// What was counted of the newest of them.
    open: BTreeMap<u64, Open>,
}

impl Remembered {
    /// The last event up to which it counts everything; 0 before the first question.
    pub fn sequence(&self) -> u64 {
        self.standing.map_or(0, |standing| standing.sequence)
    }
}

/// Blocks of a marked bucket.
#[derive(Debug)]
struct Open {
    /// Version of the mark.
    version: u64,
    blocks: BTreeMap<u64, Counted<u64>>,
}

/// Where the store stands with a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    /// The last event that is visible.
    sequence: u64,
    /// Digest over the newest version of each bucket.
    audits: u64,
    /// Heights below this one were removed.
    below: u64,
    /// Whether rows of a former layout are being copied.
    upgrading: bool,
}

/// Heights of a bucket: the bucket, the lowest, the highest.
type Span = (u64, u64, u64);

/// A line of what [`Store::standing`] asks for. Kind 0: a bucket with events, the lowest and highest height of those that are new, its last
/// event; 1: the digest over counts; 2: the height below which rows were removed; 3: networks that are being copied.
#[derive(Row, Deserialize)]
struct Line {
    kind: u8,
    a: u64,
    b: u64,
    c: u64,
    d: u64,
}

#[derive(Row, Deserialize)]
struct Audited {
    from_height: u64,
    version: u64,
    stale: u8,
    #[allow(clippy::type_complexity)]
    runs: Vec<(u64, u64, u64, u64, u64, u64, u64, u8)>,
    first_parent: String,
    last_hash: String,
}

pub(super) fn short(block: Counted) -> (u64, Counted<u64>) {
    let (hash, parent_hash) = (link(&block.hash), link(&block.parent_hash));
    let Counted { height, header, transactions_expected, transactions_stored, logs_expected, logs_stored, .. } = block;
    let short = Counted {
        height,
        hash,
        parent_hash,
        header,
        transactions_expected,
        transactions_stored,
        logs_expected,
        logs_stored,
    };
    (height, short)
}

impl Store {
    /// What is held of a network.
    pub async fn completeness(&self, network: &Network) -> Result<Completeness, StoreError> {
        self.completeness_again(network, &mut Remembered::default()).await
    }

    /// The same, for who remembers what was counted the last time. Where it fails, nothing is remembered.
    pub async fn completeness_again(
        &self,
        network: &Network,
        remembered: &mut Remembered,
    ) -> Result<Completeness, StoreError> {
        let mut known = std::mem::take(remembered);
        if known.standing.is_some_and(|before| before.upgrading) {
            known = Remembered::default();
        }
        let (standing, changed) = match self.standing(network, known.sequence()).await? {
            Some(now) => now,
            // The event up to which it was counted is gone: this is another store.
            None => {
                known = Remembered::default();
                self.standing(network, 0).await?.unwrap_or_default()
            }
        };
        if standing.upgrading {
            known = Remembered::default();
        }
        let to_come = if standing.upgrading { self.to_come(network).await? } else { None };
        if known.standing.map_or(0, |before| before.below) != standing.below {
            known.pruned = self.pruned_below(network).await?;
        }
        let below = known.pruned.as_ref().map_or(0, |pruned| pruned.below);
        let alike = |before: Standing| (before.audits, before.below) == (standing.audits, standing.below);
        if !known.standing.is_some_and(alike) {
            // It lies below all that is there: the newest are copied first.
            let copied_from = to_come.as_ref().map_or(0, |range| range.to_number.saturating_add(1));
            (known.counted, known.marked) = self.counted(network, (below, u64::MAX), copied_from).await?;
        }
        let newest = known.marked.len().saturating_sub(OPEN_BUCKETS);
        self.count_open(network, &mut known, newest, (standing.sequence, changed)).await?;
        let uncounted = self.outer_edges(network, &known.marked[..newest]).await?;
        let open = known.open.iter().map(|(from, open)| Piece::of(*from, Bucket::of(open.blocks.values())));
        let mut held = answer(known.counted.iter().cloned().chain(open).collect(), uncounted);
        let pruned = known.pruned.as_ref().filter(|pruned| pruned.from_height < below);
        let pruned = pruned.map(|pruned| CompletenessRange {
            from_number: pruned.from_height,
            to_number: below - 1,
            blocks: 0,
            transactions_expected: 0,
            transactions_stored: 0,
            complete: false,
            coverage: Coverage::Pruned,
        });
        held.ranges.splice(0..0, pruned.into_iter().chain(to_come));
        known.standing = Some(standing);
        *remembered = known;
        Ok(held)
    }

    /// Where the store stands, and which heights changed since an event (0: none is known), by bucket. One statement, and not one for each
    /// figure, since it is asked again and again; of a union, since subqueries for single values cost twice as much. `None` when the
    /// event is not held any more.
    async fn standing(&self, network: &Network, since: u64) -> Result<Option<(Standing, Vec<Span>)>, StoreError> {
        let events = match since {
            0 => {
                "SELECT toUInt8(0) AS kind, sequence AS a, toUInt64(0) AS b, toUInt64(0) AS c, sequence AS d FROM block_event_rows \
                  WHERE network = {network:String} ORDER BY sequence DESC LIMIT 1"
            }
            _ => {
                "SELECT toUInt8(0) AS kind, intDiv(height, {heights:UInt64}) * {heights:UInt64} AS a, \
                 minIf(height, sequence > {since:UInt64}) AS b, maxIf(height, sequence > {since:UInt64}) AS c, max(sequence) AS d \
                 FROM block_event_rows WHERE network = {network:String} AND sequence >= {since:UInt64} GROUP BY a"
            }
        };
        let sql = format!(
            "SELECT * FROM ({events}) \
             UNION ALL SELECT toUInt8(1), groupBitXor(cityHash64(from_height, v)), toUInt64(0), toUInt64(0), toUInt64(0) FROM \
                 (SELECT from_height, max(version) AS v FROM audit_rows WHERE network = {{network:String}} GROUP BY from_height) \
             UNION ALL SELECT toUInt8(2), max(pruned_below), toUInt64(0), toUInt64(0), toUInt64(0) FROM pruned_rows \
                 WHERE network = {{network:String}} \
             UNION ALL SELECT toUInt8(3), count(), toUInt64(0), toUInt64(0), toUInt64(0) FROM upgrade_rows \
                 WHERE network = {{network:String}}"
        );
        let call = self.read(&sql).with_setting("max_threads", "1").param("network", network.as_str());
        let call = call.param("heights", AUDIT_BUCKET_HEIGHTS).param("since", since);
        let lines = self.within("reading where completeness stands", call.fetch_all::<Line>()).await?;
        let (mut standing, mut spans, mut held) = (Standing::default(), Vec::new(), since == 0);
        for Line { kind, a, b, c, d } in lines {
            match kind {
                0 => {
                    held = true;
                    standing.sequence = standing.sequence.max(d);
                    if since > 0 && d > since {
                        spans.push((a, b, c));
                    }
                }
                1 => standing.audits = a,
                2 => standing.below = a,
                _ => standing.upgrading = a > 0,
            }
        }
        spans.sort_unstable();
        Ok(held.then_some((standing, spans)))
    }

    /// Counts what is marked from the `newest`th mark on, as far as it is not known at this sequence; these heights changed since the last
    /// time.
    async fn count_open(
        &self,
        network: &Network,
        known: &mut Remembered,
        newest: usize,
        (sequence, mut spans): (u64, Vec<Span>),
    ) -> Result<(), StoreError> {
        let marked = &known.marked[newest..];
        // Before the first event nothing tells of changes.
        if known.sequence() == 0 || sequence.saturating_sub(known.sequence()) > CHANGES {
            known.open.clear();
        }
        known.open.retain(|bucket, open| marked.contains(&(*bucket, open.version)));
        spans.retain(|(bucket, ..)| known.open.contains_key(bucket));
        let unknown = marked.iter().filter(|(bucket, _)| !known.open.contains_key(bucket));
        spans.extend(unknown.map(|(bucket, _)| (*bucket, *bucket, bucket.saturating_add(AUDIT_BUCKET_HEIGHTS - 1))));
        // From the highest: those are what is written now.
        let count = spans.into_iter().rev().map(|(bucket, low, high)| async move {
            Ok::<_, StoreError>((bucket, low, high, self.blocks_between(network, low, high).await?))
        });
        let counts: Vec<_> = stream::iter(count).buffered(AT_ONCE).try_collect().await?;
        for (bucket, low, high, blocks) in counts {
            let version = marked.iter().find(|(marked, _)| *marked == bucket).map_or(0, |(_, version)| *version);
            let open = known.open.entry(bucket).or_insert_with(|| Open { version, blocks: BTreeMap::new() });
            open.blocks.retain(|height, _| !(low..=high).contains(height));
            open.blocks.extend(blocks.into_iter().map(short));
        }
        Ok(())
    }

    /// First and last block of what is marked and not counted here: of each range of buckets that follow each other.
    async fn outer_edges(&self, network: &Network, marked: &[(u64, u64)]) -> Result<Vec<(u64, u64)>, StoreError> {
        let buckets: Vec<u64> = marked.iter().map(|(bucket, _)| *bucket).collect();
        let mut uncounted = Vec::new();
        for (i, (from, to)) in joined(&buckets).into_iter().rev().enumerate() {
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
        Ok(uncounted)
    }

    /// The sink's counts, added up as they come, and the buckets that it is still to count with the versions of their marks; of buckets that
    /// begin between two heights, both included.
    pub(super) async fn counted(
        &self,
        network: &Network,
        (first, last): (u64, u64),
        copied_from: u64,
    ) -> Result<(Vec<Piece>, Vec<(u64, u64)>), StoreError> {
        let sql = "SELECT from_height, version, stale, \
                   CAST(runs, 'Array(Tuple(UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt8))') AS runs, \
                   first_parent, last_hash FROM audit_rows FINAL WHERE network = {network:String} \
                   AND from_height BETWEEN {first:UInt64} AND {last:UInt64} \
                   AND (stale = 1 OR from_height + {heights:UInt64} > {copied_from:UInt64}) ORDER BY from_height";
        let query = self.read(sql).param("network", network.as_str()).param("first", first).param("last", last);
        let query = query.param("heights", AUDIT_BUCKET_HEIGHTS).param("copied_from", copied_from);
        let read = async {
            let mut rows = query.fetch::<Audited>()?;
            let (mut pieces, mut marked): (Vec<Piece>, Vec<(u64, u64)>) = (Vec::new(), Vec::new());
            while let Some(row) = rows.next().await? {
                if row.stale != 0 {
                    marked.push((row.from_height, row.version));
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
                let (first_parent, last_hash) = (link(&row.first_parent), link(&row.last_hash));
                let next = Piece::of(row.from_height, Bucket { runs, first_parent, last_hash });
                match pieces.last_mut().filter(|last| last.to.checked_add(1) == Some(next.from)) {
                    Some(last) => last.add(next),
                    None => pieces.push(next),
                }
            }
            Ok((pieces, marked))
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
