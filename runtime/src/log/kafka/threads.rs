//! Threads for librdkafka's calls, which block.
//!
//! Guarantees:
//!
//! * Each client has threads of its own, so that no call of one ever waits behind a call of another: a broker that is slow to take
//!   commits holds up neither the group's polls nor other partitions' commits.
//! * Bounded: so many threads, so many calls in line.
//! * A call that has not begun when its deadline passes never runs: nobody waits for it any more, and it is told so.
//! * A call that never comes back (some ignore their deadline, librdkafka #5456) is noticed by the [`Watch`]: from then on every call
//!   of the process fails with [`LogErrorKind::Stuck`] and the words which it was, so that the stage ends instead of standing still.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use crate::log::{LogError, LogErrorKind};

/// Beyond its own deadline, after which a call counts as one that never comes back: no sum of the client's own deadlines inside
/// one call reaches it.
const GRACE: Duration = Duration::from_secs(120);
/// How often the watch looks.
const TICK: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce() + Send>;

/// Threads that serve one line of calls.
pub struct Threads(Arc<Line>);

struct Line {
    name: String,
    threads: usize,
    waiting: usize,
    watch: Arc<Watch>,
    state: Mutex<State>,
    there: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// A call on its way.
pub struct Started<T> {
    what: &'static str,
    reply: oneshot::Receiver<Result<T, LogError>>,
    begun: Arc<AtomicBool>,
    watch: Arc<Watch>,
}

impl Threads {
    /// At most so many threads, made when they are needed, and so many calls in line for them.
    pub fn new(watch: &Arc<Watch>, name: impl Into<String>, threads: usize, waiting: usize) -> Self {
        let (name, watch) = (name.into(), watch.clone());
        Self(Arc::new(Line { name, threads, waiting, watch, state: Mutex::default(), there: Condvar::new() }))
    }

    /// Runs a call and waits for it, at most `deadline`.
    pub async fn call<T: Send + 'static>(
        &self,
        deadline: Duration,
        what: &'static str,
        call: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let mut started = self.start(deadline, what, call)?;
        let begun = started.begun.clone();
        match tokio::time::timeout(deadline, started.outcome()).await {
            Ok(result) => result,
            Err(_) if begun.load(Ordering::Acquire) => Err(LogError::new(
                LogErrorKind::Indefinite,
                format!("the Kafka client did not answer {what} within {deadline:?}"),
            )),
            Err(_) => Err(not_begun(what)),
        }
    }

    /// Begins a call whose outcome is waited for elsewhere. It is not begun once `deadline` has passed.
    pub fn start<T: Send + 'static>(
        &self,
        deadline: Duration,
        what: &'static str,
        call: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<Started<T>, LogError> {
        self.0.watch.check()?;
        let (send, reply) = oneshot::channel();
        let begun = Arc::new(AtomicBool::new(false));
        let (line, says, last) = (self.0.clone(), begun.clone(), Instant::now() + deadline);
        self.0.push(Box::new(move || {
            if send.is_closed() || Instant::now() >= last {
                return;
            }
            says.store(true, Ordering::Release);
            let _watched = line.watch.begin(format!("{what} ({})", line.name), deadline);
            let _ = send.send(call());
        }))?;
        Ok(Started { what, reply, begun, watch: self.0.watch.clone() })
    }

