//! What people ask for once more.
//!
//! Guarantee: a message is sent again under its id, with the bytes that it had; what is asked for twice while it waits is sent once.

use std::collections::{BTreeSet, HashMap};

use runtime::log::{
    LogError, Record, TopicPartition,
    compacted::{Found, judge},
    pass_over, pick,
};
use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{AlertCommand, AlertOutbox, Command, DeliveryState},
};

use super::{
    super::{
        metrics, output,
        queue::{Done, Key},
    },
    Member, OUTBOX,
};

impl Member<'_> {
    /// Replays; the other commands are the group `alerts.state`'s.
    pub(super) async fn command(&mut self, record: &Record) -> Result<(), LogError> {
        let Some(part) = &self.part else { return Ok(()) };
        let Some(value) = &record.value else { return Ok(()) };
        let command = match self.codec.decode::<AlertCommand>(value) {
            Ok(command) => command,
            Err(error) => {
                pass_over(record, &error);
                return Ok(());
            }
        };
        let tenant = &command.tenant;
        let wanted: Vec<(Key, Done)> = match &command.what {
            Command::ReplayDelivery { delivery_id } => {
                let key = Key::of(tenant, delivery_id);
                part.queue.is_done(&key).map(|done| (key, done.clone())).into_iter().collect()
            }
            Command::ReplayChannel { channel_id, since } => {
                let mut all = part.queue.done_since(tenant, channel_id, *since);
                all.truncate(limits::WAITING_OF_CHANNEL / 2);
                all
            }
            Command::Acknowledge { .. } | Command::TestChannel { .. } => return Ok(()),
        };
        self.replay(wanted).await
    }

    pub(super) async fn replay(&mut self, wanted: Vec<(Key, Done)>) -> Result<(), LogError> {
        let Some(part) = &self.part else { return Ok(()) };
        if wanted.is_empty() {
            return Ok(());
        }
        let at = TopicPartition { topic: OUTBOX, partition: part.partition };
        let offsets: HashMap<u64, &Key> = wanted.iter().map(|(key, done)| (done.offset, key)).collect();
        // Nobody's message waits for what lies between and behind them to be read.
        let places: BTreeSet<u64> = offsets.keys().copied().collect();
        let (mut found, codec) = (HashMap::new(), self.codec);
        pick(self.log, at, &places, |record: Record| {
            if let Some(key) = offsets.get(&record.offset)
                && let Found::Ours(message) = judge::<AlertOutbox>(codec, &record)
            {
                found.insert((*key).clone(), message);
            }
            Ok::<(), LogError>(())
        })
        .await?;
        let now = TimeMs::now();
        for (place, (key, _)) in wanted.iter().enumerate() {
            let Some(mut message) = found.remove(key) else { continue };
            // What is sent again takes nobody's place; its order is that of coming about.
            let place = i64::try_from(place).unwrap_or(0);
            message.next_attempt_at = TimeMs(now.0.saturating_add(place));
            (message.attempts, message.order, message.done_at) = (0, 0, None);
            let channel_type = self.channel_type(&message);
            let mut delivery = output::delivery(&message, &channel_type, DeliveryState::Queued, now);
            delivery.next_attempt_at = Some(message.next_attempt_at);
            self.put_outbox(key, &message)?;
            self.put_delivery(&delivery)?;
            metrics::replayed();
            let Some(part) = &mut self.part else { return Ok(()) };
            let gone = part.queue.take(message, 0);
            self.given_up(gone)?;
        }
        Ok(())
    }
}
