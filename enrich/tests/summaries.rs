//! Every recorded block with receipts: what its summary says of the network and of each contract that it touches equals a recomputation
//! from the raw JSON that shares no code with it; sketches are within their error of the exact values, and the same bytes whatever the
//! order of the transactions; summaries merged as partials say what all blocks together say.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, U256};
use enrich::steps::{
    contracts::Watched, decode::Decoder, enrich_record, enriched_block, known::Known, summary::Summing,
};
use schemas::{
    Codec, TimeMs,
    profiles::Profile,
    records::{ContractSum, EnrichedBlock, Partial, RawBlock, RawTransaction},
};
use serde_json::Value;
use support::{Recorded, amount, number, recorded};

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const FROM: TimeMs = TimeMs(1_234);

/// Of the transactions of a network or of a contract, one by one.
#[derive(Debug, Default, PartialEq)]
struct Naive {
    transactions: u64,
    failed: u64,
    unknown: u64,
    logs: u64,
    transfers: u64,
    gas: u64,
    fee: U256,
    value: U256,
    prices: Vec<U256>,
    senders: BTreeSet<Address>,
}

fn address(value: &Value) -> Option<Address> {
    value.as_str().map(|text| text.parse().unwrap())
}

/// The network's, and each contract's.
fn naive(recorded: &Recorded) -> (Naive, BTreeMap<Address, Naive>) {
    let (mut network, mut contracts) = (Naive::default(), BTreeMap::<Address, Naive>::new());
    let transactions = recorded.block["transactions"].as_array().unwrap();
    for (t, r) in transactions.iter().zip(&recorded.receipts) {
        let logs = r["logs"].as_array().unwrap();
        let is_transfer = |log: &Value| {
            let (topics, data) = (log["topics"].as_array().unwrap(), log["data"].as_str().unwrap().len());
            topics.first().is_some_and(|s| s == TRANSFER) && matches!((topics.len(), data), (3, 66) | (4, 2))
        };
        for log in logs {
            for sums in [&mut network, contracts.entry(address(&log["address"]).unwrap()).or_default()] {
                sums.logs += 1;
                sums.transfers += u64::from(is_transfer(log));
            }
        }
        let touched = logs.iter().map(|log| &log["address"]).chain([&t["to"], &r["contractAddress"]]);
        let touched: BTreeSet<Address> = touched.filter_map(address).collect();
        let (mut fee, mut price) = (U256::ZERO, None);
        if !matches!(t["type"].as_str(), Some("0x7e" | "0x6a")) {
            let paid = amount(&r["effectiveGasPrice"]).or(amount(&t["gasPrice"])).unwrap();
            let gas = amount(&r["gasUsed"]).unwrap();
            fee = gas * paid + amount(&r["l1Fee"]).unwrap_or_default();
            if t["type"] == "0x3" {
                fee += amount(&r["blobGasUsed"]).unwrap() * amount(&r["blobGasPrice"]).unwrap();
            }
            price = (!(gas * paid).is_zero()).then_some(paid);
        }
        let count = |sums: &mut Naive| {
            let failed = r["status"] == "0x0";
            sums.transactions += 1;
            sums.failed += u64::from(failed);
            sums.unknown += u64::from(r["status"].is_null());
            sums.gas += number(&r["gasUsed"]).unwrap();
            sums.fee += fee;
            if !failed {
                sums.value += amount(&t["value"]).unwrap();
            }
            sums.prices.extend(price);
            sums.senders.insert(address(&t["from"]).unwrap());
        };
        count(&mut network);
        touched.into_iter().for_each(|contract| count(contracts.entry(contract).or_default()));
    }
    (network, contracts)
}

/// A block worked up, with these contracts watched.
fn worked_up(
    profile: &Profile,
    block: RawBlock,
    transactions: Vec<RawTransaction>,
    watched: &Watched,
) -> EnrichedBlock {
    let known = Known::default();
    let mut summing = Summing::new(&block, watched.clone());
    let mut decoder = Decoder::new(&known, block.envelope.height);
    for raw in transactions {
        enrich_record(profile, &mut summing, &mut decoder, raw);
    }
    enriched_block(block, summing, None).0
}

