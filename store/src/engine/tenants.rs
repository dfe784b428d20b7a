//! The database of what belongs to tenants, beside the store's: its name, which analysts may not say and readers' grants do not reach.
//!
//! Whoever asks for the API has the role [`ROLE`], which reads it; analysts' statements have none.

/// The role that the API's statements have, and nobody else's but the stages'.
pub(super) const ROLE: &str = "api";

/// The database of tenants beside this one.
pub(crate) fn database(store: &str) -> String {
    format!("{store}_tenants")
}
