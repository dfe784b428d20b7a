//! Deliveries of one tenant's messages, with every attempt.

use std::collections::HashMap;

use clickhouse::Row;
use schemas::{
    Network, TimeMs,
    limits::{self, alerts::ATTEMPTS_OF_DELIVERY},
};
use serde::Deserialize;

use super::{STEPS, Whose, ids, next, windows};
use crate::{
    Store, StoreError,
    query::{
        Page,
        windows::{Looked, look},
    },
};

/// How long deliveries are kept after they came about: the table's own.
const KEPT_MS: i64 = 90 * 86_400_000;

/// Which deliveries. All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// To this channel.
    pub channel: Option<String>,
    /// Of this alert.
    pub alert: Option<String>,
    /// In one of these states now. Empty: whatever it is.
    pub states: Vec<String>,
    /// Older ones than that of this id.
    pub before: Option<String>,
    /// At most so many; cut to [`limits::PAGE_ITEMS_MAX`].
    pub limit: u32,
}

/// A message to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the same on every attempt.
    pub id: String,
    /// The alert; `None` of a test and of a summary.
    pub alert_id: Option<String>,
    /// The channel.
    pub channel_id: String,
    /// Its type.
    pub channel_type: String,
    /// `alert.firing` and others.
    pub kind: String,
    /// `queued`, `sent`, `failed` or `replaced`.
    pub state: String,
    /// When that was said.
    pub updated_at: TimeMs,
    /// When it is tried again by itself.
    pub next_attempt_at: Option<TimeMs>,
    /// Attempts, oldest first; the last [`ATTEMPTS_OF_DELIVERY`].
    pub attempts: Vec<Attempt>,
}

/// An attempt to send a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it ended.
    pub at: TimeMs,
    /// The other's status.
    pub status: Option<u16>,
    /// How long it took, milliseconds.
    pub latency_ms: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Row, Deserialize)]
struct Found {
    delivery_id: String,
}

#[derive(Row, Deserialize)]
struct Said {
    delivery_id: String,
    alert: Option<String>,
    channel_id: String,
    channel_type: String,
    kind: String,
    state: String,
    at: TimeMs,
    attempt: u32,
    status: Option<u16>,
    latency_ms: Option<u64>,
    why: Option<String>,
    next_attempt_at: Option<TimeMs>,
}

impl Said {
    fn attempt(&self) -> Option<Attempt> {
        let was_tried = self.attempt > 0 && self.state != "replaced";
        was_tried.then(|| Attempt {
            at: self.at,
            status: self.status,
            latency_ms: self.latency_ms,
            error: self.why.clone(),
        })
    }
}

/// The statement of a list's window. A message's state is the last that was said of it.
fn sql(filter: &DeliveryFilter) -> String {
    let mut conditions = vec![
        "tenant = {tenant:String} AND delivery_id >= {low:String} AND delivery_id < {high:String}",
        "made_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND made_at <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')",
    ];
    let mut add = |present: bool, condition: &'static str| {
        if present {
            conditions.push(condition);
        }
    };
    add(filter.before.is_some(), "delivery_id < {before:String}");
    add(filter.channel.is_some(), "channel_id = {channel:String}");
    add(filter.alert.is_some(), "alert_id = {alert:String}");
    let having = match filter.states.is_empty() {
        true => "",
        false => "HAVING argMax(state, (at, attempt, place)) IN {states:Array(String)}",
    };
    format!(
        "SELECT delivery_id FROM alert_delivery_rows WHERE {} GROUP BY delivery_id {having} \
         ORDER BY delivery_id DESC LIMIT {{limit:UInt32}}",
        conditions.join(" AND ")
    )
}

