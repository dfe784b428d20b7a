//! Telemetry of the stage, as named functions.

use std::time::Duration;

use schemas::{
    Network,
    records::{NetworkState, ProviderSample},
};

use crate::tracker::Refusal;

/// A block event was committed.
pub fn event(network: &Network, op: &'static str, transactions: u32) {
    metrics::counter!("headwater_ingest_events_total", "network" => network.to_string(), "op" => op).increment(1);
    metrics::counter!("headwater_ingest_transactions_total", "network" => network.to_string())
        .increment(u64::from(transactions));
}

/// A transaction of the log was committed.
pub fn commit(partition: u32, events: usize, bytes: usize, took: Duration) {
    let partition = partition.to_string();
    metrics::histogram!("headwater_ingest_commit_seconds", "partition" => partition.clone()).record(took.as_secs_f64());
    metrics::histogram!("headwater_ingest_commit_events", "partition" => partition.clone()).record(events as f64);
    metrics::counter!("headwater_ingest_bytes_total", "partition" => partition).increment(bytes as u64);
}

/// A commit failed.
pub fn commit_failed(partition: u32, kind: &'static str) {
    metrics::counter!("headwater_ingest_commit_failures_total", "partition" => partition.to_string(), "kind" => kind)
        .increment(1);
}

/// Where a network stands.
pub fn position(network: &Network, tip: Option<u64>, height: Option<u64>, sequence: u64) {
    let name = || network.to_string();
    if let Some(tip) = tip {
        metrics::gauge!("headwater_ingest_node_tip", "network" => name()).set(tip as f64);
    }
    if let Some(height) = height {
        metrics::gauge!("headwater_ingest_height", "network" => name()).set(height as f64);
    }
    metrics::gauge!("headwater_ingest_sequence", "network" => name()).set(sequence as f64);
}

/// What a network's watcher is doing.
pub fn state(network: &Network, now: NetworkState) {
    for state in NetworkState::ALL {
        metrics::gauge!("headwater_ingest_state", "network" => network.to_string(), "state" => state.as_str())
            .set(if state == now { 1.0 } else { 0.0 });
    }
    let diverged = if now == NetworkState::Diverged { 1.0 } else { 0.0 };
    metrics::gauge!("headwater_divergence", "network" => network.to_string()).set(diverged);
}

/// No second operator has shown a block in time; `published`: 1 when it was published all the same, 0 when it waits.
pub fn unconfirmed(network: &Network, published: u64) {
    metrics::counter!("headwater_ingest_unconfirmed_total", "network" => network.to_string(), "published" => published.to_string())
        .increment(1);
}

/// A reorg was found; depth in blocks.
pub fn reorg(network: &Network, depth: usize) {
    metrics::histogram!("headwater_ingest_reorg_depth", "network" => network.to_string()).record(depth as f64);
}

/// Heights at which the chain has no block were passed.
pub fn heights_without_block(network: &Network, heights: u64) {
    metrics::counter!("headwater_ingest_heights_without_block_total", "network" => network.to_string())
        .increment(heights);
}

/// Heights were filled on request, and so many transactions with them.
pub fn backfilled(network: &Network, heights: u64, transactions: u32) {
    metrics::counter!("headwater_backfill_heights_total", "network" => network.to_string()).increment(heights);
    metrics::counter!("headwater_backfill_transactions_total", "network" => network.to_string())
        .increment(u64::from(transactions));
}

/// Heights of a request that are still to be filled.
pub fn backfill_left(network: &Network, request: &str, heights: u64) {
    metrics::gauge!("headwater_backfill_heights_left", "network" => network.to_string(), "request" => request.to_owned())
        .set(heights as f64);
}

/// A node told a chain that is not followed.
pub fn refused(network: &Network, why: Refusal) {
    let why = match why {
        Refusal::TooDeep => "too_deep",
        Refusal::BelowFinal(_) => "below_finalized",
    };
    metrics::counter!("headwater_ingest_refused_total", "network" => network.to_string(), "why" => why).increment(1);
}

/// A record was too large and went to the dead letters.
pub fn oversized(network: &Network) {
    metrics::counter!("headwater_ingest_oversized_total", "network" => network.to_string()).increment(1);
}

/// A topic was not there when it was needed; tried again until it is.
pub fn topic_missing() {
    metrics::counter!("headwater_ingest_topic_missing_total").increment(1);
}

/// Samples of endpoints were written.
pub fn samples(count: usize) {
    metrics::counter!("headwater_ingest_samples_total").increment(count as u64);
}

/// The log did not take samples of endpoints.
pub fn samples_lost(samples: &[ProviderSample]) {
    for sample in samples {
        metrics::counter!("headwater_provider_samples_lost_total", "network" => sample.network.to_string())
            .increment(1);
    }
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!(
        "headwater_ingest_events_total",
        "Block events that were committed, by network and operation."
    );
    metrics::describe_counter!(
        "headwater_backfill_heights_total",
        "Heights that were filled on request, by network; its rate is the rate of back-fill."
    );
    metrics::describe_counter!(
        "headwater_backfill_transactions_total",
        "Transactions of blocks that were filled on request."
    );
    metrics::describe_gauge!(
        "headwater_backfill_heights_left",
        "Heights of a request that are still to be filled, by network and request."
    );
    metrics::describe_counter!("headwater_ingest_transactions_total", "Transactions that were committed.");
    metrics::describe_counter!("headwater_ingest_samples_total", "Samples of endpoints that were written to the log.");
    metrics::describe_counter!(
        "headwater_provider_samples_lost_total",
        "Samples of endpoints that found no place in the queue or that the log did not take, by network."
    );
    metrics::describe_histogram!("headwater_ingest_commit_seconds", "Time to commit a transaction of the log.");
    metrics::describe_histogram!("headwater_ingest_commit_events", "Block events in one transaction of the log.");
    metrics::describe_counter!("headwater_ingest_bytes_total", "Bytes of the values that were committed.");
    metrics::describe_counter!("headwater_ingest_commit_failures_total", "Commits that failed, by kind of error.");
    metrics::describe_gauge!("headwater_ingest_node_tip", "Height of the node's tip as last seen.");
    metrics::describe_gauge!("headwater_ingest_height", "Height of the newest block that was committed.");
    metrics::describe_gauge!("headwater_ingest_sequence", "Sequence of the newest event that was committed.");
    metrics::describe_gauge!(
        "headwater_ingest_state",
        "1 for the state that a network's watcher is in, 0 for the others."
    );
    metrics::describe_gauge!(
        "headwater_divergence",
        "1 while operators of a network show different blocks at one height, or Bitcoin Core and Electrum servers are on different branches."
    );
    metrics::describe_counter!(
        "headwater_ingest_unconfirmed_total",
        "Blocks, or runs of blocks, that no second operator had shown in time; published or waiting."
    );
    metrics::describe_histogram!("headwater_ingest_reorg_depth", "Depth of reorgs in blocks.");
    metrics::describe_counter!(
        "headwater_ingest_heights_without_block_total",
        "Heights at which the chain has no block, as the next block's parent shows."
    );
    metrics::describe_counter!(
        "headwater_ingest_refused_total",
        "Times that a node told a chain that is not followed: a reorg too deep, or below what was published as final."
    );
    metrics::describe_counter!(
        "headwater_ingest_oversized_total",
        "Records that were too large and went to the dead letters."
    );
    metrics::describe_counter!(
        "headwater_ingest_topic_missing_total",
        "Times that a topic was not there when it was needed."
    );
}
