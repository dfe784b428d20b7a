//! What analysts may name: functions, table functions, tables of the engine, formats, node kinds, kinds of EXPLAIN. Allow-lists;
//! what is on none of them is refused.

use super::super::super::ffi::Connection;
use super::super::error::Failure;
use std::collections::HashSet;

const FUNCTIONS: &str = include_str!("functions.txt");

/// Table functions that make rows out of nothing.
pub(super) const TABLE_FUNCTIONS: &[&str] =
    &["generate_series", "generateseries", "null", "numbers", "numbers_mt", "primes", "values"];

/// Tables of the engine that say what there is to query, as they are.
pub(super) const SYSTEM_TABLES: &[&str] = &[
    "aggregate_function_combinators",
    "codecs",
    "collations",
    "columns",
    "contributors",
    "data_skipping_indices",
    "data_type_families",
    "formats",
    "keywords",
    "licenses",
    "numbers",
    "numbers_mt",
    "one",
    "projections",
    "table_engines",
    "table_functions",
    "time_zones",
    "zeros",
    "zeros_mt",
];

/// Views of `information_schema`.
pub(super) const INFORMATION_SCHEMA: &[&str] =
    &["columns", "key_column_usage", "referential_constraints", "schemata", "statistics", "tables", "views"];

/// Formats of results. Missing: those that need a schema or a template (files), and other servers' wire formats.
pub(super) const FORMATS: &[&str] = &[
    "arrow",
    "arrowstream",
    "avro",
    "bsoneachrow",
    "csv",
    "csvwithnames",
    "csvwithnamesandtypes",
    "customseparated",
    "customseparatedwithnames",
    "customseparatedwithnamesandtypes",
    "hash",
    "json",
    "jsoncolumns",
    "jsoncolumnswithmetadata",
    "jsoncompact",
    "jsoncompactcolumns",
    "jsoncompacteachrow",
    "jsoncompacteachrowwithnames",
    "jsoncompacteachrowwithnamesandtypes",
    "jsoncompacteachrowwithprogress",
    "jsoncompactstrings",
    "jsoncompactstringseachrow",
    "jsoncompactstringseachrowwithnames",
    "jsoncompactstringseachrowwithnamesandtypes",
    "jsoncompactstringseachrowwithprogress",
    "jsoneachrow",
    "jsoneachrowwithprogress",
    "jsonl",
    "jsonlines",
    "jsonobjecteachrow",
    "jsonstrings",
    "jsonstringseachrow",
    "jsonstringseachrowwithprogress",
    "lineasstring",
    "lineasstringwithnames",
    "lineasstringwithnamesandtypes",
    "md",
    "markdown",
    "msgpack",
    "ndjson",
    "native",
    "npy",
    "null",
    "odbcdriver2",
    "orc",
    "parquet",
    "pretty",
    "prettycompact",
    "prettycompactmonoblock",
    "prettycompactnoescapes",
    "prettycompactnoescapesmonoblock",
    "prettyjsoneachrow",
    "prettyjsonlines",
    "prettymonoblock",
    "prettyndjson",
    "prettynoescapes",
    "prettynoescapesmonoblock",
    "prettyspace",
    "prettyspacemonoblock",
    "prettyspacenoescapes",
    "prettyspacenoescapesmonoblock",
    "prometheus",
    "raw",
    "rawblob",
    "rawwithnames",
    "rawwithnamesandtypes",
    "rowbinary",
    "rowbinarywithnames",
    "rowbinarywithnamesandtypes",
    "sqlinsert",
    "tskv",
    "tsv",
    "tsvraw",
    "tsvrawwithnames",
    "tsvrawwithnamesandtypes",
    "tsvwithnames",
    "tsvwithnamesandtypes",
    "tabseparated",
    "tabseparatedraw",
    "tabseparatedrawwithnames",
    "tabseparatedrawwithnamesandtypes",
    "tabseparatedwithnames",
    "tabseparatedwithnamesandtypes",
    "values",
    "vertical",
    "xml",
];

