//! The outputs that a recorded block's transactions spend: real ones where they are of the same block, made up else.
//!
//! Guarantee: what is made up follows from the recorded transaction alone, and fits it: a script of the kind that the input's own script
//! and witness satisfy, and so many satoshi that the transaction pays 1 to 60 satoshi per virtual byte.

use super::wire::{Input, Transaction, compact, sha256d};
use axum::body::Bytes;

/// An output that is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prevout {
    /// Satoshi.
    pub value: u64,
    pub script: Vec<u8>,
    pub origin: Origin,
}

/// Where a spent output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// So many blocks below the one that spends it; 0: the same.
    pub back: u64,
    /// Whether a coinbase made it.
    pub coinbase: bool,
}

/// What a made-up output is worth at least, satoshi: beyond dust.
const LEAST: u64 = 546;

/// What a transaction's inputs spend. `inside`: what is known of them, in their order.
pub(crate) fn spent(transaction: &Transaction<'_>, inside: Vec<Option<Prevout>>) -> Vec<Prevout> {
    let unknown = inside.iter().filter(|known| known.is_none()).count() as u64;
    let has: u64 = inside.iter().flatten().map(|known| known.value).sum();
    let rate = 1 + u64::from(transaction.txid()[0]) % 60;
    let size = transaction.weight().div_ceil(4) as u64;
    let wants: u64 = transaction.outputs.iter().map(|output| output.value).sum::<u64>() + size * rate;
    let missing = wants.saturating_sub(has).max(unknown * LEAST);
    let share = missing.checked_div(unknown).unwrap_or(0);
    let mut left = missing.saturating_sub(share * unknown);
    let made = |(input, known): (&Input<'_>, Option<Prevout>)| {
        known.unwrap_or_else(|| Prevout {
            value: share + std::mem::take(&mut left),
            script: script(input),
            origin: Origin { back: 1 + u64::from(input.spent[0]) * 4 + u64::from(input.index % 4), coinbase: false },
        })
    };
    transaction.inputs.iter().zip(inside).map(made).collect()
}

/// A script that this input could satisfy, with a hash that is made up.
fn script(input: &Input<'_>) -> Vec<u8> {
    let hash = sha256d(&[&input.spent, &input.index.to_le_bytes()]);
    let wrapped = |head: &[u8], length: usize, tail: &[u8]| [head, &hash[..length], tail].concat();
    let last = input.witness.last().map_or(0, |item| item.len());
    match (input.script, input.witness.len()) {
        // P2TR by its key: one signature (BIP-341). With a script the last item is a control block of 33 + 32 n bytes.
        ([], 1) if matches!(last, 64 | 65) => wrapped(&[0x51, 0x20], 32, &[]),
        ([], 3..) if last >= 33 && last % 32 == 1 && input.witness.last().is_some_and(|c| c[0] & 0xfe == 0xc0) => {
            wrapped(&[0x51, 0x20], 32, &[])
        }
        // P2WPKH: a signature and a key; P2WSH: anything and a script (BIP-141).
        ([], 2) if last == 33 => wrapped(&[0x00, 0x14], 20, &[]),
        ([], 1..) => wrapped(&[0x00, 0x20], 32, &[]),
        // P2PKH: a signature and a key, 33 or 65 bytes.
        (script, 0) if ends_with_key(script) => wrapped(&[0x76, 0xa9, 0x14], 20, &[0x88, 0xac]),
        // P2PK: a signature alone.
        (script, 0) if (66..=74).contains(&script.len()) && usize::from(script[0]) == script.len() - 1 => {
            [&[0x21, 0x02][..], &hash, &[0xac]].concat()
        }
        // P2SH (BIP-16), witness programs inside too.
        _ => wrapped(&[0xa9, 0x14], 20, &[0x87]),
    }
}

/// Whether a script is two pushes of which the second is as long as a public key.
fn ends_with_key(script: &[u8]) -> bool {
    let Some(first) = script.first().map(|n| usize::from(*n)).filter(|n| (8..=75).contains(n)) else { return false };
    matches!(script.get(1 + first).copied(), Some(n @ (33 | 65)) if script.len() == 2 + first + usize::from(n))
}

/// As `/rest/spenttxouts/HASH.bin` writes them (Bitcoin Core 30, `rest.cpp`): of each transaction a list, the coinbase's empty.
pub(crate) fn undo(all: &[Vec<Prevout>]) -> Bytes {
    let mut out = Vec::new();
    compact(all.len(), &mut out);
    for of_one in all {
        compact(of_one.len(), &mut out);
        for prevout in of_one {
            out.extend_from_slice(&prevout.value.to_le_bytes());
            compact(prevout.script.len(), &mut out);
            out.extend_from_slice(&prevout.script);
        }
    }
    out.into()
}
