//! Attempts: which begin, and what follows from their ends.

use std::sync::Arc;

use runtime::log::{LogError, LogErrorKind};
use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{AlertDelivery, AlertOutbox, DeliveryState},
};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{
    super::{
        attempt::{Attempted, Sender},
        channels::{Plan, Verdict},
        directory::ChannelNow,
        heartbeat,
        lanes::{Credential, Pace, Turn, after},
        message::Maker,
        metrics,
        opened::Opened,
        output,
        queue::Key,
    },
    Ended, Member, NO_ROOM, OF_TENANT, POLL, Part, STUCK,
    telling::warned_about,
};

impl Member<'_> {
    /// Attempts that have ended.
    pub(super) fn landed(&mut self) -> Result<(), LogError> {
        while let Some(ended) = self.part.as_mut().and_then(|part| part.flying.try_join_next()) {
            match ended {
                Ok(ended) => self.ended(ended)?,
                Err(error) => {
                    // Only a mistake of ours ends an attempt so. Everything is read anew.
                    let message = format!("an attempt ended by itself: {error}");
                    return Err(LogError::new(LogErrorKind::Indefinite, message));
                }
            }
        }
        Ok(())
    }

    pub(super) fn ended(&mut self, Ended { key, credential, attempted }: Ended) -> Result<(), LogError> {
        let now = TimeMs::now();
        let Attempted { verdict, status, took, note } = attempted;
        let Some(part) = &mut self.part else { return Ok(()) };
        for parked in part.lanes.ended(&credential, &verdict, now, |key| part.queue.record(key).is_some()) {
            part.queue.put_back(&parked, now);
        }
        let tenant = key.as_str().split_once('/').map_or("", |(tenant, _)| tenant);
        if let Some(count) = part.of_tenant.get_mut(tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                part.of_tenant.remove(tenant);
            }
        }
        let Some(mut message) = part.queue.record(&key).cloned() else { return Ok(()) };
        let latency = u64::try_from(took.as_millis()).ok();
        let channel_type = self.channel_type(&message);
        metrics::attempted(&channel_type, &verdict, took);
        let tell = |delivery: &mut AlertDelivery| (delivery.status, delivery.latency_ms) = (status, latency);
        match verdict {
            Verdict::Sent { thread, .. } => {
                message.attempts = message.attempts.saturating_add(1);
                if let (Some(thread), Some(part)) = (&thread, &mut self.part) {
                    part.queue.put_thread(&message, thread);
                }
                message.thread = thread.or(message.thread);
                metrics::sent_after(&message.kind, now.0.saturating_sub(message.created_at.0));
                self.done(&key, message, DeliveryState::Sent, |delivery| {
                    tell(delivery);
                    delivery.error = note;
                })
            }
            Verdict::Retry { at_least, why, .. } => {
                let attempts = message.attempts.saturating_add(1);
                match self.settings.schedule.after(attempts, at_least, fastrand::f64()) {
                    Some(wait) => self.later(&key, after(now, wait), why, tell),
                    None => {
                        message.attempts = attempts;
                        self.warn_by_another(&message, &why)?;
                        let why = format!("{why} (given up after {attempts} attempts)");
                        self.done(&key, message, DeliveryState::Failed, |delivery| {
                            tell(delivery);
                            delivery.error = Some(why);
                        })
                    }
                }
            }
            Verdict::Final { why, disable } => {
                message.attempts = message.attempts.saturating_add(1);
                if disable {
                    self.disable(&message, &why)?;
                }
                if disable || warned_about(&message).is_some() {
                    self.warn_by_another(&message, &why)?;
                }
                self.done(&key, message, DeliveryState::Failed, |delivery| {
                    tell(delivery);
                    delivery.error = Some(why);
                })
            }
        }
    }

    /// Wakes those who wait for nobody, now and then.
    fn wake_stuck(&mut self, now: TimeMs) {
        let Some(part) = self.part.as_mut().filter(|part| part.woken.elapsed() >= STUCK) else { return };
        part.woken = Instant::now();
        let woken = part.lanes.stuck(now, |key| part.queue.record(key).is_some());
        // They are asked in this order.
        for (before, parked) in (1..).zip(woken.iter().rev()) {
            part.queue.put_back(parked, TimeMs(now.0.saturating_sub(before)));
        }
    }

    /// Begins what is due.
    pub(super) fn depart(&mut self) {
        let now = TimeMs::now();
        self.wake_stuck(now);
        for _ in 0..POLL.records {
            let Some(part) = &mut self.part else { return };
            if part.flying.len() >= limits::ATTEMPTS_AT_ONCE.0 {
                return;
            }
            let Some(key) = part.queue.next(now) else { return };
            let Some(message) = part.queue.record(&key).cloned() else { continue };
            if message.tenant == heartbeat::TENANT {
                // A self-test has come through: that is all there is to it.
                part.queue.end(&key);
                self.out.push(output::forgotten(part.partition, &key));
                *part.echoes.entry(key).or_default() += 1;
                // One that lay about while nobody delivered proves nothing.
                if now.0.saturating_sub(message.created_at.0)
                    < i64::try_from(heartbeat::FRESH.as_millis()).unwrap_or(i64::MAX)
                {
                    self.settings.passed.now();
                }
                continue;
            }
            if part.of_tenant.get(&message.tenant).copied().unwrap_or(0) >= OF_TENANT {
                part.queue.put_back(&key, after(now, NO_ROOM));
                continue;
            }
            if let Err(why) = self.begin(&key, &message, now) {
                let warned = match warned_about(&message) {
                    Some(_) => self.warn_by_another(&message, &why),
                    None => Ok(()),
                };
                let failed = |delivery: &mut AlertDelivery| delivery.error = Some(why);
                let told = warned.and_then(|()| self.done(&key, message, DeliveryState::Failed, failed));
                if let Err(error) = told {
                    tracing::error!(%error, key = key.as_str(), "a failure cannot be told");
                }
            }
        }
    }

    /// Begins an attempt, or lets it wait for its turn. What is wrong is told without secrets.
    pub(super) fn begin(&mut self, key: &Key, message: &AlertOutbox, now: TimeMs) -> Result<(), String> {
        let directory = self.directory;
        let Some(channel) = directory.channel(&message.tenant, &message.channel_id) else {
            if let Some(part) = &mut self.part {
                part.opened.forget(message);
            }
            return Err("the channel was removed".to_owned());
        };
        let Some(part) = &mut self.part else { return Ok(()) };
        if let Some(why) = disabled(part, message, &channel) {
            return Err(format!("the channel is disabled: {why}"));
        }
        let services = &self.settings.services;
        let maker = Maker { directory, public_url: &self.settings.public_url, services };
        let Opened { secrets, credential } = part.opened.of(message, &channel, &maker, &self.digests)?;
        match part.lanes.ask(&credential, key, Pace::of(channel.channel.kind()), now) {
            Turn::Wait(until) => {
                part.queue.put_back(key, until);
                return self.waits(key, message, until);
            }
            Turn::Parked => return self.waits(key, message, now),
            Turn::Go => {}
        }
        let plan = maker.plan(message, &channel, &secrets, part.queue.thread(message), now);
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => {
                let verdict = Verdict::Final { why: String::new(), disable: false };
                for parked in part.lanes.ended(&credential, &verdict, now, |key| part.queue.record(key).is_some()) {
                    part.queue.put_back(&parked, now);
                }
                return Err(why);
            }
        };
        part.queue.fly(key);
        *part.of_tenant.entry(message.tenant.clone()).or_default() += 1;
        let (key, sender) = (key.clone(), self.sender.clone());
        part.flying.spawn(flight(key, credential, sender, plan, secrets));
        Ok(())
    }
}

/// Why nothing is sent to a channel; what was disabled for a former version counts no more.
fn disabled(part: &mut Part, message: &AlertOutbox, channel: &ChannelNow) -> Option<String> {
    let of = (message.tenant.clone(), message.channel_id.clone());
    match part.disabled.get(&of) {
        Some((version, why)) if *version >= channel.version => return Some(why.clone()),
        Some(_) => drop(part.disabled.remove(&of)),
        None => {}
    }
    channel.disabled.clone()
}

/// An attempt, on a task of its own. Whatever happens, it ends.
async fn flight(key: Key, credential: Credential, sender: Sender, plan: Plan, secrets: Arc<Value>) -> Ended {
    // Several requests have their deadlines one after the other.
    let most = limits::SCRIPT_DEADLINE_MOST.max(limits::ATTEMPT_WITHIN * 4);
    let attempted = timeout(most, sender.attempt(&plan, &secrets)).await.unwrap_or_else(|_| Attempted {
        verdict: Verdict::retry(format!("no end within {} s", most.as_secs())),
        status: None,
        took: most,
        note: None,
    });
    Ended { key, credential, attempted }
}
