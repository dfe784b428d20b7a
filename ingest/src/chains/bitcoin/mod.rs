//! What is Bitcoin's own in following a chain: which chain it is (by its first block, or found out), and the records that a block becomes.

mod emit;

use std::time::Duration;

use nodes::{
    NodeError, NodeErrorKind,
    bitcoin::{
        BitcoinBlock, Endpoint,
        core::CoreTuning,
        electrum::ElectrumTuning,
        fleet::{BitcoinFleet, BitcoinFleetConfig, Client, Tuning, Which},
    },
    evm,
    fleet::{Clock, Fleet, FleetConfig},
};
use runtime::log::NewRecord;
use schemas::{
    Network,
    bitcoin::BitcoinChain,
    codec::EncodeError,
    records::{ProviderSample, RingEntry, stage_status::stage},
};

use super::{
    endpoints::{self, Fleets, Members},
    family::{Family, Traits},
};
use crate::{
    config::{Chain, NetworkConfig},
    records::{Circumstances, Scribe},
    source::Source,
    tracker::Position,
};

/// The longest between two questions to a Bitcoin Core that does not tell of new blocks.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// A network and the fleet of its endpoints. `instance` names this process to its samples.
///
/// # Errors
/// No endpoint, or one that cannot be used as configured: what is wrong and what to write instead.
pub fn source(network: &NetworkConfig, tuning: &evm::Tuning, instance: &str) -> Result<Source, String> {
    let (chain, _) = configured(network)?;
    let which = Which::new(chain);
    let settings = Settings { which: which.clone(), tuning: tuning.clone(), instance: instance.to_owned() };
    endpoints::source(network, Bitcoin { slug: network.slug.clone(), which }, settings)
}

/// The chain and its endpoints as configured.
fn configured(network: &NetworkConfig) -> Result<(Option<BitcoinChain>, &[Endpoint]), String> {
    match &network.chain {
        Chain::Bitcoin { chain, endpoints } => Ok((*chain, endpoints.as_slice())),
        Chain::Evm { .. } => Err("it is no Bitcoin network".into()),
    }
}

/// What stays the same of what a network's fleet is told.
struct Settings {
    which: Which,
    tuning: evm::Tuning,
    instance: String,
}

impl Settings {
    /// What a network's fleet is told.
    fn of(&self, network: &NetworkConfig) -> BitcoinFleetConfig {
        let tuning = &self.tuning;
        let usual = self.which.get().and_then(BitcoinChain::block_time_ms).map(Duration::from_millis);
        BitcoinFleetConfig {
            network: network.slug.clone(),
            which: self.which.clone(),
            observer: ProviderSample::observer_of(stage::INGEST, &self.instance),
            tuning: Tuning {
                core: CoreTuning {
                    connect_timeout: tuning.connect_timeout,
                    call_timeout: tuning.call_timeout,
                    tries: tuning.tries,
                    backoff_min: tuning.backoff_min,
                    backoff_max: tuning.backoff_max,
                    ..CoreTuning::default()
                },
                electrum: ElectrumTuning {
                    connect_timeout: tuning.connect_timeout,
                    call_timeout: tuning.call_timeout,
                    ..ElectrumTuning::default()
                },
            },
            poll_every: tuning.poll_max.min(POLL_EVERY),
            confirm: network.confirm,
            confirm_within: network.confirm_within,
            fleet: FleetConfig { block_time: network.fleet.block_time.or(usual), ..network.fleet.clone() },
        }
    }
}

impl Fleets for Settings {
    type Source = BitcoinFleet;
    type Client = Client;
    type Endpoint = Endpoint;

    fn endpoints<'a>(&self, network: &'a NetworkConfig) -> Result<&'a [Endpoint], String> {
        configured(network).map(|(_, endpoints)| endpoints)
    }

    fn begin(&self, network: &NetworkConfig, members: Members<Endpoint>) -> Result<BitcoinFleet, String> {
        BitcoinFleet::new(self.of(network), members, Clock::system())
    }

    fn succeed(
        &self,
        former: &BitcoinFleet,
        network: &NetworkConfig,
        members: Members<Endpoint>,
    ) -> Result<BitcoinFleet, String> {
        former.succeeded_by(self.of(network), members)
    }

    fn fleet(source: &BitcoinFleet) -> &Fleet<Client> {
        source.fleet()
    }
}

