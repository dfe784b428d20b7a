//! What one connection follows: its subscriptions and, per network, how far it has come. Pure.
//!
//! Guarantee: a network's floor never falls, so that each sequence is dealt with at most once; a block that is left out is left
//! out with its revert.

use std::collections::{HashMap, HashSet};

use schemas::Network;

use super::{
    filter::Filter,
    follows::Wanted,
    protocol::{Id, Topics},
};
use crate::{
    error::ApiError,
    live::{LiveWindow, Mark, event::Frames},
};

struct Subscription {
    id: Id,
    topics: Topics,
    network: Option<Network>,
    /// Of its transactions.
    filter: Filter,
}

/// What is wanted of a network's block events.
pub struct Wants<'s> {
    /// Blocks.
    pub blocks: bool,
    /// Transactions, by one filter or another; empty: none.
    filters: Vec<&'s Filter>,
}

impl Wants<'_> {
    /// Which transactions of an event are wanted, from this one on: their places.
    pub fn chosen(&self, event: &Frames, from: usize) -> Vec<usize> {
        let wanted = |place: &usize| {
            let mark = event.marks.get(*place);
            self.filters.iter().any(|filter| mark.is_none_or(|mark| filter.matches(mark)))
        };
        (from..event.transactions.len()).filter(wanted).collect()
    }
}

impl Wants<'_> {
    /// Whether a transaction is wanted.
    pub fn has(&self, mark: &Mark) -> bool {
        self.filters.iter().any(|filter| filter.matches(mark))
    }
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

impl Subscriptions {
    /// None yet.
    pub fn new(limit: usize) -> Self {
        Self { limit, list: Vec::new(), floors: HashMap::new(), left_out: HashMap::new() }
    }

