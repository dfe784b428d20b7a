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

/// One quota.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QuotaItem {
    /// `contracts`, `rules`, `monitors`, `unindexed_monitors`, `channels`, `keys`, `members`, `requests_per_minute`, `requests_per_day`,
    /// `sockets`, `backtest_rows` or `deliveries_per_hour`.
    #[schema(example = "contracts")]
    pub name: String,
    /// The most; null: no bound of the organisation's own.
    pub limit: Option<i64>,
    /// How much there is, or was used since it began anew.
    pub used: i64,
    /// When it begins anew; null of what stays until it is removed.
    #[schema(format = DateTime)]
    pub resets_at: Option<String>,
}
