//! The stage's wiring: three groups, each with its own membership, that share the definitions and what the stage says of itself.
//!
//! An error of the log that may pass drops a group's membership and joins anew from what is committed; the other groups go on meanwhile.

use std::sync::Arc;

use runtime::{
    beat::{Beat, Doing},
    log::{Log, LogError, membership::Pauses},
};
use schemas::Codec;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Config, Error, definitions::Follower, deliver, matching, metrics, state};

/// What the groups share.
pub struct Context {
    /// The stage's configuration.
    pub config: Config,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Values of its records.
    pub codec: Arc<Codec>,
    /// What tenants have defined.
    pub definitions: Follower,
    /// What is decided for the stages: since when contracts are watched.
    pub control: runtime::control::Follower,
    /// What the groups say of the process together.
    doing: Doing,
}

impl Context {
    /// Of a stage that is about to run, on the present runtime.
    pub fn new(config: Config, log: Arc<dyn Log>, codec: Arc<Codec>) -> Self {
        let definitions = Follower::follow(log.clone(), codec.clone());
        let control = runtime::control::Follower::follow(log.clone(), codec.clone());
        let doing = Doing::starting(config.board.clone(), GROUPS.map(Group::name));
        Self { config, log, codec, definitions, control, doing }
    }

    /// A group has joined: from now on it works.
    pub fn joined(&self, group: &'static str) {
        self.doing.works(group);
    }
}

/// The stage's groups, in the order of the data.
#[derive(Debug, Clone, Copy)]
enum Group {
    Match,
    State,
    Deliver,
}

const GROUPS: [Group; 3] = [Group::Match, Group::State, Group::Deliver];

impl Group {
    const fn name(self) -> &'static str {
        match self {
            Self::Match => matching::GROUP,
            Self::State => state::GROUP,
            Self::Deliver => deliver::GROUP,
        }
    }

    /// One membership: joins, says so ([`Context::joined`]), and works until it is told to stop.
    async fn membership(self, context: &Context, shutdown: &CancellationToken) -> Result<(), LogError> {
        match self {
            Self::Match => matching::membership(context, shutdown).await,
            Self::State => state::membership(context, shutdown).await,
            Self::Deliver => deliver::membership(context, shutdown).await,
        }
    }

    async fn memberships(self, context: &Context, shutdown: &CancellationToken) -> Result<(), Error> {
        let (group, mut pauses) = (self.name(), Pauses::default());
        loop {
            let started = Instant::now();
            let Err(error) = self.membership(context, shutdown).await else { return Ok(()) };
            let tell = |why: String| {
                metrics::rejoined(group);
                context.doing.stalls(group, why);
            };
            let again = pauses.rejoin((group, started), error, shutdown, tell).await;
            if !again.map_err(|error| Error::Log { group, error })? {
                return Ok(());
            }
        }
    }
}

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
    let context = Context::new(config, log, codec);
    let groups = async {
        tokio::try_join!(
            Group::Match.memberships(&context, &shutdown),
            Group::State.memberships(&context, &shutdown),
            Group::Deliver.memberships(&context, &shutdown),
        )
    };
    let outcome = tokio::select! {
        outcome = groups => outcome.map(|_| ()),
        never = following => match never {},
    };
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}
