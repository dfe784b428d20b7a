//! The one reader of the live topics: from their end, all partitions, into the ring.

use std::{sync::Arc, time::Duration};

use runtime::log::{
    Log, LogError,
    events::{Batch, Event, EventReader},
};
use schemas::{
    Op, TimeMs,
    codec::Codec,
    records::EnrichedBlock,
    topics::{ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS},
};
use tokio_util::sync::CancellationToken;

use super::{event::LiveEvent, rates::Rates, ring::Ring};

/// Events, bytes and waiting time of one step.
const EVENTS: usize = 256;
const BYTES: usize = 8 << 20;
const WAIT: Duration = Duration::from_millis(500);

/// Follows the live edge until the service stops. While `eager` says that somebody listens, frames are made here, at once,
/// rather than by the first connection that wants them.
pub async fn follow(
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    ring: Arc<Ring>,
    rates: Arc<Rates>,
    eager: impl Fn() -> bool + Send,
    shutdown: CancellationToken,
) -> Result<(), LogError> {
    let (blocks, transactions) = (ENRICHED_BLOCKS.name, Some(ENRICHED_TRANSACTIONS.name));
    let mut reader = EventReader::from_end(&*log, blocks, transactions).await?;
    loop {
        let batch = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            batch = reader.next(EVENTS, BYTES, WAIT) => batch,
        };
        match batch {
            Ok(Batch::Events(events)) => {
                for event in events {
                    let Some(event) = live(event, &codec, &rates) else { continue };
                    if eager() {
                        event.frames();
                    }
                    ring.push(event);
                }
            }
            // Showing the present is worth more than waiting for an operator: begin again at the end. Whoever follows the
            // network sees by the sequences what is missing.
            Ok(Batch::Halted { network, why, .. }) => {
                tracing::warn!(%network, %why, "live frames begin again at the end of the log");
                tokio::time::sleep(WAIT).await;
                reader = EventReader::from_end(&*log, blocks, transactions).await?;
            }
            Ok(Batch::Assigned(_) | Batch::Revoked(_)) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the live topics do not answer; trying again");
                tokio::time::sleep(WAIT).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The event, ready for the ring; `None` for finality and for a header that cannot be read (counted, and seen by followers as
/// a gap).
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
    if e.op == Op::Apply {
        rates.add(&e.network, e.tx_count);
    }
    let age = TimeMs::now().0.saturating_sub(e.observed_at.0).max(0) as u64;
    crate::metrics::live_event(e.network.as_str(), Duration::from_millis(age));
    let transactions = event.children.into_iter().filter_map(|r| r.value).collect();
    Some(LiveEvent::new(block, transactions, Arc::clone(codec)))
}
