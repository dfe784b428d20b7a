//! Failures that are alike: of a group that fails by the thousand evidence is asked for some, and the rest are told by those. Pure, but for
//! the clock that it is told.
//!
//! Guarantee: of a group no more than [`limits::SAMPLED`] a minute are looked at; what is said of the rest is what the last one failed
//! of that was looked at, no longer ago than [`limits::SAMPLE_KEPT`], with how many were looked at and how they ended. Groups have a
//! limit.

use std::{collections::HashMap, time::Duration};

use decode::causes::{Cause, Finding};
use schemas::limits::causes as limits;
use tokio::time::Instant;

use super::item::Group;

const MINUTE: Duration = Duration::from_secs(60);
/// Causes of one group that are counted.
const CAUSES: usize = 4;

/// What becomes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Evidence is asked for.
    Look,
    /// It is told by others of its group.
    Told,
    /// It is, as soon as one of them is looked at.
    Waits,
}

/// What a group failed of last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// The class.
    pub cause: Cause,
    /// The sentence.
    pub reason: String,
    /// The error.
    pub error_selector: Option<[u8; 4]>,
    /// Its signature.
    pub error_signature: Option<String>,
    at: Instant,
}

#[derive(Debug)]
struct Counted {
    since: Instant,
    seen: u64,
    looked: u32,
    last_seen: Instant,
    latest: Option<Latest>,
    /// How those ended that were looked at, since it is counted.
    ended: Vec<(Cause, u64)>,
    waits: Vec<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Groups {
    of: HashMap<Group, Counted>,
}

impl Groups {
    /// A failure of a group was read, at an offset.
    pub fn see(&mut self, group: &Group, offset: u64, now: Instant) -> Verdict {
        if !self.of.contains_key(group) && self.of.len() >= limits::GROUPS_COUNTED && !self.make_room(now) {
            return Verdict::Look;
        }
        let counted = self.of.entry(group.clone()).or_insert_with(|| Counted {
            since: now,
            seen: 0,
            looked: 0,
            last_seen: now,
            latest: None,
            ended: Vec::new(),
            waits: Vec::new(),
        });
        if now.duration_since(counted.since) >= MINUTE {
            (counted.since, counted.seen, counted.looked) = (now, 0, 0);
        }
        counted.last_seen = now;
        counted.seen += 1;
        if counted.looked < limits::SAMPLED {
            counted.looked += 1;
            return Verdict::Look;
        }
        match counted.told(now) {
            Some(_) => Verdict::Told,
            None => {
                counted.waits.push(offset);
                Verdict::Waits
            }
        }
    }

    /// One of a group was looked at. Returns the offsets of those that waited for it.
    pub fn looked(&mut self, group: &Group, finding: Option<&Finding>, now: Instant) -> Vec<u64> {
        let Some(counted) = self.of.get_mut(group) else { return Vec::new() };
        if let Some(finding) = finding {
            match counted.ended.iter().position(|(cause, _)| *cause == finding.cause) {
                Some(at) => counted.ended[at].1 += 1,
                None if counted.ended.len() < CAUSES => counted.ended.push((finding.cause, 1)),
                None => {}
            }
            counted.latest = Some(Latest {
                cause: finding.cause,
                reason: finding.reason.clone(),
                error_selector: finding.error_selector,
                error_signature: finding.error_signature.clone(),
                at: now,
            });
        }
        std::mem::take(&mut counted.waits)
    }

    /// What a group failed of last, where that is known and not too old.
    pub fn told(&self, group: &Group, now: Instant) -> Option<&Latest> {
        self.of.get(group)?.told(now)
    }

    /// One that was decided some other way waits no longer.
    pub fn forget(&mut self, group: &Group, offset: u64) {
        if let Some(counted) = self.of.get_mut(group)
            && let Ok(at) = counted.waits.binary_search(&offset)
        {
            counted.waits.remove(at);
        }
    }

    /// What is said of one that was not looked at.
    pub fn words(&self, group: &Group) -> Option<String> {
        let Counted { seen, looked, ended, .. } = self.of.get(group)?;
        let mut ended = ended.clone();
        ended.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let what = match (group.contract, group.method) {
            (None, _) => "creations of contracts".to_owned(),
            (Some(to), None) => format!("plain transfers to {to:#x}"),
            (Some(to), Some(method)) => format!("calls of {method} at {to:#x}"),
        };
        let ended: Vec<String> = ended.iter().map(|(cause, times)| format!("{times} {cause}")).collect();
        let ended = if ended.is_empty() { "none told why".to_owned() } else { format!("so far {}", ended.join(", ")) };
        Some(format!("failed {what}: {seen} in this minute, {looked} of them looked at; {ended}"))
    }

