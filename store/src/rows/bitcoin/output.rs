//! `bitcoin_output_rows`.

use schemas::{ChildEnvelope, records::BitcoinDecoded};

use super::{
    super::{
        block_hash,
        native::{Arrays, Fixed, Numbers, Strings, Times, Values, Words, columns},
        row_version,
    },
    count,
};

columns! {
    /// `bitcoin_output_rows`; columns as there.
    BitcoinOutputColumns of "bitcoin_output_rows" {
        network: Words,
        height: Numbers<u64>,
        transaction_index: Numbers<u32>,
        output_index: Numbers<u32>,
        version: Numbers<u64>,
        block_hash: Fixed<32>,
        block_time: Times,
        transaction_hash: Fixed<32>,
        is_coinbase: Numbers<u8>,
        value: Numbers<u64>,
        kind: Words,
        addresses: Arrays<Strings>,
        script: Strings,
        span: Numbers<u32>,
    }
}

impl BitcoinOutputColumns {
    /// The rows of a transaction's outputs. `span`: heights of a partition.
    pub fn push(&mut self, e: &ChildEnvelope, t: &BitcoinDecoded, span: u32) {
        let hash = block_hash(&e.block_hash);
        for (index, output) in t.outputs.iter().enumerate() {
            self.network.push(e.network.as_str());
            self.height.push(e.height);
            self.transaction_index.push(t.transaction_index);
            self.output_index.push(count(index));
            self.version.push(row_version(e.sequence));
            self.block_hash.push(hash);
            self.block_time.push(e.block_time);
            self.transaction_hash.push(t.txid.0);
            self.is_coinbase.push(u8::from(t.is_coinbase));
            self.value.push(output.value);
            self.kind.push(output.kind.as_str());
            self.addresses.push_all(output.addresses.iter().map(|a| a.as_bytes()));
            self.script.push(&output.script);
            self.span.push(span);
        }
    }
}
