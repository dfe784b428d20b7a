//! The cost of a transaction's signature operations (BIP-141), as Bitcoin Core counts it (`GetTransactionSigOpCost` in
//! `consensus/tx_verify.cpp`): what no witness carries counts four times. Taproot's do not count (BIP-342).
//!
//! Pay to script hash counts at every height, as Core has it but for one block. rust-bitcoin's `total_sigop_cost` (0.32) is not Core's: it counts
//! redeem scripts behind what is more than pushes, and takes a multisig's number over a signature operation that stands between.

use bitcoin::{
    Script, Transaction, TxIn,
    opcodes::all::{OP_CHECKMULTISIG, OP_CHECKMULTISIGVERIFY, OP_CHECKSIG, OP_CHECKSIGVERIFY},
    script::Instruction,
};
use schemas::records::BitcoinPrevout;

use super::scripts::small_number;

/// Core's `WITNESS_SCALE_FACTOR`.
const SCALE: u32 = 4;
/// Keys that a multisig counts for where it does not say how many it has (Core's `MAX_PUBKEYS_PER_MULTISIG`).
const MOST_KEYS: u32 = 20;

/// The cost. `spent`: what the inputs spend, in their order; nothing for a coinbase.
pub fn cost(tx: &Transaction, spent: &[BitcoinPrevout]) -> u32 {
    let inputs = tx.input.iter().map(|input| count(&input.script_sig, false));
    let outputs = tx.output.iter().map(|output| count(&output.script_pubkey, false));
    let own = inputs.chain(outputs).fold(0, u32::saturating_add);
    let of_inputs = tx.input.iter().zip(spent).map(|(input, spent)| of_input(input, Script::from_bytes(&spent.script)));
    of_inputs.fold(own.saturating_mul(SCALE), u32::saturating_add)
}

/// What an input adds by what it spends.
fn of_input(input: &TxIn, spent: &Script) -> u32 {
    if spent.is_witness_program() {
        return of_witness(input, spent);
    }
    if !spent.is_p2sh() || !input.script_sig.is_push_only() {
        return 0;
    }
    let Some(Ok(Instruction::PushBytes(redeem))) = input.script_sig.instructions().last() else { return 0 };
    let redeem = Script::from_bytes(redeem.as_bytes());
    count(redeem, true).saturating_mul(SCALE).saturating_add(of_witness(input, redeem))
}

/// What its witness adds by the program that it answers.
fn of_witness(input: &TxIn, program: &Script) -> u32 {
    if program.is_p2wpkh() {
        1
    } else if program.is_p2wsh() {
        input.witness.last().map_or(0, |script| count(Script::from_bytes(script), true))
    } else {
        0
    }
}

/// Signature operations of a script, up to where it can be read. `accurate`: a multisig counts for the number of keys that stands before it
/// (Core's `GetSigOpCount`).
fn count(script: &Script, accurate: bool) -> u32 {
    let mut count: u32 = 0;
    let mut before = None;
    for instruction in script.instructions() {
        let Ok(instruction) = instruction else { break };
        let op = instruction.opcode();
        count = count.saturating_add(match op {
            Some(OP_CHECKSIG | OP_CHECKSIGVERIFY) => 1,
            Some(OP_CHECKMULTISIG | OP_CHECKMULTISIGVERIFY) => before.filter(|_| accurate).unwrap_or(MOST_KEYS),
            _ => 0,
        });
        before = op.and_then(small_number).map(u32::from);
    }
    count
}
