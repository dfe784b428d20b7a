//! Recorded blocks to serve: transactions to replay on a chain of regtest's difficulty, or a whole chain as it is.
//!
//! Guarantee: the order is that of the recorded heights. Every recorded block has its licence and origin in `data/bitcoin/README.md`.

use super::block::{Block, Header};
use super::prevout::{self, Origin, Prevout};
use super::recorded::Recorded;
use super::wire::{Hash, sha256d, transactions};
use super::{Error, block};
use crate::node::recording::read;
use axum::body::Bytes;
use schemas::bitcoin::BitcoinChain;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// A recorded block and where it is from.
type Raw = (&'static str, &'static [u8]);

/// What is built in, by name: bodies that are replayed.
const BODIES: [(&str, &[Raw]); 2] = [
    (
        "small",
        &[
            ("signet/31500", include_bytes!("../../../data/bitcoin/signet/0031500-00000127..de8bdc43.raw")),
            ("testnet4/40000", include_bytes!("../../../data/bitcoin/testnet4/0040000-00000000..e15c634f.raw")),
            ("mainnet/169482", include_bytes!("../../../data/bitcoin/mainnet/0169482-00000000..5f368665.raw")),
            ("testnet3/924634", include_bytes!("../../../data/bitcoin/testnet3/0924634-00000000..4fa4497b.raw")),
            ("mainnet/482683", include_bytes!("../../../data/bitcoin/mainnet/0482683-00000000..ee73e747.raw")),
            ("testnet3/1087400", include_bytes!("../../../data/bitcoin/testnet3/1087400-00000000..84e1ba66.raw")),
            ("mainnet/277647", include_bytes!("../../../data/bitcoin/mainnet/0277647-00000000..b1e052a8.raw")),
        ],
    ),
    (
        "large",
        &[
            ("mainnet/300025", include_bytes!("../../../data/bitcoin/mainnet/0300025-00000000..022cc78c.raw")),
            ("mainnet/481829", include_bytes!("../../../data/bitcoin/mainnet/0481829-00000000..b975e726.raw")),
            ("mainnet/702861", include_bytes!("../../../data/bitcoin/mainnet/0702861-00000000..726dafae.raw")),
        ],
    ),
];

/// The main chain's first 439 blocks, as `bitcoind` keeps them.
const FIRST: &[u8] = include_bytes!("../../../data/bitcoin/mainnet/blk-000000-000438.dat");

/// Recorded blocks.
#[derive(Debug)]
pub struct Dataset {
    name: String,
    chain: BitcoinChain,
    content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Transactions, in a cycle; never empty.
    Replayed(Vec<Recorded>),
    /// A chain from its first block on; never empty.
    Fixed(Vec<(Header, Arc<Block>)>),
}

impl Dataset {
    /// A data set that is built into the binary: `small` (3 to 213 transactions a block), `large` (461 to 2,500), or `first`, the
    /// main chain's blocks 0 to 438 as they are.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is none of that name.
    pub fn embedded(name: &str) -> Result<Self, Error> {
        if name == "first" {
            return Self::fixed(name, BitcoinChain::Main, FIRST);
        }
        let Some((_, blocks)) = BODIES.iter().find(|(known, _)| *known == name) else {
            let known = Self::embedded_names().collect::<Vec<_>>().join(", ");
            return Err(Error::Unknown { name: name.to_owned(), known });
        };
        Self::replayed(name, blocks.iter().map(|(name, raw)| ((*name).to_owned(), raw.to_vec())).collect())
    }

