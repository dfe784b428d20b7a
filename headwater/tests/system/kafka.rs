//! The stages as processes of their own over a real Kafka, a real schema registry and one store, two of each: cluster and
//! registry are made ready by command, processes that sleep too long or stay away are replaced, and every row is there once.
//! Killing at random for as long as wanted is `loadtest chaos`.

use crate::common::{
    Net,
    cluster::{Cluster, recorded_chain, servers},
    expected,
};
use loadtest::node::evm::{Config, Simulator};
use rustix::process::Signal;
use serde_json::Value;

async fn chain(name: &str) -> Simulator {
    recorded_chain(name, |c| Config { history: 20, ..c }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_sleep_or_stay_away_are_replaced() {
    let Some(servers) = servers("processes_that_sleep_or_stay_away_are_replaced") else { return };
    let nodes = [("eth", chain("ethereum").await), ("op", chain("optimism").await)];
    let nets: Vec<Net> = nodes.iter().map(|(slug, node)| Net::of(slug, node)).collect();
    let mut cluster = Cluster::new(&nets, &servers).await;

    // The cluster and the registry are made ready by command, and it is told when they are.
    let (code, told, _) = cluster.run(&["topics", "diff"]);
    assert!(code == Some(1) && told.contains("raw.blocks"), "{told}");
    let (code, ..) = cluster.run(&["topics", "apply"]);
    assert_eq!(code, Some(0));
    let (code, _, said) = cluster.run(&["topics", "diff"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, ids, said) = cluster.run(&["schemas", "push"]);
    let schemas = schemas::registry::SCHEMAS.iter().filter(|schema| !schema.is_former()).count();
    assert!(code == Some(0) && ids.lines().count() == schemas, "{said}");

    let stages = ["ingest-1", "ingest-2", "enrich-1", "enrich-2", "sink-1", "sink-2"];
    stages.iter().chain(&["api-1"]).for_each(|name| cluster.stage(name));
    for (slug, node) in &nodes {
        cluster.until_visible(slug, node).await;
    }
    // Asleep with work in hand until another has taken it over, and awake again: what it then says counts no more.
    for name in ["ingest-1", "enrich-2", "sink-1"] {
        for (_, node) in &nodes {
            node.fork_and_advance(2, 1).expect("fork");
        }
        cluster.signal(name, Signal::STOP);
        for (slug, node) in &nodes {
            cluster.until_visible(slug, node).await;
        }
        cluster.signal(name, Signal::CONT);
    }
    // Away for good, one after the other, while a fork happens: its partitions move to the other.
    for (name, depth) in [("ingest-1", 3), ("enrich-1", 7), ("sink-2", 1)] {
        cluster.kill(name);
        for (slug, node) in &nodes {
            node.fork_and_advance(depth, 2).expect("fork");
            cluster.until_visible(slug, node).await;
        }
    }
    for (slug, node) in &nodes {
        expected::assert_canonical(&cluster.headwater, slug, node).await;
        // The log is read from outside, by `tail`, with the registry's ids.
        let (code, lines, said) = cluster.run(&["tail", "enriched.blocks", "--network", slug]);
        assert_eq!(code, Some(0), "{said}");
        let sequences: Vec<u64> = lines
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).expect("JSON"))
            // A record of finality repeats the last sequence and is no event (rule 3).
            .filter(|record| record["value"]["op"] != "finality")
            .filter_map(|record| record["value"]["sequence"].as_u64())
            .collect();
        let gapless: Vec<u64> = (1..=sequences.len() as u64).collect();
        assert!(!sequences.is_empty() && sequences == gapless, "as a read_committed reader sees them: {sequences:?}");
    }
    let (code, letters, said) = cluster.run(&["dead-letters", "list"]);
    assert!(code == Some(0) && letters.lines().count() == 1, "{letters}{said}");
}
