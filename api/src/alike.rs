//! What stands beside one transaction: others that failed alike, and its network's endpoints at that time.
//!
//! Guarantee: a transaction's own answer waits for them a bounded while and comes without them where the store is slow; asked for by
//! themselves they are answered or refused.

use schemas::{Network, Status, TimeMs, limits::finding};
use store::query::TransactionDetail;

use crate::{
    app::App,
    error::ApiError,
    items::{EndpointAtItem, TransactionItem},
    soon::soon,
};

/// Others that failed alike, the nearest in time first; none where the transaction did not fail.
///
/// # Errors
/// The store is away.
pub async fn similar(
    app: &App,
    network: &Network,
    row: &TransactionDetail,
    limit: u32,
) -> Result<Vec<TransactionItem>, ApiError> {
    if row.transaction.status != Status::Failed.as_str() {
        return Ok(Vec::new());
    }
    let found = app.store.similar_failures(network, row, limit).await.map_err(|e| ApiError::from_store(&e))?;
    Ok(found.iter().map(TransactionItem::from_row).collect())
}

/// The endpoints that were called around a block's time.
///
/// # Errors
/// The store is away.
pub async fn endpoints(app: &App, network: &Network, at: TimeMs) -> Result<Vec<EndpointAtItem>, ApiError> {
    let around = finding::ENDPOINTS_AROUND.as_millis() as i64;
    let span = (TimeMs(at.0.saturating_sub(around)), TimeMs(at.0.saturating_add(around)));
    let rows = app.store.endpoints_at(network, span, finding::ENDPOINTS_AT).await;
    Ok(EndpointAtItem::of(&rows.map_err(|e| ApiError::from_store(&e))?))
}

/// Both, for the transaction's own answer: what the store does not say in time is `None`.
pub async fn beside(
    app: &App,
    network: &Network,
    row: &TransactionDetail,
) -> (Option<Vec<TransactionItem>>, Option<Vec<EndpointAtItem>>) {
    let similar = soon(similar(app, network, row, finding::SIMILAR.1));
    let endpoints = soon(endpoints(app, network, row.transaction.block_timestamp));
    tokio::join!(similar, endpoints)
}
