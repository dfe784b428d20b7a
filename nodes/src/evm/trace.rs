//! What an endpoint says of why transactions failed: their traces, in whichever shape it speaks, and calls in their place.
//!
//! Guarantee: a trace is taken for that of a transaction only if it names it, or stands in its place among those of its block, begins
//! with its sender and receiver, and shows that it failed. A trace that was asked for by the transaction's hash counts only if the
//! transaction's block is the one that is asked about *afterwards*. A whole block's traces are taken apart as they come ([`split`]): no
//! answer is held whole, of whatever length. What an endpoint does not have is remembered per method, so that it is not asked again.
//!
//! Shapes: geth's `callTracer` (geth and its forks, reth, anvil, Erigon, Nethermind, Besu), where an item of a block names its
//! transaction or, before geth 1.11.6, stands in its place; and OpenEthereum's flat lists (`trace_block`, `trace_transaction`: Erigon,
//! Nethermind, reth, Besu), which name block and transaction. `debug_traceBlockByHash` and EIP-1898 know the block's hash.
//!
//! [`split`]: super::split

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256};
use schemas::limits::evidence as limits;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    client::EvmClient,
    fleet::StateAt,
    http::{Exchanged, ToldError},
    route::RECEIPT,
    split::{Piece, Rest, Split},
};
use crate::{
    error::{Missing, NodeError, NodeErrorKind},
    fleet::Scope,
};

const DEBUG_BLOCK: &str = "debug_traceBlockByHash";
const DEBUG_TRANSACTION: &str = "debug_traceTransaction";
const PARITY_BLOCK: &str = "trace_block";
const PARITY_TRANSACTION: &str = "trace_transaction";
const CALL: &str = "eth_call";
/// The methods that give traces of a block, and of a transaction.
pub(super) const WAYS: [[&str; 2]; 2] = [[DEBUG_BLOCK, PARITY_BLOCK], [DEBUG_TRANSACTION, PARITY_TRANSACTION]];
/// Code of a JSON-RPC error that says that a call was reverted (execution-apis, `eth_call`).
const REVERTED: i64 = 3;
/// What is kept of an answer's beginning, to see what it is where it is no JSON-RPC.
const BEGINNING: usize = 4 << 10;

/// The shape of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// geth's `callTracer`: one frame, which holds those that it called.
    CallTracer,
    /// OpenEthereum's: a list of frames, each with its place in the tree.
    Parity,
}

/// A transaction whose trace is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its place in the block, from 0.
    pub index: u32,
    /// Its hash.
    pub hash: B256,
    /// Its sender.
    pub from: Address,
    /// Its receiver; `None` where it creates a contract.
    pub to: Option<Address>,
}

/// One transaction's trace, as the node wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its shape.
    pub style: Style,
    /// JSON: of [`Style::CallTracer`] an object, of [`Style::Parity`] a list. At most [`limits::TRANSACTION_BYTES`].
    pub json: Vec<u8>,
    /// False where the outermost call stands alone, since all of it would be too large.
    pub whole: bool,
    /// Who gave it.
    pub endpoint: Arc<str>,
}

/// What a node gave of a block's transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockTraces {
    /// For each that was wanted, in that order: its trace, or why there is none.
    pub of: Vec<Result<Trace, String>>,
}

/// A transaction as a call: what decides what it does, without its fee, so that a balance at the parent's state that was less does not
/// refuse it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallLike {
    /// Its sender.
    pub from: Address,
    /// Its receiver; `None` where it creates a contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// What it is called with.
    #[serde(rename = "data")]
    pub input: Bytes,
    /// Wei that goes along.
    pub value: U256,
    /// Its gas limit.
    #[serde(serialize_with = "quantity")]
    pub gas: u64,
}

