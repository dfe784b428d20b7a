//! Sketches: the same bytes in every order and grouping, within their error of exact values, and nothing hostile about their bytes.

use std::collections::HashSet;

use alloy_primitives::{Address, U256};
use proptest::{collection::vec, prelude::*, sample::Index};
use schemas::{
    limits::windows::SKETCH_BYTES,
    sketch::{Bins, Distinct},
};

/// What both kinds can.
trait Sketch: Default + Clone + PartialEq + std::fmt::Debug {
    type Value: Clone;
    fn add(&mut self, value: &Self::Value);
    fn merge(&mut self, other: &Self);
    fn encode(&self) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Option<Self>;
    fn of(values: &[Self::Value]) -> Self {
        let mut sketch = Self::default();
        values.iter().for_each(|value| sketch.add(value));
        sketch
    }
}
impl Sketch for Bins {
    type Value = U256;
    fn add(&mut self, value: &U256) {
        Bins::add(self, *value);
    }
    fn merge(&mut self, other: &Self) {
        Bins::merge(self, other);
    }
    fn encode(&self) -> Vec<u8> {
        Bins::encode(self)
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        Bins::decode(bytes).ok()
    }
}
impl Sketch for Distinct {
    type Value = Address;
    fn add(&mut self, value: &Address) {
        Distinct::add(self, value.as_slice());
    }
    fn merge(&mut self, other: &Self) {
        Distinct::merge(self, other);
    }
    fn encode(&self) -> Vec<u8> {
        Distinct::encode(self)
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        Distinct::decode(bytes).ok()
    }
}

/// The values cut into parts, whose sketches are written and read again, and merged as a tree of any shape.
fn merged<S: Sketch>(values: &[S::Value], cuts: &[Index], joins: &[Index]) -> S {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(values.len() + 1)).chain([0, values.len()]).collect();
    at.sort_unstable();
    let mut parts: Vec<S> = at.windows(2).map(|ends| S::of(&values[ends[0]..ends[1]])).collect();
    let mut joins = joins.iter().cycle();
    while parts.len() > 1 {
        let (a, b) = (joins.next().unwrap().index(parts.len()), joins.next().unwrap().index(parts.len() - 1));
        let taken = S::decode(&parts.swap_remove(a).encode()).expect("what is written is read");
        parts[b].merge(&taken);
    }
    parts.pop().unwrap_or_default()
}

fn every_way<S: Sketch>(values: &[S::Value], shuffled: &[S::Value], cuts: &[Index], joins: &[Index]) {
    let whole = S::of(values);
    let bytes = whole.encode();
    assert!(bytes.len() <= SKETCH_BYTES, "{} bytes", bytes.len());
    assert_eq!(S::decode(&bytes).as_ref(), Some(&whole));
    let other: S = merged(shuffled, cuts, joins);
    assert_eq!(other, whole);
    assert_eq!(other.encode(), bytes);
    let mut with_none = S::default();
    with_none.merge(&whole);
    with_none.merge(&S::default());
    assert_eq!(with_none.encode(), bytes);
}

/// Prices of a real chain lie close together; made-up ones anywhere.
fn price() -> impl Strategy<Value = U256> {
    let anywhere = (any::<[u8; 32]>(), 0usize..256).prop_map(|(bytes, shift)| U256::from_be_bytes(bytes) >> shift);
    prop_oneof![
        1 => Just(U256::ZERO),
        4 => (0u64..200_000_000_000).prop_map(U256::from),
        4 => (1u64..2_000).prop_map(U256::from),
        4 => anywhere,
    ]
}

/// Out of few or many.
fn addresses() -> impl Strategy<Value = Vec<Address>> {
    (1u64..100_000, vec(any::<u64>(), 0..3_000)).prop_map(|(most, numbers)| {
        numbers.into_iter().map(|n| Address::left_padding_from(&(n % most).to_be_bytes())).collect()
    })
}

