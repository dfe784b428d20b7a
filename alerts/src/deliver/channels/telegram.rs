//! Telegram's bots (core.telegram.org/bots/api).

use std::time::Duration;

use schemas::TimeMs;
use serde_json::{Value, json};

use super::{
    super::words::{Text, Words, cut},
    Answer, Judge, Method, Outgoing, Plan, Request, Step, Verdict, secret, url_of, usual,
};

/// A message, in UTF-16 units after markup is read.
const TEXT: usize = 4_096;

pub(super) fn plan(chat_id: &str, secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    let url = url_of(&format!("{}bot{}/sendMessage", out.services.telegram, secret(secrets, "token")?))?;
    let chat = chat_id.parse::<i64>().map_or_else(|_| Value::from(chat_id), Value::from);
    let mut body = json!({
        "chat_id": chat, "text": html(out.words), "parse_mode": "HTML", "link_preview_options": {"is_disabled": true},
    });
    if let Some(id) = out.follows().and_then(|thread| thread.parse::<i64>().ok()) {
        body["reply_parameters"] = json!({"message_id": id, "allow_sending_without_reply": true});
    }
    let request = Request::json(Method::Post, url.clone(), &body);
    body["text"] = cut(&plain(out.words), TEXT).into();
    body["parse_mode"] = Value::Null;
    let plainly = Some(Request::json(Method::Post, url, &body));
    Ok(Plan::Http(vec![Step { plainly, ..Step::needed(request, Judge::Telegram) }]))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What is too long loses facts from the end, so that no tag is ever cut.
fn html(words: &Words) -> String {
    let all = |text: &Text| text.written(escape, escape);
    let links: Vec<String> =
        words.links.iter().map(|(name, url)| format!("<a href=\"{}\">{name}</a>", escape(url))).collect();
    let end = format!("\n{}", links.join(" · "));
    let mut text = format!("<b>{}</b>", escape(&cut(&words.title.bare(), 512)));
    let mut left = TEXT - 1_000;
    let mut lines: Vec<(String, usize)> = Vec::new();
    match &words.body {
        Some(body) => {
            let cut = escape(&cut(&body.bare(), left));
            lines.push((format!("\n{cut}"), 0));
        }
        None => {
            for (name, value) in &words.facts {
                let length = super::super::words::length(&value.bare());
                let value = if length > 600 { escape(&cut(&value.bare(), 600)) } else { all(value) };
                lines.push((format!("\n<b>{}:</b> {value}", escape(name)), length.min(600) + name.len() + 3));
            }
        }
    }
    for (line, length) in lines {
        if length > left {
            text.push_str("\n…");
            break;
        }
        left -= length;
        text.push_str(&line);
    }
    text + &end
}

fn plain(words: &Words) -> String {
    let mut text = words.title.bare();
    match &words.body {
        Some(body) => text.push_str(&format!("\n{}", body.bare())),
        None => words.facts.iter().for_each(|(name, value)| text.push_str(&format!("\n{name}: {}", value.bare()))),
    }
    words.links.iter().for_each(|(name, url)| text.push_str(&format!("\n{name}: {url}")));
    text
}

/// Whether the service could not read the markup: then the message is sent once more without any.
pub(in super::super) fn is_unreadable(answer: &Answer) -> bool {
    answer.status == 400 && answer.text().contains("can't parse entities")
}

pub(super) fn verdict(answer: &Answer, now: TimeMs) -> Verdict {
    let json = answer.json();
    if json.get("ok") == Some(&Value::Bool(true)) {
        let id = json.pointer("/result/message_id").and_then(Value::as_i64);
        return Verdict::Sent { thread: id.map(|id| id.to_string()), hold: None };
    }
    let says = json.get("description").and_then(Value::as_str).unwrap_or_default();
    let why = format!("status {}: {}", answer.status, cut(says, 150));
    if let Some(id) = json.pointer("/parameters/migrate_to_chat_id").and_then(Value::as_i64) {
        return Verdict::disable(format!("the chat is another one now: write {id} as `chat_id`"));
    }
    match answer.status {
        429 => {
            let wait = json.pointer("/parameters/retry_after").and_then(Value::as_u64);
            let wait = wait.map(|seconds| Duration::from_secs(seconds.min(86_400)));
            Verdict::slower(wait.max(answer.retry_after(now)), why)
        }
        401 | 403 => Verdict::disable(why),
        400 if says.contains("chat not found") => Verdict::disable(why),
        404 => Verdict::disable(format!("{why}: is the token right?")),
        _ => usual(answer, now),
    }
}
