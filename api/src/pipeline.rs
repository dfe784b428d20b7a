//! All the wiring.
//!
//! ```text
//! stage.status ─▶ watch::Statuses ──┐
//! providers.samples ▶ watch::Providers ┤
//! store ◀────────▶ watch::Visible ──┼─▶ routes ─▶ door ─▶ guard ─▶ serve ─▶ listener
//! control store ─▶ door::ControlStore ┤
//!        ├─▶ publishing ─▶ control.config, control.tenants
//!        ├─◀ disabling ◀── alerts.deliveries
//!        └─▶ leaving ─▶ store
//! contract.facts ─▶ watch::Facts ───┤
//! enriched.* ─▶ live::{reader, Causes} ─▶ live::Rings ▶ ws ─┤
//! metrics.windows ─▶ live::Windows ─▶ ws ───────────────────┤
//! alerts.events ─▶ live::Alerts ─▶ ws, routes ──────────────┘
//! routes ─▶ alerts::Commands ─▶ alerts.commands
//! ```

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    handler::Handler,
    http::{HeaderName, HeaderValue, Method, header},
    middleware,
};
use bytes::Bytes;
use quick_cache::sync::Cache;
use runtime::{
    beat::{Beat, Board},
    control::Follower,
    hosts::Hosts,
    log::Log,
};
use schemas::{codec::Codec, limits, records::stage_status::state::RUNNING};
use store::Store;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tower_http::{
    compression::{CompressionLayer, predicate::SizeAbove},
    cors::{AllowOrigin, CorsLayer},
    limit::RequestBodyLimitLayer,
};

use crate::{
    alerts::Commands,
    app::App,
    catalogue::Catalogue,
    config::{Config, NetworkConfig},
    decoding::Abis,
    disabling,
    door::{self, Budgets},
    error::Error,
    guard, leaving,
    ledger::Counts,
    letters::Letters,
    live::{self, Alerts, Causes, Rings, Windows},
    oidc,
    past::Pages,
    publishing, routes, serve,
    tenants::Tenants,
    turns::Turns,
    watch::{Facts, Positions, Providers, Visible},
    windows::Answers,
};

/// The stage. See [`crate::run`].
pub async fn run(
    config: Config,
    listener: TcpListener,
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    // The service's own signal: a failed task ends the others, and dropping this future does too.
    let shutdown = shutdown.child_token();
    let _stop = shutdown.clone().drop_guard();
    let (board, instance) = (config.board.clone(), config.instance.clone());
    let mut networks = config.networks.clone();
    tell(&board, &networks.borrow_and_update());
    board.process(RUNNING, None);
    let beat = Beat::start(&board, &instance, Arc::clone(&log), Arc::clone(&codec), None);
    let hosts = Hosts::new(listener.local_addr().map_err(Error::Listener)?, &config.hosts);
    let asked = Follower::follow(Arc::clone(&log), Arc::clone(&codec));
    let facts = Facts::new(Arc::clone(&log), Arc::clone(&codec));
    let base = base(&config, listener.local_addr().map_err(Error::Listener)?);
    let alerts = Alerts::new(Arc::clone(&log), Arc::clone(&codec), base);
    let commands = Commands::new(Arc::clone(&log), Arc::clone(&codec), &instance);
    let (app, router) = assemble(config, hosts, store, (asked, facts, alerts, commands), shutdown.clone());
    let (rings, rates, statuses) = (Arc::clone(&app.rings), Arc::clone(&app.rates), Arc::clone(&app.statuses));

    let mut tasks: JoinSet<Result<(), Error>> = JoinSet::new();
    tasks.spawn({
        let (log, codec, shutdown) = (Arc::clone(&log), Arc::clone(&codec), shutdown.clone());
        let instance = instance.clone();
        async move { Ok(statuses.follow(instance, log, codec, shutdown).await?) }
    });
    tasks.spawn({
        let (shutdown, app) = (shutdown.clone(), Arc::clone(&app));
        let (log, codec) = (Arc::clone(&log), Arc::clone(&codec));
        async move {
            let measuring = routes::health::measure(Arc::clone(&app));
            let watching = async {
                tokio::join!(
                    app.probe.follow(&app.store),
                    app.providers.follow(&*log, &codec),
                    app.counts.count_ahead(&app),
                    crate::of_file::follow(&app),
                    app.facts.follow(),
                    app.causes.follow(&*log, &codec),
                    app.windows.follow(&*log, &codec),
                    app.alerts.follow(),
                    sending(&app),
                    measuring
                )
            };
            tokio::select! { _ = watching => {}, () = shutdown.cancelled() => {} }
            Ok(())
        }
    });
    tasks.spawn({
        let (shutdown, board) = (shutdown.clone(), board.clone());
        async move {
            let telling = async {
                while networks.changed().await.is_ok() {
                    tell(&board, &networks.borrow_and_update());
                }
                shutdown.cancelled().await;
            };
            tokio::select! { () = telling => {}, () = shutdown.cancelled() => {} }
            Ok(())
        }
    });
    tasks.spawn({
        let (shutdown, control) = (shutdown.clone(), app.config.control.clone());
        let app = Arc::clone(&app);
        let (log, codec, instance, board) = (Arc::clone(&log), Arc::clone(&codec), instance.clone(), board.clone());
        async move {
            tokio::select! { () = control.keep_opening(&shutdown) => {}, () = shutdown.cancelled() => {} }
            match control.get() {
                Ok(control) => {
                    tokio::select! {
                        () = publishing::run(Arc::clone(&control), Arc::clone(&log), Arc::clone(&codec), &instance, &board, &shutdown) => {}
                        () = disabling::follow(&control, &*log, &codec, &instance) => {}
                        () = app.tenants.follow(&control) => {}
                        () = letting_go(&control, app.config.remover.as_ref()) => {}
                    }
                    app.tenants.flush(&control).await;
                    control.close().await;
                }
                // A process without one serves all that needs none.
                Err(_) => shutdown.cancelled().await,
            }
            Ok(())
        }
    });
    tasks.spawn({
        let shutdown = shutdown.clone();
        let eager = Arc::clone(&app);
        async move { Ok(live::reader::follow(log, codec, rings, rates, move || eager.has_ws(), shutdown).await?) }
    });
    tasks.spawn({
        let shutdown = shutdown.clone();
        let certificate = app.config.certificate.clone();
        async move {
            let following = async {
                match &certificate {
                    Some(certificate) => certificate.follow().await,
                    None => std::future::pending().await,
                }
            };
            let serving = serve::serve(listener, certificate.clone(), router, shutdown);
            tokio::select! { served = serving => served.map_err(Error::Listener), () = following => Ok(()) }
        }
    });
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        shutdown.cancel();
        outcome = outcome.and(ended.map_err(Error::from).flatten());
    }
    if outcome.is_ok() {
        beat.farewell().await;
    }
    outcome
}

