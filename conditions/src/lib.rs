//! What alerts are raised by: rules over figures, and monitors over transactions, events and calls, with their expression language.
//!
//! Guarantee: pure: a function of definitions and records, without clock, log or network. Whatever a definition says, it is refused with the
//! path, and inside of an expression the character, of the smallest part that is wrong and with what to write instead, or it is taken and
//! means one thing; a `definition()` parses to the same thing again and has every default written out. Evaluation is exact (no number is
//! ever rounded), ends within [`limits::EXPRESSION_STEPS`](schemas::limits::conditions::EXPRESSION_STEPS) steps, and never panics, whatever a
//! chain says.
//!
//! * [`Rule`]: a figure of a network, contract or endpoint against a threshold or its own past. [`figures`]: what figures are, exactly;
//!   [`Trailing`]: the windows that they are taken from.
//!   [`trial`]: what a rule would have said of the past.
//! * [`Monitor`]: conditions over transactions. [`Index`]: all monitors of all tenants, and which of them fit a transaction.
//! * [`Expression`]: the language of conditions. What it means stands in docs/alerts.md.
//! * [`words`]: what a message says of an alert, with a monitor's template or without.
//! * [`fields`]: definitions are read strictly; [`span`]: durations.

pub mod change;
pub mod channel;
pub mod expression;
pub mod fields;
pub mod figures;
mod index;
pub mod monitor;
pub mod number;
mod party;
mod routing;
pub mod rule;
mod silence;
pub mod span;
pub mod trailing;
pub mod trial;
pub mod words;

pub use change::{Applied, Change, Part, Parts, Place, Reverted};
pub use channel::{Channel, ChannelConfig, ChannelKind, Kept, MailTls, Reach, WithSecrets};
pub use expression::Expression;
pub use figures::{Figure, Metric};
pub use index::{Entry, Exhausted, Hit, Index, Matched, Scratch};
pub use monitor::{Monitor, MonitorGroup, Wait};
pub use number::{Number, Relation};
pub use party::Party;
pub use routing::{Escalate, Hours, Route};
pub use rule::{Limit, Rule, RuleGroup};
pub use schemas::records::Severity;
pub use silence::{Silence, SilenceMatch, Silenced};
pub use trailing::Trailing;
