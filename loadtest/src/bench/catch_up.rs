//! The bench's catch-up alone, for what is measured beside it.

use super::instance::{Instance, Setting};
use super::speed::{self, Speed};
use super::{Failure, Node};
use crate::node::evm::Dataset;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How fast `binary` catches up with a chain of `blocks` of these recorded blocks over the embedded log.
///
/// # Errors
/// When something cannot be started, does not come to an end, or the store does not hold what the chain holds.
pub(crate) async fn catch_up(binary: &Path, data: Arc<Dataset>, blocks: u64) -> Result<Speed, Failure> {
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let node = Node::start(data, blocks, at_ms).await?;
    let setting = Setting::of("");
    let mut instance = Instance::start(binary, &node, &setting).await?;
    let speed = speed::measure(&node, &mut instance, false, false).await;
    let stopped = instance.stop().await;
    let speed = speed.map_err(|e| instance.explain(e))?;
    stopped?;
    Ok(speed)
}
