//! `control.config`, compacted, keyed `kind/id`: what the control plane decided: the partition of each network (rule 8), what operators
//! ask of the stages (rules 5, 7, 12, 34), and what is everybody's of the contracts that people add (rule 34).

use super::{Contract, HeldRange};
use crate::primitives::{Network, TimeMs};

/// A record of `control.config`.
#[derive(Debug, Clone, PartialEq)]
pub enum ControlConfig {
    /// Key `network/SLUG`.
    NetworkPartition(NetworkPartition),
    /// Key `request/ID`.
    Request(Request),
    /// Key `watched/NETWORK/ADDRESS`.
    Watched(WatchedAddress),
    /// Key `contract/NETWORK/ADDRESS`.
    Contract(OperatorContract),
}

impl ControlConfig {
    /// The key of a kind of record that is about an address: `watched` or `contract`.
    pub fn key_of(kind: &str, network: &str, address: &str) -> String {
        format!("{kind}/{network}/{address}")
    }
}

/// An address that somebody calls his own, and nothing of who that is. It is there while anybody does, the file included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedAddress {
    /// Its network.
    pub network: Network,
    /// The address, lower case.
    pub address: String,
    /// Rises with every change of the key, removal included; a record with a lower one than was seen says nothing.
    pub revision: u64,
    /// Since when somebody has called it his own without a break, whoever came and went meanwhile; `None`, as in records of before: since
    /// this record was written.
    pub since: Option<TimeMs>,
}

impl WatchedAddress {
    /// The kind, and the first part of the key.
    pub const KIND: &str = crate::wire::WATCHED_KIND;

    /// Network and address in a key of `control.config`; `None` for a key of another kind, or of no network.
    pub fn in_key(key: &str) -> Option<(Network, &str)> {
        let (network, address) = key.strip_prefix(Self::KIND)?.strip_prefix('/')?.split_once('/')?;
        Some((network.parse().ok()?, address))
    }
}

/// A contract of the configuration file, for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorContract {
    /// As of [`WatchedAddress::revision`].
    pub revision: u64,
    /// The contract.
    pub contract: Contract,
}

impl OperatorContract {
    /// The kind, and the first part of the key.
    pub const KIND: &str = crate::wire::CONTRACT_KIND;
}

/// The partition that a network was given, once and for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPartition {
    /// The network.
    pub network: Network,
    /// Its partition on every chain topic.
    pub partition: u32,
    /// When it was decided.
    pub decided_at: TimeMs,
}

/// Something that an operator asks of the stages of a network. It is kept until its tombstone; whoever carries it out says how far it
/// is ([`RequestProgress`](super::RequestProgress), for what the watcher does).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its own name: 1 to 64 of `a`–`z`, `0`–`9` and `-`.
    pub id: String,
    /// The network that it is about.
    pub network: Network,
    /// What is asked.
    pub asks: Asks,
    /// What is to become of it.
    pub wanted: Wanted,
    /// When it was asked; requests of a network are carried out in this order, then in that of their ids.
    pub asked_at: TimeMs,
}

impl Request {
    /// The key of the request of this id.
    pub fn key_of(id: &str) -> String {
        format!("{}/{id}", crate::wire::REQUEST_KIND)
    }

    /// The id in a key of `control.config`; `None` for a key of another kind. Whether it can name a request: [`Request::is_id`].
    pub fn id_in(key: &str) -> Option<&str> {
        key.strip_prefix(crate::wire::REQUEST_KIND)?.strip_prefix('/')
    }

    /// Whether this can name a request: 1 to 64 of `a`–`z`, `0`–`9` and `-`.
    pub fn is_id(id: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=64).contains(&id.len()) && id.bytes().all(allowed)
    }
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Of the watcher: to fill these heights (rule 5).
    Backfill {
        /// The heights.
        heights: HeldRange,
        /// Whether those that are held are filled again.
        again: bool,
    },
    /// Of the watcher: to follow the nodes' chain although it leaves the held one deeper than the limit (rule 7).
    AcceptReorg,
    /// Of every reader of the network: to go on although these sequences, both ends included, are gone (rule 12).
    AcceptGap {
        /// First sequence that is given up.
        first: u64,
        /// Last sequence that is given up.
        last: u64,
    },
}

impl Asks {
    /// The word for it: `backfill`, `accept-reorg`, `accept-gap`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Backfill { .. } => "backfill",
            Self::AcceptReorg => "accept-reorg",
            Self::AcceptGap { .. } => "accept-gap",
        }
    }
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is to be carried out.
    Run,
    /// It waits until it is wanted again.
    Paused,
    /// It ends where it is; what it did stays.
    Cancelled,
}

impl Wanted {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }
}
