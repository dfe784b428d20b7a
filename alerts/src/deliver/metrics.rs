//! What deliver tells Prometheus. No label has a tenant's or a receiver's words in it.

use std::time::Duration;

use schemas::records::DeliveryState;

use super::channels::Verdict;

/// A message was read from the outbox.
pub(super) fn taken(kind: &str) {
    metrics::counter!("headwater_alerts_messages_total", "type" => kind.to_owned()).increment(1);
}

/// An attempt has ended.
pub(super) fn attempted(channel_type: &str, verdict: &Verdict, took: Duration) {
    let result = match verdict {
        Verdict::Sent { .. } => "sent",
        Verdict::Retry { .. } => "retry",
        Verdict::Final { .. } => "final",
    };
    let labels = [("channel_type", channel_type.to_owned()), ("result", result.to_owned())];
    metrics::counter!("headwater_alerts_attempts_total", &labels).increment(1);
    metrics::histogram!("headwater_alerts_attempt_seconds", "channel_type" => channel_type.to_owned())
        .record(took.as_secs_f64());
}

/// A message was taken, so many milliseconds after it came about.
pub(super) fn sent_after(kind: &str, ms: i64) {
    metrics::histogram!("headwater_alerts_sent_after_seconds", "type" => kind.to_owned())
        .record(ms.max(0) as f64 / 1e3);
}

/// What became of a message was written.
pub(super) fn told(channel_type: &str, state: DeliveryState) {
    let labels = [("channel_type", channel_type.to_owned()), ("state", state.to_string())];
    metrics::counter!("headwater_alerts_deliveries_total", &labels).increment(1);
}

/// A message is sent again since somebody asked for it.
pub(super) fn replayed() {
    metrics::counter!("headwater_alerts_replays_total").increment(1);
}

/// What is held.
pub(super) fn held(waiting: usize, bytes: usize, done: usize, open: usize) {
    metrics::gauge!("headwater_alerts_waiting_messages").set(waiting as f64);
    metrics::gauge!("headwater_alerts_waiting_bytes").set(bytes as f64);
    metrics::gauge!("headwater_alerts_replayable_messages").set(done as f64);
    metrics::gauge!("headwater_alerts_open_breakers").set(open as f64);
}

/// The dead man's switch was, or was not, told that alerts work.
pub(super) fn heartbeat(alive: bool, seconds_since: f64) {
    metrics::gauge!("headwater_alerts_alive").set(if alive { 1.0 } else { 0.0 });
    metrics::gauge!("headwater_alerts_last_self_test_seconds").set(seconds_since);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!("headwater_alerts_messages_total", "Messages read from the outbox, by type.");
    metrics::describe_counter!("headwater_alerts_attempts_total", "Attempts to send a message, by what came of them.");
    metrics::describe_histogram!("headwater_alerts_attempt_seconds", "Time that an attempt took.");
    metrics::describe_histogram!(
        "headwater_alerts_sent_after_seconds",
        "Time from a message's coming about to its being taken."
    );
    metrics::describe_counter!("headwater_alerts_deliveries_total", "What was written of messages, by state.");
    metrics::describe_counter!("headwater_alerts_replays_total", "Messages sent again since somebody asked for it.");
    metrics::describe_gauge!("headwater_alerts_waiting_messages", "Messages that wait or are on their way.");
    metrics::describe_gauge!("headwater_alerts_waiting_bytes", "Their bytes.");
    metrics::describe_gauge!("headwater_alerts_replayable_messages", "Messages that are done and can be sent again.");
    metrics::describe_gauge!("headwater_alerts_open_breakers", "Destinations that are asked rarely since they fail.");
    metrics::describe_gauge!(
        "headwater_alerts_alive",
        "1: a self-test went through evaluation and delivery within two minutes, and every stage is alive."
    );
    metrics::describe_gauge!(
        "headwater_alerts_last_self_test_seconds",
        "Time since the last self-test that went through."
    );
}
