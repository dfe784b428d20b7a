//! The alerts of one group: the one that is not over, and those before it that the chain may still take back, or bring back.

use std::time::Duration;

use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{AlertEventKind, AlertMatch, AlertPhase, MatchOp, SourceKind},
    ulid_of,
};
use serde_json::{Value, json};

use super::{
    Clock, Key, Life, Message, Output, Policy, Settings,
    alert::{Rests, Said},
    clock::after,
    held::digest,
    table::{Cell, Signal, cell},
};

/// Former alerts of one group that are kept.
const FORMER: usize = 4;
/// While a route has hours, it is looked at anew this often.
const HOURS: Duration = Duration::from_secs(60);
const REMOVED: &str = "the rule or monitor was removed or paused, or its organisation has its network no more";
const CHANGED: &str =
    "the rule or monitor was changed, or its organisation has the network no more: it is not about this any more";
const SILENCE_BEGINS: &str = "a silence begins";
const SILENCE_ENDS: &str = "the silence is over";
const ESCALATED: &str = "nobody has acknowledged it";

/// What a step may look at.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Whose alerts these are.
    pub tenant: &'a str,
    /// The group.
    pub key: &'a Key,
    /// What the tenant has defined.
    pub settings: &'a Settings,
    /// Which time it is.
    pub clock: &'a Clock,
}

impl<'a> World<'a> {
    /// What the rule or monitor says of this group; `None`: it is not there any more, or paused, or no longer about it.
    pub fn policy(&self) -> Option<&'a Policy> {
        let policy = self.settings.policies.get(&self.key.source_id)?;
        let looks = policy.networks.as_ref().is_none_or(|networks| networks.contains(&self.key.network));
        (looks && policy.scope.as_ref().is_none_or(|scope| scope.has(self.key))).then_some(policy)
    }

    fn told(&self) -> TimeMs {
        self.clock.told(&self.key.network)
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Rises with every change.
    pub revision: u64,
    /// The group's alerts, oldest first. More than one is open only where an older one came again.
    lives: Vec<Life>,
    /// When the group last fired.
    fired_at: Option<i64>,
}

impl Entry {
    /// The group's alerts, oldest first.
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// Alerts that are not over.
    pub fn open(&self) -> usize {
        self.lives.iter().filter(|life| life.is_open()).count()
    }

    /// Whether a match is known to one of its alerts, or may be.
    pub fn knows(&self, record: &AlertMatch) -> bool {
        let Some(digest) = digest(record) else { return !self.lives.is_empty() };
        self.lives.iter().filter_map(Life::held).any(|held| held.stands(&digest).is_some() || held.has_forgotten())
    }

    /// Takes a record of `alerts.matches`, and does what follows.
    pub fn take(&mut self, record: &AlertMatch, world: &World<'_>, out: &mut Output) {
        // What was due before it came comes before it.
        self.tick(world, out);
        match (record.op, &record.found) {
            (MatchOp::Settled, _) => {
                for life in &mut self.lives {
                    life.in_reorg = false;
                    // Nothing more comes of this reorg: what changed in it is told at once.
                    if let Some((since, true)) = life.changed {
                        life.changed = Some((since.saturating_sub(60_000), true));
                    }
                }
            }
            (MatchOp::Match | MatchOp::IncludedAgain, Some(_)) => self.matched(record, world, out),
            (MatchOp::Retract, Some(_)) => self.retracted(record, world, out),
            (MatchOp::Amend, Some(_)) => self.amended(record, world),
            (MatchOp::Retract, None) => self.figure_retracted(record, world, out),
            (MatchOp::Figure | MatchOp::Match | MatchOp::IncludedAgain, None) => self.figured(record, world, out),
            (MatchOp::Figure, Some(_)) | (MatchOp::Amend, None) | (MatchOp::LeftOut, _) => {}
        }
        self.tick(world, out);
    }