/// Words of the grammar, as the engine prints them, behind which a parenthesis is no call.
pub(super) const BEFORE_PARENTHESIS: &[&str] = &[
    "ALL",
    "ANALYZE",
    "AND",
    "APPLY",
    "AS",
    "AST",
    "BETWEEN",
    "BY",
    "COLUMNS",
    "CUBE",
    "DISTINCT",
    "ESTIMATE",
    "EXCEPT",
    "EXPLAIN",
    "FILL",
    "FROM",
    "HAVING",
    "ILIKE",
    "IN",
    "INTERPOLATE",
    "INTERSECT",
    "IS",
    "JOIN",
    "LIKE",
    "LIMIT",
    "MATERIALIZED",
    "NOT",
    "OFFSET",
    "ON",
    "OR",
    "OVER",
    "PIPELINE",
    "PLAN",
    "PREWHERE",
    "QUALIFY",
    "RECURSIVE",
    "REPLACE",
    "ROLLUP",
    "SELECT",
    "SETS",
    "STALENESS",
    "STEP",
    "STRICT",
    "SYNTAX",
    "TABLE",
    "TO",
    "TREE",
    "UNION",
    "USING",
    "WHERE",
    "WITH",
];

/// What EXPLAIN may be asked for, as words behind it.
pub(super) const EXPLAIN_KINDS: &[&[&str]] =
    &[&["PLAN"], &["ESTIMATE"], &["AST"], &["SYNTAX"], &["PIPELINE"], &["QUERY", "TREE"], &["ANALYZE"]];

/// How EXPLAIN may show it.
pub(super) const EXPLAIN_SETTINGS: &[&str] = &[
    "actions",
    "compact",
    "description",
    "distributed",
    "dump_ast",
    "dump_passes",
    "dump_tree",
    "graph",
    "header",
    "indexes",
    "input_headers",
    "json",
    "keep_logical_steps",
    "oneline",
    "optimize",
    "passes",
    "pretty",
    "projections",
    "query_tree_options",
    "run_passes",
    "run_query_tree_passes",
    "sorting",
];

/// Node kinds of the engine's syntax tree that a statement may hold.
pub(super) const NODES: &[&str] = &[
    "ArrayJoin",
    "Asterisk",
    "ColumnsApplyTransformer",
    "ColumnsExceptTransformer",
    "ColumnsListMatcher",
    "ColumnsRegexpMatcher",
    "ColumnsReplaceTransformer",
    "ColumnsReplaceTransformer::Replacement",
    "ColumnsTransformerList",
    "DescribeQuery",
    "ExistsDatabaseQuery",
    "ExistsTableQuery",
    "ExistsViewQuery",
    "ExistsDictionaryQuery",
    "Explain",
    "ExpressionList",
    "Function",
    "Identifier",
    "InterpolateElement",
    "Literal",
    "OrderByElement",
    "QualifiedAsterisk",
    "QualifiedColumnsListMatcher",
    "QualifiedColumnsRegexpMatcher",
    "SampleRatio",
    "SelectIntersectExceptQuery",
    "SelectQuery",
    "SelectWithUnionQuery",
    "Set",
    "ShowCreateDatabaseQuery",
    "ShowCreateDictionaryQuery",
    "ShowCreateTableQuery",
    "ShowCreateViewQuery",
    "StorageOrderByElement",
    "Subquery",
    "TableExpression",
    "TableIdentifier",
    "TableJoin",
    "TablesInSelectQuery",
    "TablesInSelectQueryElement",
    "WindowDefinition",
    "WindowListElement",
    "WithElement",
];

/// The engine's suffixes of aggregate functions, in lower case, longest first where one ends another.
const COMBINATORS: &[&str] = &[
    "simplestate",
    "mergestate",
    "ordefault",
    "distinct",
    "resample",
    "foreach",
    "ornull",
    "argmin",
    "argmax",
    "merge",
    "state",
    "array",
    "null",
    "map",
    "if",
];

