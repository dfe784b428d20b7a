//! The group `alerts.state`: matches and commands become transitions of alerts, and messages that are to go out.
//!
//! Guarantee (rules 10, 29): exactly once. What a record leads to (events, messages, states) and the group's positions are one transaction
//! of the log, and everything that is remembered is in `alerts.state`: whoever takes a partition over reads it to its end first. What a
//! timer leads to is written in the same way. Definitions are known to their end before the first record (rule 34).

mod level;
mod member;
mod output;
mod part;
mod settings;

use runtime::log::LogError;
use tokio_util::sync::CancellationToken;

use crate::Context;

/// The consumer group, and the beginning of its transactional id.
pub const GROUP: &str = "alerts.state";

/// One membership of the group: works until it is told to stop.
///
/// # Errors
/// What the log says.
pub async fn membership(context: &Context, shutdown: &CancellationToken) -> Result<(), LogError> {
    let mut member = member::Member::join(context).await?;
    context.joined(GROUP);
    member.work(shutdown).await
}
