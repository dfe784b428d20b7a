//! What a monitor matched, the newest first.
//!
//! Guarantee: a match is there once, by its place in its transaction (rule 29), with the last that was said of it: one whose block was
//! reverted and that came again in another block is live, in that one.

use std::collections::HashSet;

use clickhouse::Row;
use schemas::{TimeMs, limits};
use serde::Deserialize;

use super::Whose;
use crate::{
    Store, StoreError,
    query::{
        Sort,
        windows::{Windows, look},
    },
};

/// How long matches are kept: the table's own.
const KEPT_MS: i64 = 30 * 86_400_000;
/// A block's time may lie so far ahead of our clock, milliseconds.
const AHEAD_MS: i64 = 3 * 3_600_000;
/// Width of the first window, milliseconds.
const FIRST_MS: u64 = 600_000;
/// What was reverted comes again within this time of its former block, milliseconds: the longest reorg that is followed, on the slowest chain.
const AGAIN_MS: i64 = 2 * 86_400_000;

/// Which matches.
#[derive(Debug, Clone)]
pub struct MatchFilter {
    /// Of this monitor.
    pub monitor: String,
    /// Only live ones (`true`), or only those that were taken back.
    pub live: Option<bool>,
    /// At most so many; cut to [`limits::PAGE_ITEMS_MAX`].
    pub limit: u32,
}

/// A match.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct MatchRow {
    /// Slug of its network.
    pub network: String,
    /// The transaction: hex with `0x`.
    pub hash: String,
    /// `event`, `function` or `transaction`.
    pub kind: String,
    /// Which of the monitor's conditions of that kind, from 0.
    pub condition: u32,
    /// Place of the log in its transaction, from 1; 0: it is no log.
    pub place: u32,
    /// What was called or emitted; empty of a transaction.
    pub signature: String,
    /// Its arguments, a JSON object.
    pub arguments: String,
    /// Height of its block.
    pub height: u64,
    /// The block: hex with `0x`.
    pub block: String,
    /// Version of the monitor then.
    pub version: u64,
    /// Whether it stands.
    pub live: bool,
    /// Time of the block.
    pub time: TimeMs,
    /// The block event that said so.
    pub last: u64,
}

impl MatchRow {
    /// What tells it from others of its monitor, whatever block it is in.
    fn identity(&self) -> (String, String, String, u32, u32) {
        (self.network.clone(), self.hash.clone(), self.kind.clone(), self.condition, self.place)
    }
}

/// What is said last of each match in each of its blocks.
const LAST: &str = "SELECT m.network AS network, concat('0x', lower(hex(m.transaction_hash))) AS hash, m.kind AS kind, m.condition AS condition, \
        m.place AS place, argMax(m.signature, m.sequence) AS signature, argMax(m.arguments, m.sequence) AS arguments, \
        any(m.height) AS height, concat('0x', lower(hex(m.block_hash))) AS block, argMax(m.monitor_version, m.sequence) AS version, \
        argMax(m.op, m.sequence) != 'retract' AS live, m.at AS time, max(m.sequence) AS last FROM alert_match_rows AS m";
const BY_BLOCK: &str = "GROUP BY m.network, m.transaction_hash, m.kind, m.condition, m.place, m.block_hash, m.at";

impl Store {
    /// The newest matches of a tenant's monitor.
    ///
    /// # Errors
    /// The store is away.
    pub async fn matches(&self, whose: &Whose, filter: &MatchFilter) -> Result<Vec<MatchRow>, StoreError> {
        let tenants = self.tenants();
        let wanted = match filter.live {
            Some(true) => "HAVING live",
            Some(false) => "HAVING NOT live",
            None => "",
        };
        let sql = format!(
            "{LAST} WHERE {} AND source_id = {{monitor:String}} AND at >= fromUnixTimestamp64Milli({{w_from:Int64}}, 'UTC') \
             AND at <= fromUnixTimestamp64Milli({{w_to:Int64}}, 'UTC') {BY_BLOCK} {wanted} \
             ORDER BY time DESC, last DESC, hash, place LIMIT {{limit:UInt32}}",
            whose.condition()
        );
        let limit = filter.limit.clamp(1, limits::PAGE_ITEMS_MAX);
        let now = TimeMs::now().0;
        let unsigned = |time: i64| u64::try_from(time).unwrap_or_default();
        let windows =
            Windows::new(unsigned(now.saturating_sub(KEPT_MS)), unsigned(now + AHEAD_MS), FIRST_MS, Sort::Newest);
        let looked = look(windows, limit, self.list_time(), |(from, to), limit| {
            let query = whose.bind(tenants.read_window(&sql)).param("monitor", filter.monitor.as_str());
            let query = query.param("w_from", from).param("w_to", to).param("limit", limit);
            self.within("listing matches", query.fetch_all::<MatchRow>())
        });
        let mut found = looked.await?.items;
        let again = self.again(whose, &filter.monitor, &found).await?;
        let mut seen = HashSet::new();
        // What was taken back and came again stands in its new block, and what was taken back twice is told once.
        found.retain(|row| row.live || (!again.contains(&row.identity()) && seen.insert(row.identity())));
        Ok(found)
    }

    /// Those of these that were taken back, and stand in another block.
    async fn again(
        &self,
        whose: &Whose,
        monitor: &str,
        found: &[MatchRow],
    ) -> Result<HashSet<(String, String, String, u32, u32)>, StoreError> {
        let gone = || found.iter().filter(|row| !row.live);
        let (Some(first), Some(last)) = (gone().map(|row| row.time.0).min(), gone().map(|row| row.time.0).max()) else {
            return Ok(HashSet::new());
        };
        let mut hashes: Vec<&str> = gone().map(|row| row.hash.trim_start_matches("0x")).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let sql = format!(
            "{LAST} WHERE {} AND source_id = {{monitor:String}} AND at >= fromUnixTimestamp64Milli({{from:Int64}}, 'UTC') \
             AND at <= fromUnixTimestamp64Milli({{to:Int64}}, 'UTC') \
             AND transaction_hash IN (SELECT toFixedString(unhex(arrayJoin({{hashes:Array(String)}})), 32)) {BY_BLOCK} HAVING live \
             LIMIT {{limit:UInt32}}",
            whose.condition()
        );
        let query = whose.bind(self.tenants().read(&sql)).param("monitor", monitor).param("hashes", hashes);
        let query = query.param("from", (first - AGAIN_MS).max(0)).param("to", last + AGAIN_MS);
        let query = query.param("limit", 4 * limits::PAGE_ITEMS_MAX);
        let rows = self.within("looking for matches that came again", query.fetch_all::<MatchRow>()).await?;
        Ok(rows.iter().map(MatchRow::identity).collect())
    }
}