    /// A new alert, where the rule or monitor is there.
    fn begin(&mut self, record: &AlertMatch, world: &World<'_>) -> Option<&mut Life> {
        let policy = world.policy()?;
        let former = self.lives.len();
        let of = format!(
            "{}/{}/{}/{}/{}/{former}",
            world.tenant,
            world.key.source_id,
            world.key.text(),
            record.sequence,
            record.at.0
        );
        let id = ulid_of(record.observed_at, of.as_bytes());
        self.lives.push(Life::begin(id, record, policy.severity));
        if self.lives.len() > FORMER {
            self.lives.remove(0);
        }
        self.lives.last_mut()
    }

    fn matched(&mut self, record: &AlertMatch, world: &World<'_>, out: &mut Output) {
        let Some(digest) = digest(record) else { return };
        let said = Said::at(record.observed_at);
        let knows = |life: &Life| life.held().is_some_and(|held| held.stands(&digest).is_some());
        let mut known = self.lives.iter().rposition(knows);
        if known.is_none() && record.op == MatchOp::IncludedAgain {
            // It was forgotten, and taken back by number.
            let misses = |life: &Life| life.in_reorg && life.held().is_some_and(super::held::Held::misses);
            known = self.lives.iter().rposition(misses);
        }
        if let Some(life) = known.and_then(|at| self.lives.get_mut(at)) {
            life.hears(record);
            life.in_reorg |= record.op == MatchOp::IncludedAgain;
            if let Rests::Matches(held) = &mut life.rests
                && held.put(&digest, record)
                // What was taken back and comes again, though not all was, or though it was over by then.
                && !(life.phase.is_over() && life.signal(Signal::Again, &said, world, out))
            {
                life.changes(world.clock.wall(), false);
            }
            return;
        }
        let open = self.lives.iter().rposition(Life::is_open);
        let phase = open.and_then(|at| self.lives.get(at)).or(self.lives.last()).map(|life| life.phase);
        let begins = cell(phase, Signal::Holds) == Cell::Begins;
        let life = match open {
            Some(at) if !begins => self.lives.get_mut(at),
            _ => self.begin(record, world),
        };
        let Some(life) = life else { return };
        life.hears(record);
        if let Rests::Matches(held) = &mut life.rests {
            held.put(&digest, record);
        }
        if !begins {
            life.changes(world.clock.wall(), false);
        }
    }

    fn retracted(&mut self, record: &AlertMatch, world: &World<'_>, out: &mut Output) {
        let Some(digest) = digest(record) else { return };
        let stands = |life: &&mut Life| life.held().is_some_and(|held| held.stands(&digest) == Some(true));
        let known = self.lives.iter().filter_map(Life::held).any(|held| held.stands(&digest).is_some());
        let forgotten = |life: &&mut Life| !known && life.held().is_some_and(super::held::Held::has_forgotten);
        let life = match self.lives.iter_mut().rev().find(stands) {
            Some(life) => life,
            None => match self.lives.iter_mut().rev().find(forgotten) {
                Some(life) => life,
                None => return,
            },
        };
        let Rests::Matches(held) = &mut life.rests else { return };
        if !held.take_back(&digest) {
            return;
        }
        let all = held.live() == 0;
        life.in_reorg = true;
        if record.sequence > 0 {
            life.place = Some((record.sequence, record.height));
        }
        if !all || !life.signal(Signal::TakenBack, &Said::at(record.observed_at), world, out) {
            life.changes(world.clock.wall(), true);
        }
    }

    /// More is known of a match that stands: it is no other one, and nothing begins or goes on by it.
    fn amended(&mut self, record: &AlertMatch, world: &World<'_>) {
        let Some(digest) = digest(record) else { return };
        let stands = |life: &&mut Life| life.held().is_some_and(|held| held.stands(&digest) == Some(true));
        let Some(life) = self.lives.iter_mut().rev().find(stands) else { return };
        if let Rests::Matches(held) = &mut life.rests
            && held.name(&digest, record)
        {
            life.changes(world.clock.wall(), false);
        }
    }

