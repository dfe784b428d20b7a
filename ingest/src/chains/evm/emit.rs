//! From an EVM block to records of the log. Pure.
//!
//! Guarantee (rules 2, 13): an apply is one header record and exactly `tx_count` transaction records of the same sequence. A
//! transaction over its topic's limit becomes a placeholder with its headers, and its record goes to the dead letters, whole.

use nodes::evm::EvmBlock;
use runtime::log::{NewRecord, header_name};
use schemas::{
    codec::EncodeError,
    headers,
    passing::Writer,
    records::{Payload, RawBlock, RawTransaction, RingEntry},
};

use crate::{
    chains::oversized::placeholder,
    records::{Apply, Circumstances, Scribe},
    tracker::Position,
};

/// Header and transactions of an applied block.
pub fn apply(
    scribe: &Scribe,
    entry: &RingEntry,
    after: &Position,
    block: EvmBlock,
    c: Circumstances,
) -> Result<Vec<NewRecord>, EncodeError> {
    let evm = Some(Box::new(block.header));
    let Apply { mut records, child, children } =
        scribe.apply(entry, after, c, |envelope| RawBlock { envelope, evm, bitcoin: None })?;
    let mut writer = Writer::new(&scribe.codec, &child);
    for transaction in block.transactions {
        match writer.value(&transaction, scribe.limits.transactions) {
            Ok(value) => {
                let mut record = children.record(transaction.transaction_index, value);
                let status = headers::status(transaction.status());
                record.headers.extend(status.map(|(name, value)| (header_name(name), value)));
                records.push(record);
            }
            Err(error) => {
                let place = (transaction.transaction_index, transaction.hash.to_string());
                let payload = Payload::Evm(Box::new(transaction));
                let raw = RawTransaction { envelope: child.clone(), payload };
                records.extend(placeholder(scribe, raw, place, error)?);
            }
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alloy_primitives::B256;
    use nodes::{Finality, evm::EvmHead};
    use schemas::{
        BlockHash, Origin, TimeMs,
        codec::Codec,
        headers::ChainHeaders,
        records::{DeadLetter, EvmHeader, EvmTransaction},
    };

    use super::*;
    use crate::records::Limits;

    #[test]
    fn what_the_log_does_not_take_becomes_a_placeholder_and_a_dead_letter() {
        let transaction = |index: u32, bytes: usize| EvmTransaction {
            transaction_index: index,
            hash: B256::repeat_byte(index as u8),
            input: vec![7; bytes].into(),
            ..Default::default()
        };
        let head =
            EvmHead { number: 9, hash: B256::repeat_byte(9), parent_hash: B256::repeat_byte(8), time: TimeMs(1000) };
        let transactions = vec![transaction(0, 10), transaction(1, 4_000), transaction(2, 0)];
        let oversized = transactions[1].clone();
        let block = EvmBlock { head, header: EvmHeader::default(), transactions, log_count: 0 };
        let entry = RingEntry {
            network: "n".parse().unwrap(),
            height: 9,
            block_hash: BlockHash::from(head.hash),
            parent_hash: BlockHash::from(head.parent_hash),
            block_time: TimeMs(1000),
            sequence: 5,
            tx_count: 3,
            log_count: 0,
        };
        let after = Position { sequence: 5, ..Position::default() };
        let codec = Arc::new(Codec::builtin());
        let at = Circumstances { observed_at: TimeMs(2000), finality: Finality::default(), origin: Origin::Live };
        let limits = Limits { blocks: 1 << 20, transactions: 5_000, letters: 6_000 };
        let records = apply(&Scribe::new(codec.clone(), 3, limits), &entry, &after, block, at).unwrap();
        let of = |topic: &str| records.iter().filter(|r| r.to.topic == topic).collect::<Vec<_>>();
        let (children, letters) = (of("raw.transactions"), of("dead.letters"));
        assert_eq!((of("raw.blocks").len(), children.len(), letters.len()), (1, 3, 2), "the count is kept");
        for (i, child) in children.iter().enumerate() {
            assert_eq!(child.to.partition, 3);
            let get = |n: &str| child.headers.iter().find(|(name, _)| &**name == n).map(|(_, v)| v.as_ref());
            assert_eq!(ChainHeaders::parse(get).unwrap().index, Some(i as u32));
        }
        let raw: RawTransaction = codec.decode(children[1].value.as_ref().unwrap()).unwrap();
        assert!(matches!(raw.payload, Payload::Unreadable { index: 1, .. }));
        let letter: DeadLetter = codec.decode(letters[0].value.as_ref().unwrap()).unwrap();
        assert_eq!((letter.sequence, letter.index, letter.reason.as_str()), (Some(5), Some(1), "too_large"));
        assert!(letter.error.contains(&B256::repeat_byte(1).to_string()));
        // Both parts together are the record as it would have been written.
        let parts: Vec<DeadLetter> = letters.iter().map(|l| codec.decode(l.value.as_ref().unwrap()).unwrap()).collect();
        let whole: Vec<u8> = parts.into_iter().flat_map(|l| l.value.unwrap()).collect();
        let raw: RawTransaction = codec.decode(&whole).unwrap();
        assert_eq!((raw.envelope.sequence, raw.payload), (5, Payload::Evm(Box::new(oversized))));
    }
}
