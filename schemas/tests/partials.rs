//! Partials merge in every order and grouping to the same one, and say what the blocks said.

mod support;

use proptest::{collection::vec, prelude::*, sample::Index};
use schemas::{
    TimeMs,
    limits::windows::FEE_TOKENS,
    records::{BitcoinHeader, Mark, Partial, TokenFees, Window},
};
use support::Gen;

fn merged<'p>(parts: impl IntoIterator<Item = &'p Partial>) -> Partial {
    let mut whole = Partial::default();
    parts.into_iter().for_each(|part| whole.merge(part));
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_order_and_the_grouping_do_not_matter(seeds in vec(any::<u64>(), 1..12).prop_flat_map(|s| (Just(s.clone()), Just(s).prop_shuffle())), cut in any::<Index>()) {
        let of = |seeds: &[u64]| seeds.iter().map(|seed| Gen(*seed).partial()).collect::<Vec<_>>();
        let (one, other) = (of(&seeds.0), of(&seeds.1));
        let whole = merged(&one);
        prop_assert_eq!(&whole, &merged(&other));
        let (front, back) = other.split_at(cut.index(other.len()));
        let mut grouped = merged(back);
        grouped.merge(&merged(front));
        prop_assert_eq!(&whole, &grouped);
        let mut alone = one[0].clone();
        alone.merge(&Partial::default());
        prop_assert_eq!(&alone, &one[0]);
        let known = |known: fn(&Partial) -> bool| one.iter().all(known);
        prop_assert_eq!(whole.bins.is_some(), known(|p| p.bins.is_some()));
        prop_assert_eq!(whole.senders.is_some(), known(|p| p.senders.is_some()));
    }
}

#[test]
fn a_block_says_what_its_summary_says() {
    let block = support::find(0, Gen::enriched_block_4, |b| {
        b.summary.as_ref().is_some_and(|s| s.contracts.iter().any(|c| c.watched_from.is_some()) && s.bins.is_some())
            && b.evm.as_ref().is_some_and(|h| h.base_fee_per_gas.is_some())
    });
    let (summary, header) = (block.summary.clone().unwrap(), block.evm.clone().unwrap());
    let whole = Partial::of_block(&block.envelope, Some(&header), &summary);
    assert_eq!((whole.blocks, whole.transactions), (1, u64::from(summary.transactions)));
    assert_eq!(whole.contracts_left_out, u64::from(summary.contracts_left_out));
    assert_eq!((whole.base_fee_count, whole.base_fee_avg()), (1, header.base_fee_per_gas));
    assert_eq!((&whole.bins, &whole.senders, &whole.fees), (&summary.bins, &summary.senders, &summary.fees));
    for sum in &summary.contracts {
        let partial = Partial::of_contract(&block.envelope, sum);
        assert_eq!(partial.is_some(), sum.watched_from.is_some(), "a record of before counted too little");
        assert!(partial.is_none_or(|p| p.transactions == u64::from(sum.transactions) && p.fee_total == sum.fee_total));
    }
}

#[test]
fn a_bitcoin_block_has_room_for_a_million_virtual_bytes() {
    let mut header = support::find(0, Gen::bitcoin_header, |header| header.weight.is_some());
    let of = |gas_used, header: &BitcoinHeader| {
        Partial { blocks: 1, gas_used, ..Partial::default() }.with_room(Some(header))
    };
    assert_eq!(of(250_000, &header).fullness(), Some(0.25));
    // Virtual bytes are rounded up.
    assert_eq!(of(1_000_400, &header).fullness(), Some(1.0));
    assert_eq!(merged([&of(500_000, &header), &of(1_000_000, &header)]).fullness(), Some(0.75));
    header.weight = None;
    assert_eq!(of(250_000, &header).fullness(), None);
}

#[test]
fn too_many_tokens_are_told_as_unknown_in_every_order() {
    let one = |from: u64| {
        let fees = (from..from + 40).map(|n| TokenFees {
            token: alloy_primitives::Address::left_padding_from(&n.to_be_bytes()),
            count: 1,
            ..TokenFees::default()
        });
        Partial { fees: Some(fees.collect()), ..Partial::default() }
    };
    let (a, b, c) = (one(0), one(20), one(60));
    assert_eq!(merged([&a, &b]).fees.map(|fees| fees.len()), Some(60));
    const { assert!(FEE_TOKENS < 100) };
    assert_eq!(merged([&a, &b, &c]).fees, None);
    assert_eq!(merged([&c, &a, &b]), merged([&a, &b, &c]));
}

#[test]
fn intervals_and_starts() {
    let mark = |height, ms| Some(Mark { height, time: TimeMs(ms) });
    let between = |first, last| Partial { first, last, ..Partial::default() }.block_interval_ms();
    assert_eq!(between(mark(10, 1_000), mark(14, 9_000)), Some(2_000.0));
    assert_eq!((between(mark(10, 0), mark(10, 0)), between(None, None)), (None, None));
    assert_eq!(between(mark(10, 5_000), mark(12, 4_000)), None, "times that fall say nothing");
    assert_eq!(Window::start_of(TimeMs(119_999), 60), TimeMs(60_000));
    assert_eq!(Window::start_of(TimeMs(-1), 60), TimeMs(-60_000));
}
