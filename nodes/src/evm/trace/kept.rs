//! What is kept of traces while they come: of each transaction that is wanted its own, within bounds.
//!
//! Guarantee: a trace is kept for a transaction that it names, or in whose place it stands where traces name none; it begins with the
//! transaction's sender and receiver and shows that it failed.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use alloy_primitives::{Address, B256};
use schemas::limits::evidence as limits;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{BlockTraces, Style, Trace, Wanted, words};
use crate::evm::split::Piece;

/// What is kept of a block's traces while they come.
pub(super) struct Kept<'a> {
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
    pub(super) other_block: bool,
    /// What could not be read.
    odd: Option<String>,
}

impl<'a> Kept<'a> {
    pub(super) fn new(wanted: &'a [Wanted], style: Style, endpoint: Arc<str>) -> Self {
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
    pub(super) fn debug(&mut self, piece: Piece<'_>) {
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
    pub(super) fn parity(&mut self, block: B256, piece: Piece<'_>) {
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

    pub(super) fn finish(self) -> Result<BlockTraces, String> {
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
pub(super) struct Root {
    from: Option<Address>,
    to: Option<Address>,
    failed: bool,
}

impl Root {
    /// Whether it may be this transaction's, which failed.
    pub(super) fn fits(self, wanted: &Wanted) -> Result<(), String> {
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

pub(super) fn root_of_call_tracer(json: &[u8]) -> Result<Root, String> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
