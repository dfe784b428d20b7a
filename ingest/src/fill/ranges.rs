//! Sets of heights as ranges, both ends included: sorted, apart, and as few as they can be. Pure.

use schemas::records::HeldRange;

/// Adds a range; neighbours become one.
pub fn insert(set: &mut Vec<HeldRange>, range: HeldRange) {
    if range.from > range.to {
        return;
    }
    let first = set.partition_point(|r| r.to.checked_add(1).is_some_and(|next| next < range.from));
    let last = set.partition_point(|r| r.from <= range.to.saturating_add(1));
    let mut joined = range;
    for other in &set[first..last] {
        joined = HeldRange { from: joined.from.min(other.from), to: joined.to.max(other.to) };
    }
    set.splice(first..last, [joined]);
}

/// The heights of a range that none of these has, lowest first.
pub fn missing(range: HeldRange, held: &[HeldRange]) -> Vec<HeldRange> {
    let mut missing = Vec::new();
    let mut from = range.from;
    for held in held {
        if held.to < from {
            continue;
        }
        if held.from > range.to {
            break;
        }
        if held.from > from {
            missing.push(HeldRange { from, to: held.from - 1 });
        }
        match held.to.checked_add(1) {
            Some(next) => from = next,
            None => return missing,
        }
    }
    if from <= range.to {
        missing.push(HeldRange { from, to: range.to });
    }
    missing
}

/// Number of heights.
pub fn heights(set: &[HeldRange]) -> u64 {
    set.iter().map(|r| (r.to - r.from).saturating_add(1)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range((from, length): (u64, u64)) -> HeldRange {
        HeldRange { from, to: from + length }
    }

    fn all(set: &[HeldRange]) -> BTreeSet<u64> {
        set.iter().flat_map(|r| r.from..=r.to).collect()
    }

    proptest! {
        #[test]
        fn they_are_sets(of in prop::collection::vec((0u64..120, 0u64..12), 0..24), wanted in (0u64..120, 0u64..60)) {
            let (mut set, mut model) = (Vec::new(), BTreeSet::new());
            for each in of {
                insert(&mut set, range(each));
                model.extend(range(each).from..=range(each).to);
                prop_assert_eq!(all(&set), model.clone());
                prop_assert!(set.windows(2).all(|w| w[0].to + 1 < w[1].from), "as few as they can be: {:?}", set);
                prop_assert_eq!(heights(&set), model.len() as u64);
            }
            let wanted = range(wanted);
            let missing = missing(wanted, &set);
            let model: BTreeSet<u64> = (wanted.from..=wanted.to).filter(|h| !model.contains(h)).collect();
            prop_assert!(missing.windows(2).all(|w| w[0].to + 1 < w[1].from), "lowest first: {:?}", missing);
            prop_assert_eq!(all(&missing), model);
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_heights_too() {
        let all = HeldRange { from: 0, to: u64::MAX };
        let mut set = vec![HeldRange { from: 5, to: u64::MAX }];
        assert_eq!(missing(all, &set), [HeldRange { from: 0, to: 4 }]);
        insert(&mut set, HeldRange { from: 0, to: 4 });
        assert_eq!(set, [all]);
        assert!(missing(all, &set).is_empty());
        insert(&mut set, HeldRange { from: 7, to: 6 });
        assert_eq!((set.len(), heights(&set)), (1, u64::MAX), "an empty range is none");
    }
}
