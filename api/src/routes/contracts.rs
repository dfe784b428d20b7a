//! `/contracts`: the tenant's contracts, and the operator's beside them.
//!
//! Guarantee: what is not there, is another tenant's, or is of a network that the key does not reach, is one answer. A change names the
//! version that it was made from; a request with an idempotency key is carried out once; a body with a mistake changes nothing.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use control::{ContractPatch, Error, NewContract};
use schemas::abi::Abi;
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{Changed, Live, Refused},
    things::{Missing, Stale, Versionless, paging, path_id, unknown_network},
};
use crate::{
    app::App,
    body::{Body, Fields},
    conditional, cursor,
    door::Who,
    error::{ApiError, Problem},
    figures,
    items::{ContractDetail, ContractItem, NamedItem, NamesItem, Page},
    params::Params,
};

const WHAT: &str = "contract";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only this network.
    network: Option<String>,
    /// Items of a page: 1 to 1,000, 50 by default. A page with long ABIs is shorter.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A contract that is to be added.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct NewContractBody {
    /// Its network, by slug.
    network: String,
    /// `0x` and 40 hex digits.
    address: String,
    /// What it is called, 1 to 100 characters.
    name: String,
    /// Words to find it by, at most 16.
    labels: Option<Vec<String>>,
    /// Its ABI as the compiler wrote it, at most 256 KiB and 2,000 items.
    #[schema(value_type = Option<Vec<Object>>)]
    abi: Option<()>,
}

/// What is to change of a contract; what is left out stays.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documentation; the values are read by `Fields`, which explains mistakes")]
pub struct ContractPatchBody {
    /// What it is called.
    name: Option<String>,
    /// All its labels; null: none.
    labels: Option<Vec<String>>,
    /// Its ABI; null removes it.
    #[schema(value_type = Option<Vec<Object>>)]
    abi: Option<()>,
}

/// Contracts by age, the operator's among them.
#[utoipa::path(
    get,
    path = "/contracts",
    tag = "control",
    params(Query),
    responses((status = 200, body = Page<ContractItem>), Refused)
)]
pub async fn contracts(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["network", "limit", "cursor"])?;
    let network = params.network()?;
    let list = format!("contracts {network:?}");
    let paging = paging(&params, &list)?;
    let page = app.control()?.contracts(who.tenant(), network.as_ref(), &paging).await.map_err(refused)?;
    let figures = figures::of(&app, &page.items).await;
    let items = page.items.into_iter().zip(figures).map(|(c, f)| ContractItem::new(c, f)).collect();
    Ok(Live(Json(Page { items, next: page.next.map(|c| cursor::encode(&list, &c.as_str())), note: None })))
}

/// Adds a contract.
#[utoipa::path(
    post,
    path = "/contracts",
    tag = "control",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same for a request that is sent again")),
    request_body = NewContractBody,
    responses(
        (status = 201, body = ContractDetail, headers(("ETag" = String), ("Location" = String))),
        (status = 409, description = "The address is there already; `id` is the other's", body = Problem, content_type = "application/problem+json"),
        Changed,
        Refused
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let once = conditional::once(&headers)?;
    let mut fields = body.fields()?;
    let network = fields.required("network", Fields::text);
    let address = fields.required("address", Fields::text);
    let name = fields.required("name", Fields::text);
    let labels = fields.texts("labels").unwrap_or_default();
    let abi = fields.value("abi").filter(|abi| !abi.is_null());
    fields.finish()?;
    let new = NewContract {
        network: network.unwrap_or_default(),
        address: address.unwrap_or_default(),
        name: name.unwrap_or_default(),
        labels,
        abi,
    };
    if let Some(mistake) = unknown_network(&app, "network", &new.network).await? {
        return Err(ApiError::InvalidBody { mistakes: vec![mistake] });
    }
    let made = app.control()?.create_contract(who.caller(), &new, once.as_ref()).await.map_err(refused)?.made;
    let location = format!("/api/v1/contracts/{}", made.id);
    let version = made.version;
    Ok(conditional::made(version, location, detail(&app, made).await))
}

/// One contract.
#[utoipa::path(
    get,
    path = "/contracts/{id}",
    tag = "control",
    params(("id" = String, Path, description = "The contract's id")),
    responses(
        (status = 200, body = ContractDetail, headers(("ETag" = String))),
        Missing,
        Refused
    )
)]
pub async fn contract(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let found = app.control()?.contract(who.tenant(), &path_id(&id, WHAT)?).await.map_err(refused)?;
    let version = found.version;
    Ok(conditional::shown(version, detail(&app, found).await))
}

/// Changes a contract.
#[utoipa::path(
    patch,
    path = "/contracts/{id}",
    tag = "control",
    params(
        ("id" = String, Path, description = "The contract's id"),
        ("If-Match" = String, Header, description = "The `ETag` of what was read"),
    ),
    request_body = ContractPatchBody,
    responses(
        (status = 200, body = ContractDetail, headers(("ETag" = String))),
        Missing,
        Stale,
        Versionless,
        Changed,
        Refused
    )
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let expected = conditional::must_match(&headers)?;
    let mut fields = body.fields()?;
    for place in ["network", "address"] {
        fields.fixed(place, "add the other contract, and remove this one");
    }
    let patch = ContractPatch {
        name: fields.text("name"),
        labels: fields.texts("labels"),
        abi: fields.value("abi").map(|abi| Some(abi).filter(|abi| !abi.is_null())),
    };
    fields.finish()?;
    let changed = app.control()?.patch_contract(who.caller(), &id, &expected, &patch).await.map_err(refused)?;
    let version = changed.version;
    Ok(conditional::shown(version, detail(&app, changed).await))
}

/// Removes a contract. Its rows stay.
#[utoipa::path(
    delete,
    path = "/contracts/{id}",
    tag = "control",
    params(
        ("id" = String, Path, description = "The contract's id"),
        ("If-Match" = String, Header, description = "The `ETag` of what was read"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        Missing,
        Stale,
        Versionless,
        Refused
    )
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let id = path_id(&id, WHAT)?;
    let expected = conditional::must_match(&headers)?;
    app.control()?.delete_contract(who.caller(), &id, &expected).await.map_err(refused)?;
    Ok(conditional::gone())
}

/// Names what an ABI holds; keeps nothing.
#[utoipa::path(
    post,
    path = "/contracts/abi",
    tag = "control",
    request_body(content = Vec<Object>, description = "An ABI, or what a compiler writes around it: `{\"abi\": […]}`"),
    responses((status = 200, body = NamesItem), Changed, Refused)
)]
pub async fn abi(RawQuery(query): RawQuery, _: Who, body: Bytes) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let text = std::str::from_utf8(&body).unwrap_or("");
    let abi = Abi::read(text).map_err(|mistakes| ApiError::InvalidBody { mistakes })?;
    Ok(Live(Json(NamesItem { names: abi.names().iter().map(NamedItem::from).collect() })))
}

fn refused(error: Error) -> ApiError {
    ApiError::of_control(error, WHAT)
}

async fn detail(app: &App, contract: control::Contract) -> ContractDetail {
    let figures = figures::of(app, std::slice::from_ref(&contract)).await.into_iter().next().flatten();
    ContractDetail::new(contract, figures)
}
