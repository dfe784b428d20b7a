//! Ready-made JSON with holes.
//!
//! Guarantee: serving a recorded block costs one pass of copying. What never changes between two appearances of a recorded
//! block is serialised once, compactly; what a simulated chain rewrites (block hash, parent hash, number, timestamp, state
//! root) is a hole, filled while copying. No JSON is built or parsed per request.

use alloy_primitives::B256;
use serde_json::Value;
use std::ops::Range;

/// What is filled in while a template is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    Hash,
    Parent,
    Number,
    Timestamp,
    StateRoot,
}

/// Compact JSON, the places to fill in, and, when it is a list or holds one, where its items lie.
#[derive(Debug, Default)]
pub(crate) struct Template {
    text: Vec<u8>,
    /// Position in `text` and what goes there, ascending.
    holes: Vec<(usize, Hole)>,
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    text: Range<usize>,
    holes: Range<usize>,
}

/// The values of one block of the simulated chain, as the characters that go into the holes.
pub(crate) struct Fill {
    hash: [u8; 66],
    parent: [u8; 66],
    state_root: [u8; 66],
    number: String,
    timestamp: String,
}

impl Fill {
    pub(crate) fn new(hash: B256, parent: B256, state_root: B256, number: u64, timestamp: u64) -> Self {
        Self {
            hash: hex(hash),
            parent: hex(parent),
            state_root: hex(state_root),
            number: format!("{number:#x}"),
            timestamp: format!("{timestamp:#x}"),
        }
    }

    fn of(&self, hole: Hole) -> &[u8] {
        match hole {
            Hole::Hash => &self.hash,
            Hole::Parent => &self.parent,
            Hole::StateRoot => &self.state_root,
            Hole::Number => self.number.as_bytes(),
            Hole::Timestamp => self.timestamp.as_bytes(),
        }
    }
}

fn hex(hash: B256) -> [u8; 66] {
    let mut out = [0; 66];
    out[..2].copy_from_slice(b"0x");
    // The output is exactly twice the input: this cannot fail.
    let _ = const_hex::encode_to_slice(hash, &mut out[2..]);
    out
}

/// Which keys are holes: a block's own, or those of what it contains (transactions, receipts, logs).
#[derive(Clone, Copy)]
enum Scope {
    Block,
    Child,
}

impl Scope {
    fn hole(self, key: &str) -> Option<Hole> {
        Some(match (self, key) {
            (Self::Block, "hash") | (Self::Child, "blockHash") => Hole::Hash,
            (Self::Block, "number") | (Self::Child, "blockNumber") => Hole::Number,
            (Self::Block, "timestamp") | (Self::Child, "blockTimestamp") => Hole::Timestamp,
            (Self::Block, "parentHash") => Hole::Parent,
            (Self::Block, "stateRoot") => Hole::StateRoot,
            _ => return None,
        })
    }
}

impl Template {
    /// A block object; the elements of `transactions` are its items.
    pub(crate) fn block(block: &Value) -> Self {
        let mut template = Self::default();
        template.value(block, Scope::Block, false);
        template.shrunk()
    }

    /// A list of receipts; each is an item.
    pub(crate) fn receipts(receipts: &Value) -> Self {
        let mut template = Self::default();
        template.value(receipts, Scope::Child, true);
        template.shrunk()
    }

    /// Appends the whole text.
    pub(crate) fn splice(&self, fill: &Fill, out: &mut Vec<u8>) {
        self.copy(0..self.text.len(), 0..self.holes.len(), fill, out);
    }

    /// Appends item `index` alone; `false` when there is none.
    pub(crate) fn splice_item(&self, index: usize, fill: &Fill, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.items.get(index) else { return false };
        self.copy(item.text.clone(), item.holes.clone(), fill, out);
        true
    }

