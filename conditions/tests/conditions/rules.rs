//! Definitions of rules.

use conditions::{Limit, Rule};
use serde_json::{Value, json};

fn paths(definition: &Value) -> Vec<String> {
    let mistakes = Rule::parse(definition).expect_err(&definition.to_string());
    assert!(mistakes.iter().all(|m| !m.problem.is_empty() && !m.cure.is_empty()), "{mistakes:?}");
    mistakes.into_iter().map(|mistake| mistake.path).collect()
}

#[test]
fn all_defaults_are_written_out() {
    let rule = Rule::parse(&json!({"name": "Failures", "network": "demo", "metric": "failure_rate"})).unwrap();
    let definition = rule.definition();
    assert_eq!(
        definition,
        json!({
            "name": "Failures", "paused": false, "severity": "warning", "network": "demo", "contract": null, "endpoint": null,
            "metric": "failure_rate", "operator": ">", "threshold": 0.05, "baseline": null, "window": "5m", "for": "0s",
            "min_count": 0, "group_by": ["rule", "contract"], "cooldown": "0s", "repeat_every": null, "channels": [],
            "routes": [], "escalate": null
        })
    );
    assert_eq!(Rule::parse(&definition).unwrap(), rule);
}

#[test]
fn a_divergence_needs_no_threshold_and_is_of_no_endpoint() {
    let rule = Rule::parse(&json!({"name": "Split", "network": "bitcoin", "metric": "diverged"})).unwrap();
    let definition = rule.definition();
    assert_eq!((&definition["operator"], &definition["threshold"]), (&json!(">"), &json!(0)));
    assert_eq!(Rule::parse(&definition).unwrap(), rule);
    let with = |key: &str, value: Value| {
        let mut definition = json!({"name": "Split", "network": "bitcoin", "metric": "diverged"});
        definition[key] = value;
        paths(&definition)
    };
    assert_eq!(with("endpoint", json!("core")), ["endpoint"]);
    assert_eq!(with("threshold", json!(2)), ["threshold"]);
    // Nothing is more than 1; what is at least 1 is the same as without a threshold.
    let one = |operator: &str| {
        Rule::parse(
            &json!({"name": "S", "network": "bitcoin", "metric": "diverged", "operator": operator, "threshold": 1}),
        )
    };
    let refused = one(">").unwrap_err();
    assert!(format!("{refused:?}").contains("leave `threshold` out"), "{refused:?}");
    assert!(one(">=").is_ok() && one("==").is_ok());
    assert_eq!(with("baseline", json!({"percent": 50, "over": "24h"})), ["baseline"]);
}

#[test]
fn a_full_one_comes_back_as_it_is() {
    let definition = json!({
        "name": "Dear gas", "paused": true, "severity": "critical", "networks": ["demo", "mantle-mainnet"],
        "contract": "0x00000000000000000000000000000000000000aB", "endpoint": null, "metric": "gas_price_avg", "operator": ">=",
        "threshold": null, "baseline": {"percent": 12.5, "over": "7d"}, "window": "1h", "for": "90s", "min_count": 3,
        "group_by": ["contract", "network"], "cooldown": "60m", "repeat_every": "1h", "channels": ["ops", "01J"],
        "routes": [{"severity": "critical", "hours": "22:00-06:00", "channels": ["night"]}],
        "escalate": {"after": "15m", "channels": ["boss"]}
    });
    let rule = Rule::parse(&definition).unwrap();
    let canonical = rule.definition();
    assert_eq!(canonical["contract"], "0x00000000000000000000000000000000000000ab");
    assert_eq!(
        (&canonical["cooldown"], &canonical["baseline"]),
        (&json!("1h"), &json!({"percent": 12.5, "over": "168h"}))
    );
    assert_eq!(canonical["group_by"], json!(["network", "contract"]));
    assert_eq!(Rule::parse(&canonical).unwrap(), rule);
}

#[test]
fn every_mistake_has_its_path() {
    let good = json!({"name": "r", "network": "demo", "metric": "failure_rate"});
    let with = |key: &str, value: Value| {
        let mut definition = good.clone();
        definition[key] = value;
        paths(&definition)
    };
    assert_eq!(with("threshold", json!(5)), ["threshold"]);
    assert_eq!(with("threshold", json!("5")), ["threshold"]);
    assert_eq!(with("threshold", json!(-1)), ["threshold"]);
    assert_eq!(with("metric", json!("failure")), ["metric"]);
    assert_eq!(with("metric", json!("tps")), ["threshold"]);
    assert_eq!(with("endpoint", json!("a")), ["endpoint"]);
    assert_eq!(with("contract", json!("0x12")), ["contract"]);
    assert_eq!(with("window", json!("2m")), ["window"]);
    assert_eq!(with("for", json!("5")), ["for"]);
    assert_eq!(with("treshold", json!(0.1)), ["treshold"]);
    assert_eq!(with("networks", json!(["x"])), ["networks"]);
    assert_eq!(with("network", json!("Demo")), ["network"]);
    assert_eq!(with("network", json!(null)), ["network"]);
    assert_eq!(with("group_by", json!(["rule", "hour"])), ["group_by.1"]);
    assert_eq!(with("routes", json!([{"channels": []}])), ["routes.0.channels"]);
    assert_eq!(with("escalate", json!({"channels": ["a"]})), ["escalate.after"]);
    assert_eq!(with("baseline", json!({"percent": 50})), ["baseline.over"]);
    assert_eq!(with("name", json!("")), ["name"]);
    assert_eq!(paths(&json!({"metric": 1, "x": 2})), ["name", "network", "metric", "x"]);
    assert_eq!(paths(&json!([])), ["body"]);
    let both =
        json!({"name": "r", "network": "d", "metric": "tps", "threshold": 1, "baseline": {"percent": 1, "over": "1h"}});
    assert_eq!(paths(&both), ["baseline"]);
    let score = json!({"name": "r", "network": "d", "metric": "base_fee", "threshold": 1,
        "contract": "0x00000000000000000000000000000000000000ab"});
    assert_eq!(paths(&score), ["contract"]);
}

#[test]
fn large_and_small_thresholds_are_exact() {
    let of = |text: &str| {
        let definition = format!(r#"{{"name":"r","network":"d","metric":"fee_total","threshold":{text}}}"#);
        let rule = Rule::parse(&serde_json::from_str(&definition).unwrap()).unwrap();
        let Limit::Threshold(threshold) = rule.limit else { panic!("a threshold") };
        threshold.number.to_string()
    };
    assert_eq!(of("18446744073709551615"), "18446744073709551615");
    assert_eq!(of("1e21"), "1000000000000000000000");
    assert_eq!(of("0.1"), "0.1");
}
