//! A block's raw bytes, read and believed.
//!
//! Guarantee: a [`BitcoinBlock`] that comes out of [`Body`] has exactly the transactions of its header: their ids give the header's merkle
//! root in one way only (a tree whose last leaves are doubled, CVE-2012-2459, is refused, and so is one that does not begin with a
//! coinbase, since inner nodes could pass for transactions of 64 bytes otherwise, CVE-2017-12842), and their witnesses give the
//! coinbase's commitment wherever SegWit is active; where there is none, there are no witnesses. What it spends is not proved by any root:
//! it fits the inputs in number, outputs that the block itself makes are told as they are, no transaction gives more than it takes, and the
//! coinbase takes no more than the subsidy and the fees.
//! Reading is bounded by [`limits::BLOCK_BYTES`], and nothing is allocated that the bytes do not hold. Pure: no clock, no I/O.
//!
//! Sources: Bitcoin Core's serialization and `CheckBlock`, BIP-34 (height in the coinbase), BIP-141 (commitment, weight), BIP-144.

mod merkle;
mod prevouts;
mod read;

use alloy_primitives::{Bytes, U256};
use schemas::{
    BitcoinHash, TimeMs,
    bitcoin::BitcoinChain,
    limits::bitcoin as limits,
    records::bitcoin::{BitcoinHeader, BitcoinPrevout, BitcoinTransaction, Coverage},
};

pub use self::{merkle::merkle_root, prevouts::read_spent_outputs};
use self::{
    prevouts::judge,
    read::{Cursor, Piece, piece},
};
use super::header::Header;
use crate::{
    error::NodeErrorKind,
    source::{Head, SourceBlock},
};

/// A block as a source gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct BitcoinBlock {
    /// Its place in the chain.
    pub head: Head,
    /// Its header, and what the source says of it.
    pub header: BitcoinHeader,
    /// Its transactions with what they spend, in order; none where only the header was to be had.
    pub transactions: Vec<BitcoinTransaction>,
}

impl SourceBlock for BitcoinBlock {
    fn head(&self) -> Head {
        self.head.clone()
    }
    fn tx_count(&self) -> u32 {
        u32::try_from(self.transactions.len()).unwrap_or(u32::MAX)
    }
    fn log_count(&self) -> u32 {
        0
    }
}

/// What is known of a block beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its chain.
    pub chain: BitcoinChain,
    /// Its height.
    pub height: u64,
    /// As [`BitcoinHeader::median_time`].
    pub median_time: Option<TimeMs>,
    /// As [`BitcoinHeader::chain_work`].
    pub chain_work: Option<U256>,
}

/// A block's bytes, which are what its header says.
#[derive(Debug)]
pub struct Body {
    header: Header,
    raw: Bytes,
    pieces: Vec<Piece>,
    stripped: usize,
}

impl Body {
    /// Reads a block and checks it against its own header. Fails with [`NodeErrorKind::Malformed`] where it is no block, with
    /// [`NodeErrorKind::Lying`] where its transactions are not the header's, and with [`NodeErrorKind::TooLarge`].
    pub fn read(raw: Bytes, chain: BitcoinChain, height: u64) -> Result<Self, NodeErrorKind> {
        if raw.len() > limits::BLOCK_BYTES {
            return Err(NodeErrorKind::TooLarge(limits::BLOCK_BYTES));
        }
        let mut cursor = Cursor::new(&raw);
        let header = Header::of(cursor.array::<{ Header::BYTES }>()?);
        let count = cursor.count(limits::BLOCK_TRANSACTIONS, "transactions")?;
        let mut pieces = Vec::with_capacity(count.min(cursor.left() / read::SMALLEST_TRANSACTION + 1));
        for index in 0..count {
            let piece = piece(&mut cursor)
                .map_err(|unread| unread.of(&format!("transaction {index} of block {}", header.hash)))?;
            pieces.push(piece);
        }
        if cursor.left() > 0 {
            let said = format!("{} bytes after the last transaction of block {}", cursor.left(), header.hash);
            return Err(NodeErrorKind::Malformed(said));
        }
        let stripped = cursor.at() - pieces.iter().map(Piece::witness_bytes).sum::<usize>();
        let body = Self { header, raw, pieces, stripped };
        body.check(chain, height).map_err(|lie| NodeErrorKind::Lying(format!("block {}: {lie}", body.header.hash)))?;
        Ok(body)
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many outputs each of its transactions spends, in order; 0 for the coinbase.
    pub fn spends(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces.iter().enumerate().map(|(i, piece)| if i == 0 { 0 } else { piece.inputs })
    }

    /// Whether it spends anything at all: a block with a coinbase alone does not.
    pub fn spends_any(&self) -> bool {
        self.pieces.len() > 1
    }

    /// Its transactions' ids, in order.
    pub fn txids(&self) -> impl Iterator<Item = BitcoinHash> + '_ {
        self.pieces.iter().map(|piece| BitcoinHash::from_internal(piece.txid))
    }

