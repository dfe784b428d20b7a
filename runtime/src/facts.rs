//! Who wants to know what is known of contracts (rule 14) follows `contract.facts` here: enrich the partitions that it has, the API
//! all of them.
//!
//! Guarantee: that of [`Followed`], and that a record of ours that cannot be read, of a later version perhaps, leaves what was known of
//! its contract as it is; whatever another program wrote is passed over (rule 13). Facts never stop anybody.

use schemas::{
    codec::Codec,
    headers::names,
    records::{ContractFacts, FactsFold},
};

use crate::log::{
    Record,
    compacted::{Found, judge, key},
    followed::{Fold, Followed},
    pass_over,
};

/// Follows `contract.facts`.
pub type Follower<T> = Followed<Told<T>>;

/// What follows from the records, and the revision that each contract's newest one had.
#[derive(Debug, Clone, Default)]
pub struct Told<T>(pub T);

impl<T: FactsFold + Clone + Default + Send + Sync + 'static> Fold for Told<T> {
    fn take(&mut self, codec: &Codec, record: &Record) {
        let Some((network, address)) = key(record).and_then(ContractFacts::in_key) else {
            return pass_over(record, &"its key names no contract of a network");
        };
        match judge::<ContractFacts>(codec, record) {
            Found::Ours(facts) => self.0.put(facts),
            Found::Removed => self.0.remove(&network, address),
            Found::Foreign => {}
            Found::Unreadable(why) => {
                tracing::warn!(%network, %address, why, "facts about a contract cannot be read and are passed over");
            }
        }
    }
}

/// The revision that a removal says in its header.
pub fn removed_at(record: &Record) -> Option<u64> {
    record.header(names::REVISION).and_then(|n| std::str::from_utf8(n).ok()?.parse().ok())
}
