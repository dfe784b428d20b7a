//! `loadtest completeness`: how fast `/networks/{network}/completeness`, the metrics and the view `completeness` answer when a network
//! has a hundred million transactions, while blocks come in.
//!
//! Guarantee: the binary is asked over HTTP as anybody asks it; that its answer equals a count of all rows is checked, and the run fails
//! where it does not, or where REST or the metrics take longer than `--within` (95th percentile).

mod fill;
mod store;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use reqwest::Client;
use serde_json::Value;
use tokio::process::{Child, Command};

use self::fill::{Chain, FIRST_HEIGHT, NETWORK};
use self::store::Sql;
use crate::bench::child;
use crate::cluster::{self, free_ports};
use crate::failure::Failure;

/// How long it may take until the API answers.
const START_DEADLINE: Duration = Duration::from_secs(180);
/// How long it may take to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// How long the API gives the same answer again, and a little more: who asks then has it counted anew.
const ANEW: Duration = Duration::from_millis(5_100);
/// How old an answer may be while the store is slow.
const OLDEST: Duration = Duration::from_secs(31);

/// How much, and on what.
#[derive(Clone, Debug, Args)]
pub struct Completeness {
    /// Transactions
    #[arg(long, default_value_t = 100_000_000)]
    rows: u64,
    /// Transactions of a block
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    per_block: u64,
    /// Data directory that is kept, and filled where rows are missing: about 110 bytes a transaction, twice that while it is made
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// How often each is asked
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(4..=10_000))]
    asks: u64,
    /// Blocks that come between two questions that are counted anew
    #[arg(long, default_value_t = 1)]
    blocks: u64,
    /// Milliseconds within which 95 of 100 answers have to come
    #[arg(long, default_value_t = 50)]
    within: u64,
    /// The `headwater` binary [default: beside this one]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// A `headwater up` over the directory.
struct Instance {
    child: Child,
    client: Client,
    api: SocketAddr,
    admin: SocketAddr,
    sql: SocketAddr,
    folder: PathBuf,
}

