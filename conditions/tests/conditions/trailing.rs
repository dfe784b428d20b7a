//! Trailing windows: what they hold, when they are whole, and what reorgs do. Random histories are in `aggregate/tests/histories.rs`.

use alloy_primitives::Address;
use conditions::{
    Applied, Change, Part, Parts, Reverted, Trailing,
    trailing::{LetGo, plain},
};
use schemas::{BlockHash, Origin, TimeMs, records::Partial};

const CONTRACT: Address = Address::repeat_byte(7);

fn hash(n: u64, branch: u8) -> BlockHash {
    format!("0x{branch:02x}{n:062x}").parse().expect("a hash")
}

fn of(transactions: u64) -> Partial {
    Partial { transactions, ..Partial::default() }
}

/// A block of every ten seconds, with as many transactions as its height says, one of them at the contract.
fn block(height: u64, branch: u8, left_out: bool) -> Change {
    let contracts = vec![Part { contract: CONTRACT, watched_from: Some(TimeMs(0)), partial: of(1) }];
    Change::Apply(Box::new(Applied {
        origin: Origin::Live,
        height,
        hash: hash(height, branch),
        parent: hash(height - 1, if height == 7 { 0 } else { branch }),
        time: TimeMs(i64::try_from(height).expect("small") * 10_000),
        median_time: None,
        finalized: None,
        parts: Parts { network: of(height), contracts, left_out },
    }))
}

fn whole(trailing: &Trailing, contract: Option<Address>) -> (i64, u64, bool) {
    let (end, sum, is_complete) = trailing.window(30_000, contract).expect("a block");
    (end.0, sum.transactions, is_complete)
}

#[test]
fn three_blocks_of_half_a_minute() {
    let mut trailing = Trailing::new(60_000);
    assert!(trailing.window(30_000, None).is_none());
    for height in 1..=6 {
        trailing.take(height, block(height, 0, false));
        // (t − 30 s, t]: three blocks; whole once the first that is held lies at or before its beginning.
        let expected: u64 = (height.saturating_sub(2).max(1)..=height).sum();
        assert_eq!(whole(&trailing, None), (i64::try_from(height).unwrap() * 10_000, expected, height > 3));
    }
    assert_eq!(whole(&trailing, Some(CONTRACT)), (60_000, 3, true));
    assert_eq!(whole(&trailing, Some(Address::ZERO)), (60_000, 0, true));
    // A fork takes the tip away, and another branch comes.
    trailing.take(7, Change::Revert(Reverted { height: 6, hash: hash(6, 0), time: TimeMs(60_000) }));
    assert_eq!(whole(&trailing, None), (50_000, 3 + 4 + 5, true));
    // An event that was taken says nothing again; where some are missing it begins anew.
    trailing.take(7, block(6, 0, false));
    assert_eq!(whole(&trailing, None), (50_000, 12, true));
    trailing.take(9, block(7, 1, false));
    assert_eq!(whole(&trailing, None), (70_000, 7, false));
}

#[test]
fn a_contract_that_may_have_been_left_out_is_not_whole() {
    let mut trailing = Trailing::new(60_000);
    for height in 1..=6 {
        trailing.take(height, block(height, 0, height == 5));
    }
    assert_eq!(whole(&trailing, None), (60_000, 15, true));
    assert_eq!(whole(&trailing, Some(CONTRACT)), (60_000, 3, false));
}

/// 4,000 contracts in each block: the hundredth has no room.
#[test]
fn contracts_go_before_blocks() {
    let mut trailing = Trailing::new(3_600_000);
    let contract = |n: u64| Address::left_padding_from(&n.to_be_bytes());
    for height in 1..=150 {
        let Change::Apply(mut made) = block(height, 0, false) else { panic!("a block") };
        let part = |n| Part { contract: contract(n), watched_from: Some(TimeMs(0)), partial: of(1) };
        made.parts.contracts = (1..=4_000).map(part).collect();
        assert!(trailing.take(height, Change::Apply(made)));
        let gone = if height < 100 { 0 } else { 400_000 };
        assert_eq!(trailing.let_go(), LetGo { contracts: gone, blocks: 0 }, "{height}");
    }
    // The network's last 140 blocks are all there; of the contract's those behind the hundredth.
    let of_network = |trailing: &Trailing| trailing.window(1_400_000, None).expect("a block");
    assert_eq!(of_network(&trailing).1.transactions, (11..=150).sum::<u64>());
    assert!(of_network(&trailing).2);
    let window =
        |ms| trailing.window(ms, Some(contract(7))).map(|(_, sum, is_complete)| (sum.transactions, is_complete));
    assert_eq!(window(500_000), Some((50, true)));
    assert_eq!(window(510_000), Some((50, false)));
    // A reorg of more blocks than have contracts is none that loses any.
    for (sequence, height) in (151..).zip((80..=150).rev()) {
        let time = TimeMs(i64::try_from(height).expect("small") * 10_000);
        let gone = Change::Revert(Reverted { height, hash: hash(height, 0), time });
        assert!(trailing.take(sequence, gone), "{height}");
    }
    assert_eq!(whole(&trailing, None), (790_000, 77 + 78 + 79, true));
    assert_eq!(whole(&trailing, Some(contract(7))), (790_000, 0, false));
}

