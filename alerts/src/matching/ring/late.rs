//! What follows once it is found out why a transaction failed.

use alloy_primitives::B256;
use schemas::{limits::alerts::MATCHES_OF_EVENT, records::AlertMatch};

use super::{
    Changes, Hit, Place, Ring, amended,
    event::{Entry, identity, is_news},
};

impl Ring {
    /// Why a transaction of an event's block failed was found out. Matches of it say so from now on, and of those that were given that is
    /// told. Whether anything is held of the event: what is final is told apart no more.
    pub fn name(&mut self, sequence: u64, transaction: B256, cause: &str, changes: &mut Changes) -> bool {
        let Some(entry) = self.entries.get_mut(&sequence) else { return false };
        let mut is_touched = false;
        for one in &mut entry.given {
            if hash_of(one) != Some(transaction) {
                continue;
            }
            let said = amended(one, cause);
            is_touched |= said.is_some();
            name(one, cause);
            changes.matches.extend(said);
        }
        for (_, one) in &mut entry.waiting {
            if hash_of(one) == Some(transaction) {
                is_touched |= name(one, cause);
            }
        }
        if is_touched {
            changes.touched.insert(sequence);
        }
        true
    }

    /// The block of an event, which stands, gives more, since more is known of its transactions. Gives back what there is no room for.
    pub fn gives_more(&mut self, place: &Place, hits: Vec<Hit>, changes: &mut Changes) -> Vec<Hit> {
        let (sequence, now, seen_at) = (place.sequence, self.sequence, self.seen_at);
        let mut entry = self.entries.remove(&sequence).unwrap_or_else(|| Entry::new(place));
        let mut left = Vec::new();
        for mut hit in hits {
            let of = identity(&hit.found);
            let waiting = entry.waiting.iter().map(|(_, one)| one);
            // What it is of is compared first, without making a text of it.
            let is_it = |one: &AlertMatch| hash_of(one) == hash_of(&hit.found) && identity(one) == of;
            if entry.given.iter().chain(waiting).any(is_it) {
                continue;
            }
            if entry.given.len() + entry.waiting.len() >= MATCHES_OF_EVENT.0 {
                left.push(hit);
                continue;
            }
            // Who hears of it hears of it now: its block's own time stays.
            (hit.found.sequence, hit.found.observed_at) = (now.max(sequence), seen_at.max(hit.found.observed_at));
            self.give(hit, place, &mut entry, changes);
        }
        if !entry.is_empty() {
            self.put(sequence, entry, changes);
        }
        left
    }
}

/// Takes a cause over into a match; whether it is news of it.
fn name(of: &mut AlertMatch, cause: &str) -> bool {
    let Some(found) = of.found.as_mut().filter(|found| is_news(found, cause)) else { return false };
    found.cause = Some(cause.to_owned());
    true
}

fn hash_of(of: &AlertMatch) -> Option<B256> {
    of.found.as_ref().map(|found| found.transaction_hash)
}