fn mixed<T>(values: impl Strategy<Value = Vec<T>>) -> impl Strategy<Value = (Vec<T>, Vec<T>)>
where
    T: Clone + std::fmt::Debug,
{
    values.prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn bins_are_the_same_whatever_the_order((values, shuffled) in mixed(vec(price(), 0..3_000)), cuts in vec(any::<Index>(), 0..12), joins in vec(any::<Index>(), 2..24)) {
        every_way::<Bins>(&values, &shuffled, &cuts, &joins);
    }

    #[test]
    fn senders_are_the_same_whatever_the_order((values, shuffled) in mixed(addresses()), cuts in vec(any::<Index>(), 0..12), joins in vec(any::<Index>(), 2..24)) {
        every_way::<Distinct>(&values, &shuffled, &cuts, &joins);
    }

    #[test]
    fn quantiles_are_within_their_error(mut values in vec(price(), 1..2_000), per_mille in 0u16..=1_000) {
        let bins = Bins::of(&values);
        values.sort_unstable();
        let rank = (values.len() * usize::from(per_mille)).div_ceil(1_000).clamp(1, values.len());
        let (exact, told) = (values[rank - 1], bins.quantile(per_mille).expect("there are values"));
        let (off, least) = (f64::from(told.abs_diff(exact)), f64::from(exact));
        prop_assert!(off <= least * bins.error() * (1.0 + 1e-12), "{told} for {exact}, error {}", bins.error());
        prop_assert!(bins.error() <= 0.25);
        prop_assert_eq!(bins.count(), values.len() as u64);
        let octaves = values.iter().filter(|v| !v.is_zero()).map(|v| v.bit_len());
        if octaves.clone().max().unwrap_or(0) - octaves.min().unwrap_or(0) < 16 {
            prop_assert_eq!(bins.error(), 1.0 / 64.0);
        }
    }

    /// No bytes make it panic or take more room than a sketch has; what is read is what is written.
    #[test]
    fn hostile_bytes_are_refused_or_are_sketches(bytes in vec(any::<u8>(), 0..2_100), tag in 0u8..4, values in vec(price(), 0..800), at in any::<Index>(), flip in 1u8..) {
        let mut tagged = bytes.clone();
        tagged.insert(0, tag);
        let mut flipped = (Bins::of(&values).encode(), Distinct::of(&values.iter().map(|v| Address::from_word((*v).into())).collect::<Vec<_>>()).encode());
        for bytes in [&mut flipped.0, &mut flipped.1] {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
        }
        for bytes in [&bytes, &tagged, &flipped.0, &flipped.1] {
            if let Ok(bins) = Bins::decode(bytes) {
                prop_assert_eq!(&bins.encode(), bytes);
                let _ = (bins.quantile(500), bins.count());
            }
            if let Ok(senders) = Distinct::decode(bytes) {
                prop_assert_eq!(&senders.encode(), bytes);
                let _ = senders.estimate();
            }
        }
    }
}

/// 200 sets of each size: the mean is not off, and the spread is what the registers allow.
#[test]
fn estimates_are_within_their_error() {
    const SETS: u64 = 200;
    for (size, most_spread) in
        [(1, 0.001), (10, 0.03), (100, 0.025), (1_000, 0.028), (5_000, 0.028), (20_000, 0.028), (200_000, 0.028)]
    {
        let sets = if size > 20_000 { SETS / 10 } else { SETS };
        let off: Vec<f64> = (0..sets)
            .map(|set| {
                let address =
                    |n: u64| Address::from_word(alloy_primitives::keccak256((set * 1_000_003 + n).to_be_bytes()));
                let different: HashSet<Address> = (0..size).map(address).collect();
                let senders = Distinct::of(&different.into_iter().collect::<Vec<_>>());
                senders.estimate() as f64 / size as f64 - 1.0
            })
            .collect();
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        let spread = (off.iter().map(|o| o * o).sum::<f64>() / off.len() as f64).sqrt();
        eprintln!("{size}: off by {:.3} % on the mean, spread {:.3} %", mean * 100.0, spread * 100.0);
        assert!(spread <= most_spread, "{size}: {spread}");
        assert!(mean.abs() <= most_spread / 2.0, "{size}: {mean}");
    }
}
