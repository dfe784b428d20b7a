//! The command line of `loadtest`.

use crate::backfill::{self, Backfill};
use crate::bench::{self, Bench};
use crate::chaos::{self, Chaos};
use crate::chaos_alerts::{self, ChaosAlerts};
use crate::completeness::{self, Completeness};
use crate::failure::Failure;
use crate::matching::{self, Matching};
use crate::merging::{self, Merging};
use crate::node::bitcoin;
use crate::node::evm::{self, Clock, Config, Dataset, EndpointConfig, Fault, Origin, Schedule};
use crate::tenants::{self, Tenants};
use crate::wide::{self, Wide};
use crate::workers::{self, Workers};
use clap::{Args, Parser, Subcommand};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Simulated chain nodes, load and measurements.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves recorded blocks as a live node
    #[command(subcommand)]
    Node(Node),
    /// Measures the `headwater` binary on this machine against a simulated node
    Bench(Bench),
    /// Kills stages and brokers at random over a real Kafka while chains grow and fork, then compares every row
    Chaos(Chaos),
    /// Kills processes at random while alerts are told to a receiver, then looks at every message
    ChaosAlerts(ChaosAlerts),
    /// Measures how fast completeness answers when a network has a hundred million transactions
    Completeness(Completeness),
    /// Fills heights below a live chain over the embedded log, killed at random, then compares every height with the node
    Backfill(Backfill),
    /// Measures many networks over many partitions in one process of a stage, over slow brokers
    Wide(Wide),
    /// Measures many tenants beside one, a quiet one beside a noisy one, and what it costs to be let in
    Tenants(Tenants),
    /// Starts many workers on many partitions, stops, kills and adds some, and looks who has which partition and how long networks wait
    Workers(Workers),
    /// Measures what merging blocks into windows costs a core, and what a day of windows takes in the log
    Windows(Merging),
    /// Measures what holding transactions against monitors of alerts costs a core
    Matching(Matching),
}

#[derive(Debug, Subcommand)]
enum Node {
    /// An EVM node: JSON-RPC over HTTP and WebSocket on one port; its URL is the first line on standard output
    Evm(Evm),
    /// A node of Bitcoin Core: JSON-RPC and REST on one port; its URL is the first line on standard output
    Core(Bitcoin),
    /// An Electrum server: JSON-RPC over TCP; its URL is the first line on standard output
    Electrum(Bitcoin),
}

// Where a simulated node listens, and how its chain grows, whatever its family. No documentation: it would be that of the commands.
#[derive(Debug, Args)]
struct Growth {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Replaces the last DEPTH blocks …
    #[arg(long, value_name = "DEPTH", requires = "every")]
    fork: Option<u64>,
    /// … whenever the head leaves a multiple of N
    #[arg(long, value_name = "N", requires = "fork")]
    every: Option<u64>,
    /// Another seed is another chain
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Blocks beyond the first that are there at once
    #[arg(long, default_value_t = 0)]
    history: u64,
    /// File that keeps when the chain began: a restart with it continues the same chain
    #[arg(long, value_name = "FILE")]
    origin: Option<PathBuf>,
    /// While the simulator does not run, no blocks come into being
    #[arg(long, requires = "origin")]
    pause: bool,
}

impl Growth {
    fn forks(&self) -> Option<Schedule> {
        self.fork.zip(self.every).map(|(depth, every)| Schedule { depth, every })
    }

    fn origin(self) -> Origin {
        self.origin.map_or(Origin::Now, |path| Origin::File { path, pause: self.pause })
    }
}

