//! What the nodes of one network may be asked by this stage: one budget for facts and failures together.
//!
//! Guarantee: never more than so many questions a second and a day (UTC), whoever asks; who waits gets his turn in the order in which he
//! came.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use schemas::{Network, TimeMs};
use tokio::{
    sync::Mutex as Queue,
    time::{Instant, sleep, timeout_at},
};

use super::{
    config::Calls,
    pace::{Pace, Turn},
};

/// Somebody whose turn is so near keeps his place while he waits.
const NEAR: Duration = Duration::from_secs(1);
/// The longest sleep until it is looked again.
const NAP: Duration = Duration::from_secs(60);
/// A deadline that nobody reaches.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// The budgets of all networks. Clones are the same.
#[derive(Clone)]
pub struct Budgets {
    calls: Calls,
    of: Arc<Mutex<HashMap<Network, Arc<Queue<Pace>>>>>,
}

impl Budgets {
    /// Each network so many questions.
    pub fn new(calls: Calls) -> Self {
        Self { calls, of: Arc::default() }
    }

    /// A network's; whoever has one shares it with all others.
    pub fn of(&self, network: &Network) -> Budget {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let Calls { per_second, per_day } = self.calls;
        let pace = of.entry(network.clone()).or_insert_with(|| Arc::new(Queue::new(Pace::new(per_second, per_day))));
        Budget { pace: pace.clone(), until: None }
    }
}

/// What may be asked of one network. Clones share what is left.
#[derive(Clone)]
pub struct Budget {
    pace: Arc<Queue<Pace>>,
    until: Option<Instant>,
}

impl Budget {
    /// The same; nobody waits for a turn longer than until then.
    pub fn until(self, until: Instant) -> Self {
        Self { until: Some(until), ..self }
    }

    /// Waits until one question may be asked, which is counted; false when none may before the end that was set.
    pub async fn turn(&self) -> bool {
        let until = self.until.unwrap_or_else(|| Instant::now() + NEVER);
        loop {
            let Ok(mut pace) = timeout_at(until, self.pace.lock()).await else { return false };
            let wait = match pace.turn(Instant::now(), TimeMs::now()) {
                Turn::Now => {
                    pace.asked(Instant::now(), TimeMs::now());
                    return true;
                }
                Turn::After(wait) => wait,
                Turn::Never => NAP,
            };
            if Instant::now() + wait > until {
                return false;
            }
            if wait <= NEAR {
                sleep(wait).await;
                if pace.turn(Instant::now(), TimeMs::now()) == Turn::Now {
                    pace.asked(Instant::now(), TimeMs::now());
                    return true;
                }
            } else {
                drop(pace);
                sleep(wait.min(NAP)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(per_second: f64, per_day: u64) -> Budgets {
        Budgets::new(Calls { per_second, per_day })
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_share_it_and_each_gets_his_turn() {
        let (all, network) = (budgets(5.0, 1_000), "eth".parse().expect("a slug"));
        let began = Instant::now();
        let asking = (0..4).map(|_| {
            let budget = all.of(&network);
            tokio::spawn(async move {
                let mut turns = 0;
                while budget.clone().until(began + Duration::from_secs(10)).turn().await {
                    turns += 1;
                }
                turns
            })
        });
        let turns: Vec<u32> = futures::future::join_all(asking).await.into_iter().map(|t| t.expect("ended")).collect();
        let sum: u32 = turns.iter().sum();
        assert!((48..=52).contains(&sum), "5 a second for 10 s: {turns:?}");
        assert!(turns.iter().all(|t| *t >= 11), "nobody starves: {turns:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_day_that_is_used_up_is_told_at_once() {
        let budget = budgets(1_000.0, 2).of(&"eth".parse().expect("a slug"));
        let soon = || budget.clone().until(Instant::now() + Duration::from_secs(5));
        assert!(soon().turn().await && soon().turn().await);
        let before = Instant::now();
        assert!(!soon().turn().await, "the day is used up");
        assert!(before.elapsed() < Duration::from_secs(1));
    }
}
