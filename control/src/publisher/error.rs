//! Why nothing can be published just now.

use runtime::log::{LogError, LogErrorKind};
use schemas::codec::EncodeError;

/// An error of the publisher. None of them ends it; all that is unpublished stays so.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    /// The control store.
    #[error("changes wait to be told to the stages: {0}")]
    Store(#[from] crate::Error),
    /// The log.
    #[error("changes wait to be told to the stages: the log does not take them: {0}")]
    Log(#[from] LogError),
    /// A record that cannot be written.
    #[error("a change cannot be told to the stages: {0}; let the topic take larger records (max.message.bytes)")]
    Encode(#[from] EncodeError),
}

impl PublishError {
    /// Whether another process took over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Log(e) if e.kind == LogErrorKind::Fenced)
    }

    /// Whether it is the log that is in the way.
    pub fn is_of_the_log(&self) -> bool {
        matches!(self, Self::Log(_))
    }
}
