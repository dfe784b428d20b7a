//! The control store of a process that serves the API.

use api::ControlStore;
use control::{Error, Mode};
use runtime::config::{AuthMode, Config};

use crate::exit::Failure;

/// Opens it. One that is away is tried again by the API itself; one that cannot be used with this file ends the start, as a mistake in it.
pub async fn control_store(config: &Config) -> Result<ControlStore, Failure> {
    let mode = match config.auth.mode {
        AuthMode::None => Mode::None,
        AuthMode::Keys => Mode::Keys,
    };
    let store = ControlStore::of(config.control.clone(), mode);
    match store.open().await {
        Err(e @ Error::Settings(_)) => Err(Failure::config(e)),
        // The API says it, once, and goes on trying.
        Ok(()) | Err(_) => Ok(store),
    }
}
