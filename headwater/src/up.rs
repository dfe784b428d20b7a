//! `headwater up`: every stage in one process; `headwater ingest`, `enrich`, `causes`, `aggregate`, `alerts`, `sink`, `api`: one of them. The log is
//! embedded or Kafka, the store embedded or a server: the stages cannot tell.
//!
//! ```text
//! nodes ─▶ ingest ─▶ raw.* ─▶ enrich ─▶ enriched.* ─┬▶ sink ─▶ store (child process)
//!           │          └─▶ causes ─▶ contract.facts ─▶ enrich, api; enriched.causes ─▶ sink, api
//!           └ ─ ─ ─ ─ ─ ─ ─ ┘                        ├▶ api ─▶ REST, WebSocket, dashboard
//!                                                    ├▶ aggregate ─▶ metrics.windows ─▶ sink, api
//!                                                    └▶ alerts ─▶ alerts.* ─▶ sink, api, the world
//! ```

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures::future::LocalBoxFuture;
use ingest::Networks;
use nodes::fleet::Limits;
use runtime::{
    admin::{self, Readiness},
    beat::Board,
    config::{Config, Live},
    lifecycle::{self, Service},
    log::Log,
    telemetry,
};
use schemas::codec::Codec;
use store::engine::{self, ChildCommand, RestartPolicy, StoreState};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::StageProcess,
    exit::Failure,
    origin::Origin,
    parts,
    reload::{self, Reloader},
    stage::{self, Stage},
};

/// How long the stages may take to end.
const GRACE: Duration = Duration::from_secs(20);

/// Runs every stage until stopped.
pub fn run(file: &Path) -> Result<(), Failure> {
    telemetry::init_logs();
    let origin = Origin::of(std::path::absolute(file)?);
    let config = origin.load()?;
    if config.networks.is_empty() {
        tracing::warn!("no `[[network]]` in {}: nothing will be followed", file.display());
    }
    parts::block_on(async { serve(config, origin, &stage::ALL, Some(lifecycle::hangups()?), None).await })?
}

/// Runs one stage until stopped, beside others in other processes: over Kafka and a store that they all reach.
/// `listen`: where the API listens instead of `[api] listen`.
pub fn run_one(args: &StageProcess, stage: Stage, listen: Option<SocketAddr>) -> Result<(), Failure> {
    telemetry::init_logs();
    let file = &args.config.config;
    let origin = Origin {
        file: std::path::absolute(file)?,
        instance: args.instance.clone(),
        admin_listen: args.admin_listen,
        api_listen: listen,
    };
    let config = origin.load()?;
    let missing = [
        (config.log.kafka.is_none(), "`[log] kafka`: the embedded log belongs to one process"),
        (
            config.store.url.is_none() && matches!(stage, Stage::Sink | Stage::Api),
            "`[store] url`: run `headwater store` or a ClickHouse server, and name it here",
        ),
    ];
    if let Some((_, what)) = missing.iter().find(|(missing, _)| *missing) {
        return Err(Failure::config(format!(
            "{}: a stage in a process of its own needs {what}; `headwater up` runs all stages in one process",
            file.display()
        )));
    }
    parts::block_on(async { serve(config, origin, &[stage], Some(lifecycle::hangups()?), None).await })?
}

/// Work beside the stages, with the log that they work on, until the token asks it to stop. When it ends, so do they.
pub struct Beside(pub Box<Aside>);

type Aside = dyn FnOnce(Arc<dyn Log>, Arc<Codec>, CancellationToken) -> LocalBoxFuture<'static, ()>;

