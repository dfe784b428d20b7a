//! One recorded block's transactions, prepared for replay at any height.
//!
//! Guarantee: the first time, transactions but the coinbase are as they were recorded; later, and on every other branch, the ids of the
//! outputs that they spend carry a mark, and those of the same block follow, so that no transaction has the id of another. The
//! coinbase has the height (BIP-34) and the mark in its script always. Merkle root and witness commitment (BIP-141) follow from
//! what is there. Signatures do not hold: nobody checks them but a node.

use super::prevout::{self, Origin, Prevout};
use super::wire::{Hash, Transaction, compact, merkle_root, sha256d, transactions, txid};
use axum::body::Bytes;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// What makes a block's transactions differ from those of the same recorded block elsewhere.
pub(crate) type Mark = [u8; 16];

/// How a coinbase's script may be at most, and what of it the mark takes.
const SCRIPT_BYTES: usize = 100;
const MARK_BYTES: usize = 9;
/// What the output with the witness commitment begins with (BIP-141).
const COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// A recorded block.
#[derive(Debug)]
pub(crate) struct Recorded {
    coinbase: Coinbase,
    /// The other transactions, one after the other.
    rest: Vec<u8>,
    shapes: Vec<Shape>,
    /// What is spent, as Core writes it.
    pub undo: Bytes,
    /// Where each spent output comes from, in the order of the inputs.
    pub origins: Arc<[Origin]>,
}

/// One of the other transactions.
#[derive(Debug)]
struct Shape {
    /// Where it stands in `rest`.
    span: Range<usize>,
    /// Where its witnesses begin in it.
    witnesses: Option<usize>,
    /// Where its outpoints stand in `rest`, and which of the others they are of.
    outpoints: Vec<(usize, Option<usize>)>,
}

/// A coinbase in parts.
#[derive(Debug)]
struct Coinbase {
    version: u32,
    /// Its script behind the height.
    script: Vec<u8>,
    sequence: u32,
    /// Number of outputs, and outputs.
    outputs: Vec<u8>,
    /// Where in `outputs` the commitment's hash stands.
    commitment: Option<usize>,
    /// Its input's witness as it is serialized, and the item in it.
    witness: Option<(Vec<u8>, Vec<u8>)>,
    lock_time: u32,
}

/// A block's transactions at a height.
pub(crate) struct Body {
    /// Number of transactions, and transactions.
    pub bytes: Vec<u8>,
    pub txids: Vec<Hash>,
    /// Where each transaction stands in `bytes`.
    pub spans: Vec<Range<usize>>,
    pub root: Hash,
}

