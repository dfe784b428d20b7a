//! `headwater backfill list`: every request for a back-fill that is not over, and the last ones that are, with their rates.

use std::{collections::BTreeMap, io::Write, path::Path, time::Duration};

use schemas::{
    Network,
    records::{Asks, Request, RequestState},
};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    row::{CheckpointRow, ProgressRow},
    screen,
    state::{checkpoints, tidy},
};
use crate::{arguments::Format, exit::Failure, parts, status::table, way::Way};

/// Time between the two looks that a rate comes from.
const LOOKS: Duration = Duration::from_secs(1);

/// A line of the list.
#[derive(Debug, PartialEq, Serialize)]
struct Item {
    network: String,
    id: String,
    from_height: Option<u64>,
    to_height: Option<u64>,
    /// A word of [`RequestState`]; `asked` when nobody has taken it up.
    state: String,
    /// Heights that are held, of `heights`.
    done: u64,
    heights: u64,
    blocks: u64,
    transactions: u64,
    /// Heights a second, while it is carried out.
    rate: Option<f64>,
    detail: Option<String>,
    /// When it was asked; not known any more of one that is over.
    asked_at: Option<String>,
}

/// Prints the list.
pub fn run(file: &Path, format: Format) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let items = parts::block_on(async {
        let way = Way::find(&config).await?;
        let first = (Instant::now(), checkpoints(&way, None).await?);
        let known = tidy(&way, &first.1).await?;
        let runs = |p: &ProgressRow| p.known_state() == Some(RequestState::Running);
        let second = match first.1.values().any(|c| c.requests().any(runs)) {
            true => {
                tokio::time::sleep(LOOKS).await;
                Some((Instant::now(), checkpoints(&way, None).await?))
            }
            false => None,
        };
        way.close().await?;
        let (newest, rate) = match &second {
            None => (&first.1, None),
            Some((at, newest)) => (newest, Some((&first.1, at.duration_since(first.0)))),
        };
        Ok::<_, Failure>(items(known.0.values(), newest, rate))
    })??;
    let text = match format {
        Format::Json => serde_json::json!({ "items": items }).to_string() + "\n",
        Format::Table if items.is_empty() => "no back-fill was asked for\n".to_owned(),
        Format::Table => shown(&items),
    };
    // A closed pipe is nobody's fault.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

/// Requests and what became of them, by network, those that were asked first on top.
fn items<'r>(
    known: impl Iterator<Item = &'r Request>,
    checkpoints: &BTreeMap<Network, CheckpointRow>,
    before: Option<(&BTreeMap<Network, CheckpointRow>, Duration)>,
) -> Vec<Item> {
    type Both<'r> = (Option<&'r Request>, Option<&'r ProgressRow>);
    let mut requests: BTreeMap<(&Network, &str), Both<'_>> = BTreeMap::new();
    for checkpoint in checkpoints.values() {
        for progress in checkpoint.requests().filter(|p| p.asks == "backfill") {
            requests.insert((&checkpoint.network, &progress.id), (None, Some(progress)));
        }
    }
    for request in known.filter(|r| matches!(r.asks, Asks::Backfill { .. })) {
        requests.entry((&request.network, &request.id)).or_default().0 = Some(request);
    }
    let rate = |network: &Network, progress: &ProgressRow| {
        let (before, apart) = before?;
        let (then, _) = before.get(network)?.progress(&progress.id)?.heights()?;
        let (now, _) = progress.heights()?;
        let runs = progress.known_state() == Some(RequestState::Running);
        (runs && now >= then).then(|| (now - then) as f64 / apart.as_secs_f64())
    };
    let mut items: Vec<(bool, i64, Item)> = requests
        .into_iter()
        .map(|((network, id), (request, progress))| {
            let asked = request.and_then(|r| match r.asks {
                Asks::Backfill { heights, .. } => Some((heights.from, heights.to)),
                _ => None,
            });
            let range = asked.or(progress.and_then(|p| p.first.zip(p.last)));
            let (from_height, to_height) = range.unzip();
            let all = range.map_or(0, |(from, to)| to.saturating_sub(from).saturating_add(1));
            let (done, heights) = progress.and_then(ProgressRow::heights).unwrap_or((0, all));
            let item = Item {
                network: network.to_string(),
                id: id.to_owned(),
                from_height,
                to_height,
                state: progress.map_or("asked", |p| &p.state).to_owned(),
                done,
                heights,
                blocks: progress.map_or(0, |p| p.blocks),
                transactions: progress.map_or(0, |p| p.transactions),
                rate: progress.and_then(|p| rate(network, p)),
                detail: match progress {
                    Some(progress) => progress.detail.clone(),
                    None => Some(screen::state(None)),
                },
                asked_at: request.map(|r| r.asked_at.rfc3339()),
            };
            (progress.is_some_and(ProgressRow::is_over), request.map_or(0, |r| r.asked_at.0), item)
        })
        .collect();
    items.sort_by(|a, b| (&a.2.network, a.0, a.1, &a.2.id).cmp(&(&b.2.network, b.0, b.1, &b.2.id)));
    items.into_iter().map(|(_, _, item)| item).collect()
}

