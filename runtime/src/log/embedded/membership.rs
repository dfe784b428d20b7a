//! Who may commit positions of a group: its member of the present generation.

use std::sync::Arc;

use super::{Shared, groups::MemberId, job::GroupOffsets};
use crate::log::{GroupMetadata, LogError, LogErrorKind, Offsets};

/// What a [`GroupMetadata`] of this log holds.
pub struct Membership {
    /// The group.
    pub group: Arc<str>,
    /// The member.
    pub member: MemberId,
    /// The generation.
    pub generation: u64,
}

/// Positions with proof of membership, as the writer judges them.
pub fn group_offsets(shared: &Shared, group: &GroupMetadata, offsets: Offsets) -> Result<GroupOffsets, LogError> {
    let membership = group
        .0
        .downcast_ref::<Membership>()
        .ok_or_else(|| LogError::new(LogErrorKind::Invalid, "group membership of another kind of log"))?;
    let offsets = offsets
        .into_iter()
        .map(|(at, offset)| shared.partition(at).map(|(_, id)| (at, id, offset)))
        .collect::<Result<_, _>>()?;
    Ok(GroupOffsets {
        group: membership.group.clone(),
        member: membership.member,
        generation: membership.generation,
        offsets,
    })
}
