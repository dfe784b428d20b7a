//! `providers.samples` → `provider_sample_rows`, `provider_minute_rows`, `endpoint_rows`.
//!
//! Guarantee: what the topic keeps is in the store, each once: positions move only behind what is on disk, and a replay writes equal
//! keys again, which collapse. A state never goes back: the newest one counts by its own time. Block events never wait for it: it is a
//! group, a batch and a task of its own, whatever becomes of it does not end the sink, and retention holds nothing back for it.
//!
//! What the tables would drop at once is not written; a time that lies ahead of every clock is not believed, since it would never go.
//! A record that is not ours, or of a version that this one does not know, is passed over and counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use runtime::log::{Consumer, Log, LogError, Offsets, PollLimits, Polled, Record, TopicPartition};
use schemas::{
    TimeMs,
    codec::Codec,
    records::{ProviderSample, Seen},
    topics,
};
use tokio::time::sleep;

use super::{
    SinkConfig,
    aside::{Failure, STAND_BY, memberships, serve},
    error::WriteError,
    insert::{insert_endpoints, insert_provider_minutes, insert_provider_samples},
    metrics,
    patience::Patience,
};
use crate::Store;

/// The consumer group.
pub const GROUP: &str = "sink.samples";
/// Its topic.
pub const TOPICS: [&str; 1] = [topics::PROVIDERS_SAMPLES.name];

/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 4_096, bytes: 4 << 20, wait: Duration::from_millis(500) };
/// Records of one batch, at most.
const BATCH: usize = 20_000;
/// What the tables keep: calls, minutes, states.
const KEPT: [Duration; 3] = [days(1), days(90), days(30)];
/// How far ahead of our clock a time may lie.
const AHEAD: Duration = Duration::from_secs(3_600);

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3_600)
}

/// Brings samples to the store.
pub(super) struct Samples {
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    instance: String,
    patience: Patience,
    age: Duration,
}

/// What is written at once, with its positions.
#[derive(Default)]
struct Batch {
    samples: Vec<ProviderSample>,
    offsets: BTreeMap<TopicPartition, u64>,
    since: Option<Instant>,
}

impl Batch {
    fn is_due(&self, age: Duration) -> bool {
        self.samples.len() >= BATCH || self.since.is_some_and(|since| since.elapsed() >= age)
    }

    fn take(&mut self, codec: &Codec, records: &[Record], now: TimeMs) {
        for record in records {
            self.since.get_or_insert_with(Instant::now);
            self.offsets.insert(record.from, record.offset + 1);
            match record.value.as_ref().map(|value| codec.decode::<ProviderSample>(value)) {
                Some(Ok(sample)) => match is_kept(&sample, now) {
                    true => self.samples.push(sample),
                    false => metrics::sample_passed_over("time"),
                },
                Some(Err(error)) => {
                    tracing::debug!(%error, at = ?record.from, offset = record.offset, "a sample cannot be read");
                    metrics::sample_passed_over("unreadable");
                }
                None => metrics::sample_passed_over("unreadable"),
            }
        }
    }
}

/// Whether the tables would keep it.
fn is_kept(sample: &ProviderSample, now: TimeMs) -> bool {
    let kept = match sample.seen {
        Seen::Call(_) => KEPT[0],
        Seen::Minute(_) => KEPT[1],
        Seen::State(_) => KEPT[2],
    };
    let age = now.0.saturating_sub(sample.at.0);
    (-(AHEAD.as_millis() as i64)..kept.as_millis() as i64).contains(&age)
}

impl Samples {
    pub fn new(store: Store, log: Arc<dyn Log>, codec: Arc<Codec>, config: &SinkConfig, patience: Patience) -> Self {
        Self { store, log, codec, instance: config.instance.clone(), patience, age: config.samples_age }
    }

    /// Until it is dropped, or the stage is told to stop.
    pub async fn run(self) {
        memberships("samples", || self.member()).await;
    }

