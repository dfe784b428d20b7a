//! `GET /txs`: canonical transactions, filtered.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use schemas::Status;
use store::query::TransactionFilter;
use utoipa::IntoParams;

use super::answer::{Refused, list};
use crate::{
    app::App,
    cursor,
    error::ApiError,
    items::{Page, TransactionItem},
    kept,
    params::Params,
};

const KNOWN: &[&str] = &["network", "contract", "address", "status", "cause", "from", "to", "sort", "limit", "cursor"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only this network, by height and position. Without it: all networks, by time.
    network: Option<String>,
    /// Sent to this contract, creating it, or with a log from it.
    contract: Option<String>,
    /// The same for an address, or sent by it.
    address: Option<String>,
    /// `success`, `failed` or `unknown`.
    status: Option<String>,
    /// Failed for this cause, such as `out_of_gas`.
    cause: Option<String>,
    /// In blocks not earlier than this (RFC 3339).
    #[param(format = DateTime)]
    from: Option<String>,
    /// In blocks earlier than this (RFC 3339).
    #[param(format = DateTime)]
    to: Option<String>,
    /// `newest` (default) or `oldest` first.
    sort: Option<String>,
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
    params(Query),
    responses(
        (status = 200, body = Page<TransactionItem>),
        (status = 304, description = "`If-None-Match` names the page's entity tag: nothing is new"),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn txs(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let word = |v: &str| {
        let word = (1..=64).contains(&v.len()) && v.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        word.then(|| v.to_owned())
    };
    let sort = params.sort()?;
    let mut filter = TransactionFilter {
        network: params.network()?,
        contract: params.address("contract")?,
        address: params.address("address")?,
        status: params.parsed("status", "success, failed or unknown", |v| v.parse::<Status>().ok())?,
        cause: params.parsed("cause", "a failure cause: a word of a-z, 0-9 and _, such as out_of_gas", word)?,
        from: params.time("from")?,
        to: params.time("to")?,
        sort,
        cursor: None,
        limit: params.limit()?,
    };
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from >= to
    {
        let value = params.text("to")?.unwrap_or_default();
        return Err(ApiError::invalid("to", value, "a time after `from`"));
    }
    let TransactionFilter { network, contract, address, status, cause, from, to, .. } = &filter;
    let name = format!("txs {network:?} {contract:?} {address:?} {status:?} {cause:?} {from:?} {to:?} {sort:?}");
    filter.cursor = params.text("cursor")?.map(|text| cursor::decode(&name, text)).transpose()?;
    if let Some(network) = &filter.network {
        app.known_network(network).await?;
    }
    let page = app.store.transactions(&filter).await.map_err(|e| ApiError::from_store(&e))?;
    let ends = (filter.cursor.is_none(), page.next.is_none());
    let note = kept::note(&app, filter.network.as_ref(), sort, ends, filter.from).await?;
    let page = Page {
        items: page.items.iter().map(TransactionItem::from_row).collect(),
        next: page.next.map(|c| cursor::encode(&name, &c)),
        note,
    };
    list(&headers, &page)
}
