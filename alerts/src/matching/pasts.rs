//! Asking for what contracts did before anybody watched them.
//!
//! Guarantee: nothing waits for an answer; so many questions are under way at most ([`AT_ONCE`]), each for so long ([`WITHIN`]) and once at
//! a time. One that was refused is asked again after a while ([`AGAIN`]), and after twice as long each time ([`SELDOM`] at most).

use std::{collections::HashMap, time::Duration};

use alloy_primitives::Address;
use schemas::{Network, TimeMs};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout},
};

use crate::past::{Did, Keeper};

/// Questions under way at the same time: the store has others to answer.
const AT_ONCE: usize = 2;
/// How long one may take.
const WITHIN: Duration = Duration::from_secs(30);
/// How long after its answer one is asked again, where that is still wanted.
const AGAIN: Duration = Duration::from_secs(20);
/// How long at most, where it is refused again and again.
const SELDOM: Duration = Duration::from_secs(600);
/// Questions that are remembered.
const REMEMBERED: usize = 10_000;

/// A question: what a contract did behind the first time, up to the second.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The partition of its network.
    pub partition: u32,
    /// The network.
    pub network: Network,
    /// The contract.
    pub contract: Address,
    /// Behind which time, milliseconds since 1970.
    pub from: i64,
    /// Up to which time.
    pub until: i64,
    /// How often a block that may be in it came or went: an answer to an older question is none.
    pub changes: u64,
    /// The network's event whose rows must be there.
    pub sequence: u64,
}

/// What became of a question.
struct Asked {
    partition: u32,
    /// `None`: it is under way.
    again_at: Option<Instant>,
    /// How long it waits once it is refused.
    pause: Duration,
    /// Whether it was told that it is refused.
    is_told: bool,
    task: Option<AbortHandle>,
}

/// See the module.
pub struct Pasts {
    keeper: Keeper,
    under_way: JoinSet<(Question, Result<Vec<Did>, String>)>,
    asked: HashMap<(Network, Address), Asked>,
}

impl Pasts {
    /// Of whoever has rows.
    pub fn new(keeper: Keeper) -> Self {
        Self { keeper, under_way: JoinSet::new(), asked: HashMap::new() }
    }

    /// Whether there is anybody to ask, and room for a question.
    pub fn may_ask(&self) -> bool {
        self.keeper.0.is_some() && self.under_way.len() < AT_ONCE
    }

    /// Asks, where that is not under way, and was not refused just now.
    pub fn ask(&mut self, question: Question) {
        let Some(past) = self.keeper.0.clone().filter(|_| self.under_way.len() < AT_ONCE) else { return };
        let (key, now) = ((question.network.clone(), question.contract), Instant::now());
        let waits = |asked: &Asked| asked.again_at.is_none_or(|at| now < at);
        if self.asked.get(&key).is_some_and(waits) {
            return;
        }
        if self.asked.len() >= REMEMBERED {
            self.asked.retain(|_, asked| waits(asked));
        }
        let partition = question.partition;
        let new = Asked { partition, again_at: None, pause: AGAIN, is_told: false, task: None };
        let asked = self.asked.entry(key).or_insert(new);
        (asked.partition, asked.again_at) = (partition, None);
        asked.task = Some(self.under_way.spawn(async move {
            // Behind the first, and the second with it.
            let times = (TimeMs(question.from.saturating_add(1)), TimeMs(question.until.saturating_add(1)));
            let answer = past.of(&question.network, question.contract, times, question.sequence);
            let answer = timeout(WITHIN, answer).await.unwrap_or_else(|_| Err(format!("no answer in {WITHIN:?}")));
            (question, answer)
        }));
    }

