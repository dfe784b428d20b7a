//! Exact numbers: fractions of integers of 512 bits, so that every integer of a contract, what four operations make of a few of them, and
//! every decimal that somebody writes are themselves.
//!
//! Guarantee: nothing is rounded. What leaves 512 bits, or is divided by zero, is no number (`None`). Comparing always has an answer.

use std::{cmp::Ordering, fmt};

use alloy_primitives::{U256, U512, aliases::I512};
use schemas::limits::conditions as limits;

/// A fraction in lowest terms; its denominator is positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number {
    over: I512,
    under: I512,
}

/// How two values may stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
}

impl Relation {
    /// All, with how they are written.
    pub const WORDS: [(&'static str, Self); 6] = [
        (">", Self::More),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
    ];

    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
        }
    }

    /// Whether it is for too much.
    pub const fn is_upward(self) -> bool {
        matches!(self, Self::More | Self::AtLeast)
    }

    /// Whether two values in this order stand in this relation.
    pub const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
        }
    }
}

impl Number {
    /// 0
    pub const ZERO: Self = Self { over: I512::ZERO, under: I512::ONE };

    /// An integer.
    pub const fn whole(number: I512) -> Self {
        Self { over: number, under: I512::ONE }
    }

    /// A fraction; `None` by zero.
    pub fn fraction(over: I512, under: I512) -> Option<Self> {
        if under == I512::ONE {
            return Some(Self::whole(over));
        }
        let is_negative = over.is_negative() != under.is_negative();
        let (over, under) = (over.unsigned_abs(), under.unsigned_abs());
        let common = over.gcd(under);
        let (over, under) = (over.checked_div(common)?, under.checked_div(common)?);
        let (over, under) = (signed(over)?, signed(under)?);
        if under.is_zero() {
            return None;
        }
        Some(Self { over: if is_negative { over.checked_neg()? } else { over }, under })
    }

    /// How many per how many; `None` by zero.
    pub fn ratio(over: u64, under: u64) -> Option<Self> {
        Self::fraction(Self::from(over).over, Self::from(under).over)
    }

    /// What is written as a decimal (`-1.5`, `1_000`, `2e18`) or as an integer in hex (`0xff`): at most 36 decimals, and below 2^511.
    pub fn read(text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            let good = (1..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            return good.then(|| U256::from_str_radix(digits, 16).ok()).flatten().map(Self::from);
        }
        let (text, is_negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((digits, exponent)) => {
                let bare = exponent.strip_prefix('+').unwrap_or(exponent);
                (digits, bare.parse::<i32>().ok().filter(|e| (-200..=200).contains(e))?)
            }
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |digits: &str| {
            digits.bytes().all(|b| b.is_ascii_digit() || b == b'_')
                && digits.starts_with(|c: char| c.is_ascii_digit())
                && digits.ends_with(|c: char| c.is_ascii_digit())
        };
        if !is_number(whole) || !is_number(part) || whole.len() + part.len() > 400 {
            return None;
        }
        let part = part.trim_end_matches('0');
        let ten = I512::unchecked_from(10);
        let mut over = I512::ZERO;
        let mut decimals = 0i32;
        for (digit, is_part) in whole.bytes().map(|b| (b, false)).chain(part.bytes().map(|b| (b, true))) {
            if digit.is_ascii_digit() {
                over = over.checked_mul(ten)?.checked_add(I512::unchecked_from(digit - b'0'))?;
                decimals += i32::from(is_part);
            }
        }
        let shift = exponent - decimals;
        if over.is_zero() {
            return Some(Self::ZERO);
        }
        if is_negative {
            over = over.checked_neg()?;
        }
        let powers = usize::try_from(shift.unsigned_abs()).ok()?;
        if shift < 0 {
            let made = Self::fraction(over, power_of_ten(powers)?)?;
            return (made.decimals()? <= limits::EXPRESSION_DECIMALS).then_some(made);
        }
        over.checked_mul(power_of_ten(powers)?).map(Self::whole)
    }

    /// It as an integer of 256 bits that is not negative, where it is one.
    pub fn unsigned(&self) -> Option<U256> {
        if !self.is_whole() || self.is_negative() {
            return None;
        }
        let (low, high) = self.over.as_limbs().split_at(4);
        high.iter().all(|limb| *limb == 0).then(|| U256::from_limbs_slice(low))
    }

    /// Whether it is an integer.
    pub fn is_whole(&self) -> bool {
        self.under == I512::ONE
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.over.is_negative()
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.over.is_zero()
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.under == other.under {
            return Self::fraction(self.over.checked_add(other.over)?, self.under);
        }
        let over = self.over.checked_mul(other.under)?.checked_add(other.over.checked_mul(self.under)?)?;
        Self::fraction(over, self.under.checked_mul(other.under)?)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negative()?)
    }

