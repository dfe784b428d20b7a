//! The records of `control.tenants`, one after the other.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::Address;
use conditions::{Channel, Monitor, Rule, Silence};
use runtime::log::{
    Record,
    compacted::{Found, judge, key},
    followed::Fold,
    pass_over,
};
use schemas::{
    Mistake, Network,
    abi::Abi,
    codec::Codec,
    headers::{names, revision_in},
    records::{Contract, ControlTenant, Definition, DefinitionKind, OperatorContract, TenantThing},
};
use serde_json::Value;

use super::{Defined, Definitions, Tenant};

/// Things of all tenants that one process knows of, those included that were removed while it ran; more are passed over.
const THINGS: usize = 1_000_000;

/// What follows from the records so far.
#[derive(Debug, Clone, Default)]
pub struct Known {
    definitions: Arc<Definitions>,
    /// The highest revision of each key, of those too that were removed: a lower one that comes later says nothing.
    revisions: Arc<HashMap<String, u64>>,
}

impl Known {
    /// As an immutable snapshot.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.definitions.clone()
    }

    /// Whether a record of this revision counts; from then on, lower ones do not. One without a revision was written by hand.
    fn counts(&mut self, key: &str, revision: Option<u64>) -> bool {
        let former = self.revisions.get(key).copied();
        let Some(revision) = revision else { return true };
        if former.is_some_and(|former| revision < former) {
            return false;
        }
        if former.is_none() && self.revisions.len() >= THINGS {
            tracing::error!(key, most = THINGS, "a tenant's thing is passed over: there are too many");
            return false;
        }
        Arc::make_mut(&mut self.revisions).insert(key.to_owned(), revision);
        true
    }

    fn change(&mut self, tenant: &str, change: impl FnOnce(&mut Tenant)) {
        let definitions = Arc::make_mut(&mut self.definitions);
        definitions.changes += 1;
        let of = definitions.tenants.entry(tenant.to_owned()).or_default();
        change(Arc::make_mut(of));
        if of.is_empty() {
            definitions.tenants.remove(tenant);
        }
    }

    fn put(&mut self, record: ControlTenant) {
        let ControlTenant { tenant, id, revision, thing } = record;
        let Some((kind, definition)) = thing.definition() else {
            if let TenantThing::Contract(contract) = thing {
                let read = self.definitions.changes.saturating_add(1);
                self.change(&tenant, |of| {
                    let contract = Arc::new(contract);
                    let former = of.contracts.insert(id, contract.clone());
                    let with_abi = |contract: &Arc<Contract>| contract.abi.is_some();
                    of.read_anew(read, [Some(contract), former].into_iter().flatten().filter(with_abi));
                });
            }
            return;
        };
        let mut outcome = Ok(());
        let of_record = (revision, self.definitions.changes.saturating_add(1));
        self.change(&tenant, |of| {
            outcome = of.define(kind, &id, of_record, definition);
            // Its contract may come behind it.
            if outcome.is_err() && kind == DefinitionKind::Monitor {
                of.waiting.insert(id.clone(), Arc::new((revision, definition.clone())));
            }
        });
        if let Err(why) = outcome {
            let (kind, name) = (kind.as_str(), &definition.name);
            tracing::error!(
                tenant,
                kind,
                id,
                name,
                why,
                "what a tenant has defined cannot be used, and counts for nothing"
            );
        }
    }

    fn remove(&mut self, tenant: &str, kind: &str, id: &str) {
        if self.definitions.of(tenant).is_some_and(|of| of.has(kind, id)) {
            let read = self.definitions.changes.saturating_add(1);
            self.change(tenant, |of| {
                let contract = of.contracts.get(id).filter(|_| kind == OperatorContract::KIND).cloned();
                of.remove(kind, id);
                of.read_anew(read, contract.filter(|contract| contract.abi.is_some()).into_iter());
            });
        }
    }
}

/// Things of one kind, by id.
type Things<T> = BTreeMap<String, Arc<Defined<T>>>;

impl Tenant {
    fn is_empty(&self) -> bool {
        let Self { contracts, rules, monitors, channels, silences, waiting } = self;
        waiting.is_empty()
            && contracts.is_empty()
            && rules.is_empty()
            && monitors.is_empty()
            && channels.is_empty()
            && silences.is_empty()
    }

    /// Takes a definition; where it cannot be used the former one is gone, too.
    fn define(&mut self, kind: DefinitionKind, id: &str, at: (u64, u64), of: &Definition) -> Result<(), String> {
        if kind == DefinitionKind::Monitor {
            self.waiting.remove(id);
        }
        let contracts = &self.contracts;
        match kind {
            DefinitionKind::Rule => define(&mut self.rules, id, at, of, Rule::parse),
            DefinitionKind::Monitor => define(&mut self.monitors, id, at, of, |value| monitor(contracts, value)),
            DefinitionKind::Channel => define(&mut self.channels, id, at, of, Channel::parse),
            DefinitionKind::Silence => define(&mut self.silences, id, at, of, Silence::parse),
        }
    }

