//! `loadtest chaos-alerts`: processes killed at random while a chain grows and forks and every failed transaction of it is told to a receiver
//! that refuses some messages; over the embedded log, or over Kafka.
//!
//! Guarantee: what is killed when is a function of the seed, which is printed; the run succeeds only when, at its end, every failed transaction
//! of the chain was told and stands, every other that was told was taken back, each message came under one id, again only where it was
//! refused or somebody was killed about then ([`judge`]), no more often than kills explain, and the store's live matches are the same.

mod judge;
mod receiver;

use crate::cluster::{self, Cluster, Endpoint, Servers, Settings};
use crate::failure::Failure;
use crate::node::evm::{Clock, Config, Dataset, Simulator, spawn};
use clap::Args;
use judge::{Chain, Counts, Excuse, Wrong};
use receiver::Receiver;
use schemas::limits::alerts as limits;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The network's name.
const NETWORK: &str = "eth";
/// The process of all stages over the embedded log.
const UP: &str = "up-1";
/// Processes over Kafka that are killed; the API, which takes what people define, is not.
const STAGES: [&str; 6] = ["ingest-1", "enrich-1", "aggregate-1", "sink-1", "alerts-1", "alerts-2"];
/// How the processes that send are called.
const SENDERS: [&str; 2] = ["up-", "alerts-"];
/// How long anything may take: longer than the second delay of a message that is tried again.
const PATIENCE: Duration = Duration::from_secs(420);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(200);
/// Between two blocks.
const BLOCKS: Duration = Duration::from_millis(300);
/// What excuses that a message comes again, over the embedded log and over Kafka: deliver writes what was answered in the same turn of its
/// loop, which may take as long as a commit does; over Kafka others take over what was hit, and give it back. A kill is noted after it.
const EXCUSE: (Excuse, Excuse) = (
    Excuse { unwritten: Duration::from_secs(5), unsettled: Duration::from_millis(250) },
    Excuse { unwritten: Duration::from_secs(15), unsettled: Duration::from_secs(30) },
);
/// What one kill sends again at most: what was on its way to one receiver, and as much that was answered and not yet written.
const AGAIN_OF_KILL: usize = 2 * limits::ATTEMPTS_AT_ONCE.1;
/// Matches that are asked for.
const MATCHES: usize = 1_000;

/// What is done, and with what.
#[derive(Clone, Debug, Args)]
pub struct ChaosAlerts {
    /// How often a process is killed
    #[arg(long, default_value_t = 200)]
    pub kills: u32,
    /// Deals the same blows again [default: another one each time]
    #[arg(long, env = "HEADWATER_SEED")]
    pub seed: Option<u64>,
    /// Over the embedded log: all stages in one process
    #[arg(long, conflicts_with_all = ["kafka", "registry"])]
    pub embedded: bool,
    /// Brokers that run, `host:port` [default: one of its own is started]
    #[arg(long, value_name = "HOST:PORT", requires = "registry")]
    pub kafka: Option<String>,
    /// Their schema registry's URL
    #[arg(long, value_name = "URL", requires = "kafka")]
    pub registry: Option<String>,
    /// The `headwater` binary [default: beside this one]
    #[arg(long, visible_alias = "binary", value_name = "PATH")]
    pub release_binary: Option<PathBuf>,
    /// The script that starts the servers
    #[arg(long, value_name = "PATH", default_value = "scripts/services")]
    pub services: PathBuf,
    /// Keep configuration, data and the processes' messages, and say where
    #[arg(long)]
    pub keep: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Kills.
    pub kills: u32,
    /// Failed transactions that the chain has, made while somebody watched.
    pub failed: usize,
    /// What the receiver got.
    pub counts: Counts,
    /// From the last kill until everything was right.
    pub settled: Duration,
}

