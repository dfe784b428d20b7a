//! The port of an endpoint: served as its kind is, refused while a fault says so.

use super::config::Kind;
use super::endpoint::Endpoint;
use super::{core, electrum};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Between two attempts to listen again.
const AGAIN: Duration = Duration::from_millis(20);

/// Serves an endpoint until the node ends; while its port is refused nobody listens, and what was connected is cut off.
pub(crate) async fn run(endpoint: Arc<Endpoint>, mut listener: TcpListener) {
    let shutdown = endpoint.shared.shutdown.clone();
    loop {
        let serving = async {
            match endpoint.kind() {
                Kind::Core => core::serve(endpoint.clone(), listener).await,
                Kind::Electrum => electrum::serve(endpoint.clone(), listener).await,
            }
        };
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(%error, "the simulated node's server ended");
                }
                return;
            }
            () = endpoint.refusing() => {}
        }
        endpoint.drop_connections();
        let again = async {
            endpoint.listening().await;
            loop {
                match TcpListener::bind(endpoint.addr()).await {
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
