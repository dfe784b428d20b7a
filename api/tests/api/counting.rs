//! A door to the store that counts what goes through.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use store::{Store, StoreConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

/// How the line of a request begins. No statement of ours has it in its text.
const REQUEST: &[u8] = b"POST /?";

pub struct Counting {
    config: StoreConfig,
    statements: Arc<AtomicUsize>,
}

impl Counting {
    /// In front of this store.
    pub async fn before(config: &StoreConfig) -> Self {
        let to = config.url.socket_addrs(|| None).expect("address")[0];
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut config = config.clone();
        config.url = format!("http://{}", door.local_addr().expect("address")).parse().expect("url");
        let statements = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&statements);
        tokio::spawn(async move {
            while let Ok((client, _)) = door.accept().await {
                tokio::spawn(through(client, to, Arc::clone(&count)));
            }
        });
        Self { config, statements }
    }

    pub fn store(&self) -> Store {
        Store::connect(self.config.clone()).expect("a store")
    }

    /// Statements so far.
    pub fn statements(&self) -> usize {
        self.statements.load(Relaxed)
    }
}

async fn through(client: TcpStream, to: std::net::SocketAddr, count: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let ((mut from, mut back), (mut answers, mut on)) = (client.into_split(), server.into_split());
    let asking = async {
        let mut buffer = vec![0; 64 << 10];
        let mut tail: Vec<u8> = Vec::new();
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            if read == 0 || on.write_all(&buffer[..read]).await.is_err() {
                return;
            }
            tail.extend_from_slice(&buffer[..read]);
            count.fetch_add(tail.windows(REQUEST.len()).filter(|w| *w == REQUEST).count(), Relaxed);
            tail.drain(..tail.len().saturating_sub(REQUEST.len() - 1));
        }
    };
    tokio::select! {
        () = asking => {}
        _ = copy(&mut answers, &mut back) => {}
    }
}
