//! The parts that commands are wired from. The choice between the embedded and the distributed parts is made here and nowhere
//! else: the stages cannot tell which they got.

mod causes;
mod contract_past;
mod control;
mod fleets;
mod log;
mod past;
mod settings;
mod store;

use std::{future::Future, time::Duration};

use runtime::telemetry;

use crate::exit::Failure;

pub use self::causes::{causes_config, table_of_causes};
pub use self::control::{admin_gate, certificate, control_store, open_control};
pub use contract_past::contract_past;
pub use log::{OpenLog, codec, connect_kafka, has_log, kafka_of, open_log, open_log_for_reading, prepare_topics};
pub use past::past;
pub use settings::{
    aggregate_config, alerts_config, api_config, enrich_config, ingest_config, ingest_networks, sink_config,
};
pub use store::{Asker, connect_store, engine_config};

/// How long a connection to a process on this machine may take.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// How long such a process may take to do what it is asked: a commit waits for a slow disk.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Runs a command's work on a small runtime of its own. Stages get their own runtimes.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    telemetry::init_logs(); // unless a command has done it otherwise
    // TLS is rustls with ring for every client; an error means that it was installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(16)
        .thread_name("main")
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(result)
}

/// Says to Prometheus what every room measures. Metrics must have been started.
pub fn describe_metrics() {
    runtime::metrics::describe();
    nodes::metrics::describe();
    ingest::metrics::describe();
    enrich::describe_metrics();
    enrich::causes::describe_metrics();
    aggregate::describe_metrics();
    alerts::describe_metrics();
    ::store::sink::describe_metrics();
    api::describe_metrics();
}
