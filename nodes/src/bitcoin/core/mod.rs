//! Bitcoin Core (25 to 31, and what speaks as it does): blocks with what they spend, headers, and a wake-up when there is something new.
//!
//! Guarantee: what a node says is bounded in bytes and time, parsed exactly, and checked: a header against its own hash and work, a block
//! against its header ([`super::block`]). What it does not have yet is *empty*, what it has pruned is *missing*, a node that starts is
//! *failing* and says for how long, and one that is in its initial download is *stale*; so the caller knows whom to ask instead.
//!
//! In the order of their use: `auth` (password, cookie), `http` (one exchange), `refusal` (what an error means), `wire` (JSON), `client`
//! (calls with deadline and retries), `chain` (heights, hashes, headers), `fetch` (a block that is believed), `prevouts` (what it spends),
//! `zmq` (wake-ups).

mod auth;
mod chain;
mod client;
mod fetch;
mod http;
mod prevouts;
mod refusal;
pub mod wire;
mod zmq;

pub use self::{
    chain::{ChainInfo, CoreHeader},
    client::{CoreClient, CoreTuning},
    fetch::CALLS,
};
