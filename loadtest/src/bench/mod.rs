//! `loadtest bench`: the real `headwater` binary against a simulated node in this process, over loopback.
//!
//! Guarantee: every figure is measured on this machine in this run, with the block set and the settings named beside it;
//! and the speed counts only when the store then holds exactly what the chain holds (transactions, failures, logs, gas).
//!
//! Three measurements: how fast the simulated node is alone; how fast a chain that is already there becomes visible rows,
//! with CPU, bytes and memory; and how long a new head takes to a WebSocket at a steady rate of transactions. With
//! `--ingest-only` another: how fast it becomes records of Kafka, and how fast a peer does the same.

mod child;
mod feed;
mod instance;
mod latency;
pub(crate) mod processes;
mod report;
mod source;
mod speed;

use crate::failure::Failure;
use crate::node::evm::{self, Clock, Config, Dataset, Fault, FaultKind, Simulator};
use clap::{Args, ValueEnum};
use instance::Instance;
pub use processes::{Memory, memory};
use report::{Report, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The network's name in the measured configuration.
const NETWORK: &str = "bench";

/// Blocks that go through a broker before it is measured: what runs for weeks elsewhere has just started here, and its virtual
/// machine compiles for half a minute.
const WARM_UP: u64 = 5_000;

/// Which log the stages meet at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogKind {
    /// The embedded log, in the data directory.
    Embedded,
    /// Kafka, named by --kafka.
    Kafka,
    /// One after the other, side by side.
    Both,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: one object.
    Json,
}

/// What is measured, and with what.
#[derive(Debug, Args)]
#[command(args_override_self = true)] // scripts give defaults before what people add
pub struct Bench {
    /// Which log the stages meet at
    #[arg(long, value_enum, default_value = "embedded")]
    log: LogKind,
    /// A Kafka broker for `--log kafka` and `both`, `host:port`; its own CPU is told apart where `scripts/services` runs it
    #[arg(long, value_name = "HOST:PORT", env = "HEADWATER_TEST_KAFKA", required_if_eq_any([("log", "kafka"), ("log", "both")]))]
    kafka: Option<String>,
    /// Measures the ingest stage alone: node → Avro → Kafka, acks=all
    #[arg(long, requires = "kafka")]
    ingest_only: bool,
    /// The program `ethereumetl`, whose `stream` does the same with the first --peer-blocks blocks
    #[arg(long, value_name = "PATH", requires = "ingest_only")]
    against: Option<PathBuf>,
    /// Blocks of the peer's measurement
    #[arg(long, default_value_t = 200)]
    peer_blocks: u64,
    /// Folder of recorded blocks; default: the built-in Ethereum blocks
    #[arg(long)]
    data: Option<PathBuf>,
    /// How the figures are printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The `headwater` binary; default: beside this one
    #[arg(long, visible_alias = "binary", value_name = "PATH")]
    release_binary: Option<PathBuf>,
    /// Blocks that are there before the speed is measured
    #[arg(long, default_value_t = 2_000)]
    blocks: u64,
    /// Transactions per second while the latency is measured
    #[arg(long, default_value_t = 1_000.0)]
    latency_rate: f64,
    /// Seconds for which the latency is measured
    #[arg(long, default_value_t = 20)]
    latency_seconds: u64,
    /// Lines for the measured configuration's end, such as a [log] section
    #[arg(long, value_name = "TOML", default_value = "")]
    extra_config: String,
    /// Keep the data directory and the binary's messages, and say where
    #[arg(long)]
    keep: bool,
}

/// Measures, and prints to standard output.
///
/// # Errors
/// When something cannot be started, does not come to an end, or the store does not hold what the chain holds.
pub async fn run(args: Bench) -> Result<(), Failure> {
    // A second installation fails, and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let data = Arc::new(match &args.data {
        Some(path) => Dataset::from_dir(path)?,
        None => Dataset::embedded("ethereum")?,
    });
    let binary = match &args.release_binary {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("headwater"),
    };
    if args.ingest_only {
        let brokers = args.kafka.as_deref().ok_or("--ingest-only wants --kafka HOST:PORT")?;
        feed::headwater(&binary, data.clone(), WARM_UP, brokers, &args.extra_config).await?;
        let mut feeds = vec![feed::headwater(&binary, data.clone(), args.blocks, brokers, &args.extra_config).await?];
        let peer = match &args.against {
            Some(program) => feed::ethereum_etl(program, data.clone(), args.peer_blocks, brokers).await.map(Some),
            None => Ok(None),
        };
        // A peer that fails does not take away what was measured before.
        let failed = peer.map(|feed| feeds.extend(feed)).err();
        report::print_feeds(&Settings::new(&args, LogKind::Kafka, &data, &binary), &feeds, args.format)?;
        return failed.map_or(Ok(()), Err);
    }
    let source = source::measure(data.clone()).await?;
    let kinds = if args.log == LogKind::Both { vec![LogKind::Embedded, LogKind::Kafka] } else { vec![args.log] };
    let mut reports = Vec::new();
    for kind in kinds {
        let settings = Settings::new(&args, kind, &data, &binary);
        if let (LogKind::Kafka, Some(brokers)) = (kind, &args.kafka) {
            feed::headwater(&binary, data.clone(), WARM_UP, brokers, &args.extra_config).await?;
        }
        let node = Node::start(data.clone(), args.blocks).await?;
        let extra = format!("{}{}", args.extra_config, log_section(&args, kind)?);
        let mut instance = Instance::start(&binary, &node, &extra, args.keep).await?;
        let result = measure(&args, kind, &node, &mut instance).await;
        let stopped = instance.stop().await;
        let (speed, latency, memory) = result.map_err(|e| instance.explain(e))?;
        stopped?;
        reports.push(Report { settings, source: source.clone(), speed, latency, memory });
    }
    report::print(&reports, args.format)?;
    Ok(())
}

/// The configuration's `[log]`, with topics that no other run has.
fn log_section(args: &Bench, kind: LogKind) -> Result<String, Failure> {
    match (kind, &args.kafka) {
        (LogKind::Embedded, _) => Ok(String::new()),
        (_, None) => Err("--log kafka wants --kafka HOST:PORT".into()),
        (_, Some(brokers)) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
            Ok(format!("\n[log]\nkafka = {brokers:?}\nprefix = \"bench-{now:x}.\"\n"))
        }
    }
}

async fn measure(
    args: &Bench,
    kind: LogKind,
    node: &Node,
    instance: &mut Instance,
) -> Result<(speed::Speed, latency::Latency, processes::Memory), Failure> {
    let speed = speed::measure(node, instance, kind != LogKind::Embedded).await?;
    let latency =
        latency::measure(node, instance, args.latency_rate, Duration::from_secs(args.latency_seconds)).await?;
    let memory = processes::memory(instance.pid());
    Ok((speed, latency, memory))
}

/// A simulated node on threads of its own, so that its CPU is told apart.
struct Node {
    simulator: Simulator,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Node {
    /// How the node's threads are called.
    const THREADS: &'static str = "sim";

    /// A chain of `blocks` blocks, of which only the first shows until the fault is cleared.
    async fn start(data: Arc<Dataset>, blocks: u64) -> Result<Self, Failure> {
        let config = Config {
            clock: Clock::Manual,
            history: blocks,
            faults: vec![Fault::always(FaultKind::StaleHead { back: blocks })],
            window: usize::try_from(blocks)?.saturating_add(8_192),
            ..Config::new(data)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(Self::THREADS)
            .enable_all()
            .build()?;
        let simulator = runtime.spawn(evm::spawn(config)).await??;
        Ok(Self { simulator, runtime: Some(runtime) })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