    /// Runs what ends a client, when all before it has ended: nobody waits for it.
    pub fn end(self, last: impl FnOnce() + Send + 'static) {
        // In vain only when no thread can be made: then it ends here.
        let _ = self.0.push(Box::new(last));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.there.notify_all();
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, job: Job) -> Result<(), LogError> {
        let mut state = self.lock();
        if state.jobs.len() >= self.waiting {
            let message = format!("{} calls wait for {} already: the brokers are slow", self.waiting, self.name);
            return Err(LogError::new(LogErrorKind::Unavailable, message));
        }
        if state.idle <= state.jobs.len() && state.threads < self.threads {
            let line = self.clone();
            // Named as the stage's own threads, so that the machine's accounting shows the stage's CPU.
            let name = std::thread::current().name().unwrap_or("kafka").to_owned();
            let named = std::thread::Builder::new().name(name);
            match named.spawn(move || line.serve()) {
                Ok(_) => state.threads += 1,
                Err(e) if state.threads == 0 => {
                    return Err(LogError::new(LogErrorKind::Unavailable, format!("no thread can be made: {e}")));
                }
                // Those that there are do it later.
                Err(_) => {}
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.there.notify_one();
        Ok(())
    }

    fn serve(&self) {
        loop {
            let mut state = self.lock();
            let job = loop {
                if let Some(job) = state.jobs.pop_front() {
                    break job;
                }
                if state.closed {
                    return;
                }
                state.idle += 1;
                state = self.there.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            };
            drop(state);
            // A panic would take the thread along; its caller hears of it by the reply that is dropped.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                tracing::error!(name = self.name, "a call of the Kafka client panicked");
            }
        }
    }
}

fn not_begun(what: &str) -> LogError {
    LogError::new(
        LogErrorKind::Unavailable,
        format!("the Kafka client had no turn for {what} in time; it was not begun"),
    )
}

impl<T> Started<T> {
    /// What came of it. Safe to drop while it waits, and to ask again.
    pub async fn outcome(&mut self) -> Result<T, LogError> {
        tokio::select! {
            biased;
            reply = &mut self.reply => match reply {
                Ok(result) => result,
                Err(_) if self.begun.load(Ordering::Acquire) => {
                    Err(LogError::new(LogErrorKind::Indefinite, format!("{} of the Kafka client ended without an answer", self.what)))
                }
                Err(_) => Err(not_begun(self.what)),
            },
            stuck = self.watch.stuck() => Err(stuck),
        }
    }
}

/// Notices calls that never come back, over all clients of a process.
pub struct Watch {
    grace: Duration,
    running: Mutex<Running>,
    lost: watch::Sender<Option<String>>,
}

#[derive(Default)]
struct Running {
    next: u64,
    calls: HashMap<u64, (String, Duration)>,
}

/// A call that is being watched.
struct Watched(Arc<Watch>, u64);

impl Watch {
    /// Begins to watch; ends when nobody needs it any more.
    pub fn start() -> Result<Arc<Self>, LogError> {
        Self::every(TICK, GRACE)
    }

    fn every(tick: Duration, grace: Duration) -> Result<Arc<Self>, LogError> {
        let watch = Arc::new(Self { grace, running: Mutex::default(), lost: watch::Sender::new(None) });
        let weak = Arc::downgrade(&watch);
        let looking = move || {
            loop {
                std::thread::sleep(tick);
                let Some(watch) = weak.upgrade() else { return };
                watch.look(tick);
            }
        };
        std::thread::Builder::new()
            .name("kafka watch".to_owned())
            .spawn(looking)
            .map_err(|e| LogError::new(LogErrorKind::Unavailable, format!("no thread can be made: {e}")))?;
        Ok(watch)
    }

    /// Time is counted in looks, not by the clock: a process that was stopped and continued has lost no call.
    fn look(&self, tick: Duration) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, left) in running.calls.values_mut() {
            *left = left.saturating_sub(tick);
            if left.is_zero()
                && self.lost.send_if_modified(|lost| lost.is_none().then(|| *lost = Some(what.clone())).is_some())
            {
                tracing::error!(call = %what, "a call of the Kafka client does not come back");
            }
        }
    }

    fn begin(self: &Arc<Self>, what: String, deadline: Duration) -> Watched {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let id = running.next;
        running.next += 1;
        running.calls.insert(id, (what, deadline + self.grace));
        Watched(self.clone(), id)
    }

    fn check(&self) -> Result<(), LogError> {
        self.lost.borrow().as_deref().map_or(Ok(()), |what| Err(stuck(what)))
    }

    /// Waits until a call is lost.
    async fn stuck(&self) -> LogError {
        let mut lost = self.lost.subscribe();
        // An error cannot be: the sender lives in `self`.
        let what = lost.wait_for(Option::is_some).await.ok().and_then(|what| what.clone());
        stuck(&what.unwrap_or_default())
    }
}

