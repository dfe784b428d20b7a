//! Heights filled on request by the real binary, beside a live chain: killed in the middle, again over what is held, and never taken for
//! the network's head. At the end SQL equals recomputation from the raw receipts, from the first height on.

use std::sync::Arc;

use loadtest::node::evm::{Clock, Config, Dataset, Fault, Simulator, spawn};

use crate::{
    common::{Headwater, Net, expected, number},
    requests::{self, Told},
};

/// Blocks before the first live one, and from the head down to the finalized one.
const HISTORY: u64 = 180;
const FINALITY: u64 = 5;
/// The height that the node does not have at first.
const LACKING: u64 = 100;

async fn node() -> Arc<Simulator> {
    let data = Dataset::embedded("optimism").expect("embedded data");
    let config =
        Config { clock: Clock::Manual, history: HISTORY, finality_depth: FINALITY, safe_depth: 2, ..Config::new(data) };
    Arc::new(spawn(config).await.expect("simulator"))
}

fn over<'a>(from: &'a str, to: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["backfill", "--network", "op", "--from", from, "--to", to][..], more].concat()
}

/// `headwater backfill` over these heights; what it says when it ends.
async fn backfill(headwater: &Headwater, from: u64, to: u64, more: &[&str]) -> Told {
    requests::run(headwater, &over(&from.to_string(), &to.to_string(), more)).await
}

/// The same, asked anew until it is known what is final.
async fn once_final(headwater: &Headwater, from: u64, to: u64, more: &[&str]) -> Told {
    requests::once_final(headwater, &over(&from.to_string(), &to.to_string(), more)).await
}

async fn filled(headwater: &Headwater) -> u64 {
    let sql = "SELECT count() AS n FROM block_events WHERE network = 'op' AND origin = 'backfill'";
    headwater.query(sql).await.ok().map_or(0, |rows| number(&rows[0], "n"))
}

async fn head_visible(headwater: &mut Headwater, node: &Simulator) {
    let head = node.canonical(node.head()..=node.head()).remove(0);
    headwater.until_visible("op", &head.hash.to_string()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_filled_beside_a_live_chain_and_over_a_kill() {
    let node = node().await;
    let mut headwater = Headwater::new(&[Net { start: "latest".into(), ..Net::of("op", &node) }]);
    headwater.start();
    head_visible(&mut headwater, &node).await;
    let first = node.head();
    // What lies before the first live block becomes final.
    node.advance(FINALITY + 3).expect("advance");
    head_visible(&mut headwater, &node).await;

    // The node lacks one height, so that the request is under way until that is mended.
    node.fault(format!("null#{LACKING}").parse::<Fault>().expect("a fault"));
    let asked = once_final(&headwater, 1, first - 1, &["--detach"]).await;
    assert_eq!(asked.0, Some(0), "{asked:?}");
    headwater.until("what is below it", async |h| (filled(h).await == LACKING - 1).then_some(())).await;
    for _ in 0..3 {
        node.fork_and_advance(1, 2).expect("fork");
        head_visible(&mut headwater, &node).await;
        let health = headwater.network("op").await.expect("the network");
        assert!(health["processed_height"].as_u64() >= Some(first), "a filled block is no head: {health}");
        let at = health["last_block_at"].as_str().expect("a time").to_owned();
        let newest = headwater
            .query("SELECT formatDateTime(max(timestamp), '%Y-%m-%dT%H:%i') AS t FROM blocks WHERE network = 'op'")
            .await;
        let newest = newest.expect("blocks")[0]["t"].as_str().expect("a time").to_owned();
        assert!(at[..13] >= newest[..13], "the newest block's time: {at} {newest}");
    }
    assert_eq!(filled(&headwater).await, LACKING - 1, "it was under way while live blocks became visible");
    headwater.kill();
    node.clear_faults();
    headwater.start();
    node.advance(1).expect("advance");
    head_visible(&mut headwater, &node).await;

    // The same request again follows the one that is there.
    let done = backfill(&headwater, 1, first - 1, &[]).await;
    assert_eq!(done.0, Some(0), "{done:?}");
    headwater.until("all filled blocks", async |h| (filled(h).await == first - 1).then_some(())).await;
    expected::assert_canonical(&headwater, "op", &node).await;

    // Again, over heights that were filled and over live ones: the rows are the same, each once.
    node.advance(FINALITY + 1).expect("advance");
    head_visible(&mut headwater, &node).await;
    let again = once_final(&headwater, first - 10, first + 3, &["--again"]).await;
    assert_eq!(again.0, Some(0), "{again:?}");
    headwater.until("those filled again", async |h| (filled(h).await == first - 1 + 14).then_some(())).await;
    expected::assert_canonical(&headwater, "op", &node).await;
    let gaps = "SELECT count() AS n, max(sequence) AS last FROM (SELECT DISTINCT sequence FROM block_events WHERE network = 'op')";
    let rows = headwater.query(gaps).await.expect("events");
    assert_eq!(number(&rows[0], "n"), number(&rows[0], "last"), "sequences have no gap");
    let rows = headwater
        .query("SELECT from_number, to_number, complete FROM completeness WHERE network = 'op' ORDER BY 1")
        .await;
    assert!(rows.expect("ranges").iter().all(|r| r["complete"].as_bool() != Some(false)));

    // Too high is refused, and says what is final.
    let refused = backfill(&headwater, 1, node.head(), &[]).await;
    assert_eq!(refused.0, Some(2), "{refused:?}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
