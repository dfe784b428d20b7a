//! What ingest is told: networks, endpoints, and how hard to work.

use std::time::Duration;

use nodes::{
    bitcoin,
    evm::{Endpoint, Tuning},
    fleet::{Account, Confirm, FleetConfig, MemberConfig},
    mask::masked_url,
};
use runtime::beat::Board;
use schemas::{
    Family, Network,
    bitcoin::BitcoinChain,
    limits,
    records::stage_status::{stage, state},
    topics,
};

use crate::past::Keeper;

/// Configuration of the stage.
#[derive(Debug, Clone)]
pub struct Config {
    /// Networks to be watched, in the order of the configuration file.
    pub networks: Vec<NetworkConfig>,
    /// Names this process to the consumer group.
    pub instance: String,
    /// Partitions of the chain topics, when they have to be made.
    pub partitions: u32,
    /// Blocks fetched at the same time per network, at most.
    pub fetch_parallelism: usize,
    /// How events are grouped into transactions of the log.
    pub batch: BatchLimits,
    /// Finality is asked for this often, and published between blocks no more often.
    pub finality_every: Duration,
    /// Waits after failures of a node, at the shortest and at the longest.
    pub backoff: (Duration, Duration),
    /// Wait before a node that cannot give receipts is asked again.
    pub seldom: Duration,
    /// How long a fenced partition waits for the group to take it away, before it is begun anew.
    pub fenced_wait: Duration,
    /// Deadlines and retries of calls to nodes.
    pub tuning: Tuning,
    /// Who knows blocks that the ring has no more (rule 7).
    pub past: Keeper,
    /// What the stage says of itself.
    pub board: Board,
}

/// Time for a second operator's word where the configuration says nothing.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

/// One network.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Its slug.
    pub slug: Network,
    /// Which chain it is on, and where its blocks come from.
    pub chain: Chain,
    /// Where to start when nothing is held yet.
    pub start: Start,
    /// What the fleet is told of each endpoint, by name; [`NetworkConfig::members`] makes up what is left out.
    pub members: Vec<MemberConfig>,
    /// How they are looked after.
    pub fleet: FleetConfig,
    /// What is checked of a node's answers.
    pub verify: Verify,
    /// How many operators must show a block's hash before it is published (rule 24).
    pub confirm: Confirm,
    /// How long they have for it; then a block above the finalized height is published as `unconfirmed`.
    pub confirm_within: Duration,
}

/// Which chain a network is on, and where its blocks come from, in the words of its family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Ethereum and its kin.
    Evm {
        /// EIP-155 chain id, checked against the node.
        chain_id: u64,
        /// JSON-RPC nodes.
        endpoints: Vec<Endpoint>,
    },
    /// Bitcoin.
    Bitcoin {
        /// Checked against every endpoint; `None`: what most operators say, and what is held says it before them.
        chain: Option<BitcoinChain>,
        /// Bitcoin Core and Electrum servers.
        endpoints: Vec<bitcoin::Endpoint>,
    },
}

impl Chain {
    /// Its family.
    pub const fn family(&self) -> Family {
        match self {
            Self::Evm { .. } => Family::Evm,
            Self::Bitcoin { .. } => Family::Bitcoin,
        }
    }

    /// EIP-155 chain id, where chains of the family have one.
    pub const fn evm_id(&self) -> Option<u64> {
        match self {
            Self::Evm { chain_id, .. } => Some(*chain_id),
            Self::Bitcoin { .. } => None,
        }
    }

    /// Whether it is the same chain, whoever gives its blocks.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Evm { chain_id, .. }, Self::Evm { chain_id: other, .. }) => chain_id == other,
            (Self::Bitcoin { chain, .. }, Self::Bitcoin { chain: other, .. }) => chain == other,
            _ => false,
        }
    }

    /// Names and URLs of its endpoints, in the order of their configuration.
    fn places(&self) -> Vec<(&str, &url::Url)> {
        match self {
            Self::Evm { endpoints, .. } => endpoints.iter().map(|e| (e.name.as_str(), &e.url)).collect(),
            Self::Bitcoin { endpoints, .. } => endpoints.iter().map(|e| (e.name.as_str(), &e.url)).collect(),
        }
    }
}

