//! What readers are told where they reach below what is kept (rules 31 and 32): a list ends with a note, and what is not there is not
//! said not to exist.

use schemas::{Network, TimeMs};
use store::query::{Pruned, Sort};

use crate::{app::App, error::ApiError};

/// Networks that are named in one note.
const NAMED: usize = 8;

/// The note of a page. `first`: it has no cursor; `last`: there is no next one; `from`: no block before this time is wanted.
pub async fn note(
    app: &App,
    network: Option<&Network>,
    sort: Sort,
    (first, last): (bool, bool),
    from: Option<TimeMs>,
) -> Result<Option<String>, ApiError> {
    // The low end of the list is the last page of one that begins with the newest, and the first of one that begins with the oldest.
    let reaches = if sort == Sort::Newest { last } else { first };
    if !reaches {
        return Ok(None);
    }
    let pruned = match network {
        Some(network) => app.store.pruned_below(network).await.map(|one| one.into_iter().collect()),
        None => app.store.pruned().await,
    };
    let pruned: Vec<Pruned> = pruned.map_err(|e| ApiError::from_store(&e))?;
    Ok(words(pruned.iter().filter(|p| from.is_none_or(|from| from <= p.newest_time))))
}

fn words<'p>(pruned: impl Iterator<Item = &'p Pruned>) -> Option<String> {
    let all: Vec<String> = pruned.map(one).collect();
    let more = if all.len() > NAMED { format!("; and of {} other networks", all.len() - NAMED) } else { String::new() };
    (!all.is_empty())
        .then(|| format!("Removed by the operator's configuration: {}{more}", all[..all.len().min(NAMED)].join("; ")))
}

/// What was removed of a network.
fn one(p: &Pruned) -> String {
    format!(
        "blocks of {} below height {} (until {}), by `[store] {}`",
        p.network,
        p.below,
        p.newest_time.rfc3339(),
        p.reason
    )
}

/// Why a block or transaction that is not there may have been, in words that go on a sentence; `None` when nothing was removed.
pub async fn doubt(app: &App, network: &Network) -> Result<Option<String>, ApiError> {
    let pruned = app.store.pruned_below(network).await.map_err(|e| ApiError::from_store(&e))?;
    Ok(pruned.as_ref().map(one))
}

/// What was removed at a height.
pub async fn at(app: &App, network: &Network, height: u64) -> Result<Option<Pruned>, ApiError> {
    let pruned = app.store.pruned_below(network).await.map_err(|e| ApiError::from_store(&e))?;
    Ok(pruned.filter(|p| p.has(height)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pruned(network: &str) -> Pruned {
        Pruned {
            network: network.into(),
            from_height: 5,
            below: 2_048,
            newest_time: TimeMs(1_700_000_000_000),
            reason: "keep".into(),
            at: TimeMs(1_800_000_000_000),
        }
    }

    #[test]
    fn a_note_names_what_was_removed_and_is_never_long() {
        assert_eq!(words([].iter()), None);
        let told = words([pruned("a")].iter()).expect("a note");
        assert_eq!(
            told,
            "Removed by the operator's configuration: blocks of a below height 2048 (until 2023-11-14T22:13:20.000Z), by `[store] keep`"
        );
        let many: Vec<Pruned> = (0..100).map(|i| pruned(&format!("n{i}"))).collect();
        let told = words(many.iter()).expect("a note");
        assert!(told.ends_with("; and of 92 other networks") && told.len() < 1_000, "{told}");
    }
}
