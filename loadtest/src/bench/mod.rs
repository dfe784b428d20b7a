//! `loadtest bench`: the real `headwater` binary against a simulated node in this process, over loopback.
//!
//! Guarantee: every figure is measured on this machine in this run, with the block set and the settings named beside it;
//! and the speed counts only when the store then holds exactly what the chain holds (transactions, failures, logs, gas).
//!
//! Measurements: how fast the simulated node is alone; how fast a chain that is already there becomes visible rows, with CPU, bytes
//! and memory; how long a new head takes to a WebSocket at a steady rate of transactions, and to the message of an alert; what idleness costs, by networks; and what many networks with several endpoints each cost. With
//! `--ingest-only` others: how fast a chain becomes records of Kafka, and how fast peers do the same. With `--against` two binaries
//! in turn, on the same blocks.

pub(crate) mod alerts;
mod bitcoin;
mod catch_up;
pub(crate) mod child;
mod compare;
pub(crate) mod contracts;
mod feed;
mod fleet;
mod idle;
pub(crate) mod instance;
mod latency;
mod merges;
pub(crate) mod metrics;
mod node;
mod peers;
pub(crate) mod processes;
mod report;
mod source;
mod speed;

use crate::cluster;
use crate::failure::Failure;
use crate::node::evm::Dataset;
use alerts::Alerts;
use bitcoin::Bitcoin;
pub(crate) use catch_up::catch_up;
use clap::{Args, ValueEnum};
use contracts::Contracts;
use feed::Feed;
use fleet::Fleet;
use idle::Idle;
use instance::{Instance, Setting};
pub(crate) use node::Node;
pub use processes::{Memory, memory};
pub(crate) use report::{Lines, figure};
use report::{Report, Settings};
pub use speed::Speed;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The network's name in the measured configuration.
pub(crate) const NETWORK: &str = "bench";

/// Blocks that are there before alerts are measured.
const ALERT_HISTORY: u64 = 20;

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
    /// Another `headwater` binary: both are measured in turn on the same blocks, the other first, and compared by ratio
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// How often each of both is measured
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=100), requires = "against")]
    rounds: u16,
    /// The program `ethereumetl`, whose `stream` does the same with the first --peer-blocks blocks
    #[arg(long, value_name = "PATH", requires = "ingest_only", conflicts_with = "against")]
    etl: Option<PathBuf>,
    /// Blocks of ethereum-etl's measurement
    #[arg(long, default_value_t = 200)]
    peer_blocks: u64,
    /// A Python interpreter that has `cryo`, which writes the same blocks' transactions into files
    #[arg(long, value_name = "PATH", requires = "ingest_only", conflicts_with = "against")]
    cryo: Option<PathBuf>,
    /// Folder of recorded blocks; default: the built-in Ethereum blocks
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only blocks that were recorded at this height or above
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    recorded_from: u64,
    /// How the figures are printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The `headwater` binary; default: beside this one
    #[arg(long, visible_alias = "binary", value_name = "PATH")]
    release_binary: Option<PathBuf>,
    /// Blocks that are there before the speed is measured
    #[arg(long, default_value_t = 2_000)]
    blocks: u64,
    /// Instead: blocks with at least so many transactions, and the store has merged all it had to before it is counted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    transactions: Option<u64>,
    /// Transactions per second while the latency is measured
    #[arg(long, default_value_t = 1_000.0)]
    latency_rate: f64,
    /// Seconds for which the latency is measured; 0: it is not
    #[arg(long, default_value_t = 20)]
    latency_seconds: u64,
    /// Blocks that go through a broker before it is measured: what runs for weeks elsewhere has just started here, and its virtual
    /// machine compiles for half a minute
    #[arg(long, default_value_t = 5_000)]
    warm_up: u64,
    /// Monitors that every block is held against while it is measured how long an alert takes to its receiver, at the same rate and as long;
    /// 0: it is not
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    alert_monitors: u32,
    /// Tenants that have these monitors
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    alert_tenants: u16,
    /// Networks of which the cost of idleness is measured, beside that of one; 0: it is not
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=200))]
    idle_networks: u16,
    /// Networks of which it is measured what --fleet-endpoints endpoints each cost; 0: it is not
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(0..=200))]
    fleet_networks: u16,
    /// Endpoints, each of an operator of its own, of these networks
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=20))]
    fleet_endpoints: u16,
    /// Blocks of a Bitcoin chain, 461 to 2,500 transactions each, whose speed is measured too; 0: it is not
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    bitcoin_blocks: u64,
    /// Contracts of the operator, each with an ABI: half of them are those that the recorded blocks name most often
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1_000), conflicts_with = "ingest_only")]
    contracts: u16,
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
    let data = match &args.data {
        Some(path) => Dataset::from_dir(path)?,
        None => Dataset::embedded("ethereum")?,
    };
    let data = Arc::new(data.recorded_from(args.recorded_from)?);
    let binary = cluster::binary(args.release_binary.as_deref())?;
    let blocks = match args.transactions {
        Some(transactions) => blocks_with(&data, transactions)?,
        None => args.blocks,
    };
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let contracts = match args.contracts {
        0 => None,
        count => Some(Contracts::of(&data, count.into())?),
    };
    let bench = Measuring { args, data, contracts, binary, blocks, at_ms };
    match (&bench.args.against, bench.args.ingest_only) {
        (None, false) => bench.alone().await,
        (None, true) => bench.beside_peers().await,
        (Some(other), false) => bench.against(other).await,
        (Some(other), true) => bench.ingest_against(other).await,
    }
}

