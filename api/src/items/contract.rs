//! Contracts as REST shows them.

use control::{Contract, Source};
use schemas::abi::{Abi, Named, What};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A contract.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ContractItem {
    /// Ours.
    pub id: String,
    /// Its network.
    pub network: String,
    /// Its address, lower case.
    pub address: String,
    /// What it is called.
    pub name: String,
    /// Words to find it by.
    pub labels: Vec<String>,
    /// Its ABI; null where none is known.
    #[schema(value_type = Option<Vec<Object>>)]
    pub abi: Option<Box<RawValue>>,
    /// Whether an ABI is known.
    pub has_abi: bool,
    /// `operator`: stands in the configuration file, and is changed there; `tenant`: yours.
    #[schema(pattern = "^(operator|tenant)$")]
    pub source: &'static str,
    /// Counts edits; the `ETag` of the contract is this number in quotes.
    pub version: i64,
    /// What happened at it; null while the store of the rows is away.
    pub figures: Option<ContractFiguresItem>,
    /// Since when it is here.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// Transactions at a contract: sent to it, creating it, or with a log of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct ContractFiguresItem {
    /// In the last 24 hours, as far back as the contract is here.
    pub transactions_24h: u64,
    /// Those of them that failed.
    pub failed_24h: u64,
}

/// A contract, and what its ABI names.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ContractDetail {
    /// The contract.
    #[serde(flatten)]
    pub contract: ContractItem,
    /// Functions, events and errors, in the order of its ABI.
    pub names: Vec<NamedItem>,
}

/// What an ABI names.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NamesItem {
    /// Functions, events and errors, in its order.
    pub names: Vec<NamedItem>,
}

/// A name of an ABI.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NamedItem {
    /// `function`, `event`, `error`.
    #[schema(pattern = "^(function|event|error)$")]
    pub what: &'static str,
    /// Its signature.
    #[schema(example = "transfer(address,uint256)")]
    pub signature: String,
    /// Selector of a function or error (4 bytes), first topic of an event (32 bytes).
    #[schema(example = "0xa9059cbb")]
    pub id: String,
}

impl ContractItem {
    /// With its figures, where they are known.
    pub fn new(contract: Contract, figures: Option<ContractFiguresItem>) -> Self {
        Self {
            id: contract.id.to_string(),
            network: contract.network.to_string(),
            address: contract.address,
            name: contract.name,
            labels: contract.labels,
            has_abi: contract.abi.is_some(),
            abi: contract.abi,
            source: match contract.source {
                Source::Operator => "operator",
                Source::Tenant => "tenant",
            },
            version: contract.version,
            figures,
            created_at: contract.created_at.rfc3339(),
            updated_at: contract.updated_at.rfc3339(),
        }
    }
}

impl ContractDetail {
    /// The same with what its ABI names.
    pub fn new(contract: Contract, figures: Option<ContractFiguresItem>) -> Self {
        // It was checked when it was kept.
        let abi = contract.abi.as_ref().and_then(|abi| Abi::read(abi.get()).ok());
        let names = abi.iter().flat_map(|abi| abi.names()).map(NamedItem::from).collect();
        Self { contract: ContractItem::new(contract, figures), names }
    }
}

impl From<&Named> for NamedItem {
    fn from(named: &Named) -> Self {
        let what = match named.what {
            What::Function => "function",
            What::Event => "event",
            What::Error => "error",
        };
        Self { what, signature: named.signature.clone(), id: named.id.clone() }
    }
}
