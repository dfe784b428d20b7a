//! The statements: which partitions there are, what was published of them, and their end.

use std::time::Duration;

use clickhouse::Row;
use schemas::TimeMs;
use serde::Deserialize;

use super::{
    super::{family::of_heights, insert::SETTINGS},
    plan::{Held, NetworkParts},
};
use crate::{Store, StoreError, client::deadline};

#[derive(Row, Deserialize)]
struct PartRow {
    table: String,
    id: String,
    partition: String,
    bytes: u64,
    rows: u64,
}

/// What was published and is hidden still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    pub network: String,
    pub pruned_below: u64,
    pub first_part: u64,
    pub end_part: u64,
    /// How long ago.
    pub age: Duration,
}

/// The partitions of heights that have rows, and their sizes.
pub(super) async fn held(store: &Store) -> Result<Held, StoreError> {
    let sql = "SELECT table, partition_id AS id, any(partition) AS partition, sum(bytes_on_disk) AS bytes, sum(rows) AS rows \
               FROM system.parts WHERE database = {database:String} AND active GROUP BY table, partition_id";
    let query = store.read(sql).param("database", store.database()).fetch_all::<PartRow>();
    let rows = store.within("reading the partitions", query).await?;
    let sql = "SELECT toString(network), argMin(span, (at, span)) FROM partition_rows GROUP BY network";
    let spans = store.within("reading networks' partitions", store.read(sql).fetch_all::<(String, u32)>()).await?;
    let mut held = Held { bytes: rows.iter().map(|row| row.bytes).sum(), ..Held::default() };
    for (network, span) in spans {
        held.networks.insert(network, NetworkParts { span, ..NetworkParts::default() });
    }
    // Events stay: they are the sink's position, and gaplessness is a query over them.
    for row in rows.into_iter().filter(|row| of_heights().any(|table| table.name == row.table)) {
        let Some((network, number)) = key_of(&row.partition) else { continue };
        let Some(network) = held.networks.get_mut(network) else { continue };
        let size = network.parts.entry(number).or_default();
        size.bytes += row.bytes;
        size.blocks += if row.table == "block_rows" { row.rows } else { 0 };
        size.ids.push((row.table, row.id));
    }
    Ok(held)
}

/// Network and number of a partition as the engine writes its key: `('mantle-mainnet',17)`.
fn key_of(partition: &str) -> Option<(&str, u64)> {
    let (network, number) = partition.strip_prefix("('")?.strip_suffix(')')?.rsplit_once("',")?;
    Some((network, number.trim().parse().ok()?))
}

/// What is hidden, by network.
pub(super) async fn hidden(store: &Store) -> Result<Vec<Hidden>, StoreError> {
    let sql = "SELECT toString(network), pruned_below, first_part, end_part, \
               toUInt64(greatest(0, dateDiff('millisecond', at, now64(3, 'UTC')))) FROM pruned_rows FINAL WHERE gone = 0 \
               ORDER BY network, pruned_below, first_part";
    let rows = store.read(sql).fetch_all::<(String, u64, u64, u64, u64)>();
    let hidden = |(network, pruned_below, first_part, end_part, age)| Hidden {
        network,
        pruned_below,
        first_part,
        end_part,
        age: Duration::from_millis(age),
    };
    Ok(store.within("reading what goes", rows).await?.into_iter().map(hidden).collect())
}

/// Time of the newest block of a partition.
pub(super) async fn newest(store: &Store, network: &str, span: u32, part: u64) -> Result<TimeMs, StoreError> {
    let from = part * u64::from(span);
    // A few at the top: a block's time follows its height, but not on every chain strictly.
    let sql = "SELECT toUnixTimestamp64Milli(max(block_time)) FROM (SELECT block_time FROM block_rows WHERE network = {network:String} \
               AND height BETWEEN {from:UInt64} AND {to:UInt64} ORDER BY network DESC, height DESC LIMIT 256)";
    let query = store.read(sql).param("network", network).param("from", from);
    let query = query.param("to", from + u64::from(span) - 1).fetch_one::<i64>();
    Ok(TimeMs(store.within("reading how old a partition is", query).await?))
}

/// The version of what is said now: above all that was said of the same.
const VERSION: &str = "greatest(toUInt64(toUnixTimestamp64Micro(now64(6))), 1 + toUInt64(ifNull((SELECT max(version) FROM pruned_rows \
    WHERE network = {network:String} AND pruned_below = {below:UInt64} AND first_part = {first:UInt64}), 0)))";

/// Says that a network's rows below a height go, which lie in these partitions (the first, and the one behind the last).
pub(super) async fn publish(
    store: &Store,
    (network, span): (&str, u32),
    below: u64,
    (first, end): (u64, u64),
    (newest, reason): (TimeMs, &str),
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO pruned_rows (network, pruned_below, first_part, version, end_part, gone, from_height, newest_time, reason, at) \
         WITH ifNull((SELECT min(from_height) FROM pruned_rows WHERE network = {{network:String}} HAVING count() > 0), \
            ifNull((SELECT height FROM block_rows WHERE network = {{network:String}} ORDER BY network ASC, height ASC LIMIT 1), \
                {{first:UInt64}} * {{span:UInt64}})) AS low \
         SELECT {{network:String}}, {{below:UInt64}}, {{first:UInt64}}, {VERSION}, {{end:UInt64}}, 0, low, \
            fromUnixTimestamp64Milli({{newest:Int64}}, 'UTC'), {{reason:String}}, now64(3, 'UTC')"
    );
    let statement = store.client().query(&sql).param("network", network).param("below", below).param("first", first);
    let statement = statement.param("end", end).param("span", u64::from(span)).param("newest", newest.0);
    let statement = statement.param("reason", reason);
    let statement = SETTINGS.iter().fold(statement, |s, (name, value)| s.with_setting(*name, *value));
    deadline("saying what goes", store.config().write_deadline, statement.execute()).await
}

/// Says that nothing is left of what was published.
pub(super) async fn gone(store: &Store, row: &Hidden) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO pruned_rows (network, pruned_below, first_part, version, end_part, gone, from_height, newest_time, reason, at) \
         SELECT network, pruned_below, first_part, {VERSION}, end_part, 1, from_height, newest_time, reason, at FROM pruned_rows FINAL \
         WHERE network = {{network:String}} AND pruned_below = {{below:UInt64}} AND first_part = {{first:UInt64}}"
    );
    let statement = store.client().query(&sql).param("network", row.network.as_str()).param("below", row.pruned_below);
    let statement = statement.param("first", row.first_part);
    let statement = SETTINGS.iter().fold(statement, |s, (name, value)| s.with_setting(*name, *value));
    deadline("saying what is gone", store.config().write_deadline, statement.execute()).await
}

/// Drops a partition, whatever its size.
pub(super) async fn drop_partition(store: &Store, table: &str, id: &str) -> Result<(), StoreError> {
    let statement = store.client().query(&format!("ALTER TABLE {table} DROP PARTITION ID {{id:String}}"));
    let statement = statement.param("id", id).with_setting("max_partition_size_to_drop", "0");
    deadline("dropping old rows", store.config().write_deadline, statement.execute()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitions_key_is_read() {
        assert_eq!(key_of("('mantle-mainnet',17)"), Some(("mantle-mainnet", 17)));
        for other in ["tuple()", "17", "('a')", "('a',x)", ""] {
            assert_eq!(key_of(other), None, "{other}");
        }
    }
}
