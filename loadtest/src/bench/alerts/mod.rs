//! From the moment a node shows a block to the request that tells a receiver of an alert of it, at a steady rate of transactions, while many
//! monitors of several tenants are held against every block.
//!
//! Guarantee: the times count only when every alert that the blocks should give has come, one for each failed transaction and tenant, and
//! nothing more for a while, and all of them have one.
//! They begin when the node shows the head, which is before it is observed, and end when the request is there, which is after it was
//! sent: so they are no shorter than the time from observed to sent.

mod receiver;
mod tenants;

use super::instance::{Instance, Setting};
use super::latency::{self, Times};
use super::{Failure, Node};
use crate::defined::Defined;
use control::Bounds;
use receiver::Firing;
pub(crate) use receiver::Receiver;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};
use tenants::Tenants;
pub(crate) use tenants::{channel, each};
use tokio::time::MissedTickBehavior;

/// How long what is awaited may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(50);
/// For so long nothing may come before it is measured, and nothing more afterwards.
const REST: Duration = Duration::from_secs(3);
/// The stage's threads.
const STAGE: &str = "alerts";
/// Between two blocks until all tenants have heard of one.
const WARM: Duration = Duration::from_millis(500);

/// How much is held against the blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Tenants.
    pub tenants: usize,
    /// Monitors of all of them together.
    pub monitors: usize,
    /// Transactions a second.
    pub rate: f64,
    /// For how long.
    pub lasting: Duration,
}

/// Times from a head to the request of an alert.
#[derive(Clone, Debug, Serialize)]
pub struct Alerts {
    /// Tenants.
    pub tenants: usize,
    /// Monitors of all of them together.
    pub monitors: usize,
    /// Transactions per second that the node made.
    pub transactions_per_second: f64,
    /// Blocks that were made.
    pub blocks: u64,
    /// CPU of the stage's threads, what is sent included, microseconds a transaction.
    pub cpu_us_per_transaction: f64,
    /// Messages measured.
    pub messages: u64,
    /// Median in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// The slowest in milliseconds.
    pub max_ms: f64,
}

/// Starts the binary, makes the monitors, and measures.
pub(super) async fn measure(
    binary: &Path,
    node: &Node,
    (extra, keep): (&str, bool),
    load: Load,
) -> Result<Alerts, Failure> {
    let receiver = Receiver::start().await?;
    let extra = format!("{extra}\n[alerts]\nallow_targets = [\"{}\"]\n", receiver.address());
    let mut instance = Instance::start(binary, node, &Setting { keep, ..Setting::of(&extra) }).await?;
    let measured = run(node, &mut instance, &receiver, load).await;
    let stopped = instance.stop().await;
    let alerts = measured.map_err(|e| instance.explain(e))?;
    stopped?;
    Ok(alerts)
}

async fn run(node: &Node, instance: &mut Instance, receiver: &Receiver, load: Load) -> Result<Alerts, Failure> {
    let simulator = &node.simulator;
    simulator.clear_faults();
    let head = simulator.advance(1)?;
    instance.reach(head, PATIENCE).await?;
    let config = runtime::config::load(&instance.config())?;
    let defined = Defined::open(&config.control, Bounds::of(&config.alerts)).await?;
    let many = (load.tenants, load.monitors.saturating_sub(load.tenants));
    let tenants = Tenants::define(defined, receiver, many).await?;
    tenants.watch_failures().await?;
    let count = tenants.count();
    tenants.close().await;
    warm_up(node, receiver, count).await?;
    let used = instance.spent(STAGE);
    let Told { blocks, transactions, transactions_per_second, times } =
        told(node, receiver, count, (load.rate, load.lasting)).await?;
    let used = instance.spent(STAGE).saturating_sub(used);
    Ok(Alerts {
        tenants: count,
        monitors: many.1 + count,
        transactions_per_second,
        blocks,
        cpu_us_per_transaction: used.as_secs_f64() * 1e6 / transactions.max(1) as f64,
        messages: times.count(),
        p50_ms: times.ms(0.5),
        p99_ms: times.ms(0.99),
        max_ms: times.ms(1.0),
    })
}

/// What came of blocks at a steady rate.
pub(crate) struct Told {
    /// Blocks that were made.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// How many of them a second.
    pub transactions_per_second: f64,
    /// From the head to the first request of each alert.
    pub times: Times,
}

