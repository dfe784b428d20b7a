//! What every stage stands on: life cycle, configuration, telemetry, the admin port, and the log with its
//! consume–process–produce loop.

pub mod config;
pub mod log;
