//! A rule tried on the past of a network or contract, of which steps of time that stand side by side are known.
//!
//! Guarantee: pure, and by the code that judges rules as blocks come: at the end of each step the rule's window is the merge of the steps in
//! it, and what it says of them is what it would say at a block of that time, of windows that lack something too
//! ([`Rule::tells_of_part`]); but a block exactly at an end counts for the step that begins there. Between two ends nothing is looked at,
//! where the alerts' stage looks at each block: what crossed its limit and came back in between is not seen. It begins as a new rule does,
//! with nothing said before.

use std::time::Duration;

use schemas::{TimeMs, records::Partial};

use crate::{
    figures::{Figure, Judged, usual},
    number::Number,
    rule::{Limit, Rule},
};

const HOUR_MS: i64 = 3_600_000;

/// What was done in a step of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Where it begins.
    pub at: TimeMs,
    /// What is known of it; `None`: nothing.
    pub did: Option<Partial>,
    /// Whether that is all of it.
    pub complete: bool,
}

/// What a rule is tried on.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'t> {
    /// The rule: one over windows.
    pub rule: &'t Rule,
    /// Steps one behind the other, the oldest first.
    pub steps: &'t [Piece],
    /// Their length, milliseconds: the rule's window is a whole number of them.
    pub step_ms: i64,
    /// Of a rule with a baseline: whole hours, the oldest first.
    pub hours: &'t [Piece],
}

/// How an alert of the rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stands {
    /// There is none.
    #[default]
    Quiet,
    /// The condition holds, not for long enough, or too soon after the last firing.
    Pending,
    /// It fires.
    Firing,
}

impl Stands {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One look: at the end of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// When: the end of the window.
    pub at: TimeMs,
    /// What there was in it.
    pub figure: Figure,
    /// What it is compared with, and whether the condition holds.
    pub judged: Judged,
    /// Whether anything is said of it: not of windows that lack too much.
    pub told: bool,
    /// Whether the window lacks nothing.
    pub complete: bool,
    /// How an alert stands then.
    pub stands: Stands,
}

/// A time for which it would have fired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fired {
    /// Since when the condition held.
    pub started_at: TimeMs,
    /// When it fired.
    pub fired_at: TimeMs,
    /// When it was over; `None`: it is not.
    pub resolved_at: Option<TimeMs>,
    /// The look at which it fired.
    pub look: Look,
}

/// What it would have said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tried {
    /// Each look, the oldest first.
    pub looks: Vec<Look>,
    /// Each firing, the oldest first.
    pub fired: Vec<Fired>,
}

/// What was said so far.
#[derive(Debug, Default)]
struct Said {
    since: Option<TimeMs>,
    fires: bool,
    fired_before: Option<TimeMs>,
}

/// The usual value of the hours from the first to the last, which stays the same for the looks of an hour.
type Known = Option<((i64, i64), Option<Number>)>;

