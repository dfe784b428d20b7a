//! What the stage is told at start-up.

use std::collections::HashMap;

use runtime::{
    beat::Board,
    config::{Alerts, Control},
};
use schemas::{
    Family, Network,
    records::stage_status::{stage, state},
};
use tokio::sync::watch;

/// The stage's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names this process to its groups, and is the end of its transactional ids (`[runtime] instance`).
    pub instance: String,
    /// The family of each network of the configuration, as that changes.
    pub families: watch::Receiver<HashMap<Network, Family>>,
    /// `[alerts]`.
    pub alerts: Alerts,
    /// `[control]`: what secrets of channels are sealed with follows from its secret; `None`: no channel with a secret can be used.
    pub control: Option<Control>,
    /// How people reach pages and API (`[api] public_url`, or its address), without a slash at the end: what links in messages begin with.
    pub public_url: String,
    /// What contracts did before anybody watched them.
    pub past: crate::past::Keeper,
    /// What the stage says of itself.
    pub board: Board,
}

impl Config {
    /// Of these networks, with the defaults of `[alerts]`.
    pub fn new(instance: impl Into<String>, families: HashMap<Network, Family>, public_url: &str) -> Self {
        Self::following(instance, watch::Sender::new(families).subscribe(), public_url)
    }

    /// The same, of networks that come and go.
    pub fn following(
        instance: impl Into<String>,
        families: watch::Receiver<HashMap<Network, Family>>,
        public_url: &str,
    ) -> Self {
        Self {
            instance: instance.into(),
            families,
            alerts: Alerts::default(),
            control: None,
            past: crate::past::Keeper::default(),
            public_url: public_url.trim_end_matches('/').to_owned(),
            board: Board::new(stage::ALERTS, state::RUNNING),
        }
    }
}
