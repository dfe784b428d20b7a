//! Figures over REST: what the chain's transactions tell, from rows where there is no window and from windows where there is one; asked of
//! the store once for many who ask; refused where a question makes no sense.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use api::items::TransactionItem;
use schemas::{
    Network, TimeMs,
    records::{EnrichedTransaction, Partial, Payload, Told, Window},
};
use serde_json::{Value, json};
use store::query::{Metric, SeriesFilter, Source, Step};

use crate::{
    chain::{Chain, Event},
    counting::Counting,
    failures::{ROUTER, call, cause, first, folded, fresh, hash_of, output},
    providers::until,
    world::World,
};

/// The window of these events, as `aggregate` makes it.
pub fn window(
    network: &Network,
    contract: Option<Address>,
    (seconds, start): (u32, i64),
    events: &[&Event],
    complete: bool,
) -> Window {
    let mut partial = Partial::default();
    for (block, _) in events {
        let summary = block.summary.as_ref().expect("an applied block");
        partial.merge(&Partial::of_block(&block.envelope, block.evm.as_deref(), summary));
    }
    let told = Told::of(&partial);
    let last = events.last().map(|(block, _)| &block.envelope);
    Window {
        network: network.clone(),
        contract,
        window_seconds: seconds,
        window_start: TimeMs(start),
        complete,
        reason: None,
        watched_from: contract.map(|_| TimeMs(0)),
        sequence: last.map_or(0, |envelope| envelope.sequence),
        height: last.map_or(0, |envelope| envelope.height),
        partial,
        told,
    }
}

/// The chain's blocks by the minute that they lie in.
pub fn minutes(chain: &Chain) -> BTreeMap<i64, Vec<&Event>> {
    let mut minutes: BTreeMap<i64, Vec<&Event>> = BTreeMap::new();
    for event in &chain.canonical {
        let time = event.0.envelope.block_time.0;
        minutes.entry(time - time.rem_euclid(60_000)).or_default().push(event);
    }
    minutes
}

pub fn items(events: &[&Event]) -> Vec<TransactionItem> {
    events.iter().flat_map(|(_, txs)| txs).filter_map(TransactionItem::from_record).collect()
}

/// Prices that were paid for gas. Receipts from before London do not say them; the transactions do.
fn prices(events: &[&Event]) -> Vec<f64> {
    let of = |record: &EnrichedTransaction| {
        let Payload::Evm(payload) = &record.payload else { return None };
        let tx = &payload.0;
        Some(f64::from(tx.receipt_effective_gas_price.or(tx.gas_price)?))
    };
    events.iter().flat_map(|(_, txs)| txs).filter_map(of).collect()
}

pub fn failed(items: &[TransactionItem]) -> usize {
    items.iter().filter(|item| item.status == "failed").count()
}

fn sum<'a>(amounts: impl Iterator<Item = &'a str>) -> String {
    amounts.fold(U256::ZERO, |sum, amount| sum + amount.parse::<U256>().expect("an amount")).to_string()
}

/// The steps of a series, from its first minute to its last.
fn span(chain: &Chain) -> String {
    let minutes = minutes(chain);
    let (first, last) = (minutes.keys().next().expect("one"), minutes.keys().last().expect("one"));
    format!("from={}&to={}", TimeMs(*first).rfc3339(), TimeMs(last + 60_000).rfc3339())
}

/// What the chain tells from a time on: transactions, failures, fees, blocks.
fn told_from(chain: &Chain, from: &Value) -> (usize, usize, String, usize) {
    let from = chrono_ms(from);
    let events: Vec<&Event> = chain.canonical.iter().filter(|(block, _)| block.envelope.block_time.0 >= from).collect();
    let items = items(&events);
    let fees = sum(items.iter().filter_map(|item| item.fee.as_deref()));
    (items.len(), failed(&items), fees, events.len())
}

/// A time of an answer, milliseconds since 1970.
fn chrono_ms(time: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time.as_str().expect("a time")).expect("a time").timestamp_millis()
}

