//! Whether blocks that were fetched for a range are one chain. Pure.
//!
//! Guarantee: a block is taken only when its parent is the block below, where that is known; heights between them have no block then,
//! whatever the nodes said of them (rule 18). Where nothing is known below, a height counts as one without a block on a node's word
//! that there is none, never on its silence.

use nodes::Head;
use schemas::{BlockHash, limits};

/// The lower end of what is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// Hash of the highest block below, where it is known.
    pub below: Option<BlockHash>,
    /// The next height.
    pub next: u64,
    /// Heights that were passed over since, and whether one of them only for a node's silence.
    passed: (u64, bool),
}

/// A block that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Its parent is another than the block below.
    NotLinked {
        /// Its height.
        height: u64,
        /// Its parent, as it says.
        parent: BlockHash,
        /// The block below.
        below: BlockHash,
    },
    /// Nobody has these heights, and nothing shows that there is no block.
    Lacking {
        /// The first.
        from: u64,
        /// The last that was looked for.
        to: u64,
    },
}

impl Ground {
    /// From a height on.
    pub fn new(next: u64, below: Option<BlockHash>) -> Self {
        Self { below, next, passed: (0, false) }
    }

    /// The height to be looked at.
    pub fn height(&self) -> u64 {
        self.next.saturating_add(self.passed.0)
    }

    /// There seems to be no block at [`Ground::height`]; `said`: a node said so.
    ///
    /// # Errors
    /// More of them in a row than there may be.
    pub fn no_block(&mut self, said: bool) -> Result<(), Problem> {
        self.passed = (self.passed.0 + 1, self.passed.1 || !said);
        if self.passed.0 >= limits::HEIGHTS_WITHOUT_BLOCK {
            return Err(Problem::Lacking { from: self.next, to: self.height() - 1 });
        }
        Ok(())
    }

    /// The block at [`Ground::height`].
    ///
    /// # Errors
    /// It does not follow what is below, or what is between is not shown to have no block.
    pub fn block(&mut self, head: &Head) -> Result<(), Problem> {
        match &self.below {
            Some(below) if *below != head.parent && self.passed.0 > 0 => {
                return Err(Problem::Lacking { from: self.next, to: head.height - 1 });
            }
            Some(below) if *below != head.parent => {
                let (parent, below) = (head.parent.clone(), below.clone());
                return Err(Problem::NotLinked { height: head.height, parent, below });
            }
            None if self.passed.1 => return Err(Problem::Lacking { from: self.next, to: head.height - 1 }),
            _ => {}
        }
        *self = Self::new(head.height.saturating_add(1), Some(head.hash.clone()));
        Ok(())
    }

    /// Whether heights up to the one below [`Ground::height`] may be counted as held although no block was seen above them: nodes said
    /// that there is none.
    pub fn is_said(&self) -> bool {
        !self.passed.1
    }

    /// Goes back to before what was passed over.
    pub fn forget(&mut self) {
        self.passed = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use proptest::prelude::*;
    use schemas::TimeMs;

    use super::*;

    fn hash(id: u64) -> BlockHash {
        BlockHash::from(B256::left_padding_from(&id.to_be_bytes()))
    }

    fn head(height: u64, id: u64, parent: u64) -> Head {
        Head { height, hash: hash(id), parent: hash(parent), time: TimeMs(0) }
    }

    #[test]
    fn silence_shows_no_height_without_block_and_hashes_do() {
        let mut ground = Ground::new(5, Some(hash(4)));
        ground.no_block(false).expect("one");
        assert_eq!(ground.height(), 6);
        assert_eq!(
            ground.block(&head(6, 6, 5)),
            Err(Problem::Lacking { from: 5, to: 5 }),
            "its parent is another block"
        );
        ground.block(&head(6, 6, 4)).expect("its parent is the block below");
        assert!(matches!(ground.block(&head(7, 7, 66)), Err(Problem::NotLinked { height: 7, .. })));
        // Nothing known below: a node's word counts, its silence does not.
        let mut ground = Ground::new(5, None);
        ground.no_block(true).expect("one");
        assert!(ground.is_said());
        ground.clone().block(&head(6, 6, 4)).expect("said");
        ground.no_block(false).expect("two");
        assert!(!ground.is_said());
        assert_eq!(ground.block(&head(7, 7, 4)), Err(Problem::Lacking { from: 5, to: 6 }));
        ground.forget();
        assert_eq!(ground.height(), 5);
        let lacking = (0..limits::HEIGHTS_WITHOUT_BLOCK).find_map(|_| ground.no_block(true).err());
        assert_eq!(lacking, Some(Problem::Lacking { from: 5, to: 4 + limits::HEIGHTS_WITHOUT_BLOCK }));
    }

    proptest! {
        /// Whatever holes a chain has and whatever nodes say of them, what is taken is the chain.
        #[test]
        fn what_is_taken_is_one_chain(blocks in prop::collection::vec((any::<bool>(), any::<bool>(), 0u8..8), 1..60)) {
            let mut ground = Ground::new(1, Some(hash(0)));
            let (mut below, mut taken) = (0, Vec::new());
            for (i, (there, said, lie)) in blocks.into_iter().enumerate() {
                let height = i as u64 + 1;
                if ground.height() != height {
                    break;
                }
                if !there && lie > 0 {
                    ground.no_block(said).expect("few");
                    continue;
                }
                // A node without the block below, or of another chain.
                let parent = if lie == 0 { 10_000 + height } else { below };
                if ground.block(&head(height, height, parent)).is_ok() {
                    taken.push((height, parent));
                    below = height;
                } else {
                    prop_assert_eq!(lie, 0);
                    break;
                }
            }
            let mut expected = 0;
            for (height, parent) in taken {
                prop_assert_eq!(parent, expected);
                expected = height;
            }
        }
    }
}
