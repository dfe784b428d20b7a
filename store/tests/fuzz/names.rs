//! What the grammar is made of: the engine's own names, asked for as the stages' user.

use crate::door::Door;

pub struct Names {
    pub functions: Vec<String>,
    pub aggregates: Vec<String>,
    pub combinators: Vec<String>,
    pub table_functions: Vec<String>,
    pub formats: Vec<String>,
    pub settings: Vec<String>,
    pub keywords: Vec<String>,
    pub types: Vec<String>,
    /// With their databases: the engine's, ours, and the one that nobody may see.
    pub tables: Vec<String>,
    pub columns: Vec<String>,
}

impl Names {
    pub fn read(stages: &Door, foreign: &str) -> Self {
        let list = |sql: &str| -> Vec<String> {
            let names: Vec<String> = stages.say(sql).text().lines().map(str::to_owned).collect();
            assert!(names.len() > 3, "{sql}: {names:?}");
            names
        };
        let mut tables = list(
            "SELECT concat(database, '.', name) FROM system.tables \
             WHERE database IN ('system', 'information_schema', 'headwater') ORDER BY 1 FORMAT TSVRaw",
        );
        // As often as all of the engine's together would be too rare.
        tables.extend(std::iter::repeat_n(foreign.to_owned(), 12));
        tables.extend(["t", "v", "headwater.t", "beat"].into_iter().cycle().take(80).map(str::to_owned));
        Self {
            functions: list("SELECT name FROM system.functions WHERE NOT is_aggregate ORDER BY 1 FORMAT TSVRaw"),
            aggregates: list("SELECT name FROM system.functions WHERE is_aggregate ORDER BY 1 FORMAT TSVRaw"),
            combinators: list("SELECT name FROM system.aggregate_function_combinators ORDER BY 1 FORMAT TSVRaw"),
            table_functions: list("SELECT name FROM system.table_functions ORDER BY 1 FORMAT TSVRaw"),
            formats: list("SELECT name FROM system.formats ORDER BY 1 FORMAT TSVRaw"),
            settings: list("SELECT name FROM system.settings ORDER BY 1 FORMAT TSVRaw"),
            keywords: list("SELECT keyword FROM system.keywords ORDER BY 1 FORMAT TSVRaw"),
            types: list("SELECT name FROM system.data_type_families ORDER BY 1 FORMAT TSVRaw"),
            columns: list("SELECT DISTINCT name FROM system.columns ORDER BY 1 LIMIT 400 FORMAT TSVRaw"),
            tables,
        }
    }
}
