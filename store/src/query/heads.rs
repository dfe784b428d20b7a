//! How far windows and blocks of a network go.
//!
//! Guarantee: what is answered is what the store has now, whoever asked before. Where a head lay when it was last asked for is remembered
//! ([`Seen`]), and bounds from below what is looked through: whatever is found there is the newest there is, and where nothing is found all
//! is looked through, from its end. So a question about a head reads the few parts that are new, and not a granule of each.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use clickhouse::{Row, query::Query};
use schemas::{Network, TimeMs, limits::REORG_LIMIT_BLOCKS};
use serde::Deserialize;

use super::Step;
use crate::{Store, StoreError};

/// The heads: how far windows go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heads {
    /// Windows that begin before were removed.
    pub kept_from: i64,
    /// Beginning of the network's newest minute, which is still open, and the event that it was told at.
    pub network: Option<(i64, u64)>,
    /// From which block time on the contract is looked through for, by its newest window.
    pub watched_from: Option<i64>,
}

/// Times of a network's highest canonical block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadTimes {
    /// Its own.
    pub own: TimeMs,
    /// Bitcoin: the median time past.
    pub median: Option<TimeMs>,
}

/// How far before the place where a head was last seen it is looked for: a reorg takes it back.
const BACK_MS: i64 = 10 * Step::Minute.ms();
/// The same where only another head was seen: a contract's is before its network's, and networks are about as far as each other.
const BACK_FAR_MS: i64 = 6 * Step::Hour.ms();
/// The same in heights. Rows of reverted blocks stand above the head for a while.
const BACK_HEIGHTS: u64 = REORG_LIMIT_BLOCKS;
/// Rows from the end among which the highest canonical block ordinarily is.
const TOP_ROWS: usize = 64;
/// Heads that are remembered.
const MOST_SEEN: usize = 16_384;

/// Where heads lay when they were last asked for. Beyond [`MOST_SEEN`] all are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// Beginnings of the newest minutes, by network and contract (empty: the network's own).
    windows: HashMap<(String, String), i64>,
    /// The latest of them.
    latest: Option<i64>,
    heights: HashMap<String, u64>,
}

impl Places {
    /// From which beginning on a newest minute is looked for.
    fn since(&self, network: &str, contract: &str) -> Option<i64> {
        let seen = |contract: &str| self.windows.get(&(network.to_owned(), contract.to_owned()));
        let own = seen(contract).map(|at| at.saturating_sub(BACK_MS));
        own.or_else(|| seen("").copied().or(self.latest).map(|at| at.saturating_sub(BACK_FAR_MS)))
    }

    fn see(&mut self, network: &str, contract: &str, at: i64) {
        if self.windows.len() >= MOST_SEEN {
            self.windows.clear();
        }
        self.windows.insert((network.to_owned(), contract.to_owned()), at);
        self.latest = self.latest.max(Some(at));
    }

    fn see_height(&mut self, network: &str, height: u64) {
        if self.heights.len() >= MOST_SEEN {
            self.heights.clear();
        }
        self.heights.insert(network.to_owned(), height);
    }
}

