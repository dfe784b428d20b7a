//! What alerts should do, in plain lists that are gone through from the beginning each time.

use std::{collections::BTreeMap, time::Duration};

use alerts::life::{Book, ChannelFacts, Policy, Settings};
use conditions::{Escalate, Silence};
use schemas::{
    TimeMs,
    records::{Alert, AlertMatch, AlertPhase, MatchOp, Severity, SourceKind},
};

/// Messages of channel C in an hour.
pub const CAP: u32 = 5;
/// Seconds without another match after which a monitor's alert is over; and for which what is over is kept.
const QUIET: i64 = 300;
const KEPT: i64 = 3_600;

/// A rule, or a monitor.
#[derive(Clone)]
pub struct Rule {
    pub id: &'static str,
    pub kind: SourceKind,
    pub severity: Severity,
    pub hold: i64,
    pub cooldown: i64,
    pub repeat: Option<u64>,
    pub escalate: Option<u64>,
    pub paused: bool,
    pub version: u64,
}

impl Rule {
    pub fn new(id: &'static str, kind: SourceKind) -> Self {
        let severity = Severity::Warning;
        Self { id, kind, severity, hold: 0, cooldown: 0, repeat: None, escalate: None, paused: false, version: 1 }
    }
}

struct One {
    phase: AlertPhase,
    before: Option<AlertPhase>,
    /// Transactions that match, and whether each stands.
    matches: BTreeMap<String, bool>,
    started: i64,
    seen: i64,
    heard: i64,
    fired: Option<i64>,
    /// When it last began to stand: it stands for a while from then on.
    acted: Option<i64>,
    ended: Option<i64>,
    in_reorg: bool,
}

impl One {
    fn is_open(&self) -> bool {
        !self.phase.is_over()
    }
    fn live(&self) -> u64 {
        self.matches.values().filter(|live| **live).count() as u64
    }
    fn end(&mut self, phase: AlertPhase, at: i64) {
        self.before = Some(self.phase);
        self.phase = phase;
        self.ended = self.ended.or(Some(at));
    }
    fn returns(&mut self, now: i64) {
        self.ended = None;
        self.acted = Some(now);
        self.phase = match self.before.take() {
            _ if self.fired.is_none() => {
                self.seen = now;
                AlertPhase::Pending
            }
            Some(AlertPhase::Acknowledged) => AlertPhase::Acknowledged,
            _ => AlertPhase::Firing,
        };
    }
}

#[derive(Default)]
struct Group {
    all: Vec<One>,
    fired: Option<i64>,
}

#[derive(Default)]
pub struct Model {
    pub rules: Vec<Rule>,
    pub silences: Vec<Silence>,
    groups: BTreeMap<&'static str, Group>,
}

impl Model {
    pub fn settings(&self) -> Settings {
        let channels = || ["A", "B", "C"].map(str::to_owned).to_vec();
        let policy = |rule: &Rule| Policy {
            version: rule.version,
            scope: None,
            networks: None,
            severity: rule.severity,
            hold: Duration::from_secs(rule.hold as u64),
            cooldown: Duration::from_secs(rule.cooldown as u64),
            repeat_every: rule.repeat.map(Duration::from_secs),
            channels: channels(),
            routes: Vec::new(),
            escalate: rule
                .escalate
                .map(|after| Escalate { after: Duration::from_secs(after), channels: vec!["A".to_owned()] }),
        };
        let channel = |id: &str| ChannelFacts {
            name: id.to_owned(),
            min_severity: if id == "B" { Severity::Critical } else { Severity::Info },
            per_hour: if id == "C" { CAP } else { 1_000_000 },
            send_resolved: true,
            active: true,
        };
        Settings {
            policies: self.rules.iter().filter(|r| !r.paused).map(|r| (r.id.to_owned(), policy(r))).collect(),
            channels: channels().into_iter().map(|id| (id.clone(), channel(&id))).collect(),
            per_hour: None,
            silences: self.silences.clone(),
        }
    }

    /// Whether an alert is kept from a channel.
    pub fn is_silenced(&self, alert: &Alert, channel: &str, now: i64) -> bool {
        self.silences.iter().any(|silence| {
            silence.starts_at.is_none_or(|at| at.0 <= now * 1_000)
                && now * 1_000 < silence.ends_at.0
                && silence.matches.channel.as_deref().is_none_or(|of| of == channel)
                && silence.matches.rule.as_deref().is_none_or(|of| of == alert.source.id)
        })
    }

    /// Every alert that is remembered, by rule: where it stands, how many matches it rests on, whether it fired.
    pub fn stands(&self) -> BTreeMap<String, Vec<(AlertPhase, u64, bool)>> {
        let of = |one: &One| (one.phase, one.live(), one.fired.is_some());
        let groups = self.groups.iter().filter(|(_, group)| !group.all.is_empty());
        groups.map(|(id, group)| ((*id).to_owned(), group.all.iter().map(of).collect())).collect()
    }

