//! The embedded store by itself, for tests and for measuring: what `headwater store` runs, without a configuration file.
//!
//! `store-engine DATA_DIR [LISTEN]`
//!
//! `HEADWATER_TEST_WALLS` names the walls around analysts that stand (`judge,grants,limits,landlock,seccomp`), so that tests can
//! show that each holds by itself; all stand without it. `HEADWATER_TEST_MEMORY` is the engine's memory,
//! bytes; `HEADWATER_TEST_RESERVE` the room on the disk that others keep free, bytes; `HEADWATER_TEST_WITHOUT_LANDLOCK` allows the analysts' user on a kernel that has none.

use std::process::ExitCode;
use store::engine::{Config, Walls, serve};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(data_dir) = arguments.next() else {
        eprintln!("usage: store-engine DATA_DIR [LISTEN]");
        return ExitCode::from(2);
    };
    let mut config = Config::new(data_dir);
    if let Some(listen) = arguments.next() {
        match listen.parse() {
            Ok(address) => config.listen = address,
            Err(error) => {
                eprintln!("{listen} is no address: {error}");
                return ExitCode::from(2);
            }
        }
    }
    if let Ok(named) = std::env::var("HEADWATER_TEST_WALLS") {
        let stands = |wall: &str| named.split(',').any(|name| name == wall);
        config.walls = Walls {
            judge: stands("judge"),
            grants: stands("grants"),
            limits: stands("limits"),
            landlock: stands("landlock"),
            seccomp: stands("seccomp"),
        };
    }
    let bytes = |name: &str| std::env::var(name).ok().and_then(|bytes| bytes.parse::<u64>().ok());
    if let Some(memory) = bytes("HEADWATER_TEST_MEMORY") {
        config.limits.memory = memory;
    }
    if let Some(reserve) = bytes("HEADWATER_TEST_RESERVE") {
        config.reserve = reserve;
    }
    config.analyst_without_landlock = std::env::var_os("HEADWATER_TEST_WITHOUT_LANDLOCK").is_some();
    config.analyst_contracts = std::env::var_os("HEADWATER_TEST_WITHOUT_CONTRACTS").is_none();
    let shutdown = async {
        let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(signal) => signal,
            Err(_) => return std::future::pending().await,
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    match serve(config, shutdown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
