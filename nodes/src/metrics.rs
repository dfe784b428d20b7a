//! Telemetry of calls to nodes, as named functions.

use std::time::Duration;

use crate::error::NodeError;

/// A call ended: how long it took and how.
pub fn call_done(endpoint: &str, method: &'static str, took: Duration, outcome: Result<(), &NodeError>) {
    let outcome = outcome.map_or_else(NodeError::label, |()| "ok");
    metrics::counter!("headwater_node_calls_total", "endpoint" => endpoint.to_owned(), "method" => method, "outcome" => outcome)
        .increment(1);
    metrics::histogram!("headwater_node_call_seconds", "endpoint" => endpoint.to_owned(), "method" => method)
        .record(took.as_secs_f64());
}

/// Bytes that an answer took.
pub fn answer_bytes(endpoint: &str, bytes: usize) {
    metrics::counter!("headwater_node_answer_bytes_total", "endpoint" => endpoint.to_owned()).increment(bytes as u64);
}

/// A check of hashes or roots that is not decisive on this chain did not hold, or could not be made.
pub fn check_undecided(network_check: &'static str, held: bool) {
    metrics::counter!("headwater_node_checks_undecided_total", "check" => network_check, "held" => if held { "yes" } else { "no" })
        .increment(1);
}

/// A subscription to heads was lost.
pub fn heads_lost(endpoint: &str) {
    metrics::counter!("headwater_node_heads_lost_total", "endpoint" => endpoint.to_owned()).increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!("headwater_node_calls_total", "Calls to nodes, by endpoint, method and outcome.");
    metrics::describe_histogram!("headwater_node_call_seconds", "Time that a call to a node took.");
    metrics::describe_counter!("headwater_node_answer_bytes_total", "Bytes of nodes' answers.");
    metrics::describe_counter!(
        "headwater_node_checks_undecided_total",
        "Checks of hashes or roots that do not decide on this chain, by whether they held."
    );
    metrics::describe_counter!("headwater_node_heads_lost_total", "Subscriptions to heads that were lost.");
}
