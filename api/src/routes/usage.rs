//! `GET /usage`: quotas, and what is used of them; `GET /platform/usage`: who is busy.
//!
//! Guarantee: what there is of things is exact; alerts' messages are exact of what is kept of them; requests and rows are those of all
//! processes, but for what others counted in the last few seconds. A minute's requests and connections are those of the process that answers.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::IntoResponse,
};
use control::Used;
use schemas::{Quota, TimeMs, limits::control as limits};
use store::query::TenantCounts;

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
    let of_store = |counts: Vec<TenantCounts>| -> HashMap<String, u64> {
        counts.into_iter().map(|counts| (counts.tenant, counts.many)).collect()
    };
    let alerts = of_store(app.store.alerts_by_tenant(since).await.map_err(|e| ApiError::from_store(&e))?);
    let deliveries = of_store(app.store.deliveries_by_tenant(since).await.map_err(|e| ApiError::from_store(&e))?);
    let mut items: Vec<BusyItem> = all
        .into_iter()
        .map(|of| {
            let id = of.tenant.to_string();
            let account = app.tenants.known(&of.tenant);
            let (minute, sockets) = account.as_ref().map_or((None, 0), |account| account.present());
            let written = of.used.get(&Quota::RequestsPerDay).copied().unwrap_or(0);
            BusyItem {
                plan: of.plan,
                requests_per_minute: minute.map_or(0, |(used, _)| used),
                requests_per_day: account.map_or(written, |account| account.today(Quota::RequestsPerDay, written)),
                sockets,
                alerts_24h: alerts.get(&id).copied().unwrap_or(0),
                deliveries_24h: deliveries.get(&id).copied().unwrap_or(0),
                organisation: BusyOrganisation { id, name: of.name, state: of.state.to_owned() },
            }
        })
        .collect();
    items.sort_by_key(|item| Reverse((item.requests_per_day, item.deliveries_24h, item.alerts_24h)));
    items.truncate(limits::PAGE.1);
    Ok(Live(Json(PlatformUsage { items, next: None })))
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
