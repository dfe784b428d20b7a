//! The ring as it stands in `alerts.ring`: what is read back of it, and what is written.

use schemas::{
    BlockHash, TimeMs,
    records::{AlertMatch, AlertRing},
};

use super::{
    super::given::{Kept, Said, Waiting},
    Entry, REORG, Ring, identity,
};

impl Ring {
    /// Takes what a record of `alerts.ring` says; the newest of each key, in any order.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn restore(&mut self, record: &AlertRing) -> Result<(), serde_json::Error> {
        let said: Said = serde_json::from_str(&record.given)?;
        let sequence = record.sequence;
        if sequence == REORG {
            self.told = said.told.into_iter().collect();
            (self.over, self.undone) = (said.over.into_iter().collect(), said.undone.into_iter().collect());
            self.since = said.since.map(TimeMs);
            return Ok(());
        }
        let again = |kept: Kept| kept.into_match(&self.network, sequence);
        let entry = Entry {
            height: record.height,
            block_hash: record.block_hash.clone(),
            given: said.given.into_iter().filter_map(again).collect(),
            waiting: said.waiting.into_iter().filter_map(|w| Some((w.wait, again(w.kept)?))).collect(),
            taken_back: said.taken_back.into_iter().filter_map(again).collect(),
            ended: said.ended.into_iter().filter_map(again).collect(),
        };
        self.taken_back.extend(entry.taken_back.iter().filter_map(identity).map(|of| (of, sequence)));
        if !entry.waiting.is_empty() {
            self.waiting.insert(sequence);
        }
        // A block that stands: the tip is no lower.
        if !(entry.given.is_empty() && entry.waiting.is_empty()) {
            self.tip = self.tip.max(entry.height);
        }
        self.sequence = self.sequence.max(sequence);
        self.entries.insert(sequence, entry);
        Ok(())
    }

    /// Records of `alerts.ring` that changed; a value of `None` removes its key. `whole`: with all arguments.
    pub fn record(&self, sequence: u64, whole: bool) -> Option<AlertRing> {
        if sequence == REORG {
            if self.since.is_none() && self.over.is_empty() {
                return None;
            }
            let said = Said {
                told: self.told.iter().cloned().collect(),
                since: self.since.map(|since| since.0),
                over: self.over.iter().cloned().collect(),
                undone: self.undone.iter().cloned().collect(),
                ..Said::default()
            };
            return self.as_record(REORG, 0, None, &said);
        }
        let entry = self.entries.get(&sequence)?;
        let kept = |all: &[AlertMatch]| all.iter().filter_map(|found| Kept::of(found, whole)).collect();
        let waiting = entry.waiting.iter();
        let said = Said {
            given: kept(&entry.given),
            waiting: waiting.filter_map(|(wait, m)| Some(Waiting { wait: *wait, kept: Kept::of(m, whole)? })).collect(),
            taken_back: kept(&entry.taken_back),
            ended: kept(&entry.ended),
            ..Said::default()
        };
        self.as_record(sequence, entry.height, Some(&entry.block_hash), &said)
    }

    fn as_record(&self, sequence: u64, height: u64, hash: Option<&BlockHash>, said: &Said) -> Option<AlertRing> {
        let block_hash = match hash {
            Some(hash) => hash.clone(),
            None => alloy_primitives::B256::ZERO.into(),
        };
        // Texts and numbers alone, which always are JSON.
        let given = serde_json::to_string(said).ok()?;
        Some(AlertRing { network: self.network.clone(), sequence, height, block_hash, given })
    }
}
