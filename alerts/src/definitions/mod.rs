//! What tenants have defined, as the control plane publishes it in `control.tenants`: rules, monitors, channels, silences, and contracts.
//!
//! Guarantee (rule 34): who has waited for [`Follower::up_to_now`] knows all that stood in the topic when he asked; what comes later is
//! known within moments. The highest revision of a key counts, whatever comes later, and its tombstone removes it. What this version cannot
//! read or parse is told by name and passed over, and ends nothing. A snapshot never changes: whoever has one works with it as long as
//! he likes.

mod fold;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use conditions::{Channel, Monitor, Rule, Silence};
pub use fold::Known;
use runtime::log::{Log, LogError, followed::Followed};
use schemas::{Codec, records::Contract, topics};
use tokio::sync::watch;

/// The one partition of the topic.
const PARTITION: u32 = 0;

/// Something that a tenant has defined.
#[derive(Debug, Clone, PartialEq)]
pub struct Defined<T> {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Counts its edits.
    pub version: u64,
    /// The revision of its record: rises with every change of the key.
    pub revision: u64,
    /// What it says.
    pub what: Arc<T>,
    /// Its secrets, sealed, base64; a channel's only.
    pub sealed: Option<String>,
    /// Of a channel: why nothing is sent to it any more.
    pub disabled: Option<String>,
}

/// All that one tenant has defined, by id.
#[derive(Debug, Clone, Default)]
pub struct Tenant {
    /// Contracts that the tenant calls his own.
    pub contracts: BTreeMap<String, Arc<Contract>>,
    /// Rules, paused ones too.
    pub rules: BTreeMap<String, Arc<Defined<Rule>>>,
    /// Monitors, paused ones too.
    pub monitors: BTreeMap<String, Arc<Defined<Monitor>>>,
    /// Channels, disabled ones too.
    pub channels: BTreeMap<String, Arc<Defined<Channel>>>,
    /// Messages of an hour over all channels, as the record of each channel has it; of those without one there is no bound.
    pub per_hour: BTreeMap<String, u32>,
    /// Silences, those that are over too.
    pub silences: BTreeMap<String, Arc<Defined<Silence>>>,
}

/// What all tenants have defined, by tenant. It is the same `Arc` until something changes.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// By the tenant's id.
    pub tenants: BTreeMap<String, Arc<Tenant>>,
    /// Rises with every change of anything in it; two snapshots with the same number are the same.
    pub changes: u64,
}

impl Definitions {
    /// What a tenant has defined; `None`: nothing.
    pub fn of(&self, tenant: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(tenant)
    }
}

/// Follows the topic until the last clone is dropped. Clones are the same.
#[derive(Clone)]
pub struct Follower(Followed<Known>);

impl Follower {
    /// Begins to follow, on the present runtime.
    pub fn follow(log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        Self(Followed::new(log, codec, topics::CONTROL_TENANTS.name))
    }

    /// Waits until all that stands in the log now is known: before the first record of what was assigned.
    ///
    /// # Errors
    /// What the log says; [`Unavailable`](runtime::log::LogErrorKind::Unavailable) when nothing comes of the topic for a minute.
    pub async fn up_to_now(&self) -> Result<(), LogError> {
        self.0.hold(&[PARTITION]).await
    }

    /// What is known now; nothing before [`Self::up_to_now`].
    pub fn known(&self) -> Arc<Definitions> {
        self.0.of(PARTITION).map(|snapshot| snapshot.fold.definitions()).unwrap_or_default()
    }

    /// Tells whenever records were taken in.
    pub fn news(&self) -> watch::Receiver<()> {
        self.0.news()
    }
}
