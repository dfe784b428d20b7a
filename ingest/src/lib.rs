//! From chain nodes to `raw.*`.
//!
//! Input: the nodes of the configured networks, and what operators ask (`control.config`). Output topics: `raw.blocks`,
//! `raw.transactions`, `ingest.checkpoints`,
//! `stage.status`, `dead.letters`, and `control.config` for a network that has no partition yet.
//!
//! Guarantee: per network, block events 1, 2, 3 … without a gap and without a repeat as a read_committed reader sees them,
//! whatever is killed when; every block with all that belongs to it (receipts; what is spent), parents checked; a fork is reverted, newest block first, down
//! to the common ancestor and the new branch applied. Event, checkpoint and ring are one transaction of the log, so a restart
//! goes on at the next block. Empty, missing and failing answers are told apart, and one network's trouble stops no other.
//!
//! * [`tracker`]: fork logic, pure.
//! * [`fill`]: which heights are wanted on request, pure.
//! * [`chains`]: one watcher for all families, and what is each family's own.
//! * [`publisher`]: the only writer of a partition.
//! * [`status`]: what is said of the stage and its networks.
//! * [`networks`]: which networks are followed, which may change while the stage runs.
//! * [`readers`]: how far those who read what is written are behind.
//! * [`pipeline`]: all the wiring.

pub mod assign;
pub mod chains;
pub mod config;
mod crew;
pub mod error;
pub mod fill;
pub mod metrics;
pub mod networks;
pub mod past;
pub mod pipeline;
pub mod publisher;
pub mod readers;
pub mod records;
pub mod samples;
pub mod source;
pub mod state;
pub mod status;
pub mod tracker;
pub mod unit;

use std::sync::Arc;

use runtime::log::Log;
use schemas::codec::Codec;
use tokio_util::sync::CancellationToken;

pub use config::{BatchLimits, Config, NetworkConfig, Start, Verify};
pub use error::Error;
pub use networks::Networks;
pub use nodes::evm::{Endpoint, Tuning};

/// Runs the stage over the networks of its configuration until shut down, or until the log fails for good.
///
/// # Errors
/// An endpoint that cannot be used as configured, a family that is not watched, or a log that trying again cannot mend.
pub async fn run(
    config: Config,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let networks = Networks::new(&config.networks, &config.tuning, &config.instance)?;
    run_over(config, networks, log, codec, shutdown).await
}

/// Runs the stage over networks that may come, go and change meanwhile; those of the configuration are not looked at.
///
/// # Errors
/// A log that trying again cannot mend.
pub async fn run_over(
    config: Config,
    networks: Networks,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    pipeline::run(config, networks, log, codec, shutdown).await
}
