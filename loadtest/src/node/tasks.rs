//! What runs for a simulated node: its ports and its clock.

use super::error::Error;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long each may take to end.
const END: Duration = Duration::from_secs(5);

/// Tasks that end with the node; dropping them ends it.
pub(crate) struct Tasks {
    shutdown: CancellationToken,
    all: Vec<JoinHandle<()>>,
}

impl Tasks {
    /// None yet. `shutdown`: what tells them that the node ends.
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, all: Vec::new() }
    }

    /// Starts one.
    pub(crate) fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.all.push(tokio::spawn(task));
    }

    /// Starts what makes blocks as time passes.
    pub(crate) fn clock(&mut self, ticking: impl Future<Output = Result<(), Error>> + Send + 'static) {
        self.start(async move {
            if let Err(error) = ticking.await {
                tracing::error!(%error, "the simulated chain stands still");
            }
        });
    }

    /// Ends the node, and waits a little for what is being answered.
    pub(crate) async fn end(mut self) {
        self.shutdown.cancel();
        for task in &mut self.all {
            // A task that panicked or takes too long is aborted by the drop.
            let _ = tokio::time::timeout(END, task).await;
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.all.iter().for_each(JoinHandle::abort);
    }
}
