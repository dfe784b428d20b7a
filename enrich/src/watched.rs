//! The contracts that somebody calls his own, as the control plane names them, in the form in which blocks are looked through for them.

use std::{collections::HashMap, sync::Arc};

use runtime::control::Follower;
use schemas::{Network, TimeMs, limits::windows::WATCHED_MARGIN};

use crate::steps::contracts::Watched;

/// What the control plane said of a network last, and the same as addresses.
type Read = (Arc<runtime::control::Watched>, Watched);

/// Addresses by network; read anew where they changed.
#[derive(Default)]
pub(crate) struct Contracts(HashMap<Network, Read>);

impl Contracts {
    /// Those of a network now. What is no address of an EVM chain is passed over: nothing there can be it.
    pub fn of(&mut self, follower: &Follower, network: &Network) -> Watched {
        let now = follower.watched(network);
        if let Some((known, read)) = self.0.get(network)
            && Arc::ptr_eq(known, &now)
        {
            return read.clone();
        }
        let from = |(address, since): (&String, &TimeMs)| Some((address.parse().ok()?, watched_from(*since)));
        let read: Watched = Arc::new(now.iter().filter_map(from).collect());
        self.0.insert(network.clone(), (now, read.clone()));
        read
    }
}

/// The block time from which on every block is looked through for a contract, by since when its record says that it is watched: a function of
/// the record alone, so that a replay says the same. What was worked up before this process had read the record is of blocks with an earlier
/// time.
fn watched_from(since: TimeMs) -> TimeMs {
    TimeMs(since.0.saturating_add_unsigned(WATCHED_MARGIN.as_millis() as u64))
}
