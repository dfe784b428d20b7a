//! The simulated chain with several endpoints: forks, limits, and slowness as they come together.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::node::evm::{self, Clock, Config, Dataset, EndpointConfig, Fault, FaultKind, Latency, Simulator, spawn};
use nodes::{
    ChainSource, SourceBlock, Word,
    evm::{
        Checks, Endpoint, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
    },
    fleet::{FleetConfig, MemberConfig},
};
use schemas::{
    profiles::Profile,
    records::{ProviderState, Seen},
};

use super::until;

pub(super) async fn simulated(data: &str, history: u64, endpoints: Vec<EndpointConfig>) -> Simulator {
    let data = Dataset::embedded(data).unwrap();
    spawn(Config { clock: Clock::Manual, history, endpoints, ..Config::new(data) }).await.unwrap()
}

/// A network over the endpoints of these names, the first the best.
pub(super) fn fleet_over(sim: &Simulator, names: &[&str], config: EvmFleetConfig) -> EvmFleet {
    fleet_at(sim, names, None, config)
}

/// The same, with a limit of requests a second for each.
fn fleet_at(sim: &Simulator, names: &[&str], limit: Option<f64>, config: EvmFleetConfig) -> EvmFleet {
    let of = |(i, name): (usize, &&str)| {
        let endpoint: Arc<evm::Endpoint> = sim.endpoint(name).unwrap();
        let member = MemberConfig { priority: 1 + i as u16, limit, ..MemberConfig::new(name, &endpoint.url()) };
        let (url, ws) = (endpoint.url().parse().unwrap(), endpoint.ws_url().parse().unwrap());
        (member, Endpoint { name: (*name).into(), url, ws: Some(ws), headers: Vec::new() })
    };
    let checks = Checks::of(&Profile::of(sim.chain_id()));
    let config = EvmFleetConfig { chain_id: sim.chain_id(), checks, ..config };
    let endpoints = names.iter().enumerate().map(of).collect();
    EvmFleet::new(config, endpoints, nodes::fleet::Clock::system()).unwrap()
}

/// A node and two endpoints of its chain that tell everything later.
async fn two_late(after: Duration) -> Simulator {
    let late = |name: &str| EndpointConfig { latency: Some(Latency::Fixed(after)), ..EndpointConfig::new(name) };
    simulated("optimism", 20, vec![late("late"), late("later")]).await
}

/// A fleet over them. No probe after the first: what is known of heights is what was pushed, so that no push of the branch that is left
/// comes later.
fn unprobed(sim: &Simulator) -> EvmFleet {
    let config = super::config();
    let fleet = FleetConfig { probe_every: Duration::from_secs(600), ..config.fleet };
    let config = EvmFleetConfig { confirm_within: Duration::from_secs(5), fleet, ..config };
    fleet_over(sim, &[evm::MAIN, "late", "later"], config)
}

/// Grows the chain until every endpoint has told of a block: whoever is listened to tells of the next.
async fn until_heard(sim: &Simulator) {
    for endpoint in sim.endpoints() {
        until("it is listened to", || {
            let told = endpoint.counts().notifications > 0;
            if !told {
                sim.advance(1).unwrap();
            }
            told
        })
        .await;
    }
}

/// Two that change to another branch a moment later than the first are no majority against it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_to_change_to_another_branch_is_not_put_aside_by_the_others() {
    let sim = two_late(Duration::from_millis(300)).await;
    let fleet = unprobed(&sim);
    let mut samples = fleet.fleet().samples();
    fleet.chain_id().await.unwrap();
    let heads = fleet.heads();
    let knows = |name: &str, height: u64| fleet.fleet().named(name).unwrap().height() == Some(height);
    let all_know = |height: u64| [evm::MAIN, "late", "later"].iter().all(|name| knows(name, height));
    until("all are known", || all_know(sim.head())).await;
    until_heard(&sim).await;
    assert_eq!(fleet.endpoint(), evm::MAIN);
    for depth in [1, 2, 1, 3] {
        let head = sim.advance(2).unwrap();
        until("all have the branch that is left", || all_know(head)).await;
        let head = sim.fork_and_advance(depth, 1).unwrap();
        // The lowest of the new ones is where they differ.
        let truth = sim.canonical(head - depth..=head - depth).remove(0);
        until("the first has changed", || heads.borrow().highest.as_ref().is_some_and(|h| h.height == head)).await;
        let hash = truth.hash.into();
        let block = fleet.fetch(truth.height, Some(&hash)).await.unwrap();
        assert_eq!(block.head().hash, hash);
        assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees, "once the others have changed, too");
        assert_eq!(fleet.endpoint(), evm::MAIN);
        until("all are there", || all_know(head)).await;
    }
    drop(heads);
    while let Ok(sample) = samples.try_recv() {
        match sample.seen {
            Seen::State(state) if sample.endpoint == evm::MAIN => {
                assert!(matches!(state.state, ProviderState::Ok | ProviderState::Unknown), "{state:?}");
            }
            Seen::State(state) => assert_eq!(state.lie, None, "{}", sample.endpoint),
            _ => {}
        }
    }
    sim.shutdown().await;
}

