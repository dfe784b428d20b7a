//! What a statement reads from.

use crate::grammar::Maker;
use crate::vocabulary::{SOURCES, TAME};

impl Maker<'_> {
    pub fn tables(&mut self) -> String {
        let mut sql = self.table();
        while self.chance(12) && self.more() {
            let by =
                self.one(&["JOIN", "LEFT JOIN", "CROSS JOIN", "ANY JOIN", "ASOF JOIN", "PASTE JOIN", "FULL JOIN", ","]);
            let next = self.table();
            let on = if matches!(by, "CROSS JOIN" | "PASTE JOIN" | ",") {
                String::new()
            } else {
                format!(" ON {}", self.expr())
            };
            sql = format!("{sql} {by} {next}{on}");
        }
        sql
    }

    pub fn table(&mut self) -> String {
        if !self.wild {
            if self.bad(20) {
                self.scope = &["1"];
                return if self.chance(40) {
                    self.pick(&self.names.tables).to_owned()
                } else {
                    self.one(SOURCES).to_owned()
                };
            }
            if self.chance(20) && self.more() {
                let inner = self.union();
                self.scope = &["1", "'x'"];
                return format!("({inner})");
            }
            let (table, columns) = TAME[self.rng.usize(..TAME.len())];
            self.scope = columns;
            return table.to_owned();
        }
        match self.rng.u8(..20) {
            0..9 => {
                let table = self.pick(&self.names.tables);
                let tail = if self.chance(10) {
                    self.one(&[" FINAL", " AS x", " SAMPLE 1/2", " SAMPLE 0.1 OFFSET 0.5"])
                } else {
                    ""
                };
                format!("{table}{tail}")
            }
            9..12 => format!("numbers({})", self.rng.u8(..)),
            12..14 => format!("{}({})", self.pick(&self.names.table_functions), self.arguments()),
            14..16 => self.one(SOURCES).to_owned(),
            16 => "{d:Identifier}.{t:Identifier}".to_owned(),
            _ if self.more() => format!("({})", self.union()),
            _ => "system.one".to_owned(),
        }
    }
}
