//! `loadtest tenants`: what many tenants cost beside one that has as much, how long a quiet one waits behind a noisy one, and what it costs to
//! be let in.
//!
//! Guarantee: the real binary, all stages in one process, over the embedded log, and over Kafka where a broker is named; what is compared was
//! measured in one run on the same blocks. The run fails where a thousand tenants are told of something else than one, where an alert is lost
//! or doubled, or where a request is not answered as it should be; figures beyond their aims are shown beside them, and fail nothing.

mod door;
mod evaluation;
mod noisy;
mod report;

use crate::bench::Format;
use crate::cluster;
use crate::failure::Failure;
use crate::node::evm::Dataset;
use clap::Args;
use door::Door;
use evaluation::Evaluation;
use noisy::Noisy;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is measured, and with what.
#[derive(Clone, Debug, Args)]
pub struct Tenants {
    /// Tenants, beside one that has as many monitors as they have together
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(2..=5_000))]
    tenants: u16,
    /// Monitors of each tenant: all together at most 50,000
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    monitors: u16,
    /// Transactions that are held against them
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    transactions: u64,
    /// Transactions per second while a noisy tenant is beside a quiet one
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// Seconds without the noisy one, and as many with it; 0: it is left out
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Requests of each kind of credential in a round; 0: what it costs to be let in is left out
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    requests: u32,
    /// Rounds, in each of which every kind has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// A Kafka broker over which tenants are measured too, `host:port`
    #[arg(long, value_name = "HOST:PORT", env = "HEADWATER_TEST_KAFKA")]
    kafka: Option<String>,
    /// Only what it costs to be let in
    #[arg(long)]
    only_door: bool,
    /// How the figures are printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The `headwater` binary; default: beside this one
    #[arg(long, visible_alias = "binary", value_name = "PATH")]
    release_binary: Option<PathBuf>,
    /// Keep data directories and the binary's messages, and say where
    #[arg(long)]
    keep: bool,
}

/// What came of it over one log.
#[derive(Clone, Debug, Serialize)]
struct OverLog {
    log: &'static str,
    /// A few monitors of one tenant, all of one tenant, all of many.
    evaluations: Vec<Evaluation>,
    noisy: Option<Noisy>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
struct Report {
    logs: Vec<OverLog>,
    doors: Vec<Door>,
}

/// What every part measures with.
struct Ground {
    args: Tenants,
    binary: PathBuf,
    data: Arc<Dataset>,
    /// When every chain begins: so it is the same chain.
    at_ms: u64,
}

/// Measures, and prints to standard output.
///
/// # Errors
/// When something cannot be started, does not come to an end, or is not as it should be.
pub async fn run(args: Tenants) -> Result<(), Failure> {
    // A second installation fails, and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let all = usize::from(args.tenants) * usize::from(args.monitors);
    if all > schemas::limits::control::definitions(schemas::records::DefinitionKind::Monitor) {
        return Err(format!("one tenant cannot have {all} monitors: fewer --tenants or --monitors").into());
    }
    let binary = cluster::binary(args.release_binary.as_deref())?;
    let at_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let ground = Ground { args, binary, data: Arc::new(Dataset::embedded("ethereum")?), at_ms };
    let mut report = Report { logs: Vec::new(), doors: Vec::new() };
    if !ground.args.only_door {
        report.logs.push(ground.over("embedded", "").await?);
        if let Some(brokers) = &ground.args.kafka {
            report.logs.push(ground.over("kafka", brokers).await?);
        }
    }
    if ground.args.requests > 0 {
        report.doors = door::measure(&ground).await?;
    }
    report::print(&report, ground.args.format)?;
    Ok(())
}

impl Ground {
    async fn over(&self, log: &'static str, brokers: &str) -> Result<OverLog, Failure> {
        let args = &self.args;
        let all = usize::from(args.tenants) * usize::from(args.monitors);
        let mut evaluations = Vec::new();
        for (tenants, monitors) in [(1, evaluation::FINDING), (1, all)] {
            let (evaluation, _) = evaluation::measure(self, brokers, (tenants, monitors), false).await?;
            evaluations.push(evaluation);
        }
        let (evaluation, noisy) =
            evaluation::measure(self, brokers, (args.tenants.into(), all), args.seconds > 0).await?;
        evaluations.push(evaluation);
        evaluation::same(&evaluations)?;
        Ok(OverLog { log, evaluations, noisy })
    }
}
