//! What each stage and command must be allowed to do in a Kafka cluster with an authorizer: the one list. `headwater topics acls`
//! prints it, docs/kafka.md shows it, and a stage that may not make topics looks only for its own.
//!
//! Guarantee: with exactly these rights every stage and command works, and each right is asked for (tests/security.rs, on a broker
//! with its authorizer on, by what the broker's audit log says).

use clap::ValueEnum;
use runtime::log::kafka::READER_GROUP;
use schemas::topics::{self, TopicSpec};

use crate::stage::Stage;

/// Who is to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// `headwater ingest`
    Ingest,
    /// `headwater enrich`
    Enrich,
    /// `headwater causes`
    Causes,
    /// `headwater aggregate`
    Aggregate,
    /// `headwater alerts`
    Alerts,
    /// `headwater sink`
    Sink,
    /// `headwater api`
    Api,
    /// `headwater topics apply`
    TopicsApply,
    /// `headwater topics diff`
    TopicsDiff,
    /// `headwater tail`, any topic
    Tail,
    /// `headwater dead-letters list` and `show`
    DeadLetters,
    /// `headwater backfill`, `accept-reorg`, `accept-gap`
    Requests,
    /// `/lag` on the admin port, which `headwater status` asks: beside what its stage needs
    Lag,
}

/// Rights on things of one kind.
pub struct Right {
    /// As Kafka names them.
    pub operations: &'static [&'static str],
    /// On what.
    pub on: On,
}

