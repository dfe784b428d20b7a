//! Prints the CPU time that codec and enrich take per transaction of the recorded blocks (Linux):
//! `cargo run --release -p enrich --example cost`.

#[path = "support/cpu.rs"]
mod cpu;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{collections::HashMap, hint::black_box, sync::Arc};

use alloy_primitives::{Address, Selector};
use cpu::cpu_ns;
use decode::Abi;
use enrich::{
    enrich_event,
    steps::{
        contracts::Watched,
        decode::Decoder,
        enrich_figures, enrich_record, enriched_block,
        fee::InBlock,
        known::{Known, Lookup},
        summary::Summing,
        texts::Texts,
        transfers::is_transfer,
    },
};
use schemas::{
    Codec, TimeMs,
    passing::{CallTexts, Passing, Reader, Writer},
    profiles::Profile,
    records::{EnrichedBlock, EnrichedTransaction, Figures, Partial, Payload, RawBlock, RawTransaction},
};
use support::recorded;

const ROUNDS: usize = 30;

type Event = (Profile, (RawBlock, Vec<RawTransaction>));

/// The contracts that are called most in these blocks, as many of each block.
fn most_called(events: &[Event], each: usize) -> Watched {
    let of_block = |(_, (_, txs)): &Event| {
        let mut calls: HashMap<Address, usize> = HashMap::new();
        for tx in txs {
            if let Payload::Evm(tx) = &tx.payload {
                tx.contracts().into_iter().for_each(|address| *calls.entry(address).or_default() += 1);
            }
        }
        let mut most: Vec<_> = calls.into_iter().collect();
        most.sort_by_key(|(address, times)| (std::cmp::Reverse(*times), *address));
        most.into_iter().take(each).map(|(address, _)| (address, TimeMs(0)))
    };
    Arc::new(events.iter().flat_map(of_block).collect())
}

/// A block worked up while these contracts are watched.
fn block_of((profile, (block, txs)): &Event, watched: &Watched) -> EnrichedBlock {
    let known = Known::default();
    let (mut summing, mut decoder) =
        (Summing::new(block, watched.clone()), Decoder::new(&known, block.envelope.height));
    for tx in txs.iter().cloned() {
        enrich_record(profile, &mut summing, &mut decoder, tx);
    }
    enriched_block(block.clone(), summing, None).0
}

/// An operator's ABIs: those of a token and of a router at the contracts that are called most, others at made-up addresses.
struct Many(HashMap<Address, Abi>);

impl Many {
    const ABIS: usize = 1_000;

    fn of(raw: &[&RawTransaction]) -> Self {
        let mut calls: HashMap<Address, usize> = HashMap::new();
        for tx in raw {
            if let Payload::Evm(tx) = &tx.payload {
                tx.contracts().into_iter().for_each(|address| *calls.entry(address).or_default() += 1);
            }
        }
        let mut most: Vec<_> = calls.into_iter().collect();
        most.sort_by_key(|(address, times)| (std::cmp::Reverse(*times), *address));
        let called = most.into_iter().map(|(address, _)| address).take(Self::ABIS / 2);
        let others = (0..).map(|n: u64| Address::left_padding_from(&n.to_be_bytes()));
        Self(called.chain(others).take(Self::ABIS).enumerate().map(|(n, address)| (address, abi(n))).collect())
    }
}

fn abi(n: usize) -> Abi {
    let own: Vec<String> = (0..60).map(|i| format!("function own{n}_{i}(address to, uint256[] amounts)")).collect();
    let lines = [
        "function transfer(address dst, uint256 wad)",
        "function approve(address guy, uint256 wad)",
        "event Transfer(address indexed src, address indexed dst, uint256 wad)",
        "event Swap(address indexed sender, uint256 a, uint256 b, uint256 c, uint256 d, address indexed to)",
    ];
    Abi::from_lines(own.iter().map(String::as_str).chain(lines)).unwrap_or_default()
}

impl Lookup for Many {
    fn abis<'a>(&'a self, address: Address, _: u64, _: Option<Selector>, found: &mut Vec<&'a Abi>) {
        found.extend(self.0.get(&address));
    }
}

