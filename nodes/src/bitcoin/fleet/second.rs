//! The word of other operators on a block (rule 24).
//!
//! Guarantee: a block that not enough operators show is never said to be agreed on. Who shows a tip shows all blocks below it, so that at the
//! head a word costs nothing; below what is known of the newest blocks, and where an operator's subscription is late, its header at that
//! height is asked for. An operator that shows another block there contradicts only when the time is over: it may be about to change.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use schemas::BitcoinHash;

use super::BitcoinFleet;
use crate::{
    error::{Class, NodeError},
    fleet::{Ask, Purpose},
    source::Word,
};

/// The longest that a subscription's word is waited for before a call is made.
const SUBSCRIPTION: Duration = Duration::from_millis(500);
/// Between two rounds of questions, at first.
const ROUND: Duration = Duration::from_millis(200);
/// Deadline of one question.
const QUESTION: Duration = Duration::from_secs(2);
/// How long an answer counts.
const LASTS: Duration = Duration::from_secs(60);
/// Answers that are remembered.
const ANSWERS: usize = 4_096;

/// What operators answered about heights. Pure.
#[derive(Debug, Default)]
pub(super) struct Said {
    said: BTreeMap<(Arc<str>, u64), Answered>,
    order: VecDeque<(Arc<str>, u64)>,
}

#[derive(Debug, Clone)]
struct Answered {
    by: Arc<str>,
    hash: BitcoinHash,
    asked: Instant,
}

impl Said {
    /// An operator has this block at a height, by one of its endpoints, in answer to a question of then.
    pub fn show(&mut self, operator: &Arc<str>, by: &Arc<str>, (height, hash): (u64, BitcoinHash), asked: Instant) {
        let key = (operator.clone(), height);
        if self.said.insert(key.clone(), Answered { by: by.clone(), hash, asked }).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > ANSWERS {
            if let Some(oldest) = self.order.pop_front() {
                self.said.remove(&oldest);
            }
        }
    }

    /// What an operator said of a height, and by whom, where that was asked since a moment and not long ago.
    fn of(&self, operator: &Arc<str>, height: u64, since: Option<Instant>) -> Option<(Arc<str>, BitcoinHash)> {
        let said = self.said.get(&(operator.clone(), height))?;
        let counts = said.asked.elapsed() < LASTS && since.is_none_or(|since| said.asked >= since);
        counts.then(|| (said.by.clone(), said.hash))
    }
}

/// What the operators that are believed say of a height.
#[derive(Debug, Default)]
struct Opinions {
    agreeing: Vec<Arc<str>>,
    /// Who has another block there: operator, endpoint, and the block.
    others: Vec<(Arc<str>, Arc<str>, BitcoinHash)>,
    silent: Vec<Arc<str>>,
}

