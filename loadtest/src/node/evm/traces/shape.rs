//! One recorded trace in the shape of each client. Pure.

use super::super::client::Client;
use alloy_primitives::B256;
use serde_json::{Map, Value, json};

/// Selector of `Error(string)`.
const ERROR: &str = "0x08c379a0";
/// Where a trace stands.
pub(crate) struct Place {
    pub block_hash: B256,
    pub height: u64,
    pub transaction: B256,
    pub index: usize,
}

/// A `callTracer` frame as `client` writes it.
pub(crate) fn call_tracer(frame: &Value, client: Client, only_top: bool) -> Value {
    frame_of(frame, client, only_top, true)
}

fn frame_of(frame: &Value, client: Client, only_top: bool, root: bool) -> Value {
    let mut out = frame.as_object().cloned().unwrap_or_default();
    let failed = out.contains_key("error");
    let reverted = out.get("error").and_then(Value::as_str).is_some_and(|error| error == "execution reverted");
    if client != Client::GethOld {
        out.remove("time");
    }
    let calls = out.remove("calls");
    let text = out.get("output").and_then(Value::as_str).and_then(reason);
    match client {
        Client::GethOld | Client::BesuOld => {
            out.remove("revertReason");
        }
        Client::Reth if failed && !reverted => {
            out.remove("output");
            if let Some(gas) = out.get("gas").cloned() {
                out.insert("gasUsed".into(), gas);
            }
        }
        _ => {
            if let (true, Some(text)) = (reverted, text) {
                out.insert("revertReason".into(), text.into());
            }
        }
    }
    if client == Client::Nethermind {
        if root && failed {
            out.entry("output").or_insert_with(|| "0x".into());
        }
        if let Some(error) = out.get("error").and_then(Value::as_str).map(nethermind) {
            out.insert("error".into(), error.into());
        }
    }
    if let (Some(Value::Array(calls)), false) = (calls, only_top || client == Client::BesuOld) {
        out.insert("calls".into(), calls.iter().map(|call| frame_of(call, client, false, false)).collect());
    }
    Value::Object(out)
}

/// Words of Nethermind's own table.
fn nethermind(error: &str) -> String {
    match error {
        "invalid opcode: INVALID" => "invalid opcode".into(),
        "invalid jump destination" => "invalid jump destination".into(),
        other => other.split(" (").next().unwrap_or(other).to_owned(),
    }
}

/// The text of an `Error(string)`.
pub(crate) fn reason(output: &str) -> Option<String> {
    let data = const_hex::decode(output.strip_prefix(ERROR)?).ok()?;
    let word = |at: usize| data.get(at..at + 32).and_then(|w| w[24..].try_into().ok()).map(u64::from_be_bytes);
    let at = usize::try_from(word(0)?).ok()?;
    let length = usize::try_from(word(at)?).ok()?;
    String::from_utf8(data.get(at + 32..at.checked_add(32)?.checked_add(length)?)?.to_vec()).ok()
}

/// The same as OpenEthereum's flat list.
pub(crate) fn parity(frame: &Value, client: Client, place: &Place) -> Vec<Value> {
    let mut out = Vec::new();
    flatten(frame, client, place, &mut Vec::new(), &mut out);
    out
}

fn flatten(frame: &Value, client: Client, place: &Place, at: &mut Vec<usize>, out: &mut Vec<Value>) {
    let of = |name: &str| frame.get(name).cloned().unwrap_or(Value::Null);
    let kind = of("type").as_str().unwrap_or_default().to_ascii_lowercase();
    let calls = frame.get("calls").and_then(Value::as_array).cloned().unwrap_or_default();
    let creates = kind.starts_with("create");
    let mut action = Map::new();
    let value = frame.get("value").cloned().unwrap_or_else(|| "0x0".into());
    for (name, value) in [("from", of("from")), ("gas", of("gas")), ("value", value)] {
        action.insert(name.into(), value);
    }
    if creates {
        action.insert("init".into(), of("input"));
        action.insert("creationMethod".into(), kind.clone().into());
    } else {
        action.insert("callType".into(), kind.into());
        action.insert("to".into(), of("to"));
        action.insert("input".into(), of("input"));
    }
    let mut item = json!({
        "action": action,
        "blockHash": place.block_hash,
        "blockNumber": place.height,
        "subtraces": calls.len(),
        "traceAddress": at,
        "transactionHash": place.transaction,
        "transactionPosition": place.index,
        "type": if creates { "create" } else { "call" },
    });
    let output = frame.get("output").cloned().unwrap_or_else(|| "0x".into());
    match frame.get("error").and_then(Value::as_str) {
        None if creates => {
            item["result"] = json!({"address": of("to"), "code": output, "gasUsed": of("gasUsed")});
        }
        None => item["result"] = json!({"gasUsed": of("gasUsed"), "output": output}),
        Some(error) => {
            item["error"] = words(error).into();
            match client {
                Client::Erigon | Client::Reth if error == "execution reverted" => {
                    item["result"] = json!({"gasUsed": of("gasUsed"), "output": output});
                }
                Client::BesuOld if output != "0x" => item["revertReason"] = output,
                _ => item["result"] = Value::Null,
            }
        }
    }
    out.push(item);
    for (n, call) in calls.iter().enumerate() {
        at.push(n);
        flatten(call, client, place, at, out);
        at.pop();
    }
}

/// OpenEthereum's words for an error.
fn words(error: &str) -> String {
    let said = match error {
        "execution reverted" => "Reverted",
        "out of gas" => "Out of gas",
        "invalid jump destination" => "Bad jump destination",
        "write protection" => "Mutable Call In Static Context",
        text if text.starts_with("invalid opcode") => "Bad instruction",
        text if text.starts_with("stack limit reached") => "Out of stack",
        text if text.starts_with("stack underflow") => "Stack underflow",
        other => other,
    };
    said.to_owned()
}

/// A call that failed like that, as `client` answers `eth_call`: code, message, data.
pub(crate) fn refused(frame: &Value, client: Client) -> (i64, String, Option<String>) {
    let error = frame.get("error").and_then(Value::as_str).unwrap_or("execution reverted");
    let output = frame.get("output").and_then(Value::as_str).filter(|output| *output != "0x");
    if error != "execution reverted" {
        return match client {
            Client::Nethermind | Client::Parity => (-32015, "VM execution error.".into(), Some(words(error))),
            _ => (-32000, error.to_owned(), None),
        };
    }
    match (client, output) {
        (Client::Nethermind | Client::Parity, output) => {
            (-32015, "VM execution error.".into(), Some(format!("Reverted {}", output.unwrap_or("0x"))))
        }
        (Client::BesuOld, output) => (-32000, "Execution reverted".into(), output.map(str::to_owned)),
        (_, Some(output)) => {
            let said = reason(output).map_or_else(|| error.to_owned(), |text| format!("{error}: {text}"));
            (3, said, Some(output.to_owned()))
        }
        (_, None) => (-32000, error.to_owned(), None),
    }
}
