//! A Bitcoin network over several endpoints: heads, forks, second words, liars, and Core and Electrum that are of different minds. The
//! nodes are simulated, since no real one lies.

mod heads;
mod lies;
mod minds;

use std::time::Duration;

use loadtest::node::bitcoin::{Clock as Ticks, Config, Dataset, EndpointConfig, Simulator, spawn};
use nodes::{
    ChainSource, Head, HeadView,
    bitcoin::{
        Endpoint,
        fleet::{BitcoinFleet, BitcoinFleetConfig, Tuning, Which},
    },
    fleet::{Clock, Confirm, FleetConfig, MemberConfig},
};
use schemas::{
    bitcoin::BitcoinChain,
    records::{EndpointState, ProviderState},
};
use tokio::sync::watch;

/// A chain of so many blocks on endpoints; it grows when it is told to.
async fn chain(history: u64, endpoints: Vec<EndpointConfig>) -> Simulator {
    let data = Dataset::embedded("small").expect("recorded blocks");
    spawn(Config { clock: Ticks::Manual, history, ..Config::new(data, endpoints) }).await.expect("a chain")
}

/// Bitcoin Core and two Electrum servers.
fn three() -> Vec<EndpointConfig> {
    vec![EndpointConfig::core("core"), EndpointConfig::electrum("one"), EndpointConfig::electrum("two")]
}

fn config() -> BitcoinFleetConfig {
    BitcoinFleetConfig {
        network: "test".parse().expect("a slug"),
        which: Which::new(Some(BitcoinChain::Regtest)),
        observer: "ingest/test".into(),
        tuning: Tuning::default(),
        poll_every: Duration::from_millis(200),
        confirm: Confirm::Auto,
        confirm_within: Duration::from_secs(2),
        fleet: FleetConfig { probe_every: Duration::from_secs(1), ..FleetConfig::default() },
    }
}

/// A fleet over all endpoints of a node, each of an operator of its own.
fn fleet_with(sim: &Simulator, config: BitcoinFleetConfig) -> BitcoinFleet {
    fleet_of(sim, config, |_| true)
}

/// The same over some of them.
fn fleet_of(sim: &Simulator, config: BitcoinFleetConfig, these: impl Fn(&str) -> bool) -> BitcoinFleet {
    let endpoints = sim.endpoints().iter().filter(|endpoint| these(endpoint.name())).map(|endpoint| {
        let url = endpoint.url();
        let member = MemberConfig::new(endpoint.name(), &url);
        (member, Endpoint::new(endpoint.name(), url.parse().expect("a URL")))
    });
    BitcoinFleet::new(config, endpoints.collect(), Clock::system()).expect("a fleet")
}

fn fleet(sim: &Simulator) -> BitcoinFleet {
    fleet_with(sim, config())
}

/// What the fleet says of an endpoint.
fn state_of(fleet: &BitcoinFleet, name: &str) -> EndpointState {
    fleet.fleet().snapshot().into_iter().find(|(n, _)| &**n == name).expect("it is there").1
}

/// The node's own block at a height.
fn at(sim: &Simulator, height: u64) -> loadtest::node::bitcoin::Canonical {
    sim.canonical(height..=height).pop().expect("a block")
}

/// Waits until the newest head that is told is this one.
async fn until_head(heads: &mut watch::Receiver<HeadView>, sim: &Simulator) -> Head {
    let wanted = at(sim, sim.head());
    let is = |view: &HeadView| view.head.as_ref().is_some_and(|head| head.hash.as_str() == wanted.hash);
    let waited = tokio::time::timeout(Duration::from_secs(10), heads.wait_for(is)).await;
    let view = waited.unwrap_or_else(|_| panic!("in vain: block {}", wanted.height)).expect("it goes on").clone();
    view.head.expect("a head")
}

/// Until it holds, or for as long as a test waits for anything.
async fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(within, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}

async fn until_quarantined(fleet: &BitcoinFleet, name: &str) {
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    while state_of(fleet, name).state != ProviderState::Quarantined {
        assert!(tokio::time::Instant::now() < end, "it is not in quarantine: {:?}", state_of(fleet, name));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_is_what_most_operators_say() {
    let sim = chain(20, three()).await;
    let open = BitcoinFleetConfig { which: Which::new(None), ..config() };
    let which = open.which.clone();
    let fleet = fleet_with(&sim, open);
    assert_eq!(fleet.chain_id().await.expect("they say so"), "regtest");
    assert_eq!(which.get(), None, "whoever keeps it decides");
    assert!(which.settle(BitcoinChain::Regtest));
    assert_eq!(fleet.head().await.expect("a head").height, sim.head());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_chain_is_no_lie_and_is_not_used() {
    let sim = chain(20, three()).await;
    sim.endpoint("one").expect("it is there").fault("wrong-genesis".parse().expect("a fault"));
    let fleet = fleet(&sim);
    assert_eq!(fleet.chain_id().await.expect("the others are right"), "regtest");
    let _heads = fleet.heads();
    until("it is not used", Duration::from_secs(10), || {
        let state = state_of(&fleet, "one");
        state.reason.as_deref().is_some_and(|reason| reason.contains("`chain` of network `test`"))
    })
    .await;
    assert_ne!(state_of(&fleet, "one").state, ProviderState::Quarantined);
}
