//! The child's side: opens the folder, the port and the engine, in that order, and serves until it is told to stop.
//!
//! Guarantee: the port is bound before the sandbox closes, the sandbox before the engine is loaded, so that no thread of the
//! engine is ever outside of it; the line `ready URL` is printed when, and only when, requests are answered.

use super::config::{Config, engine_arguments};
use super::credentials::{Configured, Credentials};
use super::directory::Directory;
use super::ffi::{Connection, Engine};
use super::http::{self, Front};
use super::process::Parent;
use super::room::Room;
use super::sql::quoted_name;
use super::{Error, library, sandbox, tidy, unseen, watch};
use crate::ddl::{MIGRATIONS, tenants};
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time for running requests to end after the stop was asked for.
const GRACE: Duration = Duration::from_secs(8);

/// Runs the store in this process until `shutdown` resolves. Blocks; builds a runtime of its own, in which `shutdown` is
/// polled. Call it from `main` before any other thread exists: the sandbox covers the calling thread and what it starts.
///
/// Prints `ready http://ADDRESS:PORT` on standard output once it answers. Supervised by [`super::supervise`], it ends when
/// its parent ends.
///
/// # Errors
/// Whatever keeps it from opening, with what to do about it.
pub fn serve<S>(config: Config, shutdown: S) -> Result<(), Error>
where
    S: Future<Output = ()> + Send + 'static,
{
    if let Some(parent) = Parent::from_environment()
        && !parent.tie()
    {
        return Ok(()); // the parent is gone already
    }
    let library = library::locate(config.library.as_deref())?;
    let directory = Directory::open(&config.data_dir)?;
    let failure = std::env::var(tidy::FAILED).ok();
    let all = || MIGRATIONS.iter().chain(tenants::MIGRATIONS);
    let own = |table: &str| table == "schema_migrations" || all().any(|migration| migration.name == table);
    tidy::tidy(&directory.root, &config.database, own, failure.as_deref())?;
    let configured = Configured {
        stages: config.password.clone(),
        api: config.api_password.clone(),
        analyst: config.analyst_password.clone(),
    };
    let credentials = Credentials::load_or_create(&config.data_dir, configured)?;
    let arguments = engine_arguments(&directory, &config)?;
    let listener = std::net::TcpListener::bind(config.listen)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|reason| Error::Listen { address: config.listen, reason })?;
    let address = listener.local_addr().map_err(Error::io("asking for the bound address"))?;
    let shut = sandbox::enter(&directory.engine(), &directory.config(), &library, config.walls);
    let analyst = shut || config.analyst_without_landlock || !config.walls.landlock;
    if !analyst {
        tracing::warn!(
            "there is no analysts' user on this kernel; `[store] analyst_without_landlock = true` makes one"
        );
    }

    if !unseen::is_exported() {
        tracing::debug!("the engine's statements cost more than they need to: this program exports no __xstat");
    }
    let engine = Engine::load(&library)?;
    let mut master = open(engine, &arguments, &directory.engine(), &config.database)?;
    let path = arguments.first().cloned().unwrap_or_default();
    let room = Room::new(directory.engine(), config.reserve);
    let front = Front::new(engine, &mut master, &path, &config, &credentials, address, analyst, room.clone())
        .map_err(|reason| Error::DoesNotOpen { dir: directory.engine(), reason })?;
    drop(credentials);

    let front = Arc::new(front);
    watch::start(config.limits.memory, room, Arc::clone(&front)).map_err(Error::io("starting the memory's watch"))?;
    let limits = &config.limits;
    let turns = limits.stages_concurrency + limits.api_concurrency + limits.analyst_concurrency;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(turns + 32) // enders of statements
        .thread_name("store-http")
        .enable_all()
        .build()
        .map_err(Error::io("starting the store's runtime"))?;
    runtime.block_on(answer_until(shutdown, listener, Arc::clone(&front), address))?;
    runtime.shutdown_timeout(Duration::from_secs(2));
    front.close();
    drop(master);
    if !engine.shutdown() {
        tracing::debug!("threads of the engine end with the process");
    }
    Ok(())
}

async fn answer_until(
    shutdown: impl Future<Output = ()> + Send + 'static,
    listener: std::net::TcpListener,
    front: Arc<Front>,
    address: SocketAddr,
) -> Result<(), Error> {
    let listener = tokio::net::TcpListener::from_std(listener).map_err(Error::io("listening"))?;
    let stop = CancellationToken::new();
    let server = tokio::spawn(http::run(listener, front, stop.clone(), GRACE));
    announce(address).map_err(Error::io("saying ready on standard output"))?;
    shutdown.await;
    tracing::info!("the store stops");
    stop.cancel();
    let _ = server.await; // a panic in it was reported by the runtime
    Ok(())
}

fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready http://{address}")?;
    out.flush()
}

/// Boots the engine and makes the database.
fn open(engine: &'static Engine, arguments: &[String], dir: &Path, database: &str) -> Result<Connection, Error> {
    let failed = |reason: String| Error::DoesNotOpen { dir: dir.to_path_buf(), reason };
    // A failed boot has no text of its own: the engine writes the reason to standard error.
    let mut master = engine
        .connect(arguments)
        .map_err(|_| failed("it refused to start, for the reason that it wrote above".to_owned()))?;
    let create = format!("CREATE DATABASE IF NOT EXISTS {}", quoted_name(database));
    master.query(create.as_bytes(), "Null", &[]).map_err(|e| failed(e.0))?;
    Ok(master)
}
