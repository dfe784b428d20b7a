//! `GET /usage`: quotas, and what is used of them.
//!
//! Guarantee: what there is of things is exact; alerts' messages are exact of what is kept of them; requests and rows are those of all
//! processes, but for what others counted in the last few seconds. A minute's requests and connections are those of the process that answers.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use control::Used;
use schemas::{Quota, TimeMs};

use super::answer::{Live, Refused};
use crate::{
    alerts::whose,
    app::App,
    door::Who,
    error::ApiError,
    items::usage::{QuotaItem, UsageItem},
    params::Params,
    tenants::Account,
};

/// An hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// The organisation's plan: every quota, what is used of it, and when it begins anew.
///
/// Requests of a minute and connections are counted by each process for itself; this is how the one that answers counts.
#[utoipa::path(get, path = "/usage", tag = "access", responses((status = 200, body = UsageItem), Refused))]
pub async fn usage(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let usage = app.control()?.usage(who.tenant()).await;
    let (plan, all) = usage.map_err(|e| ApiError::of_control(e, "organisation"))?;
    let now = TimeMs::now();
    let hour = TimeMs(now.0 - now.0.rem_euclid(HOUR));
    let whose = whose(who.tenant());
    let deliveries = app.store.deliveries_since(&whose, hour).await.map_err(|e| ApiError::from_store(&e))?;
    let account = app.tenants.of(&who.who);
    let quotas = all.into_iter().map(|used| item(used, &account, (now, hour), deliveries)).collect();
    Ok(Live(Json(UsageItem { plan, quotas })))
}

fn item(stored: Used, account: &Account, (now, hour): (TimeMs, TimeMs), deliveries: u64) -> QuotaItem {
    let Used { quota, limit, used, resets_at } = stored;
    let (minute, sockets) = account.present();
    let (used, resets_at) = match quota {
        Quota::RequestsPerMinute => {
            let (used, left) = minute.unwrap_or((0, Duration::ZERO));
            let left = i64::try_from(left.as_millis()).unwrap_or_default();
            (used, Some(TimeMs(now.0 + left)))
        }
        Quota::RequestsPerDay | Quota::BacktestRows => (account.today(quota, used), resets_at),
        Quota::Sockets => (sockets, None),
        Quota::DeliveriesPerHour => (i64::try_from(deliveries).unwrap_or(i64::MAX), Some(TimeMs(hour.0 + HOUR))),
        _ => (used, resets_at),
    };
    QuotaItem { name: quota.as_str().to_owned(), limit, used, resets_at: resets_at.map(TimeMs::rfc3339) }
}
