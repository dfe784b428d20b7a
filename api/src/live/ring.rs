//! The rings of recent events, one per network, which all connections read; together they are bounded by events and bytes. A ring
//! is the queue of every slow reader of its network and the buffer of every resume at once.
//!
//! Guarantee: what a ring holds is the end of its network's order without a hole. An event that does not continue it (the live
//! reader lost some) begins the ring anew, so whoever needs what lies before is told ([`Next::Behind`]), whether it was lost or
//! fell out. A reader's place is a sequence, nothing else. Who follows one network hears of no other.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use schemas::Network;
use tokio::sync::watch;

use super::event::LiveEvent;

/// The rings of all networks.
pub struct Rings {
    rings: RwLock<HashMap<Network, Arc<Ring>>>,
    /// Changes with every event and every new ring, for who follows all networks.
    any: watch::Sender<u64>,
    held: Mutex<Held>,
    max_events: usize,
    max_bytes: usize,
}

/// What all rings hold together.
#[derive(Default)]
struct Held {
    /// Whose events, in the order of their arrival.
    order: VecDeque<Arc<Ring>>,
    bytes: usize,
}

/// Recent events of one network.
pub struct Ring {
    network: Network,
    inner: Mutex<Inner>,
    /// Highest sequence seen; 0 before the first.
    newest: watch::Sender<u64>,
    /// The same, to be looked at without a lock.
    seen: AtomicU64,
}

#[derive(Default)]
struct Inner {
    /// Consecutive sequences up to the newest.
    events: VecDeque<Arc<LiveEvent>>,
    /// Lowest sequence ever seen; 0 before the first.
    began: u64,
    /// Where the ring last began anew.
    since: u64,
}

/// What a ring has seen of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Lowest sequence ever seen.
    pub began: u64,
    /// Lowest sequence that the ring still holds; one above `newest` when it holds none.
    pub first: u64,
    /// Highest sequence seen.
    pub newest: u64,
}

/// What a reader finds behind its place.
pub enum Next {
    /// Events, in order, without a hole.
    Events(Vec<Arc<LiveEvent>>),
    /// Nothing yet.
    Empty,
    /// What follows is not in the ring any more, or never was.
    Behind {
        /// It fell out because the reader was too slow.
        slow: bool,
    },
}

impl Rings {
    /// No ring yet.
    pub fn new(max_events: usize, max_bytes: usize) -> Self {
        let (rings, any) = (RwLock::default(), watch::Sender::new(0));
        Self { rings, any, held: Mutex::default(), max_events: max_events.max(1), max_bytes }
    }

    /// A network's ring, which is made if there is none yet.
    pub fn of(&self, network: &Network) -> Arc<Ring> {
        if let Some(ring) = self.known(network) {
            return ring;
        }
        let mut rings = self.rings.write().unwrap_or_else(|e| e.into_inner());
        let ring = Arc::clone(rings.entry(network.clone()).or_insert_with(|| Arc::new(Ring::new(network.clone()))));
        drop(rings);
        self.any.send_modify(|n| *n += 1);
        ring
    }

    fn known(&self, network: &Network) -> Option<Arc<Ring>> {
        self.rings.read().unwrap_or_else(|e| e.into_inner()).get(network).cloned()
    }

    /// What was seen of a network; `None` before its first event.
    pub fn span(&self, network: &Network) -> Option<Span> {
        self.known(network)?.span()
    }

    /// All rings there are.
    pub fn all(&self) -> Vec<Arc<Ring>> {
        self.rings.read().unwrap_or_else(|e| e.into_inner()).values().cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.rings.read().unwrap_or_else(|e| e.into_inner()).len()
    }

