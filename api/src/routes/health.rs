//! `GET /health`: per network what the node's tip is, what is processed, and what is wrong; per stage whether it lives.
//!
//! Guarantee: it costs the store nothing. What it says was said by the stages, and is held in memory; whether the store answers is
//! asked in the background, however many ask here. (While a sink of a former version runs the store is asked, at most twice a second.)

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use schemas::{
    Family, Network, TimeMs,
    records::{
        EnrichStatus, NetworkState, StageStatus,
        stage_status::stage::{CHAIN, ENRICH, INGEST, SINK},
    },
};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::answer::{Live, Refused};
use crate::{
    app::App,
    error::ApiError,
    health::{Case, HealthProblem, Judged, NetworkStage, Now, StageHealth, judge, network_stage},
    metrics,
    params::Params,
    watch::Snapshot,
};

/// How the service is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`: every stage was heard within three of its periods, every network gets on, and the store answers. `starting`: some
    /// network was not heard of yet, or the store has not opened yet; nothing is wrong. `degraded`: something is wrong; `problems`
    /// or `store_error` says what.
    pub status: HealthStatus,
    /// What the store's failure is; null while it answers.
    pub store_error: Option<String>,
    /// What is wrong: which stage, of which network, since when, and what to do. Empty while nothing is.
    pub problems: Vec<HealthProblem>,
    /// What will be wrong some day, and how to keep it from that: of the store, that `[store] max_bytes` is near, and what goes then.
    /// Nothing is `degraded` for it.
    pub warnings: Vec<HealthProblem>,
    /// Each stage, with its processes.
    pub stages: Vec<StageHealth>,
    /// Configured networks in the order of the configuration, then others that a stage has.
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
    /// `starting`, `syncing`, `live`, `stalled`, `wrong_chain`, `no_receipts`, `reorg_too_deep`, `unconfirmed`, `diverged` (from its watcher),
    /// `log_replaced`, `overtaken` or `unreadable` (from enrich, or from the store's sink), `refused` (the store takes everything but
    /// a block of it, which is tried again every few minutes), `upgrading` (the sink brings the store of a former version into its
    /// layout first), `unconfigured` (the process that has its partition does not know it), or `silent` (the stage that has it says
    /// nothing any more).
    pub state: String,
    /// The node's tip as last seen; null before the first answer.
    pub tip_height: Option<u64>,
    /// Highest canonical block that is visible in the store.
    pub processed_height: Option<u64>,
    /// Blocks between the two; null while either is unknown.
    pub lag_blocks: Option<u64>,
    /// Sequence of the last event that is visible in the store; 0 before the first, null while the sink has not said.
    /// Good as `after` of a WebSocket subscription.
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
    /// How it is doing at each stage, in the order of the data.
    pub stages: Vec<NetworkStage>,
}

/// How Headwater is doing, per stage and per network.
///
/// Always 200 while the API answers. `processed` means: visible in the store.
#[utoipa::path(get, path = "/health", tag = "state", responses((status = 200, body = Health), Refused))]
pub async fn health(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let heard = app.statuses.snapshot();
    let configured = app.configured();
    let case = case(&app, &heard, &configured);
    // A sink of a former version does not say what is visible: then the store is asked, as that version did.
    if case.is_former(SINK) && !app.probe.may_be_starting(app.config.store_grace) {
        let _ = app.visible.refresh(&app.store, &app.networks()).await;
    }
    let judged = judge(&case);
    let more = others(&heard, &configured, &case);
    let networks: Vec<NetworkHealth> =
        configured.iter().chain(&more).map(|network| of(network, &case, &judged, &app)).collect();
    let store_error = app.probe.error();
    let store = match &store_error {
        None => HealthStatus::Ok,
        Some(_) if app.probe.may_be_starting(app.config.store_grace) => HealthStatus::Starting,
        Some(_) => HealthStatus::Degraded,
    };
    let status = overall(store, &judged, &networks);
    let Judged { problems, mut warnings, stages, .. } = judged;
    warnings.extend(app.config.open_door.iter().map(|problem| HealthProblem {
        stage: "api".to_owned(),
        network: None,
        since: None,
        problem: problem.clone(),
        cure: "write `mode = \"keys\"` under `[auth]`, unless something else keeps strangers out".to_owned(),
    }));
    Ok(Live(Json(Health { status, store_error, problems, warnings, stages, networks })))
}

fn case<'a>(app: &App, heard: &'a Snapshot, configured: &'a [Network]) -> Case<'a> {
    Case {
        heard,
        now: Now { at: Instant::now(), wall: TimeMs::now() },
        listening: app.listening,
        unheard: app.config.board.unheard(),
        configured,
    }
}

/// How often the judgement becomes a metric.
const MEASURE: Duration = Duration::from_secs(5);

