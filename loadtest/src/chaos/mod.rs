//! `loadtest chaos`: several of each stage over several brokers, killed at random together with the ways between them, while
//! chains grow and fork; then every row is compared with the source.
//!
//! Guarantee: what is done when is a function of the seed, which is printed; and the run succeeds only when, at its end, the
//! rows are exactly the canonical chain's, windows are what those rows give, sequences are gapless in the store and on the topics, and
//! nothing is a dead letter.
//! Threads and machines do not repeat themselves: the same seed deals the same blows, not the same races.

mod away;
mod chains;
pub(crate) mod expected;
mod plan;
pub(crate) mod topics;
mod verify;
mod visible;

use crate::cluster::{self, Cluster, Servers, Settings};
use crate::compare::percentile;
use crate::failure::Failure;
use away::Away;
use chains::Chain;
use clap::Args;
use plan::{Blow, Planned};
use runtime::log::kafka::{KafkaConfig, KafkaLog};
use rustix::process::Signal;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verify::Compared;
use visible::Watch;

/// Stages of which several run.
const STAGES: [&str; 4] = ["ingest", "enrich", "aggregate", "sink"];
/// The process of all stages over the embedded log.
const UP: &str = "up-1";
/// How long the rows may take to be complete at the beginning and at the end.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often it is asked what is visible after a blow.
const POLL: Duration = Duration::from_millis(200);

/// What is done, and with what.
#[derive(Clone, Debug, Args)]
pub struct Chaos {
    /// Seconds of blows
    #[arg(long, default_value_t = 120)]
    pub seconds: u64,
    /// Deals the same blows again [default: another one each time]
    #[arg(long, env = "HEADWATER_SEED")]
    pub seed: Option<u64>,
    /// Brokers; with more than one, they are killed too
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=5))]
    pub brokers: u64,
    /// Over the embedded log: all stages in one process, which is killed; no broker
    #[arg(long, conflicts_with_all = ["brokers", "processes", "proxy"])]
    pub embedded: bool,
    /// What the embedded log may take, bytes: less than comes while the store is away makes it wait
    #[arg(long, requires = "embedded", value_name = "BYTES")]
    pub max_bytes: Option<u64>,
    /// Processes of each stage
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=9))]
    pub processes: u64,
    /// Transactions per second of all chains together
    #[arg(long, default_value_t = 1_000.0)]
    pub rate: f64,
    /// Put a fault proxy between stages and brokers, and slow, cut and half-close the ways (needs Go)
    #[arg(long)]
    pub proxy: bool,
    /// Before the blows, take the store away for so many seconds while the chains grow
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub store_away: u64,
    /// The `headwater` binary [default: beside this one]
    #[arg(long, visible_alias = "binary", value_name = "PATH")]
    pub release_binary: Option<PathBuf>,
    /// The script that starts the servers
    #[arg(long, value_name = "PATH", default_value = "scripts/services")]
    pub services: PathBuf,
    /// No blows: what the same machine does undisturbed
    #[arg(long)]
    pub calm: bool,
    /// Keep configuration, data and the processes' messages, and say where
    #[arg(long)]
    pub keep: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Blows of each kind: processes (killed or stopped), brokers, ways.
    pub blows: [u64; 3],
    /// Of those of processes, the ones that lasted longer than a member's session.
    pub long: u64,
    /// How often processes got partitions without having been started: they took them over, or came back to them.
    pub moves: u64,
    /// Forks of all chains.
    pub forks: u64,
    /// What was compared at the end.
    pub compared: Compared,
    /// When the store was taken away.
    pub away: Option<Away>,
    /// From each blow to the next block that was made after it and is visible, of the slowest network.
    pub recoveries: Vec<(Duration, Blow)>,
    /// How long the oldest invisible block had been there, sampled over time and networks; the shortest first.
    pub behind: Vec<Duration>,
}

