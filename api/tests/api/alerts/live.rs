//! The WebSocket's topic `alerts`: to its tenant's connections alone, from a cursor on without a hole.

use schemas::records::{AlertEvent, AlertEventKind};
use serde_json::{Value, json};

use super::{MINE, THEIRS, event, fired, id, network, start};
use crate::{
    door::Keyed,
    ws::{Closed, Ws},
};

async fn connect(keyed: &Keyed, key: &str) -> Ws {
    let authorization = format!("Bearer {key}");
    Ws::connect_with(keyed.api.at, &[("authorization", &authorization)]).await.expect("connects")
}

async fn subscribe(ws: &mut Ws, more: Value) -> Value {
    let mut operation = json!({"op": "subscribe", "id": 1, "topics": ["alerts"]});
    operation.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ws.send(&operation).await;
    ws.frame().await
}

/// Cursor, alert, kind and op of a frame.
fn told(frame: &Value) -> (String, String, String, String) {
    assert_eq!(frame["type"], "alert", "{frame}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&frame["cursor"]), text(&frame["data"]["id"]), text(&frame["kind"]), text(&frame["op"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_of_alerts_is_told_live_and_from_a_cursor_on() {
    let keyed = start().await;
    let here = network("ethereum");
    let tell = async |event: AlertEvent| keyed.world.tell(&here, &event).await;
    let (first, second, theirs) = (id(9), id(8), id(7));
    tell(fired(MINE, &first)).await;
    let key = keyed.key(&["chains:read", "alerts:read"]).await;
    let mut ws = connect(&keyed, key.text.expose()).await;
    // What is over is not told again without a cursor.
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let answer = subscribe(&mut ws, json!({})).await;
    assert_eq!((&answer["type"], &answer["topics"]), (&json!("subscribed"), &json!(["alerts"])), "{answer}");
    assert!(answer["alerts_after"].is_string(), "{answer}");
    tell(fired(THEIRS, &theirs)).await;
    tell(event(MINE, &first, 2, AlertEventKind::Amended, "firing")).await;
    tell(event(MINE, &first, 3, AlertEventKind::Retracted, "retracted")).await;
    let frame = ws.frame().await;
    assert_eq!((&frame["data"]["state"], &frame["sequence"]), (&json!("firing"), &json!(43)), "another's is not told");
    assert_eq!(frame["data"]["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(frame["data"]["links"]["acknowledge"], Value::Null);
    let (amended, of, kind, op) = told(&frame);
    assert_eq!((of.as_str(), kind.as_str(), op.as_str()), (first.as_str(), "amended", "apply"));
    let (_, _, kind, op) = told(&ws.frame().await);
    assert_eq!((kind.as_str(), op.as_str()), ("retracted", "revert"));
    drop(ws);

    // From the cursor on: what came meanwhile, then what comes.
    tell(fired(MINE, &second)).await;
    let mut ws = connect(&keyed, key.text.expose()).await;
    let answer = subscribe(&mut ws, json!({"alerts_after": amended, "network": "ethereum"})).await;
    assert_eq!(answer["alerts_after"], json!(amended));
    let kinds = [told(&ws.frame().await).2, told(&ws.frame().await).2];
    assert_eq!(kinds, ["retracted", "fired"]);
    tell(event(MINE, &second, 2, AlertEventKind::Resolved, "resolved")).await;
    assert_eq!(told(&ws.frame().await).2, "resolved");
    // A second one cannot go back.
    ws.send(&json!({"op": "subscribe", "id": 2, "topics": ["alerts"], "alerts_after": amended})).await;
    assert_eq!(ws.frame().await["problem"]["type"], "/problems/subscription-conflict");
    ws.send(&json!({"op": "unsubscribe", "id": 1})).await;
    assert_eq!(ws.frame().await["type"], "unsubscribed");
    tell(event(MINE, &second, 3, AlertEventKind::Retracted, "retracted")).await;
    assert!(ws.quiet(500).await);
    // Of another network there is nothing.
    let answer = subscribe(&mut ws, json!({"alerts_after": amended, "network": "silent"})).await;
    assert_eq!(answer["type"], "subscribed", "{answer}");
    assert!(ws.quiet(500).await);

    // Cursors that are none of ours, or of a log that is longer.
    for (cursor, wanted) in [("00ff", "invalid-cursor"), ("", "invalid-cursor")] {
        let mut ws = connect(&keyed, key.text.expose()).await;
        let answer = subscribe(&mut ws, json!({"alerts_after": cursor})).await;
        assert_eq!(answer["problem"]["type"], json!(format!("/problems/{wanted}")), "{answer}");
    }
    keyed.api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_read_alerts_is_not_told_and_a_key_that_loses_them_ends() {
    let keyed = start().await;
    let blind = keyed.key(&["chains:read"]).await;
    let mut ws = connect(&keyed, blind.text.expose()).await;
    let answer = subscribe(&mut ws, json!({})).await;
    assert_eq!(answer["problem"]["type"], "/problems/forbidden", "{answer}");
    let narrow = keyed.key_of(&["chains:read", "alerts:read"], &["silent"], None).await;
    let mut ws = connect(&keyed, narrow.text.expose()).await;
    assert_eq!(subscribe(&mut ws, json!({})).await["network"], "silent", "its one network");
    keyed.world.tell(&network("ethereum"), &fired(MINE, &id(3))).await;
    assert!(ws.quiet(700).await);

    let key = keyed.key(&["chains:read", "alerts:read"]).await;
    let mut ws = connect(&keyed, key.text.expose()).await;
    assert_eq!(subscribe(&mut ws, json!({})).await["type"], "subscribed");
    let owner = keyed.key(&["*:*"]).await;
    let path = format!("/api/v1/keys/{}", key.key.id);
    let less =
        keyed.send("PATCH", &path, owner.text.expose(), &[("If-Match", "*")], r#"{"scopes":["chains:read"]}"#).await;
    assert_eq!(less.status, 200, "{}", less.text());
    let ended = tokio::time::timeout(std::time::Duration::from_secs(15), ws.next()).await.expect("in time");
    assert!(matches!(ended, Err(Closed::With(1008))), "{ended:?}");
    keyed.api.stop().await;
}
