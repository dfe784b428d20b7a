//! Quotas, and what is used of them, as REST shows them.

use serde::Serialize;
use utoipa::ToSchema;

/// What an organisation may have and use.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageItem {
    /// The plan's name.
    #[schema(example = "default")]
    pub plan: String,
    /// Every quota.
    pub quotas: Vec<QuotaItem>,
}

/// What all organisations use, the busiest first; the first 1,000 of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlatformUsage {
    /// Organisations.
    pub items: Vec<BusyItem>,
    /// Always null.
    pub next: Option<String>,
}

/// What an organisation uses.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BusyItem {
    /// Which.
    pub organisation: BusyOrganisation,
    /// Its plan's name.
    pub plan: String,
    /// Requests of the last minute, as far as they count still, at the process that answers; 0 where the plan does not bound them.
    pub requests_per_minute: i64,
    /// Requests of this day (UTC).
    pub requests_per_day: i64,
    /// WebSocket connections of the process that answers.
    pub sockets: i64,
    /// Alerts that began in the last 24 hours; null while the store does not tell it.
    pub alerts_24h: Option<u64>,
    /// Messages that came about in the last 24 hours; null while the store does not tell it.
    pub deliveries_24h: Option<u64>,
}

/// An organisation, for whoever runs the machine.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BusyOrganisation {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `active`, `importing`, `suspended` or `deleting`.
    #[schema(example = "active")]
    pub state: String,
}

/// One quota.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QuotaItem {
    /// `contracts`, `rules`, `monitors`, `unindexed_monitors`, `channels`, `keys`, `members`, `requests_per_minute`, `requests_per_day`,
    /// `sockets`, `backtest_rows` or `deliveries_per_hour`.
    #[schema(example = "contracts")]
    pub name: String,
    /// The most; null: no bound of the organisation's own.
    pub limit: Option<i64>,
    /// How much there is, or was used since it began anew; null of `deliveries_per_hour` while the store does not tell it.
    pub used: Option<i64>,
    /// When it begins anew; null of what stays until it is removed.
    #[schema(format = DateTime)]
    pub resets_at: Option<String>,
}
