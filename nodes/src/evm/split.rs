//! A JSON-RPC answer that is taken apart while it comes: the elements of its `result` where that is a list, else the result whole.
//!
//! Guarantee: of an answer of any length no more is held than one element, up to a limit; what is longer is passed over and said to be.
//! Nothing recurses, and what a piece holds is not looked at: whoever takes it reads it as JSON. An answer that is not whole is an
//! error, whatever of it was given before. Pure.

/// What is read of a key of the envelope.
const KEY_BYTES: usize = 64;

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// An element of the list, by its place.
    Element(u64, &'a [u8]),
    /// One that is longer than the limit.
    TooLong(u64),
}

/// What an answer was, besides its elements.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    /// `error`, as it stands there, up to its limit.
    pub error: Option<Vec<u8>>,
    /// `result`, where it is no list; empty where it is longer than the limit.
    pub result: Option<Vec<u8>>,
    /// Whether `result` is longer than the limit.
    pub too_long: bool,
    /// Whether `result` is a list, of so many elements.
    pub list: Option<u64>,
}

/// Why bytes are no JSON-RPC answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken(pub &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Key,
    Result,
    Error,
    Other,
    Element,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before everything.
    Start,
    /// In the envelope, before a key.
    Key,
    /// Behind a key.
    Colon(Of),
    /// Before a value.
    Before(Of),
    /// In a value.
    In(Of),
    /// Behind a value of the envelope.
    After,
    /// In the list, between elements.
    List,
    /// Behind everything.
    End,
}

/// Takes an answer apart.
#[derive(Debug)]
pub(super) struct Split {
    at: At,
    /// Whether a `result` that is a list is given element by element.
    lists: bool,
    enveloped: bool,
    nest: u32,
    string: bool,
    escaped: bool,
    begun: bool,
    kept: Vec<u8>,
    over: bool,
    most: usize,
    most_error: usize,
    rest: Rest,
}

