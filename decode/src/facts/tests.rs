use std::cell::Cell;

use schemas::records::{FoundBy, Implementation};

use super::*;

thread_local! {
    /// What was looked at.
    pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
}

fn network() -> Network {
    "eth".parse().expect("a slug")
}

fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

/// Facts of a contract whose ABI has a function of this name.
fn facts(n: u8, function: &str, implementations: &[(u64, u8)]) -> ContractFacts {
    let abi =
        format!(r#"[{{"type":"function","name":"{function}","inputs":[],"outputs":[],"stateMutability":"view"}}]"#);
    let entry = |(from_height, n): &(u64, u8)| Implementation {
        from_height: *from_height,
        address: Some(address(*n)),
        found_by: FoundBy::Stream,
        ..Implementation::default()
    };
    ContractFacts {
        revision: 1,
        abi: (!function.is_empty()).then_some(abi),
        abi_source: Some(FactSource::Operator),
        implementations: implementations.iter().map(entry).collect(),
        ..ContractFacts::nothing(network(), address(n))
    }
}

/// Which of the contracts' ABIs are given.
fn given(facts: &Facts, n: u8, height: u64, selector: Option<FixedBytes<4>>) -> Vec<u8> {
    let of = facts.of(&network()).expect("known");
    let mut found = Vec::new();
    of.abis(address(n), height, selector, &mut found);
    let whose = |abi: &Abi| {
        let is =
            |m: &u8| of.get(&address(*m)).and_then(|k| k.abi.as_ref()).is_some_and(|(a, _)| std::ptr::eq(&**a, abi));
        (1..=30).find(is).expect("somebody's")
    };
    found.into_iter().map(whose).collect()
}

fn table(of: &[ContractFacts]) -> Facts {
    let mut table = Facts::default();
    of.iter().for_each(|facts| table.put(facts.clone()));
    table
}

#[test]
fn a_proxy_has_the_abi_of_what_stood_behind_it_at_the_height() {
    let table = table(&[
        facts(1, "own", &[(100, 2), (200, 3)]),
        facts(2, "before", &[]),
        facts(3, "after", &[]),
        facts(4, "", &[(50, 1)]),
    ]);
    assert_eq!(given(&table, 1, 99, None), [1], "nothing is known of it there");
    assert_eq!(given(&table, 1, 100, None), [1, 2]);
    assert_eq!(given(&table, 1, 199, None), [1, 2]);
    assert_eq!(given(&table, 1, 200, None), [1, 3, 2], "both sides of the upgrade");
    assert_eq!(given(&table, 1, 201, Some(FixedBytes([1; 4]))), [1, 3]);
    assert_eq!(given(&table, 4, 150, None), [1, 2], "what stands behind a proxy behind a proxy");
    assert!(given(&table, 9, 150, None).is_empty());
}

#[test]
fn a_circle_ends() {
    let table = table(&[facts(1, "a", &[(0, 2)]), facts(2, "b", &[(0, 1)]), facts(3, "c", &[(0, 3)])]);
    assert_eq!(given(&table, 1, 5, None), [1, 2]);
    assert_eq!(given(&table, 3, 5, None), [3]);
}

#[test]
fn a_diamond_has_the_facet_of_the_selector() {
    let selector = |n: u8| Some(FixedBytes([n; 4]));
    let mut diamond = facts(1, "", &[]);
    let entry = |from_height, n: u8, facet: Option<u8>| Implementation {
        from_height,
        selector: selector(n),
        address: facet.map(address),
        ..Implementation::default()
    };
    diamond.implementations =
        vec![entry(10, 1, Some(2)), entry(10, 2, Some(3)), entry(20, 1, Some(4)), entry(30, 2, None)];
    let table = table(&[diamond, facts(2, "a", &[]), facts(3, "b", &[]), facts(4, "c", &[])]);
    assert_eq!(given(&table, 1, 15, selector(1)), [2]);
    assert_eq!(given(&table, 1, 20, selector(1)), [4, 2]);
    assert_eq!(given(&table, 1, 25, selector(1)), [4]);
    assert_eq!(given(&table, 1, 25, selector(2)), [3]);
    assert!(given(&table, 1, 31, selector(2)).is_empty(), "it was taken out");
    assert_eq!(given(&table, 1, 15, None), [2, 3], "events are any facet's");
    assert_eq!(given(&table, 1, 25, None), [3, 4]);
    assert_eq!(given(&table, 1, 40, None), [4]);
}

#[test]
fn a_clone_stays_what_it_was_and_what_is_counted_is_there() {
    let mut table = table(&[facts(1, "a", &[]), facts(2, "b", &[])]);
    let (before, bytes) = (table.clone(), table.counted.abi_bytes);
    assert!(table.counted.contracts == 2 && bytes > 0);
    table.put(ContractFacts { revision: 0, ..facts(1, "older", &[]) });
    assert_eq!(table.counted.abi_bytes, bytes, "a record of before says nothing");
    table.put(ContractFacts { name: Some("One".into()), revision: 2, ..facts(1, "", &[]) });
    table.remove(&network(), address(2));
    table.remove(&network(), address(2));
    table.remove(&network(), address(9));
    assert_eq!((table.counted.contracts, table.counted.abi_bytes), (1, 0));
    assert_eq!(table.of(&network()).expect("known").name(&address(1)).map(|(name, _)| name), Some("One"));
    assert_eq!(given(&before, 1, 1, None), [1]);
    assert_eq!(given(&before, 2, 1, None), [2]);
    table.put(ContractFacts { abi: Some("[".into()), revision: 3, ..facts(1, "", &[]) });
    assert_eq!((table.counted.unreadable, table.counted.abi_bytes), (1, 0));
}

/// An entry of a selector, or of all.
fn entry(from_height: u64, selector: Option<u32>, to: Option<u8>) -> Implementation {
    Implementation {
        from_height,
        selector: selector.map(|n| FixedBytes(n.to_be_bytes())),
        address: to.map(address),
        ..Implementation::default()
    }
}

#[test]
fn a_look_up_takes_few_steps_whatever_was_recorded() {
    // Seventeen contracts, each a diamond whose selectors name all the others, one more at each height.
    let of = |n: u8| {
        let each = |i: u32| entry(u64::from(i), Some(i), Some(1 + (u32::from(n) + i).rem_euclid(17) as u8));
        let implementations = (0..limits::IMPLEMENTATIONS as u32).map(each).collect();
        ContractFacts { implementations, ..facts(n, &format!("f{n}"), &[]) }
    };
    let table = table(&(1..=17).map(of).collect::<Vec<_>>());
    assert_eq!(table.counted.entries, 17 * limits::IMPLEMENTATIONS);
    for (height, selector, wanted) in [
        (u64::MAX, None, limits::WALKED),
        (2_000, None, limits::WALKED),
        (5_000, Some(FixedBytes(700_u32.to_be_bytes())), limits::DEPTH),
        (700, Some(FixedBytes(700_u32.to_be_bytes())), limits::DEPTH),
    ] {
        STEPS.set(0);
        let given = given(&table, 1, height, selector);
        let steps = STEPS.get();
        assert_eq!(given.len(), wanted, "{height} {selector:?}: {given:?}");
        assert!(steps < 200, "{height} {selector:?}: {steps} steps");
    }
}

/// What [`Known::at`] gives, read from the entries as they are.
fn plainly(of: &[Implementation], height: u64, selector: Option<FixedBytes<4>>) -> Vec<Address> {
    let held = |selector: Option<FixedBytes<4>>| {
        let mut below = of.iter().rev().filter(|i| i.from_height <= height && i.selector == selector);
        let newest = below.next();
        let before = newest.filter(|newest| newest.from_height == height).and_then(|_| below.next());
        newest.into_iter().chain(before).filter_map(|i| i.address).collect::<Vec<_>>()
    };
    let mut all = held(None);
    if selector.is_some() {
        all.extend(held(selector));
    } else {
        let (mut newest, mut facets) = (HashMap::new(), Vec::new());
        for i in of.iter().filter(|i| i.from_height <= height && i.selector.is_some()) {
            let before: Option<Option<Address>> = newest.insert(i.selector, i.address);
            facets.extend(before.flatten().filter(|_| i.from_height == height));
        }
        facets.extend(newest.into_values().flatten());
        facets.sort_unstable();
        facets.dedup();
        facets.truncate(limits::ABIS);
        all.extend(facets);
    }
    let mut once = Vec::new();
    all.into_iter().for_each(|address| {
        if !once.contains(&address) {
            once.push(address)
        }
    });
    once.truncate(limits::ABIS);
    once
}

#[test]
fn what_is_laid_out_is_what_was_recorded() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let (selectors, addresses, heights) = (random.u32(1..40), random.u8(1..40), random.u64(1..12));
        let mut one = || {
            let selector = (random.u8(..8) > 0).then(|| random.u32(..selectors));
            let to = (random.u8(..8) > 0).then(|| random.u8(1..=addresses));
            entry(random.u64(..heights), selector, to)
        };
        let mut implementations: Vec<_> = (0..60).map(|_| one()).collect();
        let known = Known::of(ContractFacts { implementations: implementations.clone(), ..facts(1, "", &[]) }, None, 0);
        implementations.sort_by_key(|i| i.from_height);
        for height in (0..=heights).chain([u64::MAX]) {
            for selector in [None, Some(FixedBytes(0_u32.to_be_bytes())), Some(FixedBytes(1_u32.to_be_bytes()))] {
                let plainly = plainly(&implementations, height, selector);
                assert_eq!(known.at(height, selector), plainly, "{height} {selector:?} {implementations:?}");
            }
        }
    }
}

