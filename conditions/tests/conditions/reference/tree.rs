//! Random trees and what their variables hold.

use std::cmp::Ordering;

use conditions::expression::Kind;
use fastrand::Rng;
use num_bigint::BigInt;

use super::slow::Slowly;

/// A fraction, not in lowest terms.
#[derive(Clone, Debug)]
pub(super) struct Slow(pub(super) BigInt, pub(super) BigInt);

impl Slow {
    pub(super) fn whole(n: BigInt) -> Self {
        Self(n, BigInt::from(1))
    }
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let (left, right) = (&self.0 * &other.1, &other.0 * &self.1);
        if (self.1 < BigInt::from(0)) == (other.1 < BigInt::from(0)) { left.cmp(&right) } else { right.cmp(&left) }
    }
    /// The whole part toward zero.
    pub(super) fn cut(&self) -> BigInt {
        &self.0 / &self.1
    }
}

#[derive(Clone, Debug)]
pub(super) enum Number {
    Written(String, Slow),
    Variable(usize),
    /// An element that may not be there.
    Element(usize),
    Negative(Box<Number>),
    Reckon(char, Box<Number>, Box<Number>),
}

#[derive(Clone, Debug)]
pub(super) enum Truth {
    Or(Vec<Truth>),
    And(Vec<Truth>),
    Not(Box<Truth>),
    Flag,
    Compare(&'static str, Number, Number),
    Text(&'static str, usize, String),
    TextIn(bool, usize, Vec<String>),
    NumberIn(bool, Number, Vec<(String, Slow)>),
    Bytes(&'static str, String),
    HasNumber(String, Slow),
    HasText(String),
}

/// What the variables hold.
pub(super) struct World {
    pub(super) numbers: [BigInt; 3],
    pub(super) elements: Vec<BigInt>,
    pub(super) texts: [String; 2],
    pub(super) names: Vec<String>,
    pub(super) bytes: Vec<u8>,
    pub(super) flag: bool,
}

pub(super) const NUMBERS: [&str; 3] = ["a", "b_2", "value"];
pub(super) const TEXTS: [&str; 2] = ["name", "Title"];
pub(super) const ALPHABET: [&str; 12] = ["a", "B", "c", "Ä", "ä", "ß", "İ", "0", " ", "x", "'", "🦀"];

pub(super) fn parameters() -> Vec<(String, Kind)> {
    let of = |name: &str, kind: Kind| (name.to_owned(), kind);
    vec![
        of("a", Kind::Number),
        of("b_2", Kind::Number),
        of("value", Kind::Number),
        of("list", Kind::List(Box::new(Kind::Number))),
        of("name", Kind::Text),
        of("Title", Kind::Text),
        of("names", Kind::List(Box::new(Kind::Tuple(vec![of("word", Kind::Text), of("n", Kind::Number)])))),
        of("data", Kind::Bytes(None)),
        of("ok", Kind::Flag),
    ]
}

impl World {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let text =
            |rng: &mut Rng| (0..rng.usize(..6)).map(|_| *rng.choice(ALPHABET.iter()).expect("one")).collect::<String>();
        Self {
            numbers: std::array::from_fn(|_| large(rng)),
            elements: (0..rng.usize(..4)).map(|_| large(rng)).collect(),
            texts: std::array::from_fn(|_| text(rng)),
            names: (0..rng.usize(..4)).map(|_| text(rng)).collect(),
            bytes: (0..rng.usize(..6)).map(|_| rng.u8(..)).collect(),
            flag: rng.bool(),
        }
    }

    pub(super) fn json(&self) -> String {
        let each = |list: &[BigInt]| list.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let names: Vec<_> = self.names.iter().map(|word| serde_json::json!({"word": word, "n": "5"})).collect();
        serde_json::json!({
            "a": self.numbers[0].to_string(), "b_2": self.numbers[1].to_string(), "value": self.numbers[2].to_string(),
            "list": each(&self.elements), "name": self.texts[0], "Title": self.texts[1], "names": names,
            "data": hex(&self.bytes), "ok": self.flag,
        })
        .to_string()
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// An integer of a contract: small ones and the ends of the range more often.
pub(super) fn large(rng: &mut Rng) -> BigInt {
    let n: BigInt = match rng.u8(..6) {
        0 => BigInt::from(0),
        1 => (BigInt::from(1) << 256) - 1,
        2 => BigInt::from(rng.u64(..)) << rng.u32(..192),
        _ => BigInt::from(rng.i32(-9..10)),
    };
    if rng.u8(..8) == 0 { -(n >> 1u32) } else { n }
}

/// A number as somebody writes it.
pub(super) fn written(rng: &mut Rng) -> (String, Slow) {
    let ten = |power: u32| BigInt::from(10).pow(power);
    let n = rng.u32(..1_000);
    match rng.u8(..7) {
        0 => (format!("0x{n:X}"), Slow::whole(n.into())),
        1 => (format!("{n} gwei"), Slow::whole(BigInt::from(n) * ten(9))),
        2 => (format!("{n}.25 ether"), Slow::whole((BigInt::from(n) * 100 + 25) * ten(16))),
        3 => (format!("{n}.{:03}", n % 1_000), Slow(BigInt::from(n) * 1_000 + n % 1_000, ten(3))),
        4 => (format!("{n}e{}", n % 20), Slow::whole(BigInt::from(n) * ten(n % 20))),
        _ => (n.to_string(), Slow::whole(n.into())),
    }
}

pub(super) fn number(rng: &mut Rng, depth: u32) -> Number {
    match rng.u8(..if depth == 0 { 4 } else { 8 }) {
        0 => {
            let (text, value) = written(rng);
            Number::Written(text, value)
        }
        1 => Number::Element(rng.usize(..4)),
        2 | 3 => Number::Variable(rng.usize(..3)),
        4 => Number::Negative(Box::new(number(rng, depth - 1))),
        _ => {
            let sign = *rng.choice(['+', '-', '*', '/', '%'].iter()).expect("one");
            Number::Reckon(sign, Box::new(number(rng, depth - 1)), Box::new(number(rng, depth - 1)))
        }
    }
}

pub(super) fn is_written(n: &Number) -> bool {
    match n {
        Number::Written(..) => true,
        Number::Variable(_) | Number::Element(_) => false,
        Number::Negative(inner) => is_written(inner),
        Number::Reckon(_, left, right) => is_written(left) && is_written(right),
    }
}

/// Whether a part of it that is all written is no number: that is refused when it is read.
pub(super) fn is_refused(n: &Number) -> bool {
    let nowhere = World {
        numbers: Default::default(),
        elements: vec![],
        texts: Default::default(),
        names: vec![],
        bytes: vec![],
        flag: false,
    };
    match n {
        Number::Reckon(_, left, right) => {
            let mut slowly = Slowly { world: &nowhere, may_leave: false };
            let is_bad = is_written(n) && (slowly.number(n).is_err() || slowly.may_leave);
            is_bad || is_refused(left) || is_refused(right)
        }
        Number::Negative(inner) => is_refused(inner),
        _ => false,
    }
}

pub(super) fn piece(rng: &mut Rng, whole: &str) -> String {
    let chars: Vec<char> = whole.chars().collect();
    let from = rng.usize(..=chars.len());
    let to = rng.usize(from..=chars.len());
    let text: String = chars[from..to].iter().collect();
    match rng.u8(..3) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        _ => text,
    }
}

pub(super) fn truth(rng: &mut Rng, world: &World, depth: u32) -> Truth {
    let relation = |rng: &mut Rng| *rng.choice(["==", "!=", ">", ">=", "<", "<="].iter()).expect("one");
    match rng.u8(..if depth == 0 { 9 } else { 14 }) {
        0..3 => loop {
            let (left, right) = (number(rng, 3), number(rng, 2));
            let (written, refused) = ([&left, &right].map(is_written), [&left, &right].map(is_refused));
            if written.contains(&false) && !refused.contains(&true) {
                return Truth::Compare(relation(rng), left, right);
            }
        },
        3 => Truth::Flag,
        4 => {
            let at = rng.usize(..2);
            let how = *rng.choice(["==", "!=", "contains", "starts_with", "ends_with"].iter()).expect("one");
            Truth::Text(how, at, piece(rng, &world.texts[at]))
        }
        5 => {
            let at = rng.usize(..2);
            Truth::TextIn(rng.bool(), at, (0..rng.usize(1..4)).map(|_| piece(rng, &world.texts[at])).collect())
        }
        6 => {
            let list = (0..rng.usize(1..4)).map(|_| written(rng)).collect();
            let n = loop {
                let n = number(rng, 1);
                if !is_written(&n) && !is_refused(&n) {
                    break n;
                }
            };
            Truth::NumberIn(rng.bool(), n, list)
        }
        7 => {
            let how = *rng.choice(["contains", "starts_with", "ends_with"].iter()).expect("one");
            Truth::Bytes(how, piece(rng, &hex(&world.bytes)))
        }
        8 => match rng.bool() {
            true => {
                let (text, value) = written(rng);
                Truth::HasNumber(text, value)
            }
            false => {
                let word = rng.choice(world.names.iter()).cloned().unwrap_or_default();
                Truth::HasText(if rng.bool() { piece(rng, &word) } else { word })
            }
        },
        9 | 10 => Truth::Or((0..rng.usize(2..4)).map(|_| truth(rng, world, depth - 1)).collect()),
        11 | 12 => Truth::And((0..rng.usize(2..4)).map(|_| truth(rng, world, depth - 1)).collect()),
        _ => Truth::Not(Box::new(truth(rng, world, depth - 1))),
    }
}
