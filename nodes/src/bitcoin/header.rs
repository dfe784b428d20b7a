//! A Bitcoin block's header: eighty bytes, and the work that they prove. Pure.
//!
//! Guarantee: eighty bytes are read whole and given back as they came; the hash is computed and never taken from anybody; what
//! [`Header::check_work`] lets through cost whoever made it as much work as its target says, which is one that the chain allows.
//! Neither proves that a header is of the chain that others follow: its parents and its successors do.
//!
//! Sources: Bitcoin Core `primitives/block.h`, `pow.cpp` (`DeriveTarget`, `PermittedDifficultyTransition`), `arith_uint256.cpp` (compact
//! form), `chain.cpp` (`GetBlockProof`), `kernel/chainparams.cpp` (limits); BIP-113 (median time past).

use alloy_primitives::U256;
use schemas::{BitcoinHash, TimeMs, bitcoin::BitcoinChain};
use sha2::{Digest, Sha256};

use crate::source::Head;

/// Headers whose median time counts (BIP-113): a block's own and those of the ten before it.
pub const MEDIAN_OF: usize = 11;
/// Blocks after which the difficulty is set anew.
pub const DIFFICULTY_EVERY: u64 = 2016;

/// A header. Hashes are in the order in which they are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Its own hash, computed.
    pub hash: BitcoinHash,
    /// Its parent's hash; all zero on a first block.
    pub prev: BitcoinHash,
    /// Root of the transaction ids' merkle tree.
    pub merkle_root: BitcoinHash,
    /// Time stamp, seconds since 1970. Not monotonic.
    pub time: u32,
    /// Target in compact form.
    pub bits: u32,
    /// Nonce.
    pub nonce: u32,
    /// Version bits (BIP-9).
    pub version: u32,
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// It has another length.
    #[error("a header has 80 bytes, not {0}")]
    Length(usize),
    /// It is not hex digits.
    #[error("a header is 160 hex digits, not `{0}`")]
    NotHex(String),
    /// Its target is none, or easier than the chain allows.
    #[error("header {hash} claims the target {bits:08x}, which {chain} does not allow")]
    Target {
        /// Of the header.
        hash: BitcoinHash,
        /// Its target in compact form.
        bits: u32,
        /// Which chain it is said to be on.
        chain: BitcoinChain,
    },
    /// Its hash is above its target.
    #[error("header {hash} has no proof of work for its target {bits:08x}")]
    Work {
        /// Of the header.
        hash: BitcoinHash,
        /// Its target in compact form.
        bits: u32,
    },
}

/// SHA-256 of the SHA-256: what hashes blocks, transactions and merkle trees.
pub fn double_sha256(bytes: &[u8]) -> BitcoinHash {
    BitcoinHash::from_internal(Sha256::digest(Sha256::digest(bytes)).into())
}

/// Takes fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }
}

impl Header {
    /// Bytes of a header.
    pub const BYTES: usize = 80;

    /// Reads the eighty bytes.
    pub fn of(bytes: &[u8; Self::BYTES]) -> Self {
        let mut fields = Fields(bytes);
        let version = u32::from_le_bytes(fields.take());
        let prev = BitcoinHash::from_internal(fields.take());
        let merkle_root = BitcoinHash::from_internal(fields.take());
        let time = u32::from_le_bytes(fields.take());
        let bits = u32::from_le_bytes(fields.take());
        let nonce = u32::from_le_bytes(fields.take());
        Self { hash: double_sha256(bytes), prev, merkle_root, time, bits, nonce, version }
    }

