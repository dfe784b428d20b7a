//! Telemetry of the fleet, as named functions. Labels are network, endpoint and method, of which a configuration has few.

use std::time::Duration;

use schemas::records::ProviderState;

use super::member::Purpose;

/// A request ended.
pub fn request(
    network: &str,
    endpoint: &str,
    method: &'static str,
    purpose: Purpose,
    outcome: &'static str,
    calls: u32,
    took: Duration,
) {
    let labels = [
        ("network", network.to_owned()),
        ("endpoint", endpoint.to_owned()),
        ("method", method.to_owned()),
        ("purpose", purpose.as_str().to_owned()),
    ];
    metrics::counter!(
        "headwater_endpoint_calls_total",
        "network" => network.to_owned(), "endpoint" => endpoint.to_owned(), "method" => method,
        "purpose" => purpose.as_str(), "outcome" => outcome
    )
    .increment(u64::from(calls));
    metrics::histogram!("headwater_endpoint_call_seconds", &labels).record(took.as_secs_f64());
}

/// Bytes of answers came.
pub fn bytes(network: &str, endpoint: &str, bytes: u64) {
    metrics::counter!("headwater_endpoint_bytes_total", "network" => network.to_owned(), "endpoint" => endpoint.to_owned())
        .increment(bytes);
}

/// How long a request waited for its endpoint's limit.
pub fn waited(network: &str, endpoint: &str, waited: Duration) {
    metrics::histogram!("headwater_endpoint_wait_seconds", "network" => network.to_owned(), "endpoint" => endpoint.to_owned())
        .record(waited.as_secs_f64());
}

/// What an endpoint's figures are now.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Its state.
    pub state: ProviderState,
    /// From 0 to 100.
    pub score: u8,
    /// Its height.
    pub height: Option<u64>,
    /// How far it is behind.
    pub lag: u64,
    /// Requests a second that are kept to.
    pub rate: Option<f64>,
    /// Whether it is the primary.
    pub in_use: bool,
}

/// Shows them.
pub fn figures(network: &str, endpoint: &str, f: &Figures) {
    let gauge = |name: &'static str, value: f64| {
        metrics::gauge!(name, "network" => network.to_owned(), "endpoint" => endpoint.to_owned()).set(value);
    };
    gauge("headwater_endpoint_score", f64::from(f.score));
    gauge("headwater_endpoint_in_use", f64::from(u8::from(f.in_use)));
    gauge("headwater_endpoint_lag_blocks", f.lag as f64);
    gauge("headwater_endpoint_quarantined", f64::from(u8::from(f.state == ProviderState::Quarantined)));
    if let Some(height) = f.height {
        gauge("headwater_endpoint_height", height as f64);
    }
    // Prometheus has no word for "none": an endpoint without a known limit shows infinity.
    gauge("headwater_endpoint_limit_per_second", f.rate.unwrap_or(f64::INFINITY));
}

/// An endpoint's state became another one.
pub fn state_changed(network: &str, endpoint: &str, state: ProviderState) {
    metrics::counter!(
        "headwater_endpoint_state_changes_total",
        "network" => network.to_owned(), "endpoint" => endpoint.to_owned(), "state" => state.as_str()
    )
    .increment(1);
}

/// An endpoint was found lying; `heard`: by another observer.
pub fn lied(network: &str, endpoint: &str, heard: bool) {
    let found_by = if heard { "other" } else { "self" };
    metrics::counter!(
        "headwater_endpoint_lies_total",
        "network" => network.to_owned(), "endpoint" => endpoint.to_owned(), "found_by" => found_by
    )
    .increment(1);
}

/// Another endpoint was asked since the first did not answer, or not in time.
pub fn failed_over(network: &str, endpoint: &str, reason: &'static str) {
    metrics::counter!(
        "headwater_endpoint_fail_overs_total",
        "network" => network.to_owned(), "endpoint" => endpoint.to_owned(), "reason" => reason
    )
    .increment(1);
}

/// Another endpoint became the primary.
pub fn primary_changed(network: &str) {
    metrics::counter!("headwater_endpoint_primary_changes_total", "network" => network.to_owned()).increment(1);
}

/// The endpoints of a network contradict each other, and no majority decides.
pub fn undecided(network: &str) {
    metrics::counter!("headwater_endpoint_undecided_total", "network" => network.to_owned()).increment(1);
}

/// A sample was lost since the queue was full.
pub fn sample_lost(network: &str) {
    metrics::counter!("headwater_provider_samples_lost_total", "network" => network.to_owned()).increment(1);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!("headwater_endpoint_calls_total", "Requests to endpoints, by method, purpose and outcome");
    histogram!("headwater_endpoint_call_seconds", "From sending a request to the end of its answer, or to giving up");
    counter!("headwater_endpoint_bytes_total", "Bytes of endpoints' answers");
    histogram!("headwater_endpoint_wait_seconds", "How long requests waited for their endpoint's limit");
    gauge!("headwater_endpoint_score", "Score of an endpoint, 0 to 100");
    gauge!("headwater_endpoint_in_use", "1 for the endpoint that blocks are taken from");
    gauge!("headwater_endpoint_lag_blocks", "How many blocks an endpoint is behind the best one");
    gauge!("headwater_endpoint_quarantined", "1 for an endpoint that lied and is not believed");
    gauge!("headwater_endpoint_height", "Head of an endpoint as last seen");
    gauge!("headwater_endpoint_limit_per_second", "Requests a second that are kept to; +Inf while no limit is known");
    counter!("headwater_endpoint_state_changes_total", "Times that an endpoint came into a state");
    counter!("headwater_endpoint_lies_total", "Times that an endpoint was found lying, by this process or by another");
    counter!("headwater_endpoint_fail_overs_total", "Times that another endpoint was asked than this one, and why");
    counter!(
        "headwater_endpoint_primary_changes_total",
        "Times that another endpoint of a network became the one in use"
    );
    counter!(
        "headwater_endpoint_undecided_total",
        "Times that endpoints contradicted each other and no majority decided"
    );
    counter!("headwater_provider_samples_lost_total", "Samples of endpoints that were lost since their queue was full");
}
