//! Whose word counts, when a state is unknown, and what a reader that is behind gets. At times that the tests name.

use schemas::records::{Lie, Share, Usage};
use serde_json::Value;

use super::*;

fn said(state: ProviderState, in_use: bool) -> EndpointState {
    EndpointState {
        url: "https://rpc.example/***".into(),
        operator: "example".into(),
        state,
        reason: None,
        since: TimeMs(1_000),
        every_ms: 30_000,
        score: Some(99),
        latency_part: Some(Share::of(0.978)),
        success_part: Some(Share::ALL),
        height_part: Some(Share::ALL),
        latency_ms: Some(208),
        latency_p95_ms: Some(400),
        success_rate: Some(Share::ALL),
        height: Some(7),
        lag_blocks: Some(0),
        in_use,
        in_use_since: in_use.then_some(TimeMs(500)),
        last_error: None,
        last_error_at: None,
        last_seen_at: Some(TimeMs(2_000)),
        priority: 1,
        roles: "stream serve".into(),
        limit_per_1000_s: Some(8_500),
        usage: Usage { hour_calls: 3, hour_bytes: 10, hour_blocks: 2, day_calls: 4, day_bytes: 11, per_day: Some(9) },
        lie: None,
        link: None,
    }
}

fn providers() -> Providers {
    Providers::new(Arc::new(Rings::new(8, 1 << 10)))
}

/// Heard at this time by our clock, said at that one by the observer's.
fn hear(of: &Providers, now: Instant, name: &str, (observer, at): (&str, i64), state: EndpointState) {
    let endpoint = ("eth".parse().expect("a slug"), name.to_owned());
    of.hear(endpoint, observer.to_owned(), Word { at: TimeMs(at), state, heard: now });
    of.show(now);
}

fn item(of: &Providers, name: &str) -> ProviderItem {
    of.item(&"eth".parse().expect("a slug"), name).expect("known")
}

#[test]
fn who_is_silent_for_three_periods_knows_it_no_longer_and_is_forgotten_after_a_day() {
    let (all, now) = (providers(), Instant::now());
    hear(&all, now, "a", ("ingest/x", 100_000), said(ProviderState::Ok, true));
    let now = now + Duration::from_secs(90);
    all.show(now);
    assert_eq!((item(&all, "a").state.as_str(), item(&all, "a").score), ("ok", Some(99)));
    let now = now + Duration::from_millis(1);
    all.show(now);
    let unknown = item(&all, "a");
    assert_eq!((unknown.state.as_str(), unknown.score, unknown.in_use), ("unknown", None, false));
    assert_eq!(unknown.since, TimeMs(190_000).rfc3339());
    assert_eq!((unknown.height, unknown.latency_ms, unknown.components.latency), (Some(7), None, None));
    assert!(unknown.reason.is_some_and(|r| r.contains("ingest/x") && r.contains(&TimeMs(100_000).rfc3339())));
    all.show(now + FORGOTTEN);
    assert!(all.items(None, None, 9).0.is_empty() && !all.knows(&"eth".parse().expect("a slug")));
    assert_eq!(all.state().count, 0);
}

#[test]
fn an_endpoint_is_gone_when_its_last_observer_has_taken_it_out() {
    let (all, now) = (providers(), Instant::now());
    let ok = || said(ProviderState::Ok, true);
    hear(&all, now, "a", ("ingest/x", 100), ok());
    hear(&all, now, "a", ("ingest/y", 100), ok());
    hear(&all, now, "b", ("ingest/x", 100), ok());
    hear(&all, now, "a", ("ingest/x", 200), ok().gone(TimeMs(200)));
    assert_eq!(item(&all, "a").observer, "ingest/y", "somebody else still has it");
    hear(&all, now, "a", ("ingest/y", 200), ok().gone(TimeMs(200)));
    hear(&all, now, "c", ("ingest/y", 200), ok().gone(TimeMs(200)));
    let names: Vec<String> = all.items(None, None, 9).0.into_iter().map(|item| item.name).collect();
    assert_eq!((names, all.state().count), (vec!["b".to_owned()], 1));
    // What came late says nothing, and who takes it in again is heard.
    hear(&all, now, "b", ("ingest/x", 50), ok().gone(TimeMs(50)));
    hear(&all, now, "a", ("ingest/x", 300), ok());
    assert_eq!((item(&all, "a").state.as_str(), item(&all, "b").state.as_str(), all.state().count), ("ok", "ok", 2));
}

