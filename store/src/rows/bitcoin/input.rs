//! `bitcoin_input_rows`.

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
    /// `bitcoin_input_rows`; columns as there.
    BitcoinInputColumns of "bitcoin_input_rows" {
        network: Words,
        height: Numbers<u64>,
        transaction_index: Numbers<u32>,
        input_index: Numbers<u32>,
        version: Numbers<u64>,
        block_hash: Fixed<32>,
        block_time: Times,
        transaction_hash: Fixed<32>,
        is_coinbase: Numbers<u8>,
        spent_txid: Fixed<32>,
        spent_index: Numbers<u32>,
        script: Strings,
        input_sequence: Numbers<u32>,
        witness: Arrays<Strings>,
        value: Numbers<u64>,
        kind: Words,
        addresses: Arrays<Strings>,
        spent_script: Strings,
        spent_height: Numbers<u32>,
        // Anybody writes it: a dictionary of them would know no bound.
        envelope: Strings,
        present: Numbers<u8>,
        span: Numbers<u32>,
    }
}

impl BitcoinInputColumns {
    /// The rows of a transaction's inputs. `span`: heights of a partition.
    pub fn push(&mut self, e: &ChildEnvelope, t: &BitcoinDecoded, span: u32) {
        let hash = block_hash(&e.block_hash);
        for (index, input) in t.inputs.iter().enumerate() {
            let mut present = Present::<u8>::default();
            let spent = input.spent.as_ref();
            self.network.push(e.network.as_str());
            self.height.push(e.height);
            self.transaction_index.push(t.transaction_index);
            self.input_index.push(count(index));
            self.version.push(row_version(e.sequence));
            self.block_hash.push(hash);
            self.block_time.push(e.block_time);
            self.transaction_hash.push(t.txid.0);
            self.is_coinbase.push(u8::from(t.is_coinbase));
            self.spent_txid.push(input.spent_txid.0);
            self.spent_index.push(input.spent_index);
            self.script.push(&input.script);
            self.input_sequence.push(input.sequence);
            self.witness.push_all(input.witness.iter().map(|item| &item[..]));
            present.push(0_u8, &mut self.value, spent.map(|s| s.value));
            self.kind.push(spent.map_or("", |s| s.kind.as_str()));
            self.addresses.push_all(spent.into_iter().flat_map(|s| &s.addresses).map(|a| a.as_bytes()));
            self.spent_script.push(spent.map_or(&b""[..], |s| &s.script[..]));
            present.push(1_u8, &mut self.spent_height, spent.and_then(|s| s.height));
            present.push(2_u8, &mut self.envelope, input.envelope.as_deref().map(str::as_bytes));
            self.present.push(present.0);
            self.span.push(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::native::Columns, *};

    #[test]
    fn what_anybody_writes_is_in_no_dictionary() {
        let kinds = BitcoinInputColumns::kinds();
        let of = |wanted: &str| kinds.iter().find(|(name, _)| *name == wanted).map(|(_, kind)| kind.as_str());
        assert_eq!((of("envelope"), of("kind")), (Some("String"), Some("LowCardinality(String)")));
    }
}
