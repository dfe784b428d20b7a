//! Which kind of statement it is, by how it begins.

use super::super::error::{Code, Failure};
use super::names::{EXPLAIN_KINDS, EXPLAIN_SETTINGS};
use super::text::{Kind, Piece, unquoted};
use super::{Kill, Verdict};

/// What a statement asks for.
pub(super) enum Asked {
    Read,
    Show,
    Kill,
    Use,
}

/// The kind of a statement, if it is one that analysts may run.
pub(super) fn kind(pieces: &[Piece<'_>]) -> Result<Asked, Failure> {
    let first = pieces.first().ok_or_else(|| Code::Syntax.failure("Empty query"))?;
    let word = |at: usize| pieces.get(at).map(|piece| piece.text.as_ref()).unwrap_or_default();
    let is = |at: usize, keyword: &str| pieces.get(at).is_some_and(|piece| piece.is(keyword));
    match first {
        _ if reads(pieces) || is(0, "DESCRIBE") || is(0, "EXISTS") => Ok(Asked::Read),
        _ if is(0, "EXPLAIN") => explain(&pieces[1..]).map(|()| Asked::Read),
        _ if is(0, "SHOW") => Ok(Asked::Show),
        _ if is(0, "KILL") && is(1, "QUERY") => Ok(Asked::Kill),
        _ if is(0, "USE") => Ok(Asked::Use),
        _ => {
            let text = format!("Analysts may run one statement that reads; {} {} is none", word(0), word(1));
            Err(Code::AccessDenied.failure(text))
        }
    }
}

/// A SELECT, as it begins.
fn reads(pieces: &[Piece<'_>]) -> bool {
    pieces.first().is_some_and(|first| first.is("SELECT") || first.is("WITH") || first.is_symbol(b'('))
}

/// What stands behind EXPLAIN: a kind, settings, a SELECT.
fn explain(pieces: &[Piece<'_>]) -> Result<(), Failure> {
    let denied = |what: &str| {
        Err(Code::AccessDenied.failure(format!(
            "Not enough privileges: analysts EXPLAIN one SELECT, with kinds and settings that only show it; {what}"
        )))
    };
    let kind = EXPLAIN_KINDS
        .iter()
        .find(|kind| kind.iter().enumerate().all(|(at, word)| pieces.get(at).is_some_and(|piece| piece.is(word))));
    let mut rest = &pieces[kind.map_or(0, |kind| kind.len())..];
    while let [name, equals, value, more @ ..] = rest
        && equals.is_symbol(b'=')
    {
        if !EXPLAIN_SETTINGS.contains(&name.text.as_ref()) || value.kind == Kind::Literal {
            return denied(&format!("{} is none", name.text));
        }
        rest = match more {
            [comma, after @ ..] if comma.is_symbol(b',') => after,
            _ => more,
        };
    }
    if reads(rest) { Ok(()) } else { denied(rest.first().map_or("this is none", |piece| piece.text.as_ref())) }
}

/// `KILL QUERY WHERE query_id = '…' | query_id IN ('…', …) [SYNC | ASYNC | TEST]`.
pub(super) fn kill(pieces: &[Piece<'_>], format: Option<String>) -> Result<Verdict, Failure> {
    let own = || {
        Code::AccessDenied
            .failure("Not enough privileges: analysts end their own statements, by KILL QUERY WHERE query_id = '…'")
    };
    let mut rest = &pieces[2..];
    let mut test = false;
    if let [before @ .., last] = rest
        && (last.is("SYNC") || last.is("ASYNC") || last.is("TEST"))
    {
        test = last.is("TEST");
        rest = before;
    }
    let ids = match rest {
        [clause, column, equals, id] if clause.is("WHERE") && column.text == "query_id" && equals.is_symbol(b'=') => {
            std::slice::from_ref(id)
        }
        [clause, column, word, open, ids @ .., close]
            if clause.is("WHERE")
                && column.text == "query_id"
                && word.is("IN")
                && open.is_symbol(b'(')
                && close.is_symbol(b')') =>
        {
            ids
        }
        _ => return Err(own()),
    };
    let mut query_ids = Vec::new();
    for id in ids.iter().filter(|piece| !piece.is_symbol(b',')) {
        if id.kind != Kind::Literal {
            return Err(own());
        }
        query_ids.push(unquoted(&id.text));
    }
    Ok(Verdict::Kill(Kill { query_ids, test, format }))
}

#[cfg(test)]
mod tests {
    use super::super::text::pieces;
    use super::*;

    fn asked(text: &str) -> Result<(), u32> {
        kind(&pieces(text).expect("pieces")).map(drop).map_err(|failure| failure.code)
    }

    #[test]
    fn one_statement_that_reads() {
        for fine in [
            "SELECT 1",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "EXPLAIN indexes = 1, json = 0 SELECT 1",
            "EXPLAIN ESTIMATE SELECT 1",
            "EXPLAIN QUERY TREE run_passes = 0 SELECT 1",
            "DESCRIBE TABLE t",
            "EXISTS TABLE t",
            "SHOW TABLES",
            "KILL QUERY WHERE query_id = 'x'",
            "USE headwater",
        ] {
            assert_eq!(asked(fine), Ok(()), "{fine}");
        }
        for refused in [
            "INSERT INTO t FORMAT Values",
            "DROP TABLE t",
            "SET readonly = 0",
            "SYSTEM SHUTDOWN",
            "EXPLAIN INSERT INTO t SELECT 1",
            "EXPLAIN TABLE OVERRIDE mysql('')",
            "EXPLAIN CURRENT TRANSACTION",
            "EXPLAIN nonsense = 1 SELECT 1",
            "KILL MUTATION WHERE 1",
            "EXECUTE AS x SELECT 1",
            "`SELECT` 1",
        ] {
            assert_eq!(asked(refused), Err(497), "{refused}");
        }
    }

    #[test]
    fn only_own_statements_are_ended_by_their_ids() {
        let of = |text: &str| kill(&pieces(text).expect("pieces"), None).map_err(|failure| failure.code);
        let ids = |ids: &[&str], test| {
            let query_ids = ids.iter().map(|id| (*id).to_owned()).collect();
            Ok(Verdict::Kill(Kill { query_ids, test, format: None }))
        };
        assert_eq!(of("KILL QUERY WHERE query_id = 'a'"), ids(&["a"], false));
        assert_eq!(of("KILL QUERY WHERE query_id = 'a\\'b' SYNC"), ids(&["a'b"], false));
        assert_eq!(of("KILL QUERY WHERE query_id IN ('a', 'b') TEST"), ids(&["a", "b"], true));
        for refused in [
            "KILL QUERY WHERE 1",
            "KILL QUERY WHERE user = 'x'",
            "KILL QUERY WHERE query_id = hostName()",
            "KILL QUERY WHERE (query_id = 'a') OR 1",
            "KILL QUERY ON CLUSTER c WHERE query_id = 'a'",
        ] {
            assert_eq!(of(refused), Err(497), "{refused}");
        }
    }
}
