//! The life of alerts against a slow model: rules and monitors with reorgs, kills, time away, silences that begin and end, edits, commands.
//!
//! What the book remembers, writes and tells is compared with the model after every step, and what each channel received is read as a
//! person would read it.

mod model;

use std::collections::{BTreeMap, BTreeSet};

use alerts::life::{Book, Clock, Entry, Held, Output, Said, Scope};
use conditions::{Silence, SilenceMatch};
use model::{CAP, Model, Rule};
use schemas::{
    TimeMs,
    records::{
        Alert, AlertMatch, AlertOutbox, AlertPhase, AlertSource, AlertState, Figured, Found, FoundKind, MatchOp,
        Severity, SourceKind,
    },
};
use serde_json::Value;

const TENANT: &str = "T";
/// A takes everything, B only what is critical; C is as A, with a small cap.
const CHANNELS: [&str; 3] = ["A", "B", "C"];

/// What a channel has received.
#[derive(Default)]
struct Inbox {
    /// By alert: what is known of it, and the order of its last message.
    alerts: BTreeMap<String, (String, u64)>,
    /// When messages came, in seconds; and how many were told by summaries.
    times: Vec<i64>,
    summed: u64,
    /// When such came that are under the cap.
    capped: Vec<i64>,
}

struct World {
    book: Book,
    clock: Clock,
    model: Model,
    now: i64,
    inboxes: BTreeMap<&'static str, Inbox>,
    ids: BTreeSet<String>,
    settled: usize,
    /// The log: `alerts.state`.
    states: BTreeMap<String, AlertState>,
    /// By alert: revision and state of its last event.
    events: BTreeMap<String, (u64, AlertPhase)>,
}

