//! Causes that come late, folded into the rows that they belong to (rules 14 and 16).
//!
//! Guarantee: a cause of revision n makes its transaction's row again with the version `sequence × 256 + n` and nothing else changed
//! but what is known of the failure.
//! Whatever is done twice, late or in another order ends the same: the highest revision of an event's row stands, its deletion lies
//! above all revisions, and the rows of a later event above those. So nothing needs to be held back: a revert or another event that
//! comes between looking and inserting wins by its version, and the event's own row, when it is inserted again, loses to its
//! revisions. A cause of a row that is not there is told, and makes none: it counts for its event and its block alone. Shown by
//! `tests/sink/fold.rs` and, in random histories, by `tests/sink/chaos.rs`.

use std::collections::HashMap;

use alloy_primitives::{Address, Bytes, FixedBytes};
use clickhouse::Row;
use schemas::{Network, records::EnrichedCause};
use serde::{Deserialize, Serialize, Serializer};

use super::insert::SETTINGS;
use crate::{
    Store, StoreError, StoreErrorKind,
    client::deadline,
    rows::{DELETION, REVISIONS},
};

/// Causes folded by one statement, and bytes of their texts: they stand in the statement.
const PER_STATEMENT: (usize, usize) = (2_048, 4 << 20);
/// The longest statement that the store reads, which escaping makes longer than the texts in it.
const STATEMENT_BYTES: &str = "67108864";

/// What became of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// Its row has it.
    Done,
    /// Its row has this revision or a higher one already.
    Held,
    /// No row of this event stands: it was reverted or replaced, is not kept, or is not stored yet.
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

/// What the column `evidence` has of a cause, as the views read it.
#[derive(Serialize)]
struct Evidence<'c> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Hex<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_address: Option<Hex<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_depth: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_signature: Option<&'c str>,
    /// A JSON object, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_arguments: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Hex<&'c Bytes>>,
    /// A JSON object, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<&'c str>,
    /// Milliseconds since 1970.
    found_at: i64,
}

/// Written in lower-case digits.
struct Hex<T>(T);

impl<T: AsRef<[u8]>> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&const_hex::encode_prefixed(self.0.as_ref()))
    }
}

fn evidence(c: &EnrichedCause) -> String {
    let evidence = Evidence {
        approximate: c.approximate,
        rule: c.rule.as_deref(),
        group: c.group.as_deref(),
        entry: c.entry.map(Hex),
        frame_address: c.frame_address.map(Hex),
        frame_depth: c.frame_depth,
        error: c.error.as_deref(),
        error_signature: c.error_signature.as_deref(),
        error_arguments: c.error_arguments.as_deref(),
        output: Some(&c.output).filter(|output| !output.is_empty()).map(Hex),
        calls: c.calls.as_deref(),
        found_at: c.found_at.0,
    };
    serde_json::to_string(&evidence).unwrap_or_default() // nothing in it can fail
}

/// About the bytes that a cause takes in a statement.
pub(super) fn bytes_of(c: &EnrichedCause) -> usize {
    let texts = [&c.rule, &c.group, &c.error, &c.error_signature, &c.error_arguments, &c.calls];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    512 + c.cause.len() + c.reason.len() + 2 * c.output.len() + texts
}

/// Folds causes of a network into its rows. The outcomes are those of the causes, in order. May be repeated.
///
/// # Errors
/// A cause's revision is none, or the store does not take it.
pub async fn fold(store: &Store, network: &Network, causes: &[EnrichedCause]) -> Result<Vec<Folded>, StoreError> {
    if let Some(bad) = causes.iter().find(|c| c.revision == 0 || u64::from(c.revision) >= DELETION) {
        let message = format!("revision {} of a cause: it must be 1 to {}", bad.revision, DELETION - 1);
        return Err(StoreError::new(StoreErrorKind::BadRequest, FOLDING, message));
    }
    let mut outcomes = Vec::with_capacity(causes.len());
    let mut rest = causes;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |c: &&EnrichedCause| {
            bytes += bytes_of(c);
            bytes <= PER_STATEMENT.1
        };
        let count = rest.iter().take(PER_STATEMENT.0).take_while(fits).count().max(1);
        let (some, others) = rest.split_at(count);
        outcomes.extend(fold_some(store, network, some).await?);
        rest = others;
    }
    Ok(outcomes)
}

const FOLDING: &str = "folding causes into rows";

