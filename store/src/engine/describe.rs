//! The engine as analysts see it: views in a database of their own that stand in the place of tables of `system`.
//!
//! Guarantee: they show no path, no file, no other database than the store's, and of running statements only the analysts' own.
//! The judge puts them into a statement where it names the table; they are made anew at every start and are not on disk. Each
//! reads its table through a LIMIT, below which the engine moves no condition: one that fails on a row tells of that row. Behind
//! them the engine's policies on rows hide others' statements, and all that tells of the process, from whoever lacks the stages' role.

use super::ffi::{Connection, Exception};
use super::sql::{quoted_name, quoted_text};
use super::watched;

/// Tables of `system` that analysts read through these views.
pub(super) const TABLES: &[&str] = &[
    "clusters",
    "databases",
    "dictionaries",
    "functions",
    "macros",
    "parts",
    "parts_columns",
    "processes",
    "settings",
    "tables",
];

/// Tables of `system` whose rows nobody sees without the stages' role. The engine has no grants on its own tables here, but it has
/// policies on rows.
const FOR_STAGES: &[&str] = &[
    "asynchronous_inserts",
    "asynchronous_loader",
    "azure_queue_metadata_cache",
    "azure_queue_settings",
    "background_schedule_pool",
    "backups",
    "certificates",
    "completions",
    "dashboards",
    "database_replicas",
    "detached_parts",
    "detached_tables",
    "dimensional_metrics",
    "disk_types",
    "disks",
    "distributed_ddl_queue",
    "distribution_queue",
    "dns_cache",
    "dropped_tables",
    "dropped_tables_parts",
    "enabled_roles",
    "errors",
    "events",
    "fail_points",
    "filesystem_cache",
    "filesystem_cache_settings",
    "grants",
    "histogram_metrics",
    "hypothetical_indexes",
    "iceberg_files",
    "iceberg_history",
    "jemalloc_bins",
    "jemalloc_profile_text",
    "jemalloc_stats",
    "kafka_consumers",
    "masking_policies",
    "merges",
    "metrics",
    "models",
    "moves",
    "mutations",
    "named_collections",
    "part_moves_between_shards",
    "projection_parts",
    "projection_parts_columns",
    "query_cache",
    "query_condition_cache",
    "quota_limits",
    "quota_usage",
    "quotas",
    "quotas_usage",
    "remote_data_paths",
    "replicas",
    "replicated_fetches",
    "replication_queue",
    "resources",
    "rocksdb",
    "role_grants",
    "roles",
    "row_policies",
    "s3_queue_settings",
    "s3queue_metadata_cache",
    "scheduler",
    "schema_inference_cache",
    "server_settings",
    "settings_changes",
    "settings_profile_elements",
    "settings_profiles",
    "stack_trace",
    "storage_policies",
    "symbols",
    "user_defined_functions",
    "user_directories",
    "user_processes",
    "users",
    "view_refreshes",
    "warnings",
    "workloads",
];

/// The engine's own policies on rows, as table and condition: what a statement without the stages' role sees of `system`. Without `contracts`
/// nothing is told of how much there is, part by part, of what is kept by watched contract: from numbers of them their names would follow.
pub(super) fn policies(store: &str, contracts: bool) -> Vec<(&'static str, String)> {
    const STAGES: &str = "has(currentRoles(), 'stages')";
    let own = format!("startsWith(Settings['log_comment'], '{ANALYSTS_COMMENT} ') OR {STAGES}");
    let mut all: Vec<_> = FOR_STAGES.iter().map(|table| (*table, STAGES.to_owned())).collect();
    all.push(("processes", own));
    if !contracts {
        let (store, roles) = (quoted_text(store), watched::READ_BY);
        let tables = format!("({}, {})", quoted_text(watched::WINDOWS), quoted_text(watched::BLOCKS));
        let sized = [("tables", "name"), ("parts", "table"), ("parts_columns", "table"), ("columns", "table")];
        all.extend(sized.map(|(of, name)| (of, format!("NOT (database = {store} AND {name} IN {tables}) OR {roles}"))));
    }
    all
}

