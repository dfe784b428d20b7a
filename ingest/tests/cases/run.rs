//! One network over one node of fixed blocks, and what came out of it.

use std::{sync::Arc, time::Duration};

use alloy_primitives::U256;
use ingest::{Config, Start};
use loadtest::node::fixed::{FixedNode, Pair, recorded};
use runtime::log::embedded::EmbeddedLog;
use schemas::records::{NetworkState, Payload, StageStatus};

use crate::common::{self, Chain, Stage};

/// Sums over the canonical chain, as the raw topics give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    pub blocks: usize,
    pub transactions: usize,
    pub logs: usize,
    pub gas: u64,
    /// Gas used × effective gas price, wei.
    pub fees: u128,
    pub tip: (u64, String),
}

impl Totals {
    pub fn of(chain: &Chain) -> Self {
        let tip = chain.tip().expect("a block");
        let mut t = Self { blocks: chain.blocks.len(), transactions: 0, logs: 0, gas: 0, fees: 0, tip };
        for record in chain.blocks.iter().flat_map(|b| &chain.transactions[&b.envelope.sequence]) {
            let Payload::Evm(tx) = &record.payload else { panic!("no transaction: {record:?}") };
            let price = tx.receipt_effective_gas_price.or(tx.gas_price).unwrap_or_default();
            t.transactions += 1;
            t.logs += tx.logs.len();
            t.gas += tx.receipt_gas_used;
            t.fees += u128::try_from(price * U256::from(tx.receipt_gas_used)).expect("fits");
        }
        t
    }
}

/// A running stage over a node.
pub struct Run {
    pub node: FixedNode,
    pub log: Arc<EmbeddedLog>,
    config: Config,
    stage: Option<Stage>,
    _dir: tempfile::TempDir,
}

impl Run {
    /// Over the recorded blocks of a case. `quirk` sets the node up before anybody asks it.
    pub async fn case(name: &str, chain_id: u64, quirk: impl FnOnce(&FixedNode)) -> Self {
        Self::over(recorded(name).expect("recorded blocks"), chain_id, quirk).await
    }

    /// Over these blocks, from the lowest on.
    pub async fn over(blocks: Vec<Pair>, chain_id: u64, quirk: impl FnOnce(&FixedNode)) -> Self {
        let start = Start::Height(blocks.iter().map(Pair::height).min().expect("a block"));
        Self::with(blocks, chain_id, |config, node| {
            config.networks[0].start = start;
            quirk(node);
        })
        .await
    }

    /// With a configuration of its own.
    pub async fn with(blocks: Vec<Pair>, chain_id: u64, set_up: impl FnOnce(&mut Config, &FixedNode)) -> Self {
        common::trace();
        let node = FixedNode::spawn(chain_id, blocks).await.expect("a port");
        let dir = tempfile::tempdir().expect("a folder");
        let log = common::open(dir.path()).await;
        let mut config = common::config(&node.url(), None, chain_id, Start::Latest);
        set_up(&mut config, &node);
        let stage = Some(Stage::start(config.clone(), log.clone()));
        Self { node, log, config, stage, _dir: dir }
    }

    /// Ends the stage cleanly and starts it again on the same log.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.stage = Some(Stage::start(self.config.clone(), self.log.clone()));
    }

    /// Waits until the node's highest block is the tip; returns the chain, with every rule checked that a reader may rely on.
    pub async fn whole(&self) -> Chain {
        let blocks = self.node.blocks();
        let head = blocks.last().expect("a block");
        let chain = common::wait_for_tip(&*self.log, head.height(), &head.hash()).await;
        let held = chain.hashes();
        let first = held[0].0;
        let truth: Vec<_> = blocks.iter().map(|b| (b.height(), b.hash())).filter(|(h, _)| *h >= first).collect();
        assert_eq!(held, truth, "the node's chain");
        assert_eq!(chain.remaining, 0);
        chain
    }

    /// Waits until the newest block's header is in the log.
    pub async fn reached(&self) {
        let head = self.node.blocks().last().map(|b| (b.height(), b.hash())).expect("a block");
        let newest = async {
            while !common::newest_is(&*self.log, head.0, &head.1).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), newest).await.expect("the tip in time");
    }

    /// Transactions and logs of each applied block, as the headers count them.
    pub async fn counts(&self) -> Vec<(u32, u32)> {
        let codec = schemas::Codec::builtin();
        let headers = common::read_topic(&*self.log, schemas::topics::RAW_BLOCKS).await;
        let read = |r: &runtime::log::Record| {
            codec.decode::<schemas::records::RawBlock>(r.value.as_ref().expect("a value")).expect("a header")
        };
        let applied = headers.iter().map(read).filter(|b| b.envelope.op == schemas::Op::Apply);
        applied.map(|b| (b.envelope.tx_count, b.envelope.log_count)).collect()
    }

    /// Waits for a state of the network.
    pub async fn state(&self, state: NetworkState) -> StageStatus {
        common::wait_for_state(&*self.log, state).await
    }

    /// Waits until the node was asked for `method` at least so often.
    pub async fn asked(&self, method: &str, times: usize) {
        let wait = async {
            while self.node.count(method) < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the node is asked");
    }

    /// Ends the stage cleanly.
    pub async fn stop(&mut self) {
        if let Some(stage) = self.stage.take() {
            stage.stop().await;
        }
    }
}
