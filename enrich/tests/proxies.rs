//! Every kind of proxy on a real EVM node (anvil, `scripts/fetch-anvil`): beacons (EIP-1967), EIP-1822, diamonds (EIP-2535), delegated
//! accounts (EIP-7702) and Safe's proxies are found with what stands behind them, from the height on at which they were seen; logs of
//! a beacon and of a diamond tell what comes later, and what no log tells of is asked for again after a restart. And two processes of
//! the stage share the partitions, come and go, and write nothing twice.

mod support;

use std::time::Duration;

use alloy_primitives::{Address, Bytes, FixedBytes, U256, hex, keccak256};
use alloy_sol_types::{SolValue, sol};
use enrich::causes::{Budgets, Calls};
use schemas::records::{ContractFacts, FoundBy, ProxyKind};
use serde_json::json;
use support::causes::{Bench, Node, address, behind, hash, silent, transaction, upgrade_to, upgraded};

sol! {
    /// EIP-2535.
    struct Facet {
        address facetAddress;
        bytes4[] functionSelectors;
    }
    /// EIP-2535.
    struct FacetCut {
        address facetAddress;
        uint8 action;
        bytes4[] functionSelectors;
    }
}

/// Code that makes a contract of this runtime, with an address in a slot of its storage.
fn creation(runtime: &[u8], stored: Option<(U256, Address)>) -> Vec<u8> {
    let mut code = Vec::new();
    if let Some((slot, address)) = stored {
        code.push(0x73);
        code.extend(address);
        code.push(0x7f);
        code.extend(slot.to_be_bytes::<32>());
        code.push(0x55);
    }
    let [high, low] = u16::try_from(runtime.len()).expect("short").to_be_bytes();
    let [from_high, from_low] = u16::try_from(code.len() + 12).expect("short").to_be_bytes();
    code.extend([0x61, high, low, 0x80, 0x61, from_high, from_low, 0x5f, 0x39, 0x5f, 0xf3, 0x00]);
    code.extend(runtime);
    code
}

/// Hands every call on to what a slot names. `named`: a selector that its code has.
fn slot_proxy(slot: U256, named: &[u8]) -> Vec<u8> {
    let mut runtime = Vec::new();
    if !named.is_empty() {
        runtime.push(0x63);
        runtime.extend(named);
        runtime.push(0x50);
    }
    runtime.extend(hex!("365f5f375f5f365f7f")); // calldata to memory; delegatecall(gas, sload(slot), 0, size, 0, 0)
    runtime.extend(slot.to_be_bytes::<32>());
    runtime.extend(hex!("545af4503d5f5f3e3d5ff3"));
    runtime
}

/// Answers `implementation()`, and everything else but `upgradeTo(address)`, with what its first slot names.
fn beacon() -> Vec<u8> {
    let mut runtime = hex!("635c60da1b505f3560e01c633659cfe6146000575f545f5260205ff3").to_vec();
    let jump = runtime.len() - 10;
    runtime[jump] = u8::try_from(runtime.len()).expect("short");
    runtime.extend(hex!("5b600435805f557f")); // sstore(0, address); log2(0, 0, topic, address)
    runtime.extend(keccak256("Upgraded(address)"));
    runtime.extend(hex!("5f5fa200"));
    runtime
}

/// Asks the beacon that EIP-1967's slot names, and hands the call on to what it answers.
fn beacon_proxy(slot: U256) -> Vec<u8> {
    let mut runtime = hex!("635c60da1b5f5260205f6004601c7f").to_vec(); // staticcall(gas, sload(slot), 28, 4, 0, 32)
    runtime.extend(slot.to_be_bytes::<32>());
    runtime.extend(hex!("545afa505f51365f5f375f5f365f845af4503d5f5f3e3d5ff3")); // delegatecall(gas, mload(0), 0, size, 0, 0)
    runtime
}