/// A Bitcoin chain.
#[derive(Debug, Clone)]
pub struct Bitcoin {
    slug: Network,
    which: Which,
}

impl Bitcoin {
    fn said(&self) -> String {
        self.which.get().map_or_else(|| "not known yet".to_owned(), |chain| chain.to_string())
    }
}

impl Family for Bitcoin {
    type Block = BitcoinBlock;

    fn chain_id(&self) -> String {
        self.which.get().map(|chain| chain.to_string()).unwrap_or_default()
    }

    /// Where the configuration leaves the chain open, what is held says it first, and then what most operators say.
    fn is_ours(&self, said: &str) -> bool {
        said.parse().is_ok_and(|chain| self.which.settle(chain))
    }

    fn traits(&self) -> Traits {
        Traits {
            instant_finality: false,
            heights_without_block: false,
            block_time: self.which.get().and_then(BitcoinChain::block_time_ms).map(Duration::from_millis),
        }
    }

    fn is_no_chain(&self, _: &str) -> bool {
        false
    }

    fn wrong_chain(&self, endpoints: &[String], said: &str) -> String {
        let (right, slug) = (self.said(), &self.slug);
        let who = match endpoints {
            [endpoint] => format!("endpoint `{endpoint}` is"),
            _ => format!("all endpoints (`{}`) are", endpoints.join("`, `")),
        };
        let cure = match said.parse::<BitcoinChain>() {
            Ok(_) => format!("correct `chain` of network `{slug}`, or the urls, and start again"),
            Err(_) => "a signet of one's own is not followed by this version".to_owned(),
        };
        format!("{who} on chain {said}, the network is {right}: {cure}")
    }

    fn held_chain(&self, held: &str) -> String {
        format!(
            "network `{}` is held with chain {held}, the configuration says {}: correct `chain`, or give the other chain a slug of its own",
            self.slug,
            self.said()
        )
    }

    fn lacks_a_part(&self, error: &NodeError) -> bool {
        error.call.contains("spenttxouts")
    }

    fn incomplete(&self, error: &NodeError) -> String {
        let hint = match &error.kind {
            NodeErrorKind::Missing(nodes::Missing::Pruned, _) => {
                "use a node that is not pruned so far, or a higher `start`"
            }
            _ => "use Bitcoin Core 25 or newer, whose `getblock` with verbosity 3 or REST says what a block spends",
        };
        format!(
            "{error}: without the outputs that it spends nothing is written, since fees are read and never guessed; {hint}"
        )
    }

    fn apply(
        &self,
        scribe: &Scribe,
        entry: &RingEntry,
        after: &Position,
        block: BitcoinBlock,
        at: Circumstances,
    ) -> Result<Vec<NewRecord>, EncodeError> {
        emit::apply(scribe, entry, after, block, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chain: Option<BitcoinChain>) -> Bitcoin {
        Bitcoin { slug: "btc".parse().expect("a slug"), which: Which::new(chain) }
    }

    #[test]
    fn a_chain_that_is_left_open_is_what_is_said_first() {
        let open = of(None);
        assert_eq!((open.chain_id(), open.traits().block_time), (String::new(), None));
        assert!(!open.is_ours("ab"), "no chain of ours");
        assert!(open.is_ours("signet") && open.is_ours("signet") && !open.is_ours("main"));
        assert_eq!((open.chain_id(), open.traits().block_time), ("signet".into(), Some(Duration::from_secs(600))));
        let main = of(Some(BitcoinChain::Main));
        assert!(main.is_ours("main") && !main.is_ours("regtest"));
        let told = main.wrong_chain(&["a".into(), "b".into()], "regtest");
        assert!(told.contains("all endpoints (`a`, `b`) are on chain regtest, the network is main"), "{told}");
    }
}
