//! Alerts of one tenant: lists, and one with its story.
//!
//! Guarantee: each question binds its tenant ([`Whose`]) and answers nothing of another's; rows come from the database of tenants, where
//! only the API's user and the stages' read. Lists look through windows of the time in ids, newest first, so that none reads more than its
//! time allows.

mod counts;
mod deliveries;
mod left_out;
mod matches;
mod whole;
mod whose;
mod why;

use std::collections::HashMap;

use clickhouse::Row;
use schemas::{
    Network, TimeMs,
    limits::{self, alerts::EVENTS_OF_ALERT},
};
use serde::Deserialize;

pub use self::{
    counts::TenantCounts,
    deliveries::{Attempt, Delivery, DeliveryFilter},
    left_out::{LOOKED_BACK_MS, LeftOut},
    matches::{MatchFilter, MatchRow},
    whole::{WholeAlert, WholeDelivery},
    whose::Whose,
    why::Why,
};
use super::{
    Page, Sort,
    windows::{End, Looked, Windows, look},
};
use crate::{Store, StoreError, ulid};

/// How long alerts are kept after they began: the tables' own.
const KEPT_MS: i64 = 400 * 86_400_000;
/// Width of the first window, milliseconds.
const FIRST_MS: u64 = 86_400_000;
/// An id may be made by a clock that is so much ahead of ours, milliseconds.
const AHEAD_MS: i64 = 3_600_000;
/// Transitions or attempts of one answer, at most: of the newest, where there are more.
const STEPS: u32 = 20_000;

/// Which alerts. All that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// In one of these states. Empty: whatever it is.
    pub states: Vec<String>,
    /// Of one of these severities. Empty: whatever it is.
    pub severities: Vec<String>,
    /// Of the rule or monitor (`rule`, `monitor`) with this id.
    pub source: Option<(&'static str, String)>,
    /// Of this network.
    pub network: Option<Network>,
    /// About this contract: lower-case hex with `0x`.
    pub contract: Option<String>,
    /// Of which something happened at this time or later.
    pub since: Option<TimeMs>,
    /// That was firing at some moment from … to ….
    pub during: Option<(TimeMs, TimeMs)>,
    /// Older ones than that of this id.
    pub before: Option<String>,
    /// At most so many; cut to [`limits::PAGE_ITEMS_MAX`].
    pub limit: u32,
}

/// An alert with its story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id.
    pub id: String,
    /// All of it, JSON, after its last transition.
    pub alert: String,
    /// When that was.
    pub updated_at: TimeMs,
    /// Number of that transition.
    pub revision: u64,
    /// Its transitions, oldest first; the last [`EVENTS_OF_ALERT`].
    pub events: Vec<AlertStep>,
}

/// A transition.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct AlertStep {
    /// Of which alert.
    pub alert_id: String,
    /// When.
    pub at: TimeMs,
    /// `fired` and others.
    pub kind: String,
    /// Who did it.
    pub who: Option<String>,
    /// What that wrote.
    pub words: Option<String>,
    /// The block event behind it.
    pub sequence: Option<u64>,
    /// Its height.
    pub height: Option<u64>,
    /// Number of the transition.
    pub revision: u64,
}

#[derive(Row, Deserialize)]
struct Found {
    alert_id: String,
}

#[derive(Row, Deserialize)]
struct Whole {
    alert_id: String,
    alert: String,
    updated_at: TimeMs,
    revision: u64,
}

/// The statement of a list's window. Only the *presence* of filters shapes the text; their values are parameters.
fn sql(whose: &Whose, filter: &AlertFilter) -> String {
    let mut conditions = vec![
        whose.condition(),
        "alert_id >= {low:String} AND alert_id < {high:String}",
        "made_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND made_at <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')",
    ];
    let mut add = |present: bool, condition: &'static str| {
        if present {
            conditions.push(condition);
        }
    };
    add(filter.before.is_some(), "alert_id < {before:String}");
    add(!filter.states.is_empty(), "state IN {states:Array(String)}");
    add(!filter.severities.is_empty(), "severity IN {severities:Array(String)}");
    add(filter.source.is_some(), "source_kind = {source_kind:String} AND source_id = {source_id:String}");
    add(filter.network.is_some(), "network = {network:String}");
    add(filter.contract.is_some(), "contract = {contract:String}");
    add(filter.since.is_some(), "updated_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')");
    add(
        filter.during.is_some(),
        "fired_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC') \
         AND (ended_at IS NULL OR ended_at >= fromUnixTimestamp64Milli({begin:Int64}, 'UTC'))",
    );
    format!(
        "SELECT alert_id FROM alert_rows FINAL WHERE {} ORDER BY alert_id DESC LIMIT {{limit:UInt32}}",
        conditions.join(" AND ")
    )
}

/// The ids of a window of times, both ends included: from the first that may be to the first that may not be.
fn ids((from, to): (u64, u64)) -> (String, String) {
    let time = |at: u64| TimeMs(i64::try_from(at).unwrap_or(i64::MAX));
    (ulid::floor(time(from)), ulid::floor(TimeMs(time(to).0.saturating_add(1))))
}