impl Store {
    /// Deliveries of one tenant, newest first. The cursor of a page is the id before which the next begins.
    ///
    /// A message has no network; of an alert's, whoever asks has seen the alert ([`Store::alert_networks`] tells which networks are meant).
    ///
    /// # Errors
    /// The store is away.
    pub async fn deliveries(
        &self,
        whose: &Whose,
        filter: &DeliveryFilter,
    ) -> Result<Page<Delivery, String>, StoreError> {
        let (tenants, sql) = (self.tenants(), sql(filter));
        let limit = filter.limit.clamp(1, limits::PAGE_ITEMS_MAX);
        let windows = windows(filter.before.as_deref(), None, KEPT_MS);
        let looked = look(windows, limit, self.list_time(), |window, limit| {
            let (low, high) = ids(window);
            let mut query = tenants.read_window(&sql).param("tenant", whose.tenant.as_str()).param("limit", limit);
            query = query.param("low", low).param("high", high).param("from", window.0).param("to", window.1);
            for (name, value) in [("before", &filter.before), ("channel", &filter.channel), ("alert", &filter.alert)] {
                if let Some(value) = value {
                    query = query.param(name, value.as_str());
                }
            }
            if !filter.states.is_empty() {
                query = query.param("states", filter.states.as_slice());
            }
            self.within("listing deliveries", query.fetch_all::<Found>())
        });
        let Looked { items, end } = looked.await?;
        let ids: Vec<String> = items.into_iter().map(|found| found.delivery_id).collect();
        let next = next(&ids, end, Clone::clone);
        Ok(Page { items: self.whole_deliveries(whose, &ids).await?, next })
    }

    /// One delivery of a tenant.
    ///
    /// # Errors
    /// The store is away.
    pub async fn delivery(&self, whose: &Whose, id: &str) -> Result<Option<Delivery>, StoreError> {
        Ok(self.whole_deliveries(whose, &[id.to_owned()]).await?.into_iter().next())
    }

    /// Networks of these alerts of a tenant, as far as they are there.
    ///
    /// # Errors
    /// The store is away.
    pub async fn alert_networks(&self, whose: &Whose, ids: &[String]) -> Result<HashMap<String, Network>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = "SELECT alert_id, network FROM alert_rows WHERE tenant = {tenant:String} AND alert_id IN {ids:Array(String)} \
                   ORDER BY alert_id LIMIT 1 BY alert_id";
        let query = self.tenants().read(sql).param("tenant", whose.tenant.as_str()).param("ids", ids);
        let rows = self.within("reading networks of alerts", query.fetch_all::<(String, String)>()).await?;
        Ok(rows.into_iter().filter_map(|(id, network)| network.parse().ok().map(|network| (id, network))).collect())
    }

    async fn whole_deliveries(&self, whose: &Whose, ids: &[String]) -> Result<Vec<Delivery>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT delivery_id, nullIf(alert_id, '') AS alert, channel_id, channel_type, kind, state, at, attempt, status, \
                   latency_ms, nullIf(error, '') AS why, next_attempt_at FROM alert_delivery_rows FINAL \
             WHERE tenant = {{tenant:String}} AND delivery_id IN {{ids:Array(String)}} \
             ORDER BY delivery_id DESC, at DESC, attempt DESC, place DESC \
             LIMIT {ATTEMPTS_OF_DELIVERY} BY delivery_id LIMIT {STEPS}"
        );
        let query = self.tenants().read(&sql).param("tenant", whose.tenant.as_str()).param("ids", ids);
        let said = self.within("reading deliveries", query.fetch_all::<Said>()).await?;
        let mut all: Vec<Delivery> = Vec::new();
        for said in said {
            match all.last_mut().filter(|delivery| delivery.id == said.delivery_id) {
                Some(delivery) => delivery.attempts.extend(said.attempt()),
                // The first of its rows is the last that was said.
                None => all.push(Delivery {
                    attempts: said.attempt().into_iter().collect(),
                    id: said.delivery_id,
                    alert_id: said.alert,
                    channel_id: said.channel_id,
                    channel_type: said.channel_type,
                    kind: said.kind,
                    state: said.state,
                    updated_at: said.at,
                    next_attempt_at: said.next_attempt_at,
                }),
            }
        }
        all.iter_mut().for_each(|delivery| delivery.attempts.reverse());
        Ok(all)
    }
}
