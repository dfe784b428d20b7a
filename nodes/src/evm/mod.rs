//! EVM nodes: blocks with receipts, checked, and hints of new heads.
//!
//! The seam is [`crate::source`]: a watcher sees one source per network. Today it is one endpoint ([`EvmClient`]); several behind a
//! router fit the same trait.
//!
//! In the order of their use: `types`, `endpoint`, `wire`; `http` (one exchange), `client` (calls with deadline and retries),
//! `receipts` and `heads` (what takes several calls), `fetch` (a block that is believed).

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
mod subscribe;
mod trie;
mod types;
pub mod verify;
pub mod wire;

pub use self::{
    assemble::assemble,
    client::EvmClient,
    endpoint::{Endpoint, Tuning},
    source::EvmSource,
    types::{EvmBlock, EvmHead},
    verify::Checks,
};
