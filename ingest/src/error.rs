//! Why the stage ends. What concerns one network only is a state of that network (`ingest.status`), not an error here.

use runtime::log::LogError;

/// An error that ends the stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log failed in a way that trying again cannot mend.
    #[error("ingest cannot use the log: {0}")]
    Log(#[from] LogError),
    /// An endpoint that cannot be used as it is configured.
    #[error("network `{network}`: {problem}")]
    Endpoint {
        /// The network.
        network: schemas::Network,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A partition's task ended by a panic.
    #[error("the task of partition {0} failed: {1}")]
    Task(u32, String),
}
