//! The one reader of the live topics: from their end, all partitions, into the ring.

use std::{sync::Arc, time::Duration};

use runtime::log::{Log, LogError, PollLimits, Polled, Record, TopicPartition};
use schemas::{
    Op, TimeMs,
    codec::Codec,
    headers::ChainHeaders,
    records::EnrichedBlock,
    topics::{ENRICHED_BLOCKS, ENRICHED_TRANSACTIONS},
};
use tokio_util::sync::CancellationToken;

use super::{LiveEvent, Rates, Ring, assemble::Assembler};

/// How much one poll brings.
const POLL: PollLimits = PollLimits { records: 10_000, bytes: 8 << 20, wait: Duration::from_millis(500) };

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
    let mut places = Vec::new();
    // Children first: an event that is committed between the two loops then lacks its header, and is left out whole.
    for topic in [ENRICHED_TRANSACTIONS.name, ENRICHED_BLOCKS.name] {
        for partition in 0..log.partitions(topic).await? {
            let at = TopicPartition { topic, partition };
            places.push((at, log.watermarks(at).await?.high));
        }
    }
    let mut reader = log.reader(&places).await?;
    let mut assembler = Assembler::default();
    loop {
        let polled = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            polled = reader.poll(POLL) => polled,
        };
        match polled {
            Ok(Polled::Records(records)) => {
                for record in records {
                    take(&mut assembler, &codec, record);
                }
                while let Some((block, transactions)) = assembler.next() {
                    let e = &block.envelope;
                    if e.op == Op::Apply {
                        rates.add(&e.network, e.tx_count);
                    }
                    let age = TimeMs::now().0.saturating_sub(e.observed_at.0).max(0) as u64;
                    crate::metrics::live_event(e.network.as_str(), Duration::from_millis(age));
                    let event = LiveEvent::new(block, transactions, Arc::clone(&codec));
                    if eager() {
                        event.frames();
                    }
                    ring.push(event);
                }
            }
            // Readers of the ring see the hole by its sequences.
            Ok(Polled::OutOfRange { at, oldest, .. }) => reader.seek(at, oldest).await?,
            Ok(Polled::Assigned(_) | Polled::Revoked(_)) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the live topics do not answer; trying again");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Puts a record where it belongs. What cannot be read is counted and passed by; its event is then left out.
fn take(assembler: &mut Assembler, codec: &Codec, record: Record) {
    let Some(value) = record.value.clone() else { return };
    let network = || String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
    if record.from.topic == ENRICHED_BLOCKS.name {
        match codec.decode::<EnrichedBlock>(&value) {
            Ok(block) if block.envelope.is_event() => assembler.header(block),
            Ok(_) => {}
            Err(error) => {
                crate::metrics::undecodable(&network());
                tracing::warn!(network = network(), %error, "a block record cannot be shown live");
            }
        }
    } else {
        match ChainHeaders::parse(|name| record.header(name)) {
            Ok(headers) => assembler.child(&headers.network, headers.sequence, value),
            Err(error) => {
                crate::metrics::undecodable(&network());
                tracing::warn!(network = network(), %error, "a transaction record cannot be counted");
            }
        }
    }
}
