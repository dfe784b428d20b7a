//! What operators ask of the stages (rules 5, 7, 12): as every stage looks at it ([`Known`]), and as the watcher of one network carries
//! it out ([`Wishes`]).

use std::collections::{BTreeMap, HashMap};

use schemas::{
    Network,
    codec::Codec,
    headers::names,
    limits,
    records::{Asks, ControlConfig, Request, Wanted},
};

use crate::log::{
    Record,
    compacted::{Found, judge},
    pass_over,
};

/// All requests, by id. One that cannot be read any more is here as it was last read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(pub BTreeMap<String, Request>);

impl Known {
    /// What was asked of a network.
    pub fn of(&self, network: &Network) -> impl Iterator<Item = &Request> {
        self.0.values().filter(move |request| request.network == *network)
    }

    /// Where a network goes on that lacks the sequence `next`, and the request that allows it: behind what operators gave up from
    /// exactly there on. `None`: nobody gave it up.
    pub fn behind_gap(&self, network: &Network, next: u64) -> Option<(u64, &str)> {
        let given_up = |at: u64| {
            self.0.values().find_map(|request| match request.asks {
                Asks::AcceptGap { first, last }
                    if request.network == *network
                        && request.wanted == Wanted::Run
                        && (first..=last).contains(&at)
                        && last < u64::MAX =>
                {
                    Some((last + 1, request.id.as_str()))
                }
                _ => None,
            })
        };
        let mut found = given_up(next)?;
        // One gap may follow another.
        while let Some(further) = given_up(found.0) {
            found = further;
        }
        Some(found)
    }

    /// The request by which a network went on over a gap that lies wholly below this sequence, if there is one.
    pub fn went_on(&self, network: &Network, next: u64) -> Option<&str> {
        self.0.values().find_map(|request| match request.asks {
            Asks::AcceptGap { last, .. }
                if request.network == *network && request.wanted == Wanted::Run && last < next =>
            {
                Some(request.id.as_str())
            }
            _ => None,
        })
    }
}

/// What is asked of one network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// In the order in which they are carried out: by time, then by id.
    pub requests: Vec<Request>,
    /// Why there may be more, in words: nothing that is asked of the network is begun or gone on with meanwhile.
    pub unreadable: Option<String>,
}

impl Wishes {
    /// The request of this id.
    pub fn get(&self, id: &str) -> Option<&Request> {
        self.requests.iter().find(|r| r.id == id)
    }
}

/// A request of ours that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unreadable {
    /// Which network it is about, as far as that is known.
    network: Option<Network>,
    why: String,
}

/// The records of kind `request`, one after the other: no more than the newest of each, of a bounded number.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    pub known: std::sync::Arc<Known>,
    unreadable: BTreeMap<String, Unreadable>,
}

impl Requests {
    /// Takes the next record whose key names the request `id`. True when it may have changed something.
    pub fn take(&mut self, codec: &Codec, record: &Record, id: &str) -> bool {
        if !Request::is_id(id) {
            pass_over(record, &"its key names no request");
            return false;
        }
        let found = judge::<ControlConfig>(codec, record).map(|found| match found {
            ControlConfig::Request(request) => Some(request),
            _ => None,
        });
        let is_new = !self.known.0.contains_key(id) && !self.unreadable.contains_key(id);
        let full = self.known.0.len() + self.unreadable.len() >= limits::REQUESTS;
        match found {
            Found::Foreign => false,
            Found::Removed => {
                let unreadable = self.unreadable.remove(id).is_some();
                if self.known.0.contains_key(id) {
                    std::sync::Arc::make_mut(&mut self.known).0.remove(id);
                    return true;
                }
                unreadable
            }
            _ if is_new && full => {
                tracing::error!(id, most = limits::REQUESTS, "a request is passed over: there are too many in the log");
                false
            }
            Found::Ours(request) => {
                let mended = self.unreadable.remove(id).is_some();
                let same = self.known.0.get(id) == Some(&request);
                if !same {
                    std::sync::Arc::make_mut(&mut self.known).0.insert(id.to_owned(), request);
                }
                mended || !same
            }
            Found::Unreadable(why) => {
                let named = || record.header(names::NETWORK).and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
                let former = self.unreadable.get(id).and_then(|u| u.network.clone());
                let network = former.or_else(|| self.known.0.get(id).map(|r| r.network.clone())).or_else(named);
                tracing::error!(id, network = network.as_ref().map(Network::as_str), why, "a request cannot be read");
                let from = record.from;
                let why = format!("{} [{}] at offset {}: {why}", from.topic, from.partition, record.offset);
                self.unreadable.insert(id.to_owned(), Unreadable { network, why });
                true
            }
        }
    }

    /// What is asked of each network.
    pub fn wishes(&self) -> HashMap<Network, Wishes> {
        let mut wishes: HashMap<Network, Wishes> = HashMap::new();
        for request in self.known.0.values().filter(|r| !self.unreadable.contains_key(&r.id)) {
            wishes.entry(request.network.clone()).or_default().requests.push(request.clone());
        }
        for (id, Unreadable { network, why }) in &self.unreadable {
            let Some(network) = network else { continue };
            wishes.entry(network.clone()).or_default().unreadable = Some(format!(
                "request `{id}` cannot be read: {why}. A newer version of this program may have written it: run that version. Nothing \
                 that was asked of this network is gone on with until then; its blocks are"
            ));
        }
        for wishes in wishes.values_mut() {
            wishes.requests.sort_by(|a, b| (a.asked_at, &a.id).cmp(&(b.asked_at, &b.id)));
        }
        wishes
    }
}
