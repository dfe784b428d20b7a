//! `/deliveries`: messages to channels with every attempt, and sending one again.
//!
//! Guarantee: whoever reaches some networks only sees the messages about alerts of those, and messages that are about none.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use control::{Action, Subject};
use schemas::records::{Command, DeliveryState};
use store::query::{Delivery, DeliveryFilter, Whose};
use utoipa::IntoParams;

use super::{
    alerts::id,
    answer::{Changed, Live, Refused},
    things::{Missing, path_id},
};
use crate::{
    alerts::whose,
    app::App,
    body::MaybeBody,
    cursor,
    door::Who,
    error::ApiError,
    items::{DeliveryItem, Page},
    params::{Params, words},
    routes::messages::given,
};

const WHAT: &str = "delivery";

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// Only to this channel, by id.
    channel: Option<String>,
    /// Only of this alert, by id.
    alert: Option<String>,
    /// Only in one of these states: queued, sent, failed, replaced; several with commas between them.
    state: Option<String>,
    /// Items of a page: 1 to 1,000, 50 by default.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Deliveries, the newest first. They are kept for 90 days.
#[utoipa::path(
    get,
    path = "/deliveries",
    tag = "alerts",
    params(Query),
    responses((status = 200, body = Page<DeliveryItem>), Refused)
)]
pub async fn deliveries(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["channel", "alert", "state", "limit", "cursor"])?;
    let mut filter = DeliveryFilter {
        channel: id(&params, "channel")?,
        alert: id(&params, "alert")?,
        states: words::<DeliveryState>(&params, "state", "queued, sent, failed, replaced")?,
        limit: params.limit()?,
        ..DeliveryFilter::default()
    };
    let list = format!("deliveries {filter:?}");
    filter.before = params.text("cursor")?.map(|text| cursor::decode(&list, text)).transpose()?;
    let whose = whose(who.tenant());
    let page = app.store.deliveries(&whose, &filter).await.map_err(|e| ApiError::from_store(&e))?;
    let items = reached(&app, &whose, page.items).await?.into_iter().map(DeliveryItem::from).collect();
    Ok(Live(Json(Page { items, next: page.next.map(|id| cursor::encode(&list, &id)), note: None })))
}

/// Those that are about no alert, or about one that is reached.
async fn reached(app: &App, whose: &Whose, mut found: Vec<Delivery>) -> Result<Vec<Delivery>, ApiError> {
    let Some(reached) = &whose.networks else { return Ok(found) };
    let mut ids: Vec<String> = found.iter().filter_map(|delivery| delivery.alert_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let networks = app.store.alert_networks(whose, &ids).await.map_err(|e| ApiError::from_store(&e))?;
    found.retain(|delivery| match &delivery.alert_id {
        None => true,
        Some(alert) => networks.get(alert).is_some_and(|network| reached.contains(network)),
    });
    Ok(found)
}

/// One delivery that is reached.
async fn found(app: &App, who: &Who, text: &str) -> Result<Delivery, ApiError> {
    let id = path_id(text, WHAT)?;
    let whose = whose(who.tenant());
    let found = app.store.delivery(&whose, id.as_str()).await.map_err(|e| ApiError::from_store(&e))?;
    let found = reached(app, &whose, found.into_iter().collect()).await?;
    found.into_iter().next().ok_or(ApiError::NotHere { what: WHAT })
}

/// One delivery with every attempt.
#[utoipa::path(
    get,
    path = "/deliveries/{id}",
    tag = "alerts",
    params(("id" = String, Path, description = "The delivery's id: a webhook's `webhook-id`")),
    responses((status = 200, body = DeliveryItem), Missing, Refused)
)]
pub async fn delivery(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    Ok(Live(Json(DeliveryItem::from(found(&app, &who, &id).await?))))
}

/// Sends a message again, under its id: whoever has it already knows it by that.
///
/// What came about in the last three days can be sent again.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/replay",
    operation_id = "replay_delivery",
    tag = "alerts",
    params(("id" = String, Path, description = "The delivery's id")),
    responses(
        (status = 202, description = "It will be sent; the delivery as it was", body = DeliveryItem),
        Missing,
        Changed,
        Refused
    )
)]
pub async fn replay(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    MaybeBody(body): MaybeBody,
) -> Result<Response, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let found = found(&app, &who, &id).await?;
    body.fields()?.finish()?;
    let subject = Subject { kind: "delivery", id: found.id.clone(), name: None };
    let command = Command::ReplayDelivery { delivery_id: found.id.clone() };
    given(&app, &who, (Action::DeliveryReplay, &subject), command).await?;
    let mut item = DeliveryItem::from(found);
    item.state = DeliveryState::Queued.as_str().to_owned();
    Ok((StatusCode::ACCEPTED, Live(Json(item))).into_response())
}
