//! Where a simulated node of Bitcoin Core says that there is a new block: ZMQ notifications `hashblock` (Bitcoin Core `doc/zmq.md`), by ZMTP
//! 3.0 without security (ZeroMQ RFC 23), as a publisher.
//!
//! Guarantee: a notification comes after calls see the block; whoever is behind hears of the newest, as from a real node; an endpoint that
//! stays behind, or is mute, says nothing.

use super::endpoint::Endpoint;
use super::faults::FaultKind;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;

/// Shaking hands, and how long a reader may take for one notification.
const DEADLINE: Duration = Duration::from_secs(30);
/// Flags of a frame.
const MORE: u8 = 1;
const COMMAND: u8 = 4;

/// Serves until the node ends.
pub(crate) async fn serve(endpoint: Arc<Endpoint>, listener: TcpListener) {
    let shutdown = endpoint.shared.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { return };
        let Ok(permit) = endpoint.sockets.clone().try_acquire_owned() else { continue };
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let _permit = permit;
            // A subscriber that goes is no mistake.
            let _ = tell(&endpoint, stream).await;
        });
    }
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    // All of ours are short.
    [&[flags, body.len() as u8][..], body].concat()
}

async fn tell(endpoint: &Endpoint, mut stream: TcpStream) -> Result<(), Error> {
    let late = |_| Error::from(ErrorKind::TimedOut);
    tokio::time::timeout(DEADLINE, shake(&mut stream)).await.map_err(late)??;
    let shutdown = endpoint.shared.shutdown.clone();
    let mut heads = endpoint.shared.heads.subscribe();
    let (mut told, mut number) = (endpoint.tip().1.1, 0_u32);
    let mut unread = [0; 256];
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            // Subscriptions: there is one topic, and who wants another drops it.
            read = stream.read(&mut unread) => match read? {
                0 => return Ok(()),
                _ => continue,
            },
            head = heads.recv() => match head {
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
        let (_, (_, hash)) = endpoint.tip();
        if hash == told || endpoint.faults.is(FaultKind::Mute) {
            continue;
        }
        told = hash;
        // As people see it.
        let mut shown = hash;
        shown.reverse();
        let message = [frame(MORE, b"hashblock"), frame(MORE, &shown), frame(0, &number.to_le_bytes())].concat();
        number = number.wrapping_add(1);
        tokio::time::timeout(DEADLINE, stream.write_all(&message)).await.map_err(late)??;
    }
}

/// Greetings, and that we publish.
async fn shake(stream: &mut TcpStream) -> Result<(), Error> {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting).await?;
    stream.read_exact(&mut greeting).await?;
    stream.write_all(&frame(COMMAND, b"\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB")).await?;
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut ready = vec![0; head[1].into()];
    stream.read_exact(&mut ready).await?;
    if head[0] == COMMAND && ready.starts_with(b"\x05READY") {
        return Ok(());
    }
    Err(Error::from(ErrorKind::InvalidData))
}
