//! What holding blocks against the monitors of many tenants costs, and what is asked of the node for them.
//!
//! Guarantee: whoever has the monitors, they are the same ones, each transaction of the same blocks is held against all of them, and they find
//! the same. Counted is the CPU of the stage's threads alone, from the moment the node shows the blocks until nothing of them is left to do.

use super::Ground;
use super::noisy::{self, Noisy};
use crate::bench::alerts::Receiver;
use crate::bench::instance::{Instance, Setting};
use crate::bench::{NETWORK, Node, contracts, metrics, over_kafka, processes};
use crate::defined::{Defined, Made};
use crate::failure::Failure;
use crate::monitors;
use crate::node::evm::{Dataset, Fault, FaultKind};
use control::{Authenticated, Bounds};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Monitors that find something: each is about what succeeds at one contract of its own.
pub(super) const FINDING: usize = 10;
/// Of the contracts that are named most often so many are left out: what is found in every other transaction hides what looking costs.
const BUSIEST: usize = 8;
/// Blocks that are there before anything is defined.
const HISTORY: u64 = 20;
/// The height above which it is counted.
const FROM: u64 = 120;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Between two blocks until something is found.
const WARM: Duration = Duration::from_millis(500);
/// The stage's threads.
const STAGE: &str = "alerts";
/// Whoever uses less of a core is at rest.
const AT_REST: f64 = 0.05;
/// The binary's metrics.
const PROCESSED: &str = "headwater_alerts_processed_sequence";
const LOOKED_THROUGH: &str = "headwater_alerts_transactions_total";
const FOUND: &str = "headwater_alerts_matches_total";

/// What so many monitors cost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Evaluation {
    /// Tenants that have them.
    pub tenants: usize,
    /// Monitors of all of them together.
    pub monitors: usize,
    /// Seconds in which tenants and monitors were made and told to the stages.
    pub made_seconds: f64,
    /// Blocks that were looked through.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// What was found.
    pub matches: u64,
    /// Seconds from the moment the node showed the blocks until the last of them was looked through.
    pub seconds: f64,
    /// CPU of the stage's threads, microseconds a transaction.
    pub cpu_us_per_transaction: f64,
    /// Resident memory of the stages' process at the end, bytes.
    pub resident_bytes: u64,
    /// Calls at the node by method and block.
    pub calls_per_block: BTreeMap<String, f64>,
    /// Blocks and receipts that the node served whole, by block: each once, where it was fetched once.
    pub fetched_per_block: (f64, f64),
}

/// That the same was found by all.
///
/// # Errors
/// It was not.
pub(super) fn same(all: &[Evaluation]) -> Result<(), Failure> {
    let of = |e: &Evaluation| (e.transactions, e.matches);
    match all.iter().find(|e| of(e) != of(&all[0]) || e.matches == 0) {
        None => Ok(()),
        Some(other) => Err(format!(
            "{} monitors of {} tenants found {} in {} transactions; {} of {} found {} in {}",
            all[0].monitors,
            all[0].tenants,
            all[0].matches,
            all[0].transactions,
            other.monitors,
            other.tenants,
            other.matches,
            other.transactions
        )
        .into()),
    }
}

/// Measures so many monitors of so many tenants, the embedded log where `brokers` is empty; then, where it is wanted, a noisy tenant beside a
/// quiet one among them.
pub(super) async fn measure(
    ground: &Ground,
    brokers: &str,
    many: (usize, usize),
    noise: bool,
) -> Result<(Evaluation, Option<Noisy>), Failure> {
    let receivers = (Receiver::start().await?, Receiver::start().await?);
    let mut extra =
        format!("[alerts]\nallow_targets = [\"{}\", \"{}\"]\n", receivers.0.address(), receivers.1.address());
    if !brokers.is_empty() {
        extra += &over_kafka(brokers, "tenants")?;
    }
    let node = Node::start(ground.data.clone(), HISTORY, ground.at_ms).await?;
    node.simulator.clear_faults();
    let setting = Setting { keep: ground.args.keep, ..Setting::of(&extra) };
    let mut instance = Instance::start(&ground.binary, &node, &setting).await?;
    let measured = async {
        let head = node.simulator.advance(1)?;
        instance.reach(head, PATIENCE).await?;
        let config = runtime::config::load(&instance.config())?;
        let defined = Defined::open(&config.control, Bounds::of(&config.alerts)).await?;
        let begun = Instant::now();
        let tenants = define(&defined, &ground.data, many).await?;
        let made_seconds = begun.elapsed().as_secs_f64();
        tracing::info!("{} monitors of {} tenants were made in {made_seconds:.1} s", many.1, many.0);
        let evaluation = looked_through(ground, &node, &instance, many).await?;
        let noisy = match (noise, tenants.as_slice()) {
            (true, [quiet, loud, ..]) => {
                let args = (ground.args.rate, Duration::from_secs(ground.args.seconds));
                Some(noisy::measure(&node, &defined, (quiet, &receivers.0), (loud, &receivers.1), args).await?)
            }
            _ => None,
        };
        defined.close().await;
        Ok((Evaluation { made_seconds, ..evaluation }, noisy))
    };
    let measured: Result<_, Failure> = measured.await;
    let stopped = instance.stop().await;
    let measured = measured.map_err(|e| instance.explain(e))?;
    stopped?;
    Ok(measured)
}

