//! Telemetry of the log, as named functions.

/// A record that another program wrote into one of our topics was passed over.
pub fn foreign_record(topic: &'static str) {
    metrics::counter!("headwater_log_foreign_records_total", "topic" => topic).increment(1);
}

/// So much of what the log keeps of a topic's partition a group has not read, in per cent.
pub fn unread(group: &'static str, topic: &'static str, partition: u32, percent: u32) {
    let labels = [("group", group.to_owned()), ("topic", topic.to_owned()), ("partition", partition.to_string())];
    metrics::gauge!("headwater_log_unread_percent", &labels).set(f64::from(percent));
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!(
        "headwater_log_foreign_records_total",
        "Records that other programs wrote into our topics, by topic."
    );
    metrics::describe_gauge!(
        "headwater_log_unread_percent",
        "Per cent of what retention keeps of a partition that the group has not read; at 100 it removes what is still to be read."
    );
}
