//! What conditions over Bitcoin's transactions speak of.
//!
//! Guarantee: of a transaction each list is made once, when it is first asked for, and is not longer than the transaction.

use std::cell::{Cell, OnceCell};

use alloy_primitives::U256;
use schemas::{
    envelope::ChildEnvelope,
    records::{BitcoinDecoded, BitcoinInput, BitcoinOutput},
};

use super::{
    eval::{Place, Seen, Variables},
    value::{Kind, Value},
};

/// A field of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Txid,
    Wtxid,
    Index,
    Version,
    LockTime,
    Size,
    Weight,
    VirtualSize,
    Sigops,
    IsCoinbase,
    Segwit,
    Replaceable,
    InputCount,
    OutputCount,
    InputValue,
    OutputValue,
    LargestInput,
    LargestOutput,
    Received,
    Spent,
    Fee,
    FeeRate,
    Pool,
    Addresses,
    InputAddresses,
    OutputAddresses,
    InputTypes,
    OutputTypes,
    Inscriptions,
    Inputs,
    Outputs,
    Status,
    Height,
    Network,
}

/// All names, and what has them; some have two.
const NAMES: [(&str, What); 39] = [
    ("txid", What::Txid),
    ("hash", What::Txid),
    ("wtxid", What::Wtxid),
    ("transaction_index", What::Index),
    ("version", What::Version),
    ("lock_time", What::LockTime),
    ("size", What::Size),
    ("weight", What::Weight),
    ("virtual_size", What::VirtualSize),
    ("vsize", What::VirtualSize),
    ("sigops", What::Sigops),
    ("is_coinbase", What::IsCoinbase),
    ("coinbase", What::IsCoinbase),
    ("segwit", What::Segwit),
    ("replaceable", What::Replaceable),
    ("rbf", What::Replaceable),
    ("input_count", What::InputCount),
    ("output_count", What::OutputCount),
    ("input_value", What::InputValue),
    ("output_value", What::OutputValue),
    ("value", What::OutputValue),
    ("largest_input", What::LargestInput),
    ("largest_output", What::LargestOutput),
    ("received", What::Received),
    ("spent", What::Spent),
    ("fee", What::Fee),
    ("fee_rate", What::FeeRate),
    ("pool", What::Pool),
    ("addresses", What::Addresses),
    ("input_addresses", What::InputAddresses),
    ("output_addresses", What::OutputAddresses),
    ("input_types", What::InputTypes),
    ("output_types", What::OutputTypes),
    ("inscriptions", What::Inscriptions),
    ("inputs", What::Inputs),
    ("outputs", What::Outputs),
    ("status", What::Status),
    ("height", What::Height),
    ("network", What::Network),
];

impl What {
    fn kind(self) -> Kind {
        let texts = || Kind::List(Box::new(Kind::Text));
        let each = |members: &[(&str, Kind)]| {
            let members = members.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone()));
            Kind::List(Box::new(Kind::Tuple(members.collect())))
        };
        match self {
            Self::Txid | Self::Wtxid => Kind::Bytes(Some(32)),
            Self::IsCoinbase | Self::Segwit | Self::Replaceable => Kind::Flag,
            Self::Pool | Self::Status | Self::Network => Kind::Text,
            Self::Addresses
            | Self::InputAddresses
            | Self::OutputAddresses
            | Self::InputTypes
            | Self::OutputTypes
            | Self::Inscriptions => texts(),
            Self::Inputs => each(&[
                ("value", Kind::Number),
                ("type", Kind::Text),
                ("address", Kind::Text),
                ("addresses", texts()),
                ("spent_txid", Kind::Bytes(Some(32))),
                ("spent_index", Kind::Number),
                ("sequence", Kind::Number),
                ("spent_height", Kind::Number),
                ("inscription", Kind::Text),
            ]),
            Self::Outputs => each(&[
                ("value", Kind::Number),
                ("type", Kind::Text),
                ("address", Kind::Text),
                ("addresses", texts()),
                ("script", Kind::Bytes(None)),
            ]),
            _ => Kind::Number,
        }
    }
}

/// What has a name, and its kind.
pub(super) fn find(name: &str) -> Option<(usize, Kind)> {
    let at = NAMES.iter().position(|(known, _)| *known == name)?;
    NAMES.get(at).map(|(_, what)| (at, what.kind()))
}

/// Whether it is of the address that a monitor looks at, so that it is another for each.
pub(super) fn is_of_party(root: usize) -> bool {
    NAMES.get(root).is_some_and(|(_, what)| matches!(what, What::Received | What::Spent))
}

/// All names.
pub(super) fn names() -> Vec<&'static str> {
    NAMES.iter().map(|(name, _)| *name).collect()
}

/// A transaction that conditions are put to.
#[derive(Debug)]
pub struct BitcoinSubject<'t> {
    /// Where it stands.
    pub envelope: &'t ChildEnvelope,
    /// It.
    pub transaction: &'t BitcoinDecoded,
    lists: Lists,
    /// What the address that is looked at receives and spends.
    party: Cell<Option<(u64, u64)>>,
}

#[derive(Debug, Default)]
struct Lists {
    addresses: OnceCell<Vec<Value>>,
    input_addresses: OnceCell<Vec<Value>>,
    output_addresses: OnceCell<Vec<Value>>,
    input_types: OnceCell<Vec<Value>>,
    output_types: OnceCell<Vec<Value>>,
    inscriptions: OnceCell<Vec<Value>>,
    inputs: OnceCell<Vec<Value>>,
    outputs: OnceCell<Vec<Value>>,
}

impl<'t> BitcoinSubject<'t> {
    /// A transaction of a block.
    pub fn new(envelope: &'t ChildEnvelope, transaction: &'t BitcoinDecoded) -> Self {
        Self { envelope, transaction, lists: Lists::default(), party: Cell::new(None) }
    }

