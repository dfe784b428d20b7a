//! `GET /networks/{network}/completeness`: which ranges are held whole, and what lies between them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};
use serde::Serialize;
use store::query::CompletenessRange;
use utoipa::ToSchema;

use super::{Live, Refused};
use crate::{
    error::ApiError,
    params::{self, Params},
    pipeline::App,
};

/// What is held of a network.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completeness {
    /// The network's slug.
    pub network: String,
    /// Ranges of heights, from the lowest.
    pub ranges: Vec<RangeItem>,
    /// Heights between the ranges: not held.
    pub gaps: Vec<GapItem>,
}

/// Consecutive heights that are all complete, or all not.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompletenessRange)]
pub struct RangeItem {
    /// First height.
    pub from_height: u64,
    /// Last height.
    pub to_height: u64,
    /// Blocks held.
    pub blocks: u64,
    /// Transactions that the headers count.
    pub transactions_expected: u64,
    /// Transactions with a row.
    pub transactions_stored: u64,
    /// Whether everything that the headers count has its row.
    pub complete: bool,
}

/// Heights that are not held.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CompletenessGap)]
pub struct GapItem {
    /// First height.
    pub from_height: u64,
    /// Last height.
    pub to_height: u64,
}

/// Which heights of a network are held, and whether they are whole.
#[utoipa::path(
    get,
    path = "/networks/{network}/completeness",
    tag = "state",
    params(("network" = String, Path, description = "The network's slug")),
    responses((status = 200, body = Completeness), (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn completeness(
    State(app): State<Arc<App>>,
    Path(network): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let network = params::path_network(&network)?;
    app.known_network(&network).await?;
    let ranges = app.store.completeness(&network).await.map_err(|e| ApiError::from_store(&e))?;
    Ok(Live(Json(of(network.as_str(), &ranges))))
}

fn of(network: &str, ranges: &[CompletenessRange]) -> Completeness {
    let gap = |pair: &[CompletenessRange]| {
        let (from_height, to_height) = (pair[0].to_number + 1, pair[1].from_number.saturating_sub(1));
        (from_height <= to_height).then_some(GapItem { from_height, to_height })
    };
    let item = |r: &CompletenessRange| RangeItem {
        from_height: r.from_number,
        to_height: r.to_number,
        blocks: r.blocks,
        transactions_expected: r.transactions_expected,
        transactions_stored: r.transactions_stored,
        complete: r.complete,
    };
    Completeness {
        network: network.to_owned(),
        ranges: ranges.iter().map(item).collect(),
        gaps: ranges.windows(2).filter_map(gap).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_ranges_is_a_gap() {
        let range = |from_number, to_number| CompletenessRange {
            from_number,
            to_number,
            blocks: to_number - from_number + 1,
            transactions_expected: 0,
            transactions_stored: 0,
            complete: true,
        };
        let gaps = of("a", &[range(5, 9), range(10, 10), range(13, 20)]).gaps;
        assert_eq!(gaps, [GapItem { from_height: 11, to_height: 12 }]);
        assert!(of("a", &[]).gaps.is_empty());
    }
}
