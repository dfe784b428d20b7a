//! What every user of the store tells Prometheus.

/// A statement was sent to the store. `purpose`: in words, as an error would say what was being done.
pub(crate) fn statement(purpose: &'static str) {
    metrics::counter!("headwater_store_statements_total", "purpose" => purpose).increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub(crate) fn describe() {
    metrics::describe_counter!(
        "headwater_store_statements_total",
        "Statements that this process sent to the store, by what they were for."
    );
}
