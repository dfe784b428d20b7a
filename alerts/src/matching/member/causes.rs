//! Causes that came late, for evidence of rules and for what monitors found.

use std::collections::BTreeMap;

use runtime::log::LogError;
use schemas::records::{AlertMatch, EnrichedCause};

use super::{
    super::{
        hits::{LeftOut, Missing},
        left_out,
        look::fits_by_cause,
        output,
        ring::{Changes, Hit, Place, Ring, amended},
    },
    COMMIT_RECORDS, Member,
};
use crate::metrics;

impl Member<'_> {
    /// Takes in causes that were found since the last look. What was told of their transactions is amended; what fits by its cause is told.
    ///
    /// # Errors
    /// What the log says.
    pub(super) async fn name_causes(&mut self) -> Result<(), LogError> {
        if self.parts.is_empty() || (self.rules.failures.is_empty() && self.monitors.is_empty()) {
            return Ok(());
        }
        let found = self.beside.late_causes(&self.parts).await;
        if found.is_empty() {
            return Ok(());
        }
        // All of one look are held against conditions as if they were a block.
        self.monitors.begin_block(self.context.config.alerts.max_steps);
        let mut newest = None;
        for (partition, cause) in found {
            if let Some(place) = self.name_cause(partition, &cause) {
                newest = Some((cause.network, place));
            }
            if self.records.len() >= COMMIT_RECORDS {
                self.commit().await?;
            }
        }
        if let Some((network, place)) = newest {
            let said: Vec<AlertMatch> =
                self.monitors.exhausted().map(|out| left_out::say(out, &network, &place)).collect();
            self.say(said);
        }
        Ok(())
    }

    /// Takes one in. The place of its transaction, where that waited for it.
    fn name_cause(&mut self, partition: u32, cause: &EnrichedCause) -> Option<Place> {
        let part = self.parts.get_mut(&partition)?;
        let (network, sequence, hash) = (&cause.network, cause.sequence, cause.transaction_hash);
        if let Some(failures) = part.failures.get_mut(network) {
            failures.name(sequence, hash, &cause.cause);
        }
        let codec = &*self.context.codec;
        let failed = part.late.entry(network.clone()).or_default().take(sequence, hash, &cause.cause);
        let ring = part.rings.entry(network.clone()).or_insert_with(|| Ring::new(network.clone()));
        let mut changes = Changes::default();
        let is_held = ring.name(sequence, hash, &cause.cause, &mut changes);
        if let Some(failed) = &failed {
            if !is_held {
                // It is final: what it gave is not to be taken back any more.
                changes.matches.extend(failed.given.iter().filter_map(|one| amended(one, &cause.cause)));
            }
            let hits = fits_by_cause(codec, &mut self.monitors, network, failed, &cause.cause);
            let (hits, cut) = hits.within(self.limits.ring_room());
            let left = too_many(ring.gives_more(&failed.place, hits, &mut changes));
            for of_one in cut.into_iter().chain(left) {
                changes.matches.push(left_out::say(of_one, network, &failed.place));
            }
        }
        if !changes.is_empty() {
            metrics::gave(network, changes.matches.len());
            let records = output::records(codec, self.limits, partition, network, ring, changes);
            self.records.extend(records);
        }
        failed.map(|failed| failed.place)
    }
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
