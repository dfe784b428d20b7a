//! `metrics.windows`, followed: the present window of each size, for whoever begins to watch, and each one that is published.
//!
//! Guarantee: each window is decoded and serialised once for all connections; what is held is bounded by number and bytes, and the contracts
//! go first whose windows came longest ago; of two windows with one key the later record stands. Windows have no position: a reader that is too slow for the recent ones is told the present ones
//! again, and nothing that is gone from there. Whatever becomes of the topic ends nothing else.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use alloy_primitives::Address;
use axum::extract::ws::Utf8Bytes;
use runtime::log::{Log, LogError, LogErrorKind, PollLimits, Polled, Reader, Record, TopicPartition};
use schemas::{Network, Op, TimeMs, codec::Codec, limits::metrics as limits, records::Window, topics::METRICS_WINDOWS};
use tokio::{sync::watch, time::Instant};

use super::event::DataFrame;
use crate::items::WindowItem;

/// Pause before a log that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether there are more partitions.
const PARTITIONS: Duration = Duration::from_secs(60);
const POLL: PollLimits = PollLimits { records: 1_024, bytes: 4 << 20, wait: Duration::from_millis(500) };
/// Present windows of one size: of a network the one that is open and the one before it, of a contract the last that there was.
const PRESENT: (usize, usize) = (2, 1);

/// A window, as connections send it.
pub struct LiveWindow {
    /// Its network.
    pub network: Network,
    /// Its contract; `None` of the network.
    pub contract: Option<Address>,
    /// Where it begins.
    pub start: TimeMs,
    /// The frame.
    pub frame: Utf8Bytes,
}

