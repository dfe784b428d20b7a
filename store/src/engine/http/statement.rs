//! Cuts what a client sends (statement, and for inserts the data behind it) into statement, format and data.

use super::lexer::{Lexer, Token};

/// What a text is, as far as its shape tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `INSERT … FORMAT name` or `INSERT … VALUES`, and where the data begin.
    Insert {
        /// Length of the statement without `FORMAT name` or `VALUES`.
        statement: usize,
        /// The data's format.
        format: String,
        /// Where the data begin.
        data: usize,
    },
    /// Any other statement, whole, with the format that it names for its result.
    Other {
        /// `FORMAT name` at its end.
        format: Option<String>,
        /// It begins with SELECT or WITH, so that its result may come in chunks.
        select: bool,
    },
}

/// The shape of an insert's head, or `None` while more text may tell (`complete` is false).
pub(super) fn shape(text: &[u8], complete: bool) -> Option<Shape> {
    let mut lexer = Lexer::new(text);
    let first = match lexer.next() {
        Ok(Some((Token::Word(word), _, end))) if end < text.len() || complete => word,
        Ok(Some((Token::Symbol(_) | Token::Quoted, ..))) => b"",
        _ if complete => b"",
        _ => return None,
    };
    if first.eq_ignore_ascii_case(b"insert") {
        match insert(&mut lexer, text) {
            Found::Shape(shape) => return Some(shape),
            Found::More if !complete => return None,
            Found::More | Found::Nothing => {}
        }
    }
    complete.then(|| {
        let select = [&b"select"[..], b"with"].iter().any(|word| first.eq_ignore_ascii_case(word));
        Shape::Other { format: trailing_format(text), select }
    })
}

/// Whether a text is one statement that changes nothing of the session in which it runs: it begins as one that reads or inserts
/// rows, and holds no semicolon, behind which another might stand.
pub(super) fn leaves_no_trace(text: &[u8]) -> bool {
    let first = Lexer::new(text).next();
    let reads_or_inserts =
        |word: &[u8]| [&b"select"[..], b"with", b"insert"].iter().any(|known| word.eq_ignore_ascii_case(known));
    matches!(first, Ok(Some((Token::Word(word), ..))) if reads_or_inserts(word)) && !text.contains(&b';')
}

enum Found {
    Shape(Shape),
    More,
    Nothing,
}

/// Walks an INSERT up to its data: `FORMAT name` or `VALUES` outside of parentheses, unless a SELECT comes first.
fn insert(lexer: &mut Lexer<'_>, text: &[u8]) -> Found {
    let mut depth = 0u32;
    loop {
        let Ok(Some((token, start, end))) = lexer.next() else { return Found::More };
        match token {
            Token::Symbol(b'(') => depth += 1,
            Token::Symbol(b')') => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 => {
                if word.eq_ignore_ascii_case(b"select") || word.eq_ignore_ascii_case(b"with") {
                    return Found::Nothing;
                }
                if word.eq_ignore_ascii_case(b"values") {
                    if end == text.len() {
                        return Found::More; // the word may go on
                    }
                    return Found::Shape(Shape::Insert { statement: start, format: "Values".to_owned(), data: end });
                }
                if word.eq_ignore_ascii_case(b"format") {
                    let Ok(Some((Token::Word(name), _, end))) = lexer.next() else { return Found::More };
                    if end == text.len() {
                        return Found::More;
                    }
                    let format = String::from_utf8_lossy(name).into_owned();
                    return Found::Shape(Shape::Insert { statement: start, format, data: data_start(text, end) });
                }
            }
            _ => {}
        }
    }
}

/// Data begin after the first line break behind the format's name, or behind the blanks when there is none.
fn data_start(text: &[u8], after_name: usize) -> usize {
    let mut at = after_name;
    let peek = |at: usize| text.get(at).copied();
    while matches!(peek(at), Some(b' ' | b'\t' | b'\x0c' | b';')) {
        at += 1;
    }
    if peek(at) == Some(b'\r') {
        at += 1;
    }
    if peek(at) == Some(b'\n') {
        at += 1;
    }
    at
}

