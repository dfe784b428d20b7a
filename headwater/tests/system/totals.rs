//! Counts, gas, fees and logs in SQL and REST equal recomputation from the raw receipts, to the last wei, for every recorded
//! chain of the project, while the chains grow and fork and after it.

use std::sync::Arc;

use crate::common::{Headwater, Net, expected, recorded};
use alloy_primitives::U256;
use loadtest::node::evm::{Clock, Config, Dataset, Simulator, spawn};

/// Every folder of recorded blocks, under a slug of its own.
const CHAINS: [&str; 8] =
    ["ethereum", "optimism", "base", "base-goerli", "polygon", "arbitrum", "cronos", "hyperliquid"];

/// Sums of a network over all pages of `/txs`: transactions, failed, gas, fees.
async fn totals_in_rest(headwater: &Headwater, slug: &str) -> (u64, u64, U256, U256) {
    let (mut n, mut failed, mut gas, mut fees) = (0, 0, U256::ZERO, U256::ZERO);
    let mut cursor = String::new();
    loop {
        let page = headwater.get(&format!("/txs?network={slug}&limit=1000{cursor}")).await.expect("a page");
        for item in page["items"].as_array().expect("items") {
            n += 1;
            failed += u64::from(item["status"] == "failed");
            gas += U256::from(item["gas_used"].as_u64().expect("gas_used"));
            fees += item["fee"].as_str().expect("fee").parse::<U256>().expect("a number");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (n, failed, gas, fees),
        }
    }
}

async fn compare(headwater: &mut Headwater, slug: &str, node: &Simulator) {
    let head = node.canonical(node.head()..=node.head()).remove(0);
    headwater.until_visible(slug, &head.hash.to_string()).await;
    expected::assert_canonical(headwater, slug, node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_and_rest_equal_recomputation_during_and_after_reorgs() {
    let mut nodes: Vec<(&'static str, Arc<Simulator>)> = Vec::new();
    for chain in CHAINS {
        let data = Dataset::from_dir(recorded().join(chain)).expect("recorded blocks");
        let once = data.blocks().len() as u64;
        let config = Config { clock: Clock::Manual, history: once, ..Config::new(data) };
        nodes.push((chain, Arc::new(spawn(config).await.expect("simulator"))));
    }
    let nets: Vec<Net> = nodes.iter().map(|(slug, node)| Net::of(slug, node)).collect();
    let mut headwater = Headwater::new(&nets);
    headwater.start();

    for (slug, node) in &nodes {
        compare(&mut headwater, slug, node).await;
    }
    for depth in [1, 2, 5] {
        for (slug, node) in &nodes {
            // Cronos' blocks are final as soon as they are there: no fork of them would be believed.
            if *slug != "cronos" {
                node.fork_and_advance(depth.min(node.head() - 1), depth % 3).expect("fork");
            }
            node.advance(1).expect("advance");
            compare(&mut headwater, slug, node).await;
        }
    }
    for (slug, _) in &nodes {
        let sql = expected::totals_in_sql(&headwater, slug).await;
        let rest = totals_in_rest(&headwater, slug).await;
        assert_eq!(rest, (sql.transactions, sql.failed, sql.gas_used, sql.fees), "REST and SQL differ on {slug}");
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
