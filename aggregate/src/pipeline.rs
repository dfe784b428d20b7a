//! The stage's wiring: `enriched.blocks` → windows → one transaction of the log with the position that they can be made anew from.
//!
//! At most one poll of the stream is held beside the windows; the next is read when what follows from it is committed, so a slow log slows
//! the reading down. An error of the log that may pass drops everything, joins the group anew and goes on from what is committed: nothing is
//! kept over from before (rule 10).

use std::sync::Arc;

use runtime::{
    beat::Beat,
    log::{Log, membership::Pauses},
};
use schemas::{
    Codec,
    records::stage_status::state::{RUNNING, STALLED},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Config, Error, member::Member, metrics};

/// The consumer group, and the beginning of the transactional id.
pub const GROUP: &str = "aggregate";

/// Runs until told to stop, or until the log refuses for good.
///
/// # Errors
/// What the log says and does not pass.
pub async fn run(
    config: Config,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let following = config.board.follow(config.families.clone());
    let beat = Beat::start(&config.board, &config.instance, log.clone(), codec.clone(), None);
    let outcome = tokio::select! {
        outcome = memberships(&config, &*log, &codec, &shutdown) => outcome,
        never = following => match never {},
    };
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}

async fn memberships(config: &Config, log: &dyn Log, codec: &Codec, shutdown: &CancellationToken) -> Result<(), Error> {
    let mut pauses = Pauses::default();
    loop {
        let started = Instant::now();
        let ended = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            joined = Member::join(config, log, codec) => match joined {
                Ok(mut member) => {
                    config.board.process(RUNNING, None);
                    member.work(shutdown).await
                }
                Err(error) => Err(error),
            },
        };
        config.board.released_all();
        let Err(error) = ended else { return Ok(()) };
        let tell = |why: String| {
            metrics::rejoined();
            config.board.process(STALLED, Some(why));
        };
        if !pauses.rejoin((GROUP, started), error, shutdown, tell).await.map_err(Error::Log)? {
            return Ok(());
        }
    }
}
