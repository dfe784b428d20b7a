//! `GET /usage`: quotas, and what is used of them; `GET /platform/usage`: who is busy.
//!
//! Guarantee: what there is of things is exact; alerts' messages are exact of what is kept of them; requests and rows are those of all
//! processes, but for what others counted in the last few seconds. Where the store is being made or away, what it would say is null, and the
//! rest is told. A minute's requests are those of the process that answers; connections those of all processes that share a server which answers.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use control::Used;
use schemas::{
    Quota, TimeMs,
    limits::{control as limits, quotas},
};
use store::{StoreError, query::TenantCounts};

use super::{
    answer::{Live, Refused},
    things::Missing,
};
use crate::{
    alerts::whose,
    app::App,
    door::Who,
    error::ApiError,
    items::usage::{BusyItem, BusyOrganisation, PlatformUsage, QuotaItem, UsageItem},
    params::Params,
    tenants::Present,
};

/// An hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// The organisation's plan: every quota, what is used of it, and when it begins anew.
///
/// Requests of a minute, and connections where processes share nothing, are as the process that answers counts them. Messages are
/// counted by the store: while that is being made or does not answer, `used` of `deliveries_per_hour` is null.
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
    let deliveries = of_store(app.store.deliveries_since(&whose, hour)).await;
    let of_day = |quota: Quota| all.iter().find(|used| used.quota == quota).map_or(0, |used| used.used);
    let account = app.tenants.of(&who.who);
    app.tenants.hear(&account).await;
    let present = account.present(of_day);
    let items = all.iter().map(|used| item(used, &present, (now, hour), deliveries)).collect();
    Ok(Live(Json(UsageItem { plan, quotas: items })))
}

/// Who is busy: what every organisation uses, the busiest first. For operators of the platform.
#[utoipa::path(get, path = "/platform/usage", tag = "access", responses((status = 200, body = PlatformUsage), Missing, Refused))]
pub async fn platform(
    State(app): State<Arc<App>>,
    who: Who,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    Params::parse(query.as_deref(), &[])?;
    let all = app.control()?.usage_of_all(&who.who).await;
    let all = all.map_err(|e| ApiError::of_control(e, "list of organisations"))?;
    let since = TimeMs(TimeMs::now().0 - 24 * HOUR);
    let by_tenant = |counts: Vec<TenantCounts>| -> HashMap<String, u64> {
        counts.into_iter().map(|counts| (counts.tenant, counts.many)).collect()
    };
    let (alerts, deliveries) =
        tokio::join!(of_store(app.store.alerts_by_tenant(since)), of_store(app.store.deliveries_by_tenant(since)));
    let (alerts, deliveries) = (alerts.map(by_tenant), deliveries.map(by_tenant));
    let many = |of: Option<&HashMap<String, u64>>, id: &str| of.map(|of| of.get(id).copied().unwrap_or(0));
    let mut items: Vec<BusyItem> = all
        .into_iter()
        .map(|of| {
            let id = of.tenant.to_string();
            let written = |quota: Quota| of.used.get(&quota).copied().unwrap_or(0);
            let present = app.tenants.known(&of.tenant).map(|account| account.present(written)).unwrap_or_default();
            let of_day = present.today.get(&Quota::RequestsPerDay).copied();
            BusyItem {
                requests_per_minute: present.minute.map_or(0, |(used, _)| used),
                requests_per_day: of_day.unwrap_or_else(|| written(Quota::RequestsPerDay)),
                sockets: present.sockets,
                plan: of.plan,
                alerts_24h: many(alerts.as_ref(), &id),
                deliveries_24h: many(deliveries.as_ref(), &id),
                organisation: BusyOrganisation { id, name: of.name, state: of.state.to_owned() },
            }
        })
        .collect();
    items.sort_by_key(|item| Reverse((item.requests_per_day, item.deliveries_24h, item.alerts_24h)));
    items.truncate(limits::PAGE.1);
    Ok(Live(Json(PlatformUsage { items, next: None })))
}

/// What the store says; `None`: it is being made, or does not answer in time, and what is known without it is told all the same.
async fn of_store<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    match tokio::time::timeout(quotas::STORE_WITHIN, asked).await {
        Ok(Ok(said)) => Some(said),
        Ok(Err(error)) => {
            tracing::debug!(%error, "use is told without what the store knows");
            None
        }
        Err(_) => None,
    }
}

fn item(stored: &Used, present: &Present, (now, hour): (TimeMs, TimeMs), deliveries: Option<u64>) -> QuotaItem {
    let Used { quota, limit, used, resets_at } = *stored;
    let (used, resets_at) = match quota {
        Quota::RequestsPerMinute => {
            let (used, left) = present.minute.unwrap_or((0, Duration::ZERO));
            let left = i64::try_from(left.as_millis()).unwrap_or_default();
            (Some(used), Some(TimeMs(now.0 + left)))
        }
        Quota::Sockets => (Some(present.sockets), None),
        Quota::DeliveriesPerHour => {
            let used = deliveries.map(|many| i64::try_from(many).unwrap_or(i64::MAX));
            (used, Some(TimeMs(hour.0 + HOUR)))
        }
        quota => (Some(present.today.get(&quota).copied().unwrap_or(used)), resets_at),
    };
    QuotaItem { name: quota.as_str().to_owned(), limit, used, resets_at: resets_at.map(TimeMs::rfc3339) }
}