/// How the `log_comment` of an analyst's statement begins; the request's id and the client's query id follow, each after a blank.
pub(super) const ANALYSTS_COMMENT: &str = "analyst";

/// The database that holds the views.
pub(super) fn database(store: &str) -> String {
    format!("{store}_system")
}

/// Makes them. `writable` are the settings that an analyst may change, `readable` the tables of `system` that one may read.
pub(super) fn make(
    master: &mut Connection,
    store: &str,
    readable: &[&str],
    writable: &[String],
) -> Result<(), Exception> {
    let texts = |names: &mut dyn Iterator<Item = &str>| names.map(quoted_text).collect::<Vec<_>>().join(", ");
    let (own, home) = (texts(&mut [store].into_iter()), quoted_name(&database(store)));
    let readable = texts(&mut readable.iter().copied().chain(TABLES.iter().copied()));
    let writable = texts(&mut writable.iter().map(String::as_str));
    let all = "LIMIT 1000000000";
    let id = "arrayStringConcat(arraySlice(splitByChar(' ', Settings['log_comment']), 3), ' ')";
    let information = "lower(database) = 'information_schema'";
    master.query(format!("DROP DATABASE IF EXISTS {home}").as_bytes(), "Null", &[])?;
    master.query(format!("CREATE DATABASE {home} ENGINE = Memory").as_bytes(), "Null", &[])?;
    for (name, select) in [
        ("clusters", "SELECT * FROM system.clusters WHERE 0".to_owned()),
        (
            "databases",
            format!(
                "SELECT * REPLACE ('' AS data_path, '' AS metadata_path) FROM (SELECT * FROM system.databases \
                 WHERE name IN ({own}, 'system') OR lower(name) = 'information_schema' {all})"
            ),
        ),
        (
            "dictionaries",
            format!(
                "SELECT * REPLACE ('' AS source) FROM (SELECT * FROM system.dictionaries WHERE database = {own} {all})"
            ),
        ),
        ("functions", "SELECT * FROM system.functions WHERE origin = 'System'".to_owned()),
        ("macros", "SELECT * FROM system.macros WHERE 0".to_owned()),
        (
            "parts",
            format!(
                "SELECT * REPLACE ('' AS path, '' AS disk_name) FROM (SELECT * FROM system.parts WHERE database = {own} {all})"
            ),
        ),
        (
            "parts_columns",
            format!(
                "SELECT * REPLACE ('' AS path, '' AS disk_name) FROM (SELECT * FROM system.parts_columns \
                 WHERE database = {own} {all})"
            ),
        ),
        (
            "processes",
            format!(
                "SELECT {id} AS query_id, '{ANALYSTS_COMMENT}' AS user, {id} AS initial_query_id, '{ANALYSTS_COMMENT}' AS initial_user, is_initial_query, elapsed, is_cancelled, read_rows, \
                 read_bytes, total_rows_approx, written_rows, written_bytes, memory_usage, peak_memory_usage, query, \
                 normalized_query_hash, query_kind, current_database FROM (SELECT * FROM system.processes \
                 WHERE startsWith(Settings['log_comment'], '{ANALYSTS_COMMENT} ') {all})"
            ),
        ),
        ("settings", format!("SELECT * REPLACE (toUInt8(name NOT IN ({writable})) AS readonly) FROM system.settings")),
        (
            "tables",
            format!(
                "SELECT * REPLACE (CAST([], 'Array(String)') AS data_paths, '' AS metadata_path) FROM (SELECT * FROM system.tables \
                 WHERE database = {own} OR (database = 'system' AND name IN ({readable})) OR {information} {all})"
            ),
        ),
    ] {
        let view = format!("CREATE VIEW {home}.{} AS {select}", quoted_name(name));
        master.query(view.as_bytes(), "Null", &[])?;
    }
    Ok(())
}
