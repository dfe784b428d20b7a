//! The look at every piece of a statement, in whichever clause it stands.

use super::super::error::{Code, Failure};
use super::names::{BEFORE_PARENTHESIS, Functions, INFORMATION_SCHEMA, Known, SYSTEM_TABLES};
use super::text::{Kind, Piece, unquoted};
use crate::engine::sql::quoted_name;
use crate::engine::{describe, watched};

/// What the check needs to know.
pub(super) struct Check<'c> {
    pub functions: &'c Functions,
    /// The store's database.
    pub database: &'c str,
    /// The database that describes the engine to analysts.
    pub described: &'c str,
    /// What analysts do not name, nor what is called after it.
    pub unnamed: &'c [&'c str],
    /// Databases of the engine besides these two.
    pub foreign: &'c [String],
}

/// Databases that the engine has without listing them.
const HIDDEN: &[&str] = &["default", "_temporary_and_external_tables"];

/// A place of the text that is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub start: usize,
    pub end: usize,
    pub with: String,
}

impl Check<'_> {
    /// Refuses what an analyst may not name, wherever it stands. Answers where tables of the engine are to be read as what
    /// describes them to analysts.
    pub fn run(&self, pieces: &[Piece<'_>]) -> Result<Vec<Edit>, Failure> {
        let mut edits = Vec::new();
        let mut at = 0;
        while let Some(piece) = pieces.get(at) {
            let next = pieces.get(at + 1);
            let before = at.checked_sub(1).map(|before| &pieces[before]);
            match &piece.kind {
                Kind::Symbol(b'{') => {
                    at = parameter(pieces, at)?;
                    continue;
                }
                Kind::Literal => literal(piece, before, next)?,
                Kind::Name { .. } => {
                    unnamed(self.unnamed, &piece.text)?;
                    if let Some(next) = next {
                        self.name(pieces, at, next)?;
                    }
                    if next.is_some_and(|next| next.is_symbol(b'.')) && !before.is_some_and(|b| b.is_symbol(b'.')) {
                        edits.extend(self.dotted(piece, pieces.get(at + 2))?);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Ok(edits)
    }

    fn name(&self, pieces: &[Piece<'_>], at: usize, next: &Piece<'_>) -> Result<(), Failure> {
        let piece = &pieces[at];
        if next.is_symbol(b'(') {
            let keyword = BEFORE_PARENTHESIS.iter().any(|word| piece.is(word));
            // `t AS x(a, b)` names columns.
            let alias = at > 0
                && pieces[at - 1].is("AS")
                && names(&pieces[at + 2..])
                && self.functions.of(&piece.text) == Known::Unknown;
            if !keyword && !alias {
                self.function(&piece.text, pieces)?;
                self.written_out(&piece.text, &pieces[at + 2..])?;
            }
        }
        // `APPLY sum`, but `APPLY x -> sum(x)` names the lambda's argument.
        let lambda = || {
            pieces.get(at + 2).is_some_and(|p| p.is_symbol(b'-'))
                && pieces.get(at + 3).is_some_and(|p| p.is_symbol(b'>'))
        };
        let grammar = |name: &Piece<'_>| BEFORE_PARENTHESIS.iter().any(|word| name.is(word));
        if piece.is("APPLY") && next.is_name() && !grammar(next) && !lambda() {
            self.function(&next.text, pieces)?;
        }
        let setting = next.is_name() && pieces.get(at + 2).is_some_and(|third| third.is_symbol(b'='));
        if piece.is("SETTINGS") && setting {
            let text = "settings stand at the end of a whole statement, or in the request's parameters";
            return Err(Code::Readonly.failure(format!("Cannot modify '{}' setting here: {text}", next.text)));
        }
        if piece.is("PARALLEL") && next.is("WITH") {
            return Err(Code::AccessDenied.failure("Not enough privileges: analysts run one statement at a time"));
        }
        if piece.is("DATABASE") && next.is_name() && self.is_foreign(&next.text) {
            return Err(Code::AccessDenied.failure(format!("Not enough privileges: {} is not for analysts", next.text)));
        }
        if piece.is("INTO") && next.is("OUTFILE") {
            return Err(Code::AccessDenied.failure("Not enough privileges: INTO OUTFILE writes a file"));
        }
        Ok(())
    }

    fn function(&self, name: &str, pieces: &[Piece<'_>]) -> Result<(), Failure> {
        match self.functions.of(name) {
            Known::Allowed => Ok(()),
            Known::Refused => {
                Err(Code::AccessDenied
                    .failure(format!("Not enough privileges: the function {name} is not for analysts")))
            }
            // `WITH (x -> x + 1) AS next SELECT next(1)`: the engine knows no function of that name, so it is the lambda or nothing.
            Known::Unknown
                if pieces
                    .windows(3)
                    .any(|p| p[0].is_symbol(b')') && p[1].is("AS") && p[2].is_name() && p[2].text == name) =>
            {
                Ok(())
            }
            Known::Unknown => {
                let like = self.functions.like(name).map(|like| format!(". Maybe you meant: ['{like}']"));
                let like = like.unwrap_or_default();
                Err(Code::UnknownFunction.failure(format!("Function with name `{name}` does not exist{like}")))
            }
        }
    }

    /// Refuses a type, or a function's name, that is put together, comes from a parameter or has a name of its own: it could not be
    /// seen. `arguments` begin behind the parenthesis.
    fn written_out(&self, function: &str, arguments: &[Piece<'_>]) -> Result<(), Failure> {
        let lower = function.to_lowercase();
        let wants = |what: &str| {
            let text = format!("Not enough privileges: {function} wants {what} written out, as a text in quotes");
            Err(Code::AccessDenied.failure(text))
        };
        if REDUCING.contains(&lower.as_str()) {
            let Some([one]) = split(arguments).first() else { return wants("its function") };
            let name = unquoted(&one.text);
            let name = name.split('(').next().unwrap_or_default().trim();
            return match self.functions.of(name) {
                Known::Allowed if one.kind == Kind::Literal => Ok(()),
                _ => wants("its function, one of those that analysts may call,"),
            };
        }
        let Some((_, place)) = TYPED.iter().find(|(name, _)| *name == lower) else { return Ok(()) };
        let all = split(arguments);
        let Some(argument) = place.map_or(all.last(), |place| all.get(place)) else { return Ok(()) };
        // A table of values may leave its columns out and begin with a row.
        let row = lower == "values" && argument.first().is_some_and(|first| !first.is_name() && !first.is_symbol(b'{'));
        match argument {
            // The type's own grammar has comments and quotes: the word alone tells.
            [one] if one.kind == Kind::Literal && one.text.to_ascii_lowercase().contains(STATES) => Err(states()),
            [one] if one.kind == Kind::Literal => Ok(()),
            _ if row => Ok(()),
            _ => wants("its type"),
        }
    }

    /// `a.b`: the first of the names may be a database.
    fn dotted(&self, first: &Piece<'_>, second: Option<&Piece<'_>>) -> Result<Option<Edit>, Failure> {
        let second = second.map(|piece| piece.text.as_ref()).unwrap_or_default();
        let refused = || {
            Err(Code::AccessDenied
                .failure(format!("Not enough privileges: {}.{second} is not for analysts", first.text)))
        };
        if first.text == self.database || first.text == self.described {
            return Ok(None);
        }
        if first.text.eq_ignore_ascii_case("system") {
            let exact = first.text == "system";
            if exact && describe::TABLES.contains(&second) {
                let with = quoted_name(self.described);
                return Ok(Some(Edit { start: first.start, end: first.end, with }));
            }
            return if exact && SYSTEM_TABLES.contains(&second) { Ok(None) } else { refused() };
        }
        if first.text.eq_ignore_ascii_case("information_schema") {
            return if INFORMATION_SCHEMA.contains(&second.to_ascii_lowercase().as_str()) {
                Ok(None)
            } else {
                refused()
            };
        }
        if self.is_foreign(&first.text) { refused() } else { Ok(None) }
    }

    fn is_foreign(&self, database: &str) -> bool {
        HIDDEN.contains(&database) || self.foreign.iter().any(|name| name == database)
    }
}

/// Refuses the name of a table that is not for analysts, and names that are made of it.
pub(super) fn unnamed(all: &[&str], name: &str) -> Result<(), Failure> {
    if !watched::is_of(all, name) {
        return Ok(());
    }
    Err(Code::AccessDenied.failure(format!(
        "Not enough privileges: {name} tells which contracts are watched, and is not for analysts here; read the views `windows` and \
         `blocks`, ask the API for your own contracts, or have the operator set `[store] analyst_contracts`"
    )))
}

/// Whether a parenthesis holds names and nothing else.
fn names(inside: &[Piece<'_>]) -> bool {
    let end = inside.iter().position(|piece| piece.is_symbol(b')')).unwrap_or(0);
    let even =
        |at: usize, piece: &Piece<'_>| if at.is_multiple_of(2) { piece.is_name() } else { piece.is_symbol(b',') };
    !end.is_multiple_of(2) && inside[..end].iter().enumerate().all(|(at, piece)| even(at, piece))
}

/// Steps over `{name:Type}`; the engine takes its value as a value, never as text of the statement.
fn parameter(pieces: &[Piece<'_>], at: usize) -> Result<usize, Failure> {
    let named = pieces.get(at + 1).is_some_and(Piece::is_name) && pieces.get(at + 2).is_some_and(|p| p.is_symbol(b':'));
    let end = pieces[at..].iter().position(|p| p.is_symbol(b'}'));
    match end {
        Some(length) if named => {
            let kind = pieces[at + 3..at + length].iter().any(|p| p.text.eq_ignore_ascii_case("AggregateFunction"));
            if kind { Err(states()) } else { Ok(at + length + 1) }
        }
        _ => Err(Code::Syntax.failure("Syntax error: a brace that belongs to no {name:Type}")),
    }
}

fn states() -> Failure {
    Code::AccessDenied.failure("Not enough privileges: states of aggregate functions cannot be made from values")
}

/// A type's name among a call's arguments, by which bytes would be taken for an aggregate function's state. The engine trusts
/// such bytes.
fn literal(piece: &Piece<'_>, before: Option<&Piece<'_>>, next: Option<&Piece<'_>>) -> Result<(), Failure> {
    let argument = before.is_some_and(|b| b.is_symbol(b',') || b.is_symbol(b'('))
        && next.is_some_and(|n| n.is_symbol(b',') || n.is_symbol(b')'));
    if argument && names_states(&piece.text) { Err(states()) } else { Ok(()) }
}

/// How the types of aggregate functions' states are called, in lower case.
const STATES: &str = "aggregatefunction";

/// Whether a text names the type of an aggregate function's states, its function included: the bare word is asked for by tools.
fn names_states(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.match_indices(STATES).any(|(at, _)| lower[at + STATES.len()..].trim_start().starts_with('('))
}

/// Where a function takes the name of a type: which argument, from 0, or the last.
const TYPED: &[(&str, Option<usize>)] = &[
    ("cast", Some(1)),
    ("accuratecast", Some(1)),
    ("accuratecastordefault", Some(1)),
    ("accuratecastornull", Some(1)),
    ("jsonextract", None),
    ("jsonextractcaseinsensitive", None),
    ("values", Some(0)),
    ("defaultvalueoftypename", Some(0)),
    ("dynamicelement", Some(1)),
    ("getsubcolumn", Some(1)),
    ("reinterpret", Some(1)),
    ("variantelement", Some(1)),
];

/// Functions that take the name of an aggregate function first.
const REDUCING: &[&str] = &["arrayreduce"];

/// The arguments of a call, up to its closing parenthesis.
fn split<'p, 't>(pieces: &'p [Piece<'t>]) -> Vec<&'p [Piece<'t>]> {
    let (mut depth, mut from, mut all) = (0usize, 0, Vec::new());
    for (at, piece) in pieces.iter().enumerate() {
        match piece.kind {
            Kind::Symbol(b')') if depth == 0 => {
                all.push(&pieces[from..at]);
                return all;
            }
            Kind::Symbol(b',') if depth == 0 => {
                all.push(&pieces[from..at]);
                from = at + 1;
            }
            Kind::Symbol(b'(' | b'[' | b'{') => depth += 1,
            Kind::Symbol(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    all
}

/// The text with its edits, which are in order and do not overlap.
pub(super) fn edited(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + 16 * edits.len());
    let mut from = 0;
    for edit in edits {
        out.push_str(&text[from..edit.start]);
        out.push_str(&edit.with);
        from = edit.end;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::super::text::pieces;
    use super::*;

    fn check(text: &str) -> Result<String, u32> {
        let engine = ["file", "sleep", "url", "hostname", "sum", "tostring"].map(str::to_owned).into();
        let functions = Functions::new(engine);
        let foreign = ["other".to_owned()];
        let check = Check {
            functions: &functions,
            database: "headwater",
            described: "headwater_system",
            unnamed: &["block_rows"],
            foreign: &foreign,
        };
        let found = check.run(&pieces(text).expect("pieces")).map_err(|failure| failure.code)?;
        Ok(edited(text, &found))
    }

    #[test]
    fn calls_are_seen_wherever_they_stand() {
        for refused in [
            "SELECT file('x')",
            "SELECT `file`('x')",
            "SELECT * APPLY file FROM t",
            "SELECT * APPLY (x -> file(x)) FROM t",
            "SELECT * APPLY x -> file(x) FROM t",
            "SHOW TABLES WHERE file('x')",
            "SHOW COLUMNS FROM t LIMIT (SELECT hostName())",
            "SELECT 1 AS file, file(1)",
            "SELECT a AS file(1)",
            "WITH (x -> x) AS sleep SELECT sleep(1)",
        ] {
            assert_eq!(check(refused), Err(497), "{refused}");
        }
        for unknown in [
            "SELECT coutn(1)",
            "SELECT a ORDER BY a WITH FILL INTERPOLATE (`s` AS zzz())",
            "SELECT a ORDER BY a WITH FILL INTERPOLATE (`s` AS zzz(1))",
            "WITH hostName AS f SELECT f()",
        ] {
            assert_eq!(check(unknown), Err(46), "{unknown}");
        }
        for fine in [
            "SELECT sum(a), toString(a) AS file FROM t WHERE (a) AND (NOT (b)) OR (c)",
            "SELECT 'file(1)' FROM t",
            "SELECT * APPLY x -> sum(x) FROM t",
            "WITH (x -> (x + 1)) AS inc SELECT inc(1)",
            "SELECT * FROM t AS x(a, b)",
            "SELECT sum(a) OVER (ORDER BY a ASC) FROM t WINDOW w AS (ORDER BY a ASC)",
        ] {
            assert_eq!(check(fine).as_deref(), Ok(fine), "{fine}");
        }
    }

    #[test]
    fn tables_of_others_are_refused_and_described_ones_renamed() {
        for refused in [
            "SELECT * FROM system.server_settings",
            "SELECT 1 IN (other.secret)",
            "SELECT * FROM SYSTEM.one",
            "SELECT * FROM a, `other`.secret",
            "SELECT * FROM information_schema.processlist",
            "SHOW CREATE TABLE other.secret",
            "SHOW CREATE DATABASE other",
            "EXISTS DATABASE other",
            "SELECT * FROM default.`/etc/passwd`",
            "SELECT 1 PARALLEL WITH SELECT 2",
            "SELECT contract_addresses.size0 FROM block_rows",
            "SELECT * APPLY length FROM headwater.`block_rows` AS `headwater.blocks`",
            "SELECT 1 IN former_block_rows",
            "DESCRIBE TABLE `headwater.block_rows`",
        ] {
            assert_eq!(check(refused), Err(497), "{refused}");
        }
        assert_eq!(
            check("SELECT system.processes.query FROM system.processes").as_deref(),
            Ok("SELECT `headwater_system`.processes.query FROM `headwater_system`.processes")
        );
        for fine in [
            "SELECT 'block_rows', t.other FROM headwater.t",
            "SELECT 1.5, t.system FROM system.one AS t",
            "SELECT x.a.b FROM x",
        ] {
            assert_eq!(check(fine).as_deref(), Ok(fine), "{fine}");
        }
    }

    #[test]
    fn settings_files_states_and_braces() {
        assert_eq!(check("SELECT * FROM (SELECT 1 SETTINGS readonly = 0)"), Err(164));
        assert_eq!(check("SELECT 1 INTO OUTFILE 'x'"), Err(497));
        assert_eq!(check("SELECT CAST('x', 'AggregateFunction(sum, UInt8)')"), Err(497));
        assert_eq!(check("SELECT {x:AggregateFunction(sum, UInt8)}"), Err(497));
        for hidden in [
            "SELECT CAST(unhex('00'), concat('Aggregate', 'Function(sum, UInt8)'))",
            "WITH 'AggregateFunction(sum, UInt8)' AS t SELECT CAST('x', t)",
            "SELECT CAST('x', {t:String})",
            "SELECT accurateCast('x', replace('a', 'b', 'c'))",
            "SELECT accurateCastOrDefault('x', concat('a', 'b'), 1)",
            "SELECT JSONExtract('{}', 'a', concat('a', 'b'))",
            "SELECT * FROM values(concat('a ', 'b'), 1)",
            "SELECT CAST('x', 'AggregateFunction (sum, UInt8)')",
            "SELECT CAST('x', ['AggregateFunction(sum, UInt8)'][1])",
            "SELECT arrayReduce('aggThrow(0.5)', [1])",
            "SELECT CAST('x', 'AggregateFunction/**/(sum, UInt8)')",
            "SELECT CAST('x', 'Array(\\'AggregateFunction\\'(sum, UInt8))')",
            "SELECT defaultValueOfTypeName(concat('a', 'b'))",
            "SELECT dynamicElement(a, concat('a', 'b')) FROM t",
            "SELECT arrayReduce(concat('s', 'um'), [1])",
        ] {
            assert_eq!(check(hidden), Err(497), "{hidden}");
        }
        for plain in [
            "SELECT CAST(concat('a', 'b'), 'String'), accurateCastOrNull(a, 'UInt8') FROM t",
            "SELECT JSONExtract(a, 'key', 'Array(String)') FROM t",
            "SELECT * FROM values('a UInt8', 1, 2)",
            "SELECT arrayReduce('sum', [1]), arrayReduce('quantiles(0.5)', a) FROM t",
            "SELECT * FROM values((1, 'x'), (2, 'y'))",
        ] {
            assert_eq!(check(plain).as_deref(), Ok(plain));
        }
        assert_eq!(check("SELECT {x:Array(file)}").as_deref(), Ok("SELECT {x:Array(file)}"), "a type's name");
        assert_eq!(check("SELECT {'a':1}"), Err(62));
        assert!(check("SELECT type LIKE 'AggregateFunction(%' FROM t").is_ok());
        assert!(
            check("SELECT multiIf(name = 'AggregateFunction', 1, name IN ('AggregateFunction'), 2, 3) FROM t").is_ok()
        );
        assert!(check("SELECT 1 AS settings, 2 AS format").is_ok());
    }
}
