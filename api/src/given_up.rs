//! Sequences that operators have given up (rule 12), and which heights that cost.
//!
//! What retention removed before it was read is known by its sequences only. The events that are held around them say which heights
//! lie between; a reorg among what is gone may have cost others, too.

use runtime::control::Known;
use schemas::{
    Network,
    records::{Asks, Wanted},
};
use serde::Serialize;
use store::{Store, StoreError, query::BlockEvent};
use utoipa::ToSchema;

/// Requests that are looked at, the newest ones.
const MOST: usize = 32;

/// Sequences that were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompletenessGivenUp)]
pub struct GivenUpItem {
    /// The request that did: `headwater accept-gap`.
    pub request: String,
    /// First sequence.
    pub first_sequence: u64,
    /// Last sequence.
    pub last_sequence: u64,
    /// First height between the events around; `null` where none lies between, or where an event is not held.
    pub from_height: Option<u64>,
    /// Last height between them.
    pub to_height: Option<u64>,
    /// What happened and what to do.
    pub reason: String,
}

/// What was given up of a network, oldest first.
pub async fn of(store: &Store, network: &Network, known: &Known) -> Result<Vec<GivenUpItem>, StoreError> {
    let mut asked: Vec<_> = known.of(network).filter(|request| request.wanted == Wanted::Run).collect();
    asked.sort_by_key(|request| std::cmp::Reverse(request.asked_at));
    let mut found = Vec::new();
    for request in asked {
        let Asks::AcceptGap { first, last } = request.asks else { continue };
        if found.len() >= MOST {
            break;
        }
        let before = store.events(network, first.saturating_sub(2), first.saturating_sub(1), 1).await?;
        let after = store.events(network, last, u64::MAX, 1).await?;
        let heights = between(before.first(), after.first());
        found.push(GivenUpItem {
            request: request.id.clone(),
            first_sequence: first,
            last_sequence: last,
            from_height: heights.map(|(from, _)| from),
            to_height: heights.map(|(_, to)| to),
            reason: format!(
                "retention removed these events before they were read, and request {} gave them up; `headwater backfill --again` \
                 brings their heights back",
                request.id
            ),
        });
    }
    found.reverse();
    Ok(found)
}

/// The heights between two events of one chain.
fn between(before: Option<&BlockEvent>, after: Option<&BlockEvent>) -> Option<(u64, u64)> {
    let (before, after) = before.zip(after)?;
    let from = if before.op == "revert" { before.height } else { before.height + 1 };
    let to = if after.op == "revert" { after.height } else { after.height.checked_sub(1)? };
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use schemas::TimeMs;

    use super::*;

    #[test]
    fn heights_lie_between_the_events_around() {
        let event = |op: &str, height| BlockEvent {
            sequence: 1,
            op: op.into(),
            origin: "live".into(),
            height,
            block_hash: "0x".into(),
            block_time: TimeMs(0),
            tx_count: 0,
            log_count: 0,
            reverts_sequence: None,
            observed_at: TimeMs(0),
            stored_at: TimeMs(0),
        };
        for (before, after, heights) in [
            (("apply", 9), ("apply", 21), Some((10, 20))),
            (("apply", 9), ("apply", 10), None),
            (("revert", 9), ("apply", 11), Some((9, 10))),
            (("apply", 9), ("revert", 12), Some((10, 12))),
            (("apply", 9), ("apply", 0), None),
        ] {
            assert_eq!(between(Some(&event(before.0, before.1)), Some(&event(after.0, after.1))), heights);
        }
        assert_eq!(between(None, Some(&event("apply", 4))), None);
    }
}