    /// Weight units (BIP-141).
    pub fn weight(&self) -> usize {
        self.stripped * 3 + self.raw.len()
    }

    fn check(&self, chain: BitcoinChain, height: u64) -> Result<(), String> {
        let Some(coinbase) = self.pieces.first().filter(|piece| piece.coinbase.is_some()) else {
            return Err("its first transaction is no coinbase".into());
        };
        if let Some(second) = self.pieces.iter().skip(1).position(|piece| piece.coinbase.is_some()) {
            return Err(format!("transaction {} is another coinbase", second + 1));
        }
        if self.weight() > limits::BLOCK_WEIGHT {
            return Err(format!("its weight is {}, more than {}", self.weight(), limits::BLOCK_WEIGHT));
        }
        let txids = self.pieces.iter().map(|piece| piece.txid).collect();
        let root = merkle_root(txids).ok_or("its last transactions are doubled")?;
        let root = BitcoinHash::from_internal(root);
        if root != self.header.merkle_root {
            return Err(format!("its transactions give the merkle root {root}, not {}", self.header.merkle_root));
        }
        self.check_witnesses(coinbase, height >= segwit_from(chain))?;
        match (height_from(chain), coinbase.height(&self.raw)) {
            (Some(from), Some(said)) if height >= from && said != height => {
                Err(format!("its coinbase says height {said}, not {height}"))
            }
            _ => Ok(()),
        }
    }

    /// The commitment to the witnesses, and the witnesses (BIP-141). Before SegWit an output that looks like a commitment was none.
    fn check_witnesses(&self, coinbase: &Piece, active: bool) -> Result<(), String> {
        let any = self.pieces.iter().any(|piece| piece.witness_bytes() > 0);
        let (Some(commitment), true) = (coinbase.commitment, active || any) else {
            return if any { Err("it has witnesses and no commitment to them".into()) } else { Ok(()) };
        };
        let Some(reserved) = coinbase.reserved else {
            return Err("its coinbase has a commitment to witnesses and not the 32 bytes that belong to it".into());
        };
        let mut leaves: Vec<[u8; 32]> = Vec::with_capacity(self.pieces.len());
        leaves.push([0; 32]);
        leaves.extend(self.pieces.iter().skip(1).map(|piece| piece.wtxid(&self.raw)));
        let root = merkle::witness_root(leaves);
        if merkle::hash_pair(&root, &reserved) != commitment {
            return Err("its witnesses are not those that its coinbase commits to".into());
        }
        Ok(())
    }

    /// The block, with what its transactions spend: a list for each transaction, the coinbase's empty. Fails with
    /// [`NodeErrorKind::Lying`] where that does not fit its inputs or its amounts.
    pub fn with(self, known: Known, prevouts: Vec<Vec<BitcoinPrevout>>) -> Result<BitcoinBlock, NodeErrorKind> {
        judge(&self.raw, &self.pieces, &prevouts, known)
            .map_err(|lie| NodeErrorKind::Lying(format!("what block {} spends: {lie}", self.header.hash)))?;
        let Self { header, raw, pieces, stripped } = self;
        let small = |n: usize| u32::try_from(n).ok();
        let coinbase = pieces.first().and_then(|piece| piece.coinbase.clone()).map(|range| raw.slice(range));
        let head = header.head(known.height);
        let header = BitcoinHeader {
            chain: known.chain,
            coverage: Coverage::Full,
            version: header.version,
            merkle_root: header.merkle_root,
            time: header.time,
            bits: header.bits,
            nonce: header.nonce,
            median_time: known.median_time,
            chain_work: known.chain_work,
            size: small(raw.len()),
            stripped_size: small(stripped),
            weight: small(stripped * 3 + raw.len()),
            transaction_count: small(pieces.len()),
            coinbase,
        };
        let transaction = |((index, piece), prevouts): ((u32, Piece), Vec<BitcoinPrevout>)| BitcoinTransaction {
            transaction_index: index,
            txid: BitcoinHash::from_internal(piece.txid),
            raw: raw.slice(piece.range),
            prevouts,
        };
        let transactions = (0..).zip(pieces).zip(prevouts).map(transaction).collect();
        Ok(BitcoinBlock { head, header, transactions })
    }
}

/// Height from which a commitment to witnesses counts (Core's `chainparams.cpp`).
const fn segwit_from(chain: BitcoinChain) -> u64 {
    match chain {
        BitcoinChain::Main => 481_824,
        BitcoinChain::Test => 834_624,
        BitcoinChain::Testnet4 | BitcoinChain::Signet => 1,
        BitcoinChain::Regtest => 0,
    }
}

/// Height from which every coinbase begins with its height (BIP-34); `None` where nodes are started with one of their own.
const fn height_from(chain: BitcoinChain) -> Option<u64> {
    match chain {
        BitcoinChain::Main => Some(227_931),
        BitcoinChain::Test => Some(21_111),
        BitcoinChain::Testnet4 | BitcoinChain::Signet => Some(1),
        BitcoinChain::Regtest => None,
    }
}

#[cfg(test)]
mod tests;
