//! The index against each monitor by itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use conditions::{Index, Monitor, Scratch};
use fastrand::Rng;
use schemas::records::EnrichedTransaction;
use serde_json::{Value, json};

use super::{Flat, flat, monitor};
use crate::blocks::{block, inside};

/// By tenant and id.
type Model = BTreeMap<(String, String), (u64, Arc<Monitor>)>;

/// Where each tenant may take so many steps, it finds what it finds alone, and misses what it misses alone. Says how many had too few.
fn bounded(index: &Index, model: &Model, block: &[EnrichedTransaction], steps: u64) -> usize {
    let begun = || {
        let mut scratch = Scratch::default();
        scratch.begin_block(steps);
        scratch
    };
    let tenants: BTreeSet<&String> = model.keys().map(|(tenant, _)| tenant).collect();
    let mut alone: Vec<(Index, Scratch)> = Vec::new();
    for tenant in tenants {
        let own = model.iter().filter(|((of, _), _)| of == tenant);
        let own = own.map(|((of, id), (version, monitor))| (of.as_str(), id.as_str(), *version, monitor.clone()));
        alone.push((Index::of(own), begun()));
    }
    let mut of_all = begun();
    for tx in block {
        let given = flat(index.find(tx, &mut of_all));
        let mut expected = Flat::new();
        for (own, scratch) in &mut alone {
            expected.extend(flat(own.find(tx, scratch)));
        }
        assert_eq!(given, expected, "{steps} steps");
    }
    let missed = |index: &Index, scratch: &Scratch| -> Vec<(String, u64)> {
        let all = index.exhausted(scratch);
        all.iter().map(|out| (out.entry.tenant.to_string(), out.transactions)).collect()
    };
    let expected: Vec<(String, u64)> = alone.iter().flat_map(|(own, scratch)| missed(own, scratch)).collect();
    assert_eq!(missed(index, &of_all), expected, "{steps} steps");
    expected.len()
}

/// Random monitors over addresses and values of a recorded block, edited at random: what the index finds is what each by itself finds.
#[test]
fn the_index_finds_what_each_monitor_finds_by_itself() {
    let mut rng = Rng::new();
    eprintln!("seed {}", rng.get_seed());
    let block: Vec<_> = block("ethereum/19433902").into_iter().chain(block("ethereum/18000000")).collect();
    let mut addresses: Vec<String> = block
        .iter()
        .flat_map(|tx| inside(tx).contracts().into_iter().chain([inside(tx).from_address]))
        .map(|address| address.to_string().to_lowercase())
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    addresses.sort();
    rng.shuffle(&mut addresses);
    addresses.truncate(40);
    let events = [
        ("Transfer(address,address,uint256)", vec!["value > 1 ether", "value % 2 == 0", "to != from"]),
        ("Approval(address,address,uint256)", vec!["value > 5", "owner == spender OR value < 100"]),
        (
            "Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out, uint256 amount1Out, address indexed to)",
            vec!["amount0In > amount1In", "sender == to"],
        ),
        ("Deposit(address indexed dst, uint256 wad)", vec!["wad >= 0.1 ether"]),
    ];
    let functions = [
        (
            "transfer(address to, uint256 amount)",
            vec!["amount > 1000000", "to in [0x0000000000000000000000000000000000000000]"],
        ),
        ("approve(address,uint256)", vec![]),
        ("deposit()", vec![]),
    ];
    let transactions = ["value > 0", "gas_used < 100000", "from != to", "nonce % 2 == 0", "log_count > 3"];
    let one = |rng: &mut Rng| {
        let pick = |rng: &mut Rng, (signature, expressions): &(&str, Vec<&str>)| {
            let expression = rng.choice(expressions.iter()).copied();
            json!({"signature": signature, "expression": expression.filter(|_| rng.u8(..3) > 0)})
        };
        let list = |rng: &mut Rng, from: &[(&str, Vec<&str>)]| -> Vec<Value> {
            let mut list = Vec::new();
            for _ in 0..rng.usize(..3) {
                let at = rng.usize(..from.len());
                list.push(pick(rng, &from[at]));
            }
            list
        };
        let (functions, events) = (list(rng, &functions), list(rng, &events));
        let transactions: Vec<Value> = (0..rng.usize(..3))
            .map(|_| json!({"status": rng.choice(["Any", "Success", "Failure"].iter()), "expression": rng.choice(transactions.iter())}))
            .collect();
        let here: HashSet<&String> = (0..rng.usize(..4)).map(|_| &addresses[rng.usize(..addresses.len())]).collect();
        let here: Vec<Value> = here.into_iter().map(|address| json!({"address": address})).collect();
        monitor(json!(here), json!({"functions": functions, "events": events, "transactions": transactions}))
    };
    let mut index = Index::new();
    let mut model = Model::new();
    let (mut found, mut out) = (0, 0);
    for version in 1..400u64 {
        let (tenant, id) = (format!("t{}", rng.u8(..3)), format!("m{}", rng.u8(..20)));
        if rng.u8(..4) == 0 {
            assert_eq!(index.remove(&tenant, &id), model.remove(&(tenant, id)).is_some());
        } else {
            let monitor = one(&mut rng);
            index.insert(&tenant, &id, version, monitor.clone());
            model.insert((tenant, id), (version, monitor));
        }
        if version % 20 > 0 {
            continue;
        }
        let mut scratch = Scratch::default();
        for tx in &block {
            let given = flat(index.find(tx, &mut scratch));
            let mut expected = Flat::new();
            for ((tenant, id), (version, monitor)) in &model {
                let alone = Index::of([(tenant.as_str(), id.as_str(), *version, monitor.clone())]);
                expected.extend(flat(alone.find(tx, &mut Scratch::default())));
            }
            assert_eq!(given, expected);
            found += given.len();
        }
        out += bounded(&index, &model, &block, rng.u64(..20_000));
    }
    assert!(found > 1_000 && out > 5, "{found}, {out}");
    let all: Vec<_> = model.keys().cloned().collect();
    for (tenant, id) in all {
        assert!(index.remove(&tenant, &id));
    }
    assert_eq!((index.len(), index.tests()), (0, 0));
}
