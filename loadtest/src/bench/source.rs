//! How fast the simulated node alone is: so that it is known not to be what limits the rest.

use super::{Failure, Node, processes};
use crate::node::evm::Dataset;
use futures::StreamExt as _;
use reqwest::Client;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Blocks that are fetched.
const BLOCKS: u64 = 1_500;
/// Requests under way at a time.
const PARALLEL: usize = 4;

/// The simulated node served over loopback to a client that drops what it gets.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// Transactions per second of blocks with receipts, client included, on all cores.
    pub transactions_per_second: f64,
    /// Bytes of answers per transaction.
    pub bytes_per_transaction: f64,
    /// CPU of the node per transaction, in microseconds: its share of a core.
    pub cpu_us_per_transaction: f64,
}

pub(super) async fn measure(data: Arc<Dataset>) -> Result<Source, Failure> {
    let node = Node::start(data, BLOCKS, 1_700_000_000_000).await?;
    node.simulator.clear_faults();
    let transactions: u64 = node.simulator.canonical(1..=BLOCKS).iter().map(|b| b.facts.tx_count).sum();
    let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
    let url = node.simulator.url();
    let (begun, cpu) = (Instant::now(), processes::own(Node::THREADS));
    let mut answers = futures::stream::iter(1..=BLOCKS)
        .map(|height| {
            let request = format!(
                r#"[{{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["{height:#x}",true]}},{{"jsonrpc":"2.0","id":2,"method":"eth_getBlockReceipts","params":["{height:#x}"]}}]"#
            );
            let post = client.post(&url).header("content-type", "application/json").body(request);
            async move { post.send().await?.bytes().await }
        })
        .buffer_unordered(PARALLEL);
    let mut bytes = 0;
    while let Some(answer) = answers.next().await {
        bytes += answer?.len();
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), processes::own(Node::THREADS).saturating_sub(cpu));
    let count = transactions.max(1) as f64;
    Ok(Source {
        transactions_per_second: count / seconds,
        bytes_per_transaction: bytes as f64 / count,
        cpu_us_per_transaction: cpu.as_secs_f64() * 1e6 / count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_node_alone_is_measured() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = Arc::new(Dataset::embedded("optimism").expect("built in"));
        let source = measure(data).await.expect("measured");
        assert!(source.transactions_per_second > 0.0, "{source:?}");
        // A recorded transaction with its receipt is some kilobytes of JSON.
        assert!((1_000.0..20_000.0).contains(&source.bytes_per_transaction), "{source:?}");
        assert!(source.cpu_us_per_transaction > 0.0, "{source:?}");
    }
}
