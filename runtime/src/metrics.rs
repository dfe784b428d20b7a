//! Telemetry of the log, as named functions.

/// A record that another program wrote into one of our topics was passed over.
pub fn foreign_record(topic: &'static str) {
    metrics::counter!("headwater_log_foreign_records_total", "topic" => topic).increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!(
        "headwater_log_foreign_records_total",
        "Records that other programs wrote into our topics, by topic."
    );
}
