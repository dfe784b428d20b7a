//! Monitors of all tenants, and what they find in a transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use conditions::{
    Entry, Index, Matched, Monitor, Scratch,
    monitor::{MonitorGroup, Wait as MonitorWait},
};
use schemas::{
    Network,
    records::{AlertMatch, AlertSource, EnrichedTransaction, MatchOp, SourceKind},
};

use super::{
    given::Wait,
    hits::{Hits, LeftOut, Missing},
    ring::{Hit, Place},
};
use crate::definitions::Definitions;

/// Tenant and id of a monitor.
type Key = (String, String);

/// See the module.
#[derive(Default)]
pub struct Monitors {
    index: Index,
    /// The revision of each monitor that was looked at.
    known: HashMap<Key, u64>,
    networks: BTreeSet<Network>,
    /// Networks of those whose conditions ask for causes.
    asking: BTreeSet<Network>,
    /// By tenant.
    unindexed: HashMap<String, BTreeSet<String>>,
    scratch: Scratch,
}

impl Monitors {
    /// Works with these from now on: what did not change is not looked at again. At most `max_unindexed` monitors of each tenant are held
    /// against every transaction, as the control plane allows; of more, which only a lowered limit makes, some find nothing until there is
    /// room, which is said.
    pub fn follow(&mut self, definitions: &Definitions, max_unindexed: usize) {
        let mut gone: HashMap<Key, u64> = std::mem::take(&mut self.known);
        self.networks.clear();
        self.asking.clear();
        for (tenant, of) in &definitions.tenants {
            for (id, defined) in &of.monitors {
                let key = (tenant.clone(), id.clone());
                let monitor = &defined.what;
                if !monitor.paused {
                    self.networks.extend(monitor.networks.iter().cloned());
                    if monitor.asks_for_causes() {
                        self.asking.extend(monitor.networks.iter().cloned());
                    }
                }
                if gone.remove(&key) == Some(defined.revision) {
                    self.known.insert(key, defined.revision);
                    continue;
                }
                self.forget_unindexed(tenant, id);
                if monitor.is_unindexed() && !monitor.paused {
                    let of_tenant = self.unindexed.entry(tenant.clone()).or_default();
                    if of_tenant.len() >= max_unindexed {
                        // It is not known, so that it is looked at again with every change.
                        self.index.remove(tenant, id);
                        let name = &defined.name;
                        tracing::error!(
                            tenant,
                            id,
                            name,
                            max_unindexed,
                            "a monitor without address, topic and selector finds nothing: there are more than `[alerts] max_unindexed`"
                        );
                        continue;
                    }
                    of_tenant.insert(id.clone());
                }
                self.known.insert(key, defined.revision);
                self.index.insert(tenant, id, defined.version, monitor.clone());
            }
        }
        for key in gone.into_keys() {
            self.index.remove(&key.0, &key.1);
            self.forget_unindexed(&key.0, &key.1);
        }
    }

    fn forget_unindexed(&mut self, tenant: &str, id: &str) {
        if let Some(of_tenant) = self.unindexed.get_mut(tenant) {
            of_tenant.remove(id);
            if of_tenant.is_empty() {
                self.unindexed.remove(tenant);
            }
        }
    }

    /// Whether any monitor looks at a network.
    pub fn wants(&self, network: &Network) -> bool {
        self.networks.contains(network)
    }

    /// Whether any looks at all.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether a condition over any network's transactions asks why they failed.
    pub fn any_asks_for_causes(&self) -> bool {
        !self.asking.is_empty()
    }

    /// The same of one network.
    pub fn ask_for_causes(&self, network: &Network) -> bool {
        self.asking.contains(network)
    }

    /// Whether a monitor is one whose conditions do.
    pub fn asks_for_causes(&self, tenant: &str, id: &str) -> bool {
        self.index.get(tenant, id).is_some_and(|entry| entry.monitor.asks_for_causes())
    }

    /// How many every transaction is held against.
    pub fn unindexed(&self) -> usize {
        self.unindexed.values().map(BTreeSet::len).sum()
    }

    /// Another block is looked through, for which the conditions of each tenant may take so many steps.
    pub fn begin_block(&mut self, steps: u64) {
        self.scratch.begin_block(steps);
    }

    /// Of which tenants transactions of the block were left out, since their steps were used up.
    pub fn exhausted(&self) -> impl Iterator<Item = LeftOut> {
        self.index.exhausted(&self.scratch).into_iter().map(|out| LeftOut {
            tenant: out.entry.tenant.to_string(),
            source: source(&out.entry),
            what: Missing::Transactions(out.transactions),
        })
    }

    /// What they find in a transaction of a block; what is too much for its tenant is left out.
    pub fn find(&mut self, place: &Place, network: &Network, transaction: &EnrichedTransaction, hits: &mut Hits) {
        for hit in self.index.find(transaction, &mut self.scratch) {
            let entry = hit.entry;
            let monitor: &Monitor = &entry.monitor;
            let source = source(entry);
            let wait = monitor.wait.map(|wait| match wait {
                MonitorWait::Finalized => Wait::Finalized,
                MonitorWait::Blocks(blocks) => Wait::Blocks(blocks),
            });
            for matched in hit.matched {
                let group = group(monitor, &entry.id, (network, place), &matched);
                let found = AlertMatch {
                    tenant: entry.tenant.to_string(),
                    source: source.clone(),
                    op: MatchOp::Match,
                    network: network.clone(),
                    sequence: place.sequence,
                    height: place.height,
                    block_hash: Some(place.block_hash.clone()),
                    at: place.at,
                    observed_at: place.observed_at,
                    contract: matched.contract.as_ref().map(ToString::to_string),
                    group,
                    found: Some(matched.found),
                    figure: None,
                };
                hits.push(Hit { found, wait });
            }
        }
    }
}

/// A monitor, as it is now.
fn source(entry: &Entry) -> AlertSource {
    AlertSource {
        kind: SourceKind::Monitor,
        id: entry.id.to_string(),
        name: entry.monitor.name.clone(),
        version: entry.version,
    }
}

/// The group of an alert about this.
fn group(
    monitor: &Monitor,
    id: &str,
    (network, place): (&Network, &Place),
    matched: &Matched,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for group in &monitor.group_by {
        let value = match group {
            MonitorGroup::Monitor => id.to_owned(),
            MonitorGroup::Network => network.to_string(),
            MonitorGroup::Contract => matched.contract.as_ref().map(ToString::to_string).unwrap_or_default(),
            MonitorGroup::Transaction => matched.found.transaction_in(&place.block_hash),
        };
        values.insert(group.as_str().to_owned(), value);
    }
    values
}
