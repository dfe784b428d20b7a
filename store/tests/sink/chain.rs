//! A model of a chain: grows, reverts, and knows what every view must show.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use schemas::{
    BlockHash, ChildEnvelope, Envelope, Network, Op, Origin, Status, TimeMs,
    records::{
        BlockSummary, CauseEvidence, ContractSum, DecodedEvent, EnrichedBlock, EnrichedCause, EnrichedTransaction,
        Enrichment, EvmHeader, EvmLog, EvmTransaction, FeeParts, Payload,
    },
};
use store::sink::batch::Event;

/// An event as records tell it.
pub const TRANSFER: &str = "Transfer(address indexed from, address indexed to, uint256 value)";

/// A small deterministic generator (splitmix64).
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// A cause of a transaction of an event, with everything that one can have, or little.
pub fn cause_of(event: &Event, index: u32, revision: u8, dice: &mut Dice) -> EnrichedCause {
    let e = &event.block.envelope;
    let mut maybe =
        |what: &str| (dice.roll(3) > 0).then(|| format!("{what} '{}' \\ ? {{\"a\": \"\\n\"}}", dice.roll(1_000)));
    let (rule, group, error) = (maybe("rule"), maybe("group"), maybe("error\tor\nnot"));
    let (error_signature, error_arguments, calls) = (maybe("Bad(uint256 it)"), maybe("{}"), maybe("[]"));
    let reason = format!("because \"{revision}\" \\ ? 'it'\n{}", dice.roll(1_000));
    let mut address = || (dice.roll(2) > 0).then(|| Address::repeat_byte(dice.roll(256) as u8));
    let (from_address, entry, frame_address) = (address(), address(), address());
    EnrichedCause {
        network: e.network.clone(),
        sequence: e.sequence,
        height: e.height,
        block_hash: e.block_hash.clone(),
        block_time: e.block_time,
        transaction_index: index,
        transaction_hash: B256::ZERO,
        revision,
        cause: format!("cause_{revision}_{}", dice.roll(3)),
        reason,
        rule,
        found_by: CauseEvidence::ALL[dice.roll(4) as usize],
        approximate: dice.roll(2) > 0,
        from_address,
        contract: None,
        method: None,
        entry,
        frame_address,
        frame_depth: (dice.roll(2) > 0).then(|| dice.roll(1_024) as u16),
        error,
        error_selector: (dice.roll(2) > 0).then(|| FixedBytes::from((dice.roll(1 << 32) as u32).to_be_bytes())),
        error_signature,
        error_arguments,
        output: Bytes::from(vec![dice.roll(256) as u8; dice.roll(40) as usize]),
        calls,
        group,
        found_at: TimeMs::now(),
    }
}

/// A block that is canonical.
#[derive(Clone)]
pub struct Live {
    pub event: Event,
}

pub struct Chain {
    pub network: Network,
    pub sequence: u64,
    first: u64,
    pub live: Vec<Live>,
    /// (sequence, op, hash) of every event.
    pub events: Vec<(u64, String, String)>,
    /// Causes that were folded into rows of an event, by its sequence and the transaction's position; the newest revision.
    pub folded: BTreeMap<(u64, u32), EnrichedCause>,
}

impl Chain {
    /// Begins at a height just below a boundary of partitions for some networks.
    pub fn new(name: &str, first: u64) -> Self {
        let network = name.parse().expect("a slug");
        Self { network, sequence: 0, first, live: Vec::new(), events: Vec::new(), folded: BTreeMap::new() }
    }

    fn envelope(&mut self, op: Op, height: u64, hash: B256, parent: B256) -> Envelope {
        self.sequence += 1;
        let hash = BlockHash::from(hash);
        self.events.push((self.sequence, op.as_str().into(), hash.as_str().into()));
        Envelope {
            network: self.network.clone(),
            sequence: self.sequence,
            op,
            origin: Origin::Live,
            height,
            block_hash: hash,
            parent_hash: BlockHash::from(parent),
            block_time: TimeMs(1_700_000_000_000 + i64::try_from(height).expect("small") * 12_000),
            observed_at: TimeMs::now(),
            safe_height: None,
            finalized_height: None,
            tx_count: 0,
            log_count: 0,
            reverts_sequence: None,
            reorg_remaining: 0,
        }
    }

    /// The next block, with up to four transactions of up to three logs.
    pub fn apply(&mut self, dice: &mut Dice) -> Event {
        let height = self.first + self.live.len() as u64;
        let salt = dice.roll(u64::MAX);
        let hash = keccak256(format!("{}/{height}/{salt}", self.network));
        let parent = keccak256("parent");
        let mut envelope = self.envelope(Op::Apply, height, hash, parent);
        let count = dice.roll(5) as u32;
        envelope.tx_count = count;
        let mut log_index = 0;
        let mut transactions = Vec::new();
        let mut summary = BlockSummary { transactions: count, ..BlockSummary::default() };
        for index in 0..count {
            let logs = dice.roll(4) as u32;
            let t = transaction(&envelope.child(), index, logs, log_index, dice);
            log_index += logs;
            if let Payload::Evm(both) = &t.payload {
                summary.logs += logs;
                summary.failed += u32::from(both.1.status == Status::Failed);
                summary.gas_used += both.0.receipt_gas_used;
                summary.fee_total += both.1.fee.map(|f| f.total()).unwrap_or_default();
            }
            transactions.push(t);
        }
        envelope.log_count = log_index;
        summary.contracts = contracts(&transactions);
        let header = EvmHeader { gas_limit: 30_000_000, gas_used: summary.gas_used, ..EvmHeader::default() };
        let block = EnrichedBlock {
            envelope,
            evm: Some(Box::new(header)),
            bitcoin: None,
            summary: Some(summary),
            facts_position: None,
        };
        let event = Event { block, transactions };
        self.live.push(Live { event: event.clone() });
        event
    }

