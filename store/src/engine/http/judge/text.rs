//! A statement as the engine prints it, cut into pieces.

use super::super::error::{Code, Failure};
use super::super::lexer::{Lexer, Token};
use std::borrow::Cow;

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name. `quoted`: it stood in backquotes, so that it is no keyword.
    Name { quoted: bool },
    /// A number, or what begins with a digit.
    Number,
    /// A text in quotes.
    Literal,
    /// Any other single byte.
    Symbol(u8),
}

/// One piece.
#[derive(Clone, Debug)]
pub(super) struct Piece<'t> {
    pub kind: Kind,
    /// A name without its quotes, everything else as it stands.
    pub text: Cow<'t, str>,
    pub start: usize,
    pub end: usize,
}

impl Piece<'_> {
    /// Whether it is this keyword: keywords are printed in capitals, and never quoted.
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Name { quoted: false } && self.text == keyword
    }

    pub fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    pub fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Name { .. })
    }
}

/// All pieces of a text, in order.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Failure> {
    let mut lexer = Lexer::new(text.as_bytes());
    let mut out = Vec::new();
    loop {
        let unfinished = |_| Code::Syntax.failure("Syntax error: the statement ends inside a quoted text or a comment");
        let Some((token, start, end)) = lexer.next().map_err(unfinished)? else { return Ok(out) };
        let part = &text[start..end];
        let (kind, text) = match token {
            Token::Word(word) if word[0].is_ascii_digit() => (Kind::Number, Cow::Borrowed(part)),
            Token::Word(_) => (Kind::Name { quoted: false }, Cow::Borrowed(part)),
            Token::Quoted if part.starts_with('`') || part.starts_with('"') => {
                (Kind::Name { quoted: true }, Cow::Owned(unquoted(part)))
            }
            Token::Quoted => (Kind::Literal, Cow::Borrowed(part)),
            Token::Symbol(symbol) => (Kind::Symbol(symbol), Cow::Borrowed(part)),
        };
        out.push(Piece { kind, text, start, end });
    }
}

/// The value of a quoted text or name.
pub(super) fn unquoted(text: &str) -> String {
    let mut chars = text.chars();
    let quote = chars.next().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some('b') => out.push('\u{8}'),
                Some('f') => out.push('\u{c}'),
                Some(other) => out.push(other),
                None => {}
            },
            c if c == quote => {
                if chars.next() == Some(quote) {
                    out.push(quote); // doubled; a single one is the end
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sql::{quoted_name, quoted_text};

    #[test]
    fn names_literals_numbers_and_symbols() {
        let text = "SELECT `a\\`b`.c, 'it\\'s', 1000., x1 FROM t";
        let of = pieces(text).expect("pieces");
        let shown: Vec<_> = of.iter().map(|p| p.text.as_ref()).collect();
        assert_eq!(shown, ["SELECT", "a`b", ".", "c", ",", "'it\\'s'", ",", "1000", ".", ",", "x1", "FROM", "t"]);
        assert!(of[0].is("SELECT") && !of[0].is("select"));
        assert_eq!(of[1].kind, Kind::Name { quoted: true });
        assert_eq!(of[7].kind, Kind::Number);
        assert!(pieces("SELECT 'a").is_err());
    }

    #[test]
    fn quoting_there_and_back() {
        for text in ["a", "it's", "a\\b", "x`y", "zero\0", "tab\t", "ä"] {
            assert_eq!(unquoted(&quoted_text(text)), text);
            assert_eq!(unquoted(&quoted_name(text)), text);
        }
        assert_eq!(unquoted("'a''b'"), "a'b");
    }
}
