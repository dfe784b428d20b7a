//! Telemetry of Electrum servers, as named functions.

use std::time::Duration;

/// A call ended, after so long.
pub fn call(endpoint: &str, method: &'static str, took: Duration) {
    metrics::histogram!("headwater_electrum_call_latency_ms", "endpoint" => endpoint.to_owned(), "method" => method)
        .record(took.as_secs_f64() * 1e3);
}

/// Something went wrong: what, in a word.
pub fn error(endpoint: &str, what: &'static str) {
    metrics::counter!("headwater_electrum_errors_total", "endpoint" => endpoint.to_owned(), "type" => what)
        .increment(1);
}

/// So many subscriptions are there now, to heads and scripts.
pub fn subscriptions(endpoint: &str, active: i64) {
    metrics::gauge!("headwater_electrum_subscriptions_active", "endpoint" => endpoint.to_owned()).set(active as f64);
}

/// A connection was made again after one was lost.
pub fn reconnected(endpoint: &str) {
    metrics::counter!("headwater_electrum_reconnects_total", "endpoint" => endpoint.to_owned()).increment(1);
}

/// So many connections are there now.
pub fn sockets(endpoint: &str, open: u32) {
    metrics::gauge!("headwater_electrum_sockets", "endpoint" => endpoint.to_owned()).set(f64::from(open));
}

/// A subscription had been silent about what its server showed when it was asked.
pub fn silent(endpoint: &str) {
    metrics::counter!("headwater_electrum_silent_total", "endpoint" => endpoint.to_owned()).increment(1);
}

/// A server showed another certificate than was known.
pub fn certificate_changed(endpoint: &str) {
    metrics::counter!("headwater_electrum_certificate_changes_total", "endpoint" => endpoint.to_owned()).increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    histogram!("headwater_electrum_call_latency_ms", "Time that a call to an Electrum server took, ms, by method");
    counter!("headwater_electrum_errors_total", "What went wrong with Electrum servers, by type");
    gauge!(
        "headwater_electrum_subscriptions_active",
        "Subscriptions to heads and scripts that an Electrum server serves"
    );
    counter!("headwater_electrum_reconnects_total", "Connections to Electrum servers that were made again");
    gauge!("headwater_electrum_sockets", "Connections that are open to an Electrum server");
    counter!(
        "headwater_electrum_silent_total",
        "Times that a subscription to heads had not told what its server showed when it was asked"
    );
    counter!(
        "headwater_electrum_certificate_changes_total",
        "Times that an Electrum server showed another certificate than was known"
    );
}
