//! Whatever a node sends: damaged traces, random trees, and such as are made to hurt. Nothing panics, time and memory are bounded.
//!
//! `HEADWATER_FUZZ_SECONDS` (2) is how long, `HEADWATER_FUZZ_SEED` the seed, which is printed.

use std::time::{Duration, Instant};

use decode::causes::{
    CallAnswer, Failed, Finding, Frame, Table, TraceError, by_call, by_receipt, by_trace, call_tracer, name_again,
    parity,
};
use fastrand::Rng;
use schemas::limits::traces as limits;

use super::{
    classes::{error, panic, text},
    clients::{ALL, Call, trace},
};

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    (0..rng.usize(..=most)).map(|_| rng.u8(..)).collect()
}

fn output(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..8) {
        0 => Vec::new(),
        1 => bytes(rng, 200),
        2 => text("Too little received"),
        3 => panic(rng.u64(..0x60)),
        4 => error("ExecutionFailed(uint256,bytes)", &[1, 64, rng.u64(..64), rng.u64(..)]),
        5 => text(&String::from_utf8_lossy(&bytes(rng, 60))),
        6 => [&text("x")[..], &bytes(rng, 40)].concat(),
        _ => error("ERC20InsufficientBalance(address,uint256,uint256)", &[rng.u64(..), 1, 2]),
    }
}

fn call(rng: &mut Rng, depth: usize) -> Call {
    let words = [
        "execution reverted",
        "out of gas",
        "invalid opcode: INVALID",
        "stack underflow (0 <=> 2)",
        "write protection",
        "\u{202e}?",
    ];
    let kinds = ["CALL", "STATICCALL", "DELEGATECALL", "CALLCODE", "CREATE", "CREATE2", "SELFDESTRUCT"];
    let calls = if depth == 0 { 0 } else { rng.usize(..4) };
    Call {
        kind: rng.choice(kinds).unwrap_or_default(),
        to: rng.u8(..),
        value: rng.u64(..),
        gas: if rng.bool() { rng.u64(..) } else { rng.u64(..100_000) },
        gas_used: if rng.bool() { rng.u64(..) } else { rng.u64(..100_000) },
        input: bytes(rng, 80),
        output: output(rng),
        error: if rng.u8(..4) > 0 { rng.choice(words) } else { None },
        calls: (0..calls).map(|_| call(rng, depth - 1)).collect(),
    }
}

fn check(it: &Finding) {
    assert!(it.reason.len() <= limits::REASON_BYTES && !it.reason.is_empty(), "{it:?}");
    assert!(!it.reason.chars().any(|c| c.is_control() || c == '\u{202e}'), "{it:?}");
    assert!(it.rule.len() <= limits::RULE_BYTES && !it.rule.is_empty(), "{it:?}");
    assert!(it.output.len() <= limits::FOUND_OUTPUT_BYTES, "{it:?}");
    assert!(it.error.as_ref().is_none_or(|word| word.len() <= limits::ERROR_BYTES), "{it:?}");
    assert!(it.error_signature.as_ref().is_none_or(|text| text.len() <= limits::ERROR_SIGNATURE_BYTES), "{it:?}");
    for (json, most) in [(&it.calls, limits::TREE_BYTES), (&it.error_arguments, limits::ERROR_ARGUMENTS_BYTES)] {
        if let Some(json) = json {
            assert!(json.len() <= most, "{} of {most}", json.len());
            serde_json::from_str::<serde_json::Value>(json).unwrap_or_else(|e| panic!("{e}: {json}"));
        }
    }
}

fn explain(frame: &Frame, rng: &mut Rng) -> Finding {
    let input = bytes(rng, 100);
    let tx = Failed { gas: rng.u64(..), gas_used: rng.u64(..), input: &input, to: frame.to, ..Failed::default() };
    let it = by_trace(frame, &tx, &(), Table::builtin());
    check(&it);
    check(&by_receipt(&tx, Table::builtin()));
    _ = name_again(&it.output, &[decode::builtin()], Table::builtin());
    it
}

