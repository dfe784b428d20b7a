//! Contracts that wait to be looked at, and those that were. Pure, but for the clock that it is told.
//!
//! Guarantee: bounded, whatever the stream brings: of more than there is room for the least seen go. Whoever is seen most is looked at
//! first, at the newest block in which it was seen, and not again before there is a reason.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use schemas::limits::facts as limits;

/// A contract to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The contract.
    pub address: Address,
    /// A block in which it was seen: its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
}

/// What is known of a contract that is seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// The lowest height at which something is known to stand behind it.
    pub lowest: Option<u64>,
    /// What stands behind it may change without a log that says so: it is looked at anew from time to time, and after a restart.
    pub silent: bool,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    times: u32,
    height: u64,
    hash: B256,
}

/// What is known of an earlier look.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// The lowest height at which it was.
    lowest: u64,
    /// Not before this it is looked at again for no other reason.
    again: Option<Instant>,
}

/// The contracts of one network.
#[derive(Debug, Default)]
pub struct Waiting {
    seen: HashMap<Address, Seen>,
    /// Two generations: when the newer one is full the older one is forgotten.
    looked: [HashMap<Address, Look>; 2],
    /// Of what lies below this height nodes say that they have no state.
    gone_below: u64,
    /// A part of the stream was missed: what it told is to be looked at too.
    missed: bool,
}

/// How much more a contract counts of which there is a reason to think that it is a proxy, or that somebody calls his own.
pub const URGENT: u32 = 1_000;

impl Waiting {
    /// A contract was seen.
    pub fn see(&mut self, wish: Wish, weight: u32, known: Known, now: Instant) {
        if wish.height < self.gone_below || self.is_moot(&wish, known, now) {
            return;
        }
        if let Some(seen) = self.seen.get_mut(&wish.address) {
            seen.times = seen.times.saturating_add(weight);
            if wish.height >= seen.height {
                (seen.height, seen.hash) = (wish.height, wish.hash);
            }
            return;
        }
        if self.seen.len() >= limits::WAITING {
            self.drop_half();
        }
        self.seen.insert(wish.address, Seen { times: weight, height: wish.height, hash: wish.hash });
    }

    /// Whether there is no reason to look.
    fn is_moot(&self, wish: &Wish, Known { lowest, silent }: Known, now: Instant) -> bool {
        let look = self.looked.iter().find_map(|looked| looked.get(&wish.address));
        match look {
            Some(Look { again: Some(again), .. }) if now >= *again => false,
            Some(look) => lowest.is_none_or(|lowest| wish.height >= lowest) || wish.height >= look.lowest,
            None => !self.missed && !silent && lowest.is_some_and(|lowest| wish.height >= lowest),
        }
    }

    fn drop_half(&mut self) {
        let mut times: Vec<u32> = self.seen.values().map(|seen| seen.times).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.seen.retain(|_, seen| seen.times > median);
    }

    /// The next one to be looked at.
    pub fn next(&mut self) -> Option<Wish> {
        let (address, _) = self.seen.iter().max_by_key(|(address, seen)| (seen.times, **address))?;
        let address = *address;
        let seen = self.seen.remove(&address)?;
        Some(Wish { address, height: seen.height, hash: seen.hash })
    }

    /// It was looked at; `again`: after so long there is a reason to look anew.
    pub fn looked(&mut self, wish: &Wish, again: Option<Duration>, now: Instant) {
        let former = self.looked.iter().find_map(|looked| looked.get(&wish.address)).map_or(u64::MAX, |l| l.lowest);
        let look = Look { lowest: wish.height.min(former), again: again.map(|again| now + again) };
        if self.looked[0].len() >= limits::LOOKED_AT {
            self.looked.swap(0, 1);
            self.looked[0].clear();
        }
        self.looked[0].insert(wish.address, look);
    }

    /// Nodes have no state of this height any more: nothing at or below it is asked.
    pub fn gone(&mut self, height: u64) {
        self.gone_below = self.gone_below.max(height.saturating_add(1));
        self.seen.retain(|_, seen| seen.height > height);
    }

    /// What nodes have is tried again at all heights.
    pub fn try_all(&mut self) {
        self.gone_below = 0;
    }

    /// It is to be looked at again when it is seen: what rested on a reverted block is gone.
    pub fn forget(&mut self, address: &Address) {
        for looked in &mut self.looked {
            looked.remove(address);
        }
    }

