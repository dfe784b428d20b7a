//! Lists and single things, by their own tenant alone, and within a key's networks.

use schemas::records::{AlertEventKind, AlertMatch, DeliveryState, Figured, Found, MatchOp, Payload};
use serde_json::{Value, json};

use crate::chain::{Chain, recorded};

use super::{MINE, THEIRS, delivery, event, fired, id, kind, matched, network, start, until};

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_messages_and_matches_are_told_to_their_own_tenant() {
    let keyed = start().await;
    let here = network("ethereum");
    let (old, new, theirs) = (id(30), id(3), id(5));
    keyed.world.tell(&here, &fired(MINE, &old)).await;
    keyed.world.tell(&here, &event(MINE, &old, 2, AlertEventKind::Resolved, "resolved")).await;
    keyed.world.tell(&here, &fired(MINE, &new)).await;
    keyed.world.tell(&here, &fired(THEIRS, &theirs)).await;
    let (message, test, another) = (id(2), id(1), id(4));
    keyed.world.tell(&here, &delivery(MINE, &message, Some(&new), 0, DeliveryState::Queued)).await;
    keyed.world.tell(&here, &delivery(MINE, &message, Some(&new), 1, DeliveryState::Queued)).await;
    keyed.world.tell(&here, &delivery(MINE, &test, None, 0, DeliveryState::Queued)).await;
    keyed.world.tell(&here, &delivery(THEIRS, &another, None, 0, DeliveryState::Queued)).await;
    let key = keyed.key(&["*:*"]).await;
    let key = key.text.expose();
    let all = until(&keyed, key, "/api/v1/alerts", "alerts", |list| ids(list).len() == 2).await;
    assert_eq!(ids(&all), [&new, &old], "the newest first, and not another's");
    for (query, wanted) in [
        ("state=firing", vec![&new]),
        ("state=firing,resolved", vec![&new, &old]),
        ("state=retracted", vec![]),
        ("rule=01J000000000000000000000RV", vec![&new, &old]),
        ("monitor=01J000000000000000000000RV", vec![]),
        ("network=ethereum&severity=critical", vec![&new, &old]),
        ("network=silent", vec![]),
        ("contract=0x0000000000000000000000000000000000000007", vec![&new, &old]),
        ("severity=info,warning", vec![]),
        ("since=2100-01-01T00:00:00Z", vec![]),
        ("since=2020-01-01T00:00:00Z", vec![&new, &old]),
    ] {
        let list = keyed.ask("GET", &format!("/api/v1/alerts?{query}"), key).await;
        assert_eq!(ids(&list.json()), wanted, "{query}");
    }
    let first = keyed.ask("GET", "/api/v1/alerts?limit=1", key).await.json();
    let cursor = first["next"].as_str().expect("there is more");
    let second = keyed.ask("GET", &format!("/api/v1/alerts?limit=1&cursor={cursor}"), key).await.json();
    assert_eq!((ids(&first), ids(&second)), (vec![new.as_str()], vec![old.as_str()]));
    for (query, parameter) in [
        ("state=burning", "state"),
        ("severity=high", "severity"),
        ("rule=x", "rule"),
        ("rule=01J000000000000000000000RV&monitor=01J000000000000000000000RV", "monitor"),
        ("since=now", "since"),
    ] {
        let refused = keyed.ask("GET", &format!("/api/v1/alerts?{query}"), key).await;
        assert_eq!((refused.status, refused.json()["parameter"].as_str()), (400, Some(parameter)), "{query}");
    }
    let item = &all["items"][1];
    assert_eq!((&item["state"], &item["group"]["contract"]), (&json!("resolved"), &json!("7")));
    assert_eq!((&item["events"][1]["kind"], &item["events"][1]["sequence"]), (&json!("resolved"), &json!(43)));
    assert_eq!(item["links"]["acknowledge"], Value::Null, "there is nothing to take on");
    let links = &all["items"][0]["links"];
    assert!(links["dashboard"].as_str().is_some_and(|link| link.ends_with(&format!("/alerts/{new}"))), "{links}");
    assert!(links["acknowledge"].as_str().is_some_and(|link| link.contains("/ack/")), "{links}");

    // One, and none.
    let one = keyed.ask("GET", &format!("/api/v1/alerts/{old}"), key).await;
    assert_eq!((one.status, &one.json()["events"]), (200, &item["events"]));
    let (not_mine, not_there) =
        (format!("/api/v1/alerts/{theirs}"), "/api/v1/alerts/01J0000000000000000000000A".to_owned());
    let (not_mine, not_there) = (keyed.ask("GET", &not_mine, key).await, keyed.ask("GET", &not_there, key).await);
    assert_eq!(kind(&not_mine), (404, "no-such-thing".to_owned()));
    assert_eq!(not_mine.text(), not_there.text());
    let reader = keyed.key(&["alerts:read"]).await;
    let read = keyed.ask("GET", "/api/v1/alerts", reader.text.expose()).await.json();
    assert_eq!(read["items"][0]["links"]["acknowledge"], Value::Null, "who may not write gets no link that does");

    // Times on charts.
    let marks = keyed.ask("GET", "/api/v1/annotations", key).await.json();
    assert_eq!((marks.as_array().map(Vec::len), &marks[0]["title"]), (Some(2), &json!("Fails <b>often</b>")));
    assert_eq!(marks[0]["text"], "failure_rate 0.5, threshold 0.05, over 5m");
    assert!(marks[1]["timeEnd"].as_i64() >= marks[1]["time"].as_i64() && marks[0]["tags"][2] == "firing", "{marks}");
    let none = keyed.ask("GET", "/api/v1/annotations?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z", key).await;
    assert_eq!(none.json(), json!([]));

    // Messages.
    let list = until(&keyed, key, "/api/v1/deliveries", "messages", |list| ids(list).len() == 2).await;
    assert_eq!(ids(&list), [&test, &message]);
    let read = keyed.ask("GET", &format!("/api/v1/deliveries/{message}"), key).await.json();
    assert_eq!((&read["alert"], &read["attempts"][0]["status"]), (&json!(new), &json!(503)));
    let of = keyed.ask("GET", &format!("/api/v1/deliveries?alert={new}&state=queued,sent"), key).await;
    assert_eq!(ids(&of.json()), [&message]);
    let not_mine = keyed.ask("GET", &format!("/api/v1/deliveries/{another}"), key).await;
    assert_eq!(kind(&not_mine), (404, "no-such-thing".to_owned()));

    // Who reaches another network only has none of it, but for messages about no alert.
    let narrow = keyed.key_of(&["*:*"], &["silent"], None).await;
    let narrow = narrow.text.expose();
    assert_eq!(ids(&keyed.ask("GET", "/api/v1/alerts", narrow).await.json()), [""; 0]);
    assert_eq!(keyed.ask("GET", &format!("/api/v1/alerts/{new}"), narrow).await.status, 404);
    assert_eq!(keyed.ask("GET", "/api/v1/alerts?network=ethereum", narrow).await.status, 404);
    assert_eq!(ids(&keyed.ask("GET", "/api/v1/deliveries", narrow).await.json()), [&test]);
    assert_eq!(keyed.ask("GET", &format!("/api/v1/deliveries/{message}"), narrow).await.status, 404);
    assert_eq!(keyed.ask("GET", "/api/v1/annotations", narrow).await.json(), json!([]));
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitors_matches_are_its_tenants() {
    let keyed = start().await;
    let key = keyed.key(&["*:*"]).await;
    let key = key.text.expose();
    let new = json!({"name": "m", "networks": ["ethereum"], "match_conditions": {"transactions": [{"status": "Any"}]},
        "addresses": [{"address": format!("0x{:040x}", 9)}]});
    let made = keyed.send("POST", "/api/v1/monitors", key, &[], &new.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let monitor = made.json()["id"].as_str().expect("an id").to_owned();
    for (tenant, hash) in [(MINE, 1), (MINE, 2), (THEIRS, 3)] {
        keyed.world.tell(&network("ethereum"), &matched(tenant, &monitor, hash)).await;
    }
    let target = format!("/api/v1/monitors/{monitor}/matches?state=live&limit=10");
    let has = |list: &Value| list["items"].as_array().is_some_and(|items| items.len() == 2);
    let list = until(&keyed, key, &target, "matches", has).await;
    let item = &list["items"][0];
    assert_eq!((&item["kind"], &item["position"], &item["state"]), (&json!("event"), &json!(0), &json!("live")));
    assert_eq!((&item["arguments"]["value"], &item["monitor_version"]), (&json!("7"), &json!(1)));
    assert_eq!(item["transaction_hash"].as_str().map(str::len), Some(66));
    assert_eq!((&item["cause"], &item["reason"], &list["left_out"]), (&Value::Null, &Value::Null, &json!([])));
    // One whose transaction failed, and what there was no room for.
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    (0..8).for_each(|_| drop(chain.apply()));
    keyed.world.publish_and_wait(&chain.events).await;
    let failed = chain.transactions().into_iter().find_map(|transaction| match &transaction.payload {
        Payload::Evm(both) if both.1.failure_cause.is_some() => Some((transaction.envelope.clone(), (**both).clone())),
        _ => None,
    });
    let (envelope, (evm, enrichment)) = failed.expect("one that failed");
    let mut of_it = matched(MINE, &monitor, 4);
    (of_it.height, of_it.block_hash) = (envelope.height, Some(envelope.block_hash));
    of_it.found = of_it.found.map(|found| Found { transaction_hash: evm.hash, ..found });
    keyed.world.tell(&network("ethereum"), &of_it).await;
    let figure = Figured { over: false, evidence: json!({"left_out": 500}).to_string() };
    let cut = AlertMatch { op: MatchOp::LeftOut, found: None, figure: Some(figure), ..matched(MINE, &monitor, 4) };
    keyed.world.tell(&network("ethereum"), &cut).await;
    let has = |list: &Value| list["left_out"].as_array().is_some_and(|networks| !networks.is_empty());
    let list = until(&keyed, key, &target, "what was left out", has).await;
    let left_out = &list["left_out"][0];
    assert_eq!((&left_out["network"], &left_out["matches"]), (&json!("ethereum"), &json!(500)));
    assert_eq!(left_out["transactions"], json!(0));
    let hash = evm.hash.to_string();
    let item = list["items"].as_array().and_then(|items| items.iter().find(|item| item["transaction_hash"] == hash));
    assert_eq!(item.expect("its match")["cause"].as_str(), enrichment.failure_cause.as_deref());
    let gone = keyed.ask("GET", &format!("/api/v1/monitors/{monitor}/matches?state=retracted"), key).await.json();
    assert_eq!(gone["items"], json!([]));
    assert_eq!(keyed.ask("GET", &format!("/api/v1/monitors/{monitor}/matches?state=gone"), key).await.status, 400);
    let none = keyed.ask("GET", "/api/v1/monitors/01J0000000000000000000000A/matches", key).await;
    assert_eq!(kind(&none), (404, "no-such-thing".to_owned()));
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_is_tried_on_what_came_last_and_is_not_kept() {
    let keyed = start().await;
    let key = keyed.key(&["monitors:read"]).await;
    let key = key.text.expose();
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    (0..8).for_each(|_| drop(chain.apply()));
    keyed.world.publish(&chain.events).await;
    let asked = async |status: &str, network: &str| {
        let body =
            json!({"name": "m", "networks": [network], "match_conditions": {"transactions": [{"status": status}]}});
        keyed.send("POST", "/api/v1/monitors/preview", key, &[], &body.to_string()).await
    };
    let counts = |chain: &Chain| {
        let all = chain.transactions();
        let items = all.iter().filter_map(api::items::TransactionItem::from_record);
        (all.len() as u64, items.filter(|item| item.status == "failed").count() as u64)
    };
    let settled = async |wanted: (u64, u64)| {
        for _ in 0..200 {
            let seen = asked("Failure", "ethereum").await;
            assert_eq!(seen.status, 200, "{}", seen.text());
            let seen = seen.json();
            if (seen["transactions"].as_u64(), seen["matches"].as_u64()) == (Some(wanted.0), Some(wanted.1)) {
                return seen;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("not {wanted:?}: {}", asked("Failure", "ethereum").await.text());
    };
    let all = counts(&chain);
    assert!(all.1 > 0, "{all:?}");
    let seen = settled(all).await;
    assert_eq!((&seen["items"][0]["kind"], seen["from"].is_string()), (&json!("transaction"), true), "{seen}");
    assert_eq!((&seen["left_out"], &seen["asks_for_causes"]), (&json!(0), &json!(false)), "{seen}");
    let by_cause = json!({"name": "m", "networks": ["ethereum"], "match_conditions": {
        "transactions": [{"status": "Failure", "expression": "failure_cause == 'slippage'"}]
    }});
    let seen = keyed.send("POST", "/api/v1/monitors/preview", key, &[], &by_cause.to_string()).await;
    assert_eq!((seen.status, &seen.json()["asks_for_causes"]), (200, &json!(true)), "{}", seen.text());
    // What a reorg took back is not there.
    let before = chain.events.len();
    chain.revert();
    keyed.world.publish(&chain.events[before..]).await;
    settled(counts(&chain)).await;
    assert_eq!(asked("Failure", "silent").await.json()["transactions"], 0);
    assert_eq!(kind(&asked("Perhaps", "ethereum").await), (422, "invalid-body".to_owned()));
    assert_eq!(kind(&asked("Any", "nowhere").await), (404, "network-not-found".to_owned()));
    let owner = keyed.key(&["*:*"]).await;
    assert_eq!(keyed.ask("GET", "/api/v1/monitors", owner.text.expose()).await.json()["items"], json!([]));
    keyed.api.stop().await;
}
