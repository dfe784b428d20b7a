//! The short way of a transaction through enrich: what it tells is looked up in its bytes, and these are passed on.
//!
//! Guarantee: a record that goes this way is the one that reading it whole, enriching it and writing it would give, byte for byte,
//! headers and key included; whatever is not as this program writes it, or would be too large, goes the long way
//! (`shortcut/tests.rs`: recorded, random and damaged records).

use runtime::log::{Children, NewRecord, Record as LogRecord, TopicPartition};
use schemas::{
    Codec, Op,
    passing::{LogView, Passing},
    profiles::Profile,
    records::RawBlock,
    topics,
};

use crate::steps::{enrich_figures, summary::Summing, transfers};

/// For the transactions of one block.
pub(crate) struct Shortcut<'e> {
    /// None where the block is not applied.
    passing: Option<Passing>,
    children: Children,
    limit: usize,
    // Kept from one transaction to the next.
    logs: Vec<LogView<'e>>,
    found: Vec<Option<(transfers::Found, usize)>>,
    texts: String,
}

impl<'e> Shortcut<'e> {
    /// For a block; `limit`: bytes that a value may have.
    pub fn new(codec: &Codec, block: &RawBlock, partition: u32, limit: usize) -> Self {
        let envelope = block.envelope.child();
        let to = TopicPartition { topic: topics::ENRICHED_TRANSACTIONS.name, partition };
        Self {
            passing: (envelope.op == Op::Apply).then(|| Passing::new(codec, &envelope)),
            children: Children::new(to, &envelope),
            limit,
            logs: Vec::new(),
            found: Vec::new(),
            texts: String::new(),
        }
    }

    /// The record for `enriched.transactions`, counted in the block's summary; `None`: the long way.
    pub fn pass_on(&mut self, profile: &Profile, summing: &mut Summing, raw: &'e LogRecord) -> Option<NewRecord> {
        let passing = self.passing.as_mut()?;
        let view = passing.look(raw.value.as_deref()?, &mut self.logs)?;
        let found = enrich_figures(profile, summing.in_block(), &view.figures);
        self.found.clear();
        self.texts.clear();
        for log in &self.logs {
            let event = transfers::look(log);
            self.found.push(event.map(|event| {
                event.write_arguments(&mut self.texts);
                (event, self.texts.len())
            }));
        }
        let mut start = 0;
        let events = self.found.iter().map(|event| {
            let (event, end) = event.as_ref()?;
            let arguments = &self.texts[start..*end];
            start = *end;
            Some((event.signature, arguments))
        });
        let value = passing.pass_on(&view, &self.logs, &found, events, self.limit)?;
        let transfers = self.found.iter().flatten().filter(|(e, _)| transfers::is_transfer(e.signature)).count();
        let emitters = self.logs.iter().map(|log| log.address().unwrap_or_default());
        summing.add(&view.figures, &found, emitters, transfers);
        Some(self.children.record(view.figures.transaction_index, value))
    }
}

#[cfg(test)]
mod tests;
