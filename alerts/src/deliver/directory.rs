//! What deliver asks of definitions and of the control store's secret.

use std::sync::Arc;

use conditions::Channel;
use schemas::TimeMs;
use serde_json::Value;

use super::words::Template;

/// A channel as it is defined now.
#[derive(Debug, Clone)]
pub struct ChannelNow {
    /// What it is.
    pub channel: Arc<Channel>,
    /// Counts its edits: what was disabled is tried again once it has risen.
    pub version: u64,
    /// Its secrets, sealed.
    pub sealed: Option<String>,
    /// Why nothing is sent to it.
    pub disabled: Option<String>,
}

/// Where channels, templates and secrets are looked up.
pub trait Directory: Send + Sync {
    /// A tenant's channel; `None`: there is none.
    fn channel(&self, tenant: &str, id: &str) -> Option<ChannelNow>;

    /// Ids of the tenant's other channels that are in use.
    fn others(&self, tenant: &str, id: &str) -> Vec<String>;

    /// The template of an alert's monitor, by `source` of the alert.
    fn template(&self, tenant: &str, source: &Value) -> Option<Template>;

    /// Opens a channel's secrets.
    ///
    /// # Errors
    /// They cannot be opened; the text names no secret.
    fn open(&self, tenant: &str, id: &str, sealed: &str) -> Result<Value, String>;

    /// The token of the link that acknowledges an alert: the same for the same message.
    fn acknowledge(&self, tenant: &str, alert_id: &str, message_id: &str, made_at: TimeMs) -> Option<String>;
}
