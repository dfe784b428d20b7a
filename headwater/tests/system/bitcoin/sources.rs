//! What a network has by its sources: headers alone of Electrum servers, blocks of a node, and what is told while both are of different
//! minds.

use std::time::{Duration, Instant};

use loadtest::node::bitcoin::EndpointConfig;
use serde_json::Value;

use super::{assert_rows, chain, headwater, network, tip};
use crate::common::{Headwater, number, text};

/// How soon a divergence is told, and how soon it is gone, of a binary that is not optimized beside others: a quiet machine takes 5 s.
const TOLD: Duration = Duration::from_secs(15);

async fn state(headwater: &Headwater, slug: &str) -> Value {
    headwater.network(slug).await.map_or(Value::Null, |network| network["state"].clone())
}

/// Waits until the network's state is, or is no longer, `diverged`; how long that took.
async fn until_diverged(headwater: &mut Headwater, slug: &str, wanted: bool) -> Duration {
    let begun = Instant::now();
    let what = format!("{slug} {}diverged", if wanted { "" } else { "no longer " });
    headwater
        .until(&what, async |headwater| {
            let state = state(headwater, slug).await;
            (!state.is_null() && (state == "diverged") == wanted).then_some(())
        })
        .await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn electrum_servers_alone_give_headers_and_no_transactions() {
    let node = chain(vec![EndpointConfig::electrum("a"), EndpointConfig::electrum("b")], 30).await;
    let mut headwater = headwater(&[network("heads", &node, "")]);
    headwater.start();
    headwater.until_visible("heads", &tip(&node)).await;
    node.advance(5).expect("advanced");
    node.fork_and_advance(2, 1).expect("forked");
    headwater.until_visible("heads", &tip(&node)).await;

    let rows = headwater
        .query("SELECT number, hash, parent_hash, coverage, transaction_count FROM bitcoin_blocks WHERE network = 'heads' ORDER BY number")
        .await
        .expect("blocks");
    let chain = node.canonical(1..=node.head());
    assert_eq!(rows.len(), chain.len());
    for (row, block) in rows.iter().zip(&chain) {
        assert_eq!((number(row, "number"), text(row, "hash")), (block.height, block.hash.clone()));
        assert_eq!((text(row, "parent_hash"), text(row, "coverage")), (block.parent_hash.clone(), "header".into()));
    }
    let sql = "SELECT count() AS n FROM transactions WHERE network = 'heads' \
               UNION ALL SELECT count() AS n FROM windows WHERE network = 'heads'";
    for row in headwater.query(sql).await.expect("counts") {
        assert_eq!(number(&row, "n"), 0, "a network of headers has no transactions and no windows of them");
    }
    let ranges = headwater
        .query("SELECT from_number, to_number, coverage FROM completeness WHERE network = 'heads'")
        .await
        .expect("completeness");
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    assert_eq!((number(&ranges[0], "to_number"), text(&ranges[0], "coverage")), (node.head(), "header".into()));
    crate::common::expected::assert_gapless(&headwater, "heads").await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_another_branch_than_the_servers_is_told_and_forgotten_when_it_is_back() {
    for depth in [1, 3] {
        let endpoints =
            vec![EndpointConfig::core("core"), EndpointConfig::electrum("a"), EndpointConfig::electrum("b")];
        let node = chain(endpoints, 30).await;
        let slug = format!("split-{depth}");
        let mut headwater = headwater(&[network(&slug, &node, "")]);
        headwater.start();
        headwater.until_visible(&slug, &tip(&node)).await;
        node.advance(3).expect("advanced");
        headwater.until_visible(&slug, &tip(&node)).await;

        let core = node.endpoint("core").expect("there");
        core.fault(format!("other-branch:{depth}").parse().expect("a fault"));
        let told = until_diverged(&mut headwater, &slug, true).await;
        core.clear_faults();
        // The chain goes on: the node is where the servers are.
        node.advance(1).expect("advanced");
        let gone = until_diverged(&mut headwater, &slug, false).await;
        eprintln!("forked by {depth}: told after {told:?}, gone after {gone:?}");
        assert!(told < TOLD && gone < TOLD, "forked by {depth}: told after {told:?}, gone after {gone:?}");
        headwater.until_visible(&slug, &tip(&node)).await;
        assert_rows(&headwater, &slug, &node).await;
        assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
    }
}
