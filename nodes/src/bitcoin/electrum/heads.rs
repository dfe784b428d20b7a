//! The subscription to a server's heads, on a connection of its own, so that no slow answer is before a head.
//!
//! Guarantee: the first word is the present tip; each further one is the newest at its moment, heights may be left out, and a tip that does
//! not follow the last is a fork. An ended connection is said and never silently made again. A subscription that is dead is silent: after a
//! while without a word the server is asked for its tip over the same connection, and what it had kept back is told.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    answers::{self, Tip},
    client::ElectrumClient,
    metrics,
    notice::{HEADS, Notice},
    pool::check_chain,
    session::{Failure, Session},
};
use crate::error::{NodeError, NodeErrorKind};

/// Notifications that wait to be looked at; what comes beyond them waits in the socket.
pub(super) const QUEUE: usize = 64;

/// What a subscription says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// The newest tip, and the bytes that it took.
    Tip(Tip, usize),
    /// Something happened, but what was said cannot be read (`Malformed`) or proves nothing (`Lying`).
    Refused(NodeErrorKind),
    /// The connection has ended, and why.
    Ended(NodeErrorKind),
}

/// Counts subscriptions of an endpoint, for as long as each lives.
#[derive(Debug)]
pub(super) struct Counted {
    endpoint: Arc<str>,
    active: Arc<AtomicI64>,
    of: i64,
}

impl Counted {
    /// One more.
    pub fn new(endpoint: Arc<str>, active: Arc<AtomicI64>) -> Self {
        let mut counted = Self { endpoint, active, of: 0 };
        counted.set(1);
        counted
    }

    /// So many now, of those that it counts.
    pub fn set(&mut self, of: i64) {
        let change = of - std::mem::replace(&mut self.of, of);
        let active = self.active.fetch_add(change, Ordering::Relaxed) + change;
        metrics::subscriptions(&self.endpoint, active);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A subscription to heads. It ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    client: ElectrumClient,
    session: Session,
    notices: mpsc::Receiver<Notice>,
    /// What is to be told first.
    first: Option<(Tip, usize)>,
    last: Tip,
    ask_at: Instant,
    _counted: Counted,
}

impl ElectrumClient {
    /// Connects and subscribes to heads. It passes no meter: it is one request, and what follows is the server's.
    ///
    /// # Errors
    ///
    /// No connection, another chain, or no subscription.
    pub async fn subscribe(&self) -> Result<Subscription, NodeError> {
        let outcome = self.subscribe_to_heads().await;
        outcome.map_err(|kind| {
            let error = self.error(HEADS, None, kind);
            metrics::error(self.name(), error.label());
            error
        })
    }

    async fn subscribe_to_heads(&self) -> Result<Subscription, NodeErrorKind> {
        let (tell, notices) = mpsc::channel(QUEUE);
        let session = self.inner.pool.connector.connect(Some(tell)).await?;
        check_chain(&session, Some(self.chain().genesis()))?;
        if self.inner.subscribed.swap(true, Ordering::Relaxed) {
            metrics::reconnected(self.name());
        }
        let (tip, bytes) = ask(&session, self).await?;
        let counted = Counted::new(self.inner.name.clone(), self.inner.active.clone());
        let ask_at = Instant::now() + self.inner.tuning.ask_again;
        Ok(Subscription {
            client: self.clone(),
            session,
            notices,
            first: Some((tip, bytes)),
            last: tip,
            ask_at,
            _counted: counted,
        })
    }
}

/// Asks for the tip over the connection, which subscribes it too.
async fn ask(session: &Session, client: &ElectrumClient) -> Result<(Tip, usize), NodeErrorKind> {
    let answered = session.call(HEADS, "[]", client.inner.tuning.call_timeout).await.map_err(Failure::kind)?;
    Ok((answers::tip(&answered.result, client.chain())?, answered.bytes))
}

impl Subscription {
    /// What it says next. Waiting for it may be given up at any moment; a question that is under way then is asked again later.
    pub async fn next(&mut self) -> Push {
        if let Some((tip, bytes)) = self.first.take() {
            return Push::Tip(tip, bytes);
        }
        loop {
            let notice = tokio::select! {
                notice = self.notices.recv() => notice,
                () = sleep_until(self.ask_at) => {
                    self.rest();
                    let (client, last) = (&self.client, self.last);
                    match ask(&self.session, client).await {
                        Ok((tip, _)) if tip == last => continue,
                        Ok((tip, bytes)) => match self.notices.try_recv() {
                            // It was told after all.
                            Ok(notice) => Some(notice),
                            Err(_) => {
                                metrics::silent(client.name());
                                tracing::warn!(endpoint = client.name(), height = tip.height, "the subscription to heads was silent about a head");
                                self.last = tip;
                                return Push::Tip(tip, bytes);
                            }
                        },
                        Err(kind @ (NodeErrorKind::Lying(_) | NodeErrorKind::Malformed(_))) if self.session.is_open() => {
                            return self.refused(kind);
                        }
                        Err(kind) => return self.ended(kind),
                    }
                }
            };
            match notice {
                Some(Notice::Tip(json, bytes)) => {
                    self.rest();
                    return match answers::tip_notice(&json, self.client.chain()) {
                        Ok(tip) => {
                            self.last = tip;
                            Push::Tip(tip, bytes)
                        }
                        Err(kind) => self.refused(kind),
                    };
                }
                Some(Notice::Unreadable) => {
                    return self.refused(NodeErrorKind::Malformed("a notification of another form".into()));
                }
                Some(Notice::Script(..)) => {}
                None => return self.ended(self.session.why()),
            }
        }
    }

    /// It was heard: it is asked no sooner than after a while.
    fn rest(&mut self) {
        self.ask_at = Instant::now() + self.client.inner.tuning.ask_again;
    }

    fn refused(&self, kind: NodeErrorKind) -> Push {
        metrics::error(self.client.name(), self.client.error(HEADS, None, kind.clone()).label());
        Push::Refused(kind)
    }

    fn ended(&self, kind: NodeErrorKind) -> Push {
        metrics::error(self.client.name(), self.client.error(HEADS, None, kind.clone()).label());
        self.session.end(kind.clone());
        Push::Ended(kind)
    }
}
