//! `GET /metrics/series`: figures over time.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use schemas::{TimeMs, limits::metrics as limits};
use store::query::{Metric, SeriesFilter};
use utoipa::IntoParams;

use super::answer::{Refused, figures};
use crate::{
    app::App,
    door::Asking,
    error::ApiError,
    items::{ManySeries, MetricSeriesItem, Series, SeriesAnswer},
    params::Params,
    windows::{Kept, Span, Whose, csv, not_written},
};

const KNOWN: &[&str] = &["network", "contract", "metric", "step", "from", "to", "format"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "documentation; the values are read by `Params`, which explains mistakes")]
struct Query {
    /// The network.
    network: String,
    /// What touched this contract: sent to it, creating it, or with a log from it.
    contract: Option<String>,
    /// What is wanted: one or more of `failure_rate`, `failed`, `transactions`, `tps`, `gas_price_avg`, `gas_price_p50`, `gas_price_p95`,
    /// `fee_total`, `base_fee`, `fullness`, `senders`, `block_interval_ms`, `gas_used`, `value_total`, `token_transfers`, with commas between
    /// them. Of several the answer has `series`.
    metric: String,
    /// `1m` (default), `5m`, `1h` or `1d`.
    step: Option<String>,
    /// Steps that begin at this time or later (RFC 3339); 60 steps by default, 1,500 at most.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Steps that begin before this time; now by default.
    #[param(format = DateTime)]
    to: Option<String>,
    /// `json` (default) or `csv`: a row for each metric and step.
    format: Option<String>,
}

/// Figures of a network, or of a contract, over time.
///
/// Each step comes from its window; where there is none from rows, if they are held without a gap (`source` is `rows`); else it is not
/// `complete` and says why. An answer is given again until the network's next block, for a second at least and a minute at most.
#[utoipa::path(
    get,
    path = "/metrics/series",
    tag = "figures",
    params(Query),
    responses(
        (status = 200, content(
            (SeriesAnswer = "application/json"),
            (String = "text/csv"),
        ), description = "The figures"),
        (status = 404, description = "No such network", body = crate::error::Problem, content_type = "application/problem+json"),
        Refused
    )
)]
pub async fn series(
    State(app): State<Arc<App>>,
    asking: Asking,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let params = Params::parse(query.as_deref(), KNOWN)?;
    let metrics = metrics(params.text("metric")?)?;
    let is_csv = params.parsed("format", "json or csv", format)?.unwrap_or(false);
    let span = Span::read(&params, TimeMs::now())?;
    if span.steps() * metrics.len() > limits::ANSWER_POINTS {
        let expected =
            format!("fewer metrics, or fewer steps: one answer has at most {} points", limits::ANSWER_POINTS);
        return Err(ApiError::invalid("metric", params.text("metric")?.unwrap_or_default(), expected));
    }
    let whose = Whose::read_one(&app, &asking, &params).await?;
    let words: Vec<&str> = metrics.iter().map(|metric| metric.as_str()).collect();
    let asked = Span::name(&params)?;
    let name = format!("series {} {} {} {asked} {is_csv}", whose.name(), words.join(","), span.step);
    let ask = async || {
        let filter = SeriesFilter {
            network: whose.network.clone(),
            contract: whose.contract.clone(),
            contract_windows: whose.own,
            metrics: metrics.clone(),
            step: span.step,
            from: span.from,
            to: span.to,
        };
        let found = app.store.series(&filter).await.map_err(|e| ApiError::from_store(&e))?;
        let series: Vec<MetricSeriesItem> = found.series.into_iter().map(MetricSeriesItem::of).collect();
        if !is_csv {
            return Kept::json(&answer(&whose, span, series), found.sequence);
        }
        let of = (whose.network.as_str(), whose.contract.as_deref());
        Ok(Kept::new(csv::of(of, span.step.as_str(), &series).map_err(not_written)?, found.sequence))
    };
    let kept = app.answers.of(&app.rings, &whose.network, name, ask).await?;
    let media_type = if is_csv { "text/csv; charset=utf-8; header=present" } else { "application/json" };
    let mut response = figures(&headers, media_type, &kept.body, Some(kept.sequence));
    if is_csv {
        let file = format!("attachment; filename=\"{}-{}.csv\"", whose.network, span.step);
        if let Ok(file) = HeaderValue::from_str(&file) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, file);
        }
    }
    Ok(response)
}

/// One series as it is where there is but one, else all.
fn answer(whose: &Whose, span: Span, mut series: Vec<MetricSeriesItem>) -> SeriesAnswer {
    let (network, contract) = (whose.network.to_string(), whose.contract.clone());
    let (step, from, to) = (span.step.to_string(), span.from.rfc3339(), span.to.rfc3339());
    match series.pop() {
        Some(of) if series.is_empty() => SeriesAnswer::One(Series { network, contract, step, from, to, of }),
        last => {
            series.extend(last);
            SeriesAnswer::Many(ManySeries { network, contract, step, from, to, series })
        }
    }
}

fn format(word: &str) -> Option<bool> {
    match word {
        "json" => Some(false),
        "csv" => Some(true),
        _ => None,
    }
}

/// The metrics that are wanted, each once.
fn metrics(text: Option<&str>) -> Result<Vec<Metric>, ApiError> {
    let known = || Metric::ALL.map(Metric::as_str).join(", ");
    let text = text.ok_or_else(|| ApiError::invalid("metric", "", format!("one or more of {}", known())))?;
    let mut metrics = Vec::new();
    for word in text.split(',') {
        let metric: Metric =
            word.parse().map_err(|_| ApiError::invalid("metric", word, format!("one of {}", known())))?;
        if metrics.contains(&metric) {
            return Err(ApiError::invalid("metric", word, "each metric once"));
        }
        metrics.push(metric);
    }
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_each_once() {
        assert_eq!(metrics(Some("tps,failed")), Ok(vec![Metric::Tps, Metric::Failed]));
        let all = Metric::ALL.map(Metric::as_str).join(",");
        assert!(metrics(Some(&all)).is_ok_and(|all| all.len() <= limits::SERIES));
        for bad in [None, Some(""), Some("tps,"), Some("tps,tps"), Some("TPS"), Some("tps failed")] {
            let problem = metrics(bad).expect_err("none").problem();
            assert_eq!(problem.parameter.as_deref(), Some("metric"), "{bad:?}");
        }
    }
}
