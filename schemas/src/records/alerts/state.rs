//! `alerts.state`, compacted, keyed `tenant/source/group`: where each alert stands in its life. Written by the group `alerts.state`, in the
//! transaction of what follows from it.

use alloy_primitives::keccak256;

/// A record of `alerts.state`. A tombstone says that nothing is to be remembered any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertState {
    /// Whose.
    pub tenant: String,
    /// Id of the rule or monitor; `channel:ID` for what a channel has sent of late.
    pub source_id: String,
    /// The group, as JSON; empty for a channel.
    pub group: String,
    /// Rises with every change of the key.
    pub revision: u64,
    /// JSON of the state machine.
    pub state: String,
}

impl AlertState {
    /// The key of a state. A group's text may be long, so its digest stands there.
    pub fn key_of(tenant: &str, source_id: &str, group: &str) -> String {
        let digest = keccak256(group.as_bytes());
        format!("{tenant}/{source_id}/{}", const_hex::encode(digest.get(..16).unwrap_or_default()))
    }
}