impl LiveWindow {
    fn of(window: &Window) -> Self {
        let (network, sequence) = (window.network.as_str(), window.sequence);
        let data = WindowItem::of(window);
        let frame = DataFrame { r#type: "window", network, sequence, op: Op::Apply, data }.text();
        Self { network: window.network.clone(), contract: window.contract, start: window.window_start, frame }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.frame.len()
    }
}

/// Of whom a window is, and its size.
type Place = (Network, Option<Address>, u32);

/// Present windows, and those that came of late, numbered.
pub struct Windows {
    inner: Mutex<Inner>,
    /// The number behind the newest one.
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    recent: VecDeque<Arc<LiveWindow>>,
    /// Number of the first of these.
    first: u64,
    /// Bytes of these.
    bytes: usize,
    present: HashMap<Place, Present>,
    /// Places of contracts, by when the newest window of each came.
    by_age: BTreeMap<u64, Place>,
    /// Windows of contracts that came.
    came: u64,
    /// How many are present, and their bytes.
    held: (usize, usize),
    /// Whether windows of contracts went since there were too many.
    evicted: bool,
}

/// The present windows of a place.
#[derive(Default)]
struct Present {
    /// By start.
    windows: BTreeMap<TimeMs, Arc<LiveWindow>>,
    /// Of a contract: its number in [`Inner::by_age`].
    came: Option<u64>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { inner: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl Inner {
    /// Takes a window among the present ones, in its place. Where there are too many, those of contracts go that came longest ago.
    fn keep(&mut self, seconds: u32, window: &Arc<LiveWindow>) {
        let most = if window.contract.is_some() { PRESENT.1 } else { PRESENT.0 };
        let place = (window.network.clone(), window.contract, seconds);
        let of_place = self.present.entry(place.clone()).or_default();
        let oldest = of_place.windows.first_key_value().map(|(first, _)| *first);
        if of_place.windows.len() >= most && oldest.is_some_and(|oldest| oldest > window.start) {
            return;
        }
        self.held.0 += 1;
        self.held.1 += window.bytes();
        let mut gone: Vec<Arc<LiveWindow>> =
            of_place.windows.insert(window.start, Arc::clone(window)).into_iter().collect();
        while of_place.windows.len() > most {
            gone.extend(of_place.windows.pop_first().map(|(_, window)| window));
        }
        if window.contract.is_some() {
            self.came += 1;
            if let Some(before) = of_place.came.replace(self.came) {
                self.by_age.remove(&before);
            }
            self.by_age.insert(self.came, place);
        }
        self.let_go(gone);
        self.evict();
    }

    fn evict(&mut self) {
        let (count, bytes) = limits::LIVE_WINDOWS;
        while self.held.0 > count || self.held.1 > bytes {
            // Networks' stay: there are few of them.
            let Some((_, place)) = self.by_age.pop_first() else { return };
            if !std::mem::replace(&mut self.evicted, true) {
                tracing::warn!(
                    "there are more windows of contracts than are held: of those that came longest ago a WebSocket client sees the next \
                     one first"
                );
            }
            let windows = self.present.remove(&place).unwrap_or_default().windows;
            self.let_go(windows.into_values());
        }
    }

    fn let_go(&mut self, gone: impl IntoIterator<Item = Arc<LiveWindow>>) {
        for window in gone {
            self.held.0 -= 1;
            self.held.1 -= window.bytes();
        }
    }
}

impl Windows {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Tells of new ones.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Those with this number and higher ones, and the number behind them; `None`: some of them are not held any more.
    pub fn from(&self, number: u64) -> (Option<Vec<Arc<LiveWindow>>>, u64) {
        let inner = self.lock();
        let next = inner.first + inner.recent.len() as u64;
        let skip = number.checked_sub(inner.first).map(|skip| usize::try_from(skip).unwrap_or(usize::MAX));
        (skip.map(|skip| inner.recent.iter().skip(skip).cloned().collect()), next)
    }

    /// The present ones that are wanted, of each network and contract the longest first, and the number behind the newest.
    pub fn present(&self, wanted: impl Fn(&LiveWindow) -> bool) -> (Vec<Arc<LiveWindow>>, u64) {
        let inner = self.lock();
        let next = inner.first + inner.recent.len() as u64;
        let wants = |present: &Present| present.windows.values().any(|window| wanted(window));
        let mut found: Vec<_> = inner.present.iter().filter(|(_, present)| wants(present)).collect();
        found.sort_by(|((a, of_a, size_a), _), ((b, of_b, size_b), _)| (a, of_a, size_b).cmp(&(b, of_b, size_a)));
        let all = found.into_iter().flat_map(|(_, present)| present.windows.values());
        (all.filter(|window| wanted(window)).cloned().collect(), next)
    }

    fn push(&self, seconds: u32, window: LiveWindow) {
        let window = Arc::new(window);
        let mut inner = self.lock();
        inner.keep(seconds, &window);
        inner.bytes += window.bytes();
        inner.recent.push_back(window);
        let (most, bytes) = limits::RECENT_WINDOWS;
        while inner.recent.len() > most || inner.bytes > bytes {
            let Some(oldest) = inner.recent.pop_front() else { break };
            inner.first += 1;
            inner.bytes -= oldest.bytes();
        }
        let newest = inner.first + inner.recent.len() as u64;
        drop(inner);
        self.newest.send_replace(newest);
    }

    fn take(&self, codec: &Codec, record: &Record) {
        let Some(value) = record.value.as_deref() else { return };
        match codec.decode::<Window>(value) {
            Ok(window) => self.push(window.window_seconds, LiveWindow::of(&window)),
            // Another program's, or of a version that this one does not know (rule 13).
            Err(error) => tracing::debug!(%error, offset = record.offset, "a window cannot be shown live"),
        }
    }

    /// Follows the topic for ever.
    pub async fn follow(&self, log: &dyn Log, codec: &Codec) {
        let mut places = HashMap::new();
        loop {
            let Err(error) = self.read(log, codec, &mut places).await else { continue };
            if error.kind == LogErrorKind::Denied {
                tracing::warn!(%error, "windows may not be read; trying again");
            } else {
                tracing::debug!(%error, "windows cannot be read; trying again");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Reads every partition, from a little before its end or from where it was read to; ends where there are more partitions than when it
    /// began.
    async fn read(
        &self,
        log: &dyn Log,
        codec: &Codec,
        known: &mut HashMap<TopicPartition, u64>,
    ) -> Result<(), LogError> {
        let topic = METRICS_WINDOWS.name;
        let count = log.partitions(topic).await?;
        let all: Vec<_> = (0..count).map(|partition| TopicPartition { topic, partition }).collect();
        let (places, _) = runtime::log::last(log, &all, limits::WINDOWS_READ_BACK).await?;
        let places: Vec<_> = places.into_iter().map(|(at, offset)| (at, *known.entry(at).or_insert(offset))).collect();
        let mut reader: Box<dyn Reader> = log.reader(&places).await?;
        let mut looked = Instant::now();
        loop {
            match reader.poll(POLL).await? {
                Polled::Records(records) => {
                    for record in &records {
                        self.take(codec, record);
                        known.insert(record.from, record.offset + 1);
                    }
                }
                Polled::OutOfRange { at, oldest, .. } => reader.seek(at, oldest).await?,
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
            if looked.elapsed() > PARTITIONS {
                looked = Instant::now();
                if log.partitions(topic).await? > count {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    impl Windows {
        /// Publishes a window of a minute.
        pub(crate) fn publish(&self, network: &str, contract: Option<Address>, minute: i64, frame: &str) {
            let network: Network = network.parse().expect("a slug");
            let window = LiveWindow { network, contract, start: TimeMs(minute * 60_000), frame: frame.into() };
            self.push(60, window);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(windows: &[Arc<LiveWindow>]) -> Vec<&str> {
        windows.iter().map(|window| window.frame.as_str()).collect()
    }

    #[test]
    fn the_present_ones_are_the_last_of_each() {
        let (windows, router) = (Windows::default(), Address::repeat_byte(1));
        for (network, contract, minute, frame) in [
            ("a", None, 1, "a1"),
            ("a", None, 2, "a2"),
            ("a", None, 3, "a3"),
            ("a", None, 3, "a3 again"),
            ("a", None, 1, "a1 after a reorg"),
            ("a", Some(router), 2, "router2"),
            ("a", Some(router), 3, "router3"),
            ("b", None, 9, "b9"),
        ] {
            windows.publish(network, contract, minute, frame);
        }
        let (of_networks, next) = windows.present(|window| window.contract.is_none());
        assert_eq!((texts(&of_networks), next), (vec!["a2", "a3 again", "b9"], 8));
        let (of_router, _) = windows.present(|window| window.contract == Some(router));
        assert_eq!(texts(&of_router), ["router3"]);
        let (new, next) = windows.from(4);
        assert_eq!(texts(&new.expect("held")), ["a1 after a reorg", "router2", "router3", "b9"]);
        assert!(windows.from(next).0.is_some_and(|none| none.is_empty()));
        assert_eq!(*windows.changes().borrow(), 8);
        assert_eq!(windows.lock().held.0, 4);
    }

    #[test]
    fn who_is_too_slow_is_told() {
        let windows = Windows::default();
        let most = limits::RECENT_WINDOWS.0 as u64;
        for minute in 0..most + 10 {
            windows.publish("a", None, minute as i64, "x");
        }
        assert!(windows.from(9).0.is_none());
        assert_eq!(windows.from(10).0.map(|held| held.len() as u64), Some(most));
        let long = "x".repeat(limits::RECENT_WINDOWS.1 / 4);
        for minute in 0..9 {
            windows.publish("a", None, minute, &long);
        }
        assert!(windows.lock().bytes <= limits::RECENT_WINDOWS.1, "bytes are bounded, too");
    }

    #[test]
    fn beyond_the_bound_contracts_go_that_came_longest_ago_and_networks_never() {
        let windows = Windows::default();
        let address = |n: usize| Address::left_padding_from(&n.to_be_bytes());
        let of = |n: usize| texts(&windows.present(|window| window.contract == Some(address(n))).0).join(" ");
        let (held, places) = (|| windows.lock().held, || windows.lock().by_age.len());
        let most = limits::LIVE_WINDOWS.0;
        windows.publish("b", None, 1, "b");
        for n in 0..most - 1 {
            windows.publish("a", Some(address(n)), 1, "x");
        }
        windows.publish("a", Some(address(0)), 2, "later");
        assert_eq!((held().0, of(1).as_str()), (most, "x"), "all are held");
        for n in most..most + 10 {
            windows.publish("a", Some(address(n)), 1, "new");
        }
        assert_eq!((held().0, places()), (most, most - 1));
        assert_eq!((of(most + 9).as_str(), of(1).as_str(), of(0).as_str()), ("new", "", "later"));
        assert_eq!(texts(&windows.present(|window| window.contract.is_none()).0), ["b"]);
        // Bytes are bounded, too.
        let long = "x".repeat(limits::LIVE_WINDOWS.1 / 4);
        for n in 0..9 {
            windows.publish("a", Some(address(n)), 3, &long);
        }
        assert!(held().1 <= limits::LIVE_WINDOWS.1 && held().0 < 5, "{:?}", held());
    }
}