/// What the judge says of a function's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It may be called.
    Allowed,
    /// The engine has it, and it is not for analysts.
    Refused,
    /// The engine has no such function.
    Unknown,
}

/// Functions by name.
pub(super) struct Functions {
    allowed: HashSet<&'static str>,
    aggregates: HashSet<&'static str>,
    engine: HashSet<String>,
}

impl Functions {
    /// `engine`: every function and table function that the engine has, in lower case.
    pub fn new(engine: HashSet<String>) -> Self {
        let (mut allowed, mut aggregates) = (HashSet::new(), HashSet::new());
        let mut of_aggregates = false;
        for line in FUNCTIONS.lines().filter(|line| !line.starts_with('#')) {
            if let Some(category) = line.strip_prefix(": ") {
                of_aggregates = category == "aggregate";
                continue;
            }
            allowed.extend(line.split(' ').filter(|name| !name.is_empty()));
            if of_aggregates {
                aggregates.extend(line.split(' ').filter(|name| !name.is_empty()));
            }
        }
        allowed.extend(TABLE_FUNCTIONS);
        Self { allowed, aggregates, engine }
    }

    /// Asks the engine for its names.
    pub fn read(connection: &mut Connection) -> Result<Self, Failure> {
        let sql = b"SELECT lower(name) FROM system.functions UNION ALL SELECT lower(name) FROM system.table_functions";
        let names = connection.query(sql, "TSVRaw", &[])?;
        Ok(Self::new(String::from_utf8_lossy(names.as_ref()).lines().map(str::to_owned).collect()))
    }

    /// Whether a function may be called. A suffix of aggregate functions (`sumIf`) is looked through.
    pub fn of(&self, name: &str) -> Known {
        let name = name.to_lowercase();
        if self.allowed.contains(name.as_str()) {
            return Known::Allowed;
        }
        if self.engine.contains(&name) {
            return Known::Refused;
        }
        let mut base = name.as_str();
        while let Some(shorter) = COMBINATORS.iter().find_map(|suffix| base.strip_suffix(suffix)) {
            if self.aggregates.contains(shorter) {
                return Known::Allowed;
            }
            base = shorter;
        }
        Known::Unknown
    }

    /// The allowed function whose name is most like this one, when one is very like it.
    pub fn like(&self, name: &str) -> Option<&'static str> {
        let name = name.to_lowercase();
        let near = |known: &&'static str| (strsim::jaro_winkler(known, &name), *known);
        let best = self.allowed.iter().map(near).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
        best.filter(|(score, _)| *score > 0.88).map(|(_, known)| known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions() -> Functions {
        Functions::new(["file", "sum", "url", "sleep", "count", "hostname"].map(str::to_owned).into())
    }

    #[test]
    fn only_what_is_listed_may_be_called() {
        let functions = functions();
        for name in
            ["sum", "SUM", "sumIf", "uniqExactIfState", "countDistinct", "toString", "numbers", "quantilesTimingOrNull"]
        {
            assert_eq!(functions.of(name), Known::Allowed, "{name}");
        }
        for name in ["file", "FILE", "url", "sleep", "hostName"] {
            assert_eq!(functions.of(name), Known::Refused, "{name}");
        }
        for name in ["fileIf", "zzz", "if_", "", "sleepState", "Merge"] {
            assert_ne!(functions.of(name), Known::Allowed, "{name}");
        }
        assert_eq!(functions.like("coutn"), Some("count"));
        assert_eq!(functions.like("zzzzzz"), None);
    }

    #[test]
    fn words_of_the_grammar_hide_no_function_that_is_refused() {
        let functions = functions();
        // Names that are both are of harmless functions.
        for word in BEFORE_PARENTHESIS {
            assert_ne!(functions.of(word), Known::Refused, "{word}");
        }
    }
}
