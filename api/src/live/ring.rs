//! The ring of recent events that all connections read, bounded by events and bytes. It is the queue of every slow reader
//! and the buffer of every resume at once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use schemas::Network;
use tokio::sync::watch;

use super::event::LiveEvent;

/// Recent events of all networks, in the order of their arrival, numbered by ordinals 0, 1, 2 …
pub struct Ring {
    inner: Mutex<Inner>,
    end: watch::Sender<u64>,
    max_events: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Arc<LiveEvent>>,
    /// Ordinal of the front.
    first: u64,
    bytes: usize,
    networks: HashMap<Network, Span>,
}

/// What the ring has seen of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Lowest sequence seen.
    pub first: u64,
    /// Highest sequence seen.
    pub newest: u64,
    /// Highest sequence that fell out of the ring; what lies above and was seen is still there.
    pub dropped: Option<u64>,
}

/// What a reader finds at its place.
pub enum Next {
    /// Events; the reader's place has moved behind them.
    Events(Vec<Arc<LiveEvent>>),
    /// Nothing yet.
    Empty,
    /// The reader's place fell out of the ring; the place has moved to the oldest event that is left.
    Overtaken,
}

impl Ring {
    /// An empty ring.
    pub fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { inner: Mutex::default(), end: watch::Sender::new(0), max_events: max_events.max(1), max_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Adds the newest event and lets the oldest go.
    pub fn push(&self, event: LiveEvent) {
        let end = {
            let mut inner = self.lock();
            let span = inner.networks.entry(event.network.clone()).or_insert(Span {
                first: event.sequence,
                newest: event.sequence,
                dropped: None,
            });
            span.newest = span.newest.max(event.sequence);
            inner.bytes += event.bytes;
            inner.events.push_back(Arc::new(event));
            while inner.events.len() > self.max_events || (inner.bytes > self.max_bytes && inner.events.len() > 1) {
                let Some(gone) = inner.events.pop_front() else { break };
                inner.first += 1;
                inner.bytes -= gone.bytes;
                if let Some(span) = inner.networks.get_mut(&gone.network) {
                    span.dropped = span.dropped.max(Some(gone.sequence));
                }
            }
            crate::metrics::live_buffer(inner.events.len(), inner.bytes);
            inner.first + inner.events.len() as u64
        };
        self.end.send_replace(end);
    }

    /// The place behind the newest event.
    pub fn end(&self) -> u64 {
        *self.end.borrow()
    }

    /// Tells of new events: the value is [`Ring::end`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// Events from `place` on, at most `max`.
    pub fn next(&self, place: &mut u64, max: usize) -> Next {
        let inner = self.lock();
        if *place < inner.first {
            *place = inner.first;
            return Next::Overtaken;
        }
        let from = (*place - inner.first) as usize;
        let events: Vec<_> = inner.events.iter().skip(from).take(max).cloned().collect();
        *place += events.len() as u64;
        if events.is_empty() { Next::Empty } else { Next::Events(events) }
    }

    /// What was seen of a network.
    pub fn span(&self, network: &Network) -> Option<Span> {
        self.lock().networks.get(network).copied()
    }

    /// All networks seen.
    pub fn spans(&self) -> Vec<(Network, Span)> {
        self.lock().networks.iter().map(|(n, s)| (n.clone(), *s)).collect()
    }

    /// The network's events in the ring with a sequence above `after` and a place before `end`, in order.
    pub fn since(&self, network: &Network, after: u64, end: u64) -> Vec<Arc<LiveEvent>> {
        let inner = self.lock();
        let count = (end.saturating_sub(inner.first)) as usize;
        let wanted = |e: &&Arc<LiveEvent>| e.network == *network && e.sequence > after;
        inner.events.iter().take(count).filter(wanted).cloned().collect()
    }

    /// Lowest sequence of the network that the ring still holds.
    pub fn oldest(&self, network: &Network) -> Option<u64> {
        self.lock().events.iter().find(|e| e.network == *network).map(|e| e.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(network: &str, sequence: u64, bytes: usize) -> LiveEvent {
        LiveEvent::for_tests(network.parse().expect("slug"), sequence, bytes)
    }

    fn sequences(next: Next) -> Option<Vec<u64>> {
        match next {
            Next::Events(events) => Some(events.iter().map(|e| e.sequence).collect()),
            Next::Empty => Some(vec![]),
            Next::Overtaken => None,
        }
    }

    #[test]
    fn a_slow_reader_learns_that_it_was_overtaken() {
        let ring = Ring::new(3, usize::MAX);
        let (mut fast, mut slow) = (ring.end(), ring.end());
        for s in 1..=3 {
            ring.push(event("a", s, 1));
            assert_eq!(sequences(ring.next(&mut fast, 10)), Some(vec![s]));
        }
        assert_eq!(sequences(ring.next(&mut slow, 1)), Some(vec![1]));
        for s in 4..=6 {
            ring.push(event("a", s, 1));
        }
        assert_eq!(sequences(ring.next(&mut slow, 10)), None, "2 and 3 are gone");
        assert_eq!(sequences(ring.next(&mut slow, 10)), Some(vec![4, 5, 6]));
        assert_eq!(sequences(ring.next(&mut slow, 10)), Some(vec![]));
        assert_eq!(ring.span(&"a".parse().expect("slug")), Some(Span { first: 1, newest: 6, dropped: Some(3) }));
    }

    #[test]
    fn bytes_are_bounded_but_the_newest_event_always_fits() {
        let ring = Ring::new(100, 10);
        for s in 1..=4 {
            ring.push(event("a", s, 4));
        }
        assert_eq!(ring.since(&"a".parse().expect("slug"), 0, ring.end()).len(), 2);
        ring.push(event("a", 5, 1_000));
        let left = ring.since(&"a".parse().expect("slug"), 0, ring.end());
        assert_eq!(left.iter().map(|e| e.sequence).collect::<Vec<_>>(), [5]);
    }
}
