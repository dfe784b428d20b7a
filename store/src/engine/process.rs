//! How the child learns that its parent is gone.
//!
//! Guarantee: a supervised child ends within moments of its parent's end, `kill -9` included. Two means that do not depend
//! on each other: the kernel's parent-death signal, and the pipe that is the child's standard input, whose writing end only
//! the parent holds. The pipe also covers the race of the first (a parent that died before the child asked for the signal).
//! The kernel sends its signal when the *thread* that spawned the child ends, which is why [`super::supervise`] spawns from
//! a thread that stays until the child has ended.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::io::Read;

/// The variable by which [`super::supervise`] tells its child who supervises it: the parent's process id.
pub(super) const VARIABLE: &str = "HEADWATER_STORE_PARENT";

/// The process that supervises this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent(Pid);

/// Ends this process at once, for a reason that its supervisor reads on standard error. What the engine was doing is lost as by
/// `kill -9`, which it is made for.
pub(super) fn end(reason: &str) -> ! {
    tracing::error!(reason, "the store ends itself");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("the store ends itself: {reason}\n").as_bytes());
    loop {
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

impl Parent {
    /// The supervisor, when this process was started by [`super::supervise`].
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let pid = std::env::var(VARIABLE).ok()?.parse().ok()?;
        Pid::from_raw(pid).map(Self)
    }

    /// Ties this process to the parent. False when the parent is gone already.
    pub(super) fn tie(self) -> bool {
        if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
            tracing::warn!(%error, "the kernel refuses a parent-death signal; the pipe alone tells when the parent ends");
        }
        let watched = std::thread::Builder::new().name("parent-watch".to_owned()).spawn(|| {
            let mut byte = [0u8; 64];
            // Nothing is ever sent: a read returns at the end of the pipe, which is the end of the parent.
            while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
        });
        if let Err(error) = watched {
            tracing::warn!(%error, "no thread to watch the parent's pipe; the parent-death signal alone tells");
        }
        getppid() == Some(self.0)
    }
}
