//! Just enough of ClickHouse's lexer to find where a statement's text ends and its data begin, and which format it names.
//!
//! It never decides what is allowed: that is the engine's own parser (`analyst.rs`). What it does not understand, it leaves
//! in the statement, where the engine refuses it.

/// What stands at a place of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A bare word: keyword, identifier, number.
    Word(&'t [u8]),
    /// `'…'`, `"…"`, `` `…` `` or a heredoc, with its quotes.
    Quoted,
    /// Any other single byte.
    Symbol(u8),
}

/// Tokens with where they start and end. Comments and white space are skipped.
pub(super) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next token and its range. `Err` when the text ends inside of it (a quote or comment that may go on).
    #[allow(clippy::should_implement_trait)] // an iterator of results would read worse at both places of use
    pub fn next(&mut self) -> Result<Option<(Token<'t>, usize, usize)>, Unfinished> {
        loop {
            let rest = &self.text[self.at..];
            let Some(&first) = rest.first() else { return Ok(None) };
            let start = self.at;
            match first {
                b if b.is_ascii_whitespace() || b == 0x0b => self.at += 1,
                b'#' => self.line_comment(),
                b'-' if rest.starts_with(b"--") => self.line_comment(),
                b'/' if rest.starts_with(b"/*") => self.at += find(rest, b"*/", 2).ok_or(Unfinished)?,
                b'\'' | b'"' | b'`' => {
                    self.at += quoted(rest, first).ok_or(Unfinished)?;
                    return Ok(Some((Token::Quoted, start, self.at)));
                }
                b'$' => {
                    if let Some(tag) = heredoc_tag(rest) {
                        self.at += find(rest, tag, tag.len()).ok_or(Unfinished)?;
                        return Ok(Some((Token::Quoted, start, self.at)));
                    }
                    self.at += 1;
                    return Ok(Some((Token::Symbol(first), start, self.at)));
                }
                b if is_word(b) => {
                    let length = rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len());
                    self.at += length;
                    return Ok(Some((Token::Word(&rest[..length]), start, self.at)));
                }
                symbol => {
                    self.at += 1;
                    return Ok(Some((Token::Symbol(symbol), start, self.at)));
                }
            }
        }
    }

    fn line_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |n| n + 1);
    }
}

/// The text ends inside a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfinished;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Length of a quoted text: a backslash takes the next byte with it, a doubled quote goes on.
fn quoted(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'\\' => at += 2,
            b if b == quote && text.get(at + 1) == Some(&quote) => at += 2,
            b if b == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// `$tag$` at the start of a heredoc.
fn heredoc_tag(text: &[u8]) -> Option<&[u8]> {
    let length = text[1..].iter().position(|b| !is_word(*b))?;
    (text.get(1 + length) == Some(&b'$')).then(|| &text[..length + 2])
}

/// Where `needle` ends, searched from `from`.
fn find(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    text.get(from..)?.windows(needle.len()).position(|w| w == needle).map(|n| from + n + needle.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut out = Vec::new();
        while let Ok(Some((token, start, end))) = lexer.next() {
            out.push(match token {
                Token::Word(w) => String::from_utf8_lossy(w).into_owned(),
                Token::Quoted => format!("Q{}", end - start),
                Token::Symbol(b) => char::from(b).to_string(),
            });
        }
        out
    }

    #[test]
    fn quotes_comments_and_heredocs_are_skipped_over() {
        assert_eq!(words("a 'b''c\\'d' -- FORMAT\n `e``f` /* x */ g $$ '$ $$ h"), ["a", "Q9", "Q6", "g", "Q8", "h"]);
        assert_eq!(words("x $t$ $$ $t$ y"), ["x", "Q10", "y"]);
    }

    #[test]
    fn a_text_that_ends_inside_a_token_says_so() {
        for text in ["'abc", "/* abc", "`x", "$t$ abc", "'abc\\"] {
            assert_eq!(Lexer::new(text.as_bytes()).next(), Err(Unfinished), "{text}");
        }
    }
}
