//! What enrich tells Prometheus.

use std::time::Duration;

/// A transaction of the log was committed.
pub(crate) fn committed(events: usize, transactions: usize, took: Duration) {
    metrics::counter!("headwater_enrich_events_total").increment(events as u64);
    metrics::counter!("headwater_enrich_transactions_total").increment(transactions as u64);
    metrics::histogram!("headwater_enrich_commit_seconds").record(took.as_secs_f64());
}

/// From reading the first event of a batch to its commit.
pub(crate) fn worked_up(took: Duration) {
    metrics::histogram!("headwater_enrich_batch_seconds").record(took.as_secs_f64());
}

/// Newest event of a network that was passed on; `height` where it is a live one.
pub(crate) fn processed(network: &str, height: Option<u64>, sequence: u64) {
    if let Some(height) = height {
        metrics::gauge!("headwater_enrich_processed_height", "network" => network.to_owned()).set(height as f64);
    }
    metrics::gauge!("headwater_enrich_processed_sequence", "network" => network.to_owned()).set(sequence as f64);
}

/// A record went to the dead letters.
pub(crate) fn dead_letter(network: &str, reason: &'static str) {
    metrics::counter!("headwater_enrich_dead_letters_total", "network" => network.to_owned(), "reason" => reason)
        .increment(1);
}

/// A network is halted in a state (1) or no longer (0).
pub(crate) fn halted(network: &str, state: &'static str, yes: bool) {
    metrics::gauge!("headwater_enrich_halted", "network" => network.to_owned(), "state" => state)
        .set(f64::from(u8::from(yes)));
}

/// Membership and producer were made anew after an error of the log.
pub(crate) fn rejoined(kind: &'static str) {
    metrics::counter!("headwater_enrich_rejoins_total", "kind" => kind).increment(1);
}

/// A topic was not there when it was needed; tried again until it is.
pub(crate) fn topic_missing() {
    metrics::counter!("headwater_enrich_topic_missing_total").increment(1);
}

/// A block touched more watched contracts than its record has room for.
pub(crate) fn contracts_left_out(network: &str, contracts: usize) {
    metrics::counter!("headwater_enrich_contracts_left_out_total", "network" => network.to_owned())
        .increment(contracts as u64);
}

/// So much is known of contracts in this process, and so much was left out for want of room.
pub(crate) fn facts(contracts: usize, abi_bytes: usize, left_out: u64) {
    metrics::gauge!("headwater_enrich_facts_contracts").set(contracts as f64);
    metrics::gauge!("headwater_enrich_facts_abi_bytes").set(abi_bytes as f64);
    metrics::gauge!("headwater_enrich_facts_left_out").set(left_out as f64);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!("headwater_enrich_events_total", "Block events passed on.");
    metrics::describe_counter!("headwater_enrich_transactions_total", "Transactions passed on.");
    metrics::describe_histogram!("headwater_enrich_commit_seconds", "Time to commit a transaction of the log.");
    metrics::describe_histogram!(
        "headwater_enrich_batch_seconds",
        "Time from reading the first event of a batch to its commit."
    );
    metrics::describe_gauge!(
        "headwater_enrich_processed_height",
        "Height of the newest event of a network that was passed on."
    );
    metrics::describe_gauge!(
        "headwater_enrich_processed_sequence",
        "Sequence of the newest event of a network that was passed on."
    );
    metrics::describe_counter!(
        "headwater_enrich_dead_letters_total",
        "Records that went to the dead letters, by reason."
    );
    metrics::describe_gauge!("headwater_enrich_halted", "1 while a network is halted in this state, else 0.");
    metrics::describe_counter!(
        "headwater_enrich_rejoins_total",
        "Times that group and producer were made anew after an error of the log, by kind."
    );
    metrics::describe_counter!(
        "headwater_enrich_topic_missing_total",
        "Times that a topic was not there when it was needed."
    );
    metrics::describe_gauge!(
        "headwater_enrich_facts_contracts",
        "Contracts of which facts are known, when partitions came last."
    );
    metrics::describe_gauge!("headwater_enrich_facts_abi_bytes", "Bytes of their ABIs.");
    metrics::describe_gauge!("headwater_enrich_facts_left_out", "Facts that had no room.");
    metrics::describe_counter!(
        "headwater_enrich_contracts_left_out_total",
        "Watched contracts that a block's record had no room for; their sums lack that block."
    );
}
