//! What people ask of alerts: whose they are, one as it is this moment, and commands to the stage that keeps them (rule 29).

mod acknowledge;
mod audited;
mod commands;
mod shown;
mod whose;

pub use self::{
    acknowledge::{Acknowledged, WHAT, acknowledge, open},
    audited::audited,
    commands::Commands,
    shown::{Shown, shown},
    whose::{by, whose},
};