/// Answers `facets()` with `facets`; what is sent with the selector 0x1f931c1c it logs as `DiamondCut`; the rest it hands on.
fn diamond(facets: &[Facet], to: Address) -> Vec<u8> {
    let answer = (facets.to_vec(),).abi_encode_params();
    let mut runtime = hex!("5f3560e01c80637a0ed627146000578063").to_vec();
    let first = runtime.len() - 4;
    runtime.extend(hex!("1f931c1c14600057"));
    let second = runtime.len() - 2;
    runtime.extend(hex!("365f5f375f5f365f73"));
    runtime.extend(to);
    runtime.extend(hex!("5af4503d5f5f3e3d5ff3"));
    runtime[first] = u8::try_from(runtime.len()).expect("short");
    let [high, low] = u16::try_from(answer.len()).expect("short").to_be_bytes();
    runtime.extend([0x5b, 0x61, high, low, 0x80, 0x61, 0, 0, 0x5f, 0x39, 0x5f, 0xf3]); // codecopy and return
    let from = runtime.len() - 6;
    runtime[second] = u8::try_from(runtime.len()).expect("short");
    runtime.extend(hex!("5b600436038060045f377f")); // log1(0, size - 4, topic)
    runtime.extend(keccak256("DiamondCut((address,uint8,bytes4[])[],address,bytes)"));
    runtime.extend(hex!("905fa100"));
    let [high, low] = u16::try_from(runtime.len()).expect("short").to_be_bytes();
    (runtime[from], runtime[from + 1]) = (high, low);
    runtime.extend(answer);
    runtime
}

fn slot_1967(text: &str) -> U256 {
    U256::from_be_bytes(keccak256(text).0) - U256::from(1)
}

/// One transaction to a contract of the node becomes a block of the stream. Returns its height.
async fn called(bench: &mut Bench, node: &Node, to: Address, input: &[u8]) -> u64 {
    let (height, hash, called) = transaction(&node.send(Some(to), input).await, to, input);
    bench.apply(height, hash, called).await;
    height
}

