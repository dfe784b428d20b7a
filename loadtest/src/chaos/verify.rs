//! Whether the rows are the chain's: compared one by one with what the node holds, and the log as others read it.

use super::chains::Chain;
use crate::cluster::{Cluster, number};
use crate::failure::Failure;
use serde_json::Value;
use std::collections::HashMap;

/// Heights of one question.
const STEP: u64 = 500;

/// How much was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    /// Canonical blocks.
    pub blocks: u64,
    /// Canonical transactions.
    pub transactions: u64,
    /// Block events, reverts among them.
    pub events: u64,
}

impl std::ops::AddAssign for Compared {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.transactions += other.transactions;
        self.events += other.events;
    }
}

/// Compares blocks by (height, hash, parent, counts), transactions by (height, block hash, index, hash), each once and none
/// else, and block events by sequence. The node must stand still, its head be visible.
///
/// # Errors
/// The first difference.
pub async fn rows(cluster: &Cluster, chain: &Chain) -> Result<Compared, Failure> {
    let (slug, head) = (chain.slug, chain.node.head());
    let hashes: HashMap<&str, &[_]> = chain.data.blocks().iter().map(|b| (b.name(), b.tx_hashes())).collect();
    let mut compared = Compared::default();
    for from in (1..=head).step_by(STEP as usize) {
        let to = (from + STEP - 1).min(head);
        let range = format!("network = '{slug}' AND block_number BETWEEN {from} AND {to}");
        let (mut blocks, mut transactions) = (Vec::new(), Vec::new());
        for block in chain.node.canonical(from..=to) {
            let f = block.facts;
            blocks.push(format!("{} {} {} {} {}", block.height, block.hash, block.parent_hash, f.tx_count, f.failed));
            let hashes = hashes.get(block.recorded.as_str()).ok_or_else(|| format!("no block {}", block.recorded))?;
            transactions
                .extend(hashes.iter().enumerate().map(|(i, tx)| format!("{} {} {i} {tx}", block.height, block.hash)));
        }
        let stored = lines(cluster, &format!(
            "SELECT concat(toString(number), ' ', hash, ' ', parent_hash, ' ', toString(transaction_count), ' ', toString(failed_count)) AS line \
             FROM blocks WHERE {} ORDER BY number", range.replace("block_number", "number")
        )).await?;
        same(slug, "blocks", &stored, &blocks)?;
        let stored = lines(cluster, &format!(
            "SELECT concat(toString(block_number), ' ', block_hash, ' ', toString(transaction_index), ' ', hash) AS line \
             FROM transactions WHERE {range} ORDER BY block_number, transaction_index"
        )).await?;
        same(slug, "transactions", &stored, &transactions)?;
        compared += Compared { blocks: blocks.len() as u64, transactions: transactions.len() as u64, events: 0 };
    }
    let beyond = lines(
        cluster,
        &format!(
            "SELECT toString(count()) AS line FROM transactions WHERE network = '{slug}' AND block_number > {head}"
        ),
    )
    .await?;
    same(slug, "transactions beyond the head", &beyond, &["0".to_owned()])?;
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

async fn lines(cluster: &Cluster, sql: &str) -> Result<Vec<String>, Failure> {
    let rows = cluster.outside.query(sql).await?;
    Ok(rows.iter().map(|row| row["line"].as_str().unwrap_or_default().to_owned()).collect())
}

fn same(slug: &str, what: &str, stored: &[String], wanted: &[String]) -> Result<(), Failure> {
    if stored == wanted {
        return Ok(());
    }
    let at = stored.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let [there, expected] = [stored, wanted].map(|list| list.get(at).map_or("nothing", String::as_str));
    Err(format!(
        "{what} of {slug}: {} rows, {} expected; the first difference: {there:?} where {expected:?} should be",
        stored.len(),
        wanted.len()
    )
    .into())
}

/// The sequences of a topic of block headers, as a read_committed consumer sees them: 1, 2, 3 … in this order.
///
/// # Errors
/// When one is missing, double or out of order.
pub async fn sequences(cluster: &Cluster, topic: &str, chain: &Chain) -> Result<u64, Failure> {
    let output = cluster.run(&["tail", topic, "--network", chain.slug]).await?;
    if !output.status.success() {
        return Err(format!("tail {topic}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let mut last = 0;
    for line in String::from_utf8(output.stdout)?.lines() {
        let record: Value = serde_json::from_str(line)?;
        // A record of finality repeats the last sequence and is no event (rule 3).
        if record["value"]["op"] == "finality" {
            continue;
        }
        let sequence = number(&record["value"], "sequence")?;
        if sequence != last + 1 {
            return Err(format!("{topic} of {}: sequence {sequence} after {last}", chain.slug).into());
        }
        last = sequence;
    }
    Ok(last)
}
