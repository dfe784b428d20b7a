//! `/sql`: what it tells of the views is what they are, and no secret is in it.

use serde_json::Value;

use crate::{
    chain::{Chain, recorded},
    world::World,
};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|item| item["name"].as_str().expect("a name")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn views_sizes_limits_and_queries_are_told_and_no_password() {
    let world = World::start(&["ethereum"]).await;
    let mut chain = Chain::new("ethereum", recorded("ethereum"));
    for _ in 0..6 {
        chain.apply();
    }
    world.publish_and_wait(&chain.events).await;
    let api = world.api().await;
    let answer = api.get("/api/v1/sql").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.text());
    let sql = answer.json();

    let config = world.store.config();
    assert_eq!(sql["url"].as_str(), Some(config.url.as_str().trim_end_matches('/')));
    assert_eq!((&sql["database"], &sql["user"]), (&Value::from(config.database.as_str()), &Value::from("analyst")));
    assert!(!answer.text().contains(&config.password), "the stages' password");

    let views = [
        "blocks",
        "block_events",
        "transactions",
        "evm_transactions",
        "evm_logs",
        "token_transfers",
        "causes",
        "bitcoin_blocks",
        "bitcoin_transactions",
        "bitcoin_inputs",
        "bitcoin_outputs",
        "windows",
        "completeness",
        "contract_blocks",
        "endpoints",
        "provider_minutes",
        "provider_samples",
    ];
    assert_eq!(names(&sql["views"])[..views.len()], views);
    for view in sql["views"].as_array().expect("views") {
        assert!(view["comment"].as_str().is_some_and(|c| !c.is_empty()), "{view}");
        for column in view["columns"].as_array().expect("columns") {
            let said = |key: &str| column[key].as_str().is_some_and(|text| !text.is_empty());
            assert!(said("name") && said("type") && said("comment"), "{column}");
        }
    }
    let blocks = &sql["views"][0];
    assert_eq!(blocks["columns"][0]["name"], "network");
    assert!(names(&blocks["columns"]).contains(&"fee_total_text"));

    let table = |name: &str| {
        let tables = sql["tables"].as_array().expect("tables");
        tables.iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("{name} in {tables:?}")).clone()
    };
    let blocks = table("block_rows");
    assert_eq!(blocks["rows"], chain.canonical.len());
    assert!(blocks["bytes"].as_u64() > Some(100) && blocks["partitions"].as_u64() >= Some(1), "{blocks}");
    let times: Vec<String> = chain.canonical.iter().map(|(b, _)| b.envelope.block_time.rfc3339()).collect();
    assert_eq!(blocks["oldest"].as_str(), times.first().map(String::as_str));
    assert_eq!(blocks["newest"].as_str(), times.last().map(String::as_str));
    assert_eq!(table("evm_transaction_rows")["rows"], chain.transactions().len());
    assert_eq!(table("sink_status_rows")["oldest"], Value::Null);
    assert!(names(&sql["tables"]).iter().all(|name| name.ends_with("_rows")));

    let limits = sql["limits"].as_object().expect("limits");
    assert!(limits.len() >= 7 && limits.values().all(|n| n.as_u64() > Some(0)), "{limits:?}");
    let queries = sql["queries"].as_array().expect("queries");
    assert!(queries.len() == 12 && queries.iter().all(|q| q["sql"].as_str().is_some_and(|s| s.starts_with("SELECT"))));
    api.stop().await;

    // Where analysts may not know which contracts are watched, of what they may not name not even its size is told.
    let api = world.api_with(api::Config { analysts_see_contracts: false, ..world.config() }).await;
    let hidden = api.get("/api/v1/sql").await.json();
    let less = |list: &str| -> Vec<String> {
        let (all, told) = (names(&sql[list]), names(&hidden[list]));
        assert!(told.iter().all(|name| all.contains(name)), "{told:?}");
        all.into_iter().filter(|name| !told.contains(name)).map(str::to_owned).collect()
    };
    assert_eq!(less("views"), ["contract_blocks"]);
    let tables = less("tables");
    assert!(["block_rows", "window_rows"].iter().all(|name| tables.iter().any(|less| less == name)), "{tables:?}");
    // Former tables are called after them.
    assert!(tables.iter().all(|less| less.ends_with("block_rows") || less.ends_with("window_rows")), "{tables:?}");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_it_says_so() {
    let world = World::without_sink(&[]).await;
    let mut config = world.store.config().clone();
    config.url = "http://127.0.0.1:1".parse().expect("a URL");
    let api = world.api_over(world.config(), store::Store::connect(config).expect("a handle")).await;
    let answer = api.get("/api/v1/sql").await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (503, Some("/problems/store-unavailable")));
    api.stop().await;
}
