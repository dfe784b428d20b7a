//! What the publisher counts.

/// Describes them, once.
pub(super) fn describe() {
    metrics::describe_counter!(
        "headwater_control_published_total",
        "Rows and removals of the control store that were written to the log, by topic."
    );
    metrics::describe_gauge!(
        "headwater_control_unpublished_seconds",
        metrics::Unit::Seconds,
        "Since when there have been changes in the control store's outbox that are not in the log; 0 when there are none. Told by the \
         process that publishes."
    );
    metrics::describe_gauge!(
        "headwater_control_unpublished",
        "Changes that were found in the outbox by the last look and are not in the log yet. Told by the process that publishes."
    );
    metrics::describe_gauge!(
        "headwater_control_publisher",
        "1 in the process that publishes the control store's changes, 0 in those that stand by."
    );
    published("control.config", 0);
    published("control.tenants", 0);
    waiting(0, 0.0);
    publishes(false);
}

/// So many records are in the log.
pub(super) fn published(topic: &'static str, records: u64) {
    metrics::counter!("headwater_control_published_total", "topic" => topic).increment(records);
}

/// So many changes wait, the first of them for so long, seconds.
pub(super) fn waiting(changes: usize, seconds: f64) {
    metrics::gauge!("headwater_control_unpublished").set(changes as f64);
    metrics::gauge!("headwater_control_unpublished_seconds").set(seconds);
}

/// Whether this process publishes.
pub(super) fn publishes(does: bool) {
    metrics::gauge!("headwater_control_publisher").set(f64::from(u8::from(does)));
}
