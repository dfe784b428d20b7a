//! With which headers the tree begins, for the first time or anew.
//!
//! Guarantee: what is known gives way where nobody else is heard, or to headers that have more work, or that are of a chain that it can never
//! have been; headers that cannot be of the network's chain, by their targets, their work or their times, begin nothing.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::U256;
use schemas::bitcoin::BitcoinChain;

use super::{BitcoinFleet, View, client::Client, dispute::Dispute, tree::KEEP};
use crate::{
    bitcoin::header::{Header, may_follow, target, work_of},
    fleet::Member,
};

/// A main chain's blocks come no quicker than this for long, seconds.
const QUICKEST: u64 = 150;
/// By so much two blocks' times say that one is younger, seconds: a block's own may be two hours ahead.
const YOUNGER: u64 = 3 * 3_600;
/// A tip far above what is known must be of blocks that have at least this part of the work that blocks are known to have.
const EASIER: u64 = 4;
/// The easiest target of headers with which the tree may begin on the main chain at the heights of today: some fifty times easier than
/// that of block 800,000.
const FLOOR: (u64, u32) = (800_000, 0x1800_ffff);

/// Why the tree does not begin with headers.
pub(super) enum Unfit {
    /// They cannot be of the chain.
    Lie(String),
    /// A block of theirs is known at another height.
    Elsewhere(Dispute),
    /// They are below what is known, and have no more work than that.
    Behind,
}

/// Why linked headers cannot be of a chain, from their targets alone.
fn too_easy(chain: BitcoinChain, first: u64, run: &[Header]) -> Option<String> {
    let (since, bits) = FLOOR;
    let top = first + run.len().saturating_sub(1) as u64;
    let easy = |header: &Header| target(header.bits) > target(bits);
    if chain == BitcoinChain::Main && top >= since && run.last().is_some_and(easy) {
        return Some(format!("its newest block {top} is far easier than blocks of the chain are since block {since}"));
    }
    let mut pairs = (first + 1..).zip(run.windows(2));
    let wrong = pairs.find_map(|(height, pair)| match pair {
        [parent, child] if !may_follow(chain, height, parent.bits, child.bits) => Some(height),
        _ => None,
    });
    wrong.map(|height| format!("block {height} claims a target that the chain does not allow there"))
}

impl BitcoinFleet {
    /// Whether blocks of the network's chain cost so much that nobody makes one for a lie.
    pub(super) fn costly(&self) -> bool {
        self.config.which.get() == Some(BitcoinChain::Main)
    }

    /// Whether what an endpoint shows is to be weighed: others are heard, or are to be had and blocks are worth it.
    fn weighs(&self, view: &View, member: &Member<Client>, believed: &BTreeSet<Arc<str>>) -> bool {
        view.claims.others(&member.name(), believed) || (self.others() && self.costly())
    }

