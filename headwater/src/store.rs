//! `headwater store`: the embedded store alone. `headwater up` runs it as its child.

use std::path::Path;

use runtime::{lifecycle, telemetry};
use tokio_util::sync::CancellationToken;

use crate::{exit::Failure, parts};

/// Serves the store until a signal, or until the parent that started it is gone.
pub fn run(file: &Path) -> Result<(), Failure> {
    telemetry::init_logs();
    let config = runtime::config::load(file)?;
    parts::block_on(async {
        let mut signals = lifecycle::signals()?;
        let stop = CancellationToken::new();
        let on_signal = stop.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                on_signal.cancel();
            }
        });
        store::engine::serve(parts::engine_config(&config), stop.cancelled_owned()).await.map_err(Failure::from)
    })?
}
