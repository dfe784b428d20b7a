//! The slow evaluator.

use num_bigint::BigInt;

use super::tree::{Number, Slow, Truth, World, hex};

/// What a reference says: an answer, or why there is none; and whether numbers were so large that ours may have no room for them.
pub(super) struct Slowly<'w> {
    pub(super) world: &'w World,
    pub(super) may_leave: bool,
}

/// No answer.
#[derive(Debug)]
pub(super) struct NoAnswer;

pub(super) fn lower(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().to_string()).collect()
}

pub(super) fn search(how: &str, hay: &str, needle: &str) -> bool {
    let (hay, needle) = (lower(hay), lower(needle));
    match how {
        "==" => hay == needle,
        "!=" => hay != needle,
        "contains" => hay.contains(&needle),
        "starts_with" => hay.starts_with(&needle),
        _ => hay.ends_with(&needle),
    }
}

impl Slowly<'_> {
    /// `Ok(None)`: an element that is not there.
    pub(super) fn number(&mut self, n: &Number) -> Result<Option<Slow>, NoAnswer> {
        let made = match n {
            Number::Written(_, value) => value.clone(),
            Number::Variable(at) => Slow::whole(self.world.numbers[*at].clone()),
            Number::Element(at) => match self.world.elements.get(*at) {
                Some(n) => Slow::whole(n.clone()),
                None => return Ok(None),
            },
            Number::Negative(inner) => match self.number(inner)? {
                Some(Slow(over, under)) => Slow(-over, under),
                None => return Ok(None),
            },
            Number::Reckon(sign, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
                // Whatever way it is reckoned: with no more than the bits of all four numbers together.
                let bits = left.0.bits() + left.1.bits() + right.0.bits() + right.1.bits();
                self.may_leave |= bits > 505;
                let zero = BigInt::from(0);
                match sign {
                    '+' => Slow(&left.0 * &right.1 + &right.0 * &left.1, &left.1 * &right.1),
                    '-' => Slow(&left.0 * &right.1 - &right.0 * &left.1, &left.1 * &right.1),
                    '*' => Slow(&left.0 * &right.0, &left.1 * &right.1),
                    _ if right.0 == zero => return Err(NoAnswer),
                    '/' => Slow(&left.0 * &right.1, &left.1 * &right.0),
                    _ => {
                        let times = Slow(&left.0 * &right.1, &left.1 * &right.0).cut();
                        Slow(&left.0 * &right.1 - times * &right.0 * &left.1, &left.1 * &right.1)
                    }
                }
            }
        };
        Ok(Some(made))
    }

    pub(super) fn truth(&mut self, t: &Truth) -> Result<bool, NoAnswer> {
        let world = self.world;
        Ok(match t {
            Truth::Or(parts) => {
                for part in parts {
                    if self.truth(part)? {
                        return Ok(true);
                    }
                }
                false
            }
            Truth::And(parts) => {
                for part in parts {
                    if !self.truth(part)? {
                        return Ok(false);
                    }
                }
                true
            }
            Truth::Not(inner) => !self.truth(inner)?,
            Truth::Flag => world.flag,
            Truth::Compare(relation, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
                let order = left.order(&right);
                match *relation {
                    "==" => order.is_eq(),
                    "!=" => order.is_ne(),
                    ">" => order.is_gt(),
                    ">=" => order.is_ge(),
                    "<" => order.is_lt(),
                    _ => order.is_le(),
                }
            }
            Truth::Text(how, at, text) => search(how, &world.texts[*at], text),
            Truth::TextIn(is_turned, at, list) => {
                list.iter().any(|text| search("==", &world.texts[*at], text)) != *is_turned
            }
            Truth::NumberIn(is_turned, n, list) => match self.number(n)? {
                Some(n) => list.iter().any(|(_, other)| n.order(other).is_eq()) != *is_turned,
                None => false,
            },
            Truth::Bytes(how, text) => search(how, &hex(&world.bytes), text),
            Truth::HasNumber(_, n) => world.elements.iter().any(|e| Slow::whole(e.clone()).order(n).is_eq()),
            // The names' number is five.
            Truth::HasText(text) => {
                world.names.iter().any(|name| search("==", name, text)) || (!world.names.is_empty() && is_five(text))
            }
        })
    }
}

pub(super) fn is_five(text: &str) -> bool {
    text == "5" || text == "0x5"
}
