//! Asking for a back-fill: what is impossible is refused before anything is written.

use std::time::Duration;

use runtime::control::Known;
use schemas::{
    Network, TimeMs, limits,
    records::{Asks, HeldRange, Request, Wanted},
};
use tokio::time::Instant;

use super::{
    new_id,
    row::CheckpointRow,
    state::{checkpoints, tidy},
};
use crate::{exit::Failure, way::Way};

/// How often the checkpoint is read again while nothing of the network is known to be final.
const LOOK: Duration = Duration::from_millis(500);

/// A back-fill that is wanted.
pub struct Range<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its heights.
    pub heights: HeldRange,
    /// Whether those that are held are filled again.
    pub again: bool,
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is in the log under this id.
    Written(String),
    /// The same range was asked for before and is not over: this is its id.
    Before(String),
    /// Everything is held.
    Held,
}

/// Writes the request, once the network has a finalized height; `patience`: how long that is waited for. None: what cannot be
/// judged yet is left to the watcher.
pub async fn ask(way: &Way, range: &Range<'_>, patience: Option<Duration>) -> Result<Asked, Failure> {
    let network = range.network;
    let end = Instant::now() + patience.unwrap_or_default();
    let checkpoint = loop {
        let found = checkpoints(way, Some(network)).await?.remove(network);
        if found.as_ref().is_some_and(|c| c.finalized_height.is_some()) || Instant::now() >= end {
            break found;
        }
        tokio::time::sleep(LOOK).await;
    };
    if let Some(held) = judge(checkpoint.as_ref(), range, patience.is_none())? {
        return Ok(held);
    }
    let known = tidy(way, &checkpoint.map(|c| (network.clone(), c)).into_iter().collect()).await?;
    if let Some(before) = same(&known, range) {
        return Ok(Asked::Before(before.to_owned()));
    }
    let open = known.0.values().filter(|r| r.network == *network && !matches!(r.asks, Asks::AcceptGap { .. })).count();
    if open >= limits::OPEN_REQUESTS {
        return Err(Failure::new(format!(
            "network `{network}` has {open} requests that are not over, and may have no more: wait for some, or end some with \
             `headwater backfill cancel ID` (`headwater backfill list` tells them)"
        )));
    }
    let now = TimeMs::now();
    let request = Request {
        id: new_id(network, now, &known),
        network: network.clone(),
        asks: Asks::Backfill { heights: range.heights, again: range.again },
        wanted: Wanted::Run,
        asked_at: now,
    };
    way.put(&request).await?;
    Ok(Asked::Written(request.id))
}

/// Judges by what is published of the network. Pure.
fn judge(checkpoint: Option<&CheckpointRow>, range: &Range<'_>, lenient: bool) -> Result<Option<Asked>, Failure> {
    let Range { network, heights: HeldRange { from, to }, again } = *range;
    let finalized = checkpoint.and_then(|c| c.finalized_height);
    match finalized {
        Some(finalized) if to > finalized => {
            return Err(Failure::arguments(format!(
                "--to {to} is above {finalized}, the highest height of network `{network}` that is final: only final heights are \
                 filled, those above come by themselves; write --to {finalized} or less"
            )));
        }
        None if !lenient => {
            return Err(Failure::arguments(format!(
                "nothing of network `{network}` is known to be final yet, and only final heights are filled: look at `headwater \
                 status` whether it is followed, and ask again"
            )));
        }
        Some(_) | None => {}
    }
    let all = to.saturating_sub(from).saturating_add(1);
    let held = checkpoint.is_some_and(|c| c.held_of(from, to) == all);
    Ok((held && !again).then_some(Asked::Held))
}

/// The open request that asks for the very same.
fn same<'k>(known: &'k Known, range: &Range<'_>) -> Option<&'k str> {
    let wanted = Asks::Backfill { heights: range.heights, again: range.again };
    let is_same = |r: &&Request| r.network == *range.network && r.asks == wanted && r.wanted != Wanted::Cancelled;
    known.0.values().find(is_same).map(|r| r.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn what_is_impossible_is_refused_and_what_is_held_is_not_asked_for() {
        let network: Network = "n".parse().expect("a slug");
        let checkpoint: CheckpointRow = serde_json::from_str(
            r#"{"network":"n","sequence":5,"first_height":100,"tip_height":150,"finalized_height":140,"held":[{"from":10,"to":19}]}"#,
        )
        .expect("JSON");
        let range = |from, to, again| Range { network: &network, heights: HeldRange { from, to }, again };
        let refused = judge(Some(&checkpoint), &range(1, 141, false), false).expect_err("above what is final");
        assert!(refused.exit == Exit::Arguments && refused.error.to_string().contains("140"), "{refused:?}");
        assert_eq!(judge(Some(&checkpoint), &range(1, 140, false), false).expect("fine"), None);
        assert_eq!(judge(Some(&checkpoint), &range(10, 19, false), false).expect("fine"), Some(Asked::Held));
        assert_eq!(judge(Some(&checkpoint), &range(10, 19, true), false).expect("fine"), None);
        assert_eq!(judge(Some(&checkpoint), &range(10, 20, false), false).expect("fine"), None);
        assert_eq!(judge(None, &range(1, 2, false), false).expect_err("nothing is final").exit, Exit::Arguments);
        assert_eq!(judge(None, &range(1, 2, false), true).expect("left to the watcher"), None);
    }
}
