//! What becomes of what is known, with each thing that is found out.

use alloy_primitives::{B256, FixedBytes};

use super::*;

fn network() -> Network {
    "eth".parse().expect("a slug")
}

fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn place(n: u8) -> Place {
    (network(), address(n))
}

fn hash(n: u64) -> BlockHash {
    BlockHash::from(B256::with_last_byte(n as u8))
}

fn upgraded(ledger: &mut Ledger, contract: u8, height: u64, to: u8) {
    let change = Change { contract: address(contract), selector: None, address: Some(address(to)), proxy: None };
    ledger.change(&network(), &At { height, hash: &hash(height), now: TimeMs(1_000) }, &change);
}

fn asked(ledger: &mut Ledger, contract: u8, height: u64, is: u8) {
    let entry = Implementation {
        from_height: height,
        address: Some(address(is)),
        found_by: FoundBy::Call,
        ..Implementation::default()
    };
    let behind = Behind { proxy: Some(ProxyKind::Eip1967), implementations: vec![entry] };
    ledger.behind(&place(contract), &At { height, hash: &hash(height), now: TimeMs(1_000) }, behind);
}

fn entries(ledger: &Ledger, contract: u8) -> Vec<(u64, u8)> {
    let of = ledger.get(&place(contract)).map(|f| f.implementations.clone()).unwrap_or_default();
    of.into_iter().map(|i| (i.from_height, i.address.expect("one")[0])).collect()
}

#[test]
fn upgrades_stand_by_height_and_a_revert_takes_them_back() {
    let mut ledger = Ledger::default();
    asked(&mut ledger, 1, 90, 5);
    upgraded(&mut ledger, 1, 100, 6);
    upgraded(&mut ledger, 1, 101, 7);
    assert_eq!(entries(&ledger, 1), [(90, 5), (100, 6), (101, 7)]);
    let first = ledger.take_changes();
    assert_eq!(first.len(), 1);
    assert!(first[0].proxy == Some(ProxyKind::Eip1967) && !ledger.has_changed());
    ledger.revert(&network(), 101, TimeMs(2_000));
    ledger.revert(&network(), 100, TimeMs(2_000));
    assert_eq!(entries(&ledger, 1), [(90, 5)]);
    let again = ledger.take_changes();
    assert!(again.len() == 1 && again[0].revision > first[0].revision);
    ledger.revert(&network(), 95, TimeMs(2_000));
    assert!(!ledger.has_changed(), "nothing rests on it");
    ledger.revert(&network(), 90, TimeMs(2_000));
    assert!(ledger.take_changes()[0].is_nothing(), "its key is removed");
    assert_eq!(ledger.get(&place(1)), None);
}

#[test]
fn what_is_written_is_read_again() {
    let mut ledger = Ledger::default();
    upgraded(&mut ledger, 1, 100, 6);
    let mut again = Ledger::default();
    ledger.take_changes().into_iter().for_each(|facts| again.put(facts));
    again.revert(&network(), 100, TimeMs(2_000));
    assert!(again.take_changes()[0].is_nothing(), "a kill forgets nothing that could be reverted");
}

#[test]
fn the_same_thing_is_no_news() {
    let mut ledger = Ledger::default();
    upgraded(&mut ledger, 1, 100, 6);
    ledger.take_changes();
    upgraded(&mut ledger, 1, 100, 6);
    asked(&mut ledger, 1, 150, 6);
    assert_eq!(entries(&ledger, 1), [(100, 6)]);
    // That it is a proxy of this kind is.
    assert_eq!(ledger.take_changes().len(), 1);
    asked(&mut ledger, 1, 160, 6);
    assert!(!ledger.has_changed());
}

#[test]
fn an_older_answer_reaches_further_back() {
    let mut ledger = Ledger::default();
    asked(&mut ledger, 1, 150, 6);
    asked(&mut ledger, 1, 100, 6);
    assert_eq!(entries(&ledger, 1), [(100, 6)]);
    asked(&mut ledger, 1, 50, 5);
    assert_eq!(entries(&ledger, 1), [(50, 5), (100, 6)]);
    upgraded(&mut ledger, 1, 100, 7);
    upgraded(&mut ledger, 1, 100, 8);
    assert_eq!(entries(&ledger, 1), [(50, 5), (100, 8)], "the last one of a block");
}