#[derive(Debug, Args)]
struct Bitcoin {
    /// Folder of recorded blocks, NAME.raw, whose transactions are replayed; or a file as bitcoind keeps blocks, which is served as it is
    #[arg(long, conflicts_with = "embedded")]
    data: Option<PathBuf>,
    /// A built-in set of recorded blocks instead: small, large (replayed), first (the main chain's blocks 0 to 438 as they are)
    #[arg(long, default_value = "small")]
    embedded: String,
    /// Blocks per second; 0: only `sim_advance` makes blocks
    #[arg(long, default_value_t = 0.1)]
    rate: f64,
    /// The last height: a number, or `endless`
    #[arg(long, default_value = "endless", value_parser = blocks)]
    blocks: Blocks,
    /// What goes wrong: KIND[:ARGUMENT][@CHANCE|@xCOUNT|@TIME][/METHOD], for example slow:250@0.1 (repeatable)
    #[arg(long = "fault")]
    faults: Vec<bitcoin::Fault>,
    /// One more endpoint of the same chain: NAME[,kind=core|electrum][,listen=ADDR][,credentials=USER:PASSWORD][,version=290000]
    /// [,rest=off][,zmq=on][,protocol=1.4][,latency=…][,fault=…] (repeatable); each prints a line NAME URL, and where it has ZMQ that URL
    #[arg(long = "endpoint", value_name = "SPEC")]
    endpoints: Vec<String>,
    /// Core: USER:PASSWORD that JSON-RPC must come with
    #[arg(long)]
    credentials: Option<String>,
    #[command(flatten)]
    growth: Growth,
}

impl Bitcoin {
    fn config(self, kind: bitcoin::Kind) -> Result<bitcoin::Config, bitcoin::Error> {
        let data = match &self.data {
            Some(path) => bitcoin::Dataset::from_path(path)?,
            None => bitcoin::Dataset::embedded(&self.embedded)?,
        };
        let main = bitcoin::EndpointConfig {
            kind,
            listen: self.growth.listen,
            credentials: self.credentials,
            faults: self.faults,
            ..bitcoin::EndpointConfig::core(evm::MAIN)
        };
        let mut endpoints = vec![main];
        for text in &self.endpoints {
            endpoints.push(bitcoin::EndpointConfig::read(text, kind)?);
        }
        Ok(bitcoin::Config {
            seed: self.growth.seed,
            history: self.growth.history,
            clock: clock(self.rate),
            blocks: self.blocks.0,
            forks: self.growth.forks(),
            origin: self.growth.origin(),
            ..bitcoin::Config::new(data, endpoints)
        })
    }

    async fn serve(self, kind: bitcoin::Kind) -> Result<(), Failure> {
        let node = bitcoin::spawn(self.config(kind)?).await?;
        for (n, endpoint) in node.endpoints().iter().enumerate() {
            match n {
                0 => writeln!(std::io::stdout(), "{}", endpoint.url())?,
                _ => {
                    let zmq = endpoint.zmq_url().map(|url| format!(" {url}")).unwrap_or_default();
                    writeln!(std::io::stdout(), "{} {}{zmq}", endpoint.name(), endpoint.url())?;
                }
            }
        }
        std::io::stdout().flush()?;
        stopped().await?;
        node.shutdown().await;
        Ok(())
    }
}

#[derive(Debug, Args)]
struct Evm {
    /// Folder of recorded blocks: NUMBER/block.json and NUMBER/receipts.json
    #[arg(long, required_unless_present = "embedded", conflicts_with = "embedded")]
    data: Option<PathBuf>,
    /// A built-in set of recorded blocks instead: ethereum, optimism, polygon, …
    #[arg(long)]
    embedded: Option<String>,
    /// Blocks per second; 0: only `sim_advance` makes blocks
    #[arg(long, default_value_t = 0.5)]
    rate: f64,
    /// How many blocks there will be: a number, or `endless`
    #[arg(long, default_value = "endless", value_parser = blocks)]
    blocks: Blocks,
    /// What goes wrong: KIND[:ARGUMENT][@CHANCE|@xCOUNT|@TIME][/METHOD][#HEIGHT|#%N], for example slow:250@0.1 (repeatable)
    #[arg(long = "fault")]
    faults: Vec<Fault>,
    /// One more endpoint of the same chain: NAME[,listen=ADDR][,path=/KEY][,credentials=USER:PASSWORD][,latency=80ms|uniform:A..B|lognormal:MEDIAN:SIGMA]
    /// [,limit=RATE/s[+BURST][:after|:bare|:body]][,fault=…][,ws=off] (repeatable); each prints a line NAME URL WEBSOCKET
    #[arg(long = "endpoint", value_name = "SPEC")]
    endpoints: Vec<EndpointConfig>,
    /// Default: the recorded chain's
    #[arg(long)]
    chain_id: Option<u64>,
    /// The first height
    #[arg(long, value_name = "H", default_value_t = 1)]
    start_height: u64,
    #[command(flatten)]
    growth: Growth,
    /// How far the finalized block is behind the head
    #[arg(long, default_value_t = 64)]
    finality: u64,
    /// Compress answers for clients that accept gzip
    #[arg(long)]
    gzip: bool,
}