/// Runs it and prints the report to standard output.
///
/// # Errors
/// An alert that was lost, doubled or told wrongly, or whatever kept it from coming to its end.
pub async fn run(args: ChaosAlerts) -> Result<(), Failure> {
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
pub async fn report(args: &ChaosAlerts, tell: &mut (dyn FnMut(String) + Send)) -> Result<Report, Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    tell(format!("seed {seed} (HEADWATER_SEED={seed} or --seed {seed} deals the same blows)"));
    let own = match (args.embedded, &args.kafka) {
        (false, None) => Some(Servers::start(&args.services, 1, false).await?),
        _ => None,
    };
    let servers = match &own {
        Some(servers) => Some((servers.kafka.clone(), servers.registry.clone())),
        None => args.kafka.clone().zip(args.registry.clone()),
    };
    let log = servers.map_or_else(String::new, |(kafka, registry)| {
        format!("kafka = \"{kafka}\"\nschema_registry = \"{registry}\"\nreplication = 1\n")
    });
    let receiver = Receiver::start().await?;
    let data = Arc::new(Dataset::embedded("ethereum")?);
    let node = Arc::new(spawn(Config { clock: Clock::Manual, ..Config::new(data) }).await?);
    let mut cluster = Cluster::start(Settings {
        binary: cluster::binary(args.release_binary.as_deref())?,
        networks: vec![(NETWORK.to_owned(), Endpoint::from(&*node))],
        log: format!("{log}\n[alerts]\nallow_targets = [\"{}\"]\nsettle = \"5s\"\n", receiver.address()),
    })
    .await?;
    let outcome = deal(args, seed, (&mut cluster, &node, &receiver), tell).await;
    if args.keep {
        tell(format!("kept in {}", cluster.keep().display()));
    }
    outcome.map_err(|e| format!("{e}\n{}seed {seed}", cluster.last_words()).into())
}

async fn deal(
    args: &ChaosAlerts,
    seed: u64,
    (cluster, node, receiver): (&mut Cluster, &Arc<Simulator>, &Receiver),
    tell: &mut (dyn FnMut(String) + Send),
) -> Result<Report, Failure> {
    let mut random = fastrand::Rng::with_seed(seed);
    let names: &[&str] = if args.embedded { &[UP] } else { &STAGES };
    for name in names.iter().copied().chain((!args.embedded).then_some("api-1")) {
        cluster.stage(name)?;
    }
    let channel = json!({
        "name": "hook", "type": "webhook", "per_hour": 10_000, "config": {"url": format!("http://{}/hook", receiver.address())}
    });
    let channel = make(cluster, "channels", &channel).await?;
    let monitor = json!({
        "name": "Failures", "network": NETWORK, "group_by": ["transaction"], "channels": [channel],
        "match_conditions": {"transactions": [{"status": "Failure"}]}
    });
    let monitor = make(cluster, "monitors", &monitor).await?;
    let until = Instant::now() + PATIENCE;
    while receiver.got().is_empty() {
        if Instant::now() > until {
            return Err("no alert comes, though nobody was killed".into());
        }
        node.advance(1)?;
        tokio::time::sleep(BLOCKS).await;
    }
    let first = node.head() + 1;
    tell(format!("alerts come; from height {first} on none may be lost"));

    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let pause = pause_between_blocks(args.kills);
    let growing = tokio::spawn(grow(node.clone(), (first, pause), random.u64(..), stop.clone()));
    let mut kills = Vec::new();
    for n in 0..args.kills {
        tokio::time::sleep(Duration::from_millis(500 + random.u64(..3_500))).await;
        cluster.all_run()?;
        // Every second one hits who sends, where there are others.
        let senders: Vec<&str> = names.iter().copied().filter(|name| sends(name)).collect();
        let among = if n % 2 == 0 { senders.as_slice() } else { names };
        let name = among[random.usize(..among.len())];
        cluster.kill(name)?;
        if sends(name) {
            kills.push(Instant::now());
        }
        cluster.stage(name)?;
        if n % 20 == 19 {
            tell(format!("{} kills, {} requests", n + 1, receiver.got().len()));
        }
    }
    let ended = Instant::now();
    stop.cancel();
    growing.await??;
    let head = node.head();
    let tip = node.canonical(head..=head).pop().ok_or("the node has no head")?.hash.to_string();
    cluster.until_visible(NETWORK, &tip, PATIENCE).await?;
    let chain = Chain { told: failed(cluster, first).await?, failed: failed(cluster, 0).await? };
    let excuse = if args.embedded { EXCUSE.0 } else { EXCUSE.1 };
    let until = Instant::now() + PATIENCE;
    loop {
        let yet = match judge::judge(&receiver.got(), (&kills, excuse), &chain) {
            Ok(counts) if counts.again > kills.len() * AGAIN_OF_KILL => {
                let of = kills.len();
                return Err(format!("{} messages came again, after {of} kills of who sends", counts.again).into());
            }
            Ok(counts) => match unlike(cluster, &monitor, &chain).await {
                None => {
                    let (kills, failed) = (args.kills, chain.told.len());
                    return Ok(Report { kills, failed, counts, settled: ended.elapsed() });
                }
                Some(why) => why,
            },
            Err(Wrong::ForGood(why)) => return Err(why.into()),
            Err(Wrong::Yet(why)) => why,
        };
        if Instant::now() > until {
            return Err(format!("after {PATIENCE:?} {yet}").into());
        }
        cluster.all_run()?;
        tokio::time::sleep(POLL).await;
    }
}

