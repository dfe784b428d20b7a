//! One file per topic.

#[macro_use]
mod words;

pub mod alerts;
pub mod bitcoin;
pub mod checkpoint;
pub mod contract_facts;
pub mod control_config;
pub mod control_tenants;
pub mod dead_letter;
pub mod enrich_status;
pub mod enriched_block;
pub mod enriched_cause;
pub mod enriched_event;
pub mod enriched_transaction;
pub mod network_status;
pub mod partial;
pub mod provider;
pub mod raw_block;
pub mod raw_transaction;
pub mod stage_status;
pub mod window;

pub use alerts::{
    Alert, AlertCommand, AlertDelivery, AlertEvent, AlertEventKind, AlertLinks, AlertMatch, AlertOutbox, AlertPhase,
    AlertRing, AlertSource, AlertState, Command, DeliveryState, Figured, Found, FoundKind, LeftOutKind, MatchOp,
    MatchSeen, MatchState, Severity, SourceKind,
};
pub use bitcoin::{
    BitcoinDecoded, BitcoinHeader, BitcoinInput, BitcoinOutput, BitcoinPrevout, BitcoinSpent, BitcoinTransaction,
    Coverage, ScriptKind,
};
pub use checkpoint::{Asked, Checkpoint, CheckpointRecord, HeldRange, RequestProgress, RequestState, RingEntry};
pub use contract_facts::{ContractFacts, FactSource, FactsFold, FoundBy, Implementation, ProxyKind};
pub use control_config::{Asks, ControlConfig, NetworkPartition, OperatorContract, Request, Wanted, WatchedAddress};
pub use control_tenants::{Contract, ControlTenant, Definition, DefinitionKind, ORGANISATION_PER_HOUR, TenantThing};
pub use dead_letter::DeadLetter;
pub use enrich_status::{EnrichState, EnrichStatus};
pub use enriched_block::{BlockSummary, ContractSum, EnrichedBlock};
pub use enriched_cause::{CauseEvidence, EnrichedCause};
pub use enriched_event::{EmittedEvent, EnrichedEvent};
pub use enriched_transaction::{DecodedCall, DecodedEvent, EnrichedTransaction, Enrichment, FeeParts};
pub use network_status::{NetworkState, NetworkStatus};
pub use partial::{Mark, Partial, TokenFees};
pub use provider::{
    CallSample, EndpointRole, EndpointState, Lie, Link, MinuteSample, Outcome, ProviderSample, ProviderState,
    SUBSCRIBED_AGAIN, Seen, Share, Usage,
};
pub use raw_block::{EvmHeader, RawBlock};
pub use raw_transaction::{EvmLog, EvmTransaction, Figures, RawTransaction};
pub use stage_status::{ConfiguredNetwork, StageStatus};
pub use window::{Told, Window};

/// What a child record holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload<E, B> {
    /// An EVM transaction.
    Evm(Box<E>),
    /// A Bitcoin transaction.
    Bitcoin(Box<B>),
    /// Nothing: the record says that its block was reverted (rule 4).
    Revert,
    /// Nothing that could be read: a placeholder that keeps the count right. The original is in `dead.letters` (rule 13).
    Unreadable {
        /// Position in the block.
        index: u32,
        /// Why.
        error: String,
    },
}
