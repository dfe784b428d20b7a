//! `headwater topics` and `headwater schemas`: a Kafka cluster and its schema registry, made ready for the stages.

use std::{io::Write, path::Path};

use runtime::{
    log::kafka::Difference,
    registry::{Missing, Registry},
};
use schemas::topics;

use crate::{exit::Failure, parts};

/// Makes and changes topics.
pub fn apply(file: &Path) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let kafka = parts::kafka_of(&config)?;
    parts::block_on(async {
        let log = parts::connect_kafka(&config, kafka).await?;
        let done = log.apply_topics(&topics::ALL, kafka.partitions).await?;
        let left = log.diff_topics(&topics::ALL, kafka.partitions).await?;
        print(&done, "changed")?;
        if done.is_empty() {
            eprintln!("nothing to change");
        }
        warn(&left);
        Ok(())
    })?
}

/// Tells differences.
pub fn diff(file: &Path) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let kafka = parts::kafka_of(&config)?;
    parts::block_on(async {
        let log = parts::connect_kafka(&config, kafka).await?;
        let all = log.diff_topics(&topics::ALL, kafka.partitions).await?;
        print(&all, "differs")?;
        if all.is_empty() {
            eprintln!("all {} topics are as they should be", topics::ALL.len());
            return Ok(());
        }
        let (can, cannot): (Vec<_>, Vec<_>) = all.into_iter().partition(|d| d.can_change);
        warn(&cannot);
        Err(Failure::new(format!(
            "{} differences; `headwater topics apply` changes {}",
            can.len() + cannot.len(),
            can.len()
        )))
    })?
}

/// Registers schemas.
pub fn push_schemas(file: &Path) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let kafka = parts::kafka_of(&config)?;
    let Some(url) = kafka.schema_registry.clone() else {
        return Err(Failure::config(
            "there is no `[log] schema_registry`: the built-in ids are used, and served under /registry; nothing to push",
        ));
    };
    parts::block_on(async {
        let ids = Registry::new(url, &config.log.prefix)?.ids(Missing::Register).await?;
        let mut out = std::io::stdout().lock();
        for r in ids {
            writeln!(out, "{}\tversion {}\tid {}", r.subject, r.version, r.id)?;
        }
        Ok(())
    })?
}

fn print(differences: &[Difference], word: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for d in differences {
        writeln!(out, "{}\t{word}\t{}\t{} -> {}", d.topic, d.what, d.have, d.want)?;
    }
    Ok(())
}

fn warn(left: &[Difference]) {
    for d in left {
        eprintln!(
            "{}: {} is {} and should be {}: this cannot be changed from here; see Kafka's own tools",
            d.topic, d.what, d.have, d.want
        );
    }
}
