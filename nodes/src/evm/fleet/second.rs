//! The word of a second operator on a block (rule 24).
//!
//! Guarantee: a block that not enough operators show is never said to be agreed on. A subscription's word comes first; else one call
//! a block asks for the header at that height, counted apart. Another block outvotes it only by answers to questions that were asked after
//! it was shown: neither what was said before nor a push that comes late outvotes the first to change to another branch.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;

use super::EvmFleet;
use crate::{
    error::{Class, NodeError},
    fleet::{Ask, Purpose},
    source::Word,
};

/// The longest that a subscription's word is waited for before a call is made.
const SUBSCRIPTION: Duration = Duration::from_millis(500);
/// Between two rounds of questions, at first.
const ROUND: Duration = Duration::from_millis(100);
/// Deadline of one question.
pub(super) const QUESTION: Duration = Duration::from_secs(2);

impl EvmFleet {
    /// What other operators say of a block.
    pub(super) async fn word_on(&self, height: u64, hash: B256) -> Word {
        let wanted = self.config.confirm.wanted(self.operators);
        if wanted <= 1 {
            return Word::Alone;
        }
        let started = Instant::now();
        let deadline = started + self.config.confirm_within;
        let (mut ask_at, mut pause) = (None, ROUND);
        let mut asked: Vec<Arc<str>> = Vec::new();
        loop {
            let shown = self.shown.notified();
            let trusted = self.trusted();
            let agreeing: Vec<Arc<str>> =
                self.words().agreeing(height, hash).into_iter().filter(|o| trusted.contains(o)).collect();
            if agreeing.len() >= wanted {
                self.agreed(height, hash);
                self.outvote(height, hash);
                return Word::Agrees;
            }
            let (most, known) = {
                let words = self.words();
                let since = words.since(height, hash).unwrap_or(started);
                (words.majority_after(height, &trusted, since), words.majority(height, &trusted))
            };
            if let Some((right, _)) = most.filter(|(right, _)| *right != hash) {
                self.outvote(height, right);
                return self.contradiction(height, hash).unwrap_or(Word::Silent);
            }
            let open: Vec<&Arc<str>> = trusted.iter().filter(|o| !agreeing.contains(o)).collect();
            let now = Instant::now();
            if open.is_empty() || now >= deadline {
                return self.contradiction(height, hash).unwrap_or(Word::Silent);
            }
            // A subscription's word costs nothing.
            let pushed = |o: &Arc<str>| self.live().values().any(|live| live == o);
            let patience = match open.iter().any(|o| pushed(o)) {
                // They told of another one before, and will not do so again.
                true if known.is_some() => ROUND,
                true => SUBSCRIPTION.min(self.config.confirm_within / 4),
                false => Duration::ZERO,
            };
            let at = *ask_at.get_or_insert(started + patience);
            if now < at {
                tokio::select! {
                    () = shown => {}
                    () = tokio::time::sleep(at.min(deadline) - now) => {}
                }
                continue;
            }
            if open.iter().all(|o| asked.contains(o)) {
                asked.clear();
                ask_at = Some(now + pause);
                pause *= 2;
                continue;
            }
            let but: Vec<Arc<str>> = agreeing.into_iter().chain(asked.iter().cloned()).collect();
            let left = (deadline - now).min(QUESTION);
            match self.header_of_another(height, &but, left).await {
                Ok(operator) => asked.push(operator),
                // Nobody who can be asked now.
                Err(_) => asked.extend(open.into_iter().cloned()),
            }
        }
    }

    /// Whether as many operators as are wanted have shown a block.
    pub(super) fn is_agreed(&self, height: u64, hash: B256) -> bool {
        let trusted = self.trusted();
        let agreeing = self.words().agreeing(height, hash);
        agreeing.iter().filter(|o| trusted.contains(o)).count() >= self.config.confirm.wanted(self.operators)
    }

    /// Asks another operator for its header at a height. What it has is remembered as its word.
    async fn header_of_another(&self, height: u64, but: &[Arc<str>], within: Duration) -> Result<Arc<str>, NodeError> {
        let (this, asked) = (self.clone(), Instant::now());
        let but: Vec<&str> = but.iter().map(|o| &**o).collect();
        let ask = Ask { purpose: Purpose::SecondWord, height: Some(height), within, ..Ask::new("header") };
        let answer = self
            .fleet
            .ask_other(ask, &but, move |member| {
                let this = this.clone();
                async move {
                    this.on_chain(&member).await?;
                    match this.client(&member).header_at(format!("0x{height:x}"), Some(height)).await {
                        Ok(head) => Ok(Some(head)),
                        // Not there yet is a word, too.
                        Err(e) if e.class() == Class::Empty => Ok(None),
                        Err(e) => Err(e),
                    }
                }
            })
            .await?;
        if let Some(head) = &answer.value {
            self.show(&answer.operator, &answer.endpoint, head, Some(asked));
        }
        Ok(answer.operator)
    }

    fn contradiction(&self, height: u64, hash: B256) -> Option<Word> {
        let trusted = self.trusted();
        let words = self.words();
        let says = |o: &Arc<str>| words.of(o, height).filter(|said| said.hash != hash);
        let said = trusted.iter().find_map(says)?;
        Some(Word::Contradicts { by: said.by.to_string(), says: said.hash.to_string() })
    }
}
