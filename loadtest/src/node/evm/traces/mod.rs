//! Why transactions failed, as nodes tell it: `debug_traceTransaction`, `debug_traceBlockByHash`, `debug_traceBlockByNumber`,
//! `trace_transaction`, `trace_block`, and `eth_call` of what failed.
//!
//! Guarantee: a recorded failure is told as it was recorded (`traces_failed.json` beside its block), in the shape of the client that
//! the endpoint plays ([`Client`]), under the hashes of the simulated chain. What was not recorded is made of the transaction: one
//! frame, that succeeded as its receipt says, or was reverted without data. `eth_call` fails at the state of a block for what is a failed
//! transaction of the block above it, and returns nothing for everything else.

mod shape;

use super::Endpoint;
use super::chain::Sealed;
use super::client::Client;
use super::error::Error;
use super::faults::{FaultKind, Hit};
use super::recorded::{Form, quantity};
use super::rpc::{Params, RpcError, error, json, no_method};
use super::view::View;
use alloy_primitives::B256;
use serde::Deserialize;
use serde_json::{Value, json};
use shape::Place;
use std::collections::BTreeMap;

/// Recorded traces of a block's failures, by the transaction's place.
pub(crate) type Traces = BTreeMap<usize, Value>;

/// Reads `traces_failed.json`.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<Traces, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Item {
        transaction_index: usize,
        call_tracer: Value,
    }
    let bad = |e: serde_json::Error| Error::Data { name: name.to_owned(), what: format!("traces: {e}") };
    let items: Vec<Item> = serde_json::from_slice(bytes).map_err(bad)?;
    Ok(items.into_iter().map(|item| (item.transaction_index, item.call_tracer)).collect())
}

/// Whether a method is one of these.
pub(crate) fn is_ours(method: &str) -> bool {
    matches!(
        method,
        "debug_traceTransaction"
            | "debug_traceBlockByHash"
            | "debug_traceBlockByNumber"
            | "trace_transaction"
            | "trace_block"
            | "eth_call"
    )
}

/// A block with what was recorded of it, as it is told.
struct Told {
    block: Sealed,
    hashes: std::sync::Arc<[B256]>,
    transactions: Vec<Value>,
    receipts: Vec<Value>,
}

