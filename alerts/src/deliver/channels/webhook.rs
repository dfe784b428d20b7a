//! Signed webhooks after Standard Webhooks.

use schemas::limits::alerts as limits;
use serde_json::{Map, Value, json};

use super::{super::sign::Signer, Answer, Judge, Method, Outgoing, Plan, Request, Step, Verdict, secret, url_of};

pub(super) fn plan(url: &str, secrets: &Value, out: &Outgoing<'_>) -> Result<Plan, String> {
    let url = url_of(url)?;
    let until = secrets.get("former_until").and_then(Value::as_i64);
    let former = until.filter(|until| *until > out.now.0).and_then(|_| secrets.get("former")?.as_str());
    let signer = Signer::new(std::iter::once(secret(secrets, "secret")?).chain(former)).map_err(str::to_owned)?;
    let body = json(out);
    let seconds = out.now.0.div_euclid(1_000);
    let mut headers: Vec<(String, String)> = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", out.id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signer.sign(out.id, seconds, &body)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let own = secrets.get("headers").and_then(Value::as_object).into_iter().flatten();
    headers.extend(own.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))));
    let request = Request { method: Method::Post, url, headers, body };
    Ok(Plan::Http(vec![Step::needed(request, Judge::Webhook)]))
}

/// The body: `type`, `timestamp` (of the event) and `data`. A function of the message alone. What is larger than receivers are promised
/// loses matches and causes from the end, and says so.
pub(super) fn json(out: &Outgoing<'_>) -> Vec<u8> {
    let mut body = out.body.clone();
    loop {
        let data = if out.kind.starts_with("alert.") { json!({"alert": body}) } else { body.clone() };
        let whole = json!({"type": out.kind, "timestamp": out.created_at.rfc3339(), "data": data}).to_string();
        if whole.len() <= limits::MESSAGE_BYTES || !halve(&mut body) {
            return whole.into_bytes();
        }
    }
}

/// Takes half of the longest list out of an alert's evidence, or its last one; false where there is nothing left to take.
fn halve(alert: &mut Value) -> bool {
    let Some(Value::Object(evidence)) = alert.get_mut("evidence") else { return false };
    let longest = |evidence: &Map<String, Value>| {
        let lists = evidence.iter().filter_map(|(name, value)| Some((value.as_array()?.len(), name.clone())));
        lists.max().filter(|(length, _)| *length > 0)
    };
    let Some((length, name)) = longest(evidence) else { return false };
    if let Some(Value::Array(list)) = evidence.get_mut(&name) {
        list.truncate(length / 2);
    }
    let left_out = evidence.get("left_out").and_then(Value::as_u64).unwrap_or(0);
    let gone = u64::try_from(length - length / 2).unwrap_or(0);
    evidence.insert("left_out".to_owned(), (left_out + gone).into());
    true
}

/// 2xx is delivered, 410 disables, every other answer is a failure that is tried again.
pub(super) fn verdict(answer: &Answer, now: schemas::TimeMs) -> Verdict {
    match answer.status {
        200..=299 => Verdict::sent(),
        410 => Verdict::disable(format!("{}: the receiver wants nothing any more", answer.told())),
        429 | 502 | 504 => Verdict::slower(answer.retry_after(now), answer.told()),
        300..=399 => Verdict::retry(format!("{}: redirects are not followed", answer.told())),
        _ => Verdict::Retry { at_least: answer.retry_after(now), hold: None, why: answer.told() },
    }
}
