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

mod call;
mod kept;

use std::sync::Arc;

use alloy_primitives::{Address, B256};
pub use call::{CallEnd, CallLike};
use kept::{Kept, root_of_call_tracer};
use schemas::limits::evidence as limits;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    client::EvmClient,
    fleet::StateAt,
    route::RECEIPT,
    split::{Piece, Rest, Split},
};
use crate::{
    error::{Missing, NodeError, NodeErrorKind},
    fleet::Scope,
    http::Exchanged,
};

const DEBUG_BLOCK: &str = "debug_traceBlockByHash";
const DEBUG_TRANSACTION: &str = "debug_traceTransaction";
const PARITY_BLOCK: &str = "trace_block";
const PARITY_TRANSACTION: &str = "trace_transaction";
/// The methods that give traces of a block, and of a transaction.
pub(super) const WAYS: [[&str; 2]; 2] = [[DEBUG_BLOCK, PARITY_BLOCK], [DEBUG_TRANSACTION, PARITY_TRANSACTION]];
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

/// Whether a node says that it does not know what it is asked to trace: it may be behind, or on another branch. Nothing is wrong with
/// its method.
fn is_unknown(said: &str) -> bool {
    const WORDS: [&str; 7] = [
        "transaction not found",
        "cannot find transaction",
        "unknown transaction",
        "transaction indexing is in progress",
        "cannot find header",
        "trace is null for block",
        "block body not found",
    ];
    let said = said.to_ascii_lowercase();
    // geth names the block between these words.
    WORDS.iter().any(|word| said.contains(word)) || said.starts_with("block ") && said.ends_with(" not found")
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
                    NodeErrorKind::Rpc(_, said) if is_unknown(&said) => Err(NodeErrorKind::Empty),
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

/// A node's words, as much of them as is kept.
fn words(text: &str) -> String {
    text[..text.floor_char_boundary(limits::WORDS_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_say_in_words_that_they_do_not_know_a_block() {
        let said = [
            "transaction not found",
            "block 0x01 not found",
            "Cannot find header",
            "Trace is null for block 0x01",
            "block body not found",
        ];
        assert!(said.iter().all(|said| is_unknown(said)));
        assert!(!is_unknown("execution timeout") && !is_unknown("the method trace_block does not exist"));
    }
}
