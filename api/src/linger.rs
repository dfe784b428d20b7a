//! A connection that ends so that its last words arrive.
//!
//! Guarantee: what was written before the end reaches a client that reads it, although bytes of the client's are unread. Closing
//! a socket with unread bytes resets the connection, and a reset overtakes what was written: a refusal of a large body, or the
//! close frame that says why. So the last thing said is the end of our sending; then what still comes is thrown away until the
//! client closes, for a bounded time, while the connection counts as one.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    runtime::Handle,
    sync::OwnedSemaphorePermit,
};

/// How long the client may take to close.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes thrown away at a time.
const CHUNK: usize = 4 << 10;

/// A socket that lingers when it is dropped.
pub struct Lingering {
    /// Taken by the drop.
    open: Option<(TcpStream, OwnedSemaphorePermit)>,
}

impl Lingering {
    /// Over this socket, which counts as a connection until it has ended.
    pub fn new(socket: TcpStream, permit: OwnedSemaphorePermit) -> Self {
        Self { open: Some((socket, permit)) }
    }

    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(&mut open.0))
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // Outside of a runtime the process ends anyway.
        let (Some((socket, permit)), Ok(runtime)) = (self.open.take(), Handle::try_current()) else { return };
        runtime.spawn(async move {
            drop(tokio::time::timeout(LINGER, last_words(socket)).await);
            drop(permit);
        });
    }
}

async fn last_words(mut socket: TcpStream) -> io::Result<()> {
    socket.shutdown().await?;
    let mut ignored = [0; CHUNK];
    while socket.read(&mut ignored).await? > 0 {}
    Ok(())
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.open.as_ref().is_some_and(|(socket, _)| socket.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}
