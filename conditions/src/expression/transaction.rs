//! What conditions over transactions speak of.

use alloy_primitives::U256;
use schemas::{
    envelope::ChildEnvelope,
    records::{Enrichment, EvmTransaction},
};

use super::{
    eval::{Place, Seen, Variables},
    value::Kind,
};

/// A field of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Hash,
    From,
    To,
    Value,
    Nonce,
    GasLimit,
    GasUsed,
    GasPrice,
    MaxFee,
    MaxPriorityFee,
    MaxBlobFee,
    EffectiveGasPrice,
    Input,
    Index,
    Type,
    Method,
    Fee,
    Status,
    Cause,
    Created,
    Logs,
    Height,
    Network,
}

impl Field {
    const fn new(name: &'static str, what: What) -> Self {
        Self { name, what }
    }

    /// What it is.
    pub const fn kind(self) -> Kind {
        match self.what {
            What::Hash => Kind::Bytes(Some(32)),
            What::From | What::To | What::Created => Kind::Bytes(Some(20)),
            What::Method => Kind::Bytes(Some(4)),
            What::Input => Kind::Bytes(None),
            What::Status | What::Cause | What::Network => Kind::Text,
            _ => Kind::Number,
        }
    }
}

/// The field that is found out late.
pub(crate) const CAUSE: &str = "failure_cause";

/// All fields.
pub const FIELDS: [Field; 23] = [
    Field::new("hash", What::Hash),
    Field::new("from", What::From),
    Field::new("to", What::To),
    Field::new("value", What::Value),
    Field::new("nonce", What::Nonce),
    Field::new("gas_limit", What::GasLimit),
    Field::new("gas_used", What::GasUsed),
    Field::new("gas_price", What::GasPrice),
    Field::new("max_fee_per_gas", What::MaxFee),
    Field::new("max_priority_fee_per_gas", What::MaxPriorityFee),
    Field::new("max_fee_per_blob_gas", What::MaxBlobFee),
    Field::new("effective_gas_price", What::EffectiveGasPrice),
    Field::new("input", What::Input),
    Field::new("transaction_index", What::Index),
    Field::new("type", What::Type),
    Field::new("method", What::Method),
    Field::new("fee", What::Fee),
    Field::new("status", What::Status),
    Field::new(CAUSE, What::Cause),
    Field::new("contract_address", What::Created),
    Field::new("log_count", What::Logs),
    Field::new("height", What::Height),
    Field::new("network", What::Network),
];

/// A transaction that conditions are put to.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'t> {
    /// Where it stands.
    pub envelope: &'t ChildEnvelope,
    /// It.
    pub transaction: &'t EvmTransaction,
    /// What was found out about it.
    pub enrichment: &'t Enrichment,
}

impl Variables for Subject<'_> {
    fn get(&self, place: &Place) -> Option<Seen<'_>> {
        let (tx, more) = (self.transaction, self.enrichment);
        let number = |number: u64| Some(Seen::Whole(U256::from(number)));
        let large = |number: Option<U256>| number.map(Seen::Whole);
        let field = FIELDS.get(place.root)?;
        match field.what {
            What::Hash => Some(Seen::Bytes(tx.hash.as_slice())),
            What::From => Some(Seen::Bytes(tx.from_address.as_slice())),
            What::To => tx.to_address.as_ref().map(|to| Seen::Bytes(to.as_slice())),
            What::Value => large(Some(tx.value)),
            What::Nonce => number(tx.nonce),
            What::GasLimit => number(tx.gas),
            What::GasUsed => number(tx.receipt_gas_used),
            What::GasPrice => large(tx.gas_price),
            What::MaxFee => large(tx.max_fee_per_gas),
            What::MaxPriorityFee => large(tx.max_priority_fee_per_gas),
            What::MaxBlobFee => large(tx.max_fee_per_blob_gas),
            What::EffectiveGasPrice => large(tx.receipt_effective_gas_price),
            What::Input => Some(Seen::Bytes(&tx.input)),
            What::Index => number(tx.transaction_index.into()),
            What::Type => number(tx.transaction_type),
            What::Method => more.method.as_ref().map(|method| Seen::Bytes(method.as_slice())),
            What::Fee => large(more.fee.map(|fee| fee.total())),
            What::Status => Some(Seen::Text(more.status.as_str())),
            What::Cause => more.failure_cause.as_deref().map(Seen::Text),
            What::Created => tx.receipt_contract_address.as_ref().map(|address| Seen::Bytes(address.as_slice())),
            What::Logs => number(tx.logs.len() as u64),
            What::Height => number(self.envelope.height),
            What::Network => Some(Seen::Text(self.envelope.network.as_str())),
        }
    }
}
