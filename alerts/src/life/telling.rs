//! Who is told of an alert, and what.
//!
//! Guarantee: what a channel was told last is remembered, and what it is told next follows from that and from where the alert stands now.
//! So a channel hears of a firing once, of an end only where it heard of the firing, and after a silence of what became of it meanwhile. An
//! alert that begins and ends within a silence is never told.

use std::collections::BTreeSet;

use conditions::Silenced;
use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{AlertPhase, SourceKind},
};

use super::{Key, Life, Message, Output, World};

/// What a channel was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// That it fires.
    Firing,
    /// That somebody has taken it on.
    Acknowledged,
    /// That it is over.
    Resolved,
    /// That it was taken back.
    Retracted,
}

/// What is said to a channel that was told this, of an alert that stands there: what it was told then, and the message. `None`: nothing.
pub const fn next(told: Option<Told>, phase: AlertPhase) -> Option<(Told, &'static str)> {
    use AlertPhase as P;
    match (told, phase) {
        (None, P::Firing) => Some((Told::Firing, "alert.firing")),
        // Who has not heard that it fires need not hear of the rest.
        (None, _) | (_, P::Pending) => None,
        (Some(Told::Resolved | Told::Retracted), P::Firing) => Some((Told::Firing, "alert.included_again")),
        (Some(Told::Resolved | Told::Retracted), P::Acknowledged) => Some((Told::Acknowledged, "alert.included_again")),
        (Some(Told::Firing), P::Acknowledged) => Some((Told::Acknowledged, "alert.acknowledged")),
        (Some(Told::Firing | Told::Acknowledged | Told::Retracted), P::Resolved) => {
            Some((Told::Resolved, "alert.resolved"))
        }
        (Some(Told::Firing | Told::Acknowledged | Told::Resolved), P::Retracted) => {
            Some((Told::Retracted, "alert.retracted"))
        }
        (Some(Told::Firing | Told::Acknowledged), P::Firing)
        | (Some(Told::Acknowledged), P::Acknowledged)
        | (Some(Told::Resolved), P::Resolved)
        | (Some(Told::Retracted), P::Retracted) => None,
    }
}

/// Whether a message says more of what was told already.
fn told_more(kind: &str) -> bool {
    matches!(kind, "alert.amended" | "alert.repeated")
}

impl Life {
    /// A channel had no room for a message, which goes into its summary.
    pub fn is_summed(&mut self, message: &Message) {
        if message.kind == "alert.firing" {
            self.summed.insert(message.channel.clone());
        }
    }

    /// How a silence sees it.
    pub fn as_silenced<'a>(&'a self, key: &'a Key) -> Silenced<'a> {
        let source = (self.source.id.as_str(), self.source.name.as_str());
        Silenced {
            rule: (self.source.kind == SourceKind::Rule).then_some(source),
            monitor: (self.source.kind == SourceKind::Monitor).then_some(source),
            channel: None,
            network: key.network.as_str(),
            contract: key.contract.as_deref(),
            severity: self.severity,
        }
    }

    /// Whom it concerns now: those that were told, and those that its rule names.
    fn channels(&self, world: &World<'_>) -> BTreeSet<String> {
        let mut channels: BTreeSet<String> = self.told.keys().cloned().collect();
        if let Some(policy) = world.policy()
            && self.fired_at.is_some()
        {
            for wanted in policy.channels_at(self.severity, self.escalated, world.clock.wall()) {
                if channels.len() >= limits::CHANNELS_OF_ALERT {
                    break;
                }
                channels.extend(world.settings.channel(wanted).map(|(id, _)| id.to_owned()));
            }
        }
        channels
    }

    /// Tells each channel what it has not heard; those that have heard of it and hear nothing new are told `also`.
    pub fn send(&mut self, also: Option<&'static str>, at: TimeMs, world: &World<'_>, out: &mut Output) {
        if self.fired_at.is_none() {
            return;
        }
        for id in self.channels(world) {
            let told = self.told.get(&id).copied();
            let Some(facts) = world.settings.channels.get(&id).filter(|facts| facts.active) else { continue };
            if told.is_none() && self.severity < facts.min_severity {
                continue;
            }
            let on_its_way =
                Silenced { channel: Some((id.as_str(), facts.name.as_str())), ..self.as_silenced(world.key) };
            if world.settings.silenced(&on_its_way, world.clock.wall()) {
                continue;
            }
            let kind = match next(told, self.phase) {
                Some((now, kind)) => {
                    self.told.insert(id.clone(), now);
                    (now != Told::Resolved || facts.send_resolved).then_some(kind)
                }
                None => also.filter(|_| told.is_some()),
            };
            let Some(kind) = kind else { continue };
            let capped = kind == "alert.firing" || told_more(kind) || self.summed.contains(&id);
            out.messages.push(Message {
                channel: id,
                capped,
                kind,
                alert_id: self.id.clone(),
                at,
                order: self.revision,
                body: serde_json::to_value(self.shown(world.key)).unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a channel was told and wherever the alert goes: it is told once, and then it has heard where the alert stands.
    #[test]
    fn what_is_told_is_where_it_stands() {
        let phases = [
            AlertPhase::Pending,
            AlertPhase::Firing,
            AlertPhase::Acknowledged,
            AlertPhase::Resolved,
            AlertPhase::Retracted,
        ];
        let all = [None, Some(Told::Firing), Some(Told::Acknowledged), Some(Told::Resolved), Some(Told::Retracted)];
        for told in all {
            for phase in phases {
                let Some((now, kind)) = next(told, phase) else {
                    let is_told = match (told, phase) {
                        (None, phase) => phase != AlertPhase::Firing,
                        (_, AlertPhase::Pending) => true,
                        (Some(Told::Firing | Told::Acknowledged), AlertPhase::Firing) => true,
                        (Some(Told::Acknowledged), AlertPhase::Acknowledged) => true,
                        (Some(Told::Resolved), AlertPhase::Resolved) => true,
                        (Some(Told::Retracted), AlertPhase::Retracted) => true,
                        _ => false,
                    };
                    assert!(is_told, "{told:?}, {phase}");
                    continue;
                };
                assert_eq!(format!("{now:?}").to_lowercase(), phase.as_str());
                assert_eq!(next(Some(now), phase), None, "told twice: {kind}");
                assert_eq!(kind == "alert.firing", told.is_none());
            }
        }
    }
}
