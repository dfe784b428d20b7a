//! The kinds of faults and lies, and how they are written.

use super::super::error::Error;
use std::fmt;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// `slow:MS`: the answer comes that much later.
    Slow(Duration),
    /// `silent`: the request is taken, and nothing comes.
    Silent,
    /// `http403`, `http429[:RETRY_AFTER_S]`, `http500` …, `http5xx` (503): an HTTP error without a JSON-RPC answer.
    Http { status: u16, retry_after: Option<u64> },
    /// `html`: a page for people with status 200 in place of the answer.
    Html,
    /// `truncated`: the body ends half way through, and so does the connection.
    Truncated,
    /// `truncated-json`: half of the answer's JSON as a whole body.
    TruncatedJson,
    /// `interleaved`: another answer stands in the middle of the answer.
    Interleaved,
    /// `drip:BYTES_PER_S`: the body comes so slowly.
    Drip(u32),
    /// `closed`: the connection ends without an answer.
    Closed,
    /// `half-closed`: the node ends its half of the connection without an answer, and keeps the other open.
    HalfClosed,
    /// `refused`: nobody listens on the port, and what was connected is cut off.
    Refused,
    /// `no-batch`: a batch is refused as a whole.
    NoBatch,
    /// `batch:N`: a batch of more than N calls is refused as a whole.
    Batch(u32),
    /// `cut-batch`: the second half of a batch's answers is missing.
    CutBatch,
    /// `null-receipts`: receipts are `null`, although the block is there.
    NullReceipts,
    /// `empty-receipts`: a block's receipts are an empty list, although it has transactions.
    EmptyReceipts,
    /// `doubled-receipts`: each receipt of a block comes twice.
    DoubledReceipts,
    /// `null`: every result is `null`.
    Null,
    /// `empty`: receipts of a block are an empty list, everything else is `null`.
    Empty,
    /// `stale-head[:BACK]`: the node stays at the head of now, less BACK.
    StaleHead { back: u64 },
    /// `backwards`: for each block that the chain goes forward, the node goes one back from the head of now.
    Backwards,
    /// `two-views[:BY]`: every second call sees the chain BY blocks (10) lower, as behind a balancer.
    TwoViews { by: u64 },
    /// `wrong-chain[:ID]`: another chain id.
    WrongChain(u64),
    /// `no-finalized`: the tags `safe` and `finalized` are refused.
    NoFinalized,
    /// `rpc-error[:CODE]`: a JSON-RPC error, -32000 by default.
    RpcError(i64),
    /// `no-method`: -32601, as a node that does not know the method.
    NoMethod,
    /// `pruned`: traces and calls are refused, since the state is gone.
    Pruned,
    /// `trace-timeout`: traces take longer than the node allows; of a block each item says so.
    TraceTimeout,
    /// `other-trace`: the traces of the block below, or of the next transaction of the block.
    OtherTrace,
    /// `ws-drop`: a WebSocket is dropped in place of a head's notification.
    WsDrop,
    /// `lying`: another block's receipts, with the hash and number of the block that was asked for.
    Lying,
    /// `other-block`: the receipts of the block below, as they are.
    OtherBlock,
    /// `dropped-receipt`: a block's last receipt is missing.
    DroppedReceipt,
    /// `changed-log`: one digit in a log of a block is another; blooms hold, the receipts' root does not.
    ChangedLog,
    /// `other-chain`: another chain's block, whole in itself, that does not link to ours.
    OtherChain,
    /// `old-fork`: a block of a branch that was left, whole in itself, with other transactions.
    OldFork,
    /// `forged-header`: the block with another state root, and so another hash; its transactions and receipts and their roots hold.
    ForgedHeader,
}

/// Where in a request's course a fault acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On the port.
    Listen,
    /// On the HTTP answer as a whole.
    Http,
    /// On one JSON-RPC call.
    Call,
    /// On a notification of a new head.
    Notify,
    /// On what is told of a block: a lie, the same to everybody who asks.
    Block,
}

/// What is forged of a block, so that it has another hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Forgery {
    OtherChain,
    OldFork,
    Header,
}

