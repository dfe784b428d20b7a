//! The stage `causes` over the embedded log: what logs say becomes facts, reverts take it back, a kill forgets nothing and doubles
//! nothing; the operator's contracts are copied; and on a real EVM node (anvil, `scripts/fetch-anvil`) what stands behind a proxy is
//! found at a block's hash, before and after an upgrade. What waits in the stream never waits for any of it.

mod support;

use std::time::Duration;

use alloy_primitives::{hex, keccak256};
use enrich::causes::{Budgets, Calls};
use schemas::records::{Contract, ContractFacts, ControlConfig, FactSource, FoundBy, OperatorContract, ProxyKind};
use support::causes::{Bench, Node, address, behind, hash, network, proxy, silent, transaction, upgrade_to, upgraded};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_logs_say_becomes_facts_and_reverts_take_it_back_over_kills() {
    let mut bench = Bench::new().await;
    bench.apply(10, hash(10), upgraded(address(1), address(5))).await;
    bench.apply(11, hash(11), upgraded(address(1), address(6))).await;
    let running = bench.start();
    bench.until_behind("both", address(1), &[(10, address(5)), (11, address(6))]).await;
    running.kill().await;
    // While it is away the chain turns.
    bench.revert(11, hash(11)).await;
    bench.apply(11, hash(111), upgraded(address(2), address(7))).await;
    let running = bench.start();
    bench.until_behind("the other branch", address(2), &[(11, address(7))]).await;
    bench.until_behind("the former is back", address(1), &[(10, address(5))]).await;
    bench.revert(11, hash(111)).await;
    bench.revert(10, hash(10)).await;
    bench.until("nothing is left", address(1), |facts| facts.is_none()).await;
    bench.until("nothing is left", address(2), |facts| facts.is_none()).await;
    bench.apply(10, hash(110), upgraded(address(1), address(8))).await;
    bench.until_behind("anew", address(1), &[(10, address(8))]).await;
    let (facts, records) = bench.facts().await;
    let entry = &facts[&address(1)].implementations[0];
    assert_eq!((entry.found_by, entry.block_hash.clone()), (FoundBy::Stream, Some(hash(110))));
    running.stop().await;
    // Started again and again, it has nothing to say.
    for _ in 0..2 {
        let running = bench.start();
        tokio::time::sleep(Duration::from_millis(600)).await;
        running.stop().await;
    }
    assert_eq!(bench.facts().await.1, records, "nothing is written twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_contracts_are_copied_and_taken_back() {
    let mut bench = Bench::new().await;
    let operators = |revision: u64, name: &str| {
        let contract = Contract {
            network: network(),
            address: format!("{:#x}", address(1)),
            name: name.into(),
            labels: Vec::new(),
            abi: Some("[]".into()),
        };
        ControlConfig::Contract(OperatorContract { revision, contract })
    };
    bench.publish("t.control", vec![bench.record(&operators(1, "Router"), 0)]).await;
    let running = bench.start();
    let named = |name: &'static str| {
        move |facts: Option<&ContractFacts>| {
            facts.is_some_and(|f| f.name.as_deref() == Some(name) && f.abi_source == Some(FactSource::Operator))
        }
    };
    bench.until("there from the start", address(1), named("Router")).await;
    bench.publish("t.control", vec![bench.record(&operators(2, "Router v2"), 0)]).await;
    bench.until("changed while it runs", address(1), named("Router v2")).await;
    bench.apply(10, hash(10), upgraded(address(1), address(5))).await;
    bench.until_behind("and what the stream says stands beside it", address(1), &[(10, address(5))]).await;
    let mut gone = bench.record(&operators(3, ""), 0);
    gone.value = None;
    bench.publish("t.control", vec![gone]).await;
    let left = |facts: Option<&ContractFacts>| {
        facts.is_some_and(|f| f.name.is_none() && f.abi.is_none()) && behind(facts) == [(10, address(5))]
    };
    bench.until("taken back", address(1), left).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_of_a_real_node_is_known_before_and_after_its_upgrade() {
    let Some(node) = Node::start().await else { return };
    let mut bench = Bench::new().await;
    bench.config.nodes = node.nodes();
    (bench.config.calls, bench.config.budgets) = (true, Budgets::new(Calls { per_second: 50.0, per_day: 10_000 }));
    let (alpha, beta) = (node.deploy(&silent("alpha()")).await, node.deploy(&silent("beta()")).await);
    let proxied = node.deploy(&proxy(alpha)).await;
    // EIP-1167, in the form of its text.
    let minimal =
        [&hex!("363d3d373d3d3d363d73")[..], alpha.as_slice(), &hex!("5af43d82803e903d91602b57fd5bf3")].concat();
    let cloned = node.deploy(&[&hex!("3d602d80600a3d3981f3")[..], &minimal].concat()).await;
    let running = bench.start();

    let call = keccak256("alpha()")[..4].to_vec();
    let (at, hash, called) = transaction(&node.send(Some(proxied), &call).await, proxied, &call);
    bench.apply(at, hash.clone(), called).await;
    bench.until_behind("what was there before", proxied, &[(at, alpha)]).await;
    let found = bench.facts().await.0.remove(&proxied).expect("known");
    assert_eq!(found.proxy, Some(ProxyKind::Eip1967));
    assert_eq!((found.implementations[0].found_by, &found.implementations[0].block_hash), (FoundBy::Call, &Some(hash)));

    let (then, hash, called) = transaction(&node.send(Some(cloned), &call).await, cloned, &call);
    bench.apply(then, hash, called).await;
    bench.until_behind("a clone", cloned, &[(then, alpha)]).await;

    let data = upgrade_to(beta);
    let (upgrade, hash, called) = transaction(&node.send(Some(proxied), &data).await, proxied, &data);
    bench.apply(upgrade, hash.clone(), called).await;
    bench.until_behind("both", proxied, &[(at, alpha), (upgrade, beta)]).await;
    // A kill in between, and the upgrade is taken back; nobody is asked again, since all is known.
    running.kill().await;
    bench.revert(upgrade, hash).await;
    let running = bench.start();
    bench.until_behind("before the upgrade", proxied, &[(at, alpha)]).await;
    // A contract that is none is not asked about in vain, and nothing is said of it.
    let (height, hash, called) = transaction(&node.send(Some(beta), &call).await, beta, &call);
    bench.apply(height, hash, called).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!bench.facts().await.0.contains_key(&beta));
    running.stop().await;
    assert!(!bench.dir.path().join("contracts-cache").exists(), "nobody was configured");
}
