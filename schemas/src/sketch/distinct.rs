//! About how many different ones there were: HyperLogLog of 2,048 registers (Flajolet et al. 2007), with the estimator of Otmar Ertl
//! (arXiv:1702.01284), which needs no table and no switch between small and large numbers, and uses only operations that IEEE 754
//! rounds exactly: the same number on every machine.
//!
//! The hash is XXH3 of 64 bits without a seed. Its first 11 bits choose the register, which keeps the largest position of the first one
//! among the other 53. The standard error is 1.04/√2048 = 2.3 %; of few it is smaller (of 100 1.6 %).
//!
//! Why the order of adding and merging does not matter: a register is the maximum over the values. How it is kept and written (few
//! registers, or all) follows from the registers alone.
//!
//! Whoever makes addresses on purpose can make the estimate wrong: it is a figure to look at, and nothing is decided by it.

use xxhash_rust::xxh3::xxh3_64;

use super::{NotASketch, bytes};
use crate::limits::windows::SKETCH_BYTES;

/// Bits of the hash that choose the register.
const REGISTER_BITS: u32 = 11;
/// Registers.
const REGISTERS: usize = 1 << REGISTER_BITS;
/// Bits of the hash behind those.
const REST_BITS: u32 = 64 - REGISTER_BITS;
/// What a register holds at most: none of these bits is one.
const MOST: u8 = REST_BITS as u8 + 1;
/// Registers up to which only those are kept that hold something.
const FEW: usize = 512;
/// First byte of a sketch of few registers: each as (registers without anything before it) × 64 + what it holds.
const AS_FEW: u8 = 1;
/// First byte of a sketch of all registers, six bits each.
const AS_ALL: u8 = 2;
/// Bytes of that.
const ALL_BYTES: usize = 1 + REGISTERS / 4 * 3;
const _: () = assert!(ALL_BYTES <= SKETCH_BYTES);

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distinct(Registers);

/// Which one it is follows from how many registers hold something.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Registers {
    /// At most [`FEW`]: register and what it holds, by register.
    Few(Vec<(u16, u8)>),
    /// More.
    All(Box<[u8; REGISTERS]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self(Registers::Few(Vec::new()))
    }
}

