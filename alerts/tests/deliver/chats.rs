//! Chats: stubs that refuse what the services refuse (limits, markup, mentions) and answer as they do.

use axum::response::Response;
use schemas::{
    TimeMs,
    records::{AlertOutbox, DeliveryState},
    ulid_of,
};
use serde_json::{Value, json};

use crate::{
    receivers::{Came, Receiver, said},
    support::{Bench, alert, message},
};

/// UTF-16 units.
fn length(value: &Value) -> usize {
    value.as_str().unwrap().encode_utf16().count()
}

/// Why Slack would refuse a message; from docs.slack.dev.
fn slack_refuses(body: &Value) -> Option<&'static str> {
    let blocks = body["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if body["text"].as_str().is_none_or(str::is_empty) && blocks.is_empty() {
        return Some("no_text");
    }
    if body["text"].as_str().is_some_and(|text| text.chars().count() > 40_000) {
        return Some("msg_too_long");
    }
    let bad = |block: &Value| match block["type"].as_str() {
        Some("header") => block["text"]["type"] != "plain_text" || !(1..=150).contains(&length(&block["text"]["text"])),
        Some("section") => block["text"]["type"] != "mrkdwn" || !(1..=3_000).contains(&length(&block["text"]["text"])),
        _ => true,
    };
    (blocks.len() > 50 || blocks.iter().any(bad)).then_some("invalid_blocks")
}

/// Why Discord would refuse a message; from discord-api-docs.
fn discord_refuses(body: &Value) -> Option<&'static str> {
    let embeds = body["embeds"].as_array().map(Vec::as_slice).unwrap_or_default();
    if embeds.is_empty() && body["content"].as_str().is_none_or(str::is_empty) {
        return Some("empty");
    }
    let mut whole = 0;
    for embed in embeds {
        let (title, description, footer) =
            (length(&embed["title"]), length(&embed["description"]), length(&embed["footer"]["text"]));
        whole += title + description + footer;
        if title > 256 || description > 4_096 || footer > 2_048 || !embed["color"].is_u64() {
            return Some("embed");
        }
        let fields = embed["fields"].as_array().unwrap();
        for field in fields {
            let (name, value) = (length(&field["name"]), length(&field["value"]));
            whole += name + value;
            if !(1..=256).contains(&name) || !(1..=1_024).contains(&value) {
                return Some("field");
            }
        }
        if fields.len() > 25 {
            return Some("fields");
        }
    }
    (embeds.len() > 10 || whole > 6_000).then_some("too long")
}

/// A message with far more than fits, and with everything that is markup somewhere.
fn huge(channel: &str) -> AlertOutbox {
    let mut huge = message(channel, "HUGE", "alert.firing", 1);
    let mut body = alert("HUGE", "firing");
    body["source"]["name"] = format!("{}@everyone <!here> `x`", "😀*_~|<&>".repeat(500)).into();
    let argument = "`*_~|[x](https://evil.example)<@1>@everyone😀".repeat(300);
    let found = |n: u32| {
        json!({"kind": "event", "signature": format!("Said{n}(string)"), "arguments": {"text": argument, "n": n},
        "transaction_hash": format!("0x{n}"), "height": n})
    };
    body["evidence"] = json!({"matches": (0..50).map(found).collect::<Vec<_>>(), "count": 50});
    huge.body = body.to_string();
    huge
}

fn note(channel: &str, kind: &str, body: Value) -> AlertOutbox {
    let id = ulid_of(TimeMs::now(), format!("{channel}{kind}").as_bytes());
    AlertOutbox { id, alert_id: None, kind: kind.to_owned(), body: body.to_string(), ..message(channel, "", kind, 0) }
}

fn all_notes(channel: &str) -> Vec<AlertOutbox> {
    vec![
        note(channel, "channel.test", json!({"channel": channel, "by": "key <1>"})),
        note(
            channel,
            "channel.summary",
            json!({"count": 77, "since": "2026-11-29T16:00:00.000Z", "until": "2026-11-29T17:00:00.000Z",
            "kinds": {"alert.firing": 77}, "alerts": (0..20).map(|n| alert(&n.to_string(), "firing")).collect::<Vec<_>>()}),
        ),
        note(channel, "alerts.settled", json!({"network": "ethereum-mainnet", "sequence": 7, "height": 8})),
    ]
}

const KINDS: [&str; 6] = [
    "alert.firing",
    "alert.amended",
    "alert.acknowledged",
    "alert.repeated",
    "alert.retracted",
    "alert.included_again",
];