    /// Groups that are counted.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Those go that nobody waits for, the longest unseen half. False where there are none.
    fn make_room(&mut self, now: Instant) -> bool {
        let mut idle: Vec<Duration> =
            self.of.values().filter(|c| c.waits.is_empty()).map(|c| now.duration_since(c.last_seen)).collect();
        if idle.is_empty() {
            return false;
        }
        let half = idle.len() / 2;
        let (_, least, _) = idle.select_nth_unstable(half);
        let least = *least;
        self.of.retain(|_, c| !c.waits.is_empty() || now.duration_since(c.last_seen) < least);
        self.of.len() < limits::GROUPS_COUNTED
    }
}

impl Counted {
    fn told(&self, now: Instant) -> Option<&Latest> {
        self.latest.as_ref().filter(|latest| now.duration_since(latest.at) < limits::SAMPLE_KEPT)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;
    use decode::causes::{Failed, by_receipt};

    use super::*;

    fn group(n: u64) -> Group {
        let network = "eth".parse().expect("a slug");
        Group { network, contract: Some(Address::left_padding_from(&n.to_be_bytes())), method: None, spent: false }
    }

    fn finding(cause: Cause) -> Finding {
        Finding { cause, ..by_receipt(&Failed::default(), decode::causes::Table::builtin()) }
    }

    #[test]
    fn some_a_minute_are_looked_at_and_the_rest_is_told_by_them() {
        let (mut groups, start) = (Groups::default(), Instant::now());
        let looks = |groups: &mut Groups, from: u64, now| {
            (from..from + 100).filter(|n| groups.see(&group(1), *n, now) == Verdict::Look).count()
        };
        assert_eq!(looks(&mut groups, 0, start), limits::SAMPLED as usize);
        assert!(groups.told(&group(1), start).is_none(), "none has ended yet");
        let waited = groups.looked(&group(1), Some(&finding(Cause::Slippage)), start);
        assert_eq!(waited, (u64::from(limits::SAMPLED)..100).collect::<Vec<_>>(), "those that waited for it");
        groups.looked(&group(1), Some(&finding(Cause::Deadline)), start);
        assert_eq!(groups.told(&group(1), start).map(|latest| latest.cause), Some(Cause::Deadline));
        assert_eq!(groups.see(&group(1), 100, start), Verdict::Told);
        assert_eq!(groups.see(&group(2), 101, start), Verdict::Look, "another group");
        let words = groups.words(&group(1)).expect("some");
        assert!(words.contains("101 in this minute, 20 of them looked at"), "{words}");
        assert!(words.contains("1 slippage") && words.contains("1 deadline"), "{words}");
        assert_eq!(looks(&mut groups, 200, start + MINUTE), limits::SAMPLED as usize, "the next minute");
        let late = start + limits::SAMPLE_KEPT;
        assert!(groups.told(&group(1), late).is_none(), "too long ago");
    }

    #[test]
    fn whoever_was_decided_otherwise_waits_no_longer() {
        let (mut groups, now) = (Groups::default(), Instant::now());
        let waits = (0..u64::from(limits::SAMPLED) + 3).filter(|n| groups.see(&group(1), *n, now) == Verdict::Waits);
        let waits: Vec<u64> = waits.collect();
        groups.forget(&group(1), waits[1]);
        assert_eq!(groups.looked(&group(1), None, now), [waits[0], waits[2]]);
    }

    #[test]
    fn groups_have_a_limit_and_those_that_are_waited_for_stay() {
        let (mut groups, now) = (Groups::default(), Instant::now());
        let waits = (0..=u64::from(limits::SAMPLED)).map(|n| groups.see(&group(0), n, now)).last();
        assert_eq!(waits, Some(Verdict::Waits));
        for n in 1..2 * limits::GROUPS_COUNTED as u64 {
            groups.see(&group(n), n, now + Duration::from_millis(n));
            assert!(groups.len() <= limits::GROUPS_COUNTED);
        }
        assert!(!groups.looked(&group(0), None, now).is_empty());
        assert!(groups.words(&group(2 * limits::GROUPS_COUNTED as u64 - 1)).is_some(), "the newest stay");
    }
}
