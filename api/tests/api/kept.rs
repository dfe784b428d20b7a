//! Whoever reaches below what is kept is told so (rules 31 and 32).

use serde_json::json;

use crate::{
    chain::{Chain, recorded},
    world::World,
    ws::Ws,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_told_everywhere() {
    let world = World::start(&["ethereum"]).await;
    let api = world.api().await;
    let mut chain = Chain::new("ethereum", recorded("arbitrum"));
    // Heights 1,000 to 1,029; what goes ends at a bucket's edge.
    (0..30).for_each(|_| drop(chain.apply()));
    world.publish_and_wait(&chain.events).await;
    let envelope = |i: usize| &chain.canonical[i].0.envelope;
    let height = |i: usize| envelope(i).height;
    let (low, below, newest) = (height(0), height(24), envelope(23).block_time);

    // Nothing was removed yet, and nobody is told of it.
    let page = api.get("/api/v1/blocks?network=ethereum&limit=100").await.json();
    assert_eq!((&page["next"], &page["note"]), (&json!(null), &json!(null)));
    assert_eq!(api.get("/api/v1/blocks/ethereum/1").await.status, 404);

    for table in ["evm_transaction_rows", "evm_log_rows", "block_rows"] {
        world.sql(&format!("ALTER TABLE {table} DELETE WHERE height < {below} SETTINGS mutations_sync = 2")).await;
    }
    world
        .sql(&format!(
            "INSERT INTO pruned_rows (network, pruned_below, first_part, version, end_part, gone, from_height, newest_time, reason, at) \
             VALUES ('ethereum', {below}, 0, 1, 0, 1, {low}, fromUnixTimestamp64Milli({}), 'keep', now64(3))",
            newest.0
        ))
        .await;

    // One block: by height it is gone, by hash it is not known whether it was.
    let gone = api.get(&format!("/api/v1/blocks/ethereum/{}", height(3))).await;
    let problem = gone.json();
    assert_eq!((gone.status, problem["type"].as_str()), (410, Some("/problems/pruned")));
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains(&below.to_string())), "{problem}");
    for path in [
        format!("/api/v1/blocks/ethereum/{}", envelope(3).block_hash),
        format!("/api/v1/txs/ethereum/0x{}", "ab".repeat(32)),
    ] {
        let missing = api.get(&path).await;
        let problem = missing.json();
        assert_eq!(missing.status, 404);
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains("may have been among")), "{problem}");
    }
    assert_eq!(api.get(&format!("/api/v1/blocks/ethereum/{below}")).await.status, 200);
    assert_eq!(api.get("/api/v1/blocks/ethereum/99999999999").await.status, 404);

    // Lists end with a note, from whichever side they come, and only where they end.
    for path in ["/api/v1/blocks?limit=100", "/api/v1/txs?limit=1000", "/api/v1/blocks?limit=100&network=ethereum"] {
        for sort in ["newest", "oldest"] {
            let page = api.get(&format!("{path}&sort={sort}")).await.json();
            let note = page["note"].as_str().unwrap_or_default();
            assert!(
                note.contains("ethereum") && note.contains(&below.to_string()) && note.contains("keep"),
                "{path} {sort}: {page}"
            );
            assert_eq!(page["next"], json!(null));
        }
    }
    let first = api.get("/api/v1/blocks?limit=1&network=ethereum").await.json();
    assert!(first["next"].is_string() && first["note"].is_null(), "{first}");
    let since = schemas::TimeMs(newest.0 + 1).rfc3339();
    let page = api.get(&format!("/api/v1/txs?network=ethereum&limit=1000&from={since}")).await.json();
    assert_eq!((&page["next"], &page["note"]), (&json!(null), &json!(null)), "nothing of it is wanted");

    // Which heights are held.
    let held = api.get("/api/v1/networks/ethereum/completeness").await.json();
    let ranges = held["ranges"].as_array().expect("ranges");
    let of = |i: usize, field: &str| ranges[i][field].clone();
    assert_eq!((of(0, "from_height"), of(0, "to_height")), (json!(low), json!(below - 1)));
    assert_eq!((of(0, "coverage"), of(0, "complete"), of(0, "blocks")), (json!("pruned"), json!(false), json!(0)));
    assert!(ranges[1..].iter().all(|r| r["coverage"] == json!("full") && r["complete"] == json!(true)), "{held}");
    let sql = api.get("/api/v1/sql").await.json();
    assert_eq!(
        (sql["removed"][0]["network"].clone(), sql["removed"][0]["below"].clone()),
        (json!("ethereum"), json!(below))
    );

    // A resume hears of it once, and of everything that is held. (Who began later has nothing of it in memory.)
    let later = world.api().await;
    let mut ws = Ws::connect(later.at).await;
    ws.subscribe(Some("ethereum"), &["blocks"], Some(2)).await;
    let frames = ws.until(chain.sequence()).await;
    let gaps: Vec<_> = frames.iter().filter(|f| f["type"] == json!("gap")).collect();
    assert_eq!(gaps, [&json!({"type": "gap", "network": "ethereum", "from": 3, "to": 24, "reason": "pruned"})]);
    let blocks: Vec<_> = frames.iter().filter(|f| f["type"] == json!("block")).map(|f| f["sequence"].clone()).collect();
    assert_eq!(blocks, (25..=30).map(|s| json!(s)).collect::<Vec<_>>());
    later.stop().await;
    api.stop().await;
}
