//! Secrets of a channel: taken out of what somebody wrote, kept over an edit, made where they are left out.
//!
//! Guarantee: what was sealed for one target is never sent to another: where the host, the port or a URL's origin changes, every secret has to
//! be written anew. A webhook's former secret goes on signing for a day after it was replaced (rotation), beside the new one, which comes first.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use schemas::{Mistake, TimeMs, limits::alerts as limits};
use serde_json::{Map, Value, json};

use super::{Channel, ChannelConfig, ChannelKind};
use crate::fields::Fields;

/// Base64 of signing secrets and signatures: standard, whose padding may be missing in what is read, and whose last bits may be anything, as the
/// libraries of Standard Webhooks take it.
pub const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A channel and what is to be sealed of it.
#[derive(Clone)]
pub struct WithSecrets {
    /// The channel; its definition has no secret.
    pub channel: Channel,
    /// An object of the secrets by their places in `config`, to be sealed; empty where there is none. `former` and `former_until`
    /// (milliseconds) are a webhook's secret before the last change.
    pub secrets: Value,
    /// What was made here and is to be shown once: an object of places in `config`.
    pub made: Option<Value>,
}

/// What was sealed before.
#[derive(Clone, Copy)]
pub struct Kept<'k> {
    /// [`WithSecrets::secrets`].
    pub secrets: &'k Value,
    /// The definition that they were of.
    pub of: &'k Value,
}

impl Channel {
    /// Reads a definition and takes its secrets out. `kept` are the ones sealed before, for places that say `{"set":true}`, or that are left
    /// out where one is made; `random` is what a signing secret is made of where there is none.
    ///
    /// # Errors
    /// Every mistake, with its path; also where `{"set":true}` stands and nothing was kept, or what was kept is for another target.
    pub fn with_secrets(
        definition: &Value,
        kept: Option<Kept<'_>>,
        now: TimeMs,
        random: [u8; 32],
    ) -> Result<WithSecrets, Vec<Mistake>> {
        let channel = Self::parse(definition)?;
        let written = definition.get("config").unwrap_or(&Value::Null);
        let same = |of: &Value| Self::parse(of).is_ok_and(|of| of.config.target() == channel.config.target());
        let moved = kept.is_some_and(|kept| !same(kept.of));
        let kept = kept.filter(|_| !moved).map(|kept| kept.secrets);
        let mut mistakes = Vec::new();
        let mut secrets = Map::new();
        for name in places(&channel.config) {
            let before = kept.and_then(|kept| kept.get(name));
            match written.get(name) {
                Some(Value::String(text)) => {
                    let text = if *name == "url" { config_url(text) } else { text.clone() };
                    secrets.insert((*name).to_owned(), text.into());
                }
                Some(Value::Object(_)) => {
                    if let Some(before) = kept_of(before, name, moved, &mut mistakes) {
                        secrets.insert((*name).to_owned(), before);
                    }
                }
                _ => {
                    if let Some(before) = before.filter(|_| *name == "secret") {
                        secrets.insert((*name).to_owned(), before.clone());
                    }
                }
            }
        }
        let mut made = None;
        if let ChannelConfig::Webhook { headers, .. } = &channel.config {
            if !secrets.contains_key("secret") && mistakes.is_empty() {
                let text = format!("whsec_{}", BASE64.encode(random));
                made = Some(json!({"secret": text}));
                secrets.insert("secret".to_owned(), text.into());
            }
            rotate(&mut secrets, kept, now);
            let mut values = Map::new();
            let given = written.get("headers").and_then(Value::as_object);
            for name in headers {
                let value = match given.and_then(|given| given.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))) {
                    Some((_, Value::String(text))) => Some(text.clone().into()),
                    _ => {
                        let before = kept.and_then(|kept| kept.get("headers")?.get(name));
                        kept_of(before, &format!("headers.{name}"), moved, &mut mistakes)
                    }
                };
                if let Some(value) = value {
                    values.insert(name.clone(), value);
                }
            }
            if !values.is_empty() {
                secrets.insert("headers".to_owned(), Value::Object(values));
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(WithSecrets { channel, secrets: Value::Object(secrets), made })
    }
}

/// Keeps the former secret for a while.
fn rotate(secrets: &mut Map<String, Value>, kept: Option<&Value>, now: TimeMs) {
    let Some(kept) = kept else { return };
    let before = kept.get("secret");
    if before.is_some() && before != secrets.get("secret") {
        let until = now.0.saturating_add(i64::try_from(limits::ROTATION.as_millis()).unwrap_or(i64::MAX));
        secrets.insert("former".to_owned(), before.cloned().unwrap_or_default());
        secrets.insert("former_until".to_owned(), until.into());
    } else if kept.get("former_until").and_then(Value::as_i64).is_some_and(|until| until > now.0) {
        for name in ["former", "former_until"] {
            secrets.insert(name.to_owned(), kept.get(name).cloned().unwrap_or_default());
        }
    }
}

