//! Bitcoin Core's answers as JSON: the fields that are read of them, every one optional, since versions differ.
//!
//! Guarantee: no list is longer than what a block can hold, amounts are read from their digits and never as floating point, and what is
//! hex is kept as bytes.

use std::{borrow::Cow, fmt, marker::PhantomData};

use alloy_primitives::Bytes;
use schemas::{BitcoinHash, limits::bitcoin as limits};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// An error object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RpcError {
    /// Its number (Core's `rpc/protocol.h`).
    pub code: i64,
    /// Its words.
    pub message: String,
}

/// An answer: with `"jsonrpc": "2.0"` newer versions leave one of the two out, older ones say `null`.
#[derive(Debug, Deserialize)]
pub struct Answer<T> {
    /// What was asked for.
    pub result: Option<T>,
    /// Why there is none.
    pub error: Option<RpcError>,
    /// Of a batch: which question it answers.
    #[serde(default, deserialize_with = "number")]
    pub id: Option<u64>,
}

/// A question's number; nothing where it is another scalar.
fn number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    d.deserialize_any(Number)
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Option<u64>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a question's number")
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// The answers of a batch.
#[derive(Debug)]
pub struct Answers<T>(pub Vec<Answer<T>>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Answers<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_seq(List(limits::CORE_HEADERS_PER_BATCH, PhantomData)).map(Self)
    }
}

/// A list of at most so many.
struct List<T>(usize, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {}", self.0)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() >= self.0 {
                return Err(A::Error::custom(format!("a list has more than {} items", self.0)));
            }
            items.push(item);
        }
        Ok(items)
    }
}

fn transactions<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Transaction>, D::Error> {
    d.deserialize_seq(Transactions)
}

/// The transactions of a block, with no more inputs than a block has, all together.
struct Transactions;

impl<'de> Visitor<'de> for Transactions {
    type Value = Vec<Transaction>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transactions of a block")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut all, mut inputs) = (Vec::new(), 0_usize);
        while let Some(transaction) = seq.next_element::<Transaction>()? {
            inputs = inputs.saturating_add(transaction.vin.len());
            for (has, most) in [(all.len() + 1, limits::BLOCK_TRANSACTIONS), (inputs, limits::BLOCK_INPUTS)] {
                if has > most {
                    return Err(A::Error::custom(format!("a block has more than {most} transactions or inputs")));
                }
            }
            all.push(transaction);
        }
        Ok(all)
    }
}

fn inputs<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Input>, D::Error> {
    d.deserialize_seq(List(limits::BLOCK_INPUTS, PhantomData))
}

/// A hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub BitcoinHash);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <Cow<'de, str>>::deserialize(d)?.parse::<BitcoinHash>().map(Self).map_err(D::Error::custom)
    }
}

/// Bytes that are written as hex digits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hex(pub Bytes);

struct HexVisitor;

impl Visitor<'_> for HexVisitor {
    type Value = Hex;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hex digits")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Hex, E> {
        // `0x` is none of its ways, and would be passed over.
        match const_hex::decode(text) {
            Ok(bytes) if !text.starts_with("0x") => Ok(Hex(bytes.into())),
            _ => Err(E::custom("these are no hex digits")),
        }
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(HexVisitor)
    }
}

/// An amount: bitcoins in the answer, satoshi here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Satoshi(pub u64);

impl<'de> Deserialize<'de> for Satoshi {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(d)?.get();
        satoshi(text).map(Self).ok_or_else(|| D::Error::custom(format!("`{text:.40}` is no amount of bitcoins")))
    }
}

/// Satoshi of a decimal number of bitcoins, exactly; `None` for what is negative, no number, finer than a satoshi, or more than there are.
/// With an exponent too: proxies write small amounts so.
pub fn satoshi(text: &str) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || whole.len() + fraction.len() > 30 || !digits.clone().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = digits.fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let shift = exponent.parse::<i32>().ok()?.checked_add(8)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10_u128.checked_pow(shift.unsigned_abs());
    let value = match (number, power) {
        (0, _) => 0,
        (_, None) => return None,
        (_, Some(power)) if shift >= 0 => number.checked_mul(power)?,
        (_, Some(power)) if number.is_multiple_of(power) => number / power,
        (_, Some(_)) => return None,
    };
    u64::try_from(value).ok().filter(|value| *value <= limits::MOST_SATOSHI)
}

/// `getblockchaininfo`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Which chain, in Core's words.
    pub chain: Option<String>,
    /// Height of its tip.
    pub blocks: Option<u64>,
    /// Height of the best header that it has.
    pub headers: Option<u64>,
    /// Hash of its tip.
    pub bestblockhash: Option<Hash>,
    /// Whether it is in its initial download.
    pub initialblockdownload: Option<bool>,
    /// Whether it prunes.
    pub pruned: Option<bool>,
    /// The lowest height that it has whole.
    pub pruneheight: Option<u64>,
}

