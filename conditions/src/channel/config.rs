//! What belongs to each type of channel.

use std::collections::BTreeMap;

use schemas::limits::alerts as limits;
use serde_json::{Value, json};
use url::Url;

use super::secrets;
use crate::fields::Fields;

/// The type of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelKind {
    /// Standard Webhooks.
    Webhook,
    /// Slack's incoming webhook, or a bot.
    Slack,
    /// Discord's webhook.
    Discord,
    /// SMTP.
    Email,
    /// A Telegram bot.
    Telegram,
    /// PagerDuty's Events API v2.
    Pagerduty,
    /// Prometheus' Alertmanager, API v2.
    Alertmanager,
    /// A program of the operator's.
    Script,
}

impl ChannelKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Webhook,
        Self::Slack,
        Self::Discord,
        Self::Email,
        Self::Telegram,
        Self::Pagerduty,
        Self::Alertmanager,
        Self::Script,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Email => "email",
            Self::Telegram => "telegram",
            Self::Pagerduty => "pagerduty",
            Self::Alertmanager => "alertmanager",
            Self::Script => "script",
        }
    }
}

/// How mail is encrypted on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// The connection becomes TLS (RFC 3207); one that does not is not used.
    StartTls,
    /// TLS from the beginning (RFC 8314).
    Tls,
}

