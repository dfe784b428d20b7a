//! What a block's transactions spend: read, and held against their inputs and amounts. Pure.

use std::collections::HashMap;

use alloy_primitives::Bytes;
use schemas::{bitcoin::BitcoinChain, limits::bitcoin as limits, records::bitcoin::BitcoinPrevout};

use super::{
    Known,
    read::{Cursor, Piece, outpoints, outputs},
};
use crate::error::NodeErrorKind;

/// Reads what Core's `/rest/spenttxouts/HASH.bin` gives (`SerializeBlockUndo` in its `rest.cpp`): a list for each transaction, the coinbase's
/// empty, of outputs as transactions have them. `spends`: how long each list must be. Nothing is said of heights and coinbases.
pub fn read_spent_outputs(
    bytes: &Bytes,
    spends: impl Iterator<Item = usize>,
) -> Result<Vec<Vec<BitcoinPrevout>>, NodeErrorKind> {
    let mut cursor = Cursor::new(bytes);
    let told = cursor.count(limits::BLOCK_TRANSACTIONS, "transactions")?;
    let mut lists = Vec::with_capacity(told.min(bytes.len()));
    for (index, inputs) in spends.enumerate() {
        if index >= told {
            let said = format!("outputs that are spent were told of {told} transactions, and the block has more");
            return Err(NodeErrorKind::Lying(said));
        }
        let outputs = cursor.count(limits::BLOCK_INPUTS, "spent outputs")?;
        if outputs != inputs {
            let said = format!("transaction {index} has {inputs} inputs, and {outputs} outputs that they spend");
            return Err(NodeErrorKind::Lying(said));
        }
        let mut list = Vec::with_capacity(outputs.min(cursor.left()));
        for _ in 0..outputs {
            let value = cursor.u64()?;
            let script = cursor.sized()?.len();
            let end = cursor.at();
            list.push(BitcoinPrevout { value, script: bytes.slice(end - script..end), height: None, coinbase: None });
        }
        lists.push(list);
    }
    if lists.len() < told || cursor.left() > 0 {
        let said =
            format!("outputs that are spent were told of {told} transactions, and the block has {}", lists.len());
        return Err(NodeErrorKind::Lying(said));
    }
    Ok(lists)
}

/// Whether these are outputs that these transactions may spend, as far as amounts and the block itself tell; why not. On chains for tests
/// the subsidy is whatever it was made to be. `raw` is the block.
pub(super) fn judge(
    raw: &[u8],
    pieces: &[Piece],
    prevouts: &[Vec<BitcoinPrevout>],
    known: Known,
) -> Result<(), String> {
    if pieces.len() != prevouts.len() {
        return Err(format!("it was told of {} transactions, not of {}", prevouts.len(), pieces.len()));
    }
    let (mut fees, mut taken) = (0_u64, 0_u64);
    for (index, (piece, prevouts)) in pieces.iter().zip(prevouts).enumerate() {
        let inputs = if index == 0 { 0 } else { piece.inputs };
        if inputs != prevouts.len() {
            return Err(format!("transaction {index} has {inputs} inputs, not {}", prevouts.len()));
        }
        if index == 0 {
            taken = piece.output_value;
            continue;
        }
        let worth = prevouts.iter().try_fold(0_u64, |sum, output| sum.checked_add(output.value));
        let worth = worth.filter(|worth| *worth <= limits::MOST_SATOSHI);
        let worth = worth.ok_or_else(|| format!("transaction {index} spends more than all coins that there can be"))?;
        let fee = worth.checked_sub(piece.output_value);
        let fee =
            fee.ok_or_else(|| format!("transaction {index} gives {} satoshi and spends {worth}", piece.output_value))?;
        fees = fees.saturating_add(fee);
    }
    let most = subsidy(known.height).saturating_add(fees);
    if known.chain != BitcoinChain::Regtest && taken > most {
        return Err(format!("its coinbase takes {taken} satoshi, and subsidy and fees are {most}"));
    }
    judge_inside(raw, pieces, prevouts)
}

/// Outputs that the block itself makes are proved by it: whether they are told as they are.
fn judge_inside(raw: &[u8], pieces: &[Piece], prevouts: &[Vec<BitcoinPrevout>]) -> Result<(), String> {
    let places: HashMap<[u8; 32], usize> = (0..).zip(pieces).map(|(place, piece)| (piece.txid, place)).collect();
    // Each transaction's outputs are looked for once, however many of them are spent.
    let mut made = HashMap::new();
    for (index, (piece, prevouts)) in pieces.iter().zip(prevouts).enumerate().skip(1) {
        // All of it was read before.
        for ((txid, output), told) in outpoints(raw, piece).unwrap_or_default().into_iter().zip(prevouts) {
            let Some(place) = places.get(&txid) else { continue };
            let made = made
                .entry(*place)
                .or_insert_with(|| pieces.get(*place).and_then(|piece| outputs(raw, piece).ok()).unwrap_or_default());
            let right = usize::try_from(output).ok().and_then(|output| made.get(output));
            let is = right.is_some_and(|(value, script)| {
                *value == told.value && raw.get(script.clone()).is_some_and(|script| *script == told.script[..])
            });
            if !is {
                return Err(format!(
                    "transaction {index} spends output {output} of transaction {place}, which is another than was told"
                ));
            }
        }
    }
    Ok(())
}

/// Satoshi that a block makes (Core's `GetBlockSubsidy`).
fn subsidy(height: u64) -> u64 {
    let halvings = u32::try_from(height / 210_000).unwrap_or(u32::MAX);
    5_000_000_000_u64.checked_shr(halvings).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subsidy_halves() {
        let at = |halvings: u64| subsidy(halvings * 210_000);
        assert_eq!(
            (subsidy(0), subsidy(209_999), at(1), at(4), at(33)),
            (5_000_000_000, 5_000_000_000, 2_500_000_000, 312_500_000, 0)
        );
        assert_eq!((at(64), subsidy(u64::MAX)), (0, 0));
    }

    #[test]
    fn spent_outputs_are_read_as_core_writes_them() {
        // As Knots 29.4 answered: the second transaction spends 50 bitcoins of a public key's hash.
        let told =
            const_hex::decode("02000100f2052a010000001976a91467dcc8ae52f5cf431af162c9b8ca7276f2981b0488ac").unwrap();
        let read =
            |bytes: &[u8], spends: &[usize]| read_spent_outputs(&Bytes::copy_from_slice(bytes), spends.iter().copied());
        let lists = read(&told, &[0, 1]).unwrap();
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
        let spent = &lists[1][0];
        assert_eq!((spent.value, spent.script.len(), spent.height), (5_000_000_000, 25, None));
        for wrong in [&[0, 2][..], &[0], &[0, 1, 1], &[1, 1], &[]] {
            assert!(read(&told, wrong).is_err(), "{wrong:?}");
        }
        for cut in 0..told.len() {
            assert!(read(&told[..cut], &[0, 1]).is_err(), "{cut} bytes");
        }
        let mut more = told.clone();
        more.push(0);
        assert!(read(&more, &[0, 1]).is_err());
        assert_eq!(read(&[1, 0], &[0]), Ok(vec![Vec::new()]), "a coinbase alone");
        let endless = [0xfe, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(read(&endless, &[0]), Err(NodeErrorKind::Malformed(_))));
    }
}
