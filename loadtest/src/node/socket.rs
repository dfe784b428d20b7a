//! The port of an endpoint and its connections, so that a node can do to them what HTTP has no word for.
//!
//! Guarantee: what is known of a connection ends with it; cutting one off acts at once, whatever is on its way.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::net::{TcpListener, TcpStream};

/// A listener whose small answers do not wait for the one before to be acknowledged, and that notes whom it lets in.
pub(crate) struct Port {
    pub listener: TcpListener,
    pub connections: Arc<Connections>,
}

impl Listener for Port {
    type Io = TcpStream;
    type Addr = Connection;

    async fn accept(&mut self) -> (TcpStream, Connection) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        // Without this option answers merely are slower.
        let _ = stream.set_nodelay(true);
        let connection = Connection::of(&stream);
        self.connections.note(&connection);
        (stream, connection)
    }

    fn local_addr(&self) -> std::io::Result<Connection> {
        Ok(Connection(None))
    }
}

/// A connection, as requests see it; `None` where the system gave no second handle.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Option<Arc<std::net::TcpStream>>);

impl Connected<IncomingStream<'_, Port>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Port>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Connection {
    /// A second handle of a stream.
    pub(crate) fn of(stream: &TcpStream) -> Self {
        Self(stream.as_fd().try_clone_to_owned().ok().map(|handle| Arc::new(handle.into())))
    }

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

/// The connections of an endpoint, those too that have not asked for anything yet.
#[derive(Default)]
pub(crate) struct Connections(Mutex<Vec<Weak<std::net::TcpStream>>>);

impl Connections {
    pub(crate) fn note(&self, connection: &Connection) {
        let Some(stream) = &connection.0 else { return };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(stream));
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|known| known.strong_count() > 0).count()
    }

    /// Cuts all off.
    pub(crate) fn close(&self) {
        for stream in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).filter_map(|s| s.upgrade()) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
