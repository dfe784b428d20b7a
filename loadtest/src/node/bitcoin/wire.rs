//! Bitcoin's serialization, as far as a simulated node reads and writes it (Bitcoin Core `serialize.h`, BIP-144).
//!
//! Guarantee: no code of Headwater's own readers is used, so that both can be wrong only by themselves.

use sha2::{Digest as _, Sha256};

/// A hash as it is serialized; people see its bytes the other way round.
pub(crate) type Hash = [u8; 32];

/// SHA-256 of the SHA-256 of all parts in a row.
pub(crate) fn sha256d(parts: &[&[u8]]) -> Hash {
    let mut inner = Sha256::new();
    parts.iter().for_each(|part| inner.update(part));
    Sha256::digest(inner.finalize()).into()
}

/// As people see a hash.
pub(crate) fn shown(hash: &Hash) -> String {
    let mut bytes = *hash;
    bytes.reverse();
    const_hex::encode(bytes)
}

/// The hash that is shown so, in 64 digits.
pub(crate) fn hash_of(text: &str) -> Option<Hash> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    const_hex::decode_to_slice(text, &mut bytes).ok()?;
    bytes.reverse();
    Some(bytes)
}

/// Writes a compact size.
pub(crate) fn compact(n: usize, out: &mut Vec<u8>) {
    match n {
        0..=0xfc => out.push(n as u8),
        0xfd..=0xffff => {
            out.push(0xfd);
            out.extend_from_slice(&(n as u16).to_le_bytes());
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&(n as u32).to_le_bytes());
        }
    }
}

/// The root of a merkle tree over at least one leaf (Bitcoin Core `consensus/merkle.cpp`).
pub(crate) fn merkle_root(mut level: Vec<Hash>) -> Hash {
    while level.len() > 1 {
        if level.len() % 2 == 1 {
            level.push(level[level.len() - 1]);
        }
        level = level.chunks_exact(2).map(|pair| sha256d(&[&pair[0], &pair[1]])).collect();
    }
    level.first().copied().unwrap_or_default()
}

/// Whether a hash meets the target that these bits are (`arith_uint256::SetCompact`).
pub(crate) fn meets(hash: &Hash, bits: u32) -> bool {
    let (exponent, mantissa) = ((bits >> 24) as usize, bits & 0x007f_ffff);
    let mut target = [0_u8; 32]; // the highest byte first
    for (n, byte) in mantissa.to_be_bytes()[1..].iter().enumerate() {
        // The mantissa's last byte has the weight 256 to the power of exponent - 3.
        if let Some(place) = (32 + n).checked_sub(exponent)
            && place < 32
        {
            target[place] = *byte;
        }
    }
    hash.iter().rev().le(target.iter())
}

/// Reads bytes one after the other.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where it stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("{n} bytes are missing at {}", self.at))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn hash(&mut self) -> Result<Hash, String> {
        self.array()
    }

    /// A compact size that counts things of at least a byte each.
    pub(crate) fn size(&mut self) -> Result<usize, String> {
        let n = match self.u8()? {
            0xfd => u64::from(u16::from_le_bytes(self.array()?)),
            0xfe => u64::from(self.u32()?),
            0xff => self.u64()?,
            n => u64::from(n),
        };
        let left = self.bytes.len() - self.at;
        let n = usize::try_from(n).ok().filter(|n| *n <= left);
        n.ok_or_else(|| format!("a size beyond the end at {}", self.at))
    }

    /// Bytes behind their size.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let n = self.size()?;
        self.take(n)
    }

    /// Whether a transaction that begins here has witnesses: steps over the mark and the flag.
    pub(crate) fn flag(&mut self) -> bool {
        let flagged = self.bytes[self.at..].starts_with(&[0, 1]);
        self.at += if flagged { 2 } else { 0 };
        flagged
    }
}

