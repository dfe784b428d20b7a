//! One connection to a server: requests out, answers and notifications in, in whatever order they come.
//!
//! Guarantee: every request ends, with its answer, with the end of the connection or with its deadline; no more are under way than the
//! connection's places. A connection that was silent for the whole of a call's time, or of a ping's, is ended, so that a server that hangs
//! costs one deadline and not every caller's. Reading and writing go on beside each other; whoever does not take notifications slows
//! their server down and nobody else. A flood of what nobody asked for ends the connection.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use schemas::BitcoinHash;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    answers::Version,
    message::{self, Refusal},
    notice::Notice,
    refusal::Trouble,
    traffic::{reading, writing},
};
use crate::error::NodeErrorKind;

/// An answer: its result as JSON, and the bytes that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub result: String,
    pub bytes: usize,
}

/// Why a call brought no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server answered with an error.
    Refused(Refusal),
    /// There was no answer.
    None(NodeErrorKind),
    /// The connection had ended before the request was sent on it: another one may be tried.
    Stale(NodeErrorKind),
}

impl Failure {
    /// What follows for whoever asked.
    pub fn kind(self) -> NodeErrorKind {
        match self {
            Self::Refused(refusal) => Trouble::of(&refusal).kind(refusal.code, refusal.text),
            Self::None(kind) | Self::Stale(kind) => kind,
        }
    }
}

/// What a server said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    /// Its software.
    pub software: String,
    /// The protocol's version that both speak.
    pub version: Version,
    /// The first block of its chain.
    pub genesis: BitcoinHash,
}

/// A connection. It ends when it is dropped.
pub(super) struct Session {
    shared: Arc<Shared>,
    requests: mpsc::Sender<String>,
    places: Semaphore,
    in_flight: usize,
    greeting: OnceLock<Greeting>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?})", self.greeting.get())
    }
}

/// What the handle and the task of a connection have in common.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told once, when it is to end.
    ending: Notify,
    /// Connections that are open at this endpoint.
    open: Arc<AtomicU32>,
}

struct State {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Answered, Failure>>>,
    /// When something was last heard.
    heard: Instant,
    ended: Option<NodeErrorKind>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, once: whoever waits is told why.
    pub fn end(&self, why: NodeErrorKind) {
        let waiting = {
            let mut state = self.state();
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(why.clone());
            std::mem::take(&mut state.waiting)
        };
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.ending.notify_one();
        for waiting in waiting.into_values() {
            let _ = waiting.send(Err(Failure::None(why.clone())));
        }
    }

    /// Something was heard.
    pub fn heard(&self) {
        self.state().heard = Instant::now();
    }

    /// Whether nothing was heard after this.
    pub fn silent_since(&self, moment: Instant) -> bool {
        self.state().heard <= moment
    }

    /// A place in the list of those who wait.
    pub fn register(self: &Arc<Self>) -> Result<(Registered, Waiting), Failure> {
        let mut state = self.state();
        if let Some(why) = &state.ended {
            return Err(Failure::Stale(why.clone()));
        }
        let (tell, answer) = oneshot::channel();
        let id = state.next;
        state.next += 1;
        state.waiting.insert(id, tell);
        Ok((Registered { shared: self.clone(), id }, answer))
    }

    /// Takes an answer in. False when nobody waits for it: who gave up meanwhile, or a server that answers what it was not asked.
    pub fn answer(&self, id: u64, outcome: Result<&str, Refusal>, bytes: usize) -> bool {
        let waiting = self.state().waiting.remove(&id);
        let Some(waiting) = waiting else { return false };
        let outcome = outcome.map(|result| Answered { result: result.to_owned(), bytes }).map_err(Failure::Refused);
        waiting.send(outcome).is_ok()
    }
}

/// What somebody waits for who asked.
pub(super) type Waiting = oneshot::Receiver<Result<Answered, Failure>>;

/// A request that is waited for; no longer once dropped.
pub(super) struct Registered {
    shared: Arc<Shared>,
    /// Its number.
    pub id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.state().waiting.remove(&self.id);
    }
}

