//! Logs on standard error and metrics in Prometheus' text format. What is measured is a named function in each room's
//! `metrics.rs`; here is only where it goes.

use std::{io::IsTerminal, sync::OnceLock};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

/// Bounds of every latency histogram, in seconds.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What is logged by default: our own rooms; the storage engine only when something is wrong.
const DEFAULT_FILTER: &str = "info,fjall=warn,lsm_tree=warn";

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts logging. `HEADWATER_LOG` filters as `RUST_LOG` does elsewhere (default: `info`); `HEADWATER_LOG_FORMAT=json` gives
/// one JSON object a line. A second call does nothing.
pub fn init_logs() {
    let filter = EnvFilter::try_from_env("HEADWATER_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    let json = std::env::var("HEADWATER_LOG_FORMAT").is_ok_and(|f| f == "json");
    // An error means that somebody (a test) has set a subscriber already.
    let _ = if json { builder.json().finish().try_init() } else { builder.finish().try_init() };
}

/// Starts metrics. A second call does nothing.
pub fn init_metrics() -> Result<(), BuildError> {
    if METRICS.get().is_some() {
        return Ok(());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .install_recorder()?;
    let _ = METRICS.set(handle);
    Ok(())
}

/// All metrics in Prometheus' text format.
pub fn render_metrics() -> String {
    METRICS.get().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        handle.render()
    })
}
