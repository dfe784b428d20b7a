//! `headwater backfill pause`, `resume`, `cancel`: what is to become of a request.

use std::path::Path;

use schemas::records::{Asks, Request, Wanted};

use super::{
    row::ProgressRow,
    state::{checkpoints, requests},
};
use crate::{exit::Failure, parts, way::Way};

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It waits.
    Pause,
    /// It goes on.
    Resume,
    /// It ends.
    Cancel,
}

/// Changes it.
#[allow(clippy::print_stderr)]
pub fn run(file: &Path, id: &str, change: Change) -> Result<(), Failure> {
    let config = runtime::config::load(file)?;
    let said = parts::block_on(async {
        let way = Way::find(&config).await?;
        let runs = config.log.kafka.is_some() || matches!(way, Way::There { .. });
        let said = apply(&way, id, change).await;
        way.close().await?;
        let note = if runs { "" } else { "; nothing runs on this log, so that it counts when `headwater up` runs" };
        said.map(|said| format!("{said}{note}"))
    })??;
    eprintln!("{said}");
    Ok(())
}

async fn apply(way: &Way, id: &str, change: Change) -> Result<String, Failure> {
    const TELLS: &str = "`headwater backfill list` tells them";
    let known = requests(way).await?;
    let checkpoints = checkpoints(way, None).await?;
    let progress = checkpoints.values().find_map(|c| c.progress(id));
    if let Some(over) = progress.filter(|p| p.is_over()) {
        return Err(Failure::new(format!("request {id} is over: {}", over.state)));
    }
    let Some(request) = known.0.get(id) else {
        let hint = if Request::is_id(id) { "" } else { ", and it could not: ids are 1 to 64 of a–z, 0–9 and -" };
        return Err(Failure::arguments(format!("no request has the id `{id}`{hint}; {TELLS}")));
    };
    let wanted = match (change, request.asks) {
        (_, Asks::AcceptGap { .. }) | (Change::Pause | Change::Resume, Asks::AcceptReorg) => {
            return Err(Failure::arguments(format!(
                "request {id} is no back-fill ({}); {TELLS}",
                request.asks.as_str()
            )));
        }
        (Change::Pause, _) => Wanted::Paused,
        (Change::Resume, _) => Wanted::Run,
        (Change::Cancel, _) => Wanted::Cancelled,
    };
    if request.wanted == Wanted::Cancelled && wanted != Wanted::Cancelled {
        return Err(Failure::new(format!("request {id} is being cancelled; ask for the range again")));
    }
    let mut request = request.clone();
    request.wanted = wanted;
    way.put(&request).await?;
    let done = progress.and_then(ProgressRow::heights).map(|(done, all)| format!(" at {done} of {all} heights"));
    let done = done.unwrap_or_default();
    Ok(match wanted {
        Wanted::Paused => format!("request {id} pauses{done}; `headwater backfill resume {id}` goes on"),
        Wanted::Run => format!("request {id} goes on{done}"),
        Wanted::Cancelled => format!("request {id} ends{done}; what was filled stays"),
    })
}
