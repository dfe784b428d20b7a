//! What the sink tells Prometheus.

use std::time::Duration;

use schemas::records::DeadLetter;

use crate::{StoreErrorKind, query::RecentCompleteness};

/// Rows of a table are on disk.
pub(super) fn inserted(table: &'static str, rows: u64, took: Duration) {
    metrics::counter!("headwater_sink_rows_total", "table" => table).increment(rows);
    metrics::histogram!("headwater_sink_insert_seconds", "table" => table).record(took.as_secs_f64());
}

/// A batch of whole events is on disk and its offsets are committed.
pub(super) fn batch(events: usize, rows: usize, took: Duration) {
    metrics::counter!("headwater_sink_events_total").increment(events as u64);
    metrics::histogram!("headwater_sink_batch_rows").record(rows as f64);
    metrics::histogram!("headwater_sink_batch_seconds").record(took.as_secs_f64());
}

/// Newest thing that is visible of a network.
pub(super) fn processed(network: &str, height: u64, sequence: u64) {
    metrics::gauge!("headwater_sink_processed_height", "network" => network.to_owned()).set(height as f64);
    metrics::gauge!("headwater_sink_processed_sequence", "network" => network.to_owned()).set(sequence as f64);
}

/// From first sight of a block to its visible rows.
pub(super) fn visible_after(took: Duration) {
    metrics::histogram!("headwater_sink_visible_seconds").record(took.as_secs_f64());
}

/// Whether the store answers.
pub(super) fn store_reachable(yes: bool) {
    metrics::gauge!("headwater_sink_store_reachable").set(f64::from(u8::from(yes)));
}

/// The store did not take something; the same bytes are sent again.
pub(super) fn retried(kind: StoreErrorKind) {
    metrics::counter!("headwater_sink_retries_total", "kind" => kind.as_str()).increment(1);
}

/// A network is halted (1) or not (0).
pub(super) fn halted(network: &str, yes: bool) {
    metrics::gauge!("headwater_sink_halted", "network" => network.to_owned()).set(f64::from(u8::from(yes)));
}

/// An event was held already and is the same.
pub(super) fn replayed() {
    metrics::counter!("headwater_sink_replayed_events_total").increment(1);
}

/// An event of a halted network went by.
pub(super) fn passed_over(network: &str) {
    metrics::counter!("headwater_sink_passed_over_events_total", "network" => network.to_owned()).increment(1);
}

/// How whole a network's newest heights are (rule 18).
pub(super) fn completeness(network: &str, recent: &RecentCompleteness) {
    let set = |name: &'static str, value: u64| metrics::gauge!(name, "network" => network.to_owned()).set(value as f64);
    set("headwater_sink_recent_blocks", recent.blocks);
    set("headwater_sink_recent_incomplete_blocks", recent.incomplete_blocks);
    set("headwater_sink_recent_transactions_expected", recent.transactions_expected);
    set("headwater_sink_recent_transactions_stored", recent.transactions_stored);
}

/// A record went to the dead letters.
pub(super) fn dead_letter(letter: &DeadLetter) {
    let network = letter.network.as_ref().map_or(String::new(), |n| n.to_string());
    metrics::counter!("headwater_sink_dead_letters_total", "network" => network, "reason" => letter.reason.clone())
        .increment(1);
}

/// A topic was not there when it was needed; tried again until it is.
pub(super) fn topic_missing() {
    metrics::counter!("headwater_sink_topic_missing_total").increment(1);
}
