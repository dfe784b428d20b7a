//! Electrum servers: small ones on loopback with faults, and a real one over a real node.

mod calls;
mod heads;
mod real;
mod scripts;
mod server;
mod simulated;
mod tls;

use std::{sync::Arc, time::Duration};

use nodes::bitcoin::{
    Endpoint,
    electrum::{ElectrumClient, ElectrumTuning},
};
use schemas::bitcoin::BitcoinChain;

use self::server::Server;

/// Patience of the tests.
fn tuning() -> ElectrumTuning {
    ElectrumTuning {
        connect_timeout: Duration::from_secs(2),
        call_timeout: Duration::from_secs(2),
        ping_every: Duration::from_secs(60),
        ask_again: Duration::from_millis(300),
        sockets: 2,
        in_flight: 4,
    }
}

/// A client that asks one server once.
fn client_of(server: &Arc<Server>) -> ElectrumClient {
    client_with(server, tuning())
}

fn client_with(server: &Arc<Server>, tuning: ElectrumTuning) -> ElectrumClient {
    let endpoint = Endpoint::new("small", server.url().parse().unwrap());
    ElectrumClient::new(endpoint, BitcoinChain::Main, tuning).unwrap()
}

/// Until it holds, or for as long as a test waits for anything.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "in vain: {what}");
}
