//! What the upgrade of a store of a former layout has still to copy, for whoever asks meanwhile.

use schemas::Network;

use super::{CompletenessRange, held::Coverage};
use crate::{Store, StoreError, StoreErrorKind};

impl Store {
    /// What is still to be copied from the tables of a former layout: held, and not to be seen yet.
    pub(super) async fn to_come(&self, network: &Network) -> Result<Option<CompletenessRange>, StoreError> {
        let sql = "SELECT u.lowest_height, assumeNotNull(u.to_height), u.blocks_left, u.transactions_left FROM upgrade_rows AS u FINAL \
                   WHERE u.network = {network:String} AND u.blocks_left > 0 AND isNotNull(u.to_height)";
        let query = self.read(sql).param("network", network.as_str()).fetch_optional::<(u64, u64, u64, u64)>();
        let left = self.within("reading where the upgrade stands", query).await?;
        Ok(left.map(|(from_number, to_number, blocks, transactions_expected)| CompletenessRange {
            from_number,
            to_number,
            blocks,
            transactions_expected,
            transactions_stored: 0,
            complete: false,
            coverage: Coverage::Full,
        }))
    }

    /// An error while the events of a network are still to be copied: then nothing can be said of how far it is visible.
    pub(super) async fn is_upgraded(&self, network: &str) -> Result<(), StoreError> {
        let doing = "reading where the upgrade stands";
        let sql = "SELECT count() FROM upgrade_rows WHERE network = {network:String}";
        let upgrading = self.read(sql).param("network", network).fetch_one::<u64>();
        match self.within(doing, upgrading).await? {
            0 => Ok(()),
            _ => Err(StoreError::new(
                StoreErrorKind::Busy,
                doing,
                "the store is being upgraded, and its events are copied last: `headwater status` says how far it is",
            )),
        }
    }
}
