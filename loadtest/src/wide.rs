//! `loadtest wide`: many networks over many partitions in one ingest and one enrich process, over brokers that are slow to reach: how
//! soon everything runs, what it costs while nothing happens, and how long a rebalance keeps blocks waiting.
//!
//! Guarantee: what is measured is what a foreign consumer of `enriched.blocks` sees, over a way of its own; a block counts when its
//! record is there.

use crate::arrivals::Arrivals;
use crate::bench::processes;
use crate::chains::Chains;
use crate::cluster::{self, Cluster, Endpoint, Servers, Settings, Way};
use crate::failure::Failure;
use clap::Args;
use runtime::log::kafka::{KafkaConfig, KafkaLog};
use schemas::topics;
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(240);

/// What is measured, and on what.
#[derive(Clone, Debug, Args)]
pub struct Wide {
    /// Networks, each with a simulated node of its own
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub networks: u64,
    /// Partitions of the chain topics
    #[arg(long, default_value_t = 64)]
    pub partitions: u32,
    /// Brokers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=5))]
    pub brokers: u64,
    /// Milliseconds that the way to the brokers takes in each direction, give or take half of it, at 1 MiB/s (needs Go); 0: as it is
    #[arg(long, default_value_t = 50)]
    pub late: u64,
    /// Seconds of idleness over which CPU is counted
    #[arg(long, default_value_t = 30)]
    pub idle: u64,
    /// Seconds between two blocks of each chain
    #[arg(long, default_value_t = 6.0)]
    pub every: f64,
    /// Keep configuration and the processes' messages, and say where
    #[arg(long)]
    pub keep: bool,
    /// Seconds for which blocks are watched after each change of the group
    #[arg(long, default_value_t = 30)]
    pub watch: u64,
    /// The `headwater` binary [default: beside this one]
    #[arg(long, value_name = "PATH")]
    pub binary: Option<PathBuf>,
    /// The script that starts the servers
    #[arg(long, value_name = "PATH", default_value = "scripts/services")]
    pub services: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// From the start of both processes to the first event of each network.
    pub started: Duration,
    /// Cores used while nothing happens: ingest, enrich.
    pub idle: [f64; 2],
    /// Threads: ingest, enrich.
    pub threads: [u64; 2],
    /// The highest resident memory, bytes: ingest, enrich.
    pub memory: [u64; 2],
    /// The longest that a block was on its way while nothing changed, while second processes joined, and while they were killed.
    pub slowest: [Duration; 3],
}