impl World {
    fn new() -> Self {
        Self {
            book: Book::new(TENANT),
            clock: Clock::default(),
            model: Model::default(),
            now: 1_000_000,
            inboxes: CHANNELS.into_iter().map(|id| (id, Inbox::default())).collect(),
            ids: BTreeSet::new(),
            settled: 0,
            states: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    /// A step, written as one transaction. `killed`: the first try is lost before it is written, and all is done again.
    fn step(&mut self, killed: bool, step: impl Fn(&mut Book, &mut Clock, &mut Output)) {
        let mut lost = None;
        if killed {
            let mut clock = self.clock.clone();
            step(&mut self.book, &mut clock, lost.insert(Output::default()));
            self.restart();
        }
        let mut out = Output::default();
        step(&mut self.book, &mut self.clock, &mut out);
        if let Some(lost) = lost {
            assert_eq!(lost, out, "what is done again is the same, with the same ids");
        }
        self.written(out);
        self.compare();
    }

    /// Everything is forgotten but the log.
    fn restart(&mut self) {
        let (mut book, mut out) = (Book::new(TENANT), Output::default());
        for state in self.states.values() {
            book.restore(state).expect("readable");
        }
        book.define(self.model.settings(), &self.clock, &mut out);
        assert_eq!(out, Output::default(), "nothing comes of a restart");
        self.book = book;
    }

    fn written(&mut self, out: Output) {
        for changed in self.book.changes() {
            match changed.state {
                Some(state) => {
                    let before = self.states.insert(changed.key, state.clone());
                    assert!(before.is_none_or(|before| before.revision < state.revision), "revisions rise");
                }
                None => drop(self.states.remove(&changed.key)),
            }
        }
        for event in out.events {
            let alert: Alert = serde_json::from_str(&event.alert).expect("an alert");
            let revision = self.events.get(&event.alert_id).map_or(0, |(revision, _)| *revision);
            assert_eq!(event.revision, revision + 1, "revisions have no gap");
            assert_eq!(alert.id, event.alert_id);
            self.events.insert(event.alert_id, (event.revision, alert.state));
        }
        for message in &out.outbox {
            self.received(message);
        }
    }

    fn received(&mut self, message: &AlertOutbox) {
        assert!(self.ids.insert(message.id.clone()), "an id twice: {message:?}");
        let (channel, inbox) = self.inboxes.iter_mut().find(|(id, _)| **id == message.channel_id).expect("channel");
        let body: Value = serde_json::from_str(&message.body).expect("JSON");
        match message.kind.as_str() {
            "channel.summary" => {
                inbox.summed += body["count"].as_u64().expect("count");
                return;
            }
            "alerts.settled" => {
                self.settled += 1;
                assert!(!inbox.times.is_empty(), "settled, where nothing was told");
                return;
            }
            _ => inbox.times.push(self.now),
        }
        let alert: Alert = serde_json::from_value(body).expect("an alert");
        assert!(!self.model.is_silenced(&alert, channel, self.now), "told in a silence: {message:?}");
        if *channel == "C" {
            // What is over the cap is not there, so that alerts cannot be followed here.
            if matches!(message.kind.as_str(), "alert.firing" | "alert.amended" | "alert.repeated") {
                inbox.capped.push(self.now);
            }
            let of_late = inbox.capped.iter().filter(|at| **at > self.now - 3_540).count();
            assert!(of_late <= CAP as usize, "over the cap");
            return;
        }
        assert!(*channel == "A" || message.kind != "alert.firing" || alert.severity == Severity::Critical);
        let (known, order) = match inbox.alerts.get(&alert.id) {
            Some((known, order)) => (Some(known.as_str()), *order),
            None => (None, 0),
        };
        assert!(message.order > order, "order {order} before {message:?}");
        let now = match (known, message.kind.as_str()) {
            // One firing for one cause: a second one would be of an alert that is known.
            (None, "alert.firing") => "firing",
            (Some("firing" | "acknowledged" | "retracted"), "alert.resolved") => "resolved",
            (Some("firing"), "alert.acknowledged") => "acknowledged",
            (Some("firing" | "acknowledged" | "resolved"), "alert.retracted") => "retracted",
            (Some("retracted" | "resolved"), "alert.included_again") => alert.state.as_str(),
            (Some(known @ ("firing" | "acknowledged" | "resolved")), "alert.amended") => known,
            (Some(known @ "firing"), "alert.repeated") => known,
            (known, kind) => panic!("{kind} after {known:?}"),
        };
        assert_eq!(now, alert.state.as_str(), "{message:?}");
        let now = now.to_owned();
        inbox.alerts.insert(alert.id, (now, message.order));
    }

    /// Time goes on; what is due is done.
    fn at(&mut self, second: i64, killed: bool) {
        self.now = second;
        self.model.tick(second);
        self.step(killed, |book, clock, out| {
            clock.set(Model::ms(second), true);
            book.tick(clock, out);
        });
    }

    fn take(&mut self, record: AlertMatch, killed: bool) {
        self.model.take(&record, self.now);
        self.step(killed, |book, clock, out| {
            clock.hears(&record.network, record.observed_at);
            book.take(&record, clock, out);
        });
    }

    fn define(&mut self) {
        self.model.tick(self.now);
        let settings = self.model.settings();
        self.step(false, |book, clock, out| book.define(settings.clone(), clock, out));
    }

    /// The book says what the model says, and everybody has heard it.
    fn compare(&self) {
        let of = |entry: &Entry| -> Vec<_> {
            let all = entry.lives().iter();
            all.map(|life| (life.phase, life.held().map_or(0, Held::live), life.fired_at.is_some())).collect()
        };
        let entries = self.book.entries().iter().map(|(key, entry)| (key.source_id.clone(), of(entry)));
        let book: BTreeMap<String, Vec<_>> = entries.filter(|(_, all)| !all.is_empty()).collect();
        let model = self.model.stands();
        assert_eq!(book, model, "book and model at {}", self.now);
        assert_eq!(self.book.open(), model.values().flatten().filter(|(phase, ..)| !phase.is_over()).count());
        for (key, entry) in self.book.entries() {
            for life in entry.lives() {
                assert_eq!(self.events.get(&life.id), Some(&(life.revision, life.phase)), "the last event of {key:?}");
                let alert = life.shown(key);
                for channel in ["A", "B"] {
                    let told = self.inboxes[channel].alerts.get(&life.id).map(|(known, _)| known.as_str());
                    if self.model.is_silenced(&alert, channel, self.now) {
                        continue;
                    }
                    let concerned = channel == "A" || life.severity == Severity::Critical;
                    match (told, life.phase) {
                        (None, AlertPhase::Firing) => assert!(!concerned, "{channel} was not told of {alert:?}"),
                        (None, _) | (_, AlertPhase::Pending) => {}
                        (Some(told), phase) => assert_eq!(told, phase.as_str(), "{channel} knows of {alert:?}"),
                    }
                }
            }
        }
    }
}

fn record(rule: &Rule, op: MatchOp, now: i64, sequence: u64, version: u64) -> AlertMatch {
    AlertMatch {
        tenant: TENANT.into(),
        source: AlertSource { kind: rule.kind, id: rule.id.into(), name: rule.id.into(), version },
        op,
        network: "eth".parse().expect("slug"),
        sequence,
        height: sequence,
        block_hash: None,
        at: Model::ms(now),
        observed_at: Model::ms(now),
        contract: Some("0xab".into()),
        group: BTreeMap::new(),
        found: None,
        figure: None,
    }
}

fn found(transaction: u64) -> Option<Found> {
    Some(Found {
        transaction_hash: alloy_primitives::B256::left_padding_from(&transaction.to_be_bytes()),
        kind: FoundKind::Event,
        position: Some(0),
        condition: 0,
        signature: Some("Transfer(address,address,uint256)".into()),
        arguments: r#"{"value":"1"}"#.into(),
        cause: None,
    })
}

/// One history, and what it is made of.
struct History {
    rng: fastrand::Rng,
    world: World,
    sequence: u64,
    version: u64,
    /// Whether the rule's figure is over its threshold.
    over: bool,
    transactions: u64,
    /// Transactions that match and stand, newest last; and such as were taken back.
    chain: Vec<u64>,
    orphaned: Vec<u64>,
    killed: bool,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let rule = Rule::new("rule", SourceKind::Rule);
        let monitor = Rule::new("monitor", SourceKind::Monitor);
        let pick = |rng: &mut fastrand::Rng, of: &[i64]| of[rng.usize(..of.len())];
        world.model.rules = vec![
            Rule {
                hold: pick(&mut rng, &[0, 20, 90]),
                cooldown: pick(&mut rng, &[0, 200]),
                repeat: rng.bool().then_some(120),
                ..rule
            },
            Rule { cooldown: pick(&mut rng, &[0, 0, 400]), escalate: rng.bool().then_some(90), ..monitor },
        ];
        world.clock.set(Model::ms(world.now), true);
        world.define();
        let (chain, orphaned) = (Vec::new(), Vec::new());
        Self { rng, world, sequence: 0, version: 1, over: false, transactions: 0, chain, orphaned, killed: false }
    }

    fn take(&mut self, rule: usize, op: MatchOp, fill: impl FnOnce(&mut AlertMatch)) {
        self.sequence += 1;
        let rule = self.world.model.rules[rule].clone();
        let mut record = record(&rule, op, self.world.now, self.sequence, self.version);
        fill(&mut record);
        self.world.take(record, self.killed);
    }

    fn figure(&mut self) {
        let figure = Some(Figured { over: self.over, evidence: format!(r#"{{"value":{}}}"#, self.rng.u8(..)) });
        self.take(0, MatchOp::Figure, |record| record.figure = figure);
    }

    /// A fork: the newest matches go, some come again in whatever order, and then it is over.
    fn fork(&mut self) {
        for _ in 0..self.rng.usize(..=self.chain.len().min(4)) {
            let Some(transaction) = self.chain.pop() else { break };
            self.orphaned.push(transaction);
            self.take(1, MatchOp::Retract, |record| record.found = found(transaction));
        }
        if self.over && self.rng.bool() {
            self.take(0, MatchOp::Retract, |_| {});
            self.over = self.rng.bool();
            if self.over {
                self.figure();
            }
        }
        if !self.over && self.rng.u8(..4) == 0 {
            // What ended it is reverted: it goes on.
            self.over = true;
            self.take(0, MatchOp::IncludedAgain, |_| {});
            self.figure();
        }
        if self.rng.bool() {
            self.world.at(self.world.now + 3, false);
        }
        for _ in 0..self.rng.usize(..=self.orphaned.len()) {
            let at = self.rng.usize(..self.orphaned.len());
            let transaction = self.orphaned.swap_remove(at);
            self.chain.push(transaction);
            let op = if self.rng.bool() { MatchOp::IncludedAgain } else { MatchOp::Match };
            self.take(1, op, |record| record.found = found(transaction));
        }
        self.take(1, MatchOp::Settled, |record| record.source = AlertSource::nobody());
    }

    fn acknowledge(&mut self) {
        let lives = self.world.book.entries().values().flat_map(Entry::lives);
        let all: Vec<String> = lives.map(|life| life.id.clone()).collect();
        if all.is_empty() {
            return;
        }
        let (alert, now) = (all[self.rng.usize(..all.len())].clone(), self.world.now);
        self.world.model.acknowledge(&self.world.book, &alert, now);
        self.world.step(self.killed, |book, clock, out| {
            let said = Said { at: Model::ms(now), by: Some("me"), note: None };
            assert!(book.acknowledge(&alert, &said, clock, out));
        });
    }

    fn silence(&mut self) {
        let (from, lasts) = (self.world.now + self.rng.i64(-5..20), self.rng.i64(1..300));
        let matches = SilenceMatch {
            channel: self.rng.bool().then(|| "B".to_owned()),
            rule: self.rng.bool().then(|| "rule".to_owned()),
            ..SilenceMatch::default()
        };
        self.world.model.silences.push(Silence {
            name: "s".into(),
            matches,
            starts_at: Some(Model::ms(from)),
            ends_at: Model::ms((from + lasts).max(self.world.now + 1)),
            reason: None,
        });
        self.world.define();
    }

    fn edit(&mut self) {
        self.version += 1;
        let at = self.rng.usize(..2);
        let rule = &mut self.world.model.rules[at];
        match self.rng.u8(..3) {
            0 => rule.severity = if self.rng.bool() { Severity::Warning } else { Severity::Critical },
            1 => {
                rule.paused = true;
                self.over &= at != 0;
            }
            _ => rule.paused = false,
        }
        self.world.define();
    }

    fn step(&mut self) {
        self.killed = self.rng.u8(..8) == 0;
        let strides = [&[1][..], &[1, 1, 4], &[2, 30], &[70], &[60, 120, 240], &[700], &[4_000]];
        for stride in strides[self.rng.usize(..strides.len())] {
            self.world.at(self.world.now + stride, self.killed);
        }
        match self.rng.u8(..15) {
            0..=2 => {
                self.over = !self.over;
                self.figure();
            }
            3 => self.figure(),
            4..=6 => {
                self.transactions += 1;
                let transaction = self.transactions;
                self.chain.push(transaction);
                self.take(1, MatchOp::Match, |record| record.found = found(transaction));
            }
            7 | 8 => self.fork(),
            9 => self.acknowledge(),
            10 => self.silence(),
            11 if !self.world.model.silences.is_empty() => {
                let at = self.rng.usize(..self.world.model.silences.len());
                self.world.model.silences.remove(at);
                self.world.define();
            }
            12 => self.edit(),
            13 if !self.chain.is_empty() => {
                // What stands already, found once more: it changes nothing but when it was heard of last.
                let transaction = self.chain[self.rng.usize(..self.chain.len())];
                let op = if self.rng.bool() { MatchOp::IncludedAgain } else { MatchOp::Match };
                self.take(1, op, |record| record.found = found(transaction));
            }
            _ => self.world.restart(),
        }
    }

    /// In the end all silences are over, and all was told, by messages or by summaries.
    fn end(mut self) -> (usize, usize) {
        self.world.model.silences.clear();
        self.world.define();
        // An escalation counts from what came last, which may be the end of a silence; then a summary follows within a minute.
        self.world.at(self.world.now + 700, false);
        self.world.at(self.world.now + 700, false);
        self.world.at(self.world.now + 100, false);
        let [a, c] = ["A", "C"].map(|id| &self.world.inboxes[id]);
        assert_eq!(a.times.len() as u64, c.times.len() as u64 + c.summed, "nothing is dropped without a word");
        (a.times.len(), self.world.settled)
    }
}

#[test]
fn histories() {
    let only = std::env::var("LIFE_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let (mut told, mut settled) = (0, 0);
    for seed in only
        .map_or(0..if std::env::var_os("HEADWATER_TEST_LONG").is_some() { 5_000 } else { 1_500 }, |seed| seed..seed + 1)
    {
        let played = std::panic::catch_unwind(|| {
            let mut history = History::new(seed);
            (0..30).for_each(|_| history.step());
            history.end()
        });
        let (messages, ends) = played.unwrap_or_else(|_| panic!("LIFE_SEED={seed} plays it alone"));
        told += messages;
        settled += ends;
    }
    // They are about something.
    assert!(only.is_some() || (told > 20_000 && settled > 1_000), "{told} messages, {settled} ends of reorgs");
}

/// What is old news is not taken for lasting: a stage that was away reads on before its timers say that something still holds.
#[test]
fn old_news_do_not_last() {
    let mut world = World::new();
    world.model.rules = vec![Rule { hold: 300, ..Rule::new("rule", SourceKind::Rule) }];
    world.clock.set(Model::ms(world.now), false);
    world.define();
    let began = world.now;
    // An hour later, what happened then is read: over, and a minute later no more.
    let late = |book: &mut Book, clock: &mut Clock, out: &mut Output| {
        clock.set(Model::ms(began + 3_600), false);
        book.tick(clock, out);
    };
    for (second, over) in [(0, true), (60, false)] {
        let rule = world.model.rules[0].clone();
        let figure = Some(Figured { over, evidence: "{}".into() });
        let record = AlertMatch { figure, ..record(&rule, MatchOp::Figure, began + second, 1, 1) };
        let mut out = Output::default();
        world.clock.hears(&record.network, record.observed_at);
        world.book.take(&record, &world.clock, &mut out);
        late(&mut world.book, &mut world.clock, &mut out);
        assert!(out.outbox.is_empty(), "it never held for five minutes: {out:?}");
        let kinds: Vec<_> = out.events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, [if over { "pending" } else { "resolved" }]);
    }
}

/// A match that is old when it comes, since its monitor waited for the chain, is told and stands for a while.
#[test]
fn old_matches_are_told_before_they_are_over() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let (now, mut model) = (1_000_000, Model::default());
    model.rules.push(Rule { cooldown: 3_600, ..Rule::new("monitor", SourceKind::Monitor) });
    clock.set(Model::ms(now), true);
    book.define(model.settings(), &clock, &mut out);
    let match_of = |n, at| AlertMatch { found: found(n), ..record(&model.rules[0].clone(), MatchOp::Match, at, n, 1) };
    let kinds = |out: &Output| -> Vec<String> {
        out.outbox.iter().filter(|message| message.channel_id == "A").map(|message| message.kind.clone()).collect()
    };
    let at = |clock: &mut Clock, book: &mut Book, second| {
        let mut out = Output::default();
        clock.set(Model::ms(second), true);
        book.tick(clock, &mut out);
        kinds(&out)
    };
    book.take(&match_of(1, now - 900), &clock, &mut out);
    book.tick(&clock, &mut out);
    assert_eq!(kinds(&out), ["alert.firing"]);
    assert_eq!(at(&mut clock, &mut book, now + 299), Vec::<String>::new());
    assert_eq!(at(&mut clock, &mut book, now + 300), ["alert.resolved"]);
    // Within the cooldown, which is longer than what is quiet counts as over: it waits, is told, and stands for a while.
    let mut out = Output::default();
    book.take(&match_of(2, now + 310), &clock, &mut out);
    assert_eq!(kinds(&out), Vec::<String>::new());
    assert_eq!(at(&mut clock, &mut book, now + 3_500), ["alert.firing"]);
    assert_eq!(at(&mut clock, &mut book, now + 3_799), Vec::<String>::new());
    assert_eq!(at(&mut clock, &mut book, now + 3_800), ["alert.resolved"]);
}

/// A rule that is about something else now ends what it said of this.
#[test]
fn what_a_rule_is_no_longer_about_is_over() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    model.rules.push(Rule::new("rule", SourceKind::Rule));
    clock.set(Model::ms(1_000), true);
    let settings = |contract: &str| {
        let mut settings = model.settings();
        for policy in settings.policies.values_mut() {
            policy.scope = Some(Scope {
                networks: BTreeSet::from(["eth".parse().expect("slug")]),
                contract: Some(contract.to_owned()),
                endpoint: None,
                names: BTreeSet::new(),
            });
        }
        settings
    };
    book.define(settings("0xab"), &clock, &mut out);
    let figure = Some(Figured { over: true, evidence: "{}".into() });
    let said = AlertMatch { figure, ..record(&model.rules[0], MatchOp::Figure, 1_000, 1, 1) };
    book.take(&said, &clock, &mut out);
    assert_eq!((book.open(), out.events.len()), (1, 1));
    book.define(settings("0xcd"), &clock, &mut out);
    assert_eq!(book.open(), 0);
    let last = out.events.last().expect("an event");
    assert!(last.kind.as_str() == "resolved" && last.note.as_deref().is_some_and(|note| note.contains("changed")));
    // What was found by the rule as it was says nothing any more.
    book.take(&said, &clock, &mut out);
    assert_eq!(book.open(), 0);
    // Nor does a monitor of a network that its organisation has no more; given back, what holds is a new alert.
    let at = |network: &str| {
        let mut settings = model.settings();
        for policy in settings.policies.values_mut() {
            policy.networks = Some(BTreeSet::from([network.parse().expect("slug")]));
        }
        settings
    };
    for (network, open) in [("eth", 1), ("other", 0), ("eth", 1)] {
        book.define(at(network), &clock, &mut out);
        book.take(&said, &clock, &mut out);
        assert_eq!(book.open(), open, "{network}");
    }
}

/// However full a channel's hour is: what it was told of is ended, and what it heard of by a summary is under the cap.
#[test]
fn ends_of_what_was_told_have_room() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    model.rules.push(Rule::new("monitor", SourceKind::Monitor));
    clock.set(Model::ms(1_000), true);
    book.define(model.settings(), &clock, &mut out);
    let of = |n: u64, op| AlertMatch {
        group: BTreeMap::from([("transaction".to_owned(), n.to_string())]),
        found: found(n),
        ..record(&model.rules[0], op, 1_000, n, 1)
    };
    let many = u64::from(CAP) + 3;
    for op in [MatchOp::Match, MatchOp::Retract] {
        (1..=many).for_each(|n| book.take(&of(n, op), &clock, &mut out));
    }
    clock.set(Model::ms(1_100), true);
    book.tick(&clock, &mut out);
    let count = |kind: &str| out.outbox.iter().filter(|m| m.channel_id == "C" && m.kind == kind).count();
    assert_eq!((count("alert.firing"), count("alert.retracted")), (CAP as usize, CAP as usize));
    let summary = out.outbox.iter().find(|m| m.kind == "channel.summary").expect("a summary");
    let body: Value = serde_json::from_str(&summary.body).expect("JSON");
    assert_eq!((&body["kinds"]["alert.firing"], &body["kinds"]["alert.retracted"]), (&3.into(), &3.into()));
}

/// A plan's messages of an hour are those of all channels together; what is over them is told by summaries, and ends have room.
#[test]
fn the_hour_of_a_tenant_is_that_of_all_its_channels() {
    const OF_ALL: usize = 7;
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    model.rules.push(Rule::new("monitor", SourceKind::Monitor));
    clock.set(Model::ms(1_000), true);
    let settings = |per_hour| alerts::life::Settings { per_hour, ..model.settings() };
    book.define(settings(Some(OF_ALL as u32)), &clock, &mut out);
    let of = |n: u64, op| AlertMatch {
        group: BTreeMap::from([("transaction".to_owned(), n.to_string())]),
        found: found(n),
        ..record(&model.rules[0], op, 1_000, n, 1)
    };
    (1..=20).for_each(|n| book.take(&of(n, MatchOp::Match), &clock, &mut out));
    let count = |out: &Output, kind: &str| out.outbox.iter().filter(|m| m.kind == kind).count();
    assert_eq!(count(&out, "alert.firing"), OF_ALL);
    clock.set(Model::ms(1_100), true);
    book.tick(&clock, &mut out);
    let summed: u64 = out.outbox.iter().filter(|m| m.kind == "channel.summary").fold(0, |sum, m| {
        let body: Value = serde_json::from_str(&m.body).expect("JSON");
        sum + body["count"].as_u64().expect("a number")
    });
    assert_eq!(summed as usize, 2 * 20 - OF_ALL, "nothing is dropped without a word");
    (1..=20).for_each(|n| book.take(&of(n, MatchOp::Retract), &clock, &mut out));
    assert_eq!(count(&out, "alert.retracted"), OF_ALL, "what was told is ended");
    // An hour later there is room again, and without a bound as much as each channel takes.
    clock.set(Model::ms(1_000 + 3_700), true);
    book.tick(&clock, &mut out);
    let mut late = Output::default();
    book.define(settings(None), &clock, &mut late);
    (101..=104).for_each(|n| book.take(&of(n, MatchOp::Match), &clock, &mut late));
    assert_eq!(count(&late, "alert.firing"), 8);
}

/// What a channel heard of by a summary first and then by a message is ended like what it was told of at once.
#[test]
fn ends_of_what_was_told_late_have_room() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    model.rules.push(Rule { repeat: Some(3_600), ..Rule::new("rule", SourceKind::Rule) });
    let of = |n: u32, over, at| AlertMatch {
        group: BTreeMap::from([("group".to_owned(), n.to_string())]),
        figure: Some(Figured { over, evidence: "{}".into() }),
        ..record(&model.rules[0], MatchOp::Figure, at, u64::from(n), 1)
    };
    clock.set(Model::ms(1_000), true);
    book.define(model.settings(), &clock, &mut out);
    let late = CAP + 1;
    (1..=late).for_each(|n| book.take(&of(n, true, 1_000), &clock, &mut out));
    (1..late).for_each(|n| book.take(&of(n, false, 1_000), &clock, &mut out));
    for second in [1_100, 4_700] {
        clock.set(Model::ms(second), true);
        book.tick(&clock, &mut out);
    }
    // The hour is full once more.
    (101..=100 + CAP).for_each(|n| book.take(&of(n, true, 4_700), &clock, &mut out));
    book.take(&of(late, false, 4_700), &clock, &mut out);
    let count = |kind: &str| out.outbox.iter().filter(|m| m.channel_id == "C" && m.kind == kind).count();
    assert_eq!((count("alert.repeated"), count("alert.firing")), (1, 2 * CAP as usize - 1));
    assert_eq!(count("alert.resolved"), late as usize);
}

