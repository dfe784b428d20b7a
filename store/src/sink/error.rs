//! Why the sink stops.

use runtime::log::LogError;

use crate::StoreError;

/// Why the sink stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store refuses for good: wrong password, newer version, unknown tables.
    #[error("the store refuses: {0}")]
    Store(#[from] StoreError),
    /// The log failed for good.
    #[error("the log failed: {0}")]
    Log(#[from] LogError),
    /// The stage was told to stop; never leaves it.
    #[error("stopped")]
    Stopped,
    /// A part of the sink ended without being told to.
    #[error("the sink's {0} ended unexpectedly")]
    Ended(&'static str),
}