    /// What was answered since this was asked last.
    pub fn answers(&mut self) -> Vec<(Question, Vec<Did>)> {
        let mut answers = Vec::new();
        while let Some(done) = self.under_way.try_join_next() {
            let (question, answer) = match done {
                Ok(done) => done,
                Err(error) if error.is_cancelled() => continue,
                Err(error) => {
                    tracing::warn!(%error, "a question for a contract's past broke off");
                    // One of the few that are under way.
                    let is_over = |asked: &&mut Asked| asked.task.as_ref().is_some_and(AbortHandle::is_finished);
                    let over = self.asked.values_mut().filter(|asked| asked.again_at.is_none()).filter(is_over);
                    over.for_each(|asked| asked.again_at = Some(Instant::now() + AGAIN));
                    continue;
                }
            };
            let key = (question.network.clone(), question.contract);
            let Some(asked) = self.asked.get_mut(&key) else { continue };
            asked.task = None;
            match answer {
                Ok(did) => {
                    asked.again_at = Some(Instant::now() + AGAIN);
                    (asked.pause, asked.is_told) = (AGAIN, false);
                    answers.push((question, did));
                }
                Err(why) => {
                    asked.again_at = Some(Instant::now() + asked.pause);
                    asked.pause = (asked.pause * 2).min(SELDOM);
                    let (network, contract) = (&question.network, question.contract);
                    if !std::mem::replace(&mut asked.is_told, true) {
                        tracing::info!(%network, %contract, why, "what a contract did before it was watched is not known: rules wait until they need it no more");
                    }
                }
            }
        }
        answers
    }

    /// These partitions are no longer ours: whoever gets them asks anew.
    pub fn forget(&mut self, partitions: &[u32]) {
        self.asked.retain(|_, asked| {
            let goes = partitions.contains(&asked.partition);
            if let Some(task) = asked.task.as_ref().filter(|_| goes) {
                task.abort();
            }
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::past::Past;

    struct Rows;

    #[async_trait::async_trait]
    impl Past for Rows {
        async fn of(&self, _: &Network, _: Address, times: (TimeMs, TimeMs), _: u64) -> Result<Vec<Did>, String> {
            match times.0.0 {
                0 => Err("not full".to_owned()),
                1 => std::future::pending().await,
                _ => Ok(vec![Did { at: times.1.0 - 1, ..Did::default() }]),
            }
        }
    }

    fn question(byte: u8, from: i64) -> Question {
        let network = "demo".parse().expect("a slug");
        Question {
            partition: 0,
            network,
            contract: Address::repeat_byte(byte),
            from,
            until: 90,
            changes: 0,
            sequence: 1,
        }
    }

    #[tokio::test]
    async fn each_is_asked_once_in_a_while_and_few_at_the_same_time() {
        let mut pasts = Pasts::new(Keeper(Some(Arc::new(Rows))));
        pasts.ask(question(1, 9));
        pasts.ask(question(1, 9));
        assert_eq!(pasts.under_way.len(), 1, "it was asked just now");
        pasts.ask(question(2, -1));
        pasts.ask(question(3, 9));
        assert!(!pasts.may_ask(), "two are under way");
        let mut answers = Vec::new();
        while !pasts.under_way.is_empty() {
            answers.extend(pasts.answers());
            tokio::task::yield_now().await;
        }
        let [(of, did)] = answers.as_slice() else { panic!("{answers:?}") };
        assert_eq!((of.contract, did[0].at), (Address::repeat_byte(1), 90), "up to the last time, it included");
        assert!(!Pasts::new(Keeper::default()).may_ask());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_waits_longer_each_time_and_what_hangs_is_asked_once() {
        let mut pasts = Pasts::new(Keeper(Some(Arc::new(Rows))));
        // It hangs, and leaves the other place to others.
        pasts.ask(question(1, 0));
        tokio::time::advance(AGAIN + Duration::from_secs(1)).await;
        pasts.ask(question(1, 0));
        assert_eq!(pasts.under_way.len(), 1);
        let mut asked = 0;
        for _ in 0..1_000 {
            let before = pasts.under_way.len();
            pasts.ask(question(2, -1));
            asked += pasts.under_way.len() - before;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(pasts.answers().is_empty());
        }
        // After 20, 40, 80, 160, 320 and 600 seconds.
        assert!((5..=7).contains(&asked), "{asked}");
        pasts.ask(question(3, 0));
        pasts.forget(&[0]);
        assert!(pasts.asked.is_empty());
    }
}
