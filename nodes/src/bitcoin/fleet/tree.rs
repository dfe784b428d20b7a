//! Headers of a network's newest blocks, whoever showed them, as a tree. Pure.
//!
//! Guarantee: what is in it is linked, below its lowest block nothing is known; each block's work is counted from there, so that of two
//! branches the one with more work is told without anybody's word; a target that the chain does not allow there is not taken in. It is
//! bounded: [`KEEP`] blocks below the best one, and branches that nobody claims go first.

use std::collections::{BTreeSet, HashMap, HashSet};

use alloy_primitives::U256;
use schemas::{BitcoinHash, bitcoin::BitcoinChain};

use crate::bitcoin::header::{Header, MEDIAN_OF, may_follow, median_time, work_of};

/// Blocks below the best one that are kept: more than a reorg may reach back.
pub const KEEP: u64 = 600;
/// Headers that are held at the most.
pub const MOST: usize = 4_096;

/// A block of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its header.
    pub header: Header,
    /// Its height.
    pub height: u64,
    /// Work from the tree's lowest block on, its own included.
    pub work: U256,
}

/// Why a header is not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Its parent is not known.
    Orphan,
    /// It cannot follow its parent: what is wrong.
    Wrong(String),
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    blocks: HashMap<BitcoinHash, Known>,
    lowest: u64,
}

impl Tree {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The lowest height that is known.
    pub fn lowest(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.lowest)
    }

    /// A block.
    pub fn get(&self, hash: &BitcoinHash) -> Option<&Known> {
        self.blocks.get(hash)
    }

    /// Forgets everything and begins with these linked headers, the first at `height`.
    pub fn begin(&mut self, height: u64, headers: &[Header]) {
        self.blocks.clear();
        self.put_lowest(height, headers);
    }

    /// Takes linked headers in as its lowest, the first at `height`.
    fn put_lowest(&mut self, height: u64, headers: &[Header]) {
        self.lowest = height;
        let mut work = U256::ZERO;
        for (height, header) in (height..).zip(headers) {
            work = work.saturating_add(header.work());
            self.blocks.insert(header.hash, Known { header: *header, height, work });
        }
    }

    /// Takes a header in. True when it is news.
    ///
    /// # Errors
    /// Its parent is not known, or does not allow it.
    pub fn add(&mut self, chain: BitcoinChain, height: u64, header: &Header) -> Result<bool, Refused> {
        if let Some(known) = self.blocks.get(&header.hash) {
            return if known.height == height { Ok(false) } else { Err(wrong_height(known, height)) };
        }
        let parent = self.blocks.get(&header.prev).ok_or(Refused::Orphan)?;
        if parent.height + 1 != height {
            return Err(wrong_height(&Known { height: parent.height + 1, ..*parent }, height));
        }
        if !may_follow(chain, height, parent.header.bits, header.bits) {
            let (bits, before) = (header.bits, parent.header.bits);
            return Err(Refused::Wrong(format!(
                "block {height}, {}, claims the target {bits:08x} after {before:08x}, which the chain does not allow there",
                header.hash
            )));
        }
        let work = parent.work.saturating_add(header.work());
        self.blocks.insert(header.hash, Known { header: *header, height, work });
        Ok(true)
    }

    /// Goes on downwards with linked headers, where they lead to the lowest block of the branch that ends with `best`. True when they do.
    pub fn begin_lower(&mut self, best: &BitcoinHash, headers: &[Header]) -> bool {
        let Some(child) = self.ancestor(best, self.lowest).copied() else { return false };
        let Some(first) = self.lowest.checked_sub(headers.len() as u64) else { return false };
        if headers.last().is_none_or(|parent| !child.header.follows(parent)) {
            return false;
        }
        let more = work_of(headers);
        self.blocks.values_mut().for_each(|known| known.work = known.work.saturating_add(more));
        self.put_lowest(first, headers);
        true
    }

    /// The block at a height on the branch that ends with `tip`.
    pub fn ancestor(&self, tip: &BitcoinHash, height: u64) -> Option<&Known> {
        let mut known = self.blocks.get(tip)?;
        while known.height > height {
            known = self.blocks.get(&known.header.prev)?;
        }
        (known.height == height).then_some(known)
    }

    /// Whether a block is `tip` or below it.
    pub fn is_on(&self, hash: &BitcoinHash, tip: &BitcoinHash) -> bool {
        let on = |known: &Known| self.ancestor(tip, known.height).is_some_and(|there| there.header.hash == *hash);
        self.blocks.get(hash).is_some_and(on)
    }

    /// The highest block that two branches have in common.
    pub fn common(&self, a: &BitcoinHash, b: &BitcoinHash) -> Option<&Known> {
        let (a, b) = (self.blocks.get(a)?, self.blocks.get(b)?);
        let height = a.height.min(b.height);
        let (mut a, mut b) = (self.ancestor(&a.header.hash, height)?, self.ancestor(&b.header.hash, height)?);
        while a.header.hash != b.header.hash {
            a = self.blocks.get(&a.header.prev)?;
            b = self.blocks.get(&b.header.prev)?;
        }
        Some(a)
    }

    /// Median time past of a block, seconds (BIP-113); `None` where too few blocks below it are known.
    pub fn median(&self, hash: &BitcoinHash) -> Option<u32> {
        let mut times = Vec::with_capacity(MEDIAN_OF);
        let mut known = self.blocks.get(hash)?;
        loop {
            times.push(known.header.time);
            if times.len() == MEDIAN_OF || known.height == 0 {
                return median_time(times);
            }
            known = self.blocks.get(&known.header.prev)?;
        }
    }

    /// Lets go of what is far below `best`, and where there is still too much, of branches that are none of these tips'.
    pub fn tidy(&mut self, best: &BitcoinHash, tips: &[BitcoinHash]) {
        let Some(top) = self.blocks.get(best).map(|known| known.height) else { return };
        let lowest = top.saturating_sub(KEEP);
        if lowest > self.lowest.saturating_add(KEEP) {
            self.blocks.retain(|_, known| known.height >= lowest);
            self.lowest = lowest;
            self.count_from_lowest(best);
        }
        if self.blocks.len() <= MOST {
            return;
        }
        let mut wanted = HashSet::new();
        for tip in tips.iter().chain([best]) {
            let mut next = self.blocks.get(tip);
            while let Some(known) = next {
                // From here on another branch has been this way.
                if known.height < lowest || !wanted.insert(known.header.hash) {
                    break;
                }
                next = self.blocks.get(&known.header.prev);
            }
        }
        self.blocks.retain(|hash, _| wanted.contains(hash));
        let heights: BTreeSet<u64> = self.blocks.values().map(|known| known.height).collect();
        self.lowest = heights.first().copied().unwrap_or_default();
        self.count_from_lowest(best);
    }

    /// Takes the work below the lowest block of the branch that ends with `best` off everybody's.
    fn count_from_lowest(&mut self, best: &BitcoinHash) {
        let Some(known) = self.ancestor(best, self.lowest) else { return };
        let below = known.work.saturating_sub(known.header.work());
        self.blocks.values_mut().for_each(|known| known.work = known.work.saturating_sub(below));
    }
}

