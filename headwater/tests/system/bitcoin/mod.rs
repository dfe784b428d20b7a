//! Bitcoin through the whole binary: simulated nodes and Electrum servers (`loadtest::node::bitcoin`), and real ones on regtest.

mod faults;
mod kill;
mod letters;
mod regtest;
mod sources;

use std::sync::Arc;

use loadtest::node::bitcoin::{Clock, Config, Dataset, EndpointConfig, Simulator, spawn};
use serde_json::Value;

use crate::common::{Headwater, PATIENCE};

/// A chain that grows when it is told to, with these endpoints; by their own time its blocks are a second apart.
async fn chain(endpoints: Vec<EndpointConfig>, history: u64) -> Arc<Simulator> {
    let data = Dataset::embedded("small").expect("built in");
    let config = Config { clock: Clock::Manual, history, ..Config::new(data, endpoints) };
    Arc::new(spawn(config).await.expect("simulator"))
}

/// A network in a configuration: each endpoint an operator of its own, `keys` further lines of the network.
fn network(slug: &str, node: &Simulator, keys: &str) -> String {
    format!("[[network]]\nslug = \"{slug}\"\n{}", node.section(keys))
}

/// Headwater over these networks; what is probed is probed often.
fn headwater(networks: &[String]) -> Headwater {
    let headwater = Headwater::new(&[]);
    headwater.configure(&format!("[providers]\nprobe_every = \"2s\"\n{}", networks.concat()));
    headwater
}

/// The hash of the head.
fn tip(node: &Simulator) -> String {
    node.canonical(node.head()..=node.head()).remove(0).hash
}

/// Every row is the chain's.
async fn assert_rows(headwater: &Headwater, slug: &str, node: &Simulator) -> loadtest::bitcoin::Compared {
    loadtest::bitcoin::rows(headwater.outside(), slug, node, 1).await.unwrap_or_else(|e| panic!("{e}"))
}

/// The network's windows are what the transactions of their time are.
async fn assert_windows(headwater: &Headwater, slug: &str) -> u64 {
    loadtest::windows::same(headwater.outside(), slug, "", PATIENCE).await.unwrap_or_else(|e| panic!("{e}"))
}

/// What `/providers/health` says of an endpoint.
async fn endpoint(headwater: &Headwater, slug: &str, name: &str) -> Value {
    let all = headwater.get(&format!("/providers/health?network={slug}&limit=100")).await.unwrap_or_default();
    let items = all["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().find(|item| item["name"] == name).unwrap_or_default()
}
