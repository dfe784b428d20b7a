//! `alerts.events`, keyed by tenant: every transition of every alert, in order, kept 30 days. Written by the group `alerts.state`.

use crate::primitives::{Network, TimeMs, word_enum};

word_enum! {
    /// A transition of an alert.
    AlertEventKind, "event of an alert",
        "pending, fired, amended, acknowledged, repeated, resolved, retracted or included_again" {
        /// The condition holds, not long enough yet (`for`, `wait`).
        Pending = "pending",
        /// It is told.
        Fired = "fired",
        /// What it says changed: more matches, a late cause, a corrected window, another severity.
        Amended = "amended",
        /// Somebody has taken it on.
        Acknowledged = "acknowledged",
        /// It is told again, since it still holds (`repeat_every`, `escalate`).
        Repeated = "repeated",
        /// It is over.
        Resolved = "resolved",
        /// The chain has taken back what it rests on.
        Retracted = "retracted",
        /// What was taken back stands in the new branch.
        IncludedAgain = "included_again",
    }
}

/// A record of `alerts.events`: one transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertEvent {
    /// Whose.
    pub tenant: String,
    /// The alert, a ULID.
    pub alert_id: String,
    /// What happened.
    pub kind: AlertEventKind,
    /// Counts the transitions of this alert, from 1.
    pub revision: u64,
    /// When, by the stored clock that led to it: a block's time, a command's, or the stage's where a timer ran out.
    pub at: TimeMs,
    /// Who did it; `None` for the product itself.
    pub by: Option<String>,
    /// What the person said.
    pub note: Option<String>,
    /// The network.
    pub network: Network,
    /// The block event behind it.
    pub sequence: Option<u64>,
    /// Its height.
    pub height: Option<u64>,
    /// JSON: the alert after it, as an [`Alert`](super::Alert) without links.
    pub alert: String,
    /// JSON array of [`MatchSeen`](super::MatchSeen): those that this transition added or took back.
    pub matches: String,
}
