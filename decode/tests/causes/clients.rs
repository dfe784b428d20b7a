//! One tree of calls as each client writes it, and what is read of them.

use alloy_primitives::{Address, hex};
use decode::causes::{CallKind, Frame, TraceError, call_tracer, parity};
use serde_json::{Map, Value, json};

/// A call.
#[derive(Debug, Clone, Default)]
pub struct Call {
    pub kind: &'static str,
    pub to: u8,
    pub value: u64,
    pub gas: u64,
    pub gas_used: u64,
    pub input: Vec<u8>,
    pub output: Vec<u8>,
    /// geth's word.
    pub error: Option<&'static str>,
    pub calls: Vec<Call>,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Geth,
    /// Before 1.10.22: inner calls keep what they gave back to themselves.
    OldGeth,
    Reth,
    Erigon,
    Nethermind,
    Besu,
    /// Before January 2026: no calls inside.
    OldBesu,
    Arbitrum,
    /// A flat list with what came back.
    Parity,
    /// One that hides it.
    ParityHidden,
}

pub const ALL: [Client; 10] = [
    Client::Geth,
    Client::OldGeth,
    Client::Reth,
    Client::Erigon,
    Client::Nethermind,
    Client::Besu,
    Client::OldBesu,
    Client::Arbitrum,
    Client::Parity,
    Client::ParityHidden,
];

pub fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn quantity(n: u64) -> Value {
    format!("{n:#x}").into()
}

/// `Error(string)`'s text, where it is one.
fn text(output: &[u8]) -> Option<String> {
    let decoded = decode::error(&[], output).filter(|it| it.signature.starts_with("Error("))?;
    serde_json::from_str::<Value>(&decoded.arguments).ok()?["reason"].as_str().map(str::to_owned)
}

pub fn trace(client: Client, root: &Call) -> Vec<u8> {
    match client {
        Client::Parity | Client::ParityHidden => {
            let mut list = Vec::new();
            flat(client, root, 0xee, &mut Vec::new(), &mut list);
            Value::from(list).to_string().into_bytes()
        }
        _ => nested(client, root, 0xee, 0).to_string().into_bytes(),
    }
}

pub fn read(client: Client, root: &Call) -> Frame {
    let json = trace(client, root);
    let read = if matches!(client, Client::Parity | Client::ParityHidden) { parity(&json) } else { call_tracer(&json) };
    read.unwrap_or_else(|e| panic!("{client:?}: {e}: {}", String::from_utf8_lossy(&json)))
}

fn account(call: &Call, from: u8) -> u8 {
    if matches!(call.kind, "DELEGATECALL" | "CALLCODE") { from } else { call.to }
}

