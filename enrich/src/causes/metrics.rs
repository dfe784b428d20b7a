//! What the stage tells Prometheus.

use std::time::Duration;

use schemas::{
    Network,
    records::{EnrichedCause, FactSource},
};

/// Records of `contract.facts` were written.
pub fn written(network: &Network, removed: bool) {
    let what = if removed { "removed" } else { "present" };
    metrics::counter!("headwater_causes_facts_total", "network" => network.to_string(), "what" => what).increment(1);
}

/// So much is known in this process.
pub fn known(contracts: usize, abi_bytes: usize) {
    metrics::gauge!("headwater_causes_contracts").set(contracts as f64);
    metrics::gauge!("headwater_causes_abi_bytes").set(abi_bytes as f64);
}

/// Things that were found and had no room.
pub fn refused(things: u64) {
    metrics::counter!("headwater_causes_refused_total").increment(things);
}

/// A contract was looked at, and how that ended: `proxy`, `plain`, `account`, `gone`, `unknown_block`, `no_method`, `failed`.
pub fn looked_at(network: &Network, outcome: &'static str) {
    metrics::counter!("headwater_causes_looked_at_total", "network" => network.to_string(), "outcome" => outcome)
        .increment(1);
}

/// So many contracts wait to be looked at.
pub fn waiting(network: &Network, contracts: usize) {
    metrics::gauge!("headwater_causes_waiting", "network" => network.to_string()).set(contracts as f64);
}

/// A contract source was asked, or its kept answer used, and what came: `verified`, `nothing`, `cached`, `does_not_fit`, `unusable`,
/// `other_chain`, `throttled`, `away`, `refused`.
pub fn source_asked(kind: FactSource, outcome: &'static str) {
    metrics::counter!("headwater_causes_source_answers_total", "kind" => kind.as_str(), "outcome" => outcome)
        .increment(1);
}

/// A contract's ABI was to be asked for, and the queue was full.
pub fn source_queue_full() {
    metrics::counter!("headwater_causes_source_queue_full_total").increment(1);
}

/// Records of the stream were removed by retention before they were looked at.
pub fn missed(records: u64) {
    metrics::counter!("headwater_causes_missed_records_total").increment(records);
}

/// A cause was decided.
pub fn decided(cause: &EnrichedCause) {
    metrics::counter!(
        "headwater_causes_failures_total",
        "network" => cause.network.to_string(), "cause" => cause.cause.clone(), "found_by" => cause.found_by.as_str()
    )
    .increment(1);
}

/// So many failures of a network have no final record yet.
pub fn failures_waiting(network: &Network, waiting: usize) {
    metrics::gauge!("headwater_causes_failures_waiting", "network" => network.to_string()).set(waiting as f64);
}

/// What this process holds of failures: bytes, groups, and how long the oldest has waited.
pub fn failures_held(bytes: usize, groups: usize, oldest: Duration) {
    metrics::gauge!("headwater_causes_failures_bytes").set(bytes as f64);
    metrics::gauge!("headwater_causes_failures_groups").set(groups as f64);
    metrics::gauge!("headwater_causes_failures_oldest_seconds").set(oldest.as_secs_f64());
}

/// Records of a partition of the stream behind the position below which all failures are decided.
pub fn failures_lag(partition: u32, records: u64) {
    metrics::gauge!("headwater_causes_failures_lag_records", "partition" => partition.to_string()).set(records as f64);
}

/// Nodes were asked for the evidence of a block's failures.
pub fn looked_for_evidence(network: &Network, took: Duration) {
    metrics::histogram!("headwater_causes_evidence_seconds", "network" => network.to_string())
        .record(took.as_secs_f64());
}

/// Records of the stream were removed by retention before their failures were looked at.
pub fn missed_failures(records: u64) {
    metrics::counter!("headwater_causes_failures_missed_records_total").increment(records);
}

/// Membership and producer were made anew after an error of the log.
pub fn rejoined() {
    metrics::counter!("headwater_causes_rejoins_total").increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_counter!("headwater_causes_facts_total", "Records of contract.facts written, by network.");
    describe_gauge!("headwater_causes_contracts", "Contracts of which this process keeps facts.");
    describe_gauge!("headwater_causes_abi_bytes", "Bytes of their ABIs.");
    describe_counter!("headwater_causes_refused_total", "Facts that were found and had no room.");
    describe_counter!(
        "headwater_causes_looked_at_total",
        "Contracts that nodes were asked about, by network and outcome."
    );
    describe_gauge!("headwater_causes_waiting", "Contracts that wait to be looked at, by network.");
    describe_counter!(
        "headwater_causes_source_answers_total",
        "Answers of contract sources, kept ones included, by kind and outcome."
    );
    describe_counter!(
        "headwater_causes_source_queue_full_total",
        "Contracts whose ABI was not asked for, since too many wait; they are when they are seen again."
    );
    describe_counter!(
        "headwater_causes_missed_records_total",
        "Records of the stream that retention removed before they were looked at."
    );
    describe_counter!(
        "headwater_causes_failures_total",
        "Failed transactions whose cause was decided, by network, cause and what it was found by."
    );
    describe_gauge!("headwater_causes_failures_waiting", "Failed transactions without a final record, by network.");
    describe_gauge!("headwater_causes_failures_bytes", "Bytes of them that this process holds.");
    describe_gauge!("headwater_causes_failures_groups", "Groups of failures that are counted.");
    describe_gauge!("headwater_causes_failures_oldest_seconds", "How long the one has waited that waits longest.");
    describe_gauge!(
        "headwater_causes_failures_lag_records",
        "Records of the stream behind the position below which all failures are decided, by partition."
    );
    metrics::describe_histogram!(
        "headwater_causes_evidence_seconds",
        "Asking nodes for a block's evidence, by network."
    );
    describe_counter!(
        "headwater_causes_failures_missed_records_total",
        "Records of the stream that retention removed before their failures were looked at."
    );
    describe_counter!(
        "headwater_causes_rejoins_total",
        "Times that group and producer were made anew after an error of the log."
    );
}