fn quantity<S: serde::Serializer>(number: &u64, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{number:#x}"))
}

/// How such a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEnd {
    /// It did not fail.
    Returned,
    /// It failed.
    Failed {
        /// The node's words, masked, at most [`limits::WORDS_BYTES`].
        message: String,
        /// What it returned, where that was told: at most [`limits::REVERT_BYTES`].
        data: Bytes,
    },
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tracer {
    tracer: &'static str,
    tracer_config: TracerConfig,
    timeout: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct TracerConfig {
    only_top_call: bool,
    with_log: bool,
}

impl Tracer {
    fn new(only_top_call: bool) -> Self {
        let timeout = format!("{}s", limits::NODE_TAKES.as_secs());
        Self { tracer: "callTracer", tracer_config: TracerConfig { only_top_call, with_log: false }, timeout }
    }
}

/// What a question for traces came to, where the node answered it.
enum Told {
    Rest(Rest),
    /// It failed, or was refused, for what was asked.
    Error(NodeErrorKind),
}

impl EvmClient {
    /// Traces of a block's transactions.
    ///
    /// # Errors
    /// The failure that says most where no method gives one.
    pub(super) async fn traces_of_block(&self, at: StateAt, wanted: &[Wanted]) -> Result<BlockTraces, NodeError> {
        let mut failed = None;
        if !self.route.cannot(DEBUG_BLOCK, Some(at.height)) {
            match self.debug_block(at, wanted).await {
                Ok(found) => return Ok(found),
                Err(e) => self.other_way(DEBUG_BLOCK, at, e, &mut failed)?,
            }
        }
        if !self.route.cannot(PARITY_BLOCK, Some(at.height)) {
            match self.parity_block(at, wanted).await {
                Ok(found) => return Ok(found),
                Err(e) => self.other_way(PARITY_BLOCK, at, e, &mut failed)?,
            }
        }
        Err(failed.unwrap_or_else(|| self.no_way(at)))
    }

    /// The trace of a transaction, of which the endpoint says afterwards that it stands in this block.
    ///
    /// # Errors
    /// As [`EvmClient::traces_of_block`]; [`NodeErrorKind::Empty`] where it does not stand there.
    pub(super) async fn trace_of(&self, at: StateAt, wanted: Wanted) -> Result<Trace, NodeError> {
        let mut failed = None;
        if !self.route.cannot(DEBUG_TRANSACTION, Some(at.height)) {
            let mut outcome = self.debug_transaction(at, wanted, false).await;
            if outcome.as_ref().is_err_and(|e| matches!(e.kind, NodeErrorKind::TooLarge(_))) {
                outcome = self.debug_transaction(at, wanted, true).await;
            }
            match outcome {
                Ok(trace) => {
                    self.stands_there(at, wanted).await?;
                    return Ok(trace);
                }
                Err(e) => self.other_way(DEBUG_TRANSACTION, at, e, &mut failed)?,
            }
        }
        if !self.route.cannot(PARITY_TRANSACTION, Some(at.height)) {
            match self.parity_transaction(at, wanted).await {
                Ok(trace) => return Ok(trace),
                Err(e) => self.other_way(PARITY_TRANSACTION, at, e, &mut failed)?,
            }
        }
        Err(failed.unwrap_or_else(|| self.no_way(at)))
    }

    /// A transaction's call at the state of a block.
    ///
    /// # Errors
    /// What the endpoint refused it for; that it failed is an answer.
    pub(super) async fn call_like(&self, like: &CallLike, at: StateAt) -> Result<CallEnd, NodeError> {
        let params = json!([like, {"blockHash": at.hash}]);
        let split = || Split::new(false, limits::WORDS_BYTES, limits::ERROR_BYTES);
        let attempt = || async {
            let (rest, bytes) = match self.answer(CALL, &params, split(), limits::CALL_BYTES, &mut |_| {}).await {
                Exchanged { outcome: Ok(rest), bytes } => (rest, bytes),
                Exchanged { outcome: Err(kind), bytes } => return Exchanged { outcome: Err(kind), bytes },
            };
            let outcome = match rest.error.as_deref().map(|error| self.http.told(error)).transpose() {
                Ok(Some(told)) if is_failure(&told) => Ok(failure(told)),
                Ok(Some(told)) => Err(self.http.kind_of(&told)),
                Ok(None) if rest.result.is_some() => Ok(CallEnd::Returned),
                Ok(None) => Err(NodeErrorKind::Malformed("neither a result nor an error".into())),
                Err(kind) => Err(kind),
            };
            Exchanged { outcome, bytes }
        };
        self.retried(CALL, 1, Some(at.height), NodeError::was_not_answered, attempt).await
    }

    /// Remembers what a method failed with, where another one may do; gives the error back where none will.
    fn other_way(
        &self,
        method: &'static str,
        at: StateAt,
        e: NodeError,
        failed: &mut Option<NodeError>,
    ) -> Result<(), NodeError> {
        match e.kind {
            NodeErrorKind::Missing(Missing::Method, _) => {
                if self.route.failed(method, "missing", Scope::All) {
                    tracing::info!(endpoint = self.name(), method, "it does not have this method");
                }
            }
            NodeErrorKind::Missing(Missing::Pruned, _) => {
                self.route.failed(method, "pruned", Scope::Below(at.height));
            }
            NodeErrorKind::Rpc(..) | NodeErrorKind::TooLarge(_) => {
                self.route.failed(method, "rpc", Scope::Height(at.height));
            }
            // It may be a matter of this block, or of this answer.
            NodeErrorKind::Malformed(_) => {}
            _ => return Err(e),
        }
        // That a method is not there says less than how another one failed.
        if failed.as_ref().is_none_or(|f| matches!(f.kind, NodeErrorKind::Missing(Missing::Method, _))) {
            *failed = Some(e);
        }
        Ok(())
    }

    fn no_way(&self, at: StateAt) -> NodeError {
        let said = "none of the methods that give traces worked there of late".to_owned();
        self.error("trace", Some(at.height), NodeErrorKind::Missing(Missing::Method, said))
    }

    async fn debug_block(&self, at: StateAt, wanted: &[Wanted]) -> Result<BlockTraces, NodeError> {
        let mut kept = Kept::new(wanted, Style::CallTracer, self.inner_name());
        let params = json!([at.hash, Tracer::new(false)]);
        let told = self.traced(DEBUG_BLOCK, at, &params, true, &mut |piece| kept.debug(piece)).await?;
        self.listed(DEBUG_BLOCK, at, told)?;
        kept.finish().map_err(|said| self.error(DEBUG_BLOCK, Some(at.height), NodeErrorKind::Malformed(said)))
    }

    async fn parity_block(&self, at: StateAt, wanted: &[Wanted]) -> Result<BlockTraces, NodeError> {
        let mut kept = Kept::new(wanted, Style::Parity, self.inner_name());
        let params = json!([format!("{:#x}", at.height)]);
        let told = self.traced(PARITY_BLOCK, at, &params, true, &mut |piece| kept.parity(at.hash, piece)).await?;
        self.listed(PARITY_BLOCK, at, told)?;
        if kept.other_block {
            // It was asked by height, and another block stands there.
            return Err(self.error(PARITY_BLOCK, Some(at.height), NodeErrorKind::Empty));
        }
        kept.finish().map_err(|said| self.error(PARITY_BLOCK, Some(at.height), NodeErrorKind::Malformed(said)))
    }

    async fn debug_transaction(&self, at: StateAt, wanted: Wanted, top: bool) -> Result<Trace, NodeError> {
        let error = |kind| self.error(DEBUG_TRANSACTION, Some(at.height), kind);
        let params = json!([wanted.hash, Tracer::new(top)]);
        let json = match self.traced(DEBUG_TRANSACTION, at, &params, false, &mut |_| {}).await? {
            Told::Error(kind) => return Err(error(kind)),
            Told::Rest(Rest { too_long: true, .. }) => {
                return Err(error(NodeErrorKind::TooLarge(limits::TRANSACTION_BYTES)));
            }
            Told::Rest(Rest { result: Some(json), .. }) if json != b"null" => json,
            Told::Rest(_) => return Err(error(NodeErrorKind::Empty)),
        };
        root_of_call_tracer(&json)
            .and_then(|root| root.fits(&wanted))
            .map_err(|said| error(NodeErrorKind::Malformed(said)))?;
        Ok(Trace { style: Style::CallTracer, json, whole: !top, endpoint: self.inner_name() })
    }

    async fn parity_transaction(&self, at: StateAt, wanted: Wanted) -> Result<Trace, NodeError> {
        let error = |kind| self.error(PARITY_TRANSACTION, Some(at.height), kind);
        let of = [wanted];
        let mut kept = Kept::new(&of, Style::Parity, self.inner_name());
        let params = json!([wanted.hash]);
        let told = self.traced(PARITY_TRANSACTION, at, &params, true, &mut |piece| kept.parity(at.hash, piece)).await?;
        self.listed(PARITY_TRANSACTION, at, told)?;
        if kept.other_block {
            return Err(error(NodeErrorKind::Empty));
        }
        let found = kept.finish().map_err(|said| error(NodeErrorKind::Malformed(said)))?.of.pop();
        match found {
            Some(Ok(trace)) => Ok(trace),
            Some(Err(said)) => Err(error(NodeErrorKind::Malformed(said))),
            None => Err(error(NodeErrorKind::Empty)),
        }
    }

    /// The receipt names the block that is asked about.
    async fn stands_there(&self, at: StateAt, wanted: Wanted) -> Result<(), NodeError> {
        let receipt = self.call::<super::wire::Receipt>(RECEIPT, [wanted.hash], Some(at.height)).await?;
        match receipt.block_hash {
            Some(hash) if hash == at.hash => Ok(()),
            other => {
                tracing::debug!(transaction = %wanted.hash, asked = %at.hash, ?other, "a trace is of another block");
                Err(self.error(DEBUG_TRANSACTION, Some(at.height), NodeErrorKind::Empty))
            }
        }
    }

    fn listed(&self, method: &'static str, at: StateAt, told: Told) -> Result<(), NodeError> {
        match told {
            Told::Rest(Rest { list: Some(_), .. }) => Ok(()),
            Told::Rest(Rest { result: Some(null), .. }) if null == b"null" => {
                Err(self.error(method, Some(at.height), NodeErrorKind::Empty))
            }
            Told::Rest(_) => {
                let said = "no list of traces".to_owned();
                Err(self.error(method, Some(at.height), NodeErrorKind::Malformed(said)))
            }
            Told::Error(kind) => Err(self.error(method, Some(at.height), kind)),
        }
    }

    /// A question for traces. That the node cannot answer this one is no fault of its own.
    async fn traced(
        &self,
        method: &'static str,
        at: StateAt,
        params: &Value,
        lists: bool,
        on: &mut (dyn FnMut(Piece<'_>) + Send),
    ) -> Result<Told, NodeError> {
        let admitted = self.route.admit(1).await?;
        let started = std::time::Instant::now();
        let split = Split::new(lists, limits::TRANSACTION_BYTES, limits::ERROR_BYTES);
        let Exchanged { outcome, bytes } = self.answer(method, params, split, limits::ANSWER_BYTES, on).await;
        let outcome = match outcome {
            Ok(rest) => match rest.error.as_deref().map(|error| self.http.told(error)).transpose() {
                Ok(None) => Ok(Told::Rest(rest)),
                Ok(Some(told)) => match self.http.kind_of(&told) {
                    kind @ NodeErrorKind::Rpc(..) => Ok(Told::Error(kind)),
                    kind => Err(kind),
                },
                Err(kind) => Err(kind),
            },
            // A door that is closed for this method only: others are let through.
            Err(NodeErrorKind::Refused(status @ 403..=405, said)) => {
                Err(NodeErrorKind::Missing(Missing::Method, format!("HTTP {status}: {said}")))
            }
            Err(kind) => Err(kind),
        };
        let outcome = outcome.map_err(|kind| self.error(method, Some(at.height), kind));
        let took = started.elapsed();
        let error = outcome.as_ref().err();
        self.route.done(admitted, crate::fleet::Done { method, took, bytes, height: None, error });
        crate::metrics::call_done(self.name(), method, took, outcome.as_ref().map(drop));
        outcome
    }

    /// One answer, taken apart as it comes.
    async fn answer(
        &self,
        method: &'static str,
        params: &Value,
        mut split: Split,
        most: usize,
        on: &mut (dyn FnMut(Piece<'_>) + Send),
    ) -> Exchanged<Rest> {
        let mut beginning = Vec::new();
        let take = |chunk: &[u8]| {
            let room = BEGINNING.saturating_sub(beginning.len());
            beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
            let fed = split.feed(chunk, &mut |piece| on(piece));
            fed.map_err(|broken| NodeErrorKind::Malformed(broken.0.to_owned()))
        };
        let bound = (limits::ANSWER_WITHIN.min(self.tuning.call_timeout * 3), most);
        let Exchanged { outcome, bytes } = self.http.streamed(method, params.clone(), bound, take).await;
        let whole = outcome
            .and_then(|()| split.finish().map_err(|broken| NodeErrorKind::Malformed(broken.0.to_owned())))
            .and_then(|rest| match rest {
                Rest { error: None, result: None, list: None, .. } => {
                    Err(NodeErrorKind::Malformed("neither a result nor an error".to_owned()))
                }
                rest => Ok(rest),
            });
        let outcome = whole.map_err(|kind| match kind {
            NodeErrorKind::Malformed(_) => self.http.said_instead(&beginning).unwrap_or(kind),
            kind => kind,
        });
        Exchanged { outcome, bytes }
    }

    fn inner_name(&self) -> Arc<str> {
        self.name.clone()
    }
}

/// What is kept of a block's traces while they come.
struct Kept<'a> {
    wanted: &'a [Wanted],
    by_hash: HashMap<B256, usize>,
    by_place: HashMap<u64, usize>,
    style: Style,
    endpoint: Arc<str>,
    of: Vec<Option<Result<Vec<u8>, String>>>,
    bytes: usize,
    /// An item named its transaction.
    named: bool,
    /// An item is of another block than was asked for.
    other_block: bool,
    /// What could not be read.
    odd: Option<String>,
}

impl<'a> Kept<'a> {
    fn new(wanted: &'a [Wanted], style: Style, endpoint: Arc<str>) -> Self {
        Self {
            by_hash: wanted.iter().enumerate().map(|(slot, w)| (w.hash, slot)).collect(),
            by_place: wanted.iter().enumerate().map(|(slot, w)| (u64::from(w.index), slot)).collect(),
            of: wanted.iter().map(|_| None).collect(),
            wanted,
            style,
            endpoint,
            bytes: 0,
            named: false,
            other_block: false,
            odd: None,
        }
    }

    /// An item of `debug_traceBlockByHash`: `{txHash?, result}` or `{txHash?, error}`.
    fn debug(&mut self, piece: Piece<'_>) {
        let (place, bytes) = match piece {
            Piece::Element(place, bytes) => (place, bytes),
            // Whose it is would stand in it.
            Piece::TooLong(_) => return,
        };
        let item: Item<'_> = match serde_json::from_slice(bytes) {
            Ok(item) => item,
            Err(e) => return self.is_odd(e),
        };
        let slot = match item.hash {
            Some(hash) => {
                self.named = true;
                self.by_hash.get(&hash)
            }
            None => self.by_place.get(&place),
        };
        let Some(slot) = slot.copied() else { return };
        let said = match (item.result, item.error) {
            (Some(result), _) if result.get() != "null" => return self.keep(slot, result.get().as_bytes()),
            (_, Some(error)) => words(error.get().trim_matches('"')),
            _ => "it gives none for this transaction".to_owned(),
        };
        self.of[slot].get_or_insert(Err(said));
    }

    /// An item of `trace_block` or `trace_transaction`, which names its block and transaction.
    fn parity(&mut self, block: B256, piece: Piece<'_>) {
        let Piece::Element(_, bytes) = piece else { return };
        let item: ParityItem = match serde_json::from_slice(bytes) {
            Ok(item) => item,
            Err(e) => return self.is_odd(e),
        };
        self.other_block |= item.block_hash != Some(block);
        // Rewards have none.
        let Some(slot) = item.transaction_hash.and_then(|hash| self.by_hash.get(&hash).copied()) else { return };
        self.named = true;
        self.keep(slot, bytes);
    }

    fn is_odd(&mut self, e: serde_json::Error) {
        self.odd.get_or_insert_with(|| format!("an item of a trace: {e}"));
    }

    fn keep(&mut self, slot: usize, bytes: &[u8]) {
        let held = match &self.of[slot] {
            Some(Ok(held)) => held.len(),
            Some(Err(_)) => return,
            None => 0,
        };
        if held + bytes.len() + 2 > limits::TRANSACTION_BYTES || self.bytes + bytes.len() > limits::BLOCK_BYTES {
            self.bytes -= held;
            self.of[slot] = Some(Err("there is no room for it beside the others of its block".into()));
            return;
        }
        self.bytes += bytes.len() + 1;
        match (&mut self.of[slot], self.style) {
            (Some(Ok(held)), Style::Parity) => {
                held.push(b',');
                held.extend_from_slice(bytes);
            }
            // The first one counts.
            (Some(_), _) => self.bytes -= bytes.len() + 1,
            (none, Style::CallTracer) => *none = Some(Ok(bytes.to_vec())),
            (none, Style::Parity) => *none = Some(Ok([b"[", bytes].concat())),
        }
    }

    fn finish(self) -> Result<BlockTraces, String> {
        if let Some(odd) = self.odd {
            return Err(odd);
        }
        if self.of.iter().all(Option::is_none) {
            return Err("it holds none of the block's transactions that were asked for".into());
        }
        let (style, endpoint) = (self.style, self.endpoint);
        let of = self.of.into_iter().zip(self.wanted).map(|(found, wanted)| {
            let mut json = found.unwrap_or_else(|| Err("it is not among the block's traces".into()))?;
            let root = match style {
                Style::CallTracer => root_of_call_tracer(&json),
                Style::Parity => {
                    json.push(b']');
                    root_of_parity(&json)
                }
            };
            root.and_then(|root| root.fits(wanted))?;
            Ok(Trace { style, json, whole: true, endpoint: endpoint.clone() })
        });
        let of: Vec<Result<Trace, String>> = of.collect();
        // Where items stand in the place of names and none fits, it is another block's.
        match of.iter().find_map(|found| found.as_ref().err()) {
            Some(said) if !self.named && of.iter().all(Result::is_err) => Err(said.clone()),
            _ => Ok(BlockTraces { of }),
        }
    }
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "txHash", default)]
    hash: Option<B256>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ParityItem {
    #[serde(default)]
    block_hash: Option<B256>,
    #[serde(default)]
    transaction_hash: Option<B256>,
}

/// What the outermost call of a trace is.
struct Root {
    from: Option<Address>,
    to: Option<Address>,
    failed: bool,
}

impl Root {
    /// Whether it may be this transaction's, which failed.
    fn fits(self, wanted: &Wanted) -> Result<(), String> {
        if self.from.is_some_and(|from| from != wanted.from) {
            return Err("it begins with another sender".into());
        }
        if wanted.to.is_some() && self.to.is_some() && self.to != wanted.to {
            return Err("it begins with another receiver".into());
        }
        if !self.failed {
            return Err("it shows a transaction that did not fail".into());
        }
        Ok(())
    }
}

fn address(text: Option<Cow<'_, str>>) -> Option<Address> {
    text.and_then(|text| text.parse().ok())
}

fn root_of_call_tracer(json: &[u8]) -> Result<Root, String> {
    #[derive(Deserialize)]
    struct Frame<'a> {
        #[serde(borrow, default)]
        from: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        to: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        error: Option<Cow<'a, str>>,
    }
    // A list would be taken for the fields in their order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err("no frame of a call: it is no object".to_owned());
    }
    let frame: Frame<'_> = serde_json::from_slice(json).map_err(|e| format!("no frame of a call: {e}"))?;
    let failed = frame.error.is_some_and(|error| !error.is_empty());
    Ok(Root { from: address(frame.from), to: address(frame.to), failed })
}

fn root_of_parity(json: &[u8]) -> Result<Root, String> {
    #[derive(Deserialize)]
    struct Action<'a> {
        #[serde(borrow, default)]
        from: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        to: Option<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Frame<'a> {
        #[serde(borrow, default)]
        action: Option<Action<'a>>,
        #[serde(borrow, default)]
        error: Option<Cow<'a, str>>,
        #[serde(default)]
        trace_address: Vec<u64>,
    }
    let frames: Vec<Frame<'_>> = serde_json::from_slice(json).map_err(|e| format!("no frames of calls: {e}"))?;
    let root = frames.into_iter().find(|frame| frame.trace_address.is_empty()).ok_or("it has no outermost call")?;
    let failed = root.error.is_some_and(|error| !error.is_empty());
    let (from, to) = root.action.map_or((None, None), |action| (address(action.from), address(action.to)));
    Ok(Root { from, to, failed })
}

