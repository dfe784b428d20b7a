//! Whether the rows are the chain's: compared one by one with what the node holds.

use super::chains::{Chain, Node};
use super::expected::{Expected, Table};
use crate::bitcoin;
use crate::cluster::{Cluster, number};
use crate::compare::same;
use crate::failure::Failure;
use crate::node::evm::Simulator;
use alloy_primitives::keccak256;

/// Heights of one question.
const STEP: u64 = 100;

/// How much was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    /// Canonical blocks.
    pub blocks: u64,
    /// Canonical transactions.
    pub transactions: u64,
    /// Their logs.
    pub logs: u64,
    /// Inputs and outputs of Bitcoin's transactions.
    pub parts: u64,
    /// Complete windows of a minute to a day.
    pub windows: u64,
    /// Block events, reverts among them.
    pub events: u64,
    /// Records of the topics of blocks and transactions, raw and enriched.
    pub records: u64,
}

impl std::ops::AddAssign for Compared {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.transactions += other.transactions;
        self.logs += other.logs;
        self.parts += other.parts;
        self.windows += other.windows;
        self.events += other.events;
    }
}

/// Compares blocks by (height, hash, parent, counts), transactions and logs by every column that the node tells, each once and
/// none else, and block events by sequence. The node must stand still, its head be visible.
///
/// # Errors
/// The first difference.
pub async fn rows(cluster: &Cluster, chain: &Chain) -> Result<Compared, Failure> {
    match &chain.node {
        Node::Evm(node) => of_evm(cluster, chain.slug, node).await,
        Node::Bitcoin(node) => {
            let compared = bitcoin::rows(&cluster.outside, chain.slug, node, 1).await?;
            Ok(Compared {
                blocks: compared.blocks,
                transactions: compared.transactions,
                parts: compared.inputs + compared.outputs,
                events: compared.events,
                ..Compared::default()
            })
        }
    }
}

async fn of_evm(cluster: &Cluster, slug: &str, node: &Simulator) -> Result<Compared, Failure> {
    let (head, url) = (node.head(), node.url());
    let mut expected = Expected::new()?;
    let mut compared = Compared::default();
    for from in (1..=head).step_by(STEP as usize) {
        let to = (from + STEP - 1).min(head);
        expected.forget();
        let canonical = node.canonical(from..=to);
        let blocks: Vec<String> = canonical
            .iter()
            .map(|b| format!("{} {} {} {} {}", b.height, b.hash, b.parent_hash, b.facts.tx_count, b.facts.failed))
            .collect();
        let stored = cluster.outside.lines(&format!(
            "SELECT concat(toString(number), ' ', hash, ' ', parent_hash, ' ', toString(transaction_count), ' ', toString(failed_count)) AS line \
             FROM blocks WHERE network = '{slug}' AND number BETWEEN {from} AND {to} ORDER BY number"
        )).await?;
        same(&format!("blocks of {slug}"), &stored, &blocks)?;
        for table in [Table::Transactions, Table::Logs] {
            let mut wanted = Vec::new();
            for block in &canonical {
                let of = expected.lines(&url, block.hash).await?;
                let of = if table == Table::Logs { &of.logs } else { &of.transactions };
                *(if table == Table::Logs { &mut compared.logs } else { &mut compared.transactions }) +=
                    of.len() as u64;
                if !of.is_empty() {
                    let digest = const_hex::encode(keccak256(of.join("\n")));
                    wanted.push(format!("{} {} {} {digest}", block.height, block.hash, of.len()));
                }
            }
            let stored = cluster.outside.lines(&digests(slug, table, &format!("BETWEEN {from} AND {to}"))).await?;
            if let Err(e) = same(&format!("{} of {slug}", table.sql().0), &stored, &wanted) {
                let other = wanted.iter().find(|line| !stored.contains(line)).or(stored.first());
                let height = other.and_then(|line| line.split(' ').next()?.parse().ok());
                let Some(block) = canonical.iter().find(|block| Some(block.height) == height) else { return Err(e) };
                let of = expected.lines(&url, block.hash).await?;
                let of = if table == Table::Logs { &of.logs } else { &of.transactions };
                let stored = cluster.outside.lines(&one_by_one(slug, table, block.height)).await?;
                same(&format!("{} at {} of {slug}", table.sql().0, block.height), &stored, of)?;
                return Err(e);
            }
        }
        compared.blocks += blocks.len() as u64;
    }
    for view in ["evm_transactions", "evm_logs", "transactions"] {
        let beyond =
            format!("SELECT toString(count()) AS line FROM {view} WHERE network = '{slug}' AND block_number > {head}");
        same(&format!("{view} beyond the head of {slug}"), &cluster.outside.lines(&beyond).await?, &["0".to_owned()])?;
    }
    let sql = format!(
        "SELECT count() AS n, uniqExact(sequence) AS distinct, min(sequence) AS first, max(sequence) AS last FROM block_events WHERE network = '{slug}'"
    );
    let row = cluster.outside.query(&sql).await?.pop().unwrap_or_default();
    let last = number(&row, "last")?;
    if (number(&row, "first")?, number(&row, "n")?, number(&row, "distinct")?) != (1, last, last) {
        return Err(format!("block events of {slug} are not gapless: {row}").into());
    }
    compared.events = last;
    Ok(compared)
}

/// Of each block: height, hash, number of rows, and keccak-256 of their lines.
fn digests(slug: &str, table: Table, heights: &str) -> String {
    let (view, order, line) = table.sql();
    format!(
        "SELECT concat(toString(block_number), ' ', block_hash, ' ', toString(count()), ' ', lower(hex(keccak256( \
         arrayStringConcat(arrayMap(x -> x.2, arraySort(x -> x.1, groupArray((place, row)))), '\\n'))))) AS line \
         FROM (SELECT block_number, block_hash, {order} AS place, {line} AS row FROM {view} \
         WHERE network = '{slug}' AND block_number {heights}) GROUP BY block_number, block_hash ORDER BY block_number"
    )
}

/// The lines of one block.
fn one_by_one(slug: &str, table: Table, height: u64) -> String {
    let (view, order, line) = table.sql();
    format!("SELECT {line} AS line FROM {view} WHERE network = '{slug}' AND block_number = {height} ORDER BY {order}")
}
