//! Who lies, of several who say what stands at one place: the majority of operators decides, and where there is none nobody does.
//!
//! Guarantee: endpoints of one operator are one voice, and an operator whose endpoints contradict each other has none. Nobody is
//! called a liar unless more than half of the voices say the same. Pure.

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