    /// Reads what must be eighty bytes.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Length`].
    pub fn read(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| HeaderError::Length(bytes.len()))?;
        Ok(Self::of(bytes))
    }

    /// Reads 160 hex digits.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Length`] and [`HeaderError::NotHex`].
    pub fn from_hex(text: &str) -> Result<Self, HeaderError> {
        if text.len() != Self::BYTES * 2 {
            return Err(HeaderError::Length(text.len() / 2));
        }
        let mut bytes = [0; Self::BYTES];
        match const_hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self::of(&bytes)),
            Err(_) => Err(HeaderError::NotHex(text.chars().take(16).collect())),
        }
    }

    /// The eighty bytes.
    pub fn bytes(&self) -> [u8; Self::BYTES] {
        let fields: [&[u8]; 6] = [
            &self.version.to_le_bytes(),
            &self.prev.to_internal(),
            &self.merkle_root.to_internal(),
            &self.time.to_le_bytes(),
            &self.bits.to_le_bytes(),
            &self.nonce.to_le_bytes(),
        ];
        let (mut bytes, mut all) = ([0; Self::BYTES], fields.into_iter().flatten());
        bytes.iter_mut().zip(&mut all).for_each(|(byte, field)| *byte = *field);
        bytes
    }

    /// As much of it as following a chain takes.
    pub fn head(&self, height: u64) -> Head {
        Head { height, hash: self.hash.into(), parent: self.prev.into(), time: TimeMs::from_secs(self.time.into()) }
    }

    /// Whether it is a child of `parent`.
    pub fn follows(&self, parent: &Self) -> bool {
        self.prev == parent.hash
    }

    /// Whether its hash is what its target asks for, and its target one that the chain allows.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Target`] and [`HeaderError::Work`].
    pub fn check_work(&self, chain: BitcoinChain) -> Result<(), HeaderError> {
        let (hash, bits) = (self.hash, self.bits);
        let target =
            target(bits).filter(|target| *target <= easiest(chain)).ok_or(HeaderError::Target { hash, bits, chain })?;
        if U256::from_be_bytes(hash.0) <= target { Ok(()) } else { Err(HeaderError::Work { hash, bits }) }
    }

    /// About how many hashes its target takes (Core's `GetBlockProof`); 0 where its target is none.
    pub fn work(&self) -> U256 {
        // 2^256 / (target + 1), which does not fit, is ~target / (target + 1) + 1.
        target(self.bits).map_or(U256::ZERO, |target| {
            let next = target.wrapping_add(U256::from(1));
            (!target).checked_div(next).unwrap_or_default().saturating_add(U256::from(1))
        })
    }
}

/// Whether each of these headers but the first is a child of the one before it.
pub fn are_linked(headers: &[Header]) -> bool {
    headers.windows(2).all(|pair| matches!(pair, [parent, child] if child.follows(parent)))
}

/// Work of a run of headers.
pub fn work_of<'a>(headers: impl IntoIterator<Item = &'a Header>) -> U256 {
    headers.into_iter().fold(U256::ZERO, |sum, header| sum.saturating_add(header.work()))
}

/// The target that a compact form means; `None` for zero, for a negative number and for one that does not fit.
pub fn target(bits: u32) -> Option<U256> {
    let [size, ..] = bits.to_be_bytes();
    let mantissa = bits & 0x007f_ffff;
    let word = if size <= 3 { mantissa >> (8 * (3 - u32::from(size))) } else { mantissa };
    let too_long = size > 34 || (word > 0xff && size > 33) || (word > 0xffff && size > 32);
    if word == 0 || bits & 0x0080_0000 != 0 || too_long {
        return None;
    }
    Some(U256::from(word) << (8 * usize::from(size.saturating_sub(3))))
}

/// The compact form of a target, rounded down as Core does (`GetCompact`).
fn compact(target: U256) -> u32 {
    let size = target.bit_len().div_ceil(8);
    let word: U256 = if size <= 3 { target << (8 * (3 - size)) } else { target >> (8 * (size - 3)) };
    let word = u32::try_from(word.as_limbs().first().copied().unwrap_or_default()).unwrap_or(u32::MAX);
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    // The highest bit would be a sign.
    match word & 0x0080_0000 {
        0 => word | (size << 24),
        _ => (word >> 8) | ((size + 1) << 24),
    }
}