fn nested(client: Client, call: &Call, from: u8, depth: usize) -> Value {
    let mut it = Map::new();
    let mut put = |key: &str, value: Value| drop(it.insert(key.to_owned(), value));
    put("type", call.kind.into());
    put("from", address(from).to_string().into());
    if !(call.kind.starts_with("CREATE") && call.error.is_some()) {
        put("to", address(call.to).to_string().to_lowercase().into());
    }
    if call.kind != "STATICCALL" && !(client == Client::OldGeth && call.kind == "DELEGATECALL") {
        put("value", quantity(call.value));
    }
    put("gas", quantity(call.gas));
    put("gasUsed", quantity(call.gas_used));
    put("input", hex::encode_prefixed(&call.input).into());
    let reverted = call.error == Some("execution reverted");
    let shown = match client {
        Client::OldGeth => call.error.is_none() || reverted && depth == 0,
        Client::Nethermind => call.error.is_none() || reverted || depth == 0,
        _ => call.error.is_none() || reverted,
    };
    if shown && (!call.output.is_empty() || client == Client::Besu) {
        put("output", hex::encode_prefixed(&call.output).into());
    }
    if let Some(word) = call.error {
        let word = match (client, word) {
            (Client::Reth, "out of gas") => "OutOfGas".to_owned(),
            (Client::Reth, "stack underflow (0 <=> 2)") => "StackUnderflow".to_owned(),
            (Client::Nethermind | Client::Besu | Client::OldBesu, word) if word.is_ascii() => {
                word[..1].to_uppercase() + &word[1..]
            }
            (_, word) => word.to_owned(),
        };
        put("error", word.into());
        let tells = match client {
            Client::OldGeth | Client::OldBesu => None,
            Client::Nethermind | Client::Geth | Client::Erigon | Client::Reth | Client::Besu | Client::Arbitrum => {
                text(&call.output)
            }
            _ => None,
        };
        if let Some(text) = tells.filter(|_| reverted) {
            put("revertReason", text.into());
        }
    }
    if client == Client::Erigon {
        put("stateGasUsed", json!(1));
        put("gasRefund", Value::Null);
    }
    if client == Client::Arbitrum && depth == 0 {
        put("beforeEVMTransfers", json!([{"purpose": "feePayment", "from": "0x00", "to": null, "value": "0x1"}]));
        put("afterEVMTransfers", json!([[{"calls": [{"x": [1, {}]}]}]]));
    }
    let calls: Vec<Value> =
        call.calls.iter().map(|inner| nested(client, inner, account(call, from), depth + 1)).collect();
    if client != Client::OldBesu && (!calls.is_empty() || client == Client::Nethermind) {
        put("calls", calls.into());
    }
    it.into()
}

fn flat(client: Client, call: &Call, from: u8, place: &mut Vec<usize>, list: &mut Vec<Value>) {
    let create = call.kind.starts_with("CREATE");
    let mut action = json!({"from": address(from), "gas": quantity(call.gas), "value": quantity(call.value)});
    action[if create { "init" } else { "input" }] = hex::encode_prefixed(&call.input).into();
    if create {
        action["creationMethod"] = call.kind.to_lowercase().into();
    } else {
        action["callType"] = call.kind.to_lowercase().into();
        action["to"] = address(call.to).to_string().into();
    }
    let mut result = json!({"gasUsed": quantity(call.gas_used), "output": hex::encode_prefixed(&call.output)});
    let mut it = json!({"action": action, "subtraces": call.calls.len(), "traceAddress": place, "type": if create { "create" } else { "call" },
        "blockNumber": 7, "transactionHash": "0xabc"});
    match call.error {
        None => {
            if create {
                result["address"] = address(call.to).to_string().into();
            }
            it["result"] = result;
        }
        Some(word) => {
            let word = match word {
                "execution reverted" => "Reverted",
                "out of gas" => "Out of gas",
                "write protection" => "Mutable Call In Static Context",
                "invalid jump destination" => "Bad jump destination",
                word if word.starts_with("invalid opcode") => "Bad instruction",
                word if word.starts_with("stack") => "Out of stack",
                word => word,
            };
            it["error"] = word.into();
            if client == Client::Parity && word == "Reverted" {
                it["result"] = result;
            }
        }
    }
    list.push(it);
    for (at, inner) in call.calls.iter().enumerate() {
        place.push(at);
        flat(client, inner, account(call, from), place, list);
        place.pop();
    }
}

fn tree() -> Call {
    let leaf = Call {
        kind: "CALL",
        to: 3,
        gas: 500,
        gas_used: 400,
        input: vec![9; 68],
        error: Some("execution reverted"),
        output: vec![1, 2, 3, 4],
        ..Call::default()
    };
    let fine = Call {
        kind: "STATICCALL",
        to: 4,
        gas: 600,
        gas_used: 10,
        input: vec![8; 36],
        output: vec![0; 32],
        calls: vec![leaf.clone()],
        ..Call::default()
    };
    let proxied =
        Call { kind: "DELEGATECALL", to: 2, value: 7, calls: vec![fine.clone(), leaf.clone()], ..leaf.clone() };
    Call {
        kind: "CALL",
        to: 1,
        value: 7,
        gas: 900,
        gas_used: 800,
        input: vec![9; 68],
        calls: vec![fine, proxied],
        ..leaf
    }
}

