//! From a Bitcoin block to records of the log. Pure.
//!
//! Guarantee (rules 2, 13): an apply is one header record and exactly `tx_count` transaction records of the same sequence, each with the
//! transaction's bytes as its block has them and the outputs that it spends. A block of coverage `header` is its header record alone. A
//! transaction over its topic's limit becomes a placeholder with its headers, and its record goes to the dead letters, whole.

use nodes::bitcoin::BitcoinBlock;
use runtime::log::NewRecord;
use schemas::{
    codec::EncodeError,
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
    block: BitcoinBlock,
    c: Circumstances,
) -> Result<Vec<NewRecord>, EncodeError> {
    let bitcoin = Some(Box::new(block.header));
    let Apply { mut records, child, children } =
        scribe.apply(entry, after, c, |envelope| RawBlock { envelope, evm: None, bitcoin })?;
    for transaction in block.transactions {
        let (index, txid) = (transaction.transaction_index, transaction.txid);
        let payload = Payload::Bitcoin(Box::new(transaction));
        let raw = RawTransaction { envelope: child.clone(), payload };
        match scribe.codec.encode_within(&raw, scribe.limits.transactions) {
            Ok(value) => records.push(children.record(index, value)),
            Err(error) => records.extend(placeholder(scribe, raw, (index, txid.to_string()), error)?),
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nodes::{Finality, SourceBlock, bitcoin::header::Header};
    use schemas::{
        BitcoinHash, Origin, TimeMs,
        bitcoin::BitcoinChain,
        codec::Codec,
        headers::ChainHeaders,
        records::{BitcoinPrevout, BitcoinTransaction, Coverage},
    };

    use super::*;
    use crate::records::Limits;

    fn header() -> Header {
        let of = |fields: &Header| Header::of(&fields.bytes());
        of(&Header {
            hash: BitcoinHash::default(),
            prev: BitcoinHash([8; 32]),
            merkle_root: BitcoinHash([9; 32]),
            time: 1_300_000_000,
            bits: 0x207f_ffff,
            nonce: 7,
            version: 1,
        })
    }

    fn applied(block: BitcoinBlock, limit: usize) -> (Arc<Codec>, Vec<NewRecord>) {
        let head = block.head();
        let entry = RingEntry {
            network: "n".parse().unwrap(),
            height: head.height,
            block_hash: head.hash.clone(),
            parent_hash: head.parent.clone(),
            block_time: head.time,
            sequence: 5,
            tx_count: block.tx_count(),
            log_count: block.log_count(),
        };
        let after = Position { sequence: 5, ..Position::default() };
        let codec = Arc::new(Codec::builtin());
        let at = Circumstances { observed_at: TimeMs(2000), finality: Finality::default(), origin: Origin::Live };
        let limits = Limits { blocks: 1 << 20, transactions: limit, letters: 6_000 };
        let records = apply(&Scribe::new(codec.clone(), 3, limits), &entry, &after, block, at).unwrap();
        (codec, records)
    }

    fn transaction(index: u32, bytes: usize) -> BitcoinTransaction {
        let spent = BitcoinPrevout { value: 7, script: vec![0x51].into(), height: Some(3), coinbase: Some(true) };
        BitcoinTransaction {
            transaction_index: index,
            txid: BitcoinHash([index as u8; 32]),
            raw: vec![1; bytes].into(),
            prevouts: if index == 0 { Vec::new() } else { vec![spent] },
        }
    }

    #[test]
    fn a_block_is_its_header_and_its_transactions_whole() {
        let mut block = nodes::bitcoin::fleet::header_block(BitcoinChain::Regtest, 9, &header(), Some(1_299_999_000));
        block.header.coverage = Coverage::Full;
        block.transactions = vec![transaction(0, 10), transaction(1, 4_000), transaction(2, 0)];
        let told = block.transactions.clone();
        let (codec, records) = applied(block, 3_000);
        let of = |topic: &str| records.iter().filter(|r| r.to.topic == topic).collect::<Vec<_>>();
        let (blocks, children, letters) = (of("raw.blocks"), of("raw.transactions"), of("dead.letters"));
        assert_eq!((blocks.len(), children.len(), letters.is_empty()), (1, 3, false), "the count is kept");
        let raw: RawBlock = codec.decode(blocks[0].value.as_ref().unwrap()).unwrap();
        assert_eq!((raw.envelope.tx_count, raw.envelope.log_count, raw.evm), (3, 0, None));
        assert_eq!(raw.envelope.block_time, TimeMs(1_300_000_000_000));
        assert_eq!(raw.bitcoin.unwrap().median_time, Some(TimeMs(1_299_999_000_000)));
        for (i, child) in children.iter().enumerate() {
            let get = |n: &str| child.headers.iter().find(|(name, _)| &**name == n).map(|(_, v)| v.as_ref());
            assert_eq!(ChainHeaders::parse(get).unwrap().index, Some(i as u32));
            let raw: RawTransaction = codec.decode(child.value.as_ref().unwrap()).unwrap();
            match raw.payload {
                Payload::Bitcoin(transaction) if i != 1 => assert_eq!(*transaction, told[i]),
                Payload::Unreadable { index: 1, .. } if i == 1 => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_header_alone_has_no_transactions() {
        let block = nodes::bitcoin::fleet::header_block(BitcoinChain::Main, 9, &header(), None);
        let (codec, records) = applied(block, 3_000);
        assert_eq!(records.len(), 1);
        let raw: RawBlock = codec.decode(records[0].value.as_ref().unwrap()).unwrap();
        let bitcoin = raw.bitcoin.unwrap();
        assert_eq!((raw.envelope.tx_count, bitcoin.coverage, bitcoin.median_time), (0, Coverage::Header, None));
    }
}