/// The easiest target of a chain.
pub fn easiest(chain: BitcoinChain) -> U256 {
    let bits = match chain {
        BitcoinChain::Main | BitcoinChain::Test | BitcoinChain::Testnet4 => 0x1d00_ffff,
        BitcoinChain::Signet => 0x1e03_77ae,
        BitcoinChain::Regtest => 0x207f_ffff,
    };
    target(bits).unwrap_or_default()
}

/// Whether a block at a height may have this target after its parent's: the same within a period of [`DIFFICULTY_EVERY`] blocks, and within a
/// factor of four at its begin. Test chains whose blocks may fall to the easiest target allow everything.
pub fn may_follow(chain: BitcoinChain, height: u64, parent_bits: u32, bits: u32) -> bool {
    if matches!(chain, BitcoinChain::Test | BitcoinChain::Testnet4 | BitcoinChain::Regtest) {
        return true;
    }
    if !height.is_multiple_of(DIFFICULTY_EVERY) {
        return parent_bits == bits;
    }
    let (Some(before), Some(now)) = (target(parent_bits), target(bits)) else { return false };
    // What is compared was rounded, and so are the bounds.
    let rounded = |bound: U256| target(compact(bound.min(easiest(chain)))).unwrap_or_default();
    rounded(before >> 2) <= now && now <= rounded(before.saturating_mul(U256::from(4)))
}