fn stuck(what: &str) -> LogError {
    LogError::new(
        LogErrorKind::Stuck,
        format!("a call of the Kafka client never came back: {what}; the process must be started anew"),
    )
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).calls.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// Holds a thread until it is let go.
    fn held(threads: &Threads) -> (Started<()>, mpsc::SyncSender<()>) {
        let (go, wait) = mpsc::sync_channel(1);
        let (began, begun) = mpsc::sync_channel(1);
        let started = threads
            .start(LONG, "a call that waits", move || {
                let _ = began.send(());
                let _ = wait.recv();
                Ok(())
            })
            .expect("started");
        begun.recv().expect("it begins");
        (started, go)
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_never_runs() {
        let watch = Watch::start().expect("a watch");
        let threads = Threads::new(&watch, "test", 1, 4);
        let (mut first, go) = held(&threads);
        let ran = Arc::new(AtomicBool::new(false));
        let says = ran.clone();
        let late = threads.call(Duration::from_millis(20), "a commit", move || {
            says.store(true, Ordering::SeqCst);
            Ok(())
        });
        let e = late.await.expect_err("no turn");
        assert!(e.kind == LogErrorKind::Unavailable && e.message.contains("a commit"), "{e}");
        go.send(()).expect("let go");
        first.outcome().await.expect("done");
        // The thread has come past it when it does the next.
        threads.call(LONG, "the next", || Ok(())).await.expect("served");
        assert!(!ran.load(Ordering::SeqCst), "it ran for nobody");
    }

    #[tokio::test]
    async fn a_line_is_bounded_and_lines_do_not_wait_for_each_other() {
        let watch = Watch::start().expect("a watch");
        let (commits, polls) = (Threads::new(&watch, "commits", 1, 2), Threads::new(&watch, "polls", 1, 2));
        let (_first, go) = held(&commits);
        let _waiting = [
            commits.start(LONG, "1", || Ok(())).expect("in line"),
            commits.start(LONG, "2", || Ok(())).expect("in line"),
        ];
        let e = commits.start(LONG, "3", || Ok(())).err().expect("too many");
        assert_eq!(e.kind, LogErrorKind::Unavailable, "{e}");
        assert_eq!(polls.call(LONG, "a poll", || Ok(7)).await.expect("served"), 7);
        drop(go);
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_thread_goes_on() {
        let watch = Watch::start().expect("a watch");
        let threads = Threads::new(&watch, "test", 1, 4);
        let e = threads.call::<()>(LONG, "a call", || panic!("on purpose")).await.expect_err("panicked");
        assert_eq!(e.kind, LogErrorKind::Indefinite, "{e}");
        threads.call(LONG, "the next", || Ok(())).await.expect("served");
    }

    #[tokio::test]
    async fn a_call_that_never_comes_back_ends_every_wait_by_name() {
        let watch = Watch::every(Duration::from_millis(5), Duration::from_millis(20)).expect("a watch");
        let (commits, polls) = (Threads::new(&watch, "ingest.7", 1, 4), Threads::new(&watch, "ingest", 1, 4));
        let (_go, wait) = mpsc::sync_channel::<()>(1);
        let (other, poll) = mpsc::sync_channel::<()>(1);
        let lost = commits.call(Duration::from_millis(5), "a commit", move || {
            let _ = wait.recv();
            Ok(())
        });
        // Somebody who waits without a deadline is not left waiting.
        let mut polling = polls
            .start(LONG, "a poll", move || {
                let _ = poll.recv();
                Ok(())
            })
            .expect("started");
        assert!(matches!(lost.await.expect_err("late").kind, LogErrorKind::Indefinite | LogErrorKind::Stuck));
        let e = polling.outcome().await.expect_err("stuck");
        assert!(e.kind == LogErrorKind::Stuck && !e.is_transient(), "{e:?}");
        assert!(e.message.contains("a commit (ingest.7)"), "{e}");
        assert_eq!(polls.call(LONG, "a question", || Ok(())).await.expect_err("stuck").kind, LogErrorKind::Stuck);
        drop(other);
    }
}
