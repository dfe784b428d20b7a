//! Subscriptions to scripts, of everybody who watches one, over one connection.
//!
//! Guarantee: a script is subscribed to once, however many watch it, and at most [`limits::ELECTRUM_SCRIPTS`] are. What a watcher sees is the
//! status that the present server told last; when a connection is lost the next server is asked for every script anew, and watchers hear
//! only of those whose status is another then, so that nothing is missed and nothing is told twice. A history that is too large is that
//! script's matter: it is said, and the others go on.
//!
//! A status is a reason to look, and no more: before version 1.6 two servers may differ about one history (see [`Status::of`]).

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use schemas::limits::bitcoin as limits;
use tokio::sync::{Notify, mpsc, watch};

use super::{
    client::ElectrumClient,
    heads::{Counted, QUEUE},
    message, metrics,
    notice::{Notice, SCRIPT},
    pool::check_chain,
    refusal::Trouble,
    session::{Answered, Failure, Session},
    status::{ScriptHash, Status},
    tuning::reconnect_waits,
};
use crate::error::NodeErrorKind;

/// Subscriptions that held for so long were good ones: after a shorter time the next wait is longer.
const GOOD: Duration = Duration::from_secs(10);
/// From this version on a subscription can be ended.
const UNSUBSCRIBES: (u16, u16, u16) = (1, 4, 2);

/// What is known of a script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Known {
    /// No server has said anything yet.
    #[default]
    Nothing,
    /// The status of its history; `None` of an empty one.
    Status(Option<Status>),
    /// Its history is too large for the present server.
    TooLarge,
}

/// There are too many scripts already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} scripts are watched already: end some before watching more", limits::ELECTRUM_SCRIPTS)]
pub struct TooMany;

/// See the module. Clones are the same. Nothing is asked before [`Scripts::run`] runs.
#[derive(Clone)]
pub struct Scripts(Arc<Inner>);

struct Inner {
    clients: Vec<ElectrumClient>,
    scripts: Mutex<HashMap<ScriptHash, Entry>>,
    /// Entries that there ever were.
    made: AtomicU64,
    /// Told when scripts come or go.
    changed: Notify,
}

struct Entry {
    /// Tells it from a former one of the same script, of which nobody knows any more what was said.
    number: u64,
    known: watch::Sender<Known>,
    watchers: usize,
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scripts({} over {:?})", self.0.scripts().len(), self.0.clients)
    }
}

/// A script that is watched, until it is dropped.
pub struct Watch {
    inner: Arc<Inner>,
    script: ScriptHash,
    known: watch::Receiver<Known>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({}, {:?})", self.script, *self.known.borrow())
    }
}

impl Inner {
    fn scripts(&self) -> MutexGuard<'_, HashMap<ScriptHash, Entry>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server said this of a script. Whoever watches hears it where it is news.
    fn told(&self, script: &ScriptHash, now: Known) {
        if let Some(entry) = self.scripts().get(script) {
            entry.known.send_if_modified(|known| {
                let news = *known != now;
                *known = now;
                news
            });
        }
    }
}

impl Watch {
    /// The script.
    pub fn script(&self) -> ScriptHash {
        self.script
    }

    /// What is known of it now.
    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Waits until something else is known than was seen last, and gives it.
    pub async fn changed(&mut self) -> Known {
        match self.known.changed().await {
            Ok(()) => self.known.borrow_and_update().clone(),
            // The entry lives as long as its watchers.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut scripts = self.inner.scripts();
        if let Some(entry) = scripts.get_mut(&self.script) {
            entry.watchers = entry.watchers.saturating_sub(1);
            if entry.watchers == 0 {
                scripts.remove(&self.script);
                self.inner.changed.notify_one();
            }
        }
    }
}

/// One answer within a connection.
enum Came {
    /// Of a subscription.
    Subscribed(ScriptHash, Result<Answered, Failure>),
    /// Of the end of one.
    Unsubscribed,
}

impl Scripts {
    /// Over these servers, of which one is used at a time, the first that can be.
    pub fn new(clients: Vec<ElectrumClient>) -> Self {
        Self(Arc::new(Inner { clients, scripts: Mutex::default(), made: AtomicU64::new(0), changed: Notify::new() }))
    }

    /// Watches a script.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub fn watch(&self, script: ScriptHash) -> Result<Watch, TooMany> {
        let mut scripts = self.0.scripts();
        if scripts.len() >= limits::ELECTRUM_SCRIPTS && !scripts.contains_key(&script) {
            return Err(TooMany);
        }
        let entry = scripts.entry(script).or_insert_with(|| Entry {
            number: self.0.made.fetch_add(1, Ordering::Relaxed),
            known: watch::Sender::default(),
            watchers: 0,
        });
        entry.watchers += 1;
        let known = entry.known.subscribe();
        drop(scripts);
        self.0.changed.notify_one();
        Ok(Watch { inner: self.0.clone(), script, known })
    }

    /// Scripts that are watched.
    pub fn len(&self) -> usize {
        self.0.scripts().len()
    }

