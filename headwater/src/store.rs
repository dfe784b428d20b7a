//! `headwater store`: the embedded store alone. `headwater up` runs it as its child.

use std::path::Path;

use runtime::{lifecycle, telemetry};

use crate::{exit::Failure, parts};

/// Serves the store until a signal, or until the parent that started it is gone.
pub fn run(file: &Path) -> Result<(), Failure> {
    telemetry::init_logs();
    let config = runtime::config::load(file)?;
    for warning in config.store.warnings() {
        tracing::warn!("{warning}");
    }
    // No other thread exists yet: the sandbox covers this one and all that it starts.
    Ok(store::engine::serve(parts::engine_config(&config), asked_to_stop())?)
}

async fn asked_to_stop() {
    // Nothing of the store is taken over without a restart; a hangup, which the whole process group may get, ends nothing.
    let _hangups = lifecycle::hangups();
    match lifecycle::signals() {
        Ok(mut signals) => {
            // The sender lives as long as the runtime.
            let _ = signals.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "cannot listen to signals; stop it with SIGKILL");
            std::future::pending().await
        }
    }
}