impl Recorded {
    /// Reads a block with its header.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, String> {
        let (header, body) = raw.split_at_checked(80).ok_or("shorter than a header")?;
        let version = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let all = transactions(body)?;
        let (first, others) = all.split_first().ok_or("no transactions")?;
        let root = merkle_root(all.iter().map(Transaction::txid).collect());
        if root != header[36..68] {
            return Err("the merkle root does not hold".into());
        }
        let (mut rest, mut shapes) = (Vec::new(), Vec::with_capacity(others.len()));
        let mut known: HashMap<Hash, usize> = HashMap::new();
        let (mut spent, mut origins) = (vec![Vec::new()], Vec::new());
        for (n, transaction) in others.iter().enumerate() {
            let from = rest.len();
            let parent = |input: &super::wire::Input<'_>| known.get(&input.spent).copied();
            let inside = transaction.inputs.iter().map(|input| {
                let output = others[parent(input)?].outputs.get(input.index as usize)?;
                let origin = Origin { back: 0, coinbase: false };
                Some(Prevout { value: output.value, script: output.script.to_vec(), origin })
            });
            let of_it = prevout::spent(transaction, inside.collect());
            origins.extend(of_it.iter().map(|prevout| prevout.origin));
            spent.push(of_it);
            shapes.push(Shape {
                span: from..from + transaction.raw.len(),
                witnesses: transaction.witnesses,
                outpoints: transaction.inputs.iter().map(|input| (from + input.at, parent(input))).collect(),
            });
            rest.extend_from_slice(transaction.raw);
            known.insert(transaction.txid(), n);
        }
        let coinbase = Coinbase::of(first, version)?;
        Ok(Self { coinbase, rest, shapes, undo: prevout::undo(&spent), origins: origins.into() })
    }

    /// How many transactions it has.
    pub(crate) fn count(&self) -> u64 {
        1 + self.shapes.len() as u64
    }

    /// Its transactions at a height. `again`: not as they were recorded.
    pub(crate) fn body(&self, height: u64, mark: &Mark, again: bool) -> Body {
        let mut rest = self.rest.clone();
        let mut txids: Vec<Hash> = Vec::with_capacity(1 + self.shapes.len());
        txids.push([0; 32]);
        for shape in &self.shapes {
            for (at, parent) in shape.outpoints.iter().filter(|_| again) {
                let place = &mut rest[*at..*at + 32];
                match parent {
                    // Behind the coinbase.
                    Some(parent) => place.copy_from_slice(&txids[1 + *parent]),
                    None => place.iter_mut().zip(mark).for_each(|(byte, mark)| *byte ^= mark),
                }
            }
            txids.push(txid(&rest[shape.span.clone()], shape.witnesses));
        }
        let root = || {
            let of = |(shape, txid): (&Shape, &Hash)| match shape.witnesses {
                Some(_) => sha256d(&[&rest[shape.span.clone()]]),
                None => *txid,
            };
            let others = self.shapes.iter().zip(&txids[1..]).map(of);
            merkle_root(std::iter::once([0; 32]).chain(others).collect())
        };
        let (coinbase, witnesses) = self.coinbase.at(height, mark, root);
        txids[0] = txid(&coinbase, witnesses);
        let mut bytes = Vec::with_capacity(rest.len() + coinbase.len() + 3);
        compact(txids.len(), &mut bytes);
        let start = bytes.len() + coinbase.len();
        let others = self.shapes.iter().map(|shape| start + shape.span.start..start + shape.span.end);
        let spans = std::iter::once(bytes.len()..start).chain(others).collect();
        bytes.extend_from_slice(&coinbase);
        bytes.extend_from_slice(&rest);
        Body { bytes, root: merkle_root(txids.clone()), txids, spans }
    }
}

impl Coinbase {
    fn of(transaction: &Transaction<'_>, version: u32) -> Result<Self, String> {
        let [input] = transaction.inputs.as_slice() else { return Err("a coinbase with other than one input".into()) };
        // Since version 2 a push of the height comes first (BIP-34).
        let height = match input.script.first().copied() {
            Some(n @ 1..=8) if version >= 2 => 1 + usize::from(n),
            _ => 0,
        };
        let (mut outputs, mut commitment) = (Vec::new(), None);
        compact(transaction.outputs.len(), &mut outputs);
        for output in &transaction.outputs {
            outputs.extend_from_slice(&output.value.to_le_bytes());
            compact(output.script.len(), &mut outputs);
            if output.script.len() >= 38 && output.script.starts_with(&COMMITMENT) {
                commitment = Some(outputs.len() + COMMITMENT.len());
            }
            outputs.extend_from_slice(output.script);
        }
        let witness = transaction.witnesses.map(|at| {
            let serialized = transaction.raw[at..transaction.raw.len() - 4].to_vec();
            (serialized, input.witness.first().map_or_else(Vec::new, |item| item.to_vec()))
        });
        Ok(Self {
            version: transaction.version,
            script: input.script.get(height..).unwrap_or_default().to_vec(),
            sequence: input.sequence,
            outputs,
            commitment,
            witness,
            lock_time: transaction.lock_time,
        })
    }

