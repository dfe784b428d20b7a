//! What the stage's consumers have in common: joining the group anew after an error that may pass (rule 10).

use runtime::{
    beat::Doing,
    log::{LogError, membership::Pauses},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::Error;

/// One consumer's memberships.
pub struct Rejoin {
    who: &'static str,
    doing: Doing,
    pauses: Pauses,
}

impl Rejoin {
    /// Of the consumer of this group.
    pub fn new(who: &'static str, doing: Doing) -> Self {
        Self { who, doing, pauses: Pauses::default() }
    }

    /// The group is joined.
    pub fn joined(&self) {
        self.doing.works(self.who);
    }

    /// A membership that began at `started` ended with an error. Returns after a pause when it is to be joined anew; false when the process
    /// is to stop.
    ///
    /// # Errors
    /// One that does not pass.
    pub async fn after(
        &mut self,
        error: LogError,
        started: Instant,
        shutdown: &CancellationToken,
    ) -> Result<bool, Error> {
        let (who, doing) = (self.who, &self.doing);
        let tell = |why: String| {
            metrics::rejoined();
            doing.stalls(who, why);
        };
        self.pauses.rejoin((who, started), error, shutdown, tell).await.map_err(Error::Log)
    }
}
