//! The chain as one call to one endpoint sees it: how far, and with which lies.
//!
//! Guarantee: an unknown block is `null`; whatever is told of a block is told of one block, whichever way it was asked for.

use super::Endpoint;
use super::chain::Sealed;
use super::faults::FaultKind;
use super::lies::falsify;
use super::recorded::{Form, quantity};
use super::rpc::{RpcError, error};
use alloy_primitives::B256;
use serde_json::Value;

pub(crate) struct View<'a> {
    endpoint: &'a Endpoint,
    /// A stale node knows nothing above.
    pub limit: u64,
    /// Whose receipts are shown.
    pub swap: Option<FaultKind>,
    /// What is wrong with lists of receipts.
    pub shape: Option<FaultKind>,
    /// Whether there are `safe` and `finalized`.
    pub finality: bool,
}

impl<'a> View<'a> {
    /// All of it.
    pub(crate) fn of(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, limit: u64::MAX, swap: None, shape: None, finality: true }
    }

    pub(crate) fn head(&self) -> u64 {
        self.endpoint.shared.chain().head().height.min(self.limit)
    }

    fn at(&self, height: u64) -> Option<Sealed> {
        let truth = if height > self.limit { None } else { self.endpoint.shared.chain().at(height) };
        truth.map(|truth| self.endpoint.told(truth))
    }

    /// The block below one.
    pub(crate) fn below(&self, block: &Sealed) -> Option<Sealed> {
        self.at(block.height.checked_sub(1)?)
    }

    /// The block above one, where that stands on it.
    pub(crate) fn above(&self, block: &Sealed) -> Option<Sealed> {
        self.at(block.height + 1).filter(|above| above.parent == block.hash)
    }

    pub(crate) fn by_hash(&self, hash: &B256) -> Option<Sealed> {
        if let Some(tale) = self.endpoint.tale(hash) {
            return Some(tale.block).filter(|block| block.height <= self.limit);
        }
        let block = self.endpoint.shared.chain().by_hash(hash).filter(|block| block.height <= self.limit)?;
        self.endpoint.forgery(block.height).is_none().then_some(block)
    }

    /// The height that a number or tag means; `None` when it is above the head.
    fn number(&self, which: &Value) -> Result<Option<u64>, RpcError> {
        let bad = || error(-32602, "invalid argument 0: want a hex quantity or a block tag");
        let text = which.as_str().ok_or_else(bad)?;
        let shared = &self.endpoint.shared;
        let (start, head) = shared.span();
        let head = head.min(self.limit);
        let behind = |depth: u64| {
            // As nodes answered that did not know these tags yet.
            let unknown = || error(-32602, "invalid argument 0: hex string without 0x prefix");
            if self.finality { Ok(head.saturating_sub(depth).max(start)) } else { Err(unknown()) }
        };
        let height = match text {
            "latest" | "pending" => head,
            "safe" => behind(shared.safe_depth)?,
            "finalized" => behind(shared.finality_depth)?,
            "earliest" => start,
            number => quantity(number).ok_or_else(bad)?,
        };
        Ok(Some(height).filter(|height| *height <= head))
    }

    /// A height or a tag.
    pub(crate) fn tagged(&self, which: &Value) -> Result<Option<Sealed>, RpcError> {
        Ok(self.number(which)?.and_then(|height| self.at(height)))
    }

    /// A height, a tag, a hash, or an object with one of them (EIP-1898).
    pub(crate) fn referred(&self, which: &Value) -> Result<Option<Sealed>, RpcError> {
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

    /// The height that such a reference means, whether there is a block or not.
    pub(crate) fn height(&self, which: &Value) -> Option<u64> {
        match which {
            Value::Object(fields) => self.height(fields.get("blockHash").or_else(|| fields.get("blockNumber"))?),
            Value::String(text) if text.len() == 66 => {
                let hash = text.parse().ok()?;
                let told = self.endpoint.tale(&hash).map(|tale| tale.block);
                told.or_else(|| self.endpoint.shared.chain().by_hash(&hash)).map(|block| block.height)
            }
            number => self.number(number).ok().flatten(),
        }
    }

    /// The block, as it is told, and the place in it of a transaction.
    pub(crate) fn find(&self, hash: &B256) -> Option<(Sealed, usize)> {
        match self.endpoint.shared.find(hash, self.limit) {
            Some((truth, place)) => {
                let told = self.endpoint.instead(truth);
                // In the place of its block there may be one that does not have it.
                (self.endpoint.hashes(&told).get(place) == Some(hash)).then_some((told, place))
            }
            None => {
                let (block, place) = self.endpoint.shared.known(hash)?;
                self.endpoint.tale(&block.hash).map(|tale| (tale.block, place))
            }
        }
    }

    pub(crate) fn write(&self, block: Option<Sealed>, form: Form, out: &mut Vec<u8>) {
        let Some(block) = block else { return out.extend_from_slice(b"null") };
        if form == Form::Full {
            self.endpoint.shared.chain().serve(&block);
        }
        if form == Form::Receipts {
            return self.write_receipts(block, None, out);
        }
        let recorded = &self.endpoint.shared.data.blocks()[block.recorded];
        self.endpoint.stats.served(form, recorded.facts().tx_count);
        recorded.write(form, &block.fill(&self.endpoint.hashes(&block)), out);
    }

    pub(crate) fn write_transaction(&self, hash: &B256, form: Form, out: &mut Vec<u8>) {
        match self.find(hash) {
            Some((block, place)) if form == Form::Receipts => self.write_receipts(block, Some(place), out),
            Some((block, place)) => {
                let hashes = self.endpoint.hashes(&block);
                let recorded = &self.endpoint.shared.data.blocks()[block.recorded];
                if !recorded.write_item(form, place, &block.fill(&hashes), out) {
                    out.extend_from_slice(b"null");
                }
            }
            None => out.extend_from_slice(b"null"),
        }
    }

    /// All receipts of a block, or the one at a place in it.
    fn write_receipts(&self, mut block: Sealed, place: Option<usize>, out: &mut Vec<u8>) {
        let blocks = self.endpoint.shared.data.blocks();
        match self.swap.filter(|_| place.is_none()) {
            Some(FaultKind::OtherBlock) => block = self.at(block.height.saturating_sub(1)).unwrap_or(block),
            Some(_) => block.recorded = (block.recorded + 1) % blocks.len(),
            None => {}
        }
        let recorded = &blocks[block.recorded];
        if place.is_none() {
            self.endpoint.stats.served(Form::Receipts, recorded.facts().tx_count);
        }
        let hashes = self.endpoint.hashes(&block);
        let fill = block.fill(&hashes);
        let lies = self.endpoint.faults.lies(block.height).into_iter().filter(|kind| kind.forgery().is_none());
        let wrong: Vec<FaultKind> = lies.chain(self.shape.filter(|_| place.is_none())).collect();
        if wrong.is_empty() {
            let written = match place {
                None => {
                    recorded.write(Form::Receipts, &fill, out);
                    true
                }
                Some(place) => recorded.write_item(Form::Receipts, place, &fill, out),
            };
            if !written {
                out.extend_from_slice(b"null");
            }
            return;
        }
        let mut text = Vec::new();
        recorded.write(Form::Receipts, &fill, &mut text);
        // It was made from a list of receipts.
        let mut receipts: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
        for kind in wrong {
            if falsify(&mut receipts, kind) {
                self.endpoint.faults.told(kind, block.height);
            }
        }
        let shown = match place {
            None => Value::Array(receipts),
            Some(place) => receipts.into_iter().nth(place).unwrap_or_default(),
        };
        out.extend_from_slice(shown.to_string().as_bytes());
    }
}
