//! What an analyst's statement may be.
//!
//! Guarantee: it is one statement that reads, it reaches only the store's own database and a few describing tables of the
//! engine, and it calls nothing that reads files, other servers or the process. The verdict rests on the engine's own
//! parser: its classification, and the syntax tree that `EXPLAIN AST` prints. What the tree does not show is refused. Behind
//! this stand the engine's grants, `readonly=1`, and the sandbox of the process (`sandbox.rs`).

use super::super::ffi::{Connection, Params, QueryClass};
use super::error::{Code, Failure};
use super::lexer::{Lexer, Token};
use schemas::limits::store::ANALYST_STATEMENT_BYTES;
use std::collections::HashSet;

/// Tables of the engine that say what there is to query, and nothing of others or of the process.
const SYSTEM_TABLES: &[&str] = &[
    "aggregate_function_combinators",
    "build_options",
    "columns",
    "contributors",
    "data_type_families",
    "databases",
    "formats",
    "functions",
    "keywords",
    "licenses",
    "numbers",
    "numbers_mt",
    "one",
    "settings",
    "table_functions",
    "tables",
    "time_zones",
    "zeros",
    "zeros_mt",
];

/// Table functions that make rows out of nothing.
const TABLE_FUNCTIONS: &[&str] =
    &["generate_series", "generateseries", "null", "numbers", "numbers_mt", "primes", "values", "zeros", "zeros_mt"];

/// Plain functions that reach outside, or tell about the process.
const FUNCTIONS: &[&str] = &[
    "catboostevaluate",
    "evalmlmethod",
    "file",
    "filesystemavailable",
    "filesystemcapacity",
    "filesystemunreserved",
    "fullhostname",
    "getclienthttpheader",
    "getmacro",
    "getoskernelversion",
    "getserverport",
    "getserversetting",
    "hostname",
    "logtrace",
    "serveruuid",
    "showcertificate",
    "sleep",
    "sleepeachrow",
    "tcpport",
];

/// The first node of a tree that may run.
const STATEMENTS: &[&str] = &[
    "SelectWithUnionQuery",
    "SelectIntersectExceptQuery",
    "SelectQuery",
    "DescribeQuery",
    "ExistsTableQuery",
    "ExistsViewQuery",
    "ExistsDatabaseQuery",
    "ShowCreateTableQuery",
    "ShowCreateViewQuery",
    "ShowCreateDatabaseQuery",
    "ShowTables",
    "ShowColumns",
];

/// The names that the check knows from the engine.
pub(super) struct Guard {
    table_functions: HashSet<String>,
    database: String,
}

impl Guard {
    /// Asks the engine for its table functions: every one that is not listed above is refused.
    pub fn read(connection: &mut Connection, database: &str) -> Result<Self, Failure> {
        let names = connection.query(b"SELECT lower(name) FROM system.table_functions", "TSVRaw", &[])?;
        let table_functions = String::from_utf8_lossy(names.as_ref()).lines().map(str::to_owned).collect();
        Ok(Self { table_functions, database: database.to_owned() })
    }

    /// Refuses a statement that an analyst may not run. `connection` has the analyst's settings and no role. The tree shows
    /// the statement with its parameters put in, identifiers too.
    pub fn check(&self, connection: &mut Connection, sql: &[u8], params: &Params) -> Result<(), Failure> {
        let denied =
            |what: &str| Code::AccessDenied.failure(format!("Analysts may run one statement that reads: {what}"));
        if sql.len() > ANALYST_STATEMENT_BYTES {
            return Err(
                Code::BadArguments.failure(format!("the statement is longer than {ANALYST_STATEMENT_BYTES} bytes"))
            );
        }
        let analysis = connection.classify(sql).ok_or_else(|| denied("this one cannot be parsed"))?;
        match analysis.class {
            QueryClass::ReadOnly if analysis.statements == 1 => {}
            QueryClass::ReadOnly => return Err(denied("this is more than one")),
            QueryClass::Unknown => {
                // Let the engine say where the mistake is. What does not parse does not run.
                let explained = connection.query(&[b"EXPLAIN AST ", sql].concat(), "TSVRaw", params);
                return Err(explained.err().map_or_else(|| denied("this one is of no known kind"), Failure::from));
            }
            _ => return Err(denied("this one changes something")),
        }
        let tree = connection.query(&[b"EXPLAIN AST ", sql].concat(), "TSVRaw", params)?;
        let tree = String::from_utf8_lossy(tree.as_ref());
        if tree.starts_with("ShowTables") && !shows_tables(sql) {
            return Err(
                Code::AccessDenied.failure("Not enough privileges: analysts can show tables, databases and columns")
            );
        }
        self.check_tree(&tree)
    }

