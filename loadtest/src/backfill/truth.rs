//! What the rows must be, by the node: computed from its own answers and from nothing of ours.
//!
//! Guarantee: of each height it is compared, each once and none beside: hash, parent, counts and gas of the block; the number of its
//! transactions, their hashes in order, the sums of values and fees; the number of logs. A recorded block's amounts are those of all its
//! replays ([`crate::node::evm`]), so that they are asked for once; hashes are asked for at every height.

use super::process::NETWORK;
use crate::chaos::expected::{fee, number};
use crate::cluster::Outside;
use crate::compare::same;
use crate::failure::Failure;
use crate::node::evm::{Canonical, Simulator};
use alloy_primitives::{U256, keccak256};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Heights of one question.
const STEP: u64 = 200;
/// One answer of a node on this machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Sums over heights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Blocks.
    pub blocks: u64,
    /// Transactions.
    pub transactions: u64,
    /// Logs.
    pub logs: u64,
    /// What transactions moved, in the chain's smallest unit.
    #[serde(serialize_with = "digits")]
    pub value: U256,
    /// What was paid for them.
    #[serde(serialize_with = "digits")]
    pub fees: U256,
}

fn digits<S: serde::Serializer>(number: &U256, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(number)
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.transactions += other.transactions;
        self.logs += other.logs;
        self.value += other.value;
        self.fees += other.fees;
    }
}

/// Value and fees of a recorded block.
#[derive(Clone, Copy)]
struct Amounts {
    value: U256,
    fees: U256,
}

/// Asks a node.
pub struct Truth<'n> {
    node: &'n Simulator,
    client: reqwest::Client,
    known: HashMap<String, Amounts>,
}

impl<'n> Truth<'n> {
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(node: &'n Simulator) -> Result<Self, Failure> {
        Ok(Self { node, client: reqwest::Client::builder().timeout(DEADLINE).build()?, known: HashMap::new() })
    }

    /// Compares the rows of these heights with the node's. The node must stand still there.
    ///
    /// # Errors
    /// The first difference.
    pub async fn compare(&mut self, outside: &Outside, heights: RangeInclusive<u64>) -> Result<Totals, Failure> {
        let (mut totals, (first, last)) = (Totals::default(), heights.into_inner());
        for from in (first..=last).step_by(STEP as usize) {
            let to = (from + STEP - 1).min(last);
            let canonical = self.node.canonical(from..=to);
            let blocks: Vec<String> = canonical.iter().map(block).collect();
            let range = format!("network = '{NETWORK}' AND block_number BETWEEN {from} AND {to}");
            let stored = outside.lines(
                &format!(
                    "SELECT concat(toString(number), ' ', hash, ' ', parent_hash, ' ', toString(transaction_count), ' ', \
                 toString(failed_count), ' ', toString(gas_used)) AS line \
                 FROM blocks WHERE network = '{NETWORK}' AND number BETWEEN {from} AND {to} ORDER BY number"
                ),
            ).await?;
            same("blocks", &stored, &blocks)?;
            let (transactions, of_these) = self.transactions(&canonical).await?;
            let stored = outside.lines(
                &format!(
                    "SELECT concat(toString(block_number), ' ', block_hash, ' ', toString(count()), ' ', toString(sum(value)), ' ', \
                 toString(sum(ifNull(fee, 0))), ' ', lower(hex(keccak256(arrayStringConcat(arrayMap(x -> x.2, arraySort(x -> x.1, \
                 groupArray((transaction_index, hash)))), ','))))) AS line \
                 FROM evm_transactions WHERE {range} GROUP BY block_number, block_hash ORDER BY block_number"
                ),
            ).await?;
            same("transactions", &stored, &transactions)?;
            let with_logs = canonical.iter().filter(|b| b.facts.logs > 0);
            let logs: Vec<String> = with_logs.map(|b| format!("{} {} {}", b.height, b.hash, b.facts.logs)).collect();
            let stored = outside
                .lines(&format!(
                    "SELECT concat(toString(block_number), ' ', block_hash, ' ', toString(count())) AS line \
                 FROM evm_logs WHERE {range} GROUP BY block_number, block_hash ORDER BY block_number"
                ))
                .await?;
            same("logs", &stored, &logs)?;
            totals += of_these;
        }
        Ok(totals)
    }