/// Opens everything, in an order in which each failure leaves nothing behind, and runs it. `hangups`: when the file is to be read again
/// without being asked by a command.
pub async fn serve(
    config: Config,
    origin: Origin,
    stages: &[Stage],
    hangups: Option<mpsc::Receiver<()>>,
    beside: Option<Beside>,
) -> Result<(), Failure> {
    if stages.contains(&Stage::Causes) || stages.contains(&Stage::Api) {
        // A mistake in it stops the start before anything is opened.
        parts::table_of_causes(&config).map_err(Failure::config)?;
    }
    telemetry::init_metrics()?;
    parts::describe_metrics();
    let signals = lifecycle::signals()?;
    let api = match stages.contains(&Stage::Api) {
        true => Some(bind(config.api_listen, "[api] listen").await?),
        false => None,
    };
    let admin = bind(config.admin_listen, "[admin] listen").await?;
    for warning in config.auth.warnings(&config.doors()) {
        tracing::warn!("{warning}");
    }
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|e| format!("cannot make the data directory {}: {e}; see `[data] dir`", config.data_dir.display()))?;
    let wanted = stages.iter().any(|stage| matches!(stage, Stage::Sink | Stage::Api)) && config.store.url.is_none();
    if wanted {
        // Before the log is written to: a store that this version does not know would never take what follows.
        engine::check_format(&config.data_dir)?;
    }
    let open = parts::open_log(&config).await?;
    parts::prepare_topics(&config, &open, stages).await?;
    let codec = Arc::new(parts::codec(&config).await?);

    let store_stop = CancellationToken::new();
    let supervisor = match wanted {
        false => None,
        true => {
            let arguments = ["store".into(), "--config".into(), origin.file.clone().into_os_string()];
            let child = ChildCommand::new(std::env::current_exe()?, arguments);
            Some(engine::supervise(child, RestartPolicy::default(), store_stop.clone()))
        }
    };

    let doors = Doors { api, admin, signals, hangups, store: supervisor.as_ref().map(engine::Supervisor::state) };
    let outcome = run_stages(config, origin, stages, open.log.clone(), codec, doors, beside).await;

    // The store outlives the stages: the sink's last inserts need it.
    store_stop.cancel();
    if let Some(supervisor) = supervisor {
        supervisor.stopped().await;
    }
    open.close().await?;
    Failure::check(outcome?)
}

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        Failure::new(format!(
            "cannot listen on {address}: {e}; another process may use the port: stop it or write another address under `{key}`"
        ))
    })
}

/// How the world reaches the stages.
struct Doors {
    api: Option<TcpListener>,
    admin: TcpListener,
    signals: mpsc::Receiver<()>,
    /// When the configuration is to be read again.
    hangups: Option<mpsc::Receiver<()>>,
    /// The state of the embedded store's process.
    store: Option<watch::Receiver<StoreState>>,
}

