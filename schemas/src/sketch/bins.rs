//! How values are distributed: integer bins (DDSketch with linear interpolation inside an octave, arXiv:1908.10693).
//!
//! Each octave [2^n, 2^(n+1)) is cut into 32 equal parts; zero has a place of its own. A bin's middle is at most 1/64 of the value away from
//! each value in it, so a quantile is at most 1/64 (1.6 %) away from the exact one, *of the same rank*.
//!
//! There are at most [`BINS`] bins. Beyond that neighbours are joined, all of them two by two (bin 2k and bin 2k+1), which doubles the
//! error: values that lie within 16 octaves (a factor of 65,000) of each other never need it, and whatever the values are, [`BINS`] bins of
//! all 8,192 there are take four such steps, an error of 1/4.
//!
//! Why the order of adding and merging does not matter: let `level` be how often bins were joined. Joining is nested, so the bin of a value
//! at a level is a function of the value and the level, and counts are sums. The level is the lowest one at which the *set* of values has
//! at most [`BINS`] bins: more values never have fewer bins at any level, so no part that is merged stands at a higher level than the
//! whole, and the whole is joined from the highest level of its parts up to its own, step by step, never further. Likewise for the bytes:
//! with more values they never become fewer at any level, and with each joining they never become more; so what is joined further until
//! it fits [`SKETCH_BYTES`] (only counts beyond a thousand million need it) ends at the lowest level at which all values fit.

use alloy_primitives::U256;

use super::{NotASketch, bytes};
use crate::limits::windows::{BINS, SKETCH_BYTES};

/// Parts of an octave, as a power of two.
const PARTS_BITS: usize = 5;
/// Bins of all values of 256 bits.
const ALL_BINS: u64 = 256 << PARTS_BITS;
/// The level at which all bins there are fit [`SKETCH_BYTES`] whatever they count: 128 bins of at most 12 bytes each.
const LAST_LEVEL: u8 = 6;
/// Whatever made the level rise, there were many more bins than this.
const BINS_ABOVE_LEVEL_0: usize = BINS / 8;

/// See the module. Counts saturate at 2^64 − 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bins {
    zeros: u64,
    level: u8,
    /// Bin and count, by bin; no count is zero.
    bins: Vec<(u16, u64)>,
}

impl Bins {
    /// Adds a value.
    pub fn add(&mut self, value: U256) {
        match bin_of(&value) {
            Some(bin) => {
                self.count_in(bin >> self.level, 1);
                self.fit();
            }
            None => self.zeros = self.zeros.saturating_add(1),
        }
    }

    /// Adds all values of another one.
    pub fn merge(&mut self, other: &Self) {
        /// Up to so many bins are put where they belong one by one.
        const FEW: usize = 16;
        self.zeros = self.zeros.saturating_add(other.zeros);
        while self.level < other.level {
            self.join();
        }
        let shift = self.level - other.level;
        let bins = other.bins.iter().map(|(bin, count)| (bin >> shift, *count));
        if other.bins.len() <= FEW {
            bins.for_each(|(bin, count)| self.count_in(bin, count));
        } else {
            self.bins.extend(bins);
            self.bins.sort_by_key(|(bin, _)| *bin); // two runs in order: that is one pass
            self.add_up();
        }
        self.fit();
    }

    /// How many values were added.
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(self.zeros, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.zeros == 0 && self.bins.is_empty()
    }

    /// The value of rank ⌈n × `per_mille` / 1000⌉ of n in ascending order (500 is the median), as the middle of its bin: at most
    /// [`error`](Self::error) × that value away from it. `None` without values.
    pub fn quantile(&self, per_mille: u16) -> Option<U256> {
        let count = self.count();
        let rank = (u128::from(count) * u128::from(per_mille)).div_ceil(1000).clamp(1, u128::from(count).max(1)) as u64;
        if count == 0 {
            return None;
        }
        let mut before = self.zeros;
        if rank <= before {
            return Some(U256::ZERO);
        }
        for (bin, count) in &self.bins {
            before = before.saturating_add(*count);
            if rank <= before {
                return Some(middle(*bin, self.level));
            }
        }
        self.bins.last().map(|(bin, _)| middle(*bin, self.level))
    }

    /// What a quantile may be off by, as a share of the exact value: 1/64, and twice that for each joining of bins.
    pub fn error(&self) -> f64 {
        f64::from(1u32 << self.level) / 64.0
    }