    /// One membership of the group.
    async fn member(&self) -> Result<(), Failure> {
        let mut consumer = self.log.consumer(GROUP, &self.instance, &TOPICS).await?;
        let mut held = BTreeSet::new();
        let mut batch = Batch::default();
        loop {
            let polled = consumer.poll(POLL).await?;
            self.follow(&mut *consumer, &mut held, &mut batch, polled).await?;
            if !batch.is_due(self.age) {
                continue;
            }
            let mut next = Batch::default();
            {
                let write = self.write(&batch.samples);
                tokio::pin!(write);
                loop {
                    tokio::select! {
                        biased;
                        written = &mut write => break written?,
                        () = sleep(STAND_BY) => {
                            let all: Vec<TopicPartition> = held.iter().copied().collect();
                            let polled = serve(&mut *consumer, &all, POLL).await?;
                            self.follow(&mut *consumer, &mut held, &mut next, polled).await?;
                        }
                    }
                }
            }
            let all: Vec<TopicPartition> = held.iter().copied().collect();
            consumer.resume(&all)?;
            // Positions of what went to others meanwhile are theirs to move.
            let ours: Offsets = batch.offsets.into_iter().filter(|(at, _)| held.contains(at)).collect();
            if !ours.is_empty() {
                consumer.commit(ours).await?;
            }
            batch = next;
        }
    }

    async fn follow(
        &self,
        consumer: &mut dyn Consumer,
        held: &mut BTreeSet<TopicPartition>,
        batch: &mut Batch,
        polled: Polled,
    ) -> Result<(), LogError> {
        match polled {
            Polled::Records(records) => batch.take(&self.codec, &records, TimeMs::now()),
            Polled::Assigned(assigned) => held.extend(assigned.into_iter().map(|(at, _)| at)),
            Polled::Revoked(gone) => {
                held.retain(|at| !gone.contains(at));
                batch.offsets.retain(|at, _| !gone.contains(at));
            }
            Polled::OutOfRange { at, wanted, oldest } => {
                metrics::samples_overtaken(oldest.saturating_sub(wanted));
                consumer.seek(at, oldest).await?;
            }
        }
        Ok(())
    }

    /// Rows of a batch, again until they are on disk.
    async fn write(&self, samples: &[ProviderSample]) -> Result<(), WriteError> {
        self.patience.again(|| insert_provider_samples(&self.store, samples)).await?;
        self.patience.again(|| insert_provider_minutes(&self.store, samples)).await?;
        self.patience.again(|| insert_endpoints(&self.store, samples)).await
    }
}

#[cfg(test)]
mod tests {
    use schemas::records::{CallSample, MinuteSample, Outcome};

    use super::*;

    #[test]
    fn what_the_tables_would_not_keep_is_not_written() {
        let now = TimeMs(1_000 * days(1).as_millis() as i64);
        let hour = 3_600_000;
        let sample = |at: i64, seen| ProviderSample {
            network: "eth".parse().expect("a slug"),
            endpoint: "a".into(),
            at: TimeMs(at),
            observer: "ingest/x".into(),
            seen,
        };
        let call = |at| {
            let call = CallSample {
                method: "m".into(),
                probe: false,
                latency_ms: 1,
                outcome: Outcome::Ok,
                height: None,
                error: None,
                bytes: 0,
            };
            sample(at, Seen::Call(call))
        };
        let minute = |at| {
            let minute = MinuteSample {
                method: "m".into(),
                calls: 1,
                failures: 0,
                latency_p50_ms: None,
                latency_p95_ms: None,
                bytes: 0,
            };
            sample(at, Seen::Minute(minute))
        };
        for (hours, of_call, of_minute) in [
            (0, true, true),
            (-23, true, true),
            (-25, false, true),
            (-89 * 24, false, true),
            (-91 * 24, false, false),
            (1, true, true),
            (2, false, false),
        ] {
            let at = now.0 + hours * hour;
            assert_eq!((is_kept(&call(at), now), is_kept(&minute(at), now)), (of_call, of_minute), "{hours} h");
        }
        for at in [i64::MIN, i64::MAX] {
            assert!(!is_kept(&call(at), now) && !is_kept(&minute(at), now), "{at}");
        }
    }
}
