//! SHOW as a SELECT, which is then judged like any other: the engine runs the clauses of a SHOW without its tree showing them.

use super::super::error::{Code, Failure};
use super::text::{Kind, Piece};
use crate::engine::sql::quoted_text;

/// A SHOW statement's clauses.
struct Clauses<'t> {
    /// `FROM` once: a database, or a table; twice: the table, then the database.
    from: Vec<String>,
    /// `[NOT] LIKE 'pattern'` as it stands.
    like: Option<&'t str>,
    filter: Option<&'t str>,
    limit: Option<&'t str>,
}

/// The SELECT that shows the same. `text` is printed by the engine, without its trailer; `full`: the statement said so, which the
/// engine's printing forgets for tables. `None`: the statement names one thing and has no clauses that run (`SHOW CREATE`).
pub(super) fn select(text: &str, pieces: &[Piece<'_>], full: bool, database: &str) -> Result<Option<String>, Failure> {
    let refused = || {
        let what = pieces.iter().skip(1).take(2).map(|p| p.text.as_ref()).collect::<Vec<_>>().join(" ");
        Code::AccessDenied.failure(format!(
            "Not enough privileges: analysts cannot SHOW {what}; they can show tables, databases, columns, indexes, functions, \
             settings, engines, dictionaries, clusters, grants, their own processes, and how tables and views are made"
        ))
    };
    let mut at = 1;
    let mut flags = Vec::new();
    while let Some(piece) = pieces.get(at)
        && ["EXTENDED", "FULL", "CHANGED", "TEMPORARY"].iter().any(|flag| piece.is(flag))
    {
        flags.push(piece.text.as_ref());
        at += 1;
    }
    let full = full || flags.contains(&"FULL");
    let Some(what) = pieces.get(at).filter(|piece| piece.is_name()) else { return Err(refused()) };
    let what = what.text.to_uppercase();
    if what == "CREATE" {
        return Ok(None);
    }
    let clauses = clauses(text, &pieces[at + 1..]).ok_or_else(refused);
    let of = |clauses: &Clauses<'_>, at: usize| {
        quoted_text(clauses.from.get(at).map_or(database, |name| if name.is_empty() { database } else { name }))
    };
    Ok(Some(match what.as_str() {
        "TABLES" if flags.contains(&"TEMPORARY") => "SELECT name FROM system.tables WHERE 0".to_owned(),
        "TABLES" => {
            let clauses = clauses?;
            let columns = if full { "name, engine" } else { "name" };
            let from = format!("SELECT {columns} FROM system.tables WHERE database = {}", of(&clauses, 0));
            finished(&from, &clauses, "name", "name")
        }
        "DATABASES" => finished("SELECT name FROM system.databases WHERE 1", &clauses?, "name", "name"),
        "DICTIONARIES" => finished("SELECT name FROM system.dictionaries WHERE 1", &clauses?, "name", "name"),
        "CLUSTERS" => finished("SELECT DISTINCT cluster FROM system.clusters WHERE 1", &clauses?, "cluster", "cluster"),
        "FUNCTIONS" => finished("SELECT * FROM system.functions WHERE 1", &clauses?, "name", "name"),
        "ENGINES" => finished("SELECT * FROM system.table_engines WHERE 1", &clauses?, "name", "name"),
        "PROCESSLIST" => finished("SELECT * FROM system.processes WHERE 1", &clauses?, "query", "elapsed"),
        "SETTINGS" => {
            let changed = if flags.contains(&"CHANGED") { " AND changed" } else { "" };
            let from = format!("SELECT name, type, value FROM system.settings WHERE 1{changed}");
            finished(&from, &clauses?, "name", "name")
        }
        "SETTING" => {
            let name = pieces.get(at + 1).filter(|piece| piece.is_name()).ok_or_else(refused)?;
            format!("SELECT value FROM system.settings WHERE name = {}", quoted_text(&name.text))
        }
        "GRANTS" if pieces.len() == at + 1 => {
            format!("SELECT {} AS GRANTS", quoted_text(&format!("GRANT SELECT, SHOW ON {database}.* TO analyst")))
        }
        "COLUMNS" => {
            let clauses = clauses?;
            let table = quoted_text(clauses.from.first().ok_or_else(refused)?);
            let more = if full { ", NULL AS collation, comment, '' AS privileges" } else { "" };
            let from = format!(
                "SELECT * FROM (SELECT name AS field, type, if(startsWith(type, 'Nullable'), 'YES', 'NO') AS `null`, \
                 trimBoth(concat(if(is_in_primary_key, 'PRI ', ''), if(is_in_sorting_key, 'SOR', ''))) AS key, \
                 if(default_kind = '', NULL, default_expression) AS default, '' AS extra{more} FROM system.columns \
                 WHERE database = {} AND table = {table}) WHERE 1",
                of(&clauses, 1)
            );
            finished(&from, &clauses, "field", "field")
        }
        "INDEXES" => {
            let clauses = clauses?;
            let table = quoted_text(clauses.from.first().ok_or_else(refused)?);
            let place = format!("database = {} AND table = {table}", of(&clauses, 1));
            let rest = "NULL AS sub_part, NULL AS packed, NULL AS `null`";
            let from = format!(
                "SELECT * FROM (SELECT table, 1 AS non_unique, 'PRIMARY' AS key_name, row_number() OVER (ORDER BY position) AS \
                 seq_in_index, name AS column_name, 'A' AS collation, 0 AS cardinality, {rest}, 'PRIMARY' AS index_type, '' AS \
                 comment, '' AS index_comment, 'YES' AS visible, '' AS expression FROM system.columns WHERE {place} AND \
                 is_in_primary_key UNION ALL SELECT table, 1, name, 1, '', NULL, 0, {rest}, upper(type), '', '', 'YES', expr \
                 FROM system.data_skipping_indices WHERE {place}) WHERE 1"
            );
            finished(&from, &clauses, "key_name", "key_name")
        }
        _ => return Err(refused()),
    }))
}

