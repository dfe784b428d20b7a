//! Figures over time, in JSON, as `/metrics/series` and `/metrics/causes` give them.

use std::collections::BTreeMap;

use serde::Serialize;
use store::query::{Point, Series as StoredSeries, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

/// A value: a number, or a decimal string for amounts and prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// Things.
    Count(u64),
    /// Rates, milliseconds.
    Number(f64),
    /// Amounts and prices in the chain's smallest unit.
    Amount(String),
}

impl PartialSchema for Figure {
    fn schema() -> RefOr<Schema> {
        let kinds = [Type::Number, Type::String].into_iter().collect::<SchemaType>();
        let about = "A number; of amounts and prices a decimal string";
        RefOr::T(ObjectBuilder::new().schema_type(kinds).description(Some(about)).build().into())
    }
}

impl ToSchema for Figure {}

impl From<Value> for Figure {
    fn from(value: Value) -> Self {
        match value {
            Value::Count(count) => Self::Count(count),
            Value::Number(number) => Self::Number(rounded(number)),
            Value::Amount(amount) => Self::Amount(amount.to_string()),
        }
    }
}

/// To six places behind the point.
pub fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// A metric over one step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Point)]
pub struct PointItem {
    /// Beginning of the step.
    #[schema(format = DateTime)]
    pub at: String,
    /// A number; for amounts and prices a decimal string; null where it is not known, or where there was nothing to make it of.
    pub value: Option<Figure>,
    /// Nothing is missing in the step, and it is over.
    pub complete: bool,
    /// `windows`, or `rows` where there was no window.
    #[schema(pattern = "^(windows|rows)$")]
    pub source: String,
    /// Why it is not complete, in a sentence.
    pub reason: Option<String>,
}

impl PointItem {
    fn of(point: Point) -> Self {
        Self {
            at: point.at.rfc3339(),
            value: point.value.map(Figure::from),
            complete: point.complete,
            source: point.source.as_str().to_owned(),
            reason: point.reason,
        }
    }
}

/// One metric over time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = MetricSeries)]
pub struct MetricSeriesItem {
    /// The metric's word.
    pub metric: String,
    /// What its values are counted in: `ratio` (0 to 1), `count`, `per_second`, `ms`, `gas`, `price` (the chain's price unit: wei per gas), or
    /// `amount` (its smallest unit: wei).
    pub unit: String,
    /// One for each step from `from` (included) to `to` (not), the oldest first.
    pub points: Vec<PointItem>,
}

impl MetricSeriesItem {
    /// From the store's answer.
    pub fn of(series: StoredSeries) -> Self {
        Self {
            metric: series.metric.as_str().to_owned(),
            unit: series.metric.unit().as_str().to_owned(),
            points: series.points.into_iter().map(PointItem::of).collect(),
        }
    }
}

/// One metric of a network, or of one of its contracts, over time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Series {
    /// The network's slug.
    pub network: String,
    /// The contract; null: all of the network.
    pub contract: Option<String>,
    /// `1m`, `5m`, `1h` or `1d`.
    #[schema(pattern = "^(1m|5m|1h|1d)$")]
    pub step: String,
    /// Beginning of the first step.
    #[schema(format = DateTime)]
    pub from: String,
    /// The end that was asked for.
    #[schema(format = DateTime)]
    pub to: String,
    /// The metric.
    #[serde(flatten)]
    pub of: MetricSeriesItem,
}

/// Several metrics over the same time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ManySeries {
    /// The network's slug.
    pub network: String,
    /// The contract; null: all of the network.
    pub contract: Option<String>,
    /// `1m`, `5m`, `1h` or `1d`.
    #[schema(pattern = "^(1m|5m|1h|1d)$")]
    pub step: String,
    /// Beginning of the first step.
    #[schema(format = DateTime)]
    pub from: String,
    /// The end that was asked for.
    #[schema(format = DateTime)]
    pub to: String,
    /// In the order in which they were asked for.
    pub series: Vec<MetricSeriesItem>,
}

/// One metric's points where one was asked for, else a list of series.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SeriesAnswer {
    /// Of one metric.
    One(Series),
    /// Of several.
    Many(ManySeries),
}

/// How many transactions failed within a step, by why.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = CausesPoint)]
pub struct CausesPointItem {
    /// Beginning of the step.
    #[schema(format = DateTime)]
    pub at: String,
    /// By the cause's word; `unknown` where none is known (yet). Steps in which nothing failed have none.
    pub causes: BTreeMap<String, u64>,
}

/// Why transactions failed, over time. It is counted from rows: windows know no causes, which may come late.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CausesSeries {
    /// The network's slug.
    pub network: String,
    /// The contract that was called; null: all of the network.
    pub contract: Option<String>,
    /// `1m`, `5m`, `1h` or `1d`.
    #[schema(pattern = "^(1m|5m|1h|1d)$")]
    pub step: String,
    /// Beginning of the first step.
    #[schema(format = DateTime)]
    pub from: String,
    /// The end that was asked for.
    #[schema(format = DateTime)]
    pub to: String,
    /// Steps in which something failed, the oldest first.
    pub items: Vec<CausesPointItem>,
}