/// Runs it and prints the report to standard output.
///
/// # Errors
/// Whatever kept it from coming to its end.
pub async fn run(args: Wide) -> Result<(), Failure> {
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
pub async fn report(args: &Wide, tell: &mut (dyn FnMut(String) + Send)) -> Result<Report, Failure> {
    let binary = cluster::binary(args.binary.as_deref())?;
    let servers = Servers::start(&args.services, args.brokers, args.late > 0).await?;
    let chains = Chains::spawn(args.networks).await?;
    let mut cluster = Cluster::start(Settings {
        binary,
        networks: chains.nodes.iter().map(|(slug, node)| (slug.clone(), Endpoint::from(node))).collect(),
        log: format!(
            "kafka = \"{}\"\nschema_registry = \"{}\"\npartitions = {}\nreplication = {}\n",
            servers.kafka,
            servers.registry,
            args.partitions,
            args.brokers.min(3)
        ),
    })
    .await?;
    for args in [["topics", "apply"], ["schemas", "push"]] {
        let output = cluster.run(&args).await?;
        if !output.status.success() {
            return Err(format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
    }
    let mut seen = {
        let config = KafkaConfig { prefix: cluster.prefix.clone(), ..KafkaConfig::new(&servers.direct) };
        let log = KafkaLog::connect(config).await?;
        Arrivals::from_the_beginning(&*log, topics::ENRICHED_BLOCKS.name, args.partitions).await?
    };
    if let Some(proxy) = &servers.proxy {
        for broker in 1..=args.brokers {
            proxy.spoil(broker, Way::Slow(args.late)).await?;
        }
    }
    let mut stand = Stand { chains, cluster: &mut cluster };
    let outcome = stand.measure(args, &mut seen, tell).await;
    if args.keep {
        tell(format!("kept in {}", cluster.keep().display()));
    }
    outcome.map_err(|e| format!("{e}\n{}", cluster.last_words()).into())
}

struct Stand<'a> {
    chains: Chains,
    cluster: &'a mut Cluster,
}

impl Stand<'_> {
    async fn measure(
        &mut self,
        args: &Wide,
        seen: &mut Arrivals,
        tell: &mut (dyn FnMut(String) + Send),
    ) -> Result<Report, Failure> {
        let begun = Instant::now();
        self.cluster.stage("ingest-1")?;
        self.cluster.stage("enrich-1")?;
        self.until_all(seen).await?;
        let started = begun.elapsed();
        tell(format!("every network's blocks are there after {:.1} s", started.as_secs_f64()));

        // What the start still does is over by then.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let before = self.cpu();
        tokio::time::sleep(Duration::from_secs(args.idle)).await;
        let after = self.cpu();
        let used = |n: usize| after[n].saturating_sub(before[n]).as_secs_f64() / args.idle as f64;
        let idle = [used(0), used(1)];
        let pids = ["ingest-1", "enrich-1"].map(|name| self.cluster.pid(name).unwrap_or_default());
        let threads = pids.map(threads);
        tell(format!("idle: ingest {:.3}, enrich {:.3} of a core; {threads:?} threads", idle[0], idle[1]));

        let calm = self.watch(args, seen).await?;
        self.cluster.stage("ingest-2")?;
        self.cluster.stage("enrich-2")?;
        let joined = self.watch(args, seen).await?;
        tell(format!("slowest block: {calm:?} in calm, {joined:?} while second processes joined"));
        self.cluster.kill("ingest-2")?;
        self.cluster.kill("enrich-2")?;
        let killed = self.watch(args, seen).await?;
        let memory = ["ingest-1", "enrich-1"].map(|name| self.cluster.peak_memory(name).unwrap_or_default());
        Ok(Report { started, idle, threads, memory, slowest: [calm, joined, killed] })
    }

    fn cpu(&self) -> [Duration; 2] {
        ["ingest-1", "enrich-1"].map(|name| {
            let usage = self.cluster.pid(name).map(processes::usage).unwrap_or_default();
            usage.values().sum()
        })
    }

    /// Waits until the head of every chain is there.
    async fn until_all(&mut self, seen: &mut Arrivals) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            seen.poll().await?;
            let missing = self.chains.missing(seen);
            if missing == 0 {
                return Ok(());
            }
            self.cluster.all_run()?;
            if Instant::now() > end {
                return Err(format!("{missing} networks are not there in {PATIENCE:?}").into());
            }
        }
    }

    /// Lets every chain grow for a while. The longest that a block was on its way.
    async fn watch(&mut self, args: &Wide, seen: &mut Arrivals) -> Result<Duration, Failure> {
        let end = Instant::now() + Duration::from_secs(args.watch);
        // Never all at once: a chain's block is no other's.
        let pause = Duration::from_secs_f64(args.every / self.chains.nodes.len() as f64);
        let mut next = Instant::now();
        self.chains.begin();
        seen.slowest = Duration::ZERO;
        while Instant::now() < end {
            while Instant::now() >= next {
                next += pause;
                self.chains.grow()?;
            }
            seen.poll().await?;
            seen.measure(&mut self.chains.made);
            self.cluster.all_run()?;
        }
        self.until_all(seen).await?;
        seen.measure(&mut self.chains.made);
        Ok(seen.slowest)
    }
}

/// Threads of a process.
fn threads(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, |all| all.count() as u64)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = Duration::as_secs_f64;
        writeln!(f, "from the start to every network's blocks: {:.1} s", s(&self.started))?;
        for (n, name) in ["ingest", "enrich"].into_iter().enumerate() {
            writeln!(
                f,
                "{name}: {:.1} % of a core while nothing happens, {} threads, at most {} MiB",
                100.0 * self.idle[n],
                self.threads[n],
                self.memory[n] >> 20
            )?;
        }
        let [calm, joined, killed] = self.slowest;
        write!(
            f,
            "slowest block: {:.1} s in calm, {:.1} s while second processes joined, {:.1} s while they were killed",
            s(&calm),
            s(&joined),
            s(&killed)
        )
    }
}
