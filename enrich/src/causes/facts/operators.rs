//! The operator's contracts and the partitions of networks, as `control.config` tells them (rules 8, 34).
//!
//! Guarantee: the newest record of a key counts, its removal included, and none with a lower revision than was seen. Kinds that are
//! nothing to this stage are passed over, and so is what cannot be read: facts stop nobody.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::Address;
use runtime::{
    facts::removed_at,
    log::{
        Record,
        compacted::{Found, judge, key},
        followed::Fold,
    },
};
use schemas::{
    Network,
    codec::Codec,
    records::{Contract, ControlConfig, OperatorContract},
};

use super::ledger::Place;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Operators {
    /// The partition of each network.
    pub partitions: Arc<BTreeMap<Network, u32>>,
    /// Contracts, those of addresses that are no EVM addresses left out.
    pub contracts: Arc<BTreeMap<Place, Arc<Contract>>>,
    revisions: Arc<HashMap<String, u64>>,
}

impl Fold for Operators {
    fn take(&mut self, codec: &Codec, record: &Record) {
        let Some(key) = key(record) else { return };
        match key.split_once('/') {
            Some((OperatorContract::KIND, rest)) => {
                let Some(place) = place_in(rest) else { return };
                let (revision, contract) = match judge::<ControlConfig>(codec, record) {
                    Found::Ours(ControlConfig::Contract(found)) => (Some(found.revision), Some(found.contract)),
                    Found::Removed => (removed_at(record), None),
                    Found::Ours(_) | Found::Foreign => return,
                    Found::Unreadable(why) => {
                        tracing::warn!(key, why, "a contract of the operator cannot be read and is passed over");
                        return;
                    }
                };
                if revision.is_some_and(|revision| self.revisions.get(key).is_some_and(|seen| revision < *seen)) {
                    return;
                }
                if let Some(revision) = revision {
                    Arc::make_mut(&mut self.revisions).insert(key.to_owned(), revision);
                }
                let contracts = Arc::make_mut(&mut self.contracts);
                match contract {
                    Some(contract) => contracts.insert(place, Arc::new(contract)),
                    None => contracts.remove(&place),
                };
            }
            Some(("network", _)) => {
                if let Found::Ours(ControlConfig::NetworkPartition(p)) = judge::<ControlConfig>(codec, record) {
                    Arc::make_mut(&mut self.partitions).insert(p.network, p.partition);
                }
            }
            _ => {}
        }
    }
}

/// Network and address of `NETWORK/ADDRESS`.
fn place_in(text: &str) -> Option<Place> {
    let (network, address) = text.split_once('/')?;
    let address: Address = address.parse().ok().filter(|_| address.len() == 42)?;
    Some((network.parse().ok()?, address))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use runtime::log::TopicPartition;
    use schemas::{TimeMs, codec::Record as _, headers, topics};

    use super::*;

    fn record(key: &str, value: Option<Bytes>, revision: u64) -> Record {
        let (name, revision) = headers::revision(revision);
        Record {
            from: TopicPartition { topic: topics::CONTROL_CONFIG.name, partition: 0 },
            offset: 0,
            timestamp: TimeMs(0),
            key: Some(Bytes::from(key.to_owned())),
            value,
            headers: vec![(name.into(), revision)],
        }
    }

    #[test]
    fn the_newest_revision_counts() {
        let codec = Codec::builtin();
        let address = format!("{:#x}", Address::repeat_byte(7));
        let contract = |name: &str, revision| {
            let contract = Contract {
                network: "eth".parse().expect("a slug"),
                address: address.clone(),
                name: name.into(),
                labels: Vec::new(),
                abi: None,
            };
            let of = ControlConfig::Contract(OperatorContract { revision, contract });
            record(&of.key(), Some(codec.encode(&of).expect("encoded")), revision)
        };
        let mut operators = Operators::default();
        let names =
            |operators: &Operators| operators.contracts.values().map(|c| c.name.clone()).collect::<Vec<_>>().join(" ");
        operators.take(&codec, &contract("b", 2));
        operators.take(&codec, &contract("a", 1));
        assert_eq!(names(&operators), "b");
        let key = ControlConfig::key_of(OperatorContract::KIND, "eth", &address);
        operators.take(&codec, &record(&key, None, 1));
        assert_eq!(names(&operators), "b");
        operators.take(&codec, &record(&key, None, 3));
        assert_eq!(names(&operators), "");
        operators.take(&codec, &contract("c", 2));
        assert_eq!(names(&operators), "", "older than its removal");
        operators.take(&codec, &record("contract/eth/0x12", Some(Bytes::from_static(b"x")), 9));
        operators.take(&codec, &record("other", Some(Bytes::from_static(b"x")), 9));
        operators.take(&codec, &contract("d", 4));
        assert_eq!(names(&operators), "d");
    }
}