    /// The names that [`Self::embedded`] knows.
    pub fn embedded_names() -> impl Iterator<Item = &'static str> {
        BODIES.iter().map(|(name, _)| *name).chain(["first"])
    }

    /// Reads recorded blocks: a folder of `*.raw` files with a block each, in the order of their names, whose transactions are replayed;
    /// or a file as `bitcoind` keeps blocks (`blk*.dat`), from the main chain's first block on, which is served as it is.
    ///
    /// # Errors
    /// When a file cannot be read or understood, or there is no block.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = |source| Error::File { path: path.to_owned(), source };
        let name = path.file_name().map_or_else(|| "recorded".into(), |n| n.to_string_lossy().into_owned());
        if path.is_file() {
            return Self::fixed(&name, BitcoinChain::Main, &read(path)?);
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(file)? {
            files.push(entry.map_err(file)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|ending| ending == "raw"));
        files.sort();
        let mut blocks = Vec::with_capacity(files.len());
        for file in files {
            let name = file.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            blocks.push((name, read(&file)?));
        }
        if blocks.is_empty() {
            return Err(Error::Setting(format!("{}: there is no file with a block, NAME.raw", path.display())));
        }
        Self::replayed(&name, blocks)
    }

    fn replayed(name: &str, blocks: Vec<(String, Vec<u8>)>) -> Result<Self, Error> {
        let mut recorded = Vec::with_capacity(blocks.len());
        for (name, raw) in blocks {
            recorded.push(Recorded::parse(&raw).map_err(|what| Error::Data { name, what })?);
        }
        Ok(Self { name: name.to_owned(), chain: BitcoinChain::Regtest, content: Content::Replayed(recorded) })
    }

    fn fixed(name: &str, chain: BitcoinChain, dat: &[u8]) -> Result<Self, Error> {
        let bad = |what: String| Error::Data { name: name.to_owned(), what };
        let mut known: HashMap<(Hash, u32), (u64, Prevout)> = HashMap::new();
        let (mut blocks, mut left) = (Vec::new(), dat);
        while let Some((head, rest)) = left.split_at_checked(8) {
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let Some((raw, after)) = rest.split_at_checked(size).filter(|_| size > 80) else { break };
            left = after;
            let height = blocks.len() as u64;
            let block = whole(height, raw, &mut known).map_err(|what| bad(format!("block {height}: {what}")))?;
            blocks.push(block);
        }
        if blocks.first().is_none_or(|(_, first)| first.hash != genesis(chain)) {
            return Err(bad(format!("it does not begin with the first block of {chain}")));
        }
        Ok(Self { name: name.to_owned(), chain, content: Content::Fixed(blocks) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chain that it is served as.
    #[must_use]
    pub fn chain(&self) -> BitcoinChain {
        self.chain
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// Transactions of the recorded blocks, in their order.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        match &self.content {
            Content::Replayed(blocks) => blocks.iter().map(Recorded::count).collect(),
            Content::Fixed(blocks) => blocks.iter().map(|(_, block)| block.txids.len() as u64).collect(),
        }
    }

    /// The first block of the chain: of a replayed one regtest's own.
    pub(crate) fn first(&self) -> Result<(Header, Arc<Block>), Error> {
        if let Content::Fixed(blocks) = &self.content {
            // Refused when it was read empty.
            return Ok(blocks[0].clone());
        }
        let bad = |what: String| Error::Data { name: "the first block of regtest".into(), what };
        // It is the main chain's but for time, target and nonce (Bitcoin Core `kernel/chainparams.cpp`).
        let mut raw = FIRST[8..8 + 285].to_vec();
        raw[68..72].copy_from_slice(&1_296_688_602_u32.to_le_bytes());
        raw[72..76].copy_from_slice(&super::chain::BITS.to_le_bytes());
        raw[76..80].copy_from_slice(&2_u32.to_le_bytes());
        let first = whole(0, &raw, &mut HashMap::new()).map_err(bad)?;
        if first.1.hash == genesis(self.chain) { Ok(first) } else { Err(bad("it has another hash".into())) }
    }
}

fn genesis(chain: BitcoinChain) -> Hash {
    chain.genesis().to_internal()
}

/// A block as it is recorded; what it spends must be `known`.
fn whole(
    height: u64,
    raw: &[u8],
    known: &mut HashMap<(Hash, u32), (u64, Prevout)>,
) -> Result<(Header, Arc<Block>), String> {
    let (header, body) = raw.split_at_checked(80).ok_or("shorter than a header")?;
    let header: Header = header.try_into().map_err(|_| "no header")?;
    let all = transactions(body)?;
    let (mut spans, mut txids, mut spent) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = raw.len() - all.iter().map(|transaction| transaction.raw.len()).sum::<usize>();
    for (n, transaction) in all.iter().enumerate() {
        spans.push(at..at + transaction.raw.len());
        at += transaction.raw.len();
        let txid = transaction.txid();
        txids.push(txid);
        let mut of_it = Vec::new();
        for input in transaction.inputs.iter().filter(|_| n > 0) {
            let (from, prevout) =
                known.remove(&(input.spent, input.index)).ok_or("an input spends what is not there")?;
            let origin = Origin { back: height - from, ..prevout.origin };
            of_it.push(Prevout { origin, ..prevout });
        }
        spent.push(of_it);
        for (index, output) in transaction.outputs.iter().enumerate() {
            let origin = Origin { back: 0, coinbase: n == 0 };
            let prevout = Prevout { value: output.value, script: output.script.to_vec(), origin };
            known.insert((txid, index as u32), (height, prevout));
        }
    }
    if super::wire::merkle_root(txids.clone()) != block::root_of(&header) {
        return Err("the merkle root does not hold".into());
    }
    let origins = spent.iter().flatten().map(|prevout: &Prevout| prevout.origin).collect();
    let block = Block {
        height,
        hash: sha256d(&[&header]),
        raw: Bytes::copy_from_slice(raw),
        spans,
        txids,
        undo: prevout::undo(&spent),
        origins,
    };
    Ok((header, Arc::new(block)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_set_is_read() {
        for name in Dataset::embedded_names() {
            let data = Dataset::embedded(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            data.first().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let counts = Dataset::embedded("first").expect("built in").counts();
        // As the manifest of recorded data has it.
        assert_eq!((counts.len(), counts.iter().sum::<u64>()), (439, 446));
        assert_eq!(Dataset::embedded("large").expect("built in").counts(), [461, 2020, 2500]);
        assert!(matches!(Dataset::embedded("none"), Err(Error::Unknown { .. })));
    }
}
