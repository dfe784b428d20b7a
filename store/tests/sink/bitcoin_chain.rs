//! A model of a Bitcoin chain: blocks whose transactions spend outputs of former blocks, reorgs, blocks of which only the header is to be had.

use std::collections::BTreeMap;

use alloy_primitives::{Bytes, U256, keccak256};
use schemas::{
    BitcoinHash, Envelope, Network, Op, Origin, TimeMs,
    bitcoin::BitcoinChain,
    records::{
        BitcoinDecoded, BitcoinHeader, BitcoinInput, BitcoinOutput, BitcoinSpent, BlockSummary, Coverage,
        EnrichedBlock, EnrichedTransaction, Payload, ScriptKind,
    },
};
use store::sink::batch::Event;

use crate::chain::Dice;

/// What a coinbase pays out without fees, satoshi.
const SUBSIDY: u64 = 5_000_000_000;

/// A chain and what it holds.
pub struct Chain {
    pub network: Network,
    pub sequence: u64,
    pub first: u64,
    /// Canonical blocks, the lowest first.
    pub live: Vec<Event>,
    /// (sequence, op, hash) of every event.
    pub events: Vec<(u64, String, String)>,
}

/// The transactions of an event.
pub fn transactions(event: &Event) -> impl Iterator<Item = &BitcoinDecoded> {
    event.transactions.iter().filter_map(|t| match &t.payload {
        Payload::Bitcoin(decoded) => Some(&**decoded),
        Payload::Evm(_) | Payload::Revert | Payload::Unreadable { .. } => None,
    })
}

/// An address of few, written as one of the main chain is.
pub fn address(number: u64) -> String {
    format!("bc1qTest{number}")
}

fn hash_of(text: &str) -> BitcoinHash {
    BitcoinHash(keccak256(text).0)
}

impl Chain {
    pub fn new(name: &str, first: u64) -> Self {
        let network = name.parse().expect("a slug");
        Self { network, sequence: 0, first, live: Vec::new(), events: Vec::new() }
    }

    fn envelope(&mut self, op: Op, height: u64, hash: BitcoinHash) -> Envelope {
        self.sequence += 1;
        let parent = self.live.last().map(|last| last.block.envelope.block_hash.clone());
        self.events.push((self.sequence, op.as_str().into(), hash.to_string()));
        // Not rising: every third block's clock is behind.
        let seconds = 1_700_000_000 + i64::try_from(height).expect("small") * 600
            - if height.is_multiple_of(3) { 900 } else { 0 };
        Envelope {
            network: self.network.clone(),
            sequence: self.sequence,
            op,
            origin: Origin::Live,
            height,
            block_hash: hash.into(),
            parent_hash: parent.unwrap_or_else(|| BitcoinHash::default().into()),
            block_time: TimeMs(seconds * 1_000),
            observed_at: TimeMs::now(),
            safe_height: None,
            finalized_height: None,
            tx_count: 0,
            log_count: 0,
            reverts_sequence: None,
            reorg_remaining: 0,
        }
    }

    /// Outputs that no live block spends: (transaction, position) → (output, height), in an order that is always the same.
    fn unspent(&self) -> BTreeMap<(BitcoinHash, u32), (BitcoinOutput, u64)> {
        let mut unspent = BTreeMap::new();
        for event in &self.live {
            let height = event.block.envelope.height;
            for t in transactions(event) {
                for input in &t.inputs {
                    unspent.remove(&(input.spent_txid, input.spent_index));
                }
                for (index, output) in (0..).zip(&t.outputs) {
                    unspent.insert((t.txid, index), (output.clone(), height));
                }
            }
        }
        unspent
    }

    /// Who spends which outputs: (transaction, position) → (transaction, position, height).
    pub fn spent(&self) -> BTreeMap<(String, u32), (String, u32, u64)> {
        let mut spent = BTreeMap::new();
        for event in &self.live {
            for t in transactions(event).filter(|t| !t.is_coinbase) {
                for (index, input) in (0..).zip(&t.inputs) {
                    let by = (t.txid.to_string(), index, event.block.envelope.height);
                    spent.insert((input.spent_txid.to_string(), input.spent_index), by);
                }
            }
        }
        spent
    }

