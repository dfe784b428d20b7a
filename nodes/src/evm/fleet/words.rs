//! Who has shown which block at which height. Pure.
//!
//! Guarantee: endpoints of one operator are one voice, and it has one word a height, its latest; a head is a word on its parent, too.
//! What one operator says never pushes out what another said: each has at most [`HEIGHTS`], and what it said first goes first, however
//! high that was, so that a word on history is kept beside those on new heads. Who has shown nothing newer for [`SILENT`] is no measure
//! of how high the chain is.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;

/// Heights of one operator that are remembered: twice what a reorg may reach back.
const HEIGHTS: usize = 512;
/// An operator whose newest height has not risen for so long is not listened to when heights are compared.
const SILENT: Duration = Duration::from_secs(60);
/// A head is taken for one of the same chain when it is at most so far above what others have shown.
const AHEAD: u64 = 64;
/// Blocks of which it is remembered who showed them.
const BLOCKS: usize = 512;

/// What an operator said of a height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The block.
    pub hash: B256,
    /// The endpoint by which it said so.
    pub by: Arc<str>,
    /// Since when it says so.
    pub since: Instant,
    /// When the newest question was asked that it answered so. What it tells unasked may have been on its way for long.
    pub asked: Option<Instant>,
}

#[derive(Debug, Clone, Default)]
struct Voice {
    said: BTreeMap<u64, Said>,
    /// Heights of `said`, as they came.
    order: VecDeque<u64>,
    newest: u64,
    /// When `newest` last rose.
    rose: Option<Instant>,
}