/// Things of one kind.
pub enum On {
    /// These topics.
    Topics(&'static [TopicSpec]),
    /// Every topic with the prefix.
    AllTopics,
    /// This consumer group.
    Group(&'static str),
    /// Every transactional id that begins so.
    TransactionalIds(&'static str),
}

const READ: &[&str] = &["Read"];
const WRITE: &[&str] = &["Write"];
/// Of topics that are written: a stage reads how large a record may be there.
const OUTPUT: &[&str] = &["Write", "DescribeConfigs"];
const BOTH: &[&str] = &["Read", "Write", "DescribeConfigs"];
const DESCRIBE: &[&str] = &["Describe"];

/// The list. Read and Write imply Describe, Alter implies it too; AlterConfigs implies DescribeConfigs.
pub fn rights(role: Role) -> Vec<Right> {
    use topics::{
        ALERTS_COMMANDS, ALERTS_DELIVERIES, ALERTS_EVENTS, ALERTS_MATCHES, ALERTS_OUTBOX, ALERTS_RING, ALERTS_STATE,
        CONTRACT_FACTS, CONTROL_CONFIG, CONTROL_TENANTS, DEAD_LETTERS, ENRICH_STATUS, ENRICHED_BLOCKS, ENRICHED_CAUSES,
        ENRICHED_EVENTS, ENRICHED_TRANSACTIONS, INGEST_CHECKPOINTS, INGEST_STATUS, METRICS_WINDOWS, PROVIDERS_SAMPLES,
        RAW_BLOCKS, RAW_TRANSACTIONS, STAGE_STATUS,
    };
    let right = |operations, on| Right { operations, on };
    match role {
        Role::Ingest => vec![
            right(BOTH, On::Topics(&[INGEST_CHECKPOINTS, CONTROL_CONFIG, PROVIDERS_SAMPLES])),
            right(OUTPUT, On::Topics(&[RAW_BLOCKS, RAW_TRANSACTIONS, STAGE_STATUS, DEAD_LETTERS])),
            right(READ, On::Group("ingest")),
            right(DESCRIBE, On::Group(READER_GROUP)),
            // Back-fill waits for those who read what it writes.
            right(DESCRIBE, On::Topics(&[ENRICHED_TRANSACTIONS])),
            right(DESCRIBE, On::Group("enrich")),
            right(DESCRIBE, On::Group("sink")),
            right(WRITE, On::TransactionalIds("ingest.")),
            right(WRITE, On::TransactionalIds("status.ingest.")),
            right(WRITE, On::TransactionalIds("samples.ingest.")),
        ],
        Role::Enrich => vec![
            right(READ, On::Topics(&[RAW_BLOCKS, RAW_TRANSACTIONS, CONTROL_CONFIG, CONTRACT_FACTS])),
            right(OUTPUT, On::Topics(&[ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS, ENRICHED_EVENTS, DEAD_LETTERS])),
            right(BOTH, On::Topics(&[STAGE_STATUS])),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(READ, On::Group("enrich")),
            right(WRITE, On::TransactionalIds("enrich.")),
            right(WRITE, On::TransactionalIds("status.enrich.")),
        ],
        Role::Causes => vec![
            // Dead letters hold failed transactions of which the stream has a placeholder.
            right(READ, On::Topics(&[RAW_TRANSACTIONS, CONTROL_CONFIG, DEAD_LETTERS])),
            // Who takes a partition over reads back what was decided.
            right(BOTH, On::Topics(&[CONTRACT_FACTS, ENRICHED_CAUSES])),
            right(OUTPUT, On::Topics(&[STAGE_STATUS])),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(READ, On::Group("causes")),
            right(READ, On::Group("causes-failures")),
            right(WRITE, On::TransactionalIds("causes.")),
            right(WRITE, On::TransactionalIds("causes-failures.")),
            right(WRITE, On::TransactionalIds("status.causes.")),
        ],
        Role::Aggregate => vec![
            right(READ, On::Topics(&[ENRICHED_BLOCKS, CONTROL_CONFIG])),
            // Who takes a partition over reads how far its windows are published.
            right(BOTH, On::Topics(&[METRICS_WINDOWS])),
            right(OUTPUT, On::Topics(&[STAGE_STATUS])),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(READ, On::Group("aggregate")),
            right(WRITE, On::TransactionalIds("aggregate.")),
            right(WRITE, On::TransactionalIds("status.aggregate.")),
        ],
        Role::Alerts => vec![
            right(
                READ,
                On::Topics(&[
                    ENRICHED_BLOCKS,
                    ENRICHED_TRANSACTIONS,
                    ENRICHED_CAUSES,
                    PROVIDERS_SAMPLES,
                    METRICS_WINDOWS,
                    CONTROL_CONFIG,
                    CONTROL_TENANTS,
                ]),
            ),
            right(READ, On::Topics(&[ALERTS_COMMANDS])),
            // What one of its groups writes another reads, and each reads its own state back.
            right(BOTH, On::Topics(&[ALERTS_RING, ALERTS_MATCHES, ALERTS_STATE, ALERTS_OUTBOX, STAGE_STATUS])),
            right(OUTPUT, On::Topics(&[ALERTS_EVENTS, ALERTS_DELIVERIES])),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(READ, On::Group("alerts.match")),
            right(READ, On::Group("alerts.state")),
            right(READ, On::Group("alerts.deliver")),
            right(WRITE, On::TransactionalIds("alerts.match.")),
            right(WRITE, On::TransactionalIds("alerts.state.")),
            right(WRITE, On::TransactionalIds("alerts.deliver.")),
            right(WRITE, On::TransactionalIds("status.alerts.")),
        ],
        Role::Sink => vec![
            right(
                READ,
                On::Topics(&[
                    ENRICHED_BLOCKS,
                    ENRICHED_TRANSACTIONS,
                    ENRICHED_CAUSES,
                    CONTROL_CONFIG,
                    PROVIDERS_SAMPLES,
                    METRICS_WINDOWS,
                ]),
            ),
            right(OUTPUT, On::Topics(&[DEAD_LETTERS, STAGE_STATUS])),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(READ, On::Group("sink")),
            right(READ, On::Group("sink.causes")),
            right(READ, On::Group("sink.samples")),
            right(READ, On::Group("sink.windows")),
            // What becomes of alerts, for the tables of tenants.
            right(READ, On::Topics(&[topics::ALERTS_EVENTS, topics::ALERTS_DELIVERIES, topics::ALERTS_MATCHES])),
            right(READ, On::Group("sink.alerts")),
            right(WRITE, On::TransactionalIds("sink.dead-letters.")),
            right(WRITE, On::TransactionalIds("status.sink.")),
        ],
        Role::Api => vec![
            right(
                READ,
                On::Topics(&[
                    ENRICHED_BLOCKS,
                    ENRICHED_TRANSACTIONS,
                    ENRICHED_CAUSES,
                    PROVIDERS_SAMPLES,
                    METRICS_WINDOWS,
                    CONTRACT_FACTS,
                ]),
            ),
            // It publishes what changes in the control store (rule 34), and nobody else reads what is a tenant's.
            right(BOTH, On::Topics(&[STAGE_STATUS, CONTROL_CONFIG, CONTROL_TENANTS])),
            // Only there in a cluster that a former version made.
            right(READ, On::Topics(&[INGEST_STATUS, ENRICH_STATUS])),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(WRITE, On::TransactionalIds("status.api.")),
            right(WRITE, On::TransactionalIds(control::publisher::TRANSACTIONAL_ID)),
            // Channels whose receivers are gone.
            right(READ, On::Topics(&[topics::ALERTS_DELIVERIES])),
            right(READ, On::Group("api.channels")),
            // What becomes of alerts is told live, and what people ask of them is handed on.
            right(READ, On::Topics(&[topics::ALERTS_EVENTS])),
            right(OUTPUT, On::Topics(&[topics::ALERTS_COMMANDS])),
            right(WRITE, On::TransactionalIds("alerts.commands.")),
        ],
        Role::TopicsApply => vec![right(&["Create", "Alter", "AlterConfigs"], On::AllTopics)],
        Role::TopicsDiff => vec![right(&["Describe", "DescribeConfigs"], On::AllTopics)],
        Role::Tail => vec![right(READ, On::AllTopics), right(DESCRIBE, On::Group(READER_GROUP))],
        Role::DeadLetters => vec![right(READ, On::Topics(&[DEAD_LETTERS])), right(DESCRIBE, On::Group(READER_GROUP))],
        Role::Requests => vec![
            right(BOTH, On::Topics(&[CONTROL_CONFIG])),
            right(
                READ,
                On::Topics(&[
                    INGEST_CHECKPOINTS,
                    STAGE_STATUS,
                    RAW_BLOCKS,
                    RAW_TRANSACTIONS,
                    ENRICHED_BLOCKS,
                    ENRICHED_TRANSACTIONS,
                ]),
            ),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(WRITE, On::TransactionalIds("requests")),
        ],
        Role::Lag => vec![
            right(DESCRIBE, On::Topics(&[RAW_BLOCKS, RAW_TRANSACTIONS, ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS])),
            right(DESCRIBE, On::Group("enrich")),
            right(DESCRIBE, On::Group("sink")),
        ],
    }
}

/// Topics that a stage reads or writes, each with a right that it needs there.
pub fn topics_of(stage: Stage) -> Vec<(TopicSpec, &'static str)> {
    let role = match stage {
        Stage::Ingest => Role::Ingest,
        Stage::Enrich => Role::Enrich,
        Stage::Causes => Role::Causes,
        Stage::Aggregate => Role::Aggregate,
        Stage::Alerts => Role::Alerts,
        Stage::Sink => Role::Sink,
        Stage::Api => Role::Api,
    };
    let mut all = Vec::new();
    for right in rights(role) {
        if let On::Topics(topics) = right.on {
            all.extend(topics.iter().flat_map(|topic| right.operations.first().map(|operation| (*topic, *operation))));
        }
    }
    all
}