    /// Tells of events of all networks, and of new rings.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.any.subscribe()
    }

    /// Adds a network's newest event and lets the oldest of all networks go. What comes again is passed over.
    pub fn push(&self, event: LiveEvent) {
        let ring = self.of(&event.network);
        let (sequence, bytes) = (event.sequence, event.bytes);
        {
            let mut held = self.held.lock().unwrap_or_else(|e| e.into_inner());
            let Some(lost) = ring.push(event) else { return };
            if let Some(lost) = lost {
                crate::metrics::live_hole(ring.network.as_str());
                held.bytes -= lost;
                held.order.retain(|r| !Arc::ptr_eq(r, &ring));
            }
            held.bytes += bytes;
            held.order.push_back(Arc::clone(&ring));
            while held.order.len() > self.max_events || (held.bytes > self.max_bytes && held.order.len() > 1) {
                let Some(oldest) = held.order.pop_front() else { break };
                held.bytes -= oldest.drop_oldest();
            }
            crate::metrics::live_buffer(held.order.len(), held.bytes);
        }
        ring.newest.send_replace(sequence);
        self.any.send_modify(|n| *n += 1);
    }
}

impl Ring {
    fn new(network: Network) -> Self {
        Self { network, inner: Mutex::default(), newest: watch::Sender::new(0), seen: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// `None` when the event was seen already; `Some(Some(bytes))` when it does not continue what was held, which is gone.
    #[expect(clippy::option_option, reason = "two questions: whether it is taken, and whether something went for it")]
    fn push(&self, event: LiveEvent) -> Option<Option<usize>> {
        let mut inner = self.lock();
        let (newest, sequence) = (self.seen.load(Relaxed), event.sequence);
        if sequence <= newest {
            return None;
        }
        let mut lost = None;
        if inner.began == 0 {
            (inner.began, inner.since) = (sequence, sequence);
        } else if sequence > newest + 1 {
            inner.since = sequence;
            lost = Some(inner.events.drain(..).map(|e| e.bytes).sum());
        }
        inner.events.push_back(Arc::new(event));
        self.seen.store(sequence, Relaxed);
        Some(lost)
    }

    fn drop_oldest(&self) -> usize {
        self.lock().events.pop_front().map_or(0, |e| e.bytes)
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Highest sequence seen; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.seen.load(Relaxed)
    }

    /// Tells of new events.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// What was seen; `None` before the first event.
    pub fn span(&self) -> Option<Span> {
        let inner = self.lock();
        let newest = self.newest();
        (inner.began > 0).then(|| Span { began: inner.began, first: newest + 1 - inner.events.len() as u64, newest })
    }

    /// Events with a sequence above `floor`, at most `max`.
    pub fn after(&self, floor: u64, max: usize) -> Next {
        if floor >= self.newest() {
            return Next::Empty;
        }
        let inner = self.lock();
        let first = self.newest() + 1 - inner.events.len() as u64;
        if floor + 1 < first {
            return Next::Behind { slow: floor + 1 >= inner.since };
        }
        Next::Events(inner.events.iter().skip((floor + 1 - first) as usize).take(max).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(slug: &str) -> Network {
        slug.parse().expect("slug")
    }

    fn event(slug: &str, sequence: u64, bytes: usize) -> LiveEvent {
        LiveEvent::for_tests(network(slug), sequence, bytes)
    }

    /// Sequences, or whether the reader was too slow.
    fn after(ring: &Ring, floor: u64) -> Result<Vec<u64>, bool> {
        match ring.after(floor, 10) {
            Next::Events(events) => Ok(events.iter().map(|e| e.sequence).collect()),
            Next::Empty => Ok(vec![]),
            Next::Behind { slow } => Err(slow),
        }
    }

    #[test]
    fn a_slow_reader_learns_that_it_is_behind() {
        let rings = Rings::new(3, usize::MAX);
        let ring = rings.of(&network("a"));
        assert_eq!((ring.span(), after(&ring, 0)), (None, Ok(vec![])));
        (1..=3).for_each(|s| rings.push(event("a", s, 1)));
        assert_eq!((after(&ring, 0), after(&ring, 2), after(&ring, 3)), (Ok(vec![1, 2, 3]), Ok(vec![3]), Ok(vec![])));
        (4..=6).for_each(|s| rings.push(event("a", s, 1)));
        assert_eq!((after(&ring, 1), after(&ring, 3)), (Err(true), Ok(vec![4, 5, 6])));
        assert_eq!(after(&ring, 60), Ok(vec![]), "a place ahead of it");
        assert_eq!(ring.span(), Some(Span { began: 1, first: 4, newest: 6 }));
    }

    #[test]
    fn a_hole_begins_the_ring_anew() {
        let rings = Rings::new(100, usize::MAX);
        for s in (5..=10).chain(15..=20) {
            rings.push(event("a", s, 1));
            rings.push(event("b", s - 4, 1));
        }
        let ring = rings.of(&network("a"));
        assert_eq!(ring.span(), Some(Span { began: 5, first: 15, newest: 20 }));
        assert_eq!(after(&ring, 10), Err(false), "11 to 14 never came, which is not the reader's fault");
        assert_eq!(after(&ring, 4), Err(false));
        assert_eq!(after(&ring, 14), Ok((15..=20).collect()));
        // What comes again is nothing new.
        rings.push(event("a", 16, 1));
        assert_eq!(after(&ring, 14), Ok((15..=20).collect()));
        assert_eq!(after(&rings.of(&network("b")), 6), Err(false), "b has the same hole");
        assert_eq!(rings.held.lock().expect("no panic").order.len(), 12);
    }

    #[test]
    fn bytes_are_bounded_but_the_newest_event_always_fits() {
        let rings = Rings::new(100, 10);
        (1..=4).for_each(|s| rings.push(event("a", s, 4)));
        let ring = rings.of(&network("a"));
        assert_eq!(after(&ring, 2), Ok(vec![3, 4]));
        rings.push(event("b", 1, 1_000));
        assert_eq!((after(&ring, 3), after(&ring, 4)), (Err(true), Ok(vec![])));
        assert_eq!(after(&rings.of(&network("b")), 0), Ok(vec![1]));
    }

    #[test]
    fn who_follows_one_network_hears_of_no_other() {
        let rings = Rings::new(100, usize::MAX);
        let (mut a, mut any) = (rings.of(&network("a")).changes(), rings.changes());
        rings.push(event("b", 1, 1));
        assert!(!a.has_changed().expect("open") && any.has_changed().expect("open"));
        any.mark_unchanged();
        rings.push(event("a", 1, 1));
        assert_eq!((*a.borrow_and_update(), any.has_changed().expect("open")), (1, true));
    }

    proptest! {
        #[test]
        fn nothing_is_missed_silently(
            // Of each network, how far the next event jumps: 0 comes again, more than 1 leaves a hole.
            arrivals in proptest::collection::vec((0usize..3, 0u64..4, 1usize..9), 1..120),
            events in 1usize..20, bytes in 1usize..60, reads in proptest::collection::vec(0usize..3, 120),
        ) {
            let rings = Rings::new(events, bytes);
            let slugs = ["a", "b", "c"];
            let mut newest = [0u64; 3];
            let mut came: [Vec<u64>; 3] = Default::default();
            let mut floors = [0u64; 3];
            for ((of, jump, size), read) in arrivals.into_iter().zip(reads) {
                let sequence = newest[of] + jump;
                if sequence > 0 {
                    rings.push(event(slugs[of], sequence, size));
                    if sequence > newest[of] {
                        newest[of] = sequence;
                        came[of].push(sequence);
                    }
                }
                let ring = rings.of(&network(slugs[read]));
                match after(&ring, floors[read]) {
                    Ok(found) => {
                        // All that came since, or as many as were asked for, each directly behind the last.
                        let since: Vec<u64> = came[read].iter().copied().filter(|s| *s > floors[read]).take(10).collect();
                        prop_assert_eq!(&found, &since);
                        prop_assert!(found.iter().zip(floors[read] + 1..).all(|(s, wanted)| *s == wanted));
                        floors[read] += found.len() as u64;
                    }
                    Err(_) => {
                        let span = ring.span().expect("seen");
                        prop_assert!(span.first > floors[read] + 1 && span.newest > floors[read]);
                        floors[read] = span.first - 1;
                    }
                }
                let held = rings.held.lock().expect("no panic");
                let all: Vec<usize> = rings.all().iter().map(|r| r.lock().events.iter().map(|e| e.bytes).sum()).collect();
                prop_assert_eq!(held.bytes, all.iter().sum::<usize>());
                prop_assert!(held.order.len() <= events && (held.bytes <= bytes || held.order.len() == 1));
            }
        }
    }
}
