//! Pieces of statements: what makes them run, and what an attacker would like to have in them.

/// Calls that have a meaning whatever stands at `§`, so that tame statements get past the types.
pub const PLAIN: &[&str] = &[
    "toString(§)",
    "length(toString(§))",
    "concat(toString(§), toString(§))",
    "if(toString(§) = 'x', 1, 2)",
    "lower(toString(§))",
    "hex(toString(§))",
    "ifNull(toString(§), '')",
    "[toString(§)]",
    "(1, §)",
    "arrayMap(x -> toString(§), [1, 2])",
    "toTypeName(§)",
    "coalesce(NULL, §)",
    "substring(toString(§), 1, 3)",
    "toUInt64OrZero(toString(§))",
    "equals(toString(§), toString(§))",
    "CASE WHEN toString(§) = 'x' THEN 1 ELSE 2 END",
    "CAST(§ AS String)",
    "toString(§) IN ('x', 'y')",
    "toString(§) || 'x'",
    "toString(§) LIKE '%1%'",
    "(§) IS NULL",
    "arrayFilter(x -> toString(§) != '', [1])",
    "multiIf(0, '', toString(§) = '', 'x', 'y')",
    "toString(§) BETWEEN 'a' AND 'b'",
    "map('k', toString(§))['k']",
    "tuple(§).1",
    "toString(§)::String",
    "NOT (toString(§) = '')",
    "cityHash64(§)",
    "EXISTS(SELECT §)",
    "(SELECT toString(§))",
    "toString(§) IN (SELECT toString(§))",
];

/// Aggregates likewise.
pub const AGGREGATES: &[&str] = &[
    "count()",
    "uniq(§)",
    "max(toString(§))",
    "any(§)",
    "groupArray(3)(toString(§))",
    "countIf(toString(§) = '')",
    "argMax(1, toString(§))",
    "count(DISTINCT toString(§))",
    "quantile(0.5)(length(toString(§)))",
    "sum(length(toString(§))) FILTER (WHERE toString(§) != '')",
];

/// Tables that an analyst reads, and their columns.
pub const TAME: &[(&str, &[&str])] = &[
    ("t", &["a", "s", "d"]),
    ("headwater.t", &["a", "s"]),
    ("v", &["b", "c"]),
    ("numbers(5)", &["number"]),
    ("system.one", &["dummy"]),
    ("system.tables", &["name", "database", "engine"]),
    ("system.columns", &["name", "type", "table"]),
    ("t AS x", &["x.a", "s"]),
    ("values('k UInt8, w String', (1, 'x'), (2, 'y'))", &["k", "w"]),
    ("generate_series(1, 4)", &["generate_series"]),
    ("information_schema.tables", &["table_name"]),
    ("t FINAL", &["a", "s"]),
    ("t SAMPLE 1/2", &["a"]),
];

pub const TAME_FORMATS: &[&str] =
    &["JSON", "CSV", "TSV", "JSONEachRow", "Native", "RowBinary", "PrettyCompact", "Vertical", "XML", "Parquet"];

pub const TAME_SETTINGS: &[&str] = &[
    "max_threads = 1",
    "max_execution_time = 1",
    "join_use_nulls = 1",
    "max_result_rows = 100",
    "extremes = 1",
    "final = 1",
];

/// Functions that one would like to call.
pub const WANTED: &[&str] = &[
    "file('{INSIDE}')",
    "file('{OUTSIDE}')",
    "file('../../credentials.toml')",
    "hostName()",
    "FQDN()",
    "displayName()",
    "getServerSetting('path')",
    "getMacro('x')",
    "tcpPort()",
    "currentUser()",
    "sleep(0.1)",
    "getSetting('readonly')",
    "joinGet('{FOREIGN}', 'word', 1)",
    "hasColumnInTable('system', 'processes', 'query')",
    "throwIf(1, file('{INSIDE}'))",
];

/// Rows that one would like to see.
pub const SOURCES: &[&str] = &[
    "file('{INSIDE}', 'LineAsString')",
    "file('*', 'RawBLOB')",
    "merge('other', '.*')",
    "merge('.*', '.*')",
    "view(SELECT * FROM {FOREIGN})",
    "loop({FOREIGN})",
    "remote('127.0.0.1', {FOREIGN})",
    "{FOREIGN}",
    "system.processes",
    "sqlite('../metadata/x.sql', 't')",
    "url('file://{OUTSIDE}', 'LineAsString')",
    "executable('id', 'TSV', 'a String')",
    "mergeTreeIndex('other', 'x')",
    "viewExplain('EXPLAIN', '', (SELECT 1))",
    "eval('SELECT 1')",
    "cluster('default', {FOREIGN})",
];
