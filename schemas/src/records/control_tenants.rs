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
}

impl TenantThing {
    /// The word for it in the key.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Contract(_) => CONTRACT_KIND,
        }
    }
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
