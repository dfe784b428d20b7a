//! Words to a tree.
//!
//! ```text
//! any     := all  (OR all)*
//! all     := not  (AND not)*
//! not     := NOT not | compare
//! compare := sum ((== != > >= < <= contains starts_with ends_with) sum | [NOT] in (list | sum))?
//! list    := [ sum (, sum)* ]
//! sum     := product ((+ -) product)*
//! product := signed ((* / %) signed)*
//! signed  := - signed | number [unit] | hex | 'text' | variable | true | false | ( any )
//! ```

use schemas::limits::conditions as limits;

use super::{
    Wrong, WrongAt,
    lexer::{Path, Token, What, words},
};
use crate::number::{Number, Relation};

/// A part of the tree and the byte at which it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub at: usize,
    pub what: Tree,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Any(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Compare(Relation, Box<[Node; 2]>),
    Search(Search, Box<[Node; 2]>),
    /// Whether it is turned round, what, in what.
    In(bool, Box<Node>, Vec<Node>),
    /// The same with a variable.
    Among(bool, Box<[Node; 2]>),
    Reckon(Reckon, Box<[Node; 2]>),
    Negative(Box<Node>),
    /// A number; and as it is written where it is nothing but digits.
    Number(Number, Option<String>),
    Hex(String),
    Text(String),
    Flag(bool),
    Path(Path),
}

/// Looking for one text in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// Anywhere.
    Contains,
    /// At its beginning.
    StartsWith,
    /// At its end.
    EndsWith,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reckon {
    Plus,
    Minus,
    Times,
    By,
    Remainder,
}

impl Reckon {
    pub(super) fn of(self, left: Number, right: Number) -> Option<Number> {
        match self {
            Self::Plus => left.plus(right),
            Self::Minus => left.minus(right),
            Self::Times => left.times(right),
            Self::By => left.by(right),
            Self::Remainder => left.remainder(right),
        }
    }
}

/// Units, how many of the smallest one they are, as a power of ten, and what that one is called.
const UNITS: [(&str, i32, &str); 7] = [
    ("wei", 0, "wei"),
    ("kwei", 3, "wei"),
    ("mwei", 6, "wei"),
    ("gwei", 9, "wei"),
    ("ether", 18, "wei"),
    ("sat", 0, "satoshi"),
    ("btc", 8, "satoshi"),
];
/// Words that stand between conditions, as somebody may write them, and as they are.
const JOINING: [(&str, &str); 3] = [("and", "AND"), ("or", "OR"), ("not", "NOT")];
const OPERATORS: &str = "`==`, `!=`, `>`, `>=`, `<`, `<=`, `contains`, `starts_with`, `ends_with` or `in`";

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    let length = text.chars().count();
    if length > limits::EXPRESSION_CHARACTERS {
        return Err(Wrong {
            position: limits::EXPRESSION_CHARACTERS,
            problem: format!("has {length} characters"),
            cure: format!("write at most {}, or make several conditions of it", limits::EXPRESSION_CHARACTERS),
        });
    }
    read(text).map_err(|wrong| wrong.in_text(text))
}

fn read(text: &str) -> Result<Node, WrongAt> {
    let words = words(text)?;
    let mut parser = Parser { words: words.into_iter().peekable(), nodes: 0, depth: 0, end: text.len() };
    if parser.what() == &What::End {
        return Err(WrongAt::new(
            0,
            "is empty",
            "write a condition, such as `value > 1000`, or leave the expression out",
        ));
    }
    let tree = parser.any()?;
    let at = parser.at();
    match parser.what() {
        What::End => Ok(tree),
        What::Path(path) => {
            let ours = JOINING.into_iter().find(|(word, _)| path.name.eq_ignore_ascii_case(word));
            let cure = match ours {
                Some((_, ours)) => format!("write `{ours}`"),
                None => format!("join conditions by `AND` or `OR`, or write an operator: {OPERATORS}"),
            };
            Err(WrongAt::new(at, format!("`{}` stands where the expression is over", path.shown()), cure))
        }
        What::Sign(")") => Err(WrongAt::new(at, "no `(` is open", "leave the `)` out")),
        other => {
            let cure = format!("join conditions by `AND` or `OR`, or write an operator: {OPERATORS}");
            Err(WrongAt::new(at, format!("{} stands where the expression is over", other.shown()), cure))
        }
    }
}

struct Parser {
    words: std::iter::Peekable<std::vec::IntoIter<Token>>,
    nodes: usize,
    depth: usize,
    end: usize,
}

impl Parser {
    fn what(&mut self) -> &What {
        self.words.peek().map_or(&What::End, |token| &token.what)
    }