/// Makes tenants and monitors, and waits until the stages can know of them. Those that find something are spread among the tenants.
async fn define(
    defined: &Defined,
    data: &Dataset,
    (tenants, monitors): (usize, usize),
) -> Result<Vec<Authenticated>, Failure> {
    let watched: Vec<String> =
        contracts::most_named(data).iter().skip(BUSIEST).take(FINDING).map(|a| format!("{a:#x}")).collect();
    let all: Vec<Value> = all(&watched, monitors);
    let mut last: Vec<Made> = Vec::new();
    let who = defined.tenants(tenants).await?;
    for (who, theirs) in who.iter().zip(all.chunks(monitors.div_ceil(tenants).max(1))) {
        last.extend(defined.monitors(who, theirs).await?);
    }
    defined.known(&last).await?;
    Ok(who)
}

/// So many monitors: as many as there are contracts to watch find something, evenly among the others. None of them finds what failed: a cause
/// that comes after its block amends the match, the metric counts that too, and what comes late is not the same each time.
fn all(watched: &[String], monitors: usize) -> Vec<Value> {
    let every = (monitors / watched.len().max(1)).max(1);
    let finding = |n: usize, address: &String| {
        json!({
            "name": format!("finding {n}"), "network": NETWORK, "addresses": [{"address": address}],
            "match_conditions": {"transactions": [{"status": "Success"}]}
        })
    };
    let one = |n: usize| match watched.get(n / every).filter(|_| n.is_multiple_of(every)) {
        Some(address) => finding(n, address),
        None => monitors::nowhere(NETWORK, n),
    };
    (0..monitors).map(one).collect()
}

async fn looked_through(
    ground: &Ground,
    node: &Node,
    instance: &Instance,
    (tenants, monitors): (usize, usize),
) -> Result<Evaluation, Failure> {
    let simulator = &node.simulator;
    while sum(&instance.metrics().await?, FOUND) == 0.0 {
        if simulator.head() >= FROM {
            return Err(format!("the monitors find nothing up to height {FROM}").into());
        }
        simulator.advance(1)?;
        tokio::time::sleep(WARM).await;
    }
    if simulator.head() < FROM {
        simulator.advance(FROM - simulator.head())?;
    }
    until_processed(instance, FROM).await?;
    at_rest(|| instance.spent(STAGE), PATIENCE).await?;

    let facts: Vec<_> = simulator.canonical(1..=FROM).iter().map(|b| b.facts).collect();
    let mean = facts.iter().map(|f| f.tx_count).sum::<u64>() as f64 / facts.len().max(1) as f64;
    let blocks = ((ground.args.transactions as f64 / mean.max(1.0)).ceil() as u64).max(2);
    let (page, calls) = (instance.metrics().await?, simulator.counts());
    // They come into sight together, and one more head, so that whoever is subscribed hears of it at once.
    simulator.fault(Fault::always(FaultKind::StaleHead { back: 0 }));
    simulator.advance(blocks - 1)?;
    let (used, begun) = (instance.spent(STAGE), Instant::now());
    simulator.clear_faults();
    let head = simulator.advance(1)?;
    until_processed(instance, head).await?;
    let seconds = begun.elapsed().as_secs_f64();
    at_rest(|| instance.spent(STAGE), PATIENCE).await?;
    let used = instance.spent(STAGE).saturating_sub(used);
    let (after, called) = (instance.metrics().await?, simulator.counts());

    let transactions: u64 = simulator.canonical(FROM + 1..=head).iter().map(|b| b.facts.tx_count).sum();
    let of = |name: &str| (sum(&after, name) - sum(&page, name)).round() as u64;
    if of(LOOKED_THROUGH) != transactions {
        return Err(format!("{} of {transactions} transactions were looked through", of(LOOKED_THROUGH)).into());
    }
    let per_block = |before: u64, after: u64| after.saturating_sub(before) as f64 / blocks as f64;
    Ok(Evaluation {
        tenants,
        monitors,
        made_seconds: 0.0,
        blocks,
        transactions,
        matches: of(FOUND),
        seconds,
        cpu_us_per_transaction: used.as_secs_f64() * 1e6 / transactions.max(1) as f64,
        resident_bytes: processes::resident(instance.pid()),
        calls_per_block: called.calls_since(&calls, blocks as f64),
        fetched_per_block: (per_block(calls.blocks, called.blocks), per_block(calls.receipts, called.receipts)),
    })
}