/// A partial against the naive sums. How far the median, and the number of senders, are off.
fn check(partial: &Partial, naive: &Naive, at: &str) -> (f64, f64) {
    let sums = |p: &Partial| (p.transactions, p.failed, p.unknown, p.logs, p.token_transfers, p.gas_used);
    let wanted = (naive.transactions, naive.failed, naive.unknown, naive.logs, naive.transfers, naive.gas);
    assert_eq!(sums(partial), wanted, "{at}");
    assert_eq!((partial.fee_total, partial.fee_unknown, partial.value_total), (naive.fee, 0, naive.value), "{at}");
    let mut prices = naive.prices.clone();
    prices.sort_unstable();
    let sum = prices.iter().fold(U256::ZERO, |sum, price| sum + price);
    assert_eq!((partial.gas_price_sum, partial.gas_price_count), (sum, prices.len() as u64), "{at}");
    assert_eq!(
        (partial.gas_price_min, partial.gas_price_max),
        (prices.first().copied(), prices.last().copied()),
        "{at}"
    );
    let mut most = 0f64;
    for per_mille in [0, 10, 500, 950, 1_000] {
        let rank = (prices.len() * per_mille).div_ceil(1_000).max(1);
        let told = partial.gas_price(per_mille as u16);
        assert_eq!(told.is_some(), !prices.is_empty(), "{at}");
        let Some((told, exact)) = told.zip(prices.get(rank - 1)) else { continue };
        let off = f64::from(told.abs_diff(*exact)) / f64::from(*exact);
        assert!(off <= 1.0 / 64.0, "{at}: {per_mille} of a thousand: {told} for {exact}");
        most = most.max(off);
    }
    let (told, exact) = (partial.senders().unwrap() as f64, naive.senders.len() as f64);
    let off = (told - exact).abs();
    assert!(off <= f64::max(3.0, 0.07 * exact), "{at}: {told} senders for {exact}");
    (most, off / exact.max(1.0))
}

#[test]
fn summaries_equal_a_recomputation_of_the_network_and_of_every_contract() {
    let codec = Codec::builtin();
    let (mut blocks, mut contracts, mut worst) = (0, 0, (0f64, 0f64));
    let (mut all, mut all_naive) = (Partial::default(), Naive::default());
    for recorded in recorded() {
        let at = format!("{} {}", recorded.chain, recorded.number);
        let profile = Profile::of(recorded.chain_id);
        let (network, by_contract) = naive(&recorded);
        let watched: Watched = Arc::new(by_contract.keys().map(|address| (*address, FROM)).collect());
        let (raw, transactions) = recorded.event("recorded", 1);
        let mut turned = transactions.clone();
        turned.reverse();
        let block = worked_up(&profile, raw.clone(), transactions, &watched);
        let summary = block.summary.clone().unwrap();
        assert_eq!(codec.decode::<EnrichedBlock>(&codec.encode(&block).unwrap()).unwrap(), block, "{at}");
        // Which transaction comes first makes no difference, to the byte.
        let other = worked_up(&profile, raw, turned, &watched).summary.unwrap();
        assert_eq!(other, summary, "{at}");

        let partial = Partial::of_block(&block.envelope, block.evm.as_deref(), &summary);
        let off = check(&partial, &network, &at);
        worst = (worst.0.max(off.0), worst.1.max(off.1));
        assert_eq!(summary.contracts_left_out, 0, "{at}");
        let told: Vec<Address> = summary.contracts.iter().map(|sum| sum.address).collect();
        assert_eq!(told, by_contract.keys().copied().collect::<Vec<_>>(), "{at}");
        for sum in &summary.contracts {
            assert_eq!(sum.watched_from, Some(FROM));
            assert!(sum.bytes() <= ContractSum::BYTES_AT_MOST);
            let partial = Partial::of_contract(&block.envelope, sum).unwrap();
            check(&partial, &by_contract[&sum.address], &format!("{at} {}", sum.address));
            contracts += 1;
        }
        all.merge(&partial);
        add(&mut all_naive, network);
        blocks += 1;
    }
    let off = check_sums_of_chains(&all, &all_naive);
    eprintln!("{blocks} blocks, {contracts} contracts in them; prices off by {:.2} % at most", worst.0 * 100.0);
    eprintln!("senders off by {:.1} % at most; all blocks together by {:.1} %", worst.1 * 100.0, off * 100.0);
    assert!(blocks >= 24 && contracts > 1_000, "{blocks} {contracts}");
}