#[test]
fn selectors_of_a_diamond_are_apart() {
    let mut ledger = Ledger::default();
    let cut = |ledger: &mut Ledger, height: u64, selector: u8, facet: Option<u8>| {
        let change = Change {
            contract: address(1),
            selector: Some(FixedBytes([selector; 4])),
            address: facet.map(address),
            proxy: Some(ProxyKind::Eip2535),
        };
        ledger.change(&network(), &At { height, hash: &hash(height), now: TimeMs(1) }, &change);
    };
    cut(&mut ledger, 10, 1, Some(5));
    cut(&mut ledger, 10, 2, Some(5));
    cut(&mut ledger, 11, 1, None);
    let list = &ledger.get(&place(1)).expect("known").implementations;
    assert_eq!(list.len(), 3);
    assert_eq!(ledger.get(&place(1)).expect("known").proxy, Some(ProxyKind::Eip2535));
}

#[test]
fn the_operator_stands_over_all_and_leaves_no_trace() {
    let mut ledger = Ledger::default();
    let contract = |abi: Option<&str>| Contract {
        network: network(),
        address: format!("{:#x}", address(1)),
        name: "Router".into(),
        labels: Vec::new(),
        abi: abi.map(str::to_owned),
    };
    let source = Verified {
        source: FactSource::Sourcify,
        host: "sourcify.dev".into(),
        name: Some("Other".into()),
        abi: Some("[1]".into()),
    };
    ledger.operators(&place(1), TimeMs(1), Some(&contract(None)));
    ledger.verified(&place(1), TimeMs(1), source.clone());
    let facts = ledger.get(&place(1)).expect("known").clone();
    assert_eq!((facts.name.as_deref(), facts.abi.as_deref()), (Some("Router"), Some("[1]")));
    assert_eq!(facts.source_host.as_deref(), Some("sourcify.dev"));
    ledger.operators(&place(1), TimeMs(1), Some(&contract(Some("[]"))));
    ledger.verified(&place(1), TimeMs(1), source);
    let facts = ledger.get(&place(1)).expect("known").clone();
    assert_eq!((facts.abi.as_deref(), facts.abi_source), (Some("[]"), Some(FactSource::Operator)));
    assert_eq!(facts.source_host, None);
    assert_eq!(ledger.said_by_operator().into_iter().collect::<Vec<_>>(), [place(1)]);
    ledger.take_changes();
    ledger.operators(&place(1), TimeMs(1), Some(&contract(Some("[]"))));
    assert!(!ledger.has_changed());
    ledger.operators(&place(1), TimeMs(1), None);
    assert!(ledger.take_changes()[0].is_nothing());
    ledger.operators(&place(1), TimeMs(1), None);
    assert!(ledger.take_changes().is_empty() && ledger.size() == (0, 0));
}

#[test]
fn what_is_beyond_the_limits_is_refused_and_counted() {
    let mut ledger = Ledger::default();
    let large = |n: u8| Verified {
        source: FactSource::Etherscan,
        host: String::new(),
        name: None,
        abi: Some(" ".repeat(limits::ABI_BYTES / 2 + usize::from(n))),
    };
    ledger.verified(&place(1), TimeMs(1), large(1));
    ledger.verified(&place(2), TimeMs(1), large(2));
    assert_eq!((ledger.size().0, ledger.refused), (1, 1));
}

fn cut(ledger: &mut Ledger, contract: u8, height: u64, selector: u32) {
    let change = Change {
        contract: address(contract),
        selector: Some(FixedBytes(selector.to_be_bytes())),
        address: Some(address(9)),
        proxy: Some(ProxyKind::Eip2535),
    };
    ledger.change(&network(), &At { height, hash: &hash(height), now: TimeMs(1) }, &change);
}

fn held(ledger: &Ledger, contract: u8) -> usize {
    ledger.get(&place(contract)).map_or(0, |facts| facts.implementations.len())
}