/// `… FORMAT name [SETTINGS …] [;]` outside of parentheses, the last one.
fn trailing_format(text: &[u8]) -> Option<String> {
    let mut lexer = Lexer::new(text);
    let (mut depth, mut found, mut expecting, mut in_settings) = (0u32, None, false, false);
    while let Ok(Some((token, ..))) = lexer.next() {
        match token {
            // `… AS format FORMAT JSON`: no format has that name, so the word is the clause's own.
            Token::Word(name) if expecting && !name.eq_ignore_ascii_case(b"format") => {
                found = Some(String::from_utf8_lossy(name).into_owned());
                (expecting, in_settings) = (false, false);
                continue;
            }
            Token::Word(word) if depth == 0 && word.eq_ignore_ascii_case(b"format") => {
                expecting = true;
                continue;
            }
            Token::Word(word) if depth == 0 && word.eq_ignore_ascii_case(b"settings") => in_settings = true,
            Token::Symbol(b';') => {}
            Token::Symbol(b'(') => depth += 1,
            Token::Symbol(b')') => depth = depth.saturating_sub(1),
            // Something follows that is no setting: what was found was no clause (a column named `format`).
            _ if !in_settings => found = None,
            _ => {}
        }
        expecting = false;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert_of(text: &str) -> Option<(String, String, String)> {
        match shape(text.as_bytes(), true)? {
            Shape::Insert { statement, format, data } => {
                Some((text[..statement].trim().to_owned(), format, text[data..].to_owned()))
            }
            Shape::Other { .. } => None,
        }
    }

    #[test]
    fn inserts_are_cut_where_clickhouse_cuts_them() {
        let cut = |text: &str| insert_of(text).unwrap_or_else(|| panic!("no insert: {text}"));
        let expect =
            |statement: &str, format: &str, data: &str| (statement.to_owned(), format.to_owned(), data.to_owned());
        assert_eq!(cut("INSERT INTO t(a) FORMAT RowBinary\n\n\0"), expect("INSERT INTO t(a)", "RowBinary", "\n\0"));
        assert_eq!(cut("insert into t format CSV 1,2\n"), expect("insert into t", "CSV", "1,2\n"));
        assert_eq!(
            cut("INSERT INTO `t format x` (`values`) VALUES (1)"),
            expect("INSERT INTO `t format x` (`values`)", "Values", " (1)")
        );
        assert_eq!(
            cut("/* format */ INSERT INTO t SETTINGS a=1 FORMAT JSONEachRow\r\n{}"),
            expect("/* format */ INSERT INTO t SETTINGS a=1", "JSONEachRow", "{}")
        );
        assert_eq!(insert_of("INSERT INTO t SELECT 1 FORMAT CSV"), None);
        assert_eq!(insert_of("SELECT 'INSERT INTO t FORMAT CSV'"), None);
    }

    #[test]
    fn only_one_select_or_insert_leaves_no_trace() {
        for text in ["SELECT 1", " /* x */ with 1 AS a SELECT a", "-- x\ninsert INTO t SELECT 1", "INSERT INTO t(a)"] {
            assert!(leaves_no_trace(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "SET max_threads = 1",
            "USE other",
            "SET ROLE NONE",
            "CREATE TEMPORARY TABLE t (a UInt8)",
            "/* SELECT */ SET a = 1",
            "SELECT 1; SET max_threads = 1",
            "SELECT 1;",
            "INSERT INTO t (a) SELECT 1 ; USE other",
            "selects",
            "(SELECT 1)",
            "'select'",
            "BEGIN TRANSACTION",
            "EXPLAIN SELECT 1",
        ] {
            assert!(!leaves_no_trace(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_unfinished_head_waits_for_more() {
        for text in [
            "INS",
            "INSERT INTO t",
            "INSERT INTO t FORM",
            "INSERT INTO t FORMAT",
            "INSERT INTO t FORMAT RowB",
            "INSERT INTO `t",
        ] {
            assert_eq!(shape(text.as_bytes(), false), None, "{text}");
        }
        assert!(matches!(shape(b"INSERT INTO t FORMAT RowBinary\n", false), Some(Shape::Insert { .. })));
        assert_eq!(shape(b"SELECT 1", false), None);
    }

    #[test]
    fn the_results_format_is_the_trailing_clause() {
        let format = |text: &str| match shape(text.as_bytes(), true) {
            Some(Shape::Other { format, .. }) => format,
            other => panic!("{other:?}"),
        };
        assert_eq!(format("SELECT 1 FORMAT JSON").as_deref(), Some("JSON"));
        assert_eq!(
            format("SELECT 1 format CSVWithNames settings max_threads = 1, x='y';").as_deref(),
            Some("CSVWithNames")
        );
        assert_eq!(format("SELECT format FROM t"), None);
        assert_eq!(format("SELECT * FROM (SELECT 1 FORMAT CSV) AS x"), None);
        assert_eq!(format("SELECT 'FORMAT CSV'"), None);
        assert_eq!(format("SELECT format(CSV, 'x') FROM t"), None);
        assert_eq!(format("SELECT 1 FORMAT TSV -- done").as_deref(), Some("TSV"));
        assert_eq!(format("SELECT 1 AS format FORMAT JSON").as_deref(), Some("JSON"));
    }
}
