//! What stands at the end of a statement and is the request's: `FORMAT name` and `SETTINGS name = value, …`.

use super::super::error::{Code, Failure};
use super::text::{Kind, Piece, unquoted};

/// The end of a statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Where it begins.
    pub start: usize,
    pub format: Option<String>,
    pub settings: Vec<(String, String)>,
}

/// Finds it, outside of parentheses, in either order. What only looks like it is left in the statement, where it is judged.
pub(super) fn trailer(text: &str, pieces: &[Piece<'_>]) -> Result<Trailer, Failure> {
    let mut found = Trailer { start: text.len(), ..Trailer::default() };
    let mut end = pieces.len();
    loop {
        if let Some([word, name]) = end.checked_sub(2).and_then(|from| pieces.get(from..end))
            && found.format.is_none()
            && word.is("FORMAT")
            && name.is_name()
            && end > 2
            && !pieces[end - 3].is("AS")
        {
            found.format = Some(name.text.to_string());
            end -= 2;
        } else if found.settings.is_empty()
            && let Some(from) = last_settings(&pieces[..end])
        {
            found.settings = settings(text, &pieces[from + 1..end])?;
            end = from;
        } else {
            found.start = pieces.get(end).map_or(text.len(), |piece| piece.start);
            return Ok(found);
        }
    }
}

/// The last `SETTINGS name =` outside of parentheses, unless more of the statement follows it.
fn last_settings(pieces: &[Piece<'_>]) -> Option<usize> {
    let mut depth = 0usize;
    let mut found = None;
    for (at, piece) in pieces.iter().enumerate() {
        match piece.kind {
            Kind::Symbol(b'(' | b'[' | b'{') => depth += 1,
            Kind::Symbol(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let assigns =
            || pieces.get(at + 1).is_some_and(Piece::is_name) && pieces.get(at + 2).is_some_and(|p| p.is_symbol(b'='));
        if depth == 0 && piece.is("SETTINGS") && assigns() {
            found = Some(at);
        } else if depth == 0 && ["UNION", "EXCEPT", "INTERSECT", "SELECT", "FORMAT"].iter().any(|word| piece.is(word)) {
            found = None;
        }
    }
    found
}

/// `name = value, …`.
fn settings(text: &str, pieces: &[Piece<'_>]) -> Result<Vec<(String, String)>, Failure> {
    let odd = || Code::Syntax.failure("Syntax error: SETTINGS takes `name = value`, separated by commas");
    let mut out = Vec::new();
    let mut rest = pieces;
    while !rest.is_empty() {
        let [name, equals, ..] = rest else { return Err(odd()) };
        if !name.is_name() || !equals.is_symbol(b'=') {
            return Err(odd());
        }
        let mut depth = 0usize;
        let length = rest[2..].iter().position(|piece| {
            match piece.kind {
                Kind::Symbol(b'(' | b'[' | b'{') => depth += 1,
                Kind::Symbol(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && piece.is_symbol(b',')
        });
        let value = &rest[2..2 + length.unwrap_or(rest.len() - 2)];
        let (first, last) = (value.first().ok_or_else(odd)?, value.last().ok_or_else(odd)?);
        let stands = &text[first.start..last.end];
        let value = if value.len() == 1 && first.kind == Kind::Literal { unquoted(stands) } else { stands.to_owned() };
        out.push((name.text.to_string(), value));
        rest = length.map_or(&[], |length| &rest[2 + length + 1..]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::text::pieces;
    use super::*;

    fn cut(text: &str) -> (&str, Option<String>, Vec<(String, String)>) {
        let found = trailer(text, &pieces(text).expect("pieces")).expect("trailer");
        (text[..found.start].trim_end(), found.format, found.settings)
    }

    #[test]
    fn formats_and_settings_in_either_order() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cut("SELECT 1 FORMAT JSON"), ("SELECT 1", Some("JSON".to_owned()), vec![]));
        let both = vec![pair("max_threads", "2"), pair("x", "it's")];
        assert_eq!(
            cut("SELECT 1 SETTINGS max_threads = 2, x = 'it\\'s' FORMAT CSV"),
            ("SELECT 1", Some("CSV".to_owned()), both)
        );
        assert_eq!(
            cut("SELECT 1 FORMAT CSV SETTINGS max_threads = 2"),
            ("SELECT 1", Some("CSV".to_owned()), vec![pair("max_threads", "2")])
        );
        assert_eq!(
            cut("SELECT 1 SETTINGS additional_table_filters = {'d.t':'a = 1, b = 2'}, y = -1.5"),
            ("SELECT 1", None, vec![pair("additional_table_filters", "{'d.t':'a = 1, b = 2'}"), pair("y", "-1.5")])
        );
        assert_eq!(cut("SELECT 1 FORMAT `Null`").1.as_deref(), Some("Null"));
    }

    #[test]
    fn what_stands_inside_stays() {
        for text in [
            "SELECT * FROM (SELECT 1 SETTINGS a = 1)",
            "SELECT 1 SETTINGS a = 1 UNION ALL SELECT 2",
            "SELECT 1 AS format",
            "SELECT 1 AS FORMAT JSON",
            "EXPLAIN indexes = 1 SELECT 1",
            "SELECT 1 AS settings",
        ] {
            assert_eq!(cut(text), (text, None, vec![]), "{text}");
        }
        assert_eq!(cut("SELECT 1 UNION ALL SELECT 2 SETTINGS a = 1").0, "SELECT 1 UNION ALL SELECT 2");
    }
}