#[test]
fn a_contract_that_only_its_logs_speak_of_has_little_room() {
    let mut ledger = Ledger::default();
    let most = limits::UNCONFIRMED as u32;
    (0..most).for_each(|n| cut(&mut ledger, 1, 10, n));
    assert_eq!((held(&ledger, 1), ledger.refused), (limits::UNCONFIRMED, 0));
    ledger.take_changes();
    (0..7).for_each(|n| cut(&mut ledger, 1, 11, most + n));
    assert_eq!((held(&ledger, 1), ledger.refused), (limits::UNCONFIRMED, 7));
    assert!(!ledger.has_changed(), "nothing is written of what is refused");
    assert!(ledger.is_to_be_confirmed(&place(1)));
    // A node says what its logs said: now there is room.
    let entry = |n: u32| Implementation {
        from_height: 12,
        selector: Some(FixedBytes(n.to_be_bytes())),
        address: Some(address(9)),
        found_by: FoundBy::Call,
        block_hash: None,
    };
    let behind = Behind { proxy: Some(ProxyKind::Eip2535), implementations: vec![entry(0)] };
    ledger.behind(&place(1), &At { height: 12, hash: &hash(12), now: TimeMs(1) }, behind);
    assert!(!ledger.is_to_be_confirmed(&place(1)));
    cut(&mut ledger, 1, 13, most);
    assert_eq!((held(&ledger, 1), ledger.refused), (limits::UNCONFIRMED + 1, 7));
    let behind = Behind { proxy: None, implementations: (0..most + 7).map(entry).collect() };
    ledger.behind(&place(1), &At { height: 12, hash: &hash(12), now: TimeMs(1) }, behind);
    assert_eq!((held(&ledger, 1), ledger.refused), (limits::UNCONFIRMED + 8, 7), "the node told of the refused ones");
}

#[test]
fn entries_have_a_limit_in_all() {
    let mut ledger = Ledger { entries_elsewhere: limits::ENTRIES - 3, ..Ledger::default() };
    (0..3).for_each(|n| cut(&mut ledger, 1, 10, n));
    upgraded(&mut ledger, 2, 10, 5);
    cut(&mut ledger, 3, 10, 1);
    asked(&mut ledger, 4, 10, 5);
    assert_eq!((ledger.entries(), ledger.refused), (3, 3));
    assert_eq!(ledger.get(&place(3)), None, "nothing is left of what was refused");
    let named = Contract {
        network: network(),
        address: format!("{:#x}", address(2)),
        name: "Vault".into(),
        labels: Vec::new(),
        abi: None,
    };
    ledger.operators(&place(2), TimeMs(1), Some(&named));
    upgraded(&mut ledger, 2, 11, 6);
    assert_eq!((ledger.entries(), ledger.refused), (4, 3), "the operator's have room");
    ledger.revert(&network(), 10, TimeMs(2));
    assert_eq!(ledger.entries(), 0);
    cut(&mut ledger, 3, 10, 1);
    assert_eq!((ledger.entries(), ledger.refused), (1, 3), "there is room again");
}

#[test]
fn what_is_settled_rests_on_nothing_and_is_still_taken_back() {
    let mut ledger = Ledger::default();
    upgraded(&mut ledger, 1, 100, 6);
    upgraded(&mut ledger, 1, 101, 7);
    ledger.came(&network(), 100 + REORG_LIMIT_BLOCKS);
    let at = |ledger: &Ledger| ledger.rests[&network()].at.keys().copied().collect::<Vec<_>>();
    assert_eq!(at(&ledger), [100, 101]);
    ledger.came(&network(), 102 + REORG_LIMIT_BLOCKS);
    ledger.came(&network(), 50);
    assert!(at(&ledger).is_empty());
    upgraded(&mut ledger, 1, 500, 8);
    assert_eq!(at(&ledger), [500], "what was there before rests no more");
    assert_eq!(ledger.revert(&network(), 101, TimeMs(2)).len(), 1, "deeper than by rule");
    assert_eq!(entries(&ledger, 1), [(100, 6)]);
}