impl Session {
    /// Begins on a stream, in a task that ends with it. Notifications go to `notices`; without it they are passed over.
    pub fn begin<S>(
        stream: S,
        notices: Option<mpsc::Sender<Notice>>,
        in_flight: usize,
        ping_every: Duration,
        call_timeout: Duration,
        open: Arc<AtomicU32>,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        open.fetch_add(1, Ordering::Relaxed);
        let state = State { next: 1, waiting: HashMap::new(), heard: Instant::now(), ended: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), ending: Notify::new(), open });
        let in_flight = in_flight.max(1);
        let (requests, written) = mpsc::channel(in_flight);
        tokio::spawn({
            let shared = shared.clone();
            async move {
                // Held until the reason stands: whoever listens is told of the end by the queue's, and asks then why.
                let held = notices.clone();
                let (read, write) = tokio::io::split(stream);
                let why = tokio::select! {
                    why = reading(read, &shared, notices) => why,
                    why = writing(write, &shared, written, ping_every, call_timeout) => why,
                    () = shared.ending.notified() => return,
                };
                shared.end(why);
                drop(held);
            }
        });
        Self { shared, requests, places: Semaphore::new(in_flight), in_flight, greeting: OnceLock::new() }
    }

    /// Calls a method. `params` is a JSON list.
    pub async fn call(&self, method: &str, params: &str, within: Duration) -> Result<Answered, Failure> {
        let began = Instant::now();
        let ends = began + within;
        let late = || Failure::None(NodeErrorKind::Timeout(within));
        let _place = match timeout_at(ends, self.places.acquire()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Failure::Stale(self.why())),
            Err(_) => return Err(late()),
        };
        let (registered, answer) = self.shared.register()?;
        let line = message::request(registered.id, method, params);
        match timeout_at(ends, self.requests.send(line)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Failure::Stale(self.why())),
            Err(_) => return Err(late()),
        }
        match timeout_at(ends, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::None(self.why())),
            Err(_) => {
                if self.shared.silent_since(began) {
                    self.shared.end(NodeErrorKind::Timeout(within));
                }
                Err(late())
            }
        }
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.shared.state().ended.is_none()
    }

    /// Requests that are under way.
    pub fn under_way(&self) -> usize {
        self.in_flight.saturating_sub(self.places.available_permits())
    }

    /// Requests that may go at once.
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Why it ended.
    pub fn why(&self) -> NodeErrorKind {
        let ended = self.shared.state().ended.clone();
        ended.unwrap_or_else(|| NodeErrorKind::Unreachable("the connection ended".into()))
    }

    /// Ends it.
    pub fn end(&self, why: NodeErrorKind) {
        self.shared.end(why);
    }

    /// What the server said of itself, once it is known.
    pub fn greeting(&self) -> Option<&Greeting> {
        self.greeting.get()
    }

    /// The server has said who it is.
    pub fn greeted(&self, greeting: Greeting) {
        let _ = self.greeting.set(greeting);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.end(NodeErrorKind::Unreachable("the connection was given up".into()));
    }
}

