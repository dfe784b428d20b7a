//! One alert.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use schemas::{
    TimeMs,
    limits::alerts as limits,
    records::{
        Alert, AlertEvent, AlertEventKind, AlertMatch, AlertPhase, AlertSource, Severity, SourceKind, alerts::rfc3339,
    },
};
use serde_json::Value;

use super::{
    Key, Output, World,
    clock::after,
    held::Held,
    table::{Cell, Signal, cell},
    telling::Told,
};

/// What an alert rests on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rests {
    /// A rule: on what it said last.
    Figure(Value),
    /// A monitor: on matches.
    Matches(Held),
}

/// One alert, from its beginning until it is forgotten.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Life {
    /// A ULID.
    pub id: String,
    /// The rule or monitor, as it last spoke.
    pub source: AlertSource,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub phase: AlertPhase,
    /// Where it stood when it ended, or was taken back.
    pub before: Option<AlertPhase>,
    /// When its cause began, by the chain's or a stored clock.
    #[serde(with = "rfc3339")]
    pub started_at: TimeMs,
    /// When that was first seen: what must hold for a while holds since then.
    #[serde(with = "rfc3339")]
    pub seen_at: TimeMs,
    /// When the cause was last heard of: a match, or a figure.
    #[serde(with = "rfc3339")]
    pub heard_at: TimeMs,
    /// The chain's or stored clock of that.
    #[serde(with = "rfc3339")]
    pub heard_of: TimeMs,
    /// When it fired.
    #[serde(with = "rfc3339::option")]
    pub fired_at: Option<TimeMs>,
    /// When it fired or came again, by this machine's clock: it stands for a while from then on, however old the news were.
    #[serde(with = "rfc3339::option", default)]
    pub acted_at: Option<TimeMs>,
    /// When it was over.
    #[serde(with = "rfc3339::option")]
    pub ended_at: Option<TimeMs>,
    /// When it was last told to everybody: fired, or repeated.
    #[serde(with = "rfc3339::option")]
    pub told_at: Option<TimeMs>,
    /// Transitions so far.
    pub revision: u64,
    /// Whether a silence keeps it back.
    pub silenced: bool,
    /// Whether those were told who are told when nobody acts.
    pub escalated: bool,
    /// Whether a reorg that is not over has touched it: a rule's crossing brings it back then, and is a new one later.
    pub in_reorg: bool,
    /// Since when it says something else than what was told; and whether matches were taken back.
    pub changed: Option<(i64, bool)>,
    /// How often that was told.
    pub amended: u32,
    /// When that was told last.
    #[serde(with = "rfc3339::option")]
    pub amended_at: Option<TimeMs>,
    /// The block event that it last heard of, and its height.
    pub place: Option<(u64, u64)>,
    /// What it rests on.
    pub rests: Rests,
    /// What each channel was told, by its id.
    pub told: BTreeMap<String, Told>,
    /// Channels that heard of it by a summary alone: its end is under their cap, too.
    #[serde(default)]
    pub summed: BTreeSet<String>,
}

/// The pause before the first amendment is told, and the longest between two: it doubles each time.
const AMENDING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// Changes are gathered for so long …
const GATHERING: Duration = Duration::from_secs(5);
/// … and what the chain took back for so long: a reorg's reverts come together.
const TAKING_BACK: Duration = Duration::from_secs(1);

impl Life {
    /// One that begins by a record: nothing is told yet.
    pub fn begin(id: String, record: &AlertMatch, severity: Severity) -> Self {
        Self {
            id,
            source: record.source.clone(),
            severity,
            phase: AlertPhase::Pending,
            before: None,
            started_at: record.at,
            seen_at: record.observed_at,
            heard_at: record.observed_at,
            heard_of: record.at,
            fired_at: None,
            acted_at: None,
            ended_at: None,
            told_at: None,
            revision: 0,
            silenced: false,
            escalated: false,
            in_reorg: false,
            changed: None,
            amended: 0,
            amended_at: None,
            place: None,
            rests: match record.source.kind {
                SourceKind::Rule => Rests::Figure(Value::Null),
                SourceKind::Monitor => Rests::Matches(Held::default()),
            },
            told: BTreeMap::new(),
            summed: BTreeSet::new(),
        }
    }

    /// The matches that it rests on; `None`: it is a rule's.
    pub fn held(&self) -> Option<&Held> {
        match &self.rests {
            Rests::Matches(held) => Some(held),
            Rests::Figure(_) => None,
        }
    }

    /// Takes a record's place and source over: what it says from now on is of then.
    pub fn hears(&mut self, record: &AlertMatch) {
        self.source.clone_from(&record.source);
        if record.sequence > 0 {
            self.place = Some((record.sequence, record.height));
        }
        self.heard_at = self.heard_at.max(record.observed_at);
        self.heard_of = self.heard_of.max(record.at);
    }

