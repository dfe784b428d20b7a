//! Chains for tests: recorded blocks in chosen places, with forks, as enriched records.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256};
use nodes::evm::{EvmBlock, assemble, wire};
use schemas::{
    BlockHash, ChildEnvelope, Envelope, Network, Op, Origin, TimeMs,
    profiles::Profile,
    records::{EnrichedBlock, EnrichedTransaction, Payload, RawBlock, RawTransaction},
};

/// A block event: header and children.
pub type Event = (EnrichedBlock, Vec<EnrichedTransaction>);

/// The recorded blocks of a chain, by number.
pub fn recorded(chain: &str) -> Vec<EvmBlock> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/evm").join(chain);
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&root).expect("recorded blocks").flatten().map(|e| e.path()).collect();
    folders.sort();
    let read = |folder: &Path| {
        let block: wire::Block = parse(&folder.join("block.json"));
        let receipts: Vec<wire::Receipt> = parse(&folder.join("receipts.json"));
        assemble(block, receipts).expect("a whole block")
    };
    folders.iter().map(|folder| read(folder)).collect()
}

fn parse<T: wire::Wire>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).expect("recorded file");
    match wire::parse_answer(&text).expect("recorded JSON") {
        wire::Answer::Result(value) => value,
        other => {
            panic!("{}: {}", path.display(), if matches!(other, wire::Answer::Null) { "null" } else { "an error" })
        }
    }
}

/// A chain in the making. Contents are recorded; heights, hashes and times are the test's.
pub struct Chain {
    pub network: Network,
    contents: Vec<EvmBlock>,
    /// First height.
    first: u64,
    /// Time of the first block, seconds.
    since: u64,
    sequence: u64,
    made: u64,
    /// The canonical blocks: sequence and header, by height.
    pub canonical: Vec<Event>,
    /// Every event so far.
    pub events: Vec<Event>,
}

impl Chain {
    pub fn new(network: &str, contents: Vec<EvmBlock>) -> Self {
        Self {
            network: network.parse().expect("slug"),
            contents,
            first: 1_000,
            since: 1_700_000_000,
            sequence: 0,
            made: 0,
            canonical: Vec::new(),
            events: Vec::new(),
        }
    }

    /// With other block times: the first one, in seconds.
    pub fn since(mut self, seconds: u64) -> Self {
        self.since = seconds;
        self
    }

    /// The next block joins the chain.
    pub fn apply(&mut self) -> Event {
        self.apply_with(|_| {})
    }

    /// The next block joins the chain, and its first transaction could not be read: a placeholder stands for it.
    pub fn apply_spoilt(&mut self) -> Event {
        self.apply_with(|transactions| {
            let first = transactions.first_mut().expect("a block with transactions");
            first.payload = Payload::Unreadable { index: 0, error: "spoilt".to_owned() };
        })
    }

    /// The next block joins the chain; its first transaction calls this with that.
    pub fn apply_calling(&mut self, to: Address, input: &[u8]) -> Event {
        self.apply_with(|transactions| {
            let Some(Payload::Evm(first)) = transactions.first_mut().map(|t| &mut t.payload) else {
                panic!("a block with transactions");
            };
            (first.to_address, first.input) = (Some(to), input.to_vec().into());
        })
    }

    /// The same, and it fails.
    pub fn apply_failing(&mut self, to: Address, input: &[u8]) -> Event {
        self.apply_with(|transactions| {
            let Some(Payload::Evm(first)) = transactions.first_mut().map(|t| &mut t.payload) else {
                panic!("a block with transactions");
            };
            (first.to_address, first.input) = (Some(to), input.to_vec().into());
            (first.receipt_status, first.receipt_contract_address) = (Some(0), None);
            first.logs.clear();
        })
    }

    fn apply_with(&mut self, change: impl FnOnce(&mut Vec<RawTransaction>)) -> Event {
        let height = self.first + self.canonical.len() as u64;
        let content = self.contents[(self.made % self.contents.len() as u64) as usize].clone();
        self.made += 1;
        self.sequence += 1;
        let parent = self.canonical.last().map_or(hash(0, &self.network), |(b, _)| b.envelope.block_hash.clone());
        let mut envelope = Envelope {
            network: self.network.clone(),
            sequence: self.sequence,
            op: Op::Apply,
            origin: Origin::Live,
            height,
            block_hash: hash(self.made, &self.network),
            parent_hash: parent,
            block_time: TimeMs::from_secs(self.since + 12 * (height - self.first)),
            observed_at: TimeMs::now(),
            safe_height: None,
            finalized_height: None,
            tx_count: content.transactions.len() as u32,
            log_count: content.log_count,
            reverts_sequence: None,
            reorg_remaining: 0,
        };
        let child = envelope.child();
        let transactions = content.transactions.into_iter().map(|mut tx| {
            // The same content occurs at several heights; each occurrence is a transaction of its own.
            tx.hash.0[..8].copy_from_slice(&self.made.to_be_bytes());
            RawTransaction { envelope: child.clone(), payload: Payload::Evm(Box::new(tx)) }
        });
        let mut transactions: Vec<RawTransaction> = transactions.collect();
        let logs = |of: &[RawTransaction]| -> usize {
            of.iter().map(|tx| if let Payload::Evm(tx) = &tx.payload { tx.logs.len() } else { 0 }).sum()
        };
        let (before, placeholders) =
            (logs(&transactions), |tx: &RawTransaction| !matches!(tx.payload, Payload::Evm(_)));
        change(&mut transactions);
        // Logs that a transaction no longer has are none of its block; those behind a placeholder are.
        if !transactions.iter().any(placeholders) {
            envelope.log_count -= (before - logs(&transactions)) as u32;
        }
        let block = RawBlock { envelope, evm: Some(Box::new(content.header)), bitcoin: None };
        let event = enrich::enrich_event(&Profile::default(), block, transactions);
        self.canonical.push(event.clone());
        self.events.push(event.clone());
        event
    }

    /// The newest block leaves the chain.
    pub fn revert(&mut self) -> Event {
        let (undone, _) = self.canonical.pop().expect("a block to revert");
        self.sequence += 1;
        let envelope = Envelope {
            sequence: self.sequence,
            op: Op::Revert,
            observed_at: TimeMs::now(),
            tx_count: 0,
            log_count: 0,
            reverts_sequence: Some(undone.envelope.sequence),
            ..undone.envelope
        };
        let marker = RawTransaction { envelope: ChildEnvelope { ..envelope.child() }, payload: Payload::Revert };
        let block = RawBlock { envelope, evm: None, bitcoin: None };
        let event = enrich::enrich_event(&Profile::default(), block, vec![marker]);
        self.events.push(event.clone());
        event
    }

    /// Last sequence.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The canonical transactions, oldest first.
    pub fn transactions(&self) -> Vec<EnrichedTransaction> {
        self.canonical.iter().flat_map(|(_, t)| t.iter().cloned()).collect()
    }
}

fn hash(number: u64, network: &Network) -> BlockHash {
    let mut hash = B256::repeat_byte(0x5a);
    hash.0[..8].copy_from_slice(&number.to_be_bytes());
    for (at, byte) in hash.0[8..].iter_mut().zip(network.as_str().bytes()) {
        *at = byte;
    }
    hash.into()
}
