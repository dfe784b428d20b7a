//! What an analyst's statement may be.
//!
//! Guarantee: it is one statement that reads; it reaches only the store's own database and what describes the engine to
//! analysts; it calls only listed functions; it changes no setting but through the list of settings. Nothing of it goes
//! unseen, for what is judged is what runs: the engine parses the statement and prints it (`formatQuerySingleLine`, the printing
//! by which ClickHouse sends statements to its shards), every piece of that text is looked at, whatever clause it stands in, and
//! that very text is what the engine is given. A clause that the printing left out does not run; one that it shows is judged.
//! A second look at the syntax tree refuses kinds of nodes that are not known here.
//!
//! Behind this stand, each by itself, the engine's grants, limits that `readonly` closes, and the sandbox of the process.
//!
//! ```text
//!   text ─▶ engine prints ─▶ pieces ─▶ trailer (FORMAT, SETTINGS) ─▶ kind ─▶ SHOW as SELECT ─▶ check ─▶ tree ─▶ Statement
//! ```

mod asked;
mod check;
mod names;
mod show;
mod text;
mod trailer;
mod tree;

use super::super::ffi::{Connection, Params};
use super::super::sql::{quoted_name, quoted_text};
use super::super::{describe, tenants, watched};
use super::error::{Code, Failure};
use asked::{Asked, kill, kind};
use check::{Check, Edit, edited};
use names::{FORMATS, Functions};
use schemas::limits::store as limits;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use text::{Kind, Piece, pieces};
use trailer::trailer;

/// How long the list of the engine's databases is believed.
const DATABASES_FOR: Duration = Duration::from_secs(5);

/// What becomes of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It runs.
    Run(Statement),
    /// The analysts' own statements with these query ids are to be ended.
    Kill(Kill),
    /// It asks for what is so anyway (`USE` of the store's database).
    Nothing,
}

/// A statement that runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// What the engine is given.
    pub text: String,
    /// The format that the statement named.
    pub format: Option<String>,
    /// Settings that the statement named, not judged yet.
    pub settings: Vec<(String, String)>,
    /// Its result may come in chunks.
    pub select: bool,
}

/// `KILL QUERY WHERE query_id = '…'`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kill {
    pub query_ids: Vec<String>,
    /// Say only what would be ended.
    pub test: bool,
    /// The format that the statement named.
    pub format: Option<String>,
}

