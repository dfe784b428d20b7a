//! Quarantine of a liar (rule 24): it is named, with what it said and what is right, and it is not believed until it has agreed
//! with the others for a configured while.
//!
//! Guarantee: only agreements end it, each at most [`Quarantine::gap`] after the one before: time in which the endpoint was
//! silent, or nobody compared it, counts for nothing, and one more lie starts the while anew. What another observer says is
//! taken over once; it does not bring back what ended here since. Pure: no clock, no I/O.

use std::time::Duration;

use schemas::{TimeMs, records::Lie as Found};

use super::clock::Moment;

/// What an endpoint said, and what is right: as much of a lie as whoever finds it out tells the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lie {
    /// What it said, and about what, such as `block 5 has the hash 0xab…`.
    pub said: String,
    /// What is right and who says so, such as `0xcd…, say b and c`.
    pub right: String,
}

/// A lie in a sentence for people.
fn sentence(lie: &Found) -> String {
    match lie.right.is_empty() {
        true => format!("It said {}", lie.said),
        false => format!("It said {}; right is {}", lie.said, lie.right),
    }
}

/// Whether an endpoint is believed.
#[derive(Debug, Clone)]
pub struct Quarantine {
    /// How long it must agree.
    while_: Duration,
    /// The longest between two agreements.
    gap: Duration,
    held: Option<Held>,
    /// Time of day at which the last one ended.
    ended_at: Option<TimeMs>,
}

#[derive(Debug, Clone)]
struct Held {
    lie: Found,
    agreed: Option<(Moment, Moment)>,
}

impl Quarantine {
    /// Of an endpoint that is believed; it is probed every `probe_every`.
    pub fn new(while_: Duration, probe_every: Duration) -> Self {
        Self { while_, gap: probe_every * 3, held: None, ended_at: None }
    }

    /// From now on it must agree for so long, and is probed so often. What it has agreed so far counts.
    pub fn settle(&mut self, while_: Duration, probe_every: Duration) {
        (self.while_, self.gap) = (while_, probe_every * 3);
    }

    /// It was found lying. True when that is news: it was believed until now.
    pub fn lied(&mut self, lie: Found) -> bool {
        match &mut self.held {
            Some(held) => {
                held.agreed = None;
                false
            }
            None => {
                self.held = Some(Held { lie, agreed: None });
                true
            }
        }
    }

    /// Another observer found it lying. True when that is news here.
    pub fn heard(&mut self, lie: &Found) -> bool {
        let news = self.held.is_none() && self.ended_at.is_none_or(|ended| lie.at > ended);
        if news {
            self.held = Some(Held { lie: lie.clone(), agreed: None });
        }
        news
    }

    /// This observer itself said before a restart, at that time, that it is believed.
    pub fn ended_before(&mut self, at: TimeMs) {
        if self.held.as_ref().is_some_and(|h| h.lie.at <= at) {
            self.held = None;
        }
        self.ended_at = self.ended_at.max(Some(at));
    }

    /// It agreed with the others. True when that ended the quarantine.
    pub fn agreed(&mut self, now: Moment, at: TimeMs) -> bool {
        let Some(held) = &mut self.held else { return false };
        let (first, _) = held.agreed.filter(|(_, last)| now.saturating_sub(*last) <= self.gap).unwrap_or((now, now));
        held.agreed = Some((first, now));
        let ends = now.saturating_sub(first) >= self.while_;
        if ends {
            self.held = None;
            self.ended_at = Some(at);
        }
        ends
    }

    /// Whether it is in quarantine.
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The lie for which it is.
    pub fn lie(&self) -> Option<&Found> {
        self.held.as_ref().map(|h| &h.lie)
    }

