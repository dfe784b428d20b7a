//! Random statements by ClickHouse's grammar. Most would run but for one thing in them that an analyst may not have; some are
//! wild. Statements that are no SELECT are in `statements.rs`.

use crate::names::Names;
use crate::vocabulary::{AGGREGATES, PLAIN, SOURCES, TAME_FORMATS, WANTED};

pub struct Maker<'a> {
    pub rng: &'a mut fastrand::Rng,
    pub names: &'a Names,
    /// Expansions that are left; then everything is short.
    fuel: u32,
    /// Whether any name of the engine may stand anywhere. Most statements are tame: they would run, were it not for the
    /// one or two things of [`Self::mischief`] in them, which only a look into every corner finds.
    pub wild: bool,
    /// Forbidden things that a tame statement may still hold.
    mischief: u8,
    /// Columns of the tables that the innermost SELECT reads.
    pub scope: &'static [&'static str],
}

/// Clauses in their order, with how many of a hundred statements have them.
const CLAUSES: &[(u8, &str)] = &[
    (6, "ARRAY JOIN ["),
    (6, "PREWHERE "),
    (25, "WHERE "),
    (10, "GROUP BY "),
    (4, "HAVING "),
    (5, "QUALIFY "),
    (5, "WINDOW w AS ("),
    (25, "ORDER BY "),
    (6, "LIMIT 1 BY "),
    (30, "LIMIT "),
];

impl<'a> Maker<'a> {
    pub fn new(rng: &'a mut fastrand::Rng, names: &'a Names) -> Self {
        let fuel = rng.u32(4..40);
        let (wild, mischief) = match rng.u8(..20) {
            0..5 => (false, 0),
            5..15 => (false, 1),
            15..17 => (false, 2),
            _ => (true, 9),
        };
        Self { rng, names, fuel, wild, mischief, scope: &[] }
    }

    /// A statement, and its kind for the report.
    pub fn statement(&mut self) -> (&'static str, String) {
        let (kind, mut sql) = match self.rng.u8(..100) {
            0..55 => ("SELECT", self.union()),
            55..72 => ("SHOW", self.show()),
            72..78 => ("DESCRIBE", self.describe()),
            78..89 => ("EXPLAIN", self.explain()),
            89..93 => ("EXISTS", self.exists()),
            93..96 => ("KILL", self.kill()),
            _ => ("other", self.other()),
        };
        if self.chance(15) {
            sql.push_str(&format!(" SETTINGS {}", self.setting()));
        }
        if self.chance(12) {
            let format = if self.bad(10) { self.pick(&self.names.formats) } else { self.one(TAME_FORMATS) };
            sql.push_str(&format!(" FORMAT {format}"));
        }
        if self.bad(3) {
            sql.push_str(" INTO OUTFILE 'fuzz.out'");
        }
        if self.bad(3) {
            let next = self.other();
            sql.push_str(&format!("; {next}"));
        }
        (kind, sql)
    }

    pub fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    /// Whether something forbidden is put here: in a wild statement always at this rate, in a tame one while it has any left.
    pub fn bad(&mut self, percent: u8) -> bool {
        if self.wild {
            return self.chance(percent);
        }
        let now = self.mischief > 0 && self.chance(percent);
        self.mischief -= u8::from(now);
        now
    }

