//! `loadtest windows`: what merging blocks into windows costs, of a chain that is made up: decoded records in, encoded records out, on one
//! core, no log in between.
//!
//! Guarantee: the records are those of the stages' codec, each block with sums of so many watched contracts, with prices and senders in
//! their sketches; one thread does it, so that a second of it is a second of a core that has nothing else to do.

use std::{
    collections::HashMap,
    io::Write as _,
    time::{Duration, Instant},
};

use aggregate::windows::{Change, Clock, Network, Open, Place};
use alloy_primitives::{Address, U256};
use clap::Args;
use schemas::{
    Codec, Envelope, Op, Origin, Record as _, TimeMs,
    limits::windows as limits,
    records::{BlockSummary, ContractSum, EnrichedBlock, Window},
    sketch::{Bins, Distinct},
};

use crate::failure::Failure;

/// Records of the stream that the stage takes at a time when it is behind.
const POLL: usize = 512;
/// Blocks of which records are made before the clock runs; they come again under other heights and times.
const DIFFERENT: usize = 512;

/// What is measured.
#[derive(Clone, Copy, Debug, Args)]
pub struct Merging {
    /// Blocks that are merged as fast as they can be
    #[arg(long, default_value_t = 43_200)]
    pub blocks: u64,
    /// Watched contracts that each of them touches
    #[arg(long, default_value_t = 50)]
    pub contracts: u64,
    /// Transactions of each contract in each block
    #[arg(long, default_value_t = 4)]
    pub transactions: u64,
    /// Watched contracts of the chain of which a day is written, a block in --every seconds
    #[arg(long, default_value_t = 20)]
    pub active: u64,
    /// Seconds from block to block
    #[arg(long, default_value_t = 2)]
    pub every: u64,
}

/// Measures, and prints to standard output.
///
/// # Errors
/// A record that cannot be written or read.
pub fn run(args: Merging) -> Result<(), Failure> {
    let codec = Codec::builtin();
    let speed = caught_up(&codec, args)?;
    let day = a_day(&codec, args)?;
    let mib = |bytes: u64| bytes as f64 / 1_000_000.0;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "merging     {:.0} blocks/s a core with {} contracts each ({} blocks in {:.2} s; {:.0} % of it decoding), {} records of windows\n\
         held        {} blocks, {} sums at the end\n\
         a day       of a block in {} s with {} active contracts: {} records, {:.1} MB written into the log; {} keys, {:.1} MB once it is compacted; \
         of {:.1} MB of blocks",
        args.blocks as f64 / speed.took.as_secs_f64(),
        args.contracts,
        args.blocks,
        speed.took.as_secs_f64(),
        speed.decoding.as_secs_f64() / speed.took.as_secs_f64() * 100.0,
        speed.records,
        speed.held.0,
        speed.held.1,
        args.every,
        args.active,
        day.records,
        mib(day.written),
        day.keys,
        mib(day.kept),
        mib(day.read),
    )?;
    Ok(())
}

struct Speed {
    took: Duration,
    decoding: Duration,
    records: u64,
    held: (usize, usize),
}

