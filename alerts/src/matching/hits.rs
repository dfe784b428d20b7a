//! What one block gives, of all tenants, within what each of them may have of it.
//!
//! Guarantee: whatever one tenant's monitors find, another's are not left out for it, and all that is given can be kept in `alerts.ring`, so
//! that it can be taken back.

use std::collections::BTreeMap;

use schemas::{limits::alerts::MATCHES_OF_EVENT, records::AlertSource};

use super::{given::room_of, ring::Hit};

/// What a tenant has of the block so far.
#[derive(Debug, Default)]
struct Share {
    hits: usize,
    bytes: usize,
    /// By id of the monitor.
    left_out: BTreeMap<String, (AlertSource, u64)>,
}

/// What was left out of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Whose.
    pub tenant: String,
    /// The monitor; where conditions cost too much, the one of its tenant's that took most.
    pub source: AlertSource,
    /// Of what.
    pub what: Missing,
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Matches of a monitor for which there was no room.
    Matches(u64),
    /// Transactions that a tenant's monitors were not put to, since their conditions had taken all the steps that they may.
    Transactions(u64),
}

impl Share {
    fn leave_out(&mut self, source: &AlertSource) {
        match self.left_out.get_mut(&source.id) {
            Some((_, matches)) => *matches += 1,
            None => drop(self.left_out.insert(source.id.clone(), (source.clone(), 1))),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Hits {
    all: Vec<Hit>,
    shares: BTreeMap<String, Share>,
}

impl Hits {
    /// One more, where its tenant has not got all that it may have.
    pub fn push(&mut self, hit: Hit) {
        let share = self.shares.entry(hit.found.tenant.clone()).or_default();
        let bytes = hit.found.found.as_ref().map_or(0, |found| found.arguments.len());
        let (most, most_bytes) = MATCHES_OF_EVENT;
        if share.hits >= most || share.bytes.saturating_add(bytes) > most_bytes {
            share.leave_out(&hit.found.source);
            return;
        }
        share.hits += 1;
        share.bytes += bytes;
        self.all.push(hit);
    }

    /// What another transaction of the block gives beside these, within what each tenant may have of the block.
    pub fn extend(&mut self, more: Self) {
        for (tenant, share) in more.shares {
            let own = self.shares.entry(tenant).or_default();
            for (id, (source, matches)) in share.left_out {
                own.left_out.entry(id).or_insert((source, 0)).1 += matches;
            }
        }
        more.all.into_iter().for_each(|hit| self.push(hit));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Those that came after the first so many.
    pub fn after(&self, count: usize) -> &[Hit] {
        self.all.get(count..).unwrap_or_default()
    }

    /// Those of them that are wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&Hit) -> bool) {
        self.all.retain(is_wanted);
    }

    /// All of them that can be kept in one value of so many bytes, and how many each monitor has too few. Where it is too small each tenant
    /// has the same room.
    pub fn within(mut self, room: usize) -> (Vec<Hit>, Vec<LeftOut>) {
        let sizes: Vec<usize> = self.all.iter().map(|hit| room_of(&hit.found)).collect();
        if sizes.iter().sum::<usize>() > room {
            let each = room / self.shares.len().max(1);
            let mut taken: BTreeMap<String, usize> = BTreeMap::new();
            let mut sizes = sizes.into_iter();
            let shares = &mut self.shares;
            self.all.retain(|hit| {
                let tenant = &hit.found.tenant;
                let taken = taken.entry(tenant.clone()).or_default();
                *taken = taken.saturating_add(sizes.next().unwrap_or(0));
                let fits = *taken <= each;
                if let Some(share) = shares.get_mut(tenant).filter(|_| !fits) {
                    share.leave_out(&hit.found.source);
                }
                fits
            });
        }
        let of = |(tenant, share): (String, Share)| {
            let of_one =
                move |(source, matches)| LeftOut { tenant: tenant.clone(), source, what: Missing::Matches(matches) };
            share.left_out.into_values().map(of_one)
        };
        (self.all, self.shares.into_iter().flat_map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy_primitives::{B256, U256};
    use schemas::{
        TimeMs,
        records::{AlertMatch, AlertSource, Found, FoundKind, MatchOp},
    };

    use super::*;

    fn hit(tenant: &str, number: usize, arguments: usize) -> Hit {
        let found = Found {
            transaction_hash: B256::from(U256::from(number)),
            kind: FoundKind::Event,
            position: Some(0),
            condition: 0,
            signature: Some("Transfer(address,address,uint256)".to_owned()),
            arguments: "x".repeat(arguments),
            cause: None,
        };
        let found = AlertMatch {
            tenant: tenant.to_owned(),
            source: AlertSource::nobody(),
            op: MatchOp::Match,
            network: "demo".parse().expect("a slug"),
            sequence: 1,
            height: 1,
            block_hash: Some(B256::ZERO.into()),
            at: TimeMs(0),
            observed_at: TimeMs(0),
            contract: None,
            group: BTreeMap::new(),
            found: Some(found),
            figure: None,
        };
        Hit { found, wait: None }
    }

    fn left(all: &[LeftOut]) -> Vec<(&str, usize)> {
        let matches = |one: &LeftOut| match one.what {
            Missing::Matches(matches) => usize::try_from(matches).expect("few"),
            Missing::Transactions(_) => panic!("{one:?}"),
        };
        all.iter().map(|one| (one.tenant.as_str(), matches(one))).collect()
    }

    fn of(hits: &[Hit], tenant: &str) -> usize {
        hits.iter().filter(|hit| hit.found.tenant == tenant).count()
    }

    #[test]
    fn who_finds_everything_leaves_others_what_they_find() {
        let mut hits = Hits::default();
        (0..5_000).for_each(|number| hits.push(hit("loud", number, 2)));
        (0..3).for_each(|number| hits.push(hit("quiet", number, 2)));
        let (kept, left_out) = hits.within(usize::MAX);
        assert_eq!((of(&kept, "loud"), of(&kept, "quiet")), (MATCHES_OF_EVENT.0, 3));
        assert_eq!(left(&left_out), [("loud", 5_000 - MATCHES_OF_EVENT.0)]);
        let mut hits = Hits::default();
        (0..9).for_each(|number| hits.push(hit("loud", number, MATCHES_OF_EVENT.1 / 4)));
        let (kept, left_out) = hits.within(usize::MAX);
        assert_eq!((kept.len(), left(&left_out)), (4, vec![("loud", 5)]));
    }

    #[test]
    fn transactions_of_a_block_share_what_it_may_give() {
        let mut hits = Hits::default();
        for part in 0..3 {
            let mut more = Hits::default();
            (0..600).for_each(|number| more.push(hit("loud", part * 600 + number, 2)));
            hits.extend(more);
        }
        let mut last = Hits::default();
        (0..MATCHES_OF_EVENT.0 + 5).for_each(|number| last.push(hit("other", number, 2)));
        hits.extend(last);
        let (kept, left_out) = hits.within(usize::MAX);
        assert_eq!((of(&kept, "loud"), of(&kept, "other")), (MATCHES_OF_EVENT.0, MATCHES_OF_EVENT.0));
        assert_eq!(left(&left_out), [("loud", 1_800 - MATCHES_OF_EVENT.0), ("other", 5)]);
    }

    #[test]
    fn what_is_given_can_be_kept() {
        let mut hits = Hits::default();
        (0..400).for_each(|number| hits.push(hit("loud", number, 2)));
        (0..3).for_each(|number| hits.push(hit("quiet", number, 2)));
        let (kept, left_out) = hits.within(40_000);
        assert_eq!(of(&kept, "quiet"), 3);
        let loud = of(&kept, "loud");
        assert!((20..200).contains(&loud) && left(&left_out) == [("loud", 400 - loud)], "{loud} {left_out:?}");
    }
}
