//! Shapes of one frame. Over a running node they are tried in `nodes/tests/fleet/traces.rs`.

use super::*;
use serde_json::json;

const TEXT: &str = "0x08c379a000000000000000000000000000000000000000000000000000000000000000200000000000000000000000000000000000000000000000000000000000000002\
                    6e6f000000000000000000000000000000000000000000000000000000000000";

fn frame() -> Value {
    let inner = json!({"type": "STATICCALL", "from": "0x2", "to": "0x3", "gas": "0x8", "gasUsed": "0x7", "input": "0x", "error": "out of gas"});
    json!({"type": "CALL", "from": "0x1", "to": "0x2", "value": "0x0", "gas": "0x9", "gasUsed": "0x5", "input": "0x12", "output": TEXT,
           "error": "execution reverted", "time": "1ms", "calls": [inner]})
}

fn place() -> Place {
    Place { block_hash: B256::repeat_byte(1), height: 7, transaction: B256::repeat_byte(2), index: 3 }
}

#[test]
fn frames_are_as_each_client_writes_them() {
    let of = |client| shape::call_tracer(&frame(), client, false);
    assert_eq!(of(Client::Geth)["revertReason"], "no");
    assert_eq!((&of(Client::GethOld)["revertReason"], &of(Client::GethOld)["time"]), (&Value::Null, &json!("1ms")));
    assert_eq!((&of(Client::BesuOld)["revertReason"], &of(Client::BesuOld)["calls"]), (&Value::Null, &Value::Null));
    assert_eq!(of(Client::Reth)["calls"][0]["gasUsed"], "0x8");
    assert!(shape::call_tracer(&frame(), Client::Geth, true)["calls"].is_null());
}

#[test]
fn lists_name_their_place_and_what_each_client_tells_of_the_error() {
    let of = |client| shape::parity(&frame(), client, &place());
    let list = of(Client::Erigon);
    assert_eq!((list[0]["error"].clone(), list[1]["error"].clone()), (json!("Reverted"), json!("Out of gas")));
    assert_eq!((list[1]["traceAddress"].clone(), list[0]["subtraces"].clone()), (json!([0]), json!(1)));
    assert_eq!(list[0]["result"]["output"], TEXT);
    assert_eq!(of(Client::BesuOld)[0]["revertReason"], TEXT);
    assert!(of(Client::Parity)[0]["result"].is_null() && of(Client::Parity)[0]["revertReason"].is_null());
}

#[test]
fn calls_fail_as_each_client_says_it() {
    let of = |client| shape::refused(&frame(), client);
    assert_eq!(of(Client::Geth), (3, "execution reverted: no".into(), Some(TEXT.into())));
    assert_eq!(of(Client::Nethermind).2, Some(format!("Reverted {TEXT}")));
    let other = json!({"error": "invalid opcode: INVALID"});
    assert_eq!(shape::refused(&other, Client::Geth), (-32000, "invalid opcode: INVALID".into(), None));
}

#[test]
fn recorded_traces_are_of_failures() {
    let data = super::super::Dataset::embedded("ethereum").expect("built in");
    let recorded: usize = data.blocks().iter().map(|block| block.traces().len()).sum();
    assert_eq!(recorded, 12);
    assert!(read("x", b"[{}]").is_err() && read("x", b"{").is_err());
}