/// `getnetworkinfo`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NetworkInfo {
    /// What it calls itself (BIP-14).
    pub subversion: Option<String>,
}

/// `getblockheader` with its fields.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct JsonHeader {
    /// Its hash.
    pub hash: Option<Hash>,
    /// Blocks on top of it, itself included; -1 where it is on no best chain.
    pub confirmations: Option<i64>,
    /// Height.
    pub height: Option<u64>,
    /// Version, signed.
    pub version: Option<i64>,
    /// Root of the transaction ids' tree.
    pub merkleroot: Option<Hash>,
    /// Time stamp, seconds.
    pub time: Option<u32>,
    /// Median of the last eleven, seconds.
    pub mediantime: Option<u64>,
    /// Nonce.
    pub nonce: Option<u32>,
    /// Target in compact form, eight hex digits.
    pub bits: Option<String>,
    /// Work up to it, 64 hex digits.
    pub chainwork: Option<String>,
    /// Transactions of the block; 0 while it has not been downloaded.
    #[serde(rename = "nTx")]
    pub transactions: Option<u32>,
    /// Its parent; not there on the first block.
    pub previousblockhash: Option<Hash>,
}

/// What is read of `getblock` with verbosity 3.
#[derive(Debug, Deserialize)]
pub struct Block {
    /// Its transactions.
    #[serde(deserialize_with = "transactions")]
    pub tx: Vec<Transaction>,
}

/// A transaction of it.
#[derive(Debug, Deserialize)]
pub struct Transaction {
    /// Its inputs.
    #[serde(deserialize_with = "inputs")]
    pub vin: Vec<Input>,
}

/// An input.
#[derive(Debug, Deserialize)]
pub struct Input {
    /// On the coinbase.
    pub coinbase: Option<IgnoredAny>,
    /// What it spends, where the node has that.
    pub prevout: Option<Box<Prevout>>,
}

/// What an input spends.
#[derive(Debug, Deserialize)]
pub struct Prevout {
    /// Whether a coinbase made it.
    pub generated: Option<bool>,
    /// Height of the block that made it.
    pub height: Option<u32>,
    /// How much.
    pub value: Satoshi,
    /// Its script.
    #[serde(rename = "scriptPubKey")]
    pub script: Script,
}

/// A script.
#[derive(Debug, Deserialize)]
pub struct Script {
    /// Its bytes.
    pub hex: Hex,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, value) in [
            ("50.00002250", 5_000_002_250),
            ("0.00000001", 1),
            ("1e-8", 1),
            ("1.5E-7", 15),
            ("0", 0),
            ("0.0e-99", 0),
            ("21000000.00000000", 2_100_000_000_000_000),
            ("2.1e7", 2_100_000_000_000_000),
            ("20999999.97690000", 2_099_999_997_690_000),
        ] {
            assert_eq!(satoshi(text), Some(value), "{text}");
        }
        for none in [
            "-1",
            "0.000000001",
            "1e-9",
            "21000000.00000001",
            "1e400",
            "1e2147483647",
            "",
            ".5",
            "x",
            "1.2.3",
            "NaN",
            "\"1\"",
        ] {
            assert_eq!(satoshi(none), None, "{none}");
        }
    }

    #[test]
    fn lists_end_where_a_block_does() {
        let many = vec!["{}"; limits::BLOCK_INPUTS + 1].join(",");
        let told = |inputs: &str| serde_json::from_str::<Block>(&format!("{{\"tx\":[{{\"vin\":[{inputs}]}}]}}"));
        assert!(told(&many).unwrap_err().to_string().contains("more than 24390"));
        let half = format!("{{\"vin\":[{}]}}", vec!["{}"; limits::BLOCK_INPUTS / 2 + 1].join(","));
        let all = |times: usize| format!("{{\"tx\":[{}]}}", vec![half.as_str(); times].join(","));
        assert!(serde_json::from_str::<Block>(&all(1)).is_ok());
        assert!(serde_json::from_str::<Block>(&all(2)).unwrap_err().to_string().contains("more than 24390"));
        assert_eq!(told("{},{\"coinbase\":\"00\"}").unwrap().tx.first().map(|tx| tx.vin.len()), Some(2));
    }

    #[test]
    fn both_ways_of_answering_are_read() {
        let read = |text: &str| serde_json::from_str::<Answer<u64>>(text).unwrap();
        let new = read(r#"{"jsonrpc":"2.0","result":7,"id":1}"#);
        assert_eq!((new.result, new.error, new.id), (Some(7), None, Some(1)));
        let old = read(r#"{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":"x"}"#);
        assert_eq!((old.result, old.error.map(|e| e.code), old.id), (None, Some(-8), None));
    }
}
