//! What the log holds once nobody works on it.

use super::process::NETWORK;
use crate::chaos::topics::{self, PAIRS};
use crate::failure::Failure;
use runtime::log::embedded::{EmbeddedConfig, EmbeddedLog};
use std::path::Path;

/// Reads blocks and transactions, raw and enriched: sequences 1 to `events`, each once with all its children. How many records that is.
///
/// # Errors
/// The first record that should not be where it is, or is missing.
pub async fn compare(folder: &Path, events: u64) -> Result<u64, Failure> {
    let log = EmbeddedLog::open(EmbeddedConfig { retention_check: None, ..EmbeddedConfig::new(folder) }).await?;
    let mut records = 0;
    for pair in PAIRS {
        let counts = topics::counts(&*log, pair).await?;
        let (here, children) = counts.get(NETWORK).copied().unwrap_or_default();
        if here != events {
            return Err(format!("{} ends at sequence {here}, the store at {events}", pair.0.name).into());
        }
        records += here + children;
    }
    log.close().await?;
    Ok(records)
}
