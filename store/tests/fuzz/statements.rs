//! Statements that are no SELECT, and the settings of all.

use crate::grammar::Maker;
use crate::vocabulary::TAME_SETTINGS;

impl Maker<'_> {
    pub fn setting(&mut self) -> String {
        if !self.wild && !self.bad(30) {
            return self.one(TAME_SETTINGS).to_owned();
        }
        let known = self.one(&[
            "max_threads",
            "readonly",
            "max_execution_time",
            "max_memory_usage",
            "additional_table_filters",
        ]);
        let name = if self.chance(50) { self.pick(&self.names.settings) } else { known };
        format!("{name} = {}", self.one(&["0", "1", "2", "'x'", "99999999999999", "DEFAULT", "{'t': '1'}"]))
    }

    fn like(&mut self) -> &'static str {
        self.one(&["LIKE 't%'", "NOT LIKE 'x'", "ILIKE '%'", "LIKE 'system'"])
    }

    /// What SHOW takes at its end.
    pub fn filter(&mut self) -> String {
        self.scope = &["1", "'t'"];
        let like = self.like();
        match self.rng.u8(..7) {
            0 => like.to_owned(),
            1 | 2 => format!("WHERE toString({}) != 'x'", self.expr()),
            3 => format!("LIMIT length(toString({}))", self.expr()),
            4 => format!("{like} LIMIT length(toString({}))", self.expr()),
            5 => format!("WHERE toString({}) != '' LIMIT {}", self.expr(), self.rng.u8(..)),
            _ => String::new(),
        }
    }

    pub fn show(&mut self) -> String {
        let table = if self.bad(20) { self.pick(&self.names.tables) } else { self.one(&["t", "v", "headwater.t"]) };
        let filter = self.filter();
        let from = if self.bad(20) {
            self.one(&["FROM system", "FROM other", "IN `other`"])
        } else {
            self.one(&["", "FROM headwater"])
        };
        match self.rng.u8(..if self.wild { 14 } else { 11 }) {
            0 | 1 => format!("SHOW TABLES {from} {filter}"),
            2 => format!(
                "SHOW {}TABLES {from} {filter}",
                self.one(if self.wild { &["TEMPORARY ", "CHANGED ", "EXTENDED "] } else { &["FULL "] })
            ),
            3 => format!("SHOW DATABASES {filter}"),
            4 | 5 => format!("SHOW {}COLUMNS FROM {table} {filter}", self.one(&["", "FULL ", "EXTENDED "])),
            6 => format!("SHOW {} FROM {table} {filter}", self.one(&["INDEXES", "INDEX", "KEYS", "EXTENDED INDEXES"])),
            7 => format!("SHOW FUNCTIONS {}", self.like()),
            8 => format!("SHOW SETTINGS {}", self.like()),
            9 => format!(
                "SHOW CREATE {}{table}",
                self.one(&["TABLE ", "VIEW ", "DICTIONARY ", "DATABASE ", "USER ", ""])
            ),
            10 => "SHOW PROCESSLIST".to_owned(),
            11 => format!(
                "SHOW {}",
                self.one(&["GRANTS", "USERS", "ROLES", "CLUSTERS", "MERGES", "ENGINES", "ACCESS", "PRIVILEGES"])
            ),
            _ => format!("SHOW {} {filter}", self.pick(&self.names.keywords)),
        }
    }

    pub fn describe(&mut self) -> String {
        let what = match self.rng.u8(..3) {
            0 => format!("({})", self.union()),
            _ => self.table(),
        };
        format!("{} {what}", self.one(&["DESCRIBE", "DESC", "DESCRIBE TABLE"]))
    }

    pub fn explain(&mut self) -> String {
        let (kind, select) = (
            self.one(&["", "PLAN", "ESTIMATE", "AST", "SYNTAX", "PIPELINE", "QUERY TREE", "TABLE OVERRIDE"]),
            self.union(),
        );
        let settings =
            self.one(&["", "", "indexes = 1", "actions = 1, header = 1", "json = 1", "run_passes = 1", "graph = 1"]);
        format!("EXPLAIN {kind} {settings} {select}")
    }

    pub fn exists(&mut self) -> String {
        format!(
            "EXISTS {}{}",
            self.one(&["TABLE ", "VIEW ", "DATABASE ", "DICTIONARY ", "TEMPORARY TABLE ", ""]),
            self.pick(&self.names.tables)
        )
    }

    pub fn kill(&mut self) -> String {
        match self.rng.u8(..4) {
            0 => "KILL QUERY WHERE query_id = 'x'".to_owned(),
            1 => format!("KILL QUERY WHERE query_id = {} {}", self.expr(), self.one(&["SYNC", "ASYNC", "TEST", ""])),
            2 => format!("KILL {} WHERE {}", self.one(&["QUERY", "MUTATION", "TRANSACTION"]), self.expr()),
            _ => "KILL QUERY WHERE user = 'default' SYNC".to_owned(),
        }
    }

    pub fn other(&mut self) -> String {
        let table = self.pick(&self.names.tables);
        match self.rng.u8(..8) {
            0 => format!("INSERT INTO {table} {}", self.union()),
            1 => format!("CREATE TABLE fuzz{} ENGINE = Memory AS {}", self.rng.u8(..9), self.union()),
            2 => format!(
                "{} {table}",
                self.one(&["DROP TABLE", "TRUNCATE TABLE", "DETACH TABLE", "OPTIMIZE TABLE", "CHECK TABLE", "USE"])
            ),
            3 => format!("SET {}", self.setting()),
            4 => format!(
                "SYSTEM {}",
                self.one(&["SHUTDOWN", "FLUSH LOGS", "RELOAD CONFIG", "DROP MARK CACHE", "STOP MERGES"])
            ),
            5 => format!("ALTER TABLE {table} DELETE WHERE {}", self.expr()),
            _ => self.list(8, |maker| maker.pick(&maker.names.keywords).to_owned()).replace(',', ""),
        }
    }
}
