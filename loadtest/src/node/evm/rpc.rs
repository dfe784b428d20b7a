//! JSON-RPC as EVM nodes speak it (Ethereum execution API), answered from templates.
//!
//! Guarantee: an unknown block is `null`, an unknown method is -32601, a bad parameter is -32602; a batch is answered in
//! order; all answers of one call are taken from the chain at one moment. Batches and answers are limited.

use super::Shared;
use super::chain::Sealed;
use super::faults::{FaultKind, Hit, Stage};
use super::recorded::{Form, quantity};
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
    code: i64,
    message: Cow<'static, str>,
}

fn error(code: i64, message: impl Into<Cow<'static, str>>) -> RpcError {
    RpcError { code, message: message.into() }
}

fn no_method(method: &str) -> RpcError {
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

    pub(crate) fn methods(&self) -> impl Iterator<Item = &str> + Clone {
        self.calls.iter().flatten().map(|call| call.method.as_ref())
    }

    /// Whether it consists of control calls only, which faults never hit.
    pub(crate) fn is_control(&self) -> bool {
        self.methods().all(|method| method.starts_with("sim_"))
    }
}

/// The answer to something that is no request.
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
    let _ = write!(out, r#","error":{{"code":{},"message":{message}}}}}"#, e.code);
}

pub(crate) fn write_result(id: Option<&RawValue>, result: &[u8], out: &mut Vec<u8>) {
    open(id, out);
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result);
    out.push(b'}');
}

