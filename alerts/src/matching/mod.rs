//! The group `alerts.match`: what blocks, transactions, samples and clocks give by the rules and monitors of tenants.
//!
//! ```text
//! enriched.blocks, enriched.transactions ─▶ member ─┬▶ monitors ─▶ ring ─┬▶ alerts.matches, alerts.ring
//!                                                   └▶ figures ──────────┤  with the group's positions, in one transaction
//! enriched.causes ─▶ what was found ───▶ ring ───────────┤
//! providers.samples, stage.status, the clock ───────▶ clocks ────────────┘
//! ```
//!
//! Guarantee: exactly once. What an event gives, what is remembered of it ([`ring`]) and the group's position are one transaction of the log,
//! so that a match is given once, and taken back exactly as it was given, whatever is killed and whatever was edited. Live blocks alone
//! count. A chain figure is a function of (network, sequence) and the rule (rule 30); whoever takes a partition over reads the blocks of its
//! windows back ([`history`]), and says what holds of each rule once more, which changes nothing where it held before.
//!
//! Nothing waits for this group: where retention was faster, or an event cannot be read, it goes on behind it and says so.

mod baselines;
mod beside;
mod causes;
mod clocks;
mod failures;
mod figures;
mod given;
mod history;
mod hits;
mod late;
mod left_out;
mod look;
mod member;
mod missed;
mod monitors;
mod output;
mod part;
mod pasts;
mod ring;
mod rules;
mod self_test;

use runtime::log::LogError;
use tokio_util::sync::CancellationToken;

use crate::Context;

/// The consumer group, and the beginning of its transactional id.
pub const GROUP: &str = "alerts.match";

/// One membership of the group: works until it is told to stop.
///
/// # Errors
/// What the log says.
pub async fn membership(context: &Context, shutdown: &CancellationToken) -> Result<(), LogError> {
    let mut member = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        joined = member::Member::join(context) => joined?,
    };
    context.joined(GROUP);
    let worked = member.work(shutdown).await;
    context.config.board.released_all();
    worked
}
