//! What every stage stands on: life cycle, configuration, telemetry, the admin port, and the log with its
//! consume–process–produce loop.

pub mod admin;
pub mod beat;
pub mod cache;
pub mod config;
pub mod control;
pub mod facts;
pub mod hosts;
pub mod lifecycle;
pub mod log;
pub mod metrics;
pub mod private;
pub mod registry;
pub mod scripts;
pub mod secret;
pub mod targets;
pub mod telemetry;