/// A node's words, as much of them as is kept.
fn words(text: &str) -> String {
    text[..text.floor_char_boundary(limits::WORDS_BYTES)].to_owned()
}

/// Whether an error says that the code ran and failed: geth and its forks, Erigon, Nethermind, reth, Besu, anvil.
fn is_failure(told: &ToldError) -> bool {
    const WORDS: [&str; 19] = [
        "revert",
        "out of gas",
        "outofgas",
        "invalid opcode",
        "bad instruction",
        "invalid jump",
        "bad jump",
        "stack underflow",
        "stack limit reached",
        "out of stack",
        "write protection",
        "static context",
        "return data out of bounds",
        "max call depth",
        "gas uint64 overflow",
        "invalid code: must not begin",
        "contract address collision",
        "evm error",
        "vm execution error",
    ];
    let said = told.message.to_ascii_lowercase();
    told.code == REVERTED || WORDS.iter().any(|word| said.contains(word))
}

fn failure(told: ToldError) -> CallEnd {
    CallEnd::Failed { message: words(&told.message), data: returned(&told.data).unwrap_or_default() }
}

/// What a call returned, as nodes tell it in an error's data: as hex, behind a word (`Reverted 0x…`), or in an object.
fn returned(data: &Value) -> Option<Bytes> {
    match data {
        Value::String(text) => {
            let digits = &text[text.find("0x")? + 2..];
            let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
            let most = end.min(2 * limits::REVERT_BYTES) & !1;
            const_hex::decode(&digits[..most]).ok().map(Bytes::from)
        }
        Value::Object(object) => {
            ["data", "result", "output", "return"].iter().find_map(|name| returned(object.get(*name)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_call_returned_is_found_however_it_is_told() {
        let of = |data: Value| returned(&data).map(const_hex::encode);
        let text = Some("08c379a0".to_owned());
        assert_eq!(of(json!("0x08c379a0")), text);
        assert_eq!(of(json!("Reverted 0x08c379a0")), text);
        assert_eq!(of(json!({"message": "x", "data": "0x08c379a0"})), text);
        assert_eq!(of(json!("0x08c379a")), Some("08c379".into()), "half a byte is none");
        assert_eq!((of(json!("Reverted")), of(json!(null)), of(json!("0x"))), (None, None, Some(String::new())));
        let long = format!("0x{}", "ab".repeat(limits::REVERT_BYTES + 9));
        assert_eq!(returned(&json!(long)).map(|data| data.len()), Some(limits::REVERT_BYTES));
    }

    #[test]
    fn a_call_that_failed_is_told_from_one_that_was_refused() {
        let of = |code, message: &str| is_failure(&ToldError { code, message: message.into(), data: Value::Null });
        for (code, message) in [
            (3, "execution reverted: no"),
            (-32000, "out of gas"),
            (-32000, "invalid opcode: INVALID"),
            (-32000, "write protection"),
            (-32015, "VM execution error."),
            (-32603, "EVM error InvalidJump"),
        ] {
            assert!(of(code, message), "{message}");
        }
        for message in
            ["insufficient funds for gas * price + value", "header not found", "missing trie node", "rate limit"]
        {
            assert!(!of(-32000, message), "{message}");
        }
    }

    #[test]
    fn a_transaction_s_trace_begins_with_it_and_fails() {
        let wanted =
            Wanted { index: 0, hash: B256::ZERO, from: Address::repeat_byte(1), to: Some(Address::repeat_byte(2)) };
        let of = |from: u8, to: u8, error: &str| {
            let (from, to) = (Address::repeat_byte(from), Address::repeat_byte(to));
            let json = json!({"from": from, "to": to, "error": error, "calls": [{"from": "odd"}]}).to_string();
            root_of_call_tracer(json.as_bytes()).and_then(|root| root.fits(&wanted))
        };
        assert_eq!(of(1, 2, "execution reverted"), Ok(()));
        assert!(of(3, 2, "x").is_err() && of(1, 3, "x").is_err() && of(1, 2, "").is_err());
        assert!(root_of_call_tracer(b"[]").is_err() && root_of_parity(b"[]").is_err());
    }
}
