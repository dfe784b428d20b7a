//! Rules, monitors, channels and silences.

use serde_json::{Value, json};

use super::{AUDIT, Open, kind, paths};
use crate::{door::Keyed, http::Answer, world::World};

const RULES: &str = "/api/v1/rules";
const MONITORS: &str = "/api/v1/monitors";
const CHANNELS: &str = "/api/v1/channels";
const SILENCES: &str = "/api/v1/silences";

/// One of each, as it is sent.
pub fn one_of_each() -> [(&'static str, Value); 4] {
    let address = json!([{"address": format!("0x{:040x}", 9)}]);
    [
        (CHANNELS, json!({"name": "one", "type": "webhook", "config": {"url": "https://1.1.1.1/hook"}})),
        (RULES, json!({"name": "one", "network": "a", "metric": "failure_rate", "operator": ">", "threshold": 0.05})),
        (
            MONITORS,
            json!({"name": "one", "networks": ["a"], "addresses": address, "match_conditions": {"transactions": [{"status": "Failure"}]}}),
        ),
        (SILENCES, json!({"name": "one", "match": {"network": "a"}, "ends_at": "2100-01-01T00:00:00Z"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_made_read_changed_and_removed() {
    let open = Open::start().await;
    for (list, new) in one_of_each() {
        let once = [("Idempotency-Key", list)];
        let made = open.send("POST", list, &once, &new).await;
        assert_eq!((made.status, made.header("etag")), (201, Some("\"1\"")), "{list}: {}", made.text());
        let path = made.header("location").expect("where it is").to_owned();
        let made = made.json();
        assert_eq!(path, format!("{list}/{}", made["id"].as_str().expect("an id")));
        assert_eq!(
            (&made["name"], &made["version"], &made["created_by"]["kind"]),
            (&json!("one"), &json!(1), &json!("user"))
        );
        assert!(made["created_at"].is_string() && made["created_at"] == made["updated_at"], "{made}");
        let read = open.api.get(&path).await;
        assert_eq!(
            (read.status, read.header("etag"), read.header("cache-control")),
            (200, Some("\"1\""), Some("no-store"))
        );
        let listed = open.api.get(list).await.json();
        assert_eq!((&listed["items"], &listed["next"]), (&json!([read.json()]), &Value::Null), "whole definitions");
        // The same request again, and the name again.
        let again = open.send("POST", list, &once, &new).await;
        assert_eq!((again.status, &again.json()["id"]), (201, &made["id"]));
        let taken = open.send("POST", list, &[], &new).await;
        assert_eq!((kind(&taken), &taken.json()["id"]), ((409, "taken".to_owned()), &made["id"]));

        // A change says what it was made from.
        let patch = json!({"name": "two"});
        assert_eq!(kind(&open.send("PATCH", &path, &[], &patch).await), (428, "precondition-required".to_owned()));
        let stale = open.send("PATCH", &path, &[("If-Match", "\"7\"")], &patch).await;
        assert_eq!((kind(&stale), &stale.json()["version"]), ((412, "changed-since".to_owned()), &json!(1)));
        let changed = open.send("PATCH", &path, &[("If-Match", "\"1\"")], &patch).await;
        assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{}", changed.text());
        let mut expected = read.json();
        (expected["name"], expected["version"]) = ("two".into(), 2.into());
        expected["updated_at"] = changed.json()["updated_at"].clone();
        assert_eq!(changed.json(), expected, "{list}: what is left out stays");
        let wrong = open.send("PATCH", &path, &[("If-Match", "*")], &json!({"version": 3, "nmae": 1})).await;
        assert_eq!((kind(&wrong), paths(&wrong)), ((422, "invalid-body".to_owned()), vec!["version".to_owned()]));
        let wrong = open.send("PATCH", &path, &[("If-Match", "*")], &json!({"nmae": 1})).await;
        assert_eq!(paths(&wrong), ["nmae"], "{}", wrong.text());

        assert_eq!(open.raw("DELETE", &path, &[], b"").await.status, 428);
        assert_eq!(open.raw("DELETE", &path, &[("If-Match", "\"1\"")], b"").await.status, 412);
        assert_eq!(open.raw("DELETE", &path, &[("If-Match", "\"2\"")], b"").await.status, 204);
        for method in ["GET", "PATCH", "DELETE"] {
            let gone = open.raw(method, &path, &[("If-Match", "*")], if method == "PATCH" { b"{}" } else { b"" }).await;
            assert_eq!(kind(&gone), (404, "no-such-thing".to_owned()), "{method} {path}");
        }
        let word = list.trim_start_matches("/api/v1/").trim_end_matches('s');
        let audit = open.api.get(&format!("{AUDIT}?resource={}", made["id"].as_str().expect("an id"))).await.json();
        let actions: Vec<&str> =
            audit["items"].as_array().expect("a list").iter().filter_map(|e| e["action"].as_str()).collect();
        assert_eq!(actions, ["delete", "change", "create"].map(|action| format!("{word}.{action}")));
    }
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_has_its_path_and_inside_of_an_expression_its_character() {
    let open = Open::start().await;
    let [(_, channel), (_, rule), (_, monitor), (_, silence)] = one_of_each();
    let with = |of: &Value, field: &str, value: Value| {
        let mut of = of.clone();
        of[field] = value;
        of
    };
    for (list, body, path) in [
        (RULES, with(&rule, "network", "nowhere".into()), "network"),
        (RULES, with(&rule, "metric", "nonsense".into()), "metric"),
        (RULES, with(&rule, "operator", "~".into()), "operator"),
        (RULES, with(&rule, "channels", json!(["none"])), "channels.0"),
        (RULES, with(&rule, "for", "5 fortnights".into()), "for"),
        (MONITORS, with(&monitor, "networks", json!(["a", "nowhere"])), "networks.1"),
        (SILENCES, with(&silence, "match", json!({"network": "nowhere"})), "match.network"),
        (SILENCES, with(&silence, "ends_at", "soon".into()), "ends_at"),
        (CHANNELS, with(&channel, "type", "pigeon".into()), "type"),
        (CHANNELS, with(&channel, "config", json!({"url": "http://127.0.0.1/"})), "config.url"),
        (CHANNELS, with(&channel, "config", json!({"url": "https://1.1.1.1:22/"})), "config.url"),
        (CHANNELS, with(&channel, "config", json!({"url": "https://1.1.1.1/", "secret": "whsec_!"})), "config.secret"),
    ] {
        let answer = open.send("POST", list, &[], &body).await;
        assert_eq!(
            (kind(&answer), paths(&answer)),
            ((422, "invalid-body".to_owned()), vec![path.to_owned()]),
            "{body}"
        );
    }
    let mut wrong = monitor.clone();
    wrong["match_conditions"] = json!({"transactions": [{"status": "Any", "expression": "value >> 5"}]});
    let answer = open.send("POST", MONITORS, &[], &wrong).await;
    assert_eq!(paths(&answer), ["match_conditions.transactions.0.expression"], "{}", answer.text());
    assert!(
        answer.json()["errors"][0]["position"].as_u64().is_some_and(|at| (6..=8).contains(&at)),
        "{}",
        answer.text()
    );
    for list in [RULES, MONITORS, CHANNELS, SILENCES] {
        assert_eq!(open.api.get(list).await.json()["items"], json!([]), "nothing is kept");
    }
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_the_answer_that_made_it_and_nowhere_else() {
    let open = Open::start().await;
    let [(_, new), ..] = one_of_each();
    let made = open.send("POST", CHANNELS, &[("Idempotency-Key", "k")], &new).await;
    let path = made.header("location").expect("where it is").to_owned();
    let secret = made.json()["config"]["secret"].as_str().expect("it was made here").to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    assert_eq!((&made.json()["state"], &made.json()["disabled_reason"]), (&json!("active"), &Value::Null));
    let again = open.send("POST", CHANNELS, &[("Idempotency-Key", "k")], &new).await.json();
    assert_eq!(again["config"]["secret"], json!({"set": true}));
    let slack = json!({"name": "chat", "type": "slack", "config": {"url": "https://1.1.1.1/services/very-secret"}});
    let slack = open.send("POST", CHANNELS, &[], &slack).await;
    assert_eq!(slack.json()["config"], json!({"url": {"set": true}}), "{}", slack.text());
    let renamed =
        open.send("PATCH", &path, &[("If-Match", "*")], &json!({"name": "hook", "state": "disabled"})).await.json();
    assert_eq!((&renamed["state"], renamed["disabled_reason"].is_string()), (&json!("disabled"), true));
    for target in [CHANNELS, &path, AUDIT] {
        let text = open.api.get(target).await.text();
        assert!(
            text.contains("\"set\":true") && !text.contains(&secret[6..]) && !text.contains("very-secret"),
            "{target}"
        );
    }
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_stays() {
    let open = Open::start().await;
    let [(_, channel), (_, mut rule), ..] = one_of_each();
    let channel = open.send("POST", CHANNELS, &[], &channel).await;
    let path = channel.header("location").expect("where it is").to_owned();
    rule["channels"] = json!(["one"]);
    rule["contract"] = format!("0x{:040x}", 5).into();
    let made = open.send("POST", RULES, &[], &rule).await;
    assert_eq!((made.status, &made.json()["channels"][0]), (201, &channel.json()["id"]), "{}", made.text());
    let refused = open.raw("DELETE", &path, &[("If-Match", "*")], b"").await;
    assert_eq!(kind(&refused), (409, "in-use".to_owned()));
    assert!(refused.text().contains("rule one"), "{}", refused.text());
    // The contract that it names is one of ours now.
    let contracts = open.api.get(super::CONTRACTS).await.json();
    let contract = format!("{}/{}", super::CONTRACTS, contracts["items"][0]["id"].as_str().expect("it is there"));
    assert_eq!(kind(&open.raw("DELETE", &contract, &[("If-Match", "*")], b"").await), (409, "in-use".to_owned()));
    let rule = made.header("location").expect("where it is").to_owned();
    for path in [rule, path, contract] {
        assert_eq!(open.raw("DELETE", &path, &[("If-Match", "*")], b"").await.status, 204, "{path}");
    }
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_of_a_bitcoin_network_looks_for_what_is_there() {
    let open = Open::over(World::without_sink(&["a", "bitcoin"]).await, Vec::new()).await;
    let monitor = |networks: Value, expression: &str| {
        let conditions = json!({"transactions": [{"status": "Any", "expression": expression}]});
        json!({"name": expression, "networks": networks, "match_conditions": conditions})
    };
    let refused = |answer: &Answer, place: &str, words: &str| {
        assert_eq!((kind(answer), paths(answer)), ((422, "invalid-body".to_owned()), vec![place.to_owned()]));
        let mistake = &answer.json()["errors"][0];
        assert!(mistake["problem"].as_str().is_some_and(|problem| problem.contains(words)), "{mistake}");
    };
    let expression = "match_conditions.transactions.0.expression";
    let preview = format!("{MONITORS}/preview");
    for path in [MONITORS, preview.as_str()] {
        let gas = open.send("POST", path, &[], &monitor(json!(["bitcoin"]), "gas_used > 1")).await;
        refused(&gas, expression, "`gas_used`");
        let size = open.send("POST", path, &[], &monitor(json!(["a"]), "vsize > 1")).await;
        refused(&size, expression, "`vsize`");
        let both = open.send("POST", path, &[], &monitor(json!(["a", "bitcoin"]), "value > 1")).await;
        refused(&both, "networks.1", "is a Bitcoin network");
    }
    assert_eq!(open.api.get(MONITORS).await.json()["items"], json!([]), "nothing is kept");

    let mut watching = monitor(json!(["bitcoin"]), "fee_rate >= 100_000 AND NOT coinbase");
    watching["addresses"] = json!([{"address": "BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ"}]);
    let made = open.send("POST", MONITORS, &[], &watching).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["addresses"][0]["address"], "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq");
    assert_eq!(open.send("POST", &preview, &[], &watching).await.status, 200);

    // Nor does what is not there come by a change.
    let path = made.header("location").expect("where it is").to_owned();
    let any = [("If-Match", "*")];
    refused(&open.send("PATCH", &path, &any, &json!({"networks": ["bitcoin", "a"]})).await, "networks.1", "EVM");
    let away = open.send("PATCH", &path, &any, &json!({"networks": ["a"]})).await;
    assert!(paths(&away).contains(&"addresses.0.address".to_owned()), "{}", away.text());
    assert_eq!(open.api.get(&path).await.json()["networks"], made.json()["networks"]);

    // Rules are of both.
    for metric in ["transactions", "fee_total", "gas_price_avg", "no_block_seconds", "diverged"] {
        let mut rule = json!({"name": metric, "network": "bitcoin", "metric": metric});
        if metric != "diverged" {
            rule["threshold"] = json!(1);
        }
        let made = open.send("POST", RULES, &[], &rule).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let silence = json!({"name": "quiet", "match": {"network": "bitcoin"}, "ends_at": "2100-01-01T00:00:00Z"});
    assert_eq!(open.send("POST", SILENCES, &[], &silence).await.status, 201);
    open.api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_does_not_reach_is_not_there() {
    let keyed = Keyed::start(&["a", "b"]).await;
    let all = keyed.key(&["*:*"]).await;
    let of_a = keyed.key_of(&["rules:read", "rules:write"], &["a"], None).await;
    let (all, of_a) = (all.text.expose(), of_a.text.expose());
    let rule = |name: &str, network: &str| {
        json!({"name": name, "network": network, "metric": "tps", "operator": "<", "threshold": 1}).to_string()
    };
    let hidden = keyed.send("POST", RULES, all, &[], &rule("hidden", "b")).await;
    let hidden = hidden.header("location").expect("made").to_owned();
    assert_eq!(keyed.send("POST", RULES, of_a, &[], &rule("mine", "a")).await.status, 201);
    assert_eq!(
        kind(&keyed.send("POST", RULES, of_a, &[], &rule("other", "b")).await),
        (403, "more-than-yours".to_owned())
    );
    let list = keyed.ask("GET", RULES, of_a).await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(kind(&keyed.ask("GET", &hidden, of_a).await), (404, "no-such-thing".to_owned()));
    assert_eq!(keyed.ask("GET", &hidden, all).await.status, 200);
    keyed.api.stop().await;
}