/// Tells Prometheus what `/health` would say, until dropped.
pub async fn measure(app: Arc<App>) {
    loop {
        let (heard, configured) = (app.statuses.snapshot(), app.configured());
        let judged = judge(&case(&app, &heard, &configured));
        for stage in CHAIN {
            let silent = judged.stages.iter().any(|s| s.stage == stage && s.state == "silent");
            let problems = judged.problems.iter().filter(|p| p.stage == stage).count();
            metrics::stage(stage, silent, problems);
        }
        tokio::time::sleep(MEASURE).await;
    }
}

/// Networks that some stage has and this process's configuration has not. One that was taken out of all configurations still lives on
/// its partition, of which the stages speak; it is none of them.
fn others(heard: &Snapshot, configured: &[Network], case: &Case<'_>) -> BTreeSet<Network> {
    let spoken = heard.said.values().filter_map(|h| h.status.network.as_ref()).filter(|n| !case.given_up(n));
    spoken.chain(heard.watchers.keys()).filter(|n| !configured.contains(n)).cloned().collect()
}

fn of(network: &Network, case: &Case<'_>, judged: &Judged, app: &App) -> NetworkHealth {
    let said = |stage| case.heard_of(stage, network).map(|h| &h.status);
    let (ingest, sink) = (said(INGEST), said(SINK));
    let former = case.heard.watchers.get(network).filter(|w| ingest.is_none_or(|i| w.at > i.at));
    let stages: Vec<NetworkStage> = CHAIN.iter().map(|stage| network_stage(case, stage, network)).collect();
    let configured = app.config.networks.borrow().iter().find(|n| n.network == *network).map(|n| n.family);
    let family = [ingest, sink].into_iter().flatten().find_map(|s| s.family).or(former.map(|w| w.family));
    // Where the sink has not spoken yet, what some request had to ask the store for.
    let seen = app.visible.of(network.as_str());
    let head = seen.as_ref().and_then(|s| s.head.as_ref());
    let tip_height = former.and_then(|w| w.tip_height).or(ingest.and_then(|s| s.tip_height));
    let by_sink = |of: fn(&StageStatus) -> Option<u64>| sink.and_then(of);
    let processed_height = by_sink(|s| s.height).or(head.map(|h| h.number));
    let last_block_at = sink.and_then(|s| s.block_time).or(head.map(|h| h.timestamp));
    let halt =
        case.heard.former_halt(network).filter(|h| case.heard_of(ENRICH, network).is_none_or(|e| h.at > e.status.at));
    let bad = stages.iter().rev().find(|s| is_bad(s));
    let problem = judged.problem_of(network.as_str(), bad.map(|s| s.stage.as_str()));
    NetworkHealth {
        network: network.to_string(),
        family: configured.or(family).unwrap_or(Family::Evm).as_str().to_owned(),
        state: bad.map_or_else(|| state(&stages, former.map(|w| w.state), halt), |s| s.state.clone()),
        tip_height,
        processed_height,
        lag_blocks: tip_height.zip(processed_height).map(|(tip, done)| tip.saturating_sub(done)),
        processed_sequence: by_sink(|s| s.sequence).or(seen.as_ref().map(|s| s.processed_sequence)),
        last_block_at: last_block_at.map(TimeMs::rfc3339),
        tx_per_second: app.rates.per_second(network),
        endpoint: former.map_or_else(|| ingest.and_then(|s| s.endpoint.clone()), |w| w.endpoint.clone()),
        error: problem.map(|p| format!("{}. {}", p.problem, p.cure)),
        stages,
    }
}

/// It says what is wrong.
fn is_bad(stage: &NetworkStage) -> bool {
    !matches!(stage.state.as_str(), "running" | "starting" | "syncing" | "live" | "silent")
}

/// The one word for a network of which no stage says anything bad: what its watcher says.
fn state(stages: &[NetworkStage], former: Option<NetworkState>, halt: Option<&EnrichStatus>) -> String {
    if let Some(halt) = halt {
        return halt.state.as_str().to_owned();
    }
    if let Some(former) = former {
        return former.as_str().to_owned();
    }
    if stages.iter().any(|s| s.state == "silent") {
        return "silent".to_owned();
    }
    stages.first().map_or_else(|| NetworkState::Starting.as_str().to_owned(), |s| s.state.clone())
}

fn overall(store: HealthStatus, judged: &Judged, networks: &[NetworkHealth]) -> HealthStatus {
    let starts = |n: &NetworkHealth| n.state == "starting" && judged.followed.contains(&n.network);
    if store == HealthStatus::Degraded || !judged.problems.is_empty() {
        HealthStatus::Degraded
    } else if store == HealthStatus::Starting || networks.iter().any(starts) {
        HealthStatus::Starting
    } else {
        HealthStatus::Ok
    }
}