impl Distinct {
    /// Adds one: the bytes of an address.
    pub fn add(&mut self, what: &[u8]) {
        let hash = xxh3_64(what);
        let register = (hash >> REST_BITS) as u16;
        let first_one = (hash << REGISTER_BITS).leading_zeros().min(REST_BITS) as u8 + 1;
        self.raise(register, first_one);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        match &other.0 {
            Registers::Few(few) => few.iter().for_each(|(register, holds)| self.raise(*register, *holds)),
            Registers::All(all) => {
                let mine = self.all();
                for (mine, other) in mine.iter_mut().zip(all.iter()) {
                    *mine = (*mine).max(*other);
                }
            }
        }
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Registers::Few(few) if few.is_empty())
    }

    /// About how many different ones were added.
    pub fn estimate(&self) -> u64 {
        // How many registers hold each number.
        let mut holding = [0u32; MOST as usize + 1];
        let mut held = 0;
        self.each(|_, holds| {
            held += 1;
            if let Some(count) = holding.get_mut(usize::from(holds)) {
                *count += 1;
            }
        });
        let m = REGISTERS as f64;
        let [_, middle @ .., last] = &holding;
        let full = tau(1.0 - f64::from(*last) / m) * m;
        let sum = middle.iter().rev().fold(full, |sum, count| 0.5 * (sum + f64::from(*count)));
        let denominator = sum + m * sigma((m - f64::from(held)) / m);
        // 1 / (2 ln 2)
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        // Infinite without any: then it is zero.
        (ALPHA * m * m / denominator).round() as u64
    }

    /// The one form in which these registers are written: none without any; else the shorter one of the two. At most [`SKETCH_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if self.is_empty() {
            return out;
        }
        out.push(AS_FEW);
        let mut next = 0;
        self.each(|register, holds| {
            bytes::put((u64::from(register - next) << 6) | u64::from(holds), &mut out);
            next = register + 1;
        });
        if out.len() <= ALL_BYTES {
            return out;
        }
        let Registers::All(all) = &self.0 else { return out };
        out.clear();
        out.push(AS_ALL);
        for four in all.as_chunks::<4>().0 {
            let [a, b, c, d] = four.map(u32::from);
            let [_, three @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
            out.extend_from_slice(&three);
        }
        out
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// Bytes that it never writes.
    pub fn decode(from: &[u8]) -> Result<Self, NotASketch> {
        if from.len() > ALL_BYTES {
            return Err(NotASketch::Long(from.len()));
        }
        let mut read = Self::default();
        let Some((&form, mut rest)) = from.split_first() else { return Ok(read) };
        match form {
            AS_FEW => {
                let mut next = 0u64;
                while !rest.is_empty() {
                    let n = bytes::take(&mut rest)?;
                    let (register, holds) = (next + (n >> 6), (n & 0x3f) as u8);
                    if register >= REGISTERS as u64 || holds == 0 || holds > MOST {
                        return Err(NotASketch::Range("register"));
                    }
                    read.raise(register as u16, holds); // below 2,048
                    next = register + 1;
                }
            }
            AS_ALL if from.len() == ALL_BYTES => {
                let all = read.all();
                for (four, [x, y, z]) in all.as_chunks_mut::<4>().0.iter_mut().zip(rest.as_chunks::<3>().0) {
                    let n = u32::from_be_bytes([0, *x, *y, *z]);
                    *four = [18, 12, 6, 0].map(|shift| (n >> shift) as u8 & 0x3f);
                }
                if all.iter().any(|holds| *holds > MOST) {
                    return Err(NotASketch::Range("register"));
                }
                read.settle();
            }
            AS_ALL => return Err(NotASketch::Truncated),
            _ => return Err(NotASketch::Form),
        }
        if read.encode() == from { Ok(read) } else { Err(NotASketch::Form) }
    }

    fn raise(&mut self, register: u16, holds: u8) {
        match &mut self.0 {
            Registers::Few(few) => match few.binary_search_by_key(&register, |(register, _)| *register) {
                Ok(at) => {
                    if let Some((_, held)) = few.get_mut(at) {
                        *held = (*held).max(holds);
                    }
                }
                Err(at) => {
                    few.insert(at, (register, holds));
                    if few.len() > FEW {
                        self.all();
                    }
                }
            },
            Registers::All(all) => {
                if let Some(held) = all.get_mut(usize::from(register)) {
                    *held = (*held).max(holds);
                }
            }
        }
    }

    /// All registers, kept as such from now on.
    fn all(&mut self) -> &mut [u8; REGISTERS] {
        if let Registers::Few(few) = &self.0 {
            let mut all = Box::new([0; REGISTERS]);
            for (register, holds) in few {
                if let Some(held) = all.get_mut(usize::from(*register)) {
                    *held = *holds;
                }
            }
            self.0 = Registers::All(all);
        }
        match &mut self.0 {
            Registers::All(all) => all,
            Registers::Few(_) => unreachable!("it was made above"),
        }
    }

    /// Keeps few registers as few.
    fn settle(&mut self) {
        let mut few = Vec::new();
        self.each(|register, holds| few.push((register, holds)));
        if few.len() <= FEW {
            self.0 = Registers::Few(few);
        }
    }

    /// Calls for each register that holds something, by register.
    fn each(&self, mut call: impl FnMut(u16, u8)) {
        match &self.0 {
            Registers::Few(few) => few.iter().for_each(|(register, holds)| call(*register, *holds)),
            Registers::All(all) => {
                (0..)
                    .zip(all.iter())
                    .filter(|(_, holds)| **holds > 0)
                    .for_each(|(register, holds)| call(register, *holds));
            }
        }
    }
}

/// x + Σ x^(2^k) × 2^(k−1) over k from 1 (Ertl, σ); infinite at 1.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if sum == before {
            return sum;
        }
    }
}

/// (1 − x − Σ (1 − x^(2^−k))² × 2^−k) / 3 over k from 1 (Ertl, τ); zero at 0 and 1.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * y;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_and_the_bytes_stay_what_they_are() {
        let mut senders = Distinct::default();
        assert_eq!((senders.estimate(), senders.encode()), (0, vec![]));
        for n in 0..3u8 {
            senders.add(&[n; 20]);
        }
        assert_eq!(senders.estimate(), 3);
        // As another program has them (Python's `xxhash`): registers 179, 868 and 1162 hold 1 each.
        assert_eq!(senders.encode(), [1, 193, 89, 129, 216, 2, 193, 146, 1]);
    }
}
