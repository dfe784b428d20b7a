//! Bitcoin Core and Electrum that are on different branches: told within five seconds, and over within five.

use std::time::{Duration, Instant};

use loadtest::node::bitcoin::EndpointConfig;
use nodes::{ChainSource, HeadView, Word, fleet::Confirm};
use tokio::sync::watch;

use crate::{chain, config, fleet_with, three, until_head};

const TOLD: Duration = Duration::from_secs(5);

async fn until_diverged(heads: &mut watch::Receiver<HeadView>, diverged: bool) -> String {
    let began = Instant::now();
    let is = |view: &HeadView| view.diverged.is_some() == diverged;
    let waited = tokio::time::timeout(TOLD, heads.wait_for(is)).await;
    let view = waited.unwrap_or_else(|_| panic!("in vain: diverged = {diverged}")).expect("it goes on").clone();
    assert!(began.elapsed() < TOLD);
    view.diverged.unwrap_or_default()
}

/// One server of two is enough, whatever the others say; a fork of one block, one of three, and one that is deeper than what is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_divergence_is_told_and_ends() {
    for depth in [1, 3, 70] {
        let sim = chain(200, vec![EndpointConfig::core("core"), EndpointConfig::electrum("one")]).await;
        let fleet = fleet_with(&sim, nodes::bitcoin::fleet::BitcoinFleetConfig { confirm: Confirm::Never, ..config() });
        let mut heads = fleet.heads();
        until_head(&mut heads, &sim).await;
        assert_eq!(heads.borrow().diverged, None);
        let one = sim.endpoint("one").expect("it is there");
        let fork = sim.head() - depth;
        one.fault(format!("other-branch:{depth}").parse().expect("a fault"));
        let words = until_diverged(&mut heads, true).await;
        assert!(words.contains(&format!("since block {}", fork + 1)), "{words}");
        assert!(words.contains("`core`") && words.contains("`one`"), "{words}");
        // Core's branch is followed meanwhile.
        sim.advance(1).expect("it grows");
        let head = until_head(&mut heads, &sim).await;
        assert_eq!(fleet.second_word(&head).await, Word::Alone);
        one.clear_faults();
        sim.advance(1).expect("it grows");
        until_diverged(&mut heads, false).await;
    }
}

/// Where operators must agree and do not, nothing is vouched for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_that_contradict_each_other() {
    let sim = chain(40, vec![EndpointConfig::core("core"), EndpointConfig::electrum("one")]).await;
    let fleet = fleet_with(&sim, config());
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    let one = sim.endpoint("one").expect("it is there");
    one.fault("other-branch:2".parse().expect("a fault"));
    until_diverged(&mut heads, true).await;
    let head = heads.borrow().head.clone().expect("a head");
    match fleet.second_word(&head).await {
        Word::Contradicts { by, says } => assert_eq!((by.as_str(), says.len()), ("one", 64)),
        other => panic!("{other:?}"),
    }
    one.clear_faults();
    sim.advance(1).expect("it grows");
    let head = until_head(&mut heads, &sim).await;
    assert_eq!(fleet.second_word(&head).await, Word::Agrees);
}

/// Who is behind, or away, is of no other mind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_behind_is_of_the_same_mind() {
    let sim = chain(40, three()).await;
    let fleet = fleet_with(&sim, config());
    let mut heads = fleet.heads();
    until_head(&mut heads, &sim).await;
    sim.endpoint("one").expect("it is there").fault("stale-tip:1".parse().expect("a fault"));
    sim.endpoint("two").expect("it is there").fault("refused".parse().expect("a fault"));
    sim.advance(2).expect("it grows");
    until_head(&mut heads, &sim).await;
    tokio::time::sleep(TOLD).await;
    assert_eq!(heads.borrow().diverged, None);
}
