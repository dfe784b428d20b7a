//! What is known of endpoints, written down, and what knowing costs.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use schemas::records::{Outcome, ProviderState, Seen};

use super::{
    super::{FleetConfig, state::SLOW},
    toy::{BLOCK, Fault, shop},
};

#[tokio::test(start_paused = true)]
async fn scores_are_as_the_rule_says() {
    let shop = shop("test", &["healthy", "refusing", "behind", "slow"], |_| {}, FleetConfig::default());
    shop.lamps[0].latency_ms.store(208, Ordering::Relaxed);
    shop.lamps[1].set(Fault::Refuses);
    shop.lamps[2].behind.store(1_000, Ordering::Relaxed);
    shop.lamps[3].latency_ms.store(SLOW.as_millis() as u64 + 100, Ordering::Relaxed);
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let score = |name: &str| shop.state(name).score.expect("known");
    assert_eq!(score("healthy"), 99);
    assert!(score("refusing") <= 26 && score("behind") <= 1 && (80..95).contains(&score("slow")));
    let states: BTreeMap<String, ProviderState> =
        shop.fleet.snapshot().into_iter().map(|(n, s)| (n.to_string(), s.state)).collect();
    assert_eq!(states["healthy"], ProviderState::Ok);
    assert_eq!(states["refusing"], ProviderState::Open);
    assert_eq!(states["behind"], ProviderState::Behind);
    assert_eq!(states["slow"], ProviderState::Slow);
    let behind = shop.state("behind");
    // The slow one answers a moment later, when there may be one more; and where a round is under way just now, the others' heights
    // may still be of the one before, half a minute of blocks ago.
    assert!(behind.lag_blocks.is_some_and(|lag| (985..=1_001).contains(&lag)), "{behind:?}");
    assert!(behind.reason.is_some_and(|r| r.contains("blocks behind the best")));
    assert!(shop.state("refusing").last_error.is_some_and(|e| e.contains("403")));
    assert_eq!(shop.fleet.primary().map(|m| m.name().to_string()).as_deref(), Some("healthy"));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_tried_by_the_probes_and_closes_soon() {
    let shop = shop(
        "test",
        &["a", "b"],
        |_| {},
        FleetConfig { probe_every: Duration::from_secs(600), ..FleetConfig::default() },
    );
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    shop.lamps[0].set(Fault::Down);
    for _ in 0..4 {
        let _ = shop.fleet.ask_at("a", super::super::Ask::new("colour"), |m| super::toy::colour(m, 5)).await;
    }
    assert_eq!(shop.state("a").state, ProviderState::Open);
    shop.lamps[0].asked();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let trials = shop.lamps[0].asked();
    assert!((3..=9).contains(&trials), "with a back-off that doubles: {trials}");
    shop.lamps[0].set(Fault::None);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(shop.state("a").state, ProviderState::Ok);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn samples_are_few_and_sums_count_everything() {
    let shop = shop("ingest/a", &["a"], |_| {}, FleetConfig::default());
    let mut samples = shop.fleet.samples();
    let task = shop.probed();
    shop.lamps[0].latency_ms.store(20, Ordering::Relaxed);
    // Two minutes of ten calls a second.
    for n in 0..1_200u32 {
        let _ = shop.newest().await;
        shop.lamps[0].set(if n % 100 == 0 { Fault::Refuses } else { Fault::None });
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    shop.fleet.passed(60);
    tokio::time::sleep(Duration::from_secs(70)).await;
    task.abort();
    shop.fleet.finish();
    let mut calls: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let (mut summed, mut failed, mut states, mut wrong, mut probes_failed) = (0, 0, 0, 0, 0);
    while let Ok(sample) = samples.try_recv() {
        assert_eq!((sample.observer.as_str(), sample.endpoint.as_str()), ("ingest/a", "a"));
        match sample.seen {
            Seen::Call(call) => {
                wrong += u32::from(call.outcome != Outcome::Ok && call.error.is_none());
                probes_failed += u64::from(call.outcome != Outcome::Ok && call.method == "lamp_head");
                calls.entry(call.method).or_default().push(sample.at.0);
            }
            Seen::Minute(minute) => {
                summed += minute.calls;
                failed += minute.failures;
            }
            Seen::State(_) => states += 1,
        }
    }
    assert!(calls.values().all(|at| at.windows(2).all(|w| w[1] - w[0] >= 1_000)), "at most one a second and method");
    assert!(calls["lamp_colour"].len() > 100 && wrong == 0);
    let probes = calls["lamp_head"].len() as u64;
    assert_eq!(summed, 1_200 + probes, "and every call is in a sum");
    assert_eq!(failed, 12 + probes_failed, "a probe may have met one too");
    assert!((6..=20).contains(&states), "each probe and each change: {states}");
    let usage = shop.state("a").usage;
    assert_eq!((usage.hour_calls, usage.hour_blocks, usage.day_calls), (1_200 + probes, 60, 1_200 + probes));
    assert_eq!(usage.hour_bytes, usage.hour_calls * 100);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_came_again_is_in_its_minutes_sum_and_nowhere_else() {
    let shop = shop("ingest/a", &["a"], |_| {}, FleetConfig::default());
    let mut samples = shop.fleet.samples();
    let member = shop.fleet.named("a").expect("it is there");
    (0..3).for_each(|_| member.subscribed_again(Duration::from_millis(5)));
    shop.fleet.finish();
    let mut counted = Vec::new();
    while let Ok(sample) = samples.try_recv() {
        match sample.seen {
            Seen::Minute(minute) => counted.push((minute.method, minute.calls, minute.failures)),
            Seen::Call(call) => panic!("{call:?}"),
            Seen::State(_) => {}
        }
    }
    assert_eq!(counted, [("eth_subscribe again".to_owned(), 3, 0)]);
    let state = shop.state("a");
    assert_eq!((state.usage.hour_calls, state.score), (0, None));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_held_up_by_a_full_queue() {
    let shop = shop("test", &["a"], |_| {}, FleetConfig::default());
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    shop.fleet.samples_to(sender);
    for _ in 0..50 {
        assert!(shop.newest().await.1.is_ok());
        tokio::time::sleep(BLOCK).await;
    }
    assert_eq!(receiver.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fleet_at_rest_is_one_task_and_two_calls_a_probe() {
    let names = ["a", "b", "c", "d", "e"];
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let shops: Vec<_> = (0..50).map(|n| shop(&format!("ingest/{n}"), &names, |_| {}, FleetConfig::default())).collect();
    let tasks: Vec<_> = shops.iter().map(|s| s.probed()).collect();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks() - before, 50);
    let asked: u64 = shops.iter().flat_map(|s| &s.lamps).map(|l| l.asked()).sum();
    let rounds = asked as f64 / (50.0 * 5.0 * 2.0);
    assert!((19.0..=23.0).contains(&rounds), "{rounds} rounds in ten minutes");
    assert!(shops.iter().flat_map(|s| s.fleet.snapshot()).all(|(_, s)| s.state == ProviderState::Ok));
    tasks.iter().for_each(|t| t.abort());
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_for_other_reasons_is_not_used_and_says_why() {
    let shop = shop("test", &["a", "b"], |_| {}, FleetConfig::default());
    shop.fleet.unusable("a", "It says that its chain is 0: it is starting.");
    assert_eq!(shop.newest().await.1.as_deref().ok(), Some("b"));
    let state = shop.state("a");
    assert_eq!(
        (state.state, state.reason.as_deref()),
        (ProviderState::Failing, Some("It says that its chain is 0: it is starting."))
    );
    shop.fleet.unusable("b", "It is of another chain.");
    let error = shop.newest().await.1.expect_err("nobody");
    assert!(error.to_string().contains("b: It is of another chain"), "{error}");
    shop.fleet.usable("a");
    assert_eq!(shop.newest().await.1.as_deref().ok(), Some("a"));
}