async fn run_stages(
    config: Config,
    origin: Origin,
    stages: &[Stage],
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    doors: Doors,
    beside: Option<Beside>,
) -> Result<lifecycle::Outcome, Failure> {
    let control = parts::control_store(&config);
    let gate = parts::admin_gate(&config, &control);
    if doors.api.is_some() || gate.is_some() {
        parts::open_control(&control).await?;
    }
    let readiness = Readiness::default();
    let mut service = Service::new(GRACE);
    let stop = service.stop_token();
    if let Some(state) = doors.store {
        service.spawn("store-state", follow_store(state, readiness.clone(), stop.clone()));
    }
    let mut boards = Vec::new();
    let mut live = Live::new(config.clone());
    let mut followed = None;
    // Stages that ask nodes keep to the endpoints' limits together (rule 33).
    let limits = Limits::default();
    if stages.contains(&Stage::Ingest) {
        let settings = ingest::Config { past: parts::past(&config)?, ..parts::ingest_config(&config) };
        boards.push(settings.board.clone());
        let networks = parts::ingest_networks(&config, &limits);
        let networks = Networks::new(&networks, &settings.tuning, &settings.instance)?;
        followed = Some((networks.clone(), limits.clone()));
        let ingest = ingest::run_over(settings, networks, log.clone(), codec.clone(), stop.clone());
        service.spawn_stage("ingest", 2, ingest)?;
    }
    if stages.contains(&Stage::Enrich) {
        let settings = parts::enrich_config(&mut live);
        boards.push(settings.board.clone());
        service.spawn_stage("enrich", 1, enrich::run(settings, log.clone(), codec.clone(), stop.clone()))?;
    }
    if stages.contains(&Stage::Causes) {
        let settings = parts::causes_config(&mut live, &limits)?;
        boards.push(settings.board.clone());
        service.spawn_stage("causes", 2, enrich::causes::run(settings, log.clone(), codec.clone(), stop.clone()))?;
    }
    if stages.contains(&Stage::Aggregate) {
        let settings = parts::aggregate_config(&mut live);
        boards.push(settings.board.clone());
        service.spawn_stage("aggregate", 1, aggregate::run(settings, log.clone(), codec.clone(), stop.clone()))?;
    }
    if stages.contains(&Stage::Alerts) {
        let past = parts::contract_past(&config, stages)?;
        let settings = alerts::Config { past, ..parts::alerts_config(&mut live) };
        boards.push(settings.board.clone());
        service.spawn_stage("alerts", 2, alerts::run(settings, log.clone(), codec.clone(), stop.clone()))?;
    }
    if stages.contains(&Stage::Sink) {
        let (_, store_config) = parts::connect_store(&config, parts::Asker::Sink)?;
        let settings = parts::sink_config(&mut live, store_config);
        boards.push(settings.board.clone());
        service.spawn_stage("sink", 1, store::sink::run(settings, log.clone(), codec.clone(), stop.clone()))?;
    }
    if let Some(listener) = doors.api {
        for warning in config.store.warnings().into_iter().filter(|_| config.store.url.is_some()) {
            tracing::warn!("{warning}");
        }
        let (store, _) = parts::connect_store(&config, parts::Asker::Api)?;
        let certificate = parts::certificate(&config)?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        match &config.api.public_url {
            Some(url) => tracing::info!("dashboard and API at {url} ({scheme}://{})", listener.local_addr()?),
            None => tracing::info!("dashboard and API at {scheme}://{}", listener.local_addr()?),
        }
        let mut settings = parts::api_config(&mut live, control.clone(), certificate);
        settings.remover = Some(parts::connect_store(&config, parts::Asker::Sink)?.0);
        settings.causes = parts::table_of_causes(&config)?;
        settings.cause_pending = config.causes.give_up_after + schemas::limits::finding::CAUSE_ON_ITS_WAY;
        boards.push(settings.board.clone());
        let api = api::run(settings, listener, store, log.clone(), codec.clone(), stop.clone());
        service.spawn_stage("api", 1, api)?;
    }
    let beside = beside.map(|Beside(work)| work(log.clone(), codec.clone(), stop.clone()));
    service.spawn("readiness", follow_boards(boards, readiness.clone(), stop.clone()));
    let reloader = Arc::new(Reloader::new(origin, stages, followed, live));
    let more = crate::tail::route::routes(log.clone(), codec.clone())
        .merge(crate::requests::route::routes(log, codec))
        .merge(reload::route::routes(reloader.clone()));
    if let Some(hangups) = doors.hangups {
        let stop = stop.clone();
        service.spawn("reload", async move { reloader.follow(hangups, stop).await });
    }
    if gate.is_some() && !stages.contains(&Stage::Api) {
        let stop = stop.clone();
        service.spawn("control", async move {
            control.keep_opening(&stop).await;
            stop.cancelled().await;
            Ok::<(), std::convert::Infallible>(())
        });
    }
    let hosts = config.admin_hosts.clone();
    service.spawn("admin", async move { admin::serve(doors.admin, &hosts, gate, readiness, more, stop).await });
    let all_stop = service.stop_token();
    let beside = async move {
        if let Some(work) = beside {
            work.await;
            all_stop.cancel();
        }
    };
    Ok(tokio::join!(service.run(doors.signals), beside).0)
}

/// How often it is looked whether stages are ready.
const LOOK: Duration = Duration::from_millis(500);

/// Keeps the readiness of the stages in step with what they say: one is ready when it works and the log lets it be heard.
async fn follow_boards(
    boards: Vec<Board>,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), lifecycle::BoxError> {
    loop {
        for board in &boards {
            match board.not_ready() {
                None => readiness.ready(board.stage()),
                Some(why) => readiness.not_ready(board.stage(), why),
            }
        }
        tokio::select! { () = stop.cancelled() => return Ok(()), () = tokio::time::sleep(LOOK) => {} }
    }
}

/// Keeps the readiness of the store in step with its process.
async fn follow_store(
    mut state: watch::Receiver<StoreState>,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), lifecycle::BoxError> {
    loop {
        match &*state.borrow_and_update() {
            StoreState::Starting => readiness.not_ready("store", "starting"),
            StoreState::Ready(_) => readiness.ready("store"),
            StoreState::Down { error, .. } => readiness.not_ready("store", error.clone()),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = state.changed() => if changed.is_err() { stop.cancelled().await; return Ok(()) },
        }
    }
}