#[test]
fn one_observer_speaks_for_an_endpoint_a_lie_first() {
    let (all, now) = (providers(), Instant::now());
    hear(&all, now, "a", ("ingest/x", 100), said(ProviderState::Ok, true));
    hear(&all, now, "a", ("causes/y", 200), said(ProviderState::Slow, false));
    assert_eq!(item(&all, "a").observer, "ingest/x", "who uses it");
    let lie = Lie { at: TimeMs(1), found_by: "causes/y".into(), said: "1".into(), right: "2".into() };
    hear(
        &all,
        now,
        "a",
        ("causes/y", 300),
        EndpointState { lie: Some(lie), ..said(ProviderState::Quarantined, false) },
    );
    assert_eq!((item(&all, "a").observer, item(&all, "a").state), ("causes/y".into(), "quarantined".into()));
    // An older word, read again, changes nothing.
    hear(&all, now, "a", ("causes/y", 250), said(ProviderState::Ok, false));
    assert_eq!(item(&all, "a").state, "quarantined");
    // Who fell silent is not asked any more.
    let now = now + Duration::from_secs(89);
    hear(&all, now, "a", ("ingest/x", 89_000), said(ProviderState::Ok, true));
    all.show(now + Duration::from_secs(2));
    assert_eq!((item(&all, "a").observer, item(&all, "a").state), ("ingest/x".into(), "ok".into()));
}

#[test]
fn a_reader_that_is_behind_gets_the_last_state_of_what_changed() {
    let (all, now) = (providers(), Instant::now());
    let mut changes = all.changes();
    hear(&all, now, "a", ("x", 1), said(ProviderState::Ok, true));
    hear(&all, now, "b", ("x", 1), said(ProviderState::Ok, false));
    assert!(changes.has_changed().expect("the sender lives"));
    let (frames, seen) = all.present(|_| true);
    assert_eq!(frames.len(), 2);
    assert!(all.present(|network| network.as_str() != "eth").0.is_empty());
    assert_eq!(all.changed(seen, |_| true), (Vec::new(), seen));
    changes.mark_unchanged();
    all.show(now);
    assert!(!changes.has_changed().expect("the sender lives"), "nothing is new");
    for at in 2..5 {
        hear(&all, now, "b", ("x", at), said(ProviderState::Slow, false));
    }
    let (frames, _) = all.changed(seen, |_| true);
    let [frame] = &frames[..] else { panic!("{frames:?}") };
    let frame: Value = serde_json::from_str(frame).expect("JSON");
    assert_eq!((&frame["type"], &frame["network"], &frame["op"]), (&"provider".into(), &"eth".into(), &"apply".into()));
    assert_eq!((&frame["data"]["name"], &frame["data"]["at"]), (&"b".into(), &TimeMs(4).rfc3339().into()));
    assert_eq!(frame["data"], serde_json::to_value(item(&all, "b")).expect("JSON"), "what REST gives");
}

