//! A transaction of any family, as the index looks at it.

use std::sync::Arc;

use alloy_primitives::B256;
use schemas::{Family, Status, records::BitcoinDecoded};
use serde_json::{Map, Value};

use super::Scratch;
use crate::{
    expression::{BitcoinSubject, OverTransaction, Subject},
    party::Party,
};

/// See the module.
#[allow(clippy::large_enum_variant)] // one at a time, on the stack; a box would be an allocation for each transaction
pub(super) enum Whole<'t> {
    Evm(Subject<'t>),
    Bitcoin(BitcoinSubject<'t>),
}

impl Whole<'_> {
    /// Its hash, in the order in which it is printed.
    pub fn hash(&self) -> B256 {
        match self {
            Self::Evm(subject) => subject.transaction.hash,
            Self::Bitcoin(subject) => B256::from(subject.transaction.txid.0),
        }
    }

    /// What came of it. One of Bitcoin's that is in a block did what it says.
    pub const fn status(&self) -> Status {
        match self {
            Self::Evm(subject) => subject.enrichment.status,
            Self::Bitcoin(_) => Status::Success,
        }
    }

    /// Why it failed, where that is known.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Evm(subject) => subject.enrichment.failure_cause.as_deref(),
            Self::Bitcoin(_) => None,
        }
    }

    /// Whom it was sent to, where that is one.
    pub fn receiver(&self) -> Option<Party> {
        match self {
            Self::Evm(subject) => subject.transaction.to_address.map(Party::Evm),
            Self::Bitcoin(_) => None,
        }
    }

    /// Gives each of its parties (receiver and sender; the addresses of what it spends and pays), and none at the end.
    pub fn each_party(&self, mut look: impl FnMut(Option<Party>)) {
        match self {
            Self::Evm(subject) => {
                let tx = subject.transaction;
                [tx.to_address, Some(tx.from_address)]
                    .into_iter()
                    .flatten()
                    .for_each(|one| look(Some(Party::Evm(one))));
            }
            Self::Bitcoin(subject) => {
                subject.transaction.addresses().into_iter().for_each(|one| look(Some(Party::Bitcoin(one.into()))));
            }
        }
        look(None);
    }

    /// It is looked at for one of its parties from now on, or for none.
    pub fn look_for(&self, party: Option<&Party>) {
        if let Self::Bitcoin(subject) = self {
            subject.look_for(party.map(|party| moved(subject.transaction, party)));
        }
    }

    /// Whether an expression fits it. One that speaks of another family's transactions does not.
    pub fn answers(&self, expression: &OverTransaction, scratch: &mut Scratch) -> bool {
        match self {
            Self::Evm(subject) => expression.of(Family::Evm).is_some_and(|test| scratch.answer(test, subject)),
            Self::Bitcoin(subject) => expression.of(Family::Bitcoin).is_some_and(|test| scratch.answer(test, subject)),
        }
    }

    /// What is told of it with a match beside its hash: of Bitcoin's what it moved and paid, and what of that was the party's.
    pub fn told(&self, party: Option<&Party>) -> Option<Arc<str>> {
        match self {
            Self::Evm(_) => None,
            Self::Bitcoin(subject) => Some(amounts(subject.transaction, party).into()),
        }
    }
}

/// A JSON object of amounts in satoshi, as decimal texts.
fn amounts(tx: &BitcoinDecoded, party: Option<&Party>) -> String {
    let mut all = Map::new();
    let mut tell = |name: &str, amount: Option<u64>| {
        if let Some(amount) = amount {
            all.insert(name.to_owned(), Value::String(amount.to_string()));
        }
    };
    tell("output_value", Some(tx.output_value));
    if !tx.is_coinbase {
        tell("input_value", tx.input_value);
        tell("fee", tx.fee);
        tell("fee_rate", tx.fee_rate);
    }
    if let Some((received, spent)) = party.map(|party| moved(tx, party)) {
        tell("received", Some(received));
        tell("spent", Some(spent));
    }
    if let Some(pool) = &tx.pool {
        all.insert("pool".to_owned(), Value::String(pool.clone()));
    }
    Value::Object(all).to_string()
}

/// What an address receives and spends, satoshi.
fn moved(tx: &BitcoinDecoded, party: &Party) -> (u64, u64) {
    let Party::Bitcoin(party) = party else { return (0, 0) };
    let is_its = |addresses: &[String]| addresses.iter().any(|address| **address == **party);
    let received = tx.outputs.iter().filter(|output| is_its(&output.addresses)).map(|output| output.value);
    let spent = tx.inputs.iter().filter_map(|input| input.spent.as_ref());
    let spent = spent.filter(|spent| is_its(&spent.addresses)).map(|spent| spent.value);
    (received.fold(0, u64::saturating_add), spent.fold(0, u64::saturating_add))
}
