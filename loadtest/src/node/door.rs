//! The port of an endpoint, closed to the system while a fault says so.
//!
//! Guarantee: while it is refused nobody listens, so that connecting to it fails, and what was connected is cut off.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Between two attempts to listen again.
const AGAIN: Duration = Duration::from_millis(20);

/// An endpoint whose port can be refused.
pub(crate) trait Door: Send + Sync + 'static {
    /// Where it listens.
    fn listens_at(&self) -> SocketAddr;

    /// The node's end.
    fn shutdown(&self) -> &CancellationToken;

    /// Whether nobody shall listen now.
    fn refused(&self) -> bool;

    /// Told when that may have changed.
    fn changed(&self) -> &Notify;

    /// Ends what is connected.
    fn cut_off(&self);

    /// Serves until the node ends.
    fn serve(self: Arc<Self>, listener: TcpListener) -> impl Future<Output = std::io::Result<()>> + Send;
}

/// Serves an endpoint until the node ends; while its port is refused nobody listens.
pub(crate) async fn run<D: Door>(door: Arc<D>, mut listener: TcpListener) {
    let shutdown = door.shutdown().clone();
    loop {
        tokio::select! {
            served = door.clone().serve(listener) => {
                if let Err(error) = served {
                    tracing::error!(%error, "the simulated node's server ended");
                }
                return;
            }
            () = refusing(&*door) => {}
        }
        door.cut_off();
        let again = async {
            listening(&*door).await;
            loop {
                match TcpListener::bind(door.listens_at()).await {
                    Ok(listener) => return listener,
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            }
        };
        listener = tokio::select! {
            () = shutdown.cancelled() => return,
            listener = again => listener,
        };
    }
}

/// Returns when nobody shall listen any more.
async fn refusing(door: &impl Door) {
    while !door.refused() {
        door.changed().notified().await;
    }
}

/// Returns when somebody shall listen again.
async fn listening(door: &impl Door) {
    while door.refused() {
        // It may be refused for a time.
        let _ = tokio::time::timeout(Duration::from_millis(10), door.changed().notified()).await;
    }
}
