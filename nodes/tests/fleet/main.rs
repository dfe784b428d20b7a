//! An EVM network over several endpoints: real servers on loopback, each with a fault of its own.

mod cases;
mod chains;
mod faults;
mod heads;
mod judging;
mod lies;
mod node;
mod simulated;
mod together;
mod traces;

use std::{sync::Arc, time::Duration};

use nodes::{
    evm::{
        Checks, Endpoint, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
        verify::Weight,
    },
    fleet::{Clock, Confirm, FleetConfig, MemberConfig, Role},
};

use schemas::records::EndpointState;

use self::node::{CHAIN, Node};

/// Checks that hold on the blocks of [`node`].
fn checks() -> Checks {
    Checks { price: Weight::Off, ..Checks::all(Weight::Decide) }
}

fn config() -> EvmFleetConfig {
    EvmFleetConfig {
        network: "test".parse().unwrap(),
        chain_id: CHAIN,
        observer: "ingest/test".into(),
        checks: checks(),
        tuning: Tuning::default(),
        confirm: Confirm::Auto,
        confirm_within: Duration::from_millis(400),
        fleet: FleetConfig { patience: Duration::from_millis(300), ..FleetConfig::default() },
    }
}

/// A network over these nodes, `a`, `b`, … in the order of their priority, each of its own operator. With `ws` those have a
/// subscription.
fn fleet_of(nodes: &[&Arc<Node>], ws: &[usize]) -> EvmFleet {
    fleet_with(nodes, ws, checks())
}

/// The same with other checks.
fn fleet_with(nodes: &[&Arc<Node>], ws: &[usize], checks: Checks) -> EvmFleet {
    fleet_as(nodes, ws, EvmFleetConfig { checks, ..config() })
}

/// The same, configured so.
fn fleet_as(nodes: &[&Arc<Node>], ws: &[usize], config: EvmFleetConfig) -> EvmFleet {
    fleet_for(nodes, ws, &[], config)
}

/// One whose endpoints have these roles.
fn fleet_roles(nodes: &[&Arc<Node>], ws: &[usize], roles: &[&[Role]]) -> EvmFleet {
    fleet_for(nodes, ws, roles, config())
}

fn fleet_for(nodes: &[&Arc<Node>], ws: &[usize], roles: &[&[Role]], config: EvmFleetConfig) -> EvmFleet {
    let endpoints = nodes.iter().enumerate().map(|(i, node)| {
        let name = char::from(b'a' + i as u8).to_string();
        let mut member = MemberConfig { priority: 1 + i as u16, ..MemberConfig::new(&name, &node.http) };
        if let Some(roles) = roles.get(i) {
            member.roles = roles.to_vec();
        }
        let endpoint = Endpoint {
            name,
            url: node.http.parse().unwrap(),
            ws: ws.contains(&i).then(|| node.ws.parse().unwrap()),
            headers: Vec::new(),
        };
        (member, endpoint)
    });
    EvmFleet::new(config, endpoints.collect(), Clock::system()).unwrap()
}

/// What the fleet says of an endpoint.
fn state_of(fleet: &EvmFleet, name: &str) -> EndpointState {
    fleet.fleet().snapshot().into_iter().find(|(n, _)| &**n == name).unwrap().1
}

/// Until it holds, or for as long as a test waits for anything.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}
