//! A Bitcoin chain: from a node that has the blocks, with what they spend, to rows that a query sees, as fast as it goes.
//!
//! Guarantee: the figures count only when the store then holds every transaction, input, output and satoshi of the chain.

use super::instance::{Instance, Setting};
use super::{Failure, NETWORK, Node, processes};
use crate::cluster::Endpoint;
use crate::node::bitcoin::{Canonical, Clock, Config, Dataset, EndpointConfig, Origin, Simulator, spawn};
use reqwest::Client;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long nothing may become visible before the measurement fails.
const PATIENCE: Duration = Duration::from_secs(90);
/// Bytes of blocks that the simulated node keeps: all that are measured, so that it need not make any again.
const KEPT_BYTES: usize = 1 << 30;
/// Blocks that are fetched from the node alone.
const ALONE: u64 = 30;
/// The stage that fetches blocks, checks them, and publishes them.
const INGEST: &str = "ingest";

/// A backlog of Bitcoin blocks becoming visible rows.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bitcoin {
    /// The recorded blocks that are replayed.
    pub block_set: String,
    /// Blocks.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Their bytes, in units of a million; what they spend is not in them.
    pub megabytes: f64,
    /// From the moment the node showed them to the moment the last was visible.
    pub seconds: f64,
    /// Node to visible row.
    pub transactions_per_second: f64,
    /// The same in bytes of blocks.
    pub megabytes_per_second: f64,
    /// Bytes of blocks that a core decodes and publishes in a second: by the CPU of the stage `ingest` alone.
    pub published_megabytes_per_core_second: f64,
    /// CPU per transaction in microseconds, by stage (thread name) and process; `simulated node` is not the product's.
    pub cpu_us_per_transaction: BTreeMap<String, f64>,
    /// The simulated node alone, blocks with what they spend, client included.
    pub node_megabytes_per_second: f64,
}

/// The node on threads of its own, so that its CPU is told apart.
struct Source {
    simulator: Simulator,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Source {
    /// A chain of `blocks` blocks beyond the first, which alone shows until the faults are cleared.
    async fn start(data: Dataset, blocks: u64, at_ms: u64) -> Result<Self, Failure> {
        let endpoint =
            EndpointConfig { zmq: true, ..EndpointConfig::core("simulated") }.fault(&format!("stale-tip:{blocks}"))?;
        let config = Config {
            clock: Clock::Manual,
            history: blocks,
            origin: Origin::At(at_ms),
            cache_bytes: KEPT_BYTES,
            ..Config::new(data, vec![endpoint])
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(Node::THREADS)
            .enable_all()
            .build()?;
        let simulator = runtime.spawn(spawn(config)).await??;
        Ok(Self { simulator, runtime: Some(runtime) })
    }

    fn show(&self) {
        self.simulator.endpoints().iter().for_each(|endpoint| endpoint.clear_faults());
    }

    /// How many bytes of blocks a second it serves to a client that drops them, with what they spend.
    async fn alone(&self) -> Result<f64, Failure> {
        let client = Client::builder().timeout(PATIENCE).build()?;
        let url = self.simulator.endpoints().first().ok_or("no endpoint")?.url();
        let chain = self.simulator.canonical(2..=1 + ALONE);
        let (begun, mut bytes) = (Instant::now(), 0);
        for block in &chain {
            let get = |what: &str| client.get(format!("{url}/rest/{what}/{}.bin", block.hash)).send();
            let (body, spent) = tokio::try_join!(get("block"), get("spenttxouts"))?;
            let (body, _) = tokio::try_join!(body.bytes(), spent.bytes())?;
            bytes += body.len();
        }
        Ok(bytes as f64 / 1e6 / begun.elapsed().as_secs_f64())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Measures one binary over one log.
pub(super) async fn measure(
    binary: &Path,
    blocks: u64,
    extra: &str,
    at_ms: u64,
    keep: bool,
) -> Result<Bitcoin, Failure> {
    let data = Dataset::embedded("large")?;
    let block_set = data.name().to_owned();
    let source = Source::start(data, blocks, at_ms).await?;
    let network = Endpoint::from(&source.simulator).network(NETWORK);
    let mut instance = Instance::launch(binary, &network, &Setting { keep, ..Setting::of(extra) }).await?;
    let measured = one(&source, &mut instance, block_set).await;
    let stopped = instance.stop().await;
    let mut measured = measured.map_err(|e| instance.explain(e))?;
    stopped?;
    measured.node_megabytes_per_second = source.alone().await?;
    Ok(measured)
}

async fn one(source: &Source, instance: &mut Instance, block_set: String) -> Result<Bitcoin, Failure> {
    // Everything is up when the one block that the node shows is visible.
    instance.reach(1, PATIENCE).await?;
    let (cpu, own) = (instance.usage(), processes::own(Node::THREADS));
    let begun = Instant::now();
    source.show();
    // One more head, so that whoever waits for one hears of it at once.
    let head = source.simulator.advance(1)?;
    instance.reach(head, PATIENCE).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut used = processes::since(&cpu, &instance.usage());
    let ingest = used.get(INGEST).copied().unwrap_or_default();
    used.insert(processes::NODE.to_owned(), processes::own(Node::THREADS).saturating_sub(own));
    let chain = source.simulator.canonical(1..=head);
    verify(&chain, instance).await?;
    let measured = &chain[1..];
    let transactions: u64 = measured.iter().map(|block| block.tx_count).sum();
    let megabytes = measured.iter().map(|block| block.size).sum::<u64>() as f64 / 1e6;
    let count = transactions.max(1) as f64;
    let per = |(name, used): (String, Duration)| (name, used.as_secs_f64() * 1e6 / count);
    Ok(Bitcoin {
        block_set,
        blocks: measured.len() as u64,
        transactions,
        megabytes,
        seconds,
        transactions_per_second: count / seconds,
        megabytes_per_second: megabytes / seconds,
        published_megabytes_per_core_second: megabytes / ingest.as_secs_f64(),
        cpu_us_per_transaction: used.into_iter().map(per).collect(),
        node_megabytes_per_second: f64::NAN,
    })
}

/// The store holds what the chain holds, to the last satoshi that is paid.
async fn verify(chain: &[Canonical], instance: &Instance) -> Result<(), Failure> {
    let sum = |of: fn(&Canonical) -> u64| chain.iter().map(|block| u128::from(of(block))).sum::<u128>();
    let want = [chain.len() as u128, sum(|b| b.tx_count), sum(|b| b.fees), sum(|b| b.inputs), sum(|b| b.outputs)];
    let filter = format!("WHERE network = '{NETWORK}'");
    let mut have = instance.row(&format!("SELECT count() FROM blocks {filter}")).await?;
    have.extend(instance.row(&format!("SELECT count(), sum(fee) FROM transactions {filter}")).await?);
    for view in ["bitcoin_inputs", "bitcoin_outputs"] {
        have.extend(instance.row(&format!("SELECT count() FROM {view} {filter}")).await?);
    }
    if have == want {
        return Ok(());
    }
    Err(format!("blocks, transactions, fees, inputs, outputs: the store has {have:?}, the chain {want:?}").into())
}
