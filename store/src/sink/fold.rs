//! Causes that come late, folded into the rows that they belong to (rules 14 and 16).
//!
//! Guarantee: a cause of revision n makes its transaction's row again with the version `sequence × 256 + n` and nothing else changed.
//! Whatever is done twice, late or in another order ends the same: the highest revision of an event's row stands, its deletion lies
//! above all revisions, and the rows of a later event above those. So nothing needs to be held back: a revert or another event that
//! comes between looking and inserting wins by its version, and the event's own row, when it is inserted again, loses to its
//! revisions. A cause of a row that is not there is told, and makes none. Shown by `tests/sink/fold.rs` and, in random histories, by
//! `tests/sink/chaos.rs`.

use std::collections::HashMap;

use clickhouse::Row;
use schemas::{BlockHash, Network};
use serde::Deserialize;

use super::insert::SETTINGS;
use crate::{
    Store, StoreError, StoreErrorKind,
    client::deadline,
    rows::{DELETION, REVISIONS},
};

/// Causes folded by one statement.
const CAUSES_PER_STATEMENT: usize = 256;

/// Why a transaction failed, as it was found out later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Height of the transaction's block.
    pub height: u64,
    /// The block: another one at this height is not meant.
    pub block_hash: BlockHash,
    /// Position in the block.
    pub transaction_index: u32,
    /// Above 0 and below 255; of two causes of a transaction the higher one stands.
    pub revision: u8,
    /// One word.
    pub cause: Option<String>,
    /// In words.
    pub reason: Option<String>,
}

/// What became of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// Its row has it.
    Done,
    /// Its row has this revision or a higher one already.
    Held,
    /// No row of this block stands: it was reverted, or is not stored yet.
    NoRow,
}

/// What stands at a key: block hash and version.
type Standing = HashMap<(u64, u32), (String, u64)>;

#[derive(Row, Deserialize)]
struct Stands {
    height: u64,
    transaction_index: u32,
    block_hash: String,
    version: u64,
}

/// Folds causes of a network into its rows. The outcomes are those of the causes, in order. May be repeated.
pub async fn fold(store: &Store, network: &Network, causes: &[Cause]) -> Result<Vec<Folded>, StoreError> {
    if let Some(bad) = causes.iter().find(|c| c.revision == 0 || u64::from(c.revision) >= DELETION) {
        let message = format!("revision {} of a cause: it must be 1 to {}", bad.revision, DELETION - 1);
        return Err(StoreError::new(StoreErrorKind::BadRequest, FOLDING, message));
    }
    let mut outcomes = Vec::with_capacity(causes.len());
    for causes in causes.chunks(CAUSES_PER_STATEMENT) {
        outcomes.extend(fold_some(store, network, causes).await?);
    }
    Ok(outcomes)
}

const FOLDING: &str = "folding causes into rows";

async fn fold_some(store: &Store, network: &Network, causes: &[Cause]) -> Result<Vec<Folded>, StoreError> {
    let standing = standing(store, network, causes).await?;
    let mut newest: HashMap<(u64, u32), (u64, &Cause)> = HashMap::new();
    let mut outcomes = Vec::with_capacity(causes.len());
    for cause in causes {
        let key = (cause.height, cause.transaction_index);
        let Some((_, held)) = standing.get(&key).filter(|(hash, _)| hash == cause.block_hash.as_str()) else {
            outcomes.push(Folded::NoRow);
            continue;
        };
        let version = held - held % REVISIONS + u64::from(cause.revision);
        if version <= *held || newest.get(&key).is_some_and(|(other, _)| *other >= version) {
            outcomes.push(Folded::Held);
            continue;
        }
        newest.insert(key, (version, cause));
        outcomes.push(Folded::Done);
    }
    if !newest.is_empty() {
        insert(store, network, newest.into_values().collect()).await?;
    }
    Ok(outcomes)
}

/// What stands where these causes belong.
async fn standing(store: &Store, network: &Network, causes: &[Cause]) -> Result<Standing, StoreError> {
    let sql = "SELECT height, transaction_index, concat('0x', lower(hex(block_hash))) AS block_hash, version \
               FROM evm_transaction_rows FINAL WHERE network = {network:String} AND height IN {heights:Array(UInt64)} \
               AND (height, transaction_index) IN (SELECT arrayJoin(arrayZip({heights:Array(UInt64)}, {indexes:Array(UInt32)})))";
    let (heights, indexes): (Vec<u64>, Vec<u32>) = causes.iter().map(|c| (c.height, c.transaction_index)).unzip();
    let query = store.read(sql).param("network", network.as_str()).param("heights", heights).param("indexes", indexes);
    let rows = store.within(FOLDING, query.fetch_all::<Stands>()).await?;
    Ok(rows.into_iter().map(|r| ((r.height, r.transaction_index), (r.block_hash, r.version))).collect())
}

/// The rows again, at their new versions. What does not stand any more at the event that was looked at is left out.
const INSERT: &str = "INSERT INTO evm_transaction_rows
SELECT r.* REPLACE (f.version AS version, f.cause AS failure_cause, f.reason AS failure_reason)
FROM (SELECT * FROM evm_transaction_rows FINAL WHERE network = {network:String} AND height IN {heights:Array(UInt64)}) AS r
INNER JOIN (
    SELECT f.1 AS height, f.2 AS transaction_index, f.3 AS version, f.4 AS cause, f.5 AS reason FROM (
        SELECT arrayJoin(arrayZip({heights:Array(UInt64)}, {indexes:Array(UInt32)}, {versions:Array(UInt64)},
            {causes:Array(String)}, {reasons:Array(String)})) AS f)
) AS f ON r.height = f.height AND r.transaction_index = f.transaction_index
WHERE intDiv(r.version, 256) = intDiv(f.version, 256) AND r.version < f.version";

async fn insert(store: &Store, network: &Network, mut folds: Vec<(u64, &Cause)>) -> Result<(), StoreError> {
    folds.sort_unstable_by_key(|(_, c)| (c.height, c.transaction_index));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let statement = store
        .client()
        .query(INSERT)
        .param("network", network.as_str())
        .param("heights", folds.iter().map(|(_, c)| c.height).collect::<Vec<_>>())
        .param("indexes", folds.iter().map(|(_, c)| c.transaction_index).collect::<Vec<_>>())
        .param("versions", folds.iter().map(|(version, _)| *version).collect::<Vec<_>>())
        .param("causes", folds.iter().map(|(_, c)| text(&c.cause)).collect::<Vec<_>>())
        .param("reasons", folds.iter().map(|(_, c)| text(&c.reason)).collect::<Vec<_>>());
    let statement = SETTINGS.iter().fold(statement, |statement, (name, value)| statement.with_setting(*name, *value));
    deadline(FOLDING, store.config().write_deadline, statement.execute()).await
}
