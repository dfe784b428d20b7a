//! `evm_log_rows`.

use schemas::{
    ChildEnvelope,
    records::{DecodedEvent, EvmLog, EvmTransaction},
};

use super::{
    block_hash,
    native::{Arrays, Fixed, Numbers, Strings, Times, Values, Words, columns},
    row_version,
};

columns! {
    /// `evm_log_rows`; columns as there.
    EvmLogColumns of "evm_log_rows" {
        network: Words,
        height: Numbers<u64>,
        transaction_index: Numbers<u32>,
        log_index: Numbers<u32>,
        version: Numbers<u64>,
        block_hash: Fixed<32>,
        block_time: Times,
        transaction_hash: Fixed<32>,
        address: Fixed<20>,
        topics: Arrays<Fixed<32>>,
        data: Strings,
        event: Words,
        arguments: Strings,
        span: Numbers<u32>,
    }
}

impl EvmLogColumns {
    /// The rows of a transaction's logs. `events`: what each is, in the same order, as far as that is known; `span`: heights of a
    /// partition.
    pub fn push(&mut self, e: &ChildEnvelope, tx: &EvmTransaction, events: &[Option<DecodedEvent>], span: u32) {
        if tx.logs.is_empty() {
            return;
        }
        let hash = block_hash(&e.block_hash);
        for (i, log) in tx.logs.iter().enumerate() {
            let decoded = events.get(i).and_then(Option::as_ref);
            self.push_one(e, (hash, tx), log, decoded);
            self.span.push(span);
        }
    }

    fn push_one(
        &mut self,
        e: &ChildEnvelope,
        (block_hash, tx): ([u8; 32], &EvmTransaction),
        log: &EvmLog,
        decoded: Option<&DecodedEvent>,
    ) {
        self.network.push(e.network.as_str());
        self.height.push(e.height);
        self.transaction_index.push(tx.transaction_index);
        self.log_index.push(log.log_index);
        self.version.push(row_version(e.sequence));
        self.block_hash.push(block_hash);
        self.block_time.push(e.block_time);
        self.transaction_hash.push(tx.hash.0);
        self.address.push(log.address.into_array());
        self.topics.push_all(log.topics.iter().map(|topic| topic.0));
        self.data.push(&log.data);
        self.event.push(decoded.map_or("", |d| &d.event));
        self.arguments.push(decoded.map_or("", |d| &d.arguments).as_bytes());
    }
}
