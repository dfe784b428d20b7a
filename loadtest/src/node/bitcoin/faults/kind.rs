//! The kinds of faults and lies, and how they are written.

use super::super::Error;
use std::fmt;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// `slow:MS`: the answer comes that much later.
    Slow(Duration),
    /// `silent`: the call is taken, and nothing comes.
    Silent,
    /// `closed`: the connection ends without an answer.
    Closed,
    /// `half-closed`: the server ends its half of the connection without an answer, and keeps the other open.
    HalfClosed,
    /// `truncated`: half of the answer comes, then the connection ends.
    Truncated,
    /// `drip:BYTES_PER_S`: the answer comes so slowly.
    Drip(u32),
    /// `garbage`: what comes is no JSON; of a block half of its bytes.
    Garbage,
    /// `rpc-error[:CODE]`: a JSON-RPC error, -1 by default.
    RpcError(i64),
    /// `no-method`: -32601, as a server that does not know the method.
    NoMethod,
    /// `http401`, `http503` …: an HTTP error in the place of an answer. Core only.
    Http(u16),
    /// `busy`: -102, as ElectrumX when a request takes too long.
    Busy,
    /// `excessive`: -101, and the connection ends.
    Excessive,
    /// `changed-transaction`: a byte of the block's last transaction is another; the merkle root does not hold.
    ChangedTransaction,
    /// `doubled-transactions`: the block's last transactions come twice, as CVE-2012-2459 has it: its merkle root holds.
    DoubledTransactions,
    /// `long-line`: a line without an end, of 64 MiB. Electrum only.
    LongLine,
    /// `refused`: nobody listens on the port, and what was connected is cut off.
    Refused,
    /// `stale-tip[:BACK]`: the server stays at the head of now, less BACK.
    StaleTip(u64),
    /// `other-branch[:DEPTH]`: it follows a branch of its own that left the chain DEPTH (1) below the head of now, as high as the chain.
    OtherBranch(u64),
    /// `unlinked`: so does it, but its first block links to none.
    Unlinked,
    /// `no-work`: so does it, but its blocks do not meet their target.
    NoWork,
    /// `shifted[:BY]`: it says that each block above the BY (5) lowest is BY higher than it is. Electrum only.
    Shifted(u64),
    /// `wrong-genesis`: it says that it has another first block.
    WrongGenesis,
    /// `warm-up`: -28 for everything, as a node that starts; of an Electrum server an unavailable index.
    WarmUp,
    /// `syncing`: it says that it is in its initial download.
    Syncing,
    /// `pruned`: blocks are gone but the last ten.
    Pruned,
    /// `no-prevouts`: nothing tells what is spent.
    NoPrevouts,
    /// `history-too-large`: so is every script's. Electrum only.
    HistoryTooLarge,
    /// `mute`: no notification comes; whoever asks is answered. Electrum only.
    Mute,
    /// `flood:N`: each notification comes N times. Electrum only.
    Flood(u32),
}

/// Where a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To an answer.
    Call,
    /// To the server, as long as it is so.
    State,
}