/// The statement with what its clauses add.
fn finished(select: &str, clauses: &Clauses<'_>, pattern: &str, order: &str) -> String {
    let mut out = select.to_owned();
    if let Some(like) = clauses.like {
        out.push_str(&format!(" AND {pattern} {like}"));
    }
    if let Some(filter) = clauses.filter {
        out.push_str(&format!(" AND ({filter})"));
    }
    out.push_str(&format!(" ORDER BY {order}"));
    if let Some(limit) = clauses.limit {
        out.push_str(&format!(" LIMIT ({limit})"));
    }
    out
}

/// `FROM t [FROM d] [[NOT] LIKE 'p'] [WHERE …] [LIMIT …]`, each at most once and in this order; `None` for anything else.
fn clauses<'t>(text: &'t str, pieces: &[Piece<'_>]) -> Option<Clauses<'t>> {
    let mut out = Clauses { from: Vec::new(), like: None, filter: None, limit: None };
    let mut rest = pieces;
    while let [from, name, more @ ..] = rest
        && from.is("FROM")
    {
        out.from.push(name.is_name().then(|| name.text.to_string())?);
        rest = more;
    }
    let words = usize::from(rest.first().is_some_and(|p| p.is("NOT")));
    if let (Some(like), Some(pattern)) = (rest.get(words), rest.get(words + 1))
        && (like.is("LIKE") || like.is("ILIKE"))
        && pattern.kind == Kind::Literal
    {
        out.like = Some(&text[rest[0].start..pattern.end]);
        rest = &rest[words + 2..];
    }
    let until = |rest: &[Piece<'_>], word: &str| {
        let mut depth = 0usize;
        rest.iter().position(|piece| {
            match piece.kind {
                Kind::Symbol(b'(' | b'[') => depth += 1,
                Kind::Symbol(b')' | b']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && piece.is(word)
        })
    };
    let span = |part: &[Piece<'_>]| Some(&text[part.first()?.start..part.last()?.end]);
    if rest.first().is_some_and(|p| p.is("WHERE")) {
        let end = until(rest, "LIMIT").unwrap_or(rest.len());
        out.filter = Some(span(&rest[1..end])?);
        rest = &rest[end..];
    }
    if rest.first().is_some_and(|p| p.is("LIMIT")) {
        out.limit = Some(span(&rest[1..])?);
        rest = &[];
    }
    rest.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::super::text::pieces;
    use super::*;

    fn of(text: &str) -> Result<Option<String>, u32> {
        select(text, &pieces(text).expect("pieces"), false, "headwater").map_err(|failure| failure.code)
    }

    fn shown(text: &str) -> String {
        of(text).unwrap_or_else(|code| panic!("{text}: {code}")).unwrap_or_else(|| panic!("{text}: none"))
    }

    #[test]
    fn clauses_become_parts_of_a_select() {
        assert_eq!(shown("SHOW TABLES"), "SELECT name FROM system.tables WHERE database = 'headwater' ORDER BY name");
        assert_eq!(
            shown("SHOW TABLES FROM d NOT ILIKE 'a%' LIMIT (SELECT file('x'))"),
            "SELECT name FROM system.tables WHERE database = 'd' AND name NOT ILIKE 'a%' ORDER BY name LIMIT ((SELECT file('x')))"
        );
        assert_eq!(
            shown("SHOW TABLES WHERE (name = 'x') OR (file('LIMIT') = '')"),
            "SELECT name FROM system.tables WHERE database = 'headwater' AND ((name = 'x') OR (file('LIMIT') = '')) ORDER BY name"
        );
        assert!(shown("SHOW FULL COLUMNS FROM t FROM d LIKE 'x'").contains("database = 'd' AND table = 't'"));
        assert!(shown("SHOW COLUMNS FROM `it's`").contains("table = 'it\\'s'"));
        assert_eq!(of("SHOW CREATE TABLE x"), Ok(None));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "SHOW USERS",
            "SHOW GRANTS FOR x",
            "SHOW ACCESS",
            "SHOW TABLES NONSENSE",
            "SHOW",
            "SHOW MERGES",
            "SHOW COLUMNS",
        ] {
            assert_eq!(of(text), Err(497), "{text}");
        }
    }
}
