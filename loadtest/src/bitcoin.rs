//! Whether the rows of a Bitcoin network are the chain's: compared one by one with what the simulated chain holds.
//!
//! Guarantee: blocks, transactions, inputs and outputs are compared by what they say of values, scripts and places, each once and none else;
//! what they are compared with was read from the chain's bytes by nothing of ours.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::{
    cluster::{Outside, number},
    compare::same,
    failure::Failure,
    node::bitcoin::{Simulator, Told},
};

/// Heights of one question.
const STEP: u64 = 50;

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Canonical blocks.
    pub blocks: u64,
    /// Canonical transactions, coinbases among them.
    pub transactions: u64,
    /// Their inputs without the coinbases'.
    pub inputs: u64,
    /// Their outputs.
    pub outputs: u64,
    /// Block events, reverts among them.
    pub events: u64,
}

/// A view, what a line of it is, and its order.
const TRANSACTIONS: (&str, &str, &str) = (
    "bitcoin_transactions",
    "concat(toString(block_number), ' ', block_hash, ' ', hash, ' ', wtxid, ' ', toString(size), ' ', toString(weight), ' ', \
     toString(input_count), ' ', toString(output_count), ' ', toString(output_value), ' ', ifNull(toString(fee), 'null'))",
    "block_number, transaction_index",
);
const INPUTS: (&str, &str, &str) = (
    "bitcoin_inputs",
    "concat(transaction_hash, ' ', toString(input_index), ' ', spent_transaction_hash, ' ', toString(spent_output_index), ' ', \
     ifNull(toString(value), 'null'))",
    "block_number, transaction_index, input_index",
);
const OUTPUTS: (&str, &str, &str) = (
    "bitcoin_outputs",
    "concat(transaction_hash, ' ', toString(output_index), ' ', toString(value), ' ', script_hex)",
    "block_number, transaction_index, output_index",
);

async fn lines(
    outside: &Outside,
    slug: &str,
    (view, line, order): (&str, &str, &str),
    heights: &RangeInclusive<u64>,
) -> Result<Vec<String>, Failure> {
    let (from, to) = (heights.start(), heights.end());
    outside
        .lines(&format!(
            "SELECT {line} AS line FROM {view} WHERE network = '{slug}' AND block_number BETWEEN {from} AND {to} ORDER BY {order}"
        ))
        .await
}

/// Compares all rows of a network with the chain from block `first` to its head, and its block events by sequence. The chain must stand still,
/// its head be visible.
///
/// # Errors
/// The first difference.
pub async fn rows(outside: &Outside, slug: &str, node: &Simulator, first: u64) -> Result<Compared, Failure> {
    let head = node.head();
    let mut compared = Compared::default();
    for from in (first..=head).step_by(STEP as usize) {
        let heights = from..=(from + STEP - 1).min(head);
        let canonical = node.canonical(heights.clone());
        let blocks: Vec<String> = canonical
            .iter()
            .map(|b| format!("{} {} {} {} {} {}", b.height, b.hash, b.parent_hash, b.tx_count, b.fees, b.size))
            .collect();
        let stored = outside
            .lines(&format!(
                "SELECT concat(toString(number), ' ', hash, ' ', parent_hash, ' ', ifNull(toString(transaction_count), 'null'), ' ', \
                 toString(fee_total), ' ', ifNull(toString(size), 'null')) AS line FROM bitcoin_blocks \
                 WHERE network = '{slug}' AND number BETWEEN {} AND {} ORDER BY number",
                heights.start(),
                heights.end()
            ))
            .await?;
        same(&format!("blocks of {slug}"), &stored, &blocks)?;
        let (mut transactions, mut inputs, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for block in &canonical {
            for told in node.transactions(block.height) {
                transactions.push(transaction(block.height, &block.hash, &told));
                let spends = told.inputs.iter().enumerate();
                inputs.extend(spends.map(|(n, (spent, at, value))| format!("{} {n} {spent} {at} {value}", told.txid)));
                let gives = told.outputs.iter().enumerate();
                outputs.extend(gives.map(|(n, (value, script))| format!("{} {n} {value} {script}", told.txid)));
            }
        }
        for (of, wanted) in [(TRANSACTIONS, &transactions), (INPUTS, &inputs), (OUTPUTS, &outputs)] {
            same(&format!("{} of {slug}", of.0), &lines(outside, slug, of, &heights).await?, wanted)?;
        }
        compared.blocks += blocks.len() as u64;
        compared.transactions += transactions.len() as u64;
        compared.inputs += inputs.len() as u64;
        compared.outputs += outputs.len() as u64;
    }
    let mut sql = String::new();
    for (n, view) in
        ["blocks", "transactions", "bitcoin_transactions", "bitcoin_inputs", "bitcoin_outputs"].iter().enumerate()
    {
        let also = if n == 0 { "" } else { " UNION ALL " };
        write!(
            sql,
            "{also}SELECT '{view} beside the chain' AS line FROM {view} WHERE network = '{slug}' AND block_number NOT BETWEEN {first} AND {head}"
        )?;
    }
    same(&format!("rows of {slug}"), &outside.lines(&sql).await?, &[])?;
    let of_all = outside
        .lines(&format!(
            "SELECT concat(toString(count()), ' ', toString(sum(fee))) AS line FROM transactions WHERE network = '{slug}'"
        ))
        .await?;
    let fees: u64 = node.canonical(first..=head).iter().map(|block| block.fees).sum();
    same(&format!("transactions of {slug}"), &of_all, &[format!("{} {fees}", compared.transactions)])?;
    let events = format!(
        "SELECT count() AS n, uniqExact(sequence) AS distinct, min(sequence) AS first, max(sequence) AS last FROM block_events WHERE network = '{slug}'"
    );
    let row = outside.query(&events).await?.pop().unwrap_or_default();
    let last = number(&row, "last")?;
    if (number(&row, "first")?, number(&row, "n")?, number(&row, "distinct")?) != (1, last, last) {
        return Err(format!("block events of {slug} are not gapless: {row}").into());
    }
    compared.events = last;
    Ok(compared)
}

fn transaction(height: u64, hash: &str, told: &Told) -> String {
    let Told { txid, wtxid, size, weight, fee, output_value, inputs, outputs } = told;
    let (takes, gives) = (inputs.len(), outputs.len());
    format!("{height} {hash} {txid} {wtxid} {size} {weight} {takes} {gives} {output_value} {fee}")
}
