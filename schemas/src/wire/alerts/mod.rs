//! The topics of alerts.

mod commands;
mod deliveries;
mod events;
mod matches;
mod outbox;
mod ring;
mod state;
