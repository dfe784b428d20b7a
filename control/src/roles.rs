//! What people are in an organisation: owner > admin > editor > viewer. Pure.

use std::{fmt, str::FromStr};

use crate::scopes::{Allowed, Resource, Scopes};

/// A person's role in one organisation. Each may what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads; no keys, members or audit.
    Viewer,
    /// Changes what is watched and told.
    Editor,
    /// Everything but deleting the organisation and changing owners.
    Admin,
    /// Everything.
    Owner,
}

/// What a viewer reads.
const READ: [Resource; 11] = [
    Resource::Chains,
    Resource::Contracts,
    Resource::Rules,
    Resource::Monitors,
    Resource::Channels,
    Resource::Silences,
    Resource::Alerts,
    Resource::Deliveries,
    Resource::Backtests,
    Resource::Usage,
    Resource::Organisation,
];
/// What an editor changes.
const WRITTEN: [Resource; 8] = [
    Resource::Contracts,
    Resource::Rules,
    Resource::Monitors,
    Resource::Channels,
    Resource::Silences,
    Resource::Alerts,
    Resource::Deliveries,
    Resource::Backtests,
];

impl Role {
    /// All, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Editor, Self::Admin, Self::Owner];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// What it may do. What an owner may and an admin may not is no scope, but asked for by [`crate::Authenticated::role`].
    pub fn scopes(self) -> Scopes {
        let read = || READ.map(|r| (r, Allowed::Read));
        match self {
            Self::Viewer => Scopes::of(&read()),
            Self::Editor => {
                let list: Vec<_> = read().into_iter().chain(WRITTEN.map(|r| (r, Allowed::Write))).collect();
                Scopes::of(&list)
            }
            Self::Admin | Self::Owner => Scopes::ALL,
        }
    }
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; write owner, admin, editor or viewer")]
pub struct WrongRole(pub String);

impl FromStr for Role {
    type Err = WrongRole;
    fn from_str(text: &str) -> Result<Self, WrongRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| WrongRole(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_ones_before_it_may() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].scopes().beyond(pair[1].scopes()).is_empty(), "{pair:?}");
        }
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>(), Ok(role));
        }
        assert!("Owner".parse::<Role>().unwrap_err().to_string().contains("owner, admin, editor or viewer"));
    }

    #[test]
    fn a_viewer_changes_nothing_and_an_editor_nobody_and_no_key() {
        for resource in Resource::ALL {
            assert!(!Role::Viewer.scopes().allows(resource, Allowed::Write), "{resource:?}");
        }
        for resource in [Resource::Keys, Resource::Members, Resource::Audit] {
            for action in [Allowed::Read, Allowed::Write] {
                assert!(!Role::Editor.scopes().allows(resource, action), "{resource:?}");
                assert!(Role::Admin.scopes().allows(resource, action), "{resource:?}");
            }
        }
        assert!(Role::Editor.scopes().allows(Resource::Monitors, Allowed::Write));
        assert!(!Role::Editor.scopes().allows(Resource::Organisation, Allowed::Write));
    }
}
