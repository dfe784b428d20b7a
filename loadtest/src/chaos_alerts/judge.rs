//! What a receiver must have heard in the end, by the messages that it got and the failed transactions that the chain has.
//!
//! Guarantee: pure. One id is one message, of one kind and alert. A message that was answered comes again only where the stage was killed
//! about when it was answered ([`Excuse`]), however long after that it comes again. An alert fires under one id. The last word on a transaction that the chain has is not that it was taken back; the last
//! word on one that it has not is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    /// When.
    pub at: Instant,
    /// Its message's id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its alert.
    pub alert: Option<String>,
    /// The transaction that the alert is about.
    pub transaction: Option<String>,
    /// Whether it was answered with success.
    pub answered: bool,
}

/// What the chain has in the end.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// Failed transactions that must have been told.
    pub told: BTreeSet<String>,
    /// All failed transactions: what was made before anybody watched may be told or not.
    pub failed: BTreeSet<String>,
}

/// Why it is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It never will be.
    ForGood(String),
    /// Something has still to come.
    Yet(String),
}

/// What excuses that a message comes again: a kill so long after its answer at most (what was answered is not written yet), or so long before
/// it (whoever takes over is not settled yet).
#[derive(Clone, Copy, Debug)]
pub struct Excuse {
    /// From the answer to the kill.
    pub unwritten: Duration,
    /// From the kill to the answer.
    pub unsettled: Duration,
}

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests.
    pub requests: usize,
    /// Messages.
    pub messages: usize,
    /// Messages that came again after they were answered.
    pub doubled: usize,
    /// How often all of them did.
    pub again: usize,
    /// Alerts.
    pub alerts: usize,
    /// Alerts whose last word is that the chain took them back.
    pub retracted: usize,
}

