//! The live edge: one reader of `enriched.blocks` and `enriched.transactions` for all WebSocket connections.
//!
//! Guarantee: every block event that the log shows after the start goes into its network's ring, in the network's order; each
//! is decoded and serialised at most once, and all connections share the bytes. A connection reads the rings at its own
//! pace; what it was too slow for, or what the reader lost, it is told ([`ring::Next::Behind`]). Memory does not grow with
//! connections. Live events may precede their visibility in the store.

pub mod alerts;
pub mod causes;
pub mod event;
pub mod mark;
pub mod rates;
pub mod reader;
pub mod ring;
pub mod windows;

pub use alerts::{Alerts, LiveAlert};
pub use causes::{Causes, LiveCause};
pub use event::LiveEvent;
pub use mark::Mark;
pub use rates::Rates;
pub use ring::{Next, Ring, Rings};
pub use windows::{LiveWindow, Windows};