    /// The tree begins with these linked headers, where it still is as it was, and where they can be of the chain that is known.
    pub(super) fn begin(
        &self,
        member: &Member<Client>,
        chain: BitcoinChain,
        lowest: Option<u64>,
        first: u64,
        run: &[Header],
    ) -> Result<(), Unfit> {
        if let Some(words) = too_easy(chain, first, run) {
            return Err(Unfit::Lie(words));
        }
        let believed = self.believed();
        let mut view = self.view();
        if view.tree.lowest() != lowest {
            return Ok(());
        }
        let elsewhere = (first..).zip(run).find_map(|(theirs, header)| {
            let known = view.tree.get(&header.hash).filter(|known| known.height != theirs)?;
            Some(Dispute { hash: header.hash, ours: known.height, theirs })
        });
        if let Some(dispute) = elsewhere {
            return Err(Unfit::Elsewhere(dispute));
        }
        if let (true, Some(best)) = (self.weighs(&view, member, &believed), &view.best) {
            let lowest = view.tree.lowest().unwrap_or_default();
            let blocks = best.tip.height.saturating_sub(lowest) + 1;
            let (known, shown) = (mean(best.tip.work, blocks), mean(work_of(run), run.len() as u64));
            let top = first + run.len().saturating_sub(1) as u64;
            // What is so much harder was not made for a lie, and what is known may have been.
            let harder = shown > known.saturating_mul(U256::from(EASIER));
            let newest = run.last().map(|header| u64::from(header.time)).unwrap_or_default();
            let passed = newest.saturating_sub(u64::from(best.tip.header.time));
            // One that is younger than all that is known, and far below it, shows that the heights of that are wrong.
            if top < lowest && passed < YOUNGER && !harder {
                return Err(Unfit::Behind);
            }
            // There blocks of hardly any work are usual.
            let uneven = matches!(chain, BitcoinChain::Test | BitcoinChain::Testnet4);
            if !uneven && shown < known / U256::from(EASIER) {
                return Err(Unfit::Lie(format!(
                    "its newest block stands on block {first} and those above it, which have less than a quarter of the work that blocks of \
                     the chain have"
                )));
            }
            if self.costly() && !harder {
                // Blocks that are older than what is known, or too many for the time that passed, stand elsewhere.
                let leap = top.saturating_sub(best.tip.height);
                if passed < leap.saturating_mul(QUICKEST) {
                    return Err(Unfit::Lie(format!(
                        "its newest block, {top}, is {leap} above that of the others, and {passed} s younger"
                    )));
                }
            }
        }
        begin_with(&mut view, member, first, run);
        Ok(())
    }

    /// These linked headers are none of the tree's though they reach below it. They take its place where nobody else is heard, or where they
    /// have more work.
    pub(super) fn part(&self, member: &Member<Client>, first: u64, run: &[Header]) -> Result<(), String> {
        let believed = self.believed();
        let mut view = self.view();
        let Some(lowest) = view.tree.lowest() else { return Ok(()) };
        if let (true, Some(best)) = (self.weighs(&view, member, &believed), &view.best) {
            let above = run.iter().zip(first..).filter(|(_, height)| *height >= lowest).map(|(header, _)| header);
            // Old headers at heights that are not theirs count as much as new ones. On a chain for tests times say nothing.
            let newest = run.last().map(|header| u64::from(header.time)).unwrap_or_default();
            let old = self.config.which.get() != Some(BitcoinChain::Regtest)
                && newest.saturating_add(YOUNGER) < u64::from(best.tip.header.time);
            if old || work_of(above) <= best.tip.work {
                return Err(format!(
                    "its newest block does not stand on the chain that others show: its block {lowest} is none of theirs, and what stands on it \
                     has no more work"
                ));
            }
        }
        let skip = run.len().saturating_sub(usize::try_from(KEEP).unwrap_or(usize::MAX));
        let kept = run.get(skip..).unwrap_or_default();
        begin_with(&mut view, member, first + skip as u64, kept);
        Ok(())
    }
}

/// Everybody else has to show a tip anew.
fn begin_with(view: &mut View, member: &Member<Client>, first: u64, run: &[Header]) {
    view.tree.begin(first, run);
    view.claims.forget_all_but(&member.name());
    view.best = None;
}

/// Work of a block, on average.
fn mean(work: U256, blocks: u64) -> U256 {
    work.checked_div(U256::from(blocks)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tree::tests::{first, run},
        *,
    };

    #[test]
    fn headers_that_are_far_too_easy_begin_nothing() {
        let headers = run(&first(), 3, 1);
        assert_eq!(too_easy(BitcoinChain::Regtest, 5_000_000, &headers), None);
        assert!(too_easy(BitcoinChain::Main, 5_000_000, &headers).is_some());
        assert_eq!(too_easy(BitcoinChain::Main, 1_000, &headers), None, "they were easy then");
        let harder = Header { bits: 0x1d00_ffff, ..headers[2] };
        assert!(too_easy(BitcoinChain::Main, 1_000, &[headers[1], harder]).is_some(), "not within a period");
    }
}