#[test]
fn entries_have_limits_and_what_has_no_room_is_counted() {
    let with = |n: usize, entries: usize| ContractFacts {
        implementations: (0..entries as u64).map(|height| entry(height, None, Some(9))).collect(),
        ..ContractFacts::nothing(network(), Address::from_word(alloy_primitives::U256::from(n).into()))
    };
    let (mut table, full) = (Facts::default(), limits::ENTRIES / limits::IMPLEMENTATIONS);
    // Of one contract the oldest go.
    (0..full).for_each(|n| table.put(with(n, limits::IMPLEMENTATIONS + 1)));
    assert_eq!((table.counted.entries, table.counted.left_out), (full * limits::IMPLEMENTATIONS, 0));
    let rest = limits::ENTRIES - table.counted.entries;
    table.put(with(full, rest + 1));
    assert_eq!((table.counted.contracts, table.counted.left_out), (full + 1, 1));
    assert_eq!(table.counted.entries, full * limits::IMPLEMENTATIONS);
    table.put(with(full, rest));
    assert_eq!((table.counted.entries, table.counted.left_out), (limits::ENTRIES, 1));
    // In the place of its own there is room.
    table.put(with(0, limits::IMPLEMENTATIONS));
    assert_eq!((table.counted.entries, table.counted.left_out), (limits::ENTRIES, 1));
    table.remove(&network(), with(0, 0).address);
    assert_eq!(table.counted.entries, limits::ENTRIES - limits::IMPLEMENTATIONS);
}
