//! How large the blocks of a chain are, and so how many of them one question is about. No clock, no I/O.
//!
//! Guarantee: an answer to a question for several is aimed at [`NODE_BATCH_BYTES`](limits::NODE_BATCH_BYTES), so that large blocks come by
//! themselves.

use std::sync::atomic::{AtomicU64, Ordering};

use schemas::limits;

/// What a block takes, with all that belongs to it: bytes of answers. The largest counts most, and fades by a sixteenth a block.
#[derive(Debug, Default)]
pub struct BlockBytes(AtomicU64);

impl BlockBytes {
    /// So many blocks took so many bytes.
    pub fn saw(&self, bytes: u64, blocks: usize) {
        let Some(each) = bytes.checked_div(blocks as u64) else { return };
        let faded = |known: u64| (0..blocks).fold(known, |known, _| known - known / 16);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(faded(known).max(each)));
    }

    /// How many are asked for together; 1 before anything is known.
    pub fn together(&self) -> usize {
        let aim = limits::NODE_BATCH_BYTES as u64;
        let most = aim.checked_div(self.0.load(Ordering::Relaxed)).unwrap_or(1);
        usize::try_from(most).unwrap_or(usize::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_blocks_come_by_themselves_and_what_was_large_fades() {
        let size = BlockBytes::default();
        assert_eq!(size.together(), 1, "nothing is known");
        size.saw(100 << 10, 1);
        assert_eq!(size.together(), 10);
        size.saw(3 << 20, 1);
        assert_eq!(size.together(), 1);
        let mut blocks = 0;
        while size.together() < 16 {
            size.saw(4 * (10 << 10), 4);
            blocks += 4;
        }
        assert!((56..=72).contains(&blocks), "{blocks}");
        size.saw(0, 0);
    }
}