#[test]
#[allow(clippy::print_stderr)]
fn anything_is_read_or_refused() {
    let (seconds, seed) = (variable("HEADWATER_FUZZ_SECONDS", 2), variable("HEADWATER_FUZZ_SEED", 18));
    let (start, mut cases) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let rng = &mut Rng::with_seed(seed.wrapping_add(cases));
        cases += 1;
        let depth = rng.usize(..5);
        let client = rng.choice(ALL).expect("some");
        let mut json = trace(client, &call(rng, depth));
        if rng.bool() {
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(..json.len());
                match rng.u8(..4) {
                    0 => json[at] = rng.u8(..),
                    1 => json.truncate(at.max(1)),
                    2 => json[at] = *rng.choice(b"{}[]\",:0x").expect("some"),
                    _ => {
                        let from = rng.usize(..=at);
                        let piece = json[from..at.min(from + 300)].to_vec();
                        json.splice(at..at, piece);
                    }
                }
            }
        }
        let one = Instant::now();
        for frame in [call_tracer(&json), parity(&json)].into_iter().flatten() {
            explain(&frame, rng);
        }
        let data = output(rng);
        check(&by_call(
            &CallAnswer::of_error(
                &String::from_utf8_lossy(&bytes(rng, 90)),
                Some(&format!("0x{}", alloy_primitives::hex::encode(&data))),
            ),
            &Failed::default(),
            &(),
            Table::builtin(),
        ));
        assert!(one.elapsed() < Duration::from_secs(1), "{:?}: {}", one.elapsed(), String::from_utf8_lossy(&json));
    }
    eprintln!("{cases} cases from seed {seed}");
}

/// Calls in calls, so many.
fn nested(levels: usize, rest: &str) -> Vec<u8> {
    let open = format!(
        "{{\"type\":\"CALL\",\"gas\":\"0xffff\",\"gasUsed\":\"0xffff\",\"error\":\"execution reverted\",\"input\":\"0x01020304\"{rest},\"calls\":["
    );
    let mut json = open.repeat(levels - 1);
    json.push_str(open.trim_end_matches(",\"calls\":["));
    json.push_str(&"}]".repeat(levels - 1));
    json.push('}');
    json.into_bytes()
}

#[test]
fn what_is_made_to_hurt_is_bounded() {
    let rng = &mut Rng::with_seed(1);
    let start = Instant::now();
    // As deep as the EVM calls, and deeper.
    let frame = call_tracer(&nested(limits::DEPTH, "")).expect("as deep as calls go");
    let it = explain(&frame, rng);
    assert_eq!(usize::from(it.depth), limits::DEPTH - 1);
    assert!(it.calls.expect("calls").contains(&format!("\"left_out_levels\":{}", limits::DEPTH - limits::TREE_LEVELS)));
    assert_eq!(call_tracer(&nested(limits::DEPTH + 1, "")), Err(TraceError::TooDeep));
    assert_eq!(call_tracer(&nested(60_000, "")), Err(TraceError::TooDeep));
    let brackets = |n: usize| format!("{{\"type\":\"CALL\",\"x\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    _ = call_tracer(brackets(3_000_000).as_bytes());
    // Wide: calls that went well are let go of.
    let fine = "{\"type\":\"CALL\",\"gas\":\"0x1\",\"input\":\"0x01020304\",\"output\":\"0x00\"},";
    let wide = |calls: &str| {
        format!("{{\"type\":\"CALL\",\"error\":\"execution reverted\",\"calls\":[{}{{\"type\":\"CALL\",\"error\":\"out of gas\"}}]}}", calls).into_bytes()
    };
    let frame = call_tracer(&wide(&fine.repeat(200_000))).expect("wide");
    assert!(frame.calls.len() <= limits::SIBLINGS, "{}", frame.calls.len());
    assert_eq!(usize::try_from(frame.left_out).expect("small") + frame.calls.len(), 200_001);
    let it = explain(&frame, rng);
    assert_eq!(it.depth, 1);
    // Failed ones are kept, up to what memory they may take.
    let input = "ab".repeat(2_000);
    let failed = format!(
        "{{\"type\":\"CALL\",\"error\":\"execution reverted\",\"input\":\"0x{input}\",\"output\":\"0x{input}\"}},"
    );
    assert_eq!(call_tracer(&wide(&failed.repeat(14_000))), Err(TraceError::TooLarge));
    explain(&call_tracer(&wide(&failed.repeat(5_000))).expect("kept"), rng);
    // Long.
    assert!(matches!(call_tracer(&vec![b' '; limits::TRACE_BYTES + 1]), Err(TraceError::TooLong(_))));
    assert!(matches!(parity(&vec![b' '; limits::TRACE_BYTES + 1]), Err(TraceError::TooLong(_))));
    let long = format!(
        "{{\"type\":\"CALL\",\"error\":\"execution reverted\",\"output\":\"0x{}\"}}",
        "08c379a0".repeat(2_000_000)
    );
    let frame = call_tracer(long.as_bytes()).expect("long");
    assert_eq!((frame.output.len(), frame.output_len), (limits::OUTPUT_BYTES, 8_000_000));
    explain(&frame, rng);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
