//! The parent's side: starts the store's process, learns its URL, starts it again when it falls.
//!
//! Guarantee: the state that is published is what the child last said or how it ended; a child that ended or that never
//! became ready is started again after a delay that doubles up to a bound; when the token is cancelled the child gets
//! SIGTERM, a bounded time, then SIGKILL, and nothing of it is left when [`Supervisor::stopped`] returns. Signals go
//! through a pidfd, so that they can reach no other process.

use super::process::VARIABLE;
use super::{Error, tidy};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use schemas::limits::store as limits;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How the store's process is started. Its environment is the parent's, plus `environment`.
#[derive(Clone, Debug)]
pub struct ChildCommand {
    /// The program: usually `std::env::current_exe()`.
    pub program: PathBuf,
    /// Its arguments, such as `store --config FILE`.
    pub arguments: Vec<OsString>,
    /// Variables added to the environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl ChildCommand {
    /// A program and its arguments.
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, environment: Vec::new() }
    }
}

/// Deadlines and delays of the supervision.
#[derive(Clone, Copy, Debug)]
pub struct RestartPolicy {
    /// From start to the line that says ready.
    pub ready_within: Duration,
    /// The delay after the first failure; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest delay.
    pub longest_delay: Duration,
    /// The longest delay after a child that had been ready: it can start, and is waited for.
    pub longest_after_ready: Duration,
    /// A child that was ready for this long begins with the first delay again.
    pub settled_after: Duration,
    /// From SIGTERM to SIGKILL.
    pub stop_within: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            ready_within: limits::READY_WITHIN,
            first_delay: Duration::from_millis(200),
            longest_delay: Duration::from_secs(30),
            longest_after_ready: Duration::from_secs(2),
            settled_after: Duration::from_secs(60),
            stop_within: limits::STOP_WITHIN,
        }
    }
}

/// What is known of the store's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It was started and has not answered yet.
    Starting,
    /// It answers at this URL.
    Ready(Url),
    /// It ended, or did not become ready.
    Down {
        /// What happened and what to do about it, for a person to read.
        error: String,
        /// When it is started again; `None` once the supervision has stopped.
        retry_in: Option<Duration>,
    },
}

/// A running supervision. Dropping it leaves it running; cancel its token to stop it.
#[derive(Debug)]
pub struct Supervisor {
    state: watch::Receiver<StoreState>,
    task: tokio::task::JoinHandle<()>,
}

impl Supervisor {
    /// The state, to be watched.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<StoreState> {
        self.state.clone()
    }

    /// The URL, once it is ready. A first start that fails is an error at once: whoever waits is told why; the supervision
    /// goes on in the meantime.
    ///
    /// # Errors
    /// [`Error::Ended`] with what the child said.
    pub async fn ready(&self) -> Result<Url, Error> {
        let mut state = self.state.clone();
        let ended = |detail: String| Error::Ended { status: "before it was ready".to_owned(), detail };
        match state.wait_for(|s| !matches!(s, StoreState::Starting)).await.as_deref() {
            Ok(StoreState::Ready(url)) => Ok(url.clone()),
            Ok(StoreState::Down { error, .. }) => Err(ended(error.clone())),
            Ok(StoreState::Starting) | Err(_) => Err(ended("the supervision stopped".to_owned())),
        }
    }

    /// Waits until the child is gone, after the token was cancelled.
    pub async fn stopped(self) {
        let _ = self.task.await; // a panic in it was reported by the runtime
    }
}

/// Starts the store's process and keeps it up until `cancel` is cancelled.
#[must_use]
pub fn supervise(command: ChildCommand, policy: RestartPolicy, cancel: CancellationToken) -> Supervisor {
    let (sender, state) = watch::channel(StoreState::Starting);
    let task = tokio::spawn(async move {
        let mut delay = policy.first_delay;
        let mut failure = None;
        loop {
            sender.send_replace(StoreState::Starting);
            let (error, ready_for) = run_once(&with(&command, failure.as_deref()), &policy, &cancel, &sender).await;
            if cancel.is_cancelled() {
                sender.send_replace(StoreState::Down { error: "stopped on request".to_owned(), retry_in: None });
                return;
            }
            if ready_for >= policy.settled_after {
                delay = policy.first_delay;
            }
            // The next start moves aside what the engine complained about before it ended.
            let complained = matches!(error, Error::Ended { .. }) && ready_for.is_zero();
            let error = error.to_string();
            failure = complained.then(|| error.clone());
            if !ready_for.is_zero() {
                delay = delay.min(policy.longest_after_ready);
            }
            tracing::error!(error, retry_in_ms = delay.as_millis(), "the store is down");
            sender.send_replace(StoreState::Down { error, retry_in: Some(delay) });
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = cancel.cancelled() => {}
            }
            delay = (delay * 2).min(policy.longest_delay);
        }
    });
    Supervisor { state, task }
}

/// The command of a start after one that failed.
fn with(command: &ChildCommand, failure: Option<&str>) -> ChildCommand {
    let mut command = command.clone();
    // No value of the environment holds a zero byte, or is as long as what may have been said.
    let value = |said: &str| said[..said.floor_char_boundary(limits::CHILD_LINE as usize)].replace('\0', " ");
    command.environment.extend(failure.map(|said| (tidy::FAILED.into(), value(said).into())));
    command
}

