//! From a node that has the blocks to rows that a query sees, as fast as it goes.

use super::instance::Instance;
use super::{Failure, NETWORK, Node, merges, processes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long nothing may become visible before the measurement fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backlog becoming visible rows.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// Blocks, and transactions and logs in them.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Logs in them.
    pub logs: u64,
    /// From the moment the node showed them to the moment the last was visible.
    pub seconds: f64,
    /// Node to visible row.
    pub transactions_per_second: f64,
    /// The same, counting blocks, transactions and logs.
    pub rows_per_second: f64,
    /// CPU per transaction in microseconds, by stage (thread name) and process; `simulated node` and `Kafka broker` are not the product's.
    pub cpu_us_per_transaction: BTreeMap<String, f64>,
    /// CPU per transaction of the store's threads, in microseconds, by their name: `MergeMutate` merges.
    pub store_cpu_us_per_transaction: BTreeMap<String, f64>,
    /// Of a long run: seconds from the last visible row until the last merge had ended. Their CPU counts, and the bytes are those
    /// afterwards.
    pub merged_after_seconds: Option<f64>,
    /// Bytes on disk per transaction afterwards, by folder of the data directory.
    pub bytes_per_transaction: BTreeMap<String, f64>,
}

impl Speed {
    /// CPU of the store's merges per transaction, in microseconds.
    pub(super) fn merges(&self) -> f64 {
        self.store_cpu_us_per_transaction.get(processes::MERGES).copied().unwrap_or(0.0)
    }
}

/// `long`: waits until merges have ended.
pub(super) async fn measure(node: &Node, instance: &mut Instance, kafka: bool, long: bool) -> Result<Speed, Failure> {
    let simulator = &node.simulator;
    // Everything is up when the one block that the node shows is visible.
    instance.reach(1, PATIENCE).await?;
    let warm: BTreeMap<String, u64> = instance.sizes()?.into_iter().collect();
    let (cpu, own) = (instance.usage(), processes::own(Node::THREADS));
    let (threads, brokers) = (processes::of_children(instance.pid()), processes::brokers());
    let begun = Instant::now();
    simulator.clear_faults();
    // One more head, so that whoever is subscribed hears of it at once.
    let head = simulator.advance(1)?;
    instance.reach(head, PATIENCE).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut used = processes::since(&cpu, &instance.usage());
    let mut threads = processes::since(&threads, &processes::of_children(instance.pid()));
    let own = processes::own(Node::THREADS).saturating_sub(own);
    let brokers = processes::brokers().zip(brokers).map(|(after, before)| after.saturating_sub(before));
    let merged = if long { Some(merges::end(instance).await?) } else { None };
    if let Some(merged) = &merged {
        // What else runs while merges are awaited is no work on these transactions.
        *used.entry(processes::STORE.to_owned()).or_default() += merged.used;
        *threads.entry(processes::MERGES.to_owned()).or_default() += merged.used;
    }
    verify(node, instance).await?;
    let blocks = simulator.canonical(2..=head);
    let transactions: u64 = blocks.iter().map(|b| b.facts.tx_count).sum();
    let logs: u64 = blocks.iter().map(|b| b.facts.logs).sum();
    let count = transactions.max(1) as f64;
    let per = |used: Duration| used.as_secs_f64() * 1e6 / count;
    let by_name = |used: processes::Usage| used.into_iter().map(|(name, used)| (name, per(used))).collect();
    let mut cpu: BTreeMap<String, f64> = by_name(used);
    cpu.insert(processes::NODE.into(), per(own));
    if let Some(brokers) = brokers.filter(|_| kafka) {
        cpu.insert(processes::BROKER.into(), per(brokers));
    }
    let grown = |(name, bytes): (String, u64)| {
        let grown = bytes.saturating_sub(warm.get(&name).copied().unwrap_or(0));
        (name, grown as f64 / count)
    };
    Ok(Speed {
        blocks: blocks.len() as u64,
        transactions,
        logs,
        seconds,
        transactions_per_second: count / seconds,
        rows_per_second: (blocks.len() as u64 + transactions + logs) as f64 / seconds,
        cpu_us_per_transaction: cpu,
        store_cpu_us_per_transaction: by_name(threads),
        merged_after_seconds: merged.map(|merged| merged.after.as_secs_f64()),
        bytes_per_transaction: instance.sizes()?.into_iter().map(grown).filter(|(_, bytes)| *bytes > 0.0).collect(),
    })
}

/// The store holds what the chain holds, to the last unit of gas.
pub(super) async fn verify(node: &Node, instance: &Instance) -> Result<(), Failure> {
    let chain = node.simulator.canonical(1..=node.simulator.head());
    let sum = |of: fn(&crate::node::evm::Facts) -> u64| chain.iter().map(|b| u128::from(of(&b.facts))).sum::<u128>();
    let want = vec![chain.len() as u128, sum(|f| f.tx_count), sum(|f| f.failed), sum(|f| f.gas_used), sum(|f| f.logs)];
    let filter = format!("WHERE network = '{NETWORK}'");
    let mut have = instance
        .row(&format!("SELECT count(), sum(transaction_count), sum(failed_count), sum(gas_used) FROM blocks {filter}"))
        .await?;
    have.extend(instance.row(&format!("SELECT count() FROM evm_logs {filter}")).await?);
    if have != want {
        return Err(
            format!("blocks, transactions, failed, gas, logs: the store has {have:?}, the chain {want:?}").into()
        );
    }
    let rows = instance
        .row(&format!("SELECT count(), countIf(status = 'failed'), uniqExact(block_number) FROM transactions {filter}"))
        .await?;
    let full = chain.iter().filter(|b| b.facts.tx_count > 0).count() as u128;
    if rows != [want[1], want[2], full] {
        let want = [want[1], want[2], full];
        return Err(format!("transactions, failed, blocks with any: the rows are {rows:?}, the chain {want:?}").into());
    }
    Ok(())
}