#[test]
fn every_client_tells_the_same_tree() {
    for client in ALL {
        let root = read(client, &tree());
        assert_eq!((root.kind, root.from, root.to), (CallKind::Call, address(0xee), Some(address(1))), "{client:?}");
        assert_eq!(
            (root.gas, root.gas_used, root.input_len, root.input.len()),
            (900, if client == Client::ParityHidden { 0 } else { 800 }, 68, 68),
            "{client:?}"
        );
        assert!(root.error.is_some(), "{client:?}");
        if client == Client::OldBesu {
            assert!(root.calls.is_empty());
            continue;
        }
        let [fine, proxied] = &root.calls[..] else { panic!("{client:?}: {root:?}") };
        assert_eq!(
            (fine.kind, fine.error.as_ref(), fine.input.len(), fine.calls.len(), fine.left_out),
            (CallKind::StaticCall, None, 4, 0, 1)
        );
        assert_eq!(
            (proxied.kind, proxied.to, proxied.value),
            (CallKind::DelegateCall, Some(address(2)), Default::default())
        );
        assert_eq!(proxied.calls.len(), 2);
        let shown = !matches!(client, Client::OldGeth | Client::ParityHidden);
        assert_eq!(proxied.calls[1].output, if shown { vec![1, 2, 3, 4] } else { vec![] }, "{client:?}");
        assert_eq!(proxied.calls[1].from, address(1), "a delegated call's calls come from its account");
    }
}

#[test]
fn what_is_no_trace_is_refused_with_a_reason() {
    let good = trace(Client::Geth, &tree());
    for end in 0..good.len() {
        assert!(call_tracer(&good[..end]).is_err(), "{end}");
    }
    let flat = trace(Client::Parity, &tree());
    for end in 0..flat.len() {
        assert!(parity(&flat[..end]).is_err(), "{end}");
    }
    assert_eq!(call_tracer(b"null"), Err(TraceError::Nothing));
    assert_eq!(call_tracer(b"{}"), Err(TraceError::Nothing));
    assert_eq!(parity(b"[]"), Err(TraceError::Nothing));
    assert_eq!(parity(b"null"), Err(TraceError::Nothing));
    for wrong in [
        "[]",
        "1",
        "{\"type\":\"CALL\",\"calls\":7}",
        "{\"type\":\"CALL\",\"calls\":[1]}",
        "{\"type\":\"CALL\",\"calls\":[[{}]]}",
        "{\"type\":\"CALL\",\"gas\":\"many\"}",
        "{\"type\":\"CALL\",\"to\":\"0x12\"}",
        "{\"type\":\"CALL\",\"input\":\"0xzz\"}",
        "{\"type\":\"CALL\"} {}",
    ] {
        assert!(call_tracer(wrong.as_bytes()).is_err(), "{wrong}");
    }
    // Calls that do not make one tree.
    let item = |place: &str, hash: &str| {
        format!("{{\"type\":\"call\",\"action\":{{}},\"traceAddress\":{place},\"transactionHash\":\"{hash}\"}}")
    };
    for (wrong, why) in [
        (vec![item("[0]", "a")], "out of order"),
        (vec![item("[]", "a"), item("[]", "a")], "out of order"),
        (vec![item("[]", "a"), item("[0,0]", "a")], "out of order"),
        (vec![item("[]", "a"), item("[0]", "a"), item("[1,0]", "a")], "out of order"),
        (vec![item("[]", "a"), item("[0]", "b")], "several transactions"),
    ] {
        let error = parity(format!("[{}]", wrong.join(",")).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    // What trace_replayTransaction wraps around it.
    let replayed = format!(
        "{{\"output\":\"0x01020304\",\"stateDiff\":{{\"a\":[1]}},\"trace\":{},\"vmTrace\":null}}",
        String::from_utf8_lossy(&trace(Client::ParityHidden, &tree()))
    );
    assert_eq!(parity(replayed.as_bytes()).unwrap().output, [1, 2, 3, 4]);
}