/// Blocks beyond the first that have so many transactions, replayed in a cycle from the second on.
fn blocks_with(data: &Dataset, transactions: u64) -> Result<u64, Failure> {
    let counts: Vec<u64> = data.blocks().iter().map(|b| b.facts().tx_count).collect();
    let cycle: u64 = counts.iter().sum();
    if cycle == 0 {
        return Err(format!("the recorded blocks of {} have no transactions", data.name()).into());
    }
    let (mut blocks, mut left) = (transactions / cycle * counts.len() as u64, transactions % cycle);
    for count in counts.iter().cycle().skip(1) {
        if left == 0 {
            break;
        }
        (blocks, left) = (blocks + 1, left.saturating_sub(*count));
    }
    Ok(blocks)
}

/// Lines of a configuration whose stages meet at Kafka, with topics that no other measurement of this name has.
pub(crate) fn over_kafka(brokers: &str, name: &str) -> Result<String, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(format!("[log]\nkafka = {brokers:?}\nprefix = \"{name}-{now:x}.\"\n"))
}

/// All that one run measures with.
struct Measuring {
    args: Bench,
    data: Arc<Dataset>,
    contracts: Option<Contracts>,
    binary: PathBuf,
    /// Blocks that are measured.
    blocks: u64,
    /// When the chain begins, the same for all that are compared: so it is the same chain.
    at_ms: u64,
}

impl Measuring {
    fn kinds(&self) -> Vec<LogKind> {
        if self.args.log == LogKind::Both { vec![LogKind::Embedded, LogKind::Kafka] } else { vec![self.args.log] }
    }

    async fn node(&self, blocks: u64) -> Result<Node, Failure> {
        Node::start(self.data.clone(), blocks, self.at_ms).await
    }

    fn brokers(&self) -> Result<&str, Failure> {
        self.args.kafka.as_deref().ok_or_else(|| "this wants --kafka HOST:PORT".into())
    }

    /// The configuration's end, with topics that no other measurement has.
    fn extra(&self, kind: LogKind) -> Result<String, Failure> {
        if kind == LogKind::Embedded {
            return Ok(self.args.extra_config.clone());
        }
        Ok(format!("{}\n{}", self.args.extra_config, over_kafka(self.brokers()?, "bench")?))
    }

