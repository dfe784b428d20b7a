//! What a process costs that has nothing to do: CPU and statements that it asks the store, per second; memory and threads.
//!
//! Measured with one network and with several, each at the end of its chain, so that what a network adds is told apart from what
//! the process costs by itself. Statements are those that the binary counts itself; one that does not count them shows none.

use super::instance::{Instance, Setting};
use super::{Failure, Node, metrics, processes};
use crate::node::evm::Dataset;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Blocks of each network's chain.
const BLOCKS: u64 = 20;
/// Until everything has come to rest.
const REST: Duration = Duration::from_secs(20);
/// What is measured.
const WINDOW: Duration = Duration::from_secs(20);
/// How long the networks may take to their ends.
const PATIENCE: Duration = Duration::from_secs(120);
/// The binary's counter of statements.
const STATEMENTS: &str = "headwater_store_statements_total";

/// What idleness costs.
#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    /// Networks that were followed.
    pub networks: usize,
    /// CPU in milliseconds per second, by stage (thread name) and process.
    pub cpu_ms_per_second: BTreeMap<String, f64>,
    /// Statements per second, by the labels of the binary's counter; `None`: it does not count them.
    pub statements_per_second: Option<BTreeMap<String, f64>>,
    /// Resident memory of the stages' process at the end, in bytes.
    pub resident_bytes: u64,
    /// Threads of the stages' process at the end.
    pub threads: usize,
}

/// Starts the binary with so many networks, lets it come to rest, and measures.
pub(super) async fn measure(
    binary: &Path,
    data: Arc<Dataset>,
    extra: &str,
    networks: usize,
    at_ms: u64,
) -> Result<Idle, Failure> {
    let node = Node::start(data, BLOCKS, at_ms).await?;
    node.simulator.clear_faults();
    let setting = Setting { networks, ..Setting::of(extra) };
    let mut instance = Instance::start(binary, &node, &setting).await?;
    let measured = async {
        at_rest(&node, &instance, networks).await?;
        window(&instance, networks).await
    };
    let measured = measured.await;
    let stopped = instance.stop().await;
    let idle = measured.map_err(|e| instance.explain(e))?;
    stopped?;
    Ok(idle)
}

/// Waits until so many networks are at the chain's end and everything has come to rest.
pub(super) async fn at_rest(node: &Node, instance: &Instance, networks: usize) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    while instance.all_at(node.simulator.head()).await? < networks {
        if Instant::now() > until {
            return Err(format!("{networks} networks did not come to the end of their chains").into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(REST).await;
    Ok(())
}

/// Measures a process at rest.
pub(super) async fn window(instance: &Instance, networks: usize) -> Result<Idle, Failure> {
    let (begun, cpu) = (Instant::now(), instance.usage());
    let counted = statements(&instance.metrics().await?);
    tokio::time::sleep(WINDOW).await;
    let used = processes::since(&cpu, &instance.usage());
    let after = statements(&instance.metrics().await?);
    let seconds = begun.elapsed().as_secs_f64();
    let asked = |(labels, count): (String, f64)| {
        let before = counted.as_ref().and_then(|counted| counted.get(&labels)).copied().unwrap_or(0.0);
        let rate = (count - before) / seconds;
        (rate > 0.0).then_some((labels, rate))
    };
    Ok(Idle {
        networks,
        cpu_ms_per_second: used.into_iter().map(|(name, used)| (name, used.as_secs_f64() * 1e3 / seconds)).collect(),
        statements_per_second: after.map(|after| after.into_iter().filter_map(asked).collect()),
        resident_bytes: processes::resident(instance.pid()),
        threads: processes::threads(instance.pid()),
    })
}

/// The counter by its labels; `None` when the page does not have it.
fn statements(page: &str) -> Option<BTreeMap<String, f64>> {
    Some(metrics::counted(page, STATEMENTS)).filter(|counted| !counted.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_by_label() {
        let page = "# HELP headwater_store_statements_total Statements.\n# TYPE headwater_store_statements_total counter\n\
            headwater_store_statements_total{stage=\"sink\",purpose=\"audit\"} 12\n\
            headwater_store_statements_total{stage=\"api\"} 3\nheadwater_store_statements_total_more 7\nother 1\n";
        let counted = statements(page).expect("counted");
        assert_eq!(counted["stage=sink,purpose=audit"], 12.0);
        assert_eq!(counted["stage=api"], 3.0);
        assert_eq!(counted.len(), 2);
        assert_eq!(statements("headwater_store_statements_total 4\n").expect("counted")[""], 4.0);
        assert!(statements("other 1\n").is_none());
    }
}
