//! What one connection follows: its subscriptions and, per network, how far it has come. Pure.
//!
//! Guarantee: [`Subscriptions::admit`] lets each sequence of a network through at most once and in rising order, and names
//! every sequence that is jumped over.

use std::collections::{HashMap, HashSet};

use schemas::Network;

use super::protocol::{Id, Topics};
use crate::error::ApiError;

struct Subscription {
    id: Id,
    topics: Topics,
    network: Option<Network>,
}

/// The state of one connection.
pub struct Subscriptions {
    limit: usize,
    list: Vec<Subscription>,
    /// Last sequence that is dealt with, per network: sent, skipped, or named in a gap.
    floors: HashMap<Network, u64>,
    /// Applied events that were left out since they are reverted by now, so that their reverts are left out too.
    left_out: HashMap<Network, HashSet<u64>>,
}

/// What is to be done with a live event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Nothing: nobody wants it, or it is dealt with.
    Skip,
    /// Send it.
    Send {
        /// The wanted topics.
        topics: Topics,
        /// Sequences (both included) that were jumped over, to be named before.
        gap: Option<(u64, u64)>,
    },
}

impl Subscriptions {
    /// None yet.
    pub fn new(limit: usize) -> Self {
        Self { limit, list: Vec::new(), floors: HashMap::new(), left_out: HashMap::new() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Topics wanted of a network.
    pub fn topics(&self, network: &Network) -> Topics {
        let matching = self.list.iter().filter(|s| s.network.as_ref().is_none_or(|n| n == network));
        matching.fold(Topics::default(), |all, s| all.union(s.topics))
    }

    /// Adds a subscription. With a resume position, nothing else may follow the network yet.
    pub fn add(&mut self, id: Id, topics: Topics, network: Option<Network>, resumes: bool) -> Result<(), ApiError> {
        if self.list.iter().any(|s| s.id == id) {
            let problem = "a subscription of this id exists on the connection: choose another id".to_owned();
            return Err(ApiError::SubscriptionConflict { problem });
        }
        if self.list.len() >= self.limit {
            return Err(ApiError::TooManySubscriptions { limit: self.limit });
        }
        if let (true, Some(network)) = (resumes, &network)
            && !self.topics(network).is_empty()
        {
            let problem = format!(
                "this connection already follows {network}, so `after` could not be kept: unsubscribe first, or use another \
                 connection"
            );
            return Err(ApiError::SubscriptionConflict { problem });
        }
        self.list.push(Subscription { id, topics, network });
        Ok(())
    }

    /// Ends the subscription of this id, or takes topics from those of exactly this network.
    pub fn remove(&mut self, id: &Id, what: Option<&(Topics, Option<Network>)>) -> Result<(), ApiError> {
        let mut found = false;
        for s in &mut self.list {
            match what {
                None if s.id == *id => {
                    found = true;
                    s.topics = Topics::default();
                }
                Some((topics, network)) if s.network == *network => {
                    found = true;
                    s.topics = s.topics.without(*topics);
                }
                _ => {}
            }
        }
        if !found {
            let problem = "no subscription of this connection has this id, or these topics and network".to_owned();
            return Err(ApiError::SubscriptionConflict { problem });
        }
        self.list.retain(|s| !s.topics.is_empty());
        let forgotten: Vec<_> = self.floors.keys().filter(|n| self.topics(n).is_empty()).cloned().collect();
        for network in forgotten {
            self.floors.remove(&network);
            self.left_out.remove(&network);
        }
        Ok(())
    }

    /// How far the connection has come on a network.
    pub fn floor(&self, network: &Network) -> Option<u64> {
        self.floors.get(network).copied()
    }

    /// Where the connection begins on a network, if it has not begun yet.
    pub fn begin(&mut self, network: &Network, floor: u64) {
        self.floors.entry(network.clone()).or_insert(floor);
    }

    /// Everything up to this sequence is dealt with.
    pub fn advance(&mut self, network: &Network, sequence: u64) {
        let floor = self.floors.entry(network.clone()).or_insert(sequence);
        *floor = sequence.max(*floor);
    }

    /// An applied event was left out.
    pub fn leave_out(&mut self, network: &Network, sequence: u64) {
        self.left_out.entry(network.clone()).or_default().insert(sequence);
    }

    /// Whether an applied event is to be left out.
    pub fn is_left_out(&self, network: &Network, sequence: u64) -> bool {
        self.left_out.get(network).is_some_and(|set| set.contains(&sequence))
    }

    /// Whether a revert undoes an event that was left out; asked once per revert.
    pub fn was_left_out(&mut self, network: &Network, reverts: Option<u64>) -> bool {
        match (self.left_out.get_mut(network), reverts) {
            (Some(set), Some(sequence)) => set.remove(&sequence),
            _ => false,
        }
    }

    /// What to do with a live event.
    pub fn admit(&mut self, network: &Network, sequence: u64) -> Admission {
        let topics = self.topics(network);
        if topics.is_empty() {
            return Admission::Skip;
        }
        let gap = match self.floor(network) {
            Some(floor) if sequence <= floor => return Admission::Skip,
            Some(floor) if sequence > floor + 1 => Some((floor + 1, sequence - 1)),
            _ => None,
        };
        self.advance(network, sequence);
        Admission::Send { topics, gap }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCKS: Topics = Topics { blocks: true, transactions: false };
    const BOTH: Topics = Topics { blocks: true, transactions: true };

    fn network(slug: &str) -> Network {
        slug.parse().expect("slug")
    }

    #[test]
    fn topics_are_the_union() {
        let mut s = Subscriptions::new(3);
        s.add(Id::Number(1), BLOCKS, None, false).expect("free");
        assert_eq!(s.topics(&network("a")), BLOCKS);
        s.add(Id::Number(2), BOTH, Some(network("a")), false).expect("free");
        assert_eq!((s.topics(&network("a")), s.topics(&network("b"))), (BOTH, BLOCKS));
        assert!(s.add(Id::Number(2), BLOCKS, None, false).is_err(), "id taken");
        assert!(s.add(Id::Number(3), BLOCKS, Some(network("a")), true).is_err(), "resume while it is followed");
        s.add(Id::Number(4), BLOCKS, Some(network("c")), false).expect("free");
        let limit = s.add(Id::Number(5), BLOCKS, None, false).expect_err("limit");
        assert_eq!(limit, ApiError::TooManySubscriptions { limit: 3 });
        s.remove(&Id::Number(9), Some(&(BLOCKS, Some(network("a"))))).expect("there");
        s.remove(&Id::Number(1), None).expect("there");
        assert_eq!(s.topics(&network("a")), Topics { blocks: false, transactions: true });
        assert!(s.topics(&network("b")).is_empty());
        assert!(s.remove(&Id::Number(1), None).is_err());
    }

    proptest! {
        #[test]
        fn each_sequence_is_sent_once_or_named_in_a_gap(arrivals in proptest::collection::vec(1u64..60, 1..80)) {
            let mut s = Subscriptions::new(1);
            let n = network("a");
            s.add(Id::Number(1), BOTH, None, false).expect("free");
            s.begin(&n, 0);
            let mut account = Vec::new();
            for sequence in arrivals {
                if let Admission::Send { gap, .. } = s.admit(&n, sequence) {
                    account.extend(gap.into_iter().flat_map(|(from, to)| from..=to));
                    account.push(sequence);
                }
            }
            let up_to = account.len() as u64;
            prop_assert_eq!(account, (1..=up_to).collect::<Vec<_>>());
        }
    }
}
