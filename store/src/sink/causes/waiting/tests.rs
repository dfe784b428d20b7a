use proptest::prelude::*;
use schemas::{TimeMs, topics};

use super::*;

fn at(partition: u32) -> TopicPartition {
    TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition }
}

fn cause(network: &str, sequence: u64) -> EnrichedCause {
    EnrichedCause {
        network: network.parse().expect("a slug"),
        sequence,
        height: sequence,
        block_hash: "ab".repeat(32).parse().expect("a hash"),
        block_time: TimeMs(0),
        transaction_index: 0,
        transaction_hash: Default::default(),
        revision: 1,
        cause: "opaque".into(),
        reason: "It gave no reason.".into(),
        rule: None,
        found_by: Default::default(),
        approximate: false,
        from_address: None,
        contract: None,
        method: None,
        entry: None,
        frame_address: None,
        frame_depth: None,
        error: None,
        error_selector: None,
        error_signature: None,
        error_arguments: None,
        output: Default::default(),
        calls: None,
        group: None,
        found_at: TimeMs(0),
    }
}

fn begun() -> Waiting {
    let mut waiting = Waiting::default();
    waiting.assigned(at(1), None);
    assert_eq!(waiting.unplaced(), [(at(1), None)]);
    waiting.place(at(1), 0);
    waiting.pauses();
    waiting
}

fn sequences(held: &[Held]) -> Vec<u64> {
    held.iter().map(|held| held.cause.sequence).collect()
}

#[test]
fn positions_stay_before_what_waits() {
    let (mut waiting, now) = (begun(), Instant::now());
    let (a, b): (Network, Network) = ("a".parse().expect("a slug"), "b".parse().expect("a slug"));
    assert_eq!(waiting.moved(), []);
    for (offset, cause) in [cause("a", 5), cause("b", 1), cause("a", 6)].into_iter().enumerate() {
        waiting.read(at(1), 10 + offset as u64, Some(cause));
    }
    waiting.read(at(1), 13, None);
    waiting.stored(&a, 5, now);
    waiting.stored(&b, 0, now);
    let ready = waiting.ready();
    assert_eq!(sequences(&ready), [5]);
    assert_eq!(waiting.moved(), [(at(1), 10)], "what is being folded is not settled");
    waiting.settle(ready.iter().map(|held| held.place));
    assert_eq!(waiting.moved(), [(at(1), 11)]);
    waiting.stored(&a, 6, now);
    let ready = waiting.ready();
    waiting.settle(ready.iter().map(|held| held.place));
    assert_eq!(waiting.moved(), []);
    waiting.stored(&b, 4, now);
    let ready = waiting.ready();
    assert_eq!(sequences(&ready), [1]);
    // It could not be folded, and is tried again.
    waiting.give_back(ready);
    let ready = waiting.ready();
    waiting.settle(ready.iter().map(|held| held.place));
    assert_eq!((waiting.moved(), waiting.len()), (vec![(at(1), 14)], 0));
}

#[test]
fn what_went_to_others_says_nothing() {
    let (mut waiting, now) = (begun(), Instant::now());
    waiting.read(at(1), 3, Some(cause("a", 1)));
    waiting.stored(&"a".parse().expect("a slug"), 1, now);
    let ready = waiting.ready();
    waiting.revoked(&[at(1)]);
    waiting.assigned(at(1), Some(2));
    waiting.place(at(1), 2);
    waiting.read(at(1), 3, Some(cause("a", 1)));
    waiting.settle(ready.iter().map(|held| held.place));
    assert_eq!(waiting.moved(), [(at(1), 3)], "its cause is held anew");
    waiting.give_back(ready);
    assert_eq!(waiting.len(), 1);
}