#[test]
fn pages_have_every_endpoint_once() {
    let (all, now) = (providers(), Instant::now());
    for name in ["a", "b", "c"] {
        hear(&all, now, name, ("x", 1), said(ProviderState::Ok, true));
    }
    let other: Network = "fantom".parse().expect("a slug");
    let word = Word { at: TimeMs(1), state: said(ProviderState::Ok, true), heard: now };
    all.hear((other.clone(), "a".into()), "x".into(), word);
    all.show(now);
    let names = |page: &[ProviderItem]| page.iter().map(|i| format!("{}/{}", i.network, i.name)).collect::<Vec<_>>();
    let (page, more) = all.items(None, None, 3);
    assert_eq!((names(&page), more), (vec!["eth/a".into(), "eth/b".into(), "eth/c".into()], true));
    let (page, more) = all.items(None, Some(&("eth".parse().expect("a slug"), "b".into())), 2);
    assert_eq!((names(&page), more), (vec!["eth/c".into(), "fantom/a".into()], false));
    assert_eq!(names(&all.items(Some(&other), None, 1).0), ["fantom/a"]);
}

#[test]
fn an_item_says_what_the_state_says() {
    let network: Network = "eth".parse().expect("a slug");
    let item = ProviderItem::of((&network, "a"), ("ingest/x", TimeMs(3)), &said(ProviderState::Slow, true), None);
    assert_eq!(
        (item.state.as_str(), item.roles.join(","), item.limit_per_second),
        ("slow", "stream,serve".into(), Some(8.5))
    );
    assert_eq!((item.calls_per_block, item.bytes_per_block), (Some(1.5), Some(5.0)));
    assert_eq!((item.calls_per_day, item.per_day, item.success_rate), (4, Some(9), Some(1.0)));
    let mut idle = said(ProviderState::Ok, false);
    (idle.usage.hour_blocks, idle.roles) = (0, String::new());
    let item = ProviderItem::of((&network, "a"), ("ingest/x", TimeMs(3)), &idle, None);
    assert!(item.calls_per_block.is_none() && item.roles.is_empty() && item.in_use_since.is_none());
}

#[test]
fn who_watches_is_told_that_an_endpoint_is_gone_and_who_comes_later_is_not() {
    let (all, now) = (providers(), Instant::now());
    let parsed = |frames: &[Utf8Bytes]| -> Vec<(String, String)> {
        let one = |frame: &Utf8Bytes| {
            let frame: Value = serde_json::from_str(frame).expect("JSON");
            let text = |value: &Value| value.as_str().expect("text").to_owned();
            (text(&frame["op"]), text(&frame["data"]["name"]))
        };
        frames.iter().map(one).collect()
    };
    let pair = |op: &str, name: &str| (op.to_owned(), name.to_owned());
    let ok = || said(ProviderState::Ok, true);
    hear(&all, now, "a", ("ingest/x", 100), ok());
    hear(&all, now, "b", ("ingest/x", 100), ok());
    let (_, seen) = all.present(|_| true);
    hear(&all, now, "a", ("ingest/x", 200), ok().gone(TimeMs(200)));
    let (frames, gone) = all.changed(seen, |_| true);
    assert_eq!(parsed(&frames), [pair("revert", "a")]);
    assert!(all.changed(seen, |network| network.as_str() != "eth").0.is_empty());
    assert_eq!(all.changed(gone, |_| true), (Vec::new(), gone), "once");
    assert_eq!(parsed(&all.present(|_| true).0), [pair("apply", "b")]);
    // Taken in again, for one who saw it go and for one who did not; and silent for a day.
    hear(&all, now, "a", ("ingest/x", 300), ok());
    assert_eq!(parsed(&all.changed(gone, |_| true).0), [pair("apply", "a")]);
    assert_eq!(parsed(&all.changed(seen, |_| true).0), [pair("apply", "a")]);
    let (_, seen) = all.present(|_| true);
    all.show(now + FORGOTTEN + Duration::from_millis(1));
    let (frames, seen) = all.changed(seen, |_| true);
    assert_eq!(parsed(&frames), [pair("revert", "a"), pair("revert", "b")]);
    all.show(now + FORGOTTEN * 2 + Duration::from_millis(2));
    assert!(all.changed(0, |_| true).0.is_empty() && all.state().gone.is_empty());
    assert_eq!(all.changed(seen, |_| true), (Vec::new(), seen));
}
