//! The JSON shapes that REST and the WebSocket share: one type per thing, made either from the store's row or from the live
//! record. Guarantee: both ways give the same JSON for the same chain data (`tests/api/websocket.rs` compares them).

pub mod alert;
mod asm;
pub mod audit;
pub mod bitcoin;
pub mod block;
pub mod contract;
pub mod definition;
pub mod delivery;
pub mod detail;
pub mod diagnosis;
pub mod failure;
pub mod found;
pub mod key;
pub mod message_preview;
pub mod organisation;
pub mod overview;
pub mod provider;
pub mod rule_preview;
pub mod series;
pub mod transaction;
pub mod usage;
pub mod window;

pub use alert::{
    AlertEventItem, AlertItem, AlertLinksItem, AlertSourceItem, AnnotationItem, LeftOutItem, MatchItem, MatchesItem,
    PreviewItem,
};
pub use audit::AuditItem;
pub use bitcoin::{BitcoinBlockItem, BitcoinInputItem, BitcoinOutputItem, BitcoinTransactionItem, SpentByItem};
pub use block::{BlockDetail, BlockItem, BlockRevert};
pub use contract::{ContractDetail, ContractFiguresItem, ContractItem, NamedItem, NamesItem};
pub use delivery::{AttemptItem, DeliveryItem, ReplayItem};
pub use detail::{CallItem, EventItem, FeePartsItem, InnerCallItem, TransactionDetail, TransferItem};
pub use diagnosis::{Diagnosis, EvidenceItem};
pub use failure::{CauseItem, FailureGroupItem, FailureItem, Failures, FrameItem};
pub use found::{EndpointAtItem, EndpointsAt, FoundItem, FoundItems};
pub use key::{KeyItem, MadeKeyItem};
pub use message_preview::MessagePreviewItem;
pub use organisation::{InvitedItem, MemberItem, OrganisationItem, PlatformOrganisationItem};
pub use overview::{MissingItem, OverviewAnswer, OverviewItem, OverviewOfOne, Overviews};
pub use provider::{LieItem, ProviderDetail, ProviderItem, ProviderMinuteItem, ScoreParts};
pub use rule_preview::{LackItem, RuleFiringItem, RuleLookItem, RulePreviewItem};
pub use series::{
    CausesPointItem, CausesSeries, Figure, ManySeries, MetricSeriesItem, PointItem, Series, SeriesAnswer,
};
pub use transaction::{TransactionItem, TransactionRevert};
pub use window::WindowItem;

use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T: ToSchema> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Cursor of the next page; null on the last one. Opaque.
    pub next: Option<String>,
    /// On the page that reaches to where rows were removed: what was, in words; else null. What is older than that is not in the list,
    /// though it was on the chain.
    pub note: Option<String>,
}
