//! Mail: its texts and headers; sending it is [`super::super::mail`].

use conditions::{ChannelConfig, MailTls};
use serde_json::Value;

use super::{super::words::cut, Outgoing, Plan, secret};

/// A subject, in characters: RFC 5322 recommends lines of 78, and folds longer ones.
const SUBJECT: usize = 200;
/// A body, in characters.
const BODY: usize = 100_000;

/// A mail, and how it is sent.
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is encrypted.
    pub tls: MailTls,
    /// User and password.
    pub login: Option<(String, String)>,
    /// `From`.
    pub sender: String,
    /// `To`.
    pub recipients: Vec<String>,
    /// `Subject`, one line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// `Message-ID`, with its brackets: the same on every attempt.
    pub id: String,
    /// `In-Reply-To` and `References`: the alert's first message.
    pub follows: Option<String>,
    /// `Date`, milliseconds.
    pub at: schemas::TimeMs,
    /// Attempts before this one.
    pub attempts: u32,
}

pub(super) fn plan(config: &ChannelConfig, secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    let ChannelConfig::Email { host, port, username, sender, recipients, tls } = config else {
        return Err("the channel is no mail".to_owned());
    };
    let login = match username {
        Some(username) => Some((username.clone(), secret(secrets, "password")?.to_owned())),
        None => None,
    };
    let domain = sender.rsplit_once('@').map_or("headwater.invalid", |(_, domain)| domain);
    // Threads need no memory: an alert's first mail has the alert's id.
    let first = out.alert_id.map(|alert| format!("<{alert}.{}@{domain}>", out.channel_id));
    let (id, follows) = match (first, out.kind) {
        (Some(first), "alert.firing") => (first, None),
        (first, _) => (format!("<{}@{domain}>", out.id), first),
    };
    let words = out.words;
    let mut body = String::new();
    match &words.body {
        Some(own) => body.push_str(&own.bare()),
        None => words.facts.iter().for_each(|(name, value)| body.push_str(&format!("{name}: {}\n", value.bare()))),
    }
    let mut body = cut(&body, BODY);
    body.push('\n');
    words.links.iter().for_each(|(name, url)| body.push_str(&format!("{name}: {url}\n")));
    let subject = cut(&one_line(&words.title.bare()), SUBJECT);
    Ok(Plan::Mail(Box::new(Mail {
        host: host.clone(),
        port: *port,
        tls: *tls,
        login,
        sender: sender.clone(),
        recipients: recipients.clone(),
        subject,
        body,
        id,
        follows,
        at: out.created_at,
        attempts: out.attempts,
    })))
}

/// No header can be made of a value.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