/// What the thread that owns the child says of it.
enum Event {
    Started(OwnedFd),
    Line(String),
    Ended(String),
}

/// One life of the child: how it ended, and how long it had been ready.
async fn run_once(
    command: &ChildCommand,
    policy: &RestartPolicy,
    cancel: &CancellationToken,
    state: &watch::Sender<StoreState>,
) -> (Error, Duration) {
    let tail = Tail::default();
    let (sender, mut events) = mpsc::channel(16);
    let thread = {
        let (command, tail) = (command.clone(), tail.clone());
        std::thread::Builder::new().name("store-process".to_owned()).spawn(move || own_child(&command, &sender, &tail))
    };
    if let Err(e) = thread {
        return (Error::io("starting a thread for the store")(e), Duration::ZERO);
    }
    let mut pidfd = None;
    let mut ready_at: Option<Instant> = None;
    let mut verdict: Option<Error> = None;
    let mut stopping = false;
    let deadline = tokio::time::sleep(policy.ready_within);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Started(fd)) => pidfd = Some(fd),
                Some(Event::Line(line)) => {
                    if let Some(url) = line.strip_prefix("ready ").and_then(|url| Url::parse(url.trim()).ok()) {
                        ready_at = Some(Instant::now());
                        tracing::info!(%url, "the store is ready");
                        state.send_replace(StoreState::Ready(url));
                    }
                }
                Some(Event::Ended(status)) => {
                    let ready_for = ready_at.map_or(Duration::ZERO, |at| at.elapsed());
                    return (verdict.unwrap_or_else(|| Error::Ended { status, detail: tail.text() }), ready_for);
                }
                None => return (Error::Ended { status: "unknown".to_owned(), detail: tail.text() }, Duration::ZERO),
            },
            () = cancel.cancelled(), if !stopping => {
                stopping = true;
                signal(pidfd.as_ref(), Signal::TERM);
                deadline.as_mut().reset(tokio::time::Instant::now() + policy.stop_within);
            }
            () = &mut deadline, if stopping || (ready_at.is_none() && verdict.is_none()) => {
                if !stopping {
                    verdict = Some(Error::NotReady { seconds: policy.ready_within.as_secs(), detail: tail.text() });
                }
                signal(pidfd.as_ref(), Signal::KILL);
                // A killed process ends at once; should the pidfd not be there yet, ask again.
                deadline.as_mut().reset(tokio::time::Instant::now() + Duration::from_millis(100));
                stopping = true;
            }
        }
    }
}

fn signal(pidfd: Option<&OwnedFd>, signal: Signal) {
    if let Some(fd) = pidfd
        && let Err(error) = pidfd_send_signal(fd, signal)
    {
        tracing::debug!(%error, "the store's process is gone already");
    }
}

/// Spawns the child and stays until it has ended: the kernel's parent-death signal is tied to this thread.
fn own_child(command: &ChildCommand, events: &mpsc::Sender<Event>, tail: &Tail) {
    let spawned = Command::new(&command.program)
        .args(&command.arguments)
        .envs(allocator())
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .env(VARIABLE, std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) => {
            tail.push(format!("cannot start {}: {e}", command.program.display()));
            let _ = events.blocking_send(Event::Ended("not started".to_owned()));
            return;
        }
    };
    let _pipe = child.stdin.take(); // held until the end of this thread: its end tells the child that we are gone
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    match pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
        Some(Ok(fd)) => {
            let _ = events.blocking_send(Event::Started(fd));
        }
        _ => {
            let _ = child.kill(); // without a pidfd it could not be stopped later
        }
    }
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            read_lines(out, |line| {
                let _ = events.blocking_send(Event::Line(line));
            });
        });
        scope.spawn(|| {
            read_lines(err, |line| {
                tracing::info!(target: "store", "{line}");
                tail.push(line);
            });
        });
    });
    let status = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
    let _ = events.blocking_send(Event::Ended(status));
}

/// How soon the engine's allocator gives freed pages back; a variable of the parent wins. Measured with 1.2 M wide rows and
/// heavy `FINAL` aggregates: after a second (this) 650 MB at most for the CPU time of the default (10 s, 695 MB); at once
/// 603 MB for a third more CPU time. All come back to 250 MB when idle.
fn allocator() -> Option<(&'static str, &'static str)> {
    const NAME: &str = "JE_MALLOC_CONF";
    std::env::var_os(NAME).is_none().then_some((NAME, "dirty_decay_ms:1000,muzzy_decay_ms:0"))
}

/// Lines of a pipe, each cut at a bounded length.
fn read_lines(pipe: Option<impl Read>, mut each: impl FnMut(String)) {
    let Some(pipe) = pipe else { return };
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(limits::CHILD_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => each(String::from_utf8_lossy(&line).trim_end().to_owned()),
        }
    }
}

/// The last lines that the child wrote to standard error: what a person needs when it has ended.
#[derive(Clone, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    const LINES: usize = 12;

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == Self::LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() { "it said nothing".to_owned() } else { Vec::from_iter(lines.iter().cloned()).join("\n") }
    }
}