/// What was kept of a place; that nothing was is a mistake. `moved`: what there was is for another target.
fn kept_of(before: Option<&Value>, name: &str, moved: bool, mistakes: &mut Vec<Mistake>) -> Option<Value> {
    if before.is_none() {
        let problem = match moved {
            true => "was set for another target (type, host, port or origin), and is not sent to this one",
            false => "says that it is set, and nothing was set before",
        };
        let cure = match name {
            "secret" => "write the secret itself, or `null`: then a new one is made",
            _ => "write the secret itself",
        };
        mistakes.push(Mistake::new(format!("config.{name}"), problem, cure));
    }
    before.cloned()
}

/// Places of secrets, without a webhook's headers.
fn places(config: &ChannelConfig) -> &'static [&'static str] {
    match config {
        ChannelConfig::SlackBot { .. } => &["token"],
        ChannelConfig::Email { .. } => &["password"],
        other => match other.kind() {
            ChannelKind::Webhook => &["secret"],
            ChannelKind::Slack | ChannelKind::Discord => &["url"],
            ChannelKind::Telegram => &["token"],
            ChannelKind::Pagerduty => &["routing_key"],
            ChannelKind::Email | ChannelKind::Alertmanager | ChannelKind::Script => &[],
        },
    }
}

/// How a secret that is set is shown.
pub(super) fn set() -> Value {
    json!({"set": true})
}

/// What stands in a secret's place: a text that is checked, or [`set`].
pub(super) fn place(value: &Value, check: impl Fn(&str) -> Result<String, String>) -> Result<(), String> {
    match value {
        Value::String(text) => check(text).map(drop),
        value if *value == set() => Ok(()),
        _ => Err("is neither a text nor `{\"set\":true}`".to_owned()),
    }
}

/// Reads a secret's place; whether something stands there.
pub(super) fn optional(
    fields: &mut Fields<'_>,
    name: &'static str,
    check: impl Fn(&str) -> Result<String, String>,
) -> bool {
    let Some(value) = fields.value(name) else { return false };
    if let Err(problem) = place(value, check) {
        fields.mistake(
            name,
            problem,
            "write the secret as the service shows it, or `{\"set\":true}` for the one that is set",
        );
    }
    true
}

/// The same, of one that must be there.
pub(super) fn needed(
    fields: &mut Fields<'_>,
    name: &'static str,
    check: impl Fn(&str) -> Result<String, String>,
    cure: &str,
) -> bool {
    let there = optional(fields, name, check);
    if !there {
        fields.mistake(name, "is missing", cure);
    }
    there
}

fn config_url(text: &str) -> String {
    url(text).unwrap_or_else(|_| text.to_owned())
}

/// A URL that something may be sent to, as it is written canonically; which hosts are allowed is asked elsewhere.
pub(super) fn url(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > limits::URL_CHARACTERS {
        return Err(format!("has more than {} characters", limits::URL_CHARACTERS));
    }
    let url = url::Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("begins with `{}:`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password in it".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a fragment (`#…`), which is never sent".to_owned());
    }
    Ok(url.into())
}

/// A token of a service.
pub(super) fn opaque(text: &str) -> Result<String, String> {
    let visible = !text.is_empty() && text.len() <= limits::SECRET_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
    if visible { Ok(text.to_owned()) } else { Err("is no token: visible ASCII characters without blanks".to_owned()) }
}

/// A password: any text without control characters.
pub(super) fn password(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= limits::SECRET_BYTES && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("is empty, too long, or has a control character in it".to_owned()) }
}

/// The value of a header (RFC 9110, 5.5), without bytes beyond ASCII.
pub(super) fn header_value(text: &str) -> Result<String, String> {
    let fits = text.len() <= limits::SECRET_BYTES && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("is no header's value".to_owned()) }
}

/// A signing secret of Standard Webhooks: `whsec_` (may be left out) and 24 to 64 bytes, or `whsk_` and 32 or 64.
pub(super) fn signing_key(text: &str) -> Result<String, String> {
    let (base64, fits): (_, fn(usize) -> bool) = match text.strip_prefix("whsk_") {
        Some(rest) => (rest, |bytes| bytes == 32 || bytes == 64),
        None => (text.strip_prefix("whsec_").unwrap_or(text), |bytes| (24..=64).contains(&bytes)),
    };
    match BASE64.decode(base64) {
        Ok(bytes) if fits(bytes.len()) => Ok(text.to_owned()),
        Ok(bytes) => Err(format!("has {} bytes; `whsec_` takes 24 to 64, `whsk_` 32 or 64", bytes.len())),
        Err(_) => Err("is no signing secret: `whsec_` or `whsk_`, and base64".to_owned()),
    }
}
