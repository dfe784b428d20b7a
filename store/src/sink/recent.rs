//! How whole a network's newest heights are, kept in memory and counted again where something was written.
//!
//! Guarantee: after a look the figures are those that a count of the newest [`RECENT_HEIGHTS`] heights would give, as far as this sink
//! wrote them; what another process did to them (a mend, a member that had the partition meanwhile) is seen when all are counted again,
//! which the caller asks for now and then. A count reads the rows from the lowest changed height on, and none below.

use std::collections::BTreeMap;

use schemas::Network;

use super::written::Heights;
use crate::{
    Store, StoreError,
    query::{BlockCount, RecentCompleteness},
};

/// Newest heights that are looked at.
pub const RECENT_HEIGHTS: u64 = 1_024;

/// The newest heights, as last counted.
#[derive(Debug, Default)]
pub(super) struct Recent(BTreeMap<u64, BlockCount>);

impl Recent {
    /// Counts again what was written, or everything when that is not known.
    pub async fn look(
        &mut self,
        store: &Store,
        network: &Network,
        written: Option<Heights>,
    ) -> Result<RecentCompleteness, StoreError> {
        let from = match written {
            Some(heights) => self.from(heights),
            None => None,
        };
        let from = match from {
            Some(from) => from,
            None => match store.height_bounds(network.as_str()).await? {
                Some((_, top)) => (top + 1).saturating_sub(RECENT_HEIGHTS),
                None => return Ok(RecentCompleteness::default()),
            },
        };
        let counts = store.counts_from(network, from).await?;
        Ok(self.replace(from, counts))
    }

    /// Whether anything is known.
    pub fn is_counted(&self) -> bool {
        !self.0.is_empty()
    }

    /// Where to count from when these were written; `None` when nothing is known of what is below.
    fn from(&self, written: Heights) -> Option<u64> {
        let (top, _) = self.0.last_key_value()?;
        // What another member wrote meanwhile lies above what is known.
        let low = written.low.min(top + 1);
        Some(low.max((written.high.max(*top) + 1).saturating_sub(RECENT_HEIGHTS)))
    }

    /// Takes what was counted from a height on in the place of what was known from there on.
    fn replace(&mut self, from: u64, counts: Vec<BlockCount>) -> RecentCompleteness {
        self.0.split_off(&from);
        self.0.extend(counts.into_iter().map(|count| (count.height, count)));
        if let Some((top, _)) = self.0.last_key_value() {
            self.0 = self.0.split_off(&(top + 1).saturating_sub(RECENT_HEIGHTS));
        }
        RecentCompleteness::of(self.0.values())
    }

    /// The incomplete heights: from the lowest of them to the highest height of all.
    pub fn in_doubt(&self) -> Option<Heights> {
        let low = self.0.values().find(|count| !count.whole)?.height;
        self.0.last_key_value().map(|(high, _)| Heights { low, high: *high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(height: u64, stored: u64) -> BlockCount {
        BlockCount { height, transactions_expected: 2, transactions_stored: stored, whole: stored == 2 }
    }

    fn heights(low: u64, high: u64) -> Heights {
        Heights { low, high }
    }

    #[test]
    fn only_what_was_written_is_counted_again() {
        let mut recent = Recent::default();
        assert_eq!((recent.from(heights(5, 9)), recent.in_doubt()), (None, None));
        let all = recent.replace(1_000, (1_000..2_024).map(|h| count(h, if h == 1_500 { 1 } else { 2 })).collect());
        assert_eq!((all.blocks, all.incomplete_blocks), (1_024, 1));
        assert_eq!((all.transactions_expected, all.transactions_stored), (2_048, 2_047));
        assert_eq!(recent.in_doubt(), Some(heights(1_500, 2_023)));
        assert_eq!(recent.from(heights(2_024, 2_025)), Some(2_024));
        assert_eq!(recent.from(heights(2_030, 2_031)), Some(2_024), "another member wrote between");
        assert_eq!(recent.from(heights(3, 2_025)), Some(1_002), "never below the newest");
        assert_eq!(recent.from(heights(3, 5)), Some(1_000));
        assert_eq!(recent.from(heights(9_000, 9_001)), Some(7_978));
        // A reorg: two of the newest go, one comes.
        let all = recent.replace(2_022, vec![count(2_022, 2)]);
        assert_eq!((all.blocks, all.incomplete_blocks), (1_023, 1));
        // Time goes on, and what is no longer among the newest goes.
        let all = recent.replace(2_023, (2_023..2_600).map(|h| count(h, 2)).collect());
        assert_eq!((all.blocks, all.incomplete_blocks, recent.in_doubt()), (1_024, 0, None));
        // Nothing is left of a chain that was emptied from the lowest of them on.
        assert_eq!(recent.replace(0, Vec::new()), RecentCompleteness::default());
    }
}
