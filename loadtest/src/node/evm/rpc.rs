//! JSON-RPC as EVM nodes speak it (Ethereum execution API), answered from templates.
//!
//! Guarantee: an unknown block is `null`, an unknown method is -32601, a bad parameter is -32602; a batch is answered in
//! order; all answers of one call are taken from the chain at one moment. Batches and answers are limited.

use super::Endpoint;
use super::faults::{About, FaultKind, Hit, Stage, behind};
use super::recorded::{Form, quantity};
use super::traces;
use super::view::View;
use alloy_primitives::B256;
use schemas::limits::simulator as limits;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write as _;

#[derive(Deserialize)]
pub(crate) struct Call<'a> {
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// A request body, read.
pub(crate) struct Request<'a> {
    pub batch: bool,
    /// `None` where an element is no call.
    pub calls: Vec<Option<Call<'a>>>,
}

pub(crate) struct RpcError {
    pub code: i64,
    pub message: Cow<'static, str>,
    pub data: Option<String>,
}

pub(crate) fn error(code: i64, message: impl Into<Cow<'static, str>>) -> RpcError {
    RpcError { code, message: message.into(), data: None }
}

pub(crate) fn no_method(method: &str) -> RpcError {
    error(-32601, format!("the method {method} does not exist/is not available"))
}

impl Call<'_> {
    pub(crate) fn params(&self) -> Result<Vec<Value>, RpcError> {
        let Some(raw) = self.params else { return Ok(Vec::new()) };
        serde_json::from_str(raw.get()).map_err(|_| error(-32602, "invalid params: not a list"))
    }

    pub(crate) fn refuse(&self, code: i64, message: &'static str) -> Vec<u8> {
        let mut out = Vec::new();
        write_error(self.id, &error(code, message), &mut out);
        out
    }
}

impl<'a> Request<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, RpcError> {
        let parse = |e: serde_json::Error| error(-32700, format!("parse error: {e}"));
        if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'[') {
            let raw: &RawValue = serde_json::from_slice(body).map_err(parse)?;
            return Ok(Self { batch: false, calls: vec![serde_json::from_str(raw.get()).ok()] });
        }
        let raw: Vec<&RawValue> = serde_json::from_slice(body).map_err(parse)?;
        if raw.is_empty() {
            return Err(error(-32600, "empty batch"));
        }
        if raw.len() > limits::BATCH_CALLS {
            return Err(error(-32600, format!("batch too large: at most {} calls", limits::BATCH_CALLS)));
        }
        Ok(Self { batch: true, calls: raw.into_iter().map(|r| serde_json::from_str(r.get()).ok()).collect() })
    }

    fn methods(&self) -> impl Iterator<Item = &str> + Clone {
        self.calls.iter().flatten().map(|call| call.method.as_ref())
    }

    /// A JSON-RPC error for every call.
    pub(crate) fn refuse(&self, e: &RpcError) -> Vec<u8> {
        let mut out = Vec::new();
        for call in &self.calls {
            out.push(if out.is_empty() { b'[' } else { b',' });
            write_error(call.as_ref().and_then(|call| call.id), e, &mut out);
        }
        if self.batch {
            out.push(b']');
        } else {
            out.remove(0);
        }
        out
    }

    /// Whether it consists of control calls only, which faults never hit.
    pub(crate) fn is_control(&self) -> bool {
        self.methods().all(|method| method.starts_with("sim_"))
    }
}

/// The answer to something that is no request, or refused as a whole.
pub(crate) fn refusal(e: &RpcError) -> Vec<u8> {
    let mut out = Vec::new();
    write_error(None, e, &mut out);
    out
}

fn open(id: Option<&RawValue>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.map_or("null", RawValue::get).as_bytes());
}

