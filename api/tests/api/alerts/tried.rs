//! A rule tried on the past, which is counted here block by block.

use alloy_primitives::Address;
use schemas::{
    TimeMs,
    records::{MinuteSample, SUBSCRIBED_AGAIN, Seen},
};
use serde_json::{Value, json};

use crate::{
    failures::{call, fresh},
    http::Answer,
    metrics::{failed, items, minutes},
    providers::sample,
};

use super::{kind, start};

const MINUTE: i64 = 60_000;

/// Since when, and until when it would have fired: runs of looks at which the condition holds.
fn firings(looks: &[(i64, bool)]) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let mut fires = false;
    for (at, over) in looks {
        match (fires, over) {
            (false, true) => found.push((TimeMs(*at).rfc3339(), None)),
            (true, false) => {
                if let Some(last) = found.last_mut() {
                    last.1 = Some(TimeMs(*at).rfc3339());
                }
            }
            _ => {}
        }
        fires = *over;
    }
    found
}

fn told(answer: &Value) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let firings = answer["firings"].as_array().expect("firings");
    firings.iter().map(|f| (text(&f["fired_at"]).expect("a time"), text(&f["resolved_at"]))).collect()
}

fn values(answer: &Value) -> Vec<Option<u64>> {
    answer["points"].as_array().expect("points").iter().map(|point| point["value"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_says_of_the_past_what_its_blocks_tell() {
    let keyed = start().await;
    let key = keyed.key(&["rules:read", "chains:read"]).await;
    let key = key.text.expose();
    let now = TimeMs::now().0.div_euclid(MINUTE) * 60;
    let mut chain = fresh("ethereum").since(u64::try_from(now - 20 * 60).expect("after 1970"));
    let contract = Address::repeat_byte(0xd7);
    for n in 0..50 {
        match n % 7 {
            0..2 => chain.apply_failing(contract, &call()),
            _ => chain.apply(),
        };
    }
    // First seen as they are made.
    chain.events.iter_mut().for_each(|(block, _)| block.envelope.observed_at = block.envelope.block_time);
    keyed.world.publish_and_wait(&chain.events).await;
    let counts: Vec<(i64, u64)> =
        minutes(&chain).into_iter().map(|(start, events)| (start, failed(&items(&events)) as u64)).collect();
    let (first, last) = (counts[1].0, counts[counts.len() - 1].0);
    let asked = async |more: Value, from: i64, to: i64| -> Answer {
        let mut body = json!({"name": "r", "network": "ethereum", "metric": "failed", "threshold": 1, "window": "1m"});
        more.as_object().expect("fields").iter().for_each(|(name, value)| body[name] = value.clone());
        let (from, to) = (TimeMs(from).rfc3339(), TimeMs(to).rfc3339());
        let target = format!("/api/v1/rules/preview?from={from}&to={to}");
        keyed.send("POST", &target, key, &[], &body.to_string()).await
    };

    // Each minute but the first that is held and the one that may go on.
    let whole: Vec<(i64, u64)> = counts[1..counts.len() - 1].to_vec();
    let threshold =
        (whole.iter().map(|(_, n)| n).min().expect("some") + whole.iter().map(|(_, n)| n).max().expect("some")) / 2;
    let mut answer = asked(json!({"threshold": threshold}), first, last).await;
    // What is held is counted now and then.
    for _ in 0..300 {
        if answer.json()["complete"] == json!(true) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = asked(json!({"threshold": threshold}), first, last).await;
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sequence = answer.header("x-headwater-sequence").and_then(|text| text.parse::<u64>().ok());
    assert!(sequence.is_some_and(|sequence| (1..=chain.sequence()).contains(&sequence)), "{sequence:?}");
    let of_minutes = answer.json();
    assert_eq!((&of_minutes["complete"], &of_minutes["every"]), (&json!(true), &json!("1m")), "{of_minutes}");
    assert_eq!(values(&of_minutes), whole.iter().map(|(_, n)| Some(*n)).collect::<Vec<_>>());
    let looks: Vec<(i64, bool)> = whole.iter().map(|(start, n)| (start + MINUTE, *n > threshold)).collect();
    assert_eq!(told(&of_minutes), firings(&looks), "{of_minutes}");
    assert!(of_minutes["fired"].as_u64() > Some(0) && of_minutes["points"][0]["threshold"] == json!(threshold));

    // The last block of each minute is twelve seconds old at its end.
    let answer = asked(json!({"metric": "no_block_seconds", "threshold": 11}), first, last).await.json();
    assert_eq!(values(&answer), vec![Some(12); whole.len()], "{answer}");
    assert_eq!((&answer["fired"], &answer["complete"]), (&json!(1), &json!(true)), "{answer}");

    // Of endpoints sums of minutes are kept: of two the one that fires is shown.
    let sum = |method: &str, calls: u64, failures: u64| MinuteSample {
        method: method.to_owned(),
        calls,
        failures,
        latency_p50_ms: Some(20),
        latency_p95_ms: Some(30),
        bytes: 100,
    };
    let (network, minutes) = (super::network("ethereum"), (0..16).map(|n| first + (n - 10) * MINUTE));
    for at in minutes {
        for (endpoint, failures) in [("one", 0), ("two", 5)] {
            let seen = Seen::Minute(sum("eth_call", 10, failures));
            keyed.world.tell(&network, &sample(&network, endpoint, TimeMs(at), seen)).await;
        }
    }
    let again = Seen::Minute(sum(SUBSCRIBED_AGAIN, 30, 0));
    keyed.world.tell(&network, &sample(&network, "one", TimeMs(first + 2 * MINUTE), again)).await;
    let errors = json!({"metric": "provider_error_rate", "threshold": 0.2});
    let mut answer = asked(errors.clone(), first, first + 6 * MINUTE).await.json();
    for _ in 0..300 {
        if answer["complete"] == json!(true) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answer = asked(errors.clone(), first, first + 6 * MINUTE).await.json();
    }
    assert_eq!((&answer["endpoint"], &answer["fired"]), (&json!("two"), &json!(1)), "{answer}");
    assert_eq!((&answer["points"][0]["value"], &answer["points"][5]["over"]), (&json!(0.5), &json!(true)), "{answer}");
    let storm = json!({"metric": "reconnects", "threshold": 20, "window": "1m"});
    let mut answer = asked(storm.clone(), first, first + 6 * MINUTE).await.json();
    for _ in 0..300 {
        if answer["fired"] == json!(1) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answer = asked(storm.clone(), first, first + 6 * MINUTE).await.json();
    }
    assert_eq!((&answer["endpoint"], &answer["points"][2]["value"]), (&json!("one"), &json!(30)), "{answer}");

    // A window of five minutes is five of them.
    let answer = asked(json!({"window": "5m", "threshold": threshold * 5}), first + 4 * MINUTE, last).await.json();
    let sums: Vec<Option<u64>> = whole.windows(5).map(|five| Some(five.iter().map(|(_, n)| n).sum())).collect();
    assert_eq!((values(&answer), &answer["complete"]), (sums, &json!(true)), "{answer}");

    // A contract that nobody watches has its past from rows, as its series has.
    let of_contract = json!({"contract": format!("{contract:#x}"), "threshold": 0});
    let answer = asked(of_contract, first, last).await.json();
    let (from, to) = (TimeMs(first).rfc3339(), TimeMs(last).rfc3339());
    let series =
        format!("/api/v1/metrics/series?network=ethereum&contract={contract:#x}&metric=failed&from={from}&to={to}");
    let series = keyed.ask("GET", &series, key).await.json();
    let of_series = series["points"].as_array().expect("points").iter().map(|point| point["value"].as_u64());
    assert_eq!(values(&answer), of_series.collect::<Vec<_>>(), "{answer}");
    assert!(values(&answer).into_iter().flatten().sum::<u64>() > 5 && told(&answer).len() > 1, "{answer}");

    // The first block that is held is in no whole window, and that is said; a sum that is too much already is.
    let answer = asked(json!({"threshold": 0}), counts[0].0, last).await.json();
    assert_eq!((&answer["complete"], &answer["points"][0]["complete"]), (&json!(false), &json!(false)), "{answer}");
    assert_eq!(answer["incomplete"][0]["from"], json!(TimeMs(counts[0].0).rfc3339()), "{answer}");
    assert!(answer["incomplete"][0]["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{answer}");
    // Nothing is usual where no whole hour is known.
    let baseline = json!({"threshold": null, "baseline": {"percent": 50, "over": "24h"}});
    let answer = asked(baseline, first, last).await.json();
    assert_eq!((&answer["fired"], &answer["points"][0]["threshold"]), (&json!(0), &Value::Null), "{answer}");
    assert!(answer["incomplete"].to_string().contains("nothing to compare with"), "{answer}");
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_tried_is_refused_by_name_and_nothing_is_kept() {
    let keyed = start().await;
    let (owner, narrow) = (keyed.key(&["*:*"]).await, keyed.key_of(&["*:*"], &["silent"], None).await);
    let body = |more: Value| {
        let mut body = json!({"name": "r", "networks": ["ethereum", "silent"], "metric": "failed", "threshold": 1});
        more.as_object().expect("fields").iter().for_each(|(name, value)| body[name] = value.clone());
        body.to_string()
    };
    let key = owner.text.expose();
    let asked = async |key: &str, query: &str, body: &str| {
        keyed.send("POST", &format!("/api/v1/rules/preview{query}"), key, &[], body).await
    };
    let good = body(json!({}));
    assert_eq!(asked(key, "", &good).await.json()["network"], "ethereum", "the first of them");
    let of_silent = asked(key, "?network=silent", &good).await.json();
    assert_eq!((&of_silent["network"], &of_silent["complete"]), (&json!("silent"), &json!(false)), "{of_silent}");
    for (query, parameter) in [
        ("?network=another", "network"),
        ("?from=2020-01-01T00:00:00Z", "from"),
        ("?from=2999-01-01T00:00:00Z", "from"),
        ("?to=now", "to"),
        ("?step=1m", "step"),
    ] {
        let refused = asked(key, query, &good).await;
        assert_eq!((refused.status, refused.json()["parameter"].as_str()), (400, Some(parameter)), "{query}");
    }
    let wrong = asked(key, "", &body(json!({"metric": "fails"}))).await;
    assert_eq!(
        (kind(&wrong), &wrong.json()["errors"][0]["path"]),
        ((422, "invalid-body".to_owned()), &json!("metric"))
    );
    let elsewhere = asked(key, "", &body(json!({"networks": ["nowhere"]}))).await;
    assert_eq!(kind(&elsewhere), (404, "network-not-found".to_owned()));
    assert_eq!(kind(&asked(narrow.text.expose(), "", &good).await), (404, "network-not-found".to_owned()));
    let other = keyed.key(&["monitors:read"]).await;
    assert_eq!(asked(other.text.expose(), "", &good).await.status, 403);
    // Its figures are those of chains.
    for (one, wanted) in [("rules:read", "chains:read"), ("chains:read", "rules:read")] {
        let half = keyed.key(&[one]).await;
        let refused = asked(half.text.expose(), "", &good).await;
        assert!(refused.status == 403 && refused.text().contains(wanted), "{one}: {}", refused.text());
    }
    // The past of endpoints is not kept.
    let of_endpoints = asked(key, "", &body(json!({"metric": "provider_score"}))).await;
    assert_eq!((of_endpoints.status, &of_endpoints.json()["points"]), (200, &json!([])), "{}", of_endpoints.text());
    assert!(of_endpoints.text().contains("`provider_score` is not kept"), "{}", of_endpoints.text());
    assert_eq!(keyed.ask("GET", "/api/v1/rules", key).await.json()["items"], json!([]));
    keyed.api.stop().await;
}
