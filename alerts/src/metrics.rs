//! What alerts tell Prometheus.

use std::time::Duration;

use schemas::Network;

/// Membership and producer of a group were made anew after an error of the log.
pub(crate) fn rejoined(group: &'static str) {
    metrics::counter!("headwater_alerts_rejoins_total", "group" => group).increment(1);
}

/// Transactions of a live block were looked through.
pub(crate) fn looked_through(network: &Network, transactions: usize) {
    metrics::counter!("headwater_alerts_transactions_total", "network" => network.to_string())
        .increment(transactions as u64);
}

/// Matches were given, taken back or included again.
pub(crate) fn gave(network: &Network, matches: usize) {
    metrics::counter!("headwater_alerts_matches_total", "network" => network.to_string()).increment(matches as u64);
}

/// A block gave a tenant more matches than are told.
pub(crate) fn left_out(network: &Network, matches: u64) {
    metrics::counter!("headwater_alerts_left_out_total", "network" => network.to_string()).increment(matches);
}

/// Transactions that a tenant's monitors were not put to, since their conditions had cost the block all that they may.
pub(crate) fn not_looked_at(network: &Network, transactions: u64) {
    let counter = metrics::counter!("headwater_alerts_not_looked_at_total", "network" => network.to_string());
    counter.increment(transactions);
}

/// Something that should have been written, or read back, could not be.
pub(crate) fn unwritten(network: &Network) {
    metrics::counter!("headwater_alerts_unwritten_total", "network" => network.to_string()).increment(1);
}

/// Failed transactions were let go of before their causes came, for want of room.
pub(crate) fn failures_let_go(network: &Network, failures: u64) {
    if failures > 0 {
        metrics::counter!("headwater_alerts_failures_let_go_total", "network" => network.to_string())
            .increment(failures);
    }
}

/// A record could not be read.
pub(crate) fn unreadable(network: &Network, what: &'static str) {
    metrics::counter!("headwater_alerts_unreadable_total", "network" => network.to_string(), "what" => what)
        .increment(1);
}

/// Events of a network are missing.
pub(crate) fn missed(network: &Network) {
    metrics::counter!("headwater_alerts_gaps_total", "network" => network.to_string()).increment(1);
}

/// The windows of a network that rules are about began anew, since events before were missing or could not be read.
pub(crate) fn windows_lost(network: &Network) {
    metrics::counter!("headwater_alerts_windows_lost_total", "network" => network.to_string()).increment(1);
}

/// What rules' windows let go of for want of room.
pub(crate) fn windows_cut(network: &Network, what: &'static str, count: u64) {
    metrics::counter!("headwater_alerts_windows_cut_total", "network" => network.to_string(), "what" => what)
        .increment(count);
}

/// The newest event of a network that was looked through.
pub(crate) fn processed(network: &Network, sequence: u64) {
    metrics::gauge!("headwater_alerts_processed_sequence", "network" => network.to_string()).set(sequence as f64);
}

/// A transaction of the log was committed.
pub(crate) fn committed(records: usize, took: Duration) {
    metrics::counter!("headwater_alerts_match_records_total").increment(records as u64);
    metrics::histogram!("headwater_alerts_match_commit_seconds").record(took.as_secs_f64());
}

/// Records of a partition that were not read yet, and events of which something is held.
pub(crate) fn held(partition: u32, unread: u64, events: usize) {
    let partition = partition.to_string();
    metrics::gauge!("headwater_alerts_unread_records", "partition" => partition.clone()).set(unread as f64);
    metrics::gauge!("headwater_alerts_held_events", "partition" => partition).set(events as f64);
}

/// Monitors that every transaction of their networks is held against.
pub(crate) fn unindexed(monitors: usize) {
    metrics::gauge!("headwater_alerts_unindexed_monitors").set(monitors as f64);
}

/// An alert went through a transition.
pub(crate) fn transition(kind: schemas::records::AlertEventKind) {
    metrics::counter!("headwater_alerts_transitions_total", "kind" => kind.as_str()).increment(1);
}