impl Trial<'_> {
    /// Looks at the end of each step that ends behind a time, as far as the steps before it reach.
    pub fn run(&self, behind: TimeMs) -> Tried {
        let (mut tried, mut said, mut known) = (Tried::default(), Said::default(), None);
        let steps = millis(self.rule.window) / self.step_ms.max(1);
        for window in self.steps.windows(usize::try_from(steps).unwrap_or(1).max(1)) {
            let Some(last) = window.last() else { continue };
            let end = TimeMs(last.at.0.saturating_add(self.step_ms));
            if end <= behind {
                continue;
            }
            let mut look = self.look(window, end, &mut known);
            if look.told {
                said.take(self.rule, &look, &mut tried.fired);
            }
            look.stands = said.stands();
            tried.looks.push(look);
        }
        tried
    }

    fn look(&self, window: &[Piece], end: TimeMs, known: &mut Known) -> Look {
        let rule = self.rule;
        let ms = millis(rule.window);
        let complete = window.iter().all(|step| step.complete && step.did.is_some());
        let did: Vec<&Partial> = window.iter().filter_map(|step| step.did.as_ref()).collect();
        let figure = match did.is_empty() {
            true => Figure::told(None),
            false => Figure::of(rule.metric, &sum(did), unsigned(ms)),
        };
        let usual = match &rule.limit {
            Limit::Threshold(_) => None,
            Limit::Baseline { over, .. } => self.usual(end.0.saturating_sub(ms), millis(*over), known),
        };
        let judged = rule.judge(&figure, usual.as_ref());
        // A step is a minute at least.
        let enough = || window.iter().any(|step| step.complete && step.did.is_some());
        let told = complete || rule.tells_of_part(judged, enough);
        Look { at: end, figure, judged, told, complete, stands: Stands::Quiet }
    }

    /// The usual value for a window that begins at a time: of the complete hours that ended before it.
    fn usual(&self, before: i64, over: i64, known: &mut Known) -> Option<Number> {
        let (first, last) = (before.saturating_sub(over), before.saturating_sub(HOUR_MS));
        let hours = (first.saturating_add(HOUR_MS - 1).div_euclid(HOUR_MS), last.div_euclid(HOUR_MS));
        if let Some((of, usual)) = known
            && *of == hours
        {
            return *usual;
        }
        let from = self.hours.partition_point(|hour| hour.at.0 < first);
        let those = self.hours.iter().skip(from).take_while(|hour| hour.at.0 <= last).filter(|hour| hour.complete);
        let did: Vec<&Partial> = those.filter_map(|hour| hour.did.as_ref()).collect();
        let total = unsigned(HOUR_MS).saturating_mul(u64::try_from(did.len()).unwrap_or(0));
        let found = usual(self.rule.metric, &sum(did), total, unsigned(millis(self.rule.window)));
        *known = Some((hours, found));
        found
    }
}

/// A figure at a time that was found elsewhere: of an endpoint, of a clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Given {
    /// The time.
    pub at: TimeMs,
    /// The figure; `None`: there is none.
    pub value: Option<Number>,
    /// Whether anything is said of it.
    pub told: bool,
    /// Whether nothing of it is missing.
    pub complete: bool,
}

/// What a rule about such figures would have said of these, the oldest first: one that says nothing leaves what was said before.
pub fn told(rule: &Rule, given: impl IntoIterator<Item = Given>) -> Tried {
    let (mut tried, mut said) = (Tried::default(), Said::default());
    for Given { at, value, told, complete } in given {
        let figure = Figure::told(value);
        let judged = rule.judge(&figure, None);
        let mut look = Look { at, figure, judged, told, complete, stands: Stands::Quiet };
        if told {
            said.take(rule, &look, &mut tried.fired);
        }
        look.stands = said.stands();
        tried.looks.push(look);
    }
    tried
}

impl Said {
    fn stands(&self) -> Stands {
        match (self.fires, self.since) {
            (true, _) => Stands::Firing,
            (false, Some(_)) => Stands::Pending,
            (false, None) => Stands::Quiet,
        }
    }

    fn take(&mut self, rule: &Rule, look: &Look, fired: &mut Vec<Fired>) {
        if !look.judged.over {
            if std::mem::take(&mut self.fires)
                && let Some(last) = fired.last_mut()
            {
                last.resolved_at = Some(look.at);
            }
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(look.at);
        if self.fires {
            return;
        }
        // By the clock: where it holds still, it fired between this look and the one before.
        let held = after(since, rule.hold);
        let ripe = self.fired_before.map_or(held, |fired| held.max(after(fired, rule.cooldown)));
        if ripe <= look.at {
            (self.fires, self.fired_before) = (true, Some(ripe));
            let look = Look { stands: Stands::Firing, ..*look };
            fired.push(Fired { started_at: since, fired_at: ripe, resolved_at: None, look });
        }
    }
}

fn sum(did: Vec<&Partial>) -> Partial {
    let mut sum = Partial { fees: None, bins: None, senders: None, ..Partial::default() };
    did.into_iter().for_each(|did| sum.merge(did));
    sum
}

fn after(at: TimeMs, span: Duration) -> TimeMs {
    TimeMs(at.0.saturating_add(millis(span)))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn unsigned(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}
