//! A rule tried on the past.

use conditions::{
    Rule,
    trial::{Piece, Stands, Trial, Tried},
};
use schemas::{TimeMs, records::Partial};
use serde_json::json;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn rule(more: serde_json::Value) -> Rule {
    let mut definition = json!({"name": "r", "network": "demo", "metric": "failed", "threshold": 2, "window": "1m"});
    for (key, value) in more.as_object().unwrap() {
        definition[key] = value.clone();
    }
    Rule::parse(&definition).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// So many failed, of ten times as many.
fn step(at: i64, failed: u64) -> Piece {
    let did = Partial { blocks: 1, transactions: failed * 10, failed, ..Partial::default() };
    Piece { at: TimeMs(at), did: Some(did), complete: true }
}

fn minutes(failed: &[u64]) -> Vec<Piece> {
    failed.iter().enumerate().map(|(at, failed)| step(at as i64 * MINUTE, *failed)).collect()
}

fn tried(rule: &Rule, steps: &[Piece]) -> Tried {
    Trial { rule, steps, step_ms: MINUTE, hours: &[] }.run(TimeMs(0))
}

/// Since when, when, and until when it would have fired, in minutes.
fn fired(tried: &Tried) -> Vec<(i64, i64, Option<i64>)> {
    let minute = |at: TimeMs| at.0 / MINUTE;
    tried.fired.iter().map(|f| (minute(f.started_at), minute(f.fired_at), f.resolved_at.map(minute))).collect()
}

#[test]
fn a_window_is_the_steps_in_it_and_fires_once_until_it_is_over() {
    let steps = minutes(&[0, 1, 1, 1, 0, 0, 0, 9]);
    assert_eq!(fired(&tried(&rule(json!({})), &steps)), [(8, 8, None)]);
    let of_five = tried(&rule(json!({"window": "5m"})), &steps);
    let values: Vec<String> = of_five.looks.iter().map(|look| look.figure.value.unwrap().to_string()).collect();
    assert_eq!(values, ["3", "3", "2", "10"], "from the first whole window on");
    assert_eq!(of_five.looks[0].at, TimeMs(5 * MINUTE));
    assert_eq!(fired(&of_five), [(5, 5, Some(7)), (8, 8, None)]);
    assert_eq!(
        of_five.looks.iter().map(|look| look.stands).collect::<Vec<_>>(),
        [Stands::Firing, Stands::Firing, Stands::Quiet, Stands::Firing]
    );
    let later = Trial { rule: &rule(json!({})), steps: &steps, step_ms: MINUTE, hours: &[] }.run(TimeMs(6 * MINUTE));
    assert_eq!(later.looks.iter().map(|look| look.at.0 / MINUTE).collect::<Vec<_>>(), [7, 8], "behind the time only");
}

#[test]
fn it_must_hold_and_rests_after_a_firing() {
    let steps = minutes(&[9, 0, 9, 9, 9, 0, 9, 9, 9, 9]);
    let holds = tried(&rule(json!({"for": "90s"})), &steps);
    // From minute 3 on it holds; after a minute and a half the clock says so.
    assert_eq!(fired(&holds), [(3, 4, Some(6)), (7, 8, None)]);
    assert_eq!(holds.fired[0].fired_at, TimeMs(4 * MINUTE + 30_000));
    assert_eq!((holds.looks[0].stands, holds.looks[2].stands), (Stands::Pending, Stands::Pending));
    let rests = tried(&rule(json!({"cooldown": "8m"})), &steps);
    assert_eq!(fired(&rests), [(1, 1, Some(2)), (7, 9, None)], "eight minutes after the first");
}

#[test]
fn what_lacks_something_says_what_is_certain() {
    let mut steps = minutes(&[0, 0, 0, 9, 9]);
    (steps[1].complete, steps[3].complete, steps[4].did) = (false, false, None);
    let more = tried(&rule(json!({})), &steps);
    // Nine failed at least; of the last nothing is known, and it goes on.
    assert_eq!(fired(&more), [(4, 4, None)]);
    assert_eq!(more.looks.iter().map(|look| look.told).collect::<Vec<_>>(), [true, false, true, true, false]);
    assert_eq!((more.looks[4].figure.value, more.looks[4].stands), (None, Stands::Firing));
    let less = tried(&rule(json!({"operator": "<", "threshold": 1, "metric": "failure_rate"})), &steps);
    assert!(less.looks.iter().all(|look| look.complete || !look.told), "a part says of no share that it is too small");
    // Of five minutes of which one is missing a share is told.
    let share = tried(&rule(json!({"metric": "failure_rate", "threshold": 0.05, "window": "5m"})), &steps);
    assert_eq!((share.looks[0].complete, share.looks[0].told, fired(&share)), (false, true, vec![(5, 5, None)]));
}

#[test]
fn what_is_usual_is_of_the_complete_hours_before_the_window() {
    let rule = rule(json!({"threshold": null, "baseline": {"percent": 50, "over": "3h"}, "metric": "failed"}));
    let mut hours = vec![step(0, 6_000), step(HOUR, 60), step(2 * HOUR, 120), step(3 * HOUR, 6_000)];
    let steps = [step(3 * HOUR + 4 * MINUTE, 2), step(3 * HOUR + 5 * MINUTE, 3)];
    let run = |hours: &[Piece]| Trial { rule: &rule, steps: &steps, step_ms: MINUTE, hours }.run(TimeMs(0));
    // 180 in two hours are 1.5 a minute, and half as much again is 2.25.
    let both = run(&hours);
    assert_eq!(both.looks[0].judged.threshold.unwrap().approximate(), 2.25);
    assert_eq!((both.looks[0].judged.over, both.looks[1].judged.over), (false, true));
    hours[2].complete = false;
    assert_eq!(run(&hours).looks[1].judged.threshold.unwrap().approximate(), 1.5, "of the hour that is whole");
    let none = run(&[]);
    assert_eq!((none.looks[1].judged.threshold, none.fired.len()), (None, 0));
}