impl MailTls {
    const fn word(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// What a type needs, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelConfig {
    /// Secrets: `secret`, and the values of `headers`.
    Webhook {
        /// Where to.
        url: String,
        /// Names of further headers, lower case.
        headers: Vec<String>,
    },
    /// Secret: `url`.
    SlackWebhook,
    /// Secret: `token`.
    SlackBot {
        /// Channel's id or name.
        channel: String,
    },
    /// Secret: `url`.
    Discord,
    /// Secret: `password`.
    Email {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// Who logs in there; nobody where it is none.
        username: Option<String>,
        /// `From`.
        sender: String,
        /// `To`.
        recipients: Vec<String>,
        /// How it is encrypted.
        tls: MailTls,
    },
    /// Secret: `token`.
    Telegram {
        /// A number, or `@name`.
        chat_id: String,
    },
    /// Secret: `routing_key`.
    Pagerduty,
    /// No secret.
    Alertmanager {
        /// Its base, or its `/api/v2/alerts`.
        url: String,
    },
    /// No secret.
    Script {
        /// The program.
        path: String,
        /// What it is called with.
        arguments: Vec<String>,
        /// After so many milliseconds it is ended.
        timeout_ms: u64,
    },
}

/// What a channel is sent to, to be checked against the targets that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// A URL, and where it stands (`config.url`).
    Url(&'static str, Url),
    /// A host and a port, and where the host stands (`config.host`).
    Host(&'static str, String, u16),
    /// A program, and where it stands (`config.path`): allowed where scripts are, and one of the operator's directory (`[alerts] scripts`,
    /// `scripts_dir`).
    Script(&'static str, String),
    /// A service at an address of its own.
    Service,
}

impl ChannelConfig {
    /// Of which type it is.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Webhook { .. } => ChannelKind::Webhook,
            Self::SlackWebhook | Self::SlackBot { .. } => ChannelKind::Slack,
            Self::Discord => ChannelKind::Discord,
            Self::Email { .. } => ChannelKind::Email,
            Self::Telegram { .. } => ChannelKind::Telegram,
            Self::Pagerduty => ChannelKind::Pagerduty,
            Self::Alertmanager { .. } => ChannelKind::Alertmanager,
            Self::Script { .. } => ChannelKind::Script,
        }
    }

    /// What it is sent to. `secrets` are those of [`super::WithSecrets`]; a URL among them is read from there.
    pub fn reach(&self, secrets: &Value) -> Reach {
        let of_text = |text: Option<&str>| text.and_then(|text| Url::parse(text).ok());
        let url = match self {
            Self::Webhook { url, .. } | Self::Alertmanager { url } => of_text(Some(url)),
            Self::SlackWebhook | Self::Discord => of_text(secrets.get("url").and_then(Value::as_str)),
            Self::Email { host, port, .. } => return Reach::Host("config.host", host.clone(), *port),
            Self::Script { path, .. } => return Reach::Script("config.path", path.clone()),
            Self::SlackBot { .. } | Self::Telegram { .. } | Self::Pagerduty => None,
        };
        url.map_or(Reach::Service, |url| Reach::Url("config.url", url))
    }

    /// Whom its secrets are for: its type, and a URL's origin or a server's host and port where these are not the service's own.
    pub(super) fn target(&self) -> (ChannelKind, String) {
        let whom = match self {
            Self::Webhook { url, .. } | Self::Alertmanager { url } => {
                Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
            }
            Self::Email { host, port, .. } => format!("{}:{port}", host.to_ascii_lowercase()),
            _ => String::new(),
        };
        (self.kind(), whom)
    }

    /// As in a definition.
    pub(super) fn written(&self) -> Value {
        let set = secrets::set();
        match self {
            Self::Webhook { url, headers } => {
                let headers: BTreeMap<_, _> = headers.iter().map(|name| (name.as_str(), secrets::set())).collect();
                json!({"url": url, "secret": set, "headers": headers})
            }
            Self::SlackWebhook | Self::Discord => json!({"url": set}),
            Self::SlackBot { channel } => json!({"token": set, "channel": channel}),
            Self::Email { host, port, username, sender, recipients, tls } => json!({
                "host": host, "port": port, "username": username, "password": username.as_ref().map(|_| set),
                "sender": sender, "recipients": recipients, "tls": tls.word(),
            }),
            Self::Telegram { chat_id } => json!({"token": set, "chat_id": chat_id}),
            Self::Pagerduty => json!({"routing_key": set}),
            Self::Alertmanager { url } => json!({"url": url}),
            Self::Script { path, arguments, timeout_ms } => {
                json!({"path": path, "arguments": arguments, "timeout_ms": timeout_ms})
            }
        }
    }
}

/// Reads the configuration of a type.
pub(super) fn read(kind: ChannelKind, fields: &mut Fields<'_>) -> Option<ChannelConfig> {
    match kind {
        ChannelKind::Webhook => {
            let url = url(fields);
            secrets::optional(fields, "secret", secrets::signing_key);
            let headers = headers(fields);
            Some(ChannelConfig::Webhook { url: url?, headers })
        }
        ChannelKind::Slack => {
            let token = secrets::optional(fields, "token", secrets::opaque);
            let cure = "write the channel's id (such as C0123456789) or name";
            if token {
                let channel = needed(fields, "channel", 256, cure);
                if fields.value("url").is_some() {
                    fields.mistake("url", "stands beside `token`", "write `url`, or `token` and `channel`");
                }
                return Some(ChannelConfig::SlackBot { channel: channel? });
            }
            secrets::needed(fields, "url", secrets::url, "write the incoming webhook's URL, or `token` and `channel`")
                .then_some(ChannelConfig::SlackWebhook)
        }
        ChannelKind::Discord => {
            secrets::needed(fields, "url", secrets::url, "write the webhook's URL").then_some(ChannelConfig::Discord)
        }
        ChannelKind::Email => email(fields),
        ChannelKind::Telegram => {
            let token = secrets::needed(fields, "token", secrets::opaque, "write the bot's token");
            let cure = "write the chat's number, or `@` and its name";
            let chat_id = match fields.value("chat_id") {
                Some(Value::Number(number)) if number.is_i64() => Some(number.to_string()),
                _ => needed(fields, "chat_id", 256, cure),
            };
            token.then_some(ChannelConfig::Telegram { chat_id: chat_id? })
        }
        ChannelKind::Pagerduty => {
            secrets::needed(fields, "routing_key", secrets::opaque, "write the integration's key of 32 characters")
                .then_some(ChannelConfig::Pagerduty)
        }
        ChannelKind::Alertmanager => Some(ChannelConfig::Alertmanager { url: url(fields)? }),
        ChannelKind::Script => {
            let cure = "write the program's name in the operator's directory for programs, such as `page.sh`";
            let path = needed(fields, "path", 1_024, cure);
            if path
                .as_ref()
                .is_some_and(|path| path.contains('\0') || path.split('/').any(|part| matches!(part, "." | "..")))
            {
                fields.mistake("path", "has `.`, `..` or a zero byte in it", cure);
            }
            let arguments = arguments(fields);
            let most = u64::try_from(limits::SCRIPT_DEADLINE_MOST.as_millis()).unwrap_or(u64::MAX);
            let timeout_ms = fields.number("timeout_ms", 100, most).unwrap_or(10_000.min(most));
            Some(ChannelConfig::Script { path: path?, arguments, timeout_ms })
        }
    }
}

/// A text that must be there.
fn needed(fields: &mut Fields<'_>, key: &'static str, characters: usize, cure: &str) -> Option<String> {
    fields.wanted(key, cure)?;
    fields.text(key, characters)
}

/// A script's arguments, as they are; one may stand there twice.
fn arguments(fields: &mut Fields<'_>) -> Vec<String> {
    let mut arguments = Vec::new();
    for (place, value) in fields.list("arguments", limits::SCRIPT_ARGUMENTS).iter().enumerate() {
        match value.as_str().filter(|text| text.len() <= 1_024 && !text.contains('\0')) {
            Some(text) => arguments.push(text.to_owned()),
            None => fields.mistake(&format!("arguments.{place}"), "is no text", "write a text of at most 1,024 bytes"),
        }
    }
    arguments
}

const URL_CURE: &str = "write the whole URL: `https://`, the host, the path; without user and password";

fn url(fields: &mut Fields<'_>) -> Option<String> {
    let text = needed(fields, "url", limits::URL_CHARACTERS, URL_CURE)?;
    match secrets::url(&text) {
        Ok(text) => Some(text),
        Err(problem) => {
            fields.mistake("url", problem, URL_CURE);
            None
        }
    }
}

/// Headers that are ours or the connection's.
const OURS: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "accept-encoding",
];