    fn at(&mut self) -> usize {
        self.words.peek().map_or(self.end, |token| token.at)
    }

    fn node(&mut self, at: usize, what: Tree) -> Result<Node, WrongAt> {
        self.nodes += 1;
        if self.nodes > limits::EXPRESSION_NODES {
            let problem = format!("is more than the {} parts that an expression may have", limits::EXPRESSION_NODES);
            return Err(WrongAt::new(at, problem, "make several conditions of it"));
        }
        Ok(Node { at, what })
    }

    /// Goes one deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, WrongAt>) -> Result<T, WrongAt> {
        self.depth += 1;
        if self.depth > limits::EXPRESSION_DEPTH {
            let problem = format!("nests deeper than {}", limits::EXPRESSION_DEPTH);
            return Err(WrongAt::new(self.at(), problem, "leave out brackets that change nothing"));
        }
        let made = inner(self);
        self.depth -= 1;
        made
    }

    fn is_word(&mut self, word: &str) -> bool {
        matches!(self.what(), What::Path(path) if path.name == word && path.steps.is_empty())
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        if is {
            self.words.next();
        }
        is
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.what(), What::Sign(s) if *s == sign);
        if is {
            self.words.next();
        }
        is
    }

    fn any(&mut self) -> Result<Node, WrongAt> {
        self.joined("OR", Tree::Any, Self::all)
    }

    fn all(&mut self) -> Result<Node, WrongAt> {
        self.joined("AND", Tree::All, Self::not)
    }

    fn joined(
        &mut self,
        word: &str,
        make: impl FnOnce(Vec<Node>) -> Tree,
        part: impl Fn(&mut Self) -> Result<Node, WrongAt>,
    ) -> Result<Node, WrongAt> {
        let at = self.at();
        let first = part(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.takes_word(word) {
            parts.push(part(self)?);
        }
        self.node(at, make(parts))
    }

    fn not(&mut self) -> Result<Node, WrongAt> {
        let at = self.at();
        if self.takes_word("NOT") {
            let inner = self.deeper(Self::not)?;
            return self.node(at, Tree::Not(Box::new(inner)));
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Node, WrongAt> {
        let at = self.at();
        let left = self.sum()?;
        let relation = match self.what() {
            What::Sign(sign) => {
                Relation::WORDS.into_iter().find(|(word, _)| word == sign).map(|(_, relation)| relation)
            }
            _ => None,
        };
        if let Some(relation) = relation {
            self.words.next();
            let right = self.sum()?;
            let node = self.node(at, Tree::Compare(relation, Box::new([left, right])))?;
            return self.only_one(node);
        }
        let searches =
            [("contains", Search::Contains), ("starts_with", Search::StartsWith), ("ends_with", Search::EndsWith)];
        for (word, search) in searches {
            if self.takes_word(word) {
                let right = self.sum()?;
                let node = self.node(at, Tree::Search(search, Box::new([left, right])))?;
                return self.only_one(node);
            }
        }
        let is_turned = self.takes_word("NOT");
        if self.takes_word("in") {
            return self.among(at, is_turned, left);
        }
        if is_turned {
            return Err(WrongAt::new(
                self.at(),
                "`NOT` stands behind a value",
                "write `NOT in`, or `NOT` before the condition",
            ));
        }
        Ok(left)
    }

    /// `a < b < c` is nothing that anybody means.
    fn only_one(&mut self, node: Node) -> Result<Node, WrongAt> {
        let at = self.at();
        match self.what() {
            What::Sign(sign) if Relation::WORDS.iter().any(|(word, _)| word == sign) => {
                let problem = format!("`{sign}` stands behind a comparison");
                Err(WrongAt::new(at, problem, "join two comparisons by `AND`: `a < b AND b < c`"))
            }
            _ => Ok(node),
        }
    }

    fn among(&mut self, at: usize, is_turned: bool, left: Node) -> Result<Node, WrongAt> {
        if !self.takes_sign("[") {
            let right = self.sum()?;
            return self.node(at, Tree::Among(is_turned, Box::new([left, right])));
        }
        let mut list = Vec::new();
        while !self.takes_sign("]") {
            if !list.is_empty() && !self.takes_sign(",") {
                let cure = "put `,` between values and `]` behind the last";
                return Err(WrongAt::new(self.at(), "the list goes on without `,`", cure));
            }
            list.push(self.sum()?);
            if list.len() > limits::EXPRESSION_LIST {
                let cure = format!("write at most {} values", limits::EXPRESSION_LIST);
                return Err(WrongAt::new(self.at(), "the list is too long", cure));
            }
        }
        self.node(at, Tree::In(is_turned, Box::new(left), list))
    }

    fn sum(&mut self) -> Result<Node, WrongAt> {
        self.reckoned(&[("+", Reckon::Plus), ("-", Reckon::Minus)], Self::product)
    }

    fn product(&mut self) -> Result<Node, WrongAt> {
        self.reckoned(&[("*", Reckon::Times), ("/", Reckon::By), ("%", Reckon::Remainder)], Self::signed)
    }

    fn reckoned(
        &mut self,
        signs: &[(&str, Reckon)],
        part: impl Fn(&mut Self) -> Result<Node, WrongAt>,
    ) -> Result<Node, WrongAt> {
        let at = self.at();
        let mut left = part(self)?;
        // One behind the other makes a tree that leans to the left: as deep as it is long, and no deeper than a bound.
        let mut length = 0;
        while let Some((_, how)) = signs.iter().find(|(sign, _)| self.takes_sign(sign)) {
            length += 1;
            if length > limits::EXPRESSION_DEPTH {
                return Err(WrongAt::new(self.at(), "too many terms stand in a row", "use brackets, or fewer terms"));
            }
            let right = part(self)?;
            left = self.node(at, Tree::Reckon(*how, Box::new([left, right])))?;
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Node, WrongAt> {
        let at = self.at();
        if self.takes_sign("-") {
            let inner = self.deeper(Self::signed)?;
            let what = match inner.what {
                Tree::Number(number, _) => match number.negative() {
                    Some(number) => Tree::Number(number, None),
                    None => return Err(WrongAt::new(at, "is too large", "write a number below 2^511")),
                },
                what => Tree::Negative(Box::new(Node { at: inner.at, what })),
            };
            return self.node(at, what);
        }
        if self.takes_sign("(") {
            let inner = self.deeper(Self::any)?;
            if !self.takes_sign(")") {
                return Err(WrongAt::new(
                    self.at(),
                    format!("{} stands where `)` should", self.what().shown()),
                    "close the bracket",
                ));
            }
            return Ok(inner);
        }
        match self.words.next().map(|token| token.what).unwrap_or(What::End) {
            What::Number(text) => self.number(at, text),
            What::Hex(text) => {
                let good = text.bytes().skip(2).all(|b| b.is_ascii_hexdigit()) && text.len() > 2;
                if !good {
                    let problem = format!("`{}` is no hex", super::lexer::cut(&text));
                    return Err(WrongAt::new(at, problem, "write 0x and digits of 0-9 and a-f"));
                }
                self.node(at, Tree::Hex(text))
            }
            What::Text(text) => self.node(at, Tree::Text(text)),
            What::Path(path) if path.steps.is_empty() && path.name.eq_ignore_ascii_case("true") => {
                self.node(at, Tree::Flag(true))
            }
            What::Path(path) if path.steps.is_empty() && path.name.eq_ignore_ascii_case("false") => {
                self.node(at, Tree::Flag(false))
            }
            What::Path(path) => self.node(at, Tree::Path(path)),
            What::End => Err(WrongAt::new(at, "ends where a value should stand", "write a value or a variable")),
            What::Sign(sign) => {
                Err(WrongAt::new(at, format!("`{sign}` stands where a value should"), "write a value or a variable"))
            }
        }
    }

    fn number(&mut self, at: usize, text: String) -> Result<Node, WrongAt> {
        let Some(number) = Number::read(&text) else {
            let problem = format!("`{}` is no number that can be written", super::lexer::cut(&text));
            let cure = format!("write digits, at most {} behind the point, below 2^511", limits::EXPRESSION_DECIMALS);
            return Err(WrongAt::new(at, problem, cure));
        };
        let unit = match self.what() {
            What::Path(path) if path.steps.is_empty() => {
                UNITS.into_iter().find(|(unit, ..)| path.name.eq_ignore_ascii_case(unit))
            }
            _ => None,
        };
        let Some((unit, power, smallest)) = unit else {
            let is_digits = text.bytes().all(|b| b.is_ascii_digit());
            return self.node(at, Tree::Number(number, is_digits.then_some(text)));
        };
        self.words.next();
        let scale = Number::read(&format!("1e{power}"));
        match scale.and_then(|scale| number.times(scale)) {
            Some(number) if number.is_whole() => self.node(at, Tree::Number(number, None)),
            Some(_) => {
                let problem = format!("`{text} {unit}` is no whole number of {smallest}");
                Err(WrongAt::new(at, problem, format!("write at most {power} digits behind the point")))
            }
            None => Err(WrongAt::new(at, "is too large", "write a number below 2^511")),
        }
    }
}
