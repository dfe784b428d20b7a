//! What ingest is told: networks, endpoints, and how hard to work.

use std::time::Duration;

use nodes::{
    evm::{Endpoint, Tuning},
    fleet::{Account, Confirm, FleetConfig, MemberConfig},
    mask::masked_url,
};
use runtime::beat::Board;
use schemas::{
    Family, Network, limits,
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
    /// Its family.
    pub family: Family,
    /// EIP-155 chain id, checked against the node.
    pub chain_id: u64,
    /// Where to start when nothing is held yet.
    pub start: Start,
    /// Where its blocks come from.
    pub endpoints: Vec<Endpoint>,
    /// What the fleet is told of each of them, by name; [`NetworkConfig::members`] makes up what is left out.
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

impl NetworkConfig {
    /// An EVM network with one endpoint, starting at the head.
    pub fn evm(slug: Network, chain_id: u64, endpoint: Endpoint) -> Self {
        Self {
            slug,
            family: Family::Evm,
            chain_id,
            start: Start::Latest,
            endpoints: vec![endpoint],
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
        self.members() == other.members() && asked(self) == asked(other)
    }

    /// The endpoints with what their fleet is told of them. One of which nothing else is said has every role, no known limit, and an
    /// operator of its own.
    pub fn members(&self) -> Vec<(MemberConfig, Endpoint)> {
        let member = |e: &Endpoint| {
            let said = self.members.iter().find(|m| m.name == e.name).cloned();
            let made_up = || MemberConfig {
                account: Account::of([e.url.as_str()]),
                place: Account::of([e.url.as_str()]),
                ..MemberConfig::new(&e.name, &masked_url(&e.url))
            };
            (said.unwrap_or_else(made_up), e.clone())
        };
        self.endpoints.iter().map(member).collect()
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
