//! Who lies, of several who say what stands at one place: the majority of operators decides, and where there is none nobody does.
//!
//! Guarantee: endpoints of one operator are one voice, and an operator whose endpoints contradict each other has none. Nobody who
//! is believed is called a liar unless more than half of the voices say the same. Who is in quarantine has no voice, and is
//! measured by what the others say; only where nobody is left who is believed do all have one. Pure.

use std::collections::BTreeMap;

/// What one endpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote<'a> {
    /// Its name.
    pub endpoint: &'a str,
    /// Whose it is.
    pub operator: &'a str,
    /// What it says.
    pub says: &'a str,
}

/// What comes of votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// There is one voice only.
    Alone,
    /// More than half of the voices say this; endpoints that say it, and those that do not.
    Right {
        /// What is right.
        says: &'a str,
        /// Endpoints that say so.
        by: Vec<&'a str>,
        /// Endpoints that say something else.
        liars: Vec<&'a str>,
    },
    /// They contradict each other, and no majority decides.
    Undecided,
}

/// Counts votes.
pub fn verdict<'a>(votes: &[Vote<'a>]) -> Verdict<'a> {
    let mut voices: BTreeMap<&str, Option<&'a str>> = BTreeMap::new();
    for vote in votes {
        let voice = voices.entry(vote.operator).or_insert(Some(vote.says));
        if *voice != Some(vote.says) {
            *voice = None;
        }
    }
    if voices.len() < 2 {
        return Verdict::Alone;
    }
    let mut counts: BTreeMap<&'a str, usize> = BTreeMap::new();
    for says in voices.values().flatten() {
        *counts.entry(says).or_default() += 1;
    }
    let Some((says, _)) = counts.into_iter().find(|(_, n)| n * 2 > voices.len()) else { return Verdict::Undecided };
    let (right, wrong): (Vec<&Vote>, Vec<&Vote>) = votes.iter().partition(|v| v.says == says);
    let names = |votes: Vec<&Vote<'a>>| votes.into_iter().map(|v| v.endpoint).collect();
    Verdict::Right { says, by: names(right), liars: names(wrong) }
}

/// Counts the votes of those who are believed, and tells by what comes of that who of the others is right. Where a single voice
/// is believed, it is the measure for those who are not. Of endpoints that are right only those are named that had a voice.
pub fn verdict_of_believed<'a>(votes: &[(Vote<'a>, bool)]) -> Verdict<'a> {
    let of = |wanted: bool| votes.iter().filter(move |(_, believed)| *believed == wanted).map(|(vote, _)| vote);
    let (believed, others): (Vec<Vote<'a>>, Vec<&Vote<'a>>) = (of(true).cloned().collect(), of(false).collect());
    let Some(first) = believed.first() else {
        return verdict(&others.into_iter().cloned().collect::<Vec<_>>());
    };
    let (says, by, mut liars) = match verdict(&believed) {
        Verdict::Right { says, by, liars } => (says, by, liars),
        Verdict::Alone if !others.is_empty() && believed.iter().all(|v| v.says == first.says) => {
            (first.says, believed.iter().map(|v| v.endpoint).collect(), Vec::new())
        }
        none => return none,
    };
    liars.extend(others.iter().filter(|v| v.says != says).map(|v| v.endpoint));
    Verdict::Right { says, by, liars }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn votes<'a>(all: &[(&'a str, &'a str, &'a str)]) -> Vec<Vote<'a>> {
        all.iter().map(|(endpoint, operator, says)| Vote { endpoint, operator, says }).collect()
    }

    #[test]
    fn the_majority_of_operators_decides() {
        let all = votes(&[("a", "A", "x"), ("b", "B", "x"), ("c", "C", "y")]);
        assert_eq!(verdict(&all), Verdict::Right { says: "x", by: vec!["a", "b"], liars: vec!["c"] });
        let two = votes(&[("a", "A", "x"), ("b", "B", "y")]);
        assert_eq!(verdict(&two), Verdict::Undecided);
        let company = votes(&[("a", "A", "x"), ("b", "A", "x"), ("d", "A", "x"), ("c", "C", "y")]);
        assert_eq!(verdict(&company), Verdict::Undecided, "one company is one voice");
        assert_eq!(verdict(&votes(&[("a", "A", "x"), ("b", "A", "x")])), Verdict::Alone);
        let torn = votes(&[("a", "A", "x"), ("b", "A", "y"), ("c", "C", "x"), ("d", "D", "x")]);
        assert_eq!(verdict(&torn), Verdict::Right { says: "x", by: vec!["a", "c", "d"], liars: vec!["b"] });
    }

    #[test]
    fn who_is_not_believed_is_measured_and_has_no_voice() {
        let of = |all: &[(&'static str, &'static str, bool)]| {
            let vote = |(name, says, believed): &(&'static str, &'static str, bool)| {
                (Vote { endpoint: name, operator: name, says }, *believed)
            };
            verdict_of_believed(&all.iter().map(vote).collect::<Vec<_>>())
        };
        let outvoted = [("a", "x", true), ("b", "x", true), ("c", "y", false), ("d", "y", false), ("e", "y", false)];
        assert_eq!(of(&outvoted), Verdict::Right { says: "x", by: vec!["a", "b"], liars: vec!["c", "d", "e"] });
        let one = [("a", "x", true), ("b", "x", false), ("c", "y", false)];
        assert_eq!(of(&one), Verdict::Right { says: "x", by: vec!["a"], liars: vec!["c"] });
        assert_eq!(of(&[("a", "x", true), ("b", "y", true), ("c", "y", false)]), Verdict::Undecided);
        assert_eq!(of(&[("a", "x", true)]), Verdict::Alone);
        let none = [("a", "x", false), ("b", "x", false), ("c", "y", false)];
        assert_eq!(of(&none), Verdict::Right { says: "x", by: vec!["a", "b"], liars: vec!["c"] });
    }

    proptest! {
        #[test]
        fn fewer_than_half_never_condemn_the_others(honest in 1usize..6, liars in 0usize..6, order in any::<u64>()) {
            let names: Vec<String> = (0..honest + liars).map(|n| format!("o{n}")).collect();
            let mut all: Vec<Vote> = names.iter().enumerate()
                .map(|(n, name)| Vote { endpoint: name, operator: name, says: if n < honest { "right" } else { "wrong" } })
                .collect();
            fastrand::Rng::with_seed(order).shuffle(&mut all);
            match verdict(&all) {
                Verdict::Right { says, liars: found, .. } => {
                    prop_assert!(honest != liars);
                    prop_assert_eq!(says, if honest > liars { "right" } else { "wrong" });
                    prop_assert_eq!(found.len(), honest.min(liars));
                }
                Verdict::Undecided => prop_assert_eq!(honest, liars),
                Verdict::Alone => prop_assert_eq!(honest + liars, 1),
            }
        }
    }
}