    /// Wakes up what a broker does late.
    async fn warm_up(&self, kind: LogKind) -> Result<(), Failure> {
        if kind == LogKind::Kafka && self.args.warm_up > 0 {
            self.feed_of(&self.binary, self.args.warm_up).await?;
        }
        Ok(())
    }

    async fn feed_of(&self, binary: &Path, blocks: u64) -> Result<Feed, Failure> {
        feed::headwater(binary, &self.node(blocks).await?, self.brokers()?, &self.args.extra_config).await
    }

    /// One binary over one log, once.
    async fn whole(&self, binary: &Path, kind: LogKind) -> Result<Report, Failure> {
        let (args, node) = (&self.args, self.node(self.blocks).await?);
        let mut extra = self.extra(kind)?;
        if let Some(contracts) = &self.contracts {
            extra.push('\n');
            extra.push_str(&contracts.lines);
        }
        let mut instance = Instance::start(binary, &node, &Setting { keep: args.keep, ..Setting::of(&extra) }).await?;
        let measured = async {
            let speed =
                speed::measure(&node, &mut instance, kind != LogKind::Embedded, args.transactions.is_some()).await?;
            let lasting = Duration::from_secs(args.latency_seconds);
            let latency = match args.latency_seconds {
                0 => None,
                _ => Some(latency::measure(&node, &mut instance, args.latency_rate, lasting).await?),
            };
            Ok((speed, latency, processes::memory(instance.pid())))
        };
        let result = measured.await;
        let stopped = instance.stop().await;
        let (speed, latency, memory) = result.map_err(|e: Failure| instance.explain(e))?;
        stopped?;
        Ok(Report { settings: Settings::new(self, kind, binary), speed, latency, memory })
    }

    /// How long an alert takes to its receiver over one log, from the head on.
    async fn alerts(&self, kind: LogKind) -> Result<Option<Alerts>, Failure> {
        let (args, monitors) = (&self.args, usize::try_from(self.args.alert_monitors)?);
        if monitors == 0 || args.latency_seconds == 0 {
            return Ok(None);
        }
        let load = alerts::Load {
            tenants: args.alert_tenants.into(),
            monitors,
            rate: args.latency_rate,
            lasting: Duration::from_secs(args.latency_seconds),
        };
        let node = self.node(ALERT_HISTORY).await?;
        alerts::measure(&self.binary, &node, (&self.extra(kind)?, args.keep), load).await.map(Some)
    }

    /// What idleness costs one binary over the first log, with one network and with several.
    async fn idle(&self, binary: &Path) -> Result<Vec<Idle>, Failure> {
        let kind = self.kinds()[0];
        let mut all = Vec::new();
        let most = usize::from(self.args.idle_networks);
        for networks in [1, most].into_iter().take(most.min(2)) {
            all.push(idle::measure(binary, self.data.clone(), &self.extra(kind)?, networks, self.at_ms).await?);
        }
        Ok(all)
    }

    /// What many networks with several endpoints each cost this binary over the first log.
    async fn fleets(&self) -> Result<Vec<Fleet>, Failure> {
        let many = (usize::from(self.args.fleet_networks), usize::from(self.args.fleet_endpoints));
        if many.0 == 0 {
            return Ok(Vec::new());
        }
        fleet::measure(&self.binary, self.data.clone(), &self.extra(self.kinds()[0])?, many, self.at_ms).await
    }

    /// A Bitcoin chain over each log, in their order.
    async fn bitcoin(&self) -> Result<Vec<Bitcoin>, Failure> {
        let mut all = Vec::new();
        for kind in self.kinds().into_iter().filter(|_| self.args.bitcoin_blocks > 0) {
            let (blocks, keep) = (self.args.bitcoin_blocks, self.args.keep);
            all.push(bitcoin::measure(&self.binary, blocks, &self.extra(kind)?, self.at_ms, keep).await?);
        }
        Ok(all)
    }

