//! Channels whose receivers are gone: what the stage of alerts says of them in `alerts.deliveries` is written into the control store, so that
//! people see it and the stages hear of it (rule 34).
//!
//! Guarantee: each such word is carried out at least once, by one process of the group at a time: the position moves behind it only then. It is
//! the same whenever it is carried out again: a channel that somebody changed after the receiver's word stays as it is.

use std::time::Duration;

use control::{Control, Error};
use runtime::log::{
    Consumer, Log, LogError, Offsets, PollLimits, Polled, Record,
    membership::{Pauses, deadline},
};
use schemas::{codec::Codec, records::AlertDelivery, topics};
use tokio::time::{Instant, sleep};

/// The consumer group.
pub const GROUP: &str = "api.channels";
/// The kind of a delivery that says it.
const DISABLED: &str = "channel.disabled";
/// One poll.
const LIMITS: PollLimits = PollLimits { records: 1_000, bytes: 4 << 20, wait: Duration::from_secs(1) };
/// Pause before a control store that is away is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Follows the deliveries, for ever.
pub async fn follow(control: &Control, log: &dyn Log, codec: &Codec, instance: &str) {
    let mut pauses = Pauses::default();
    loop {
        let started = Instant::now();
        if let Err(error) = membership(control, log, codec, instance).await {
            tracing::debug!(%error, "what receivers say of channels cannot be read now");
        }
        sleep(pauses.after(started)).await;
    }
}

async fn membership(control: &Control, log: &dyn Log, codec: &Codec, instance: &str) -> Result<(), LogError> {
    let topic = topics::ALERTS_DELIVERIES.name;
    let mut consumer = deadline("joining", log.consumer(GROUP, instance, &[topic])).await?;
    loop {
        match deadline("reading", consumer.poll(LIMITS)).await? {
            Polled::Assigned(_) | Polled::Revoked(_) => {}
            // What is so old was said long ago, and the channel shows it by failing again.
            Polled::OutOfRange { at, oldest, .. } => consumer.seek(at, oldest).await?,
            Polled::Records(records) => carry_out(control, codec, &mut *consumer, &records).await?,
        }
    }
}

async fn carry_out(
    control: &Control,
    codec: &Codec,
    consumer: &mut dyn Consumer,
    records: &[Record],
) -> Result<(), LogError> {
    let mut positions = Offsets::new();
    for record in records {
        // One that cannot be read says nothing; the sink of alerts tells of it.
        let said = record.value.as_ref().and_then(|value| codec.decode::<AlertDelivery>(value).ok());
        if let Some(said) = said.filter(|said| said.kind == DISABLED) {
            disable(control, &said).await;
        }
        match positions.iter_mut().find(|(at, _)| *at == record.from) {
            Some((_, next)) => *next = record.offset + 1,
            None => positions.push((record.from, record.offset + 1)),
        }
    }
    if positions.is_empty() { Ok(()) } else { deadline("committing", consumer.commit(positions)).await }
}

/// Until it is done, or cannot be.
async fn disable(control: &Control, said: &AlertDelivery) {
    let reason = said.error.as_deref().unwrap_or("its receiver is gone");
    loop {
        match control.disable_channel(&said.tenant, &said.channel_id, said.at, reason).await {
            Ok(true) => tracing::warn!(channel = said.channel_id, reason, "a channel is disabled"),
            Ok(false) | Err(Error::NotFound) => {}
            Err(Error::Away(_)) => {
                sleep(AGAIN).await;
                continue;
            }
            Err(error) => tracing::error!(channel = said.channel_id, %error, "a channel could not be disabled"),
        }
        return;
    }
}
