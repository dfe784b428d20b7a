//! Blocks that are not in the chain: what a node that lies shows in place of one that is.

use super::super::faults::Forgery;
use super::{Body, Chain, Sealed};
use alloy_primitives::{B256, keccak256};

/// Beyond how often forks replace a height: branches that were never canonical and never will be.
const NEVER: u32 = 1 << 24;

impl Chain {
    /// A block at the height of `truth` that is not it, on top of `parent`; always the same for the same three.
    pub(crate) fn forged(&self, truth: &Sealed, forgery: Forgery, parent: B256) -> Sealed {
        let body = match forgery {
            Forgery::Header => Body {
                version: truth.version,
                recorded: truth.recorded,
                state_root: keccak256([truth.state_root.as_slice(), b"forged"].concat()),
                transactions_root: truth.transactions_root,
                mark: truth.mark,
            },
            Forgery::OldFork => self.body(truth.height, truth.version + NEVER),
            Forgery::OtherChain => self.body(truth.height, truth.version + 2 * NEVER),
        };
        self.seal(truth.height, body, parent)
    }

    /// The hash of another chain's block at `height`.
    pub(crate) fn foreign(&self, height: u64) -> B256 {
        keccak256([self.root().as_slice(), b"another chain", &height.to_be_bytes()].concat())
    }
}
