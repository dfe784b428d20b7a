//! What was published before events were lost that nobody has read.
//!
//! Guarantee: among the lost events may be reverts of all blocks that could be reverted when windows were published last. Every window into
//! which one of those falls, or another in its place, is found here if it was published as complete, as far as the topic is read back
//! ([`LOOK_BACK`](limits::LOOK_BACK)); what follows from that is [`Network::doubt`](crate::windows::Network::doubt)'s.

use std::collections::{BTreeMap, HashMap};

use runtime::log::{Log, LogError, TopicPartition, fold_from};
use schemas::{
    Codec, Network, TimeMs,
    limits::{REORG_LIMIT_BLOCKS, windows as limits},
    records::Window,
    topics,
};

use crate::{Config, windows::Clock};

/// Windows that are remembered, at least, before those go that nothing can happen to.
const MANY: usize = 8_192;

/// Of a network.
#[derive(Debug, Default)]
pub struct Former {
    /// The last event that windows tell of.
    pub sequence: u64,
    /// Complete windows that may not be right any more.
    pub windows: Vec<Window>,
}

/// The newest windows of a network by key, and its tip then.
#[derive(Default)]
struct Tail {
    sequence: u64,
    tip: u64,
    windows: HashMap<(u32, TimeMs, String), Window>,
    /// How many are remembered before it is looked which may go.
    most: usize,
}

impl Tail {
    fn take(&mut self, window: Window) {
        if window.sequence >= self.sequence {
            (self.sequence, self.tip) = (window.sequence, window.height);
        }
        let key = (window.window_seconds, window.window_start, schemas::records::window::text_of(window.contract));
        self.windows.insert(key, window.without_sketches());
        if self.windows.len() >= self.most.max(MANY) {
            // The tip may have been higher for a while than it is at the end.
            let floor = self.tip.saturating_sub(2 * REORG_LIMIT_BLOCKS);
            self.windows.retain(|_, w| w.partial.last.is_none_or(|last| last.height >= floor));
            self.most = 2 * self.windows.len();
        }
    }

    fn done(self, clock: Clock) -> Former {
        let settled = |w: &Window| w.partial.last.filter(|last| last.height + REORG_LIMIT_BLOCKS < self.tip);
        let until = self.windows.values().filter_map(settled).map(|last| last.time.0).max();
        let until = until.map_or(i64::MIN, |time| time.saturating_sub(clock.ahead()));
        let windows = self.windows.into_values().filter(|w| w.complete && w.end().0 > until).collect();
        Former { sequence: self.sequence, windows }
    }
}

/// What was published of each network of a partition.
///
/// # Errors
/// What the log says.
pub async fn read(
    log: &dyn Log,
    codec: &Codec,
    config: &Config,
    partition: u32,
) -> Result<BTreeMap<Network, Former>, LogError> {
    let at = TopicPartition { topic: topics::METRICS_WINDOWS.name, partition };
    tracing::warn!(partition, "events were lost that nobody had read; what was published before is looked through");
    let from = log.watermarks(at).await?.high.saturating_sub(limits::LOOK_BACK);
    let mut tails: BTreeMap<Network, Tail> = BTreeMap::new();
    fold_from(log, at, from, |record| {
        if let Some(Ok(window)) = record.value.as_deref().map(|value| codec.decode::<Window>(value)) {
            tails.entry(window.network.clone()).or_default().take(window);
        }
        Ok::<(), LogError>(())
    })
    .await?;
    Ok(tails
        .into_iter()
        .map(|(network, tail)| {
            let clock = config.clock(&network);
            (network, tail.done(clock))
        })
        .collect())
}
