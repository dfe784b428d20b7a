//! Bitcoin nodes: blocks with what they spend from Bitcoin Core, headers from Core and Electrum servers, all of them checked.
//!
//! The seam is [`crate::source`]: a watcher sees one source per network, which is the [`fleet`] of its endpoints, of whichever kind.
//!
//! In the order of their use: [`endpoint`] (an address as configured), [`header`] (80 bytes, proof of work, median time), [`block`] (raw
//! bytes to a block that is believed), [`core`] (Bitcoin Core over RPC, REST and ZMQ), [`electrum`] (the protocol over TCP and TLS),
//! [`fleet`] (all endpoints of a network).

pub mod block;
pub mod core;
pub mod electrum;
pub mod endpoint;
pub mod fleet;
pub mod header;

pub use self::{
    block::BitcoinBlock,
    endpoint::{Endpoint, Kind},
};