/// Judges. `kills`: when the stage that sends was killed.
///
/// # Errors
/// The first thing that is wrong.
pub fn judge(got: &[Got], (kills, excuse): (&[Instant], Excuse), chain: &Chain) -> Result<Counts, Wrong> {
    let mut by_id: BTreeMap<&str, Vec<&Got>> = BTreeMap::new();
    for one in got {
        by_id.entry(&one.id).or_default().push(one);
    }
    let mut counts = Counts { requests: got.len(), messages: by_id.len(), ..Counts::default() };
    for all in by_id.values() {
        let mut again = 0;
        for pair in all.windows(2) {
            let [former, next] = pair else { continue };
            if (&former.kind, &former.alert) != (&next.kind, &next.alert) {
                return Err(Wrong::ForGood(format!("one id is two messages: {former:?} and {next:?}")));
            }
            again += usize::from(former.answered);
            let excuses = |kill: &Instant| {
                *kill <= next.at && *kill <= former.at + excuse.unwritten && former.at <= *kill + excuse.unsettled
            };
            if former.answered && !kills.iter().any(excuses) {
                let why = "it was answered, nobody was killed about then, and it came again";
                return Err(Wrong::ForGood(format!("{why}: {former:?} and {next:?}")));
            }
        }
        counts.doubled += usize::from(again > 0);
        counts.again += again;
    }
    let mut firing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut last: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for one in got.iter().filter(|one| one.answered) {
        let (Some(alert), Some(transaction)) = (one.alert.as_deref(), one.transaction.as_deref()) else { continue };
        if one.kind == "alert.firing" {
            firing.entry(alert).or_default().insert(one.id.as_str());
        }
        let former = last.insert(transaction, (one.kind.as_str(), alert));
        if let Some((_, former)) = former.filter(|(_, former)| *former != alert) {
            return Err(Wrong::ForGood(format!("{transaction} has two alerts: {former} and {alert}")));
        }
    }
    if let Some((alert, ids)) = firing.iter().find(|(_, ids)| ids.len() > 1) {
        return Err(Wrong::ForGood(format!("alert {alert} fires under {} ids: {ids:?}", ids.len())));
    }
    counts.alerts = last.len();
    for (transaction, (kind, _)) in &last {
        let retracted = *kind == "alert.retracted";
        counts.retracted += usize::from(retracted);
        if retracted == chain.failed.contains(*transaction) {
            return Err(Wrong::Yet(format!("the last word on {transaction} is {kind}")));
        }
    }
    match chain.told.iter().find(|transaction| !last.contains_key(transaction.as_str())) {
        Some(transaction) => Err(Wrong::Yet(format!("{transaction} was never told"))),
        None => Ok(counts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(at: Instant, id: &str, kind: &str, (alert, transaction): (&str, &str), answered: bool) -> Got {
        let (id, kind) = (id.to_owned(), kind.to_owned());
        Got { at, id, kind, alert: Some(alert.to_owned()), transaction: Some(transaction.to_owned()), answered }
    }

    fn chain(told: &[&str]) -> Chain {
        let told: BTreeSet<String> = told.iter().map(|&text| text.to_owned()).collect();
        Chain { failed: told.clone(), told }
    }

    #[test]
    fn what_was_told_once_and_stands_is_right_and_each_fault_is_found() {
        let now = Instant::now();
        let excuse = Excuse { unwritten: Duration::from_secs(2), unsettled: Duration::from_secs(1) };
        let at = |seconds: u64| now + Duration::from_secs(seconds);
        let fires = got(at(0), "m1", "alert.firing", ("a", "x"), true);
        let judged = |all: &[Got], kills: &[Instant], told: &[&str]| judge(all, (kills, excuse), &chain(told));
        let one = std::slice::from_ref(&fires);
        let right = Counts { requests: 1, messages: 1, alerts: 1, ..Counts::default() };
        assert_eq!(judged(one, &[], &["x"]), Ok(right));
        assert!(matches!(judged(one, &[], &["x", "y"]), Err(Wrong::Yet(_))), "y was never told");
        assert!(matches!(judged(one, &[], &[]), Err(Wrong::Yet(_))), "x stands, and the chain has it not");

        let again = [fires.clone(), got(at(9), "m1", "alert.firing", ("a", "x"), true)];
        assert!(matches!(judged(&again, &[], &["x"]), Err(Wrong::ForGood(_))), "doubled for nothing");
        assert_eq!(judged(&again, &[at(1)], &["x"]).map(|counts| (counts.doubled, counts.again)), Ok((1, 1)));
        let late = judged(&again, &[at(5)], &["x"]);
        assert!(matches!(late, Err(Wrong::ForGood(_))), "what was answered long before a kill was written: {late:?}");
        let more = [again[0].clone(), again[1].clone(), got(at(20), "m1", "alert.firing", ("a", "x"), true)];
        assert!(matches!(judged(&more, &[at(1)], &["x"]), Err(Wrong::ForGood(_))), "one kill excuses one time");
        assert_eq!(judged(&more, &[at(1), at(8)], &["x"]).map(|counts| (counts.doubled, counts.again)), Ok((1, 2)));
        assert!(matches!(judged(&again, &[at(10)], &["x"]), Err(Wrong::ForGood(_))), "killed afterwards");
        let refused = [got(at(0), "m1", "alert.firing", ("a", "x"), false), again[1].clone()];
        assert_eq!(judged(&refused, &[], &["x"]).map(|counts| counts.doubled), Ok(0));

        let two = [fires.clone(), got(at(1), "m2", "alert.firing", ("a", "x"), true)];
        assert!(matches!(judged(&two, &[], &["x"]), Err(Wrong::ForGood(_))), "two firings of one alert");
        let mixed = [fires.clone(), got(at(1), "m1", "alert.resolved", ("a", "x"), true)];
        assert!(matches!(judged(&mixed, &[at(0)], &["x"]), Err(Wrong::ForGood(_))), "one id, two messages");
        let threads = [fires.clone(), got(at(1), "m2", "alert.firing", ("b", "x"), true)];
        assert!(matches!(judged(&threads, &[], &["x"]), Err(Wrong::ForGood(_))), "two alerts of one cause");

        let back = [fires, got(at(1), "m2", "alert.retracted", ("a", "x"), true)];
        assert_eq!(judged(&back, &[], &[]).map(|counts| counts.retracted), Ok(1));
        assert!(matches!(judged(&back, &[], &["x"]), Err(Wrong::Yet(_))), "taken back, and the chain has it");
    }
}