/// Nor by what two of them pushed before they changed, and what comes after the first has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_of_a_branch_that_is_left_put_nobody_aside_however_late_they_come() {
    let sim = two_late(Duration::from_millis(800)).await;
    let fleet = unprobed(&sim);
    let mut samples = fleet.fleet().samples();
    fleet.chain_id().await.unwrap();
    let heads = fleet.heads();
    let knows = |name: &str, height: u64| fleet.fleet().named(name).unwrap().height() == Some(height);
    until("all are known", || ["late", "later"].iter().all(|name| knows(name, sim.head()))).await;
    until_heard(&sim).await;
    for depth in [1, 2] {
        sim.advance(2).unwrap();
        // Half of what the others take: their pushes of it come when the first has changed, and long before they tell of the new branch.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let head = sim.fork_and_advance(depth, 1).unwrap();
        let truth = sim.canonical(head - depth..=head - depth).remove(0);
        until("the first has changed", || heads.borrow().highest.as_ref().is_some_and(|h| h.height == head)).await;
        let block = fleet.fetch(truth.height, Some(&truth.hash.into())).await.unwrap();
        assert_eq!(fleet.second_word(&block.head()).await, Word::Agrees, "once the others have changed, too");
        assert_eq!(fleet.endpoint(), evm::MAIN);
        until("all are there", || ["late", "later"].iter().all(|name| knows(name, head))).await;
    }
    drop(heads);
    while let Ok(sample) = samples.try_recv() {
        if let Seen::State(state) = sample.seen {
            assert_eq!(state.lie, None, "{}", sample.endpoint);
            let well = matches!(state.state, ProviderState::Ok | ProviderState::Unknown);
            assert!(well || sample.endpoint != evm::MAIN, "{state:?}");
        }
    }
    sim.shutdown().await;
}

/// What one alone would get done, two get done as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_let_little_through_and_have_no_receipts_of_blocks_give_a_large_one_all_the_same() {
    let limited = |name: &str| EndpointConfig {
        limit: Some("40/s".parse().unwrap()),
        faults: vec![Fault::always(FaultKind::NoMethod).on("eth_getBlockReceipts")],
        ..EndpointConfig::new(name)
    };
    let endpoints = vec![limited("a"), limited("b")];
    let sim = simulated("ethereum", 3, endpoints).await;
    let large = sim.canonical(1..=4).into_iter().max_by_key(|c| c.facts.tx_count).unwrap();
    assert!(large.facts.tx_count > 150, "several times what goes through in time: {}", large.facts.tx_count);
    let tuning = Tuning { ask_within: Duration::from_secs(1), ..Tuning::default() };
    let fleet = fleet_at(&sim, &["a", "b"], Some(40.0), EvmFleetConfig { tuning, ..super::config() });
    let began = Instant::now();
    let block = fleet.fetch(large.height, None).await.unwrap();
    assert_eq!(block.transactions.len() as u64, large.facts.tx_count);
    assert!(began.elapsed() > Duration::from_secs(2), "more than a question has: {:?}", began.elapsed());
    for name in ["a", "b"] {
        assert_ne!(super::state_of(&fleet, name).state, ProviderState::Quarantined, "{name}");
    }
    sim.shutdown().await;
}

/// What is known of limits is used at once: where a question has no time for a block's receipts, none of them is asked for in vain, neither
/// of a first block nor of the next, at the head nor in the past.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_limits_leave_no_time_for_is_not_begun() {
    let limited = |name: &str| EndpointConfig {
        faults: vec![Fault::always(FaultKind::NoMethod).on("eth_getBlockReceipts")],
        ..EndpointConfig::new(name)
    };
    let sim = simulated("ethereum", 6, vec![limited("a"), limited("b")]).await;
    let tuning = Tuning { ask_within: Duration::from_secs(1), ..Tuning::default() };
    let fleet = fleet_at(&sim, &["a", "b"], Some(80.0), EvmFleetConfig { tuning, ..super::config() });
    let receipts = || {
        let of = |name: &str| sim.endpoint(name).unwrap().counts().methods.get("eth_getTransactionReceipt").copied();
        of("a").unwrap_or_default() + of("b").unwrap_or_default()
    };
    let truth = sim.canonical(1..=7).into_iter().max_by_key(|c| c.facts.tx_count).unwrap();
    assert!(truth.facts.tx_count > 100, "more than a question has time for: {}", truth.facts.tx_count);
    for i in 0..3 {
        let before = receipts();
        let block = match i {
            2 => fleet.fetch_history(truth.height).await.unwrap(),
            _ => fleet.fetch(truth.height, None).await.unwrap(),
        };
        assert_eq!(block.head.hash, truth.hash);
        assert_eq!(receipts() - before, truth.facts.tx_count, "each receipt is asked for once: block {i}");
    }
    for name in ["a", "b"] {
        assert_ne!(super::state_of(&fleet, name).state, ProviderState::Quarantined, "{name}");
    }
    sim.shutdown().await;
}