    fn check_tree(&self, tree: &str) -> Result<(), Failure> {
        let denied = |what: String| Err(Code::AccessDenied.failure(format!("Not enough privileges: {what}")));
        let kind = tree.split_whitespace().next().unwrap_or_default();
        if !STATEMENTS.contains(&kind) {
            return denied(format!("analysts cannot run {kind} statements"));
        }
        for line in tree.lines() {
            let line = line.trim_start();
            let (node, rest) = line.split_once(' ').unwrap_or((line, ""));
            // What follows the name: an alias or the number of children, in parentheses.
            let name = rest.split(" (").next().unwrap_or_default().trim();
            match node {
                "Function" => {
                    let lower = name.to_lowercase();
                    let refused_table_function =
                        self.table_functions.contains(&lower) && !TABLE_FUNCTIONS.contains(&lower.as_str());
                    let ai = lower.starts_with("ai")
                        && matches!(&*lower, "aiclassify" | "aiembed" | "aiextract" | "aigenerate" | "aitranslate");
                    if refused_table_function
                        || ai
                        || FUNCTIONS.contains(&lower.as_str())
                        || lower.starts_with("addressto")
                    {
                        return denied(format!("the function {name} is not for analysts"));
                    }
                }
                "Identifier" if kind == "ShowTables" && name.replace('`', "") != self.database => {
                    return denied(format!("{name} is not for analysts"));
                }
                "TableIdentifier" | "Identifier" => self.check_identifier(name, node == "TableIdentifier")?,
                "ExistsTableQuery" | "ExistsViewQuery" | "ShowCreateTableQuery" | "ShowCreateViewQuery" => {
                    self.check_identifier(&name.trim().replace(' ', "."), true)?;
                }
                "ColumnsApplyTransformer" => {
                    return denied("APPLY hides which function is called; write the call out".to_owned());
                }
                "Set" => return denied("settings are given with the request, not in the statement".to_owned()),
                _ => {}
            }
        }
        Ok(())
    }

    /// A name that reaches into the engine's own databases must be one of the describing tables.
    fn check_identifier(&self, name: &str, table: bool) -> Result<(), Failure> {
        let plain = name.replace('`', "");
        let Some((database, rest)) = plain.split_once('.') else { return Ok(()) };
        let of_the_engine =
            database.eq_ignore_ascii_case("system") || database.eq_ignore_ascii_case("information_schema");
        let readable = database == "system" && SYSTEM_TABLES.contains(&rest.split('.').next().unwrap_or_default());
        let information = database.eq_ignore_ascii_case("information_schema")
            && ["tables", "columns", "schemata", "views"].contains(&rest.to_ascii_lowercase().as_str());
        if (of_the_engine && !readable && !information) || (table && !of_the_engine && database != self.database) {
            return Err(Code::AccessDenied.failure(format!("Not enough privileges: {name} is not for analysts")));
        }
        Ok(())
    }
}

/// The engine's tree calls many things `ShowTables`: clusters, settings, merges.
fn shows_tables(sql: &[u8]) -> bool {
    let mut lexer = Lexer::new(sql);
    let mut word = || match lexer.next() {
        Ok(Some((Token::Word(word), ..))) => word.to_ascii_lowercase(),
        _ => Vec::new(),
    };
    word() == b"show" && matches!(word().as_slice(), b"tables" | b"databases" | b"full")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard {
            table_functions: ["file", "url", "numbers", "eval"].map(str::to_owned).into(),
            database: "headwater".to_owned(),
        }
    }

    fn verdict(tree: &str) -> bool {
        guard().check_tree(tree).is_ok()
    }

    #[test]
    fn trees_are_read_line_by_line() {
        let select = |inner: &str| format!("SelectWithUnionQuery (children 1)\n ExpressionList (children 1)\n{inner}");
        assert!(verdict(&select("  Function sum (alias s) (children 1)\n   TableIdentifier headwater.blocks")));
        assert!(verdict(&select("  Function numbers (children 1)\n TableIdentifier system.one (alias o)")));
        assert!(verdict(&select("  Literal 'Function file (children 1)'")));
        for refused in [
            "  Function FILE (alias a) (children 1)",
            "  Function url (children 2)",
            "  Function eval (children 1)",
            "  TableIdentifier system.processes (alias p)",
            "  Identifier system.processes",
            "  TableIdentifier other.t",
            "  ColumnsApplyTransformer",
            "  Set",
            "  Function aiGenerate (children 1)",
            "  TableIdentifier SYSTEM.one",
        ] {
            assert!(!verdict(&select(refused)), "{refused}");
        }
        assert!(!verdict("Explain EXPLAIN (children 1)"));
        assert!(!verdict("ShowProcesslistQuery"));
        assert!(!verdict(""));
    }
}
