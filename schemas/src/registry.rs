//! Every version of every schema, and the ids under which the built-in registry knows them.
//!
//! Ids are valid with the registry of their log only (rule 22); a codec for another registry is made with
//! [`Codec::with_ids`](crate::codec::Codec::with_ids). An id, once released, never changes its meaning.

use crate::topics::{self, TopicSpec};

/// One version of a topic's schema.
#[derive(Debug, Clone, Copy)]
pub struct SchemaVersion {
    /// The topic whose values it describes.
    pub topic: TopicSpec,
    /// Version within the subject, from 1.
    pub version: u32,
    /// Id in the built-in registry.
    pub id: u32,
    /// The schema as JSON.
    pub avsc: &'static str,
}

impl SchemaVersion {
    /// Whether it is of a topic that is only read where a former version left it: nobody has to register it.
    pub fn is_former(&self) -> bool {
        topics::FORMER.iter().any(|topic| topic.name == self.topic.name)
    }

    /// The registry's subject, `<prefix><topic>-value`.
    pub fn subject(&self, prefix: &str) -> String {
        format!("{prefix}{}-value", self.topic.name)
    }
}

macro_rules! version {
    ($topic:expr, $version:literal, $id:literal, $file:literal) => {
        SchemaVersion { topic: $topic, version: $version, id: $id, avsc: include_str!(concat!("../avro/", $file)) }
    };
}

/// All versions. The highest version of a topic is the one that is written. When a schema changes, its former text moves to
/// `avro/released/v<version>/` and keeps its row here.
pub const SCHEMAS: [SchemaVersion; 39] = [
    version!(topics::RAW_BLOCKS, 1, 1, "released/v1/raw.blocks.avsc"),
    version!(topics::RAW_TRANSACTIONS, 1, 2, "released/v1/raw.transactions.avsc"),
    version!(topics::INGEST_CHECKPOINTS, 1, 3, "released/v1/ingest.checkpoints.avsc"),
    version!(topics::INGEST_STATUS, 1, 4, "ingest.status.avsc"),
    version!(topics::ENRICHED_TRANSACTIONS, 1, 5, "released/v1/enriched.transactions.avsc"),
    version!(topics::ENRICHED_BLOCKS, 1, 6, "released/v1/enriched.blocks.avsc"),
    version!(topics::CONTROL_CONFIG, 1, 7, "released/v1/control.config.avsc"),
    version!(topics::DEAD_LETTERS, 1, 8, "dead.letters.avsc"),
    version!(topics::ENRICH_STATUS, 1, 9, "enrich.status.avsc"),
    version!(topics::STAGE_STATUS, 1, 10, "stage.status.avsc"),
    version!(topics::RAW_TRANSACTIONS, 2, 11, "released/v2/raw.transactions.avsc"),
    version!(topics::ENRICHED_TRANSACTIONS, 2, 12, "released/v2/enriched.transactions.avsc"),
    version!(topics::PROVIDERS_SAMPLES, 1, 13, "released/v1/providers.samples.avsc"),
    version!(topics::INGEST_CHECKPOINTS, 2, 14, "ingest.checkpoints.avsc"),
    version!(topics::CONTROL_CONFIG, 2, 15, "released/v2/control.config.avsc"),
    version!(topics::ENRICHED_BLOCKS, 2, 16, "released/v2/enriched.blocks.avsc"),
    version!(topics::CONTROL_CONFIG, 3, 17, "released/v3/control.config.avsc"),
    version!(topics::CONTROL_TENANTS, 1, 18, "released/v1/control.tenants.avsc"),
    version!(topics::ENRICHED_TRANSACTIONS, 3, 19, "released/v3/enriched.transactions.avsc"),
    version!(topics::ENRICHED_BLOCKS, 3, 20, "released/v3/enriched.blocks.avsc"),
    version!(topics::ENRICHED_EVENTS, 1, 21, "enriched.events.avsc"),
    version!(topics::CONTRACT_FACTS, 1, 22, "contract.facts.avsc"),
    version!(topics::ENRICHED_CAUSES, 1, 23, "enriched.causes.avsc"),
    version!(topics::ENRICHED_BLOCKS, 4, 24, "released/v4/enriched.blocks.avsc"),
    version!(topics::METRICS_WINDOWS, 1, 25, "metrics.windows.avsc"),
    version!(topics::ALERTS_RING, 1, 26, "alerts.ring.avsc"),
    version!(topics::ALERTS_MATCHES, 1, 27, "alerts.matches.avsc"),
    version!(topics::ALERTS_STATE, 1, 28, "alerts.state.avsc"),
    version!(topics::ALERTS_EVENTS, 1, 29, "alerts.events.avsc"),
    version!(topics::ALERTS_OUTBOX, 1, 30, "alerts.outbox.avsc"),
    version!(topics::ALERTS_DELIVERIES, 1, 31, "alerts.deliveries.avsc"),
    version!(topics::ALERTS_COMMANDS, 1, 32, "alerts.commands.avsc"),
    version!(topics::CONTROL_TENANTS, 2, 33, "control.tenants.avsc"),
    version!(topics::CONTROL_CONFIG, 4, 34, "control.config.avsc"),
    version!(topics::RAW_BLOCKS, 2, 35, "raw.blocks.avsc"),
    version!(topics::RAW_TRANSACTIONS, 3, 36, "raw.transactions.avsc"),
    version!(topics::ENRICHED_BLOCKS, 5, 37, "enriched.blocks.avsc"),
    version!(topics::ENRICHED_TRANSACTIONS, 4, 38, "enriched.transactions.avsc"),
    version!(topics::PROVIDERS_SAMPLES, 2, 39, "providers.samples.avsc"),
];

/// Former versions, topic and version, in which records are still written that have nothing to say that came later: so processes of
/// before read them while a deployment is upgraded. The newest one only adds fields behind theirs.
///
/// What is no other family's than EVM's has nothing to say that came with the nested records at the end.
pub const STILL_WRITTEN: [(TopicSpec, u32); 9] = [
    (topics::CONTROL_CONFIG, 2),
    (topics::CONTROL_CONFIG, 3),
    (topics::ENRICHED_BLOCKS, 1),
    (topics::CONTROL_TENANTS, 1),
    (topics::PROVIDERS_SAMPLES, 1),
    (topics::RAW_BLOCKS, RAW_BLOCKS_EVM),
    (topics::RAW_TRANSACTIONS, RAW_TRANSACTIONS_EVM),
    (topics::ENRICHED_BLOCKS, ENRICHED_BLOCKS_EVM),
    (topics::ENRICHED_TRANSACTIONS, ENRICHED_TRANSACTIONS_EVM),
];

/// Version of `raw.blocks` that ends before what other families added.
pub(crate) const RAW_BLOCKS_EVM: u32 = 1;
/// Version of `raw.transactions` that ends before what other families added.
pub(crate) const RAW_TRANSACTIONS_EVM: u32 = 2;
/// Version of `enriched.blocks` that ends before what other families added.
pub(crate) const ENRICHED_BLOCKS_EVM: u32 = 4;
/// Version of `enriched.transactions` that ends before what other families added.
pub(crate) const ENRICHED_TRANSACTIONS_EVM: u32 = 3;