fn shown(items: &[Item]) -> String {
    let head = ["NETWORK", "ID", "HEIGHTS", "STATE", "DONE", "BLOCKS/S", "ASKED AT", "DETAIL"].map(str::to_owned);
    let dash = || "-".to_owned();
    let row = |i: &Item| {
        let percent = if i.heights == 0 { 0 } else { (u128::from(i.done) * 100 / u128::from(i.heights)) as u64 };
        [
            i.network.clone(),
            i.id.clone(),
            i.from_height.zip(i.to_height).map_or_else(dash, |(from, to)| format!("{from}-{to}")),
            i.state.clone(),
            format!("{} of {} ({percent} %)", i.done, i.heights),
            i.rate.map_or_else(dash, |rate| format!("{rate:.1}")),
            i.asked_at.clone().unwrap_or_else(dash),
            i.detail.clone().unwrap_or_else(dash),
        ]
    };
    table(&std::iter::once(head).chain(items.iter().map(row)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use schemas::{
        TimeMs,
        records::{HeldRange, Wanted},
    };

    use super::*;

    #[test]
    fn the_list_has_what_is_open_and_what_is_over() {
        let network: Network = "n".parse().expect("a slug");
        let at = |next: u64| -> BTreeMap<Network, CheckpointRow> {
            let row: CheckpointRow = serde_json::from_value(serde_json::json!({"network": "n", "sequence": 9, "requests": [
                {"id": "n-old", "asks": "backfill", "state": "done", "first": 1, "last": 4, "next": 5, "blocks": 4, "transactions": 8},
                {"id": "n-2", "asks": "backfill", "state": "running", "first": 10, "last": 109, "next": next, "blocks": 1, "transactions": 2},
                {"id": "n-r", "asks": "accept-reorg", "state": "done", "blocks": 0, "transactions": 0}]}))
            .expect("JSON");
            BTreeMap::from([(network.clone(), row)])
        };
        let request = |id: &str, from, asked_at| Request {
            id: id.into(),
            network: network.clone(),
            asks: Asks::Backfill { heights: HeldRange { from, to: from + 99 }, again: false },
            wanted: Wanted::Run,
            asked_at: TimeMs(asked_at),
        };
        let known = [request("n-3", 500, 2), request("n-2", 10, 1)];
        let (before, now) = (at(20), at(60));
        let items = items(known.iter(), &now, Some((&before, Duration::from_secs(2))));
        let brief: Vec<_> =
            items.iter().map(|i| (i.id.as_str(), i.state.as_str(), i.done, i.heights, i.rate)).collect();
        assert_eq!(
            brief,
            [("n-2", "running", 50, 100, Some(20.0)), ("n-3", "asked", 0, 100, None), ("n-old", "done", 4, 4, None)]
        );
        let text = shown(&items);
        assert!(text.contains("n        n-2    10-109   running  50 of 100 (50 %)  20.0"), "{text}");
    }
}
