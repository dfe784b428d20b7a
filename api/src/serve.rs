//! The accept loop: HTTP/1.1 with upgrades, over TLS where there is a certificate, a bound on connections, a deadline on handshake and
//! headers, and an orderly end of each (see [`Lingering`]).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use schemas::limits;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{
    door::Peer,
    linger::Lingering,
    tls::{self, Certificate},
};

/// How long a client may take for a request's headers; also how long an idle connection is kept.
const HEADERS: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long open connections may take to end after the signal.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown`, then lets running requests end.
pub async fn serve(
    listener: TcpListener,
    certificate: Option<Certificate>,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let connections = Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS));
    let tracker = TaskTracker::new();
    loop {
        // A connection beyond the limit waits in the listener's backlog.
        let permit = tokio::select! {
            () = shutdown.cancelled() => break,
            permit = Arc::clone(&connections).acquire_owned() => match permit {
                Ok(permit) => permit,
                Err(_) => break, // never: nobody closes the semaphore
            },
        };
        let (socket, address) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    // Out of file descriptors or memory: others may end meanwhile.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        drop(socket.set_nodelay(true));
        let (router, shutdown, certificate) = (router.clone(), shutdown.clone(), certificate.clone());
        tracker.spawn(async move {
            let ended = match certificate {
                None => talk(Lingering::new(socket, permit), router, Peer { address, tls: false }, shutdown).await,
                Some(certificate) => talk_tls(socket, permit, &certificate, router, address, shutdown).await,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    tracker.close();
    if tokio::time::timeout(DRAIN, tracker.wait()).await.is_err() {
        tracing::warn!(left = tracker.len(), "connections were cut at the end");
    }
    Ok(())
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn talk_tls(
    socket: TcpStream,
    permit: OwnedSemaphorePermit,
    certificate: &Certificate,
    router: Router,
    address: SocketAddr,
    shutdown: CancellationToken,
) -> Ended {
    let handshake = async {
        let mut first = [0];
        let plain = socket.peek(&mut first).await? > 0 && first[0] != tls::HANDSHAKE;
        let mut socket = Lingering::new(socket, permit);
        if plain {
            socket.write_all(tls::PLAIN).await?;
            return Ok(None);
        }
        certificate.acceptor().accept(socket).await.map(Some)
    };
    let socket = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        socket = tokio::time::timeout(HANDSHAKE, handshake) => socket??,
    };
    match socket {
        Some(socket) => talk(socket, router, Peer { address, tls: true }, shutdown).await,
        None => Ok(()),
    }
}

/// One connection, whose requests carry who is at its other end.
async fn talk<S>(socket: S, router: Router, peer: Peer, shutdown: CancellationToken) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = router.map_request(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        request
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    Ok(ended?)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
