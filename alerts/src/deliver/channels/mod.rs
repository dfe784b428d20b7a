//! The types of channels: what is asked of each service, and what its answers mean.
//!
//! Guarantee: pure. [`plan`] makes of a message what is to be done, [`Judge::verdict`] of an answer what became of it; neither connects to
//! anything. What must not be in a log (URLs, tokens) is in requests only, never in a verdict of ours; a service's own words are cut.

mod alertmanager;
mod discord;
mod email;
mod pagerduty;
mod script;
mod slack;
pub(super) mod telegram;
mod webhook;

use std::time::Duration;

use conditions::ChannelConfig;
pub use email::Mail;
use schemas::{TimeMs, limits::alerts as limits};
pub use script::Call;
use serde_json::Value;
use url::Url;

use super::words::{Words, cut};

/// Where services are whose address is their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// Slack's API; ends with a slash.
    pub slack: String,
    /// Telegram's; ends with a slash.
    pub telegram: String,
    /// PagerDuty's events.
    pub pagerduty: String,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            slack: "https://slack.com/api/".to_owned(),
            telegram: "https://api.telegram.org/".to_owned(),
            pagerduty: "https://events.pagerduty.com/v2/enqueue".to_owned(),
        }
    }
}

/// A message on its way to one channel.
pub struct Outgoing<'m> {
    /// The message's id, the same on every attempt.
    pub id: &'m str,
    /// Its type.
    pub kind: &'m str,
    /// The alert, where it is of one.
    pub alert_id: Option<&'m str>,
    /// The channel's id.
    pub channel_id: &'m str,
    /// When it came about: the message's `timestamp`.
    pub created_at: TimeMs,
    /// Attempts before this one.
    pub attempts: u32,
    /// `data.alert`, or what stands in its place.
    pub body: &'m Value,
    /// The same in words.
    pub words: &'m Words,
    /// The service's id of the alert's first message.
    pub thread: Option<&'m str>,
    /// When this attempt is made.
    pub now: TimeMs,
    /// Where services are.
    pub services: &'m Services,
}

impl Outgoing<'_> {
    /// Whether it begins a thread: it has none to belong to, or is the first of its alert.
    fn follows(&self) -> Option<&str> {
        self.thread.filter(|_| self.alert_id.is_some() && self.kind != "alert.firing")
    }

    /// The body of a webhook: Standard Webhooks' form. The same bytes on every attempt.
    fn json(&self) -> Vec<u8> {
        webhook::json(self)
    }
}

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// POST.
    Post,
    /// PATCH.
    Patch,
}

/// A request, whole.
#[derive(Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where to; may be a secret.
    pub url: Url,
    /// Headers; `content-type` is among them.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    fn json(method: Method, url: Url, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Self { method, url, headers, body: body.to_string().into_bytes() }
    }
}

/// An answer, up to a limit.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers that are looked at, by their lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Headers of answers that are looked at.
pub const LOOKED_AT: [&str; 3] = ["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset-after"];

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(there, _)| *there == name).map(|(_, value)| value.trim())
    }
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
    /// What is told of it.
    fn told(&self) -> String {
        let text = self.text();
        let text = if text.starts_with('<') { "a page" } else { text.as_str() };
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let words = cut(&text, limits::ERROR_CHARACTERS / 2);
        if words.is_empty() { format!("status {}", self.status) } else { format!("status {}: {words}", self.status) }
    }
    /// `Retry-After`: whole seconds, or a date (RFC 9110, 10.2.3); a day at most.
    fn retry_after(&self, now: TimeMs) -> Option<Duration> {
        let text = self.header("retry-after")?;
        let wait = match text.parse::<f64>() {
            Ok(seconds) => seconds_of(seconds)?,
            Err(_) => {
                let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
                at.saturating_sub(Duration::from_millis(u64::try_from(now.0).unwrap_or(0)))
            }
        };
        Some(wait.min(MOST_WAIT))
    }
}

/// The longest that a service may make us wait.
const MOST_WAIT: Duration = Duration::from_secs(86_400);

fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 86_400.0)).ok()
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Sent {
        /// The service's id of the message.
        thread: Option<String>,
        /// The service wants no more for so long.
        hold: Option<Duration>,
    },
    /// It is tried again.
    Retry {
        /// Not earlier than this.
        at_least: Option<Duration>,
        /// The whole destination is to be left alone for that long.
        hold: Option<Duration>,
        /// Why.
        why: String,
    },
    /// It is not tried again by itself.
    Final {
        /// Why.
        why: String,
        /// Nothing can be sent there any more until somebody changes the channel.
        disable: bool,
    },
}

