//! What a foreign consumer of a topic of headers sees of many chains, and how long their blocks were on their way to it.

use crate::failure::Failure;
use runtime::log::{Log, PollLimits, Polled, Reader, Topic, TopicPartition};
use schemas::Op;
use schemas::headers::ChainHeaders;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// See the module. Chains begin at height 1 here, and do not fork.
pub(crate) struct Arrivals {
    reader: Box<dyn Reader>,
    /// Highest height of each network.
    heights: HashMap<String, u64>,
    /// The longest that a block was on its way.
    pub slowest: Duration,
}

impl Arrivals {
    /// A consumer of a topic of so many partitions, from its beginning.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn from_the_beginning(log: &dyn Log, topic: Topic, partitions: u32) -> Result<Self, Failure> {
        let from: Vec<_> = (0..partitions).map(|partition| (TopicPartition { topic, partition }, 0)).collect();
        let reader = log.reader(&from).await?;
        Ok(Self { reader, heights: HashMap::new(), slowest: Duration::ZERO })
    }

    /// Takes in what came, and waits a little where nothing did.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn poll(&mut self) -> Result<(), Failure> {
        let limits = PollLimits { records: 1_000, bytes: 4 << 20, wait: Duration::from_millis(20) };
        let Polled::Records(records) = self.reader.poll(limits).await? else { return Ok(()) };
        for record in records {
            let meta = ChainHeaders::parse(|name| record.header(name)).map_err(|e| format!("{e:?}"))?;
            if meta.op != Op::Apply {
                continue;
            }
            let height = self.heights.entry(meta.network.as_str().to_owned()).or_default();
            *height = (*height).max(meta.sequence);
        }
        Ok(())
    }

    /// The highest height of a network; 0: none.
    pub(crate) fn height(&self, slug: &str) -> u64 {
        self.heights.get(slug).copied().unwrap_or_default()
    }

    /// Takes what has come off the list, and remembers the slowest.
    pub(crate) fn measure(&mut self, made: &mut HashMap<(String, u64), Instant>) {
        made.retain(|(slug, height), at| {
            let there = self.heights.get(slug).is_some_and(|h| h >= height);
            if there {
                self.slowest = self.slowest.max(at.elapsed());
            }
            !there
        });
    }
}