fn wrong_height(known: &Known, said: u64) -> Refused {
    Refused::Wrong(format!("it says that a block is at height {said} which is at height {}", known.height))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAIN: BitcoinChain = BitcoinChain::Regtest;

    /// A block above another one, of no work of its own but what its target says.
    pub fn above(parent: &Header, nonce: u32) -> Header {
        let child = Header { prev: parent.hash, nonce, time: parent.time + 600, ..*parent };
        Header::of(&child.bytes())
    }

    /// The first block of a chain.
    pub fn first() -> Header {
        Header::of(
            &Header {
                hash: BitcoinHash::default(),
                prev: BitcoinHash([7; 32]),
                merkle_root: BitcoinHash::default(),
                time: 1_000_000,
                bits: 0x207f_ffff,
                nonce: 0,
                version: 1,
            }
            .bytes(),
        )
    }

    /// So many blocks above another one.
    pub fn run(parent: &Header, count: u32, nonce: u32) -> Vec<Header> {
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push(above(headers.last().unwrap_or(parent), nonce));
        }
        headers
    }

    fn grown(tree: &mut Tree, from: u64, headers: &[Header]) {
        for (height, header) in (from..).zip(headers) {
            assert_eq!(tree.add(CHAIN, height, header), Ok(true));
        }
    }

    #[test]
    fn branches_are_weighed_by_their_work_and_meet_where_they_fork() {
        let (mut tree, root) = (Tree::default(), first());
        tree.begin(100, &[root]);
        let (a, b) = (run(&root, 5, 1), run(&root, 3, 2));
        grown(&mut tree, 101, &a);
        let fork = [&a[..2], &run(&a[1], 4, 3)[..]].concat();
        grown(&mut tree, 101, &b);
        grown(&mut tree, 103, &fork[2..]);
        let work = |header: &Header| tree.get(&header.hash).expect("known").work;
        assert!(work(&fork[5]) > work(&a[4]) && work(&a[4]) > work(&b[2]));
        assert_eq!(tree.common(&a[4].hash, &fork[5].hash).map(|k| (k.height, k.header)), Some((102, a[1])));
        assert_eq!(tree.common(&b[2].hash, &fork[5].hash).map(|k| k.header), Some(root));
        assert!(tree.is_on(&a[1].hash, &fork[5].hash) && !tree.is_on(&a[2].hash, &fork[5].hash));
        assert!(tree.is_on(&root.hash, &root.hash) && !tree.is_on(&a[0].hash, &root.hash));
        assert_eq!(tree.ancestor(&b[2].hash, 102).map(|k| k.header), Some(b[1]));
        assert_eq!(tree.ancestor(&b[2].hash, 99), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (mut tree, root) = (Tree::default(), first());
        assert_eq!(tree.add(CHAIN, 1, &root), Err(Refused::Orphan));
        tree.begin(100, &[root]);
        let next = above(&root, 1);
        assert_eq!(tree.add(CHAIN, 102, &above(&next, 1)), Err(Refused::Orphan));
        assert!(matches!(tree.add(CHAIN, 102, &next), Err(Refused::Wrong(_))));
        assert_eq!((tree.add(CHAIN, 101, &next), tree.add(CHAIN, 101, &next)), (Ok(true), Ok(false)));
        assert!(matches!(tree.add(CHAIN, 99, &root), Err(Refused::Wrong(_))));
        // On the main chain nobody makes a block easier than its parent.
        assert!(matches!(
            tree.add(BitcoinChain::Main, 101, &Header::of(&Header { bits: 0x1d00_ffff, ..above(&root, 9) }.bytes())),
            Err(Refused::Wrong(_))
        ));
    }

    #[test]
    fn the_median_takes_eleven_or_all_from_the_chains_begin() {
        let (mut tree, root) = (Tree::default(), first());
        let above = run(&root, 12, 1);
        tree.begin(0, &[&[root][..], &above[..]].concat());
        assert_eq!(tree.median(&root.hash), Some(1_000_000));
        assert_eq!(tree.median(&above[0].hash), Some(1_000_600), "the upper one of two");
        assert_eq!(tree.median(&above[11].hash), Some(1_000_000 + 600 * 7));
        tree.begin(50, &[root, above[0]]);
        assert_eq!(tree.median(&above[0].hash), None);
    }

    #[test]
    fn it_goes_on_downwards_where_that_leads_to_it() {
        let root = first();
        let main = run(&root, 10, 1);
        let (mut tree, mut whole) = (Tree::default(), Tree::default());
        whole.begin(101, &main);
        tree.begin(106, &main[5..]);
        let tip = main[9].hash;
        assert!(!tree.begin_lower(&tip, &[]) && !tree.begin_lower(&tip, &main[..4]), "they do not lead to it");
        assert!(tree.begin_lower(&tip, &main[..5]));
        assert_eq!((tree.lowest(), &tree.blocks), (Some(101), &whole.blocks));
    }

    #[test]
    fn work_is_counted_from_the_lowest_block_however_long_it_goes_on() {
        let (mut tree, root) = (Tree::default(), first());
        tree.begin(0, &[root]);
        let main = run(&root, 3_000, 1);
        for (height, header) in (1..).zip(&main) {
            assert_eq!(tree.add(CHAIN, height, header), Ok(true));
            tree.tidy(&header.hash, &[]);
        }
        let (lowest, tip) = (tree.lowest().expect("something"), main.last().expect("a block"));
        let blocks = 3_000 - lowest + 1;
        assert!(lowest > 1_000);
        let known = tree.get(&tip.hash).expect("known");
        assert_eq!(known.work, root.work() * U256::from(blocks));
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_keeps_what_is_claimed(forks in prop::collection::vec((0usize..40, 1u32..200), 1..40)) {
            let (mut tree, root) = (Tree::default(), first());
            tree.begin(0, &[root]);
            let mut main = vec![root];
            for (nonce, (below, count)) in (1u32..).zip(forks) {
                let at = main.len() - 1 - below.min(main.len() - 1);
                let fork = run(&main[at], count, nonce);
                grown(&mut tree, at as u64 + 1, &fork);
                if at + fork.len() >= main.len() {
                    main.truncate(at + 1);
                    main.extend(fork);
                }
                let best = main.last().expect("a block").hash;
                tree.tidy(&best, &[]);
                prop_assert!(tree.blocks.len() <= MOST + 1);
                let top = main.len() as u64 - 1;
                prop_assert!(tree.ancestor(&best, top.saturating_sub(KEEP)).is_some());
                prop_assert!(tree.blocks.values().all(|known| known.height >= tree.lowest));
            }
        }
    }
}
