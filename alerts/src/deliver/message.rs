//! From a record of the outbox to what a channel is sent.
//!
//! Guarantee: what a message says is a function of its record, its channel and its monitor's template: the same on every attempt.

use std::sync::Arc;

use hmac::{Hmac, Mac};
use schemas::{TimeMs, records::AlertOutbox};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    channels::{self, Outgoing, Plan, Services},
    directory::{ChannelNow, Directory},
    lanes::Credential,
    words,
};

/// What a message is made with.
pub struct Maker<'d> {
    /// Where channels are looked up.
    pub directory: &'d dyn Directory,
    /// What links begin with, without a slash at the end.
    pub public_url: &'d str,
    /// Where services are.
    pub services: &'d Services,
}

impl Maker<'_> {
    /// The channel's secrets, opened.
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn secrets(&self, record: &AlertOutbox, channel: &ChannelNow) -> Result<Value, String> {
        match &channel.sealed {
            None => Ok(Value::Null),
            Some(sealed) => self.directory.open(&record.tenant, &record.channel_id, sealed),
        }
    }

    /// What is done to send it.
    ///
    /// # Errors
    /// It cannot be sent as things are.
    pub fn plan(
        &self,
        record: &AlertOutbox,
        channel: &ChannelNow,
        secrets: &Value,
        thread: Option<&str>,
        now: TimeMs,
    ) -> Result<Plan, String> {
        let body = self.body(record, channel)?;
        let template = body.get("source").and_then(|source| self.directory.template(&record.tenant, source));
        let words = words::words(&record.kind, &body, record.created_at, template.as_ref());
        let out = Outgoing {
            id: &record.id,
            kind: &record.kind,
            alert_id: record.alert_id.as_deref(),
            channel_id: &record.channel_id,
            created_at: record.created_at,
            attempts: record.attempts,
            body: &body,
            words: &words,
            thread,
            now,
            services: self.services,
        };
        channels::plan(&channel.channel.config, secrets, &out)
    }

    /// The record's body with its links.
    fn body(&self, record: &AlertOutbox, channel: &ChannelNow) -> Result<Value, String> {
        let mut body: Value = serde_json::from_str(&record.body).map_err(|e| format!("its body is no JSON: {e}"))?;
        let page = self.public_url;
        match &record.alert_id {
            Some(alert) => {
                let mut links = json!({"dashboard": format!("{page}/alerts/{alert}")});
                if body.get("state").and_then(Value::as_str) == Some("firing") {
                    let token = self.directory.acknowledge(&record.tenant, alert, &record.id, record.created_at);
                    if let (Some(token), Some(links)) = (token, links.as_object_mut()) {
                        links.insert("acknowledge".to_owned(), format!("{page}/ack/{token}").into());
                    }
                }
                if let Some(body) = body.as_object_mut() {
                    body.insert("links".to_owned(), links);
                }
            }
            None => {
                if let Some(body) = body.as_object_mut() {
                    let path = if record.kind == "channel.test" { "channels" } else { "alerts" };
                    body.insert("links".to_owned(), json!({"dashboard": format!("{page}/{path}")}));
                    if record.kind == "channel.test" {
                        body.insert("name".to_owned(), channel.channel.name.clone().into());
                    }
                }
            }
        }
        Ok(body)
    }
}

/// What a credential is known by: a digest under a key of this process, from which nothing can be told.
pub struct Digests(Hmac<Sha256>);

impl Digests {
    /// With a key of its own.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new() -> Result<Self, String> {
        let key = runtime::private::random::<32>().map_err(|e| format!("no random numbers: {e}"))?;
        Hmac::new_from_slice(&key).map(Self).map_err(|e| e.to_string())
    }

    /// Of a channel with its secrets. Two channels of one tenant that have the same share their lane.
    pub fn of(&self, tenant: &str, channel: &ChannelNow, secrets: &Value) -> Credential {
        let config = channel.channel.definition().get("config").cloned().unwrap_or_default();
        let mut mac = self.0.clone();
        mac.update(json!([tenant, channel.channel.kind().word(), config, secrets]).to_string().as_bytes());
        let digest = mac.finalize().into_bytes();
        let text: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Arc::from(text)
    }
}
