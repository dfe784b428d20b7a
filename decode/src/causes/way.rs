//! The way from the transaction to the call that failed first (docs/causes.md).
//!
//! Followed is the last failed call whose data its caller handed on, down to the deepest; data that a caller wrapped into an error of
//! its own is known again inside of it. Where nothing came back, the call counts that was the last one that its caller made: one before
//! it was survived. Old geth (before 1.10.22) and others keep what inner calls gave back to themselves: there the last call counts too,
//! if it failed, but for texts with which a caller speaks of it.

use alloy_primitives::Address;

use super::{Failed, Frame, Table, said};

/// A call on the way, and who is who in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'f> {
    pub(super) frame: &'f Frame,
    /// On whose account the code runs; of a delegated call the caller's.
    pub(super) account: Option<Address>,
    /// `msg.sender`.
    pub(super) sender: Address,
}

impl<'f> Step<'f> {
    pub(super) fn first(frame: &'f Frame, tx: &Failed<'_>) -> Self {
        let sender = if frame.from.is_zero() { tx.from } else { frame.from };
        Self { frame, account: frame.to.or(tx.to), sender }
    }

    pub(super) fn on(&self, frame: &'f Frame) -> Self {
        match frame.kind.is_delegated() {
            true => Self { frame, ..*self },
            false => Self { frame, account: frame.to, sender: self.account.unwrap_or(frame.from) },
        }
    }
}

/// Whether a node's word is that of `REVERT` (EIP-140).
pub(super) fn is_revert(word: &str) -> bool {
    let starts = |with: &str| word.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    starts("execution reverted") || starts("revert") || starts("executionreverted")
}

pub(super) fn is_out_of_gas(word: &str) -> bool {
    let lower = word.to_ascii_lowercase().replace([' ', '_'], "");
    lower.contains("outofgas") || lower.contains("gasuint64overflow") || lower.contains("codestorageoutofgas")
}

/// Whether the word is one of calls that never began: what was called did nothing, and whoever called it failed.
pub(super) fn never_began(word: &str) -> bool {
    let plain: String = word.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    ["insufficientbalance", "outoffund", "notenoughbalance", "maxcalldepth", "calltoodeep", "calldepth"]
        .iter()
        .any(|start| plain.starts_with(start))
}

fn reverted(frame: &Frame) -> bool {
    frame.error.as_deref().is_some_and(is_revert)
}

/// Whether the trace keeps what inner calls gave back to itself.
fn hides(root: &Frame) -> bool {
    let mut open: Vec<&Frame> = root.calls.iter().collect();
    while let Some(frame) = open.pop() {
        if frame.error.is_some() && frame.output_told {
            return false;
        }
        open.extend(&frame.calls);
    }
    root.output.starts_with(&said::TEXT) && root.revert_reason.is_none()
}

/// Goes on from the last step to the call that failed first, and gives what it gave back.
pub(super) fn follow(steps: &mut Vec<Step<'_>>, table: &Table) -> Vec<u8> {
    let Some(root) = steps.last().map(|step| step.frame) else { return Vec::new() };
    let mut data = if reverted(root) { root.output.clone() } else { Vec::new() };
    let hidden = !data.is_empty() && hides(root) && !of_another(&data, table);
    let layers = said::read(&[], &data, table).layers;
    let mut at = root;
    while let Some(next) = next(at, &data, &layers, hidden) {
        if next.output_len > 0 {
            data.clone_from(&next.output);
        }
        if let Some(step) = steps.last().map(|step| step.on(next)) {
            steps.push(step);
        }
        at = next;
    }
    data
}

/// Whether a text is one with which a caller speaks of a call that it made.
fn of_another(data: &[u8], table: &Table) -> bool {
    match said::read(&[], data, table).said {
        said::Said::Text(text) => table.text(&text, None).is_some_and(|it| it.row.inner),
        _ => false,
    }
}

fn next<'f>(frame: &'f Frame, data: &[u8], layers: &[Vec<u8>], hidden: bool) -> Option<&'f Frame> {
    let failed = || frame.calls.iter().rev().filter(|call| call.error.is_some());
    let last = frame.calls.last().filter(|call| call.error.is_some());
    if !data.is_empty() {
        let same = |call: &&Frame| reverted(call) && call.output_len > 0 && call.output == data;
        let inside = |call: &&Frame| {
            reverted(call) && layers.iter().skip(1).any(|layer| !layer.is_empty() && call.output == *layer)
        };
        let proxied = |call: &&Frame| {
            call.kind.is_delegated()
                && call.input == frame.input
                && call.input_len == frame.input_len
                && !call.input.is_empty()
        };
        return failed()
            .find(same)
            .or_else(|| failed().find(inside))
            .or_else(|| last.filter(|call| reverted(call) && call.output_len == 0 && (hidden || proxied(call))));
    }
    let word = frame.error.as_deref().unwrap_or_default();
    let spent = |call: &Frame| !reverted(call);
    match word {
        word if is_revert(word) => last.filter(|call| call.output_len == 0),
        // What is left of the gas is too little for anything when a call used all of the rest.
        word if is_out_of_gas(word) => last.filter(|call| spent(call) && call.gas >= frame.gas / 2),
        _ => None,
    }
}