    fn figured(&mut self, record: &AlertMatch, world: &World<'_>, out: &mut Output) {
        let over = match (&record.figure, record.op) {
            (Some(figure), _) => figure.over,
            (None, MatchOp::IncludedAgain) => true,
            (None, _) => return,
        };
        let evidence = record.figure.as_ref().and_then(|figure| evidence(&figure.evidence));
        let said = Said::at(record.observed_at);
        let last = self.lives.last();
        // Taken back in this reorg, or ended by a block that was reverted.
        let again = over
            && last.is_some_and(|life| match (life.phase, record.op) {
                (AlertPhase::Retracted | AlertPhase::Resolved, MatchOp::IncludedAgain) => true,
                (AlertPhase::Retracted, _) => life.in_reorg,
                _ => false,
            });
        let signal = if again { Signal::Again } else { Signal::Holds };
        let begins = over && cell(last.map(|life| life.phase), signal) == Cell::Begins;
        let life = if begins { self.begin(record, world) } else { self.lives.last_mut() };
        let Some(life) = life else { return };
        // What is over says what it said when it ended.
        if !begins && !again && !life.is_open() {
            return;
        }
        life.hears(record);
        let mut changed = false;
        if let (Rests::Figure(known), Some(evidence)) = (&mut life.rests, evidence)
            && *known != evidence
        {
            *known = evidence;
            changed = true;
        }
        if !over {
            life.signal(Signal::Clears, &said, world, out);
        } else if again {
            life.signal(Signal::Again, &said, world, out);
        } else if changed && !begins {
            life.changes(world.clock.wall(), false);
        }
    }

    fn figure_retracted(&mut self, record: &AlertMatch, world: &World<'_>, out: &mut Output) {
        let rule = |life: &&mut Life| life.source.kind == SourceKind::Rule;
        if let Some(life) = self.lives.last_mut().filter(rule) {
            life.in_reorg = true;
            life.signal(Signal::TakenBack, &Said::at(record.observed_at), world, out);
        }
    }

    /// Somebody takes an alert on. Says whether it is one of these.
    pub fn acknowledge(&mut self, alert: &str, said: &Said<'_>, world: &World<'_>, out: &mut Output) -> bool {
        let Some(life) = self.lives.iter_mut().find(|life| life.id == alert) else { return false };
        life.signal(Signal::Acknowledge, said, world, out);
        self.tick(world, out);
        true
    }

    /// A channel had no room for a message.
    pub fn is_summed(&mut self, message: &Message) {
        if let Some(life) = self.lives.iter_mut().find(|life| life.id == message.alert_id) {
            life.is_summed(message);
        }
    }

