//! Evaluation.
//!
//! Guarantee: a function of the test and of the variables. Of `AND` and `OR` the parts are looked at from the left, and none behind the one
//! that decides. A variable that is not there (a receiver of a transaction that creates a contract, an element behind a list's end) makes
//! the comparison that it stands in false, whatever the operator.

use alloy_primitives::U256;

use super::{
    parser::{Reckon, Search},
    value::Value,
};
use crate::number::{Number, Relation};

/// Why it cannot be told whether an expression fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A number left 512 bits, or was divided by zero.
    Number,
    /// It takes more than [`EXPRESSION_STEPS`](schemas::limits::conditions::EXPRESSION_STEPS) steps.
    Steps,
}

/// Where a variable is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) root: usize,
    pub(super) steps: Box<[usize]>,
}

/// Values of a scope.
pub trait Variables {
    /// That at a place; `None`: there is none.
    fn get(&self, place: &Place) -> Option<Seen<'_>>;
}

/// A value that is looked at.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'v> {
    /// An integer that is not negative.
    Whole(U256),
    /// Any other number, or the same.
    Number(Number),
    /// True or false.
    Flag(bool),
    /// Bytes.
    Bytes(&'v [u8]),
    /// Text.
    Text(&'v str),
    /// A list or a tuple.
    List(&'v [Value]),
}

/// A value that is written, or follows from others.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Variable(Place),
    Fixed(Value),
    Reckon(Reckon, Box<[Term; 2]>),
    Negative(Box<Term>),
}

impl Term {
    fn asks(&self, is_wanted: fn(usize) -> bool) -> bool {
        match self {
            Self::Variable(place) => is_wanted(place.root),
            Self::Fixed(_) => false,
            Self::Reckon(_, parts) => parts.iter().any(|part| part.asks(is_wanted)),
            Self::Negative(inner) => inner.asks(is_wanted),
        }
    }
}

/// What is true or false.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Box<Test>),
    /// A variable that is true or false itself.
    Is(Term),
    Compare(Relation, Term, Term),
    /// One text in another.
    Search(Search, Term, Term),
    /// One of the values anywhere in a list or tuple: as many forms of one literal as there are kinds in it.
    Holds(Term, Vec<Value>),
    /// A value among those of a list.
    Among(bool, Term, Term),
    /// A value among those that are written.
    In(bool, Term, Vec<Value>),
}

/// Bytes that are compared or searched in one step.
pub(crate) const BYTES_OF_STEP: usize = 64;

/// Steps of one calculation: fractions of 512 bits are brought to lowest terms.
const STEPS_OF_RECKONING: usize = 16;

/// Takes so many steps.
fn step(steps: &mut u32, count: usize) -> Result<(), Fault> {
    let count = u32::try_from(count).map_err(|_| Fault::Steps)?;
    *steps = steps.checked_sub(count).ok_or(Fault::Steps)?;
    Ok(())
}