#[test]
fn a_network_whose_rows_do_not_come_is_passed_over_and_read_again() {
    let (mut waiting, start) = (begun(), Instant::now());
    let (a, b): (Network, Network) = ("a".parse().expect("a slug"), "b".parse().expect("a slug"));
    let patience = Duration::from_secs(60);
    let full = WAITING.0 as u64;
    for offset in 0..full {
        waiting.read(at(1), offset, Some(cause("b", 7 + offset)));
    }
    waiting.stored(&b, 2, start);
    assert_eq!(waiting.make_room(start + Duration::from_secs(59), patience), []);
    assert_eq!(waiting.pauses(), (vec![at(1)], vec![]));
    // As long as its rows come, the others wait.
    waiting.stored(&b, 3, start + Duration::from_secs(59));
    assert_eq!(waiting.make_room(start + Duration::from_secs(90), patience), []);
    assert_eq!(waiting.make_room(start + Duration::from_secs(120), patience), std::slice::from_ref(&b));
    assert_eq!((waiting.len(), waiting.pauses()), (0, (vec![], vec![at(1)])));
    waiting.read(at(1), full, Some(cause("b", 9_999)));
    waiting.read(at(1), full + 1, Some(cause("a", 1)));
    assert_eq!(waiting.networks().len(), 2);
    waiting.stored(&a, 1, start);
    let ready = waiting.ready();
    assert_eq!(sequences(&ready), [1]);
    waiting.settle(ready.iter().map(|held| held.place));
    assert_eq!(waiting.moved(), [], "its first one keeps the position");
    waiting.stored(&b, 6, start);
    assert_eq!(waiting.rewind(), []);
    waiting.stored(&b, 7, start);
    assert_eq!(waiting.rewind(), [(at(1), 0)]);
    assert!(waiting.passed().is_empty());
}

#[test]
fn what_waits_in_vain_is_given_up() {
    let mut waiting = begun();
    waiting.read(at(1), 0, Some(cause("a", 1)));
    waiting.read(at(1), 1, Some(EnrichedCause { found_at: TimeMs(9), ..cause("a", 2) }));
    assert_eq!(waiting.give_up(|cause| cause.found_at.0 < 5), 1);
    assert_eq!((waiting.moved(), waiting.len()), (vec![(at(1), 1)], 1));
}

proptest! {
    /// Whatever comes in which order, each cause is settled once its rows are there, and no position passed one that was not.
    #[test]
    fn every_cause_is_settled(
        records in prop::collection::vec((0u8..3, 1u64..40), 1..200),
        steps in prop::collection::vec((0u8..3, 1u64..8, 0usize..20), 1..80),
    ) {
        let names = ["a", "b", "c"];
        let (mut waiting, start) = (begun(), Instant::now());
        let mut stored = [0u64; 3];
        let (mut settled, mut next, mut committed) = (BTreeSet::new(), 0usize, 0u64);
        let ends = (0..3u8).map(|n| (n, 50, 200)).chain((0..6).map(|_| (0, 0, 200)));
        for (which, more, read) in steps.into_iter().chain(ends) {
            stored[which as usize] += more;
            for _ in 0..read {
                let Some((n, sequence)) = records.get(next) else { break };
                waiting.read(at(1), next as u64, Some(cause(names[*n as usize], *sequence)));
                next += 1;
            }
            for (name, sequence) in names.iter().zip(stored) {
                waiting.stored(&name.parse().expect("a slug"), sequence, start);
            }
            let ready = waiting.ready();
            settled.extend(ready.iter().map(|held| held.place.offset));
            waiting.settle(ready.iter().map(|held| held.place));
            for (_, offset) in waiting.rewind() {
                next = offset as usize;
            }
            for (_, position) in waiting.moved() {
                prop_assert!(committed < position);
                prop_assert!((0..position).all(|offset| settled.contains(&offset)), "{position} passes what is not settled");
                committed = position;
            }
        }
        prop_assert_eq!(settled.len(), records.len());
        prop_assert_eq!(committed, records.len() as u64);
    }
}