impl Instance {
    async fn start(binary: &Path, folder: &Path) -> Result<Self, Failure> {
        let [api, admin, sql] = free_ports()?;
        let data = folder.join("data");
        let config = folder.join("headwater.toml");
        // Nobody answers there: the rows are made by statements.
        let text = format!(
            "[data]\ndir = {data:?}\n[api]\nlisten = \"{api}\"\n[admin]\nlisten = \"{admin}\"\n[store]\nlisten = \"{sql}\"\n\
             [[network]]\nslug = \"{NETWORK}\"\nfamily = \"evm\"\nchain_id = 1\n[[network.endpoint]]\nurl = \"http://127.0.0.1:9/\"\n"
        );
        fs::write(&config, text)?;
        let child = child::spawn(Command::new(binary).args(["up", "--config"]).arg(&config), folder)?;
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let mut instance = Self { child, client, api, admin, sql, folder: folder.to_owned() };
        let until = Instant::now() + START_DEADLINE;
        while let Err(error) = instance.rest().await {
            if let Some(status) = instance.child.try_wait()? {
                return Err(child::explain(format!("it ended with {status}").into(), folder));
            }
            if Instant::now() > until {
                return Err(child::explain(error, folder));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(instance)
    }

    async fn timed(&self, url: &str) -> Result<(String, Duration), Failure> {
        let began = Instant::now();
        let text = self.client.get(url).send().await?.error_for_status()?.text().await?;
        Ok((text, began.elapsed()))
    }

    /// REST.
    async fn rest(&self) -> Result<(Value, Duration), Failure> {
        let (text, took) = self.timed(&format!("http://{}/api/v1/networks/{NETWORK}/completeness", self.api)).await?;
        Ok((serde_json::from_str(&text)?, took))
    }

    async fn stop(mut self) -> Result<(), Failure> {
        match child::stop(&mut self.child, STOP_DEADLINE).await? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(child::explain(format!("it ended with {status}").into(), &self.folder)),
            None => Err(format!("it did not stop within {STOP_DEADLINE:?} and was killed").into()),
        }
    }
}

/// Runs it and prints the figures.
pub async fn run(args: Completeness) -> Result<(), Failure> {
    // Fails when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let binary = cluster::binary(args.binary.as_deref())?;
    let temporary = tempfile::Builder::new().prefix("headwater-completeness-").tempdir()?;
    let folder = args.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    fs::create_dir_all(&folder)?;
    let folder = fs::canonicalize(folder)?;
    let tip_ms = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    let mut chain = Chain { blocks: args.rows.div_ceil(args.per_block), per_block: args.per_block, tip_ms };

    let instance = Instance::start(&binary, &folder).await?;
    let took = fill::fill(&Sql::new(&folder.join("data"), instance.sql, "headwater")?, chain).await?;
    instance.stop().await?;
    tracing::info!("{} transactions in {} blocks, made in {took:.0?}", chain.blocks * chain.per_block, chain.blocks);

    let instance = Instance::start(&binary, &folder).await?;
    let stages = Sql::new(&folder.join("data"), instance.sql, "headwater")?;
    let analyst = Sql::new(&folder.join("data"), instance.sql, "analyst")?;
    let held = format!("SELECT toUInt64(max(sequence)) FROM block_event_rows WHERE network = '{NETWORK}'");
    chain.blocks = stages.number(&held).await?;
    tokio::time::sleep(ANEW).await;

    let (mut anew, mut again, mut metrics, mut view) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut last = Value::Null;
    for _ in 0..args.asks {
        for _ in 0..args.blocks {
            fill::blocks(&stages, chain, chain.blocks, chain.blocks + 1).await?;
            chain.blocks += 1;
        }
        tokio::time::sleep(ANEW).await;
        let (mut answer, took) = instance.rest().await?;
        anew.push(took);
        let wanted = (chain.blocks, chain.blocks * chain.per_block);
        let until = Instant::now() + OLDEST;
        // Where a newer one took too long it was the last one's turn.
        while (sum(&answer, "blocks"), sum(&answer, "transactions_stored")) != wanted {
            if Instant::now() > until {
                return Err(format!("REST does not say {wanted:?} blocks and transactions: {answer}").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer = instance.rest().await?.0;
        }
        last = answer;
        for _ in 0..10 {
            again.push(instance.rest().await?.1);
        }
        metrics.push(instance.timed(&format!("http://{}/metrics", instance.admin)).await?.1);
        let (_, took) = analyst.timed(&format!("SELECT * FROM completeness WHERE network = '{NETWORK}'")).await?;
        view.push(took);
    }
    let table = [
        ("REST, counted anew", &mut anew),
        ("REST, within five seconds of that", &mut again),
        ("metrics", &mut metrics),
        ("view, as analyst", &mut view),
    ];
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} transactions in {} blocks, {} ranges",
        chain.blocks * chain.per_block,
        chain.blocks,
        ranges(&last)
    )?;
    let mut late = Vec::new();
    for (what, times) in table {
        times.sort_unstable();
        let [p50, p95, most] =
            [times.len() / 2, times.len() * 95 / 100, times.len() - 1].map(|at| times[at].as_secs_f64() * 1e3);
        writeln!(out, "{what:<36} p50 {p50:>7.1} ms   p95 {p95:>7.1} ms   most {most:>7.1} ms")?;
        if p95 > args.within as f64 && !what.starts_with("view") {
            late.push(what);
        }
    }
    // A count of all rows, whoever says what of them.
    let all = |table: &str| {
        format!(
            "SELECT count() FROM {table} FINAL WHERE network = '{NETWORK}' SETTINGS max_threads = 1, do_not_merge_across_partitions_select_final = 1"
        )
    };
    let (blocks, transactions) =
        (stages.number(&all("block_rows")).await?, stages.number(&all("evm_transaction_rows")).await?);
    instance.stop().await?;
    if (blocks, transactions) != (sum(&last, "blocks"), sum(&last, "transactions_stored")) {
        return Err(format!("a count of all rows has {blocks} blocks and {transactions} transactions: {last}").into());
    }
    writeln!(
        out,
        "equals a count of all rows: {blocks} blocks, {transactions} transactions, from height {FIRST_HEIGHT}"
    )?;
    match late.is_empty() {
        true => Ok(()),
        false => Err(format!("longer than {} ms: {}", args.within, late.join(", ")).into()),
    }
}

fn sum(answer: &Value, field: &str) -> u64 {
    answer["ranges"].as_array().into_iter().flatten().filter_map(|range| range[field].as_u64()).sum()
}

fn ranges(answer: &Value) -> usize {
    answer["ranges"].as_array().map_or(0, Vec::len)
}
