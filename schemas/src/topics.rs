//! Every topic: name, key, cleanup and retention. Names on the wire carry the configured prefix (default `headwater.`).

use std::time::Duration;

/// Default of `[log] prefix`.
pub const DEFAULT_PREFIX: &str = "headwater.";
/// Default number of partitions of the chain topics in the embedded log; all of them have the same number (rule 8).
pub const DEFAULT_PARTITIONS: u32 = 8;
/// Default number of partitions of chain topics that are made in a Kafka cluster: so many processes can share the networks.
pub const DEFAULT_KAFKA_PARTITIONS: u32 = 64;

/// How a topic gets rid of old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// By age and size of a partition.
    Delete,
    /// Keeps the newest record per key; a record without value removes its key. With a retention, records go by age, and by size, as well.
    Compact,
}

/// What a topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name without prefix.
    pub name: &'static str,
    /// Cleanup policy.
    pub cleanup: Cleanup,
    /// Age after which records may go; `None` for ever (or until compacted).
    pub retention: Option<Duration>,
    /// Bytes per partition after which the oldest may go; `None` without limit.
    pub retention_bytes: Option<u64>,
    /// Whether it is partitioned by network, with as many partitions as all chain topics.
    pub per_network: bool,
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
const GIB: u64 = 1 << 30;

const fn chain(name: &'static str, retention_bytes: u64) -> TopicSpec {
    TopicSpec {
        name,
        cleanup: Cleanup::Delete,
        retention: Some(WEEK),
        retention_bytes: Some(retention_bytes),
        per_network: true,
    }
}
const fn of_tenants(name: &'static str, retention: Duration) -> TopicSpec {
    let retention_bytes = Some(GIB);
    TopicSpec { name, cleanup: Cleanup::Delete, retention: Some(retention), retention_bytes, per_network: false }
}
const fn compacted(name: &'static str, per_network: bool) -> TopicSpec {
    TopicSpec { name, cleanup: Cleanup::Compact, retention: None, retention_bytes: None, per_network }
}

/// Headers of block events, as ingest found them.
pub const RAW_BLOCKS: TopicSpec = chain("raw.blocks", GIB);
/// Transactions with receipts and logs, as ingest found them.
pub const RAW_TRANSACTIONS: TopicSpec = chain("raw.transactions", 4 * GIB);
/// Checkpoint and ring of each network.
pub const INGEST_CHECKPOINTS: TopicSpec = compacted("ingest.checkpoints", true);
/// What every stage says of itself, per process and per network (rule 27).
pub const STAGE_STATUS: TopicSpec = compacted("stage.status", false);
/// Transactions with what enrich found out.
pub const ENRICHED_TRANSACTIONS: TopicSpec = chain("enriched.transactions", 4 * GIB);
/// Block summaries.
pub const ENRICHED_BLOCKS: TopicSpec = chain("enriched.blocks", GIB);
/// Logs, each a record of its own with its decoded event: of networks that have this switched on (`events = true`).
pub const ENRICHED_EVENTS: TopicSpec = chain("enriched.events", 4 * GIB);
/// Why transactions failed, found by a second look, late (rule 14).
pub const ENRICHED_CAUSES: TopicSpec = chain("enriched.causes", GIB);
/// What stages see of chain nodes: calls, minutes and states of endpoints.
///
/// With the partitions of the chain topics, since it is keyed like them, but not bound to their hands: every stage that calls nodes
/// writes there, whoever holds the partition. It is kept for a short time: the store has the history, and states are repeated.
pub const PROVIDERS_SAMPLES: TopicSpec = TopicSpec {
    name: "providers.samples",
    cleanup: Cleanup::Delete,
    retention: Some(Duration::from_secs(2 * 24 * 3600)),
    retention_bytes: Some(GIB / 4),
    per_network: true,
};
/// Decisions of the control plane.
pub const CONTROL_CONFIG: TopicSpec = compacted("control.config", false);
/// What is a tenant's: for the API and alerts only (rule 34).
pub const CONTROL_TENANTS: TopicSpec = compacted("control.tenants", false);
/// What is known of contracts: proxies, implementations by height, ABIs, names (rule 14).
pub const CONTRACT_FACTS: TopicSpec = compacted("contract.facts", true);
/// What the blocks of each minute, five minutes, hour and day did, of networks and of watched contracts (rule 15): the newest record of
/// each window, for a month, and as far as the bytes suffice: those that were written longest ago go first.
pub const METRICS_WINDOWS: TopicSpec = TopicSpec {
    name: "metrics.windows",
    cleanup: Cleanup::Compact,
    retention: Some(Duration::from_secs(30 * 24 * 3600)),
    retention_bytes: Some(2 * GIB),
    per_network: true,
};
/// What each block event that is not final gave to alerts, so that a revert takes back exactly that (rule 29).
pub const ALERTS_RING: TopicSpec = compacted("alerts.ring", true);
/// What rules and monitors found, by tenant.
pub const ALERTS_MATCHES: TopicSpec = of_tenants("alerts.matches", WEEK);
/// Where each alert stands in its life.
pub const ALERTS_STATE: TopicSpec = compacted("alerts.state", false);
/// Every transition of every alert.
pub const ALERTS_EVENTS: TopicSpec = of_tenants("alerts.events", MONTH);
/// Messages that are still to be sent.
pub const ALERTS_OUTBOX: TopicSpec = compacted("alerts.outbox", false);
/// Every attempt to send a message.
pub const ALERTS_DELIVERIES: TopicSpec = of_tenants("alerts.deliveries", MONTH);
/// What people ask of alerts.
pub const ALERTS_COMMANDS: TopicSpec = of_tenants("alerts.commands", WEEK);
/// What could not be processed.
pub const DEAD_LETTERS: TopicSpec = TopicSpec {
    name: "dead.letters",
    cleanup: Cleanup::Delete,
    retention: Some(Duration::from_secs(30 * 24 * 3600)),
    retention_bytes: Some(GIB),
    per_network: false,
};

