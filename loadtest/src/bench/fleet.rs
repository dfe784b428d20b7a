//! What many networks cost that have several endpoints each: CPU, memory and threads when there is nothing to do, and the calls and
//! bytes of each endpoint, per block and when idle.
//!
//! Measured with one network on one endpoint, then with a fifth of the networks, with half of them, and with all, so that it is seen
//! whether the cost grows in proportion: what each further network adds from one step to the next is to stay the same. All networks follow one simulated chain over the same endpoints, whose priorities are their order: the first
//! is the one in use, the others are what a second opinion and the probes cost. Endpoints are counted by the simulated node.

use super::idle::{self, Idle};
use super::instance::{Instance, Setting};
use super::{Failure, Node};
use crate::node::evm::{Counts, Dataset, EndpointConfig};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Blocks of the chain before it is measured.
const BLOCKS: u64 = 20;
/// Blocks at the head that are counted.
const HEADS: u64 = 20;
/// Between two of them with up to [`AT_ONCE`] networks; with more in proportion, so that their blocks together are no more a second and what
/// is counted is heads, and not how fast this machine catches up.
const PACE: Duration = Duration::from_secs(1);
/// Networks whose blocks of a second the machine works up beside everything else.
const AT_ONCE: usize = 10;
/// How long the networks may take to the last of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// What so many networks with so many endpoints cost.
#[derive(Clone, Debug, Serialize)]
pub struct Fleet {
    /// Endpoints of each network.
    pub endpoints: usize,
    /// With nothing to do.
    pub idle: Idle,
    /// By endpoint, in the order of their priority.
    pub asked: Vec<Asked>,
}

/// What one endpoint of a network was asked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Asked {
    /// Calls by method and block, at the head.
    pub calls_per_block: BTreeMap<String, f64>,
    /// Bytes of answers and notifications per block, at the head.
    pub bytes_per_block: f64,
    /// Heads announced by subscription, per block.
    pub heads_per_block: f64,
    /// Calls a minute with nothing to do.
    pub idle_calls_per_minute: f64,
}

impl Asked {
    /// Of all methods.
    pub(super) fn calls(&self) -> f64 {
        self.calls_per_block.values().sum()
    }

    fn of(idle: (&Counts, &Counts), minutes: f64, head: (&Counts, &Counts), networks: f64) -> Self {
        let calls = |counts: &Counts| counts.methods.values().sum::<u64>();
        let blocks = networks * HEADS as f64;
        let per_block = |before: u64, after: u64| after.saturating_sub(before) as f64 / blocks;
        let (before, after) = head;
        Self {
            calls_per_block: after.calls_since(before, blocks),
            bytes_per_block: per_block(before.bytes, after.bytes),
            heads_per_block: per_block(before.notifications, after.notifications),
            idle_calls_per_minute: calls(idle.1).saturating_sub(calls(idle.0)) as f64 / (minutes * networks),
        }
    }
}

/// Measures one network on one endpoint, a fifth of the networks, half of them, and all.
pub(super) async fn measure(
    binary: &Path,
    data: Arc<Dataset>,
    extra: &str,
    (networks, endpoints): (usize, usize),
    at_ms: u64,
) -> Result<Vec<Fleet>, Failure> {
    let mut all = Vec::new();
    let mut steps = vec![networks.div_ceil(5), networks.div_ceil(2), networks];
    steps.dedup();
    let steps = steps.into_iter().map(|networks| (networks, endpoints));
    for (networks, endpoints) in std::iter::once((1, 1)).chain(steps) {
        all.push(one(binary, data.clone(), extra, (networks, endpoints), at_ms).await?);
    }
    Ok(all)
}

async fn one(
    binary: &Path,
    data: Arc<Dataset>,
    extra: &str,
    (networks, endpoints): (usize, usize),
    at_ms: u64,
) -> Result<Fleet, Failure> {
    let beside = (1..=endpoints).map(|n| EndpointConfig::new(&format!("endpoint-{n}"))).collect();
    let node = Node::with(data, BLOCKS, at_ms, beside).await?;
    node.simulator.clear_faults();
    let mut instance = Instance::start(binary, &node, &Setting { networks, ..Setting::of(extra) }).await?;
    let measured = counted(&node, &instance, networks).await;
    let stopped = instance.stop().await;
    let fleet = measured.map_err(|e| instance.explain(e))?;
    stopped?;
    Ok(fleet)
}

async fn counted(node: &Node, instance: &Instance, networks: usize) -> Result<Fleet, Failure> {
    let counts = || -> Vec<Counts> { node.simulator.endpoints().iter().skip(1).map(|e| e.counts()).collect() };
    idle::at_rest(node, instance, networks).await?;
    let (begun, before) = (Instant::now(), counts());
    let idle = idle::window(instance, networks).await?;
    let (minutes, rested) = (begun.elapsed().as_secs_f64() / 60.0, counts());
    let pace = PACE * u32::try_from(networks.div_ceil(AT_ONCE)).unwrap_or(u32::MAX);
    for _ in 0..HEADS {
        node.simulator.advance(1)?;
        tokio::time::sleep(pace).await;
    }
    let until = Instant::now() + PATIENCE;
    while instance.all_at(node.simulator.head()).await? < networks {
        if Instant::now() > until {
            return Err(format!("{networks} networks did not come to the last of {HEADS} blocks").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = counts();
    let asked = |n: usize| Asked::of((&before[n], &rested[n]), minutes, (&rested[n], &after[n]), networks as f64);
    Ok(Fleet { endpoints: after.len(), idle, asked: (0..after.len()).map(asked).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_per_network_and_block() {
        let counts = |calls: u64, bytes: u64| Counts {
            methods: [("eth_getBlockReceipts".to_owned(), calls), ("eth_chainId".to_owned(), 7)].into(),
            bytes,
            notifications: bytes / 10,
            ..Counts::default()
        };
        let (start, rest, end) = (counts(10, 0), counts(20, 100), counts(20 + 2 * 4 * HEADS, 100 + 10 * 4 * HEADS));
        let asked = Asked::of((&start, &rest), 0.5, (&rest, &end), 4.0);
        assert_eq!(asked.calls_per_block, [("eth_getBlockReceipts".to_owned(), 2.0)].into());
        assert_eq!((asked.calls(), asked.bytes_per_block, asked.heads_per_block), (2.0, 10.0, 1.0));
        assert_eq!(asked.idle_calls_per_minute, 5.0);
    }
}