/// More matches than can be told apart are taken back, and come again: it is the same alert.
#[test]
fn what_was_forgotten_is_included_again_where_it_was() {
    use schemas::limits::alerts::KNOWN_MATCHES_OF_ALERT;
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    model.rules.push(Rule::new("monitor", SourceKind::Monitor));
    clock.set(Model::ms(1_000), true);
    book.define(model.settings(), &clock, &mut out);
    let of = |n: usize, op| AlertMatch { found: found(n as u64), ..record(&model.rules[0], op, 1_000, 1, 1) };
    let many = KNOWN_MATCHES_OF_ALERT + 44;
    for op in [MatchOp::Match, MatchOp::Retract, MatchOp::IncludedAgain] {
        (1..=many).for_each(|n| book.take(&of(n, op), &clock, &mut out));
        let entry = book.entries().values().next().expect("a group");
        let held = entry.lives()[0].held().expect("a monitor's");
        let (live, gone) = if op == MatchOp::Retract { (0, many) } else { (many, 0) };
        assert_eq!((entry.lives().len(), held.live()), (1, live as u64));
        assert_eq!(held.evidence()["retracted"], gone as u64);
        assert_eq!(book.open(), usize::from(op != MatchOp::Retract));
    }
    // Another one is new, whatever it is said to be.
    book.take(&of(many + 1, MatchOp::IncludedAgain), &clock, &mut out);
    let held = book.entries().values().next().and_then(|entry| entry.lives()[0].held()).expect("a monitor's");
    assert_eq!((held.live(), held.misses()), (many as u64 + 1, false));
    let fired = out.events.iter().filter(|event| event.kind.as_str() == "fired").count();
    assert_eq!(fired, 1);
}

