//! Which group of which rule or monitor an alert is of.

use std::collections::BTreeMap;

use schemas::{Network, records::AlertMatch};

const OTHERS: &str = "others";

/// Which group of which rule or monitor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Id of the rule or monitor.
    pub source_id: String,
    /// The network.
    pub network: Network,
    /// The contract, lower case.
    pub contract: Option<String>,
    /// Values by the names in `group_by`.
    pub group: BTreeMap<String, String>,
}

impl Key {
    /// Of what a record says.
    pub fn of(record: &AlertMatch) -> Self {
        Self {
            source_id: record.source.id.clone(),
            network: record.network.clone(),
            contract: record.contract.clone(),
            group: record.group.clone(),
        }
    }

    /// Of all groups of a source that are too many to be told apart.
    pub fn others(&self) -> Self {
        let group = BTreeMap::from([(OTHERS.to_owned(), "more groups than are told apart".to_owned())]);
        Self { contract: None, group, ..self.clone() }
    }

    /// Whether it is that of [`Self::others`].
    pub fn is_of_others(&self) -> bool {
        self.group.len() == 1 && self.group.contains_key(OTHERS)
    }

    /// The group's text in the log.
    pub fn text(&self) -> String {
        serde_json::to_string(&(&self.network, &self.contract, &self.group)).unwrap_or_default()
    }

    /// From the text in the log; `None`: it is none.
    pub fn read(source_id: &str, text: &str) -> Option<Self> {
        let (network, contract, group) = serde_json::from_str(text).ok()?;
        Some(Self { source_id: source_id.to_owned(), network, contract, group })
    }
}