fn headers(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(value) = fields.value("headers") else { return Vec::new() };
    let Some(map) = value.as_object() else {
        fields.mistake("headers", "is no object", "write an object of names and values");
        return Vec::new();
    };
    if map.len() > limits::HEADERS {
        fields.mistake("headers", format!("has {} headers", map.len()), format!("write at most {}", limits::HEADERS));
        return Vec::new();
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let mut names = Vec::with_capacity(map.len());
    for (name, value) in map {
        let (place, lower) = (format!("headers.{name}"), name.to_ascii_lowercase());
        if name.is_empty() || name.len() > 128 || !name.bytes().all(token) {
            fields.mistake(&place, "is no header's name", "write letters, digits and `-`");
        } else if OURS.contains(&lower.as_str()) || lower.starts_with("webhook-") {
            fields.mistake(&place, "is set by the sender itself", "leave it out");
        } else if names.contains(&lower) {
            fields.mistake(&place, "stands there twice", "write it once: names are compared without case");
        } else {
            if let Err(problem) = secrets::place(value, secrets::header_value) {
                fields.mistake(&place, problem, "write a text of visible ASCII characters and blanks");
            }
            names.push(lower);
        }
    }
    names.sort();
    names
}

fn email(fields: &mut Fields<'_>) -> Option<ChannelConfig> {
    let host = needed(fields, "host", 253, "write the server's name, such as `smtp.example.com`");
    let tls =
        fields.word("tls", &[("starttls", MailTls::StartTls), ("tls", MailTls::Tls)]).unwrap_or(MailTls::StartTls);
    let port = fields.number("port", 1, 65_535).unwrap_or(if tls == MailTls::Tls { 465 } else { 587 });
    let username = fields.text("username", 320);
    let password = secrets::optional(fields, "password", secrets::password);
    match (&username, password) {
        (Some(_), false) => fields.mistake("password", "is left out", "write the password of `username`"),
        (None, true) => fields.mistake("username", "is left out", "write whose password it is, or leave both out"),
        _ => {}
    }
    let address = "write an address, such as `alerts@example.com`";
    let sender = needed(fields, "sender", 320, address);
    let recipients = fields.texts("recipients", limits::RECIPIENTS, 320);
    if recipients.is_empty() {
        fields.mistake("recipients", "has nobody", "write one address at least");
    }
    let mut wrong = Vec::new();
    let all = sender.iter().map(|text| ("sender".to_owned(), text));
    for (place, text) in all.chain(recipients.iter().enumerate().map(|(n, text)| (format!("recipients.{n}"), text))) {
        if !is_address(text) {
            wrong.push(place);
        }
    }
    for place in wrong {
        fields.mistake(&place, "is no address", address);
    }
    let port = u16::try_from(port).ok()?;
    Some(ChannelConfig::Email { host: host?, port, username, sender: sender?, recipients, tls })
}

/// `LOCAL@DOMAIN` without display name, as it stands in an envelope (RFC 5321); what it means the server decides.
fn is_address(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>(),;:\\\"[]@".contains(c);
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && local.chars().all(plain) && !domain.is_empty() && domain.chars().all(plain)
    })
}
