//! Ready-made JSON with holes.
//!
//! Guarantee: serving a recorded block costs one pass of copying. What never changes between two appearances of a recorded
//! block is serialised once, compactly; what a simulated chain rewrites (block hash, parent hash, number, timestamp, state
//! root, transactions root, transactions' hashes and what carries their mark) is a hole, filled while copying. No JSON is built
//! or parsed per request.

use super::content::{Carrier, Mark};
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
    TransactionsRoot,
    /// The hash of a transaction, by its place in the block.
    Transaction(u32),
    /// What carries the mark of a transaction, by its place in the block.
    Carrier(u32),
}

/// Compact JSON, the places to fill in, and, when it is a list or holds one, where its items lie.
#[derive(Debug, Default)]
pub(crate) struct Template {
    text: Vec<u8>,
    /// Position in `text` and what goes there, ascending.
    holes: Vec<(usize, Hole)>,
    items: Vec<Item>,
    carriers: Vec<Option<Carrier>>,
}

#[derive(Clone, Debug)]
struct Item {
    text: Range<usize>,
    holes: Range<usize>,
}

/// The values of one block of the simulated chain, as the characters that go into the holes.
pub(crate) struct Fill<'a> {
    hash: [u8; 66],
    parent: [u8; 66],
    state_root: [u8; 66],
    transactions_root: [u8; 66],
    number: String,
    timestamp: String,
    /// Of the block's transactions, in their order.
    hashes: &'a [B256],
    /// `None`: transactions as they were recorded.
    mark: Option<[u8; 32]>,
}

/// The values of one block of the simulated chain.
pub(crate) struct Values<'a> {
    pub hash: B256,
    pub parent: B256,
    pub state_root: B256,
    pub transactions_root: B256,
    pub number: u64,
    /// Unix time in seconds.
    pub timestamp: u64,
    pub hashes: &'a [B256],
    pub mark: Option<Mark>,
}

impl<'a> Fill<'a> {
    pub(crate) fn new(values: &Values<'a>) -> Self {
        Self {
            hash: hex(&values.hash),
            parent: hex(&values.parent),
            state_root: hex(&values.state_root),
            transactions_root: hex(&values.transactions_root),
            number: format!("{:#x}", values.number),
            timestamp: format!("{:#x}", values.timestamp),
            hashes: values.hashes,
            mark: values.mark.map(|mark| {
                let mut digits = [0; 32];
                // The output is exactly twice the input: this cannot fail.
                let _ = const_hex::encode_to_slice(mark, &mut digits);
                digits
            }),
        }
    }

    fn write(&self, hole: Hole, carriers: &[Option<Carrier>], out: &mut Vec<u8>) {
        match hole {
            Hole::Hash => out.extend_from_slice(&self.hash),
            Hole::Parent => out.extend_from_slice(&self.parent),
            Hole::StateRoot => out.extend_from_slice(&self.state_root),
            Hole::TransactionsRoot => out.extend_from_slice(&self.transactions_root),
            Hole::Number => out.extend_from_slice(self.number.as_bytes()),
            Hole::Timestamp => out.extend_from_slice(self.timestamp.as_bytes()),
            // Both were made from the same list of transactions as the hole.
            Hole::Transaction(index) => out.extend_from_slice(&hex(&self.hashes[index as usize])),
            Hole::Carrier(index) => match (&carriers[index as usize], &self.mark) {
                (Some(carrier), Some(mark)) => {
                    out.extend_from_slice(carrier.before.as_bytes());
                    out.extend_from_slice(mark);
                }
                (Some(carrier), None) => out.extend_from_slice(carrier.recorded.as_bytes()),
                (None, _) => {}
            },
        }
    }
}

fn hex(hash: &B256) -> [u8; 66] {
    let mut out = [0; 66];
    out[..2].copy_from_slice(b"0x");
    // The output is exactly twice the input: this cannot fail.
    let _ = const_hex::encode_to_slice(hash, &mut out[2..]);
    out
}

/// Where in the block a value stands: it says which keys are holes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Block,
    /// The block's list of transactions.
    Transactions,
    /// A transaction, or its hash alone, by its place.
    Transaction(u32),
    /// The list of receipts.
    Receipts,
    /// A receipt, or what stands in it, by its place.
    Receipt(u32),
    /// Where there are no holes.
    Plain,
}

