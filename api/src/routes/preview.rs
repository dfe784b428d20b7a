//! `POST /monitors/preview`: what a monitor would have matched in the blocks that this process saw last. It keeps nothing.
//!
//! Guarantee: the answer is what the alerts' stage would have found there, by the same code (`conditions`), without what a reorg took back. What
//! is looked at is bounded by number and time, the newest first, and the answer says how far back that went. A block costs no more steps than
//! there, and the answer says what was left out for it, and whether causes that come late would find more.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use conditions::{Index, Monitor, Scratch};
use schemas::{Network, Op, TimeMs, limits::alerts as limits, records::EnrichedTransaction};

use super::answer::{Changed, Live, Refused};
use crate::{
    app::App,
    body::Body,
    door::Who,
    error::ApiError,
    items::{MatchItem, PreviewItem},
    live::LiveEvent,
    params::Params,
    tenants::Places,
};

/// What a monitor would have matched of late: of a definition as POST /monitors takes it, which is not kept.
///
/// Looked at are the newest transactions that are held for live clients. A monitor of several networks is tried on each.
#[utoipa::path(
    post,
    path = "/monitors/preview",
    operation_id = "preview_monitor",
    tag = "alerts",
    request_body(content = Object, description = "A monitor, as POST /monitors takes it"),
    responses((status = 200, body = PreviewItem), Changed, Refused)
)]
pub async fn monitor(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let monitor = Monitor::parse(&body.into_value()).map_err(|mistakes| ApiError::InvalidBody { mistakes })?;
    for network in &monitor.networks {
        if !who.tenant().reach().contains(network.as_str()) {
            return Err(ApiError::NetworkNotFound { network: network.to_string() });
        }
        app.known_network(network).await?;
    }
    let mistakes = monitor.wrong_in(|network| app.family(network));
    if !mistakes.is_empty() {
        return Err(ApiError::InvalidBody { mistakes });
    }
    let places = (app.previews.available_permits(), limits::PREVIEWS);
    let share = app.tenants.of(&who.who).place(Places::Previews, places, app.tenants.are_several())?;
    let permit = Arc::clone(&app.previews).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::Overloaded { what: "previews" })?;
    let networks = monitor.networks.clone();
    let max_steps = app.config.max_steps;
    let events = networks.iter().flat_map(|network| standing(&app, network)).collect();
    // It computes: beside the threads that answer.
    let looked = tokio::task::spawn_blocking(move || {
        let _permits = (permit, share);
        look(monitor, events, max_steps)
    });
    let found = looked.await.map_err(|error| {
        tracing::error!(%error, "a preview failed");
        ApiError::Internal
    })?;
    Ok(Live(Json(found)))
}

/// What this process holds of a network's blocks, without what was reverted since.
fn standing(app: &App, network: &Network) -> Vec<Arc<LiveEvent>> {
    let Some(span) = app.rings.span(network) else { return Vec::new() };
    let events = crate::ws::rest(&app.rings.of(network), span.first.saturating_sub(1));
    let undone = crate::ws::undone(&events);
    events.into_iter().filter(|event| event.op == Op::Apply && !undone.contains(&event.sequence)).collect()
}

/// Looks through them, the newest first.
fn look(monitor: Monitor, mut events: Vec<Arc<LiveEvent>>, max_steps: u64) -> PreviewItem {
    let began = Instant::now();
    let mut answer = PreviewItem { asks_for_causes: monitor.asks_for_causes(), ..PreviewItem::default() };
    let is_over =
        |answer: &PreviewItem| answer.transactions >= limits::PREVIEW.0 || began.elapsed() > limits::PREVIEW_TIME;
    let index = Index::of([("", "", 0, Arc::new(monitor))]);
    let mut scratch = Scratch::default();
    let (mut oldest, mut newest): (Option<TimeMs>, Option<TimeMs>) = (None, None);
    events.sort_by_key(|event| std::cmp::Reverse(event.time()));
    for event in events {
        if is_over(&answer) {
            break;
        }
        scratch.begin_block(max_steps);
        (oldest, newest) = (event.time(), newest.max(event.time()));
        let mut of_block: Vec<MatchItem> = Vec::new();
        for transaction in event.records() {
            if is_over(&answer) {
                break;
            }
            answer.transactions += 1;
            let found = index.find(&transaction, &mut scratch);
            let found = found.into_iter().flat_map(|hit| hit.matched);
            of_block.extend(found.map(|matched| item(&transaction, matched.found)));
        }
        answer.matches += of_block.len() as u64;
        answer.left_out += index.exhausted(&scratch).iter().map(|out| out.transactions).sum::<u64>();
        let room = limits::PREVIEW.1.saturating_sub(answer.items.len());
        answer.items.extend(of_block.into_iter().rev().take(room));
    }
    answer.from = oldest.map(|at| at.rfc3339());
    answer.to = newest.map(|at| at.rfc3339());
    answer
}

fn item(transaction: &EnrichedTransaction, found: schemas::records::Found) -> MatchItem {
    let envelope = &transaction.envelope;
    MatchItem {
        network: envelope.network.to_string(),
        transaction_hash: found.transaction_in(&envelope.block_hash),
        kind: found.kind.as_str().to_owned(),
        position: found.position,
        signature: found.signature,
        arguments: serde_json::from_str(&found.arguments).unwrap_or_default(),
        height: envelope.height,
        block_hash: envelope.block_hash.to_string(),
        monitor_version: 0,
        state: "live".to_owned(),
        at: envelope.block_time.rfc3339(),
        cause: found.cause,
        reason: None,
    }
}