impl Test {
    /// Whether it looks at a variable of these, by their places in the scope.
    pub(super) fn asks(&self, is_wanted: fn(usize) -> bool) -> bool {
        let of = |term: &Term| term.asks(is_wanted);
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().any(|part| part.asks(is_wanted)),
            Self::Not(inner) => inner.asks(is_wanted),
            Self::Is(term) | Self::Holds(term, _) | Self::In(_, term, _) => of(term),
            Self::Compare(_, left, right) | Self::Search(_, left, right) | Self::Among(_, left, right) => {
                of(left) || of(right)
            }
        }
    }

    pub(super) fn holds(&self, variables: &impl Variables, steps: &mut u32) -> Result<bool, Fault> {
        step(steps, 1)?;
        match self {
            Self::Any(parts) => {
                for part in parts {
                    if part.holds(variables, steps)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::All(parts) => {
                for part in parts {
                    if !part.holds(variables, steps)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Not(inner) => inner.holds(variables, steps).map(|holds| !holds),
            Self::Is(term) => Ok(matches!(term.seen(variables, steps)?, Some(Seen::Flag(true)))),
            Self::Compare(relation, left, right) => {
                let (left, right) = (left.seen(variables, steps)?, right.seen(variables, steps)?);
                let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
                match (left, right, relation) {
                    (Seen::Whole(left), Seen::Whole(right), relation) => Ok(relation.holds(left.cmp(&right))),
                    (Seen::Whole(_) | Seen::Number(_), Seen::Whole(_) | Seen::Number(_), relation) => {
                        let both = left.number().zip(right.number());
                        Ok(both.is_some_and(|(left, right)| relation.holds(left.cmp(&right))))
                    }
                    (left, right, Relation::Equal) => left.is(&right, steps),
                    (left, right, Relation::Unequal) => left.is(&right, steps).map(|is| !is),
                    _ => Ok(false),
                }
            }
            Self::Search(how, left, right) => {
                let (left, right) = (left.seen(variables, steps)?, right.seen(variables, steps)?);
                match (left, right) {
                    (Some(Seen::Text(hay)), Some(Seen::Text(needle))) => {
                        step(steps, (hay.len() + needle.len()) / BYTES_OF_STEP)?;
                        Ok(search(*how, &lower(hay), &lower(needle)))
                    }
                    (Some(Seen::Bytes(hay)), Some(Seen::Text(needle))) => {
                        // Nothing behind what the needle can reach is looked at.
                        let hay = match how {
                            Search::StartsWith => hay.get(..needle.len()).unwrap_or(hay),
                            _ => hay,
                        };
                        step(steps, (2 * hay.len() + needle.len()) / BYTES_OF_STEP)?;
                        Ok(search(*how, &const_hex::encode_prefixed(hay), &lower(needle)))
                    }
                    _ => Ok(false),
                }
            }
            Self::Holds(term, forms) => match term.seen(variables, steps)? {
                Some(Seen::List(list)) => any(list, forms, steps),
                _ => Ok(false),
            },
            Self::Among(is_turned, term, list) => match (term.seen(variables, steps)?, list.seen(variables, steps)?) {
                (Some(seen), Some(Seen::List(list))) => is_one_of(seen, list, steps).map(|is| is != *is_turned),
                _ => Ok(false),
            },
            Self::In(is_turned, term, list) => match term.seen(variables, steps)? {
                Some(seen) => is_one_of(seen, list, steps).map(|is| is != *is_turned),
                None => Ok(false),
            },
        }
    }
}

impl Term {
    fn seen<'v>(&'v self, variables: &'v impl Variables, steps: &mut u32) -> Result<Option<Seen<'v>>, Fault> {
        step(steps, 1)?;
        Ok(match self {
            Self::Variable(place) => variables.get(place),
            Self::Fixed(value) => value.seen(),
            Self::Negative(inner) => match inner.seen(variables, steps)?.and_then(Seen::number) {
                Some(number) => Some(Seen::Number(number.negative().ok_or(Fault::Number)?)),
                None => None,
            },
            Self::Reckon(how, parts) => {
                step(steps, STEPS_OF_RECKONING)?;
                let [left, right] = &**parts;
                let (left, right) = (left.seen(variables, steps)?, right.seen(variables, steps)?);
                match (left.and_then(Seen::number), right.and_then(Seen::number)) {
                    (Some(left), Some(right)) => Some(Seen::Number(how.of(left, right).ok_or(Fault::Number)?)),
                    _ => None,
                }
            }
        })
    }
}

impl Seen<'_> {
    /// It as a number, where it is one.
    pub(super) fn number(self) -> Option<Number> {
        match self {
            Self::Whole(number) => Some(Number::from(number)),
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whether both are the same: texts without regard to case, lists element by element.
    fn is(&self, other: &Seen<'_>, steps: &mut u32) -> Result<bool, Fault> {
        Ok(match (self, other) {
            (Self::Whole(a), Seen::Whole(b)) => a == b,
            (Self::Whole(_) | Self::Number(_), Seen::Whole(_) | Seen::Number(_)) => self.number() == other.number(),
            (Self::Flag(a), Seen::Flag(b)) => a == b,
            (Self::Bytes(a), Seen::Bytes(b)) => {
                step(steps, a.len().min(b.len()) / BYTES_OF_STEP)?;
                a == b
            }
            (Self::Text(a), Seen::Text(b)) => {
                step(steps, a.len().min(b.len()) / BYTES_OF_STEP)?;
                is_same_text(a, b)
            }
            (Self::List(a), Seen::List(b)) if a.len() == b.len() => {
                for (a, b) in a.iter().zip(*b) {
                    step(steps, 1)?;
                    let (Some(a), Some(b)) = (a.seen(), b.seen()) else { return Ok(false) };
                    if !a.is(&b, steps)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        })
    }
}

fn is_one_of(seen: Seen<'_>, list: &[Value], steps: &mut u32) -> Result<bool, Fault> {
    for value in list {
        step(steps, 1)?;
        if let Some(value) = value.seen()
            && seen.is(&value, steps)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of the forms is anywhere in it, however deep: as deep as its kind, which has a limit.
fn any(list: &[Value], forms: &[Value], steps: &mut u32) -> Result<bool, Fault> {
    for value in list {
        step(steps, 1)?;
        let is = match value.seen() {
            Some(Seen::List(inner)) => any(inner, forms, steps)?,
            Some(seen) => is_one_of(seen, forms, steps)?,
            None => false,
        };
        if is {
            return Ok(true);
        }
    }
    Ok(false)
}

fn search(how: Search, hay: &str, needle: &str) -> bool {
    match how {
        Search::Contains => hay.contains(needle),
        Search::StartsWith => hay.starts_with(needle),
        Search::EndsWith => hay.ends_with(needle),
    }
}

/// In small letters, one by one (Unicode, simple and special mappings, without regard to what stands beside a letter).
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn is_same_text(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}