fn add(all: &mut Naive, one: Naive) {
    all.transactions += one.transactions;
    all.prices.extend(one.prices);
    all.senders.extend(one.senders);
}

/// Prices of all chains together span more octaves than one chain's: the sketch says by how much it may be off.
fn check_sums_of_chains(all: &Partial, naive: &Naive) -> f64 {
    let mut prices = naive.prices.clone();
    prices.sort_unstable();
    let error = all.bins.as_ref().unwrap().error();
    for per_mille in [1u16, 250, 500, 950] {
        let exact = prices[(prices.len() * usize::from(per_mille)).div_ceil(1_000).max(1) - 1];
        let told = all.gas_price(per_mille).unwrap();
        assert!(f64::from(told.abs_diff(exact)) <= f64::from(exact) * error, "{told} for {exact}");
    }
    assert_eq!(all.transactions, naive.transactions);
    let (told, exact) = (all.senders().unwrap() as f64, naive.senders.len() as f64);
    assert!((told / exact - 1.0).abs() < 0.07, "{told} for {exact}");
    (told / exact - 1.0).abs()
}

/// What summaries add to a block's record: about two bytes for each sender and for each price bin of the network, and a few hundred for a
/// contract. As a share of the block's transactions in the log it is little.
#[test]
fn what_sketches_and_contracts_take_in_a_blocks_record() {
    let codec = Codec::builtin();
    let bytes = |block: &EnrichedBlock| codec.encode(block).unwrap().len();
    let (mut blocks, mut of_transactions, mut bare, mut sketched, mut contracts, mut of_contracts) = (0, 0, 0, 0, 0, 0);
    for recorded in recorded() {
        let profile = Profile::of(recorded.chain_id);
        let (raw, transactions) = recorded.event("recorded", 1);
        of_transactions += transactions.iter().map(|tx| codec.encode(tx).unwrap().len()).sum::<usize>();
        let mut calls: Vec<(usize, Address)> =
            naive(&recorded).1.into_iter().map(|(address, sums)| (sums.transactions as usize, address)).collect();
        calls.sort_unstable_by(|a, b| b.cmp(a));
        let watched =
            |most: usize| Watched::new(calls.iter().take(most).map(|(_, address)| (*address, FROM)).collect());
        let mut block = worked_up(&profile, raw.clone(), transactions.clone(), &watched(0));
        let with = bytes(&block);
        let summary = block.summary.as_mut().unwrap();
        (summary.bins, summary.senders, summary.fees) = (None, None, None);
        (blocks, bare, sketched) = (blocks + 1, bare + bytes(&block), sketched + with);
        let block = worked_up(&profile, raw, transactions, &watched(20));
        contracts += block.contracts().len();
        of_contracts += bytes(&block) - with;
        assert!(block.contracts().iter().all(|sum| sum.bytes() <= 4_096));
    }
    let (more, each) = ((sketched - bare) / blocks, of_contracts / contracts);
    eprintln!(
        "{blocks} blocks: {} bytes each without sketches, {more} more with them, {each} for each of {contracts} contracts",
        bare / blocks
    );
    eprintln!("their transactions: {} bytes a block", of_transactions / blocks);
    assert!(more <= 1_024 && each <= 512, "{more} {each}");
}
