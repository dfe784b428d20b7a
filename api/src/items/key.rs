//! Keys as REST shows them.

use control::{Key, Made};
use schemas::TimeMs;
use serde::Serialize;
use utoipa::ToSchema;

/// A key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeyItem {
    /// Ours.
    pub id: String,
    /// The 8 characters of it that may be seen.
    pub prefix: String,
    /// What it is called.
    pub name: String,
    /// What it was given; what it may is this and what its maker may.
    pub scopes: Vec<String>,
    /// The networks that it reaches; empty: all.
    pub networks: Vec<String>,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// When it was last used, to a minute.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// Who made it.
    pub created_by: MakerItem,
    /// Since when it is here.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last changed, rotated or revoked.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// When it was revoked.
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
    /// Counts edits; the `ETag` of the key is this number in quotes.
    pub version: i64,
}

/// Who made a key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MakerItem {
    /// `user`, `key`, `operator`, `system`.
    pub kind: String,
    /// A key's id; a word for others.
    pub id: String,
}

/// A key that was just made or rotated.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MadeKeyItem {
    /// The key.
    #[serde(flatten)]
    pub item: KeyItem,
    /// All of it, which is never shown again; null where the same request (`Idempotency-Key`) came before.
    pub key: Option<String>,
}

impl From<Key> for KeyItem {
    fn from(key: Key) -> Self {
        let time = |time: Option<TimeMs>| time.map(|t| t.rfc3339());
        Self {
            id: key.id.to_string(),
            scopes: key.scopes.texts(),
            networks: key.networks.listed().into_iter().map(str::to_owned).collect(),
            prefix: key.prefix,
            name: key.name,
            expires_at: time(key.expires_at),
            last_used_at: time(key.last_used_at),
            created_by: MakerItem { kind: key.created_by_kind, id: key.created_by },
            created_at: key.created_at.rfc3339(),
            updated_at: key.updated_at.rfc3339(),
            revoked_at: time(key.revoked_at),
            version: key.version,
        }
    }
}

impl From<Made> for MadeKeyItem {
    fn from(made: Made) -> Self {
        Self { item: made.key.into(), key: made.text.map(|text| text.expose().to_owned()) }
    }
}
