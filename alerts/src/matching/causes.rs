//! Causes that a second look found, late: evidence of failures is amended by them with the next block, what monitors found at once.
//!
//! Guarantee: beside the group's position: a cause that comes while nobody reads is read back, as far as [`BACK`] records; none ever holds a
//! match up.

use std::time::Duration;

use runtime::log::{Log, LogError, PollLimits, Polled, Reader, TopicPartition, last, pass_over};
use schemas::{Codec, records::EnrichedCause, topics};

/// Records of each partition that are read back.
const BACK: u64 = 5_000;
/// How much one look reads.
const POLL: PollLimits = PollLimits { records: 5_000, bytes: 8 << 20, wait: Duration::from_millis(1) };

/// See the module.
#[derive(Default)]
pub struct Causes(Option<(Vec<u32>, Box<dyn Reader>)>);

impl Causes {
    /// What came since the last look, of these partitions.
    ///
    /// # Errors
    /// What the log says: the next look reads back again.
    pub async fn read(
        &mut self,
        log: &dyn Log,
        codec: &Codec,
        held: &[u32],
    ) -> Result<Vec<(u32, EnrichedCause)>, LogError> {
        if self.0.as_ref().is_none_or(|(of, _)| of != held) {
            let at = |partition: &u32| TopicPartition { topic: topics::ENRICHED_CAUSES.name, partition: *partition };
            let of: Vec<TopicPartition> = held.iter().map(at).collect();
            let (from, _) = last(log, &of, BACK).await?;
            self.0 = Some((held.to_vec(), log.reader(&from).await?));
        }
        let Some((_, reader)) = &mut self.0 else { return Ok(Vec::new()) };
        let polled = match reader.poll(POLL).await {
            Ok(Polled::Records(records)) => records,
            Ok(Polled::OutOfRange { at, oldest, .. }) => {
                reader.seek(at, oldest).await?;
                return Ok(Vec::new());
            }
            Ok(Polled::Assigned(_) | Polled::Revoked(_)) => return Ok(Vec::new()),
            Err(error) => {
                self.0 = None;
                return Err(error);
            }
        };
        let mut causes = Vec::with_capacity(polled.len());
        for record in polled {
            let Some(value) = &record.value else { continue };
            match codec.decode::<EnrichedCause>(value) {
                Ok(cause) => causes.push((record.from.partition, cause)),
                Err(error) => pass_over(&record, &error),
            }
        }
        Ok(causes)
    }
}
