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

/// Newest live height that is visible of a network.
pub(super) fn processed_height(network: &str, height: u64) {
    metrics::gauge!("headwater_sink_processed_height", "network" => network.to_owned()).set(height as f64);
}

/// Newest event that is visible of a network.
pub(super) fn processed(network: &str, sequence: u64) {
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

/// A network is read again from the oldest record.
pub(super) fn read_again(network: &str) {
    metrics::counter!("headwater_sink_second_readings_total", "network" => network.to_owned()).increment(1);
}

/// The store took everything but a block.
pub(super) fn refused(network: &str) {
    metrics::counter!("headwater_sink_refused_blocks_total", "network" => network.to_owned()).increment(1);
}

/// An event was held already and is the same.
pub(super) fn replayed() {
    metrics::counter!("headwater_sink_replayed_events_total").increment(1);
}

/// An event of a halted network went by.
pub(super) fn passed_over(network: &str) {
    metrics::counter!("headwater_sink_passed_over_events_total", "network" => network.to_owned()).increment(1);
}

/// Events were written without their rows, since what they hold is not kept any more.
pub(super) fn pruned(events: usize) {
    metrics::counter!("headwater_sink_pruned_events_total").increment(events as u64);
}

/// Below which height nothing of a network is kept.
pub(super) fn pruned_below(network: &str, height: u64) {
    metrics::gauge!("headwater_store_pruned_below", "network" => network.to_owned()).set(height as f64);
}

/// Bytes of the store's tables on disk, what they may be, and the time after which they would be more.
pub(super) fn store_bytes(bytes: u64, most: Option<u64>, left: Option<Duration>) {
    metrics::gauge!("headwater_store_bytes").set(bytes as f64);
    metrics::gauge!("headwater_store_max_bytes").set(most.map_or(0.0, |most| most as f64));
    metrics::gauge!("headwater_store_full_in_seconds").set(left.map_or(f64::INFINITY, |left| left.as_secs_f64()));
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

/// A sample of an endpoint was not written.
pub(super) fn sample_passed_over(reason: &'static str) {
    metrics::counter!("headwater_sink_samples_passed_over_total", "reason" => reason).increment(1);
}

/// Retention removed samples before they were read.
pub(super) fn samples_overtaken(records: u64) {
    metrics::counter!("headwater_sink_samples_passed_over_total", "reason" => "overtaken").increment(records);
}

/// What became of causes.
pub(super) fn causes(outcome: &'static str, causes: usize) {
    if causes > 0 {
        metrics::counter!("headwater_sink_causes_total", "outcome" => outcome).increment(causes as u64);
    }
}

/// Causes that are held until their rows come.
pub(super) fn causes_waiting(causes: usize) {
    metrics::gauge!("headwater_sink_causes_waiting").set(causes as f64);
}

/// Networks whose causes are passed over until their rows come.
pub(super) fn causes_passed_over(networks: usize) {
    metrics::gauge!("headwater_sink_causes_passed_over_networks").set(networks as f64);
}

/// Retention removed causes before they were read.
pub(super) fn causes_overtaken(records: u64) {
    metrics::counter!("headwater_sink_causes_total", "outcome" => "overtaken").increment(records);
}

/// Causes of one network were folded.
pub(super) fn folded(took: Duration) {
    metrics::histogram!("headwater_sink_fold_seconds").record(took.as_secs_f64());
}

/// From the finding of a cause to its visible row.
pub(super) fn cause_visible_after(took: Duration) {
    metrics::histogram!("headwater_sink_cause_visible_seconds").record(took.as_secs_f64());
}

/// What became of windows.
pub(super) fn windows(outcome: &'static str, windows: usize) {
    if windows > 0 {
        metrics::counter!("headwater_sink_windows_total", "outcome" => outcome).increment(windows as u64);
    }
}

/// What became of records of alerts, by their topic.
pub(super) fn alerts(topic: &'static str, outcome: &'static str, records: u64) {
    if records > 0 {
        metrics::counter!("headwater_sink_alerts_total", "topic" => topic, "outcome" => outcome).increment(records);
    }
}

/// A topic was not there when it was needed; tried again until it is.
pub(super) fn topic_missing() {
    metrics::counter!("headwater_sink_topic_missing_total").increment(1);
}

/// Rows of the former layout, those of them that are copied into today's, and the time that is left; all 0 when there is nothing to do.
pub(super) fn upgrade(rows: u64, copied: u64, left: Option<Duration>) {
    metrics::gauge!("headwater_sink_upgrade_rows").set(rows as f64);
    metrics::gauge!("headwater_sink_upgrade_copied_rows").set(copied as f64);
    metrics::gauge!("headwater_sink_upgrade_left_seconds").set(left.map_or(0.0, |left| left.as_secs_f64()));
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    crate::metrics::describe();
    metrics::describe_counter!("headwater_sink_rows_total", "Rows that are on disk, by table.");
    metrics::describe_histogram!("headwater_sink_insert_seconds", "Time that an insert took, by table.");
    metrics::describe_counter!("headwater_sink_events_total", "Block events that are on disk and committed.");
    metrics::describe_histogram!("headwater_sink_batch_rows", "Rows in one batch.");
    metrics::describe_histogram!(
        "headwater_sink_batch_seconds",
        "Time to bring a batch to disk and commit its offsets."
    );
    metrics::describe_gauge!(
        "headwater_sink_processed_height",
        "Height of the newest block of a network that is visible."
    );
    metrics::describe_gauge!(
        "headwater_sink_processed_sequence",
        "Sequence of the newest event of a network that is visible."
    );
    metrics::describe_histogram!(
        "headwater_sink_visible_seconds",
        "Time from first sight of a block to its visible rows."
    );
    metrics::describe_gauge!("headwater_sink_store_reachable", "1 while the store answers, else 0.");
    metrics::describe_counter!(
        "headwater_sink_retries_total",
        "Times that the store did not take something and it was sent again, by kind of error."
    );
    metrics::describe_gauge!("headwater_sink_halted", "1 while a network is halted, else 0.");
    metrics::describe_counter!(
        "headwater_sink_second_readings_total",
        "Times that a network was read again from the oldest record, since the store lacked events before the group's position."
    );
    metrics::describe_counter!(
        "headwater_sink_refused_blocks_total",
        "Times that the store took everything but a block, which halted its network."
    );
    metrics::describe_counter!(
        "headwater_sink_replayed_events_total",
        "Events that were held already and are the same."
    );
    metrics::describe_counter!("headwater_sink_passed_over_events_total", "Events of halted networks that went by.");
    metrics::describe_counter!(
        "headwater_sink_pruned_events_total",
        "Events that were written without their rows, since `[store] keep` has removed what lies at their heights."
    );
    metrics::describe_gauge!("headwater_store_pruned_below", "Height below which rows of a network were removed.");
    metrics::describe_gauge!("headwater_store_bytes", "Bytes of the store's tables on disk.");
    metrics::describe_gauge!("headwater_store_max_bytes", "`[store] max_bytes`, 0 without one.");
    metrics::describe_gauge!(
        "headwater_store_full_in_seconds",
        "Time until the tables reach `max_bytes` at the growth of the last day."
    );
    metrics::describe_gauge!("headwater_sink_recent_blocks", "Blocks held among a network's newest 1,024 heights.");
    metrics::describe_gauge!("headwater_sink_recent_incomplete_blocks", "Blocks among them that lack transactions.");
    metrics::describe_gauge!(
        "headwater_sink_recent_transactions_expected",
        "Transactions that the headers among them count."
    );
    metrics::describe_gauge!("headwater_sink_recent_transactions_stored", "Transactions among them that have a row.");
    metrics::describe_counter!(
        "headwater_sink_dead_letters_total",
        "Records that went to the dead letters, by reason."
    );
    metrics::describe_gauge!(
        "headwater_sink_upgrade_rows",
        "Rows of a store of a former layout that are to be copied into today's, 0 when there is nothing to do."
    );
    metrics::describe_gauge!("headwater_sink_upgrade_copied_rows", "Rows among them that are copied.");
    metrics::describe_gauge!(
        "headwater_sink_upgrade_left_seconds",
        "Time until they are all copied, at the pace so far."
    );
    metrics::describe_counter!(
        "headwater_sink_samples_passed_over_total",
        "Samples of endpoints that got no row: too old or ahead of every clock (time), unreadable, or removed before they were read (overtaken)."
    );
    metrics::describe_counter!(
        "headwater_sink_causes_total",
        "Causes of failures that were read, by what became of them: folded into their row, held there already, void (no row of their block \
         stands), given_up (no row came in a week), refused by the store, unreadable, or removed before they were read (overtaken)."
    );
    metrics::describe_gauge!("headwater_sink_causes_waiting", "Causes that are held until their blocks' rows come.");
    metrics::describe_gauge!(
        "headwater_sink_causes_passed_over_networks",
        "Networks whose causes are passed over until their rows come, so that others do not wait for them."
    );
    metrics::describe_histogram!("headwater_sink_fold_seconds", "Time to fold the causes of one network at once.");
    metrics::describe_histogram!(
        "headwater_sink_cause_visible_seconds",
        "Time from the finding of a cause to its visible row."
    );
    metrics::describe_counter!(
        "headwater_sink_windows_total",
        "Windows that were read, by what became of them: written (of those that come again within a second the last), not_kept (older than \
         keep_windows), unreadable, or removed before they were read (overtaken)."
    );
    metrics::describe_counter!(
        "headwater_sink_alerts_total",
        "Records of alerts that were read, by topic and by what became of them: written, unreadable, or removed before they were read \
         (overtaken)."
    );
    metrics::describe_counter!(
        "headwater_sink_topic_missing_total",
        "Times that a topic was not there when it was needed."
    );
}
