//! Failures of one network that wait for evidence, block by block, the newest first; shared between the stage and those who ask.
//!
//! Guarantee: what is put in is given out once, unless it is taken back before; of a block all that wait are given out together. Who
//! holds items decides how many wait; the queue only orders them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::item::Item;

/// Pause after nodes did not answer; it doubles up to [`MOST`].
const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(30);
/// The longest sleep until it is looked again whether there is something to do.
const NAP: Duration = Duration::from_secs(30);

/// Failures of a block: the newest is the highest, and of one that was applied again the later.
type Place = (u64, u64);

#[derive(Debug, Default)]
struct Inner {
    blocks: BTreeMap<Place, Vec<Arc<Item>>>,
    /// Blocks that are asked about again later.
    later: Vec<(Instant, Place)>,
    /// Nodes do not answer: nobody is asked before.
    paused: Option<Instant>,
    pause: Duration,
    away: Option<(Instant, String)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    news: Notify,
}

impl Queue {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more waits.
    pub fn put(&self, item: Arc<Item>) {
        self.inner().blocks.entry((item.height, item.sequence)).or_default().push(item);
    }

    /// Those that were put in may be looked at.
    pub fn tell(&self) {
        self.news.notify_one();
    }

    /// It waits no longer.
    pub fn forget(&self, item: &Item) {
        let (mut inner, place) = (self.inner(), (item.height, item.sequence));
        if let Some(items) = inner.blocks.get_mut(&place) {
            items.retain(|other| other.offset != item.offset);
            if items.is_empty() {
                inner.blocks.remove(&place);
                inner.later.retain(|(_, other)| *other != place);
            }
        }
    }

    /// The failures of the newest block, as soon as there is one and nodes answer.
    pub async fn next(&self) -> Vec<Arc<Item>> {
        loop {
            let told = self.news.notified();
            let now = Instant::now();
            let until = match self.take(now) {
                Ok(items) => {
                    // There may be more for others.
                    self.news.notify_one();
                    return items;
                }
                Err(until) => until.unwrap_or(now + NAP).min(now + NAP),
            };
            let _ = timeout_at(until, told).await;
        }
    }

    /// Now, or when to look again.
    fn take(&self, now: Instant) -> Result<Vec<Arc<Item>>, Option<Instant>> {
        let mut inner = self.inner();
        if let Some(paused) = inner.paused.filter(|paused| *paused > now) {
            return Err(Some(paused));
        }
        inner.later.retain(|(until, _)| *until > now);
        let is_late = |place: &Place| inner.later.iter().any(|(_, other)| other == place);
        let Some(place) = inner.blocks.keys().rev().find(|place| !is_late(place)).copied() else {
            return Err(inner.later.iter().map(|(until, _)| *until).min());
        };
        Ok(inner.blocks.remove(&place).unwrap_or_default())
    }

    /// Nodes did not answer: these wait on, and nobody is asked for a while.
    pub fn away(&self, items: Vec<Arc<Item>>, why: String) {
        let (mut inner, now) = (self.inner(), Instant::now());
        inner.pause = if inner.pause.is_zero() { FIRST } else { (inner.pause * 2).min(MOST) };
        inner.paused = Some(now + inner.pause);
        let since = inner.away.as_ref().map_or(now, |(since, _)| *since);
        inner.away = Some((since, why));
        for item in items {
            inner.blocks.entry((item.height, item.sequence)).or_default().push(item);
        }
    }

    /// They did.
    pub fn answered(&self) {
        let mut inner = self.inner();
        (inner.paused, inner.pause, inner.away) = (None, Duration::ZERO, None);
    }

    /// Nobody has this block now: its failures are looked at again after a while.
    pub fn again(&self, items: Vec<Arc<Item>>, after: Duration) {
        let mut inner = self.inner();
        if let Some(first) = items.first() {
            let place = (first.height, first.sequence);
            inner.later.push((Instant::now() + after, place));
            inner.blocks.entry(place).or_default().extend(items);
        }
    }

    /// Since when nodes do not answer, and why.
    pub fn is_away(&self) -> Option<(Instant, String)> {
        self.inner().away.clone()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use schemas::{ChildEnvelope, Op, TimeMs, records::EvmTransaction};

    use super::*;

    fn item(offset: u64, height: u64) -> Arc<Item> {
        let raw = ChildEnvelope {
            network: "eth".parse().expect("a slug"),
            sequence: height,
            op: Op::Apply,
            height,
            block_hash: B256::with_last_byte(height as u8).into(),
            block_time: TimeMs(0),
            observed_at: TimeMs(0),
        };
        Item::new((0, offset), raw, EvmTransaction::default())
    }

    fn offsets(items: &[Arc<Item>]) -> Vec<u64> {
        items.iter().map(|item| item.offset).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_block_comes_first_with_all_that_failed_in_it() {
        let queue = Queue::default();
        [item(1, 5), item(2, 7), item(3, 7), item(4, 6)].into_iter().for_each(|item| queue.put(item));
        assert_eq!(offsets(&queue.next().await), [2, 3]);
        queue.forget(&item(4, 6));
        assert_eq!(offsets(&queue.next().await), [1]);
        assert!(timeout_at(Instant::now() + NAP, queue.next()).await.is_err(), "nothing is left");
    }

    #[tokio::test(start_paused = true)]
    async fn while_nodes_are_away_nobody_is_asked_and_then_the_newest() {
        let queue = Queue::default();
        queue.put(item(1, 5));
        let items = queue.next().await;
        queue.away(items, "no answer".into());
        queue.put(item(2, 6));
        let began = Instant::now();
        assert_eq!(offsets(&queue.next().await), [2]);
        assert!((FIRST..FIRST * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
        assert!(queue.is_away().is_some_and(|(_, why)| why == "no answer"));
        queue.away(vec![item(2, 6)], "no answer".into());
        let began = Instant::now();
        assert_eq!(offsets(&queue.next().await), [2]);
        assert!(began.elapsed() >= FIRST * 2, "the pause grows");
        queue.answered();
        assert!(queue.is_away().is_none());
        assert_eq!(offsets(&queue.next().await), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_that_nobody_has_lets_others_go_first() {
        let queue = Queue::default();
        queue.put(item(1, 5));
        queue.again(vec![item(2, 6)], Duration::from_secs(2));
        let began = Instant::now();
        assert_eq!(offsets(&queue.next().await), [1]);
        assert!(began.elapsed() < Duration::from_millis(10));
        assert_eq!(offsets(&queue.next().await), [2]);
        assert!(began.elapsed() >= Duration::from_secs(2));
    }
}
