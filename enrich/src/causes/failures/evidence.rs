//! What nodes tell of why a block's transactions failed: the best that there is of each.
//!
//! Guarantee: evidence is of the block's *hash* (rule 14). In this order, each for what the one before left open: the traces of the block,
//! in one question, where several failed; the trace of the transaction, whose receipt names the block afterwards; the transaction's call
//! at the parent's hash, which is approximate, and waits for traces that may come later. What nobody gives is said with why, so that whoever asks knows whether asking again can
//! help. No question goes without a turn ([`Turns`]), none where it is known that nobody can answer, and nothing is read without a bound (`schemas::limits::evidence`).

use std::future::Future;

use alloy_primitives::B256;
use decode::causes::{CallAnswer, Frame, TraceError, call_tracer, parity};
use nodes::{
    Class, NodeError, NodeErrorKind,
    evm::{
        fleet::{EvmFleet, StateAt},
        trace::{CallEnd, CallLike, Style, Trace, Wanted},
    },
};
use schemas::{limits::evidence as limits, records::EvmTransaction};

/// Failures of a block from which on the whole block's traces are asked for.
const MANY: usize = 2;

/// A block with transactions that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOfFailures {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// Whether it is not asked again: then calls stand in for traces that nodes may still give later.
    pub last: bool,
}

impl BlockOfFailures {
    fn at(&self) -> StateAt {
        StateAt { height: self.height, hash: self.hash }
    }
}

/// Who lets questions to nodes go.
pub trait Turns: Sync {
    /// Waits until one may go; false: none may any more.
    fn turn(&self) -> impl Future<Output = bool> + Send;
}

/// What there is of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Its trace.
    Trace {
        /// The outermost call.
        frame: Box<Frame>,
        /// False where calls inside are missing, since all of them would be too much.
        whole: bool,
    },
    /// How its call ended at the parent's state: approximate.
    Call(CallAnswer),
    /// Nothing.
    None(Why),
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// There was no turn left.
    Budget,
    /// Nodes did not answer, or asked to be left alone: asking again may help.
    Away(String),
    /// Nodes cannot give it: no such method, pruned, too large.
    Refused(String),
    /// No node has the transaction in this block: it was reverted, or they are behind.
    OtherBlock(String),
    /// The call does not fail at the parent's state.
    Returned,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Budget => f.write_str("the budget of questions to nodes is used up"),
            Self::Away(said) | Self::Refused(said) | Self::OtherBlock(said) => f.write_str(said),
            Self::Returned => f.write_str("the call does not fail at the state of the block's parent"),
        }
    }
}

/// What an error of all nodes is to whoever looks for evidence.
fn why(e: &NodeError) -> Why {
    let said = e.to_string();
    match (e.class(), &e.kind) {
        // What takes so long will take as long again.
        (_, NodeErrorKind::Timeout(_)) => Why::Refused(said),
        (Class::Empty | Class::NoBlock, _) => Why::OtherBlock(said),
        (Class::Missing, _)
        | (_, NodeErrorKind::TooLarge(_) | NodeErrorKind::Rpc(..) | NodeErrorKind::Malformed(_)) => Why::Refused(said),
        _ => Why::Away(said),
    }
}

/// The same of a header or a call, which cost little: a node that does not answer them may do so later.
fn why_not_yet(e: &NodeError) -> Why {
    match e.kind {
        NodeErrorKind::Timeout(_) => Why::Away(e.to_string()),
        _ => why(e),
    }
}

/// Nobody needs to be asked to know it.
fn nobody() -> Why {
    Why::Refused("no endpoint has traces there, as far as they have shown".into())
}

/// Of two reasons the one that leaves more open: what asking again may bring, then what a node said of this block.
fn worse(before: Option<Why>, now: Why) -> Why {
    let rank = |why: &Why| match why {
        Why::Budget => 0,
        Why::Away(_) => 1,
        Why::OtherBlock(_) => 2,
        Why::Returned => 3,
        Why::Refused(_) => 4,
    };
    match before {
        Some(before) if rank(&before) < rank(&now) => before,
        _ => now,
    }
}

fn read(trace: &Trace) -> Result<Evidence, TraceError> {
    let frame = match trace.style {
        Style::CallTracer => call_tracer(&trace.json),
        Style::Parity => parity(&trace.json),
    };
    Ok(Evidence::Trace { frame: Box::new(frame?), whole: trace.whole })
}

/// One transaction on its way down the ladder.
struct Open<'a> {
    of: &'a EvmTransaction,
    found: Option<Evidence>,
    why: Option<Why>,
}

