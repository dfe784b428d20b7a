//! The document of an export: JSON Lines (an object a line, UTF-8), described in `docs/organisations.md`.
//!
//! ```text
//! {"kind":"headwater.organisation","version":1,"id":…,"name":…,"exported_at":…}
//! {"kind":"contract",…}            what is defined: this is what an import reads
//! {"kind":"channel",…} {"kind":"rule",…} {"kind":"monitor",…} {"kind":"silence",…}
//! {"kind":"history"}               what was: an import stops here
//! {"kind":"key",…} {"kind":"member",…} {"kind":"entry",…} {"kind":"alert",…} {"kind":"delivery",…}
//! {"kind":"end","rows":N}          without it the file was cut off
//! ```

use schemas::records::DefinitionKind;
use serde_json::{Value, json};

use crate::{audit::Entry, contracts::Contract, definitions::Defined, keys::Key};

/// What the first line says of itself: its `kind`, and the version of the form.
pub const FORMAT: (&str, u64) = ("headwater.organisation", 1);
/// The kind of the line behind which an import reads no more.
pub(super) const HISTORY: &str = "history";
/// Definitions, in the order in which they stand: what is named comes before what names it; a silence names both.
pub(super) const DEFINITIONS: [DefinitionKind; 4] =
    [DefinitionKind::Channel, DefinitionKind::Rule, DefinitionKind::Monitor, DefinitionKind::Silence];
/// Why a channel is disabled whose secrets were not in the file.
pub(super) const WITHOUT_SECRETS: &str =
    "imported without its secrets, which no export has: set `config` again, and it is active";

pub(super) fn contract(of: &Contract) -> Value {
    json!({
        "kind": "contract", "id": of.id, "network": of.network, "address": of.address, "name": of.name, "labels": of.labels, "abi": of.abi,
        "created_at": of.created_at.rfc3339(), "updated_at": of.updated_at.rfc3339(), "version": of.version,
    })
}

pub(super) fn definition(of: &Defined) -> Value {
    json!({
        "kind": of.kind.as_str(), "id": of.id, "name": of.name, "definition": of.definition, "disabled_reason": of.disabled,
        "created_at": of.created_at.rfc3339(), "created_by": { "kind": of.created_by_kind, "id": of.created_by },
        "updated_at": of.updated_at.rfc3339(), "version": of.version,
    })
}

pub(super) fn key(of: &Key) -> Value {
    let time = |at: Option<schemas::TimeMs>| at.map(schemas::TimeMs::rfc3339);
    json!({
        "kind": "key", "id": of.id, "prefix": of.prefix, "name": of.name, "scopes": of.scopes.texts(), "networks": of.networks.listed(),
        "created_at": of.created_at.rfc3339(), "created_by": { "kind": of.created_by_kind, "id": of.created_by },
        "updated_at": of.updated_at.rfc3339(), "expires_at": time(of.expires_at), "revoked_at": time(of.revoked_at),
        "last_used_at": time(of.last_used_at), "version": of.version,
    })
}

pub(super) fn entry(of: &Entry) -> Value {
    json!({
        "kind": "entry", "entry": of.entry, "id": of.id, "at": of.at.rfc3339(),
        "actor": { "kind": of.actor_kind, "id": of.actor_id, "name": of.actor_name }, "acting_as": of.acting_as, "ip": of.ip,
        "request_id": of.request_id, "action": of.action,
        "resource": { "kind": of.resource_kind, "id": of.resource_id, "name": of.resource_name },
        "before": of.before, "after": of.after, "outcome": of.outcome, "previous": of.previous, "hash": of.hash,
    })
}

/// Whether a secret stood somewhere in this definition.
pub(super) fn has_secret(definition: &Value) -> bool {
    match definition {
        Value::Object(fields) => {
            (fields.len() == 1 && fields.get("set") == Some(&Value::Bool(true))) || fields.values().any(has_secret)
        }
        Value::Array(items) => items.iter().any(has_secret),
        _ => false,
    }
}

/// Puts new ids in the place of those that stand in the file, wherever one is named.
pub(super) fn renamed(value: &mut Value, ids: &std::collections::HashMap<String, crate::id::Id>) {
    match value {
        Value::String(text) => {
            if let Some(id) = ids.get(text.as_str()) {
                *text = id.to_string();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| renamed(item, ids)),
        Value::Object(fields) => fields.values_mut().for_each(|field| renamed(field, ids)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_wherever_it_stood_and_ids_are_renamed_everywhere() {
        assert!(has_secret(&json!({"config": {"headers": [{"a": {"set": true}}]}})));
        assert!(!has_secret(&json!({"config": {"set": false, "url": "x"}, "set": [true]})));
        let old = "01J0000000000000000000000A";
        let new: crate::id::Id = "01J0000000000000000000000B".parse().expect("an id");
        let mut value =
            json!({"channels": [old, "other"], "routes": [{"channels": [old]}], "name": format!("not {old}")});
        renamed(&mut value, &[(old.to_owned(), new)].into());
        assert_eq!(
            value,
            json!({"channels": [new, "other"], "routes": [{"channels": [new]}], "name": format!("not {old}")})
        );
    }
}
