//! What each stage and command must be allowed to do in a Kafka cluster with an authorizer: the one list. `headwater topics acls`
//! prints it, docs/kafka.md shows it, and a stage that may not make topics looks only for its own.
//!
//! Guarantee: with exactly these rights every stage and command works, and each right is asked for (tests/security.rs, on a broker
//! with its authorizer on, by what the broker's audit log says).

use std::{fmt, io::Write, path::Path};

use clap::ValueEnum;
use runtime::log::kafka::READER_GROUP;
use schemas::topics::{self, TopicSpec};

use crate::{exit::Failure, parts, up};

/// Who is to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// `headwater ingest`
    Ingest,
    /// `headwater enrich`
    Enrich,
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
    /// `/lag` on the admin port, which `headwater status` asks: beside what its stage needs
    Lag,
}

/// Rights on things of one kind.
struct Right {
    operations: &'static [&'static str],
    on: On,
}

enum On {
    Topics(&'static [TopicSpec]),
    /// Every topic with the prefix.
    AllTopics,
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
fn rights(role: Role) -> Vec<Right> {
    use topics::{
        CONTROL_CONFIG, DEAD_LETTERS, ENRICH_STATUS, ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS, INGEST_CHECKPOINTS,
        INGEST_STATUS, RAW_BLOCKS, RAW_TRANSACTIONS,
    };
    let right = |operations, on| Right { operations, on };
    match role {
        Role::Ingest => vec![
            right(BOTH, On::Topics(&[INGEST_CHECKPOINTS, CONTROL_CONFIG])),
            right(OUTPUT, On::Topics(&[RAW_BLOCKS, RAW_TRANSACTIONS, INGEST_STATUS, DEAD_LETTERS])),
            right(READ, On::Group("ingest")),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(WRITE, On::TransactionalIds("ingest.")),
        ],
        Role::Enrich => vec![
            right(READ, On::Topics(&[RAW_BLOCKS, RAW_TRANSACTIONS])),
            right(OUTPUT, On::Topics(&[ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS, DEAD_LETTERS])),
            right(BOTH, On::Topics(&[ENRICH_STATUS])),
            right(DESCRIBE, On::Group(READER_GROUP)),
            right(READ, On::Group("enrich")),
            right(WRITE, On::TransactionalIds("enrich.")),
        ],
        Role::Sink => vec![
            right(READ, On::Topics(&[ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS])),
            right(OUTPUT, On::Topics(&[DEAD_LETTERS])),
            right(READ, On::Group("sink")),
            right(WRITE, On::TransactionalIds("sink.dead-letters.")),
        ],
        Role::Api => vec![
            right(READ, On::Topics(&[ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS, INGEST_STATUS, ENRICH_STATUS])),
            right(DESCRIBE, On::Group(READER_GROUP)),
        ],
        Role::TopicsApply => vec![right(&["Create", "Alter", "AlterConfigs"], On::AllTopics)],
        Role::TopicsDiff => vec![right(&["Describe", "DescribeConfigs"], On::AllTopics)],
        Role::Tail => vec![right(READ, On::AllTopics), right(DESCRIBE, On::Group(READER_GROUP))],
        Role::DeadLetters => vec![right(READ, On::Topics(&[DEAD_LETTERS])), right(DESCRIBE, On::Group(READER_GROUP))],
        Role::Lag => vec![
            right(DESCRIBE, On::Topics(&[RAW_BLOCKS, RAW_TRANSACTIONS, ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS])),
            right(DESCRIBE, On::Group("enrich")),
            right(DESCRIBE, On::Group("sink")),
        ],
    }
}

/// Topics that a stage reads or writes, each with a right that it needs there.
pub fn topics_of(stage: up::Stage) -> Vec<(TopicSpec, &'static str)> {
    let role = match stage {
        up::Stage::Ingest => Role::Ingest,
        up::Stage::Enrich => Role::Enrich,
        up::Stage::Sink => Role::Sink,
        up::Stage::Api => Role::Api,
    };
    let mut all = Vec::new();
    for right in rights(role) {
        if let On::Topics(topics) = right.on {
            all.extend(topics.iter().flat_map(|topic| right.operations.first().map(|operation| (*topic, *operation))));
        }
    }
    all
}

/// The rights as commands of Kafka's own tool.
struct Grants<'a> {
    role: Role,
    principal: &'a str,
    brokers: &'a str,
    prefix: &'a str,
}

impl fmt::Display for Grants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, principal, brokers, prefix } = self;
        for right in rights(*role) {
            write!(f, "kafka-acls --bootstrap-server {brokers} --command-config admin.properties --add")?;
            write!(f, " --allow-principal {principal}")?;
            right.operations.iter().try_for_each(|operation| write!(f, " --operation {operation}"))?;
            match right.on {
                On::Topics(topics) => topics.iter().try_for_each(|t| write!(f, " --topic {prefix}{}", t.name))?,
                On::AllTopics if prefix.is_empty() => write!(f, " --topic '*'")?,
                On::AllTopics => write!(f, " --topic {prefix} --resource-pattern-type prefixed")?,
                On::Group(name) => write!(f, " --group {prefix}{name}")?,
                On::TransactionalIds(name) => {
                    write!(f, " --transactional-id {prefix}{name} --resource-pattern-type prefixed")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Prints the commands that grant a role what it needs, and nothing else.
pub fn print(file: &Path, roles: &[Role], principal: Option<&str>) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let kafka = parts::kafka_of(&config)?;
    let mut out = std::io::stdout().lock();
    for role in if roles.is_empty() { Role::value_variants() } else { roles } {
        let name = role.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        let principal = principal.map_or_else(|| format!("User:{name}"), str::to_owned);
        let grants = Grants { role: *role, principal: &principal, brokers: &kafka.brokers, prefix: &config.log.prefix };
        write!(out, "# {name}\n{grants}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_shows_the_list() {
        let document = include_str!("../../docs/kafka.md");
        for role in Role::value_variants() {
            let name = role.to_possible_value().expect("no role is hidden").get_name().to_owned();
            let principal = format!("User:{name}");
            let grants = Grants {
                role: *role,
                principal: &principal,
                brokers: "10.0.0.1:9093",
                prefix: schemas::topics::DEFAULT_PREFIX,
            };
            for line in grants.to_string().lines() {
                assert!(document.lines().any(|l| l == line), "docs/kafka.md lacks, for {name}:\n{grants}");
            }
        }
    }
}