impl NetworkConfig {
    /// An EVM network with one endpoint, starting at the head.
    pub fn evm(slug: Network, chain_id: u64, endpoint: Endpoint) -> Self {
        Self::on(slug, Chain::Evm { chain_id, endpoints: vec![endpoint] })
    }

    /// A Bitcoin network, starting at the head.
    pub fn bitcoin(slug: Network, chain: Option<BitcoinChain>, endpoints: Vec<bitcoin::Endpoint>) -> Self {
        Self::on(slug, Chain::Bitcoin { chain, endpoints })
    }

    fn on(slug: Network, chain: Chain) -> Self {
        Self {
            slug,
            chain,
            start: Start::Latest,
            members: Vec::new(),
            fleet: FleetConfig::default(),
            verify: Verify::Profile,
            confirm: Confirm::Auto,
            confirm_within: CONFIRM_WITHIN,
        }
    }
}

impl NetworkConfig {
    /// Whether its endpoints, and all that is said of how they are asked, are the same.
    pub fn same(&self, other: &Self) -> bool {
        let fleet = |f: &FleetConfig| (f.probe_every, f.hedge, f.quarantine, f.block_time);
        let asked = |n: &Self| (n.verify, n.confirm, n.confirm_within, fleet(&n.fleet));
        self.chain == other.chain && self.members() == other.members() && asked(self) == asked(other)
    }

    /// Its family.
    pub const fn family(&self) -> Family {
        self.chain.family()
    }

    /// Names of its endpoints.
    pub fn endpoints(&self) -> Vec<&str> {
        self.chain.places().into_iter().map(|(name, _)| name).collect()
    }

    /// What the fleet is told of each endpoint, in their order. One of which nothing else is said has every role, no known limit, and an
    /// operator of its own.
    pub fn members(&self) -> Vec<MemberConfig> {
        let member = |(name, url): (&str, &url::Url)| {
            let said = self.members.iter().find(|m| m.name == name).cloned();
            let made_up = || MemberConfig {
                account: Account::of([url.as_str()]),
                place: Account::of([url.as_str()]),
                ..MemberConfig::new(name, &masked_url(url))
            };
            said.unwrap_or_else(made_up)
        };
        self.chain.places().into_iter().map(member).collect()
    }
}

/// Where a network's live blocks begin (rule 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the head.
    Latest,
    /// At this height.
    Height(u64),
}

/// Which hashes and roots are recomputed (rule 24). Counts, hashes of transactions and receipts against each other, and
/// heights are always checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// All: decisive where the chain's profile says that they hold, only counted elsewhere.
    Profile,
    /// All, and senders recovered from signatures besides.
    Signatures,
    /// None: links, counts and order only.
    Structure,
}

/// When a transaction of the log is full.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Bytes of record values.
    pub bytes: usize,
    /// Block events.
    pub events: usize,
    /// While catching up: time since the first event of the transaction. At the head nothing waits.
    pub linger: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { bytes: limits::TRANSACTION_BYTES, events: 512, linger: Duration::from_millis(100) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            networks: Vec::new(),
            instance: "headwater".into(),
            partitions: topics::DEFAULT_PARTITIONS,
            fetch_parallelism: 8,
            batch: BatchLimits::default(),
            finality_every: Duration::from_secs(12),
            backoff: (Duration::from_millis(250), Duration::from_secs(10)),
            seldom: Duration::from_secs(60),
            fenced_wait: Duration::from_secs(4),
            tuning: Tuning::default(),
            past: Keeper::default(),
            board: Board::new(stage::INGEST, state::STARTING),
        }
    }
}