    /// A channel had room for a message that is under its cap.
    pub fn is_heard(&mut self, message: &Message) {
        if let Some(life) = self.lives.iter_mut().find(|life| life.id == message.alert_id) {
            life.summed.remove(&message.channel);
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, world: &World<'_>, out: &mut Output) {
        let (wall, told) = (world.clock.wall(), world.told());
        let mut fired_at = self.fired_at.map(TimeMs);
        for life in &mut self.lives {
            step(life, &mut fired_at, told, world, out);
        }
        self.fired_at = fired_at.map(|at| at.0);
        self.lives.retain(|life| life.forgotten_at().is_none_or(|at| at > wall));
        let quiet = |at: i64| world.policy().is_none_or(|policy| after(TimeMs(at), policy.cooldown) <= wall);
        if self.lives.is_empty() && self.fired_at.is_some_and(quiet) {
            self.fired_at = None;
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.lives.is_empty() && self.fired_at.is_none()
    }

    /// When something is due by itself, by whichever clock.
    pub fn due(&self, world: &World<'_>) -> Option<TimeMs> {
        let policy = world.policy();
        let mut times: Vec<Option<TimeMs>> = Vec::new();
        for life in &self.lives {
            times.extend([life.amends_at(), life.quiet_at(), life.forgotten_at()]);
            let Some(policy) = policy else { continue };
            match life.phase {
                AlertPhase::Pending => {
                    times.push(Some(life.ripe_at(policy.hold, self.fired_at.map(TimeMs), policy.cooldown)));
                }
                AlertPhase::Firing => times.extend([
                    repeats_at(life, policy),
                    escalates_at(life, policy),
                    policy.has_hours().then(|| after(world.clock.wall(), HOURS)),
                ]),
                _ => {}
            }
        }
        if let (true, Some(at), Some(policy)) = (self.lives.is_empty(), self.fired_at, policy) {
            times.push(Some(after(TimeMs(at), policy.cooldown)));
        }
        times.into_iter().flatten().min()
    }
}

fn repeats_at(life: &Life, policy: &Policy) -> Option<TimeMs> {
    Some(after(life.told_at?, policy.repeat_every?))
}

fn escalates_at(life: &Life, policy: &Policy) -> Option<TimeMs> {
    let escalate = policy.escalate.as_ref().filter(|_| !life.escalated)?;
    let fired_at = life.fired_at?;
    // What came again has its time anew, and so has what was old news when it fired.
    Some(after(life.acted_at.map_or(fired_at, |acted| acted.max(fired_at)), escalate.after))
}

/// What a rule says, as JSON; too much of it is left out.
fn evidence(text: &str) -> Option<Value> {
    match text.len() {
        bytes if bytes > limits::EVIDENCE_BYTES => Some(json!({ "left_out_bytes": bytes })),
        _ => serde_json::from_str(text).ok(),
    }
}

/// What is due in one alert's life.
fn step(life: &mut Life, fired_at: &mut Option<TimeMs>, told: TimeMs, world: &World<'_>, out: &mut Output) {
    let wall = world.clock.wall();
    let Some(policy) = world.policy() else {
        if life.is_open() {
            let is_there = world.settings.policies.contains_key(&world.key.source_id);
            let note = Some(if is_there { CHANGED } else { REMOVED });
            life.signal(Signal::Clears, &Said { note, ..Said::at(wall) }, world, out);
        }
        look_at_silences(life, world, out);
        return life.send(None, wall, world, out);
    };
    if life.is_open() && life.severity != policy.severity {
        life.severity = policy.severity;
        life.changes(wall, false);
    }
    look_at_silences(life, world, out);
    if life.phase == AlertPhase::Pending {
        let ripe_at = life.ripe_at(policy.hold, *fired_at, policy.cooldown);
        if ripe_at <= told && life.rests_on_something() {
            life.signal(Signal::Ripe, &Said::at(ripe_at.max(life.seen_at)), world, out);
            *fired_at = life.fired_at;
        } else if life.revision == 0 {
            life.tell(AlertEventKind::Pending, &Said::at(life.seen_at), world, out);
        }
    }
    if let Some(quiet_at) = life.quiet_at().filter(|at| *at <= told) {
        life.signal(Signal::Clears, &Said::at(quiet_at), world, out);
    }
    if life.phase == AlertPhase::Firing {
        if let Some(at) = escalates_at(life, policy).filter(|at| *at <= told) {
            life.escalated = true;
            life.signal(Signal::Repeat, &Said { note: Some(ESCALATED), ..Said::at(at) }, world, out);
        } else if repeats_at(life, policy).is_some_and(|at| at <= told) {
            life.signal(Signal::Repeat, &Said::at(told), world, out);
        }
    }
    if life.amends_at().is_some_and(|at| at <= wall) {
        life.signal(Signal::Changed, &Said::at(wall), world, out);
    }
    // Those who were kept from hearing it, and are not any more.
    life.send(None, wall, world, out);
}

/// An alert says of itself whether a silence keeps it back.
fn look_at_silences(life: &mut Life, world: &World<'_>, out: &mut Output) {
    let silenced = world.settings.silenced(&life.as_silenced(world.key), world.clock.wall());
    if silenced == life.silenced {
        return;
    }
    life.silenced = silenced;
    if life.is_open() && life.revision > 0 {
        let note = Some(if silenced { SILENCE_BEGINS } else { SILENCE_ENDS });
        let said = Said { note, ..Said::at(world.clock.wall()) };
        life.tell(AlertEventKind::Amended, &said, world, out);
    }
}
