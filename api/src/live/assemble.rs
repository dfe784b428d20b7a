//! Headers and children of block events, which come on two topics, put together again. Pure.
//!
//! Guarantee: an event comes out once its header and all its children are in, per network in the order of its headers; one
//! that can never be whole (its children were gone before we began, or could not be counted) is left out.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use schemas::{Network, limits, records::EnrichedBlock};

/// Events in the making.
#[derive(Default)]
pub struct Assembler {
    networks: HashMap<Network, Pending>,
    whole: VecDeque<(EnrichedBlock, Vec<Bytes>)>,
}

#[derive(Default)]
struct Pending {
    headers: VecDeque<EnrichedBlock>,
    children: VecDeque<(u64, Bytes)>,
    bytes: usize,
}

impl Assembler {
    /// A header record of a block event.
    pub fn header(&mut self, block: EnrichedBlock) {
        let pending = self.networks.entry(block.envelope.network.clone()).or_default();
        pending.headers.push_back(block);
        pending.assemble(&mut self.whole);
    }

    /// The value of a child record.
    pub fn child(&mut self, network: &Network, sequence: u64, value: Bytes) {
        let pending = match self.networks.get_mut(network) {
            Some(pending) => pending,
            None => self.networks.entry(network.clone()).or_default(),
        };
        pending.bytes += value.len();
        pending.children.push_back((sequence, value));
        // Children whose header does not come may not pile up for ever.
        while pending.bytes > limits::TRANSACTION_BYTES * 2 {
            let Some((_, gone)) = pending.children.pop_front() else { break };
            pending.bytes -= gone.len();
        }
        pending.assemble(&mut self.whole);
    }

    /// The next whole event.
    pub fn next(&mut self) -> Option<(EnrichedBlock, Vec<Bytes>)> {
        self.whole.pop_front()
    }
}

impl Pending {
    fn assemble(&mut self, whole: &mut VecDeque<(EnrichedBlock, Vec<Bytes>)>) {
        while let Some(header) = self.headers.front() {
            let (sequence, expected) = (header.envelope.sequence, header.envelope.child_records() as usize);
            while self.children.front().is_some_and(|(s, _)| *s < sequence) {
                self.bytes -= self.children.pop_front().map_or(0, |(_, v)| v.len());
            }
            if self.children.len() < expected {
                // More may come, unless those of a later event are here already.
                if self.children.back().is_some_and(|(s, _)| *s > sequence) {
                    self.headers.pop_front();
                    continue;
                }
                return;
            }
            if expected > 0 && self.children[expected - 1].0 != sequence {
                self.headers.pop_front();
                continue;
            }
            let children = self.children.drain(..expected).map(|(_, value)| value).collect::<Vec<_>>();
            self.bytes -= children.iter().map(Bytes::len).sum::<usize>();
            if let Some(header) = self.headers.pop_front() {
                whole.push_back((header, children));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::{Envelope, Op, Origin, TimeMs};

    use super::*;

    fn header(network: &Network, sequence: u64, op: Op, tx_count: u32) -> EnrichedBlock {
        let hash = || format!("0x{}", "ab".repeat(32)).parse().expect("hash");
        let envelope = Envelope {
            network: network.clone(),
            sequence,
            op,
            origin: Origin::Live,
            height: sequence,
            block_hash: hash(),
            parent_hash: hash(),
            block_time: TimeMs(0),
            observed_at: TimeMs(0),
            safe_height: None,
            finalized_height: None,
            tx_count,
            log_count: 0,
            reverts_sequence: None,
            reorg_remaining: 0,
        };
        EnrichedBlock { envelope, evm: None, summary: None }
    }

    proptest! {
        /// Whatever way the two topics interleave, and wherever the reading begins, whole events come out in order.
        #[test]
        fn interleavings_give_the_same_events(
            counts in proptest::collection::vec(0u32..4, 1..12),
            picks in proptest::collection::vec(any::<bool>(), 64),
            late in 0usize..6,
        ) {
            let network: Network = "a".parse().expect("slug");
            let mut headers: VecDeque<_> = (1u64..).zip(&counts).map(|(s, n)| header(&network, s, Op::Apply, *n)).collect();
            let mut children: VecDeque<_> =
                (1u64..).zip(&counts).flat_map(|(s, n)| (0..*n).map(move |i| (s, Bytes::from(format!("{s}/{i}"))))).collect();
            // Reading begins inside the children: those before are never seen.
            let lost: Vec<u64> = children.drain(..late.min(children.len())).map(|(s, _)| s).collect();
            let mut assembler = Assembler::default();
            for pick in picks.iter().chain(std::iter::repeat(&true)) {
                match (*pick, headers.is_empty(), children.is_empty()) {
                    (_, true, true) => break,
                    (true, false, _) | (false, false, true) => assembler.header(headers.pop_front().expect("some")),
                    _ => {
                        let (s, v) = children.pop_front().expect("some");
                        assembler.child(&network, s, v);
                    }
                }
            }
            let mut out = Vec::new();
            while let Some((h, c)) = assembler.next() {
                let s = h.envelope.sequence;
                let wanted: Vec<_> = (0..h.envelope.tx_count).map(|i| Bytes::from(format!("{s}/{i}"))).collect();
                prop_assert_eq!(c, wanted);
                out.push(s);
            }
            // The last torn event may still wait; every other whole one is out.
            let whole: Vec<u64> = (1..=counts.len() as u64).filter(|s| !lost.contains(s)).collect();
            let torn_last = lost.last().copied().unwrap_or(0);
            let stuck = whole.iter().all(|s| *s < torn_last || counts[*s as usize - 1] == 0);
            if !stuck {
                prop_assert_eq!(out, whole);
            }
        }

        #[test]
        fn a_revert_waits_for_its_marker(n in 1u64..100) {
            let network: Network = "a".parse().expect("slug");
            let mut assembler = Assembler::default();
            assembler.header(header(&network, n, Op::Revert, 0));
            prop_assert!(assembler.next().is_none());
            assembler.child(&network, n, Bytes::new());
            prop_assert!(assembler.next().is_some());
        }
    }
}
