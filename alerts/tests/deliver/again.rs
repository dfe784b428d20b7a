//! What stands in the outbox after a restart, and what is sent once more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use schemas::{
    TimeMs,
    records::{AlertCommand, AlertOutbox, Command as Asked, DeliveryState},
    ulid_of,
};

use crate::{
    receivers::{Receiver, status},
    support::{Bench, TENANT, message, states},
    webhooks::webhook,
};

/// A process died as one message was on its way and another one waited behind it: what was taken stays so, and can be sent again; what was
/// given up is not told once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_leaves_what_is_done_as_it_is() {
    let bench = Bench::new().await;
    let receiver = Receiver::new(|_, _| status(200)).await;
    bench.channels.put("hook", webhook(&receiver.url("/")));
    bench.channels.put("full", webhook(&receiver.url("/full")));
    let done = |message: &AlertOutbox| AlertOutbox { done_at: Some(TimeMs::now()), attempts: 1, ..message.clone() };
    let (one, two) = (message("hook", "A", "alert.firing", 1), message("hook", "A", "alert.resolved", 2));
    bench.write(&[one.clone(), two.clone(), done(&one)]).await;
    let many: Vec<_> = (0..1_100).map(|n| message("full", &format!("F{n}"), "alert.firing", 1)).collect();
    bench.write(&many).await;
    bench.write(&many.iter().map(done).collect::<Vec<_>>()).await;
    // Tried before the later one was seen, and not told since: the later one goes in its place.
    let (old, new) = (message("hook", "B", "alert.firing", 1), message("hook", "B", "alert.resolved", 2));
    let tried = AlertOutbox { attempts: 1, ..old.clone() };
    bench.write(&[old.clone(), new.clone(), tried]).await;

    let running = bench.start();
    let deliveries = bench.ended(3).await;
    assert!(states(&deliveries, &one.id).is_empty());
    assert_eq!(states(&deliveries, &two.id), [DeliveryState::Sent]);
    assert_eq!(states(&deliveries, &old.id), [DeliveryState::Replaced]);
    assert_eq!(states(&deliveries, &new.id), [DeliveryState::Sent]);
    let again = AlertCommand {
        tenant: TENANT.to_owned(),
        id: ulid_of(TimeMs::now(), b"again"),
        at: TimeMs::now(),
        by: "somebody".to_owned(),
        what: Asked::ReplayDelivery { delivery_id: one.id.clone() },
    };
    bench.command(again).await;
    let came = receiver.got(3).await;
    assert_eq!(came[2].header("webhook-id"), one.id);
    let deliveries = bench.ended(4).await;
    assert!(deliveries.iter().all(|d| d.channel_id == "hook"), "{deliveries:#?}");
    running.stop().await;
}

/// What somebody asked for once more gives way to what is newer of its alert, and can be asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_is_replaced_can_be_asked_for_again() {
    let bench = Bench::new().await;
    let away = Arc::new(AtomicBool::new(false));
    let is_away = away.clone();
    let receiver = Receiver::new(move |_, _| status(if is_away.load(Ordering::Relaxed) { 503 } else { 200 })).await;
    bench.channels.put("hook", webhook(&receiver.url("/")));
    let running = bench.start();
    let (one, two) = (message("hook", "A", "alert.firing", 1), message("hook", "A", "alert.resolved", 2));
    bench.write(std::slice::from_ref(&one)).await;
    bench.ended(1).await;
    let ask = |name: &str| AlertCommand {
        tenant: TENANT.to_owned(),
        id: ulid_of(TimeMs::now(), name.as_bytes()),
        at: TimeMs::now(),
        by: "somebody".to_owned(),
        what: Asked::ReplayDelivery { delivery_id: one.id.clone() },
    };
    // Its own word has come back by then, which says where it stands.
    tokio::time::sleep(Duration::from_millis(500)).await;
    away.store(true, Ordering::Relaxed);
    bench.command(ask("first")).await;
    receiver.got(2).await;
    bench.write(std::slice::from_ref(&two)).await;
    let deliveries = bench.ended(2).await;
    assert_eq!(states(&deliveries, &one.id).last(), Some(&DeliveryState::Replaced));
    away.store(false, Ordering::Relaxed);
    let deliveries = bench.ended(3).await;
    assert_eq!(states(&deliveries, &two.id).last(), Some(&DeliveryState::Sent));
    bench.command(ask("second")).await;
    let deliveries = bench.ended(4).await;
    assert_eq!(states(&deliveries, &one.id).last(), Some(&DeliveryState::Sent));
    running.stop().await;
}

/// A channel that gave up a message is named by another one, once, however many messages it gives up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_cannot_be_reached_is_named_by_another_once() {
    let bench = Bench::new().await;
    let away = Receiver::new(|_, _| status(503)).await;
    let other = Receiver::new(|_, _| status(200)).await;
    bench.channels.put("away", webhook(&away.url("/")));
    bench.channels.put("other", webhook(&other.url("/")));
    bench.channels.know_each_other();
    let running = bench.start();
    let all: Vec<_> = ["A", "B", "C"].map(|alert| message("away", alert, "alert.firing", 1)).to_vec();
    bench.write(&all).await;
    // And the warning.
    let deliveries = bench.ended(4).await;
    assert!(all.iter().all(|message| states(&deliveries, &message.id).last() == Some(&DeliveryState::Failed)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let came = other.got(1).await;
    let body: serde_json::Value = serde_json::from_slice(&came[0].body).expect("JSON");
    let said = &body["data"]["alert"];
    let said = if said.is_null() { &body["data"] } else { said };
    assert_eq!((&body["type"], &said["kinds"]["channel.failed"]), (&"channel.summary".into(), &1.into()), "{body}");
    assert_eq!((came.len(), &said["attempts"]), (1, &10.into()), "{body}");
    running.stop().await;
}

/// A warning that the next channel does not take either goes on to the one behind it, and nobody is warned about the warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_goes_once_round_until_somebody_takes_it() {
    let bench = Bench::new().await;
    let away = Receiver::new(|_, came| status(if came.path == "/gone" { 410 } else { 503 })).await;
    let other = Receiver::new(|_, _| status(200)).await;
    for (id, path) in [("a", "/"), ("b", "/b"), ("c", "/gone")] {
        bench.channels.put(id, webhook(&away.url(path)));
    }
    bench.channels.put("d", webhook(&other.url("/")));
    bench.channels.know_each_other();
    let running = bench.start();
    bench.write(&[message("a", "A", "alert.firing", 1)]).await;
    let told = |came: &crate::receivers::Came| {
        let body: serde_json::Value = serde_json::from_slice(&came.body).expect("JSON");
        (body["data"]["channel"]["id"].as_str().map(str::to_owned), body["data"]["attempts"].as_u64())
    };
    let came = other.got(1).await;
    assert_eq!(told(&came[0]), (Some("a".to_owned()), Some(10)), "about the first that gave up");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let warnings = |channel: &str, all: &[schemas::records::AlertDelivery]| {
        let ids = all.iter().filter(|d| d.channel_id == channel && d.kind == "channel.summary").map(|d| d.id.clone());
        ids.collect::<std::collections::BTreeSet<_>>().len()
    };
    let deliveries = bench.deliveries().await;
    assert_eq!(["a", "b", "c", "d"].map(|channel| warnings(channel, &deliveries)), [0, 1, 1, 1], "{deliveries:#?}");
    running.stop().await;
}
