//! `control.tenants`, compacted, keyed `tenant/kind/id`: the present row of everything that is a tenant's. Only the API and alerts may
//! read it (rule 34).

use crate::{primitives::Network, wire::CONTRACT_KIND};

/// A record of `control.tenants`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlTenant {
    /// The tenant's id.
    pub tenant: String,
    /// The thing's id.
    pub id: String,
    /// Rises with every change of the key, removal included; a record with a lower one than was seen says nothing.
    pub revision: u64,
    /// What it is.
    pub thing: TenantThing,
}

impl ControlTenant {
    /// The key of a thing of a tenant.
    pub fn key_of(tenant: &str, kind: &str, id: &str) -> String {
        format!("{tenant}/{kind}/{id}")
    }
}

/// What a tenant has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantThing {
    /// Key `TENANT/contract/ID`.
    Contract(Contract),
    /// Key `TENANT/rule/ID`.
    Rule(Definition),
    /// Key `TENANT/monitor/ID`.
    Monitor(Definition),
    /// Key `TENANT/channel/ID`.
    Channel(Definition),
    /// Key `TENANT/silence/ID`.
    Silence(Definition),
}

impl TenantThing {
    /// One that is defined by JSON.
    pub fn of(kind: DefinitionKind, definition: Definition) -> Self {
        match kind {
            DefinitionKind::Rule => Self::Rule(definition),
            DefinitionKind::Monitor => Self::Monitor(definition),
            DefinitionKind::Channel => Self::Channel(definition),
            DefinitionKind::Silence => Self::Silence(definition),
        }
    }

    /// The word for it in the key.
    pub const fn kind(&self) -> &'static str {
        match self.definition() {
            None => CONTRACT_KIND,
            Some((kind, _)) => kind.as_str(),
        }
    }

    /// What it says, where it is defined by JSON.
    pub const fn definition(&self) -> Option<(DefinitionKind, &Definition)> {
        match self {
            Self::Contract(_) => None,
            Self::Rule(definition) => Some((DefinitionKind::Rule, definition)),
            Self::Monitor(definition) => Some((DefinitionKind::Monitor, definition)),
            Self::Channel(definition) => Some((DefinitionKind::Channel, definition)),
            Self::Silence(definition) => Some((DefinitionKind::Silence, definition)),
        }
    }
}

/// Things that are defined by JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefinitionKind {
    /// A rule over figures.
    Rule,
    /// A monitor of transactions, events and calls.
    Monitor,
    /// Where alerts go.
    Channel,
    /// What is not told for a while.
    Silence,
}

impl DefinitionKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rule, Self::Monitor, Self::Channel, Self::Silence];

    /// The word for it: `rule`, `monitor`, `channel`, `silence`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Monitor => "monitor",
            Self::Channel => "channel",
            Self::Silence => "silence",
        }
    }

    /// The kind of this word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// In what a channel's record says: messages of an hour over all channels of the tenant, as its plan bounds them. The publisher adds it where
/// there is a bound; nobody writes it.
pub const ORGANISATION_PER_HOUR: &str = "organisation_per_hour";

/// A rule, monitor, channel or silence: how it is called, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What it is called; once in a tenant and kind.
    pub name: String,
    /// Counts its edits, from 1.
    pub version: u64,
    /// What it says: a JSON object with all defaults written out, without secrets, as `conditions` writes it.
    pub definition: String,
    /// Its secrets, sealed with the control store's secret (`control::Sealer`), base64; `None`: it has none.
    pub sealed: Option<String>,
    /// Of a channel: why nothing is sent to it any more, for people; `None`: it is active.
    pub disabled: Option<String>,
}

/// A contract: which address somebody calls his own, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Its network.
    pub network: Network,
    /// Its address, lower case.
    pub address: String,
    /// What it is called.
    pub name: String,
    /// Words to find it by.
    pub labels: Vec<String>,
    /// Its ABI, a JSON array, where it is known.
    pub abi: Option<String>,
}