/// The median of the time stamps of a block and the ten before it, in any order, seconds (Core's `GetMedianTimePast`); of fewer at a chain's
/// begin. `None` of none; of more than eleven nothing is left out.
pub fn median_time(times: impl IntoIterator<Item = u32>) -> Option<u32> {
    let mut times: Vec<u32> = times.into_iter().collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The main chain's first header and its successor (`data/bitcoin/electrum`, the protocol's own examples).
    const FIRST: &str = "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c";
    const SECOND: &str = "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299";
    /// Of height 520481.
    const LATER: &str = "00000020890208a0ae3a3892aa047c5468725846577cfcd9b512b50000000000000000005dc2b02f2d297a9064ee103036c14d678f9afc7e3d9409cf53fd58b82e938e8ecbeca05a2d2103188ce804c4";

    fn read(hex: &str) -> Header {
        Header::from_hex(hex).expect("a header")
    }

    #[test]
    fn eighty_bytes_are_read_whole_and_prove_their_work() {
        let (first, second, later) = (read(FIRST), read(SECOND), read(LATER));
        assert_eq!(first.hash, BitcoinChain::Main.genesis());
        assert_eq!(
            (first.time, first.bits, first.nonce, first.version),
            (1_231_006_505, 0x1d00_ffff, 2_083_236_893, 1)
        );
        assert!(second.follows(&first) && !first.follows(&second));
        for (header, hex) in [(first, FIRST), (second, SECOND), (later, LATER)] {
            assert_eq!(header.check_work(BitcoinChain::Main), Ok(()));
            assert_eq!(const_hex::encode(header.bytes()), hex);
        }
        let head = second.head(1);
        assert_eq!((head.parent.as_str(), head.time), (&*first.hash.to_string(), TimeMs(1_231_469_665_000)));
        assert_eq!(Header::read(&[0; 79]), Err(HeaderError::Length(79)));
        assert_eq!(Header::from_hex(&"x".repeat(160)), Err(HeaderError::NotHex("x".repeat(16))));
        assert_eq!(Header::from_hex("00"), Err(HeaderError::Length(1)));
    }

    #[test]
    fn work_that_was_not_done_is_none() {
        let mut bytes = read(SECOND).bytes();
        bytes[79] ^= 1;
        let forged = Header::of(&bytes);
        assert!(matches!(forged.check_work(BitcoinChain::Main), Err(HeaderError::Work { .. })));
        // The easiest target of a test chain is none on the main chain.
        let mut bytes = forged.bytes();
        bytes[72..76].copy_from_slice(&0x207f_ffff_u32.to_le_bytes());
        let easy = Header::of(&bytes);
        assert!(matches!(easy.check_work(BitcoinChain::Main), Err(HeaderError::Target { .. })));
    }

    #[test]
    fn compact_targets_are_what_core_reads() {
        // Bitcoin Core, src/test/arith_uint256_tests.cpp, bignum_SetCompact.
        for none in
            [0, 0x0012_3456, 0x0100_3456, 0x0200_0056, 0x0300_0000, 0x0092_3456, 0x01fe_dcba, 0x0492_3456, 0xff12_3456]
        {
            assert_eq!(target(none), None, "{none:08x}");
        }
        let of = |bits, number: u64| assert_eq!(target(bits), Some(U256::from(number)), "{bits:08x}");
        of(0x0112_3456, 0x12);
        of(0x0212_3456, 0x1234);
        of(0x0312_3456, 0x12_3456);
        of(0x0412_3456, 0x1234_5600);
        assert_eq!(target(0x2012_3456), Some(U256::from(0x12_3456) << 232));
        for bits in [0x1d00_ffff, 0x1e03_77ae, 0x207f_ffff, 0x1803_212d, 0x0500_9234] {
            assert_eq!(target(bits).map(compact), Some(bits), "{bits:08x}");
        }
    }

    #[test]
    fn work_adds_up_as_core_counts_it() {
        // The first block's `chainwork`, as every node prints it.
        assert_eq!(read(FIRST).work(), U256::from(0x1_0001_0001_u64));
        assert_eq!(work_of(&[read(FIRST), read(SECOND)]), U256::from(0x2_0002_0002_u64));
        let easy = Header { bits: 0x207f_ffff, ..read(FIRST) };
        assert_eq!(easy.work(), U256::from(2));
        assert_eq!(Header { bits: 0, ..easy }.work(), U256::ZERO);
    }

    #[test]
    fn difficulty_moves_only_where_it_may() {
        use BitcoinChain::{Main, Regtest};
        assert!(
            may_follow(Main, 32_255, 0x1d00_ffff, 0x1d00_ffff) && !may_follow(Main, 32_255, 0x1d00_ffff, 0x1d00_d86a)
        );
        // The first change of all.
        assert!(may_follow(Main, 32_256, 0x1d00_ffff, 0x1d00_d86a));
        assert!(!may_follow(Main, 32_256, 0x1803_212d, 0x1d00_ffff), "more than four times easier");
        assert!(!may_follow(Main, 32_256, 0x1d00_ffff, 0x1803_212d), "more than four times harder");
        assert!(may_follow(Main, 68_544, 0x1c0a_e493, 0x1c02_b924 + 0x1_0000));
        assert!(may_follow(Regtest, 7, 0x1d00_ffff, 0x207f_ffff));
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median_time([]), None);
        assert_eq!(median_time([5]), Some(5));
        assert_eq!(median_time([9, 5]), Some(9), "the upper one, as Core has it");
        assert_eq!(median_time([11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6]), Some(6));
    }

    proptest! {
        #[test]
        fn any_eighty_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 80), chain in 0..5usize) {
            let header = Header::read(&bytes).expect("eighty bytes");
            prop_assert_eq!(&header.bytes()[..], &bytes[..]);
            let chains =
                [BitcoinChain::Main, BitcoinChain::Test, BitcoinChain::Testnet4, BitcoinChain::Signet, BitcoinChain::Regtest];
            // Nobody finds a main chain's work by chance.
            prop_assert!(chain == 4 || header.check_work(chains[chain]).is_err());
            let _ = header.work();
        }

        #[test]
        fn compact_and_target_are_each_others(bits in any::<u32>()) {
            if let Some(target) = target(bits) {
                prop_assert_eq!(super::target(compact(target)), Some(target));
            }
        }
    }
}
