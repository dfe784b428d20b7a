//! `enriched.causes`, followed: why transactions failed, told as soon as it is found out, while the store folds it into their rows.
//!
//! Guarantee: what is held is bounded by number and bytes; each cause is decoded and serialised once for all connections. It is no block
//! event: it has no position, nothing is resumed by it, and a reader that is too slow, or away, reads the transaction again. Whatever
//! becomes of the topic ends nothing else.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use runtime::log::{Log, LogError, LogErrorKind, PollLimits, Polled, Reader, Record, TopicPartition};
use schemas::{Network, Op, TimeMs, codec::Codec, limits::finding, records::EnrichedCause, topics::ENRICHED_CAUSES};
use tokio::{sync::watch, time::Instant};

use super::{Mark, event::DataFrame};
use crate::items::CauseItem;

/// Pause before a log that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether there are more partitions.
const PARTITIONS: Duration = Duration::from_secs(60);
const POLL: PollLimits = PollLimits { records: 1_024, bytes: 4 << 20, wait: Duration::from_millis(500) };

/// A cause, as connections send it.
pub struct LiveCause {
    /// Its network.
    pub network: Network,
    /// The event that applied its transaction's block: whoever was sent that is told.
    pub sequence: u64,
    /// What filters look at.
    pub mark: Mark,
    /// The frame.
    pub frame: Utf8Bytes,
    /// When it was found.
    found_at: TimeMs,
}