/// All topics of this version.
pub const ALL: [TopicSpec; 21] = [
    RAW_BLOCKS,
    RAW_TRANSACTIONS,
    INGEST_CHECKPOINTS,
    ENRICHED_TRANSACTIONS,
    ENRICHED_BLOCKS,
    CONTROL_CONFIG,
    DEAD_LETTERS,
    STAGE_STATUS,
    PROVIDERS_SAMPLES,
    CONTROL_TENANTS,
    ENRICHED_EVENTS,
    CONTRACT_FACTS,
    ENRICHED_CAUSES,
    METRICS_WINDOWS,
    ALERTS_RING,
    ALERTS_MATCHES,
    ALERTS_STATE,
    ALERTS_EVENTS,
    ALERTS_OUTBOX,
    ALERTS_DELIVERIES,
    ALERTS_COMMANDS,
];

/// Formerly what each network's watcher said of itself.
pub const INGEST_STATUS: TopicSpec = compacted("ingest.status", true);
/// Formerly the networks that enrich halted, and that they go on again.
pub const ENRICH_STATUS: TopicSpec = compacted("enrich.status", true);

/// Topics of former versions: read where they are, while a cluster is being upgraded; never made and never written.
pub const FORMER: [TopicSpec; 2] = [INGEST_STATUS, ENRICH_STATUS];

/// Every topic whose records this version reads: [`ALL`], then [`FORMER`].
pub const KNOWN: [TopicSpec; ALL.len() + FORMER.len()] = {
    let mut known = [ALL[0]; ALL.len() + FORMER.len()];
    let mut at = 0;
    while at < known.len() {
        known[at] = if at < ALL.len() { ALL[at] } else { FORMER[at - ALL.len()] };
        at += 1;
    }
    known
};

/// A stage's consumer group and the topics that it reads to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingGroup {
    /// The group, without prefix.
    pub group: &'static str,
    /// What it reads: headers, and their children.
    pub topics: &'static [TopicSpec],
    /// What keeps it from reading on, most of the time, when it is far behind.
    pub usual_cause: &'static str,
}

/// The groups of the stages whose work is lost when they do not read a topic to its end, in the order of the data.
pub const READING_GROUPS: [ReadingGroup; 2] = [
    ReadingGroup {
        group: "enrich",
        topics: &[RAW_BLOCKS, RAW_TRANSACTIONS],
        usual_cause: "what keeps it stands in its messages",
    },
    ReadingGroup {
        group: "sink",
        topics: &[ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS],
        usual_cause: "the store is away or slow",
    },
];
