//! Which client an endpoint plays: the methods that it has for why a transaction failed, and how it writes what it says.
//!
//! What each does is told of its source: go-ethereum `eth/tracers/native/call.go`, revm-inspectors (reth), Erigon's and Nethermind's
//! tracers, Besu pull request 9651 (what was before it), OpenEthereum's `trace` module.

use super::error::Error;
use std::fmt;
use std::str::FromStr;

/// A client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Client {
    /// `geth`: `debug_*`; items of a block name their transaction.
    #[default]
    Geth,
    /// `geth-old`: items of a block stand in their transaction's place; no `revertReason`.
    GethOld,
    /// `reth`: `debug_*` and `trace_*`; what failed of anything but a revert used all its gas, returned nothing.
    Reth,
    /// `erigon`: the same methods; what was returned stands beside the error of `trace_*`.
    Erigon,
    /// `nethermind`: the same methods; error words of its own, and `Reverted 0x…` in a call's error.
    Nethermind,
    /// `besu-old`: the same methods; no `revertReason` and no calls inside in `debug_*`, but one in `trace_*`.
    BesuOld,
    /// `parity`: `trace_*` alone, without what was returned.
    Parity,
    /// `none`: neither, only `eth_call`.
    None,
}

impl Client {
    /// All, as they are written.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Geth, "geth"),
        (Self::GethOld, "geth-old"),
        (Self::Reth, "reth"),
        (Self::Erigon, "erigon"),
        (Self::Nethermind, "nethermind"),
        (Self::BesuOld, "besu-old"),
        (Self::Parity, "parity"),
        (Self::None, "none"),
    ];

    /// Whether it has `debug_traceTransaction` and its like.
    pub(crate) fn debugs(self) -> bool {
        !matches!(self, Self::Parity | Self::None)
    }

    /// Whether it has `trace_transaction` and its like.
    pub(crate) fn traces(self) -> bool {
        !matches!(self, Self::Geth | Self::GethOld | Self::None)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(client, _)| client == self).map_or("", |(_, word)| word))
    }
}

impl FromStr for Client {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text).map(|(client, _)| *client);
        found.ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|(_, word)| *word).collect();
            Error::Setting(format!("client {text:?}: there are {}", words.join(", ")))
        })
    }
}