    /// Takes the newest block back; `None` on an empty chain.
    pub fn revert(&mut self) -> Option<Event> {
        let last = self.live.pop()?.event.block.envelope;
        let hash: B256 = last.block_hash.as_str().parse().expect("a hash");
        let mut envelope = self.envelope(Op::Revert, last.height, hash, hash);
        envelope.reverts_sequence = Some(last.sequence);
        let child = EnrichedTransaction { envelope: envelope.child(), payload: Payload::Revert };
        Some(Event {
            block: EnrichedBlock { envelope, evm: None, bitcoin: None, summary: None, facts_position: None },
            transactions: vec![child],
        })
    }

    /// A cause of some transaction that is live, if any is, found out later.
    pub fn cause(&self, dice: &mut Dice) -> Option<EnrichedCause> {
        let live = self.live.get(dice.roll(self.live.len().max(1) as u64) as usize)?;
        let count = live.event.transactions.len() as u64;
        (count > 0).then(|| cause_of(&live.event, dice.roll(count) as u32, 1 + dice.roll(4) as u8, dice))
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

/// Every other address is watched.
pub fn is_watched(address: &Address) -> bool {
    address.0[0].is_multiple_of(2)
}

/// Contracts that a transaction touches.
pub fn touched(tx: &EvmTransaction) -> BTreeSet<Address> {
    tx.to_address.into_iter().chain(tx.receipt_contract_address).chain(tx.logs.iter().map(|l| l.address)).collect()
}

/// What a block's transactions did at watched contracts.
pub fn contracts(transactions: &[EnrichedTransaction]) -> Vec<ContractSum> {
    let mut sums = BTreeMap::<Address, ContractSum>::new();
    for t in transactions {
        let Payload::Evm(both) = &t.payload else { continue };
        for address in touched(&both.0).into_iter().filter(is_watched) {
            let sum = sums.entry(address).or_insert_with(|| ContractSum { address, ..ContractSum::default() });
            sum.transactions += 1;
            sum.failed += u32::from(both.1.status == Status::Failed);
            sum.unknown += u32::from(both.1.status == Status::Unknown);
            sum.logs += both.0.logs.iter().filter(|l| l.address == address).count() as u32;
            sum.gas_used += both.0.receipt_gas_used;
        }
    }
    sums.into_values().collect()
}

fn transaction(e: &ChildEnvelope, index: u32, logs: u32, first_log: u32, dice: &mut Dice) -> EnrichedTransaction {
    let failed = dice.roll(5) == 0;
    let status = if failed { Status::Failed } else { Status::Success };
    let tx = EvmTransaction {
        transaction_index: index,
        hash: keccak256(format!("{}/{index}", e.block_hash)),
        from_address: Address::repeat_byte(dice.roll(7) as u8),
        to_address: (dice.roll(6) > 0).then(|| Address::repeat_byte(100 + dice.roll(5) as u8)),
        value: U256::from(dice.roll(1 << 40)) << 100,
        gas: 100_000,
        input: Bytes::from(vec![index as u8; dice.roll(40) as usize]),
        receipt_status: Some(u64::from(!failed)),
        receipt_gas_used: 21_000 + dice.roll(50_000),
        receipt_effective_gas_price: Some(U256::from(7_000_000_000u64)),
        logs: (0..logs)
            .map(|i| EvmLog {
                log_index: first_log + i,
                address: Address::repeat_byte(200 + dice.roll(4) as u8),
                topics: vec![keccak256("Transfer(address,address,uint256)"); 1 + dice.roll(3) as usize],
                data: Bytes::from(vec![3; dice.roll(64) as usize]),
            })
            .collect(),
        ..EvmTransaction::default()
    };
    let execution = U256::from(tx.receipt_gas_used) * U256::from(7_000_000_000u64);
    let enrichment = Enrichment {
        status,
        fee: Some(FeeParts { execution, l1: Some(U256::from(dice.roll(1_000))), operator: None, blob: None }),
        fee_reason: None,
        fee_token_amount: None,
        method: None,
        failure_cause: failed.then(|| "out_of_gas".into()),
        failure_reason: failed.then(|| "all gas was used".into()),
        call: None,
        inner_calls: None,
        events: (0..logs)
            .map(|i| (i == 0).then(|| DecodedEvent { event: TRANSFER.into(), arguments: "{}".into() }))
            .collect(),
    };
    EnrichedTransaction { envelope: e.clone(), payload: Payload::Evm(Box::new((tx, enrichment))) }
}