/// A transaction, read.
pub(crate) struct Transaction<'a> {
    /// With its witnesses.
    pub raw: &'a [u8],
    pub version: u32,
    pub inputs: Vec<Input<'a>>,
    pub outputs: Vec<Output<'a>>,
    /// Where its witnesses begin in `raw`; `None`: it has none.
    pub witnesses: Option<usize>,
    pub lock_time: u32,
}

pub(crate) struct Input<'a> {
    /// Where the outpoint stands in the transaction.
    pub at: usize,
    pub spent: Hash,
    pub index: u32,
    pub script: &'a [u8],
    pub sequence: u32,
    pub witness: Vec<&'a [u8]>,
}

pub(crate) struct Output<'a> {
    pub value: u64,
    pub script: &'a [u8],
}

impl<'a> Transaction<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut r = Reader::new(bytes);
        let version = r.u32()?;
        let flagged = r.flag();
        let mut inputs = Vec::new();
        for _ in 0..r.size()? {
            let at = r.at();
            let (spent, index) = (r.hash()?, r.u32()?);
            inputs.push(Input { at, spent, index, script: r.bytes()?, sequence: r.u32()?, witness: Vec::new() });
        }
        let mut outputs = Vec::new();
        for _ in 0..r.size()? {
            outputs.push(Output { value: r.u64()?, script: r.bytes()? });
        }
        let witnesses = flagged.then(|| r.at());
        if flagged {
            for input in &mut inputs {
                for _ in 0..r.size()? {
                    input.witness.push(r.bytes()?);
                }
            }
        }
        let lock_time = r.u32()?;
        Ok(Self { raw: &bytes[..r.at()], version, inputs, outputs, witnesses, lock_time })
    }

    pub(crate) fn txid(&self) -> Hash {
        txid(self.raw, self.witnesses)
    }

    /// Its hash with witnesses (BIP-141).
    pub(crate) fn wtxid(&self) -> Hash {
        sha256d(&[self.raw])
    }

    /// Bytes without witnesses.
    pub(crate) fn stripped(&self) -> usize {
        self.witnesses.map_or(self.raw.len(), |at| at - 2 + 4)
    }

    /// Weight units (BIP-141).
    pub(crate) fn weight(&self) -> usize {
        3 * self.stripped() + self.raw.len()
    }
}

/// The transaction id of these bytes, of which the witnesses begin at a place.
pub(crate) fn txid(raw: &[u8], witnesses: Option<usize>) -> Hash {
    match witnesses {
        Some(at) => sha256d(&[&raw[..4], &raw[6..at], &raw[raw.len() - 4..]]),
        None => sha256d(&[raw]),
    }
}

/// The transactions of a block without its header, in order.
pub(crate) fn transactions(body: &[u8]) -> Result<Vec<Transaction<'_>>, String> {
    let mut r = Reader::new(body);
    let count = r.size()?;
    let mut at = r.at();
    let mut all = Vec::new();
    for n in 0..count {
        let transaction = Transaction::read(&body[at..]).map_err(|e| format!("transaction {n}: {e}"))?;
        at += transaction.raw.len();
        all.push(transaction);
    }
    if at == body.len() { Ok(all) } else { Err(format!("{} bytes too many", body.len() - at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_up_to_itself() {
        let hash = |shown: &str| hash_of(shown).expect("a hash");
        let first = hash("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
        assert!(meets(&first, 0x1d00_ffff));
        assert!(!meets(&first, 0x1b00_ffff));
        let target = hash("7fffff0000000000000000000000000000000000000000000000000000000000");
        assert!(meets(&target, 0x207f_ffff));
        assert!(!meets(&hash(&format!("8{}", "0".repeat(63))), 0x207f_ffff));
        assert_eq!(shown(&target).parse::<schemas::primitives::BitcoinHash>().expect("a hash").to_internal(), target);
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for n in [0, 0xfc, 0xfd, 0xffff, 0x1_0000] {
            let mut out = Vec::new();
            compact(n, &mut out);
            let length = out.len();
            out.resize(length + n, 0);
            assert_eq!(Reader::new(&out).size().expect("a size"), n);
        }
    }
}
