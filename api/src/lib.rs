//! REST, WebSocket, their documents and the dashboard, on one listener.
//!
//! * Input: the store's views (REST, replays), `enriched.blocks` and `enriched.transactions` from the end (live frames),
//!   `alerts.events` (alerts), `stage.status` (health), `providers.samples` from a little before the end (endpoints). Output: answers, commands to
//!   the alerts' stage in `alerts.commands`, and what this stage says of itself in `stage.status`.
//! * Guarantee, REST: answers show canonical rows only; every mistake of a request is an RFC 9457 problem that names the
//!   parameter, its value and what to write; every answer is described by the OpenAPI document that the router itself is made
//!   from. Requests, bodies, URLs, connections and times are bounded.
//! * Guarantee, WebSocket: see [`ws`] (order, resume without hole or double, gaps by name).
//!
//! The listener and the shutdown signal are passed in, so that tests use port 0 and their own signal.

mod alerts;
mod alike;
mod app;
mod body;
mod catalogue;
mod conditional;
pub mod config;
mod constraints;
mod cursor;
mod decoding;
mod diagnosis;
mod disabling;
mod door;
pub mod error;
mod export;
mod figures;
mod filters;
mod given_up;
mod guard;
mod health;
pub mod items;
mod kept;
mod leaving;
mod ledger;
mod letters;
mod linger;
mod live;
mod methods;
mod metrics;
mod of_file;
mod oidc;
mod params;
mod past;
mod pipeline;
mod publishing;
mod routes;
mod search;
mod serve;
mod soon;
mod tenants;
pub mod tls;
mod turns;
mod watch;
mod windows;
pub mod ws;

use std::sync::Arc;

use runtime::log::Log;
use schemas::codec::Codec;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Config, NetworkConfig, WsConfig};
pub use door::{ControlStore, permissions};
pub use error::Error;
pub use metrics::describe as describe_metrics;

/// Serves until `shutdown`, or until a task of the stage fails. Connections get a moment to end.
///
/// The topics that are read must exist. The store may be away: then REST says so, and live frames flow all the same.
pub async fn run(
    config: Config,
    listener: TcpListener,
    store: Store,
    log: Arc<dyn Log>,
    codec: Arc<Codec>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    pipeline::run(config, listener, store, log, codec, shutdown).await
}

/// The OpenAPI document, as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::rest().1
}
