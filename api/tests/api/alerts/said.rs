//! What a message would say: about a real alert where there is one, of one's own.

use schemas::records::AlertEventKind;
use serde_json::{Value, json};

use super::{MINE, THEIRS, event, fired, id, kind, matched, network, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_is_tried_on_a_real_alert_of_ones_own() {
    let keyed = start().await;
    let owner = keyed.key(&["*:*"]).await;
    let key = owner.text.expose();
    let asked = async |key: &str, body: Value| {
        keyed.send("POST", "/api/v1/channels/preview", key, &[], &body.to_string()).await
    };
    let template =
        json!({"title": "${source.name} in ${block.number}", "body": "${events.0.args.value} by ${who} and ${who}"});
    let example = asked(key, json!({"template": template})).await;
    assert_eq!(example.status, 200, "{}", example.text());
    let example = example.json();
    assert_eq!((&example["of"], &example["alert"]), (&json!("example"), &Value::Null), "{example}");
    assert_eq!(example["title"], "Firing: Large transfers in 24350000");
    assert_eq!(
        (&example["text"], &example["missing"]),
        (&json!("2500000000000000000 by ${who} and ${who}"), &json!(["who"]))
    );
    // Without a template it is what it says anyway.
    let bare = asked(key, json!({})).await.json();
    assert!(bare["text"].as_str().is_some_and(|text| text.starts_with("Severity: warning\n")), "{bare}");

    // A monitor that has matched, and of which no alert is known.
    let new = json!({"name": "Mine", "networks": ["ethereum"], "match_conditions": {"transactions": [{"status": "Any"}]},
        "addresses": [{"address": format!("0x{:040x}", 9)}]});
    let made = keyed.send("POST", "/api/v1/monitors", key, &[], &new.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let monitor = made.json()["id"].as_str().expect("an id").to_owned();
    keyed.world.tell(&network("ethereum"), &matched(MINE, &monitor, 1)).await;
    let target = format!("/api/v1/monitors/{monitor}/matches");
    until(&keyed, key, &target, "a match", |list| list["items"].as_array().is_some_and(|items| items.len() == 1)).await;
    let of_match = asked(key, json!({"template": template, "monitor": monitor})).await.json();
    assert_eq!((&of_match["of"], &of_match["title"]), (&json!("match"), &json!("Firing: Mine in 100")), "{of_match}");

    // Alerts: one of a monitor, a newer one of a rule, and another tenant's.
    let (of_monitor, of_rule, theirs) = (id(9), id(5), id(2));
    let mut first = event(MINE, &of_monitor, 1, AlertEventKind::Fired, "firing");
    let mut alert: Value = serde_json::from_str(&first.alert).expect("an alert");
    alert["source"] = json!({"kind": "monitor", "id": monitor, "name": "<b>Mine</b>", "version": 1});
    alert["evidence"] = json!({"count": 1, "matches": [{"kind": "event", "height": 7, "arguments": {"value": "41"}}]});
    first.alert = alert.to_string();
    keyed.world.tell(&network("ethereum"), &first).await;
    keyed.world.tell(&network("ethereum"), &fired(MINE, &of_rule)).await;
    keyed.world.tell(&network("ethereum"), &fired(THEIRS, &theirs)).await;
    let both = |list: &Value| list["items"].as_array().is_some_and(|items| items.len() == 2);
    until(&keyed, key, "/api/v1/alerts", "alerts", both).await;
    for body in [json!({"template": template}), json!({"template": template, "monitor": monitor})] {
        let newest = asked(key, body).await.json();
        assert_eq!((&newest["of"], &newest["alert"]), (&json!("alert"), &json!(of_monitor)), "{newest}");
        assert_eq!(newest["title"], "Firing: <b>Mine</b> in 7");
        assert_eq!(newest["text"], "41 by ${who} and ${who}");
        assert_eq!(newest["data"]["links"]["acknowledge"], Value::Null, "nothing that acts");
    }
    let chosen = asked(key, json!({"alert": of_rule, "template": {"body": "${evidence.metric}: ${evidence.value}"}}))
        .await
        .json();
    assert_eq!((&chosen["alert"], &chosen["text"]), (&json!(of_rule), &json!("failure_rate: 0.5")), "{chosen}");
    let not_mine = asked(key, json!({"alert": theirs})).await;
    assert_eq!(kind(&not_mine), (404, "no-such-thing".to_owned()));
    let none = asked(key, json!({"monitor": "01J0000000000000000000000A"})).await;
    assert_eq!(kind(&none), (404, "no-such-thing".to_owned()));

    // Who reaches another network only, or may not read alerts.
    let narrow = keyed.key_of(&["*:*"], &["silent"], None).await;
    assert_eq!(asked(narrow.text.expose(), json!({})).await.json()["of"], "example");
    assert_eq!(asked(narrow.text.expose(), json!({"alert": of_rule})).await.status, 404);
    let other = keyed.key(&["channels:read"]).await;
    assert_eq!(asked(other.text.expose(), json!({})).await.status, 403);
    for (body, path) in [
        (json!({"template": {"titel": "x"}}), "template.titel"),
        (json!({"template": {"title": "x".repeat(201)}}), "template.title"),
        (json!({"alert": of_rule, "monitor": monitor}), "monitor"),
        (json!({"channel": monitor}), "channel"),
    ] {
        let refused = asked(key, body).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["path"]), (422, &json!(path)), "{path}");
    }
    keyed.api.stop().await;
}