    /// The product.
    pub fn times(self, other: Self) -> Option<Self> {
        Self::fraction(self.over.checked_mul(other.over)?, self.under.checked_mul(other.under)?)
    }

    /// The quotient, exactly: 5 / 2 is 2.5. `None` by zero.
    pub fn by(self, other: Self) -> Option<Self> {
        Self::fraction(self.over.checked_mul(other.under)?, self.under.checked_mul(other.over)?)
    }

    /// What is left when as many whole times the other as there are toward zero are taken away: −7 % 3 is −1. `None` by zero.
    pub fn remainder(self, other: Self) -> Option<Self> {
        if self.is_whole() && other.is_whole() {
            return self.over.checked_rem(other.over).map(Self::whole);
        }
        let quotient = self.by(other)?;
        let times = Self::whole(quotient.over.checked_div(quotient.under)?);
        self.minus(times.times(other)?)
    }

    /// The same with the other sign.
    pub fn negative(self) -> Option<Self> {
        Some(Self { over: self.over.checked_neg()?, under: self.under })
    }

    /// About this, for what needs no exactness.
    pub fn approximate(&self) -> f64 {
        let part = |number: I512| {
            let size = f64::from(number.unsigned_abs());
            if number.is_negative() { -size } else { size }
        };
        part(self.over) / part(self.under)
    }

    /// How many decimals it has, where they end.
    fn decimals(&self) -> Option<usize> {
        let mut under = self.under.unsigned_abs();
        let mut count = [0usize; 2];
        for (prime, count) in [2u64, 5].into_iter().zip(&mut count) {
            let prime = U512::from(prime);
            while (under % prime).is_zero() && !under.is_zero() {
                under /= prime;
                *count += 1;
            }
        }
        (under == U512::ONE).then(|| count.into_iter().max()).flatten()
    }
}

fn signed(number: U512) -> Option<I512> {
    let number = I512::from_raw(number);
    (!number.is_negative()).then_some(number)
}

fn power_of_ten(power: usize) -> Option<I512> {
    let ten = I512::unchecked_from(10);
    (0..power).try_fold(I512::ONE, |product, _| product.checked_mul(ten))
}

impl From<U256> for Number {
    fn from(number: U256) -> Self {
        let mut limbs = [0u64; 8];
        limbs.iter_mut().zip(number.as_limbs()).for_each(|(to, from)| *to = *from);
        Self::whole(I512::from_limbs(limbs))
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::whole(I512::from_limbs([number, 0, 0, 0, 0, 0, 0, 0]))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.under == other.under {
            return self.over.cmp(&other.over);
        }
        match (self.over.checked_mul(other.under), other.over.checked_mul(self.under)) {
            (Some(mine), Some(others)) => mine.cmp(&others),
            _ => match (self.is_negative(), other.is_negative()) {
                (false, true) => Ordering::Greater,
                (true, false) => Ordering::Less,
                (false, false) => by_parts(self, other),
                (true, true) => by_parts(other, self),
            },
        }
    }
}

/// Compares sizes by whole parts, then what is left upside down: as Euclid's algorithm, so that it ends.
fn by_parts(a: &Number, b: &Number) -> Ordering {
    let parts = |n: &Number| (n.over.unsigned_abs(), n.under.unsigned_abs());
    let ((mut a, mut a_under), (mut b, mut b_under)) = (parts(a), parts(b));
    loop {
        let (whole_a, whole_b) = (a / a_under, b / b_under);
        if whole_a != whole_b {
            return whole_a.cmp(&whole_b);
        }
        let (left_a, left_b) = (a % a_under, b % b_under);
        match (left_a.is_zero(), left_b.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            // l/u < m/v as v/m < u/l: the sides change places.
            (false, false) => (a, a_under, b, b_under) = (b_under, left_b, a_under, left_a),
        }
    }
}

impl fmt::Display for Number {
    /// As a decimal: exact where it ends within 36 decimals, else cut after 18.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative() {
            f.write_str("-")?;
        }
        let (over, under) = (self.over.unsigned_abs(), self.under.unsigned_abs());
        write!(f, "{}", over / under)?;
        if self.is_whole() {
            return Ok(());
        }
        let most = self.decimals().filter(|n| *n <= limits::EXPRESSION_DECIMALS).unwrap_or(18);
        let (mut left, ten) = (over % under, U512::from(10u64));
        let mut digits = String::new();
        for _ in 0..most {
            // Below the denominator, which is below 2^511: where ten times that has no room, so much is not written.
            let Some(more) = left.checked_mul(ten) else { break };
            digits.push(char::from(b'0' + u8::try_from(more / under).unwrap_or_default()));
            left = more % under;
        }
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() { Ok(()) } else { write!(f, ".{digits}") }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_whole() {
            true => write!(f, "{}", self.over),
            false => write!(f, "{}/{}", self.over, self.under),
        }
    }
}
