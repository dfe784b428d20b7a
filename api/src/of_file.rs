//! Puts the contracts of the configuration file into the control store: at the start, and whenever a reload has changed them.
//!
//! Guarantee: it is tried until it succeeds; a control store that is away keeps nothing else waiting.

use std::time::Duration;

use control::Put;

use crate::{app::App, error::ApiError};

/// Pause before a control store that did not take them is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Follows the file, for ever.
pub async fn follow(app: &App) {
    let mut contracts = app.config.contracts.clone();
    let control = app.config.control.opened().await;
    loop {
        let file = contracts.borrow_and_update().clone();
        let put = control.put_operator_contracts(&file).await;
        let again = match put {
            Ok(put) => {
                if put != Put::default() {
                    let Put { added, changed, removed } = put;
                    tracing::info!(
                        added,
                        changed,
                        removed,
                        "the operator's contracts are now those of the configuration file"
                    );
                }
                Duration::MAX
            }
            Err(error) => {
                // In words, and in the log.
                let _ = ApiError::of_control(error, "contract");
                AGAIN
            }
        };
        tokio::select! {
            () = tokio::time::sleep(again) => {}
            changed = contracts.changed() => if changed.is_err() { return std::future::pending().await },
        }
    }
}
