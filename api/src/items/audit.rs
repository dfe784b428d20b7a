//! Entries of the audit as REST shows them.

use control::Entry;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A change, or what somebody tried.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditItem {
    /// Ours.
    pub id: String,
    /// Its number in the organisation's chain, from 1 without a gap.
    pub entry: i64,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who.
    pub actor: ActorItem,
    /// The scopes that it had then, with blanks between them.
    pub acting_as: String,
    /// From which address; null for the command line.
    pub ip: Option<String>,
    /// The request's id, as its answer had it.
    pub request_id: Option<String>,
    /// What was done.
    #[schema(example = "contract.create")]
    pub action: String,
    /// To what.
    pub resource: ResourceItem,
    /// As it was; secrets as `{"set":true}`.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// As it is since.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// `done`, `denied` (who asked may not), `failed`.
    #[schema(pattern = "^(done|denied|failed)$")]
    pub outcome: String,
    /// The keyed hash of all of this and of the entry before.
    pub hash: String,
    /// The hash of the entry before; empty in the first.
    pub previous: String,
}

/// Who did it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActorItem {
    /// `user`, `key`, `operator`, `system`.
    pub kind: String,
    /// A key's id; a word for others.
    pub id: String,
    /// For people, as it was then.
    pub name: String,
}

/// What it was done to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResourceItem {
    /// `contract`, `key`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name then.
    pub name: Option<String>,
}

impl From<Entry> for AuditItem {
    fn from(e: Entry) -> Self {
        Self {
            id: e.id.to_string(),
            entry: e.entry,
            at: e.at.rfc3339(),
            actor: ActorItem { kind: e.actor_kind, id: e.actor_id, name: e.actor_name },
            acting_as: e.acting_as,
            ip: e.ip,
            request_id: e.request_id,
            action: e.action,
            resource: ResourceItem { kind: e.resource_kind, id: e.resource_id, name: e.resource_name },
            before: e.before,
            after: e.after,
            outcome: e.outcome,
            hash: e.hash,
            previous: e.previous,
        }
    }
}
