//! What rules say of figures.

use conditions::{Figure, Metric, Number, Rule, figures::Judged};
use schemas::records::Partial;
use serde_json::json;

fn rule(more: serde_json::Value) -> Rule {
    let mut definition = json!({"name": "r", "network": "demo", "metric": "failure_rate"});
    for (key, value) in more.as_object().unwrap() {
        definition[key] = value.clone();
    }
    Rule::parse(&definition).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn failed(failed: u64, transactions: u64) -> Figure {
    let partial = Partial { failed, transactions, ..Partial::default() };
    Figure::of(Metric::FailureRate, &partial, 300_000)
}

#[test]
fn five_percent_is_not_over_five_percent() {
    let rule = rule(json!({}));
    assert!(!rule.judge(&failed(5, 100), None).over);
    assert!(rule.judge(&failed(51, 1_000), None).over);
    // With floating numbers 7/140 and 0.05 are told apart.
    assert!(!rule.judge(&failed(7, 140), None).over);
    assert!(!rule.judge(&failed(0, 0), None).over);
    // 2^53 + 1 of 20 times as many: exactly five percent, and one more.
    let n = (1u64 << 53) + 1;
    assert!(!rule.judge(&failed(n, 20 * n), None).over);
    assert!(rule.judge(&failed(n + 1, 20 * n), None).over);
}

#[test]
fn nothing_is_said_of_too_few() {
    let rule = rule(json!({"min_count": 20}));
    assert!(!rule.judge(&failed(19, 19), None).over);
    assert!(rule.judge(&failed(20, 20), None).over);
}

#[test]
fn half_again_of_the_usual() {
    let rule = rule(json!({"metric": "gas_price_avg"}));
    let price = |wei: u64| Figure::told(Some(Number::from(wei)));
    let price = |wei| Figure { transactions: 1, ..price(wei) };
    let usual = Number::from(30_000_000_001u64);
    assert_eq!(rule.judge(&price(1), None), Judged { over: false, threshold: None });
    let threshold = rule.judge(&price(1), Some(&usual)).threshold.unwrap();
    assert_eq!(threshold.to_string(), "45000000001.5");
    assert!(!rule.judge(&price(45_000_000_001), Some(&usual)).over);
    assert!(rule.judge(&price(45_000_000_002), Some(&usual)).over);
    let fewer = rule_under();
    assert!(fewer.judge(&Figure::told(Some(Number::from(49u64))), Some(&Number::from(100u64))).over);
    assert!(!fewer.judge(&Figure::told(Some(Number::from(50u64))), Some(&Number::from(100u64))).over);
}

fn rule_under() -> Rule {
    rule(json!({"metric": "transactions", "operator": "<", "baseline": {"percent": 50, "over": "24h"}}))
}

#[test]
fn figures_of_a_window() {
    let partial = Partial {
        transactions: 7,
        gas_used: 5,
        gas_limit: alloy_primitives::U256::from(20),
        gas_price_sum: alloy_primitives::U256::from(10),
        gas_price_count: 4,
        ..Partial::default()
    };
    let of = |metric| Figure::of(metric, &partial, 60_000).value.map(|value| value.to_string());
    assert_eq!(of(Metric::Fullness).as_deref(), Some("0.25"));
    assert_eq!(of(Metric::GasPriceAvg).as_deref(), Some("2"));
    assert_eq!(of(Metric::Tps).as_deref(), Some("0.116666666666666666"));
    assert_eq!(of(Metric::FailureRate).as_deref(), Some("0"));
    assert_eq!((of(Metric::BaseFee), of(Metric::ProviderScore)), (None, None));
}