async fn on_a_node() -> Option<(Node, Bench)> {
    let node = Node::start().await?;
    let mut bench = Bench::new().await;
    bench.config.nodes = node.nodes();
    (bench.config.calls, bench.config.budgets) = (true, Budgets::new(Calls { per_second: 50.0, per_day: 10_000 }));
    Some((node, bench))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beacon_and_its_proxy_are_told_apart_and_its_upgrade_counts_for_all() {
    let Some((node, mut bench)) = on_a_node().await else { return };
    let (alpha, beta) = (node.deploy(&silent("alpha()")).await, node.deploy(&silent("beta()")).await);
    let slot = slot_1967("eip1967.proxy.beacon");
    let beacon = node.deploy(&creation(&beacon(), Some((U256::ZERO, alpha)))).await;
    let proxied = node.deploy(&creation(&beacon_proxy(slot), Some((slot, beacon)))).await;
    let running = bench.start();
    let call = keccak256("alpha()")[..4].to_vec();
    let at = called(&mut bench, &node, proxied, &call).await;
    bench.until_behind("its beacon", proxied, &[(at, beacon)]).await;
    bench.until_behind("what the beacon names", beacon, &[(at, alpha)]).await;
    assert_eq!(bench.facts().await.0[&proxied].proxy, Some(ProxyKind::Beacon));
    let upgrade = called(&mut bench, &node, beacon, &upgrade_to(beta)).await;
    bench.until_behind("from the upgrade on", beacon, &[(at, alpha), (upgrade, beta)]).await;
    bench.until_behind("the proxy has its beacon still", proxied, &[(at, beacon)]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diamond_has_a_facet_for_each_selector_and_cuts_change_them() {
    let Some((node, mut bench)) = on_a_node().await else { return };
    let (alpha, beta) = (node.deploy(&silent("alpha()")).await, node.deploy(&silent("beta()")).await);
    let selector = |text: &str| FixedBytes::<4>::from_slice(&keccak256(text)[..4]);
    let (one, two) = (selector("alpha()"), selector("gamma()"));
    let facets = [Facet { facetAddress: alpha, functionSelectors: vec![one, two] }];
    let cut_up = node.deploy(&creation(&diamond(&facets, alpha), None)).await;
    let running = bench.start();
    let at = called(&mut bench, &node, cut_up, one.as_slice()).await;
    let entries = |facts: Option<&ContractFacts>| {
        let all = facts.map(|facts| facts.implementations.clone()).unwrap_or_default();
        let mut all: Vec<_> = all.iter().map(|i| (i.from_height, i.selector, i.address, i.found_by)).collect();
        all.sort_by_key(|(height, selector, ..)| (*height, *selector));
        all
    };
    let before = |s: FixedBytes<4>| (at, Some(s), Some(alpha), FoundBy::Call);
    let mut wanted = vec![before(one), before(two)];
    wanted.sort_by_key(|(height, selector, ..)| (*height, *selector));
    bench.until("both facets", cut_up, |facts| entries(facts) == wanted).await;
    assert_eq!(bench.facts().await.0[&cut_up].proxy, Some(ProxyKind::Eip2535));
    // One is replaced, the other goes.
    let cut =
        |address: Address, action: u8, of| FacetCut { facetAddress: address, action, functionSelectors: vec![of] };
    let cuts = vec![cut(beta, 1, one), cut(Address::ZERO, 2, two)];
    let data = (cuts, Address::ZERO, Bytes::new()).abi_encode_params();
    let input = [&hex!("1f931c1c")[..], &data].concat();
    let then = called(&mut bench, &node, cut_up, &input).await;
    let mut cuts = vec![(then, Some(one), Some(beta), FoundBy::Stream), (then, Some(two), None, FoundBy::Stream)];
    cuts.sort_by_key(|(height, selector, ..)| (*height, *selector));
    wanted.extend(cuts);
    bench.until("after the cut", cut_up, |facts| entries(facts) == wanted).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_without_a_log_is_asked_for_again_after_a_restart() {
    let Some((node, mut bench)) = on_a_node().await else { return };
    let (alpha, beta) = (node.deploy(&silent("alpha()")).await, node.deploy(&silent("beta()")).await);
    let proxiable = U256::from_be_bytes(keccak256("PROXIABLE").0);
    let ups = node.deploy(&creation(&slot_proxy(proxiable, &[]), Some((proxiable, alpha)))).await;
    let safe = node.deploy(&creation(&slot_proxy(U256::ZERO, &hex!("a619486e")), Some((U256::ZERO, alpha)))).await;
    let account = address(0x77);
    let delegate = async |to: Address| {
        let code = hex::encode_prefixed([&hex!("ef0100")[..], to.as_slice()].concat());
        node.anvil.call("anvil_setCode", json!([account, code])).await;
    };
    delegate(alpha).await;
    let call = keccak256("alpha()")[..4].to_vec();
    let running = bench.start();
    let mut seen = Vec::new();
    for (of, kind) in [(ups, ProxyKind::Eip1822), (safe, ProxyKind::Safe), (account, ProxyKind::Eip7702)] {
        let at = called(&mut bench, &node, of, &call).await;
        bench.until_behind(kind.as_str(), of, &[(at, alpha)]).await;
        assert_eq!(bench.facts().await.0[&of].proxy, Some(kind));
        seen.push((of, at));
    }
    running.stop().await;
    // Each turns to another, and nobody says so.
    let word = |slot: U256| format!("{slot:#066x}");
    for (of, slot) in [(ups, proxiable), (safe, U256::ZERO)] {
        node.anvil.call("anvil_setStorageAt", json!([of, word(slot), beta.into_word()])).await;
    }
    delegate(beta).await;
    let running = bench.start();
    for (of, before) in seen {
        let at = called(&mut bench, &node, of, &call).await;
        bench.until_behind("and since", of, &[(before, alpha), (at, beta)]).await;
    }
    running.stop().await;
}

/// Two processes of the stage, one of which comes, goes and is killed while logs tell of upgrades and reorgs take some back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_tell_each_fact_once_whoever_has_the_partition() {
    let mut bench = Bench::new().await;
    let first = bench.config.clone();
    let mut second = first.clone();
    second.instance = "other".into();
    let start = |bench: &mut Bench, config: &enrich::causes::Config| {
        bench.config = config.clone();
        bench.start()
    };
    let mut running = vec![start(&mut bench, &first), start(&mut bench, &second)];
    let mut wanted = Vec::new();
    for n in 0..24_u64 {
        let to = address(100 + n as u8);
        bench.apply(10 + n, hash(10 + n), upgraded(address(1), to)).await;
        if n % 4 == 3 {
            bench.revert(10 + n, hash(10 + n)).await;
            bench.apply(10 + n, hash(1_000 + n), upgraded(address(2), to)).await;
        } else {
            wanted.push((10 + n, to));
        }
        if n % 3 == 0 {
            // The one that is there the longest leaves, or is killed, and comes again.
            let gone = running.remove(0);
            if n % 2 == 0 {
                gone.kill().await
            } else {
                gone.stop().await
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
            running.push(start(&mut bench, if n % 6 == 0 { &first } else { &second }));
        }
    }
    bench.until_behind("all that stands", address(1), &wanted).await;
    bench.until("and of the other", address(2), |facts| behind(facts).len() == 6).await;
    for running in running {
        running.stop().await;
    }
    let (_, records) = bench.facts().await;
    for config in [&first, &second] {
        let again = start(&mut bench, config);
        tokio::time::sleep(Duration::from_millis(600)).await;
        again.stop().await;
    }
    assert_eq!(bench.facts().await.1, records, "nothing is written twice");
}