    /// Its bytes at a height, and where its witness begins. `root`: of the witnesses' tree.
    fn at(&self, height: u64, mark: &Mark, root: impl FnOnce() -> Hash) -> (Vec<u8>, Option<usize>) {
        let mut script = height_push(height);
        script.extend(self.script.iter().take(SCRIPT_BYTES - MARK_BYTES - script.len()));
        script.push(8);
        script.extend_from_slice(&mark[..8]);
        let mut out = self.version.to_le_bytes().to_vec();
        if self.witness.is_some() {
            out.extend_from_slice(&[0, 1]);
        }
        out.push(1);
        out.extend_from_slice(&[0; 32]);
        out.extend_from_slice(&[0xff; 4]);
        compact(script.len(), &mut out);
        out.extend_from_slice(&script);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        let outputs = out.len();
        out.extend_from_slice(&self.outputs);
        if let (Some(at), Some((_, reserved))) = (self.commitment, &self.witness) {
            let hash = sha256d(&[&root(), reserved]);
            out[outputs + at..outputs + at + 32].copy_from_slice(&hash);
        }
        let witnesses = self.witness.as_ref().map(|(serialized, _)| {
            let at = out.len();
            out.extend_from_slice(serialized);
            at
        });
        out.extend_from_slice(&self.lock_time.to_le_bytes());
        (out, witnesses)
    }
}

/// `CScript() << height`: the shortest push of the number (BIP-34).
fn height_push(height: u64) -> Vec<u8> {
    if (1..=16).contains(&height) {
        return vec![0x50 + height as u8];
    }
    let bytes = height.to_le_bytes();
    let mut length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // A highest bit would be the sign.
    if length > 0 && bytes[length - 1] >= 0x80 {
        length += 1;
    }
    let mut push = vec![length as u8];
    push.extend(bytes.iter().take(length));
    push
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::bitcoin::wire::shown;

    #[test]
    fn heights_are_pushed_as_core_does() {
        for (height, push) in
            [(1, "51"), (16, "60"), (17, "0111"), (127, "017f"), (128, "028000"), (500_000, "0320a107")]
        {
            assert_eq!(const_hex::encode(height_push(height)), push, "{height}");
        }
    }

    #[test]
    fn a_block_is_as_recorded_at_first_and_has_other_ids_later() {
        let raw = include_bytes!("../../../data/bitcoin/mainnet/0482683-00000000..ee73e747.raw");
        let recorded = Recorded::parse(raw).expect("a block");
        let first = recorded.body(7, &[1; 16], false);
        let originals = transactions(&raw[80..]).expect("transactions");
        assert_eq!(first.txids.len(), originals.len());
        let ids: Vec<String> = first.txids.iter().map(shown).collect();
        for (n, original) in originals.iter().enumerate() {
            assert_eq!(ids[n] == shown(&original.txid()), n > 0, "{n}");
        }
        let again = recorded.body(7, &[2; 16], true);
        assert!(again.txids.iter().all(|txid| !first.txids.contains(txid)));
        for body in [&first, &again] {
            let read = transactions(&body.bytes).expect("transactions");
            let ids: Vec<Hash> = read.iter().map(Transaction::txid).collect();
            assert_eq!(ids, body.txids);
            assert_eq!(merkle_root(ids), body.root);
            assert!(read.iter().zip(&body.spans).all(|(one, span)| body.bytes[span.clone()] == *one.raw));
            assert!(read[0].inputs[0].script.starts_with(&[0x57]));
            // The commitment is over what is there.
            let wtxid = |one: &Transaction<'_>| sha256d(&[one.raw]);
            let leaves = std::iter::once([0; 32]).chain(read[1..].iter().map(wtxid)).collect();
            let reserved = read[0].inputs[0].witness[0];
            let commitment = [&COMMITMENT[..], &sha256d(&[&merkle_root(leaves), reserved])].concat();
            assert!(read[0].outputs.iter().any(|output| output.script == commitment), "no commitment");
        }
    }
}