/// Windows of ids from the newest to the oldest that is kept, older than this one.
fn windows(before: Option<&str>, latest: Option<TimeMs>, kept_ms: i64) -> Windows {
    let now = TimeMs::now().0;
    let newest = latest.map_or(now.saturating_add(AHEAD_MS), |latest| latest.0.min(now.saturating_add(AHEAD_MS)));
    let newest = before.and_then(ulid::time).map_or(newest, |time| time.0.min(newest));
    let unsigned = |time: i64| u64::try_from(time).unwrap_or_default();
    Windows::new(unsigned(now.saturating_sub(kept_ms)), unsigned(newest), FIRST_MS, Sort::Newest)
}

/// Where the next page begins: behind the last item, or behind what there was time for.
fn next<T>(items: &[T], end: End, id: impl Fn(&T) -> String) -> Option<String> {
    match end {
        End::Over => None,
        End::Full => items.last().map(id),
        End::OutOfTime(window) => Some(first_of(ids(window).0)),
    }
}

/// The first id that begins so.
fn first_of(floor: String) -> String {
    format!("{floor}{}", "0".repeat(26_usize.saturating_sub(floor.len())))
}

impl Store {
    /// Alerts of one tenant, newest first. The cursor of a page is the id before which the next begins.
    ///
    /// # Errors
    /// The store is away.
    pub async fn alerts(&self, whose: &Whose, filter: &AlertFilter) -> Result<Page<AlertRow, String>, StoreError> {
        let (tenants, sql) = (self.tenants(), sql(whose, filter));
        let limit = filter.limit.clamp(1, limits::PAGE_ITEMS_MAX);
        let windows = windows(filter.before.as_deref(), filter.during.map(|(_, until)| until), KEPT_MS);
        let looked = look(windows, limit, self.list_time(), |window, limit| {
            let (low, high) = ids(window);
            let mut query = whose.bind(tenants.read_window(&sql)).param("limit", limit);
            query = query.param("low", low).param("high", high).param("from", window.0).param("to", window.1);
            if let Some(before) = &filter.before {
                query = query.param("before", before.as_str());
            }
            for (name, values) in [("states", &filter.states), ("severities", &filter.severities)] {
                if !values.is_empty() {
                    query = query.param(name, values.as_slice());
                }
            }
            if let Some((kind, id)) = &filter.source {
                query = query.param("source_kind", *kind).param("source_id", id.as_str());
            }
            if let Some(network) = &filter.network {
                query = query.param("network", network.as_str());
            }
            if let Some(contract) = &filter.contract {
                query = query.param("contract", contract.as_str());
            }
            if let Some(since) = filter.since {
                query = query.param("since", since.0.clamp(0, limits::BLOCK_TIME_END_MS));
            }
            if let Some((begin, until)) = filter.during {
                let clamp = |at: TimeMs| at.0.clamp(0, limits::BLOCK_TIME_END_MS);
                query = query.param("begin", clamp(begin)).param("until", clamp(until));
            }
            self.within("listing alerts", query.fetch_all::<Found>())
        });
        let Looked { items, end } = looked.await?;
        let ids: Vec<String> = items.into_iter().map(|found| found.alert_id).collect();
        let next = next(&ids, end, Clone::clone);
        Ok(Page { items: self.whole(whose, &ids, EVENTS_OF_ALERT).await?, next })
    }

    /// One alert of a tenant, with at most so many transitions.
    ///
    /// # Errors
    /// The store is away.
    pub async fn alert(&self, whose: &Whose, id: &str) -> Result<Option<AlertRow>, StoreError> {
        let found = self.whole(whose, &[id.to_owned()], limits::PAGE_ITEMS_MAX).await?;
        Ok(found.into_iter().next())
    }

    /// These, newest first, each with its last so many transitions.
    async fn whole(&self, whose: &Whose, ids: &[String], events: u32) -> Result<Vec<AlertRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenants = self.tenants();
        let alerts = format!(
            "SELECT alert_id, alert, updated_at, revision FROM alert_rows WHERE {} AND alert_id IN {{ids:Array(String)}} \
             ORDER BY alert_id DESC, revision DESC LIMIT 1 BY alert_id",
            whose.condition()
        );
        let steps = format!(
            "SELECT alert_id, at, kind, nullIf(by_whom, '') AS who, nullIf(note, '') AS words, sequence, height, revision \
             FROM alert_event_rows FINAL WHERE {} AND alert_id IN {{ids:Array(String)}} \
             ORDER BY alert_id DESC, revision DESC LIMIT {events} BY alert_id LIMIT {STEPS}",
            whose.condition()
        );
        let alerts = whose.bind(tenants.read(&alerts)).param("ids", ids).fetch_all::<Whole>();
        let steps = whose.bind(tenants.read(&steps)).param("ids", ids).fetch_all::<AlertStep>();
        let both = futures::future::try_join(alerts, steps);
        let (alerts, steps) = self.within("reading alerts", both).await?;
        let mut of_alert: HashMap<String, Vec<AlertStep>> = HashMap::new();
        for step in steps {
            of_alert.entry(step.alert_id.clone()).or_default().push(step);
        }
        let row = |whole: Whole| {
            let mut events = of_alert.remove(&whole.alert_id).unwrap_or_default();
            events.reverse();
            AlertRow {
                id: whole.alert_id,
                alert: whole.alert,
                updated_at: whole.updated_at,
                revision: whole.revision,
                events,
            }
        };
        Ok(alerts.into_iter().map(row).collect())
    }
}