fn assert_overview(chain: &Chain, answer: &Value) {
    let (count, failures, fees, blocks) = told_from(chain, &answer["from"]);
    assert_eq!((&answer["transactions"], &answer["failed"]), (&json!(count), &json!(failures)), "{answer}");
    assert_eq!((&answer["fee_total"], &answer["blocks"]), (&json!(fees), &json!(blocks)), "{answer}");
    let rate = (failures as f64 / count as f64 * 1e6).round() / 1e6;
    assert_eq!(answer["failure_rate"], json!(rate), "{answer}");
    let seconds = (chrono_ms(&answer["to"]) - chrono_ms(&answer["from"])) as f64 / 1e3;
    let tps = answer["tps"].as_f64().expect("a number");
    assert!((tps - count as f64 / seconds).abs() < 0.01, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_what_the_chain_tells_from_rows_and_from_windows() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let now = (TimeMs::now().0 / 1_000) as u64;
    let mut chain = fresh("ethereum").since(now - 10 * 60);
    for _ in 0..50 {
        chain.apply();
    }
    world.publish_and_wait(&chain.events).await;
    let of_rows = until(&api, "/api/v1/metrics/overview?network=ethereum&window=1m", "figures of rows", |value| {
        value["source"] == "rows" && value["transactions"] != 0
    })
    .await;
    assert_overview(&chain, &of_rows);
    assert_eq!(
        (&of_rows["network"], &of_rows["contract"], &of_rows["window"]),
        (&json!("ethereum"), &Value::Null, &json!("1m"))
    );

    // Windows of each minute: series and overview come from there, and say the same.
    for (start, events) in minutes(&chain) {
        world.tell(&chain.network, &window(&chain.network, None, (60, start), &events, true)).await;
    }
    let by_minute = minutes(&chain);
    let (first_minute, last_minute) = (*by_minute.keys().next().expect("one"), *by_minute.keys().last().expect("one"));
    let filter = SeriesFilter {
        network: chain.network.clone(),
        contract: None,
        contract_windows: Some(TimeMs(0)),
        metrics: vec![Metric::Failed],
        step: Step::Minute,
        from: TimeMs(first_minute),
        to: TimeMs(last_minute + 60_000),
    };
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let answer = world.store.series(&filter).await.expect("a series");
        if answer.series[0].points.iter().all(|point| point.complete && point.source == Source::Windows) {
            break;
        }
        assert!(std::time::Instant::now() < give_up, "windows never came: {answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let series = format!(
        "/api/v1/metrics/series?network=ethereum&metric=transactions,failed,fee_total,failure_rate,gas_price_p50&{}",
        span(&chain)
    );
    let answer = api.get(&series).await.json();
    let points = |n: usize| answer["series"][n]["points"].as_array().expect("points").clone();
    assert_eq!(points(0).len(), by_minute.len());
    for (n, (start, events)) in by_minute.iter().enumerate() {
        let items = items(events);
        assert_eq!(points(0)[n]["at"], json!(TimeMs(*start).rfc3339()));
        assert_eq!((&points(0)[n]["source"], &points(0)[n]["complete"]), (&json!("windows"), &json!(true)));
        assert_eq!((&points(0)[n]["value"], &points(1)[n]["value"]), (&json!(items.len()), &json!(failed(&items))));
        assert_eq!(points(2)[n]["value"], json!(sum(items.iter().filter_map(|item| item.fee.as_deref()))));
        let median = points(4)[n]["value"].as_str().expect("a price").parse::<f64>().expect("a price");
        let mut prices = prices(events);
        prices.sort_by(f64::total_cmp);
        let exact = prices[(prices.len() - 1) / 2];
        assert!((median - exact).abs() <= exact / 32.0, "{median} {exact}");
    }
    let units: Vec<&str> = (0..5).filter_map(|n| answer["series"][n]["unit"].as_str()).collect();
    assert_eq!(units, ["count", "count", "amount", "ratio", "price"]);
    let overview = "/api/v1/metrics/overview?network=ethereum&window=5m";
    let of_windows = api.get(overview).await.json();
    assert_eq!(of_windows["source"], "windows", "{of_windows}");
    assert_overview(&chain, &of_windows);
    // One metric stands by itself; the same as a file.
    let one =
        api.get(&format!("/api/v1/metrics/series?network=ethereum&metric=transactions&{}", span(&chain))).await.json();
    assert_eq!((&one["metric"], &one["points"]), (&json!("transactions"), &answer["series"][0]["points"]));
    let csv = api.get(&format!("{series}&format=csv")).await;
    assert_eq!((csv.status, csv.header("content-type")), (200, Some("text/csv; charset=utf-8; header=present")));
    assert!(csv.header("content-disposition").is_some_and(|value| value.contains("ethereum-1m.csv")));
    assert_eq!(csv.text().lines().count(), 1 + 5 * by_minute.len(), "{}", csv.text());
    // Without a network: each that there is.
    let listed = api.get("/api/v1/metrics/overview?window=5m").await.json();
    let names: Vec<&str> =
        listed["items"].as_array().expect("a list").iter().filter_map(|item| item["network"].as_str()).collect();
    assert_eq!(names, ["ethereum"]);
    assert_overview(&chain, &listed["items"][0]);
    let head = api.get(overview).await;
    assert_eq!(head.header("x-headwater-sequence"), Some(chain.sequence().to_string().as_str()));
    let again = api.get_with(overview, &[("If-None-Match", head.header("etag").expect("a tag"))]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_by_cause_and_step() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = fresh("ethereum");
    let event = chain.apply_failing(ROUTER, &call());
    chain.apply();
    world.publish_and_wait(&chain.events).await;
    world.tell(&chain.network, &cause(first(&event), "slippage", &output("One(uint256)", 1))).await;
    folded(&api, "ethereum", &hash_of(first(&event))).await;
    let target = format!("/api/v1/metrics/causes?network=ethereum&{}", span(&chain));
    let told = until(&api, &target, "the cause", |value| value["items"][0]["causes"]["slippage"] == 1).await;
    let total: u64 = told["items"]
        .as_array()
        .expect("steps")
        .iter()
        .flat_map(|step| step["causes"].as_object().expect("causes").values())
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(total as usize, failed(&items(&chain.canonical.iter().collect::<Vec<_>>())));
    let of_router = api.get(&format!("{target}&contract={ROUTER:#x}")).await.json();
    assert_eq!(of_router["items"], json!([{"at": told["items"][0]["at"], "causes": {"slippage": 1}}]));
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_the_same_are_one_question() {
    let world = World::start(&["ethereum"]).await;
    let mut chain = fresh("ethereum");
    for _ in 0..3 {
        chain.apply();
    }
    world.publish_and_wait(&chain.events).await;
    let counting = Counting::before(world.store.config()).await;
    let api = world.api_over(world.config(), counting.store()).await;
    let target = format!("/api/v1/metrics/series?network=ethereum&metric=tps,failed&{}", span(&chain));
    assert_eq!(api.get(&target).await.status, 200);
    let (before, began) = (counting.statements(), std::time::Instant::now());
    let answers = futures::future::join_all((0..40).map(|_| api.get(&target))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    // Were the machine so slow that a second passed, the store would have been asked once more.
    if began.elapsed().as_millis() < 900 {
        assert_eq!(counting.statements(), before);
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_by_name() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let (series, causes) = ("/api/v1/metrics/series?network=ethereum", "/api/v1/metrics/causes?network=ethereum");
    for (target, parameter) in [
        ("/api/v1/metrics/overview?contract=0x0000000000000000000000000000000000000001".to_owned(), "contract"),
        ("/api/v1/metrics/overview?network=ethereum&window=2m".to_owned(), "window"),
        ("/api/v1/metrics/overview?network=ethereum&step=1m".to_owned(), "step"),
        (series.to_owned(), "metric"),
        (format!("{series}&metric=tps,tps"), "metric"),
        (format!("{series}&metric=tip"), "metric"),
        (format!("{series}&metric=tps&step=2m"), "step"),
        (format!("{series}&metric=tps&format=xml"), "format"),
        (format!("{series}&metric=tps&from=2020-01-01T00:00:00Z"), "from"),
        (format!("{series}&metric=tps&from=2020-01-01T00:00:00Z&to=2020-01-01T00:00:00Z"), "to"),
        ("/api/v1/metrics/series?metric=tps".to_owned(), "network"),
        ("/api/v1/metrics/causes".to_owned(), "network"),
        (format!("{causes}&metric=tps"), "metric"),
        ("/api/v1/diagnosis".to_owned(), "network"),
        ("/api/v1/diagnosis?network=ethereum&at=2999-01-01T00:00:00Z".to_owned(), "at"),
        ("/api/v1/diagnosis?network=ethereum&contract=0x1".to_owned(), "contract"),
    ] {
        let answer = api.get(&target).await;
        let problem = answer.json();
        assert_eq!((answer.status, problem["parameter"].as_str()), (400, Some(parameter)), "{target}: {problem}");
        let expected = problem["expected"].as_str().unwrap_or_default();
        assert!(!expected.is_empty(), "{target}: {problem}");
    }
    // Most points of one answer.
    let all = store::query::Metric::ALL.map(store::query::Metric::as_str).join(",");
    let answer = api.get(&format!("{series}&metric={all}&from=2026-01-01T00:00:00Z&to=2026-01-02T00:30:00Z")).await;
    assert_eq!((answer.status, answer.json()["parameter"].as_str()), (400, Some("metric")), "{}", answer.text());
    api.stop().await;
}
