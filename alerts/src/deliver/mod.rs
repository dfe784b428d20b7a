//! The group `alerts.deliver`: what stands in the outbox goes out.
//!
//! Input: `alerts.outbox`, `alerts.commands` (replays). Output: the world, `alerts.deliveries`, `alerts.outbox`.
//!
//! Guarantee (rule 29): every message is tried until it is taken or given up, at least once, under one id ([`member`]). Nothing is sent to a place
//! that was not looked at for this attempt ([`http`], [`mail`]). What a message says is pure ([`words`], [`channels`], [`message`]), and so is when
//! it is sent ([`queue`], [`lanes`], [`schedule`]). One destination holds up no other; memory is bounded whatever receivers do.

mod attempt;
pub mod channels;
mod directory;
pub mod heartbeat;
mod http;
mod known;
mod lanes;
mod mail;
mod member;
mod message;
mod metrics;
mod opened;
mod output;
mod past;
mod program;
pub mod queue;
pub mod schedule;
mod sign;

use std::time::Duration;

use channels::Services;
pub use conditions::words;
pub use directory::{ChannelNow, Directory};
use heartbeat::Passed;
pub use metrics::describe as describe_metrics;
use runtime::{
    log::{Log, LogError, LogErrorKind},
    scripts::Scripts,
    targets::Targets,
};
use rustls::pki_types::CertificateDer;
use schedule::Schedule;
use schemas::Codec;
pub use sign::Signer;
use tokio_util::sync::CancellationToken;

use crate::Context;

/// The consumer group, and the beginning of its transactional id.
pub const GROUP: &str = "alerts.deliver";

/// What delivery is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names this process to its group.
    pub instance: String,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Where may be sent to.
    pub targets: Targets,
    /// Programs that may be run.
    pub scripts: Scripts,
    /// Where services are.
    pub services: Services,
    /// How attempts follow one another.
    pub schedule: Schedule,
    /// The first pause of a breaker.
    pub breaker: Duration,
    /// Certificates that are trusted beside the system's.
    pub certificates: Vec<CertificateDer<'static>>,
    /// When a self-test last came through.
    pub passed: Passed,
}

/// One membership of the group: works until it is told to stop.
///
/// # Errors
/// What the log says.
pub async fn membership(context: &Context, shutdown: &CancellationToken) -> Result<(), LogError> {
    let config = &context.config;
    let wrong = |what: String| LogError::new(LogErrorKind::Invalid, format!("alerts cannot be delivered: {what}"));
    let settings = Settings {
        instance: config.instance.clone(),
        public_url: config.public_url.clone(),
        targets: Targets::new(&config.alerts.allow_targets, &config.alerts.ports)
            .map_err(|all| wrong(all.join("; ")))?,
        scripts: Scripts::of(config.alerts.scripts, &config.alerts.scripts_dir),
        services: Services::default(),
        schedule: Schedule::default(),
        breaker: lanes::BREAK_FIRST,
        certificates: Vec::new(),
        passed: Passed::default(),
    };
    let directory = known::Known::new(context.definitions.clone(), config.control.as_ref());
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        known = context.definitions.up_to_now() => known?,
    }
    let http = http::Http::new(settings.targets.clone(), &[]).map_err(wrong)?;
    let (url, passed) = (config.alerts.heartbeat_url.clone(), settings.passed.clone());
    let watching = heartbeat::watch(context.log.clone(), context.codec.clone(), passed, url, http);
    tokio::select! {
        never = watching => match never {},
        done = deliver(&settings, &directory, &*context.log, &context.codec, shutdown, || context.joined(GROUP)) => done,
    }
}

/// The same by itself, of any directory.
///
/// # Errors
/// What the log says.
pub async fn deliver(
    settings: &Settings,
    directory: &dyn Directory,
    log: &dyn Log,
    codec: &Codec,
    shutdown: &CancellationToken,
    joined: impl FnOnce(),
) -> Result<(), LogError> {
    let wrong = |what: String| LogError::new(LogErrorKind::Invalid, format!("alerts cannot be delivered: {what}"));
    let sender =
        attempt::Sender::new(settings.targets.clone(), settings.certificates.clone(), settings.scripts.clone());
    let sender = sender.map_err(wrong)?;
    let digests = message::Digests::new().map_err(wrong)?;
    let join = member::Member::join(settings, directory, sender, digests, log, codec);
    let mut member = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        member = join => member?,
    };
    joined();
    member.work(shutdown).await
}
