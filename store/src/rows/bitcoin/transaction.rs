//! `bitcoin_transaction_rows`.

use schemas::{ChildEnvelope, records::BitcoinDecoded};

use super::{
    super::{
        block_hash,
        native::{Arrays, Fixed, Numbers, Strings, Times, Values, Words, columns},
        present::Present,
        row_version,
    },
    count,
};

columns! {
    /// `bitcoin_transaction_rows`; columns as there.
    BitcoinTransactionColumns of "bitcoin_transaction_rows" {
        network: Words,
        height: Numbers<u64>,
        transaction_index: Numbers<u32>,
        version: Numbers<u64>,
        block_hash: Fixed<32>,
        block_time: Times,
        hash: Fixed<32>,
        wtxid: Fixed<32>,
        transaction_version: Numbers<u32>,
        lock_time: Numbers<u32>,
        size: Numbers<u32>,
        weight: Numbers<u32>,
        virtual_size: Numbers<u32>,
        sigops: Numbers<u32>,
        is_coinbase: Numbers<u8>,
        segwit: Numbers<u8>,
        replaceable: Numbers<u8>,
        input_count: Numbers<u32>,
        output_count: Numbers<u32>,
        input_value: Numbers<u64>,
        output_value: Numbers<u64>,
        fee: Numbers<u64>,
        fee_rate: Numbers<u64>,
        pool: Words,
        addresses: Arrays<Strings>,
        present: Numbers<u8>,
        span: Numbers<u32>,
    }
}

impl BitcoinTransactionColumns {
    /// The row of a transaction. `span`: heights of a partition.
    pub fn push(&mut self, e: &ChildEnvelope, t: &BitcoinDecoded, span: u32) {
        let mut present = Present::<u8>::default();
        self.network.push(e.network.as_str());
        self.height.push(e.height);
        self.transaction_index.push(t.transaction_index);
        self.version.push(row_version(e.sequence));
        self.block_hash.push(block_hash(&e.block_hash));
        self.block_time.push(e.block_time);
        self.hash.push(t.txid.0);
        self.wtxid.push(t.wtxid.0);
        self.transaction_version.push(t.version);
        self.lock_time.push(t.lock_time);
        self.size.push(t.size);
        self.weight.push(t.weight);
        self.virtual_size.push(t.virtual_size);
        present.push(0_u8, &mut self.sigops, t.sigops);
        self.is_coinbase.push(u8::from(t.is_coinbase));
        self.segwit.push(u8::from(t.segwit));
        self.replaceable.push(u8::from(t.replaceable));
        // As the public datasets have it: what a coinbase has is no input.
        self.input_count.push(if t.is_coinbase { 0 } else { count(t.inputs.len()) });
        self.output_count.push(count(t.outputs.len()));
        present.push(1_u8, &mut self.input_value, t.input_value);
        self.output_value.push(t.output_value);
        present.push(2_u8, &mut self.fee, t.fee);
        present.push(3_u8, &mut self.fee_rate, t.fee_rate);
        self.pool.push(t.pool.as_deref().unwrap_or(""));
        self.addresses.push_all(t.addresses().into_iter().map(str::as_bytes));
        self.present.push(present.0);
        self.span.push(span);
    }
}
