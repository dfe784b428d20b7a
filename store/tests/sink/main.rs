//! The sink, the tables and the queries against the real engine and the real embedded log. Where the engine is not on the
//! machine the tests fail and say how to fetch it.

mod alerts;
mod asks;
mod audit;
mod behind;
mod bitcoin;
mod bitcoin_chain;
mod causes;
mod chain;
mod chaos;
mod coarse;
mod counts;
mod cut;
mod day;
mod door;
mod failures;
mod fold;
mod gaps;
#[path = "../engine/harness.rs"]
#[allow(dead_code)]
mod harness;
mod history;
mod indexes;
mod keep;
mod letters;
mod log_and_store;
mod mend;
mod migrations;
mod queries;
mod recorded;
mod refused;
mod samples;
mod seen;
mod setup;
mod shown;
mod transfers;
mod upgrade;
mod values;
mod views;
mod watched_log;
mod windows;
mod windows_day;
