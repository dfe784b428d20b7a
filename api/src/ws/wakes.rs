//! What wakes a connection: causes, endpoints and windows each tell a number that rises.

use tokio::sync::watch;

/// Until the number rises; for ever where nothing is followed. Safe to drop and call again.
pub async fn risen(changes: &mut Option<watch::Receiver<u64>>) {
    match changes {
        // The sender lives as long as the service.
        Some(changes) => drop(changes.changed().await),
        None => std::future::pending().await,
    }
}
