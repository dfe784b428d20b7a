//! Who has which partition in its hands, by what the stages say of themselves (`stage.status`, rule 27).
//!
//! Guarantee: what was said is put in order by when it was said, so that a word that came late into the log is not taken for a second hand.
//! A partition on which no network lives is spoken of by nobody.

use crate::failure::Failure;
use runtime::log::{Log, PollLimits, Polled, Reader, TopicPartition};
use schemas::records::StageStatus;
use schemas::{Codec, topics};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Holders of one partition in the order in which they spoke, and when the last of them did, by the clock.
#[derive(Clone, Debug, Default)]
struct Spoke {
    holders: Vec<String>,
    at: i64,
}

/// What was said since the last change.
#[derive(Clone, Debug, Default)]
pub(super) struct Said(BTreeMap<String, Spoke>);

impl Said {
    /// Somebody says that this is in its hands; whether somebody else had it before.
    fn hear(&mut self, what: String, who: &str, at: i64) -> bool {
        let spoke = self.0.entry(what).or_default();
        if at < spoke.at {
            return false;
        }
        spoke.at = at;
        let is_new = spoke.holders.last().is_none_or(|last| last != who);
        if is_new {
            spoke.holders.push(who.to_owned());
        }
        is_new
    }

    /// What was going on is over: what two had at the same time meanwhile, after the name of it. Of what was said only the last holder counts on.
    #[must_use = "what is not kept is not counted"]
    pub(super) fn over(&mut self, name: &str) -> Vec<String> {
        let doubled = self.doubled().into_iter().map(|doubled| format!("{name}: {doubled}")).collect();
        for spoke in self.0.values_mut() {
            let before = spoke.holders.len().saturating_sub(1);
            spoke.holders.drain(..before);
        }
        doubled
    }

    /// How often something passed from hand to hand.
    pub(super) fn moved(&self) -> usize {
        self.0.values().map(|spoke| spoke.holders.len().saturating_sub(1)).sum()
    }

    /// What two had at the same time: each went on to speak of it after the other.
    pub(super) fn doubled(&self) -> Vec<String> {
        let is_doubled = |spoke: &Spoke| spoke.holders.windows(4).any(|w| w[0] == w[2] && w[1] == w[3]);
        let all = self.0.iter().filter(|(_, spoke)| is_doubled(spoke));
        all.map(|(what, spoke)| format!("{what}: {}", spoke.holders.join(", "))).collect()
    }

    /// How many are spoken of.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// A reader of `stage.status`.
pub(super) struct Hands {
    reader: Box<dyn Reader>,
    codec: Codec,
    /// What was said.
    pub said: Said,
    /// When something last passed to another hand.
    pub changed: Instant,
}

impl Hands {
    /// From the beginning.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn follow(log: &dyn Log) -> Result<Self, Failure> {
        let at = TopicPartition { topic: topics::STAGE_STATUS.name, partition: 0 };
        let reader = log.reader(&[(at, 0)]).await?;
        Ok(Self { reader, codec: Codec::builtin(), said: Said::default(), changed: Instant::now() })
    }

    /// Takes in what came, and waits a little where nothing did.
    ///
    /// # Errors
    /// The log cannot be read, or a record of it.
    pub(super) async fn poll(&mut self) -> Result<(), Failure> {
        let limits = PollLimits { records: 1_000, bytes: 4 << 20, wait: Duration::from_millis(20) };
        let Polled::Records(records) = self.reader.poll(limits).await? else { return Ok(()) };
        for value in records.iter().filter_map(|record| record.value.as_deref()) {
            let status: StageStatus = self.codec.decode(value)?;
            let (Some(_), Some(partition)) = (&status.network, status.partition) else { continue };
            let what = format!("{} {partition}", status.stage);
            if self.said.hear(what, &status.instance, status.at.0) {
                self.changed = Instant::now();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[(&str, i64)]) -> Said {
        let mut said = Said::default();
        for (who, at) in words {
            said.hear("ingest 7".to_owned(), who, *at);
        }
        said
    }

    #[test]
    fn what_passes_on_is_no_second_hand() {
        let passed = said(&[("a", 1), ("a", 2), ("b", 5), ("b", 10)]);
        assert_eq!((passed.moved(), passed.doubled().len(), passed.count()), (1, 0, 1));
        // A word of the former holder that was under way.
        let late = said(&[("a", 1), ("b", 5), ("a", 4), ("b", 10)]);
        assert_eq!((late.moved(), late.doubled().len()), (1, 0));
        let back = said(&[("a", 1), ("b", 5), ("a", 9)]);
        assert_eq!((back.moved(), back.doubled().len()), (2, 0));
    }

    #[test]
    fn two_who_go_on_to_speak_are_two_hands() {
        let mut two = said(&[("a", 1), ("b", 2), ("a", 6), ("b", 7)]);
        assert_eq!(two.over("the start"), ["the start: ingest 7: a, b, a, b"]);
        assert!(two.over("nothing").is_empty() && two.moved() == 0);
        assert!(!two.hear("ingest 7".to_owned(), "b", 12));
    }
}
