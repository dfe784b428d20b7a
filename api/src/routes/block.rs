//! `GET /blocks/{network}/{block}`: one canonical block.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::IntoResponse,
};
use schemas::{BlockHash, Family};

use super::answer::{Live, Refused};
use crate::{
    app::App,
    error::ApiError,
    items::BlockDetail,
    kept,
    params::{self, BlockName, Params},
};

/// One canonical block, by height or hash, and what its transactions paid. The transactions themselves: `GET /txs?network=…&block=…`.
#[utoipa::path(
    get,
    path = "/blocks/{network}/{block}",
    tag = "chains",
    params(
        ("network" = String, Path, description = "The network's slug"),
        ("block" = String, Path, description = "Height, or hash as the chain's explorers print it"),
    ),
    responses((status = 200, body = BlockDetail), (status = 404, description = "No such network or block", body = crate::error::Problem, content_type = "application/problem+json"), (status = 410, description = "Rows of this height were removed by `[store] keep` or `max_bytes`", body = crate::error::Problem, content_type = "application/problem+json"), Refused)
)]
pub async fn block(
    State(app): State<Arc<App>>,
    Path((network, block)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let network = params::path_network(&network)?;
    let path_name = params::path_block(&block)?;
    app.known_network(&network).await?;
    let found = match path_name.clone() {
        BlockName::Height(height) => app.store.block_by_height(&network, height).await,
        BlockName::Hash(hash) => {
            let hash: BlockHash = hash
                .parse()
                .map_err(|e: schemas::primitives::ParseError| ApiError::invalid("block", &block, e.expected))?;
            app.store.block_by_hash(&network, &hash).await
        }
    };
    let found = found.map_err(|e| ApiError::from_store(&e))?;
    if let Some(row) = found {
        let fees = app.store.block_fees(&network, row.number, row.sequence);
        let header = async {
            match row.family == Family::Bitcoin.as_str() {
                true => app.store.bitcoin_block(&network, row.number, row.sequence).await,
                false => Ok(None),
            }
        };
        let (fees, header) = futures::future::try_join(fees, header).await.map_err(|e| ApiError::from_store(&e))?;
        return Ok(Live(Json(BlockDetail::new(&row, &fees, header.as_ref()))));
    }
    if let BlockName::Height(height) = path_name
        && let Some(pruned) = kept::at(&app, &network, height).await?
    {
        return Err(ApiError::Pruned {
            network: network.to_string(),
            height,
            below: pruned.below,
            reason: pruned.reason,
        });
    }
    let doubt = kept::doubt(&app, &network).await?;
    Err(ApiError::BlockNotFound { network: network.to_string(), block, doubt })
}