impl Voice {
    fn rise(&mut self, height: u64) {
        if height > self.newest {
            self.rose = Some(Instant::now());
        }
        self.newest = height;
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.rose.is_none_or(|rose| now.saturating_duration_since(rose) > SILENT)
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Words {
    voices: BTreeMap<Arc<str>, Voice>,
    /// Who ever showed a block.
    shown: BTreeMap<B256, Vec<Arc<str>>>,
    order: VecDeque<B256>,
}

impl Words {
    /// An operator showed a block, and its parent where that is told, by one of its endpoints; in answer to a question of this moment, or
    /// unasked. True when that is news.
    pub fn show(
        &mut self,
        operator: &Arc<str>,
        by: &Arc<str>,
        (height, hash): (u64, B256),
        parent: Option<B256>,
        asked: Option<Instant>,
    ) -> bool {
        let voice = self.voices.entry(operator.clone()).or_default();
        let (mut news, at) = (false, Instant::now());
        for (height, hash) in [(Some(height), Some(hash)), (height.checked_sub(1), parent)] {
            let (Some(height), Some(hash)) = (height, hash) else { continue };
            let known = voice.said.get(&height).filter(|said| said.hash == hash);
            news |= known.is_none();
            let (since, asked) = known.map_or((at, asked), |known| (known.since, known.asked.max(asked)));
            if voice.said.insert(height, Said { hash, by: by.clone(), since, asked }).is_none() {
                voice.order.push_back(height);
            }
        }
        voice.rise(voice.newest.max(height));
        while voice.said.len() > HEIGHTS {
            let Some(first) = voice.order.pop_front() else { break };
            voice.said.remove(&first);
        }
        if news {
            [Some(hash), parent].into_iter().flatten().for_each(|hash| self.remember(operator, hash));
        }
        news
    }

    /// The newest block of an operator is this one, whatever it showed before.
    pub fn newest_is(&mut self, operator: &Arc<str>, height: u64) {
        self.voices.entry(operator.clone()).or_default().rise(height);
    }

    fn remember(&mut self, operator: &Arc<str>, hash: B256) {
        if let Some(by) = self.shown.get_mut(&hash) {
            if !by.contains(operator) {
                by.push(operator.clone());
            }
            return;
        }
        self.shown.insert(hash, vec![operator.clone()]);
        self.order.push_back(hash);
        if self.order.len() > BLOCKS {
            self.order.pop_front().and_then(|oldest| self.shown.remove(&oldest));
        }
    }

    /// Whether an operator other than `but` that now says `right` at this height ever showed this block: then it was a fork. Nobody
    /// is a witness for itself.
    pub fn was_a_fork(&self, hash: B256, height: u64, right: B256, but: &str) -> bool {
        let came_round = |o: &Arc<str>| &**o != but && self.of(o, height).is_some_and(|said| said.hash == right);
        self.shown.get(&hash).is_some_and(|by| by.iter().any(came_round))
    }

    /// The newest height that an operator showed.
    pub fn newest(&self, operator: &str) -> Option<u64> {
        Some(self.voices.get(operator)?.newest)
    }

    /// The newest height that anybody showed, but for one who is far above all others that are not silent.
    pub fn height(&self) -> Option<u64> {
        let now = Instant::now();
        let heard: Vec<u64> = self.voices.values().filter(|v| !v.is_silent(now)).map(|v| v.newest).collect();
        let everybody = || self.voices.values().map(|voice| voice.newest).collect();
        let mut newest = if heard.is_empty() { everybody() } else { heard };
        newest.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
        match newest[..] {
            [first, second, ..] if first > second.saturating_add(AHEAD) => Some(second),
            [first, ..] => Some(first),
            [] => None,
        }
    }

    /// What an operator said counts no more.
    pub fn forget(&mut self, operator: &str) {
        self.voices.remove(operator);
    }

    /// As much of it as these operators said.
    pub fn of_operators(&self, operators: &[String]) -> Self {
        let mut words = self.clone();
        words.voices.retain(|operator, _| operators.iter().any(|o| **o == **operator));
        words
    }

    /// What an operator says of a height.
    pub fn of(&self, operator: &str, height: u64) -> Option<&Said> {
        self.voices.get(operator)?.said.get(&height)
    }

    /// Operators that say this hash at this height.
    pub fn agreeing(&self, height: u64, hash: B256) -> Vec<Arc<str>> {
        let says = |voice: &Voice| voice.said.get(&height).is_some_and(|said| said.hash == hash);
        self.voices.iter().filter(|(_, voice)| says(voice)).map(|(operator, _)| operator.clone()).collect()
    }

    /// Since when the first of those says a hash at a height who still say it.
    pub fn since(&self, height: u64, hash: B256) -> Option<Instant> {
        let said = self.voices.values().filter_map(|voice| voice.said.get(&height));
        said.filter(|said| said.hash == hash).map(|said| said.since).min()
    }

    /// The hash that more than half of `operators` say at a height, with how many they are; nobody else has a vote.
    pub fn majority(&self, height: u64, operators: &[Arc<str>]) -> Option<(B256, usize)> {
        self.majority_of(height, operators, |_| true)
    }

    /// The same, of answers to questions that were asked after another word was said: what was said before may have been left since, with
    /// the branch that it is of, and so may what comes later by a subscription.
    pub fn majority_after(&self, height: u64, operators: &[Arc<str>], other: Instant) -> Option<(B256, usize)> {
        self.majority_of(height, operators, |said| said.asked.is_some_and(|asked| asked >= other))
    }

    fn majority_of(
        &self,
        height: u64,
        operators: &[Arc<str>],
        counts: impl Fn(&Said) -> bool,
    ) -> Option<(B256, usize)> {
        let mut votes: BTreeMap<B256, usize> = BTreeMap::new();
        for said in operators.iter().filter_map(|operator| self.of(operator, height)).filter(|said| counts(said)) {
            *votes.entry(said.hash).or_default() += 1;
        }
        votes.into_iter().find(|(_, n)| *n >= 2 && *n * 2 > operators.len())
    }

    /// Whether anybody has shown this block.
    pub fn known(&self, height: u64, hash: B256) -> bool {
        self.voices.values().any(|voice| voice.said.get(&height).is_some_and(|said| said.hash == hash))
    }

    fn newest_of_others(&self, operator: &str) -> Option<u64> {
        let now = Instant::now();
        let others = self.voices.iter().filter(|(o, voice)| &***o != operator && !voice.is_silent(now));
        others.map(|(_, voice)| voice.newest).max()
    }

    /// Whether a head of this operator is to be believed as a hint: not far above what every other operator has shown of late,
    /// where any has.
    pub fn plausible(&self, operator: &str, height: u64) -> bool {
        self.newest_of_others(operator).is_none_or(|newest| height <= newest.saturating_add(AHEAD))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    fn said(words: &mut Words, operator: &str, at: (u64, u8), parent: u8, asked: Option<Instant>) -> bool {
        let by = format!("{operator}-1").into();
        words.show(&operator.into(), &by, (at.0, hash(at.1)), Some(hash(parent)), asked)
    }

    /// In answer to a question that was just asked.
    fn show(words: &mut Words, operator: &str, height: u64, block: u8, parent: u8) -> bool {
        said(words, operator, (height, block), parent, Some(Instant::now()))
    }

    /// By a subscription.
    fn push(words: &mut Words, operator: &str, height: u64, block: u8, parent: u8) -> bool {
        said(words, operator, (height, block), parent, None)
    }

    #[test]
    fn an_operator_is_one_voice_with_one_word_a_height() {
        let mut words = Words::default();
        assert!(show(&mut words, "a", 7, 7, 6) && !show(&mut words, "a", 7, 7, 6));
        words.show(&"a".into(), &"a-2".into(), (7, hash(7)), None, None);
        assert_eq!(words.agreeing(7, hash(7)).len(), 1);
        assert!(show(&mut words, "b", 8, 8, 7), "and says what its parent is");
        assert_eq!(words.agreeing(7, hash(7)).len(), 2);
        assert_eq!(words.agreeing(6, hash(6)).len(), 1);
        assert!(show(&mut words, "b", 7, 17, 6));
        assert_eq!(words.agreeing(7, hash(7)), vec!["a".into()], "it changed its mind");
        assert_eq!(words.of("b", 7).map(|said| (said.hash, &*said.by)), Some((hash(17), "b-1")));
        let of = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
        assert_eq!(words.majority(7, &of(&["a", "b"])), None, "nobody can decide");
        assert!(show(&mut words, "c", 7, 17, 6));
        assert_eq!(words.majority(7, &of(&["a", "b", "c"])), Some((hash(17), 2)));
        assert_eq!(words.majority(7, &of(&["a", "b", "c", "d"])), None, "half are not most");
        assert_eq!(words.majority(7, &of(&["a", "d", "e"])), None, "who is not believed has no vote");
        words.forget("c");
        assert_eq!(words.majority(7, &of(&["a", "b", "c"])), None);
    }

    #[test]
    fn what_was_said_before_another_word_does_not_outvote_it_until_it_is_said_again() {
        let mut words = Words::default();
        let all: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
        for operator in ["a", "b", "c"] {
            show(&mut words, operator, 7, 7, 6);
        }
        std::thread::sleep(Duration::from_millis(2));
        show(&mut words, "a", 7, 17, 6);
        let since = words.since(7, hash(17)).expect("one says so");
        assert_eq!(words.majority(7, &all), Some((hash(7), 2)));
        assert_eq!(words.majority_after(7, &all, since), None, "they may be about to say the same");
        show(&mut words, "b", 7, 7, 6);
        assert_eq!(words.majority_after(7, &all, since), None);
        show(&mut words, "c", 8, 8, 7);
        assert_eq!(words.majority_after(7, &all, since), Some((hash(7), 2)), "a head is a word on its parent");
        assert_eq!(words.since(7, hash(17)), Some(since));
        show(&mut words, "a", 7, 17, 6);
        assert_eq!(words.since(7, hash(17)), Some(since), "since it first said so");
        assert_eq!(words.since(7, hash(9)), None);
    }

    /// What a subscription brings after another word was said may have been on its way before: of a branch that is left by now.
    #[test]
    fn a_late_push_of_a_branch_that_is_left_is_no_vote() {
        let mut words = Words::default();
        let all: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
        push(&mut words, "a", 7, 17, 6);
        let since = words.since(7, hash(17)).expect("one says so");
        for (height, block) in [(7, 7), (8, 8)] {
            push(&mut words, "b", height, block, block - 1);
            push(&mut words, "c", height, block, block - 1);
        }
        assert_eq!(words.majority(7, &all), Some((hash(7), 2)));
        assert_eq!(words.majority_after(7, &all, since), None, "nobody was asked");
        // An answer to a question of before, too.
        let before = since.checked_sub(Duration::from_millis(1));
        ["b", "c"].into_iter().for_each(|o| assert!(!said(&mut words, o, (7, 7), 6, before)));
        assert_eq!(words.majority_after(7, &all, since), None, "they were asked before");
        show(&mut words, "b", 7, 7, 6);
        assert_eq!(words.majority_after(7, &all, since), None, "one of three");
        show(&mut words, "c", 8, 8, 7);
        assert_eq!(words.majority_after(7, &all, since), Some((hash(7), 2)), "and an answer is a word on its parent");
        push(&mut words, "c", 7, 7, 6);
        assert_eq!(words.majority_after(7, &all, since), Some((hash(7), 2)), "what was answered stays so");
        push(&mut words, "c", 7, 17, 6);
        push(&mut words, "c", 7, 7, 6);
        assert_eq!(words.majority_after(7, &all, since), None, "it has been elsewhere since");
    }

    #[test]
    fn a_head_far_above_what_the_others_show_is_no_hint() {
        let mut words = Words::default();
        assert!(words.plausible("a", 1 << 40), "nobody else has said anything");
        show(&mut words, "b", 100, 1, 0);
        assert!(words.plausible("a", 164) && !words.plausible("a", 165));
        assert!(words.plausible("b", 1 << 40));
        show(&mut words, "a", 1 << 40, 2, 0);
        assert_eq!((words.height(), words.newest("a")), (Some(100), Some(1 << 40)));
        show(&mut words, "a", 101, 3, 1);
        words.newest_is(&"a".into(), 101);
        assert_eq!(words.height(), Some(101));
        assert!(!words.was_a_fork(hash(1), 100, hash(9), "c"), "nobody came round");
        show(&mut words, "b", 100, 9, 0);
        assert!(words.was_a_fork(hash(1), 100, hash(9), "c") && !words.was_a_fork(hash(3), 101, hash(9), "c"));
        assert!(!words.was_a_fork(hash(1), 100, hash(9), "b"), "nobody else ever showed it");
        show(&mut words, "b", 100, 1, 0);
        assert_eq!(words.of("b", 100).map(|s| s.hash), Some(hash(1)));
    }

    #[test]
    fn a_word_on_history_is_kept_beside_any_number_of_heads() {
        let mut words = Words::default();
        for height in 0..2 * HEIGHTS as u64 {
            show(&mut words, "a", 1_000_000 + height, height as u8, (height as u8).wrapping_sub(1));
        }
        show(&mut words, "a", 7, 7, 6);
        assert_eq!(words.agreeing(7, hash(7)).len(), 1);
        for height in 0..HEIGHTS as u64 / 2 {
            show(&mut words, "a", 2_000_000 + 2 * height, 1, 0);
        }
        assert!(words.agreeing(7, hash(7)).is_empty(), "and what came first goes first");
    }

    #[test]
    fn an_operator_that_has_long_shown_nothing_newer_is_no_measure() {
        let mut words = Words::default();
        show(&mut words, "dead", 100, 1, 0);
        show(&mut words, "a", 165, 2, 1);
        assert!(!words.plausible("a", 200));
        let long_ago = Instant::now().checked_sub(SILENT + Duration::from_secs(1));
        words.voices.get_mut("dead").expect("it spoke").rose = long_ago;
        assert!(words.plausible("a", 200));
        assert_eq!(words.height(), Some(165));
    }

    proptest! {
        #[test]
        fn it_stays_small_and_nobody_pushes_out_another(heights in prop::collection::vec(any::<u64>(), 1..1_200)) {
            let mut words = Words::default();
            show(&mut words, "honest", 10, 10, 9);
            for (i, height) in heights.iter().enumerate() {
                show(&mut words, "other", *height, i as u8, 0);
            }
            prop_assert_eq!(words.of("honest", 10).map(|s| s.hash), Some(hash(10)));
            prop_assert!(words.voices.values().all(|v| v.said.len() <= HEIGHTS && v.order.len() == v.said.len()));
            prop_assert!(words.shown.len() <= BLOCKS && words.order.len() == words.shown.len());
        }
    }
}