    /// What it said, what is right, and what ends the quarantine, in sentences.
    pub fn reason(&self, now: Moment) -> Option<String> {
        let held = self.held.as_ref()?;
        let (lie, while_) = (sentence(&held.lie), words(self.while_));
        Some(match held.agreed.filter(|(_, last)| now.saturating_sub(*last) <= self.gap) {
            Some((first, _)) => {
                let so_far = words(now.saturating_sub(first));
                format!("{lie}. It has agreed with the others for {so_far}; after {while_} of that it is used again.")
            }
            None => format!("{lie}. It is used again when it has agreed with the others for {while_}."),
        })
    }
}

/// A duration for people.
pub fn words(d: Duration) -> String {
    match d.as_secs() {
        0 => format!("{} ms", d.as_millis()),
        s @ 1..=119 => format!("{s} s"),
        s @ 120..=7_199 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHILE: Duration = Duration::from_secs(600);
    const EVERY: Duration = Duration::from_secs(30);

    fn lie(at: i64) -> Found {
        Found {
            at: TimeMs(at),
            found_by: "ingest/a".into(),
            said: "block 5 is 0xab".into(),
            right: "0xcd, say b and c".into(),
        }
    }

    fn s(secs: u64) -> Moment {
        Duration::from_secs(secs)
    }

    #[test]
    fn it_ends_after_the_while_of_agreement_and_says_so_before() {
        let mut q = Quarantine::new(WHILE, EVERY);
        assert!(q.lied(lie(1_000)) && !q.lied(lie(2_000)));
        assert_eq!(q.lie(), Some(&lie(1_000)));
        assert_eq!(
            q.reason(s(0)).expect("held"),
            "It said block 5 is 0xab; right is 0xcd, say b and c. It is used again when it has agreed with the others for 10 min."
        );
        for n in 0..20 {
            assert!(!q.agreed(s(n * 30), TimeMs(0)), "{n}");
        }
        let reason = q.reason(s(570)).expect("held");
        assert!(reason.contains("for 9 min; after 10 min of that"), "{reason}");
        assert!(q.agreed(s(600), TimeMs(9_000)) && !q.holds());
        assert!(!q.heard(&lie(1_000)), "told by another observer, and it ended here since");
        assert!(q.heard(&lie(10_000)) && !q.heard(&lie(11_000)) && q.holds());
    }

    #[test]
    fn what_ended_before_a_restart_does_not_come_back() {
        let mut q = Quarantine::new(WHILE, EVERY);
        assert!(q.heard(&lie(1_000)));
        q.ended_before(TimeMs(5_000));
        assert!(!q.holds() && !q.heard(&lie(1_000)) && q.heard(&lie(6_000)));
        q.ended_before(TimeMs(5_500));
        assert!(q.holds(), "that was before the lie");
    }

    #[test]
    fn silence_and_new_lies_start_the_while_anew() {
        let mut q = Quarantine::new(WHILE, EVERY);
        q.lied(lie(0));
        q.agreed(s(0), TimeMs(0));
        assert!(!q.agreed(s(10_000), TimeMs(0)), "it was silent between");
        assert!(!q.agreed(s(10_030), TimeMs(0)));
        q.lied(lie(1));
        assert!(!q.agreed(s(10_060), TimeMs(0)) && q.holds());
    }

    proptest! {
        #[test]
        fn nothing_but_enough_agreement_ends_it(steps in prop::collection::vec((1u64..200, 0u8..3), 1..100)) {
            let mut q = Quarantine::new(WHILE, EVERY);
            q.lied(lie(0));
            let (mut now, mut run): (u64, Option<(u64, u64)>) = (0, None);
            for (wait, what) in steps {
                now += wait;
                match what {
                    0 => { q.lied(lie(0)); run = None; }
                    1 => {
                        let first = run.filter(|(_, last)| now - last <= 90).map_or(now, |(first, _)| first);
                        run = Some((first, now));
                        let ended = q.agreed(s(now), TimeMs(0));
                        prop_assert_eq!(ended, now - first >= 600);
                        if ended { return Ok(()); }
                    }
                    _ => prop_assert!(q.holds()),
                }
            }
        }
    }
}