impl FaultKind {
    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Slow(_)
            | Self::Silent
            | Self::Closed
            | Self::HalfClosed
            | Self::Truncated
            | Self::Drip(_)
            | Self::Garbage
            | Self::RpcError(_)
            | Self::NoMethod
            | Self::Http(_)
            | Self::Busy
            | Self::Excessive
            | Self::ChangedTransaction
            | Self::DoubledTransactions
            | Self::LongLine => Stage::Call,
            Self::Refused
            | Self::StaleTip(_)
            | Self::OtherBranch(_)
            | Self::Unlinked
            | Self::NoWork
            | Self::Shifted(_)
            | Self::WrongGenesis
            | Self::WarmUp
            | Self::Syncing
            | Self::Pruned
            | Self::NoPrevouts
            | Self::HistoryTooLarge
            | Self::Mute
            | Self::Flood(_) => Stage::State,
        }
    }

    pub(crate) fn read(name: &str, argument: Option<&str>, text: &str) -> Result<Self, Error> {
        let bad = |what: &str| Error::Fault { text: text.to_owned(), what: what.to_owned() };
        let natural = |default: Option<u64>| match (argument, default) {
            (Some(number), _) => number.parse::<u64>().map_err(|_| bad("after the colon belongs a whole number")),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(bad("it wants a number behind a colon")),
        };
        let small =
            || natural(None).and_then(|n| u32::try_from(n).map_err(|_| bad("so large a number is not possible")));
        let kind = match name {
            "slow" => return Ok(Self::Slow(Duration::from_millis(natural(None)?))),
            "drip" => return Ok(Self::Drip(small()?.max(1))),
            "flood" => return Ok(Self::Flood(small()?)),
            "stale-tip" => return Ok(Self::StaleTip(natural(Some(0))?)),
            "other-branch" => return Ok(Self::OtherBranch(natural(Some(1))?.max(1))),
            "shifted" => return Ok(Self::Shifted(natural(Some(5))?)),
            "rpc-error" => {
                let code = argument.map_or(Ok(-1), |code| code.parse().map_err(|_| bad("a code is a number")));
                return Ok(Self::RpcError(code?));
            }
            "silent" => Self::Silent,
            "closed" => Self::Closed,
            "half-closed" => Self::HalfClosed,
            "truncated" => Self::Truncated,
            "garbage" => Self::Garbage,
            "no-method" => Self::NoMethod,
            "busy" => Self::Busy,
            "excessive" => Self::Excessive,
            "changed-transaction" => Self::ChangedTransaction,
            "doubled-transactions" => Self::DoubledTransactions,
            "long-line" => Self::LongLine,
            "refused" => Self::Refused,
            "unlinked" => Self::Unlinked,
            "no-work" => Self::NoWork,
            "wrong-genesis" => Self::WrongGenesis,
            "warm-up" => Self::WarmUp,
            "syncing" => Self::Syncing,
            "pruned" => Self::Pruned,
            "no-prevouts" => Self::NoPrevouts,
            "history-too-large" => Self::HistoryTooLarge,
            "mute" => Self::Mute,
            _ => match name.strip_prefix("http").and_then(|status| status.parse::<u16>().ok()) {
                Some(status @ 400..=599) => Self::Http(status),
                _ => return Err(bad("there is no such fault; loadtest/README.md lists them")),
            },
        };
        if argument.is_some() { Err(bad("it takes no argument")) } else { Ok(kind) }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Slow(time) => return write!(f, "slow:{}", time.as_millis()),
            Self::Drip(rate) => return write!(f, "drip:{rate}"),
            Self::Flood(times) => return write!(f, "flood:{times}"),
            Self::StaleTip(0) => "stale-tip",
            Self::StaleTip(back) => return write!(f, "stale-tip:{back}"),
            Self::OtherBranch(1) => "other-branch",
            Self::OtherBranch(depth) => return write!(f, "other-branch:{depth}"),
            Self::Shifted(by) => return write!(f, "shifted:{by}"),
            Self::RpcError(code) => return write!(f, "rpc-error:{code}"),
            Self::Http(status) => return write!(f, "http{status}"),
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::HalfClosed => "half-closed",
            Self::Truncated => "truncated",
            Self::Garbage => "garbage",
            Self::NoMethod => "no-method",
            Self::Busy => "busy",
            Self::Excessive => "excessive",
            Self::ChangedTransaction => "changed-transaction",
            Self::DoubledTransactions => "doubled-transactions",
            Self::LongLine => "long-line",
            Self::Refused => "refused",
            Self::Unlinked => "unlinked",
            Self::NoWork => "no-work",
            Self::WrongGenesis => "wrong-genesis",
            Self::WarmUp => "warm-up",
            Self::Syncing => "syncing",
            Self::Pruned => "pruned",
            Self::NoPrevouts => "no-prevouts",
            Self::HistoryTooLarge => "history-too-large",
            Self::Mute => "mute",
        };
        f.write_str(word)
    }
}
