//! What aggregate tells Prometheus.

use std::time::Duration;

use schemas::Network;

/// Events were taken in; those that were read again after a start are counted apart.
pub(crate) fn taken(events: usize, again: bool) {
    let what = if again { "again" } else { "new" };
    metrics::counter!("headwater_aggregate_events_total", "read" => what).increment(events as u64);
}

/// A transaction of the log was committed.
pub(crate) fn committed(windows: usize, took: Duration) {
    metrics::counter!("headwater_aggregate_windows_total").increment(windows as u64);
    metrics::histogram!("headwater_aggregate_commit_seconds").record(took.as_secs_f64());
}

/// Newest event of a network whose windows are published.
pub(crate) fn processed(network: &Network, sequence: u64) {
    metrics::gauge!("headwater_aggregate_processed_sequence", "network" => network.to_string()).set(sequence as f64);
}

/// What is held of a partition's networks.
pub(crate) fn held(partition: u32, (blocks, sums): (usize, usize)) {
    let partition = partition.to_string();
    metrics::gauge!("headwater_aggregate_held_blocks", "partition" => partition.clone()).set(blocks as f64);
    metrics::gauge!("headwater_aggregate_held_sums", "partition" => partition).set(sums as f64);
}

/// Records of a partition that were not read yet, and those that a start would read again.
pub(crate) fn lag(partition: u32, unread: u64, again: u64) {
    let partition = partition.to_string();
    metrics::gauge!("headwater_aggregate_unread_records", "partition" => partition.clone()).set(unread as f64);
    metrics::gauge!("headwater_aggregate_rewind_records", "partition" => partition).set(again as f64);
}

/// A record could not be read: windows that it belongs to are incomplete.
pub(crate) fn unreadable(network: &Network) {
    metrics::counter!("headwater_aggregate_unreadable_total", "network" => network.to_string()).increment(1);
}

/// Retention removed records that had not been read.
pub(crate) fn missed(records: u64) {
    metrics::counter!("headwater_aggregate_missed_records_total").increment(records);
}

/// Membership and producer were made anew after an error of the log.
pub(crate) fn rejoined() {
    metrics::counter!("headwater_aggregate_rejoins_total").increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!(
        "headwater_aggregate_events_total",
        "Block events taken into windows: new ones, and those that were read again after a start."
    );
    metrics::describe_counter!("headwater_aggregate_windows_total", "Records of windows published.");
    metrics::describe_histogram!("headwater_aggregate_commit_seconds", "Time to commit a transaction of the log.");
    metrics::describe_gauge!(
        "headwater_aggregate_processed_sequence",
        "Sequence of the newest event of a network whose windows are published."
    );
    metrics::describe_gauge!(
        "headwater_aggregate_held_blocks",
        "Blocks of which partials are held, or that are known."
    );
    metrics::describe_gauge!("headwater_aggregate_held_sums", "Sums of minutes and longer windows that are held.");
    metrics::describe_gauge!("headwater_aggregate_unread_records", "Records of enriched.blocks not read yet.");
    metrics::describe_gauge!(
        "headwater_aggregate_rewind_records",
        "Records of enriched.blocks that a start would read again."
    );
    metrics::describe_counter!(
        "headwater_aggregate_unreadable_total",
        "Records of enriched.blocks that could not be read; windows say so."
    );
    metrics::describe_counter!(
        "headwater_aggregate_missed_records_total",
        "Records of enriched.blocks that retention removed before they were read; windows say so."
    );
    metrics::describe_counter!(
        "headwater_aggregate_rejoins_total",
        "Times that group and producer were made anew after an error of the log."
    );
}
