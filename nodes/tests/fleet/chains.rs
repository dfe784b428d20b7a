//! Chain ids: who is not ready yet is waited for, and who is on another chain than the configuration says is no liar.

use std::time::Duration;

use nodes::{ChainSource, SourceBlock, evm::fleet::EvmFleetConfig, fleet::FleetConfig};
use schemas::records::{Outcome, Seen};
use serde_json::json;

use super::{
    fleet_as, fleet_of,
    node::{FIRST, Node, Reply, honest},
    state_of, until,
};

fn says(node: &Node, id: &'static str) {
    node.twist(move |method, _, answer| match method {
        "eth_chainId" => Reply::Result(json!(id)),
        _ => Reply::Result(answer),
    });
}

fn config() -> EvmFleetConfig {
    let config = super::config();
    EvmFleetConfig { fleet: FleetConfig { probe_every: Duration::from_millis(400), ..config.fleet }, ..config }
}

#[tokio::test]
async fn an_endpoint_that_starts_is_waited_for_and_one_of_another_chain_is_not_used_and_no_liar() {
    let (a, b, c) = (Node::start(3).await, Node::start(3).await, Node::start(3).await);
    says(&a, "0x0");
    says(&b, "0x89");
    let fleet = fleet_as(&[&a, &b, &c], &[], config());
    let mut samples = fleet.fleet().samples();
    assert_eq!(fleet.chain_id().await.unwrap(), "999", "one of them is right");
    let heads = fleet.heads();
    for height in FIRST..=FIRST + 3 {
        assert_eq!(fleet.fetch(height, None).await.unwrap().head().height, height);
    }
    assert_eq!((a.calls("eth_getBlockReceipts"), b.calls("eth_getBlockReceipts")), (0, 0));
    assert_eq!(fleet.endpoint(), "c");
    let wrong = state_of(&fleet, "b");
    let reason = wrong.reason.clone().unwrap_or_default();
    assert_eq!((wrong.state.as_str(), wrong.lie), ("failing", None), "{reason}");
    assert!(reason.contains("is on chain 137, the configuration says 999"), "{reason}");
    assert!(reason.contains("`chain_id` of network `test`"), "it says what to do: {reason}");
    assert_ne!(state_of(&fleet, "a").state.as_str(), "quarantined", "not being ready is no lie");
    assert_eq!(state_of(&fleet, "c").state.as_str(), "ok");
    for node in [&a, &b] {
        node.twist(honest);
    }
    let usable = |name: &str| fleet.fleet().members().iter().any(|m| &*m.name() == name && m.usable());
    until("both are used again", || usable("a") && usable("b")).await;
    drop(heads);
    while let Ok(sample) = samples.try_recv() {
        match sample.seen {
            Seen::State(state) => assert_eq!(state.lie, None, "{}", sample.endpoint),
            Seen::Call(call) => assert_ne!(call.outcome, Outcome::Wrong, "{}: {call:?}", sample.endpoint),
            Seen::Minute(_) => {}
        }
    }
}

#[tokio::test]
async fn a_wrong_configuration_makes_nobody_a_liar_and_the_chain_they_are_on_is_told() {
    let (a, b) = (Node::start(3).await, Node::start(3).await);
    says(&a, "0x89");
    assert_eq!(fleet_of(&[&a], &[]).chain_id().await.unwrap(), "137", "one alone");
    says(&b, "0x89");
    let fleet = fleet_as(&[&a, &b], &[], config());
    assert_eq!(fleet.chain_id().await.unwrap(), "137");
    assert_eq!(fleet.chain_id().await.unwrap(), "137", "and again");
    for name in ["a", "b"] {
        let state = state_of(&fleet, name);
        assert_eq!((state.state.as_str(), state.lie), ("failing", None), "{:?}", state.reason);
    }
    // The operator moves them to the right chain.
    for node in [&a, &b] {
        node.twist(honest);
    }
    assert_eq!(fleet.chain_id().await.unwrap(), "999");
    assert_eq!(fleet.fetch(FIRST, None).await.unwrap().head().height, FIRST);
    for id in ["0x0", "0x1"] {
        for node in [&a, &b] {
            says(node, id);
        }
        assert_eq!(fleet_of(&[&a, &b], &[]).chain_id().await.unwrap(), if id == "0x0" { "0" } else { "1" });
    }
}

#[tokio::test]
async fn where_they_say_different_things_each_is_told() {
    let (a, b) = (Node::start(3).await, Node::start(3).await);
    says(&a, "0x89");
    b.twist(|_, _, _| Reply::Raw("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".into()));
    let e = fleet_of(&[&a, &b], &[]).chain_id().await.unwrap_err().to_string();
    assert!(e.contains("a is on chain 137") && e.contains("HTTP 502") && e.contains("says 999"), "{e}");
    says(&b, "0x1");
    let e = fleet_of(&[&a, &b], &[]).chain_id().await.unwrap_err().to_string();
    assert!(e.contains("a is on chain 137") && e.contains("b is on chain 1") && e.contains("says 999"), "{e}");
}