impl Verdict {
    fn sent() -> Self {
        Self::Sent { thread: None, hold: None }
    }
    fn last(why: impl Into<String>) -> Self {
        Self::Final { why: why.into(), disable: false }
    }
    fn disable(why: impl Into<String>) -> Self {
        Self::Final { why: why.into(), disable: true }
    }
    /// Something that may pass.
    pub fn retry(why: impl Into<String>) -> Self {
        Self::Retry { at_least: None, hold: None, why: why.into() }
    }
    /// The service wants to be asked more slowly.
    fn slower(wait: Option<Duration>, why: impl Into<String>) -> Self {
        Self::Retry { at_least: wait, hold: Some(wait.unwrap_or(Duration::from_secs(5))), why: why.into() }
    }
}

/// Who judges an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// Standard Webhooks.
    Webhook,
    /// Slack's incoming webhook.
    SlackWebhook,
    /// Slack's API.
    SlackApi,
    /// Discord.
    Discord,
    /// Telegram.
    Telegram,
    /// PagerDuty.
    Pagerduty,
    /// Alertmanager.
    Alertmanager,
}

impl Judge {
    /// What an answer means.
    pub fn verdict(self, answer: &Answer, now: TimeMs) -> Verdict {
        match self {
            Self::Webhook => webhook::verdict(answer, now),
            Self::SlackWebhook => slack::verdict_of_webhook(answer, now),
            Self::SlackApi => slack::verdict_of_api(answer, now),
            Self::Discord => discord::verdict(answer, now),
            Self::Telegram => telegram::verdict(answer, now),
            Self::Pagerduty => pagerduty::verdict(answer, now),
            Self::Alertmanager => usual(answer, now),
        }
    }
}

/// What most services mean: 408, 425, 429 and 5xx may pass, another 4xx will not.
fn usual(answer: &Answer, now: TimeMs) -> Verdict {
    match answer.status {
        200..=299 => Verdict::sent(),
        429 => Verdict::slower(answer.retry_after(now), answer.told()),
        408 | 425 | 500..=599 => {
            Verdict::Retry { at_least: answer.retry_after(now), hold: answer.retry_after(now), why: answer.told() }
        }
        300..=399 => Verdict::last(format!("{}: redirects are not followed", answer.told())),
        _ => Verdict::last(answer.told()),
    }
}

/// One request of an attempt.
pub struct Step {
    /// What is asked.
    pub request: Request,
    /// Who judges the answer.
    pub judge: Judge,
    /// Whether the attempt fails with it; else only what disables the channel or wants us to wait counts.
    pub needed: bool,
    /// What is asked instead when the service could not read the markup.
    pub plainly: Option<Request>,
}

impl Step {
    fn needed(request: Request, judge: Judge) -> Self {
        Self { request, judge, needed: true, plainly: None }
    }
    fn by_the_way(request: Request, judge: Judge) -> Self {
        Self { request, judge, needed: false, plainly: None }
    }
}

/// What an attempt does.
pub enum Plan {
    /// Requests, one after the other; the first that counts and fails ends it.
    Http(Vec<Step>),
    /// Mail.
    Mail(Box<Mail>),
    /// A program.
    Script(Call),
    /// Such a message means nothing there.
    Nothing,
}

/// What is to be done to send a message to a channel with its opened secrets.
///
/// # Errors
/// The channel cannot be used as it is; the text names no secret.
pub fn plan(config: &ChannelConfig, secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    match config {
        ChannelConfig::Webhook { url, .. } => webhook::plan(url, secrets, out),
        ChannelConfig::SlackWebhook => slack::by_webhook(secrets, out),
        ChannelConfig::SlackBot { channel } => slack::by_bot(channel, secrets, out),
        ChannelConfig::Discord => discord::plan(secrets, out),
        ChannelConfig::Email { .. } => email::plan(config, secrets, out),
        ChannelConfig::Telegram { chat_id } => telegram::plan(chat_id, secrets, out),
        ChannelConfig::Pagerduty => pagerduty::plan(secrets, out),
        ChannelConfig::Alertmanager { url } => alertmanager::plan(url, out),
        ChannelConfig::Script { path, arguments, timeout_ms } => {
            Ok(Plan::Script(script::call(path, arguments, *timeout_ms, out)))
        }
    }
}

/// A secret text.
fn secret<'s>(secrets: &'s Value, name: &str) -> Result<&'s str, String> {
    let text = secrets.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("the channel's `{name}` is not set: write it again"))
}

/// A URL of a channel's or of a service's.
fn url_of(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|_| "the channel's URL cannot be read".to_owned())
}