/// Sends letters, where there is a mail server.
async fn sending(app: &App) {
    if let Some(letters) = &app.letters {
        letters.follow(&app.config.control).await;
    }
}

/// Lets organisations go that are deleted, where this process may remove rows of the store.
async fn letting_go(control: &control::Control, remover: Option<&Store>) {
    match remover {
        Some(store) => leaving::follow(control, store).await,
        None => std::future::pending().await,
    }
}

/// Where people reach us, without a `/` at the end: `[api] public_url`, else where we listen.
fn base(config: &Config, at: SocketAddr) -> String {
    match &config.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None if config.certificate.is_some() => format!("https://{at}"),
        None => format!("http://{at}"),
    }
}

/// Says on the board which networks are configured.
fn tell(board: &Board, networks: &[NetworkConfig]) {
    board.configure(networks.iter().map(|n| (n.network.clone(), None)), None);
}

/// What is shared, and the router over it.
fn assemble(
    config: Config,
    hosts: Hosts,
    store: Store,
    (asked, facts, alerts, commands): (Follower, Facts, Alerts, Commands),
    shutdown: CancellationToken,
) -> (Arc<App>, Router) {
    let (router, openapi) = routes::all();
    let openapi = Bytes::from(serde_json::to_vec(&openapi).unwrap_or_default());
    let cors = cors(&config.allowed_origins);
    let rings = Arc::new(Rings::new(config.ws.buffer_events, config.ws.buffer_bytes));
    let app = Arc::new(App {
        hosts,
        store,
        visible: Visible::new(config.visible_every),
        statuses: Arc::default(),
        probe: Arc::default(),
        listening: tokio::time::Instant::now(),
        providers: Providers::new(Arc::clone(&rings)),
        rings,
        causes: Causes::default(),
        windows: Windows::default(),
        answers: Answers::default(),
        rates: Arc::default(),
        documents_tag: format!("{}-{:x}", env!("CARGO_PKG_VERSION"), openapi.len()),
        openapi,
        catalogue: Catalogue::default(),
        counts: Counts::default(),
        asked,
        oidc: oidc::Providers::new(&config.auth, config.public_url.as_ref()),
        letters: Letters::of(&config.auth, config.public_url.as_ref()),
        budgets: Budgets::new(config.rate_limit),
        tenants: Tenants::new(&config.instance, &config.cache),
        ended: Cache::new(limits::ENDED_SESSIONS),
        facts,
        alerts,
        commands,
        abis: Abis::default(),
        exports: Arc::default(),
        imports: Semaphore::new(limits::control::IMPORTS),
        previews: Arc::new(Semaphore::new(limits::alerts::PREVIEWS)),
        rule_previews: Arc::new(Semaphore::new(limits::alerts::RULE_PREVIEWS)),
        rule_preview_turns: Turns::default(),
        requests: Semaphore::new(config.concurrent_requests),
        row_requests: Semaphore::new(config.row_requests()),
        ws_connections: Arc::new(Semaphore::new(config.ws.connections)),
        positions: Positions::new(config.visible_every),
        pages: Pages::new(limits::WS_REPLAYS, limits::WS_REPLAY_BYTES),
        shutdown,
        config,
    });
    let router = router
        .fallback_service(routes::dashboard::serve.with_state(Arc::clone(&app)))
        .method_not_allowed_fallback(guard::method_not_allowed)
        // Of every body but one that is read while it comes.
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY_BYTES))
        .layer(RequestBodyLimitLayer::new(limits::control::IMPORT_BYTES))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(1_024)))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::admit))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), door::enter));
    let router = match cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let router =
        router.layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard)).with_state(Arc::clone(&app));
    (app, router)
}

/// How long a browser may keep what a preflight told it.
const PREFLIGHT: Duration = Duration::from_secs(600);

/// Same origin unless the operator names others (Fetch standard, CORS protocol): then pages of those may call us, with a key of their own
/// and without the browser's credentials.
fn cors(allowed: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = allowed.iter().filter_map(|o| o.parse().ok()).collect();
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE])
            .allow_headers([
                header::ACCEPT,
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                HeaderName::from_static("idempotency-key"),
            ])
            .expose_headers([
                header::ETAG,
                header::LOCATION,
                header::RETRY_AFTER,
                header::ALLOW,
                guard::REQUEST_ID,
                routes::answer::SEQUENCE,
                HeaderName::from_static("ratelimit-limit"),
                HeaderName::from_static("ratelimit-remaining"),
                HeaderName::from_static("ratelimit-reset"),
            ])
            .max_age(PREFLIGHT)
    })
}
