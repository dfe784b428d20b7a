//! The port of an endpoint and its connections, so that a node can do to them what HTTP has no word for.
//!
//! Guarantee: what is known of a connection ends with it; cutting one off acts at once, whatever is on its way.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose small answers do not wait for the one before to be acknowledged.
pub(crate) struct Port(pub TcpListener);

impl Listener for Port {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        // Without this option answers merely are slower.
        let _ = stream.set_nodelay(true);
        (stream, from)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection, as requests see it; `None` where the system gave no second handle.
#[derive(Clone)]
pub(crate) struct Connection(Option<Arc<std::net::TcpStream>>);

impl Connected<IncomingStream<'_, Port>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        Self(stream.io().as_fd().try_clone_to_owned().ok().map(|handle| Arc::new(handle.into())))
    }
}

impl Connection {
    /// Ends our half.
    pub(crate) fn half_close(&self) {
        self.shut(Shutdown::Write);
    }

    /// Ends it.
    pub(crate) fn close(&self) {
        self.shut(Shutdown::Both);
    }

    fn shut(&self, how: Shutdown) {
        if let Some(stream) = &self.0 {
            // It may be over already.
            let _ = stream.shutdown(how);
        }
    }
}

/// The connections of an endpoint that asked for something.
#[derive(Default)]
pub(crate) struct Connections(Mutex<Vec<Weak<std::net::TcpStream>>>);

impl Connections {
    /// Notes a connection with its first request.
    pub(crate) fn note(&self, connection: &Connection) {
        let Some(stream) = &connection.0 else { return };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        if !all.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(stream))) {
            all.push(Arc::downgrade(stream));
        }
    }

    /// Cuts all off.
    pub(crate) fn close(&self) {
        for stream in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).filter_map(|s| s.upgrade()) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
