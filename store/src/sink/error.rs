//! Why the sink stops, and why a batch was not written.

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

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The stage was told to stop.
    #[error("stopped")]
    Stopped,
    /// The store refuses this, though it answers: in what is written, or altogether.
    #[error("refused: {0}")]
    Refused(StoreError),
    /// The store refuses for good.
    #[error(transparent)]
    Store(#[from] StoreError),
}
