//! The live end of the chain: it grows at a steady pace, and of each block it is measured how long it takes from the node to its row.
//!
//! Guarantee: a block counts from the moment at which requests to the node see it to the first answer of the store that has its row; it
//! is asked for every [`POLL`] while a block is awaited, and not otherwise. A block that comes into being while the measurement ends is
//! waited for.

use super::process::NETWORK;
use crate::cluster::{Outside, number};
use crate::compare::percentile;
use crate::failure::Failure;
use crate::node::evm::{HeadEvent, Simulator};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Between two questions for a row.
const POLL: Duration = Duration::from_millis(10);
/// How long a block's row may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes blocks until it is dropped.
pub struct Growth {
    _task: AbortOnDropHandle<()>,
}

impl Growth {
    /// A block each time `every` has passed.
    pub fn start(node: Arc<Simulator>, every: Duration) -> Self {
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(every);
            loop {
                pace.tick().await;
                if let Err(error) = node.advance(1) {
                    tracing::error!(%error, "the chain stands still");
                    return;
                }
            }
        });
        Self { _task: AbortOnDropHandle::new(task) }
    }
}

/// From a block at the node to its row.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Delay {
    /// Blocks that were measured.
    pub blocks: usize,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, milliseconds; of fewer than a hundred blocks the slowest.
    pub p99_ms: f64,
}

impl Delay {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |percent: usize| {
            percentile(times.iter().copied(), percent).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        Self { blocks: times.len(), p50_ms: at(50), p99_ms: at(99) }
    }
}

/// A measurement under way.
pub struct Measuring {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<Vec<Duration>, Failure>>,
}

impl Measuring {
    /// Of all blocks from now on.
    pub fn start(node: &Simulator, outside: Outside) -> Self {
        let (stop, heads) = (CancellationToken::new(), node.subscribe());
        let task = tokio::spawn(measure(heads, outside, stop.clone()));
        Self { stop, task: AbortOnDropHandle::new(task) }
    }

    /// Ends it when the last block's row is there.
    ///
    /// # Errors
    /// When a row does not come.
    pub async fn end(self) -> Result<Delay, Failure> {
        self.stop.cancel();
        Ok(Delay::of(self.task.await??))
    }
}

async fn measure(
    mut heads: Receiver<HeadEvent>,
    outside: Outside,
    stop: CancellationToken,
) -> Result<Vec<Duration>, Failure> {
    let (mut awaited, mut times) = (BTreeMap::new(), Vec::new());
    loop {
        while let Ok(head) = heads.try_recv() {
            awaited.insert(head.block.height, head.at);
        }
        let Some((&lowest, &oldest)) = awaited.first_key_value() else {
            tokio::select! {
                () = stop.cancelled() => return Ok(times),
                head = heads.recv() => match head {
                    Ok(head) => drop(awaited.insert(head.block.height, head.at)),
                    Err(RecvError::Lagged(_)) => return Err("heads were missed".into()),
                    Err(RecvError::Closed) => return Ok(times),
                },
            }
            continue;
        };
        let sql = format!("SELECT max(number) AS n FROM blocks WHERE network = '{NETWORK}' AND number >= {lowest}");
        let seen = match outside.query(&sql).await {
            Ok(rows) => rows.first().map_or(Ok(0), |row| number(row, "n"))?,
            Err(error) => {
                tracing::debug!(error, "the store does not answer");
                0
            }
        };
        let now = Instant::now();
        while let Some(entry) = awaited.first_entry().filter(|entry| *entry.key() <= seen) {
            times.push(now - entry.remove());
        }
        if oldest.elapsed() > PATIENCE {
            return Err(format!("live block {lowest} has no row {PATIENCE:?} after the node showed it").into());
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_few_blocks_the_slowest_is_the_99th_percentile() {
        let delay = Delay::of((1..=50).rev().map(Duration::from_millis).collect());
        assert_eq!((delay.blocks, delay.p50_ms, delay.p99_ms), (50, 25.0, 50.0));
        assert!(Delay::of(Vec::new()).p50_ms.is_nan());
    }
}
