//! Scripts as Electrum names them, and the status by which a change of their history shows. Pure.
//!
//! Source: the protocol's "Protocol Basics", sections "Script Hashes" and "Status".

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use super::answers::HistoryItem;

/// A script's name: SHA-256 of the script, in the order in which it is printed, which is the reverse of the one in which it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScriptHash([u8; 32]);

/// The status of a script's history: SHA-256 over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status([u8; 32]);

impl ScriptHash {
    /// Of a script.
    pub fn of(script: &[u8]) -> Self {
        let mut hash: [u8; 32] = Sha256::digest(script).into();
        hash.reverse();
        Self(hash)
    }
}

impl Status {
    /// Of a history in the order in which the server has it; `None` of an empty one. Before version 1.6 servers order what is in the mempool
    /// as they like, so that with several such transactions two servers may differ and nothing is wrong.
    pub fn of(history: &[HistoryItem]) -> Option<Self> {
        if history.is_empty() {
            return None;
        }
        let mut hash = Sha256::new();
        for item in history {
            hash.update(format!("{}:{}:", item.txid, item.height));
        }
        Some(Self(hash.finalize().into()))
    }

    /// The order that version 1.6 prescribes: confirmed ones by height, as the server has them within a block; then those in the mempool
    /// whose inputs are confirmed, then the others, each by their id.
    pub fn sort(history: &mut [HistoryItem]) {
        // Stable: within a block the server's order stays.
        history.sort_by_key(|item| match item.height {
            height @ 1.. => (0, height, None),
            0 => (1, 0, Some(item.txid)),
            _ => (2, 0, Some(item.txid)),
        });
    }
}

fn digits(text: &str) -> Result<[u8; 32], NoHash> {
    let mut bytes = [0; 32];
    match const_hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if text.len() == 64 => Ok(bytes),
        _ => Err(NoHash),
    }
}

/// The text is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be 64 hex digits")]
pub struct NoHash;

impl FromStr for ScriptHash {
    type Err = NoHash;
    fn from_str(text: &str) -> Result<Self, NoHash> {
        digits(text).map(Self)
    }
}

impl FromStr for Status {
    type Err = NoHash;
    fn from_str(text: &str) -> Result<Self, NoHash> {
        digits(text).map(Self)
    }
}

impl fmt::Display for ScriptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.0))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&const_hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_hash_is_the_protocols_example() {
        // Pay to the public key's hash of 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.
        let script = const_hex::decode("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac").unwrap();
        let name = "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161";
        assert_eq!(ScriptHash::of(&script).to_string(), name);
        assert_eq!(name.parse(), Ok(ScriptHash::of(&script)));
        assert_eq!("00".parse::<ScriptHash>(), Err(NoHash));
    }

    #[test]
    fn a_status_is_the_protocols_example() {
        let of = |height, txid: &str| HistoryItem { txid: txid.parse().unwrap(), height, fee: None };
        let mut history = vec![
            of(-1, "bb4c8ab438c13b89ca80d1d5bee25b0b6b7f55673f4d801998ba97db161d9e85"),
            of(0, "e02a1dadfa83b996b24175df807b271ea5d02937ef5b35c195fac1e1bdc3198f"),
            of(2472, "a6c9c361bd0bc536d6a22648efbf8f9b200e425ef6c3a7a9669dc444c532a347"),
            of(0, "80b19848aed792565ab7c5a79b7c2a00fbf985741579396ebe0ab6098e607311"),
            of(2473, "9c42f84b2fcdaff676ba25d9d4941741cc0d1a01cce0c23fdc4c0b2afa38431c"),
            of(2473, "770f2d4371b3fabb902dd9a103e2dd005fcd3971181078fca4a2a1d6ff127b30"),
        ];
        Status::sort(&mut history);
        let status = "78e96c6562cafa71c115503b9411fdfdc595a45031e2ab76ff75162fe1b0590d";
        assert_eq!(Status::of(&history).unwrap().to_string(), status);
        assert_eq!(Status::of(&[]), None);
    }
}
