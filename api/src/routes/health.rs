//! `GET /health`: per network what the node's tip is, what is processed, and what is wrong.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use schemas::{
    Family, Network,
    records::{NetworkState, NetworkStatus},
};
use serde::Serialize;
use store::query::StoredNetwork;
use utoipa::ToSchema;

use super::answer::{Live, Refused};
use crate::{app::App, error::ApiError, params::Params};

/// How the service is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`: every network is followed and the store answers. `starting`: some network was not heard of yet, or the store has
    /// not opened yet; nothing is wrong. `degraded`: something is wrong; `networks[].error` or `store_error` says what.
    pub status: HealthStatus,
    /// What the store's failure is; null while it answers.
    pub store_error: Option<String>,
    /// Configured networks in the order of the configuration, then others that the store holds.
    pub networks: Vec<NetworkHealth>,
}

/// The word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All is well.
    Ok,
    /// Not everything was heard of yet.
    Starting,
    /// Something is wrong.
    Degraded,
}

/// How a network is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct NetworkHealth {
    /// Its slug.
    pub network: String,
    /// `evm`, `bitcoin` or `stellar`.
    pub family: String,
    /// `starting`, `syncing`, `live`, `stalled`, `wrong_chain`, `no_receipts`, `reorg_too_deep` (from its watcher),
    /// `log_replaced`, `overtaken` or `unreadable` (from enrich, or from the store's sink).
    pub state: String,
    /// The node's tip as last seen; null before the first answer.
    pub tip_height: Option<u64>,
    /// Highest canonical block that is visible in the store.
    pub processed_height: Option<u64>,
    /// Blocks between the two; null while either is unknown.
    pub lag_blocks: Option<u64>,
    /// Sequence of the last event that is visible in the store; 0 before the first, null while the store is away and was
    /// never asked. Good as `after` of a WebSocket subscription.
    pub processed_sequence: Option<u64>,
    /// Time stamp of the highest processed block.
    #[schema(format = DateTime)]
    pub last_block_at: Option<String>,
    /// Transactions per second that passed the live edge in the trailing minute.
    pub tx_per_second: f64,
    /// Name of the endpoint in use.
    pub endpoint: Option<String>,
    /// What is wrong and what to do; null when nothing is.
    pub error: Option<String>,
}

/// How Headwater is doing, per network.
///
/// Always 200 while the API answers. `processed` means: visible in the store.
#[utoipa::path(get, path = "/health", tag = "state", responses((status = 200, body = Health), Refused))]
pub async fn health(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let store_error = app.visible.refresh(&app.store, &app.config.networks).await.err().map(|e| e.to_string());
    let mut networks: Vec<NetworkHealth> = Vec::new();
    let mut stored: BTreeMap<String, StoredNetwork> =
        app.visible.networks().into_iter().map(|n| (n.network.clone(), n)).collect();
    let configured = app.config.networks.iter().map(|n| (n.network.clone(), n.family));
    for (network, family) in configured {
        let stored = stored.remove(network.as_str());
        networks.push(of(&network, family.as_str(), app.statuses.of(&network), stored, &app));
    }
    for (slug, stored) in stored {
        let Ok(network) = slug.parse::<Network>() else { continue };
        let family = stored.family.clone();
        networks.push(of(&network, &family, app.statuses.of(&network), Some(stored), &app));
    }
    let store = match &store_error {
        None => HealthStatus::Ok,
        Some(_) if app.visible.may_be_starting(app.config.store_grace) => HealthStatus::Starting,
        Some(_) => HealthStatus::Degraded,
    };
    let status = overall(store, &networks);
    Ok(Live(Json(Health { status, store_error, networks })))
}

fn of(
    network: &Network,
    family: &str,
    watcher: Option<NetworkStatus>,
    stored: Option<StoredNetwork>,
    app: &App,
) -> NetworkHealth {
    let family = match family {
        "" => Family::Evm.as_str(),
        family => family,
    };
    let sink_trouble = stored.as_ref().filter(|s| s.state != "running" && !s.state.is_empty());
    let enrich_trouble = app.statuses.halt_of(network);
    let state = match (&sink_trouble, &enrich_trouble, &watcher) {
        (Some(s), ..) => s.state.clone(),
        (None, Some(e), _) => e.state.as_str().to_owned(),
        (None, None, Some(w)) => w.state.as_str().to_owned(),
        (None, None, None) => NetworkState::Starting.as_str().to_owned(),
    };
    let error = match (sink_trouble, enrich_trouble) {
        (Some(s), _) if !s.message.is_empty() => Some(s.message.clone()),
        (Some(s), _) => Some(format!("the store's sink stopped this network: {}", s.state)),
        (None, Some(e)) => {
            Some(e.detail.unwrap_or_else(|| format!("enrich stopped this network: {}", e.state.as_str())))
        }
        (None, None) => watcher.as_ref().and_then(|w| w.detail.clone()),
    };
    let head = stored.as_ref().and_then(|s| s.head.as_ref());
    let tip_height = watcher.as_ref().and_then(|w| w.tip_height);
    let processed_height = head.map(|h| h.number);
    NetworkHealth {
        network: network.to_string(),
        family: family.to_owned(),
        state,
        tip_height,
        processed_height,
        lag_blocks: tip_height.zip(processed_height).map(|(tip, done)| tip.saturating_sub(done)),
        processed_sequence: match stored.as_ref() {
            Some(s) => Some(s.processed_sequence),
            None => app.visible.was_seen().then_some(0),
        },
        last_block_at: head.map(|h| h.timestamp.rfc3339()),
        tx_per_second: app.rates.per_second(network),
        endpoint: watcher.and_then(|w| w.endpoint),
        error,
    }
}

fn overall(store: HealthStatus, networks: &[NetworkHealth]) -> HealthStatus {
    let bad = |n: &NetworkHealth| !matches!(n.state.as_str(), "starting" | "syncing" | "live") || n.error.is_some();
    if store == HealthStatus::Degraded || networks.iter().any(bad) {
        HealthStatus::Degraded
    } else if store == HealthStatus::Starting || networks.iter().any(|n| n.state == "starting") {
        HealthStatus::Starting
    } else {
        HealthStatus::Ok
    }
}