/// Of an alert that is over a reorg takes one match of two back, and the branch back brings it again: it fires on, as the same alert.
#[test]
fn one_of_several_that_comes_again_reopens_what_was_resolved() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    model.rules.push(Rule::new("monitor", SourceKind::Monitor));
    clock.set(Model::ms(1_000), true);
    book.define(model.settings(), &clock, &mut out);
    let of = |n: u64, op| AlertMatch { found: found(n), ..record(&model.rules[0], op, 1_000, n, 1) };
    (1..=2).for_each(|n| book.take(&of(n, MatchOp::Match), &clock, &mut out));
    clock.set(Model::ms(1_400), true);
    book.tick(&clock, &mut out);
    assert_eq!(book.open(), 0, "it is over: nothing came for five minutes");
    book.take(&of(2, MatchOp::Retract), &clock, &mut out);
    clock.set(Model::ms(1_402), true);
    book.tick(&clock, &mut out);
    let kinds = |out: &Output| -> Vec<String> {
        out.outbox.iter().filter(|message| message.channel_id == "A").map(|message| message.kind.clone()).collect()
    };
    assert_eq!(kinds(&out), ["alert.firing", "alert.resolved", "alert.amended"]);
    assert_eq!(book.open(), 0, "the other one stands, and is over");
    let mut out = Output::default();
    book.take(&of(2, MatchOp::IncludedAgain), &clock, &mut out);
    assert_eq!(kinds(&out), ["alert.included_again"]);
    let entry = book.entries().values().next().expect("a group");
    let held = entry.lives()[0].held().expect("a monitor's");
    assert_eq!((entry.lives().len(), held.live(), entry.lives()[0].phase), (1, 2, AlertPhase::Firing));
    // What stands and is found once more reopens nothing.
    clock.set(Model::ms(1_800), true);
    book.tick(&clock, &mut out);
    assert_eq!(book.open(), 0, "it stands for a while, and is over again");
    book.take(&of(2, MatchOp::IncludedAgain), &clock, &mut out);
    assert_eq!((book.open(), kinds(&out)), (0, vec!["alert.included_again".to_owned(), "alert.resolved".to_owned()]));
}

