//! `loadtest matching`: what holding a transaction against monitors costs one core: ten monitors beside ten thousand that find the same, and
//! what each monitor adds that has no address, topic or selector.
//!
//! Guarantee: recorded blocks, decoded; the least of all passes, since others may use the machine; and ten thousand count only when they find
//! exactly what ten find.

// As the tests of monitors read recorded blocks.
#[path = "../../conditions/tests/conditions/blocks.rs"]
mod blocks;

use std::{
    hint::black_box,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use clap::Args;
use conditions::{Hit, Index, Monitor, Scratch};
use schemas::records::EnrichedTransaction;
use serde_json::{Value, json};

use crate::{failure::Failure, monitors};

/// Recorded blocks that are looked through.
const BLOCKS: [&str; 3] = ["ethereum/19433902", "ethereum/18000000", "polygon/38102393"];
/// Monitors of which few find something, and of which it is the same few.
const MONITORS: (usize, usize) = (10, 10_000);
/// Monitors that every transaction is held against, or every log.
const UNINDEXED: usize = 100;

/// How it is measured.
#[derive(Clone, Copy, Debug, Args)]
pub struct Matching {
    /// Seconds of each figure
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
}

/// What it costs, nanoseconds of one core.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// A transaction, with ten monitors.
    pub ten: f64,
    /// A transaction, with ten thousand that find the same.
    pub thousands: f64,
    /// What both find.
    pub matches: usize,
    /// An edit among ten thousand.
    pub edit: f64,
    /// A transaction and monitor, without address, topic and selector.
    pub unindexed: f64,
    /// The same by topic alone.
    pub by_topic: f64,
    /// Logs of a transaction, on the mean.
    pub logs: f64,
}

/// Measures, and prints to standard output.
///
/// # Errors
/// Ten thousand monitors find something else than ten.
pub fn run(args: Matching) -> Result<(), Failure> {
    let Costs { ten, thousands, matches, edit, unindexed, by_topic, logs } = costs(args)?;
    let mut out = std::io::stdout().lock();
    let ratio = thousands / ten;
    writeln!(out, "transaction held against 10 monitors           {ten:>10.0}  ns, {matches} matches")?;
    writeln!(
        out,
        "  against 10,000 that find the same            {thousands:>10.0}  ns, {ratio:.2} times (aim: at most 2)"
    )?;
    writeln!(out, "  an edit among 10,000                         {:>10.1}  µs", edit / 1e3)?;
    writeln!(out, "  each monitor without an index                {unindexed:>10.0}  ns (aim: at most 200)")?;
    writeln!(out, "  each monitor by topic alone                  {by_topic:>10.0}  ns, {logs:.1} logs a transaction")?;
    Ok(())
}

fn monitor(addresses: &[String], conditions: &Value) -> Arc<Monitor> {
    let addresses: Vec<Value> = addresses.iter().map(|address| json!({"address": address})).collect();
    let definition = json!({"name": "m", "network": "demo", "addresses": addresses, "match_conditions": conditions});
    Arc::new(Monitor::parse(&definition).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

/// Nanoseconds for each transaction, the least of all passes, and how many matches there were.
fn measure(index: &Index, block: &[EnrichedTransaction], lasting: Duration) -> (f64, usize) {
    let mut scratch = Scratch::default();
    let (mut best, begin) = (f64::INFINITY, Instant::now());
    loop {
        let pass = Instant::now();
        let of = |hits: Vec<Hit<'_>>| hits.iter().map(|hit| hit.matched.len()).sum::<usize>();
        let matches = block.iter().map(|tx| of(black_box(index.find(tx, &mut scratch)))).sum();
        best = best.min(pass.elapsed().as_nanos() as f64 / block.len().max(1) as f64);
        if begin.elapsed() >= lasting {
            return (best, matches);
        }
    }
}

fn costs(args: Matching) -> Result<Costs, Failure> {
    let lasting = Duration::try_from_secs_f64(args.seconds)?;
    let block: Vec<_> = BLOCKS.into_iter().flat_map(blocks::block).collect();
    let logs: usize = block.iter().map(|tx| blocks::inside(tx).logs.len()).sum();
    let mut busy: Vec<(usize, Address)> = Vec::new();
    for address in block.iter().flat_map(|tx| blocks::inside(tx).contracts()) {
        match busy.iter_mut().find(|(_, known)| *known == address) {
            Some((count, _)) => *count += 1,
            None => busy.push((1, address)),
        }
    }
    busy.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let text = |address: &Address| address.to_string().to_lowercase();
    let add =
        |index: &mut Index, n: usize, monitor: Arc<Monitor>| index.insert("tenant", &format!("m{n:05}"), 1, monitor);

    let mut index = Index::new();
    for (n, (_, address)) in busy.iter().take(MONITORS.0).enumerate() {
        add(&mut index, n, monitor(&[text(address)], &monitors::conditions(n)));
    }
    let (ten, matches) = measure(&index, &block, lasting);
    for n in MONITORS.0..MONITORS.1 {
        add(&mut index, n, monitor(&[monitors::elsewhere(n)], &monitors::conditions(n)));
    }
    let (thousands, again) = measure(&index, &block, lasting);
    if matches == 0 || matches != again {
        return Err(format!("10 monitors find {matches}, 10,000 find {again}").into());
    }
    let begin = Instant::now();
    let edited = MONITORS.0..MONITORS.0 + 1_000;
    for n in edited.clone() {
        add(&mut index, n, monitor(&[monitors::elsewhere(n)], &monitors::conditions(n + 1)));
    }
    let edit = begin.elapsed().as_nanos() as f64 / edited.len() as f64;

    let (nothing, _) = measure(&Index::new(), &block, lasting);
    let each = |of: &dyn Fn(usize) -> Value| {
        let mut index = Index::new();
        for n in 0..UNINDEXED {
            add(&mut index, n, monitor(&[], &of(n)));
        }
        (measure(&index, &block, lasting).0 - nothing) / UNINDEXED as f64
    };
    let unindexed = each(&|n| {
        let expression =
            format!("value > {} ether AND status == 'success' OR gas_price > {} gwei", 1_000_000 + n, 1_000_000 + n);
        json!({"transactions": [{"status": "Any", "expression": expression}]})
    });
    let by_topic = each(&|n| {
        let expression = format!("value == {}", (1u64 << 60) + n as u64);
        json!({"events": [{"signature": "Transfer(address,address,uint256)", "expression": expression}]})
    });
    let logs = logs as f64 / block.len().max(1) as f64;
    Ok(Costs { ten, thousands, matches, edit, unindexed, by_topic, logs })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a build that is not optimized the ratio is the same, and twice what is aimed at leaves room for a busy machine.
    #[test]
    fn ten_thousand_monitors_find_what_ten_find_and_cost_hardly_more() {
        let costs = costs(Matching { seconds: 0.2 }).expect("the same matches");
        assert!(costs.thousands < 4.0 * costs.ten, "{costs:?}");
        assert!(costs.unindexed.is_finite() && costs.by_topic.is_finite() && costs.edit > 0.0, "{costs:?}");
    }
}