impl Open<'_> {
    fn wanted(&self) -> Wanted {
        let of = self.of;
        Wanted { index: of.transaction_index, hash: of.hash, from: of.from_address, to: of.to_address }
    }

    fn like(&self) -> CallLike {
        let of = self.of;
        CallLike { from: of.from_address, to: of.to_address, input: of.input.clone(), value: of.value, gas: of.gas }
    }

    fn take(&mut self, trace: &Trace) {
        match read(trace) {
            Ok(evidence) => self.found = Some(evidence),
            Err(e) => self.fails(Why::Refused(format!("{}: {e}", trace.endpoint))),
        }
    }

    fn fails(&mut self, why: Why) {
        self.why = Some(worse(self.why.take(), why));
    }
}

/// The best that nodes give of each of these transactions of a block, in their order. Takes as long as nodes and turns do.
pub async fn evidence(
    nodes: &EvmFleet,
    block: &BlockOfFailures,
    failed: &[&EvmTransaction],
    turns: &impl Turns,
) -> Vec<Evidence> {
    let mut open: Vec<Open<'_>> = failed.iter().map(|of| Open { of, found: None, why: None }).collect();
    if open.len() >= MANY {
        by_block(nodes, block, &mut open, turns).await;
    }
    for one in open.iter_mut().filter(|one| one.found.is_none()) {
        by_hash(nodes, block, one, turns).await;
    }
    let mut parent = None;
    let later = |one: &Open<'_>| !block.last && matches!(one.why, Some(Why::Away(_) | Why::Budget));
    for one in open.iter_mut().filter(|one| one.found.is_none() && !later(one)) {
        by_call(nodes, block, &mut parent, one, turns).await;
    }
    let settle = |one: Open<'_>| one.found.unwrap_or_else(|| Evidence::None(one.why.unwrap_or(Why::Budget)));
    open.into_iter().map(settle).collect()
}

async fn by_block(nodes: &EvmFleet, block: &BlockOfFailures, open: &mut [Open<'_>], turns: &impl Turns) {
    for some in open.chunks_mut(limits::WANTED) {
        if !nodes.may_trace(block.height, true) {
            return some.iter_mut().for_each(|one| one.fails(nobody()));
        }
        if !turns.turn().await {
            return some.iter_mut().for_each(|one| one.fails(Why::Budget));
        }
        match nodes.trace_block(block.at(), some.iter().map(Open::wanted).collect()).await {
            Ok(traces) => {
                for (one, found) in some.iter_mut().zip(traces.of) {
                    match found {
                        Ok(trace) => one.take(&trace),
                        Err(said) => one.fails(Why::Refused(said)),
                    }
                }
            }
            Err(e) => {
                tracing::debug!(height = block.height, hash = %block.hash, error = %e, "no traces of a block");
                some.iter_mut().for_each(|one| one.fails(why(&e)));
            }
        }
    }
}

async fn by_hash(nodes: &EvmFleet, block: &BlockOfFailures, one: &mut Open<'_>, turns: &impl Turns) {
    if !nodes.may_trace(block.height, false) {
        return one.fails(nobody());
    }
    // The trace, and the receipt behind it.
    if !(turns.turn().await && turns.turn().await) {
        return one.fails(Why::Budget);
    }
    match nodes.trace_transaction(block.at(), one.wanted()).await {
        Ok(trace) => one.take(&trace),
        Err(e) => {
            tracing::debug!(transaction = %one.of.hash, error = %e, "no trace of a transaction");
            one.fails(why(&e));
        }
    }
}

async fn by_call(
    nodes: &EvmFleet,
    block: &BlockOfFailures,
    parent: &mut Option<B256>,
    one: &mut Open<'_>,
    turns: &impl Turns,
) {
    let Some(below) = block.height.checked_sub(1) else { return };
    let hash = match *parent {
        Some(hash) => hash,
        None => {
            if !turns.turn().await {
                return one.fails(Why::Budget);
            }
            match nodes.parent_of(block.at()).await {
                Ok(hash) => *parent.insert(hash),
                Err(e) => return one.fails(why_not_yet(&e)),
            }
        }
    };
    if !turns.turn().await {
        return one.fails(Why::Budget);
    }
    match nodes.call_at_parent(one.like(), StateAt { height: below, hash }).await {
        Ok(CallEnd::Failed { message, data }) => {
            one.found = Some(Evidence::Call(CallAnswer::Refused { message, data: data.to_vec() }));
        }
        Ok(CallEnd::Returned) => one.fails(Why::Returned),
        Err(e) => {
            tracing::debug!(transaction = %one.of.hash, error = %e, "no call at the parent");
            one.fails(why_not_yet(&e));
        }
    }
}