/// In what the store's live matches are not the failed transactions of the chain.
async fn unlike(cluster: &Cluster, monitor: &str, chain: &Chain) -> Option<String> {
    let path = format!("/monitors/{monitor}/matches?state=live&limit={MATCHES}");
    let answer = match cluster.outside.get(&path).await {
        Ok(answer) => answer,
        Err(error) => return Some(format!("the matches are not to be had: {error}")),
    };
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let live: BTreeSet<&str> = items.iter().filter_map(|item| item["transaction_hash"].as_str()).collect();
    if live.len() != items.len() {
        return Some(format!("{} live matches are of {} transactions", items.len(), live.len()));
    }
    if let Some(gone) = live.iter().find(|hash| !chain.failed.contains(**hash)) {
        return Some(format!("the match of {gone} is live, and the chain has it not"));
    }
    // There are more than one answer has: the oldest are left out.
    let is_whole = items.len() < MATCHES;
    let lost = chain.told.iter().find(|hash| is_whole && !live.contains(hash.as_str()));
    lost.map(|hash| format!("the match of {hash} is not live"))
}

fn sends(name: &str) -> bool {
    SENDERS.iter().any(|sender| name.starts_with(sender))
}

/// Three blocks a second, fewer where many kills take long: a channel is sent 10,000 messages an hour at most, and those beyond become one
/// summary.
fn pause_between_blocks(kills: u32) -> Duration {
    BLOCKS * (1 + kills / 100)
}

/// Every sixth time or so the last few blocks are replaced.
async fn grow(
    node: Arc<Simulator>,
    (first, pause): (u64, Duration),
    seed: u64,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let mut random = fastrand::Rng::with_seed(seed);
    while !stop.is_cancelled() {
        let depth = 1 + random.u64(..5);
        if random.u64(..6) == 0 && node.head() > first + depth {
            node.fork_and_advance(depth, random.u64(..2))?;
        } else {
            node.advance(1)?;
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Makes a thing, once the control plane answers; its id.
async fn make(cluster: &mut Cluster, kind: &str, body: &Value) -> Result<String, Failure> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
    let url = format!("{}/api/v1/{kind}", cluster.outside.api);
    let until = Instant::now() + PATIENCE;
    loop {
        if let Ok(answer) = client.post(&url).json(body).send().await {
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap_or_default());
            let made: Option<Value> = if status == 201 { Some(serde_json::from_str(&text)?) } else { None };
            match made.and_then(|made| made["id"].as_str().map(str::to_owned)) {
                Some(id) => return Ok(id),
                None if status >= 500 => {}
                None => return Err(format!("{kind}: {status} {text}").into()),
            }
        }
        cluster.all_run()?;
        if Instant::now() > until {
            return Err(format!("the API takes no {kind}").into());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Failed transactions that the chain has from a height on, by their rows.
async fn failed(cluster: &Cluster, from: u64) -> Result<BTreeSet<String>, Failure> {
    let sql = format!(
        "SELECT hash AS line FROM transactions WHERE network = '{NETWORK}' AND status = 'failed' AND height >= {from}"
    );
    Ok(cluster.outside.lines(&sql).await?.into_iter().collect())
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let c = self.counts;
        writeln!(f, "kills       {}", self.kills)?;
        writeln!(
            f,
            "alerts      {}, {} of them taken back; {} failed transactions of the chain: each was told and stands",
            c.alerts, c.retracted, self.failed
        )?;
        write!(
            f,
            "messages    {}, {} of them came again after an answer, {} times together, under the same id; {} requests; all right {:.1} s after the last kill",
            c.messages,
            c.doubled,
            c.again,
            c.requests,
            self.settled.as_secs_f64()
        )
    }
}
