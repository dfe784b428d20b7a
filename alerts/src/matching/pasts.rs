//! Asking for what contracts did before anybody watched them.
//!
//! Guarantee: nothing waits for an answer; so many questions are under way at most ([`AT_ONCE`]), each for so long ([`WITHIN`]), and one that
//! was not answered is asked again after a while ([`AGAIN`]).

use std::{collections::HashMap, time::Duration};

use alloy_primitives::Address;
use schemas::{Network, TimeMs};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::past::{Did, Keeper};

/// Questions under way at the same time: the store has others to answer.
const AT_ONCE: usize = 2;
/// How long one may take.
const WITHIN: Duration = Duration::from_secs(30);
/// When one is asked again.
const AGAIN: Duration = Duration::from_secs(20);
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
    /// Reverts so far of blocks that may be in it: an answer to an older question is none.
    pub reverts: u64,
}

/// See the module.
pub struct Pasts {
    keeper: Keeper,
    under_way: JoinSet<(Question, Result<Vec<Did>, String>)>,
    asked: HashMap<(Network, Address), Instant>,
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

    /// Asks, where that was not asked just now.
    pub fn ask(&mut self, question: Question) {
        let Some(past) = self.keeper.0.clone().filter(|_| self.under_way.len() < AT_ONCE) else { return };
        let key = (question.network.clone(), question.contract);
        if self.asked.get(&key).is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        if self.asked.len() >= REMEMBERED {
            self.asked.retain(|_, at| at.elapsed() < AGAIN);
        }
        self.asked.insert(key, Instant::now());
        self.under_way.spawn(async move {
            // Behind the first, and the second with it.
            let times = (TimeMs(question.from.saturating_add(1)), TimeMs(question.until.saturating_add(1)));
            let answer = timeout(WITHIN, past.of(&question.network, question.contract, times)).await;
            let answer = answer.unwrap_or_else(|_| Err(format!("no answer in {WITHIN:?}")));
            (question, answer)
        });
    }

    /// What was answered since this was asked last.
    pub fn answers(&mut self) -> Vec<(Question, Vec<Did>)> {
        let mut answers = Vec::new();
        while let Some(done) = self.under_way.try_join_next() {
            match done {
                Ok((question, Ok(did))) => answers.push((question, did)),
                Ok((question, Err(why))) => {
                    let (network, contract) = (&question.network, question.contract);
                    tracing::info!(%network, %contract, why, "what a contract did before it was watched is not known: rules wait until they need it no more");
                }
                Err(error) => tracing::warn!(%error, "a question for a contract's past broke off"),
            }
        }
        answers
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
        async fn of(&self, _: &Network, _: Address, times: (TimeMs, TimeMs)) -> Result<Vec<Did>, String> {
            if times.0.0 == 0 {
                Err("not full".to_owned())
            } else {
                Ok(vec![Did { at: times.1.0 - 1, ..Did::default() }])
            }
        }
    }

    fn question(byte: u8, from: i64) -> Question {
        let network = "demo".parse().expect("a slug");
        Question { partition: 0, network, contract: Address::repeat_byte(byte), from, until: 90, reverts: 0 }
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
}