async fn fold_some(store: &Store, network: &Network, causes: &[EnrichedCause]) -> Result<Vec<Folded>, StoreError> {
    let standing = standing(store, network, causes).await?;
    let mut newest: HashMap<(u64, u32), (u64, &EnrichedCause)> = HashMap::new();
    let mut outcomes = Vec::with_capacity(causes.len());
    for cause in causes {
        let key = (cause.height, cause.transaction_index);
        let is_its_own = |(hash, version): &&(String, u64)| {
            hash == cause.block_hash.as_str() && version / REVISIONS == cause.sequence
        };
        let Some((_, held)) = standing.get(&key).filter(is_its_own) else {
            outcomes.push(Folded::NoRow);
            continue;
        };
        let version = cause.sequence * REVISIONS + u64::from(cause.revision);
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
async fn standing(store: &Store, network: &Network, causes: &[EnrichedCause]) -> Result<Standing, StoreError> {
    let sql = "SELECT height, transaction_index, concat('0x', lower(hex(block_hash))) AS block_hash, version \
               FROM evm_transaction_rows FINAL WHERE network = {network:String} AND (height, transaction_index) IN \
               (SELECT toUInt64(p.1), toUInt32(p.2) FROM (SELECT arrayJoin(arrayZip(?, ?)) AS p))";
    let (heights, indexes): (Vec<u64>, Vec<u32>) = causes.iter().map(|c| (c.height, c.transaction_index)).unzip();
    let query = store.read(sql).bind(heights).bind(indexes).param("network", network.as_str());
    let query = query.with_setting("max_query_size", STATEMENT_BYTES);
    let rows = store.within(FOLDING, query.fetch_all::<Stands>()).await?;
    Ok(rows.into_iter().map(|r| ((r.height, r.transaction_index), (r.block_hash, r.version))).collect())
}

/// The rows again, at their new versions. What does not stand any more at the event that was looked at is left out.
const INSERT: &str = "INSERT INTO evm_transaction_rows
SELECT r.* REPLACE (f.version AS version, f.cause AS failure_cause, f.reason AS failure_reason, f.found_by AS found_by,
    f.selector AS error_selector, f.evidence AS evidence)
FROM (SELECT * FROM evm_transaction_rows FINAL WHERE network = {network:String} AND (height, transaction_index) IN
    (SELECT toUInt64(p.1), toUInt32(p.2) FROM (SELECT arrayJoin(arrayZip(?, ?)) AS p))) AS r
INNER JOIN (
    SELECT toUInt64(f.1) AS height, toUInt32(f.2) AS transaction_index, toUInt64(f.3) AS version, unhex(f.4) AS cause, unhex(f.5) AS reason,
        f.6 AS found_by, unhex(f.7) AS selector, f.8 AS evidence
    FROM (SELECT arrayJoin(arrayZip(?, ?, ?, ?, ?, ?, ?, ?)) AS f)
) AS f ON r.height = f.height AND r.transaction_index = f.transaction_index
WHERE intDiv(r.version, 256) = intDiv(f.version, 256) AND r.version < f.version";

async fn insert(store: &Store, network: &Network, mut folds: Vec<(u64, &EnrichedCause)>) -> Result<(), StoreError> {
    folds.sort_unstable_by_key(|(_, c)| (c.height, c.transaction_index));
    let causes = || folds.iter().map(|(_, c)| *c);
    let selector = |selector: FixedBytes<4>| const_hex::encode(selector);
    let heights: Vec<u64> = causes().map(|c| c.height).collect();
    let indexes: Vec<u32> = causes().map(|c| c.transaction_index).collect();
    let statement = store
        .client()
        .query(INSERT)
        .bind(&heights)
        .bind(&indexes)
        .bind(&heights)
        .bind(&indexes)
        .bind(folds.iter().map(|(version, _)| *version).collect::<Vec<_>>())
        // In digits: the client's escapes of line ends and tabs are not the store's.
        .bind(causes().map(|c| const_hex::encode(&c.cause)).collect::<Vec<_>>())
        .bind(causes().map(|c| const_hex::encode(&c.reason)).collect::<Vec<_>>())
        .bind(causes().map(|c| c.found_by.as_str()).collect::<Vec<_>>())
        .bind(causes().map(|c| c.error_selector.map(selector).unwrap_or_default()).collect::<Vec<_>>())
        .bind(causes().map(evidence).collect::<Vec<_>>())
        .param("network", network.as_str())
        .with_setting("max_query_size", STATEMENT_BYTES);
    let statement = SETTINGS.iter().fold(statement, |statement, (name, value)| statement.with_setting(*name, *value));
    deadline(FOLDING, store.config().write_deadline, statement.execute()).await
}
