//! One engine process for all tests of this program: the program itself, started again.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use store::{
    StoreConfig,
    engine::{ChildCommand, Config, Configured, Credentials, RestartPolicy, Supervisor, locate, serve, supervise},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::http::Answer;

/// Names the engine's folder to the child.
const FOLDER: &str = "HEADWATER_API_TEST_ENGINE";

struct Engine {
    url: Url,
    credentials: Credentials,
    // Kept: the runtime supervises the child until this program ends, and the child ends with it.
    _runtime: tokio::runtime::Runtime,
    _supervisor: Supervisor,
}

static ENGINE: LazyLock<Engine> = LazyLock::new(start);

/// A store with a database of its own.
pub fn database() -> StoreConfig {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let engine = engine();
    let name = format!("api_test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    StoreConfig::new(engine.url.clone(), name, "headwater", engine.credentials.stages.expose())
}

/// Tests call this from their own runtimes; a thread without one may block.
fn engine() -> &'static Engine {
    std::thread::spawn(|| LazyLock::force(&ENGINE)).join().expect("the engine starts")
}

/// Where the engine speaks ClickHouse's HTTP interface.
pub fn at() -> SocketAddr {
    let found = engine().url.socket_addrs(|| None).expect("an address");
    *found.first().expect("an address")
}

/// The analysts' password.
pub fn analyst() -> String {
    engine().credentials.analyst.expose().to_owned()
}

/// A statement of the stages' user.
pub async fn as_stages(statement: &str) -> Answer {
    let headers = [("X-ClickHouse-User", "headwater"), ("X-ClickHouse-Key", engine().credentials.stages.expose())];
    crate::http::exchange(at(), "POST", "/", &headers, statement.as_bytes()).await
}

fn start() -> Engine {
    if let Err(missing) = locate(None) {
        panic!("{missing}");
    }
    let folder = fresh_folder();
    let program = std::env::current_exe().expect("this program");
    let arguments = ["engine::engine_process", "--exact", "--ignored", "--nocapture", "--test-threads=2"];
    let mut command = ChildCommand::new(program, arguments);
    command.environment.push((FOLDER.into(), folder.clone().into()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
    let (supervisor, url) = runtime.block_on(async {
        let supervisor = supervise(command, RestartPolicy::default(), CancellationToken::new());
        let url = supervisor.ready().await.expect("the engine is ready");
        (supervisor, url)
    });
    let credentials = Credentials::load_or_create(&folder, Configured::default()).expect("passwords");
    Engine { url, credentials, _runtime: runtime, _supervisor: supervisor }
}

/// A folder named after this process; those of processes that are gone are removed.
fn fresh_folder() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api-engines");
    std::fs::create_dir_all(&root).expect("a folder for engines");
    for entry in std::fs::read_dir(&root).expect("folder").flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
    let folder = root.join(std::process::id().to_string());
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Not a test: the engine's process, when this program starts itself.
#[test]
#[ignore = "the engine's process, started by the tests themselves"]
fn engine_process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    use std::io::Write as _;
    // The test harness may have begun a line.
    writeln!(std::io::stdout()).expect("standard output");
    serve(Config::new(PathBuf::from(folder)), std::future::pending()).expect("the engine serves");
}
