//! `headwater accept-reorg`: asks the watcher of a network to follow the nodes' chain although it leaves the held one too deep (rule 7).

use schemas::{
    Network, TimeMs,
    records::{Asks, NetworkState, Request, Wanted, stage_status::stage},
};

use super::{
    Accept, new_id,
    state::{StatusRow, checkpoints, statuses, tidy},
};
use crate::{exit::Failure, way::Way};

/// Asks.
pub fn accept(args: &Accept) -> Result<(), Failure> {
    args.carry_out(async |way, network| Ok(vec![ask(way, network).await?]))
}

async fn ask(way: &Way, network: &Network) -> Result<String, Failure> {
    let checkpoints = checkpoints(way, Some(network)).await?;
    let statuses = statuses(way, network).await?;
    let checkpoint = checkpoints.get(network);
    let said = statuses.get(stage::INGEST);
    let stands = checkpoint.is_some_and(|c| c.reorg_too_deep == Some(true)) || said.is_some_and(is_refused);
    if !stands {
        let state = said.map_or("not followed by any process", |s| s.state.as_str());
        return Err(Failure::new(format!(
            "network `{network}` does not stand still because of a reorg (it is {state}): there is nothing to accept"
        )));
    }
    let known = tidy(way, &checkpoints).await?;
    if let Some(open) = known.0.values().find(|r| r.network == *network && r.asks == Asks::AcceptReorg) {
        let id = &open.id;
        return Ok(format!("request {id} asks for it already; `headwater status` says how far it is"));
    }
    let now = TimeMs::now();
    let request = Request {
        id: new_id(network, now, &known),
        network: network.clone(),
        asks: Asks::AcceptReorg,
        wanted: Wanted::Run,
        asked_at: now,
    };
    way.put(&request).await?;
    let tip = checkpoint.and_then(|c| c.tip_height).map(|tip| format!(" (the tip is {tip})")).unwrap_or_default();
    Ok(format!(
        "request {}: what network `{network}` holds above the last block that the nodes' chain has too{tip} is given up, and their \
         blocks are applied; `headwater status` says how far it is",
        request.id
    ))
}

/// Whether ingest says that a chain waits for this command.
fn is_refused(said: &StatusRow) -> bool {
    said.state == NetworkState::ReorgTooDeep.as_str()
        || said.detail.as_deref().is_some_and(|detail| detail.contains("headwater accept-reorg"))
}