    /// The networks whose block events are wanted; all of them where one subscription wants all.
    pub fn wanted(&self) -> Wanted<'_> {
        let chain = || self.list.iter().filter(|s| s.topics.has_chain());
        match chain().any(|s| s.network.is_none()) {
            true => Wanted::All,
            false => Wanted::Some(chain().filter_map(|s| s.network.as_ref()).collect()),
        }
    }

    /// The id of a subscription that wants block events of the network.
    pub fn id(&self, network: &Network) -> Option<&Id> {
        let chain = self.list.iter().filter(|s| s.topics.has_chain());
        chain.into_iter().find(|s| s.network.as_ref().is_none_or(|n| n == network)).map(|s| &s.id)
    }

    /// Topics wanted of a network.
    pub fn topics(&self, network: &Network) -> Topics {
        let matching = self.list.iter().filter(|s| s.network.as_ref().is_none_or(|n| n == network));
        matching.fold(Topics::default(), |all, s| all.union(s.topics))
    }

    /// What is wanted of a network's block events.
    pub fn wants(&self, network: &Network) -> Wants<'_> {
        let matching = || self.list.iter().filter(|s| s.network.as_ref().is_none_or(|n| n == network));
        let filters = matching().filter(|s| s.topics.transactions).map(|s| &s.filter).collect();
        Wants { blocks: matching().any(|s| s.topics.blocks), filters }
    }

    /// Whether states of endpoints are wanted, of any network.
    pub fn has_providers(&self) -> bool {
        self.list.iter().any(|s| s.topics.providers)
    }

    /// Whether windows are wanted, of any network.
    pub fn has_windows(&self) -> bool {
        self.list.iter().any(|s| s.topics.windows)
    }

    /// Whether a window is wanted.
    pub fn wants_window(&self, window: &LiveWindow) -> bool {
        self.list.iter().any(|s| s.topics.windows && s.filter.takes_window(s.network.as_ref(), window))
    }

    /// Whether windows of contracts are wanted.
    pub fn has_contracts(&self) -> bool {
        self.list.iter().any(|s| s.topics.windows && s.filter.contract.is_some())
    }

    /// The contracts whose windows are wanted, by network.
    pub fn contracts_of_windows(&self) -> HashMap<Network, Vec<String>> {
        let mut contracts: HashMap<Network, Vec<String>> = HashMap::new();
        for s in self.list.iter().filter(|s| s.topics.windows) {
            if let (Some(network), Some(contract)) = (&s.network, &s.filter.contract) {
                contracts.entry(network.clone()).or_default().push(contract.text().to_owned());
            }
        }
        contracts
    }

    /// No windows of this contract any more: the ids of subscriptions that followed them.
    pub fn end_windows(&mut self, network: &Network, contract: &str) -> Vec<Id> {
        let mut ended = Vec::new();
        for s in self.list.iter_mut().filter(|s| s.topics.windows && s.network.as_ref() == Some(network)) {
            if s.filter.contract.as_ref().is_some_and(|own| own.text() == contract) {
                s.topics.windows = false;
                ended.push(s.id.clone());
            }
        }
        self.list.retain(|s| !s.topics.is_empty());
        ended
    }

    /// Whether alerts are wanted, of any network.
    pub fn has_alerts(&self) -> bool {
        self.list.iter().any(|s| s.topics.alerts)
    }

    /// Whether an alert of this network is wanted.
    pub fn wants_alert(&self, network: &Network) -> bool {
        self.list.iter().any(|s| s.topics.alerts && s.network.as_ref().is_none_or(|n| n == network))
    }

    /// Whether transactions are wanted, of any network.
    pub fn has_transactions(&self) -> bool {
        self.list.iter().any(|s| s.topics.transactions)
    }

    /// Adds a subscription. With a resume position, nothing else may follow the network yet.
    pub fn add(
        &mut self,
        id: Id,
        topics: Topics,
        network: Option<Network>,
        filter: Filter,
        resumes: bool,
    ) -> Result<(), ApiError> {
        if self.list.iter().any(|s| s.id == id) {
            let problem = "a subscription of this id exists on the connection: choose another id".to_owned();
            return Err(ApiError::SubscriptionConflict { problem });
        }
        if self.list.len() >= self.limit {
            return Err(ApiError::TooManySubscriptions { limit: self.limit });
        }
        if let (true, Some(network)) = (resumes, &network)
            && self.topics(network).has_chain()
        {
            let problem = format!(
                "this connection already follows {network}, so `after` could not be kept: unsubscribe first, or use another \
                 connection"
            );
            return Err(ApiError::SubscriptionConflict { problem });
        }
        self.list.push(Subscription { id, topics, network, filter });
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
        let forgotten: Vec<_> = self.floors.keys().filter(|n| !self.topics(n).has_chain()).cloned().collect();
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

    /// The revert of an applied event was passed: that it was left out need not be known any more.
    pub fn forget_left_out(&mut self, network: &Network, sequence: u64) {
        if let Some(set) = self.left_out.get_mut(network) {
            set.remove(&sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Selector;
    use schemas::Status;

    use super::*;

    const BLOCKS: Topics =
        Topics { blocks: true, transactions: false, providers: false, windows: false, alerts: false };
    const BOTH: Topics = Topics { blocks: true, transactions: true, providers: false, windows: false, alerts: false };
    const PROVIDERS: Topics =
        Topics { blocks: false, transactions: false, providers: true, windows: false, alerts: false };

    fn network(slug: &str) -> Network {
        slug.parse().expect("slug")
    }

    #[test]
    fn topics_are_the_union() {
        let mut s = Subscriptions::new(3);
        s.add(Id::Number(1), BLOCKS, None, Filter::default(), false).expect("free");
        assert_eq!(s.topics(&network("a")), BLOCKS);
        s.add(Id::Number(2), BOTH, Some(network("a")), Filter::default(), false).expect("free");
        assert_eq!((s.topics(&network("a")), s.topics(&network("b"))), (BOTH, BLOCKS));
        assert!(s.add(Id::Number(2), BLOCKS, None, Filter::default(), false).is_err(), "id taken");
        assert!(
            s.add(Id::Number(3), BLOCKS, Some(network("a")), Filter::default(), true).is_err(),
            "resume while it is followed"
        );
        s.add(Id::Number(4), BLOCKS, Some(network("c")), Filter::default(), false).expect("free");
        let limit = s.add(Id::Number(5), BLOCKS, None, Filter::default(), false).expect_err("limit");
        assert_eq!(limit, ApiError::TooManySubscriptions { limit: 3 });
        s.remove(&Id::Number(9), Some(&(BLOCKS, Some(network("a"))))).expect("there");
        s.remove(&Id::Number(1), None).expect("there");
        assert_eq!(
            s.topics(&network("a")),
            Topics { blocks: false, transactions: true, providers: false, windows: false, alerts: false }
        );
        assert!(s.topics(&network("b")).is_empty());
        assert!(s.remove(&Id::Number(1), None).is_err());
    }

    #[test]
    fn states_of_endpoints_follow_no_block_events() {
        let (mut s, a) = (Subscriptions::new(3), network("a"));
        s.add(Id::Number(1), PROVIDERS, None, Filter::default(), false).expect("free");
        assert!(s.has_providers() && s.id(&a).is_none());
        assert!(matches!(s.wanted(), Wanted::Some(networks) if networks.is_empty()));
        s.add(Id::Number(2), BOTH, Some(a.clone()), Filter::default(), true).expect("it follows no block events yet");
        assert_eq!(s.id(&a), Some(&Id::Number(2)));
        assert!(matches!(s.wanted(), Wanted::Some(networks) if networks == [&a]));
        s.begin(&a, 5);
        s.remove(&Id::Number(2), None).expect("there");
        assert_eq!((s.floor(&a), s.topics(&a)), (None, PROVIDERS));
        s.remove(&Id::Number(9), Some(&(PROVIDERS, None))).expect("there");
        assert!(!s.has_providers());
    }

    #[test]
    fn a_transaction_is_wanted_once_by_whichever_filter() {
        let (mut s, a) = (Subscriptions::new(4), network("a"));
        let transfer = Selector::new([0xa9, 0x05, 0x9c, 0xbb]);
        let failed = Filter { status: Some(Status::Failed), ..Filter::default() };
        let called = Filter { methods: vec![transfer], ..Filter::default() };
        s.add(Id::Number(1), BOTH, Some(a.clone()), failed, false).expect("free");
        let mark = |status, method| Mark {
            from: None,
            touched: [].into(),
            accounts: [].into(),
            status,
            cause: None,
            found_by: None,
            method,
        };
        let marks = vec![
            mark(Status::Success, None),
            mark(Status::Failed, None),
            mark(Status::Success, Some(transfer)),
            mark(Status::Failed, Some(transfer)),
        ];
        let event = Frames { transactions: vec!["".into(); 4], marks, ..Frames::default() };
        assert_eq!((s.wants(&a).blocks, s.wants(&a).chosen(&event, 0)), (true, vec![1, 3]));
        s.add(Id::Number(2), BOTH, None, called, false).expect("free");
        assert_eq!((s.wants(&a).chosen(&event, 0), s.wants(&a).chosen(&event, 2)), (vec![1, 2, 3], vec![2, 3]));
        assert_eq!(s.wants(&network("b")).chosen(&event, 0), [2, 3]);
        // What left the chain is everybody's who has transactions, and nobody's who has none.
        let revert = Frames { transactions: vec!["".into()], ..Frames::default() };
        assert_eq!(s.wants(&a).chosen(&revert, 0), [0]);
        s.remove(&Id::Number(1), None).expect("there");
        s.remove(&Id::Number(2), None).expect("there");
        s.add(Id::Number(3), BLOCKS, None, Filter::default(), false).expect("free");
        assert_eq!(s.wants(&a).chosen(&revert, 0), [0usize; 0]);
    }

    #[test]
    fn a_floor_never_falls_and_what_is_left_out_is_forgotten_with_its_revert() {
        let mut s = Subscriptions::new(1);
        let n = network("a");
        s.add(Id::Number(1), BOTH, Some(n.clone()), Filter::default(), true).expect("free");
        s.begin(&n, 5);
        s.begin(&n, 9);
        assert_eq!(s.floor(&n), Some(5));
        s.advance(&n, 7);
        s.advance(&n, 6);
        assert_eq!(s.floor(&n), Some(7));
        s.leave_out(&n, 7);
        assert!(s.is_left_out(&n, 7) && !s.is_left_out(&n, 6) && !s.is_left_out(&network("b"), 7));
        s.forget_left_out(&n, 7);
        assert!(!s.is_left_out(&n, 7));
        assert!(s.left_out[&n].is_empty(), "nothing stays behind");
    }
}
