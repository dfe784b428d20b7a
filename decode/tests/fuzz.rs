//! Random bytes, damaged recorded shapes and random ABIs: nothing panics, time is bounded, what is decoded is JSON and its own one
//! encoding.
//!
//! `HEADWATER_FUZZ_SECONDS` (2) is how long, `HEADWATER_FUZZ_SEED` the seed, which is printed: case `i` of a seed is the same each time.

#[path = "support/random.rs"]
mod random;

use std::time::{Duration, Instant};

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, B256, hex};
use decode::{Abi, Source};
use fastrand::Rng;
use random::{ALLOY_DEPTH, Param, damaged, line, nesting, param, theirs, value};
use serde_json::Value;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// The longest that one decoding of some kilobytes may take, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(1);

fn case(rng: &mut Rng, selectors: &[[u8; 4]], topics: &[B256]) {
    let depth = if rng.u8(..20) == 0 { 32 } else { rng.usize(1..5) };
    let params: Vec<Param> = (0..rng.usize(0..5)).map(|i| param(rng, depth, i)).collect();
    let text = line("f", &params);
    let indexed: Vec<bool> = params.iter().map(|_| rng.u8(..4) == 0).collect();
    let abi = Abi::from_lines([format!("function {text}").as_str(), format!("error {text}").as_str()]).expect(&text);
    let values: Vec<DynSolValue> = params.iter().map(|p| value(rng, &p.ty)).collect();
    let mut data = DynSolValue::Tuple(values.clone()).abi_encode_params();
    if rng.bool() {
        data = damaged(rng, &data);
    }
    let start = Instant::now();

    // By its own ABI: what is decoded is what the oracle reads, and the other way round.
    let selector = abi.selectors("f").next().expect("a function");
    let input = [&selector[..], &data].concat();
    let readable = params.iter().all(|p| nesting(&p.ty) <= ALLOY_DEPTH);
    let theirs = theirs(&params, &data);
    for it in [decode::call(&[&abi], &input), decode::error(&[&abi], &input)] {
        let ours = it
            .filter(|it| it.source == Source::Abi(0))
            .map(|it| serde_json::from_str::<Value>(&it.arguments).expect("JSON"));
        assert!(!readable || ours == theirs, "{text} {}: {ours:?} and {theirs:?}", hex::encode(&input));
    }

    // By the table, behind selectors and topics that it knows.
    let known = selectors[rng.usize(..selectors.len())];
    let input = [&known[..], &data].concat();
    let json = |text: &str| drop(serde_json::from_str::<Value>(text).unwrap_or_else(|e| panic!("{e}: {text}")));
    if let Some(it) = decode::call(&[], &input) {
        json(&it.arguments);
    }
    let found = decode::inner_calls(Address::ZERO, &input);
    for call in &found.calls {
        _ = decode::call(&[], call.input);
    }
    _ = decode::text(&data);
    let mut words: Vec<B256> = data.chunks_exact(32).take(rng.usize(..4)).map(B256::from_slice).collect();
    words.insert(0, topics[rng.usize(..topics.len())]);
    if let Some(it) = decode::event(&[&abi], &words, &data) {
        json(&it.arguments);
    }
    for it in decode::movements(Address::ZERO, &words, &data) {
        assert!(it.id.is_some() || it.amount.is_some());
    }
    _ = decode::event(&[], &[], &data);

    // Lines that are none are refused, and nothing more.
    let mut line = format!("event {text}").into_bytes();
    for (i, is) in indexed.iter().enumerate() {
        if *is && line.len() > i {
            let at = rng.usize(..line.len());
            line[at] = *rng.choice(b"(),[] x9i\t").expect("some");
            assert!(i < 5);
        }
    }
    _ = Abi::from_lines([String::from_utf8_lossy(&line).as_ref()]);
    assert!(start.elapsed() < PATIENCE, "{:?}: {text} {}", start.elapsed(), hex::encode(&input));
}

#[test]
#[allow(clippy::print_stderr)]
fn anything_is_decoded_exactly_or_not_at_all() {
    let seconds = variable("HEADWATER_FUZZ_SECONDS", 2);
    let seed = variable("HEADWATER_FUZZ_SEED", 17);
    let calls = [
        "multicall(bytes[])",
        "multicall(uint256,bytes[])",
        "aggregate3((address,bool,bytes)[])",
        "multiSend(bytes)",
        "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
        "execute(bytes32,bytes)",
        "executeBatch(address[],uint256[],bytes[])",
        "transfer(address,uint256)",
        "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
        "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)",
        "setL1BlockValuesEcotone()",
    ];
    let selectors = calls.map(|line| decode::selector(line).expect(line));
    let topics = [
        "Transfer(address,address,uint256)",
        "TransferBatch(address,address,address,uint256[],uint256[])",
        "TransferSingle(address,address,address,uint256,uint256)",
        "Swap(string,address)",
        "x()",
    ]
    .map(alloy_primitives::keccak256);
    let (start, mut cases) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        case(&mut Rng::with_seed(seed.wrapping_add(cases)), &selectors, &topics);
        cases += 1;
    }
    eprintln!("{cases} cases from seed {seed}");
}