impl Scope {
    fn hole(self, key: &str, carriers: &[Option<Carrier>]) -> Option<Hole> {
        Some(match (self, key) {
            (Self::Block, "hash") | (Self::Transaction(_) | Self::Receipt(_), "blockHash") => Hole::Hash,
            (Self::Block, "number") | (Self::Transaction(_) | Self::Receipt(_), "blockNumber") => Hole::Number,
            (Self::Block, "timestamp") | (Self::Transaction(_) | Self::Receipt(_), "blockTimestamp") => Hole::Timestamp,
            (Self::Block, "parentHash") => Hole::Parent,
            (Self::Block, "stateRoot") => Hole::StateRoot,
            (Self::Block, "transactionsRoot") => Hole::TransactionsRoot,
            (Self::Transaction(n), "hash") | (Self::Receipt(n), "transactionHash") => Hole::Transaction(n),
            (Self::Transaction(n), key) => {
                carriers.get(n as usize)?.as_ref().filter(|carrier| carrier.key == key)?;
                Hole::Carrier(n)
            }
            _ => return None,
        })
    }

    /// The scope of what stands under `key`.
    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Block, "transactions") => Self::Transactions,
            (Self::Receipt(_), _) => self,
            _ => Self::Plain,
        }
    }

    /// The scope of a list's element.
    fn element(self, place: u32) -> Self {
        match self {
            Self::Transactions => Self::Transaction(place),
            Self::Receipts => Self::Receipt(place),
            Self::Receipt(_) => self,
            _ => Self::Plain,
        }
    }
}

impl Template {
    /// A block object; the elements of `transactions` are its items.
    pub(crate) fn block(block: &Value, carriers: &[Option<Carrier>]) -> Self {
        Self::of(block, Scope::Block, carriers)
    }

    /// A list of receipts; each is an item.
    pub(crate) fn receipts(receipts: &Value) -> Self {
        Self::of(receipts, Scope::Receipts, &[])
    }

    fn of(value: &Value, scope: Scope, carriers: &[Option<Carrier>]) -> Self {
        let mut template = Self { carriers: carriers.to_vec(), ..Self::default() };
        template.value(value, scope);
        template.text.shrink_to_fit();
        template.holes.shrink_to_fit();
        template
    }

    /// Appends the whole text.
    pub(crate) fn splice(&self, fill: &Fill<'_>, out: &mut Vec<u8>) {
        self.copy(0..self.text.len(), 0..self.holes.len(), fill, out);
    }

    /// Appends item `index` alone; `false` when there is none.
    pub(crate) fn splice_item(&self, index: usize, fill: &Fill<'_>, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.items.get(index) else { return false };
        self.copy(item.text.clone(), item.holes.clone(), fill, out);
        true
    }

    fn copy(&self, text: Range<usize>, holes: Range<usize>, fill: &Fill<'_>, out: &mut Vec<u8>) {
        out.reserve(text.len() + holes.len() * 66);
        let mut at = text.start;
        for (position, hole) in &self.holes[holes] {
            out.extend_from_slice(&self.text[at..*position]);
            fill.write(*hole, &self.carriers, out);
            at = *position;
        }
        out.extend_from_slice(&self.text[at..text.end]);
    }

    fn hole(&mut self, hole: Hole) {
        self.text.push(b'"');
        self.holes.push((self.text.len(), hole));
        self.text.push(b'"');
    }

