//! What readers are told where they reach below what is kept (rules 31 and 32): a list ends with a note, and what is not there is not
//! said not to exist. Where blocks are held as headers alone, their transactions are not said not to exist either.

use schemas::{Family, Network, TimeMs};
use store::query::{Coverage, Pruned, Sort};

use crate::{app::App, error::ApiError, ledger::RangeItem, soon::soon};

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
    Ok(pruned.as_ref().map(|pruned| format!("it may have been among what was removed: {}", one(pruned))))
}

/// Of which blocks of a network only headers are held, in words; `None`: of none, or the store does not say in time.
pub async fn headers(app: &App, network: &Network) -> Option<String> {
    // Of EVM's, bodies are always had.
    let head = app.store.head(network.as_str()).await.ok()??;
    if Family::of_hash(&head.hash) == Family::Evm {
        return None;
    }
    let held = soon(app.counts.of(&app.store, network, app.asked.known())).await?;
    bare(network, &held.ranges)
}

fn bare(network: &Network, ranges: &[RangeItem]) -> Option<String> {
    let bare = ranges.iter().filter(|range| range.coverage == Coverage::Header.as_str());
    let all: Vec<String> = bare.map(|range| format!("{} to {}", range.from_height, range.to_height)).collect();
    let more = if all.len() > NAMED { format!(" and {} other ranges", all.len() - NAMED) } else { String::new() };
    (!all.is_empty()).then(|| {
        let named = all[..all.len().min(NAMED)].join(", ");
        format!("of blocks {named}{more} of {network} only headers are held: nothing is known of their transactions")
    })
}

/// Both notes of a list of transactions.
pub fn both(removed: Option<String>, headers: Option<String>) -> Option<String> {
    let all: Vec<String> = removed.into_iter().chain(headers).collect();
    (!all.is_empty()).then(|| all.join("; "))
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
    fn headers_alone_are_told_as_such() {
        let range = |from_height, to_height, coverage: Coverage| RangeItem {
            from_height,
            to_height,
            blocks: 1 + to_height - from_height,
            transactions_expected: 0,
            transactions_stored: 0,
            complete: true,
            coverage: coverage.as_str().to_owned(),
        };
        let network: Network = "coins".parse().expect("a slug");
        assert_eq!(bare(&network, &[range(1, 9, Coverage::Full)]), None);
        let some = bare(&network, &[range(1, 9, Coverage::Full), range(10, 12, Coverage::Header)]);
        let told = "of blocks 10 to 12 of coins only headers are held: nothing is known of their transactions";
        assert_eq!(some.as_deref(), Some(told));
        let many: Vec<RangeItem> = (0..100).map(|i| range(10 * i, 10 * i, Coverage::Header)).collect();
        let many = bare(&network, &many).expect("words");
        assert!(many.contains(" and 92 other ranges of coins") && many.len() < 1_000, "{many}");
        assert_eq!(both(None, None), None);
        assert_eq!(both(Some("a".into()), Some("b".into())).as_deref(), Some("a; b"));
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
