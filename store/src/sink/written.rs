//! Which heights were written since somebody last asked, so that only those are counted again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use schemas::Network;

/// Heights of each network that were written since they were last taken. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Written(Arc<Mutex<BTreeMap<Network, Heights>>>);

/// Lowest and highest of some heights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heights {
    pub low: u64,
    pub high: u64,
}

impl Written {
    /// Something of this height is on disk: a block, or its end.
    pub fn add(&self, network: &Network, height: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(network) {
            Some(heights) => {
                (heights.low, heights.high) = (heights.low.min(height), heights.high.max(height));
            }
            None => {
                all.insert(network.clone(), Heights { low: height, high: height });
            }
        }
    }

    /// What was written since the last call.
    pub fn take(&self, network: &Network) -> Option<Heights> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_does_not_come_again() {
        let (written, a) = (Written::default(), "a".parse().expect("a slug"));
        assert_eq!(written.take(&a), None);
        [7, 5, 9].into_iter().for_each(|height| written.clone().add(&a, height));
        written.add(&"b".parse().expect("a slug"), 1);
        assert_eq!(written.take(&a), Some(Heights { low: 5, high: 9 }));
        assert_eq!(written.take(&a), None);
    }
}