impl Seen {
    fn with<T>(&self, look: impl FnOnce(&mut Places) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a line is about.
const NETWORK: u8 = 0;
const CONTRACT: u8 = 1;
const FLOOR: u8 = 2;

/// Before which time windows were removed.
const FLOOR_SQL: &str =
    "SELECT 2 AS what, toUnixTimestamp64Milli(max(pruned_before)) AS at, toInt64(0) AS told FROM pruned_window_rows";
/// Of a contract's window: what it says of the time from which on the contract was looked through for.
const WATCHED: &str = "ifNull(toUnixTimestamp64Milli(watched_from), toInt64(-1))";

/// What a line is about, a beginning, and the sequence or time that goes with it.
type Line = (u8, i64, i64);

/// A row of a block, the highest first.
#[derive(Debug, Clone, Row, Deserialize)]
struct Top {
    height: u64,
    version: u64,
    is_deleted: u8,
    block_time: TimeMs,
    median_time: Option<TimeMs>,
    /// Partitions of the network that no view shows.
    hidden: u64,
}

/// Pure: the highest canonical block among the highest rows; of a height the row of the highest version counts. `cut`: there are more rows,
/// perhaps of the lowest height too.
fn canonical(rows: &[Top], cut: bool) -> Option<&Top> {
    let lowest = rows.last().map(|row| row.height).filter(|_| cut);
    let of_heights = rows.chunk_by(|a, b| a.height == b.height);
    let newest = of_heights.filter_map(|of_height| of_height.iter().max_by_key(|row| row.version));
    newest.filter(|row| Some(row.height) != lowest).find(|row| row.is_deleted == 0)
}

impl Store {
    /// A read of few rows that nobody will ask for in the same words: more threads, code that is made for a condition, and a memory of which
    /// rows meet it cost more than they bring.
    pub(super) fn read_few(&self, sql: &str) -> Query {
        let settings = [
            ("max_threads", "1"),
            ("compile_expressions", "0"),
            ("compile_aggregate_expressions", "0"),
            ("compile_sort_description", "0"),
            ("use_query_condition_cache", "0"),
            ("local_filesystem_read_method", "pread"),
        ];
        settings.into_iter().fold(self.read(sql), |query, (name, value)| query.with_setting(name, value))
    }

    /// How far windows of a network go, and since when a contract of it has some: not before the time beside it, and only where one that begins
    /// then or later says so.
    pub(super) async fn window_heads(
        &self,
        network: &Network,
        contract: Option<(&str, TimeMs)>,
    ) -> Result<Heads, StoreError> {
        let address = contract.map(|(address, _)| address);
        let wanted: &[u8] = if contract.is_some() { &[NETWORK, CONTRACT] } else { &[NETWORK] };
        let (of_network, of_contract) = self.heads().with(|places| {
            (places.since(network.as_str(), ""), places.since(network.as_str(), address.unwrap_or_default()))
        });
        let mut lines = match of_network.zip(of_contract) {
            Some(since) => self.newest_since(network, address, since).await?,
            None => Vec::new(),
        };
        let has = |lines: &[Line], what: u8| lines.iter().any(|(of, ..)| *of == what);
        let missing: Vec<u8> = wanted.iter().chain(&[FLOOR]).copied().filter(|what| !has(&lines, *what)).collect();
        if !missing.is_empty() {
            lines.extend(self.newest_of_all(network, address, &missing).await?);
        }
        let of = |wanted: u8| lines.iter().find(|(what, ..)| *what == wanted).map(|(_, at, told)| (*at, *told));
        self.heads().with(|places| {
            let found = [(Some(""), of(NETWORK)), (address, of(CONTRACT))];
            for (contract, (at, _)) in found.into_iter().filter_map(|(contract, found)| contract.zip(found)) {
                places.see(network.as_str(), contract, at);
            }
        });
        let kept_from = of(FLOOR).map_or(0, |(at, _)| at);
        let newest = |what| of(what).filter(|(at, _)| *at >= kept_from);
        Ok(Heads {
            kept_from,
            network: newest(NETWORK).map(|(at, sequence)| (at, u64::try_from(sequence).unwrap_or_default())),
            watched_from: newest(CONTRACT).zip(contract).and_then(|((at, from), (_, told_from))| {
                (from >= 0 && at >= told_from.0).then_some(from.max(told_from.0))
            }),
        })
    }

    /// The newest minutes among those that begin at a time of the network's, and of the contract's, or later; and the floor.
    async fn newest_since(
        &self,
        network: &Network,
        contract: Option<&str>,
        (of_network, of_contract): (i64, i64),
    ) -> Result<Vec<Line>, StoreError> {
        let from = |time: &str| format!("window_start >= fromUnixTimestamp64Milli({{{time}:Int64}}, 'UTC')");
        let mut whose = format!("contract = '' AND {}", from("of_network"));
        if contract.is_some() {
            whose = format!("({whose} OR contract = {{contract:String}} AND {})", from("of_contract"));
        }
        let sql = format!(
            "SELECT toUInt8(contract != '') AS what, \
             tupleElement(max((toUnixTimestamp64Milli(window_start), toInt64(sequence), {WATCHED})) AS newest, 1) AS at, \
             if(what = 0, tupleElement(newest, 2), tupleElement(newest, 3)) AS told FROM window_rows \
             WHERE network = {{network:String}} AND window_seconds = 60 AND blocks > 0 AND {whose} GROUP BY contract UNION ALL {FLOOR_SQL}"
        );
        let mut query = self.read_few(&sql).param("network", network.as_str()).param("of_network", of_network.max(0));
        if let Some(contract) = contract {
            query = query.param("contract", contract).param("of_contract", of_contract.max(0));
        }
        self.within("reading how far windows go", query.fetch_all::<Line>()).await
    }

    /// The same of all there are, of those that are named.
    async fn newest_of_all(
        &self,
        network: &Network,
        contract: Option<&str>,
        which: &[u8],
    ) -> Result<Vec<Line>, StoreError> {
        // In the key's order, from its end: a granule of each part that reaches there.
        let newest = |what: u8, whose: &str, told: &str| {
            format!(
                "SELECT {what} AS what, at, told FROM (SELECT toUnixTimestamp64Milli(window_start) AS at, {told} AS told FROM window_rows \
                 WHERE network = {{network:String}} AND contract = {whose} AND window_seconds = 60 AND blocks > 0 \
                 ORDER BY window_start DESC, sequence DESC LIMIT 1)"
            )
        };
        let parts = which.iter().map(|what| match *what {
            NETWORK => newest(NETWORK, "''", "toInt64(sequence)"),
            CONTRACT => newest(CONTRACT, "{contract:String}", WATCHED),
            _ => FLOOR_SQL.to_owned(),
        });
        let query = self.read_few(&parts.collect::<Vec<_>>().join(" UNION ALL "));
        let query = if which == [FLOOR] { query } else { query.param("network", network.as_str()) };
        let query = match contract.filter(|_| which.contains(&CONTRACT)) {
            Some(contract) => query.param("contract", contract),
            None => query,
        };
        self.within("reading how far windows go", query.fetch_all::<Line>()).await
    }

    /// Times of the network's highest canonical block, as [`head`](Self::head) has it.
    pub(super) async fn head_times(&self, network: &Network) -> Result<Option<HeadTimes>, StoreError> {
        let seen = self.heads().with(|places| places.heights.get(network.as_str()).copied());
        // The table without FINAL and its other sixty columns; what a view would hide is told beside.
        let sql = format!(
            "SELECT height, version, is_deleted, block_time, median_time, \
             ifNull((SELECT count() FROM pruned_rows FINAL WHERE network = {{network:String}} AND gone = 0), 0) AS hidden \
             FROM block_rows WHERE network = {{network:String}} AND height >= {{from:UInt64}} \
             ORDER BY network DESC, height DESC LIMIT {TOP_ROWS}"
        );
        let query = self.read_few(&sql).param("network", network.as_str());
        let query = query.param("from", seen.map_or(0, |height| height.saturating_sub(BACK_HEIGHTS)));
        let rows = self.within("reading the head", query.fetch_all::<Top>()).await?;
        if rows.is_empty() && seen.is_none() {
            return Ok(None);
        }
        let shown = rows.iter().all(|row| row.hidden == 0);
        if let Some(top) = canonical(&rows, rows.len() >= TOP_ROWS).filter(|_| shown) {
            self.heads().with(|places| places.see_height(network.as_str(), top.height));
            return Ok(Some(HeadTimes { own: top.block_time, median: top.median_time }));
        }
        let head = self.head(network.as_str()).await?;
        Ok(head.map(|block| HeadTimes { own: block.timestamp, median: block.median_time }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_looked_for_from_where_it_was_seen_and_else_from_where_others_were() {
        let mut places = Places::default();
        assert_eq!(places.since("a", ""), None, "nothing was seen");
        places.see("a", "", 100 * BACK_FAR_MS);
        assert_eq!(places.since("a", ""), Some(100 * BACK_FAR_MS - BACK_MS));
        assert_eq!(places.since("a", "0xcc"), Some(99 * BACK_FAR_MS), "a contract's lies before its network's");
        assert_eq!(places.since("b", ""), Some(99 * BACK_FAR_MS), "networks are about as far as each other");
        places.see("a", "0xcc", 7 * BACK_FAR_MS);
        assert_eq!(places.since("a", "0xcc"), Some(7 * BACK_FAR_MS - BACK_MS));
        assert_eq!(places.latest, Some(100 * BACK_FAR_MS));
        (0..MOST_SEEN as u64).for_each(|n| places.see(&n.to_string(), "", 1));
        (0..=MOST_SEEN as u64).for_each(|n| places.see_height(&n.to_string(), n));
        assert!(places.windows.len() < MOST_SEEN && places.heights.len() < MOST_SEEN, "what is remembered is bounded");
    }

    #[test]
    fn the_head_is_the_highest_height_whose_newest_row_is_no_deletion() {
        let row = |height: u64, version, is_deleted| Top {
            height,
            version,
            is_deleted,
            block_time: TimeMs(height as i64),
            median_time: None,
            hidden: 0,
        };
        let head = |rows: &[Top], cut| canonical(rows, cut).map(|row| (row.height, row.version));
        assert_eq!(head(&[], false), None);
        assert_eq!(head(&[row(9, 5, 0), row(8, 4, 0)], true), Some((9, 5)));
        // Reverted, reverted and applied again, in any order of versions.
        let reverted = [row(9, 6, 1), row(9, 5, 0), row(8, 4, 0), row(8, 9, 0), row(8, 7, 1), row(7, 3, 0)];
        assert_eq!(head(&reverted, false), Some((8, 9)));
        assert_eq!(head(&[row(9, 6, 1), row(8, 4, 0)], false), Some((8, 4)));
        // A deletion of it may be among what was left out.
        assert_eq!(head(&[row(9, 6, 1), row(8, 4, 0)], true), None);
        assert_eq!(head(&[row(9, 6, 1)], false), None);
    }
}