    /// Reads the monitors anew that look at one of these contracts without an ABI of their own.
    fn read_anew(&mut self, read: u64, changed: impl Iterator<Item = Arc<Contract>>) {
        for contract in changed {
            let Ok(address) = contract.address.parse() else { continue };
            for of in self.monitors.values_mut() {
                if !of.what.networks.contains(&contract.network) || !of.what.lacks_abi(address) {
                    continue;
                }
                if let Ok(what) = monitor(&self.contracts, &of.what.definition()) {
                    *of = Arc::new(Defined {
                        id: of.id.clone(),
                        name: of.name.clone(),
                        version: of.version,
                        revision: of.revision,
                        read,
                        what: Arc::new(what),
                        sealed: of.sealed.clone(),
                        disabled: of.disabled.clone(),
                    });
                }
            }
            // What could not be read may have wanted just this one.
            for (id, waiting) in std::mem::take(&mut self.waiting) {
                let (revision, definition) = &*waiting;
                if self.define(DefinitionKind::Monitor, &id, (*revision, read), definition).is_err() {
                    self.waiting.insert(id, waiting);
                }
            }
        }
    }

    fn has(&self, kind: &str, id: &str) -> bool {
        match DefinitionKind::of_word(kind) {
            Some(DefinitionKind::Rule) => self.rules.contains_key(id),
            Some(DefinitionKind::Monitor) => self.monitors.contains_key(id) || self.waiting.contains_key(id),
            Some(DefinitionKind::Channel) => self.channels.contains_key(id),
            Some(DefinitionKind::Silence) => self.silences.contains_key(id),
            None => kind == OperatorContract::KIND && self.contracts.contains_key(id),
        }
    }

    fn remove(&mut self, kind: &str, id: &str) {
        match DefinitionKind::of_word(kind) {
            Some(DefinitionKind::Rule) => drop(self.rules.remove(id)),
            Some(DefinitionKind::Monitor) => drop((self.monitors.remove(id), self.waiting.remove(id))),
            Some(DefinitionKind::Channel) => drop(self.channels.remove(id)),
            Some(DefinitionKind::Silence) => drop(self.silences.remove(id)),
            None if kind == OperatorContract::KIND => drop(self.contracts.remove(id)),
            None => {}
        }
    }
}

/// A monitor with the ABIs of the tenant's contracts. Where these do not go with what it says, it means what it says alone.
fn monitor(contracts: &BTreeMap<String, Arc<Contract>>, value: &Value) -> Result<Monitor, Vec<Mistake>> {
    let own = |network: &Network, address: Address| {
        let is_it = |contract: &&Arc<Contract>| {
            contract.network == *network && contract.address.parse::<Address>().is_ok_and(|at| at == address)
        };
        let contract = contracts.values().filter(|contract| contract.abi.is_some()).find(is_it)?;
        Abi::of(&serde_json::from_str(contract.abi.as_deref()?).ok()?).ok()
    };
    Monitor::parse_with(value, &own).or_else(|_| Monitor::parse(value))
}

fn define<T>(
    things: &mut Things<T>,
    id: &str,
    (revision, read): (u64, u64),
    of: &Definition,
    parse: impl Fn(&Value) -> Result<T, Vec<Mistake>>,
) -> Result<(), String> {
    let value = serde_json::from_str::<Value>(&of.definition).map_err(|error| error.to_string());
    let parsed = value.and_then(|value| {
        let words = |mistake: &Mistake| format!("`{}`: {}", mistake.path, mistake.problem);
        parse(&value).map_err(|mistakes| mistakes.iter().map(words).collect::<Vec<_>>().join("; "))
    });
    match parsed {
        Ok(what) => {
            let defined = Defined {
                id: id.to_owned(),
                name: of.name.clone(),
                version: of.version,
                revision,
                read,
                what: Arc::new(what),
                sealed: of.sealed.clone(),
                disabled: of.disabled.clone(),
            };
            things.insert(id.to_owned(), Arc::new(defined));
            Ok(())
        }
        Err(why) => {
            things.remove(id);
            Err(why)
        }
    }
}

/// Tenant, kind and id of a key.
fn parts(key: &str) -> Option<(&str, &str, &str)> {
    let (tenant, rest) = key.split_once('/')?;
    let (kind, id) = rest.split_once('/')?;
    (!tenant.is_empty() && !kind.is_empty() && !id.is_empty()).then_some((tenant, kind, id))
}

impl Fold for Known {
    fn take(&mut self, codec: &Codec, record: &Record) {
        // Without a key it is another program's. Other kinds are of later versions.
        let Some(key) = key(record) else { return };
        let Some((tenant, kind, id)) = parts(key) else {
            pass_over(record, &"its key names no thing of a tenant");
            return;
        };
        let told = || revision_in(record.header(names::REVISION));
        match judge::<ControlTenant>(codec, record) {
            Found::Ours(found) => {
                if self.counts(key, Some(found.revision)) {
                    self.put(found);
                }
            }
            Found::Removed => {
                if self.counts(key, told()) {
                    self.remove(tenant, kind, id);
                }
            }
            Found::Unreadable(why) => {
                // What it said before may be wrong by now; what it says is not known.
                if self.counts(key, told()) {
                    tracing::error!(
                        tenant,
                        kind,
                        id,
                        why,
                        "what a tenant has defined cannot be read, and counts for nothing"
                    );
                    self.remove(tenant, kind, id);
                }
            }
            Found::Foreign => {}
        }
    }
}