    pub fn tick(&mut self, now: i64) {
        for rule in &self.rules {
            let Some(group) = self.groups.get_mut(rule.id) else { continue };
            for one in &mut group.all {
                if rule.paused {
                    if one.is_open() {
                        one.end(AlertPhase::Resolved, now);
                    }
                    continue;
                }
                let held = if one.heard - one.started >= rule.hold { one.seen } else { one.seen + rule.hold };
                let ripe = group.fired.map_or(held, |fired| held.max(fired + rule.cooldown));
                let rests = rule.kind == SourceKind::Rule || one.live() > 0;
                if one.phase == AlertPhase::Pending && ripe <= now && rests {
                    one.phase = AlertPhase::Firing;
                    one.fired = Some(ripe.max(one.seen));
                    one.acted = Some(now);
                    group.fired = one.fired;
                }
                let firing = matches!(one.phase, AlertPhase::Firing | AlertPhase::Acknowledged);
                let quiet = one.acted.unwrap_or(one.heard).max(one.heard) + QUIET;
                if rule.kind == SourceKind::Monitor && firing && quiet <= now {
                    one.end(AlertPhase::Resolved, quiet);
                }
            }
            group.all.retain(|one| one.is_open() || one.ended.is_none_or(|at| at + KEPT > now));
            if group.all.is_empty() && group.fired.is_some_and(|at| rule.paused || at + rule.cooldown <= now) {
                group.fired = None;
            }
        }
    }

    pub fn take(&mut self, record: &AlertMatch, now: i64) {
        self.tick(now);
        self.apply(record, now);
        self.tick(now);
    }

    fn apply(&mut self, record: &AlertMatch, now: i64) {
        if record.op == MatchOp::Settled {
            self.groups.values_mut().flat_map(|group| &mut group.all).for_each(|one| one.in_reorg = false);
            return;
        }
        let Some(rule) = self.rules.iter().find(|rule| rule.id == record.source.id) else { return };
        let all = &mut self.groups.entry(rule.id).or_default().all;
        let new = One {
            phase: AlertPhase::Pending,
            before: None,
            matches: BTreeMap::new(),
            started: now,
            seen: now,
            heard: now,
            fired: None,
            acted: None,
            ended: None,
            in_reorg: false,
        };
        let begin = |all: &mut Vec<One>| {
            if !rule.paused {
                all.push(new);
                if all.len() > 4 {
                    all.remove(0);
                }
            }
            !rule.paused
        };
        match (record.identity(), record.op) {
            (Some(id), MatchOp::Retract) => {
                let of = |one: &&mut One| one.matches.get(&id) == Some(&true);
                let Some(one) = all.iter_mut().rev().find(of) else { return };
                one.matches.insert(id.clone(), false);
                one.in_reorg = true;
                if one.live() == 0 && one.phase != AlertPhase::Retracted {
                    one.end(AlertPhase::Retracted, now);
                }
            }
            (Some(id), op) => {
                if let Some(one) = all.iter_mut().rev().find(|one| one.matches.contains_key(&id)) {
                    one.heard = now;
                    one.in_reorg |= op == MatchOp::IncludedAgain;
                    if one.matches.insert(id, true) == Some(false) && !one.is_open() {
                        one.returns(now);
                    }
                    return;
                }
                if all.iter().any(One::is_open) || begin(&mut *all) {
                    let Some(one) = all.iter_mut().rev().find(|one| one.is_open()) else { return };
                    one.heard = now;
                    one.matches.insert(id, true);
                }
            }
            (None, MatchOp::Retract) => {
                let Some(one) = all.last_mut() else { return };
                one.in_reorg = true;
                if one.phase != AlertPhase::Retracted {
                    one.end(AlertPhase::Retracted, now);
                }
            }
            (None, _) => {
                let again = record.op == MatchOp::IncludedAgain;
                let over = again || record.figure.as_ref().is_some_and(|figure| figure.over);
                match all.last_mut() {
                    Some(one) if one.is_open() => {
                        one.heard = now;
                        if !over {
                            one.end(AlertPhase::Resolved, now);
                        }
                    }
                    Some(one) if over && (again || one.phase == AlertPhase::Retracted && one.in_reorg) => {
                        one.heard = now;
                        one.returns(now);
                    }
                    _ if over => drop(begin(&mut *all)),
                    _ => {}
                }
            }
        }
    }

    /// Somebody takes on an alert that the book knows by this id.
    pub fn acknowledge(&mut self, book: &Book, alert: &str, now: i64) {
        for (key, entry) in book.entries() {
            let at = entry.lives().iter().position(|life| life.id == alert);
            let group = self.groups.iter_mut().find(|(id, _)| ***id == key.source_id);
            if let (Some(at), Some((_, group))) = (at, group)
                && group.all[at].phase == AlertPhase::Firing
            {
                group.all[at].phase = AlertPhase::Acknowledged;
            }
        }
        self.tick(now);
    }

    /// A time, in milliseconds.
    pub fn ms(second: i64) -> TimeMs {
        TimeMs(second * 1_000)
    }
}