    async fn alone(&self) -> Result<(), Failure> {
        let source = source::measure(self.data.clone()).await?;
        let (mut reports, mut alerts) = (Vec::new(), Vec::new());
        for kind in self.kinds() {
            self.warm_up(kind).await?;
            reports.push(self.whole(&self.binary, kind).await?);
            alerts.extend(self.alerts(kind).await?);
        }
        let idle = self.idle(&self.binary).await?;
        let fleets = self.fleets().await?;
        let bitcoin = self.bitcoin().await?;
        report::print(&report::Alone { reports, alerts, idle, fleets, source, bitcoin }, self.args.format)?;
        Ok(())
    }

    async fn against(&self, other: &Path) -> Result<(), Failure> {
        let mut logs = Vec::new();
        for kind in self.kinds() {
            self.warm_up(kind).await?;
            let (mut old, mut new) = (Vec::new(), Vec::new());
            for round in 1..=self.args.rounds {
                for (name, binary, reports) in [("other", other, &mut old), ("this", &*self.binary, &mut new)] {
                    let report =
                        self.whole(binary, kind).await.map_err(|e| format!("round {round}, the {name} binary: {e}"))?;
                    let rate = report.speed.transactions_per_second;
                    tracing::info!(round, binary = name, ?kind, "{rate:.0} transactions/s");
                    reports.push(report);
                }
            }
            logs.push(compare::Log { settings: Settings::new(self, kind, &self.binary), old, new });
        }
        let (old, new) = (self.idle(other).await?, self.idle(&self.binary).await?);
        let compared = compare::Compared { other: other.to_owned(), logs, idle_old: old, idle_new: new };
        compare::print(&compared, self.args.format)?;
        Ok(())
    }

    async fn ingest_against(&self, other: &Path) -> Result<(), Failure> {
        self.warm_up(LogKind::Kafka).await?;
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for _ in 0..self.args.rounds {
            old.push(self.feed_of(other, self.blocks).await?);
            new.push(self.feed_of(&self.binary, self.blocks).await?);
        }
        let settings = Settings::new(self, LogKind::Kafka, &self.binary);
        compare::print_feeds(&compare::Feeds { other: other.to_owned(), settings, old, new }, self.args.format)?;
        Ok(())
    }

    /// All on one node, one after the other.
    async fn beside_peers(&self) -> Result<(), Failure> {
        let (args, brokers) = (&self.args, self.brokers()?);
        self.warm_up(LogKind::Kafka).await?;
        let node = self.node(self.blocks).await?;
        let mut feeds = vec![feed::headwater(&self.binary, &node, brokers, &args.extra_config).await?];
        // A peer that fails does not take away what was measured before.
        let mut failed = None;
        if let Some(python) = &args.cryo {
            peers::cryo(python, &node).await.map_or_else(|e| failed = Some(e), |feed| feeds.push(feed));
        }
        if let Some(program) = &args.etl {
            let feed = peers::ethereum_etl(program, &node, args.peer_blocks, brokers).await;
            feed.map_or_else(|e| failed = Some(e), |feed| feeds.push(feed));
        }
        report::print_feeds(&Settings::new(self, LogKind::Kafka, &self.binary), &feeds, args.format)?;
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_blocks_for_the_transactions_and_not_one_more() {
        let data = Dataset::embedded("ethereum").expect("built in");
        let counts: Vec<u64> = data.blocks().iter().map(|b| b.facts().tx_count).collect();
        for want in [1, 100, 1_330, 1_331, 400_000] {
            let blocks = blocks_with(&data, want).expect("some") as usize;
            let made: u64 = counts.iter().cycle().skip(1).take(blocks).sum();
            assert!(made >= want, "{want}: {made}");
            let less: u64 = counts.iter().cycle().skip(1).take(blocks - 1).sum();
            assert!(less < want || counts[blocks % counts.len()] == 0, "{want}: {less} would do");
        }
    }
}