    /// Whether nobody watches any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks and listens, for ever. Dropping it ends it.
    pub async fn run(&self) {
        let mut waits = reconnect_waits();
        let mut next = 0;
        loop {
            while self.is_empty() || self.0.clients.is_empty() {
                self.0.changed.notified().await;
            }
            let Some(client) = self.0.clients.get(next % self.0.clients.len()) else { continue };
            let mut began = None;
            let why = match self.connected(client).await {
                Ok((session, notices)) => {
                    began = Some(Instant::now());
                    if next > 0 {
                        metrics::reconnected(client.name());
                    }
                    self.serve(client, &session, notices).await
                }
                Err(why) => why,
            };
            next += 1;
            let error = client.error(SCRIPT, None, why);
            metrics::error(client.name(), error.label());
            tracing::warn!(%error, "subscriptions to scripts go to the next server");
            if began.is_some_and(|began: Instant| began.elapsed() >= GOOD) {
                waits = reconnect_waits();
            }
            // One that wants to be left alone is, unless another one is next.
            let asked = error.asked_wait().filter(|_| self.0.clients.len() == 1).unwrap_or_default();
            let wait = waits.next().unwrap_or(Duration::from_secs(30)).max(asked);
            tokio::time::sleep(wait).await;
        }
    }

    async fn connected(&self, client: &ElectrumClient) -> Result<(Session, mpsc::Receiver<Notice>), NodeErrorKind> {
        let (tell, notices) = mpsc::channel(QUEUE);
        let session = client.inner.pool.connector.connect(Some(tell)).await?;
        check_chain(&session, Some(client.chain().genesis()))?;
        Ok((session, notices))
    }

    /// Subscribes and listens until the connection ends, or this server is not to be used; gives why.
    async fn serve(
        &self,
        client: &ElectrumClient,
        session: &Session,
        mut notices: mpsc::Receiver<Notice>,
    ) -> NodeErrorKind {
        let mut counted = Counted::new(client.inner.name.clone(), client.inner.active.clone());
        let unsubscribes = session.greeting().is_some_and(|greeting| greeting.version >= UNSUBSCRIBES);
        let within = client.inner.tuning.call_timeout;
        let mut asked: HashMap<ScriptHash, u64> = HashMap::new();
        let mut running: FuturesUnordered<BoxFuture<'_, Came>> = FuturesUnordered::new();
        loop {
            // As many as the connection takes at once; the rest follows as answers come.
            let places = client.inner.tuning.in_flight.saturating_sub(running.len());
            let (come, gone) = self.differing(&asked, places);
            for (script, number) in come {
                asked.insert(script, number);
                let params = format!("[\"{script}\"]");
                running
                    .push(async move { Came::Subscribed(script, session.call(SCRIPT, &params, within).await) }.boxed());
            }
            for script in gone {
                asked.remove(&script);
                let params = format!("[\"{script}\"]");
                if unsubscribes {
                    let ended = async move {
                        let _ = session.call("blockchain.scripthash.unsubscribe", &params, within).await;
                        Came::Unsubscribed
                    };
                    running.push(ended.boxed());
                }
            }
            counted.set(i64::try_from(asked.len()).unwrap_or(i64::MAX));
            tokio::select! {
                // An answer that came before a notification is the older word of the two.
                biased;
                Some(came) = running.next(), if !running.is_empty() => {
                    if let Came::Subscribed(script, outcome) = came
                        && let Err(why) = self.subscribed(client, &script, outcome)
                    {
                        return why;
                    }
                }
                notice = notices.recv() => match notice {
                    Some(Notice::Script(script, status)) => self.0.told(&script, Known::Status(status)),
                    Some(Notice::Unreadable) => {
                        return NodeErrorKind::Malformed("a notification of another form".into());
                    }
                    Some(Notice::Tip(..)) => {}
                    None => return session.why(),
                },
                () = self.0.changed.notified() => {}
            }
        }
    }

    /// Entries that are watched and not asked for, at most so many, and as many scripts that are asked for and not watched.
    fn differing(&self, asked: &HashMap<ScriptHash, u64>, places: usize) -> (Vec<(ScriptHash, u64)>, Vec<ScriptHash>) {
        let scripts = self.0.scripts();
        let come = scripts.iter().map(|(script, entry)| (*script, entry.number));
        let come: Vec<_> = come.filter(|(script, number)| asked.get(script) != Some(number)).take(places).collect();
        let gone = asked.keys().copied().filter(|script| !scripts.contains_key(script));
        let gone = gone.take(places.saturating_sub(come.len())).collect();
        (come, gone)
    }

    /// Takes the answer to a subscription in. Fails where this server is not to be used any more.
    fn subscribed(
        &self,
        client: &ElectrumClient,
        script: &ScriptHash,
        outcome: Result<Answered, Failure>,
    ) -> Result<(), NodeErrorKind> {
        match outcome {
            Ok(answered) => {
                let status: Option<String> = serde_json::from_str(&answered.result).map_err(|e| {
                    NodeErrorKind::Malformed(format!("a status of another form: {}", message::words(e)))
                })?;
                let status = match status {
                    Some(text) => Some(
                        text.parse::<Status>()
                            .map_err(|e| NodeErrorKind::Malformed(format!("a status: {}", message::words(e))))?,
                    ),
                    None => None,
                };
                self.0.told(script, Known::Status(status));
                Ok(())
            }
            Err(Failure::Refused(refusal)) if Trouble::of(&refusal) == Trouble::HistoryTooLarge => {
                metrics::error(client.name(), Trouble::HistoryTooLarge.as_str());
                tracing::info!(endpoint = client.name(), %script, said = refusal.text, "a script's history is too large for this server");
                self.0.told(script, Known::TooLarge);
                Ok(())
            }
            Err(failure) => Err(failure.kind()),
        }
    }
}
