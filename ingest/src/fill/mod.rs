//! What is asked of a network, how far it is, and which heights are wanted: pure, without clock or I/O.
//!
//! * [`ranges`]: sets of heights.
//! * [`book`]: the requests of a network and the heights that it holds, as the checkpoint keeps them.
//! * [`chain`]: whether what was fetched is one chain, heights without a block included.

pub mod book;
pub mod chain;
pub mod ranges;
