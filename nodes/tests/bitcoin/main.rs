//! Bitcoin Core and its blocks: recorded ones, a real node on a chain of its own, a simulated one, and one that answers what no real node would.
//!
//! `scripts/fetch-bitcoin` provides the real node; without it (and outside CI) those tests say so and pass over.

mod node;
mod odd;
mod recorded;
mod simulated;

use std::path::{Path, PathBuf};

use nodes::bitcoin::{
    Endpoint,
    core::{CoreClient, CoreTuning},
};
use schemas::BitcoinChain;

/// Where recorded blocks lie.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/data/bitcoin")
}

/// A client of a chain for tests.
fn client(url: &str) -> CoreClient {
    client_of(Endpoint::new("a", url.parse().expect("a URL")))
}

fn client_of(endpoint: Endpoint) -> CoreClient {
    CoreClient::new(endpoint, BitcoinChain::Regtest, CoreTuning::default()).expect("a client")
}