fn write_error(id: Option<&RawValue>, e: &RpcError, out: &mut Vec<u8>) {
    open(id, out);
    let message = Value::String(e.message.clone().into_owned());
    // Writing into memory cannot fail.
    let _ = write!(out, r#","error":{{"code":{},"message":{message}"#, e.code);
    if let Some(data) = &e.data {
        let _ = write!(out, r#","data":{}"#, Value::String(data.clone()));
    }
    out.extend_from_slice(b"}}");
}

pub(crate) fn write_result(id: Option<&RawValue>, result: &[u8], out: &mut Vec<u8>) {
    open(id, out);
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result);
    out.push(b'}');
}

pub(crate) fn json(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// The parameters of a call.
pub(crate) struct Params(pub Vec<Value>);

impl Params {
    pub(crate) fn at(&self, n: usize) -> &Value {
        self.0.get(n).unwrap_or(&Value::Null)
    }

    pub(crate) fn hash(&self, n: usize) -> Result<B256, RpcError> {
        let bad = || error(-32602, format!("invalid argument {n}: want a 32-byte hash"));
        self.at(n).as_str().and_then(|s| s.parse().ok()).ok_or_else(bad)
    }

    /// A plain number, or a hex quantity.
    pub(crate) fn number(&self, n: usize, default: Option<u64>) -> Result<u64, RpcError> {
        let bad = || error(-32602, format!("invalid argument {n}: want a number"));
        match self.at(n) {
            Value::Null => default.ok_or_else(bad),
            Value::Number(number) => number.as_u64().ok_or_else(bad),
            Value::String(text) => quantity(text).ok_or_else(bad),
            _ => Err(bad()),
        }
    }
}

impl Endpoint {
    /// What a request is for.
    pub(crate) fn about<'a>(&self, request: &'a Request<'_>) -> Vec<About<'a>> {
        let choosy = self.faults.choosy();
        let about = |call: &'a Call<'_>| (call.method.as_ref(), choosy.then(|| self.height(call)).flatten());
        request.calls.iter().flatten().map(about).collect()
    }

    /// The height of the block that a call is about.
    fn height(&self, call: &Call<'_>) -> Option<u64> {
        let (view, params) = (View::of(self), Params(call.params().ok()?));
        match call.method.as_ref() {
            "eth_getBlockByNumber" | "eth_getBlockByHash" | "eth_getBlockReceipts" => view.height(params.at(0)),
            "eth_getTransactionReceipt" | "eth_getTransactionByHash" => {
                view.find(&params.hash(0).ok()?).map(|(block, _)| block.height)
            }
            method if traces::is_ours(method) => traces::height(method, &params, &view),
            _ => None,
        }
    }

    /// Answers the first `most` calls of a request.
    pub(crate) fn answer(&self, request: &Request<'_>, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        if request.batch {
            out.push(b'[');
        }
        for (n, call) in request.calls.iter().take(most).enumerate() {
            if n > 0 {
                out.push(b',');
            }
            match call {
                Some(call) => self.answer_one(call, &mut out),
                None => write_error(None, &error(-32600, "invalid request"), &mut out),
            }
        }
        if request.batch {
            out.push(b']');
        }
        out
    }

    fn answer_one(&self, call: &Call<'_>, out: &mut Vec<u8>) {
        self.stats.called(&call.method);
        let start = out.len();
        open(call.id, out);
        out.extend_from_slice(br#","result":"#);
        let hits = if call.method.starts_with("sim_") {
            Vec::new()
        } else {
            let height = if self.faults.choosy() { self.height(call) } else { None };
            self.faults.hits(Stage::Call, std::iter::once((call.method.as_ref(), height)))
        };
        let done = call.params().map(Params).and_then(|params| match call.method.strip_prefix("sim_") {
            Some(order) => self.control(order, &params, out),
            None => self.call(&call.method, &params, &hits, out),
        });
        let done = match done {
            Ok(()) if out.len() > limits::ANSWER_BYTES => Err(error(-32003, "response too large")),
            done => done,
        };
        match done {
            Ok(()) => out.push(b'}'),
            Err(e) => {
                out.truncate(start);
                write_error(call.id, &e, out);
            }
        }
    }

    fn call(&self, method: &str, params: &Params, hits: &[Hit], out: &mut Vec<u8>) -> Result<(), RpcError> {
        let mut view = View::of(self);
        let mut chain_id = self.shared.chain_id;
        for hit in hits {
            match hit.kind {
                FaultKind::RpcError(code) => return Err(error(code, "simulated error")),
                FaultKind::NoMethod => return Err(no_method(method)),
                FaultKind::WrongChain(id) => chain_id = id,
                FaultKind::StaleHead { .. } | FaultKind::Backwards | FaultKind::TwoViews { .. } => {
                    let head = self.shared.span().1;
                    view.limit = behind(hit.kind, hit.since, head, hit.before).unwrap_or(u64::MAX).min(view.limit);
                }
                FaultKind::Null => {
                    out.extend_from_slice(b"null");
                    return Ok(());
                }
                FaultKind::NoFinalized => view.finality = false,
                FaultKind::Empty | FaultKind::NullReceipts => {
                    let list = method == "eth_getBlockReceipts" && hit.kind == FaultKind::Empty;
                    if hit.kind == FaultKind::Empty || method.ends_with("Receipts") || method.ends_with("Receipt") {
                        out.extend_from_slice(if list { b"[]" } else { b"null" });
                        return Ok(());
                    }
                }
                FaultKind::Lying | FaultKind::OtherBlock => view.swap = Some(hit.kind),
                FaultKind::EmptyReceipts | FaultKind::DoubledReceipts => view.shape = Some(hit.kind),
                _ => {}
            }
        }
        match method {
            "eth_chainId" => json(&format!("{chain_id:#x}").into(), out),
            "net_version" => json(&chain_id.to_string().into(), out),
            "web3_clientVersion" => {
                json(&concat!("headwater-simulator/v", env!("CARGO_PKG_VERSION")).into(), out);
            }
            "eth_syncing" => out.extend_from_slice(b"false"),
            "eth_blockNumber" => json(&format!("{:#x}", view.head()).into(), out),
            "eth_getBlockByNumber" => {
                let block = view.tagged(params.at(0))?;
                view.write(block, form(params.at(1)), out);
            }
            "eth_getBlockByHash" => {
                let block = view.by_hash(&params.hash(0)?);
                view.write(block, form(params.at(1)), out);
            }
            "eth_getBlockReceipts" => {
                let block = view.referred(params.at(0))?;
                view.write(block, Form::Receipts, out);
            }
            "eth_getTransactionReceipt" => view.write_transaction(&params.hash(0)?, Form::Receipts, out),
            "eth_getTransactionByHash" => view.write_transaction(&params.hash(0)?, Form::Full, out),
            ours if traces::is_ours(ours) => return traces::answer(self, ours, params, hits, &view, out),
            other => return Err(no_method(other)),
        }
        Ok(())
    }
}

fn form(full: &Value) -> Form {
    if full.as_bool() == Some(true) { Form::Full } else { Form::Hashes }
}
