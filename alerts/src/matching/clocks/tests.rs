//! What rules over endpoints, stages and clocks say, and when they say nothing.

use conditions::Rule;
use schemas::records::{MinuteSample, Usage};

use super::*;
use crate::definitions::Defined;

fn network() -> Network {
    "demo".parse().expect("a slug")
}

fn rules(window: &str) -> Rules {
    rules_of(&json!({
        "name": "r", "network": "demo", "metric": "reconnects", "operator": ">", "threshold": 20, "window": window
    }))
}

fn rules_of(rule: &Value) -> Rules {
    let what = Arc::new(Rule::parse(rule).expect("a rule"));
    let (id, name) = ("r".to_owned(), "r".to_owned());
    let of = Arc::new(Defined { id, name, version: 1, revision: 1, what, sealed: None, disabled: None });
    let mut rules = Rules::default();
    rules.clocks.insert(network(), vec![Arc::new(Watch { tenant: "t".to_owned(), of })]);
    rules
}

fn sample(at: i64, seen: Seen) -> ProviderSample {
    let (endpoint, observer) = ("ws".to_owned(), "ingest/a".to_owned());
    ProviderSample { network: network(), endpoint, at: TimeMs(at), observer, seen }
}

fn state() -> Seen {
    Seen::State(Box::new(EndpointState {
        url: String::new(),
        operator: String::new(),
        state: ProviderState::Unknown,
        reason: None,
        since: TimeMs(0),
        every_ms: 1 << 40,
        score: None,
        latency_part: None,
        success_part: None,
        height_part: None,
        latency_ms: None,
        latency_p95_ms: None,
        success_rate: None,
        height: None,
        lag_blocks: None,
        in_use: true,
        in_use_since: None,
        last_error: None,
        last_error_at: None,
        last_seen_at: None,
        priority: 0,
        roles: String::new(),
        limit_per_1000_s: None,
        usage: Usage::default(),
        lie: None,
        link: None,
    }))
}

fn again(at: i64, calls: u64) -> ProviderSample {
    let method = SUBSCRIBED_AGAIN.to_owned();
    let (latency_p50_ms, latency_p95_ms) = (None, None);
    sample(at, Seen::Minute(MinuteSample { method, calls, failures: 0, latency_p50_ms, latency_p95_ms, bytes: 0 }))
}

/// Of which all samples were read that were written from a time on.
fn clocks(known_from: i64, samples: Vec<ProviderSample>) -> Clocks {
    let mut clocks = Clocks::default();
    clocks.known_from.insert(3, known_from);
    samples.into_iter().for_each(|sample| take(&mut clocks.endpoints, 3, sample));
    clocks
}

fn said(clocks: &mut Clocks, rules: &Rules, now: i64) -> Vec<bool> {
    let (network, none) = (network(), VecDeque::new());
    let of = (&network, Heard::default(), &none);
    let said = clocks.look(of, &Statuses::default(), rules, TimeMs(now));
    said.iter().map(|one| one.figure.as_ref().is_some_and(|figure| figure.over)).collect()
}

#[test]
fn a_minute_of_subscriptions_is_seen_by_a_window_of_a_minute() {
    // From 12:00:05 on, told when the next minute has begun.
    let noon = 12 * 3_600_000;
    let (rules, mut clocks) = (rules("1m"), clocks(i64::MIN, vec![sample(noon, state()), again(noon + 5_000, 21)]));
    assert_eq!(said(&mut clocks, &rules, noon + 70_000), [true]);
    assert_eq!(said(&mut clocks, &rules, noon + 129_000), [true], "for as long as it could have come");
    assert_eq!(said(&mut clocks, &rules, noon + 131_000), [false]);
}

#[test]
fn the_rule_without_a_threshold_fires_while_sources_are_on_different_branches() {
    let rules = rules_of(&json!({"name": "Split", "network": "demo", "metric": "diverged"}));
    let (of, none, mut clocks) = (network(), VecDeque::new(), Clocks::default());
    let mut look = |state: NetworkState, detail: Option<&str>, now: i64| {
        let at = TimeMs(now);
        let said = StageStatus::new(stage::INGEST, "host-1", state.as_str(), Duration::from_secs(5), at);
        let said = StageStatus { network: Some(of.clone()), detail: detail.map(str::to_owned), ..said };
        let statuses = Statuses([((of.clone(), said.stage.clone()), Arc::new(said))].into());
        let said = clocks.look((&of, Heard::default(), &none), &statuses, &rules, at);
        let figures = said.into_iter().filter_map(|one| one.figure);
        figures.map(|f| (f.over, serde_json::from_str(&f.evidence).expect("JSON"))).collect::<Vec<(bool, Value)>>()
    };
    let fired = |said: &[(bool, Value)]| said.iter().map(|(over, _)| *over).collect::<Vec<bool>>();
    assert_eq!(fired(&look(NetworkState::Live, None, 1_000)), [false]);
    let said = look(NetworkState::Diverged, Some("core and electrum differ since block 7"), 2_000);
    assert_eq!(fired(&said), [true]);
    let evidence = &said[0].1;
    assert_eq!(
        (&evidence["metric"], &evidence["value"], &evidence["threshold"]),
        (&json!("diverged"), &json!(1), &json!(0))
    );
    assert_eq!(evidence["reason"], "core and electrum differ since block 7");
    assert_eq!(fired(&look(NetworkState::Stalled, Some("no block"), 3_000)), [false], "that is another trouble");
    // Nor is anything known by what somebody said who is silent by now: it neither fires nor is over.
    let said = StageStatus::new(stage::INGEST, "host-1", "diverged", Duration::from_secs(5), TimeMs(0));
    let said = StageStatus { network: Some(of.clone()), ..said };
    let patience = millis(said.patience());
    let statuses = Statuses([((of.clone(), said.stage.clone()), Arc::new(said))].into());
    for (now, told) in [(patience, 1), (patience + 1, 0)] {
        let said = Clocks::default().look((&of, Heard::default(), &none), &statuses, &rules, TimeMs(now));
        assert_eq!(said.len(), told, "{said:?}");
    }
    // Of a network of which nobody speaks nothing is known.
    let nobody = Clocks::default().look((&of, Heard::default(), &none), &Statuses::default(), &rules, TimeMs(4_000));
    assert!(nobody.is_empty(), "{nobody:?}");
}

#[test]
fn what_was_not_read_back_ends_no_alert() {
    let (day, rules) = (24 * 3_600_000, rules("24h"));
    let now = 10 * day;
    let some = |count: u64| vec![sample(now, state()), again(now - 60_000, count)];
    assert!(said(&mut clocks(now - day / 2, some(1)), &rules, now).is_empty(), "half a day is known");
    assert_eq!(said(&mut clocks(now - day / 2, some(21)), &rules, now), [true], "and may be enough");
    assert_eq!(said(&mut clocks(now - 2 * day, some(1)), &rules, now), [false]);
}