    fn copy(&self, text: Range<usize>, holes: Range<usize>, fill: &Fill, out: &mut Vec<u8>) {
        out.reserve(text.len() + holes.len() * 66);
        let mut at = text.start;
        for (position, hole) in &self.holes[holes] {
            out.extend_from_slice(&self.text[at..*position]);
            out.extend_from_slice(fill.of(*hole));
            at = *position;
        }
        out.extend_from_slice(&self.text[at..text.end]);
    }

    fn shrunk(mut self) -> Self {
        self.text.shrink_to_fit();
        self.holes.shrink_to_fit();
        self
    }

    /// `listed`: if it is a list, its elements are the items.
    fn value(&mut self, value: &Value, scope: Scope, listed: bool) {
        match value {
            Value::Object(fields) => {
                self.text.push(b'{');
                for (n, (key, field)) in fields.iter().enumerate() {
                    if n > 0 {
                        self.text.push(b',');
                    }
                    self.plain(&Value::String(key.clone()));
                    self.text.push(b':');
                    match scope.hole(key) {
                        Some(hole) if !field.is_null() => {
                            self.text.push(b'"');
                            self.holes.push((self.text.len(), hole));
                            self.text.push(b'"');
                        }
                        _ => self.value(field, Scope::Child, matches!(scope, Scope::Block) && key == "transactions"),
                    }
                }
                self.text.push(b'}');
            }
            Value::Array(elements) => {
                self.text.push(b'[');
                for (n, element) in elements.iter().enumerate() {
                    if n > 0 {
                        self.text.push(b',');
                    }
                    let (text, holes) = (self.text.len(), self.holes.len());
                    self.value(element, Scope::Child, false);
                    if listed {
                        self.items.push(Item { text: text..self.text.len(), holes: holes..self.holes.len() });
                    }
                }
                self.text.push(b']');
            }
            other => self.plain(other),
        }
    }

    fn plain(&mut self, value: &Value) {
        self.text.extend_from_slice(value.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fill() -> Fill {
        Fill::new(B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3), 255, 4096)
    }

    #[test]
    fn fills_what_a_chain_rewrites_and_nothing_else() {
        let block = json!({"hash": "0xa", "number": "0x1", "parentHash": "0xb", "stateRoot": "0xc", "timestamp": "0x2",
            "extraData": "0x", "transactions": [
                {"blockHash": "0xa", "blockNumber": "0x1", "hash": "0xff", "nonce": "0x0"},
                {"blockHash": null, "hash": "0xfe", "input": "quote \" and \\"}]});
        let template = Template::block(&block);
        let mut out = Vec::new();
        template.splice(&fill(), &mut out);
        let got: Value = serde_json::from_slice(&out).expect("valid JSON");
        let (one, two, three) = (B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3));
        assert_eq!(
            got,
            json!({"hash": one, "number": "0xff", "parentHash": two, "stateRoot": three, "timestamp": "0x1000",
            "extraData": "0x", "transactions": [
                {"blockHash": one, "blockNumber": "0xff", "hash": "0xff", "nonce": "0x0"},
                {"blockHash": null, "hash": "0xfe", "input": "quote \" and \\"}]})
        );
        out.clear();
        assert!(template.splice_item(0, &fill(), &mut out));
        assert_eq!(serde_json::from_slice::<Value>(&out).expect("valid JSON"), got["transactions"][0]);
        assert!(!template.splice_item(2, &fill(), &mut out));
    }

    #[test]
    fn receipts_are_items_and_their_logs_are_not() {
        let receipts =
            json!([{"blockHash": "0xa", "logs": [{"blockHash": "0xa", "blockTimestamp": "0x1"}, {}]}, {"logs": []}]);
        let template = Template::receipts(&receipts);
        assert_eq!(template.items.len(), 2);
        let mut out = Vec::new();
        assert!(template.splice_item(0, &fill(), &mut out));
        let got: Value = serde_json::from_slice(&out).expect("valid JSON");
        assert_eq!(got["logs"][0]["blockTimestamp"], "0x1000");
        assert_eq!(got["logs"][0]["blockHash"], got["blockHash"]);
    }
}
