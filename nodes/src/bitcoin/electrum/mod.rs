//! Electrum servers: headers by the Electrum protocol, versions 1.4 to 1.6, over TCP and TLS.
//!
//! Guarantee: connections are few, persistent and bounded; whatever a server sends is read in bounded room and time, or the connection
//! ends; every header proves its work and every connection is of the chain that is wanted. A server gives no block's body: what it says of
//! transactions is a claim that nothing here believes.
//!
//! In the order of their use: [`tuning`]; `message` (a line), `lines`, `session` and `traffic` (one connection), `certificate` and `connect` (how it
//! comes about), `pool` (several of them); `refusal` (what an error means), [`answers`] (what an answer says), [`client`] (calls); [`heads`]
//! (the subscription to heads); [`status`] and [`scripts`] (subscriptions to scripts).
//!
//! Source: the Electrum protocol's documents (spesmilo/electrum-protocol), and what ElectrumX, electrs and Fulcrum do.

pub mod answers;
mod certificate;
pub mod client;
mod connect;
pub mod heads;
mod lines;
pub mod message;
mod metrics;
mod notice;
mod pool;
pub mod refusal;
pub mod scripts;
mod session;
pub mod status;
mod traffic;
pub mod tuning;

pub use self::{
    answers::{HistoryItem, Tip},
    certificate::{fingerprint, parse_fingerprint},
    client::ElectrumClient,
    heads::{Push, Subscription},
    metrics::describe,
    refusal::{TOO_LARGE_CODE, is_history_too_large},
    scripts::Scripts,
    status::{ScriptHash, Status},
    tuning::{ElectrumTuning, reconnect_waits},
};
