//! `block_event_rows`.

use schemas::{Envelope, TimeMs};

use super::native::{Nullable, Numbers, Strings, Times, Values, Words, columns};

columns! {
    /// `block_event_rows`; columns as there.
    BlockEventColumns of "block_event_rows" {
        network: Words,
        sequence: Numbers<u64>,
        op: Words,
        origin: Words,
        height: Numbers<u64>,
        block_hash: Strings,
        block_time: Times,
        tx_count: Numbers<u32>,
        log_count: Numbers<u32>,
        reverts_sequence: Nullable<Numbers<u64>>,
        observed_at: Times,
        stored_at: Times,
    }
}

impl BlockEventColumns {
    /// The row of a block event.
    pub fn push(&mut self, e: &Envelope, stored_at: TimeMs) {
        self.network.push(e.network.as_str());
        self.sequence.push(e.sequence);
        self.op.push(e.op.as_str());
        self.origin.push(e.origin.as_str());
        self.height.push(e.height);
        self.block_hash.push(e.block_hash.as_str().as_bytes());
        self.block_time.push(e.block_time);
        self.tx_count.push(e.tx_count);
        self.log_count.push(e.log_count);
        self.reverts_sequence.push(e.reverts_sequence);
        self.observed_at.push(e.observed_at);
        self.stored_at.push(stored_at);
    }
}
