//! The simulated node of a measurement, in this process.
//!
//! Guarantee: its threads have a name of their own, so that what it costs is told apart from what measures.

use crate::failure::Failure;
use crate::node::evm::{self, Clock, Config, Dataset, EndpointConfig, Fault, FaultKind, Origin, Simulator};
use std::sync::Arc;

/// Canonical blocks that it keeps at most; deeper ones are computed again when they are asked for.
const KEPT_BLOCKS: u64 = 65_536;

/// A simulated node on threads of its own, so that its CPU is told apart.
pub(crate) struct Node {
    /// The node.
    pub(crate) simulator: Simulator,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Node {
    /// How the node's threads are called.
    pub(super) const THREADS: &'static str = "sim";

    /// A chain of `blocks` blocks that begins at `at_ms`, of which only the first shows until the fault is cleared.
    pub(crate) async fn start(data: Arc<Dataset>, blocks: u64, at_ms: u64) -> Result<Self, Failure> {
        Self::with(data, blocks, at_ms, Vec::new()).await
    }

    /// The same with endpoints beside the first, which show the whole chain.
    pub(super) async fn with(
        data: Arc<Dataset>,
        blocks: u64,
        at_ms: u64,
        endpoints: Vec<EndpointConfig>,
    ) -> Result<Self, Failure> {
        let config = Config {
            clock: Clock::Manual,
            history: blocks,
            faults: vec![Fault::always(FaultKind::StaleHead { back: blocks })],
            endpoints,
            origin: Origin::At(at_ms),
            window: usize::try_from(blocks.min(KEPT_BLOCKS))?.saturating_add(8_192),
            ..Config::new(data)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(Self::THREADS)
            .enable_all()
            .build()?;
        let simulator = runtime.spawn(evm::spawn(config)).await??;
        Ok(Self { simulator, runtime: Some(runtime) })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
