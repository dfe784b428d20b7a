//! How an endpoint gives receipts, as far as it has shown.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use schemas::limits;

/// Batches between two attempts at a larger one, where a large one was refused.
const BATCHES_BEFORE_LARGER: usize = 256;

/// How an endpoint gives receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// `eth_getBlockReceipts`.
    Block,
    /// `eth_getTransactionReceipt`.
    Each,
}

/// What was found to work.
#[derive(Debug)]
pub struct Remembered {
    way: AtomicU8,
    batch: AtomicUsize,
    batches: AtomicUsize,
}

impl Default for Remembered {
    fn default() -> Self {
        let batch = AtomicUsize::new(limits::NODE_RECEIPTS_PER_BATCH);
        Self { way: AtomicU8::new(Way::Block as u8), batch, batches: AtomicUsize::new(0) }
    }
}

impl Remembered {
    /// The way to begin with.
    pub fn get(&self) -> Way {
        if self.way.load(Ordering::Relaxed) == Way::Block as u8 { Way::Block } else { Way::Each }
    }

    /// From now on this way.
    pub fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::Relaxed);
    }

    /// Calls in the next batch; 1 is single calls. Now and then twice what worked last, since a refusal may have had a reason
    /// that has passed.
    pub fn batch(&self) -> usize {
        let size = self.batch.load(Ordering::Relaxed);
        if size >= limits::NODE_RECEIPTS_PER_BATCH {
            return size;
        }
        let n = self.batches.fetch_add(1, Ordering::Relaxed) + 1;
        if n.is_multiple_of(BATCHES_BEFORE_LARGER) { (size * 2).min(limits::NODE_RECEIPTS_PER_BATCH) } else { size }
    }

    /// So many calls in a batch worked, after larger batches were `refused` or not. True when that is news: a small batch may be
    /// small for want of calls, so only a refusal makes the size smaller.
    pub fn batch_worked(&self, size: usize, refused: bool) -> bool {
        let known = self.batch.load(Ordering::Relaxed);
        let news = if refused { size != known } else { size > known };
        if news {
            self.batch.store(size.max(1), Ordering::Relaxed);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_size_is_remembered_and_tried_again_seldom() {
        let way = Remembered::default();
        assert_eq!((way.get(), way.batch()), (Way::Block, limits::NODE_RECEIPTS_PER_BATCH));
        assert!(!way.batch_worked(2, false), "two calls were all there was to ask");
        assert!(way.batch_worked(3, true));
        assert!(!way.batch_worked(3, true));
        let sizes: Vec<usize> = (0..BATCHES_BEFORE_LARGER).map(|_| way.batch()).collect();
        assert_eq!(sizes.iter().filter(|s| **s == 3).count(), BATCHES_BEFORE_LARGER - 1);
        assert_eq!(sizes.last(), Some(&6));
        assert!(way.batch_worked(6, false) && way.batch() == 6, "and then it works");
        way.set(Way::Each);
        assert_eq!(way.get(), Way::Each);
    }
}