/// Runs it and prints the report to standard output.
///
/// # Errors
/// The first difference between rows and source, or whatever kept it from coming to its end.
pub async fn run(args: Chaos) -> Result<(), Failure> {
    let report = report(&args, &mut |line| {
        let _ = writeln!(std::io::stderr(), "{line}");
    })
    .await?;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

/// Runs it. `tell` hears what happens.
///
/// # Errors
/// As [`run`].
pub async fn report(args: &Chaos, tell: &mut (dyn FnMut(String) + Send)) -> Result<Report, Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    tell(format!("seed {seed} (HEADWATER_SEED={seed} or --seed {seed} deals the same blows)"));
    let binary = cluster::binary(args.release_binary.as_deref())?;
    let servers = match args.embedded {
        true => None,
        false => {
            tell(format!("starting {} broker(s) and a registry", args.brokers));
            Some(Servers::start(&args.services, args.brokers, args.proxy).await?)
        }
    };
    let chains = chains::start().await?;
    let cluster = Cluster::start(Settings {
        binary,
        networks: chains.iter().map(|c| (c.slug.to_owned(), c.node.endpoint())).collect(),
        log: match &servers {
            // So few partitions that each process of a stage has a network: a blow to any of them matters.
            Some(servers) => format!(
                "kafka = \"{}\"\nschema_registry = \"{}\"\nreplication = {}\npartitions = {}\n",
                servers.kafka,
                servers.registry,
                args.brokers.min(3),
                args.processes.max(3)
            ),
            None => args.max_bytes.map(|bytes| format!("max_bytes = {bytes}\n")).unwrap_or_default(),
        },
    })
    .await?;
    let stand = Stand { args, seed, servers, chains, cluster: Arc::new(Mutex::new(cluster)) };
    let outcome = stand.deal(tell).await;
    let mut cluster = stand.cluster.lock().await;
    if args.keep {
        tell(format!("kept in {}", cluster.keep().display()));
    }
    outcome.map_err(|e| format!("{e}\n{}seed {seed}", cluster.last_words()).into())
}

/// All that runs.
struct Stand<'a> {
    args: &'a Chaos,
    seed: u64,
    /// Beside a cluster's stages; `None` over the embedded log.
    servers: Option<Servers>,
    chains: Vec<Arc<Chain>>,
    cluster: Arc<Mutex<Cluster>>,
}

impl Stand<'_> {
    async fn deal(&self, tell: &mut (dyn FnMut(String) + Send)) -> Result<Report, Failure> {
        let names: Vec<String> = match self.args.embedded {
            true => vec![UP.to_owned()],
            false => STAGES.iter().flat_map(|s| (1..=self.args.processes).map(move |n| format!("{s}-{n}"))).collect(),
        };
        let api = (!self.args.embedded).then_some("api-1");
        for name in names.iter().map(String::as_str).chain(api) {
            self.cluster.lock().await.stage(name)?;
        }
        let started = Instant::now();
        self.all_visible().await?;
        tell(format!("everything runs and is visible after {:.1} s", started.elapsed().as_secs_f64()));

        let stop = CancellationToken::new();
        let _stops = stop.clone().drop_guard();
        let mut growing = JoinSet::new();
        let rate = chains::blocks_per_second(&self.chains, self.args.rate);
        for (n, chain) in self.chains.iter().enumerate() {
            let (chain, stop) = (chain.clone(), stop.clone());
            let seed = self.seed.wrapping_add(1 + n as u64);
            growing.spawn(async move { chain.grow(seed, rate, stop).await });
        }
        let away = match self.args.store_away {
            0 => None,
            seconds => Some(away::take(self, Duration::from_secs(seconds), tell).await?),
        };
        let lasting = Duration::from_secs(self.args.seconds);
        let planned = match self.args.calm {
            true => Vec::new(),
            false => {
                plan::plan(self.seed, lasting, &names, self.servers.as_ref().map_or(1, |s| s.brokers), self.args.proxy)
            }
        };
        let begun = tokio::time::Instant::now();
        let mut watch = Watch::begin(self.chains.clone(), self.cluster.lock().await.outside.clone());
        let before = self.cluster.lock().await.assignments();
        let mut blows = [0; 3];
        let mut killed = 0;
        let mut long = 0;
        for planned in planned {
            long += u64::from(planned.moves_partitions());
            let Planned { at, blow, away } = planned;
            tokio::time::sleep_until(begun + at).await;
            self.cluster.lock().await.all_run()?;
            tell(format!("{:6.1} s  {blow} for {:.1} s", begun.elapsed().as_secs_f64(), away.as_secs_f64()));
            watch.falls(blow.clone());
            match &blow {
                Blow::Process(name) => {
                    blows[0] += 1;
                    killed += 1;
                    self.cluster.lock().await.kill(name)?;
                    tokio::time::sleep(away).await;
                    self.cluster.lock().await.stage(name)?;
                }
                Blow::Pause(name) => {
                    blows[0] += 1;
                    self.cluster.lock().await.signal(name, Signal::STOP)?;
                    tokio::time::sleep(away).await;
                    self.cluster.lock().await.signal(name, Signal::CONT)?;
                }
                Blow::Broker(n) => {
                    blows[1] += 1;
                    let servers = self.servers.as_ref().ok_or("no broker runs")?;
                    servers.kill(*n).await?;
                    tokio::time::sleep(away).await;
                    servers.restart(*n).await?;
                }
                Blow::Way(n, way) => {
                    blows[2] += 1;
                    let proxy = self.servers.as_ref().and_then(|s| s.proxy.as_ref()).ok_or("no proxy runs")?;
                    proxy.spoil(*n, *way).await?;
                    tokio::time::sleep(away).await;
                    proxy.mend().await?;
                }
            }
        }
        tokio::time::sleep_until(begun + lasting).await;
        // The last blow's recovery needs blocks that come after it.
        watch.all_over(PATIENCE).await?;
        let (recoveries, behind) = (watch.recoveries(), watch.behind());
        drop(watch);
        stop.cancel();
        while let Some(grown) = growing.join_next().await {
            grown??;
        }
        tell(format!("{:6.1} s  the chains stand still; comparing", begun.elapsed().as_secs_f64()));
        self.all_visible().await?;
        let compared = self.compare().await?;
        let forks = self.chains.iter().map(|c| c.forks.load(Ordering::Relaxed)).sum();
        let moves = self.cluster.lock().await.assignments().saturating_sub(before + killed);
        Ok(Report { blows, long, moves, forks, compared, away, recoveries, behind })
    }

    async fn all_visible(&self) -> Result<(), Failure> {
        for chain in &self.chains {
            let tip = chain.node.tip().ok_or("the node has no block")?;
            self.cluster.lock().await.until_visible(chain.slug, &tip, PATIENCE).await?;
        }
        Ok(())
    }

    async fn compare(&self) -> Result<Compared, Failure> {
        let cluster = self.cluster.lock().await;
        let mut on_topics = Vec::new();
        // The embedded log is in the hands of its process, and removes what was read where it has to make room.
        if let Some(servers) = &self.servers {
            let config = KafkaConfig { prefix: cluster.prefix.clone(), ..KafkaConfig::new(&servers.kafka) };
            let log = KafkaLog::connect(config).await?;
            for pair in topics::PAIRS {
                on_topics.push(topics::counts(&*log, pair).await?);
            }
        }
        let mut compared = Compared::default();
        let mut records = 0;
        for chain in &self.chains {
            let rows = verify::rows(&cluster, chain).await?;
            let windows = crate::windows::same(&cluster.outside, chain.slug, "", PATIENCE).await?;
            compared.windows += windows;
            for (pair, counts) in topics::PAIRS.iter().zip(&on_topics) {
                let (events, children) = counts.get(chain.slug).copied().unwrap_or_default();
                if events != rows.events {
                    let (slug, topic) = (chain.slug, pair.0.name);
                    return Err(format!("{slug} ends at {events} on {topic}, at {} in the store", rows.events).into());
                }
                records += events + children;
            }
            compared += rows;
        }
        compared.records = records;
        let letters = cluster.run(&["dead-letters", "list"]).await?;
        let listed = String::from_utf8_lossy(&letters.stdout).into_owned();
        if !letters.status.success() || listed.lines().count() != 1 {
            return Err(format!("dead letters: {listed}{}", String::from_utf8_lossy(&letters.stderr)).into());
        }
        let health = cluster.outside.get("/health").await?;
        // A node that stands still, as ours do now, may be told; a network that stands still may not.
        let halted = |network: &&serde_json::Value| !matches!(network["state"].as_str(), Some("live" | "stalled"));
        if let Some(network) = health["networks"].as_array().and_then(|all| all.iter().find(halted)) {
            return Err(format!("health: {network}").into());
        }
        Ok(compared)
    }
}

