//! `headwater up`: every stage in one process, over the embedded log and the embedded store.
//!
//! ```text
//! nodes ─▶ ingest ─▶ raw.* ─▶ enrich ─▶ enriched.* ─┬▶ sink ─▶ store (child process)
//!                                                    └▶ api ─▶ REST, WebSocket, dashboard
//! ```

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use runtime::{
    admin::{self, Readiness},
    config::Config,
    lifecycle::{self, Service},
    log::Log,
    telemetry,
};
use schemas::{codec::Codec, topics};
use store::engine::{self, ChildCommand, RestartPolicy, StoreState};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{exit::Failure, parts};

/// How long the stages may take to end.
const GRACE: Duration = Duration::from_secs(20);

/// Runs until stopped.
pub fn run(file: &Path) -> Result<(), Failure> {
    telemetry::init_logs();
    let config = runtime::config::load(file)?;
    if config.networks.is_empty() {
        tracing::warn!("no `[[network]]` in {}: nothing will be followed", file.display());
    }
    parts::block_on(serve(config, file.to_owned()))?
}

/// Opens everything, in an order in which each failure leaves nothing behind, and runs it.
pub async fn serve(config: Config, file: PathBuf) -> Result<(), Failure> {
    telemetry::init_metrics()?;
    let signals = lifecycle::signals()?;
    let api = bind(config.api_listen, "[api] listen").await?;
    let admin = bind(config.admin_listen, "[admin] listen").await?;
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|e| format!("cannot make the data directory {}: {e}; see `[data] dir`", config.data_dir.display()))?;
    let log = parts::open_log(&config).await?;
    log.ensure_topics(&topics::ALL, topics::DEFAULT_PARTITIONS).await?;

    let store_stop = CancellationToken::new();
    let program = std::env::current_exe()?;
    let arguments = ["store".into(), "--config".into(), file.into_os_string()];
    let supervisor =
        engine::supervise(ChildCommand::new(program, arguments), RestartPolicy::default(), store_stop.clone());

    let outcome = run_stages(&config, log.clone(), supervisor.state(), api, admin, signals).await;

    // The store outlives the stages: the sink's last inserts need it.
    store_stop.cancel();
    supervisor.stopped().await;
    log.close().await?;
    Failure::check(outcome?)
}

async fn bind(address: std::net::SocketAddr, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        Failure::new(format!(
            "cannot listen on {address}: {e}; another process may use the port: stop it or write another address under `{key}`"
        ))
    })
}

async fn run_stages(
    config: &Config,
    log: Arc<dyn Log>,
    store_state: watch::Receiver<StoreState>,
    api_listener: TcpListener,
    admin_listener: TcpListener,
    signals: tokio::sync::mpsc::Receiver<()>,
) -> Result<lifecycle::Outcome, Failure> {
    let codec = Arc::new(Codec::builtin());
    let readiness = Readiness::default();
    let mut service = Service::new(GRACE);
    let stop = service.stop_token();

    let (store, store_config) = parts::connect_store(config)?;
    service.spawn("store-state", follow_store(store_state, readiness.clone(), stop.clone()));
    service.spawn_stage(
        "ingest",
        2,
        ingest::run(parts::ingest_config(config), log.clone(), codec.clone(), stop.clone()),
    )?;
    service.spawn_stage(
        "enrich",
        1,
        enrich::run(parts::enrich_config(config), log.clone(), codec.clone(), stop.clone()),
    )?;
    service.spawn_stage(
        "sink",
        1,
        store::sink::run(parts::sink_config(config, store_config), log.clone(), codec.clone(), stop.clone()),
    )?;
    tracing::info!("dashboard and API at http://{}", api_listener.local_addr()?);
    service.spawn_stage(
        "api",
        1,
        api::run(parts::api_config(config), api_listener, store, log.clone(), codec, stop.clone()),
    )?;
    service.spawn("admin", admin::serve(admin_listener, readiness, crate::tail::route::routes(log), stop));
    Ok(service.run(signals).await)
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
