//! Who did not have a block of which one endpoint had told: that is to be behind only once enough operators show the block.
//!
//! Guarantee: nobody is called behind for not having what a liar made up; whoever lacks a block that is agreed on is, once. Bounded.
//! Pure.

use std::{collections::VecDeque, sync::Arc};

use alloy_primitives::B256;

/// Blocks that are remembered.
const BLOCKS: usize = 64;

#[derive(Debug)]
struct Lacked {
    height: u64,
    hash: B256,
    who: Vec<Arc<str>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lacking(VecDeque<Lacked>);

impl Lacking {
    /// These endpoints did not have a block.
    pub fn add(&mut self, height: u64, hash: B256, who: Vec<Arc<str>>) {
        if self.0.len() >= BLOCKS {
            self.0.pop_front();
        }
        self.0.push_back(Lacked { height, hash, who });
    }

    /// A block is agreed on: those who did not have it. Others of its height are forgotten.
    pub fn agreed(&mut self, height: u64, hash: B256) -> Vec<Arc<str>> {
        let (of_height, rest) =
            std::mem::take(&mut self.0).into_iter().partition::<VecDeque<_>, _>(|l| l.height == height);
        self.0 = rest;
        let mut who: Vec<Arc<str>> = of_height.into_iter().filter(|l| l.hash == hash).flat_map(|l| l.who).collect();
        who.sort_unstable();
        who.dedup();
        who
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacked_what_is_agreed_on_is_told_once_and_nobody_else() {
        let (right, forged) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let mut lacking = Lacking::default();
        lacking.add(7, forged, vec!["steady".into()]);
        lacking.add(7, right, vec!["late".into(), "later".into()]);
        lacking.add(7, right, vec!["late".into()]);
        lacking.add(8, forged, vec!["steady".into()]);
        assert_eq!(lacking.agreed(7, right), ["late".into(), "later".into()]);
        assert!(lacking.agreed(7, right).is_empty() && lacking.agreed(7, forged).is_empty());
        for height in 0..1_000 {
            lacking.add(height, right, vec!["late".into()]);
        }
        assert!(lacking.0.len() <= BLOCKS && lacking.agreed(8, forged).is_empty());
    }
}