fn main() {
    let codec = Codec::builtin();
    let events: Vec<_> = recorded().iter().map(|r| (Profile::of(r.chain_id), r.event("ethereum-mainnet", 1))).collect();
    let raw: Vec<&RawTransaction> = events.iter().flat_map(|(_, (_, txs))| txs).collect();
    let enriched: Vec<EnrichedTransaction> =
        events.iter().cloned().flat_map(|(p, (block, txs))| enrich_event(&p, block, txs).1).collect();
    let raw_values: Vec<_> = raw.iter().filter_map(|tx| codec.encode(*tx).ok()).collect();
    let values: Vec<_> = enriched.iter().filter_map(|tx| codec.encode(tx).ok()).collect();
    let mean = |values: &[bytes::Bytes]| values.iter().map(|v| v.len()).sum::<usize>() / values.len();
    eprintln!("{} transactions, raw {} bytes, enriched {} bytes", raw.len(), mean(&raw_values), mean(&values));

    let each = |what: &str, work: &mut dyn FnMut()| {
        let start = cpu_ns();
        (0..ROUNDS).for_each(|_| work());
        eprintln!("{what:<20} {:>6.2} µs", (cpu_ns() - start) as f64 / 1e3 / (ROUNDS * raw.len()) as f64);
    };
    each("encode raw", &mut || raw.iter().for_each(|tx| drop(black_box(codec.encode(*tx)))));
    each("write raw", &mut || {
        for (_, (block, txs)) in &events {
            let mut writer = Writer::new(&codec, &block.envelope.child());
            for tx in txs {
                if let Payload::Evm(tx) = &tx.payload {
                    drop(black_box(writer.value(tx, usize::MAX)));
                }
            }
        }
    });
    each("decode raw", &mut || raw_values.iter().for_each(|v| drop(black_box(codec.decode::<RawTransaction>(v)))));
    each("copy events", &mut || drop(black_box(events.clone())));
    each("copy and enrich", &mut || {
        for (profile, (block, txs)) in events.clone() {
            black_box(enrich_event(&profile, block, txs));
        }
    });
    let (none, many) = (Known::default(), Known { position: Some(1), facts: Some(Arc::new(Many::of(&raw))) });
    for (what, known) in [("pass on raw", None), ("pass on", Some(&none)), ("pass on, 1,000 ABIs", Some(&many))] {
        each(what, &mut || {
            let mut values = raw_values.iter();
            for (profile, (block, txs)) in &events {
                let mut passing = Passing::new(&codec, &block.envelope.child());
                let mut decoder = known.map(|known| Decoder::new(known, block.envelope.height));
                let (mut logs, mut texts) = (Vec::new(), Texts::default());
                for value in values.by_ref().take(txs.len()) {
                    let Some(view) = passing.look(value, &mut logs) else { panic!("a recorded transaction") };
                    let found = enrich_figures(profile, &InBlock::of(block), &view.figures);
                    black_box(match &mut decoder {
                        Some(decoder) => {
                            texts.read(decoder, &view, &logs);
                            passing.pass_on(&view, &logs, &found, texts.call(), texts.events(), usize::MAX)
                        }
                        None => {
                            let events = logs.iter().map(|_| None);
                            passing.pass_on(&view, &logs, &found, CallTexts::default(), events, usize::MAX)
                        }
                    });
                }
            }
        });
    }
    let looked_at: Vec<Vec<_>> = events
        .iter()
        .map(|(profile, (block, txs))| {
            let transactions = txs.iter().filter_map(|tx| match &tx.payload {
                Payload::Evm(tx) => Some(tx),
                _ => None,
            });
            let looked_at = transactions.map(|tx| {
                let figures = Figures::from(&**tx);
                let transfers: Vec<bool> = tx.logs.iter().map(|log| is_transfer(&log.topics, log.data.len())).collect();
                (figures, enrich_figures(profile, &InBlock::of(block), &figures), tx, transfers)
            });
            looked_at.collect()
        })
        .collect();
    for watched_each in [0, 20, 50] {
        let watched = most_called(&events, watched_each);
        each(&format!("sum up, {watched_each} contracts"), &mut || {
            for ((_, (block, _)), looked_at) in events.iter().zip(&looked_at) {
                let mut summing = Summing::new(block, watched.clone());
                for (figures, found, tx, transfers) in looked_at {
                    summing.add(figures, found, tx.logs.iter().map(|log| log.address), transfers);
                }
                black_box(summing.done());
            }
        });
        let blocks: Vec<EnrichedBlock> = events.iter().map(|event| block_of(event, &watched)).collect();
        let values: Vec<_> = blocks.iter().filter_map(|block| codec.encode(block).ok()).collect();
        let bare = |block: &EnrichedBlock| {
            let mut block = block.clone();
            if let Some(summary) = &mut block.summary {
                (summary.bins, summary.senders, summary.fees) = (None, None, None);
                summary.contracts.clear();
            }
            codec.encode(&block).ok()
        };
        let before: Vec<_> = blocks.iter().filter_map(bare).collect();
        let contracts: usize = blocks.iter().map(|block| block.contracts().len()).sum();
        let sums = blocks.iter().flat_map(EnrichedBlock::contracts).map(schemas::records::ContractSum::bytes);
        eprintln!(
            "  a block's record: {} bytes, {} without sketches and contracts; {:.1} contracts of {} bytes",
            mean(&values),
            mean(&before),
            contracts as f64 / blocks.len() as f64,
            sums.sum::<usize>() / contracts.max(1),
        );
        let per_block = |what: &str, work: &mut dyn FnMut()| {
            let start = cpu_ns();
            (0..ROUNDS).for_each(|_| work());
            eprintln!(
                "  {what:<32} {:>6.1} µs a block",
                (cpu_ns() - start) as f64 / 1e3 / (ROUNDS * blocks.len()) as f64
            );
        };
        per_block("encode it", &mut || blocks.iter().for_each(|block| drop(black_box(codec.encode(block)))));
        per_block("decode it", &mut || {
            values.iter().for_each(|value| drop(black_box(codec.decode::<EnrichedBlock>(value))));
        });
        per_block("merge its partials into others", &mut || {
            let (mut network, mut contracts) = (Partial::default(), HashMap::<Address, Partial>::new());
            for block in &blocks {
                let Some(summary) = &block.summary else { continue };
                network.merge(&Partial::of_block(&block.envelope, block.evm.as_deref(), summary));
                for sum in &summary.contracts {
                    if let Some(partial) = Partial::of_contract(&block.envelope, sum) {
                        contracts.entry(sum.address).or_default().merge(&partial);
                    }
                }
            }
            black_box((network, contracts));
        });
    }
    each("encode enriched", &mut || enriched.iter().for_each(|tx| drop(black_box(codec.encode(tx)))));
    each("decode enriched", &mut || {
        values.iter().for_each(|v| drop(black_box(codec.decode::<EnrichedTransaction>(v))))
    });
    each("read enriched", &mut || {
        let mut values = values.iter();
        for (_, (block, txs)) in &events {
            let reader = Reader::new(&codec, block.envelope.child());
            values.by_ref().take(txs.len()).for_each(|value| drop(black_box(reader.read(value))));
        }
    });
}
