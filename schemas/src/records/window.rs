//! `metrics.windows`, keyed `network/contract/seconds/start_ms`: what the blocks of a time did (rule 15). Written by the stage `aggregate`
//! only; of two records of a key the later one stands.

use alloy_primitives::{Address, U256};

use super::Partial;
use crate::primitives::{Network, TimeMs};

/// The window [start, start + size) of a network, or of one watched contract in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its network.
    pub network: Network,
    /// The contract; `None` of the network.
    pub contract: Option<Address>,
    /// Its size: one of [`crate::limits::windows::SECONDS`].
    pub window_seconds: u32,
    /// Its beginning, a whole number of sizes since 1970.
    pub window_start: TimeMs,
    /// Whether live blocks cover it without a gap, up to one whose time is at or past its end.
    pub complete: bool,
    /// Why it is not.
    pub reason: Option<String>,
    /// Of a contract: the block time from which on blocks were looked through for it. A window that begins before it lacks some.
    pub watched_from: Option<TimeMs>,
    /// The network's last event when this was reckoned: a higher one stands.
    pub sequence: u64,
    /// Height of the canonical tip then.
    pub height: u64,
    /// What its blocks did.
    pub partial: Partial,
    /// What follows from that, for readers without sketches.
    pub told: Told,
}

/// Figures that follow from a partial.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The plain mean of effective gas prices, rounded down.
    pub gas_price_avg: Option<U256>,
    /// Their median.
    pub gas_price_p50: Option<U256>,
    /// What 95 % of them do not exceed.
    pub gas_price_p95: Option<U256>,
    /// About how many different senders there were.
    pub senders: Option<u64>,
}

impl Told {
    /// Those of a partial.
    pub fn of(partial: &Partial) -> Self {
        Self {
            gas_price_avg: partial.gas_price_avg(),
            gas_price_p50: partial.gas_price(500),
            gas_price_p95: partial.gas_price(950),
            senders: partial.senders(),
        }
    }
}

impl Window {
    /// The record's key.
    pub fn key_of(network: &Network, contract: Option<Address>, window_seconds: u32, window_start: TimeMs) -> String {
        format!("{network}/{}/{window_seconds}/{}", text_of(contract), window_start.0)
    }

    /// The start of the window of this size that a time is in.
    pub fn start_of(time: TimeMs, window_seconds: u32) -> TimeMs {
        let size = i64::from(window_seconds.max(1)) * 1_000;
        TimeMs(time.0.saturating_sub(time.0.rem_euclid(size)))
    }

    /// The first millisecond behind it.
    pub fn end(&self) -> TimeMs {
        TimeMs(self.window_start.0.saturating_add(i64::from(self.window_seconds) * 1_000))
    }

    /// The same without its sketches: all that can be said of it is told, and no other window can be merged from it.
    #[must_use]
    pub fn without_sketches(self) -> Self {
        Self { partial: Partial { bins: None, senders: None, ..self.partial }, ..self }
    }
}

/// A contract as it stands in keys, records and rows: empty for the network as a whole.
pub fn text_of(contract: Option<Address>) -> String {
    contract.map(const_hex::encode_prefixed).unwrap_or_default()
}