fn json(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// The parameters of a call.
struct Params(Vec<Value>);

impl Params {
    fn at(&self, n: usize) -> &Value {
        self.0.get(n).unwrap_or(&Value::Null)
    }

    fn hash(&self, n: usize) -> Result<B256, RpcError> {
        let bad = || error(-32602, format!("invalid argument {n}: want a 32-byte hash"));
        self.at(n).as_str().and_then(|s| s.parse().ok()).ok_or_else(bad)
    }

    /// A plain number, or a hex quantity.
    fn number(&self, n: usize, default: Option<u64>) -> Result<u64, RpcError> {
        let bad = || error(-32602, format!("invalid argument {n}: want a number"));
        match self.at(n) {
            Value::Null => default.ok_or_else(bad),
            Value::Number(number) => number.as_u64().ok_or_else(bad),
            Value::String(text) => quantity(text).ok_or_else(bad),
            _ => Err(bad()),
        }
    }
}

impl Shared {
    /// Answers all calls of a request.
    pub(crate) fn answer(&self, request: &Request<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        if request.batch {
            out.push(b'[');
        }
        for (n, call) in request.calls.iter().enumerate() {
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
            self.faults.hits(Stage::Call, std::iter::once(call.method.as_ref()))
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
        let mut view = View { shared: self, limit: u64::MAX, swap: None };
        let mut chain_id = self.chain_id;
        for hit in hits {
            match hit.kind {
                FaultKind::RpcError(code) => return Err(error(code, "simulated error")),
                FaultKind::NoMethod => return Err(no_method(method)),
                FaultKind::WrongChain(id) => chain_id = id,
                FaultKind::StaleHead { .. } => view.limit = view.limit.min(hit.stuck_at),
                FaultKind::Empty | FaultKind::NullReceipts => {
                    let list = method == "eth_getBlockReceipts" && hit.kind == FaultKind::Empty;
                    if hit.kind == FaultKind::Empty || method.ends_with("Receipts") || method.ends_with("Receipt") {
                        out.extend_from_slice(if list { b"[]" } else { b"null" });
                        return Ok(());
                    }
                }
                FaultKind::Lying | FaultKind::OtherBlock => view.swap = Some(hit.kind),
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
            other => return Err(no_method(other)),
        }
        Ok(())
    }

    /// Control calls: a child process is driven through them.
    fn control(&self, order: &str, params: &Params, out: &mut Vec<u8>) -> Result<(), RpcError> {
        let refused = |e: super::Error| error(-32602, e.to_string());
        match order {
            "advance" => json(&self.advance(params.number(0, Some(1))?).map_err(refused)?.into(), out),
            "fork" => {
                let head = self.fork(params.number(0, None)?, params.number(1, Some(0))?).map_err(refused)?;
                json(&head.into(), out);
            }
            "fault" => {
                let bad = || error(-32602, "want a list of faults, each a string");
                let read = |v: &Value| v.as_str().ok_or_else(bad)?.parse().map_err(refused);
                let faults = params.0.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                self.faults.clear();
                faults.into_iter().for_each(|fault| self.fault(fault));
                json(&serde_json::to_value(self.faults.list()).unwrap_or_default(), out);
            }
            "faults" => json(&serde_json::to_value(self.faults.list()).unwrap_or_default(), out),
            "dropWebSockets" => {
                self.drop_websockets();
                out.extend_from_slice(b"true");
            }
            "canonical" => {
                let (start, head) = self.span();
                let (from, to) = (params.number(0, Some(start))?, params.number(1, Some(head))?);
                if to.saturating_sub(from) >= limits::LISTED_HEIGHTS {
                    return Err(error(-32602, format!("at most {} heights", limits::LISTED_HEIGHTS)));
                }
                json(&serde_json::to_value(self.canonical(from..=to)).unwrap_or_default(), out);
            }
            "stats" => json(&serde_json::to_value(self.stats.snapshot()).unwrap_or_default(), out),
            other => return Err(no_method(&format!("sim_{other}"))),
        }
        Ok(())
    }
}

fn form(full: &Value) -> Form {
    if full.as_bool() == Some(true) { Form::Full } else { Form::Hashes }
}

/// The chain as one call sees it.
struct View<'a> {
    shared: &'a Shared,
    /// A stale node knows nothing above.
    limit: u64,
    /// How receipts are falsified.
    swap: Option<FaultKind>,
}

impl View<'_> {
    fn head(&self) -> u64 {
        self.shared.chain().head().height.min(self.limit)
    }

    fn at(&self, height: u64) -> Option<Sealed> {
        if height > self.limit { None } else { self.shared.chain().at(height) }
    }

    fn by_hash(&self, hash: &B256) -> Option<Sealed> {
        self.shared.chain().by_hash(hash).filter(|block| block.height <= self.limit)
    }

    /// A height or a tag.
    fn tagged(&self, which: &Value) -> Result<Option<Sealed>, RpcError> {
        let bad = || error(-32602, "invalid argument 0: want a hex quantity or a block tag");
        let text = which.as_str().ok_or_else(bad)?;
        let mut chain = self.shared.chain();
        let (start, head) = (chain.start(), chain.head().height.min(self.limit));
        let behind = |depth: u64| head.saturating_sub(depth).max(start);
        let height = match text {
            "latest" | "pending" => head,
            "safe" => behind(self.shared.safe_depth),
            "finalized" => behind(self.shared.finality_depth),
            "earliest" => start,
            number => quantity(number).ok_or_else(bad)?,
        };
        Ok(if height > head { None } else { chain.at(height) })
    }

    /// A height, a tag, a hash, or an object with one of them (EIP-1898).
    fn referred(&self, which: &Value) -> Result<Option<Sealed>, RpcError> {
        match which {
            Value::Object(fields) => match (fields.get("blockHash"), fields.get("blockNumber")) {
                (Some(hash), None) => self.referred(hash),
                (None, Some(number)) => self.tagged(number),
                _ => Err(error(-32602, "invalid argument 0: want either blockHash or blockNumber")),
            },
            Value::String(text) if text.len() == 66 => match text.parse() {
                Ok(hash) => Ok(self.by_hash(&hash)),
                Err(_) => Err(error(-32602, "invalid argument 0: want a 32-byte hash")),
            },
            other => self.tagged(other),
        }
    }

    fn write(&self, block: Option<Sealed>, form: Form, out: &mut Vec<u8>) {
        let Some(mut block) = block else { return out.extend_from_slice(b"null") };
        if form == Form::Full {
            self.shared.chain().serve(&block);
        }
        let blocks = self.shared.data.blocks();
        match self.swap.filter(|_| form == Form::Receipts) {
            Some(FaultKind::OtherBlock) => {
                block = self.at(block.height.saturating_sub(1)).unwrap_or(block);
            }
            Some(_) => block.recorded = (block.recorded + 1) % blocks.len(),
            None => {}
        }
        let recorded = &blocks[block.recorded];
        self.shared.stats.served(form, recorded.facts().tx_count);
        recorded.write(form, &block.fill(&self.shared.hashes(&block)), out);
    }

    fn write_transaction(&self, hash: &B256, form: Form, out: &mut Vec<u8>) {
        let written = self.shared.find(hash, self.limit).is_some_and(|(block, index)| {
            let hashes = self.shared.hashes(&block);
            self.shared.data.blocks()[block.recorded].write_item(form, index, &block.fill(&hashes), out)
        });
        if !written {
            out.extend_from_slice(b"null");
        }
    }
}