/// Thousands of blocks with reorgs, times that fall, back-fill between them and a gap now and then, against a list of blocks.
#[test]
fn windows_of_long_chains_are_those_of_a_list() {
    let mut rng = fastrand::Rng::new();
    eprintln!("seed {}", rng.get_seed());
    let longest = 900_000;
    let mut trailing = Trailing::new(longest);
    let (mut chain, mut gone, mut sequence) = (Vec::<Applied>::new(), 0i64, 0u64);
    let (mut hashes, mut time, mut highest) = (0u64, 1_000_000i64, 0u64);
    let mut whole = 0;
    for at in 0..6_000 {
        sequence += 1;
        match rng.u32(..400) {
            // A reorg: blocks go, one event each, never further than 256 below the highest that ever was.
            0..3 if chain.len() > 1 => {
                let depth = rng.usize(1..=256);
                let mut events = 0;
                while events < depth && chain.len() > 1 && chain.last().is_some_and(|tip| tip.height + 256 > highest) {
                    let block = chain.pop().expect("a block");
                    let change = Change::Revert(Reverted { height: block.height, hash: block.hash, time: block.time });
                    assert!(trailing.take(sequence, change), "{at}");
                    sequence += 1;
                    events += 1;
                }
                sequence -= 1;
            }
            // Back-fill takes numbers of the same counter, and leaves windows whole.
            3..40 => {
                let Change::Apply(mut filled) = block(1, 9, false) else { panic!("a block") };
                filled.origin = Origin::Backfill;
                assert!(trailing.take(sequence, Change::Apply(filled)), "{at}");
            }
            40 if rng.u8(..4) == 0 && !chain.is_empty() => {
                // Events are missing: what was held is lost, and that is said.
                sequence += 5;
                hashes += 1;
                let parent = chain.last().map_or(hash(0, 0), |tip| tip.hash.clone());
                let block = made(&mut rng, chain.len() as u64 + 1, hashes, parent, time);
                assert!(!trailing.take(sequence, Change::Apply(Box::new(block.clone()))), "{at}");
                (gone, highest) = (block.time.0, block.height);
                chain = vec![block];
            }
            _ => {
                time += rng.i64(-300..1_500);
                hashes += 1;
                let height = chain.last().map_or(1, |tip| tip.height + 1);
                let parent = chain.last().map_or(hash(0, 0), |tip| tip.hash.clone());
                let block = made(&mut rng, height, hashes, parent, time);
                if chain.is_empty() {
                    gone = block.time.0;
                }
                assert!(trailing.take(sequence, Change::Apply(Box::new(block.clone()))), "{at}");
                highest = highest.max(height);
                chain.push(block);
            }
        }
        let Some(tip) = chain.last() else { continue };
        let ms = rng.i64(1..=longest);
        let contract = [None, Some(CONTRACT), Some(Address::repeat_byte(8))][rng.usize(..3)];
        let (end, sum, is_complete) = trailing.window(ms, contract).expect("a block");
        assert_eq!(end, tip.time);
        let (mut expected, mut left_out) = (Partial::default(), false);
        for block in chain.iter().filter(|block| end.0 - ms < block.time.0 && block.time <= end) {
            match contract {
                None => expected.merge(&block.parts.network),
                Some(contract) => {
                    left_out |= block.parts.left_out;
                    let parts = block.parts.contracts.iter().filter(|part| part.contract == contract);
                    parts.for_each(|part| expected.merge(&part.partial));
                }
            }
        }
        if is_complete {
            assert_eq!(sum, plain(&expected), "{at}: {ms} ms of {contract:?}");
            assert!(!left_out, "{at}");
            whole += 1;
        } else {
            assert!(left_out || end.0 - ms < gone, "{at}: {ms} ms of {contract:?}");
        }
    }
    assert!(whole > 1_000, "{whole}");
}

fn made(rng: &mut fastrand::Rng, height: u64, hashes: u64, parent: BlockHash, time: i64) -> Applied {
    let contracts = [CONTRACT, Address::repeat_byte(8)].into_iter().filter(|_| rng.bool()).collect::<Vec<_>>();
    let contracts = contracts.into_iter().map(|contract| Part {
        contract,
        watched_from: Some(TimeMs(0)),
        partial: of(rng.u64(..5)),
    });
    let contracts = contracts.collect();
    Applied {
        origin: Origin::Live,
        height,
        hash: hash(hashes, 3),
        parent,
        time: TimeMs(time),
        median_time: None,
        finalized: None,
        parts: Parts { network: of(rng.u64(..100)), contracts, left_out: rng.u16(..2_000) == 0 },
    }
}
