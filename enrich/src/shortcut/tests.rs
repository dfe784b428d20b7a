use std::sync::Arc;

use ::decode::Abi;
use alloy_primitives::{Address, Selector};
use bytes::Bytes;
use gen_records::Gen;
use proptest::prelude::*;
use runtime::log::{NewRecord, Record as LogRecord, TopicPartition};
use schemas::{
    BlockHash, Codec, Op, Record, TimeMs,
    limits::{ARGUMENTS_BYTES, RECORD_VALUE_BYTES, decoding::TRANSACTION_BYTES},
    profiles::{PROFILES, Profile, TOLERANT},
    records::{EnrichedEvent, EvmLog, Payload, RawBlock, RawTransaction},
    registry::SCHEMAS,
    topics,
    wire::Datum,
};

use super::*;
use crate::{
    output::{belongs, events_of},
    steps::{
        contracts::Watched,
        enrich_record, enriched_block,
        known::{Known, Lookup},
    },
};

#[path = "../../../schemas/tests/support/mod.rs"]
mod gen_records;
#[path = "../../tests/support/recorded.rs"]
mod recorded;

const PARTITION: u32 = 3;
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const APPROVAL: &str = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925";

/// Facts of contracts whose address is an even number: names of their own for what others have too.
struct Even(Abi);

impl Lookup for Even {
    fn abis<'a>(&'a self, address: Address, _: u64, _: Option<Selector>, found: &mut Vec<&'a Abi>) {
        if address.0[19].is_multiple_of(2) {
            found.push(&self.0);
        }
    }
}

fn known() -> Known {
    let lines = [
        "function transfer(address dst, uint256 wad)",
        "function multicall(bytes[] calls)",
        "event Transfer(address indexed src, address indexed dst, uint256 wad)",
        "event Filled(string text)",
    ];
    Known { position: Some(7), facts: Some(Arc::new(Even(Abi::from_lines(lines).unwrap()))) }
}

/// A raw transaction as the log gives it.
fn in_log(value: Bytes) -> LogRecord {
    let from = TopicPartition { topic: topics::RAW_TRANSACTIONS.name, partition: PARTITION };
    LogRecord { from, offset: 1, timestamp: TimeMs(1), key: None, value: Some(value), headers: Vec::new() }
}

/// What reading it whole, enriching it and writing it gives: the transaction, then its logs; none where that is no transaction of the
/// block.
fn long_way(
    codec: &Codec,
    profile: &Profile,
    summing: &mut Summing,
    decoder: &mut Decoder<'_>,
    block: &RawBlock,
    raw: &LogRecord,
) -> Option<Vec<NewRecord>> {
    let raw: RawTransaction = codec.decode(raw.value.as_deref()?).ok()?;
    if !belongs(&raw, block) || !matches!(raw.payload, Payload::Evm(_)) {
        return None;
    }
    let enriched = enrich_record(profile, summing, decoder, raw);
    let Payload::Evm(both) = &enriched.payload else { return None };
    let events = events_of(&both.0, &both.1);
    let events: Vec<_> = events.map(|payload| EnrichedEvent { envelope: enriched.envelope.clone(), payload }).collect();
    let mut records = vec![record(codec, &enriched)?];
    for event in &events {
        records.push(record(codec, event)?);
    }
    Some(records)
}

fn record<R: Record>(codec: &Codec, of: &R) -> Option<NewRecord> {
    Some(NewRecord {
        to: TopicPartition { topic: R::TOPIC.name, partition: PARTITION },
        key: Some(of.key().into()),
        value: Some(codec.encode(of).ok()?),
        headers: of.headers().into_iter().map(|(name, value)| (name.into(), value)).collect(),
    })
}

/// Room for values of so many bytes.
fn room(transactions: usize, events: usize) -> Room {
    Room { transactions, events: Some(events) }
}