/// Waits until the stage has looked through the block of this height: chains begin at 1 here, and do not fork.
async fn until_processed(instance: &Instance, height: u64) -> Result<(), Failure> {
    let (mut seen, mut changed) = (0.0, Instant::now());
    loop {
        let now = sum(&instance.metrics().await?, PROCESSED);
        if now >= height as f64 {
            return Ok(());
        }
        if now > seen {
            (seen, changed) = (now, Instant::now());
        }
        if changed.elapsed() > PATIENCE {
            return Err(format!("height {height} was awaited; alerts stay at {now} for {PATIENCE:?}").into());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the stage, whose CPU `spent` tells, has nothing more to do.
///
/// # Errors
/// It still has after `patience`.
async fn at_rest(spent: impl Fn() -> Duration, patience: Duration) -> Result<(), Failure> {
    const LOOK: Duration = Duration::from_secs(1);
    let until = Instant::now() + patience;
    loop {
        let (before, begun) = (spent(), Instant::now());
        tokio::time::sleep(LOOK).await;
        let share = spent().saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64();
        if share < AT_REST {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!(
                "the threads of {STAGE} were to come to rest, below {AT_REST} of a core; after {patience:?} they still use {share:.2}"
            )
            .into());
        }
    }
}

/// A metric over all its labels; 0 where nothing is told of it.
fn sum(page: &str, name: &str) -> f64 {
    metrics::counted(page, name).values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_added_up_over_its_labels() {
        let page = "# TYPE found counter\nfound{network=\"a\"} 3\nfound{network=\"b c\"} 4\nfound_more 9\nother 1\n";
        assert_eq!((sum(page, "found"), sum(page, "other"), sum(page, "none")), (7.0, 1.0, 0.0));
    }

    #[tokio::test]
    async fn a_stage_that_does_not_come_to_rest_is_said() {
        let used = std::cell::Cell::new(Duration::ZERO);
        let busy = || {
            used.set(used.get() + Duration::from_secs(1));
            used.get()
        };
        let (busy, idle) = tokio::join!(at_rest(busy, Duration::ZERO), at_rest(|| Duration::ZERO, Duration::ZERO));
        let said = busy.expect_err("it works").to_string();
        assert!(said.contains("threads of alerts") && said.contains("0.05 of a core"), "{said}");
        idle.expect("it rests");
    }

    #[test]
    fn as_many_find_something_whoever_has_them() {
        let watched: Vec<String> = (0..10).map(|n| format!("0x{n:040x}")).collect();
        for monitors in [10, 20_000] {
            let all = all(&watched, monitors);
            let named = |m: &Value| m["name"].as_str().is_some_and(|name| name.starts_with("finding"));
            assert_eq!((all.len(), all.iter().filter(|m| named(m)).count()), (monitors, 10));
        }
        let shares: Vec<usize> = all(&watched, 20_000)
            .chunks(20)
            .map(|some| some.iter().filter(|m| m["addresses"][0]["address"] == watched[0]).count())
            .collect();
        assert_eq!((shares.len(), shares.iter().sum::<usize>()), (1_000, 1));
    }
}