/// Words without an argument.
const WORDS: [(&str, FaultKind); 29] = [
    ("silent", FaultKind::Silent),
    ("html", FaultKind::Html),
    ("truncated", FaultKind::Truncated),
    ("truncated-json", FaultKind::TruncatedJson),
    ("interleaved", FaultKind::Interleaved),
    ("closed", FaultKind::Closed),
    ("half-closed", FaultKind::HalfClosed),
    ("refused", FaultKind::Refused),
    ("no-batch", FaultKind::NoBatch),
    ("cut-batch", FaultKind::CutBatch),
    ("null-receipts", FaultKind::NullReceipts),
    ("empty-receipts", FaultKind::EmptyReceipts),
    ("doubled-receipts", FaultKind::DoubledReceipts),
    ("null", FaultKind::Null),
    ("empty", FaultKind::Empty),
    ("backwards", FaultKind::Backwards),
    ("no-finalized", FaultKind::NoFinalized),
    ("no-method", FaultKind::NoMethod),
    ("pruned", FaultKind::Pruned),
    ("trace-timeout", FaultKind::TraceTimeout),
    ("other-trace", FaultKind::OtherTrace),
    ("ws-drop", FaultKind::WsDrop),
    ("lying", FaultKind::Lying),
    ("other-block", FaultKind::OtherBlock),
    ("dropped-receipt", FaultKind::DroppedReceipt),
    ("changed-log", FaultKind::ChangedLog),
    ("other-chain", FaultKind::OtherChain),
    ("old-fork", FaultKind::OldFork),
    ("forged-header", FaultKind::ForgedHeader),
];

impl FaultKind {
    /// Reads a word and its argument. `text`: the whole, for messages.
    pub(super) fn read(name: &str, argument: Option<&str>, text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Fault { text: text.to_owned(), what: what.to_owned() };
        let number = |default: Option<i64>| match argument {
            Some(argument) => argument.parse::<i64>().map_err(|_| bad("the argument is no whole number")),
            None => default.ok_or_else(|| bad("an argument is missing")),
        };
        let natural = |default| number(default).and_then(|n| u64::try_from(n).map_err(|_| bad("negative argument")));
        let counted = || match natural(None).map(u32::try_from)? {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(bad("the argument is a whole number from 1 on")),
        };
        if let Some((_, kind)) = WORDS.iter().find(|(word, _)| *word == name) {
            return if argument.is_none() { Ok(*kind) } else { Err(bad("this takes no argument")) };
        }
        Ok(match name {
            "slow" => Self::Slow(Duration::from_millis(natural(None)?)),
            "drip" => Self::Drip(counted()?),
            "batch" => Self::Batch(counted()?),
            "stale-head" => Self::StaleHead { back: natural(Some(0))? },
            "two-views" => Self::TwoViews { by: natural(Some(10))? },
            "wrong-chain" => Self::WrongChain(natural(Some(31_337))?),
            "rpc-error" => Self::RpcError(number(Some(-32_000))?),
            "http5xx" => Self::Http { status: 503, retry_after: None },
            "http429" => Self::Http { status: 429, retry_after: Some(natural(Some(1))?) },
            other => match other.strip_prefix("http").and_then(|status| status.parse().ok()) {
                Some(status @ 400..=599) => Self::Http { status, retry_after: None },
                _ => return Err(bad(&known())),
            },
        })
    }

    /// Where it acts.
    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Refused => Stage::Listen,
            Self::Slow(_)
            | Self::Silent
            | Self::Http { .. }
            | Self::Html
            | Self::Truncated
            | Self::TruncatedJson
            | Self::Interleaved
            | Self::Drip(_)
            | Self::Closed
            | Self::HalfClosed
            | Self::NoBatch
            | Self::Batch(_)
            | Self::CutBatch => Stage::Http,
            Self::WsDrop => Stage::Notify,
            Self::DroppedReceipt | Self::ChangedLog => Stage::Block,
            kind if kind.forgery().is_some() => Stage::Block,
            _ => Stage::Call,
        }
    }

    /// What it forges of a block, if it forges one.
    pub(crate) fn forgery(self) -> Option<Forgery> {
        match self {
            Self::OtherChain => Some(Forgery::OtherChain),
            Self::OldFork => Some(Forgery::OldFork),
            Self::ForgedHeader => Some(Forgery::Header),
            _ => None,
        }
    }
}

/// All kinds, for messages.
fn known() -> String {
    let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
    format!(
        "there are slow:MS, drip:BYTES_PER_S, http403, http429[:S], http5xx, httpNNN, batch:N, stale-head[:BACK], \
         two-views[:BY], wrong-chain[:ID], rpc-error[:CODE], {}",
        words.join(", ")
    )
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(by) => write!(f, "slow:{}", by.as_millis()),
            Self::Http { status, retry_after: Some(s) } => write!(f, "http{status}:{s}"),
            Self::Http { status, retry_after: None } => write!(f, "http{status}"),
            Self::Drip(rate) => write!(f, "drip:{rate}"),
            Self::Batch(most) => write!(f, "batch:{most}"),
            Self::StaleHead { back } => write!(f, "stale-head:{back}"),
            Self::TwoViews { by } => write!(f, "two-views:{by}"),
            Self::WrongChain(id) => write!(f, "wrong-chain:{id}"),
            Self::RpcError(code) => write!(f, "rpc-error:{code}"),
            kind => {
                // Every kind without an argument has a word.
                f.write_str(WORDS.iter().find(|(_, known)| known == kind).map_or("", |(word, _)| word))
            }
        }
    }
}