/// That a tenant's conditions cost too much is told to whom any of its monitors tells, once an hour, whichever of them took most.
#[test]
fn what_was_not_looked_at_is_told_to_all_who_hear_of_monitors() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    let kinds = [("m", SourceKind::Monitor), ("n", SourceKind::Monitor), ("r", SourceKind::Rule)];
    model.rules = kinds.map(|(id, kind)| Rule { severity: Severity::Critical, ..Rule::new(id, kind) }).to_vec();
    let mut settings = model.settings();
    for (id, channel) in [("m", "A"), ("n", "C"), ("r", "B")] {
        let policy = settings.policies.get_mut(id).expect("it is there");
        policy.channels = vec![channel.to_owned()];
        let scope =
            Scope { networks: BTreeSet::new(), contract: None, endpoint: None, names: BTreeSet::from(["network"]) };
        policy.scope = (id == "r").then_some(scope);
    }
    clock.set(Model::ms(10_000), true);
    book.define(settings, &clock, &mut out);
    let said = |at: usize, count: u64| AlertMatch {
        figure: Some(Figured { over: false, evidence: format!(r#"{{"not_looked_at":{count}}}"#) }),
        ..record(&model.rules[at], MatchOp::LeftOut, 10_000, 1, 1)
    };
    let told = |out: &mut Output| -> Vec<(String, Value, Value, Value)> {
        let of = |message: AlertOutbox| {
            let body: Value = serde_json::from_str(&message.body).expect("JSON");
            let of = body["alerts"][0]["source"]["id"].clone();
            (format!("{} {}", message.kind, message.channel_id), body["count"].clone(), body["kinds"].clone(), of)
        };
        out.outbox.drain(..).map(of).collect()
    };
    let to = |channel: &str, count: u64, source: &str| {
        let kinds = serde_json::json!({ "not_looked_at": count });
        (format!("channel.summary {channel}"), Value::from(count), kinds, Value::from(source))
    };
    book.take(&said(0, 6), &clock, &mut out);
    assert_eq!(told(&mut out), [to("A", 6, "m"), to("C", 6, "m")]);
    book.take(&said(0, 3), &clock, &mut out);
    book.take(&said(1, 1), &clock, &mut out);
    assert!(told(&mut out).is_empty(), "it was told within the hour");
    clock.set(Model::ms(13_600), true);
    book.tick(&clock, &mut out);
    assert_eq!(told(&mut out), [to("A", 4, "n"), to("C", 4, "n")]);
}

/// A cause that comes late is told on the same alert, once, and makes no other one of it, however often it is said.
#[test]
fn a_late_cause_amends_the_alert_that_shows_its_match() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let mut model = Model::default();
    model.rules.push(Rule::new("monitor", SourceKind::Monitor));
    clock.set(Model::ms(1_000), true);
    book.define(model.settings(), &clock, &mut out);
    let of = |n: u64, op, cause: Option<&str>| {
        let found = found(n).map(|found| Found { cause: cause.map(str::to_owned), ..found });
        AlertMatch { found, ..record(&model.rules[0], op, 1_000, n, 1) }
    };
    book.take(&of(1, MatchOp::Match, None), &clock, &mut out);
    book.take(&of(1, MatchOp::Amend, Some("slippage")), &clock, &mut out);
    // Of a match that nobody was told of nothing is said.
    book.take(&of(2, MatchOp::Amend, Some("slippage")), &clock, &mut out);
    let told = |out: &Output| -> Vec<(String, Value)> {
        let of_a = out.outbox.iter().filter(|message| message.channel_id == "A");
        let cause = |message: &AlertOutbox| {
            let body: Value = serde_json::from_str(&message.body).expect("JSON");
            body["evidence"]["matches"][0]["cause"].clone()
        };
        of_a.map(|message| (message.kind.clone(), cause(message))).collect()
    };
    clock.set(Model::ms(1_010), true);
    book.tick(&clock, &mut out);
    let slippage = Value::from("slippage");
    let both = [("alert.firing".to_owned(), Value::Null), ("alert.amended".to_owned(), slippage.clone())];
    assert_eq!(told(&out), both);
    let alerts: BTreeSet<&String> = out.events.iter().map(|event| &event.alert_id).collect();
    assert_eq!((alerts.len(), book.entries().len()), (1, 1));
    let last: Value = serde_json::from_str(&out.events.last().expect("one").matches).expect("JSON");
    assert_eq!((&last[0]["cause"], &last[0]["arguments"]), (&slippage, &serde_json::json!({"value": "1"})));
    // Said again after a restart of whoever finds it, it is no news; and the alert is over when it would have been.
    book.take(&of(1, MatchOp::Amend, Some("slippage")), &clock, &mut out);
    clock.set(Model::ms(1_299), true);
    book.tick(&clock, &mut out);
    assert_eq!((told(&out).len(), book.open()), (2, 1));
    clock.set(Model::ms(1_300), true);
    book.tick(&clock, &mut out);
    assert_eq!((told(&out).len(), book.open()), (3, 0));
}

/// However many groups a chain makes up, they are told: those that are too many as one.
#[test]
fn too_many_groups_are_one() {
    use schemas::limits::alerts::OPEN_OF_SOURCE;
    let mut book = Book::new(TENANT);
    let (mut clock, mut out) = (Clock::default(), Output::default());
    clock.set(TimeMs(1_000_000), true);
    let mut model = Model::default();
    model.rules.push(Rule::new("monitor", SourceKind::Monitor));
    book.define(model.settings(), &clock, &mut out);
    let monitor = model.rules[0].clone();
    let of = |n: usize, op| AlertMatch {
        group: BTreeMap::from([("transaction".to_owned(), n.to_string())]),
        found: found(n as u64),
        ..record(&monitor, op, 1_000, n as u64, 1)
    };
    for n in 1..=OPEN_OF_SOURCE + 20 {
        book.take(&of(n, MatchOp::Match), &clock, &mut out);
    }
    assert_eq!(book.open(), OPEN_OF_SOURCE + 1);
    let others = book.entries().values().find(|entry| entry.lives()[0].held().is_some_and(|held| held.live() == 20));
    let id = others.expect("one for all others").lives()[0].id.clone();
    // Each is taken back where it is, the last one with the alert.
    let mut out = Output::default();
    for n in 1..=OPEN_OF_SOURCE + 20 {
        book.take(&of(n, MatchOp::Retract), &clock, &mut out);
    }
    assert_eq!(book.open(), 0);
    assert!(out.events.iter().any(|event| event.alert_id == id && event.kind.as_str() == "retracted"));
}

/// What came back with the chain has its own time before it escalates.
#[test]
fn what_comes_again_does_not_escalate_at_once() {
    let (mut book, mut clock, mut out) = (Book::new(TENANT), Clock::default(), Output::default());
    let (now, mut model) = (1_000_000, Model::default());
    model.rules.push(Rule { escalate: Some(90), ..Rule::new("monitor", SourceKind::Monitor) });
    clock.set(Model::ms(now), true);
    book.define(model.settings(), &clock, &mut out);
    let of = |op, at| AlertMatch { found: found(1), ..record(&model.rules[0], op, at, 1, 1) };
    let at = |clock: &mut Clock, book: &mut Book, second| -> Vec<String> {
        let mut out = Output::default();
        clock.set(Model::ms(second), true);
        book.tick(clock, &mut out);
        out.events.iter().map(|event| event.kind.as_str().to_owned()).collect()
    };
    book.take(&of(MatchOp::Match, now), &clock, &mut out);
    book.tick(&clock, &mut out);
    book.take(&of(MatchOp::Retract, now + 10), &clock, &mut out);
    assert_eq!(at(&mut clock, &mut book, now + 200), Vec::<String>::new());
    let mut out = Output::default();
    book.take(&of(MatchOp::IncludedAgain, now + 200), &clock, &mut out);
    let kinds: Vec<_> = out.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["included_again"]);
    assert_eq!(at(&mut clock, &mut book, now + 289), Vec::<String>::new());
    assert_eq!(at(&mut clock, &mut book, now + 290), ["repeated"]);
}
