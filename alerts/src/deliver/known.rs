//! Channels, templates and secrets as the control plane publishes them.

use control::{AckTokens, Sealer};
use runtime::config::Control;
use schemas::{TimeMs, records::DefinitionKind};
use serde_json::Value;

use super::{
    directory::{ChannelNow, Directory},
    words::Template,
};
use crate::definitions::Follower;

/// See the module.
pub struct Known {
    definitions: Follower,
    /// Why there is none, where there is none.
    sealer: Result<Sealer, String>,
    tokens: Option<AckTokens>,
}

impl Known {
    /// Of what is followed, with the control store's secret.
    pub fn new(definitions: Follower, control: Option<&Control>) -> Self {
        let sealer = match control {
            None => Err("this process has no `[control]`".to_owned()),
            Some(control) => Sealer::of(control).map_err(|error| error.to_string()),
        };
        let tokens = control.and_then(|control| AckTokens::of(control).ok());
        if let Err(why) = &sealer {
            tracing::warn!(why, "secrets of channels cannot be opened: only channels without any can be sent to");
        }
        Self { definitions, sealer, tokens }
    }
}

impl Directory for Known {
    fn channel(&self, tenant: &str, id: &str) -> Option<ChannelNow> {
        let known = self.definitions.known();
        let defined = known.of(tenant)?.channels.get(id)?;
        Some(ChannelNow {
            channel: defined.what.clone(),
            version: defined.version,
            sealed: defined.sealed.clone(),
            disabled: defined.disabled.clone(),
        })
    }

    fn others(&self, tenant: &str, id: &str) -> Vec<String> {
        let known = self.definitions.known();
        let Some(of) = known.of(tenant) else { return Vec::new() };
        let others = of.channels.iter().filter(|(other, defined)| other.as_str() != id && defined.disabled.is_none());
        others.map(|(other, _)| other.clone()).collect()
    }

    fn template(&self, tenant: &str, source: &Value) -> Option<Template> {
        if source.get("kind").and_then(Value::as_str) != Some("monitor") {
            return None;
        }
        let known = self.definitions.known();
        let monitor = known.of(tenant)?.monitors.get(source.get("id")?.as_str()?)?;
        monitor.what.template.clone()
    }

    fn open(&self, tenant: &str, id: &str, sealed: &str) -> Result<Value, String> {
        let sealer = self.sealer.as_ref().map_err(|why| format!("the channel's secrets cannot be opened: {why}"))?;
        sealer.open(tenant, DefinitionKind::Channel, id, sealed).map_err(|error| error.to_string())
    }

    fn acknowledge(&self, tenant: &str, alert_id: &str, message_id: &str, made_at: TimeMs) -> Option<String> {
        self.tokens.as_ref().map(|tokens| tokens.sign(tenant, alert_id, message_id, made_at))
    }
}
