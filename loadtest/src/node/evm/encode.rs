//! Transactions as consensus encodes them (RLP, EIP-2718), from the JSON in which a node shows them. Pure.
//!
//! Source: Ethereum Yellow Paper, appendix B; EIP-155, EIP-2930, EIP-1559, EIP-4844, EIP-7702; OP-stack specification, deposits.
//! A field that is missing counts as zero or empty: whoever needs more compares the hash.

use super::recorded::quantity;
use alloy_primitives::{Bytes, U256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use serde_json::Value;

/// EIP-2718 type of OP-stack deposits.
pub(super) const DEPOSIT: u64 = 0x7e;

/// How a field is encoded.
#[derive(Clone, Copy)]
enum Kind {
    /// A number without leading zeros.
    Number,
    /// Bytes as they are.
    Data,
    /// A boolean.
    Flag,
    /// Whether the signature's point has an odd y.
    Parity,
    /// A list of bytes.
    Hashes,
    /// A list of objects with these fields.
    Objects(&'static [(&'static str, Kind)]),
}

use Kind::{Data, Flag, Hashes, Number, Objects, Parity};

type Fields = &'static [(&'static str, Kind)];

const SIGNATURE: Fields = &[("yParity", Parity), ("r", Number), ("s", Number)];
const ACCESS: Fields = &[("address", Data), ("storageKeys", Hashes)];
const AUTHORIZATION: Fields =
    &[("chainId", Number), ("address", Data), ("nonce", Number), ("yParity", Parity), ("r", Number), ("s", Number)];
const LEGACY: Fields = &[
    ("nonce", Number),
    ("gasPrice", Number),
    ("gas", Number),
    ("to", Data),
    ("value", Number),
    ("input", Data),
    ("v", Number),
    ("r", Number),
    ("s", Number),
];
const EIP2930: Fields = &[
    ("chainId", Number),
    ("nonce", Number),
    ("gasPrice", Number),
    ("gas", Number),
    ("to", Data),
    ("value", Number),
    ("input", Data),
    ("accessList", Objects(ACCESS)),
];
const EIP1559: Fields = &[
    ("chainId", Number),
    ("nonce", Number),
    ("maxPriorityFeePerGas", Number),
    ("maxFeePerGas", Number),
    ("gas", Number),
    ("to", Data),
    ("value", Number),
    ("input", Data),
    ("accessList", Objects(ACCESS)),
];
const BLOBS: Fields = &[("maxFeePerBlobGas", Number), ("blobVersionedHashes", Hashes)];
const AUTHORIZATIONS: Fields = &[("authorizationList", Objects(AUTHORIZATION))];
const DEPOSITED: Fields = &[
    ("sourceHash", Data),
    ("from", Data),
    ("to", Data),
    ("mint", Number),
    ("value", Number),
    ("gas", Number),
    ("isSystemTx", Flag),
    ("input", Data),
];

/// A transaction as it stands in the transactions' trie; `None` when its type is not known here or a field cannot be read.
pub(super) fn transaction(tx: &Value) -> Option<Vec<u8>> {
    let kind = match &tx["type"] {
        Value::Null => 0,
        kind => quantity(kind.as_str()?)?,
    };
    let parts: &[Fields] = match kind {
        0 => &[LEGACY],
        1 => &[EIP2930, SIGNATURE],
        2 => &[EIP1559, SIGNATURE],
        3 => &[EIP1559, BLOBS, SIGNATURE],
        4 => &[EIP1559, AUTHORIZATIONS, SIGNATURE],
        DEPOSIT => &[DEPOSITED],
        _ => return None,
    };
    let mut out = if kind == 0 { Vec::new() } else { vec![kind as u8] };
    list(tx, parts, &mut out)?;
    Some(out)
}

fn list(object: &Value, parts: &[Fields], out: &mut Vec<u8>) -> Option<()> {
    let mut payload = Vec::with_capacity(512);
    for (name, kind) in parts.iter().copied().flatten() {
        field(object, name, *kind, &mut payload)?;
    }
    wrap(&payload, out);
    Some(())
}

fn wrap(payload: &[u8], out: &mut Vec<u8>) {
    Header { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(payload);
}

fn field(object: &Value, name: &str, kind: Kind, out: &mut Vec<u8>) -> Option<()> {
    match (&object[name], kind) {
        (Value::Null, Parity) if name != "v" => return field(object, "v", Number, out),
        (Value::Null, Hashes | Objects(_)) => wrap(&[], out),
        (Value::Null, _) => out.push(EMPTY_STRING_CODE),
        (Value::Bool(flag), Flag) => flag.encode(out),
        (Value::String(text), Number | Parity) => text.parse::<U256>().ok()?.encode(out),
        (Value::String(text), Data) => text.parse::<Bytes>().ok()?.encode(out),
        (Value::Array(all), Hashes) => {
            let mut payload = Vec::with_capacity(33 * all.len());
            for hash in all {
                hash.as_str()?.parse::<Bytes>().ok()?.encode(&mut payload);
            }
            wrap(&payload, out);
        }
        (Value::Array(all), Objects(fields)) => {
            let mut payload = Vec::new();
            for object in all {
                list(object, &[fields], &mut payload)?;
            }
            wrap(&payload, out);
        }
        _ => return None,
    }
    Some(())
}
