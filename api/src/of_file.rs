//! Puts the contracts and the plans of the configuration file into the control store: at the start, and whenever a reload has changed them.
//!
//! Guarantee: it is tried until it succeeds; a control store that is away keeps nothing else waiting.

use std::time::Duration;

use control::Put;
use tokio::sync::watch;

use crate::{app::App, error::ApiError};

/// Pause before a control store that did not take them is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Follows the file, for ever.
pub async fn follow(app: &App) {
    tokio::join!(contracts(app), plans(app));
}

async fn contracts(app: &App) {
    let mut said = app.config.contracts.clone();
    let control = app.config.control.opened().await;
    loop {
        let file = said.borrow_and_update().clone();
        let put = control.put_operator_contracts(&file).await.map(|put| {
            if put != Put::default() {
                let Put { added, changed, removed } = put;
                tracing::info!(
                    added,
                    changed,
                    removed,
                    "the operator's contracts are now those of the configuration file"
                );
            }
        });
        if !goes_on(put, "contract", &mut said).await {
            return std::future::pending().await;
        }
    }
}

async fn plans(app: &App) {
    let mut said = app.config.plans.clone();
    let control = app.config.control.opened().await;
    loop {
        let file = said.borrow_and_update().clone();
        let put = control.put_plans(&file).await.map(|changed| {
            if changed {
                tracing::info!(plans = file.len(), "the plans are now those of the configuration file");
            }
        });
        if !goes_on(put, "plan", &mut said).await {
            return std::future::pending().await;
        }
    }
}

/// Waits until the file says something else, or what it says is to be tried again; `false`: it never will.
async fn goes_on<T>(put: Result<(), control::Error>, what: &'static str, said: &mut watch::Receiver<T>) -> bool {
    let again = match put {
        Ok(()) => Duration::MAX,
        Err(error) => {
            // In words, and in the log.
            let _ = ApiError::of_control(error, what);
            AGAIN
        }
    };
    tokio::select! {
        () = tokio::time::sleep(again) => true,
        changed = said.changed() => changed.is_ok(),
    }
}
