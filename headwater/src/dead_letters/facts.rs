//! What was known of contracts when a block was enriched, for those of its transactions that come later (rule 14).
//!
//! Guarantee: a transaction is decoded with facts of before the position that its block's row names, and with no others; a block that
//! names none is decoded without. Of a contract whose facts have changed since, `contract.facts` has only what came later, since it
//! is compacted: it is decoded without, and what is known now is applied when the row is read, as of any other row.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

use alloy_primitives::Address;
use enrich::{GatheredFacts, steps::known::Known};
use runtime::config::Config;
use schemas::{
    Network, TimeMs,
    records::{ContractFacts, Implementation},
    topics,
};
use serde_json::Value;

use crate::{
    exit::Failure,
    tail::{self, Query},
};

/// What a record says of a contract; nothing: the contract's facts were removed.
type Said = (Address, Option<Box<ContractFacts>>);

/// The facts of all networks, read when the first are wanted.
#[derive(Default)]
pub struct Facts {
    /// By network, then by offset.
    told: Option<HashMap<Network, BTreeMap<u64, Said>>>,
    /// What was asked for last: letters of a network come about in the order of their blocks.
    last: Option<(Network, u64, GatheredFacts)>,
}

impl Facts {
    /// What was known of a network's contracts before a position.
    ///
    /// # Errors
    /// What the log says.
    pub async fn before(
        &mut self,
        config: &Config,
        network: &Network,
        position: Option<u64>,
    ) -> Result<Known, Failure> {
        let Some(position) = position else { return Ok(Known::default()) };
        if self.told.is_none() {
            self.told = Some(read(config).await?);
        }
        Ok(self.at(network, position))
    }

    fn at(&mut self, network: &Network, position: u64) -> Known {
        let (from, mut gathered) = match self.last.take() {
            Some((of, reached, gathered)) if of == *network && reached <= position => (reached, gathered),
            _ => (0, GatheredFacts::default()),
        };
        let of_network = self.told.as_ref().and_then(|all| all.get(network));
        for (_, (address, facts)) in of_network.into_iter().flat_map(|of| of.range(from..position)) {
            match facts {
                Some(facts) => gathered.put((**facts).clone()),
                None => gathered.remove(network, *address),
            }
        }
        let known = gathered.known(network, position);
        self.last = Some((network.clone(), position, gathered));
        known
    }
}

async fn read(config: &Config) -> Result<HashMap<Network, BTreeMap<u64, Said>>, Failure> {
    let query = Query { network: None, from: "beginning".into(), follow: false };
    let mut told: HashMap<Network, BTreeMap<u64, Said>> = HashMap::new();
    tail::each_line(config, topics::CONTRACT_FACTS, query, async |line| {
        let record: Value = serde_json::from_str(line)?;
        let named = record["key"].as_str().and_then(ContractFacts::in_key);
        if let (Some((network, address)), Some(offset)) = (named, record["offset"].as_u64()) {
            let value = &record["value"];
            let said = if value.is_null() { None } else { facts(value).map(Box::new) };
            // What cannot be read leaves what was known as it is.
            if value.is_null() && record["error"].is_null() || said.is_some() {
                told.entry(network).or_default().insert(offset, (address, said));
            }
        }
        Ok(true)
    })
    .await?;
    Ok(told)
}

/// What `tail` tells of a contract, as the record that it is of; none where it is not one.
fn facts(value: &Value) -> Option<ContractFacts> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let implementation = |value: &Value| {
        Some(Implementation {
            from_height: value["from_height"].as_u64()?,
            selector: parsed(value, "selector"),
            address: parsed(value, "address"),
            found_by: parsed(value, "found_by")?,
            block_hash: parsed(value, "block_hash"),
        })
    };
    Some(ContractFacts {
        network: parsed(value, "network")?,
        address: parsed(value, "address")?,
        revision: value["revision"].as_u64()?,
        name: text("name"),
        name_source: parsed(value, "name_source"),
        abi: text("abi"),
        abi_source: parsed(value, "abi_source"),
        source_host: text("source_host"),
        proxy: parsed(value, "proxy"),
        implementations: value["implementations"].as_array()?.iter().map(implementation).collect::<Option<_>>()?,
        found_at: value["found_at"].as_i64().map(TimeMs)?,
    })
}

fn parsed<T: FromStr>(value: &Value, name: &str) -> Option<T> {
    value[name].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, FixedBytes, keccak256};
    use schemas::{
        BlockHash,
        codec::Codec,
        records::{FactSource, FoundBy, ProxyKind},
    };

    use super::*;

    fn told() -> ContractFacts {
        let first = Implementation {
            from_height: 7,
            selector: Some(FixedBytes([1, 2, 3, 4])),
            address: Some(Address::repeat_byte(2)),
            found_by: FoundBy::Call,
            block_hash: Some(BlockHash::from(B256::repeat_byte(3))),
        };
        let second =
            Implementation { selector: None, address: None, found_by: FoundBy::Stream, block_hash: None, ..first };
        ContractFacts {
            network: "eth".parse().expect("a slug"),
            address: Address::repeat_byte(1),
            revision: 5,
            name: Some("Router v2".into()),
            name_source: Some(FactSource::Sourcify),
            abi: Some(
                r#"[{"type":"function","name":"replayed","inputs":[{"name":"it","type":"uint256"}],"outputs":[]}]"#
                    .into(),
            ),
            abi_source: Some(FactSource::Etherscan),
            source_host: Some("a.example".into()),
            proxy: Some(ProxyKind::Eip2535),
            implementations: vec![first, second],
            found_at: TimeMs(11),
        }
    }

    #[test]
    fn what_tail_tells_is_read_back_whole() {
        let codec = Codec::builtin();
        let bare = ContractFacts::nothing("eth".parse().expect("a slug"), Address::repeat_byte(9));
        for said in [told(), bare] {
            let value = codec.decode_json(&codec.encode(&said).expect("encoded")).expect("JSON");
            assert_eq!(facts(&value), Some(said));
        }
        assert_eq!(facts(&Value::Null), None);
    }

    #[test]
    fn only_what_was_known_before_the_position_counts() {
        let of = told();
        let (network, address) = (of.network.clone(), of.address);
        let said = BTreeMap::from([(4, (address, Some(Box::new(of)))), (6, (address, None))]);
        let mut facts = Facts { told: Some(HashMap::from([(network.clone(), said)])), last: None };
        let selector = FixedBytes::<4>::from_slice(&keccak256("replayed(uint256)")[..4]);
        // Whatever is asked for in which order.
        for (position, known) in [(4, 0), (5, 1), (6, 1), (7, 0), (5, 1)] {
            let found = facts.at(&network, position);
            let mut abis = Vec::new();
            if let Some(lookup) = &found.facts {
                lookup.abis(address, 9, Some(selector), &mut abis);
            }
            assert_eq!((abis.len(), found.position), (known, Some(position)), "{position}");
        }
    }
}
