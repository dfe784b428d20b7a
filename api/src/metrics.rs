//! The stage's metrics, by name. Labels come from closed sets.

use std::time::Duration;

/// A REST request was answered.
pub fn answered(route: &str, status: u16, took: Duration) {
    let labels = [("route", route.to_owned()), ("status", status.to_string())];
    metrics::counter!("headwater_api_requests_total", &labels).increment(1);
    metrics::histogram!("headwater_api_request_seconds", "route" => route.to_owned()).record(took.as_secs_f64());
}

/// A request or a WebSocket operation was refused, by kind of problem.
pub fn refused(kind: &'static str) {
    metrics::counter!("headwater_api_refusals_total", "problem" => kind).increment(1);
}

/// A credential was not good, by reason.
pub fn denied(reason: &'static str) {
    metrics::counter!("headwater_api_denied_total", "reason" => reason).increment(1);
}

/// The certificate's files were others, and could be taken over or not.
pub fn certificate(taken: bool) {
    let outcome = if taken { "taken" } else { "refused" };
    metrics::counter!("headwater_api_certificates_total", "outcome" => outcome).increment(1);
}

/// Exports at present.
pub fn exports(change: f64) {
    metrics::gauge!("headwater_api_exports").increment(change);
}

/// An export ended, by how.
pub fn export(end: &'static str) {
    metrics::counter!("headwater_api_exports_total", "end" => end).increment(1);
}

/// Rows were given to exports.
pub fn export_rows(rows: u64) {
    metrics::counter!("headwater_api_export_rows_total").increment(rows);
}

/// WebSocket connections at present.
pub fn ws_connections(change: f64) {
    metrics::gauge!("headwater_api_ws_connections").increment(change);
}

/// Frames were sent to a WebSocket client.
pub fn ws_frames(count: u64) {
    metrics::counter!("headwater_api_ws_frames_total").increment(count);
}

/// A slow WebSocket reader was overtaken.
pub fn ws_overtaken() {
    metrics::counter!("headwater_api_ws_overtaken_total").increment(1);
}

/// A cause waited so long for its transaction's frame that it had to go.
pub fn causes_passed_over() {
    metrics::counter!("headwater_api_live_causes_passed_over_total").increment(1);
}

/// The live reader lost events of a network: its ring begins anew.
pub fn live_hole(network: &str) {
    metrics::counter!("headwater_api_live_holes_total", "network" => network.to_owned()).increment(1);
}

/// A page of the past was read from the store.
pub fn ws_page() {
    metrics::counter!("headwater_api_ws_pages_total").increment(1);
}

/// Events of the past were sent to a resuming client.
pub fn ws_replayed(events: u64) {
    metrics::counter!("headwater_api_ws_replayed_events_total").increment(events);
}

/// A live event passed: from when its block was first seen until its frames could be sent.
pub fn live_event(network: &str, age: Duration) {
    metrics::histogram!("headwater_api_live_age_seconds", "network" => network.to_owned()).record(age.as_secs_f64());
}

/// A record of the live topics could not be decoded.
pub fn undecodable(network: &str) {
    metrics::counter!("headwater_api_undecodable_records_total", "network" => network.to_owned()).increment(1);
}

/// Bytes and events that the live buffer holds.
pub fn live_buffer(events: usize, bytes: usize) {
    metrics::gauge!("headwater_api_live_buffer_events").set(events as f64);
    metrics::gauge!("headwater_api_live_buffer_bytes").set(bytes as f64);
}

/// The highest sequence of a network that is visible in the store.
pub fn visible(network: &str, sequence: u64) {
    metrics::gauge!("headwater_api_visible_sequence", "network" => network.to_owned()).set(sequence as f64);
}

/// Whether a stage is silent, and how much is wrong with it.
pub fn stage(stage: &'static str, silent: bool, problems: usize) {
    metrics::gauge!("headwater_api_stage_silent", "stage" => stage).set(f64::from(u8::from(silent)));
    metrics::gauge!("headwater_api_stage_problems", "stage" => stage).set(problems as f64);
}

/// Says what each of them is, for Prometheus' `# HELP`.
pub fn describe() {
    metrics::describe_counter!("headwater_api_requests_total", "Requests that were answered, by route and status.");
    metrics::describe_histogram!("headwater_api_request_seconds", "Time from a request to its answer, by route.");
    metrics::describe_counter!(
        "headwater_api_refusals_total",
        "Requests and WebSocket operations that were refused, by kind of problem."
    );
    metrics::describe_counter!(
        "headwater_api_denied_total",
        "Credentials that did not let anybody in, by reason: what who came is not told."
    );
    metrics::describe_counter!(
        "headwater_api_certificates_total",
        "Times that the files of `[api.tls]` had changed, by whether they were taken over."
    );
    metrics::describe_gauge!("headwater_api_exports", "Exports that run.");
    metrics::describe_counter!(
        "headwater_api_exports_total",
        "Exports that ended, by how: `whole`, or cut off since the client was `gone` or `stalled`, its key not good any more (`denied`), the \
         time up (`late`), the service `stopped`, or the `store` away."
    );
    metrics::describe_counter!("headwater_api_export_rows_total", "Rows that were given to exports.");
    metrics::describe_gauge!("headwater_api_ws_connections", "Open WebSocket connections.");
    metrics::describe_counter!("headwater_api_ws_frames_total", "Frames sent to WebSocket clients.");
    metrics::describe_counter!(
        "headwater_api_ws_overtaken_total",
        "Times that the live edge overtook a slow WebSocket reader."
    );
    metrics::describe_counter!(
        "headwater_api_live_causes_passed_over_total",
        "Causes of failures that a WebSocket client was not told live: its transactions did not come in time."
    );
    metrics::describe_counter!(
        "headwater_api_ws_replayed_events_total",
        "Events of the past that were sent to resuming WebSocket clients."
    );
    metrics::describe_counter!(
        "headwater_api_ws_pages_total",
        "Pages of the past that were read from the store for WebSocket clients, which share them."
    );
    metrics::describe_counter!(
        "headwater_api_live_holes_total",
        "Times that events of a network were missing on the live edge; readers got them from the store."
    );
    metrics::describe_histogram!(
        "headwater_api_live_age_seconds",
        "Time from first sight of a block until its frames could be sent."
    );
    metrics::describe_counter!(
        "headwater_api_undecodable_records_total",
        "Records of the live topics that could not be decoded."
    );
    metrics::describe_gauge!("headwater_api_live_buffer_events", "Recent events that are held for WebSocket readers.");
    metrics::describe_gauge!(
        "headwater_api_live_buffer_bytes",
        "Bytes of the events that are held for WebSocket readers."
    );
    metrics::describe_gauge!("headwater_api_stage_silent", "1 while no process of a stage is heard, else 0.");
    metrics::describe_gauge!("headwater_api_stage_problems", "What /health says to be wrong with a stage, counted.");
    metrics::describe_gauge!(
        "headwater_api_visible_sequence",
        "Highest sequence of a network that is visible in the store."
    );
}