    pub fn pick(&mut self, from: &'a [String]) -> &'a str {
        &from[self.rng.usize(..from.len())]
    }

    pub fn one(&mut self, from: &'static [&'static str]) -> &'static str {
        from[self.rng.usize(..from.len())]
    }

    /// Whether there is fuel for another expansion.
    pub fn more(&mut self) -> bool {
        self.fuel = self.fuel.saturating_sub(1);
        self.fuel > 0
    }

    pub fn list(&mut self, most: usize, mut each: impl FnMut(&mut Self) -> String) -> String {
        let count = self.rng.usize(1..=most);
        (0..count).map(|_| each(self)).collect::<Vec<_>>().join(", ")
    }

    pub fn union(&mut self) -> String {
        let mut sql = self.select();
        while self.chance(8) && self.more() {
            let by = self.one(&["UNION ALL", "UNION DISTINCT", "INTERSECT", "EXCEPT", "INTERSECT DISTINCT"]);
            let next = self.select();
            sql = if self.chance(30) { format!("({sql}) {by} ({next})") } else { format!("{sql} {by} {next}") };
        }
        sql
    }

    fn select(&mut self) -> String {
        let mut sql = String::new();
        if self.chance(12) && self.more() {
            let recursive = if self.chance(20) { "RECURSIVE " } else { "" };
            let withs = self.list(2, Self::with);
            sql.push_str(&format!("WITH {recursive}{withs} "));
        }
        let outer = self.scope;
        let from_first = self.chance(4);
        let from = if self.chance(70) { format!("FROM {}", self.tables()) } else { String::new() };
        if from_first {
            sql.push_str(&format!("{from} "));
        }
        let distinct = if self.chance(8) { self.one(&["DISTINCT ", "DISTINCT ON (a) ", "TOP 3 "]) } else { "" };
        let columns = self.list(3, Self::column);
        sql.push_str(&format!("SELECT {distinct}{columns}"));
        if !from_first && !from.is_empty() {
            sql.push_str(&format!(" {from}"));
        }
        for (percent, clause) in CLAUSES {
            if self.chance(*percent) && self.more() && !(*clause == "PREWHERE " && from.is_empty()) {
                let text = self.clause(clause);
                sql.push_str(&format!(" {text}"));
            }
        }
        self.scope = outer;
        sql
    }

    fn clause(&mut self, clause: &str) -> String {
        let expr = match clause {
            "PREWHERE " | "WHERE " | "HAVING " | "QUALIFY " => format!("toString({}) != 'x'", self.expr()),
            _ => self.expr(),
        };
        match clause {
            "ARRAY JOIN [" => format!("{}ARRAY JOIN [{expr}] AS aj", self.one(&["", "LEFT "])),
            "GROUP BY " => match self.rng.u8(..8) {
                0 => format!("GROUP BY ROLLUP({expr}, a)"),
                1 => format!("GROUP BY GROUPING SETS ((a), ({expr}))"),
                2 => format!("GROUP BY {expr} WITH TOTALS"),
                3 => "GROUP BY ALL".to_owned(),
                _ => format!("GROUP BY {expr}"),
            },
            "WINDOW w AS (" => format!("WINDOW w AS (PARTITION BY {expr} ORDER BY a)"),
            "ORDER BY " => match self.rng.u8(..8) {
                0 => format!("ORDER BY a WITH FILL FROM 0 TO {expr} STEP 1"),
                1 => format!("ORDER BY a WITH FILL INTERPOLATE (s AS {expr})"),
                2 => format!("ORDER BY {expr} DESC NULLS LAST COLLATE 'en'"),
                3 => "ORDER BY ALL".to_owned(),
                _ => format!("ORDER BY {expr}"),
            },
            "LIMIT " => match self.rng.u8(..6) {
                0 => format!("LIMIT length(toString({expr}))"),
                1 => format!("LIMIT 3 OFFSET length(toString({expr}))"),
                2 if self.wild => "LIMIT 3 WITH TIES".to_owned(),
                _ => format!("LIMIT {}", self.rng.u8(..)),
            },
            other => format!("{other}{expr}"),
        }
    }

    fn with(&mut self) -> String {
        if !self.wild {
            // Of a name that nothing else has: a tame statement has each once.
            self.scope = if self.scope.is_empty() { &["1"] } else { self.scope };
            let name = format!("w{}", self.rng.u32(..));
            return match self.rng.u8(..4) {
                0 => format!("{} AS {name}", self.expr()),
                1 => format!("(SELECT toString({})) AS {name}", self.expr()),
                2 => format!("x -> {} AS {name}", self.expr()),
                _ => format!("{name} AS ({})", self.union()),
            };
        }
        match self.rng.u8(..4) {
            0 => format!("{} AS w{}", self.expr(), self.rng.u8(..3)),
            1 => format!("({}) AS w{}", self.select(), self.rng.u8(..3)),
            2 => format!("x -> {} AS f", self.expr()),
            _ => format!("w{} AS ({})", self.rng.u8(..3), self.union()),
        }
    }

    fn column(&mut self) -> String {
        match self.rng.u8(..20) {
            0 => "*".to_owned(),
            1 => format!("* EXCEPT ({})", self.one(&["a", "s", "word", "query"])),
            2 => format!("* REPLACE({} AS s)", self.expr()),
            3 if self.wild => format!("* APPLY {}", self.function()),
            3 => format!("* APPLY {}", if self.bad(40) { self.one(&["hostName", "file", "FQDN"]) } else { "toString" }),
            4 => format!("* APPLY(x -> {})", self.expr()),
            5 => format!("COLUMNS('{}')", self.one(&[".*", "a", "^s", "path", "word|query"])),
            6 => format!("{} OVER ({})", self.aggregate(), self.window()),
            7 => self.aggregate(),
            _ => self.expr(),
        }
    }

    fn window(&mut self) -> String {
        let expr = self.expr();
        match self.rng.u8(..4) {
            0 => format!("PARTITION BY {expr}"),
            1 => format!("ORDER BY {expr}"),
            2 => format!("ORDER BY a ROWS BETWEEN {expr} PRECEDING AND CURRENT ROW"),
            _ => String::new(),
        }
    }

    pub fn arguments(&mut self) -> String {
        if self.chance(15) { String::new() } else { self.list(3, Self::expr) }
    }

    fn function(&mut self) -> String {
        match self.rng.u8(..12) {
            0..5 => self
                .one(&["toString", "length", "concat", "if", "plus", "lower", "hex", "array", "tuple", "range"])
                .to_owned(),
            5..9 => self.pick(&self.names.functions).to_owned(),
            9..11 => self.pick(&self.names.aggregates).to_owned(),
            _ => format!("{}{}", self.pick(&self.names.aggregates), self.pick(&self.names.combinators)),
        }
    }

    /// A call of `PLAIN` or `AGGREGATES` with something in it.
    fn filled(&mut self, template: &str) -> String {
        let mut parts = template.split('§');
        let mut call = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            call.push_str(&self.expr());
            call.push_str(part);
        }
        call
    }

    fn aggregate(&mut self) -> String {
        if self.wild {
            return self.call();
        }
        let template = self.one(AGGREGATES);
        self.filled(template)
    }

    fn call(&mut self) -> String {
        let (function, arguments) = (self.function(), self.arguments());
        match self.rng.u8(..20) {
            0 => format!("{function}({})({arguments})", self.literal()),
            1 => format!("{function}(DISTINCT {arguments})"),
            2 => format!("{function}({arguments}) FILTER (WHERE {})", self.expr()),
            _ => format!("{function}({arguments})"),
        }
    }

    pub fn expr(&mut self) -> String {
        if !self.more() {
            return if self.chance(50) { self.literal() } else { self.name() };
        }
        if !self.wild {
            if self.bad(12) {
                return match self.rng.u8(..10) {
                    0 => format!("(SELECT toString(count()) FROM {})", self.one(SOURCES)),
                    1 => format!("(SELECT toString(count()) FROM {})", self.pick(&self.names.tables)),
                    2 => format!("(SELECT 'x' SETTINGS {})", self.setting()),
                    3 => format!("{}({})", self.pick(&self.names.functions), self.arguments()),
                    4 => format!("1 IN {}", self.pick(&self.names.tables)),
                    _ => self.one(WANTED).to_owned(),
                };
            }
            return match self.rng.u8(..10) {
                0..2 => self.literal(),
                2..4 => self.name(),
                _ => {
                    let template = self.one(PLAIN);
                    self.filled(template)
                }
            };
        }
        match self.rng.u8(..50) {
            0..9 => self.literal(),
            9..16 => self.name(),
            16..30 => self.call(),
            30..33 => self.one(WANTED).to_owned(),
            33..36 => format!("({})", self.union()),
            36 => format!("{} IN ({})", self.expr(), self.union()),
            37 => format!("{} IN {}", self.expr(), self.pick(&self.names.tables)),
            38 => format!("CASE WHEN {} THEN {} ELSE {} END", self.expr(), self.expr(), self.expr()),
            39 => format!("CAST({} AS {})", self.expr(), self.kind()),
            40 => format!("{}::{}", self.expr(), self.kind()),
            41 => format!("{} BETWEEN {} AND {}", self.expr(), self.expr(), self.expr()),
            42 => format!("[{}]", self.arguments()),
            43 => format!("({}, {})", self.expr(), self.expr()),
            44 => format!("arrayMap(x -> {}, [1, 2])", self.expr()),
            45 => format!("EXISTS({})", self.select()),
            46 => format!("now() + INTERVAL {} DAY", self.expr()),
            47 => format!("({}) AS al", self.expr()),
            48 => format!("{{p:{}}}", self.kind()),
            _ => {
                let by = self.one(&[
                    "+",
                    "-",
                    "*",
                    "/",
                    "%",
                    "=",
                    "!=",
                    "<",
                    "AND",
                    "OR",
                    "||",
                    "LIKE",
                    "ILIKE",
                    "IS NOT DISTINCT FROM",
                ]);
                format!("{} {by} {}", self.expr(), self.expr())
            }
        }
    }

    fn name(&mut self) -> String {
        if !self.wild {
            return if self.scope.is_empty() { "1".to_owned() } else { self.one(self.scope).to_owned() };
        }
        match self.rng.u8(..6) {
            0 => self.pick(&self.names.columns).to_owned(),
            1 => self
                .one(&["word", "query", "value", "last_error_message", "_path", "_file", "data_paths", "w0", "al"])
                .to_owned(),
            _ => self.one(&["a", "s", "d", "b", "c", "number", "name", "t.a", "x"]).to_owned(),
        }
    }

    fn literal(&mut self) -> String {
        match self.rng.u8(..10) {
            0..4 => self.rng.u8(..).to_string(),
            4 => self.rng.u64(..).to_string(),
            5 => "NULL".to_owned(),
            6 => format!("-{}.{}e{}", self.rng.u8(..), self.rng.u8(..), self.rng.i8(..)),
            7 => self
                .one(&["'{INSIDE}'", "'{OUTSIDE}'", "'system'", "'processes'", "'SELECT 1'", "'/proc/self/environ'"])
                .to_owned(),
            8 => format!("'{}'", self.pick(&self.names.keywords)),
            _ => format!("'{}'", "x".repeat(self.rng.usize(..20))),
        }
    }

    fn kind(&mut self) -> String {
        let kind = self.pick(&self.names.types);
        match self.rng.u8(..5) {
            0 => format!("Array({kind})"),
            1 => format!("Nullable({kind})"),
            2 => format!("{kind}({})", self.rng.u8(..12)),
            _ => kind.to_owned(),
        }
    }
}
