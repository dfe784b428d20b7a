//! What is written of a message: that it waits, was tried, is over, or was replaced; and that a channel is disabled.

use runtime::log::LogError;
use schemas::{
    TimeMs,
    records::{AlertDelivery, AlertOutbox, DeliveryState},
};

use super::{
    super::{
        metrics, output,
        queue::{GivenUp, Key},
    },
    Member,
};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// The kind of a message that says that a channel cannot be reached.
const WARNING: &str = "channel.summary";
/// Warnings that are remembered beside those in the outbox.
const WARNED: usize = 10_000;

impl Member<'_> {
    pub(super) fn channel_type(&self, message: &AlertOutbox) -> String {
        let channel = self.directory.channel(&message.tenant, &message.channel_id);
        channel.map_or_else(|| "unknown".to_owned(), |now| now.channel.kind().word().to_owned())
    }

    pub(super) fn put_outbox(&mut self, key: &Key, message: &AlertOutbox) -> Result<(), LogError> {
        let Some(part) = &mut self.part else { return Ok(()) };
        self.out.push(output::record(self.codec, part.partition, message)?);
        *part.echoes.entry(key.clone()).or_default() += 1;
        Ok(())
    }

    pub(super) fn put_delivery(&mut self, delivery: &AlertDelivery) -> Result<(), LogError> {
        let Some(part) = &self.part else { return Ok(()) };
        self.out.push(output::record(self.codec, part.partition, delivery)?);
        metrics::told(&delivery.channel_type, delivery.state);
        Ok(())
    }

    /// Messages that end without another attempt.
    pub(super) fn given_up(&mut self, gone: Vec<(AlertOutbox, GivenUp)>) -> Result<(), LogError> {
        for (message, why) in gone {
            let key = Key::of(&message.tenant, &message.id);
            match why {
                GivenUp::Replaced => self.replaced(&key, &message)?,
                GivenUp::TooMany => {
                    let why = "too many messages wait for this channel; it can be sent again".to_owned();
                    self.done(&key, message, DeliveryState::Failed, |delivery| delivery.error = Some(why))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn replaced(&mut self, key: &Key, message: &AlertOutbox) -> Result<(), LogError> {
        if message.order == 0 {
            // Somebody asked for it once more, and may ask again.
            return self.done(key, message.clone(), DeliveryState::Replaced, |_| {});
        }
        let delivery = output::delivery(message, &self.channel_type(message), DeliveryState::Replaced, TimeMs::now());
        self.put_delivery(&delivery)?;
        let Some(part) = &mut self.part else { return Ok(()) };
        part.waits_told.remove(key);
        self.out.push(output::forgotten(part.partition, key));
        *part.echoes.entry(key.clone()).or_default() += 1;
        Ok(())
    }

    /// A message is over: it stays in the outbox, so that it can be sent again.
    pub(super) fn done(
        &mut self,
        key: &Key,
        mut message: AlertOutbox,
        state: DeliveryState,
        tell: impl FnOnce(&mut AlertDelivery),
    ) -> Result<(), LogError> {
        let now = TimeMs::now();
        message.done_at = Some(now);
        let mut delivery = output::delivery(&message, &self.channel_type(&message), state, now);
        delivery.thread.clone_from(&message.thread);
        tell(&mut delivery);
        if let Some(part) = &mut self.part {
            part.queue.end(key);
            part.waits_told.remove(key);
        }
        self.put_outbox(key, &message)?;
        self.put_delivery(&delivery)
    }

    /// It is tried again, unless a later one goes in its place.
    pub(super) fn later(
        &mut self,
        key: &Key,
        at: TimeMs,
        why: String,
        tell: impl FnOnce(&mut AlertDelivery),
    ) -> Result<(), LogError> {
        let Some(part) = &mut self.part else { return Ok(()) };
        let (message, state) = match part.queue.failed(key, at) {
            Some(Ok(message)) => (message, DeliveryState::Queued),
            Some(Err(message)) => (message, DeliveryState::Replaced),
            None => return Ok(()),
        };
        let mut delivery = output::delivery(&message, &self.channel_type(&message), state, TimeMs::now());
        tell(&mut delivery);
        delivery.error = Some(why);
        if state == DeliveryState::Queued {
            delivery.next_attempt_at = Some(at);
            self.put_outbox(key, &message)?;
        } else if message.order == 0 {
            // As in `replaced`.
            let message = AlertOutbox { done_at: Some(delivery.at), ..message };
            self.put_outbox(key, &message)?;
        } else if let Some(part) = &mut self.part {
            self.out.push(output::forgotten(part.partition, key));
            *part.echoes.entry(key.clone()).or_default() += 1;
        }
        self.put_delivery(&delivery)
    }

    /// Nothing more is sent to the channel as it is now; the API is told, which tells people.
    pub(super) fn disable(&mut self, message: &AlertOutbox, why: &str) -> Result<(), LogError> {
        let now = TimeMs::now();
        let Some(channel) = self.directory.channel(&message.tenant, &message.channel_id) else { return Ok(()) };
        let Some(part) = &mut self.part else { return Ok(()) };
        let of = (message.tenant.clone(), message.channel_id.clone());
        if part
            .disabled
            .insert(of, (channel.version, why.to_owned()))
            .is_some_and(|(version, _)| version == channel.version)
        {
            return Ok(());
        }
        tracing::warn!(tenant = message.tenant, channel = message.channel_id, why, "a channel is disabled");
        let name = format!("disabled {}/{}/{}", message.tenant, message.channel_id, channel.version);
        let mut delivery = output::delivery(message, channel.channel.kind().word(), DeliveryState::Failed, now);
        delivery.id = schemas::ulid_of(now, name.as_bytes());
        (delivery.alert_id, delivery.kind, delivery.error) =
            (None, "channel.disabled".to_owned(), Some(why.to_owned()));
        self.put_delivery(&delivery)
    }

    /// Nothing more is tried of a message, or nothing more sent to its channel: the tenant hears by another channel that this one cannot be
    /// reached, once a day. A warning that cannot be told goes on to the next channel by id, once round, and nobody is warned about it.
    pub(super) fn warn_by_another(&mut self, message: &AlertOutbox, why: &str) -> Result<(), LogError> {
        let (tenant, now) = (&message.tenant, TimeMs::now());
        let passed_on = warned_about(message);
        let id = passed_on.as_ref().unwrap_or(&message.channel_id);
        let name = self.directory.channel(tenant, id).map(|now| now.channel.name.clone());
        let (Some(part), Some(name)) = (&mut self.part, name) else { return Ok(()) };
        let is_disabled = |other: &String| {
            // What was disabled for a former version counts no more.
            let since = part.disabled.get(&(tenant.clone(), other.clone())).map(|(version, _)| *version);
            since.is_some_and(|since| self.directory.channel(tenant, other).is_none_or(|now| since >= now.version))
        };
        let is_next = |other: &String| passed_on.is_none() || *other > message.channel_id;
        let others = self.directory.others(tenant, id).into_iter();
        let Some(other) = others.filter(|other| is_next(other) && !is_disabled(other)).min() else {
            tracing::warn!(tenant, channel = id, "a channel cannot be reached, and there is no other to say so by");
            return Ok(());
        };
        // Whoever says so today says it under one id; who passes it on, under one for each channel.
        let told_at = if passed_on.is_some() { message.created_at } else { now };
        let day = TimeMs(told_at.0.div_euclid(DAY_MS).saturating_mul(DAY_MS));
        let of = match passed_on {
            None => format!("unreachable {tenant}/{id}"),
            Some(_) => format!("unreachable {tenant}/{id}/{other}"),
        };
        let warning_id = schemas::ulid_of(day, of.as_bytes());
        let key = Key::of(tenant, &warning_id);
        let is_told = part.queue.record(&key).is_some() || part.queue.is_done(&key).is_some();
        if part.warned.len() >= WARNED {
            part.warned.clear();
        }
        if is_told || !part.warned.insert(key) {
            return Ok(());
        }
        let body = match passed_on {
            Some(_) => message.body.clone(),
            None => serde_json::json!({
                "count": 1,
                "since": message.created_at.rfc3339(),
                "until": now.rfc3339(),
                "kinds": {"channel.failed": 1},
                "alerts": [],
                "channel": {"id": id, "name": name},
                "attempts": message.attempts,
                "error": why,
            })
            .to_string(),
        };
        let warning = AlertOutbox {
            id: warning_id,
            next_attempt_at: now,
            body,
            ..AlertOutbox::new(tenant, &other, WARNING, told_at)
        };
        // It comes back as what anybody else wrote, and is sent then.
        self.out.push(output::record(self.codec, part.partition, &warning)?);
        Ok(())
    }

    /// A message waits for its turn: that is told once, so that it can be seen.
    pub(super) fn waits(&mut self, key: &Key, message: &AlertOutbox, until: TimeMs) -> Result<(), String> {
        let Some(part) = &mut self.part else { return Ok(()) };
        if message.attempts > 0 || !part.waits_told.insert(key.clone()) {
            return Ok(());
        }
        let channel_type = self.channel_type(message);
        let mut delivery = output::delivery(message, &channel_type, DeliveryState::Queued, TimeMs::now());
        delivery.next_attempt_at = Some(until);
        self.put_delivery(&delivery).map_err(|error| error.to_string())
    }
}

/// Of which channel a message says that it cannot be reached; `None`: it says something else.
pub(super) fn warned_about(message: &AlertOutbox) -> Option<String> {
    if message.kind != WARNING {
        return None;
    }
    let body: serde_json::Value = serde_json::from_str(&message.body).ok()?;
    body.pointer("/kinds/channel.failed")?;
    Some(body.pointer("/channel/id")?.as_str()?.to_owned())
}
