//! The control store of a process, and the doors that need it.

use std::sync::Arc;

use api::{ControlStore, tls::Certificate};
use axum::http::{Method, StatusCode};
use control::{Allowed, Denied, Error, Id, Mode, Resource};
use runtime::{
    admin::{Gate, Problem},
    config::{AuthMode, Config, is_near},
};

use crate::exit::Failure;

/// The store that the file names, not opened yet.
pub fn control_store(config: &Config) -> ControlStore {
    let mode = match config.auth.mode {
        AuthMode::None => Mode::None,
        AuthMode::Keys => Mode::Keys,
        AuthMode::Accounts => Mode::Accounts,
    };
    let store = ControlStore::of(config.control.clone(), mode);
    match &config.api.public_url {
        Some(url) => store.issued_by(url.origin().ascii_serialization()),
        None => store,
    }
}

/// Opens it. One that is away is tried again by who needs it; one that cannot be used with this file ends the start, as a mistake in it.
pub async fn open_control(store: &ControlStore) -> Result<(), Failure> {
    match store.open().await {
        Err(e @ Error::Settings(_)) => Err(Failure::config(e)),
        // Who goes on trying says it, once.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The certificate of the API's listener, where there is to be one.
pub fn certificate(config: &Config) -> Result<Option<Certificate>, Failure> {
    let Some(tls) = &config.api.tls else { return Ok(None) };
    Certificate::load(&tls.cert, &tls.key).map(Some).map_err(|e| Failure::config(format!("`[api.tls]`: {e}")))
}

/// What other machines need at the admin port, where they reach it and not everybody is let in: a key of the operator's own tenant that may
/// read (or, to change something, write) what is of the organisation.
pub fn admin_gate(config: &Config, store: &ControlStore) -> Option<Gate> {
    if config.auth.mode == AuthMode::None || is_near(config.admin_listen) {
        return None;
    }
    let store = store.clone();
    Some(Arc::new(move |method, token| {
        let store = store.clone();
        Box::pin(async move { admit(&store, &method, token.as_deref()).await })
    }))
}

async fn admit(store: &ControlStore, method: &Method, token: Option<&str>) -> Result<(), Problem> {
    let wanted = |words: &str| Err(Problem::new(StatusCode::UNAUTHORIZED, words));
    let away = |words: &str| Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, words));
    let Some(token) = token else {
        return wanted("the admin port is not on loopback, and wants a key: `Authorization: Bearer hw_…`");
    };
    let Ok(control) = store.get() else { return away("keys cannot be looked up: the control store is away") };
    let action = if *method == Method::GET || *method == Method::HEAD { Allowed::Read } else { Allowed::Write };
    match control.authenticate(token).await {
        Ok(who) if who.allows(Resource::Organisation, action) && *who.tenant().id() == Id::DEFAULT_TENANT => Ok(()),
        Ok(_) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this needs the scope `organisation:read` (`organisation:write` to change something) of the operator's own organisation",
        )),
        Err(Denied::Away | Denied::Busy) => away("keys cannot be looked up at the moment; try again"),
        Err(_) => wanted("this key is not good (any more)"),
    }
}