    fn value(&mut self, value: &Value, scope: Scope) {
        match value {
            Value::Object(fields) => {
                self.text.push(b'{');
                for (n, (key, field)) in fields.iter().enumerate() {
                    if n > 0 {
                        self.text.push(b',');
                    }
                    self.plain(&Value::String(key.clone()));
                    self.text.push(b':');
                    match scope.hole(key, &self.carriers) {
                        Some(hole) if !field.is_null() => self.hole(hole),
                        _ => self.value(field, scope.under(key)),
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
                    self.value(element, scope.element(n as u32));
                    if matches!(scope, Scope::Transactions | Scope::Receipts) {
                        self.items.push(Item { text: text..self.text.len(), holes: holes..self.holes.len() });
                    }
                }
                self.text.push(b']');
            }
            other => match (other, scope) {
                // A transaction's hash in the place of the transaction.
                (Value::String(_), Scope::Transaction(place)) => self.hole(Hole::Transaction(place)),
                _ => self.plain(other),
            },
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

    const HASHES: [B256; 2] = [B256::repeat_byte(5), B256::repeat_byte(6)];

    fn fill(mark: Option<Mark>) -> Fill<'static> {
        let [hash, parent, state_root, transactions_root] = [1, 2, 3, 4].map(B256::repeat_byte);
        Fill::new(&Values {
            hash,
            parent,
            state_root,
            transactions_root,
            number: 255,
            timestamp: 4096,
            hashes: &HASHES,
            mark,
        })
    }

    fn parsed(out: &[u8]) -> Value {
        serde_json::from_slice(out).expect("valid JSON")
    }

    #[test]
    fn fills_what_a_chain_rewrites_and_nothing_else() {
        let block = json!({"hash": "0xa", "number": "0x1", "parentHash": "0xb", "stateRoot": "0xc", "timestamp": "0x2",
            "transactionsRoot": "0xd", "extraData": "0x", "transactions": [
                {"blockHash": "0xa", "blockNumber": "0x1", "hash": "0xff", "nonce": "0x0", "s": "0x123", "accessList": [{"hash": "0x9", "s": "0x8"}]},
                {"blockHash": null, "hash": "0xfe", "s": "0x7", "input": "quote \" and \\"}]});
        let carrier = Carrier { key: "s", recorded: "0x123".into(), before: "0x4".into() };
        let template = Template::block(&block, &[Some(carrier), None]);
        let [one, two, three, four] = [1, 2, 3, 4].map(B256::repeat_byte);
        let want = |s: &str| {
            json!({"hash": one, "number": "0xff", "parentHash": two, "stateRoot": three, "timestamp": "0x1000",
            "transactionsRoot": four, "extraData": "0x", "transactions": [
                {"blockHash": one, "blockNumber": "0xff", "hash": HASHES[0], "nonce": "0x0", "s": s, "accessList": [{"hash": "0x9", "s": "0x8"}]},
                {"blockHash": null, "hash": HASHES[1], "s": "0x7", "input": "quote \" and \\"}]})
        };
        let marked = format!("0x4{}", "ab".repeat(16));
        for (mark, s) in [(None, "0x123"), (Some([0xab; 16]), marked.as_str())] {
            let mut out = Vec::new();
            template.splice(&fill(mark), &mut out);
            assert_eq!(parsed(&out), want(s));
            out.clear();
            assert!(template.splice_item(0, &fill(mark), &mut out));
            assert_eq!(parsed(&out), want(s)["transactions"][0]);
            assert!(!template.splice_item(2, &fill(mark), &mut out));
        }
    }

    #[test]
    fn a_list_of_hashes_is_filled() {
        let template =
            Template::block(&json!({"hash": "0xa", "uncles": ["0xe"], "transactions": ["0xff", "0xfe"]}), &[]);
        let mut out = Vec::new();
        template.splice(&fill(None), &mut out);
        assert_eq!(parsed(&out), json!({"hash": B256::repeat_byte(1), "uncles": ["0xe"], "transactions": HASHES}));
    }

    #[test]
    fn receipts_are_items_and_their_logs_are_not() {
        let receipts = json!([{"blockHash": "0xa", "transactionHash": "0xff", "logs": [{"blockHash": "0xa", "blockTimestamp": "0x1"}, {}]},
            {"logs": [{"transactionHash": "0xfe"}]}]);
        let template = Template::receipts(&receipts);
        assert_eq!(template.items.len(), 2);
        let mut out = Vec::new();
        assert!(template.splice_item(0, &fill(None), &mut out));
        let got = parsed(&out);
        assert_eq!(got["logs"][0]["blockTimestamp"], "0x1000");
        assert_eq!(got["logs"][0]["blockHash"], got["blockHash"]);
        assert_eq!(got["transactionHash"], json!(HASHES[0]));
        out.clear();
        assert!(template.splice_item(1, &fill(None), &mut out));
        assert_eq!(parsed(&out)["logs"][0]["transactionHash"], json!(HASHES[1]));
    }
}
