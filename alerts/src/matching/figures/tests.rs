use alloy_primitives::B256;
use schemas::{
    Envelope, Op,
    records::{BlockSummary, EnrichedBlock},
};

use super::*;

fn change(op: Op, sequence: u64, height: u64, time: i64) -> Change {
    let envelope = Envelope {
        network: "demo".parse().expect("a slug"),
        sequence,
        op,
        origin: Origin::Live,
        height,
        block_hash: B256::repeat_byte(1).into(),
        parent_hash: B256::repeat_byte(2).into(),
        block_time: TimeMs(time),
        observed_at: TimeMs(time),
        safe_height: None,
        finalized_height: None,
        tx_count: 0,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    let summary = (op == Op::Apply).then(BlockSummary::default);
    let block = EnrichedBlock { envelope, evm: None, bitcoin: None, summary, facts_position: None };
    Change::of(&block).expect("a block")
}

#[test]
fn what_the_store_told_is_dropped_once_a_block_of_that_time_comes_or_goes() {
    let network: Network = "demo".parse().expect("a slug");
    let contract = Address::repeat_byte(7);
    let figures = || {
        let mut figures = Figures::new(60_000, BTreeSet::new());
        figures.take(&network, 1, change(Op::Apply, 1, 1, 90_000));
        figures.take(&network, 2, change(Op::Apply, 2, 2, 100_000));
        figures.asked.0 = 95_000;
        let asked = (35_000, 95_000, figures.asked.1);
        (figures, asked)
    };
    let (mut first, asked) = figures();
    first.take(&network, 3, change(Op::Revert, 3, 2, 100_000));
    assert!(first.take_past(contract, asked, Vec::new()), "it lies behind");
    // The new branch has a block before the time up to which it was asked.
    first.take(&network, 4, change(Op::Apply, 4, 2, 94_000));
    assert!(first.pasts.is_empty() && !first.take_past(contract, asked, Vec::new()));
    let (mut second, _) = figures();
    assert!(!second.take_past(contract, asked, Vec::new()), "who asked is no more");
}
