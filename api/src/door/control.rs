//! The control store, as a process of the API has it: opened when it can be, and asked for by who needs it.
//!
//! Guarantee: that it is away keeps nothing else from starting or going on. What needs it is told so ([`ApiError::ControlAway`]), and it is
//! tried again until it is there. The operator's key of a new store is printed once, on standard error, and kept as a hash.

use std::{sync::Arc, time::Duration};

use control::{Control, Error, Mode, Trust};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;

/// How long a store that is away is left alone before it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// A handle; its copies are the same store.
#[derive(Clone)]
pub struct ControlStore {
    settings: Option<Arc<runtime::config::Control>>,
    mode: Mode,
    issuer: Option<Arc<str>>,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone)]
enum State {
    /// Not there, and why, without secrets.
    Away(String),
    Open(Arc<Control>),
}

impl std::fmt::Debug for ControlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlStore").field("mode", &self.mode).field("open", &self.get().is_ok()).finish()
    }
}

impl ControlStore {
    /// The store of these settings, not opened yet.
    pub fn of(settings: runtime::config::Control, mode: Mode) -> Self {
        let state = Arc::new(watch::Sender::new(State::Away("it is being opened".to_owned())));
        Self { settings: Some(Arc::new(settings)), mode, issuer: None, state }
    }

    /// No store: what needs one is refused.
    pub fn nowhere(mode: Mode) -> Self {
        let state = Arc::new(watch::Sender::new(State::Away("this process has none".to_owned())));
        Self { settings: None, mode, issuer: None, state }
    }

    /// With another issuer of access tokens: how people reach us.
    #[must_use]
    pub fn issued_by(self, issuer: String) -> Self {
        Self { issuer: Some(issuer.into()), ..self }
    }

    /// Whom the door lets in.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Tries once to open it, and prints the operator's key if this is the first time.
    ///
    /// # Errors
    /// As of [`Control::open`].
    pub async fn open(&self) -> Result<(), Error> {
        let Some(settings) = self.settings.as_deref() else { return Ok(()) };
        if matches!(&*self.state.borrow(), State::Open(_)) {
            return Ok(());
        }
        let control = Control::open(settings, self.mode, Trust::default()).await;
        let opened = match control {
            Ok(control) => {
                let control = match &self.issuer {
                    Some(issuer) => control.issued_by(issuer),
                    None => control,
                };
                self.first_key(&control).await.map(|()| control)
            }
            Err(e) => Err(e),
        };
        match opened {
            Ok(control) => {
                self.state.send_replace(State::Open(Arc::new(control)));
                Ok(())
            }
            Err(e) => {
                self.state.send_replace(State::Away(words(&e)));
                Err(e)
            }
        }
    }

    /// In a new store nobody could make a key by the API, since that wants a key.
    async fn first_key(&self, control: &Control) -> Result<(), Error> {
        if self.mode != Mode::None
            && let Some(fresh) = control.first_key().await?
        {
            // Past the log on purpose: it is for who started the process, and a log is kept and passed on.
            eprintln!("operator key: {}", fresh.text.expose());
        }
        Ok(())
    }

    /// Tries until it is open, or told to stop.
    pub async fn keep_opening(&self, shutdown: &CancellationToken) {
        let mut told = None;
        while self.settings.is_some() {
            match self.open().await {
                Ok(()) => {
                    if told.is_some() {
                        tracing::info!("the control store is there");
                    }
                    return;
                }
                Err(e) => {
                    let now = e.to_string();
                    if told.as_ref() != Some(&now) {
                        tracing::warn!("{now}; blocks and reads go on, what changes something is refused meanwhile");
                        told = Some(now);
                    }
                }
            }
            tokio::select! { () = shutdown.cancelled() => return, () = tokio::time::sleep(AGAIN) => {} }
        }
    }

    /// The store, if it is open. That its database was lost since then is told by what is asked of it.
    ///
    /// # Errors
    /// It is not.
    pub fn get(&self) -> Result<Arc<Control>, ApiError> {
        match &*self.state.borrow() {
            State::Open(control) => Ok(Arc::clone(control)),
            State::Away(why) => Err(ApiError::ControlAway { problem: why.clone() }),
        }
    }

    /// The store, once it is open; never, where there is none.
    pub async fn opened(&self) -> Arc<Control> {
        let mut state = self.state.subscribe();
        loop {
            if let State::Open(control) = &*state.borrow_and_update() {
                return Arc::clone(control);
            }
            // The sender lives in self.
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What may be told outside: no addresses of databases, no SQL.
fn words(e: &Error) -> String {
    match e {
        Error::Away(_) => "nothing answers at its address",
        Error::Schema(_) => "its tables are not those of this version",
        Error::Settings(_) => "it cannot be used with these settings; the log says why",
        _ => "it cannot be read; the log says why",
    }
    .to_owned()
}
