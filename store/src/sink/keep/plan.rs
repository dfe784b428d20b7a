//! What is held by partition, and what of it goes. Pure.

use std::{collections::BTreeMap, ops::Range};

use schemas::{TimeMs, limits::REORG_LIMIT_BLOCKS};

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Of each network.
    pub networks: BTreeMap<String, NetworkParts>,
    /// Bytes of all tables on disk, of whatever they are.
    pub bytes: u64,
}

/// What is held of a network.
#[derive(Debug, Default)]
pub(super) struct NetworkParts {
    /// Heights of a partition.
    pub span: u32,
    /// Everything below this height goes, or is gone.
    pub floor: u64,
    /// By number.
    pub parts: BTreeMap<u64, Size>,
}

/// How large a partition is, over all tables.
#[derive(Debug, Default, Clone)]
pub(super) struct Size {
    pub bytes: u64,
    pub blocks: u64,
    /// Its names: table and partition's id.
    pub ids: Vec<(String, String)>,
}

/// A partition that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub network: String,
    pub number: u64,
    /// First height above it.
    pub end: u64,
    pub bytes: u64,
    /// Time of its newest block.
    pub newest: TimeMs,
}

impl NetworkParts {
    /// Partitions below the floor.
    pub fn below(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts.keys().copied().take_while(|part| self.end(*part) <= self.floor)
    }

    /// Partitions that are kept, lowest first.
    pub fn kept(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts.keys().copied().skip_while(|part| self.end(*part) <= self.floor)
    }

    /// Names of all that is there of some partitions.
    pub fn ids(&self, parts: Range<u64>) -> Vec<(String, String)> {
        self.parts.range(parts).flat_map(|(_, size)| size.ids.iter().cloned()).collect()
    }

    pub fn part(&self, network: &str, number: u64, newest: TimeMs) -> Part {
        let bytes = self.parts.get(&number).map_or(0, |size| size.bytes);
        Part { network: network.to_owned(), number, end: self.end(number), bytes, newest }
    }

    fn end(&self, part: u64) -> u64 {
        part.saturating_add(1).saturating_mul(u64::from(self.span))
    }
}

impl Held {
    /// Bytes that stay when all that was published is gone.
    pub fn staying(&self) -> u64 {
        let going = |network: &NetworkParts| network.below().map(|part| network.parts[&part].bytes).sum::<u64>();
        self.bytes.saturating_sub(self.networks.values().map(going).sum())
    }

    /// A partition goes.
    pub fn take(&mut self, part: &Part) {
        if let Some(network) = self.networks.get_mut(&part.network) {
            network.floor = network.floor.max(part.end);
        }
    }
}

/// Whether a partition may go when the highest height that the network ever had is `top`: no reorg that ingest walks back by itself
/// reaches it.
pub(super) fn may_go(part: u64, span: u32, top: u64) -> bool {
    let end = part.checked_add(1).and_then(|next| next.checked_mul(u64::from(span)));
    end.and_then(|end| end.checked_add(REORG_LIMIT_BLOCKS)).is_some_and(|end| end <= top)
}

/// The last of these partitions, lowest first, all of whose blocks are older than a time, with the time of its newest block; each below
/// it goes too.
pub(super) fn due(parts: &[(u64, TimeMs)], before: TimeMs) -> Option<(u64, TimeMs)> {
    parts.iter().copied().take_while(|(_, newest)| *newest < before).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network, its floor, and its partitions with their bytes.
    type Network<'n> = (&'n str, u64, &'n [(u64, u64)]);

    fn held(networks: &[Network<'_>]) -> Held {
        let network = |floor: u64, parts: &[(u64, u64)]| NetworkParts {
            span: 1_024,
            floor,
            parts: parts.iter().map(|(n, bytes)| (*n, Size { bytes: *bytes, ..Size::default() })).collect(),
        };
        let bytes = networks.iter().flat_map(|(_, _, parts)| parts.iter().map(|(_, b)| b)).sum();
        Held { networks: networks.iter().map(|(n, f, p)| ((*n).to_owned(), network(*f, p))).collect(), bytes }
    }

    #[test]
    fn what_is_old_goes_from_below_and_nothing_above_what_is_not() {
        let times: Vec<(u64, TimeMs)> = [(3, 10), (4, 20), (5, 30), (6, 5)].map(|(n, t)| (n, TimeMs(t))).into();
        assert_eq!(due(&times, TimeMs(25)), Some((4, TimeMs(20))));
        assert_eq!(due(&times, TimeMs(10)), None);
        assert_eq!(due(&times, TimeMs(99)), Some((6, TimeMs(5))));
        assert_eq!(due(&[], TimeMs(99)), None);
    }

    #[test]
    fn what_a_reorg_may_reach_stays() {
        assert!(!may_go(0, 1_024, 1_023 + REORG_LIMIT_BLOCKS));
        assert!(may_go(0, 1_024, 1_024 + REORG_LIMIT_BLOCKS));
        assert!(!may_go(1, 1_024, 1_024 + REORG_LIMIT_BLOCKS));
        assert!(!may_go(u64::MAX, 1_024, u64::MAX) && !may_go(u64::MAX / 1_024, 1_024, u64::MAX));
    }

    #[test]
    fn what_was_published_does_not_count_any_more() {
        let mut all = held(&[("a", 2_048, &[(0, 10), (1, 20), (2, 40)]), ("b", 0, &[(7, 80)])]);
        assert_eq!(all.staying(), 120);
        let a = &all.networks["a"];
        assert_eq!((a.below().collect::<Vec<_>>(), a.kept().collect::<Vec<_>>()), (vec![0, 1], vec![2]));
        let part = all.networks["b"].part("b", 7, TimeMs(1));
        assert_eq!((part.end, part.bytes), (8 * 1_024, 80));
        all.take(&part);
        assert_eq!((all.staying(), all.networks["b"].kept().next()), (40, None));
    }
}
