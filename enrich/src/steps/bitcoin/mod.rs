//! What a Bitcoin transaction says: its inputs and outputs with their scripts and addresses, what it paid, who made the block.
//!
//! Guarantee: everything that is told follows from the transaction's bytes, the outputs that it spends and the chain alone, as Bitcoin Core
//! and the BIPs define it; a fee is told only where all that is spent is known. Shown by `enrich/tests/bitcoin`: every recorded block
//! against another program, and against Core's own words where those were recorded.

mod envelope;
mod pool;
mod scripts;
mod sigops;

use alloy_primitives::Bytes;
use bitcoin::{
    Transaction, TxIn, TxOut,
    consensus::deserialize,
    hashes::{Hash as _, sha256d},
};
use schemas::{
    BitcoinHash,
    bitcoin::BitcoinChain,
    records::{
        BitcoinDecoded, BitcoinInput, BitcoinOutput, BitcoinPrevout, BitcoinSpent, BitcoinTransaction, ScriptKind,
    },
};

use super::count;

pub use scripts::read as read_script;

/// Below this, an input's sequence says that the transaction may be replaced (BIP-125).
const FINAL_SEQUENCES: u32 = 0xffff_fffe;

/// Why a record is no Bitcoin transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATransaction {
    /// Addresses follow from the chain.
    #[error("its block's header does not say which chain it is of")]
    NoChain,
    /// Its bytes are not a transaction, or more than one.
    #[error("its bytes are not a transaction (BIP-144): {0}")]
    Malformed(String),
}

/// Reads a transaction. Where what it spends is not known as a whole, nothing is said of that, nor of the fee.
///
/// `chain`: of its block's header; decides how addresses are written.
///
/// # Errors
/// See [`NotATransaction`].
pub fn decode(chain: Option<BitcoinChain>, tx: &BitcoinTransaction) -> Result<BitcoinDecoded, NotATransaction> {
    let chain = chain.ok_or(NotATransaction::NoChain)?;
    let read: Transaction = deserialize(&tx.raw).map_err(|error| NotATransaction::Malformed(error.to_string()))?;
    let is_coinbase = read.is_coinbase();
    let spent: Option<&[BitcoinPrevout]> = match &tx.prevouts {
        _ if is_coinbase => Some(&[]),
        prevouts if prevouts.len() == read.input.len() => Some(prevouts),
        _ => None,
    };
    let segwit = read.input.iter().any(|input| !input.witness.is_empty());
    let (size, stripped) = (count(tx.raw.len()), count(read.base_size()));
    let weight = stripped.saturating_mul(3).saturating_add(size);
    let virtual_size = weight.div_ceil(4);
    let input_value =
        spent.filter(|_| !is_coinbase).map(|spent| spent.iter().fold(0, |sum: u64, p| sum.saturating_add(p.value)));
    let output_value = read.output.iter().fold(0, |sum: u64, output| sum.saturating_add(output.value.to_sat()));
    let fee = if is_coinbase { Some(0) } else { input_value.and_then(|input| input.checked_sub(output_value)) };
    let coinbase = read.input.first().filter(|_| is_coinbase);
    Ok(BitcoinDecoded {
        transaction_index: tx.transaction_index,
        txid: tx.txid,
        wtxid: match segwit {
            true => BitcoinHash::from_internal(sha256d::Hash::hash(&tx.raw).to_byte_array()),
            false => tx.txid,
        },
        version: read.version.0.cast_unsigned(),
        lock_time: read.lock_time.to_consensus_u32(),
        size,
        weight,
        virtual_size,
        sigops: spent.map(|spent| sigops::cost(&read, spent)),
        is_coinbase,
        segwit,
        replaceable: !is_coinbase && read.input.iter().any(|input| input.sequence.0 < FINAL_SEQUENCES),
        input_value,
        output_value,
        fee,
        fee_rate: fee.filter(|_| !is_coinbase).map(|fee| rate(fee, virtual_size)),
        pool: coinbase.and_then(|input| pool::of(input.script_sig.as_bytes())).map(str::to_owned),
        inputs: {
            let spent = spent.unwrap_or_default();
            let inputs = read.input.into_iter().enumerate();
            inputs.map(|(at, input)| self::input(chain, input, spent.get(at), is_coinbase)).collect()
        },
        outputs: read.output.into_iter().map(|output| self::output(chain, output)).collect(),
    })
}

fn input(chain: BitcoinChain, input: TxIn, prevout: Option<&BitcoinPrevout>, is_coinbase: bool) -> BitcoinInput {
    let spent = prevout.map(|prevout| {
        let (kind, addresses) = scripts::read(chain, &prevout.script);
        BitcoinSpent { value: prevout.value, script: prevout.script.clone(), kind, addresses, height: prevout.height }
    });
    // Only a Taproot output's witness has such a script (BIP-342); where it is not known what is spent, its form must do.
    let may_reveal = !is_coinbase && spent.as_ref().is_none_or(|spent| spent.kind == ScriptKind::WitnessV1Taproot);
    BitcoinInput {
        spent_txid: BitcoinHash::from_internal(input.previous_output.txid.to_byte_array()),
        spent_index: input.previous_output.vout,
        envelope: may_reveal.then(|| envelope::media_type(&input.witness)).flatten(),
        witness: input.witness.iter().map(Bytes::copy_from_slice).collect(),
        script: input.script_sig.into_bytes().into(),
        sequence: input.sequence.0,
        spent,
    }
}

fn output(chain: BitcoinChain, output: TxOut) -> BitcoinOutput {
    let (kind, addresses) = scripts::read(chain, output.script_pubkey.as_bytes());
    BitcoinOutput { value: output.value.to_sat(), script: output.script_pubkey.into_bytes().into(), kind, addresses }
}

/// Satoshi per 1,000 virtual bytes, rounded down.
fn rate(fee: u64, virtual_size: u32) -> u64 {
    let rate = u128::from(fee) * 1_000 / u128::from(virtual_size.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
