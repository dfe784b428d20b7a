//! The transaction that a letter holds; or why there is none, and what to do instead.

use std::collections::HashSet;

use alloy_primitives::Address;
use enrich::steps::contracts::touched;
use schemas::{
    ChildEnvelope, Status,
    codec::Codec,
    records::{
        BitcoinDecoded, BitcoinTransaction, EnrichedTransaction, Enrichment, EvmTransaction, Payload, RawTransaction,
        dead_letter::reason,
    },
    topics,
};

use super::letter::Letter;

/// Why a letter is not taken up.
pub enum Why {
    /// In words that say what to do instead.
    Said(String),
    /// Its bytes are of no use: whoever has the block is to be asked again.
    AskAgain(String),
}

/// What a letter holds.
pub struct Read {
    /// The transaction's place.
    pub envelope: ChildEnvelope,
    /// The transaction.
    pub found: Found,
}

/// A letter's transaction, as far as it was worked up.
pub enum Found {
    /// As ingest wrote it.
    RawEvm(Box<EvmTransaction>),
    /// As enrich wrote it.
    Evm(Box<(EvmTransaction, Enrichment)>),
    /// As ingest wrote it.
    RawBitcoin(Box<BitcoinTransaction>),
    /// As enrich wrote it.
    Bitcoin(Box<BitcoinDecoded>),
}

impl Found {
    /// Its position in the block.
    pub fn index(&self) -> u32 {
        match self {
            Self::RawEvm(tx) => tx.transaction_index,
            Self::Evm(both) => both.0.transaction_index,
            Self::RawBitcoin(tx) => tx.transaction_index,
            Self::Bitcoin(decoded) => decoded.transaction_index,
        }
    }

    /// Whether it has a cause to be told.
    pub fn has_failed(&self) -> bool {
        match self {
            Self::RawEvm(tx) => tx.status() == Status::Failed,
            Self::Evm(both) => both.0.status() == Status::Failed,
            Self::RawBitcoin(_) | Self::Bitcoin(_) => false,
        }
    }

    /// Watched contracts that it touches; Bitcoin has none.
    pub fn touched(&self, watched: &HashSet<Address>) -> Vec<Address> {
        match self {
            Self::RawEvm(tx) => touched(tx, watched),
            Self::Evm(both) => touched(&both.0, watched),
            Self::RawBitcoin(_) | Self::Bitcoin(_) => Vec::new(),
        }
    }
}

/// What cannot be mended by itself.
fn placeholder() -> Why {
    Why::AskAgain("the original is a placeholder itself".into())
}

/// The letter's transaction; or why there is none, and what to do instead.
pub fn read(codec: &Codec, letter: &Letter) -> Result<Read, Why> {
    if letter.reason == reason::FOREIGN {
        let why = "another program wrote it into this topic: it belongs to no network, and nothing is missing";
        return Err(Why::Said(why.into()));
    }
    let raw = letter.source_topic == topics::RAW_TRANSACTIONS.name;
    if !raw && letter.source_topic != topics::ENRICHED_TRANSACTIONS.name {
        return Err(Why::Said(format!(
            "it is the header record of a whole block: its network stands still there (`headwater status`), and no row alone can \
             mend that; follow the network under another slug, from this height on, with a version that reads it ({})",
            letter.error
        )));
    }
    let Some(bytes) = letter.original.as_deref() else {
        return Err(Why::AskAgain(format!("the letter does not hold the original bytes: {}", letter.error)));
    };
    let still = |e: schemas::codec::DecodeError| match e.reason() {
        reason::UNKNOWN_SCHEMA => {
            Why::Said(format!("{e}; run the replay with the version that wrote it, or a newer one"))
        }
        _ => Why::AskAgain(format!("this version cannot read it either: {e}")),
    };
    let (envelope, found) = if raw {
        let RawTransaction { envelope, payload } = codec.decode(bytes).map_err(still)?;
        let found = match payload {
            Payload::Evm(tx) => Found::RawEvm(tx),
            Payload::Bitcoin(tx) => Found::RawBitcoin(tx),
            Payload::Revert | Payload::Unreadable { .. } => return Err(placeholder()),
        };
        (envelope, found)
    } else {
        let EnrichedTransaction { envelope, payload } = codec.decode(bytes).map_err(still)?;
        let found = match payload {
            Payload::Evm(both) => Found::Evm(both),
            Payload::Bitcoin(decoded) => Found::Bitcoin(decoded),
            Payload::Revert | Payload::Unreadable { .. } => return Err(placeholder()),
        };
        (envelope, found)
    };
    let (network, sequence, index) = (&envelope.network, envelope.sequence, found.index());
    if letter.network.as_deref() != Some(network.as_str())
        || letter.sequence != Some(sequence)
        || letter.index != Some(index)
    {
        let why = format!("the original is transaction {index} of {network} {sequence}, its place says otherwise");
        return Err(Why::AskAgain(why));
    }
    Ok(Read { envelope, found })
}
