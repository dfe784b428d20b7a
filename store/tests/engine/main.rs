//! The embedded store against the real engine. Each test has a data directory and a process of its own. Where the engine is
//! not on the machine the tests fail and say how to fetch it.

mod analyst;
mod attempts;
mod clients;
mod contracts;
mod door;
mod harness;
mod kept;
mod lifecycle;
mod protocol;
#[path = "../resilience/room.rs"]
#[allow(dead_code)]
mod room;
mod shares;
mod tenants;
mod walls;
mod watched;