impl LiveCause {
    fn of(cause: &EnrichedCause) -> Self {
        let (network, sequence) = (cause.network.as_str(), cause.sequence);
        let data = CauseItem::of(cause);
        let frame = DataFrame { r#type: "cause", network, sequence, op: Op::Apply, data }.text();
        let mark = Mark::from_cause(cause);
        Self { network: cause.network.clone(), sequence, mark, frame, found_at: cause.found_at }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.mark.bytes() + self.frame.len()
    }
}

/// Recent causes of all networks, numbered as they came.
pub struct Causes {
    inner: Mutex<Inner>,
    /// The number behind the newest one.
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    held: VecDeque<Arc<LiveCause>>,
    /// Number of the first that is held.
    first: u64,
    bytes: usize,
}

impl Default for Causes {
    fn default() -> Self {
        Self { inner: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl Causes {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Tells of new ones.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Those with this number and higher ones, and the number behind them. What a reader was too slow for is passed over.
    pub fn from(&self, number: u64) -> (Vec<Arc<LiveCause>>, u64) {
        let inner = self.lock();
        let skip = usize::try_from(number.saturating_sub(inner.first)).unwrap_or(usize::MAX);
        (inner.held.iter().skip(skip).cloned().collect(), inner.first + inner.held.len() as u64)
    }

    /// Those of the last moments, of a network or of all, for a subscription that begins, and those of what it is sent of the past:
    /// `after` a sequence.
    pub fn recent(&self, network: Option<&Network>, after: Option<u64>) -> Vec<Arc<LiveCause>> {
        let since = TimeMs::now().0 - finding::CAUSES_AGAIN.as_millis() as i64;
        let inner = self.lock();
        let wanted = |cause: &&Arc<LiveCause>| {
            let is_new = cause.found_at.0 >= since || after.is_some_and(|after| cause.sequence > after);
            is_new && network.is_none_or(|network| *network == cause.network)
        };
        inner.held.iter().filter(wanted).cloned().collect()
    }

    fn push(&self, cause: LiveCause) {
        let mut inner = self.lock();
        inner.bytes += cause.bytes();
        inner.held.push_back(Arc::new(cause));
        let (most, bytes) = finding::LIVE_CAUSES;
        while inner.held.len() > most || inner.bytes > bytes {
            let Some(oldest) = inner.held.pop_front() else { break };
            inner.first += 1;
            inner.bytes -= oldest.bytes();
        }
        let newest = inner.first + inner.held.len() as u64;
        drop(inner);
        self.newest.send_replace(newest);
    }

    fn take(&self, codec: &Codec, record: &Record) {
        let Some(value) = record.value.as_deref() else { return };
        match codec.decode::<EnrichedCause>(value) {
            Ok(cause) => self.push(LiveCause::of(&cause)),
            Err(error) => tracing::debug!(%error, offset = record.offset, "a cause cannot be shown live"),
        }
    }

    /// Follows the topic for ever.
    pub async fn follow(&self, log: &dyn Log, codec: &Codec) {
        loop {
            let Err(error) = self.read(log, codec).await else { continue };
            if error.kind == LogErrorKind::Denied {
                tracing::warn!(%error, "causes may not be read; trying again");
            } else {
                tracing::debug!(%error, "causes cannot be read; trying again");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Reads from a little before the end of every partition on; ends where there are more partitions than when it began.
    async fn read(&self, log: &dyn Log, codec: &Codec) -> Result<(), LogError> {
        let topic = ENRICHED_CAUSES.name;
        let mut known = log.partitions(topic).await?;
        let all: Vec<_> = (0..known).map(|partition| TopicPartition { topic, partition }).collect();
        let (mut places, ends) = runtime::log::last(log, &all, finding::CAUSES_READ_BACK).await?;
        if *self.newest.borrow() > 0 {
            // What was read before an interruption is not read again; what came meanwhile is in the rows.
            places = ends.into_iter().collect();
        }
        let mut reader: Box<dyn Reader> = log.reader(&places).await?;
        let mut looked = Instant::now();
        loop {
            match reader.poll(POLL).await? {
                Polled::Records(records) => records.iter().for_each(|record| self.take(codec, record)),
                Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
            if looked.elapsed() > PARTITIONS {
                looked = Instant::now();
                let all = log.partitions(topic).await?;
                let added: Vec<_> = (known..all).map(|partition| (TopicPartition { topic, partition }, 0)).collect();
                if !added.is_empty() {
                    reader.add(&added).await?;
                    known = all;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(network: &str, sequence: u64, reason: &str, age: Duration) -> LiveCause {
        let found_at = TimeMs(TimeMs::now().0 - age.as_millis() as i64);
        LiveCause::of(&EnrichedCause { reason: reason.to_owned(), ..testing::cause(network, sequence, found_at) })
    }

    #[test]
    fn the_oldest_go_and_a_slow_reader_passes_them_over() {
        let causes = Causes::default();
        let most = finding::LIVE_CAUSES.0 as u64;
        for sequence in 0..most + 10 {
            causes.push(cause("a", sequence, "", Duration::ZERO));
        }
        let (held, next) = causes.from(0);
        assert_eq!((held.len() as u64, next, held[0].sequence), (most, most + 10, 10));
        let (held, next) = causes.from(next - 2);
        assert_eq!((held.len(), next), (2, most + 10));
        assert!(causes.from(next).0.is_empty() && causes.from(u64::MAX).0.is_empty());
        assert_eq!(*causes.changes().borrow(), most + 10);
        let long = "x".repeat(finding::LIVE_CAUSES.1 / 4);
        for sequence in 0..9 {
            causes.push(cause("a", sequence, &long, Duration::ZERO));
        }
        assert!(causes.lock().bytes <= finding::LIVE_CAUSES.1, "bytes are bounded, too");
        assert_eq!(causes.from(0).0.len(), 3);
    }

    #[test]
    fn what_came_a_moment_ago_is_told_again() {
        let causes = Causes::default();
        causes.push(cause("a", 1, "", 2 * finding::CAUSES_AGAIN));
        causes.push(cause("a", 2, "", Duration::from_secs(1)));
        causes.push(cause("b", 3, "", Duration::from_secs(1)));
        let sequences = |network: Option<&str>, after: Option<u64>| -> Vec<u64> {
            let network: Option<Network> = network.map(|n| n.parse().expect("a slug"));
            causes.recent(network.as_ref(), after).iter().map(|cause| cause.sequence).collect()
        };
        assert_eq!((sequences(None, None), sequences(Some("a"), None)), (vec![2, 3], vec![2]));
        assert_eq!((sequences(Some("a"), Some(0)), sequences(Some("a"), Some(1))), (vec![1, 2], vec![2]));
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use alloy_primitives::B256;
    use schemas::records::CauseEvidence;

    use super::*;

    /// A cause of a transaction.
    pub(crate) fn cause(network: &str, sequence: u64, found_at: TimeMs) -> EnrichedCause {
        EnrichedCause {
            network: network.parse().expect("a slug"),
            sequence,
            height: sequence,
            block_hash: B256::ZERO.into(),
            block_time: found_at,
            transaction_index: 0,
            transaction_hash: B256::ZERO,
            revision: 1,
            cause: "slippage".to_owned(),
            reason: String::new(),
            rule: None,
            found_by: CauseEvidence::Trace,
            approximate: false,
            from_address: None,
            contract: None,
            method: None,
            entry: None,
            frame_address: None,
            frame_depth: None,
            error: None,
            error_selector: None,
            error_signature: None,
            error_arguments: None,
            output: Default::default(),
            calls: None,
            group: None,
            found_at,
        }
    }

    impl LiveCause {
        /// One for tests.
        pub(crate) fn for_tests(network: &str, sequence: u64) -> Arc<Self> {
            Arc::new(Self::of(&cause(network, sequence, TimeMs::now())))
        }
    }
}
