//! The port of an endpoint: served as its kind is.

use super::config::Kind;
use super::endpoint::Endpoint;
use super::faults::FaultKind;
use super::{core, electrum};
use crate::node::door::Door;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

impl Door for Endpoint {
    fn listens_at(&self) -> SocketAddr {
        self.addr()
    }

    fn shutdown(&self) -> &CancellationToken {
        &self.shared.shutdown
    }

    fn refused(&self) -> bool {
        self.faults.is(FaultKind::Refused)
    }

    fn changed(&self) -> &Notify {
        &self.changed
    }

    fn cut_off(&self) {
        self.drop_connections();
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        match self.kind() {
            Kind::Core => core::serve(self, listener).await,
            Kind::Electrum => electrum::serve(self, listener).await,
        }
    }
}
