//! What people ask: acknowledging, a test, sending again; each in the log for its own tenant, and in the audit.

use std::time::{Duration, Instant};

use schemas::records::{AlertEventKind, Command, DeliveryState};
use serde_json::json;
use tokio::time::sleep;

use super::{MINE, Stage, THEIRS, delivery, event, fired, id, kind, network, start, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_taken_on_once_by_the_stage_and_that_is_written_down() {
    let keyed = start().await;
    let (here, stage) = (network("ethereum"), Stage::of(&keyed.world));
    let (mine, over, slow, theirs) = (id(9), id(8), id(7), id(6));
    for event in [
        fired(MINE, &mine),
        fired(MINE, &over),
        event(MINE, &over, 2, AlertEventKind::Resolved, "resolved"),
        fired(MINE, &slow),
        fired(THEIRS, &theirs),
    ] {
        keyed.world.tell(&here, &event).await;
    }
    let key = keyed.key(&["*:*"]).await;
    let key = key.text.expose();
    let path = |id: &str| format!("/api/v1/alerts/{id}/acknowledge");
    // It is there as soon as the log tells of it, whatever the store has.
    until(&keyed, key, &format!("/api/v1/alerts/{slow}"), "the alerts", |_| true).await;

    let reader = keyed.key(&["alerts:read", "deliveries:write"]).await;
    let refused = keyed.send("POST", &path(&mine), reader.text.expose(), &[], "{}").await;
    assert_eq!(kind(&refused), (403, "forbidden".to_owned()));
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(3_000));
    for (id, body, wanted) in [
        (over.as_str(), "{}", (409, "alert-is-over")),
        (theirs.as_str(), "{}", (404, "no-such-thing")),
        ("none", "{}", (404, "no-such-thing")),
        (mine.as_str(), r#"{"note":7}"#, (422, "invalid-body")),
        (mine.as_str(), r#"{"not":"x"}"#, (422, "invalid-body")),
        (mine.as_str(), long.as_str(), (422, "invalid-body")),
    ] {
        let refused = keyed.send("POST", &path(id), key, &[], body).await;
        assert_eq!(kind(&refused), (wanted.0, wanted.1.to_owned()), "{id} {body}");
    }
    assert!(stage.commands().await.is_empty(), "what is refused is no command");

    let target = path(&mine);
    let (answer, ()) = tokio::join!(
        keyed.send("POST", &target, key, &[], r#"{"note":"looking"}"#),
        stage.acknowledges(&keyed.world, 0, 2)
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!((&answer["state"], &answer["events"][1]["note"]), (&json!("acknowledged"), &json!("looking")));
    assert_eq!(answer["events"][1]["by"], "key test");
    // Whoever comes second finds it so, and gives no command.
    let again = keyed.send("POST", &path(&mine), key, &[], "{}").await;
    assert_eq!((again.status, &again.json()["state"]), (200, &json!("acknowledged")));
    assert_eq!(stage.commands().await.len(), 1);
    // A stage that does not answer: the command is kept.
    let later = keyed.send("POST", &path(&slow), key, &[], "{}").await;
    assert_eq!((later.status, &later.json()["state"]), (202, &json!("firing")), "{}", later.text());
    let command = stage.command(1).await;
    assert_eq!((command.tenant.as_str(), command.by.as_str()), (MINE, "key test"));
    assert_eq!(command.what, Command::Acknowledge { alert_id: slow.clone(), note: None });
    let audit = keyed.ask("GET", "/api/v1/audit?action=alert.acknowledge", key).await.json();
    let told: Vec<_> =
        audit["items"].as_array().expect("entries").iter().map(|e| e["resource"]["id"].clone()).collect();
    assert_eq!(told, [json!(slow), json!(mine)]);
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tests_and_messages_that_are_sent_again_are_commands() {
    let keyed = start().await;
    let (here, stage) = (network("ethereum"), Stage::of(&keyed.world));
    let key = keyed.key(&["*:*"]).await;
    let key = key.text.expose();
    let new = json!({"name": "hook", "type": "webhook", "config": {"url": "https://1.1.1.1/hook"}});
    let made = keyed.send("POST", "/api/v1/channels", key, &[], &new.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let channel = made.json()["id"].as_str().expect("an id").to_owned();

    // Asked right after it was made, it is given to the stage when that can know of the channel.
    let (begun, later) = (Instant::now(), Duration::from_millis(400));
    let target = format!("/api/v1/channels/{channel}/test");
    let publishes = async {
        sleep(later).await;
        keyed.sql("UPDATE outbox SET published = revision").await;
    };
    let (test, ()) = tokio::join!(keyed.send("POST", &target, key, &[], "{}"), publishes);
    assert!(begun.elapsed() >= later, "{:?}", begun.elapsed());
    assert_eq!(test.status, 202, "{}", test.text());
    let location = test.header("location").expect("where it is").to_owned();
    let test = test.json();
    let of_test = test["id"].as_str().expect("an id").to_owned();
    assert_eq!(location, format!("/api/v1/deliveries/{of_test}"));
    assert_eq!(
        (&test["type"], &test["state"], &test["attempts"]),
        (&json!("channel.test"), &json!("queued"), &json!([]))
    );
    assert_eq!((&test["channel"], &test["channel_type"]), (&json!(channel), &json!("webhook")));
    let command = stage.command(0).await;
    assert_eq!(command.what, Command::TestChannel { channel_id: channel.clone(), delivery_id: of_test.clone() });
    keyed.world.tell(&here, &delivery(MINE, &of_test, None, 1, DeliveryState::Failed)).await;
    until(&keyed, key, &location, "what came of it", |read| read["state"] == "failed").await;

    let replay = keyed.send("POST", &format!("{location}/replay"), key, &[], "{}").await;
    assert_eq!((replay.status, &replay.json()["state"]), (202, &json!("queued")), "{}", replay.text());
    assert_eq!(stage.command(1).await.what, Command::ReplayDelivery { delivery_id: of_test });
    let since = json!({"since": "2026-01-01T00:00:00Z"}).to_string();
    let replay = keyed.send("POST", &format!("/api/v1/channels/{channel}/replay"), key, &[], &since).await;
    assert_eq!((replay.status, &replay.json()["channel"]), (202, &json!(channel)), "{}", replay.text());
    assert!(matches!(stage.command(2).await.what, Command::ReplayChannel { channel_id, .. } if channel_id == channel));
    for (body, wanted) in [("{}", 422), (r#"{"since":null}"#, 422), (r#"{"since":"2100-01-01T00:00:00Z"}"#, 422)] {
        let refused = keyed.send("POST", &format!("/api/v1/channels/{channel}/replay"), key, &[], body).await;
        assert_eq!(refused.status, wanted, "{body}");
    }
    for target in ["channels/01J0000000000000000000000A/test", "deliveries/01J0000000000000000000000A/replay"] {
        let none = keyed.send("POST", &format!("/api/v1/{target}"), key, &[], "{}").await;
        assert_eq!(kind(&none), (404, "no-such-thing".to_owned()), "{target}");
    }
    let audit = keyed.ask("GET", "/api/v1/audit?limit=10", key).await.json();
    let told: Vec<_> =
        audit["items"].as_array().expect("entries").iter().filter_map(|e| e["action"].as_str()).collect();
    assert_eq!(told[..3], ["channel.replay", "delivery.replay", "channel.test"]);
    keyed.api.stop().await;
}
