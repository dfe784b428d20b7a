//! What is EVM's own in following a chain: the chain id (EIP-155), the checks of what a node says, receipts, and the records that
//! a block becomes.

mod emit;

use std::time::Duration;

use nodes::{
    NodeError, NodeErrorKind,
    evm::{
        Checks, Endpoint, EvmBlock, EvmClient, Tuning,
        fleet::{EvmFleet, EvmFleetConfig},
    },
    fleet::{Clock, Fleet, FleetConfig},
};
use runtime::log::NewRecord;
use schemas::{
    Network,
    codec::EncodeError,
    profiles::{self, Profile},
    records::{ProviderSample, RingEntry, stage_status::stage},
};

use super::{
    endpoints::{self, Fleets, Members},
    family::{Family, Traits},
};
use crate::{
    config::{Chain, NetworkConfig, Verify},
    records::{Circumstances, Scribe},
    source::Source,
    tracker::Position,
};

/// A network and the fleet of its endpoints. `instance` names this process to its samples.
///
/// # Errors
/// No endpoint, or one that cannot be used as configured: what is wrong and what to write instead.
pub fn source(network: &NetworkConfig, tuning: &Tuning, instance: &str) -> Result<Source, String> {
    let settings = Settings { tuning: tuning.clone(), instance: instance.to_owned() };
    endpoints::source(network, Evm::of(network), settings)
}

/// EIP-155 chain id of a network.
fn chain_id(network: &NetworkConfig) -> u64 {
    network.chain.evm_id().unwrap_or_default()
}

/// What stays the same of what a network's fleet is told.
struct Settings {
    tuning: Tuning,
    instance: String,
}

impl Settings {
    /// What a network's fleet is told.
    fn of(&self, network: &NetworkConfig) -> EvmFleetConfig {
        let usual = Profile::of(chain_id(network)).block_time_ms.map(Duration::from_millis);
        EvmFleetConfig {
            network: network.slug.clone(),
            chain_id: chain_id(network),
            observer: ProviderSample::observer_of(stage::INGEST, &self.instance),
            checks: checks(network),
            tuning: self.tuning.clone(),
            confirm: network.confirm,
            confirm_within: network.confirm_within,
            fleet: FleetConfig { block_time: network.fleet.block_time.or(usual), ..network.fleet.clone() },
        }
    }
}

impl Fleets for Settings {
    type Source = EvmFleet;
    type Client = EvmClient;
    type Endpoint = Endpoint;

    fn endpoints<'a>(&self, network: &'a NetworkConfig) -> Result<&'a [Endpoint], String> {
        match &network.chain {
            Chain::Evm { endpoints, .. } => Ok(endpoints.as_slice()),
            Chain::Bitcoin { .. } => Err("it is no EVM network".into()),
        }
    }

    fn begin(&self, network: &NetworkConfig, members: Members<Endpoint>) -> Result<EvmFleet, String> {
        EvmFleet::new(self.of(network), members, Clock::system())
    }

    fn succeed(
        &self,
        former: &EvmFleet,
        network: &NetworkConfig,
        members: Members<Endpoint>,
    ) -> Result<EvmFleet, String> {
        former.succeeded_by(self.of(network), members)
    }

    fn fleet(source: &EvmFleet) -> &Fleet<EvmClient> {
        source.fleet()
    }
}

/// The checks of a node's answers.
pub fn checks(network: &NetworkConfig) -> Checks {
    let profile = Profile::of(chain_id(network));
    match network.verify {
        Verify::Profile => Checks::of(&profile),
        Verify::Signatures => Checks::of(&profile).with_senders(),
        Verify::Structure => Checks::structure(&profile),
    }
}

/// An EVM chain.
#[derive(Debug, Clone)]
pub struct Evm {
    slug: Network,
    chain_id: u64,
    profile: Profile,
}

impl Evm {
    /// The chain of a network.
    pub fn of(network: &NetworkConfig) -> Self {
        let chain_id = chain_id(network);
        Self { slug: network.slug.clone(), chain_id, profile: Profile::of(chain_id) }
    }
}

impl Family for Evm {
    type Block = EvmBlock;

    fn chain_id(&self) -> String {
        self.chain_id.to_string()
    }

    fn traits(&self) -> Traits {
        Traits {
            instant_finality: self.profile.finality == profiles::Finality::Instant,
            // Any chain of the tolerant kind may have them (Filecoin has), and only hashes show it.
            heights_without_block: true,
            block_time: self.profile.block_time_ms.map(Duration::from_millis),
        }
    }

    /// No chain has the id 0 (EIP-155): so answers a node, or the proxy before it, that is not ready yet.
    fn is_no_chain(&self, said: &str) -> bool {
        said == "0"
    }

    fn wrong_chain(&self, endpoints: &[String], said: &str) -> String {
        let (right, slug) = (self.chain_id, &self.slug);
        if let [endpoint] = endpoints {
            return format!(
                "endpoint `{endpoint}` is on chain {said}, the configuration says {right}: correct its url, or `chain_id` of network \
                 `{slug}`, and start again"
            );
        }
        format!(
            "all endpoints (`{}`) are on chain {said}, the configuration says {right}: correct `chain_id` of network `{slug}`, or their \
             urls, and start again",
            endpoints.join("`, `")
        )
    }

    fn held_chain(&self, held: &str) -> String {
        format!(
            "network `{}` is held with chain id {held}, the configuration says {}: correct `chain_id`, or give the other chain a \
             slug of its own",
            self.slug, self.chain_id
        )
    }

    fn lacks_a_part(&self, error: &NodeError) -> bool {
        error.call.contains("Receipt")
    }

    fn incomplete(&self, error: &NodeError) -> String {
        let hint = match &error.kind {
            NodeErrorKind::Missing(nodes::Missing::Pruned, _) => "use an archive node, or a higher `start`",
            _ => "use an endpoint with eth_getBlockReceipts or eth_getTransactionReceipt for these blocks",
        };
        format!("{error}: without receipts nothing is written, since status is read and never inferred; {hint}")
    }

    fn apply(
        &self,
        scribe: &Scribe,
        entry: &RingEntry,
        after: &Position,
        block: EvmBlock,
        at: Circumstances,
    ) -> Result<Vec<NewRecord>, EncodeError> {
        emit::apply(scribe, entry, after, block, at)
    }
}
