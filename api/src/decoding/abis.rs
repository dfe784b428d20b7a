//! ABIs of contracts, prepared for decoding and kept for the next who reads.
//!
//! Guarantee: bounded memory; an ABI that is changed is another one, by its contract's version, so that nobody reads by a former one.

use std::sync::Arc;

use control::{Contract, Control, Id, Tenant};
use decode::Abi;
use quick_cache::{Weighter, sync::Cache};
use schemas::limits;

use crate::error::ApiError;

/// Those that were used of late.
pub struct Abis(Cache<(Id, i64), Kept, Characters>);

#[derive(Clone)]
struct Kept {
    abi: Arc<Abi>,
    /// Characters of its text: what it weighs.
    characters: u64,
}

#[derive(Clone)]
struct Characters;

impl Weighter<(Id, i64), Kept> for Characters {
    fn weight(&self, _: &(Id, i64), kept: &Kept) -> u64 {
        kept.characters
    }
}

impl Default for Abis {
    fn default() -> Self {
        Self(Cache::with_weighter(limits::PREPARED_ABIS, limits::PREPARED_ABI_CHARACTERS, Characters))
    }
}

impl Abis {
    /// A contract's ABI, where it has one.
    ///
    /// # Errors
    /// The control store is away.
    pub async fn of(
        &self,
        control: &Control,
        tenant: &Tenant,
        contract: &Contract,
    ) -> Result<Option<Arc<Abi>>, ApiError> {
        if !contract.has_abi() {
            return Ok(None);
        }
        let key = (contract.id, contract.version);
        if let Some(kept) = self.0.get(&key) {
            return Ok(Some(kept.abi));
        }
        let whole = match control.contract(tenant, &contract.id).await {
            Ok(whole) => whole,
            // It went a moment ago.
            Err(control::Error::NotFound) => return Ok(None),
            Err(error) => return Err(ApiError::of_control(error, "contract")),
        };
        let Some(text) = whole.abi.as_deref() else { return Ok(None) };
        // It was checked when it was kept.
        let Ok(abi) = Abi::parse(text.get()) else { return Ok(None) };
        let kept = Kept { abi: Arc::new(abi), characters: text.get().len() as u64 };
        self.0.insert((whole.id, whole.version), kept.clone());
        Ok(Some(kept.abi))
    }
}
