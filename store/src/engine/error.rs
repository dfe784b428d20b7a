//! What can go wrong before the store answers, each with what to do about it.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the embedded store does not open or does not stay up. The message is meant for the person who runs it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No `libchdb.so` where it is looked for.
    #[error(
        "the ClickHouse engine (libchdb.so) is not on this machine; looked at {}. Run `make fetch` (or `scripts/fetch-chdb`) \
         once, or set HEADWATER_CHDB_LIB to the file", looked_at.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    LibraryMissing {
        /// Every place that was tried, in order.
        looked_at: Vec<PathBuf>,
    },
    /// The library is there and cannot be used.
    #[error("the ClickHouse engine at {path} cannot be loaded: {reason}. Fetch it again with `scripts/fetch-chdb`")]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// Another process holds the store.
    #[error("the store in {dir} is in use by process {pid} ({name}); stop that one, or use another [data] dir")]
    InUse {
        /// The store's directory.
        dir: PathBuf,
        /// The process that holds the lock, 0 when it did not say.
        pid: u32,
        /// Its command line.
        name: String,
    },
    /// The directory was written by a newer release.
    #[error(
        "the store in {dir} has format {found}, this release knows formats up to {known}; run the newer release again, or \
         use another [data] dir"
    )]
    NewerFormat {
        /// The store's directory.
        dir: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this release knows.
        known: u32,
    },
    /// A file of ours that cannot be read as what it should be.
    #[error("{path} is not readable: {reason}. Restore it from a backup, or move it away to have it made anew")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine refuses its data directory.
    #[error(
        "the ClickHouse engine does not open {dir}: {reason}. If the data is damaged, move the folder away and let the store \
         be filled again from the log"
    )]
    DoesNotOpen {
        /// The engine's data directory.
        dir: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// The port is taken, or not ours to open.
    #[error("cannot listen on {address}: {reason}; stop what uses the port, or set [store] listen to another address")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The child did not say that it is ready.
    #[error("the store did not become ready within {seconds} s: {detail}")]
    NotReady {
        /// The deadline, in seconds.
        seconds: u64,
        /// The last lines that the child wrote, or what it is doing.
        detail: String,
    },
    /// The child ended.
    #[error("the store's process ended ({status}): {detail}")]
    Ended {
        /// Exit status or signal.
        status: String,
        /// The last lines that the child wrote.
        detail: String,
    },
    /// Anything with a file or a socket.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the file's name.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Io`] with its context, for `map_err`.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
