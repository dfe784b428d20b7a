//! What of a tenant has a bound: the names that plans, the control store and `GET /usage` share.

use crate::limits::{accounts, control};

/// Something of which a tenant may have, or use, only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    /// Contracts that it calls its own.
    Contracts,
    /// Rules of alerts.
    Rules,
    /// Monitors.
    Monitors,
    /// Monitors at work that look at every transaction.
    UnindexedMonitors,
    /// Channels.
    Channels,
    /// Keys that were not revoked.
    Keys,
    /// People.
    Members,
    /// Requests of a minute, spread evenly (GCRA).
    RequestsPerMinute,
    /// Requests of a day (UTC).
    RequestsPerDay,
    /// WebSocket connections at the same time, of one process.
    Sockets,
    /// Rows that its previews and back-tests have the store look at in a day (UTC).
    BacktestRows,
    /// Messages of an hour, over all channels.
    DeliveriesPerHour,
}

impl Quota {
    /// All, in the order of the documents.
    pub const ALL: [Self; 12] = [
        Self::Contracts,
        Self::Rules,
        Self::Monitors,
        Self::UnindexedMonitors,
        Self::Channels,
        Self::Keys,
        Self::Members,
        Self::RequestsPerMinute,
        Self::RequestsPerDay,
        Self::Sockets,
        Self::BacktestRows,
        Self::DeliveriesPerHour,
    ];

    /// Those of things that there are, which are counted in the transaction that adds or removes one.
    pub const OF_THINGS: [Self; 7] = [
        Self::Contracts,
        Self::Rules,
        Self::Monitors,
        Self::UnindexedMonitors,
        Self::Channels,
        Self::Keys,
        Self::Members,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contracts => "contracts",
            Self::Rules => "rules",
            Self::Monitors => "monitors",
            Self::UnindexedMonitors => "unindexed_monitors",
            Self::Channels => "channels",
            Self::Keys => "keys",
            Self::Members => "members",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::RequestsPerDay => "requests_per_day",
            Self::Sockets => "sockets",
            Self::BacktestRows => "backtest_rows",
            Self::DeliveriesPerHour => "deliveries_per_hour",
        }
    }

    /// The one that is written so.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quota| quota.as_str() == word)
    }

    /// The most that any plan may give; `None`: as much as a number holds ([`MOST`](crate::limits::quotas::MOST)), and without a plan no bound.
    pub const fn most(self) -> Option<u64> {
        use crate::records::DefinitionKind as K;
        match self {
            Self::Contracts => Some(control::CONTRACTS as u64),
            Self::Rules => Some(control::definitions(K::Rule) as u64),
            Self::Monitors => Some(control::definitions(K::Monitor) as u64),
            Self::Channels => Some(control::definitions(K::Channel) as u64),
            Self::Keys => Some(control::KEYS as u64),
            Self::Members => Some(accounts::MEMBERS as u64),
            Self::UnindexedMonitors
            | Self::RequestsPerMinute
            | Self::RequestsPerDay
            | Self::Sockets
            | Self::BacktestRows
            | Self::DeliveriesPerHour => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::quotas;

    #[test]
    fn each_has_a_word_of_its_own() {
        for quota in Quota::ALL {
            assert_eq!(Quota::of_word(quota.as_str()), Some(quota));
            assert!(quota.most().is_none_or(|most| most <= quotas::MOST));
        }
        assert_eq!(Quota::of_word("quotas"), None);
    }
}