    /// Remembers that it says something else than what was told.
    pub fn changes(&mut self, at: TimeMs, taken_back: bool) {
        if self.fired_at.is_some() {
            let (since, before) = self.changed.unwrap_or((at.0, false));
            self.changed = Some((since, before || taken_back));
        }
    }

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        !self.phase.is_over()
    }

    /// When it fires, if it still holds then: by the clock up to which everything was heard.
    pub fn ripe_at(&self, hold: Duration, fired_before: Option<TimeMs>, cooldown: Duration) -> TimeMs {
        // The chain's own clock may say it sooner: blocks that came late, or all at once.
        let held = self.heard_of.0.saturating_sub(self.started_at.0);
        let held = u128::try_from(held).is_ok_and(|held| held >= hold.as_millis());
        let hold = if held { self.seen_at } else { after(self.seen_at, hold) };
        fired_before.map_or(hold, |fired| hold.max(after(fired, cooldown)))
    }

    /// When what changed is told.
    pub fn amends_at(&self) -> Option<TimeMs> {
        let (since, taken_back) = self.changed?;
        if !matches!(self.phase, AlertPhase::Firing | AlertPhase::Acknowledged | AlertPhase::Resolved) {
            return None;
        }
        let since = TimeMs(since);
        if taken_back {
            return Some(after(since, TAKING_BACK));
        }
        let pause = AMENDING.0.saturating_mul(1u32.checked_shl(self.amended).unwrap_or(u32::MAX)).min(AMENDING.1);
        let last = self.amended_at.or(self.fired_at).map_or(since, |last| after(last, pause));
        Some(last.max(after(since, GATHERING)))
    }

    /// Whether an amendment is sent, too: the first, second, fourth, eighth …, and whatever the chain took back.
    pub fn amendment_is_sent(&self) -> bool {
        self.amended.is_power_of_two() || self.changed.is_some_and(|(_, taken_back)| taken_back)
    }

    /// When a monitor's alert is over, if nothing more comes.
    pub fn quiet_at(&self) -> Option<TimeMs> {
        let open = matches!(self.phase, AlertPhase::Firing | AlertPhase::Acknowledged);
        let since = self.acted_at.map_or(self.heard_at, |acted| acted.max(self.heard_at));
        (open && self.source.kind == SourceKind::Monitor).then(|| after(since, limits::MONITOR_QUIET))
    }

    /// When it may be forgotten.
    pub fn forgotten_at(&self) -> Option<TimeMs> {
        let ended = self.ended_at.filter(|_| !self.is_open())?;
        Some(after(ended, limits::KEPT_AFTER_END))
    }

    /// What a signal does to it. Says what event came of it.
    pub fn signal(&mut self, signal: Signal, said: &Said<'_>, world: &World<'_>, out: &mut Output) -> bool {
        let kind = match cell(Some(self.phase), signal) {
            Cell::Stays | Cell::Begins => return false,
            Cell::Tells(kind) => kind,
            Cell::Becomes(phase, kind) => {
                if phase.is_over() {
                    self.before = Some(self.phase);
                }
                self.phase = phase;
                kind
            }
            Cell::Returns => {
                self.phase = match self.before.take() {
                    _ if self.fired_at.is_none() => AlertPhase::Pending,
                    Some(AlertPhase::Acknowledged) => AlertPhase::Acknowledged,
                    _ => AlertPhase::Firing,
                };
                // What had not fired begins to hold anew.
                if self.phase == AlertPhase::Pending {
                    self.seen_at = said.at;
                }
                AlertEventKind::IncludedAgain
            }
        };
        match kind {
            AlertEventKind::Fired => {
                (self.fired_at, self.told_at) = (Some(said.at), Some(said.at));
                self.acted_at = Some(world.clock.wall());
            }
            AlertEventKind::IncludedAgain => self.acted_at = Some(world.clock.wall()),
            AlertEventKind::Repeated => self.told_at = Some(said.at),
            _ => {}
        }
        self.ended_at = if self.is_open() { None } else { self.ended_at.or(Some(said.at)) };
        self.tell(kind, said, world, out);
        let also = match kind {
            AlertEventKind::Repeated => Some("alert.repeated"),
            AlertEventKind::Amended if self.amendment_is_sent() => Some("alert.amended"),
            _ => None,
        };
        // Whatever is told now tells what changed.
        self.changed = None;
        self.send(also, said.at, world, out);
        true
    }

    /// Writes an event down.
    pub fn tell(&mut self, kind: AlertEventKind, said: &Said<'_>, world: &World<'_>, out: &mut Output) {
        self.revision += 1;
        if kind == AlertEventKind::Amended {
            self.amended = self.amended.saturating_add(1);
            self.amended_at = Some(said.at);
        }
        let news = match &mut self.rests {
            Rests::Matches(held) => held.take_news(),
            Rests::Figure(_) => Vec::new(),
        };
        let json = |value: Result<String, serde_json::Error>| value.unwrap_or_else(|_| "null".to_owned());
        out.events.push(AlertEvent {
            tenant: world.tenant.to_owned(),
            alert_id: self.id.clone(),
            kind,
            revision: self.revision,
            at: said.at,
            by: said.by.map(str::to_owned),
            note: said.note.map(str::to_owned),
            network: world.key.network.clone(),
            sequence: self.place.map(|(sequence, _)| sequence),
            height: self.place.map(|(_, height)| height),
            alert: json(serde_json::to_string(&self.shown(world.key))),
            matches: json(serde_json::to_string(&news)),
        });
    }

    /// As REST and messages show it.
    pub fn shown(&self, key: &Key) -> Alert {
        Alert {
            id: self.id.clone(),
            source: self.source.clone(),
            network: key.network.clone(),
            contract: key.contract.clone(),
            group: key.group.clone(),
            state: self.phase,
            severity: self.severity,
            started_at: self.started_at,
            fired_at: self.fired_at,
            ended_at: self.ended_at,
            silenced: self.silenced,
            evidence: match &self.rests {
                Rests::Figure(evidence) => evidence.clone(),
                Rests::Matches(held) => held.evidence(),
            },
            links: None,
        }
    }

    /// Whether there is a cause: of a monitor's alert, a match that stands.
    pub fn rests_on_something(&self) -> bool {
        self.held().is_none_or(|held| held.live() > 0)
    }
}

/// By whom and when something happens.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// When.
    pub at: TimeMs,
    /// Who; `None`: the product.
    pub by: Option<&'a str>,
    /// With what words.
    pub note: Option<&'a str>,
}

impl Said<'_> {
    /// The product says it.
    pub const fn at(at: TimeMs) -> Self {
        Self { at, by: None, note: None }
    }
}
