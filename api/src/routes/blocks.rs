//! `GET /blocks`: canonical blocks, newest first.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use store::query::BlockFilter;
use utoipa::IntoParams;

use super::answer::{Refused, list};
use crate::{
    app::App,
    cursor,
    error::ApiError,
    items::{BlockItem, Page},
    kept,
    params::Params,
};

const KNOWN: &[&str] = &["network", "sort", "limit", "cursor"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only this network, by height. Without it: all networks, by time.
    network: Option<String>,
    /// `newest` (default) or `oldest` first.
    sort: Option<String>,
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Canonical blocks.
#[utoipa::path(
    get,
    path = "/blocks",
    tag = "chains",
    params(Query),
    responses(
        (status = 200, body = Page<BlockItem>),
        (status = 304, description = "`If-None-Match` names the page's entity tag: nothing is new"),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn blocks(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let network = params.network()?;
    let sort = params.sort()?;
    let limit = params.limit()?;
    let name = format!("blocks {network:?} {sort:?}");
    let cursor = params.text("cursor")?.map(|text| cursor::decode(&name, text)).transpose()?;
    if let Some(network) = &network {
        app.known_network(network).await?;
    }
    let filter = BlockFilter { network, sort, cursor, limit };
    let page = app.store.blocks(&filter).await.map_err(|e| ApiError::from_store(&e))?;
    let ends = (filter.cursor.is_none(), page.next.is_none());
    let note = kept::note(&app, filter.network.as_ref(), sort, ends, None).await?;
    let page = Page {
        items: page.items.iter().map(BlockItem::from_row).collect(),
        next: page.next.map(|c| cursor::encode(&name, &c)),
        note,
    };
    list(&headers, &page)
}
