//! What ends the stage. Everything that may pass is retried inside.

use runtime::log::LogError;

/// Why the stage ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log refused in a way that retrying cannot mend.
    #[error("the log cannot be used by the group {group}: {error}")]
    Log {
        /// Which of the stage's groups.
        group: &'static str,
        /// What it said.
        #[source]
        error: LogError,
    },
}
