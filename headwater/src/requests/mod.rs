//! What operators ask of the stages that run (rules 5, 7, 12, 34): `headwater backfill`, `accept-reorg`, `accept-gap`.
//!
//! Guarantee: a request is a record in `control.config`, written over either log from any machine that reaches it, and kept until it is
//! over, whatever is killed; what became of it is read from the checkpoint that its watcher writes with the blocks. What can be
//! seen to be impossible is refused before it is written. The embedded log has one owner, who is asked over its admin port
//! ([`route`]); where nothing runs on it, `backfill` opens it and runs the stages itself.

mod ask;
mod backfill;
mod change;
mod follow;
mod gap;
mod list;
mod reorg;
pub mod route;
pub mod row;
mod screen;
mod state;
pub mod write;

use std::hash::{BuildHasher, Hasher, RandomState};

use clap::Args;
use runtime::{config::Config, control::Known};
use schemas::{Network, TimeMs};

pub use backfill::{Backfill, run as backfill};
pub use gap::accept as accept_gap;
pub use reorg::accept as accept_reorg;

use crate::{arguments::ConfigFile, exit::Failure, parts, way::Way};

/// Arguments of `headwater accept-reorg` and `accept-gap`.
#[derive(Args)]
pub struct Accept {
    #[command(flatten)]
    pub config: ConfigFile,
    /// The network that stands still
    #[arg(long, value_name = "SLUG")]
    pub network: Network,
}

impl Accept {
    /// Asks over the way to the network's log, and says on standard error what came of it.
    #[allow(clippy::print_stderr)]
    fn carry_out(&self, ask: impl AsyncFnOnce(&Way, &Network) -> Result<Vec<String>, Failure>) -> Result<(), Failure> {
        let config = runtime::config::load(&self.config.config)?;
        configured(&config, &self.network)?;
        let said = parts::block_on(async {
            let way = Way::find(&config).await?;
            let said = ask(&way, &self.network).await;
            way.close().await?;
            said
        })??;
        said.iter().for_each(|line| eprintln!("{line}"));
        Ok(())
    }
}

/// Characters of a network's slug that a request's id begins with.
const SLUG_CHARACTERS: usize = 40;

/// An id that no known request has: network, day, four digits, such as `mantle-20261128-1a2b`.
fn new_id(network: &Network, now: TimeMs, known: &Known) -> String {
    let slug: String = network.as_str().chars().take(SLUG_CHARACTERS).collect();
    let day: String = now.rfc3339().chars().take(10).filter(|c| *c != '-').collect();
    loop {
        let random = RandomState::new().build_hasher().finish() as u16;
        let id = format!("{slug}-{day}-{random:04x}");
        if !known.0.contains_key(&id) {
            return id;
        }
    }
}

/// Refuses a network that the configuration does not name.
fn configured(config: &Config, network: &Network) -> Result<(), Failure> {
    if config.networks.iter().any(|n| n.slug == *network) {
        return Ok(());
    }
    let slugs: Vec<&str> = config.networks.iter().map(|n| n.slug.as_str()).collect();
    let slugs = if slugs.is_empty() { "none".to_owned() } else { slugs.join(", ") };
    Err(Failure::arguments(format!(
        "network `{network}` is not in the configuration; the configured networks: {slugs}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_readable_and_may_be_keys() {
        let network: Network = "c".repeat(64).parse().expect("a slug");
        let id = new_id(&network, TimeMs(1_795_860_000_000), &Known::default());
        assert!(schemas::records::Request::is_id(&id) && id.contains("-20261128-"), "{id}");
        let id = new_id(&"mantle".parse().expect("a slug"), TimeMs(1_795_860_000_000), &Known::default());
        assert!(id.starts_with("mantle-20261128-") && id.len() == "mantle-20261128-1a2b".len(), "{id}");
    }
}
