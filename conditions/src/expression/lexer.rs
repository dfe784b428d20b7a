//! Words of a text.

use schemas::limits::conditions as limits;

use super::WrongAt;

/// A word and the byte at which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub at: usize,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A name with what stands behind it without a blank: `a`, `a.b[0]`; or an operator or unit in letters.
    Path(Path),
    /// Digits, as they stand there.
    Number(String),
    /// `0x…`
    Hex(String),
    /// What stands between quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    /// The end.
    End,
}

/// A variable as it is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Path {
    pub name: String,
    pub steps: Vec<Step>,
}

/// What stands behind a name, and the byte at which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub at: usize,
    pub to: To,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum To {
    /// `.name`, `.0`
    Name(String),
    /// `[0]`
    Element(usize),
}

impl What {
    /// As a message shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Path(path) => format!("`{}`", cut(&path.shown())),
            Self::Number(text) | Self::Hex(text) => format!("`{}`", cut(text)),
            Self::Text(text) => format!("the text `{}`", cut(text)),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

impl Path {
    /// As it is written.
    pub(super) fn shown(&self) -> String {
        let mut text = self.name.clone();
        for step in &self.steps {
            match &step.to {
                To::Name(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                To::Element(at) => text.push_str(&format!("[{at}]")),
            }
        }
        text
    }
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Signs, longer ones before those that they begin with.
const SIGNS: [&str; 17] = ["==", "!=", ">=", "<=", ">", "<", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "−"];
/// What other languages write, and how it is written here.
const ELSEWHERE: [(&str, &str); 7] =
    [("&&", "AND"), ("||", "OR"), ("&", "AND"), ("|", "OR"), ("!", "NOT"), ("=", "=="), ("≥", ">=")];

/// Cuts a text into words; the last one is the end.
pub(super) fn words(text: &str) -> Result<Vec<Token>, WrongAt> {
    let mut lexer = Lexer { text, at: 0 };
    let mut words = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_end = token.what == What::End;
        words.push(token);
        if is_end {
            return Ok(words);
        }
        if words.len() > 4 * limits::EXPRESSION_NODES {
            let at = words.last().map_or(0, |token| token.at);
            return Err(WrongAt::new(at, "is more than one expression may have", "make several conditions of it"));
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn take_while(&mut self, is: impl Fn(char) -> bool) -> String {
        let taken: String = self.rest().chars().take_while(|c| is(*c)).collect();
        self.at += taken.len();
        taken
    }

    fn next(&mut self) -> Result<Token, WrongAt> {
        self.take_while(char::is_whitespace);
        let at = self.at;
        let Some(first) = self.peek() else { return Ok(Token { at, what: What::End }) };
        let what = match first {
            '\'' | '"' => self.quoted(first)?,
            '0' if matches!(self.second(), Some('x' | 'X')) => {
                What::Hex(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'))
            }
            c if c.is_ascii_digit() => self.number()?,
            c if is_name(c) => {
                let name = self.take_while(|c| is_name(c) || c.is_ascii_digit());
                // `in[1]` is a list, not a part of a variable.
                let steps = if name == "in" { Vec::new() } else { self.steps()? };
                What::Path(Path { name, steps })
            }
            _ => self.sign()?,
        };
        Ok(Token { at, what })
    }

    fn sign(&mut self) -> Result<What, WrongAt> {
        let rest = self.rest();
        let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) else {
            let (problem, cure) = match ELSEWHERE.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
                Some((sign, ours)) => (format!("`{sign}` is no operator"), format!("write `{ours}`")),
                None => {
                    let c = self.peek().unwrap_or_default();
                    (
                        format!("`{c}` belongs to no word"),
                        "leave it out, or put the text into quotes: 'text'".to_owned(),
                    )
                }
            };
            return Err(WrongAt::new(self.at, problem, cure));
        };
        self.at += sign.len();
        Ok(What::Sign(if sign == "−" { "-" } else { sign }))
    }

    fn quoted(&mut self, quote: char) -> Result<What, WrongAt> {
        let begin = self.at;
        let mut text = String::new();
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => {
                    text.push(match c {
                        'n' => '\n',
                        't' => '\t',
                        c => c,
                    });
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    return Ok(What::Text(text));
                }
                c => text.push(c),
            }
        }
        Err(WrongAt::new(begin, "the text has no end", format!("close it with {quote}")))
    }

    fn number(&mut self) -> Result<What, WrongAt> {
        let begin = self.at;
        let digits = |c: char| c.is_ascii_digit() || c == '_';
        let mut text = self.take_while(digits);
        // `0.name` and `3[0]`: a parameter by its position.
        let is_path = match self.peek() {
            Some('.') => self.second().is_some_and(is_name),
            Some('[') => true,
            _ => false,
        };
        if is_path && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(What::Path(Path { name: text, steps: self.steps()? }));
        }
        if self.peek() == Some('.') {
            self.at += 1;
            text.push('.');
            text.push_str(&self.take_while(digits));
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let mut behind = self.rest().chars().skip(1);
            let is_exponent = match behind.next() {
                Some('+' | '-') => behind.next().is_some_and(|c| c.is_ascii_digit()),
                Some(c) => c.is_ascii_digit(),
                None => false,
            };
            if is_exponent {
                text.push_str(&self.rest().chars().take(2).collect::<String>());
                self.at += 2;
                text.push_str(&self.take_while(|c| c.is_ascii_digit()));
            }
        }
        if self.peek() == Some('.') {
            let cure = "write a number with one point: 1.5";
            return Err(WrongAt::new(begin, format!("`{}.` is no number", cut(&text)), cure));
        }
        Ok(What::Number(text))
    }

    /// `.name`, `.0`, `[0]`, one behind the other.
    fn steps(&mut self) -> Result<Vec<Step>, WrongAt> {
        let mut steps = Vec::new();
        loop {
            let at = self.at;
            let to = match self.peek() {
                Some('.') => {
                    self.at += 1;
                    let name = self.take_while(|c| is_name(c) || c.is_ascii_digit());
                    if name.is_empty() {
                        return Err(WrongAt::new(
                            at,
                            "nothing stands behind the point",
                            "write a member's name: `a.b`",
                        ));
                    }
                    To::Name(name)
                }
                Some('[') => {
                    let end = self.rest().find(']');
                    let inner = end.and_then(|end| self.rest().get(1..end)).unwrap_or_default();
                    let good = !inner.is_empty() && inner.len() <= 6 && inner.bytes().all(|b| b.is_ascii_digit());
                    let Some(number) = good.then(|| inner.parse().ok()).flatten() else {
                        let cure = "write the element's position, from 0: `a[0]`";
                        return Err(WrongAt::new(at, "the brackets hold no position", cure));
                    };
                    self.at += inner.len() + 2;
                    To::Element(number)
                }
                _ => return Ok(steps),
            };
            steps.push(Step { at, to });
            if steps.len() > limits::EXPRESSION_PATH {
                let cure = format!("write at most {} names and positions behind one another", limits::EXPRESSION_PATH);
                return Err(WrongAt::new(at, "reaches too deep", cure));
            }
        }
    }
}

/// What a name may begin with (Solidity: letters, `_` and `$`; other families have letters of every script).
fn is_name(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}