    /// The next block: a coinbase and up to three transactions, each of up to two inputs and three outputs.
    pub fn apply(&mut self, dice: &mut Dice) -> Event {
        let height = self.first + self.live.len() as u64;
        let salt = dice.roll(u64::MAX);
        let hash = hash_of(&format!("{}/{height}/{salt}", self.network));
        let mut unspent: Vec<_> = self.unspent().into_iter().collect();
        let mut decoded = Vec::new();
        for index in 1..=u32::try_from(dice.roll(4)).expect("small") {
            let count = usize::try_from(1 + dice.roll(2)).expect("small").min(unspent.len());
            if count == 0 {
                break;
            }
            let spends: Vec<_> = (0..count)
                .map(|_| unspent.remove(usize::try_from(dice.roll(unspent.len() as u64)).expect("small")))
                .collect();
            decoded.push(transaction(&hash, index, spends, dice));
        }
        let fees = decoded.iter().filter_map(|t| t.fee).sum::<u64>();
        decoded.insert(0, coinbase(&hash, SUBSIDY + fees, dice));
        self.push(height, hash, decoded)
    }

    /// The next block, with these transactions.
    pub fn push(&mut self, height: u64, hash: BitcoinHash, decoded: Vec<BitcoinDecoded>) -> Event {
        let mut envelope = self.envelope(Op::Apply, height, hash);
        envelope.tx_count = u32::try_from(decoded.len()).expect("small");
        let others = || decoded.iter().filter(|t| !t.is_coinbase);
        let summary = BlockSummary {
            transactions: envelope.tx_count,
            gas_used: decoded.iter().map(|t| u64::from(t.virtual_size)).sum(),
            fee_total: U256::from(others().filter_map(|t| t.fee).sum::<u64>()),
            fee_unknown: u32::try_from(others().filter(|t| t.fee.is_none()).count()).expect("small"),
            value_total: U256::from(others().map(|t| t.output_value).sum::<u64>()),
            ..BlockSummary::default()
        };
        let header = self.header(&envelope, Coverage::Full);
        let child = envelope.child();
        let payloads = decoded.into_iter().map(|t| Payload::Bitcoin(Box::new(t)));
        let transactions = payloads.map(|payload| EnrichedTransaction { envelope: child.clone(), payload }).collect();
        let summary = Some(summary);
        let block =
            EnrichedBlock { envelope, evm: None, bitcoin: Some(Box::new(header)), summary, facts_position: None };
        self.live.push(Event { block, transactions });
        self.live.last().expect("a block").clone()
    }

    /// The next block, of which only the header is to be had.
    pub fn apply_header(&mut self, dice: &mut Dice) -> Event {
        let height = self.first + self.live.len() as u64;
        let hash = hash_of(&format!("{}/{height}/{}", self.network, dice.roll(u64::MAX)));
        let envelope = self.envelope(Op::Apply, height, hash);
        let header = self.header(&envelope, Coverage::Header);
        let bitcoin = Some(Box::new(header));
        let block = EnrichedBlock { envelope, evm: None, bitcoin, summary: None, facts_position: None };
        self.live.push(Event { block, transactions: Vec::new() });
        self.live.last().expect("a block").clone()
    }

    fn header(&self, e: &Envelope, coverage: Coverage) -> BitcoinHeader {
        let full = coverage == Coverage::Full;
        BitcoinHeader {
            chain: BitcoinChain::Main,
            coverage,
            version: 0x2000_0004,
            merkle_root: hash_of(&format!("root of {}", e.block_hash)),
            time: u32::try_from(e.block_time.0 / 1_000).expect("before 2106"),
            bits: 0x1d00_ffff,
            nonce: u32::try_from(e.height).expect("small"),
            median_time: (e.height > self.first + 10).then_some(TimeMs(e.block_time.0 - 3_600_000)),
            chain_work: full.then(|| U256::from(e.height) << 70),
            size: full.then_some(1_000),
            stripped_size: full.then_some(800),
            weight: full.then_some(3_400),
            transaction_count: full.then_some(e.tx_count),
            coinbase: full.then(|| Bytes::from_static(b"\x03abc/test/")),
        }
    }

    /// Takes the newest block back; `None` on an empty chain.
    pub fn revert(&mut self) -> Option<Event> {
        let last = self.live.pop()?.block.envelope;
        let hash: BitcoinHash = last.block_hash.as_str().parse().expect("a hash");
        let mut envelope = self.envelope(Op::Revert, last.height, hash);
        envelope.reverts_sequence = Some(last.sequence);
        let child = EnrichedTransaction { envelope: envelope.child(), payload: Payload::Revert };
        let block = EnrichedBlock { envelope, evm: None, bitcoin: None, summary: None, facts_position: None };
        Some(Event { block, transactions: vec![child] })
    }