/// A message was put into the outbox.
pub(crate) fn queued(kind: &str) {
    metrics::counter!("headwater_alerts_messages_total", "kind" => kind.to_owned()).increment(1);
}

/// The state of an alert could not be read back.
pub(crate) fn lost_state() {
    metrics::counter!("headwater_alerts_state_lost_total").increment(1);
}

/// Retention removed records that alerts had still to read.
pub(crate) fn lost_input(records: u64) {
    metrics::counter!("headwater_alerts_state_missed_total").increment(records);
}

/// A transaction of the log with transitions was committed.
pub(crate) fn state_committed(records: usize, took: Duration) {
    metrics::counter!("headwater_alerts_state_records_total").increment(records as u64);
    metrics::histogram!("headwater_alerts_state_commit_seconds").record(took.as_secs_f64());
}

/// Alerts that are not over.
pub(crate) fn open_alerts(open: usize) {
    metrics::gauge!("headwater_alerts_open").set(open as f64);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    crate::deliver::describe_metrics();
    metrics::describe_counter!(
        "headwater_alerts_rejoins_total",
        "Times that a group of the stage and its producer were made anew after an error of the log."
    );
    metrics::describe_counter!("headwater_alerts_transactions_total", "Transactions of live blocks looked through.");
    metrics::describe_counter!("headwater_alerts_matches_total", "Matches given, taken back and included again.");
    metrics::describe_counter!(
        "headwater_alerts_left_out_total",
        "Matches that were more than one block may give to one tenant."
    );
    metrics::describe_counter!(
        "headwater_alerts_failures_let_go_total",
        "Failed transactions that were let go of before their causes came, for want of room: no monitor is told of those."
    );
    metrics::describe_counter!(
        "headwater_alerts_not_looked_at_total",
        "Transactions that the monitors of a tenant were not put to, since their conditions cost the block all that they may."
    );
    metrics::describe_counter!(
        "headwater_alerts_unwritten_total",
        "Matches, or what is kept to take them back, that could not be written or read back."
    );
    metrics::describe_counter!("headwater_alerts_unreadable_total", "Blocks and transactions that could not be read.");
    metrics::describe_counter!("headwater_alerts_gaps_total", "Times that events of a network were missing.");
    metrics::describe_counter!(
        "headwater_alerts_windows_lost_total",
        "Times that the windows of a network began anew, since events were missing or could not be read."
    );
    metrics::describe_counter!(
        "headwater_alerts_windows_cut_total",
        "Blocks, and contracts in blocks, that the windows of rules let go of for want of room."
    );
    metrics::describe_gauge!(
        "headwater_alerts_processed_sequence",
        "Sequence of the newest event of a network that was looked through."
    );
    metrics::describe_counter!("headwater_alerts_match_records_total", "Records that the group alerts.match wrote.");
    metrics::describe_histogram!("headwater_alerts_match_commit_seconds", "Time to commit them.");
    metrics::describe_gauge!("headwater_alerts_unread_records", "Records of enriched.blocks not read yet.");
    metrics::describe_gauge!("headwater_alerts_held_events", "Events that a revert would take something back of.");
    metrics::describe_gauge!(
        "headwater_alerts_unindexed_monitors",
        "Monitors without address, topic and selector, which every transaction is held against."
    );
    metrics::describe_counter!("headwater_alerts_transitions_total", "Transitions of alerts, by kind.");
    metrics::describe_counter!("headwater_alerts_messages_total", "Messages that were put into the outbox, by type.");
    metrics::describe_counter!("headwater_alerts_state_lost_total", "States of alerts that could not be read back.");
    metrics::describe_counter!(
        "headwater_alerts_state_missed_total",
        "Records that retention removed before the group alerts.state had read them."
    );
    metrics::describe_counter!("headwater_alerts_state_records_total", "Records that the group alerts.state wrote.");
    metrics::describe_histogram!(
        "headwater_alerts_state_commit_seconds",
        "How long a transaction of the log took in the group alerts.state."
    );
    metrics::describe_gauge!("headwater_alerts_open", "Alerts that are not over.");
}
