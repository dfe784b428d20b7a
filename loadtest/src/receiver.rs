//! A server on loopback that alerts are sent to: where it listens, and its end.

use crate::failure::Failure;
use axum::Router;
use std::net::SocketAddr;
use tokio::task::JoinHandle;

/// Serves until it is dropped.
pub(crate) struct Serving {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Serving {
    /// On a port of its own.
    ///
    /// # Errors
    /// It cannot listen.
    pub(crate) async fn start(app: Router) -> Result<Self, Failure> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the receiver of alerts has ended");
            }
        });
        Ok(Self { address, task })
    }

    /// Where.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}
