//! Everything that speaks to a chain node.
//!
//! * [`source`]: the seam, a network as one source of blocks; [`changing`]: one whose endpoints change meanwhile.
//! * [`bitcoin`]: Bitcoin Core and Electrum servers.
//! * [`evm`]: Ethereum and everything that speaks its JSON-RPC.
//! * [`fleet`]: the endpoints of a network as one, whatever its family.
//! * [`error`]: what can go wrong with a node, classified once.
//! * `http`: what HTTP is to all of them; `tries`: how long is waited before what failed is tried again.
//! * [`mask`]: no credential of an endpoint ever reaches a message.
//!
//! Guarantee: what a node answers is a *claim*. It is bounded in size and time, parsed exactly, checked against itself and,
//! where the chain's profile says that this is possible, against its own hashes; nothing else leaves this crate.

pub mod bitcoin;
pub mod changing;
pub mod error;
pub mod evm;
pub mod fleet;
mod http;
pub mod mask;
pub mod metrics;
pub mod source;
mod tries;

pub use changing::Changing;
pub use error::{Class, Fault, Missing, NodeError, NodeErrorKind, Retry, with_causes};
pub use source::{ChainSource, Finality, Head, HeadView, SourceBlock, Word};
