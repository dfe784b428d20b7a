//! A model of windows: a chain whose blocks have summaries as enrich makes them, and the windows of its live blocks, merged anew each time.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use schemas::{
    Status, TimeMs,
    limits::windows::SECONDS,
    records::{BlockSummary, ContractSum, Partial, Payload, Told, Window},
    sketch::{Bins, Distinct},
};
use store::sink::batch::Event;

use crate::chain::{Chain, Dice, Live, is_watched, touched};

/// The next block, of varied prices, with a whole summary. Contracts are watched from these block times on.
pub fn apply(chain: &mut Chain, dice: &mut Dice, watched: &BTreeMap<Address, i64>) -> Event {
    let mut event = chain.apply(dice);
    let price = |dice: &mut Dice| U256::from(1_000_000_000 + dice.roll(100_000_000_000));
    for t in &mut event.transactions {
        let Payload::Evm(both) = &mut t.payload else { continue };
        let (tx, found) = &mut **both;
        let price = price(dice);
        tx.receipt_effective_gas_price = Some(price);
        if let Some(fee) = &mut found.fee {
            // Now and then nobody paid, as for a deposit.
            fee.execution = if dice.roll(9) == 0 { U256::ZERO } else { U256::from(tx.receipt_gas_used) * price };
        }
    }
    if let Some(header) = &mut event.block.evm {
        header.base_fee_per_gas = Some(U256::from(dice.roll(1_000)));
    }
    event.block.summary = Some(summary(&event, watched));
    if let Some(live) = chain.live.last_mut() {
        *live = Live { event: event.clone() };
    }
    event
}

/// What a block did, counted by the plainest means.
fn summary(event: &Event, watched: &BTreeMap<Address, i64>) -> BlockSummary {
    let mut sum = BlockSummary {
        bins: Some(Bins::default()),
        senders: Some(Distinct::default()),
        fees: Some(Vec::new()),
        ..BlockSummary::default()
    };
    let mut contracts = BTreeMap::<Address, ContractSum>::new();
    for t in &event.transactions {
        sum.transactions += 1;
        let Payload::Evm(both) = &t.payload else {
            sum.unreadable += 1;
            continue;
        };
        let (tx, found) = &**both;
        let failed = found.status == Status::Failed;
        let value = if failed { U256::ZERO } else { tx.value };
        let fee = found.fee.expect("the model knows all fees");
        let price = tx.receipt_effective_gas_price.filter(|_| fee.execution > U256::ZERO);
        let sender = tx.from_address;
        sum.failed += u32::from(failed);
        sum.logs += tx.logs.len() as u32;
        sum.gas_used += tx.receipt_gas_used;
        sum.fee_total += fee.total();
        sum.value_total += value;
        if let (Some(bins), Some(senders)) = (&mut sum.bins, &mut sum.senders) {
            price.into_iter().for_each(|price| bins.add(price));
            senders.add(sender.as_slice());
        }
        if let Some(price) = price {
            sum.gas_price_sum += price;
            sum.gas_price_count += 1;
            sum.gas_price_min = Some(sum.gas_price_min.map_or(price, |p| p.min(price)));
            sum.gas_price_max = sum.gas_price_max.max(Some(price));
        }
        for address in touched(tx).into_iter().filter(is_watched) {
            let since = watched.get(&address).copied().unwrap_or(0);
            if event.block.envelope.block_time.0 < since {
                continue;
            }
            let c = contracts.entry(address).or_insert_with(|| ContractSum {
                address,
                bins: Some(Bins::default()),
                senders: Some(Distinct::default()),
                watched_from: Some(TimeMs(since)),
                ..ContractSum::default()
            });
            c.transactions += 1;
            c.failed += u32::from(failed);
            c.logs += tx.logs.iter().filter(|log| log.address == address).count() as u32;
            c.gas_used += tx.receipt_gas_used;
            c.fee_total += fee.total();
            c.value_total += value;
            if let (Some(bins), Some(senders)) = (&mut c.bins, &mut c.senders) {
                price.into_iter().for_each(|price| bins.add(price));
                senders.add(sender.as_slice());
            }
            if let Some(price) = price {
                c.gas_price_sum += price;
                c.gas_price_count += 1;
                c.gas_price_min = Some(c.gas_price_min.map_or(price, |p| p.min(price)));
                c.gas_price_max = c.gas_price_max.max(Some(price));
            }
        }
    }
    sum.contracts = contracts.into_values().collect();
    sum
}

/// The windows of what is live, in which a block from this height on lies: merged from all of its blocks.
pub fn windows(chain: &Chain, from_height: u64) -> Vec<Window> {
    let blocks: Vec<&Event> = chain.live.iter().map(|live| &live.event).collect();
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Vec::new() };
    let (first, last) = (&first.block.envelope, &last.block.envelope);
    let mut windows = Vec::new();
    for seconds in SECONDS {
        let changed = blocks
            .iter()
            .find(|event| event.block.envelope.height >= from_height)
            .map_or(i64::MAX, |event| Window::start_of(event.block.envelope.block_time, seconds).0);
        let mut partials = BTreeMap::<(Option<Address>, i64), (Partial, Option<TimeMs>)>::new();
        for event in &blocks {
            let (e, s) = (&event.block.envelope, event.block.summary.as_ref().expect("a summary"));
            let start = Window::start_of(e.block_time, seconds).0;
            if start < changed {
                continue;
            }
            let mut add = |contract, partial: Partial, watched| {
                let into = partials.entry((contract, start)).or_default();
                into.0.merge(&partial);
                into.1 = watched;
            };
            add(None, Partial::of_block(e, event.block.evm.as_deref(), s), None);
            for c in &s.contracts {
                let partial = Partial::of_contract(e, c).expect("it is watched");
                add(Some(c.address), partial, c.watched_from);
            }
        }
        for ((contract, start), (partial, watched_from)) in partials {
            let end = start + i64::from(seconds) * 1_000;
            let late = watched_from.is_some_and(|from| from.0 > start);
            let complete = last.block_time.0 >= end && first.block_time.0 <= start && !late;
            windows.push(Window {
                network: chain.network.clone(),
                contract,
                window_seconds: seconds,
                window_start: TimeMs(start),
                complete,
                reason: (!complete).then(|| "not all of it".to_owned()),
                watched_from,
                sequence: chain.sequence,
                height: last.height,
                told: Told::of(&partial),
                partial,
            });
        }
    }
    windows
}
