//! Discord's webhooks (discord/discord-api-docs, `resources/webhook`, `topics/rate-limits`).

use schemas::TimeMs;
use serde_json::{Value, json};
use url::Url;

use super::{
    super::words::{Mood, Text, Words, cut, length},
    Answer, Judge, Method, Outgoing, Plan, Request, Step, Verdict, seconds_of, secret, url_of, usual,
};

const TITLE: usize = 256;
const DESCRIPTION: usize = 4_096;
const FIELDS: usize = 25;
const FIELD_NAME: usize = 256;
const FIELD_VALUE: usize = 1_024;
/// Over all texts of an embed, less what the footer takes.
const WHOLE: usize = 5_900;

/// What comes later of an alert amends its first message, and but for an amendment is told by one of its own.
pub(super) fn plan(secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    let mut url = url_of(secret(secrets, "url")?)?;
    let message = message(out.words);
    let mut steps = Vec::new();
    let follows = out.follows().filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    if let Some(id) = follows {
        let request = Request::json(Method::Patch, of_message(&url, id)?, &message);
        steps.push(Step::by_the_way(request, Judge::Discord));
    }
    if follows.is_none() || out.kind != "alert.amended" {
        // Without it, a message that is not kept gives no error.
        url.query_pairs_mut().append_pair("wait", "true");
        steps.push(Step::needed(Request::json(Method::Post, url, &message), Judge::Discord));
    }
    Ok(Plan::Http(steps))
}

fn of_message(url: &Url, id: &str) -> Result<Url, String> {
    let mut url = url.clone();
    let mut parts = url.path_segments_mut().map_err(|()| "the channel's URL cannot be read".to_owned())?;
    parts.pop_if_empty().push("messages").push(id);
    drop(parts);
    Ok(url)
}

fn message(words: &Words) -> Value {
    let title = cut(&markup(&words.title), TITLE);
    let mut left = WHOLE - length(&title);
    let mut take = |text: String, most: usize| -> Option<String> {
        let text = cut(&text, most.min(left));
        left -= length(&text).min(left);
        (!text.trim().is_empty()).then_some(text)
    };
    let links: Vec<String> = words.links.iter().map(|(name, url)| format!("[{name}]({})", in_link(url))).collect();
    let links = take(links.join(" · "), 2_000).unwrap_or_default();
    let own =
        words.body.as_ref().and_then(|body| take(markup(body), DESCRIPTION - length(&links) - 1)).unwrap_or_default();
    let mut fields = Vec::new();
    if words.body.is_none() {
        for (name, value) in words.facts.iter().take(FIELDS) {
            let Some(name) = take((*name).to_owned(), FIELD_NAME) else { break };
            let Some(value) = take(markup(value), FIELD_VALUE) else { break };
            fields.push(json!({"name": name, "value": value, "inline": length(&value) < 32}));
        }
    }
    let description = if own.is_empty() { links } else { format!("{own}\n{links}") };
    let colour = match words.mood {
        Mood::Firing => 0x00d9_3025,
        Mood::Taken => 0x00f2_9900,
        Mood::Over => 0x0018_8038,
        Mood::Note => 0x005f_6368,
    };
    let embed = json!({
        "title": title, "description": description, "color": colour, "fields": fields,
        "timestamp": words.at.rfc3339(), "footer": {"text": format!("Headwater · {}", words.severity)},
    });
    // Nobody is pinged, whatever a chain says.
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}})
}

/// Values are escaped: no markup of theirs counts.
fn markup(text: &Text) -> String {
    text.written(str::to_owned, |value| {
        let mut written = String::with_capacity(value.len());
        for c in value.chars() {
            if r"\*_~`|<>[]()#@-".contains(c) {
                written.push('\\');
            }
            written.push(c);
        }
        written
    })
}

fn in_link(url: &str) -> String {
    url.replace('(', "%28").replace(')', "%29")
}

pub(super) fn verdict(answer: &Answer, now: TimeMs) -> Verdict {
    let json = answer.json();
    let code = json.get("code").and_then(Value::as_u64);
    match (answer.status, code) {
        (200..=299, _) => {
            let thread = json.get("id").and_then(Value::as_str).map(str::to_owned);
            let over = answer.header("x-ratelimit-remaining") == Some("0");
            let hold = answer.header("x-ratelimit-reset-after").and_then(|text| seconds_of(text.parse().ok()?));
            Verdict::Sent { thread, hold: hold.filter(|_| over) }
        }
        (429, _) => {
            let of_body = json.get("retry_after").and_then(Value::as_f64).and_then(seconds_of);
            Verdict::slower(of_body.max(answer.retry_after(now)), answer.told())
        }
        // Somebody has deleted the message that was to be amended.
        (404, Some(10_008)) => Verdict::last(answer.told()),
        (401 | 404, _) | (_, Some(10_003 | 10_015 | 50_027)) => Verdict::disable(answer.told()),
        _ => usual(answer, now),
    }
}