    /// A random step: mostly growth, sometimes a reorg of up to three blocks.
    pub fn step(&mut self, dice: &mut Dice) -> Vec<Event> {
        let depth = if dice.roll(4) == 0 { 1 + dice.roll(3) } else { 0 };
        let mut events: Vec<Event> = (0..depth).filter_map(|_| self.revert()).collect();
        for _ in 0..=dice.roll(depth + 2) {
            events.push(self.apply(dice));
        }
        events
    }
}

const KINDS: [ScriptKind; 5] = [
    ScriptKind::PubKeyHash,
    ScriptKind::WitnessV0KeyHash,
    ScriptKind::WitnessV1Taproot,
    ScriptKind::NullData,
    ScriptKind::MultiSig,
];

fn output(value: u64, dice: &mut Dice) -> BitcoinOutput {
    let kind = KINDS[usize::try_from(dice.roll(5)).expect("small")];
    let addresses = match kind {
        ScriptKind::NullData => Vec::new(),
        ScriptKind::MultiSig => vec![address(dice.roll(9)), address(9)],
        _ => vec![address(dice.roll(9))],
    };
    let script = Bytes::from(vec![0x51; usize::try_from(dice.roll(40)).expect("small")]);
    BitcoinOutput { value, script, kind, addresses }
}

/// A coinbase that pays out so much.
pub fn coinbase(block: &BitcoinHash, value: u64, dice: &mut Dice) -> BitcoinDecoded {
    let input = BitcoinInput {
        spent_index: u32::MAX,
        script: Bytes::from_static(b"\x03abc/test/"),
        sequence: u32::MAX,
        witness: vec![Bytes::from(vec![0; 32])],
        ..BitcoinInput::default()
    };
    BitcoinDecoded {
        txid: hash_of(&format!("{block}/coinbase")),
        wtxid: hash_of(&format!("{block}/coinbase/w")),
        version: 2,
        size: 200,
        weight: 700,
        virtual_size: 175,
        is_coinbase: true,
        segwit: true,
        output_value: value,
        fee: Some(0),
        pool: (dice.roll(2) > 0).then(|| "Test 'Pool'".into()),
        inputs: vec![input],
        outputs: vec![output(value, dice)],
        ..BitcoinDecoded::default()
    }
}

/// A transaction that spends these, or something that is not known.
fn transaction(
    block: &BitcoinHash,
    index: u32,
    spends: Vec<((BitcoinHash, u32), (BitcoinOutput, u64))>,
    dice: &mut Dice,
) -> BitcoinDecoded {
    let known = dice.roll(5) > 0;
    let total: u64 = spends.iter().map(|(_, (spent, _))| spent.value).sum();
    let fee = dice.roll(10_000).min(total);
    let parts = 1 + dice.roll(3);
    let outputs: Vec<BitcoinOutput> = (0..parts)
        .map(|i| {
            let left = if i == 0 { (total - fee) % parts } else { 0 };
            output((total - fee) / parts + left, dice)
        })
        .collect();
    let inputs = spends.into_iter().map(|((txid, position), (spent, height))| BitcoinInput {
        spent_txid: txid,
        spent_index: position,
        script: Bytes::from(vec![0x01; usize::try_from(dice.roll(3)).expect("small")]),
        sequence: if dice.roll(2) > 0 { 0xffff_fffd } else { u32::MAX },
        witness: (0..dice.roll(3)).map(|n| Bytes::from(vec![7; usize::try_from(n * 30).expect("small")])).collect(),
        spent: known.then(|| BitcoinSpent {
            value: spent.value,
            script: spent.script,
            kind: spent.kind,
            addresses: spent.addresses,
            height: (dice.roll(2) > 0).then(|| u32::try_from(height).expect("small")),
        }),
        envelope: match dice.roll(4) {
            0 => Some(String::new()),
            1 => Some("text/plain;charset=utf-8".into()),
            _ => None,
        },
    });
    let inputs: Vec<BitcoinInput> = inputs.collect();
    BitcoinDecoded {
        transaction_index: index,
        txid: hash_of(&format!("{block}/{index}")),
        wtxid: hash_of(&format!("{block}/{index}/w")),
        version: 1,
        lock_time: index,
        size: 300,
        weight: 900,
        virtual_size: 225,
        sigops: known.then_some(4),
        segwit: dice.roll(2) > 0,
        replaceable: inputs.iter().any(|input| input.sequence < 0xffff_fffe),
        input_value: known.then_some(total),
        output_value: outputs.iter().map(|o| o.value).sum(),
        fee: known.then_some(fee),
        fee_rate: known.then_some(fee * 1_000 / 225),
        inputs,
        outputs,
        ..BitcoinDecoded::default()
    }
}
