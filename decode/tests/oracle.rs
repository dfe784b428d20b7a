//! Against alloy's dynamic encoder, which shares nothing with ours: random ABIs and values round-trip; damaged data is decoded
//! exactly where alloy's own encoding of what it reads is that data, byte for byte, and to the same values.

#[path = "support/random.rs"]
mod random;

use alloy_dyn_abi::DynSolValue;
use decode::{Abi, Source};
use fastrand::Rng;
use random::{ALLOY_DEPTH, Param, as_json, damaged, line, nesting, param, theirs, value};
use serde_json::Value;

/// What ours says of data behind a selector.
fn ours(abi: &Abi, selector: [u8; 4], data: &[u8]) -> Option<Value> {
    let it = decode::call(&[abi], &[&selector[..], data].concat()).filter(|it| it.source == Source::Abi(0))?;
    Some(serde_json::from_str(&it.arguments).unwrap_or_else(|e| panic!("{e}: {}", it.arguments)))
}

#[test]
fn random_abis_round_trip() {
    let mut rng = Rng::with_seed(7);
    for case in 0..1_500 {
        let depth = if case % 10 == 0 { 32 } else { rng.usize(1..5) };
        let params: Vec<Param> = (0..rng.usize(0..5)).map(|i| param(&mut rng, depth, i)).collect();
        let line = line("f", &params);
        let abi = Abi::from_lines([format!("function {line}").as_str()]).unwrap();
        let Some(selector) = abi.selectors("f").next() else { panic!("{line} is not decoded") };
        let values: Vec<DynSolValue> = params.iter().map(|p| value(&mut rng, &p.ty)).collect();
        let data = DynSolValue::Tuple(values.clone()).abi_encode_params();
        assert_eq!(
            ours(&abi, selector, &data),
            Some(as_json(&params, &values)),
            "{case} {line} {}",
            alloy_primitives::hex::encode(&data)
        );
        for _ in 0..8 {
            let data = damaged(&mut rng, &data);
            let ours = ours(&abi, selector, &data);
            if params.iter().any(|p| nesting(&p.ty) > ALLOY_DEPTH) {
                continue;
            }
            let theirs = theirs(&params, &data);
            assert_eq!(ours, theirs, "{case} {line} {}", alloy_primitives::hex::encode(&data));
        }
    }
}

#[test]
fn what_nests_too_deep_is_left_out() {
    let deep = |depth: usize| format!("function f(uint8{} x)", "[]".repeat(depth));
    assert_eq!(Abi::from_lines([deep(32).as_str()]).unwrap().len(), 1);
    assert_eq!(Abi::from_lines([deep(33).as_str()]).unwrap().len(), 0);
    assert_eq!(Abi::from_lines([deep(10_000).as_str()]).unwrap().len(), 0);
    let tuples = |depth: usize| format!("function f({}uint8 x{})", "(".repeat(depth), ") x".repeat(depth));
    assert_eq!(Abi::from_lines([tuples(32).as_str()]).unwrap().len(), 1);
    assert!(Abi::from_lines([tuples(10_000).as_str()]).is_err());
    // A head that is longer than any data, and one whose length cannot be said.
    for line in [
        "function f(uint8[99999999] x)",
        "function f(uint8[65536][65536][65536][65536] x)",
        "function f(uint8[0] x)",
        "function f(() x)",
    ] {
        assert!(Abi::from_lines([line]).map_or(true, |abi| abi.is_empty()), "{line}");
    }
    for line in [
        "function f(fixed128x18 x)",
        "function f(uint7 x)",
        "function f(bytes33 x)",
        "function f(Struct x)",
        "function f(int264 x)",
    ] {
        assert!(Abi::from_lines([line]).map_or(true, |abi| abi.is_empty()), "{line}");
    }
}

#[test]
fn time_and_text_are_bounded() {
    // Counts that no data has, and offsets that all point to one place: a naive decoder would write gigabytes.
    let abi = Abi::from_lines([
        "function f(bytes[][][][] x)",
        "function g((string averyveryverylongname_averyveryverylongname, uint8[] y)[] x)",
    ])
    .unwrap();
    let selector = |name: &str| abi.selectors(name).next().unwrap();
    let word = |n: u64| alloy_primitives::U256::from(n).to_be_bytes::<32>();
    let bomb: Vec<u8> = std::iter::once(32).chain(std::iter::repeat_n(1_000, 20_000)).flat_map(word).collect();
    let huge: Vec<u8> = [32, u64::MAX / 32].into_iter().flat_map(word).chain([0xff; 3_200]).collect();
    let nothing = DynSolValue::Array(vec![
        DynSolValue::Tuple(vec![
            DynSolValue::String(String::new()),
            DynSolValue::Array(Vec::new())
        ]);
        40_000
    ]);
    let many = DynSolValue::Tuple(vec![nothing]).abi_encode_params();
    let start = std::time::Instant::now();
    for data in [&bomb, &huge, &many] {
        for name in ["f", "g"] {
            // Five megabytes of data say four of text, which is over the limit.
            assert_eq!(ours(&abi, selector(name), data), None, "{name} {}", data.len());
        }
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}