    async fn transactions(&mut self, canonical: &[Canonical]) -> Result<(Vec<String>, Totals), Failure> {
        let (mut wanted, mut totals) = (Vec::new(), Totals::default());
        let blocks = self.ask("eth_getBlockByNumber", canonical.iter().map(|b| json!([hex(b.height), false]))).await?;
        for (block, answer) in canonical.iter().zip(&blocks) {
            let amounts = self.amounts(block).await?;
            let hashes: Vec<&str> =
                answer["transactions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let Amounts { value, fees } = amounts;
            totals += Totals { blocks: 1, transactions: hashes.len() as u64, logs: block.facts.logs, value, fees };
            if !hashes.is_empty() {
                let digest = const_hex::encode(keccak256(hashes.join(",")));
                wanted.push(format!("{} {} {} {value} {fees} {digest}", block.height, block.hash, hashes.len()));
            }
        }
        Ok((wanted, totals))
    }

    async fn amounts(&mut self, block: &Canonical) -> Result<Amounts, Failure> {
        if let Some(known) = self.known.get(&block.recorded) {
            return Ok(*known);
        }
        let at = hex(block.height);
        let whole = self.ask("eth_getBlockByNumber", [json!([at, true])].into_iter()).await?;
        let receipts = self.ask("eth_getBlockReceipts", [json!([at])].into_iter()).await?;
        let list = |answer: &[Value], field: Option<&str>| {
            let value = answer.first().map(|all| field.map_or(all, |field| &all[field]));
            value.and_then(Value::as_array).cloned().ok_or_else(|| format!("height {at}: no list"))
        };
        let (transactions, receipts) = (list(&whole, Some("transactions"))?, list(&receipts, None)?);
        let mut amounts = Amounts { value: U256::ZERO, fees: U256::ZERO };
        for (transaction, receipt) in transactions.iter().zip(&receipts) {
            amounts.value += number(transaction, "value");
            amounts.fees += fee(transaction, receipt);
        }
        self.known.insert(block.recorded.clone(), amounts);
        Ok(amounts)
    }

    /// Answers to one method with several parameters, in order.
    async fn ask(&self, method: &str, calls: impl Iterator<Item = Value>) -> Result<Vec<Value>, Failure> {
        let call = |(id, params)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let batch: Vec<Value> = calls.enumerate().map(call).collect();
        let answer = self.client.post(self.node.url()).json(&batch).send().await?;
        let mut answers: Vec<Value> = serde_json::from_slice(&answer.bytes().await?)?;
        answers.sort_by_key(|answer| answer["id"].as_u64());
        if answers.len() != batch.len() || answers.iter().any(|answer| answer["result"].is_null()) {
            return Err(format!(
                "{method}: {} answers to {} calls, or one without a result",
                answers.len(),
                batch.len()
            )
            .into());
        }
        Ok(answers.into_iter().map(|mut answer| answer["result"].take()).collect())
    }
}

fn hex(height: u64) -> String {
    format!("{height:#x}")
}

fn block(b: &Canonical) -> String {
    let f = &b.facts;
    format!("{} {} {} {} {} {}", b.height, b.hash, b.parent_hash, f.tx_count, f.failed, f.gas_used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::evm::{Clock, Config, Dataset, spawn};

    #[tokio::test]
    async fn amounts_are_those_of_the_height_itself() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = Dataset::embedded("optimism").expect("built in");
        let node = spawn(Config { clock: Clock::Manual, history: 9, ..Config::new(data) }).await.expect("a node");
        let mut truth = Truth::new(&node).expect("a client");
        let (_, first) = truth.transactions(&node.canonical(1..=2)).await.expect("answers");
        truth.known.clear();
        let (lines, later) = truth.transactions(&node.canonical(7..=8)).await.expect("answers");
        assert_eq!(first, later, "another lap of the same two recorded blocks");
        assert_eq!((later.blocks, lines.len()), (2, 2));
        assert!(later.fees > U256::ZERO && later.value > U256::ZERO, "{later:?}");
    }
}
