//! `GET /txs`: canonical transactions, filtered.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use schemas::Family;
use store::query::TransactionFilter;
use utoipa::IntoParams;

use super::answer::{Refused, list};
use crate::{
    app::App,
    cursor,
    door::Asking,
    error::ApiError,
    filters,
    items::{Page, TransactionItem},
    kept,
    params::Params,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Canonical transactions. All filters that are given must hold.
#[utoipa::path(
    get,
    path = "/txs",
    tag = "chains",
    params(filters::Query, Query),
    responses(
        (status = 200, body = Page<TransactionItem>),
        (status = 304, description = "`If-None-Match` names the page's entity tag: nothing is new"),
        (status = 404, description = "No such network, or no block of this hash", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn txs(
    State(app): State<Arc<App>>,
    asking: Asking,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let known: Vec<&str> = filters::KNOWN.into_iter().chain(["limit", "cursor"]).collect();
    let params = Params::parse(query.as_deref(), &known)?;
    let (filter, name) = filters::read(&app, &asking, &params).await?;
    let cursor = params.text("cursor")?.map(|text| cursor::decode(&name, text)).transpose()?;
    let filter = TransactionFilter { cursor, limit: params.limit()?, ..filter };
    let sort = filter.sort;
    let page = app.store.transactions(&filter).await.map_err(|e| ApiError::from_store(&e))?;
    let ends = (filter.cursor.is_none(), page.next.is_none());
    let note = kept::note(&app, filter.network.as_ref(), sort, ends, filter.from).await?;
    let bare = match &filter.network {
        // What has rows of EVM has no block without its body.
        Some(network) if ends.1 && page.items.iter().all(|tx| tx.family != Family::Evm.as_str()) => {
            kept::headers(&app, network).await
        }
        _ => None,
    };
    let note = kept::both(note, bare);
    let page = Page {
        items: page.items.iter().map(TransactionItem::from_row).collect(),
        next: page.next.map(|c| cursor::encode(&name, &c)),
        note,
    };
    list(&headers, &page)
}
