//! Answers about figures that are given again.
//!
//! Guarantee: an answer is at most a second old, or the network has had no block since that it does not tell of, and it is at most a minute
//! old. Of those who ask the same at the same time one asks the store; the others wait for its answer. What is kept is bounded by number
//! and bytes. Refusals are not kept.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use schemas::{Network, limits::metrics as limits};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{error::ApiError, live::Rings};

/// How many questions may be under way that do not wait for each other, at least where their names differ.
const LANES: usize = 256;

/// An answer.
#[derive(Debug, Clone)]
pub struct Kept {
    /// It, as it is sent.
    pub body: Bytes,
    /// The network's event that it is true at.
    pub sequence: u64,
    /// When the store was asked.
    asked: Instant,
    at_most: Duration,
}

impl Kept {
    /// An answer that the store gave just now.
    pub fn new(body: impl Into<Bytes>, sequence: u64) -> Self {
        Self { body: body.into(), sequence, asked: Instant::now(), at_most: limits::KEPT.1 }
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// [`ApiError::Internal`]: it cannot be written.
    pub fn json(answer: &impl Serialize, sequence: u64) -> Result<Self, ApiError> {
        Ok(Self::new(json(answer)?, sequence))
    }

    /// The same, for less time, since it rests on more than blocks.
    #[must_use]
    pub fn at_most(self, at_most: Duration) -> Self {
        Self { at_most, ..self }
    }

    /// Whether it may be given again. `newest`: the network's last event, where one was heard of.
    fn holds(&self, newest: Option<u64>, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.asked);
        age < limits::KEPT.0 || (age < self.at_most && newest.is_some_and(|newest| newest <= self.sequence))
    }
}

/// What is answered, as JSON.
///
/// # Errors
/// [`ApiError::Internal`]: it cannot be written.
pub fn json(answer: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(answer).map_err(not_written)
}

/// An answer that cannot be written is a fault of ours.
pub fn not_written(error: impl std::fmt::Display) -> ApiError {
    tracing::error!(%error, "figures could not be written");
    ApiError::Internal
}

#[derive(Clone)]
struct Size;

impl Weighter<String, Kept> for Size {
    fn weight(&self, name: &String, kept: &Kept) -> u64 {
        (name.len() + kept.body.len() + size_of::<Kept>()) as u64
    }
}

/// What was answered of late.
pub struct Answers {
    kept: Cache<String, Kept, Size>,
    lanes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            kept: Cache::with_weighter(limits::KEPT_ANSWERS, limits::KEPT_BYTES, Size),
            lanes: std::iter::repeat_with(Mutex::default).take(LANES).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Answers {
    /// The answer of this name, which says all that it depends on; asked anew where none holds.
    ///
    /// # Errors
    /// What asking gives.
    pub async fn of(
        &self,
        rings: &Rings,
        network: &Network,
        name: String,
        ask: impl AsyncFnOnce() -> Result<Kept, ApiError>,
    ) -> Result<Kept, ApiError> {
        let held = || {
            let newest = rings.span(network).map(|span| span.newest);
            self.kept.get(&name).filter(|kept| kept.holds(newest, Instant::now()))
        };
        if let Some(kept) = held() {
            return Ok(kept);
        }
        let lane = (self.hasher.hash_one(&name) % LANES as u64) as usize;
        let _turn = match self.lanes.get(lane) {
            Some(lane) => Some(lane.lock().await),
            None => None,
        };
        if let Some(kept) = held() {
            return Ok(kept);
        }
        let kept = ask().await?;
        self.kept.insert(name, kept.clone());
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;
    use crate::live::LiveEvent;

    #[test]
    fn an_answer_holds_a_second_and_then_until_the_next_block() {
        let kept = Kept::new("x", 7);
        let holds = |newest, ms| kept.holds(newest, kept.asked + Duration::from_millis(ms));
        assert!(holds(Some(99), 900) && holds(None, 900), "a second, whatever comes");
        assert!(holds(Some(7), 59_000) && holds(Some(6), 59_000) && !holds(Some(8), 1_000));
        assert!(!holds(Some(7), 60_000), "a minute at most");
        assert!(!kept.clone().at_most(Duration::from_secs(5)).holds(Some(7), kept.asked + Duration::from_secs(5)));
        assert!(!holds(None, 1_000), "nothing is known of what came since");
    }

    #[tokio::test]
    async fn many_who_ask_the_same_are_one_question() {
        let (answers, rings, asked) = (Answers::default(), Rings::new(16, 1 << 20), AtomicU64::new(0));
        let network: Network = "a".parse().expect("a slug");
        let ask = |name: &'static str| {
            let (answers, rings, network, asked) = (&answers, &rings, &network, &asked);
            async move {
                let asking = async || {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(Kept::new(name, asked.fetch_add(1, Relaxed)))
                };
                answers.of(rings, network, name.to_owned(), asking).await.expect("an answer").body
            }
        };
        let all = futures::future::join_all((0..50).map(|_| ask("x"))).await;
        assert!(all.iter().all(|body| body == "x"));
        assert_eq!((asked.load(Relaxed), ask("y").await, asked.load(Relaxed)), (1, Bytes::from("y"), 2));
        let refused = answers.of(&rings, &network, "z".into(), async || Err(ApiError::Internal)).await;
        assert_eq!(refused.expect_err("a refusal"), ApiError::Internal);
        assert_eq!(ask("z").await, "z", "refusals are not kept");
        rings.push(LiveEvent::for_tests(network.clone(), 5, 1));
        assert_eq!(ask("x").await, "x");
        assert_eq!(asked.load(Relaxed), 3, "within a second nothing is asked again");
    }
}
