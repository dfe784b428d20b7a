//! Webhooks: signed, retried, replaced, replayed, bounded.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alerts::deliver::Signer;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use schemas::{
    TimeMs,
    records::{AlertCommand, Command as Asked, DeliveryState},
    ulid_of,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    receivers::{Came, Receiver, said, status},
    support::{Bench, PATIENCE, SECRET, TENANT, message, python, script, states},
};

pub fn webhook(url: &str) -> Value {
    json!({"name": "w", "type": "webhook", "config": {"url": url, "secret": SECRET}})
}

/// Whether the standard's own library takes each case.
fn verified(python: &str, cases: &Value) -> Vec<bool> {
    let mut child =
        Command::new(python).arg(script("verify.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn case(came: &Came, secret: &str) -> Value {
    let timestamp: i64 = came.header("webhook-timestamp").parse().unwrap();
    json!({
        "secret": secret, "id": came.header("webhook-id"), "timestamp": timestamp, "now": timestamp,
        "signature": came.header("webhook-signature"), "body": BASE64_STANDARD.encode(&came.body),
    })
}

/// The 19 vectors: ours signs as they do, and the library takes and refuses what they say.
#[test]
fn the_vectors_hold() {
    let vectors: Value = serde_json::from_str(include_str!("../data/webhooks-vectors.json")).unwrap();
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), 19);
    let mut signed = 0;
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let body = BASE64_STANDARD.decode(vector["body_base64"].as_str().unwrap()).unwrap();
        let signer = Signer::new([vector["secret"].as_str().unwrap()]).unwrap();
        let ours =
            signer.sign(vector["webhook-id"].as_str().unwrap(), vector["webhook-timestamp"].as_i64().unwrap(), &body);
        let theirs: Vec<&str> = vector["webhook-signature"].as_str().unwrap().split(' ').collect();
        if vector["valid"] == true {
            assert!(theirs.contains(&ours.as_str()), "{name}: {ours}");
            signed += 1;
        } else if !name.contains("301 s") {
            assert!(!theirs.contains(&ours.as_str()), "{name}: {ours}");
        }
    }
    assert!(signed >= 10, "{signed}");
    let Some(python) = python() else { return };
    let cases: Value = vectors
        .iter()
        .map(|v| {
            json!({"secret": v["secret"], "id": v["webhook-id"], "timestamp": v["webhook-timestamp"], "now": v["now"],
                "signature": v["webhook-signature"], "body": v["body_base64"]})
        })
        .collect();
    let valid: Vec<bool> = vectors.iter().map(|v| v["valid"] == true).collect();
    assert_eq!(verified(&python, &cases), valid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_signed_and_says_what_is_promised() {
    let mut bench = Bench::new().await;
    bench.settings.schedule = alerts::deliver::schedule::Schedule::of(vec![Duration::from_millis(1_100)]);
    let receiver = Receiver::new(|number, _| status(if number == 0 { 503 } else { 204 })).await;
    bench.channels.put(
        "hook",
        json!({"name": "w", "type": "webhook",
        "config": {"url": receiver.url("/in?a=b"), "secret": SECRET, "headers": {"X-Team": "chain"}}}),
    );
    // Rotation: the former one signs, too; and an Ed25519 pair on another channel.
    bench.channels.secrets("hook", |secrets| {
        secrets["former"] = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".into();
        secrets["former_until"] = (TimeMs::now().0 + 60_000).into();
    });
    let seed = [9u8; 32];
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let private = format!("whsk_{}", BASE64_STANDARD.encode([&seed[..], pair.public_key().as_ref()].concat()));
    bench.channels.put(
        "pair",
        json!({"name": "p", "type": "webhook", "config": {"url": receiver.url("/pair"), "secret": private}}),
    );
    let running = bench.start();
    let first = message("hook", "A1", "alert.firing", 1);
    bench.write(std::slice::from_ref(&first)).await;
    bench.ended(1).await;
    bench.write(&[message("pair", "A1", "alert.firing", 1)]).await;
    let deliveries = bench.ended(2).await;
    running.stop().await;

    let came = receiver.came();
    let [one, two, three] = &came[..] else { panic!("{came:?}") };
    assert_eq!((one.method.as_str(), one.path.as_str()), ("POST", "/in?a=b"));
    assert_eq!(one.header("webhook-id"), first.id);
    assert_eq!(one.header("x-team"), "chain");
    assert_eq!(one.header("content-type"), "application/json");
    // The same message on every attempt; the time and the signature are the attempt's.
    assert_eq!((&one.body, one.header("webhook-id")), (&two.body, two.header("webhook-id")));
    assert_ne!(one.header("webhook-timestamp"), two.header("webhook-timestamp"));
    assert_ne!(one.header("webhook-signature"), two.header("webhook-signature"));
    let body = one.json();
    assert_eq!(body["type"], "alert.firing");
    assert_eq!(body["timestamp"], first.created_at.rfc3339());
    assert_eq!(body["data"]["alert"]["id"], "A1");
    assert_eq!(body["data"]["alert"]["links"]["dashboard"], "https://hw.example/alerts/A1");
    assert_eq!(body["data"]["alert"]["links"]["acknowledge"], format!("https://hw.example/ack/token-A1-{}", first.id));
    assert_eq!(states(&deliveries, &first.id), [DeliveryState::Queued, DeliveryState::Sent]);
    let failed = &deliveries[0];
    assert_eq!((failed.status, failed.attempt, failed.channel_type.as_str()), (Some(503), 1, "webhook"));
    assert!(failed.next_attempt_at.is_some() && failed.latency_ms.is_some());
    assert_eq!((deliveries[1].attempt, deliveries[1].status), (2, Some(204)));
    // By others: HMAC by the standard's library with either secret, Ed25519 by ring.
    let signature = three.header("webhook-signature");
    let signature = BASE64_STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
    let signed =
        [format!("{}.{}.", three.header("webhook-id"), three.header("webhook-timestamp")).as_bytes(), &three.body]
            .concat();
    UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref()).verify(&signed, &signature).unwrap();
    let Some(python) = python() else { return };
    let cases = json!([
        case(one, SECRET),
        case(two, SECRET),
        case(two, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        case(two, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ]);
    assert_eq!(verified(&python, &cases), [true, true, true, false]);
}

/// A receiver that fails 30 % and is away for a while gets everything, in the right final state.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_fails_often_and_is_away_has_the_right_state_in_the_end() {
    let bench = Bench::new().await;
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let receiver = Receiver::new(move |number, _| {
        status(if is_away.load(Ordering::Relaxed) || number % 10 < 3 { 500 } else { 200 })
    })
    .await;
    bench.channels.put("hook", webhook(&receiver.url("/")));
    let running = bench.start();
    const ALERTS: usize = 40;
    let ids: Vec<String> = (0..ALERTS).map(|n| format!("A{n}")).collect();
    bench.write(&ids.iter().map(|id| message("hook", id, "alert.firing", 1)).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.write(&ids.iter().map(|id| message("hook", id, "alert.resolved", 2)).collect::<Vec<_>>()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    away.store(false, Ordering::Relaxed);
    let deliveries = bench.ended(2 * ALERTS).await;
    running.stop().await;
    let mut last: HashMap<String, String> = HashMap::new();
    for delivery in deliveries.iter().filter(|d| d.state == DeliveryState::Sent) {
        last.insert(delivery.alert_id.clone().unwrap(), delivery.kind.clone());
    }
    assert_eq!(last.len(), ALERTS);
    assert!(last.values().all(|kind| kind == "alert.resolved"), "{last:?}");
    // Nothing was lost, and what was replaced says so.
    assert!(deliveries.iter().all(|d| d.state != DeliveryState::Failed));
    let ids: HashSet<&String> = deliveries.iter().map(|d| &d.id).collect();
    assert_eq!(ids.len(), 2 * ALERTS);
}

/// Fifty destinations, one of which never answers and one of which refuses connections: the others do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_destinations_at_once_and_one_that_never_answers() {
    let bench = Bench::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (gone, silent_at) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(), silent.local_addr().unwrap());
    bench.channels.put("silent", webhook(&format!("http://{silent_at}/")));
    bench.channels.put("gone", webhook(&format!("http://{gone}/")));
    let receiver = Receiver::new(|_, _| status(200)).await;
    let mut all = Vec::new();
    for n in 0..50 {
        let id = format!("c{n}");
        bench.channels.put(&id, webhook(&receiver.url(&format!("/{n}"))));
        all.extend((0..4).map(|a| message(&id, &format!("A{a}"), "alert.firing", 1)));
    }
    // Far more than may wait for one channel: the oldest fail, and say so.
    let flood: Vec<_> = (0..1_200).map(|n| message("silent", &format!("F{n}"), "alert.firing", 1)).collect();
    bench.write(&flood).await;
    bench.write(&(0..20).map(|n| message("gone", &format!("G{n}"), "alert.firing", 1)).collect::<Vec<_>>()).await;
    let running = bench.start();
    bench.write(&all).await;
    let begun = tokio::time::Instant::now();
    let came = receiver.got(200).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(came.iter().map(|c| c.path.clone()).collect::<HashSet<_>>().len(), 50);
    let deliveries = bench.deliveries().await;
    let failed = deliveries.iter().filter(|d| d.channel_id == "silent" && d.state == DeliveryState::Failed).count();
    assert_eq!(failed, 200, "what may not wait is told");
    running.kill().await;
    drop(silent);
}

/// Whatever is killed: every message is delivered at least once under one id, and twice only where it was on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_lose_nothing_and_double_only_what_was_on_its_way() {
    let bench = Bench::new().await;
    let receiver = Receiver::new(|number, _| status(if number % 4 == 1 { 503 } else { 200 })).await;
    bench.channels.put("hook", webhook(&receiver.url("/")));
    let mut sent = Vec::new();
    for round in 0..10u64 {
        let some: Vec<_> = (0..20).map(|n| message("hook", &format!("A{round}-{n}"), "alert.firing", 1)).collect();
        bench.write(&some).await;
        sent.extend(some.into_iter().map(|m| m.id));
        let running = bench.start();
        tokio::time::sleep(Duration::from_millis(30 + 20 * round)).await;
        running.kill().await;
    }
    let running = bench.start();
    let begun = tokio::time::Instant::now();
    let taken = loop {
        let deliveries = bench.deliveries().await;
        let taken: HashSet<String> =
            deliveries.iter().filter(|d| d.state == DeliveryState::Sent).map(|d| d.id.clone()).collect();
        if taken.len() == sent.len() {
            break taken;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {}", taken.len(), sent.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    running.stop().await;
    assert_eq!(taken, sent.iter().cloned().collect());
    let good = receiver.came().len() - receiver.came().len().div_ceil(4);
    // Four at once, ten kills.
    assert!(good <= sent.len() + 45, "{good} were taken, of {}", sent.len());
    // Nothing is sent again after that.
    let before = receiver.came().len();
    let running = bench.start();
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.stop().await;
    assert_eq!(receiver.came().len(), before);
}

/// 410 disables the channel until somebody edits it; replays keep the ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_disables_and_replays_keep_their_ids() {
    let bench = Bench::new().await;
    let gone = Arc::new(AtomicBool::new(true));
    let is_gone = gone.clone();
    let receiver = Receiver::new(move |_, _| status(if is_gone.load(Ordering::Relaxed) { 410 } else { 200 })).await;
    bench.channels.put("hook", webhook(&receiver.url("/")));
    let running = bench.start();
    let one = message("hook", "A1", "alert.firing", 1);
    bench.write(std::slice::from_ref(&one)).await;
    bench.ended(1).await;
    let two = message("hook", "A2", "alert.firing", 1);
    bench.write(std::slice::from_ref(&two)).await;
    let deliveries = bench.ended(2).await;
    assert_eq!(receiver.came().len(), 1, "nothing more is sent to it");
    let disabled: Vec<_> = deliveries.iter().filter(|d| d.kind == "channel.disabled").collect();
    assert!(
        disabled.len() == 1 && disabled[0].channel_id == "hook" && disabled[0].error.as_ref().unwrap().contains("410")
    );
    assert!(deliveries.iter().any(|d| d.id == two.id && d.error.as_ref().is_some_and(|e| e.contains("disabled"))));

    // Edited: it is tried again. What was missed is asked for, also across a restart.
    gone.store(false, Ordering::Relaxed);
    bench.channels.put("hook", webhook(&receiver.url("/")));
    running.stop().await;
    let running = bench.start();
    let ask = |what: Asked| AlertCommand {
        tenant: TENANT.to_owned(),
        id: ulid_of(TimeMs::now(), format!("{what:?}").as_bytes()),
        at: TimeMs::now(),
        by: "somebody".to_owned(),
        what,
    };
    bench.command(ask(Asked::ReplayDelivery { delivery_id: two.id.clone() })).await;
    let came = receiver.got(2).await;
    assert_eq!(came[1].header("webhook-id"), two.id);
    bench.ended(3).await;
    bench.command(ask(Asked::ReplayChannel { channel_id: "hook".to_owned(), since: one.created_at })).await;
    let came = receiver.got(4).await;
    let ids: Vec<String> = came[2..].iter().map(|c| c.header("webhook-id")).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>(), HashSet::from([&one.id, &two.id]));
    assert_eq!(came[0].body, came.iter().rfind(|c| c.header("webhook-id") == one.id).unwrap().body);
    running.stop().await;
}

/// What a receiver says of when to come back holds for all that is sent there; redirects are not followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_is_left_alone_as_long_as_it_wants() {
    let bench = Bench::new().await;
    let other = Receiver::new(|_, _| status(200)).await;
    let elsewhere = other.url("/");
    let receiver = Receiver::new(move |number, _| match number {
        0 => said(429, &[("retry-after", "1")], "slow down"),
        1 => said(302, &[("location", &elsewhere)], ""),
        _ => status(200),
    })
    .await;
    bench.channels.put("hook", webhook(&receiver.url("/")));
    let running = bench.start();
    bench.write(&[message("hook", "A1", "alert.firing", 1)]).await;
    receiver.got(1).await;
    let begun = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.write(&[message("hook", "A2", "alert.firing", 1)]).await;
    receiver.got(2).await;
    assert!(begun.elapsed() >= Duration::from_millis(850), "{:?}", begun.elapsed());
    bench.ended(2).await;
    assert!(other.came().is_empty());
    running.stop().await;
}
