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

/// A check that is not decisive on this chain did not hold, or could not be made.
pub fn check_undecided(check: &'static str, made: bool) {
    let held = if made { "no" } else { "unknown" };
    metrics::counter!("headwater_node_checks_undecided_total", "check" => check, "held" => held).increment(1);
}

/// Kind of an odd field: it is no value of its type.
pub const MISSPELLED: &str = "misspelled";
/// Kind of an odd field: it says something else than what follows from the rest.
pub const OTHER: &str = "other";
/// Kind of an odd field: its unit is not the usual one.
pub const UNIT: &str = "unit";

/// A node said something odd in a field on which nothing rests. `field`: object and name, as in `Receipt.transactionIndex`.
pub fn odd_field(field: &'static str, kind: &'static str) {
    odd_fields(field, kind, 1);
}

/// The same, so many times.
pub fn odd_fields(field: &'static str, kind: &'static str, times: usize) {
    if times > 0 {
        metrics::counter!("headwater_node_odd_fields_total", "field" => field, "kind" => kind).increment(times as u64);
    }
}

/// Receipts of a block came by single calls, and why.
pub fn receipts_singly(endpoint: &str, reason: &'static str) {
    metrics::counter!("headwater_node_receipts_singly_total", "endpoint" => endpoint.to_owned(), "reason" => reason)
        .increment(1);
}

/// A subscription to heads was lost.
pub fn heads_lost(endpoint: &str) {
    metrics::counter!("headwater_node_heads_lost_total", "endpoint" => endpoint.to_owned()).increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    crate::fleet::describe();
    crate::bitcoin::electrum::describe();
    metrics::describe_counter!("headwater_node_calls_total", "Calls to nodes, by endpoint, method and outcome.");
    metrics::describe_histogram!("headwater_node_call_seconds", "Time that a call to a node took.");
    metrics::describe_counter!("headwater_node_answer_bytes_total", "Bytes of nodes' answers.");
    metrics::describe_counter!(
        "headwater_node_checks_undecided_total",
        "Checks that do not decide on this chain and did not hold (held: no) or could not be made (held: unknown)."
    );
    metrics::describe_counter!(
        "headwater_node_odd_fields_total",
        "Odd values in fields of nodes' answers on which nothing rests, by field and kind."
    );
    metrics::describe_counter!(
        "headwater_node_receipts_singly_total",
        "Blocks whose receipts came by single calls since the call for the whole block failed, by what it answered."
    );
    metrics::describe_counter!("headwater_node_heads_lost_total", "Subscriptions to heads that were lost.");
}
