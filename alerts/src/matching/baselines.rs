//! What is usual: complete hours of `metrics.windows`, which rules with a baseline compare with.
//!
//! Guarantee (rule 30): a usual value is that of the complete hours that ended before the window that is compared, out of the log; of a
//! contract, hours without its transactions count as such, of those that began while it was watched. Without one complete hour nothing is usual.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::Address;
use conditions::{Metric, Number, figures};
use runtime::log::{Record, followed::Fold, pass_over};
use schemas::{
    Codec, Network, TimeMs,
    limits::alerts as limits,
    records::{Partial, Window},
};

const HOUR_MS: i64 = 3_600_000;
/// Hours that a baseline may be made of, and one more.
const KEPT_MS: i64 = 8 * 24 * HOUR_MS;

/// The hours of a network, by their beginning, of it and of its contracts.
#[derive(Debug, Clone, Default)]
pub struct Hours {
    of: HashMap<Option<Address>, BTreeMap<i64, Partial>>,
}

/// The hours of a partition's networks.
#[derive(Debug, Clone, Default)]
pub struct Baselines {
    networks: HashMap<Network, Hours>,
    held: usize,
    newest: i64,
}

impl Baselines {
    /// Those of a network.
    pub fn of(&self, network: &Network) -> Option<&Hours> {
        self.networks.get(network)
    }

    fn take_window(&mut self, window: Window) {
        let start = window.window_start.0;
        let hours = self.networks.entry(window.network).or_default().of.entry(window.contract).or_default();
        let before = hours.len();
        if window.complete {
            if before == 0 && self.held >= limits::BASELINE_HOURS {
                tracing::warn!(
                    most = limits::BASELINE_HOURS,
                    "too many contracts: of some, nothing is known to be usual"
                );
                return;
            }
            let partial = Partial { bins: None, senders: None, fees: None, ..window.partial };
            hours.insert(start, partial);
        } else {
            hours.remove(&start);
        }
        self.newest = self.newest.max(start);
        let oldest = self.newest.saturating_sub(KEPT_MS);
        while hours.first_key_value().is_some_and(|(start, _)| *start < oldest) {
            hours.pop_first();
        }
        self.held = (self.held + hours.len()).saturating_sub(before);
    }
}

impl Fold for Baselines {
    fn take(&mut self, codec: &Codec, record: &Record) {
        // network/contract/seconds/start
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
        if key.rsplit('/').nth(1) != Some("3600") {
            return;
        }
        // What went by age is no longer usual anyway.
        let Some(value) = &record.value else { return };
        match codec.decode::<Window>(value) {
            Ok(window) => self.take_window(window),
            Err(error) => pass_over(record, &error),
        }
    }
}

impl Hours {
    /// The usual value of a metric for a window of `ms` milliseconds that begins at `before`: over the complete hours of the `over`
    /// milliseconds before it, and none that began before `known_from`. A sum is what so long a window has of it.
    pub fn usual(
        &self,
        metric: Metric,
        contract: Option<Address>,
        before: TimeMs,
        over: i64,
        ms: i64,
        known_from: i64,
    ) -> Option<Number> {
        let (first, end) = (before.0.saturating_sub(over).max(known_from), before.0.saturating_sub(HOUR_MS));
        if end < first {
            return None;
        }
        // The network's hours say which are complete; a contract has none where nothing happened.
        let complete = self.of.get(&None)?.range(first..=end);
        let (mut sum, mut total_ms) = (Partial { bins: None, senders: None, fees: None, ..Partial::default() }, 0i64);
        let of_contract = contract.and_then(|contract| self.of.get(&Some(contract)));
        for (start, network) in complete {
            total_ms += HOUR_MS;
            match contract {
                None => sum.merge(network),
                Some(_) => {
                    if let Some(hour) = of_contract.and_then(|hours| hours.get(start)) {
                        sum.merge(hour);
                    }
                }
            }
        }
        figures::usual(metric, &sum, u64::try_from(total_ms).ok()?, u64::try_from(ms).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_before_a_contract_was_watched_are_not_usual() {
        let contract = Address::repeat_byte(7);
        let hour = |failed: u64| Partial { blocks: 1, transactions: failed + 1, failed, ..Partial::default() };
        let of_network: BTreeMap<i64, Partial> = (0..4).map(|at| (at * HOUR_MS, hour(90))).collect();
        // It fails ten times in each hour; two of them are held.
        let of_contract: BTreeMap<i64, Partial> = (2..4).map(|at| (at * HOUR_MS, hour(10))).collect();
        let hours = Hours { of: HashMap::from([(None, of_network), (Some(contract), of_contract)]) };
        let usual =
            |known: i64| hours.usual(Metric::Failed, Some(contract), TimeMs(4 * HOUR_MS), 4 * HOUR_MS, HOUR_MS, known);
        assert!(usual(i64::MIN) == Some(Number::from(5u64)));
        assert!(usual(2 * HOUR_MS) == Some(Number::from(10u64)) && usual(HOUR_MS + 1) == Some(Number::from(10u64)));
        assert!(usual(4 * HOUR_MS).is_none() && usual(i64::MAX).is_none());
    }
}
