//! The records of alerts (rule 29): what matched, what became of it, what is to be sent, and what came of that.
//!
//! Texts named "JSON" are whole JSON values. An alert as people see it is an [`Alert`], a match a [`MatchSeen`].

mod alert;
mod command;
mod delivery;
mod event;
mod matched;
mod outbox;
mod ring;
mod state;

pub use alert::{Alert, AlertLinks, AlertPhase, MatchSeen, MatchState, Severity, rfc3339};
pub use command::{AlertCommand, Command};
pub use delivery::{AlertDelivery, DeliveryState};
pub use event::{AlertEvent, AlertEventKind};
pub use matched::{AlertMatch, AlertSource, Figured, Found, FoundKind, LeftOutKind, MatchOp, SourceKind};
pub use outbox::AlertOutbox;
pub use ring::AlertRing;
pub use state::AlertState;
