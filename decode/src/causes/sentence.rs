//! Sentences with places for values: `the output[ {1}] is below the minimum[ {0}]`.
//!
//! `{name}` is a value; what stands in `[…]` is there only where all values in it are. A value outside of them that is not there makes
//! the whole sentence the next one's turn: none is told half.

use schemas::limits::traces as limits;

use super::text::{cleaned, cut};

/// One, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Parts that are there whole or not at all.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    may_lack: bool,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Value(String),
}

impl Sentence {
    /// Reads one.
    ///
    /// # Errors
    /// Brackets that do not match, and names that are none.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut parts = vec![Part { may_lack: false, pieces: Vec::new() }];
        let mut inside = false;
        let mut rest = text;
        while let Some(at) = rest.find(['[', ']', '{', '}']) {
            let (words, behind) = rest.split_at(at);
            push(&mut parts, words);
            let (sign, behind) = behind.split_at(1);
            rest = behind;
            match sign {
                "[" if !inside => parts.push(Part { may_lack: true, pieces: Vec::new() }),
                "]" if inside => parts.push(Part { may_lack: false, pieces: Vec::new() }),
                "{" => {
                    let (name, behind) = rest.split_once('}').ok_or("a `{` has no `}`")?;
                    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
                    if name.is_empty() || !name.chars().all(good) {
                        return Err(format!("`{{{name}}}` is no name of a value"));
                    }
                    if let Some(part) = parts.last_mut() {
                        part.pieces.push(Piece::Value(name.to_owned()));
                    }
                    rest = behind;
                    continue;
                }
                "[" => return Err("a `[` stands inside of another".to_owned()),
                sign => return Err(format!("a `{sign}` closes nothing")),
            }
            inside = !inside;
        }
        if inside {
            return Err("a `[` has no `]`".to_owned());
        }
        push(&mut parts, rest);
        Ok(Self { parts })
    }

    /// With values; `None` where one that must be there is not.
    pub(super) fn say(&self, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            let before = out.len();
            for piece in &part.pieces {
                match piece {
                    Piece::Words(words) => out.push_str(words),
                    Piece::Value(name) => match value(name) {
                        Some(value) => out.push_str(&cleaned(&value, limits::VALUE_BYTES)),
                        None if part.may_lack => {
                            out.truncate(before);
                            break;
                        }
                        None => return None,
                    },
                }
            }
        }
        cut(&mut out, limits::REASON_BYTES);
        Some(out)
    }
}

fn push(parts: &mut [Part], words: &str) {
    if let Some(part) = parts.last_mut().filter(|_| !words.is_empty()) {
        part.pieces.push(Piece::Words(words.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_what_may_lack() {
        let it = Sentence::read("the output[ {1}] is below the minimum[ {0}]").unwrap();
        let both = |name: &str| Some(if name == "0" { "42" } else { "41" }.to_owned());
        assert_eq!(it.say(&both).unwrap(), "the output 41 is below the minimum 42");
        assert_eq!(it.say(&|_| None).unwrap(), "the output is below the minimum");
        let must = Sentence::read("{a} and[ {b} {c}]").unwrap();
        assert_eq!(must.say(&|name| (name == "b").then(String::new)), None);
        assert_eq!(must.say(&|name| (name != "c").then(|| name.to_owned())).unwrap(), "a and");
        for wrong in ["[a", "a]", "[[a]]", "{a", "{}", "{a b}", "}"] {
            assert!(Sentence::read(wrong).is_err(), "{wrong}");
        }
        let long = Sentence::read(&"é".repeat(1_000)).unwrap().say(&|_| None).unwrap();
        assert!(long.len() <= limits::REASON_BYTES && long.len() > limits::REASON_BYTES - 2);
    }
}
