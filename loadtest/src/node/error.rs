//! What can go wrong with a simulated node.

use std::path::PathBuf;

/// Why a simulator could not start or follow an order.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recorded block cannot be used.
    #[error("recorded block {name}: {what}")]
    Data { name: String, what: String },
    /// A folder holds nothing to replay.
    #[error("{}: no recorded block; wanted are folders NUMBER/ with block.json and receipts.json", .0.display())]
    Empty(PathBuf),
    /// No data set of that name is built in.
    #[error("no built-in data set {name:?}; there are {known}")]
    Unknown { name: String, known: String },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen { addr: std::net::SocketAddr, source: std::io::Error },
    /// A setting is out of range.
    #[error("{0}")]
    Setting(String),
    /// The persisted origin belongs to another chain.
    #[error("{}: {what}; use the settings it was made with, or delete it to start another chain", path.display())]
    Origin { path: PathBuf, what: String },
    /// A fault cannot be read.
    #[error("fault {text:?}: {what}")]
    Fault { text: String, what: String },
    /// A fork or an advance that is not possible now.
    #[error("{0}")]
    Order(String),
}