/// Works values up both ways. Returns how many went the short one.
fn both_ways(codec: &Codec, profile: &Profile, block: &RawBlock, values: &[Bytes]) -> usize {
    let records: Vec<_> = values.iter().cloned().map(in_log).collect();
    let known = known();
    let decoder = || Decoder::new(&known, block.envelope.height);
    let (mut looks, mut reads) = (decoder(), decoder());
    let mut shortcut = Shortcut::new(codec, block, PARTITION, room(RECORD_VALUE_BYTES, RECORD_VALUE_BYTES));
    let mut short = 0;
    // Every other contract is watched. What was not passed on is not counted either.
    let of = |tx: RawTransaction| match tx.payload {
        Payload::Evm(tx) => tx.contracts(),
        _ => Vec::new(),
    };
    let touched = values.iter().filter_map(|value| codec.decode(value).ok()).flat_map(of).step_by(2);
    let watched = Watched::new(touched.map(|address| (address, TimeMs(7))).collect());
    let summing = || Summing::new(block, watched.clone());
    let (mut sums, mut expected) = (summing(), summing());
    for record in &records {
        let mut got = Vec::new();
        if shortcut.pass_on(profile, &mut sums, &mut looks, record, &mut got).is_none() {
            assert!(got.is_empty());
            continue;
        }
        short += 1;
        let wanted = long_way(codec, profile, &mut expected, &mut reads, block, record);
        let wanted = wanted.unwrap_or_else(|| panic!("read whole it is none: {record:?}"));
        assert_eq!(got.len(), wanted.len());
        for (got, wanted) in got.iter().zip(&wanted) {
            assert_eq!((got.to, &got.key, &got.headers), (wanted.to, &wanted.key, &wanted.headers));
            assert_eq!(got.value, wanted.value);
        }
        // One byte less, and there is no room.
        let bytes = |record: &NewRecord| record.value.as_ref().map_or(0, Bytes::len);
        let (least, events) = (bytes(&got[0]), got[1..].iter().map(bytes).max());
        let fits = |room: Room| {
            let (mut records, mut shortcut) = (Vec::new(), Shortcut::new(codec, block, PARTITION, room));
            let done = shortcut.pass_on(profile, &mut summing(), &mut decoder(), record, &mut records);
            assert_eq!(records.len(), if done.is_some() { got.len() } else { 0 });
            done.is_some()
        };
        assert!(!fits(room(least - 1, RECORD_VALUE_BYTES)) && fits(room(least, events.unwrap_or_default())));
        assert!(events.is_none_or(|events| !fits(room(least, events - 1))));
    }
    let position = known.position;
    assert_eq!(enriched_block(block.clone(), sums, position), enriched_block(block.clone(), expected, position));
    short
}

#[test]
fn recorded_transactions_go_the_short_way_and_arrive_the_same() {
    let codec = Codec::builtin();
    let (mut blocks, mut all) = (0, 0);
    for recorded in recorded::recorded() {
        let (block, transactions) = recorded.event("recorded", 7);
        let values: Vec<_> = transactions.iter().map(|tx| codec.encode(tx).unwrap()).collect();
        let profile = Profile::of(recorded.chain_id);
        assert_eq!(both_ways(&codec, &profile, &block, &values), values.len(), "{}", recorded.chain);
        blocks += 1;
        all += values.len();
    }
    assert!(blocks >= 24 && all > 1_000, "{blocks} blocks, {all} transactions");
}