#[cfg(test)]
mod tests {
    use schemas::limits::bitcoin as limits;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    fn session(notices: Option<mpsc::Sender<Notice>>) -> (Session, BufReader<DuplexStream>) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let open = Arc::new(AtomicU32::new(0));
        (Session::begin(ours, notices, 2, Duration::from_secs(60), LONG, open), BufReader::new(theirs))
    }

    async fn asked(server: &mut BufReader<DuplexStream>) -> serde_json::Value {
        let mut line = String::new();
        server.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn say(server: &mut BufReader<DuplexStream>, line: &str) {
        server.get_mut().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_in_any_order_and_beside_notifications() {
        let (tell, mut notices) = mpsc::channel(4);
        let (session, mut server) = session(Some(tell));
        let serving = async {
            assert_eq!(asked(&mut server).await["method"], "one");
            assert_eq!(asked(&mut server).await["id"], 2);
            say(&mut server, r#"{"method":"blockchain.scripthash.subscribe","params":["00","11"]}"#).await;
            say(&mut server, r#"{"id":2,"result":"b"}"#).await;
            say(&mut server, r#"{"id":1,"error":{"code":1,"message":"no"}}"#).await;
        };
        let (one, two, ()) = tokio::join!(session.call("one", "[]", LONG), session.call("two", "[]", LONG), serving);
        assert_eq!(one, Err(Failure::Refused(Refusal { code: 1, text: "no".into() })));
        assert_eq!(two.unwrap().result, "\"b\"");
        assert!(matches!(notices.recv().await, Some(Notice::Unreadable)), "no script has that hash");
        assert!(session.is_open() && session.under_way() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_hangs_costs_one_deadline() {
        let (session, _server) = session(None);
        let late = Err(Failure::None(NodeErrorKind::Timeout(LONG)));
        assert_eq!(session.call("x", "[]", LONG).await, late);
        assert!(!session.is_open());
        let began = Instant::now();
        assert!(matches!(session.call("x", "[]", LONG).await, Err(Failure::Stale(_))));
        assert!(began.elapsed() < Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_ends_no_connection_that_lives() {
        let (session, mut server) = session(None);
        let serving = async {
            asked(&mut server).await;
            asked(&mut server).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            say(&mut server, r#"{"id":2,"result":0}"#).await;
            server
        };
        let (slow, quick, mut server) =
            tokio::join!(session.call("x", "[]", LONG), session.call("y", "[]", LONG), serving);
        assert!(slow.is_err() && quick.is_ok() && session.is_open());
        // The late answer is nobody's, and harms nobody.
        say(&mut server, r#"{"id":1,"result":0}"#).await;
        let serving = async {
            let id = asked(&mut server).await["id"].clone();
            say(&mut server, &format!(r#"{{"id":{id},"result":7}}"#)).await;
        };
        let (answer, ()) = tokio::join!(session.call("z", "[]", LONG), serving);
        assert_eq!(answer.unwrap().result, "7");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_pinged_and_a_dead_one_found() {
        let (session, mut server) = session(None);
        for _ in 0..3 {
            let ping = asked(&mut server).await;
            assert_eq!(ping["method"], "server.ping");
            say(&mut server, &format!(r#"{{"id":{},"result":null}}"#, ping["id"])).await;
        }
        assert_eq!(asked(&mut server).await["method"], "server.ping");
        tokio::time::sleep(LONG * 2).await;
        assert!(!session.is_open(), "nothing was heard since");
        assert_eq!(session.why(), NodeErrorKind::Timeout(LONG));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_is_no_protocol_ends_it_and_everybody_is_told() {
        for said in
            ["HTTP/1.1 400 Bad Request", r#"{"error":{"code":-101,"message":"excessive resource usage"}}"#, "{}"]
        {
            let (session, mut server) = session(None);
            let serving = async {
                asked(&mut server).await;
                say(&mut server, said).await;
            };
            let (outcome, ()) = tokio::join!(session.call("x", "[]", LONG), serving);
            assert!(matches!(outcome, Err(Failure::None(_))), "{said}: {outcome:?}");
            assert!(!session.is_open());
        }
        let (session, server) = session(None);
        drop(server);
        assert!(matches!(session.call("x", "[]", LONG).await, Err(Failure::None(_) | Failure::Stale(_))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_hears_the_end_can_ask_why() {
        for _ in 0..500 {
            let (tell, mut notices) = mpsc::channel(4);
            let (session, mut server) = session(Some(tell));
            say(&mut server, "no message").await;
            assert!(notices.recv().await.is_none());
            assert!(matches!(session.why(), NodeErrorKind::Malformed(_)), "{}", session.why());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_ends_the_connection() {
        let (session, mut server) = session(None);
        let notice = r#"{"method":"blockchain.headers.subscribe","params":[{}]}"#;
        for _ in 0..=limits::ELECTRUM_NOTICES {
            if server.get_mut().write_all(format!("{notice}\n").as_bytes()).await.is_err() {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!session.is_open());
    }
}