    /// From now on it is looked at for an address: what that receives and spends, satoshi. `None`: for none.
    pub fn look_for(&self, party: Option<(u64, u64)>) {
        self.party.set(party);
    }

    /// A field that is a list.
    fn list(&self, what: What) -> Option<&[Value]> {
        let (tx, lists) = (self.transaction, &self.lists);
        let spent = || tx.inputs.iter().filter_map(|input| input.spent.as_ref());
        let list: &[Value] = match what {
            What::Addresses => lists.addresses.get_or_init(|| texts(tx.addresses())),
            What::InputAddresses => {
                lists.input_addresses.get_or_init(|| texts(spent().flat_map(|spent| &spent.addresses)))
            }
            What::OutputAddresses => {
                lists.output_addresses.get_or_init(|| texts(tx.outputs.iter().flat_map(|output| &output.addresses)))
            }
            What::InputTypes => lists.input_types.get_or_init(|| texts(spent().map(|spent| spent.kind.as_str()))),
            What::OutputTypes => {
                lists.output_types.get_or_init(|| texts(tx.outputs.iter().map(|output| output.kind.as_str())))
            }
            What::Inscriptions => {
                lists.inscriptions.get_or_init(|| texts(tx.inputs.iter().filter_map(|input| input.envelope.as_ref())))
            }
            What::Inputs => lists.inputs.get_or_init(|| tx.inputs.iter().map(of_input).collect()),
            What::Outputs => lists.outputs.get_or_init(|| tx.outputs.iter().map(of_output).collect()),
            _ => return None,
        };
        Some(list)
    }
}

impl Variables for BitcoinSubject<'_> {
    fn get(&self, place: &Place) -> Option<Seen<'_>> {
        let (_, what) = NAMES.get(place.root)?;
        if let Some(list) = self.list(*what) {
            return Value::within(list, &place.steps);
        }
        let tx = self.transaction;
        let number = |number: u64| Some(Seen::Whole(U256::from(number)));
        let spent = || tx.inputs.iter().filter_map(|input| input.spent.as_ref());
        match what {
            What::Txid => Some(Seen::Bytes(&tx.txid.0)),
            What::Wtxid => Some(Seen::Bytes(&tx.wtxid.0)),
            What::Index => number(tx.transaction_index.into()),
            What::Version => number(tx.version.into()),
            What::LockTime => number(tx.lock_time.into()),
            What::Size => number(tx.size.into()),
            What::Weight => number(tx.weight.into()),
            What::VirtualSize => number(tx.virtual_size.into()),
            What::Sigops => number(tx.sigops?.into()),
            What::IsCoinbase => Some(Seen::Flag(tx.is_coinbase)),
            What::Segwit => Some(Seen::Flag(tx.segwit)),
            What::Replaceable => Some(Seen::Flag(tx.replaceable)),
            // A coinbase's one input spends nothing, and is counted, as REST has it.
            What::InputCount => number(tx.inputs.len() as u64),
            What::OutputCount => number(tx.outputs.len() as u64),
            What::InputValue => number(tx.input_value?),
            What::OutputValue => number(tx.output_value),
            What::LargestInput => number(spent().map(|spent| spent.value).max()?),
            What::LargestOutput => number(tx.outputs.iter().map(|output| output.value).max()?),
            What::Received => number(self.party.get()?.0),
            What::Spent => number(self.party.get()?.1),
            What::Fee => number(tx.fee?),
            What::FeeRate => number(tx.fee_rate?),
            What::Pool => tx.pool.as_deref().map(Seen::Text),
            // One that is in a block did what it says.
            What::Status => Some(Seen::Text("success")),
            What::Height => number(self.envelope.height),
            What::Network => Some(Seen::Text(self.envelope.network.as_str())),
            _ => None,
        }
    }
}

fn of_input(input: &BitcoinInput) -> Value {
    let number = |number: u64| Value::Whole(U256::from(number));
    let spent = input.spent.as_ref();
    let addresses = spent.map(|spent| spent.addresses.as_slice()).unwrap_or_default();
    let of_spent = |value: Option<Value>| value.unwrap_or(Value::Unknown);
    Value::List(vec![
        of_spent(spent.map(|spent| number(spent.value))),
        of_spent(spent.map(|spent| Value::Text(spent.kind.as_str().into()))),
        only(addresses),
        Value::List(texts(addresses)),
        of_spent(spent.map(|_| Value::Bytes(input.spent_txid.0.as_slice().into()))),
        of_spent(spent.map(|_| number(input.spent_index.into()))),
        number(input.sequence.into()),
        of_spent(spent.and_then(|spent| spent.height).map(|height| number(height.into()))),
        of_spent(input.envelope.as_deref().map(|media| Value::Text(media.into()))),
    ])
}

fn of_output(output: &BitcoinOutput) -> Value {
    Value::List(vec![
        Value::Whole(U256::from(output.value)),
        Value::Text(output.kind.as_str().into()),
        only(&output.addresses),
        Value::List(texts(&output.addresses)),
        Value::Bytes(output.script.as_ref().into()),
    ])
}

/// The address of a script that has one.
fn only(addresses: &[String]) -> Value {
    match addresses {
        [address] => Value::Text(address.as_str().into()),
        _ => Value::Unknown,
    }
}

fn texts(all: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Value> {
    all.into_iter().map(|text| Value::Text(text.as_ref().into())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_stands_for_one_thing() {
        let all: HashSet<&str> = names().into_iter().collect();
        assert_eq!(all.len(), NAMES.len());
        assert!(matches!(find("outputs"), Some((_, Kind::List(_)))) && find("gas_used").is_none());
    }
}
