//! Which version somebody thinks that he changes: `If-Match`.

use crate::error::Error;

/// The versions that a change may be made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is: `*`.
    Any,
    /// One of these.
    OneOf(Vec<i64>),
}

impl Expected {
    /// This one.
    pub fn version(version: i64) -> Self {
        Self::OneOf(vec![version])
    }

    /// Refuses a change to another version than was expected.
    pub(crate) fn check(&self, version: i64) -> Result<(), Error> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => Err(Error::Stale { version }),
            Self::Any | Self::OneOf(_) => Ok(()),
        }
    }
}
