//! Slack: an incoming webhook, or a bot where messages are to be amended (docs.slack.dev).

use schemas::TimeMs;
use serde_json::{Value, json};

use super::{
    super::words::{Mood, Text, Words, cut},
    Answer, Judge, Method, Outgoing, Plan, Request, Step, Verdict, secret, url_of, usual,
};

/// A section's text, in characters.
const SECTION: usize = 3_000;
/// A header's.
const HEADER: usize = 150;
/// The text beside the blocks; shown in notifications.
const TEXT: usize = 4_000;

pub(super) fn by_webhook(secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    let url = url_of(secret(secrets, "url")?)?;
    let request = Request::json(Method::Post, url, &message(out.words));
    Ok(Plan::Http(vec![Step::needed(request, Judge::SlackWebhook)]))
}

/// What comes later of an alert amends its first message, and stands below it in its thread.
pub(super) fn by_bot(channel: &str, secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    let token = secret(secrets, "token")?;
    let ask = |method: &str, more: &[(&str, &str)]| -> Result<Request, String> {
        let url = url_of(&format!("{}{method}", out.services.slack))?;
        let mut body = message(out.words);
        for (name, value) in more {
            body[*name] = Value::from(*value);
        }
        let mut request = Request::json(Method::Post, url, &body);
        request.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        Ok(request)
    };
    // A thread is `CHANNEL TS`: `chat.update` wants the channel's id, which the answer gives.
    let Some((id, ts)) = out.follows().and_then(|thread| thread.split_once(' ')) else {
        let request = ask("chat.postMessage", &[("channel", channel)])?;
        return Ok(Plan::Http(vec![Step::needed(request, Judge::SlackApi)]));
    };
    let mut steps = vec![Step::by_the_way(ask("chat.update", &[("channel", id), ("ts", ts)])?, Judge::SlackApi)];
    if out.kind != "alert.amended" {
        steps.push(Step::needed(ask("chat.postMessage", &[("channel", id), ("thread_ts", ts)])?, Judge::SlackApi));
    }
    Ok(Plan::Http(steps))
}

fn message(words: &Words) -> Value {
    let title = cut(&words.title.bare(), HEADER);
    let mut text = String::new();
    match &words.body {
        Some(body) => text.push_str(&markup(body)),
        None => {
            for (name, value) in &words.facts {
                text.push_str(&format!("*{name}:* {}\n", markup(value)));
            }
        }
    }
    let links: Vec<String> = words.links.iter().map(|(name, url)| format!("<{}|{name}>", escape(url))).collect();
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}})];
    if !text.trim().is_empty() {
        let text = cut(text.trim_end(), SECTION);
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}}));
    }
    if !links.is_empty() {
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": cut(&links.join("  ·  "), SECTION)}}));
    }
    // What notifications show, and who reads no blocks.
    let mark = match words.mood {
        Mood::Firing => ":red_circle: ",
        Mood::Taken => ":large_yellow_circle: ",
        Mood::Over => ":large_green_circle: ",
        Mood::Note => "",
    };
    let plain = cut(&format!("{mark}{}", escape(&words.title.bare())), TEXT);
    json!({"text": plain, "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
}

/// Values are escaped, and lose what would make them bold or code.
fn markup(text: &Text) -> String {
    text.written(str::to_owned, |value| {
        let mut written = String::with_capacity(value.len());
        for c in escape(value).chars() {
            // A word joiner in front of it takes its meaning away and is not seen.
            if matches!(c, '*' | '_' | '~' | '`') {
                written.push('\u{2060}');
            }
            written.push(c);
        }
        written
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Words after which nothing can be sent there any more.
const GONE: [&str; 6] =
    ["no_service", "no_team", "invalid_token", "channel_is_archived", "channel_not_found", "action_prohibited"];

pub(super) fn verdict_of_webhook(answer: &Answer, now: TimeMs) -> Verdict {
    let text = answer.text();
    match answer.status {
        200 => Verdict::sent(),
        400..=499 if answer.status != 429 && GONE.contains(&text.as_str()) => Verdict::disable(answer.told()),
        410 => Verdict::disable(answer.told()),
        _ => usual(answer, now),
    }
}

pub(super) fn verdict_of_api(answer: &Answer, now: TimeMs) -> Verdict {
    if answer.status != 200 {
        return usual(answer, now);
    }
    let json = answer.json();
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    if json.get("ok") == Some(&Value::Bool(true)) {
        let thread = text("channel").zip(text("ts")).map(|(channel, ts)| format!("{channel} {ts}"));
        return Verdict::Sent { thread, hold: None };
    }
    let Some(error) = text("error") else { return Verdict::retry("the answer is none of Slack's") };
    let why = format!("Slack says `{}`", cut(error, 100));
    match error {
        "ratelimited" | "rate_limited" => Verdict::slower(answer.retry_after(now), why),
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
            Verdict::retry(why)
        }
        "not_in_channel" | "channel_not_found" | "is_archived" | "invalid_auth" | "not_authed" | "token_revoked"
        | "token_expired" | "account_inactive" | "missing_scope" | "no_permission" | "org_login_required"
        | "restricted_action" => Verdict::disable(why),
        _ => Verdict::last(why),
    }
}
