//! The records of `control.tenants`, one after the other.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use conditions::{Channel, Monitor, Rule, Silence};
use runtime::log::{
    Record,
    compacted::{Found, judge, key},
    followed::Fold,
    pass_over,
};
use schemas::{
    Mistake,
    codec::Codec,
    headers::names,
    records::{ControlTenant, Definition, DefinitionKind, ORGANISATION_PER_HOUR, OperatorContract, TenantThing},
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
                self.change(&tenant, |of| drop(of.contracts.insert(id, Arc::new(contract))));
            }
            return;
        };
        let mut outcome = Ok(());
        self.change(&tenant, |of| outcome = of.define(kind, &id, revision, definition));
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
            self.change(tenant, |of| of.remove(kind, id));
        }
    }
}

/// Things of one kind, by id.
type Things<T> = BTreeMap<String, Arc<Defined<T>>>;

impl Tenant {
    fn is_empty(&self) -> bool {
        // A bound is of a channel.
        let Self { contracts, rules, monitors, channels, per_hour: _, silences } = self;
        contracts.is_empty() && rules.is_empty() && monitors.is_empty() && channels.is_empty() && silences.is_empty()
    }

    /// Takes a definition; where it cannot be used the former one is gone, too.
    fn define(&mut self, kind: DefinitionKind, id: &str, revision: u64, of: &Definition) -> Result<(), String> {
        match kind {
            DefinitionKind::Rule => define(&mut self.rules, id, revision, of, Rule::parse),
            DefinitionKind::Monitor => define(&mut self.monitors, id, revision, of, Monitor::parse),
            DefinitionKind::Channel => {
                let mut bound = None;
                let defined = define(&mut self.channels, id, revision, of, |value| {
                    let (what, per_hour) = bounded(value);
                    bound = per_hour;
                    Channel::parse(&what)
                });
                match bound {
                    Some(per_hour) => drop(self.per_hour.insert(id.to_owned(), per_hour)),
                    None => drop(self.per_hour.remove(id)),
                }
                defined
            }
            DefinitionKind::Silence => define(&mut self.silences, id, revision, of, Silence::parse),
        }
    }

    fn has(&self, kind: &str, id: &str) -> bool {
        match DefinitionKind::of_word(kind) {
            Some(DefinitionKind::Rule) => self.rules.contains_key(id),
            Some(DefinitionKind::Monitor) => self.monitors.contains_key(id),
            Some(DefinitionKind::Channel) => self.channels.contains_key(id),
            Some(DefinitionKind::Silence) => self.silences.contains_key(id),
            None => kind == OperatorContract::KIND && self.contracts.contains_key(id),
        }
    }

    fn remove(&mut self, kind: &str, id: &str) {
        match DefinitionKind::of_word(kind) {
            Some(DefinitionKind::Rule) => drop(self.rules.remove(id)),
            Some(DefinitionKind::Monitor) => drop(self.monitors.remove(id)),
            Some(DefinitionKind::Channel) => {
                self.channels.remove(id);
                self.per_hour.remove(id);
            }
            Some(DefinitionKind::Silence) => drop(self.silences.remove(id)),
            None if kind == OperatorContract::KIND => drop(self.contracts.remove(id)),
            None => {}
        }
    }
}

fn define<T>(
    things: &mut Things<T>,
    id: &str,
    revision: u64,
    of: &Definition,
    parse: impl FnOnce(&Value) -> Result<T, Vec<Mistake>>,
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

/// What a channel's record says, without what the tenant's plan says of messages in an hour; and that.
fn bounded(value: &Value) -> (Value, Option<u32>) {
    let mut what = value.clone();
    let per_hour = what.as_object_mut().and_then(|fields| fields.remove(ORGANISATION_PER_HOUR));
    let per_hour = per_hour.and_then(|most| most.as_u64()).map(|most| u32::try_from(most).unwrap_or(u32::MAX));
    (what, per_hour)
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
        let told = || record.header(names::REVISION).and_then(|n| std::str::from_utf8(n).ok()?.parse::<u64>().ok());
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