/// A block, and transactions of which about half have events that enrich knows, or nearly.
fn event(g: &mut Gen) -> (RawBlock, Vec<RawTransaction>) {
    let mut block = g.raw_block();
    block.envelope.op = Op::Apply;
    let transactions = (0..1 + g.below(3)).map(|_| {
        let mut raw = g.raw_transaction_2();
        raw.envelope = block.envelope.child();
        if let Payload::Evm(tx) = &mut raw.payload {
            tx.transaction_type = [0, 2, 3, 0x69, 0x7e, tx.transaction_type][g.below(6) as usize];
            tx.input = match g.below(4) {
                0 => call(g).into(),
                // The same inside of a multicall, which is exact or not.
                1 => {
                    let inner = call(g);
                    let mut input = MULTICALL.to_vec();
                    [32, 1, 32, inner.len() as u64 - g.below(2)].into_iter().for_each(|n| input.extend(word(n)));
                    input.extend(&inner);
                    input.resize(4 + input.len().next_multiple_of(32), 0);
                    input.into()
                }
                _ => tx.input.clone(),
            };
            for log in tx.logs.iter_mut().filter(|log| !log.topics.is_empty()) {
                if g.below(3) > 0 {
                    log.topics[0] = [TRANSFER, APPROVAL][g.below(2) as usize].parse().unwrap();
                    log.topics.resize_with([3, 4, log.topics.len()][g.below(3) as usize], Default::default);
                    let words = log.topics.iter_mut().skip(1);
                    words.for_each(|word| word[12 - g.below(2) as usize..].fill_with(|| g.u64() as u8));
                    log.data = vec![g.u64() as u8; [0, 31, 32, 33, 0, 32][g.below(6) as usize]].into();
                }
            }
        }
        raw
    });
    let transactions = transactions.collect();
    (block, transactions)
}

const MULTICALL: [u8; 4] = [0xac, 0x96, 0x50, 0xd8];

fn word(n: u64) -> [u8; 32] {
    alloy_primitives::U256::from(n).to_be_bytes()
}

/// `transfer(address,uint256)`, or nearly.
fn call(g: &mut Gen) -> Vec<u8> {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend([word(g.u64()), word(g.u64())].concat());
    input.resize([68, 68, 68, 67, 100][g.below(5) as usize], 0);
    input[4] = u8::from(g.below(8) == 0);
    input
}

fn is_transaction(raw: &RawTransaction) -> bool {
    matches!(raw.payload, Payload::Evm(_))
}

