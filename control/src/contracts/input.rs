//! What people send of a contract. Every mistake at once, each with its path.

use schemas::{Network, abi::Abi, names};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::error::{Error, Mistake};

/// A contract that is to be added. What is not known here is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewContract {
    /// Its network.
    pub network: String,
    /// Its address: `0x` and 40 hex digits.
    pub address: String,
    /// What it is called.
    pub name: String,
    /// Words to find it by.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Its ABI, a JSON array.
    #[serde(default)]
    pub abi: Option<Value>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractPatch {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// All its labels.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Its ABI; `null` removes it.
    #[serde(default, deserialize_with = "there")]
    pub abi: Option<Option<Value>>,
}

/// `null` is something else than nothing.
fn there<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<Value>>, D::Error> {
    Option::<Value>::deserialize(d).map(Some)
}

/// Without mistakes.
pub(crate) struct Checked {
    pub(crate) network: Network,
    pub(crate) address: String,
    pub(super) name: String,
    pub(super) labels: Vec<String>,
    pub(super) abi: Option<Abi>,
}

impl Checked {
    /// The request, the same for two that mean the same.
    pub(super) fn canonical(&self) -> String {
        json!([self.network, self.address, self.name, self.labels, self.abi.as_ref().map(Abi::text)]).to_string()
    }
}

/// Without mistakes.
pub(crate) struct CheckedPatch {
    pub(super) name: Option<String>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) abi: Option<Option<Abi>>,
}

impl NewContract {
    pub(crate) fn checked(&self) -> Result<Checked, Error> {
        let mut mistakes = Vec::new();
        let network: Option<Network> = self.network.parse().ok();
        if network.is_none() {
            let cure = "write the slug of a network that is followed, such as `mantle-mainnet`";
            mistakes.push(Mistake::new("network", "is not the slug of a network", cure));
        }
        let address = self.address.trim().to_ascii_lowercase();
        let digits = address.strip_prefix("0x").unwrap_or("");
        if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            mistakes.push(Mistake::new("address", "is not an address", "write 0x and 40 hex digits"));
        }
        let name = names::name("name", &self.name, &mut mistakes);
        let labels = names::labels(&self.labels, &mut mistakes);
        let abi = self.abi.as_ref().and_then(|value| taken(Abi::of(value), &mut mistakes));
        match network {
            Some(network) if mistakes.is_empty() => Ok(Checked { network, address, name, labels, abi }),
            _ => Err(Error::Invalid(mistakes)),
        }
    }
}

impl ContractPatch {
    pub(super) fn checked(&self) -> Result<CheckedPatch, Error> {
        let mut mistakes = Vec::new();
        let name = self.name.as_ref().map(|name| names::name("name", name, &mut mistakes));
        let labels = self.labels.as_ref().map(|list| names::labels(list, &mut mistakes));
        let abi = self.abi.as_ref().map(|abi| abi.as_ref().and_then(|value| taken(Abi::of(value), &mut mistakes)));
        if mistakes.is_empty() { Ok(CheckedPatch { name, labels, abi }) } else { Err(Error::Invalid(mistakes)) }
    }
}

fn taken(abi: Result<Abi, Vec<Mistake>>, mistakes: &mut Vec<Mistake>) -> Option<Abi> {
    abi.map_err(|found| mistakes.extend(found)).ok()
}