impl BitcoinFleet {
    /// What other operators say of a block.
    pub(super) async fn word_on(&self, height: u64, hash: BitcoinHash) -> Word {
        let wanted = self.config.confirm.wanted(self.operators);
        if wanted <= 1 {
            return Word::Alone;
        }
        let started = Instant::now();
        let deadline = started + self.config.confirm_within;
        let (mut ask_at, mut pause) = (None, ROUND);
        let mut asked: Vec<Arc<str>> = Vec::new();
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let opinions = self.opinions(height, &hash, started);
            if opinions.agreeing.len() >= wanted {
                return Word::Agrees;
            }
            let now = Instant::now();
            if now >= deadline || (opinions.silent.is_empty() && opinions.others.is_empty()) {
                let mut others = opinions.others.into_iter();
                return others.next().map_or(Word::Silent, |(_, by, says)| Word::Contradicts {
                    by: by.to_string(),
                    says: says.to_string(),
                });
            }
            let patience =
                if self.reaches(height) { SUBSCRIPTION.min(self.config.confirm_within / 4) } else { Duration::ZERO };
            let at = *ask_at.get_or_insert(started + patience);
            let speakers = opinions.silent.iter().chain(opinions.others.iter().map(|(operator, ..)| operator));
            let open: Vec<Arc<str>> = speakers.filter(|operator| !asked.contains(operator)).cloned().collect();
            if now < at || open.is_empty() {
                let next = if now < at { at } else { now + pause };
                tokio::select! {
                    _ = changed.changed() => {}
                    () = tokio::time::sleep(next.min(deadline) - now) => {
                        if now >= at {
                            asked.clear();
                            pause *= 2;
                        }
                    }
                }
                continue;
            }
            let but: Vec<Arc<str>> = opinions.agreeing.iter().chain(&asked).cloned().collect();
            match self.header_of_another(height, &but, (deadline - now).min(QUESTION)).await {
                Ok(operator) => asked.push(operator),
                // Nobody who can be asked now.
                Err(_) => asked.extend(open),
            }
        }
    }

    /// Whether what is known of the newest blocks reaches down to a height.
    fn reaches(&self, height: u64) -> bool {
        self.view().tree.lowest().is_some_and(|lowest| lowest <= height)
    }

    fn opinions(&self, height: u64, hash: &BitcoinHash, started: Instant) -> Opinions {
        let (trusted, believed) = (self.trusted(), self.believed());
        let mut opinions = Opinions::default();
        for operator in trusted {
            // What was asked for just now is newer than what a subscription showed.
            let answered = self.said().of(&operator, height, Some(started));
            let shown = || {
                let view = self.view();
                view.claims.says(&view.tree, &believed, &operator, (height, hash))
            };
            let says = answered.or_else(shown).or_else(|| self.said().of(&operator, height, None));
            match says {
                Some((_, says)) if says == *hash => opinions.agreeing.push(operator),
                Some((by, says)) => opinions.others.push((operator, by, says)),
                None => opinions.silent.push(operator),
            }
        }
        opinions
    }

    /// Asks another operator for its header at a height. What it has is remembered as its word.
    async fn header_of_another(&self, height: u64, but: &[Arc<str>], within: Duration) -> Result<Arc<str>, NodeError> {
        let asked = Instant::now();
        let but: Vec<&str> = but.iter().map(|operator| &**operator).collect();
        let ask = Ask { purpose: Purpose::SecondWord, height: Some(height), within, ..Ask::new("header") };
        let answer = self.fleet.ask_other(ask, &but, move |member| async move {
            self.on_chain(&member).await?;
            match self.client(&member).header_at(height).await {
                Ok(header) => Ok(Some(header)),
                // Not there yet is a word, too.
                Err(e) if e.class() == Class::Empty => Ok(None),
                Err(e) => Err(e),
            }
        });
        let answer = answer.await?;
        if let Some(header) = &answer.value {
            self.said().show(&answer.operator, &answer.endpoint, (height, header.hash), asked);
        }
        Ok(answer.operator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_and_grow_old() {
        let (mut said, now) = (Said::default(), Instant::now());
        let (operator, by): (Arc<str>, Arc<str>) = ("o".into(), "e".into());
        let hash = |n: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_le_bytes());
            BitcoinHash(bytes)
        };
        for height in 0..10_000 {
            said.show(&operator, &by, (height, hash(height)), now);
            said.show(&operator, &by, (height, hash(height + 1)), now);
        }
        assert_eq!((said.said.len(), said.order.len()), (ANSWERS, ANSWERS));
        assert_eq!(said.of(&operator, 9_999, Some(now)), Some((by.clone(), hash(10_000))), "the newest word");
        assert_eq!(said.of(&operator, 9_999, Some(now + Duration::from_secs(1))), None, "asked before");
        assert_eq!(said.of(&operator, 0, None), None);
        if let Some(long_ago) = now.checked_sub(LASTS) {
            said.show(&operator, &by, (9_999, hash(1)), long_ago);
            assert_eq!(said.of(&operator, 9_999, None), None);
        }
    }
}
