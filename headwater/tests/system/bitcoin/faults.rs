//! Three Electrum servers of which one hangs, one lies, and one is killed every few seconds, beside a node that is well: how fresh the tip is,
//! and that no head is missed and no false one published. A subscriber of the chain itself is the judge.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::node::bitcoin::{Endpoint, EndpointConfig};
use serde_json::Value;

use super::{assert_rows, chain, endpoint, headwater, network, tip};
use crate::common::{Headwater, PATIENCE, number};

/// Heads that come, and the time between two of them.
const HEADS: u64 = 20;
const PACE: Duration = Duration::from_secs(2);
/// How often it is asked what is visible.
const POLL: Duration = Duration::from_millis(40);
/// What 99 of a hundred heads take at most, from the node to rows, on a quiet machine …
const AIM: Duration = Duration::from_secs(2);
/// … and what each may take at most on any: `confirm_within` is in it.
const BOUND: Duration = Duration::from_secs(15);

/// The same sources twice: whoever shows a head first is believed; or as many operators as by default, within `confirm_within` (2 s).
const NETWORKS: [(&str, &str); 2] = [("never", "confirm = \"never\"\n"), ("auto", "")];

/// Cuts a server off every few seconds, for a second and a half.
fn killed(server: Arc<Endpoint>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.fault("refused@1500ms".parse().expect("a fault"));
        }
    })
}

async fn processed(headwater: &Headwater, slug: &str) -> u64 {
    let network = headwater.network(slug).await.unwrap_or_default();
    network["processed_height"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_hangs_one_lies_one_is_killed_and_no_head_is_missed() {
    let servers = ["hangs", "lies", "killed"].map(EndpointConfig::electrum);
    let endpoints =
        std::iter::once(EndpointConfig { zmq: true, ..EndpointConfig::core("core") }).chain(servers).collect();
    let node = chain(endpoints, 20).await;
    let mut headwater = headwater(&NETWORKS.map(|(slug, keys)| network(slug, &node, keys)));
    headwater.start();
    for (slug, _) in NETWORKS {
        headwater.until_visible(slug, &tip(&node)).await;
    }

    let server = |name: &str| node.endpoint(name).expect("there");
    server("hangs").fault("silent".parse().expect("a fault"));
    server("hangs").fault("mute".parse().expect("a fault"));
    server("lies").fault("no-work".parse().expect("a fault"));
    let killing = killed(server("killed"));

    let mut came = HashMap::new();
    let mut took: HashMap<(&str, u64), Duration> = HashMap::new();
    let mut next = Instant::now();
    let all = NETWORKS.len() * HEADS as usize;
    let end = Instant::now() + PACE * HEADS as u32 + PATIENCE;
    while took.len() < all {
        if (came.len() as u64) < HEADS && Instant::now() >= next {
            next += PACE;
            came.insert(node.advance(1).expect("advanced"), Instant::now());
        }
        for (slug, _) in NETWORKS {
            let seen = processed(&headwater, slug).await;
            for (height, at) in came.iter().filter(|(height, _)| **height <= seen) {
                took.entry((slug, *height)).or_insert_with(|| at.elapsed());
            }
        }
        assert!(Instant::now() < end, "{} of {all} heads are visible:\n{}", took.len(), headwater.said());
        tokio::time::sleep(POLL).await;
    }
    for (slug, _) in NETWORKS {
        let of_it = took.iter().filter(|((of, _), _)| *of == slug);
        let mut times: Vec<Duration> = of_it.map(|(_, time)| *time).collect();
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).saturating_sub(1)];
        eprintln!(
            "heads to rows, confirm = {slug}: p50 {:?}, p99 {:?} (aim {AIM:?}, and what confirming takes)",
            at(50),
            at(99)
        );
        assert!(at(99) < BOUND, "{slug}: {times:?}");
    }

    // The liar is named, whoever was asked.
    let named = headwater
        .until("the liar in quarantine", async |headwater| {
            let lies = endpoint(headwater, "never", "lies").await;
            (lies["state"] == "quarantined").then_some(lies)
        })
        .await;
    assert!(named["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{named}");
    for name in ["hangs", "killed", "core"] {
        let state: Value = endpoint(&headwater, "never", name).await;
        assert_ne!(state["state"], "quarantined", "{name} said nothing wrong: {state}");
    }
    killing.abort();
    for (slug, _) in NETWORKS {
        headwater.until_visible(slug, &tip(&node)).await;
        assert_rows(&headwater, slug, &node).await;
        // No false head was published, not even to be reverted; none of the chain's is missing.
        let sql =
            format!("SELECT countIf(op != 'apply') AS n, count() AS all FROM block_events WHERE network = '{slug}'");
        let events = headwater.query(&sql).await.expect("block_events").remove(0);
        assert_eq!((number(&events, "n"), number(&events, "all")), (0, node.head()), "{slug}");
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