/// Answers one of these methods.
pub(crate) fn answer(
    endpoint: &Endpoint,
    method: &str,
    params: &Params,
    hits: &[Hit],
    view: &View<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RpcError> {
    let client = endpoint.client();
    let has = match method {
        "eth_call" => true,
        method if method.starts_with("debug_") => client.debugs(),
        _ => client.traces(),
    };
    if !has {
        return Err(no_method(method));
    }
    let hit = |kind| hits.iter().any(|hit| hit.kind == kind);
    if hit(FaultKind::Pruned) {
        return Err(error(-32000, "missing trie node 0c2c4f1d (path ) state 0x0c2c4f1d is not available"));
    }
    if hit(FaultKind::TraceTimeout) && !method.starts_with("debug_traceBlock") {
        return Err(error(-32000, "execution timeout"));
    }
    let from = |block: Sealed| match hit(FaultKind::OtherTrace) {
        true => view.below(&block).unwrap_or(block),
        false => block,
    };
    match method {
        "eth_call" => return call(endpoint, params, view, out),
        "debug_traceTransaction" | "trace_transaction" => {
            let hash = params.hash(0)?;
            let Some((block, mut place)) = view.find(&hash) else {
                if method == "trace_transaction" {
                    out.extend_from_slice(b"null");
                    return Ok(());
                }
                return Err(error(-32000, "transaction not found"));
            };
            let told = Told::of(endpoint, block);
            if hit(FaultKind::OtherTrace) {
                // The neighbour's.
                place = (place + 1) % told.transactions.len();
            }
            let only_top = params.at(1)["tracerConfig"]["onlyTopCall"] == true;
            match method {
                "debug_traceTransaction" => json(&told.call_tracer(endpoint, place, only_top), out),
                _ => json(&told.parity(endpoint, place).into(), out),
            }
        }
        "trace_block" => {
            let Some(block) = view.referred(params.at(0))? else {
                out.extend_from_slice(b"null");
                return Ok(());
            };
            let told = Told::of(endpoint, from(block));
            let all = (0..told.transactions.len()).flat_map(|place| told.parity(endpoint, place));
            json(&all.collect::<Vec<_>>().into(), out);
        }
        _ => {
            let Some(block) = view.referred(params.at(0))? else {
                return Err(error(-32000, format!("block {} not found", params.at(0).as_str().unwrap_or_default())));
            };
            let told = Told::of(endpoint, from(block));
            let only_top = params.at(1)["tracerConfig"]["onlyTopCall"] == true;
            let item = |place: usize| {
                let mut item = json!({"txHash": told.hashes[place]});
                match hit(FaultKind::TraceTimeout) {
                    true => item["error"] = "execution timeout".into(),
                    false => item["result"] = told.call_tracer(endpoint, place, only_top),
                }
                if client == Client::GethOld {
                    item.as_object_mut().into_iter().for_each(|item| drop(item.remove("txHash")));
                }
                item
            };
            json(&(0..told.transactions.len()).map(item).collect::<Vec<_>>().into(), out);
        }
    }
    Ok(())
}

/// `eth_call`: `[{from, to, data | input}, block]`.
fn call(endpoint: &Endpoint, params: &Params, view: &View<'_>, out: &mut Vec<u8>) -> Result<(), RpcError> {
    let Some(parent) = view.referred(params.at(1))? else { return Err(error(-32000, "header not found")) };
    let like = params.at(0);
    let input = like.get("input").or_else(|| like.get("data")).and_then(Value::as_str).unwrap_or("0x");
    let above = view.above(&parent).map(|block| Told::of(endpoint, block));
    let same = |told: &Told, place: &usize| {
        let of = &told.transactions[*place];
        let equal = |name: &str| {
            let text = |value: &Value| value.as_str().map(str::to_ascii_lowercase);
            text(&of[name]) == text(&like[name])
        };
        told.failed(*place) && equal("from") && equal("to") && of["input"].as_str() == Some(input)
    };
    let found = above.and_then(|told| {
        let place = (0..told.transactions.len()).find(|place| same(&told, place))?;
        Some(told.frame(endpoint, place))
    });
    let Some(frame) = found else {
        out.extend_from_slice(b"\"0x\"");
        return Ok(());
    };
    let (code, message, data) = shape::refused(&frame, endpoint.client());
    Err(RpcError { data, ..error(code, message) })
}

impl Told {
    fn of(endpoint: &Endpoint, block: Sealed) -> Self {
        let hashes = endpoint.hashes(&block);
        let recorded = &endpoint.shared.data.blocks()[block.recorded];
        let written = |form: Form| {
            let mut text = Vec::new();
            recorded.write(form, &block.fill(&hashes), &mut text);
            // It was made of JSON.
            serde_json::from_slice::<Value>(&text).unwrap_or_default()
        };
        let list = |value: Value| if let Value::Array(list) = value { list } else { Vec::new() };
        let (transactions, receipts) =
            (list(written(Form::Full)["transactions"].take()), list(written(Form::Receipts)));
        Self { block, hashes, transactions, receipts }
    }

    fn failed(&self, place: usize) -> bool {
        self.receipts.get(place).is_some_and(|receipt| receipt["status"] == "0x0")
    }

    /// What was recorded of a transaction, else what its receipt tells.
    fn frame(&self, endpoint: &Endpoint, place: usize) -> Value {
        if let Some(recorded) = endpoint.shared.data.blocks()[self.block.recorded].traces().get(&place) {
            return recorded.clone();
        }
        let (of, receipt) = (&self.transactions[place], &self.receipts[place]);
        let mut frame = json!({
            "type": if of["to"].is_null() { "CREATE" } else { "CALL" },
            "from": of["from"],
            "value": of["value"],
            "gas": of["gas"],
            "gasUsed": receipt["gasUsed"],
            "input": of["input"],
        });
        match (of["to"].is_null(), self.failed(place)) {
            (false, _) => frame["to"] = of["to"].clone(),
            (true, false) => frame["to"] = receipt["contractAddress"].clone(),
            (true, true) => {}
        }
        match self.failed(place) {
            true => frame["error"] = "execution reverted".into(),
            false => frame["output"] = "0x".into(),
        }
        frame
    }

    fn call_tracer(&self, endpoint: &Endpoint, place: usize, only_top: bool) -> Value {
        shape::call_tracer(&self.frame(endpoint, place), endpoint.client(), only_top)
    }

    fn parity(&self, endpoint: &Endpoint, place: usize) -> Vec<Value> {
        let at = Place {
            block_hash: self.block.hash,
            height: self.block.height,
            transaction: self.hashes[place],
            index: place,
        };
        shape::parity(&self.frame(endpoint, place), endpoint.client(), &at)
    }
}

/// The height that a call of one of these is about.
pub(crate) fn height(method: &str, params: &Params, view: &View<'_>) -> Option<u64> {
    match method {
        "eth_call" => view.height(params.at(1)),
        "debug_traceTransaction" | "trace_transaction" => {
            view.find(&params.hash(0).ok()?).map(|(block, _)| block.height)
        }
        _ => view.height(params.at(0)).or_else(|| params.at(0).as_str().and_then(quantity)),
    }
}

#[cfg(test)]
mod tests;