/// Judges statements of analysts.
pub(super) struct Judge {
    functions: Functions,
    database: String,
    described: String,
    /// Tables and views that analysts do not name, nor any that is called after them.
    unnamed: &'static [&'static str],
    /// Databases of the engine that are neither of these, and when they were asked for.
    foreign: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Judge {
    /// Asks the engine for the names of its functions. `contracts`: analysts may know which contracts are watched.
    pub fn read(connection: &mut Connection, database: &str, contracts: bool) -> Result<Self, Failure> {
        Ok(Self {
            functions: Functions::read(connection)?,
            database: database.to_owned(),
            described: describe::database(database),
            unnamed: if contracts { &[] } else { &watched::UNNAMED },
            foreign: Mutex::new(None),
        })
    }

    /// Asks for the engine's databases again when the list is old. `connection` still has all rights.
    pub fn refresh(&self, connection: &mut Connection) -> Result<(), Failure> {
        let fresh =
            |known: &Option<(Instant, Vec<String>)>| known.as_ref().is_some_and(|(at, _)| at.elapsed() < DATABASES_FOR);
        if fresh(&self.foreign.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let names = connection.query(b"SELECT name FROM system.databases", "TSVRaw", &[])?;
        let names = String::from_utf8_lossy(names.as_ref()).into_owned();
        let ours = |name: &str| name == self.database || name == self.described;
        let of_the_engine = |name: &str| name == "system" || name.eq_ignore_ascii_case("information_schema");
        let others = names.lines().filter(|name| !ours(name) && !of_the_engine(name)).map(str::to_owned);
        // That of tenants before it is made, too.
        let foreign = others.chain([tenants::database(&self.database)]).collect();
        *self.foreign.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), foreign));
        Ok(())
    }

    /// Judges a statement. `connection` has the analyst's limits and no role; nothing of the statement runs here. Values of
    /// parameters of type Identifier become part of it.
    pub fn judge(&self, connection: &mut Connection, sql: &[u8], params: &Params) -> Result<Verdict, Failure> {
        if sql.len() > limits::ANALYST_STATEMENT_BYTES {
            let most = limits::ANALYST_STATEMENT_BYTES;
            return Err(Code::BadArguments.failure(format!("the statement is longer than {most} bytes")));
        }
        let sql =
            std::str::from_utf8(sql).map_err(|_| Code::Syntax.failure("Syntax error: the statement is not UTF-8"))?;
        as_written(sql)?;
        let printed = print(connection, sql)?;
        let printed = named(&printed, params)?;
        let all = pieces(&printed)?;
        let end = trailer(&printed, &all)?;
        let format = format_of(end.format)?;
        let body = printed[..end.start].trim_end();
        let body_pieces: Vec<Piece<'_>> = all.iter().filter(|piece| piece.start < end.start).cloned().collect();
        let text = match kind(&body_pieces)? {
            Asked::Kill => return kill(&body_pieces, format),
            Asked::Use if body_pieces.last().is_some_and(|name| name.text == self.database) => {
                return Ok(Verdict::Nothing);
            }
            Asked::Use => {
                let text = format!("Not enough privileges: analysts read the database {}", self.database);
                return Err(Code::AccessDenied.failure(text));
            }
            Asked::Show => match show::select(body, &body_pieces, says_full(sql), &self.database)? {
                Some(select) => print(connection, &select)?,
                None => body.to_owned(),
            },
            Asked::Read => body.to_owned(),
        };
        let edits = self.check(&text, &self.foreign())?;
        let text = edited(&text, &edits);
        let tree = connection.query(format!("EXPLAIN AST {text}").as_bytes(), "TSVRaw", params)?;
        tree::check(&String::from_utf8_lossy(tree.as_ref()))?;
        let select = text.starts_with("SELECT ") || text.starts_with("WITH ");
        Ok(Verdict::Run(Statement { text, format, settings: end.settings, select }))
    }

    fn check(&self, text: &str, foreign: &[String]) -> Result<Vec<Edit>, Failure> {
        let check = Check {
            functions: &self.functions,
            database: &self.database,
            described: &self.described,
            unnamed: self.unnamed,
            foreign,
        };
        check.run(&pieces(text)?)
    }

    /// Judges the value of `additional_table_filters`: expressions that the engine adds to the statement, on tables of the store's
    /// database. Answers the value that was judged, which is the one to set: the engine reads escapes in a text that are many.
    pub fn filters(&self, connection: &mut Connection, value: &str) -> Result<String, Failure> {
        let odd = || Code::BadArguments.failure(format!("'{FILTERS}' takes {{'database.table':'condition', …}}"));
        let printed = print(connection, &format!("SELECT 1 SETTINGS {FILTERS} = {value}"))?;
        let found = trailer(&printed, &pieces(&printed)?)?;
        let [(name, value)] = found.settings.as_slice() else { return Err(odd()) };
        if name != FILTERS || found.format.is_some() || printed[..found.start].trim_end() != "SELECT 1" {
            return Err(odd());
        }
        let all = pieces(value)?;
        let [open, inner @ .., close] = all.as_slice() else { return Err(odd()) };
        if !open.is_symbol(b'{') || !close.is_symbol(b'}') {
            return Err(odd());
        }
        let mut judged = Vec::new();
        for pair in inner.split(|piece| piece.is_symbol(b',')).filter(|pair| !pair.is_empty()) {
            let [table, colon, condition] = pair else { return Err(odd()) };
            if table.kind != Kind::Literal || !colon.is_symbol(b':') || condition.kind != Kind::Literal {
                return Err(odd());
            }
            // A condition on a table below a view would see rows that the view leaves out; a name without a database might be one
            // that the engine made for such a table.
            let table = self.own(connection, &text::unquoted(&table.text))?;
            let condition = text::unquoted(&condition.text);
            as_written(&condition)?;
            let printed = print(connection, &format!("SELECT 1 WHERE ({condition})"))?;
            if !self.check(&printed, &self.foreign())?.is_empty() {
                return Err(Code::AccessDenied.failure("Not enough privileges: a filter reads no tables of the engine"));
            }
            let tree = connection.query(format!("EXPLAIN AST {printed}").as_bytes(), "TSVRaw", &[])?;
            tree::check(&String::from_utf8_lossy(tree.as_ref()))?;
            // What was judged is what is set.
            let condition = printed.strip_prefix("SELECT 1 WHERE ").ok_or_else(odd)?;
            judged.push(format!("{}:{}", quoted_text(&table), quoted_text(condition)));
        }
        Ok(format!("{{{}}}", judged.join(", ")))
    }

    /// The full name of a table or view of the store's database; anything else is refused.
    fn own(&self, connection: &mut Connection, name: &str) -> Result<String, Failure> {
        let (database, table) = name.split_once('.').unwrap_or((&self.database, name));
        check::unnamed(self.unnamed, table)?;
        let sql = format!("EXISTS TABLE {}.{}", quoted_name(&self.database), quoted_name(table));
        let there =
            database == self.database && connection.query(sql.as_bytes(), "TSVRaw", &[])?.as_ref().starts_with(b"1");
        if there {
            return Ok(format!("{database}.{table}"));
        }
        Err(Code::AccessDenied
            .failure(format!("Not enough privileges: '{FILTERS}' is for views of {}, not {name}", self.database)))
    }

    fn foreign(&self) -> Vec<String> {
        let known = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map_or_else(Vec::new, |(_, names)| names.clone())
    }
}

/// Tables of `system` that analysts read as they are.
pub(super) fn readable_tables() -> &'static [&'static str] {
    names::SYSTEM_TABLES
}

/// The setting by which Grafana's ad-hoc filters come.
pub(super) const FILTERS: &str = "additional_table_filters";

