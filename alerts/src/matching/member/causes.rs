//! Causes that came late, for evidence of rules and for what monitors found.

use std::collections::BTreeMap;

use bytes::Bytes;
use runtime::log::{LogError, NewRecord};
use schemas::{Network, records::EnrichedCause};

use super::{
    super::{
        hits::{Hits, LeftOut, Missing},
        left_out,
        look::fits_by_cause,
        output,
        ring::{Changes, Hit, Ring, amended},
    },
    COMMIT_RECORDS, Member,
};
use crate::metrics;

/// Bytes of the records of one transaction, about: what a block gave is written whole with each of its causes that are news.
const COMMIT_BYTES: usize = 32 << 20;

impl Member<'_> {
    /// Takes in causes that were found since the last look. What was told of their transactions is amended; what fits by its cause is told.
    ///
    /// # Errors
    /// What the log says.
    pub(super) async fn name_causes(&mut self) -> Result<(), LogError> {
        if self.parts.is_empty() || (self.rules.failures.is_empty() && self.monitors.is_empty()) {
            return Ok(());
        }
        let mut found = self.beside.late_causes(&self.parts).await;
        if found.is_empty() {
            return Ok(());
        }
        // Block by block, so that what a block gives is bounded, said, and written once.
        found.sort_by(|one, other| block_of(one).cmp(&block_of(other)));
        for of_block in found.chunk_by(|one, other| block_of(one) == block_of(other)) {
            self.name_causes_of_block(of_block);
            if self.is_full() {
                self.commit().await?;
            }
        }
        Ok(())
    }

    /// Takes in those of one block, in the order in which they came.
    fn name_causes_of_block(&mut self, found: &[(u32, EnrichedCause)]) {
        let Some((partition, first)) = found.first() else { return };
        let Some(part) = self.parts.get_mut(partition) else { return };
        let (network, sequence) = (&first.network, first.sequence);
        let codec = &*self.context.codec;
        let ring = part.rings.entry(network.clone()).or_insert_with(|| Ring::new(network.clone()));
        let late = part.late.entry(network.clone()).or_default();
        let (mut changes, mut hits, mut place) = (Changes::default(), Hits::default(), None);
        self.monitors.begin_block(self.context.config.alerts.max_steps);
        for (_, cause) in found {
            let (hash, cause) = (cause.transaction_hash, &*cause.cause);
            if let Some(failures) = part.failures.get_mut(network) {
                failures.name(sequence, hash, cause);
            }
            let is_held = ring.name(sequence, hash, cause, &mut changes);
            let Some(failed) = late.take(sequence, hash, cause) else { continue };
            if !is_held && failed.is_told {
                // It is final: what it gave is not to be taken back any more.
                changes.matches.extend(failed.given.iter().filter_map(|one| amended(one, cause)));
            }
            let mut fits = fits_by_cause(codec, &mut self.monitors, network, &failed, cause);
            fits.retain(|hit| !ring.knows(sequence, &hit.found));
            hits.extend(fits);
            place = Some(failed.place);
        }
        if let Some(place) = place {
            let room = self.limits.ring_room().saturating_sub(ring.room_taken(sequence));
            let (hits, cut) = hits.within(room);
            let left = too_many(ring.gives_more(&place, hits, &mut changes));
            for of_one in cut.into_iter().chain(left).chain(self.monitors.exhausted()) {
                changes.matches.push(left_out::say(of_one, network, &place));
            }
        }
        if !changes.is_empty() {
            metrics::gave(network, changes.given());
            let records = output::records(codec, self.limits, *partition, network, ring, changes);
            self.records.extend(records);
        }
    }

    /// Whether what is to be written is enough for a transaction.
    fn is_full(&self) -> bool {
        let bytes = |record: &NewRecord| record.value.as_ref().map_or(0, Bytes::len);
        self.records.len() >= COMMIT_RECORDS || self.records.iter().map(bytes).sum::<usize>() >= COMMIT_BYTES
    }
}

/// The block that a cause is of: its partition, its network, its event.
fn block_of((partition, cause): &(u32, EnrichedCause)) -> (u32, &Network, u64) {
    (*partition, &cause.network, cause.sequence)
}

/// What there was no room for, by monitor.
fn too_many(hits: Vec<Hit>) -> Vec<LeftOut> {
    let mut all: BTreeMap<(String, String), (LeftOut, u64)> = BTreeMap::new();
    for Hit { found, .. } in hits {
        let key = (found.tenant.clone(), found.source.id.clone());
        let none = LeftOut { tenant: found.tenant, source: found.source, what: Missing::Matches(0) };
        all.entry(key).or_insert((none, 0)).1 += 1;
    }
    all.into_values().map(|(of_one, count)| LeftOut { what: Missing::Matches(count), ..of_one }).collect()
}