/// The datum's bytes changed so that it may mean the same and is written otherwise, or means something else, or nothing.
fn changed(g: &mut Gen, value: &Bytes) -> Bytes {
    let mut bytes = value.to_vec();
    for _ in 0..1 + g.below(2) {
        let at = g.below(bytes.len() as u64) as usize;
        match g.below(8) {
            0 => bytes[at] ^= 1 << g.below(8),
            1 => bytes[at] = g.u64() as u8,
            2 => bytes[at] = bytes[at].to_ascii_uppercase(),
            3 => bytes.truncate(at + 1),
            4 => bytes.insert(at, [0, 2, b'0'][g.below(3) as usize]),
            5 => drop(bytes.remove(at)),
            // A longer form of the same integer, should one stand there.
            6 => {
                bytes[at] |= 0x80;
                bytes.insert(at + 1, 0);
            }
            _ => bytes.push(0),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes.into()
}

#[test]
fn random_transactions_arrive_the_same() {
    let codec = Codec::builtin();
    proptest!(ProptestConfig::with_cases(2_000), |(seed: u64)| {
        let mut g = Gen(seed);
        let profile = *PROFILES.get(g.below(PROFILES.len() as u64 + 1) as usize).unwrap_or(&TOLERANT);
        let (block, transactions) = event(&mut g);
        let values: Vec<_> = transactions.iter().map(|tx| codec.encode(tx).unwrap()).collect();
        // All but reverts and placeholders.
        let wanted = transactions.iter().filter(|raw| is_transaction(raw)).count();
        prop_assert_eq!(both_ways(&codec, &profile, &block, &values), wanted);
        let changed: Vec<_> = values.iter().flat_map(|v| [changed(&mut g, v), changed(&mut g, v)]).collect();
        both_ways(&codec, &profile, &block, &changed);
    });
}

#[test]
fn what_is_written_otherwise_is_read_whole() {
    let codec = Codec::builtin();
    let (block, transactions) = (0..).map(|seed| event(&mut Gen(seed))).find(|e| is_transaction(&e.1[0])).unwrap();
    let value = codec.encode(&transactions[0]).unwrap();
    let short = |block: &RawBlock, value: Bytes| both_ways(&codec, &TOLERANT, block, &[value]);
    assert_eq!(short(&block, value.clone()), 1);
    // Of another block, sequence or time.
    for change in [
        |b: &mut RawBlock| b.envelope.sequence ^= 1,
        |b: &mut RawBlock| b.envelope.block_hash = BlockHash::from(alloy_primitives::B256::ZERO),
        |b: &mut RawBlock| b.envelope.observed_at.0 ^= 1,
        |b: &mut RawBlock| b.envelope.op = Op::Revert,
    ] {
        let mut other = block.clone();
        change(&mut other);
        assert_eq!(short(&other, value.clone()), 0);
    }
    // Under the first version of the schema.
    let first = SCHEMAS.iter().find(|s| s.topic == topics::RAW_TRANSACTIONS && s.version == 1).unwrap();
    let mut former = value.to_vec();
    former[1..5].copy_from_slice(&first.id.to_be_bytes());
    assert_eq!(short(&block, former.into()), 0);
    assert!(Datum::of::<RawTransaction>(first.avsc, &value[5..]).is_err(), "the versions differ");
    // An upper-case digit means the same.
    let digit = |b: &u8| b.is_ascii_lowercase() && b.is_ascii_hexdigit();
    let hash = value.windows(2).rposition(|w| w == b"0x").unwrap();
    let at = hash + value[hash..].iter().position(digit).unwrap();
    let mut upper = value.to_vec();
    upper[at] = upper[at].to_ascii_uppercase();
    assert_eq!(short(&block, upper.into()), 0);
}

#[test]
fn at_the_end_of_its_room_a_transaction_arrives_the_same() {
    const AROUND: usize = "Filled(string text)".len() + "{\"text\":\"\"}".len();
    let codec = Codec::builtin();
    let (block, transactions) = (0..).map(|seed| event(&mut Gen(seed))).find(|e| is_transaction(&e.1[0])).unwrap();
    // Logs whose signatures and arguments take so many bytes.
    let filled = |bytes: usize| {
        let text = bytes - AROUND;
        let mut data = [word(32), word(text as u64)].concat();
        data.resize(64 + text, b'x');
        data.resize(64 + text.next_multiple_of(32), 0);
        let topics = vec![alloy_primitives::keccak256("Filled(string)")];
        EvmLog { address: Address::repeat_byte(2), topics, data: data.into(), ..EvmLog::default() }
    };
    let each = ARGUMENTS_BYTES;
    for (over, wanted) in [(0, TRANSACTION_BYTES / each), (1, TRANSACTION_BYTES / each - 1)] {
        let mut raw = transactions[0].clone();
        let Payload::Evm(tx) = &mut raw.payload else { panic!("a transaction") };
        (tx.to_address, tx.input) = (None, Default::default());
        let last = TRANSACTION_BYTES - (TRANSACTION_BYTES / each - 1) * each;
        tx.logs = (1..TRANSACTION_BYTES / each).map(|_| filled(each)).collect();
        // One that would have room were it the last one.
        tx.logs.extend([filled(last + over), filled(AROUND + 1)]);
        (0..).zip(&mut tx.logs).for_each(|(index, log)| log.log_index = index);
        assert_eq!(both_ways(&codec, &TOLERANT, &block, &[codec.encode(&raw).unwrap()]), 1);
        let known = known();
        let mut decoder = Decoder::new(&known, block.envelope.height);
        let enriched = enrich_record(&TOLERANT, &mut Summing::new(&block, Watched::default()), &mut decoder, raw);
        let Payload::Evm(both) = enriched.payload else { panic!("a transaction") };
        let decoded: Vec<bool> = both.1.events.iter().map(Option::is_some).collect();
        let expected: Vec<bool> = (0..both.0.logs.len()).map(|at| at < wanted).collect();
        assert_eq!(decoded, expected, "{over}");
    }
}
