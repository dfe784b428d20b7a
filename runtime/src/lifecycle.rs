//! The life cycle of a process: one type for all of them.
//!
//! Guarantee: a task that fails, panics or ends before it was told to stops the service; stopping is a request that every
//! task sees through one token; a deadline or a second signal ends the waiting; how it ended is a value ([`Outcome`]) that
//! only `main` turns into an exit code.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Any error, for people.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How a service ended.
#[derive(Debug)]
pub enum Outcome {
    /// Stopped on request, everything came to its end.
    Done,
    /// A task failed.
    Failed {
        /// Which.
        task: String,
        /// Why.
        error: BoxError,
    },
    /// Stopped on request, but these tasks did not end in time or a second signal came.
    Forced {
        /// Tasks that were cut off.
        unfinished: Vec<String>,
    },
}

type Ended = (String, Result<(), BoxError>);

/// The tasks of a process.
pub struct Service {
    stop: CancellationToken,
    tasks: JoinSet<Ended>,
    names: Vec<String>,
    grace: Duration,
}

impl Service {
    /// An empty service. `grace`: how long tasks may take to end after the request to stop.
    pub fn new(grace: Duration) -> Self {
        Self { stop: CancellationToken::new(), tasks: JoinSet::new(), names: Vec::new(), grace }
    }

    /// The token that asks every task to stop.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task on the present runtime.
    pub fn spawn<E: Into<BoxError>>(&mut self, name: &str, task: impl Future<Output = Result<(), E>> + Send + 'static) {
        self.names.push(name.to_owned());
        let name = name.to_owned();
        self.tasks.spawn(async move {
            // A task of its own, so that a panic becomes an error with the task's name.
            let result = match tokio::spawn(async move { task.await.map_err(Into::into) }).await {
                Ok(result) => result,
                Err(e) => Err(format!("panicked: {e}").into()),
            };
            (name, result)
        });
    }

    /// Runs a stage on a runtime of its own whose threads carry its name: one stage's work never delays another's timers,
    /// and the machine's accounting shows the CPU of each.
    pub fn spawn_stage<E: Into<BoxError>>(
        &mut self,
        name: &str,
        threads: usize,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(16)
            .thread_name(name)
            .enable_all()
            .build()?;
        let (done, ended) = oneshot::channel();
        let work: Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>> =
            Box::pin(async move { task.await.map_err(Into::into) });
        std::thread::Builder::new().name(format!("{name}-main")).spawn(move || {
            let result = runtime.block_on(async { runtime.spawn(work).await });
            let result = result.unwrap_or_else(|e| Err(format!("panicked: {e}").into()));
            runtime.shutdown_timeout(Duration::from_secs(1));
            // The receiver is gone only when the service was cut off: nobody is left to hear.
            let _ = done.send(result);
        })?;
        let task_name = name.to_owned();
        self.names.push(task_name.clone());
        self.tasks.spawn(async move {
            let result = ended.await.unwrap_or_else(|_| Err("its thread died".into()));
            (task_name, result)
        });
        Ok(())
    }

    /// Runs until a signal (the first asks, the second cuts off) or a failure.
    pub async fn run(mut self, mut signals: mpsc::Receiver<()>) -> Outcome {
        let mut failed = None;
        let mut signals_open = true;
        loop {
            tokio::select! {
                signal = signals.recv(), if signals_open => {
                    signals_open = signal.is_some();
                    if signals_open { tracing::info!("asked to stop"); break; }
                }
                () = self.stop.cancelled() => break,
                ended = self.tasks.join_next() => match ended {
                    None => return Outcome::Done,
                    Some(Ok((task, result))) => {
                        let stopping = self.stop.is_cancelled();
                        self.names.retain(|n| *n != task);
                        let error = match result {
                            Ok(()) if stopping => continue,
                            Ok(()) => "ended by itself".into(),
                            Err(e) => e,
                        };
                        failed = Some((task, error));
                        break;
                    }
                    Some(Err(e)) => { failed = Some(("task".to_owned(), e.into())); break; }
                },
            }
        }
        self.stop.cancel();
        let deadline = Instant::now() + self.grace;
        let cut_off = self.drain(&mut signals, signals_open, deadline, &mut failed).await;
        self.tasks.abort_all();
        match failed {
            Some((task, error)) => Outcome::Failed { task, error },
            None if cut_off => Outcome::Forced { unfinished: self.names },
            None => Outcome::Done,
        }
    }

