//! EVM nodes: blocks with receipts, checked, and hints of new heads.
//!
//! The seam is [`crate::source`]: a watcher sees one source per network, which is the [`fleet`] of its endpoints, be it one.
//!
//! In the order of their use: `types`, `endpoint`, `wire`; `http` (one exchange), `client` (calls with deadline and retries),
//! `receipts` (what takes several calls), `fetch` (a block that is believed), `together` (several in one request), `subscribe` and
//! `heads` (what is new, and when to ask); `trace` (why transactions failed), over `split`; `fleet` (all endpoints of a network).

mod assemble;
mod client;
mod encode;
mod endpoint;
mod fetch;
pub mod fleet;
mod heads;
mod http;
mod keccak;
mod receipts;
mod route;
mod rpc_error;
mod sender;
mod source;
mod split;
mod subscribe;
mod together;
pub mod trace;
mod trie;
mod types;
pub mod verify;
pub mod wire;

pub use self::{
    assemble::assemble,
    client::EvmClient,
    endpoint::{Endpoint, Tuning},
    types::{EvmBlock, EvmHead},
    verify::Checks,
};