impl Split {
    /// `lists`: whether elements of a list come one by one. `most`, `most_error`: bytes of an element or of the result, and of the error.
    pub fn new(lists: bool, most: usize, most_error: usize) -> Self {
        Self {
            at: At::Start,
            lists,
            enveloped: true,
            nest: 0,
            string: false,
            escaped: false,
            begun: false,
            kept: Vec::new(),
            over: false,
            most,
            most_error,
            rest: Rest::default(),
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8], on: &mut impl FnMut(Piece<'_>)) -> Result<(), Broken> {
        while let Some(byte) = bytes.first().copied() {
            if let At::In(of) = self.at {
                let (taken, ended) = self.scan(bytes);
                if ended && taken == 0 && !self.begun {
                    return Err(Broken("a value is missing"));
                }
                self.keep(of, &bytes[..taken]);
                bytes = &bytes[taken..];
                if ended {
                    self.ended(of, on);
                }
                continue;
            }
            if let (At::Before(of), false) = (self.at, byte.is_ascii_whitespace()) {
                if of == Of::Result && byte == b'[' && self.lists {
                    (self.at, self.rest.list) = (At::List, Some(0));
                    bytes = &bytes[1..];
                } else {
                    self.begin(of);
                }
                continue;
            }
            if !byte.is_ascii_whitespace() {
                self.at = match (self.at, byte) {
                    (At::Start, b'{') => At::Key,
                    (At::Start, b'[') if self.lists => {
                        (self.enveloped, self.rest.list) = (false, Some(0));
                        At::List
                    }
                    (At::Key, b'"') => {
                        // The quote is the key's own.
                        self.begin(Of::Key);
                        continue;
                    }
                    (At::Key, b'}') | (At::After, b'}') => At::End,
                    (At::Colon(of), b':') => At::Before(of),
                    (At::After, b',') => At::Key,
                    (At::List, b',') => At::List,
                    (At::List, b']') if self.enveloped => At::After,
                    (At::List, b']') => At::End,
                    (At::List, _) => {
                        self.begin(Of::Element);
                        continue;
                    }
                    (At::End, _) => return Err(Broken("there is more behind the answer")),
                    _ => return Err(Broken("it is no JSON-RPC answer")),
                };
            }
            bytes = &bytes[1..];
        }
        Ok(())
    }

    /// What there was besides the elements, once all bytes were taken.
    pub fn finish(self) -> Result<Rest, Broken> {
        match self.at {
            At::End => Ok(self.rest),
            _ => Err(Broken("it ends before its end")),
        }
    }

    fn begin(&mut self, of: Of) {
        self.at = At::In(of);
        (self.nest, self.string, self.escaped, self.begun, self.over) = (0, false, false, false, false);
        self.kept.clear();
    }

    /// Bytes that belong to the present value, and whether it ends with them.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if self.string {
                if std::mem::take(&mut self.escaped) {
                    at += 1;
                    continue;
                }
                let Some(next) = bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\')) else {
                    return (bytes.len(), false);
                };
                at += next + 1;
                match bytes[at - 1] {
                    b'\\' => self.escaped = true,
                    _ => {
                        self.string = false;
                        if self.nest == 0 {
                            return (at, true);
                        }
                    }
                }
                continue;
            }
            match byte {
                b'"' => self.string = true,
                b'{' | b'[' => self.nest = self.nest.saturating_add(1),
                b'}' | b']' if self.nest == 0 => return (at, true),
                b'}' | b']' => {
                    self.nest -= 1;
                    if self.nest == 0 {
                        return (at + 1, true);
                    }
                }
                b',' if self.nest == 0 => return (at, true),
                _ if self.nest == 0 && self.begun && byte.is_ascii_whitespace() => return (at, true),
                _ => {}
            }
            self.begun = true;
            at += 1;
        }
        (at, false)
    }

    fn keep(&mut self, of: Of, bytes: &[u8]) {
        let most = match of {
            Of::Key => KEY_BYTES,
            Of::Error => self.most_error,
            Of::Result | Of::Element => self.most,
            Of::Other => return,
        };
        if self.over || self.kept.len() + bytes.len() > most {
            // What was kept is let go, too: it may be long.
            self.over = true;
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    fn ended(&mut self, of: Of, on: &mut impl FnMut(Piece<'_>)) {
        self.at = match of {
            Of::Key => At::Colon(match &self.kept[..] {
                b"\"result\"" => Of::Result,
                b"\"error\"" => Of::Error,
                _ => Of::Other,
            }),
            Of::Element => {
                let place = self.rest.list.unwrap_or_default();
                on(if self.over { Piece::TooLong(place) } else { Piece::Element(place, &self.kept) });
                self.rest.list = Some(place + 1);
                At::List
            }
            Of::Result => {
                (self.rest.result, self.rest.too_long) = (Some(std::mem::take(&mut self.kept)), self.over);
                At::After
            }
            Of::Error => {
                let null = self.kept == b"null";
                self.rest.error = Some(std::mem::take(&mut self.kept)).filter(|_| !null);
                At::After
            }
            Of::Other => At::After,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    type Pieces = Vec<Result<String, u64>>;

    fn taken(text: &str, size: usize, lists: bool, most: usize) -> Result<(Pieces, Rest), Broken> {
        let (mut split, mut pieces) = (Split::new(lists, most, 64), Vec::new());
        for chunk in text.as_bytes().chunks(size) {
            split.feed(chunk, &mut |piece| {
                pieces.push(match piece {
                    Piece::Element(_, bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
                    Piece::TooLong(place) => Err(place),
                });
            })?;
        }
        split.finish().map(|rest| (pieces, rest))
    }

    #[test]
    fn elements_come_one_by_one_and_long_ones_are_passed_over() {
        let text = r#" {"jsonrpc":"2.0","id":{"result":[1]},"result": [ {"a":"]\"}"} , "x,y", 12,[[]],"0123456789012345678901234567"] } "#;
        for size in 1..text.len() {
            let (pieces, rest) = taken(text, size, true, 20).expect("whole");
            let told: Vec<_> = pieces.iter().map(|p| p.as_deref().map_err(|place| *place)).collect();
            assert_eq!(told, [Ok(r#"{"a":"]\"}"}"#), Ok(r#""x,y""#), Ok("12"), Ok("[[]]"), Err(4)], "{size}");
            assert_eq!(rest, Rest { list: Some(5), ..Rest::default() });
        }
        assert_eq!(taken(r#"[{"a":1}]"#, 3, true, 99).expect("a bare list").0, [Ok(r#"{"a":1}"#.to_owned())]);
    }

    #[test]
    fn what_is_no_list_comes_whole_and_errors_are_kept() {
        let of = |text: &str| taken(text, 5, true, 40).expect("whole").1;
        assert_eq!(of(r#"{"result":{"type":"CALL"},"id":1}"#).result.as_deref(), Some(&br#"{"type":"CALL"}"#[..]));
        assert_eq!(of(r#"{"result":null,"error":null}"#), Rest { result: Some(b"null".into()), ..Rest::default() });
        assert_eq!(of(r#"{"error":{"code":-1}}"#).error.as_deref(), Some(&br#"{"code":-1}"#[..]));
        let long = of(&format!(r#"{{"result":"{}"}}"#, "0".repeat(50)));
        assert!(long.too_long && long.result == Some(Vec::new()));
        let whole = taken(r#"{"result":[1,2]}"#, 4, false, 40).expect("whole").1;
        assert_eq!(whole.result.as_deref(), Some(&b"[1,2]"[..]), "lists are not taken apart unless that is wanted");
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        let whole = r#"{"result":[{"a":[1]},{"b":2}],"id":1}"#;
        for end in 0..whole.len() {
            assert!(taken(&whole[..end], 7, true, 99).is_err(), "{}", &whole[..end]);
        }
        for odd in ["<html>", "error code: 1015", r#"{"result":1}x"#, "{1}", "\u{feff}{}"] {
            assert!(taken(odd, 4, true, 99).is_err(), "{odd}");
        }
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!(r#"{{"result":[{}{}]}}"#, "[".repeat(500_000), "]".repeat(500_000));
        let (pieces, rest) = taken(&deep, 4_096, true, 100).expect("whole");
        assert_eq!((pieces, rest.list), (vec![Err(0)], Some(1)));
    }

    proptest! {
        #[test]
        fn every_list_is_taken_apart_as_a_reader_of_json_does(
            values in prop::collection::vec("[a-z\"\\\\{}\\[\\],: ]{0,12}", 0..6),
            size in 1usize..40,
        ) {
            let list: Vec<Value> = values.iter().map(|text| serde_json::json!({text: [text, 1, null, {"x": text}]})).collect();
            let text = serde_json::json!({"id": 1, "result": list, "more": values}).to_string();
            let (pieces, rest) = taken(&text, size, true, 1_000).expect("whole");
            prop_assert_eq!(rest.list, Some(list.len() as u64));
            let read: Vec<Value> = pieces.into_iter().map(|p| serde_json::from_str(&p.expect("short")).expect("JSON")).collect();
            prop_assert_eq!(read, list);
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
            let mut split = Split::new(true, 50, 50);
            for chunk in bytes.chunks(size) {
                if split.feed(chunk, &mut |_| {}).is_err() {
                    return Ok(());
                }
            }
            let _ = split.finish();
        }
    }
}