    /// Everything is to be looked at again: a part of the stream was missed.
    pub fn forget_all(&mut self) {
        self.missed = true;
        self.looked.iter_mut().for_each(HashMap::clear);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Known = Known { lowest: None, silent: false };

    fn wish(n: u8, height: u64) -> Wish {
        Wish { address: Address::repeat_byte(n), height, hash: B256::with_last_byte(height as u8) }
    }

    #[test]
    fn who_is_seen_most_comes_first_at_the_newest_block() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.see(wish(1, 5), 1, NOTHING, now);
        waiting.see(wish(2, 6), 1, NOTHING, now);
        waiting.see(wish(2, 8), 1, NOTHING, now);
        waiting.see(wish(2, 7), 1, NOTHING, now);
        waiting.see(wish(3, 5), URGENT, NOTHING, now);
        assert_eq!(waiting.next(), Some(wish(3, 5)));
        assert_eq!(waiting.next(), Some(wish(2, 8)));
        assert_eq!((waiting.next(), waiting.next()), (Some(wish(1, 5)), None));
    }

    #[test]
    fn nobody_is_looked_at_twice_without_a_reason() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let is_wanted = |waiting: &mut Waiting, n, height, lowest, now| {
            waiting.see(wish(n, height), 1, Known { lowest, silent: false }, now);
            waiting.next().is_some()
        };
        assert!(!is_wanted(&mut waiting, 1, 10, Some(10), now), "the stream told");
        assert!(is_wanted(&mut waiting, 1, 9, Some(10), now), "but not of this height");
        waiting.looked(&wish(1, 9), None, now);
        assert!(!is_wanted(&mut waiting, 1, 9, Some(10), now) && is_wanted(&mut waiting, 1, 8, Some(9), now));
        waiting.looked(&wish(2, 9), None, now);
        assert!(!is_wanted(&mut waiting, 2, 20, None, now) && !is_wanted(&mut waiting, 2, 3, None, now), "it is none");
        let hour = Duration::from_secs(3_600);
        waiting.looked(&wish(3, 9), Some(hour), now);
        assert!(!is_wanted(&mut waiting, 3, 20, Some(9), now) && is_wanted(&mut waiting, 3, 20, Some(9), now + hour));
        waiting.forget(&wish(2, 0).address);
        assert!(is_wanted(&mut waiting, 2, 20, None, now));
    }

    #[test]
    fn what_no_log_tells_of_is_looked_at_after_a_restart() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let known = Known { lowest: Some(10), silent: true };
        waiting.see(wish(1, 20), 1, known, now);
        assert_eq!(waiting.next(), Some(wish(1, 20)), "it is known from the topic, and nobody looked since");
        waiting.looked(&wish(1, 20), Some(limits::ASKED_AGAIN), now);
        waiting.see(wish(1, 21), 1, known, now);
        assert_eq!(waiting.next(), None);
        waiting.see(wish(1, 22), 1, known, now + limits::ASKED_AGAIN);
        assert_eq!(waiting.next(), Some(wish(1, 22)));
    }

    #[test]
    fn what_nodes_do_not_have_is_not_asked() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        waiting.see(wish(1, 5), 1, NOTHING, now);
        waiting.see(wish(2, 7), 1, NOTHING, now);
        waiting.gone(5);
        assert_eq!((waiting.next(), waiting.next()), (Some(wish(2, 7)), None));
        waiting.see(wish(1, 5), 1, NOTHING, now);
        assert_eq!(waiting.len(), 0);
        waiting.try_all();
        waiting.see(wish(1, 5), 1, NOTHING, now);
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn it_is_bounded_and_keeps_who_is_seen_often() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let address = |n: u32| {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            Address::from(bytes)
        };
        for n in 0..limits::WAITING as u32 * 2 {
            let often = Wish { address: Address::repeat_byte(0xff), ..wish(0, 1) };
            waiting.see(Wish { address: address(n), ..wish(0, 1) }, 1, NOTHING, now);
            if n % 100 == 0 {
                waiting.see(often, 1, NOTHING, now);
            }
            assert!(waiting.len() <= limits::WAITING);
        }
        assert_eq!(waiting.next().map(|wish| wish.address), Some(Address::repeat_byte(0xff)));
        for n in 0..limits::LOOKED_AT as u32 * 3 {
            waiting.looked(&Wish { address: address(n), ..wish(0, 1) }, None, now);
        }
        assert!(waiting.looked.iter().map(HashMap::len).sum::<usize>() <= 2 * limits::LOOKED_AT);
    }
}