/// Lets the node make transactions at this rate for so long, of which so many tenants are told each that failed, at this receiver and nobody
/// else.
///
/// # Errors
/// An alert that did not come, or came twice.
pub(crate) async fn told(
    node: &Node,
    receiver: &Receiver,
    tenants: usize,
    (rate, lasting): (f64, Duration),
) -> Result<Told, Failure> {
    let simulator = &node.simulator;
    let cycle = simulator.canonical(1..=simulator.head());
    let mean = cycle.iter().map(|b| b.facts.tx_count).sum::<u64>() as f64 / cycle.len().max(1) as f64;
    let blocks = ((lasting.as_secs_f64() * rate / mean.max(1.0)).ceil() as u64).max(1);
    let (first, mut heads) = (simulator.head() + 1, simulator.subscribe());
    let last = first + blocks - 1;
    let mut pace = tokio::time::interval(lasting.div_f64(blocks as f64));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (begun, mut shown) = (Instant::now(), HashMap::new());
    for _ in 0..blocks {
        pace.tick().await;
        simulator.advance(1)?;
        // At once: only so many heads are kept for who is behind.
        shown.extend(latency::shown(&mut heads));
    }
    let made = begun.elapsed();
    let facts: Vec<_> = simulator.canonical(first..=last).iter().map(|b| b.facts).collect();
    let wanted = facts.iter().map(|f| f.failed).sum::<u64>() as usize * tenants;
    if wanted == 0 {
        return Err("none of the measured blocks has a failed transaction: there is nothing to tell".into());
    }
    let measured = || {
        let mut firings = receiver.firings();
        firings.retain(|firing| (first..=last).contains(&firing.height));
        firings
    };
    let until = Instant::now() + PATIENCE;
    while measured().len() < wanted {
        if Instant::now() > until {
            return Err(format!("{} of {wanted} alerts came in {PATIENCE:?}", measured().len()).into());
        }
        tokio::time::sleep(POLL).await;
    }
    tokio::time::sleep(REST).await;
    let firings = measured();
    once(&firings, wanted)?;
    shown.extend(latency::shown(&mut heads));
    let since = |height: &u64, at: Instant| Some(at.saturating_duration_since(*shown.get(height)?));
    let times = Times::of(firings.iter().filter_map(|firing| since(&firing.height, firing.at)));
    if times.count() != wanted as u64 {
        return Err(
            format!("it is not known when the blocks of {} alerts were shown", wanted as u64 - times.count()).into()
        );
    }
    let transactions = facts.iter().map(|f| f.tx_count).sum::<u64>();
    let transactions_per_second = transactions as f64 / made.as_secs_f64();
    Ok(Told { blocks, transactions, transactions_per_second, times })
}

/// That each alert came, and none under two ids.
fn once(firings: &[Firing], wanted: usize) -> Result<(), Failure> {
    let of = |firing: &Firing| (firing.tenant, firing.height, firing.transaction.clone());
    let alerts: BTreeSet<_> = firings.iter().map(of).collect();
    match (firings.len() - alerts.len(), alerts.len() == wanted) {
        (0, true) => Ok(()),
        (again, _) => {
            Err(format!("{} alerts came of {wanted}, and {again} of them under two ids", alerts.len()).into())
        }
    }
}

/// Makes blocks until each tenant has heard of one, and waits until nothing more comes.
pub(crate) async fn warm_up(node: &Node, receiver: &Receiver, tenants: usize) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let heard = |receiver: &Receiver| {
        let mut heard: Vec<usize> = receiver.firings().iter().map(|firing| firing.tenant).collect();
        heard.sort_unstable();
        heard.dedup();
        heard.len()
    };
    while heard(receiver) < tenants {
        if Instant::now() > until {
            return Err(format!("{} of {tenants} tenants heard of a failure", heard(receiver)).into());
        }
        node.simulator.advance(1)?;
        tokio::time::sleep(WARM).await;
    }
    let mut seen = receiver.firings().len();
    loop {
        tokio::time::sleep(REST).await;
        let now = receiver.firings().len();
        if now == seen {
            return Ok(());
        }
        if Instant::now() > until {
            return Err("alerts of the first blocks do not come to an end".into());
        }
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_doubled_does_not_stand_for_one_that_is_lost() {
        let firing = |tenant: usize, transaction: &str| Firing {
            at: Instant::now(),
            tenant,
            height: 7,
            transaction: transaction.to_owned(),
        };
        let all = [firing(0, "x"), firing(1, "x"), firing(0, "y")];
        assert!(once(&all, 3).is_ok());
        assert!(once(&all, 4).is_err() && once(&all, 2).is_err());
        assert!(once(&[firing(0, "x"), firing(1, "x"), firing(1, "x")], 3).is_err());
    }
}