/// So many blocks a second, or orders alone.
fn clock(rate: f64) -> Clock {
    if rate == 0.0 { Clock::Manual } else { Clock::Rate(rate) }
}

#[derive(Clone, Copy, Debug)]
struct Blocks(Option<u64>);

fn blocks(text: &str) -> Result<Blocks, String> {
    match text {
        "endless" => Ok(Blocks(None)),
        number => number.parse().map(|n| Blocks(Some(n))).map_err(|_| "want a number, or `endless`".into()),
    }
}

impl Evm {
    fn config(self) -> Result<Config, evm::Error> {
        let data = match (&self.data, &self.embedded) {
            (Some(path), _) => Dataset::from_dir(path)?,
            (None, Some(name)) => Dataset::embedded(name)?,
            (None, None) => return Err(evm::Error::Setting("want --data or --embedded".into())),
        };
        Ok(Config {
            listen: self.growth.listen,
            seed: self.growth.seed,
            chain_id: self.chain_id,
            start_height: self.start_height,
            history: self.growth.history,
            clock: clock(self.rate),
            blocks: self.blocks.0,
            forks: self.growth.forks(),
            origin: self.growth.origin(),
            faults: self.faults,
            endpoints: self.endpoints,
            finality_depth: self.finality,
            safe_depth: self.finality / 2,
            gzip: self.gzip,
            ..Config::new(data)
        })
    }
}

/// Carries out a command line.
///
/// # Errors
/// Whatever keeps the command from being carried out.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Bench(args) => bench::run(args).await,
        Command::Chaos(args) => unless_stopped(chaos::run(args)).await,
        Command::ChaosAlerts(args) => unless_stopped(chaos_alerts::run(args)).await,
        Command::Completeness(args) => unless_stopped(completeness::run(args)).await,
        Command::Backfill(args) => unless_stopped(backfill::run(args)).await,
        Command::Wide(args) => unless_stopped(wide::run(args)).await,
        Command::Tenants(args) => unless_stopped(tenants::run(args)).await,
        Command::Workers(args) => unless_stopped(workers::run(args)).await,
        Command::Windows(args) => merging::run(args),
        Command::Node(Node::Core(args)) => args.serve(bitcoin::Kind::Core).await,
        Command::Node(Node::Electrum(args)) => args.serve(bitcoin::Kind::Electrum).await,
        Command::Matching(args) => matching::run(args),
        Command::Node(Node::Evm(args)) => {
            let node = evm::spawn(args.config()?).await?;
            writeln!(std::io::stdout(), "{}", node.url())?;
            for endpoint in node.endpoints().iter().skip(1) {
                let ws = if endpoint.websocket() { endpoint.ws_url() } else { "-".into() };
                writeln!(std::io::stdout(), "{} {} {ws}", endpoint.name(), endpoint.url())?;
            }
            std::io::stdout().flush()?;
            stopped().await?;
            node.shutdown().await;
            Ok(())
        }
    }
}

/// To its end, unless it is told to stop: it still ends what it started.
async fn unless_stopped(run: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        outcome = run => outcome,
        told = stopped() => Err(told.map_or_else(|e| e.to_string(), |()| "stopped before its end".into()).into()),
    }
}

/// Waits for SIGINT or SIGTERM.
async fn stopped() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done,
        _ = terminate.recv() => Ok(()),
    }
}