/// Sends the life of an alert, one message after the other, then what is huge and what is no alert.
async fn life(bench: &Bench, channel: &str) -> Vec<schemas::records::AlertDelivery> {
    for (n, kind) in KINDS.iter().enumerate() {
        bench.write(&[message(channel, "A", kind, n as u64 + 1)]).await;
        bench.ended(n + 1).await;
    }
    let mut more = all_notes(channel);
    more.push(huge(channel));
    bench.write(&more).await;
    bench.ended(KINDS.len() + more.len()).await
}

fn assert_all_sent(deliveries: &[schemas::records::AlertDelivery]) {
    let failed: Vec<_> =
        deliveries.iter().filter(|d| matches!(d.state, DeliveryState::Failed | DeliveryState::Replaced)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_takes_everything_by_its_webhook() {
    let bench = Bench::new().await;
    let receiver = Receiver::new(|_, came| match slack_refuses(&came.json()) {
        None => said(200, &[], "ok"),
        Some(why) => said(400, &[], why),
    })
    .await;
    bench.channels.put(
        "slack",
        json!({"name": "s", "type": "slack", "config": {"url": receiver.url("/services/T0/B0/secretsecret")}}),
    );
    let running = bench.start();
    // A message a second: the first two are enough here.
    bench.write(&[message("slack", "A", "alert.firing", 1), huge("slack")]).await;
    let deliveries = bench.ended(2).await;
    running.stop().await;
    assert_all_sent(&deliveries);
    let came = receiver.came();
    let text = came[0].json().to_string();
    assert!(text.contains("Router &lt;fails&gt; &amp; @everyone"), "{text}");
    assert!(text.contains("12 failed, 88 successful") && text.contains("slippage (9)"), "{text}");
    assert!(text.contains("|View dashboard>") && text.contains("|Acknowledge>"), "{text}");
    for came in &came {
        let body = came.json();
        assert!(!body["text"].as_str().unwrap().contains("<!here>"));
        assert_eq!(body["unfurl_links"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slacks_bot_amends_its_message_and_answers_in_its_thread() {
    let mut bench = Bench::new().await;
    let receiver = Receiver::new(|number, came| {
        let body = came.json();
        if came.header("authorization") != "Bearer xoxb-token" {
            return said(200, &[], json!({"ok": false, "error": "invalid_auth"}));
        }
        if number == 0 {
            return said(200, &[("retry-after", "1")], json!({"ok": false, "error": "ratelimited"}));
        }
        match slack_refuses(&body) {
            Some(why) => said(200, &[], json!({"ok": false, "error": why})),
            None => said(200, &[], json!({"ok": true, "channel": "C1", "ts": body["ts"].as_str().map_or_else(|| format!("{number}.1"), str::to_owned)})),
        }
    })
    .await;
    bench.settings.services.slack = receiver.url("/api/");
    bench
        .channels
        .put("bot", json!({"name": "b", "type": "slack", "config": {"token": "xoxb-token", "channel": "#alerts"}}));
    let running = bench.start();
    for (n, kind) in ["alert.firing", "alert.amended", "alert.retracted"].iter().enumerate() {
        bench.write(&[message("bot", "A", kind, n as u64 + 1)]).await;
        bench.ended(n + 1).await;
    }
    running.stop().await;
    let said: Vec<(String, Value, Value)> = receiver
        .came()
        .iter()
        .map(|c| (c.path.clone(), c.json()["ts"].clone(), c.json()["thread_ts"].clone()))
        .collect();
    let (post, update) = ("/api/chat.postMessage".to_owned(), "/api/chat.update".to_owned());
    let (ts, none) = (Value::from("1.1"), Value::Null);
    assert_eq!(
        said,
        [
            (post.clone(), none.clone(), none.clone()),
            (post.clone(), none.clone(), none.clone()),
            (update.clone(), ts.clone(), none.clone()),
            (update, ts.clone(), none.clone()),
            (post, none, ts),
        ]
    );

    // A token that was taken back disables the channel.
    bench
        .channels
        .put("bot", json!({"name": "b", "type": "slack", "config": {"token": "xoxb-other", "channel": "#alerts"}}));
    let running = bench.start();
    bench.write(&[message("bot", "B", "alert.firing", 1)]).await;
    let deliveries = bench.ended(4).await;
    running.stop().await;
    assert!(
        deliveries.iter().any(|d| d.kind == "channel.disabled" && d.error.as_ref().unwrap().contains("invalid_auth"))
    );
    assert!(deliveries.iter().all(|d| !format!("{d:?}").contains("xoxb")), "no token is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn discord_pings_nobody_and_holds_its_limits() {
    let bench = Bench::new().await;
    let answer = |number: usize, came: &Came| -> Response {
        let waits = came.path.contains("wait=true");
        if number == 2 {
            return said(
                429,
                &[("retry-after", "1"), ("x-ratelimit-scope", "user")],
                json!({"message": "slow", "retry_after": 0.3, "global": false}),
            );
        }
        if came.method == "POST" && !waits {
            return said(204, &[], "");
        }
        // What is amended keeps its id.
        let id = match came.path.rsplit_once("/messages/") {
            Some((_, id)) => id.to_owned(),
            None => (100 + number).to_string(),
        };
        match discord_refuses(&came.json()) {
            Some(why) => said(400, &[], json!({"code": 50035, "message": why})),
            None => {
                said(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "0.05")], json!({"id": id}))
            }
        }
    };
    let receiver = Receiver::new(answer).await;
    bench.channels.put(
        "discord",
        json!({"name": "d", "type": "discord", "config": {"url": receiver.url("/api/v10/webhooks/1/tokentoken")}}),
    );
    let running = bench.start();
    let deliveries = life(&bench, "discord").await;
    running.stop().await;
    let failed: Vec<_> = deliveries.iter().filter(|d| d.state == DeliveryState::Failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let came = receiver.came();
    for came in &came {
        let body = came.json();
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        assert!(!body.to_string().contains("[x](https"), "a value's markup counts");
    }
    // The first message is amended, and all but an amendment are told, too.
    assert_eq!((came[0].method.as_str(), came[0].path.as_str()), ("POST", "/api/v10/webhooks/1/tokentoken?wait=true"));
    assert_eq!(
        (came[1].method.as_str(), came[1].path.as_str()),
        ("PATCH", "/api/v10/webhooks/1/tokentoken/messages/100")
    );
    assert!(came.iter().filter(|c| c.method == "PATCH").all(|c| c.path.ends_with("/messages/100")));
    assert!(deliveries.iter().all(|d| !format!("{d:?}").contains("tokentoken")), "no URL is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn final_answers_of_chats_disable_and_others_do_not() {
    let mut bench = Bench::new().await;
    bench.settings.schedule = alerts::deliver::schedule::Schedule::of(Vec::new());
    let cases: [(&str, u16, &str, bool); 8] = [
        ("slack", 403, "invalid_token", true),
        ("slack", 404, "no_service", true),
        ("slack", 410, "channel_is_archived", true),
        ("slack", 400, "invalid_payload", false),
        ("discord", 404, "{\"message\": \"Unknown Webhook\", \"code\": 10015}", true),
        ("discord", 401, "{\"message\": \"Invalid Webhook Token\", \"code\": 50027}", true),
        ("discord", 400, "{\"message\": \"Invalid Form Body\", \"code\": 50035}", false),
        ("discord", 503, "<html>", false),
    ];
    let receiver = Receiver::new(move |_, came| {
        let number: usize = came.path.trim_start_matches('/').split(['/', '?']).next().unwrap().parse().unwrap();
        let (_, code, body, _) = cases[number];
        said(code, &[], body)
    })
    .await;
    for (n, (kind, ..)) in cases.iter().enumerate() {
        bench.channels.put(
            &format!("c{n}"),
            json!({"name": "c", "type": kind, "config": {"url": receiver.url(&format!("/{n}/a"))}}),
        );
    }
    let running = bench.start();
    bench.write(&(0..cases.len()).map(|n| message(&format!("c{n}"), "A", "alert.firing", 1)).collect::<Vec<_>>()).await;
    let deliveries = bench.ended(cases.len()).await;
    running.stop().await;
    for (n, (kind, code, body, disables)) in cases.iter().enumerate() {
        let of: Vec<_> = deliveries.iter().filter(|d| d.channel_id == format!("c{n}")).collect();
        assert_eq!(of.iter().any(|d| d.kind == "channel.disabled"), *disables, "{kind} {code} {body}: {of:#?}");
        assert!(of.iter().any(|d| d.state == DeliveryState::Failed && d.status == Some(*code)), "{of:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telegram_pagerduty_and_alertmanager_are_asked_in_their_own_forms() {
    let mut bench = Bench::new().await;
    let receiver = Receiver::new(|_, came| {
        let body = came.json();
        match came.path.as_str() {
            "/bot1:tok/sendMessage"
                if body["parse_mode"] == "HTML" && body["text"].as_str().unwrap().contains("HUGE") =>
            {
                said(
                    400,
                    &[],
                    json!({"ok": false, "error_code": 400, "description": "Bad Request: can't parse entities: x"}),
                )
            }
            "/bot1:tok/sendMessage" => said(200, &[], json!({"ok": true, "result": {"message_id": 7}})),
            "/enqueue" => said(202, &[], json!({"status": "success", "dedup_key": body["dedup_key"]})),
            "/am/api/v2/alerts" => said(200, &[], ""),
            _ => said(404, &[], "{}"),
        }
    })
    .await;
    bench.settings.services.telegram = receiver.url("/");
    bench.settings.services.pagerduty = receiver.url("/enqueue");
    bench.channels.put("tg", json!({"name": "t", "type": "telegram", "config": {"token": "1:tok", "chat_id": -100}}));
    bench.channels.put("pd", json!({"name": "p", "type": "pagerduty", "config": {"routing_key": "R".repeat(32)}}));
    bench.channels.put("am", json!({"name": "a", "type": "alertmanager", "config": {"url": receiver.url("/am")}}));
    let running = bench.start();
    for (n, kind) in ["alert.firing", "alert.resolved"].iter().enumerate() {
        bench.write(&["tg", "pd", "am"].map(|channel| message(channel, "A", kind, n as u64 + 1))).await;
        bench.ended(3 * (n + 1)).await;
    }
    let notes = [
        ("alerts.settled", json!({"network": "n"})),
        ("channel.test", json!({})),
        ("channel.summary", json!({"count": 2})),
    ];
    bench.write(&notes.map(|(kind, body)| note("pd", kind, body))).await;
    let deliveries = bench.ended(9).await;
    running.stop().await;
    assert_all_sent(&deliveries);
    let came = receiver.came();
    let at = |path: &str| came.iter().filter(|c| c.path == path).map(Came::json).collect::<Vec<_>>();
    let telegram = at("/bot1:tok/sendMessage");
    assert_eq!((telegram.len(), &telegram[0]["chat_id"]), (2, &json!(-100)));
    assert!(telegram[0]["text"].as_str().unwrap().contains("Router &lt;fails&gt;"));
    assert_eq!(telegram[1]["reply_parameters"]["message_id"], 7);
    let actions: Vec<(Value, Value)> =
        at("/enqueue").iter().map(|e| (e["event_action"].clone(), e["dedup_key"].clone())).collect();
    assert_eq!(&actions[..2], [("trigger".into(), "A".into()), ("resolve".into(), "A".into())]);
    assert_eq!(actions.len(), 6, "settled says nothing, a test and a summary open and close");
    for of in actions[2..].chunks(2) {
        assert_eq!((&of[0].0, &of[1].0, &of[0].1), (&"trigger".into(), &"resolve".into(), &of[1].1));
    }
    let alerts = at("/am/api/v2/alerts");
    assert_eq!(alerts[0][0]["labels"]["headwater_alert"], "A");
    assert!(alerts[0][0]["endsAt"].as_str() > alerts[1][0]["endsAt"].as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_is_the_tenants_own_and_its_values_are_escaped() {
    let bench = Bench::new().await;
    let receiver = Receiver::new(|_, _| said(200, &[], json!({"id": "1"}))).await;
    bench.channels.put("discord", json!({"name": "d", "type": "discord", "config": {"url": receiver.url("/d")}}));
    let mut templated = message("discord", "A", "alert.firing", 1);
    let mut body = alert("A", "firing");
    body["source"] = json!({"kind": "monitor", "id": "with-template", "name": "Big *moves*", "version": 1});
    body["evidence"] = json!({"count": 1, "matches": [{"kind": "event", "signature": "Transfer(address,address,uint256)",
        "transaction_hash": "0xabc", "height": 5, "arguments": {"from": "0x_1_", "value": "1000"}}]});
    templated.body = body.to_string();
    let running = bench.start();
    bench.write(&[templated]).await;
    bench.ended(1).await;
    running.stop().await;
    let embed = receiver.came()[0].json()["embeds"][0].clone();
    assert_eq!(embed["title"], "Firing: 0xabc moved 1000");
    let description = embed["description"].as_str().unwrap();
    assert!(description.starts_with("*Big \\*moves\\** by 0x\\_1\\_, ${no.such}, unknown\n"), "{description}");
}