/// A block as enrich writes it.
fn block(n: u64, contracts: u64, transactions: u64, every_ms: i64, random: &mut fastrand::Rng) -> EnrichedBlock {
    let price = |random: &mut fastrand::Rng| U256::from(20_000_000_000 + random.u64(0..40_000_000_000));
    let of = |n: u64| {
        let mut address = Address::ZERO;
        address.0.0[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        address
    };
    let mut summary = BlockSummary { fees: Some(Vec::new()), ..BlockSummary::default() };
    let (mut all, mut everybody) = (Bins::default(), Distinct::default());
    for contract in 0..contracts {
        let (mut bins, mut senders) = (Bins::default(), Distinct::default());
        let mut sum = ContractSum { address: of(contract), watched_from: Some(TimeMs(0)), ..ContractSum::default() };
        for _ in 0..transactions {
            let (price, sender) = (price(random), of(1_000_000 + random.u64(0..20_000)));
            bins.add(price);
            senders.add(sender.as_slice());
            all.add(price);
            everybody.add(sender.as_slice());
            let fee = price * U256::from(60_000);
            sum.transactions += 1;
            sum.failed += u32::from(random.u8(0..20) == 0);
            sum.logs += 3;
            sum.token_transfers += 1;
            sum.gas_used += 60_000;
            sum.fee_total += fee;
            sum.value_total += U256::from(random.u64(..));
            sum.gas_price_sum += price;
            sum.gas_price_count += 1;
            sum.gas_price_min = Some(sum.gas_price_min.map_or(price, |least| least.min(price)));
            sum.gas_price_max = Some(sum.gas_price_max.map_or(price, |most| most.max(price)));
            summary.transactions += 1;
            summary.gas_used += 60_000;
            summary.fee_total += fee;
            summary.gas_price_sum += price;
            summary.gas_price_count += 1;
        }
        (sum.bins, sum.senders) = (Some(bins), Some(senders));
        summary.contracts.push(sum);
    }
    summary.contracts.sort_by_key(|sum| sum.address);
    (summary.bins, summary.senders) = (Some(all), Some(everybody));
    let envelope = Envelope {
        network: "bench".parse().unwrap_or_else(|_| unreachable!("a slug")),
        sequence: n + 1,
        op: Op::Apply,
        origin: Origin::Live,
        height: n,
        block_hash: hash(n),
        parent_hash: hash(n.wrapping_sub(1)),
        block_time: TimeMs(1_767_225_600_000 + n as i64 * every_ms),
        observed_at: TimeMs(0),
        safe_height: None,
        finalized_height: n.checked_sub(300),
        tx_count: summary.transactions,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    EnrichedBlock { envelope, evm: None, bitcoin: None, summary: Some(summary), facts_position: None }
}

fn hash(n: u64) -> schemas::BlockHash {
    format!("0x{n:064x}").parse().unwrap_or_else(|_| unreachable!("a hash"))
}

/// A block under another place.
fn moved(mut block: EnrichedBlock, n: u64, every_ms: i64) -> EnrichedBlock {
    let e = &mut block.envelope;
    (e.sequence, e.height) = (n + 1, n);
    (e.block_hash, e.parent_hash) = (hash(n), hash(n.wrapping_sub(1)));
    e.block_time = TimeMs(1_767_225_600_000 + n as i64 * every_ms);
    e.finalized_height = n.checked_sub(300);
    block
}

fn network() -> Result<Network, Failure> {
    Ok(Network::new("bench".parse::<schemas::Network>()?, Clock::BlockTime))
}

fn place(n: u64) -> Place {
    Place { offset: n, at: TimeMs(n as i64) }
}

/// As the stage writes it.
fn written(codec: &Codec, window: Window) -> Result<(String, usize), Failure> {
    let window = aggregate::as_written(window);
    let key = window.key();
    let value = codec.encode(&window)?;
    let headers = window.headers().iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    Ok((key.clone(), key.len() + value.len() + headers + 16))
}

/// As fast as it goes.
fn caught_up(codec: &Codec, args: Merging) -> Result<Speed, Failure> {
    let mut random = fastrand::Rng::with_seed(7);
    let every_ms = args.every as i64 * 1_000;
    let blocks = (0..DIFFERENT as u64).map(|n| block(n, args.contracts, args.transactions, every_ms, &mut random));
    let values = blocks.map(|block| codec.encode(&block)).collect::<Result<Vec<_>, _>>()?;
    let mut windows = network()?;
    let (mut took, mut decoding, mut records) = (Duration::ZERO, Duration::ZERO, 0);
    for first in (0..args.blocks).step_by(POLL) {
        let begun = Instant::now();
        let last = (first + POLL as u64).min(args.blocks);
        for (n, value) in (first..last).zip(values.iter().cycle()) {
            let before = Instant::now();
            let block = codec.decode::<EnrichedBlock>(value)?;
            decoding += before.elapsed();
            let block = moved(block, n, every_ms);
            windows.take(n + 1, place(n), Change::of(&block)?);
        }
        for window in windows.drain(Open { network: true, contracts: true }) {
            written(codec, window)?;
            records += 1;
        }
        took += begun.elapsed();
    }
    Ok(Speed { took, decoding, records, held: windows.held() })
}

struct Day {
    records: u64,
    written: u64,
    keys: usize,
    kept: u64,
    read: u64,
}

/// A day at the chain's own pace: each block is read as it comes.
fn a_day(codec: &Codec, args: Merging) -> Result<Day, Failure> {
    let mut random = fastrand::Rng::with_seed(11);
    let every_ms = args.every as i64 * 1_000;
    let mut windows = network()?;
    let (mut day, mut newest) = (Day { records: 0, written: 0, keys: 0, kept: 0, read: 0 }, HashMap::new());
    let contracts_every = limits::CONTRACTS_OPEN_EVERY.as_millis() as u64;
    let mut opened = 0;
    for n in 0..86_400 / args.every.max(1) {
        let block = block(n, args.active, args.transactions, every_ms, &mut random);
        day.read += codec.encode(&block)?.len() as u64;
        windows.take(n + 1, place(n), Change::of(&block)?);
        let now = n * args.every * 1_000;
        let contracts = now - opened >= contracts_every;
        if contracts {
            opened = now;
        }
        for window in windows.drain(Open { network: true, contracts }) {
            let (key, bytes) = written(codec, window)?;
            day.records += 1;
            day.written += bytes as u64;
            newest.insert(key, bytes as u64);
        }
    }
    (day.keys, day.kept) = (newest.len(), newest.values().sum());
    Ok(day)
}
