//! Addresses that somebody calls his own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use schemas::{
    Network, TimeMs,
    codec::Codec,
    headers::names,
    limits,
    records::{ControlConfig, WatchedAddress},
};

use crate::log::{
    Record,
    compacted::{Found, judge},
    pass_over,
};

/// Watched addresses of one network, lower case, and since when each is without a break, as its record says: where it says nothing of that,
/// since it was published.
pub type Watched = HashMap<String, TimeMs>;

/// Those of all networks.
pub(super) type ByNetwork = BTreeMap<Network, Arc<Watched>>;

/// The records of kind `watched`, one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    pub of: Arc<ByNetwork>,
    /// The highest revision of each key, of those too that were removed: a lower one that comes later says nothing (rule 34).
    revisions: HashMap<String, u64>,
}

impl Addresses {
    /// Takes the next record whose key begins with the kind `watched`. True when a set changed.
    pub fn take(&mut self, codec: &Codec, record: &Record, key: &str) -> bool {
        let Some((network, address)) = WatchedAddress::in_key(key) else {
            pass_over(record, &"its key names no address of a network");
            return false;
        };
        let told = || record.header(names::REVISION).and_then(|n| std::str::from_utf8(n).ok()?.parse::<u64>().ok());
        let (revision, since) = match judge::<ControlConfig>(codec, record) {
            Found::Ours(ControlConfig::Watched(watched)) => {
                (Some(watched.revision), Some(watched.since.unwrap_or(record.timestamp)))
            }
            Found::Removed => (told(), None),
            // A newer version wrote more of it than this one knows. All that is needed stands in the key and the header.
            Found::Unreadable(_) if told().is_some() => (told(), Some(record.timestamp)),
            Found::Unreadable(why) => {
                tracing::error!(key, why, "a watched address cannot be read, and has no revision: it is passed over");
                return false;
            }
            Found::Ours(_) | Found::Foreign => return false,
        };
        let former = self.revisions.get(key).copied();
        if revision.is_some() && revision < former {
            return false;
        }
        // One without was removed by hand.
        if let Some(revision) = revision {
            if former.is_none() && self.revisions.len() >= limits::WATCHED {
                tracing::error!(key, most = limits::WATCHED, "a watched address is passed over: there are too many");
                return false;
            }
            self.revisions.insert(key.to_owned(), revision);
        }
        if self.of.get(&network).and_then(|set| set.get(address)).copied() == since {
            return false;
        }
        let set = Arc::make_mut(Arc::make_mut(&mut self.of).entry(network).or_default());
        match since {
            Some(since) => set.insert(address.to_owned(), since),
            None => set.remove(address),
        };
        true
    }

    /// Keeps the sets that are as they were, so that who holds one sees that it did not change.
    pub fn keep(&mut self, former: &Self) {
        if self.of == former.of {
            self.of = former.of.clone();
            return;
        }
        for (network, set) in Arc::make_mut(&mut self.of) {
            if let Some(known) = former.of.get(network).filter(|known| *known == set) {
                *set = known.clone();
            }
        }
    }
}
