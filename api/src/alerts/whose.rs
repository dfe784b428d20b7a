//! From who was let in to whose rows are read, and what is written down of who asked.

use control::{Actor, Authenticated, Networks, Tenant};
use store::query::Whose;

/// The rows of this tenant, of the networks that are reached. There is no other way to a [`Whose`] in this crate.
pub fn whose(tenant: &Tenant) -> Whose {
    let networks = match tenant.reach() {
        Networks::All => None,
        Networks::Only(list) => Some(list.clone()),
    };
    Whose { tenant: tenant.id().to_string(), networks }
}

/// Who it was, for people: `key ops`, `anyone`, `a message's link`.
pub fn by(who: &Authenticated) -> String {
    match who.actor() {
        Actor::Key { name, .. } => format!("key {name}"),
        Actor::Operator { name } => format!("operator {name}"),
        other => other.name().to_owned(),
    }
}
