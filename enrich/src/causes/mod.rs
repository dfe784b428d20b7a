//! Causes: what only a second look tells, late, beside the stream (rule 14).
//!
//! [`facts`]: which code stands behind a contract at which height, names and ABIs; writes `contract.facts`. [`failures`]: why a
//! transaction failed; writes `enriched.causes`. Each has a consumer group and a position of its own, and they share the nodes' budget.
//!
//! Guarantee: nothing waits for this stage, and nothing in the log is kept for it: where retention is faster it goes on behind what is
//! gone, and says so.

mod budget;
pub mod config;
pub mod facts;
pub mod failures;
mod metrics;
mod pace;
mod rejoin;

use std::sync::Arc;

use runtime::{
    beat::{Beat, Doing},
    log::Log,
};
use schemas::codec::Codec;
use tokio_util::sync::CancellationToken;

use crate::Error;
pub use budget::{Budget, Budgets};
pub use config::{AllNodes, Calls, Config, Nodes};
pub use facts::{GROUP, sources};
pub use metrics::describe as describe_metrics;

/// Runs both consumers until told to stop, or until the log refuses for good.
///
/// # Errors
/// What the log says and does not pass.
pub async fn run(
    config: Config,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let configured = || config.nodes.networks().into_iter().map(|(network, id)| (network, Some(id)));
    config.board.configure(configured(), None);
    let beat = Beat::start(&config.board, &config.instance, log.clone(), codec.clone(), None);
    let doing = Doing::new(config.board.clone());
    let mut changes = config.nodes.changes();
    let both = async {
        tokio::try_join!(
            facts::run(&config, doing.clone(), log.clone(), codec.clone(), &shutdown),
            failures::run(&config, doing.clone(), log.clone(), codec.clone(), &shutdown),
        )
    };
    let outcome = tokio::select! {
        outcome = both => outcome.map(drop),
        () = async {
            while changes.changed().await.is_ok() {
                config.board.configure(configured(), None);
            }
            std::future::pending().await
        } => Ok(()),
    };
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}
