//! The sink, the tables and the queries against the real engine and the real embedded log. Where the engine is not on the
//! machine the tests fail and say how to fetch it.

mod chain;
mod chaos;
#[path = "../engine/harness.rs"]
#[allow(dead_code)]
mod harness;
mod log_and_store;
mod mend;
mod migrations;
mod queries;
mod recorded;
mod setup;
mod views;
