//! Who is asked, how long that takes, and what is counted.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    super::{Ask, FleetConfig, Role},
    toy::{BLOCK, Fault, colour, shop},
};
use crate::error::{NodeErrorKind, Retry};

/// Asks for each new block; the times, sorted, and how often each endpoint answered.
async fn follow(shop: &super::toy::Shop, blocks: u32) -> (Vec<Duration>, std::collections::BTreeMap<String, u32>) {
    let (mut times, mut by) = (Vec::new(), std::collections::BTreeMap::new());
    for _ in 0..blocks {
        let (took, answer) = shop.newest().await;
        times.push(took);
        *by.entry(answer.expect("an answer").to_string()).or_default() += 1;
        tokio::time::sleep(BLOCK.saturating_sub(took)).await;
    }
    times.sort_unstable();
    (times, by)
}

#[tokio::test(start_paused = true)]
async fn with_a_healthy_endpoint_no_fault_of_another_costs_two_seconds() {
    for fault in [
        Fault::Hangs,
        Fault::Refuses,
        Fault::Down,
        Fault::Nothing,
        Fault::Throttles(None),
        Fault::Throttles(Some(20)),
        Fault::Contradicts,
        Fault::Lacks,
    ] {
        let shop = shop("test", &["a", "b"], |_| {}, FleetConfig::default());
        let task = shop.probed();
        tokio::time::sleep(Duration::from_secs(5)).await;
        follow(&shop, 3).await;
        let primary = shop.fleet.primary().expect("one").name();
        let lamp = shop.lamps.iter().find(|l| l.name == *primary).expect("one of them");
        lamp.set(fault);
        let (times, by) = follow(&shop, 60).await;
        let p95 = times[times.len() * 95 / 100];
        assert!(p95 <= Duration::from_secs(2) && times[59] <= Duration::from_millis(1_500), "{fault:?}: {times:?}");
        assert!(by.values().sum::<u32>() == 60 && !by.contains_key(&*primary), "{fault:?}: {by:?}");
        let other = shop.fleet.primary().expect("one").name();
        assert!(other != primary || fault == Fault::Lacks, "{fault:?}: another endpoint is in use");
        lamp.asked();
        follow(&shop, 30).await;
        // What is known to fail is left alone, but for probes (two each half a minute) and trials.
        let asked = lamp.asked();
        assert!(asked <= 12, "{fault:?}: asked {asked} times within a minute");
        task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_is_left_for_a_quick_one() {
    let shop = shop("test", &["a", "b"], |_| {}, FleetConfig::default());
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    shop.lamps[0].latency_ms.store(3_000, Ordering::Relaxed);
    let (times, by) = follow(&shop, 60).await;
    assert!(times[57] <= Duration::from_secs(2), "{times:?}");
    assert!(by["b"] >= 58, "{by:?}");
    let state = shop.state("a");
    assert!(state.score.is_some_and(|s| s < 80) && state.reason.is_some(), "{state:?}");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn one_endpoint_is_used_until_it_fails_and_history_is_shared() {
    let shop = shop("test", &["a", "b", "c"], |_| {}, FleetConfig::default());
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, by) = follow(&shop, 100).await;
    assert_eq!(by.len(), 1, "{by:?}");
    let mut by = std::collections::BTreeMap::new();
    for height in 0..90 {
        let ask = Ask { sticky: false, height: Some(height), ..Ask::new("colour") };
        let answer = shop.fleet.ask(ask, |m| colour(m, height)).await.expect("an answer");
        *by.entry(answer.endpoint).or_insert(0) += 1;
    }
    assert!(by.len() == 3 && by.values().all(|n| *n >= 20), "{by:?}");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_better_priority_comes_back_when_it_was_well_for_a_while() {
    let shop =
        shop("test", &["cheap", "paid"], |m| m.priority = if m.name == "paid" { 2 } else { 1 }, FleetConfig::default());
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(follow(&shop, 10).await.1["cheap"], 10);
    shop.lamps[0].set(Fault::Down);
    assert_eq!(follow(&shop, 10).await.1["paid"], 10);
    shop.lamps[0].set(Fault::None);
    let (_, by) = follow(&shop, 10).await;
    assert_eq!(by["paid"], 10, "not at once");
    tokio::time::sleep(Duration::from_secs(150)).await;
    assert_eq!(follow(&shop, 10).await.1["cheap"], 10);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn at_the_start_priority_decides_and_not_who_is_first() {
    let change = |m: &mut super::super::MemberConfig| m.priority = if m.name == "first" { 2 } else { 1 };
    let shop = shop("test", &["first", "second"], change, FleetConfig::default());
    shop.fleet.unusable("second", "It has not said its chain yet.");
    let task = shop.probed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let primary = || shop.fleet.primary().map(|m| m.name().to_string());
    assert_eq!(primary().as_deref(), Some("first"));
    shop.fleet.usable("second");
    assert_eq!(primary().as_deref(), Some("second"));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_second_endpoint_is_asked_early_only_when_that_is_switched_on() {
    for (hedge, least, most) in [(false, 0, 0), (true, 1, 60)] {
        let config = FleetConfig { hedge, probe_every: Duration::from_secs(3_000), ..FleetConfig::default() };
        let shop = shop("test", &["a", "b"], |_| {}, config);
        follow(&shop, 40).await;
        let primary = shop.fleet.primary().expect("one").name();
        let (mut first, mut second) = (0, 0);
        for n in 0..60 {
            for lamp in &shop.lamps {
                let late = n % 10 == 0 && lamp.name == *primary;
                lamp.latency_ms.store(if late { 95 } else { 50 }, Ordering::Relaxed);
                lamp.asked();
            }
            follow(&shop, 1).await;
            for lamp in &shop.lamps {
                *(if lamp.name == *primary { &mut first } else { &mut second }) += lamp.asked();
            }
        }
        assert_eq!(first, 60);
        assert!((least..=most).contains(&second), "hedge {hedge}: {second}");
        assert_eq!(shop.state(&primary).success_rate.map(|s| s.ppm()), Some(1_000_000), "who was slower did not fail");
    }
}

#[tokio::test(start_paused = true)]
async fn roles_and_the_day_s_cap_say_who_may_ask() {
    let change = |m: &mut super::super::MemberConfig| match m.name.as_str() {
        "stream" => (m.roles, m.per_day) = (vec![Role::Stream], None),
        _ => m.per_day = Some(100),
    };
    let shop = shop("test", &["stream", "all"], change, FleetConfig::default());
    let ask = |role, sticky| Ask { role, sticky, ..Ask::new("colour") };
    let mut served = 0;
    for _ in 0..200 {
        let answer = shop.fleet.ask(ask(Role::Serve, false), |m| colour(m, 5)).await;
        match answer {
            Ok(answer) => {
                assert_eq!(&*answer.endpoint, "all");
                served += 1;
            }
            Err(e) => assert!(e.to_string().contains("does not serve this"), "{e}"),
        }
    }
    assert_eq!(served, 90, "the rest of the day's cap is the stream's");
    shop.lamps[0].set(Fault::Down);
    let mut streamed = 0;
    for _ in 0..50 {
        streamed += u32::from(shop.fleet.ask(ask(Role::Stream, true), |m| colour(m, 5)).await.is_ok());
    }
    assert_eq!(streamed, 10);
    let state = shop.state("all");
    assert_eq!((state.usage.day_calls, state.usage.per_day), (100, Some(100)));
    assert_eq!(state.state.as_str(), "throttled");
    assert!(state.reason.as_deref().is_some_and(|r| r.contains("100 of the 100")), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_says_nothing_about_an_endpoint() {
    let shop = shop("test", &["a"], |_| {}, FleetConfig::default());
    shop.lamps[0].set(Fault::Hangs);
    let asking = shop.fleet.ask(Ask::new("colour"), |m| colour(m, 5));
    assert!(tokio::time::timeout(Duration::from_millis(100), asking).await.is_err());
    assert_eq!(shop.state("a").last_error, None);
    let error = shop.fleet.ask(Ask::new("colour"), |m| colour(m, 5)).await.expect_err("it hangs");
    assert!(matches!(error.kind, NodeErrorKind::Timeout(_)), "{error}");
    assert!(shop.state("a").last_error.is_some_and(|e| e.contains("no answer within 15.0 s")));
}

#[tokio::test(start_paused = true)]
async fn the_only_endpoint_is_asked_even_while_its_breaker_is_open() {
    let shop = shop("test", &["a"], |_| {}, FleetConfig::default());
    shop.lamps[0].set(Fault::Down);
    for _ in 0..10 {
        assert!(shop.newest().await.1.is_err());
    }
    assert_eq!(shop.state("a").state.as_str(), "open");
    shop.lamps[0].set(Fault::None);
    assert!(shop.newest().await.1.is_ok());
    assert_eq!(shop.lamps[0].asked(), 11);
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_allows_is_found_out_and_shared_by_all_stages() {
    const WARM: Duration = Duration::from_secs(60);
    const LONG: Duration = Duration::from_secs(300);
    let shop = shop("ingest/a", &["a"], |_| {}, FleetConfig::default());
    shop.lamps[0].set(Fault::Allows(10));
    let began = tokio::time::Instant::now();
    let ask = |role| Ask { role, within: WARM, patience: Some(WARM), sticky: false, ..Ask::new("colour") };
    let asking = |fleet: super::super::Fleet<_>, role| async move {
        let mut good = 0u32;
        while began.elapsed() < WARM + LONG {
            let outcome = fleet.ask(ask(role), |m| colour(m, 5)).await;
            if began.elapsed() > WARM {
                good += u32::from(outcome.is_ok());
            }
            if outcome.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        good
    };
    let stages = [(shop.fleet.clone(), Role::Stream), (shop.another("causes/a"), Role::Trace)];
    let askers = stages.into_iter().flat_map(|(fleet, role)| (0..20).map(move |_| (fleet.clone(), role)));
    let tasks: Vec<_> = askers.map(|(fleet, role)| (role, tokio::spawn(asking(fleet, role)))).collect();
    tokio::time::sleep(WARM).await;
    shop.lamps[0].refused.store(0, Ordering::Relaxed);
    let (mut stream, mut trace) = (0, 0);
    for (role, task) in tasks {
        *(if role == Role::Stream { &mut stream } else { &mut trace }) += task.await.expect("no panic");
    }
    let rate = f64::from(stream + trace) / LONG.as_secs_f64();
    assert!((8.0..=10.1).contains(&rate), "{rate} a second");
    let refused = shop.lamps[0].refused.load(Ordering::Relaxed);
    assert!(refused * 100 < u64::from(stream + trace), "{refused} refused of {stream} + {trace}");
    assert!(trace * 2 < stream && trace > 300, "the stream has most of it: {stream} and {trace}");
    let known = shop.state("a").limit_per_1000_s.expect("found out");
    assert!((8_000..=12_000).contains(&known), "it may be trying just beyond: {known}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_its_limit_is_no_timeout_of_an_endpoint() {
    let shop = shop("test", &["a"], |m| m.limit = Some(1.0), FleetConfig::default());
    shop.lamps[0].latency_ms.store(900, Ordering::Relaxed);
    let second = Duration::from_secs(1);
    let ask = Ask { within: second * 8, patience: Some(second * 3), ..Ask::new("colour") };
    let asking = (0..30).map(|_| {
        let fleet = shop.fleet.clone();
        tokio::spawn(async move { tokio::time::timeout(second * 7, fleet.ask(ask, |m| colour(m, 5))).await })
    });
    for asking in asking.collect::<Vec<_>>() {
        let _ = asking.await;
    }
    let state = shop.state("a");
    assert_eq!((state.state.as_str(), state.success_rate.map(|s| s.ppm())), ("ok", Some(1_000_000)), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_waits_for_the_first_who_may_be_asked() {
    let shop = shop("test", &["a", "b"], |_| {}, FleetConfig::default());
    shop.lamps[1].set(Fault::Down);
    for _ in 0..3 {
        let _ = shop.fleet.ask_at("b", Ask::new("colour"), |m| colour(m, 5)).await;
    }
    assert_eq!(shop.state("b").state.as_str(), "open");
    let second = Duration::from_secs(1);
    // What one does not have the other may.
    shop.lamps[0].set(Fault::Lacks);
    let error = shop.fleet.ask(Ask::new("tags"), |m| colour(m, 5)).await.expect_err("nobody");
    assert!(matches!(error.kind, NodeErrorKind::Missing(..)), "{error}");
    let ask = Ask { height: Some(5), ..Ask::new("colour") };
    let error = shop.fleet.ask(ask, |m| colour(m, 5)).await.expect_err("nobody");
    assert!(matches!(error.retry(), Retry::After(wait) if wait <= second), "{error}");
    // Nor does one that wants to be left alone for long silence both.
    shop.lamps[0].set(Fault::Throttles(Some(300)));
    let error = shop.fleet.ask(Ask::new("head"), |m| colour(m, 5)).await.expect_err("nobody");
    let Retry::After(wait) = error.retry() else { panic!("{error}") };
    assert!(wait >= second / 10 && wait <= second, "{wait:?}");
    shop.lamps[1].set(Fault::None);
    tokio::time::sleep(wait).await;
    assert_eq!(shop.newest().await.1.as_deref().ok(), Some("b"));
    // Where it is the only one, its wait is its wait.
    let alone = super::toy::shop("test", &["a"], |_| {}, FleetConfig::default());
    alone.lamps[0].set(Fault::Throttles(Some(300)));
    assert!(alone.newest().await.1.is_err_and(|e| e.retry() == Retry::After(second * 300)));
}