/// Refuses formats that are not for analysts.
pub(super) fn format_of(format: Option<String>) -> Result<Option<String>, Failure> {
    match format {
        Some(name) if !FORMATS.contains(&name.to_lowercase().as_str()) => {
            let text = format!(
                "the format {name} is not among those in which analysts get results: it is unknown, or needs a schema"
            );
            Err(Code::UnknownFormat.failure(text))
        }
        format => Ok(format),
    }
}

/// The statement as the engine understood it.
fn print(connection: &mut Connection, sql: &str) -> Result<String, Failure> {
    const CALL: &str = "formatQuerySingleLine(";
    let call = format!("SELECT {CALL}{})", quoted_text(sql));
    let printed = connection.query(call.as_bytes(), "TSVRaw", &[]).map_err(|exception| {
        let failure = Failure::from(exception);
        // The engine adds what it was evaluating, which is ours.
        match failure.message.find(&format!(": In scope SELECT {CALL}")) {
            Some(end) => {
                let said = failure.message[..end].to_owned();
                failure.with_text(&said)
            }
            None => failure,
        }
    })?;
    let text = String::from_utf8_lossy(printed.as_ref()).into_owned();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.is_empty() {
        return Err(Code::NoRoom.failure("the engine did not say how it understands the statement; try again"));
    }
    Ok(text.to_owned())
}

/// Names that the engine prints without their quotes although they then are values or operators.
const UNQUOTED: &[&str] = &["false", "inf", "infinity", "nan", "not", "null", "true"];

/// Refuses what the engine would print in other words than it was written, and brackets so deep that its parser would take long.
fn as_written(sql: &str) -> Result<(), Failure> {
    let mut depth = 0usize;
    let mut lexer = super::lexer::Lexer::new(sql.as_bytes());
    while let Ok(Some((token, start, end))) = lexer.next() {
        match token {
            super::lexer::Token::Symbol(b'(' | b'[' | b'{') => depth += 1,
            super::lexer::Token::Symbol(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            super::lexer::Token::Quoted if sql[start..].starts_with(['`', '"']) => {
                let name = text::unquoted(&sql[start..end]);
                if UNQUOTED.contains(&name.to_lowercase().as_str()) {
                    let text = format!(
                        "the quoted name `{name}` would be read as a value or an operator; give it another name"
                    );
                    return Err(Code::NotImplemented.failure(text));
                }
            }
            _ => {}
        }
        if depth > limits::ANALYST_BRACKETS {
            let most = limits::ANALYST_BRACKETS;
            return Err(Code::TooDeep.failure(format!("the statement has brackets more than {most} deep")));
        }
    }
    Ok(())
}

/// The statement with the values of its `{name:Identifier}` in their place.
fn named(text: &str, params: &Params) -> Result<String, Failure> {
    let all = pieces(text)?;
    let mut edits = Vec::new();
    for window in all.windows(5) {
        let [open, name, colon, kind, close] = window else { continue };
        let shape = open.is_symbol(b'{') && name.is_name() && colon.is_symbol(b':') && close.is_symbol(b'}');
        if shape && kind.text.eq_ignore_ascii_case("Identifier") {
            let Some((_, value)) = params.iter().find(|(param, _)| *param == name.text) else {
                return Err(Code::UnknownParameter.failure(format!("Substitution `{}` is not set", name.text)));
            };
            let with = value.split('.').map(quoted_name).collect::<Vec<_>>().join(".");
            edits.push(Edit { start: open.start, end: close.end, with });
        }
    }
    Ok(edited(text, &edits))
}

/// Whether a SHOW says FULL, which the engine's printing leaves out for tables.
fn says_full(sql: &str) -> bool {
    let mut lexer = super::lexer::Lexer::new(sql.as_bytes());
    let mut word = || match lexer.next() {
        Ok(Some((super::lexer::Token::Word(word), ..))) => word.to_ascii_lowercase(),
        _ => Vec::new(),
    };
    word() == b"show" && [word(), word()].contains(&b"full".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_printed_otherwise_or_take_long_is_refused() {
        for sql in ["SELECT `true` FROM t", "SELECT number AS \"Not\" FROM t", "SELECT 1 AS `NaN`"] {
            assert_eq!(as_written(sql).expect_err(sql).code, 48, "{sql}");
        }
        let deep = format!("SELECT {}", "[(".repeat(1_000));
        assert_eq!(as_written(&deep).expect_err("deep").code, 306);
        for sql in ["SELECT true, not a, '`true`' AS x FROM t", "SELECT `truth` FROM t -- `true`"] {
            assert!(as_written(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn identifiers_come_from_parameters_and_are_seen() {
        let params = [("d".to_owned(), "system".to_owned()), ("t".to_owned(), "a`b.c".to_owned())];
        assert_eq!(
            named("SELECT {n:UInt8} FROM {d:Identifier}.{t:Identifier}", &params).as_deref(),
            Ok("SELECT {n:UInt8} FROM `system`.`a\\`b`.`c`")
        );
        assert_eq!(named("SELECT {x:Identifier}", &params).expect_err("not set").code, 456);
        assert!(
            says_full("show /* x */ FULL tables")
                && says_full("SHOW EXTENDED FULL COLUMNS")
                && !says_full("SHOW TABLES")
        );
    }
}