    /// Waits for what still runs; true when the deadline or a second signal came first.
    async fn drain(
        &mut self,
        signals: &mut mpsc::Receiver<()>,
        mut signals_open: bool,
        deadline: Instant,
        failed: &mut Option<(String, BoxError)>,
    ) -> bool {
        loop {
            tokio::select! {
                signal = signals.recv(), if signals_open => {
                    if signal.is_some() { return true; }
                    signals_open = false;
                }
                () = tokio::time::sleep_until(deadline) => return true,
                ended = self.tasks.join_next() => match ended {
                    None => return false,
                    Some(Ok((task, result))) => {
                        self.names.retain(|n| *n != task);
                        if let Err(error) = result {
                            tracing::warn!(task, %error, "failed while stopping");
                            failed.get_or_insert((task, error));
                        }
                    }
                    Some(Err(error)) => tracing::warn!(%error, "a task was lost while stopping"),
                },
            }
        }
    }
}

/// SIGTERM and SIGINT as messages.
pub fn signals() -> std::io::Result<mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let (tx, rx) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            if tx.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(rx)
}

/// SIGHUP as messages: read the configuration again. While one waits, others are the same.
pub fn hangups() -> std::io::Result<mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    let (tx, rx) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if matches!(tx.try_send(()), Err(mpsc::error::TrySendError::Closed(()))) {
                return;
            }
        }
    });
    Ok(rx)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
        mpsc::channel(2)
    }

    #[tokio::test]
    async fn a_failed_task_stops_the_others_and_is_named() {
        let (_keep, signals) = never();
        let mut service = Service::new(Duration::from_secs(5));
        let stop = service.stop_token();
        let (saw, seen) = oneshot::channel();
        service.spawn("good", async move {
            stop.cancelled().await;
            let _ = saw.send(());
            Ok::<(), BoxError>(())
        });
        service.spawn("bad", async { Err::<(), BoxError>("no disk".into()) });
        let Outcome::Failed { task, error } = service.run(signals).await else { panic!("must fail") };
        assert_eq!((task.as_str(), error.to_string().as_str()), ("bad", "no disk"));
        seen.await.expect("the other task was asked to stop");
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_and_so_is_an_early_end() {
        for (work, words) in [(true, "panicked"), (false, "ended by itself")] {
            let (_keep, signals) = never();
            let mut service = Service::new(Duration::from_secs(5));
            service
                .spawn_stage("stage", 1, async move {
                    assert!(!work, "boom");
                    Ok::<(), BoxError>(())
                })
                .expect("threads");
            let Outcome::Failed { error, .. } = service.run(signals).await else { panic!("must fail") };
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn a_signal_asks_and_a_second_one_cuts_off() {
        let (send, signals) = never();
        let mut service = Service::new(Duration::from_secs(600));
        service.spawn("deaf", async {
            std::future::pending::<()>().await;
            Ok::<(), BoxError>(())
        });
        send.send(()).await.expect("open");
        send.send(()).await.expect("open");
        let Outcome::Forced { unfinished } = service.run(signals).await else { panic!("must be forced") };
        assert_eq!(unfinished, ["deaf"]);
    }

    #[tokio::test]
    async fn the_deadline_ends_the_waiting_and_a_polite_task_ends_it_well() {
        for (polite, grace) in [(true, 600_000), (false, 10)] {
            let (send, signals) = never();
            let mut service = Service::new(Duration::from_millis(grace));
            let stop = service.stop_token();
            service.spawn("task", async move {
                stop.cancelled().await;
                if !polite {
                    std::future::pending::<()>().await;
                }
                Ok::<(), BoxError>(())
            });
            send.send(()).await.expect("open");
            let outcome = service.run(signals).await;
            assert_eq!(matches!(outcome, Outcome::Done), polite, "{outcome:?}");
        }
    }
}