    /// The one form in which these values are written: none without values; else the level, the number of zeros, then bin by bin how many
    /// empty ones are before it and what it counts. At most [`SKETCH_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.written();
        if out.len() > SKETCH_BYTES {
            let mut joined = self.clone();
            while out.len() > SKETCH_BYTES {
                joined.join();
                out = joined.written();
            }
        }
        out
    }

    fn written(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(2 + 2 * self.bins.len());
        out.push(self.level);
        bytes::put(self.zeros, &mut out);
        let mut next = 0;
        for (bin, count) in &self.bins {
            bytes::put(u64::from(*bin) - next, &mut out);
            bytes::put(*count, &mut out);
            next = u64::from(*bin) + 1;
        }
        out
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// Bytes that it never writes.
    pub fn decode(mut from: &[u8]) -> Result<Self, NotASketch> {
        if from.len() > SKETCH_BYTES {
            return Err(NotASketch::Long(from.len()));
        }
        let Some((&level, rest)) = from.split_first() else { return Ok(Self::default()) };
        from = rest;
        if level > LAST_LEVEL {
            return Err(NotASketch::Range("level"));
        }
        let zeros = bytes::take(&mut from)?;
        let mut bins = Vec::with_capacity(from.len() / 2);
        let mut next = 0u64;
        while !from.is_empty() {
            let bin = next.saturating_add(bytes::take(&mut from)?);
            let count = bytes::take(&mut from)?;
            if bin >= ALL_BINS >> level {
                return Err(NotASketch::Range("bin"));
            }
            if count == 0 {
                return Err(NotASketch::Range("count of zero"));
            }
            bins.push((bin as u16, count)); // below 8,192
            next = bin + 1;
        }
        let read = Self { zeros, level, bins };
        let is_like_ours = match level {
            0 => !read.is_empty() && read.bins.len() <= BINS,
            _ => (BINS_ABOVE_LEVEL_0..=BINS).contains(&read.bins.len()),
        };
        if is_like_ours { Ok(read) } else { Err(NotASketch::Form) }
    }

    fn count_in(&mut self, bin: u16, more: u64) {
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => {
                if let Some((_, count)) = self.bins.get_mut(at) {
                    *count = count.saturating_add(more);
                }
            }
            Err(at) => self.bins.insert(at, (bin, more)),
        }
    }

    fn fit(&mut self) {
        while self.bins.len() > BINS {
            self.join();
        }
    }

    /// Joins neighbours.
    fn join(&mut self) {
        self.level += 1;
        self.bins.iter_mut().for_each(|(bin, _)| *bin >>= 1);
        self.add_up();
    }

    /// Makes one of bins that stand there twice.
    fn add_up(&mut self) {
        self.bins.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            is_same
        });
    }
}

/// The bin of a value at level 0: its highest bit, then the five below it. `None` for zero.
fn bin_of(value: &U256) -> Option<u16> {
    let octave = value.bit_len().checked_sub(1)?;
    let part: U256 = match octave.checked_sub(PARTS_BITS) {
        Some(shift) => *value >> shift,
        None => *value << (PARTS_BITS - octave),
    };
    let [low, ..] = part.as_limbs();
    Some(((octave as u16) << PARTS_BITS) | (*low as u16 & ((1 << PARTS_BITS) - 1)))
}

/// The first value of a bin at level 0; `None` behind the last bin.
fn first_of(bin: u32) -> Option<U256> {
    let (octave, part) = ((bin >> PARTS_BITS) as usize, bin & ((1 << PARTS_BITS) - 1));
    let digits = U256::from((1 << PARTS_BITS) + part);
    match octave.checked_sub(PARTS_BITS) {
        _ if octave > 255 => None,
        Some(shift) => Some(digits << shift),
        None => Some(digits >> (PARTS_BITS - octave)),
    }
}

/// The value in the middle of a bin.
fn middle(bin: u16, level: u8) -> U256 {
    let bin = u32::from(bin);
    let first = first_of(bin << level).unwrap_or(U256::MAX);
    let last = first_of((bin + 1) << level).map_or(U256::MAX, |next| next.saturating_sub(U256::ONE));
    first + (last.saturating_sub(first) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bin_and_no_further_from_its_middle_than_a_64th() {
        let edges = (0..256usize).flat_map(|shift| {
            let power: U256 = U256::ONE << shift;
            let half: U256 = power | (power >> 1usize);
            let (part, below): (U256, U256) = (power | (power >> 5usize), power | (power >> 6usize));
            [power, power.saturating_sub(U256::ONE), half, part, below]
        });
        for value in edges.chain((1..5_000u32).map(U256::from)).chain([U256::MAX]).filter(|v| !v.is_zero()) {
            let bin = bin_of(&value).expect("it is not zero");
            let first = first_of(u32::from(bin)).expect("there is");
            // Below 32 there are bins without a value.
            let next = (u32::from(bin) + 1..).map(first_of).find(|next| next.is_none_or(|next| next > first)).flatten();
            assert!(first <= value && next.is_none_or(|next| value < next), "{value}");
            let off = value.abs_diff(middle(bin, 0));
            let most: U256 = value >> 6usize;
            assert!(off <= most, "{value} is {off} from the middle of its bin");
        }
        assert_eq!(bin_of(&U256::ZERO), None);
        assert_eq!(bin_of(&U256::MAX).map(u64::from), Some(ALL_BINS - 1));
    }

    #[test]
    fn counts_of_every_size_fit() {
        let full = |count| Bins { zeros: count, level: 0, bins: (0..BINS as u16).map(|n| (n * 16, count)).collect() };
        for count in [1, 1 << 14, 1 << 21, u64::MAX] {
            let encoded = full(count).encode();
            assert!(encoded.len() <= SKETCH_BYTES, "{count}: {}", encoded.len());
            assert_eq!(Bins::decode(&encoded).map(|bins| bins.encode()), Ok(encoded));
        }
        assert_eq!(full(u64::MAX).count(), u64::MAX);
    }
}