impl Report {
    /// The recovery that so many of a hundred did not exceed.
    #[must_use]
    pub fn recovery(&self, percent: usize) -> Duration {
        percentile(self.recoveries.iter().map(|(took, _)| *took), percent).unwrap_or_default()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [processes, brokers, ways] = self.blows;
        let c = self.compared;
        writeln!(
            f,
            "blows       {processes} processes killed or stopped ({} for longer than a session, partitions moved {} times), \
             {brokers} brokers killed, {ways} ways spoilt; {} forks",
            self.long, self.moves, self.forks
        )?;
        writeln!(
            f,
            "compared    {} blocks, {} transactions, {} logs by every column, {} inputs and outputs of Bitcoin, {} windows, {} block events, \
             {} records of four topics: equal, each once, gapless",
            c.blocks, c.transactions, c.logs, c.parts, c.windows, c.events, c.records
        )?;
        let seconds = |d: Duration| d.as_secs_f64();
        if let Some(away) = &self.away {
            writeln!(f, "store away  {away}")?;
        }
        let behind = |percent| seconds(percentile(self.behind.iter().copied(), percent).unwrap_or_default());
        write!(
            f,
            "behind      age of the oldest block that is not visible: p50 {:.1} s, p95 {:.1} s, p99 {:.1} s",
            behind(50),
            behind(95),
            behind(99)
        )?;
        if self.recoveries.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "\nrecovery    blow to next visible block of the slowest chain: p50 {:.1} s, p95 {:.1} s",
            seconds(self.recovery(50)),
            seconds(self.recovery(95))
        )?;
        for (took, blow) in self.recoveries.iter().rev().take(5) {
            write!(f, "\n            {:6.1} s  {blow}", seconds(*took))?;
        }
        Ok(())
    }
}
