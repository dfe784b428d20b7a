//! The one reader of the live topics: from their end, all partitions, into the rings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runtime::log::{
    Log, LogError,
    events::{Batch, Event, EventReader},
};
use schemas::{
    Op, Origin, TimeMs,
    codec::Codec,
    records::EnrichedBlock,
    topics::{ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{event::LiveEvent, rates::Rates, ring::Rings};

/// Events, bytes and waiting time of one step.
const EVENTS: usize = 256;
const BYTES: usize = 8 << 20;
const WAIT: Duration = Duration::from_millis(500);

/// How long after a network broke its partition begins again.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows the live edge until the service stops. While `eager` says that somebody listens, frames are made here, at once,
/// rather than by the first connection that wants them. A log that is away is waited for.
pub async fn follow(
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    rings: Arc<Rings>,
    rates: Arc<Rates>,
    eager: impl Fn() -> bool + Send,
    shutdown: CancellationToken,
) -> Result<(), LogError> {
    let following = async {
        let mut reader = begin(&*log).await?;
        // Partitions that begin again, and when.
        let mut broken: BTreeMap<u32, Instant> = BTreeMap::new();
        loop {
            if let Err(error) = reader.take_up_added(&*log).await {
                tracing::warn!(%error, "whether partitions were added is not known; asking again");
            }
            for partition in broken.extract_if(.., |_, at| *at <= Instant::now()).map(|(p, _)| p).collect::<Vec<_>>() {
                if !took(reader.begin_again(&*log, partition).await)? {
                    broken.insert(partition, Instant::now() + PAUSE);
                }
            }
            match reader.next(EVENTS, BYTES, WAIT).await {
                Ok(Batch::Events(events)) => {
                    for event in events {
                        let Some(event) = live(event, &codec, &rates) else { continue };
                        if eager() {
                            event.frames();
                        }
                        rings.push(event);
                    }
                }
                // Showing the present is worth more than waiting for an operator: begin again at the end. Whoever follows the
                // network gets from the store what is missing. Other partitions go on meanwhile.
                Ok(Batch::Halted { partition, network, why }) => {
                    tracing::warn!(%network, %why, partition, "live frames begin again at the end of the partition");
                    broken.entry(partition).or_insert_with(|| Instant::now() + PAUSE);
                }
                Ok(Batch::Assigned(_) | Batch::Revoked(_)) => {}
                Err(error) => {
                    took(Err(error))?;
                    tokio::time::sleep(WAIT).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(following).await.unwrap_or(Ok(()))
}

/// Whether it succeeded; what may succeed later is no error.
fn took(outcome: Result<(), LogError>) -> Result<bool, LogError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "the live topics do not answer; trying again");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// A reader at the end of all partitions.
async fn begin(log: &dyn Log) -> Result<EventReader, LogError> {
    loop {
        match EventReader::from_end(log, ENRICHED_BLOCKS.name, Some(ENRICHED_TRANSACTIONS.name)).await {
            Ok(reader) => return Ok(reader),
            Err(error) => took(Err(error))?,
        };
        tokio::time::sleep(WAIT).await;
    }
}

/// The event, ready for the ring; `None` for finality and for a header that cannot be read (counted; followers get the event
/// from the store, if it has it).
fn live(event: Event, codec: &Arc<Codec>, rates: &Rates) -> Option<LiveEvent> {
    if event.meta.op == Op::Finality {
        return None;
    }
    let block = match codec.decode::<EnrichedBlock>(event.header.value.as_deref().unwrap_or_default()) {
        Ok(block) => block,
        Err(error) => {
            let network = event.meta.network.as_str();
            crate::metrics::undecodable(network);
            tracing::warn!(network, sequence = event.meta.sequence, %error, "a block record cannot be shown live");
            return None;
        }
    };
    let e = &block.envelope;
    // What is filled in says nothing of how fast the chain goes, nor of how late its head is.
    if e.origin == Origin::Live {
        if e.op == Op::Apply {
            rates.add(&e.network, e.tx_count);
        }
        let age = TimeMs::now().0.saturating_sub(e.observed_at.0).max(0) as u64;
        crate::metrics::live_event(e.network.as_str(), Duration::from_millis(age));
    }
    let transactions = event.children.into_iter().filter_map(|r| r.value).collect();
    Some(LiveEvent::new(block, transactions, Arc::clone(codec)))
}
