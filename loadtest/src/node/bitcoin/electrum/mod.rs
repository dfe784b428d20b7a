//! An endpoint that speaks as an Electrum server does: JSON-RPC, a line each, over TCP (Electrum protocol 1.4 and 1.6).
//!
//! Guarantee: lines and connections are limited; answers of a connection come in the order of its calls, however long each takes; a
//! head is announced as this endpoint shows it, lies included, and not at all while it stays behind.

mod methods;
mod session;

use super::endpoint::Endpoint;
use crate::node::socket::Connection;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until the node ends.
pub(crate) async fn serve(endpoint: Arc<Endpoint>, listener: TcpListener) -> std::io::Result<()> {
    let shutdown = endpoint.shared.shutdown.clone();
    loop {
        let (stream, _) = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted?,
        };
        let Ok(permit) = endpoint.sockets.clone().try_acquire_owned() else { continue };
        // Without this option answers merely are slower.
        let _ = stream.set_nodelay(true);
        let connection = Connection::of(&stream);
        endpoint.connections.note(&connection);
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let _permit = permit;
            session::run(endpoint, stream, connection).await;
        });
    }
}
