//! Who has shown which block at which height. Pure.
//!
//! Guarantee: endpoints of one operator are one voice, and it has one word a height, its latest; a head is a word on its parent, too.
//! What one operator says never pushes out what another said: each has at most [`HEIGHTS`].

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::B256;

/// Heights of one operator that are remembered: what a reorg may reach back.
const HEIGHTS: usize = 256;
/// A head is taken for one of the same chain when it is at most so far above what others have shown.
const AHEAD: u64 = 64;
/// Blocks of which it is remembered who showed them first, and whether anybody else did.
const BLOCKS: usize = 512;

/// What an operator said of a height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The block.
    pub hash: B256,
    /// The endpoint by which it said so.
    pub by: Arc<str>,
}

#[derive(Debug, Default)]
struct Voice {
    said: BTreeMap<u64, Said>,
    newest: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Words {
    voices: BTreeMap<Arc<str>, Voice>,
    /// Who showed a block first, and whether a second operator ever did.
    first: BTreeMap<B256, (Arc<str>, bool)>,
    order: VecDeque<B256>,
}

impl Words {
    /// An operator showed a block, and its parent where that is told, by one of its endpoints. True when that is news.
    pub fn show(&mut self, operator: &Arc<str>, by: &Arc<str>, height: u64, hash: B256, parent: Option<B256>) -> bool {
        let voice = self.voices.entry(operator.clone()).or_default();
        let mut news = false;
        for (height, hash) in [(Some(height), Some(hash)), (height.checked_sub(1), parent)] {
            let (Some(height), Some(hash)) = (height, hash) else { continue };
            let before = voice.said.insert(height, Said { hash, by: by.clone() });
            news |= before.is_none_or(|said| said.hash != hash);
        }
        voice.newest = voice.newest.max(height);
        while voice.said.len() > HEIGHTS {
            voice.said.pop_first();
        }
        if news {
            [Some(hash), parent].into_iter().flatten().for_each(|hash| self.remember(operator, hash));
        }
        news
    }

    /// The newest block of an operator is this one, whatever it showed before.
    pub fn newest_is(&mut self, operator: &Arc<str>, height: u64) {
        self.voices.entry(operator.clone()).or_default().newest = height;
    }

    fn remember(&mut self, operator: &Arc<str>, hash: B256) {
        if let Some((first, others)) = self.first.get_mut(&hash) {
            *others |= first != operator;
            return;
        }
        self.first.insert(hash, (operator.clone(), false));
        self.order.push_back(hash);
        if self.order.len() > BLOCKS {
            self.order.pop_front().and_then(|oldest| self.first.remove(&oldest));
        }
    }

    /// Whether more than one operator ever showed this block.
    pub fn shown_by_two(&self, hash: B256) -> bool {
        self.first.get(&hash).is_some_and(|(_, others)| *others)
    }

    /// The newest height that an operator showed.
    pub fn newest(&self, operator: &str) -> Option<u64> {
        Some(self.voices.get(operator)?.newest)
    }

    /// The newest height that anybody showed, but for one who is far above all others.
    pub fn height(&self) -> Option<u64> {
        let mut newest: Vec<u64> = self.voices.values().map(|voice| voice.newest).collect();
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

    /// What an operator says of a height.
    pub fn of(&self, operator: &str, height: u64) -> Option<&Said> {
        self.voices.get(operator)?.said.get(&height)
    }

    /// Operators that say this hash at this height.
    pub fn agreeing(&self, height: u64, hash: B256) -> Vec<Arc<str>> {
        let says = |voice: &Voice| voice.said.get(&height).is_some_and(|said| said.hash == hash);
        self.voices.iter().filter(|(_, voice)| says(voice)).map(|(operator, _)| operator.clone()).collect()
    }

    /// The hash that more than half of `operators` say at a height, with how many they are.
    pub fn majority(&self, height: u64, operators: usize) -> Option<(B256, usize)> {
        let mut counts: BTreeMap<B256, usize> = BTreeMap::new();
        for said in self.voices.values().filter_map(|voice| voice.said.get(&height)) {
            *counts.entry(said.hash).or_default() += 1;
        }
        counts.into_iter().find(|(_, n)| *n >= 2 && *n * 2 > operators)
    }

    /// Whether anybody has shown this block.
    pub fn known(&self, height: u64, hash: B256) -> bool {
        self.voices.values().any(|voice| voice.said.get(&height).is_some_and(|said| said.hash == hash))
    }

    fn newest_of_others(&self, operator: &str) -> Option<u64> {
        self.voices.iter().filter(|(o, _)| &***o != operator).map(|(_, voice)| voice.newest).max()
    }

    /// Whether a head of this operator is to be believed as a hint: not far above what every other operator has shown, where any has.
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

    fn show(words: &mut Words, operator: &str, height: u64, block: u8, parent: u8) -> bool {
        words.show(&operator.into(), &format!("{operator}-1").into(), height, hash(block), Some(hash(parent)))
    }

    #[test]
    fn an_operator_is_one_voice_with_one_word_a_height() {
        let mut words = Words::default();
        assert!(show(&mut words, "a", 7, 7, 6) && !show(&mut words, "a", 7, 7, 6));
        words.show(&"a".into(), &"a-2".into(), 7, hash(7), None);
        assert_eq!(words.agreeing(7, hash(7)).len(), 1);
        assert!(show(&mut words, "b", 8, 8, 7), "and says what its parent is");
        assert_eq!(words.agreeing(7, hash(7)).len(), 2);
        assert_eq!(words.agreeing(6, hash(6)).len(), 1);
        assert!(show(&mut words, "b", 7, 17, 6));
        assert_eq!(words.agreeing(7, hash(7)), vec!["a".into()], "it changed its mind");
        assert_eq!(words.of("b", 7), Some(&Said { hash: hash(17), by: "b-1".into() }));
        assert_eq!(words.majority(7, 2), None, "nobody can decide");
        assert!(show(&mut words, "c", 7, 17, 6));
        assert_eq!(words.majority(7, 3), Some((hash(17), 2)));
        assert_eq!(words.majority(7, 4), None, "half are not most");
        words.forget("c");
        assert_eq!(words.majority(7, 3), None);
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
        assert!(words.shown_by_two(hash(1)) && !words.shown_by_two(hash(3)));
        assert_eq!(words.of("b", 100).map(|s| s.hash), Some(hash(1)));
    }

    proptest! {
        #[test]
        fn it_stays_small_and_nobody_pushes_out_another(heights in prop::collection::vec(any::<u64>(), 1..600)) {
            let mut words = Words::default();
            show(&mut words, "honest", 10, 10, 9);
            for (i, height) in heights.iter().enumerate() {
                show(&mut words, "other", *height, i as u8, 0);
            }
            prop_assert_eq!(words.of("honest", 10).map(|s| s.hash), Some(hash(10)));
            prop_assert!(words.voices.values().all(|v| v.said.len() <= HEIGHTS));
            prop_assert!(words.first.len() <= BLOCKS && words.order.len() == words.first.len());
        }
    }
}
