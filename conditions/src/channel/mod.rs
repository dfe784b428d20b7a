//! A channel: where messages go to, and which of them.
//!
//! Guarantee: a [`Channel`] holds no secret. In a definition a secret's place is either a text, which is new, or `{"set":true}`, which is
//! what was sealed before; [`Channel::with_secrets`] takes the texts out, and [`Channel::definition`] always writes `{"set":true}`.

mod config;
mod secrets;

pub use config::{ChannelConfig, ChannelKind, MailTls, Reach};
use schemas::{Mistake, limits::alerts as limits};
pub use secrets::{BASE64, Kept, WithSecrets};
use serde_json::{Value, json};

use crate::{Severity, fields::Fields};

/// A channel, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// What it is called; unique among the tenant's channels.
    pub name: String,
    /// Of which type it is, with what belongs to that.
    pub config: ChannelConfig,
    /// Alerts below it are not told here.
    pub min_severity: Severity,
    /// Messages in an hour; what is over it becomes one summary.
    pub per_hour: u32,
    /// Whether ends (resolved, retracted) are told, too.
    pub send_resolved: bool,
}

impl Channel {
    /// Reads a definition.
    ///
    /// # Errors
    /// Every mistake, with its path.
    pub fn parse(definition: &Value) -> Result<Self, Vec<Mistake>> {
        let mut fields = Fields::of(definition);
        let name = fields.name();
        let words = ChannelKind::ALL.map(|kind| (kind.word(), kind));
        let kind = match fields.wanted("type", "write of which type the channel is, such as `webhook`") {
            Some(_) => fields.word("type", &words),
            None => None,
        };
        let severities = [Severity::Critical, Severity::Warning, Severity::Info].map(|s| (s.as_str(), s));
        let min_severity = fields.word("min_severity", &severities).unwrap_or(Severity::Info);
        let per_hour = fields.number("per_hour", 1, limits::PER_HOUR_MOST.into());
        let send_resolved = fields.flag("send_resolved", true);
        fields.wanted("config", "write an object with what the type needs, such as `url`");
        let config = match (kind, fields.object("config")) {
            (Some(kind), Some(mut of_config)) => {
                let config = config::read(kind, &mut of_config);
                fields.tell_all(of_config.end());
                config
            }
            _ => None,
        };
        let mistakes = fields.end();
        match config {
            Some(config) if mistakes.is_empty() => Ok(Self {
                name,
                config,
                min_severity,
                per_hour: per_hour.and_then(|n| u32::try_from(n).ok()).unwrap_or(limits::PER_HOUR),
                send_resolved,
            }),
            _ => Err(mistakes),
        }
    }

    /// Which type it is of.
    pub fn kind(&self) -> ChannelKind {
        self.config.kind()
    }

    /// The definition with everything written out, and no secret.
    pub fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind().word(),
            "config": self.config.written(),
            "min_severity": self.min_severity.as_str(),
            "per_hour": self.per_hour,
            "send_resolved": self.send_resolved,
        })
    }
}
