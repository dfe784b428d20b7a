//! The chain is a function of its settings, links, and is whole.

use super::super::block::{bits_of, root_of};
use super::super::dataset::Dataset;
use super::super::wire::{Transaction, meets, merkle_root, sha256d, transactions};
use super::*;
use crate::node::origin::{Identity, Origin};
use std::collections::HashSet;
use std::time::Duration;

fn chain(seed: u64, history: u64, schedule: Option<Schedule>) -> Chain {
    let identity = Identity { seed, chain_id: 0, start: 1, history, interval: Duration::from_secs(1), clocked: false };
    let timeline = Timeline::open(Origin::At(1_700_000_000_000), identity).expect("in memory");
    let data = Arc::new(Dataset::embedded("small").expect("built in"));
    let plan = Plan { blocks: None, schedule, cache: 1 << 20, kept: None };
    Chain::new(Arc::new(Maker { data, seed }), timeline, plan).expect("a chain")
}

fn block(chain: &Chain, height: u64) -> Arc<Block> {
    let (header, hash) = chain.at(height).expect("a header");
    let (place, _) = chain.place(&hash).expect("a place");
    chain.maker.again(place, &header).expect("a block")
}

#[test]
fn every_block_is_whole_and_no_transaction_comes_twice() {
    let mut chain = chain(7, 40, Some(Schedule { depth: 3, every: 10 }));
    chain.advance(20).expect("advanced");
    chain.fork(5, 2).expect("forked");
    let mut ids = HashSet::new();
    for height in 1..=chain.head() {
        let (header, hash) = chain.at(height).expect("a header");
        assert_eq!(hash, sha256d(&[&header]));
        assert!(meets(&hash, bits_of(&header)), "{height}");
        assert_eq!(parent_of(&header), chain.at(height - 1).expect("a header").1, "{height}");
        let below = (height.saturating_sub(11)..height).filter_map(|h| chain.at(h)).map(|(header, _)| time_of(&header));
        assert!(time_of(&header) > median(below), "{height}");
        let block = block(&chain, height);
        assert_eq!(block.hash, hash);
        let read = transactions(&block.raw[80..]).expect("transactions");
        let of_it: Vec<Hash> = read.iter().map(Transaction::txid).collect();
        assert_eq!(merkle_root(of_it.clone()), root_of(&header), "{height}");
        assert!(of_it.into_iter().all(|txid| ids.insert(txid)), "{height}: a transaction comes again");
        // What is spent covers what is given.
        for (one, spent) in read.iter().zip(super::super::told::spent(&block.undo)).skip(1) {
            assert_eq!(one.inputs.len(), spent.len());
            let gives: u64 = one.outputs.iter().map(|output| output.value).sum();
            assert!(spent.iter().map(|(value, _)| value).sum::<u64>() >= gives);
        }
    }
}

#[test]
fn the_same_settings_are_the_same_chain() {
    let tips = |seed| {
        let mut chain = chain(seed, 12, Some(Schedule { depth: 2, every: 5 }));
        let mut tips = vec![chain.tip().1];
        for _ in 0..12 {
            chain.step().expect("a step");
            tips.push(chain.tip().1);
        }
        tips
    };
    assert_eq!(tips(1), tips(1));
    assert_ne!(tips(1), tips(2));
    // What came step by step is there at once after a restart.
    let whole = chain(1, 24, Some(Schedule { depth: 2, every: 5 }));
    let mut grown = chain(1, 12, Some(Schedule { depth: 2, every: 5 }));
    while grown.head() < whole.head() {
        grown.step().expect("a step");
    }
    let version = |chain: &Chain, height| {
        let (_, hash) = chain.at(height).expect("a header");
        chain.place(&hash).expect("a place").0.version
    };
    let versions = |chain: &Chain| (1..=chain.head()).map(|height| version(chain, height)).collect::<Vec<_>>();
    assert_eq!(versions(&whole), versions(&grown));
    assert!(versions(&whole).iter().any(|version| *version > 0), "no fork");
}

#[test]
fn kept_headers_are_gone_on_behind_and_others_are_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("origin.headers");
    let open = |seed| {
        let identity = Identity {
            seed,
            chain_id: 0,
            start: 1,
            history: WINDOW + 40,
            interval: Duration::from_secs(1),
            clocked: false,
        };
        let timeline = Timeline::open(Origin::At(1_700_000_000_000), identity).expect("in memory");
        let raw = include_bytes!("../../../../data/bitcoin/signet/0031500-00000127..de8bdc43.raw");
        let small = folder.path().join("blocks");
        std::fs::create_dir_all(&small).expect("a folder");
        std::fs::write(small.join("a.raw"), raw).expect("written");
        let data = Arc::new(Dataset::from_path(&small).expect("a block"));
        let kept = Some(Kept::open(path.clone()).expect("opened"));
        let plan = Plan { blocks: None, schedule: None, cache: 1 << 20, kept };
        let chain = Chain::new(Arc::new(Maker { data, seed }), timeline, plan).expect("a chain");
        (chain.tip().1, std::fs::metadata(&path).expect("the file").len())
    };
    let first = open(1);
    // All that no fork reaches: the head is at WINDOW + 41.
    assert_eq!(first.1, 41 * 80);
    assert_eq!(open(1), first);
    assert_ne!(open(2).0, first.0);
}
