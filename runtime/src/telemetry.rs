//! Logs on standard error and metrics in Prometheus' text format. What is measured is a named function in each room's
//! `metrics.rs`; here is only where it goes.

use std::{
    collections::BTreeSet,
    io::IsTerminal,
    sync::{Mutex, OnceLock, PoisonError},
};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

/// Bounds of every latency histogram, in seconds.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds of latency histograms whose unit is a millisecond.
const MILLISECONDS: &[f64] =
    &[1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 15_000.0];

/// What is logged by default: our own rooms; the storage engine only when something is wrong.
const DEFAULT_FILTER: &str = "info,fjall=warn,lsm_tree=warn";
/// The same beside a progress bar, which every line would tear.
const BESIDE_A_BAR: &str = "error";

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts logging. `HEADWATER_LOG` filters as `RUST_LOG` does elsewhere (default: `info`); `HEADWATER_LOG_FORMAT=json` gives
/// one JSON object a line. A second call does nothing.
pub fn init_logs() {
    init(DEFAULT_FILTER);
}

/// The same for a command that shows its progress: on a terminal only errors are logged unless `HEADWATER_LOG` says otherwise.
pub fn init_logs_beside_progress() {
    init(if std::io::stderr().is_terminal() { BESIDE_A_BAR } else { DEFAULT_FILTER });
}

fn init(default: &str) {
    let filter = EnvFilter::try_from_env("HEADWATER_LOG").unwrap_or_else(|_| EnvFilter::new(default));
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
        .set_buckets_for_metric(Matcher::Suffix("_latency_ms".into()), MILLISECONDS)?
        .install_recorder()?;
    let _ = METRICS.set(handle);
    Ok(())
}

/// Networks, and endpoints of networks, that are not shown. The recorder itself forgets nothing.
static HIDDEN: Mutex<BTreeSet<(String, Option<String>)>> = Mutex::new(BTreeSet::new());

/// Metrics of these networks, or of these endpoints of theirs, are not shown any more: they are not in the configuration.
pub fn hide<'a>(of: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) {
    let mut hidden = HIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
    hidden.extend(of.into_iter().map(|(network, endpoint)| (network.to_owned(), endpoint.map(str::to_owned))));
}

/// They are shown, as they are unless they were hidden.
pub fn show<'a>(of: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) {
    let mut hidden = HIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
    for (network, endpoint) in of {
        hidden.remove(&(network.to_owned(), endpoint.map(str::to_owned)));
    }
}

/// All metrics in Prometheus' text format.
pub fn render_metrics() -> String {
    METRICS.get().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        let hidden = HIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
        shown(handle.render(), &hidden)
    })
}

/// The text without the lines of what is hidden.
fn shown(text: String, hidden: &BTreeSet<(String, Option<String>)>) -> String {
    if hidden.is_empty() {
        return text;
    }
    let label = |name: &str, value: &str| {
        // As the text format writes a label's value.
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        format!("{name}=\"{value}\"")
    };
    let labels: Vec<(String, Option<String>)> = hidden
        .iter()
        .map(|(network, endpoint)| (label("network", network), endpoint.as_deref().map(|e| label("endpoint", e))))
        .collect();
    let has = |line: &str, label: &str| {
        line.match_indices(label).any(|(at, _)| matches!(line.as_bytes().get(at.wrapping_sub(1)), Some(b'{' | b',')))
    };
    let is_hidden = |line: &&str| {
        !line.starts_with('#') && labels.iter().any(|(n, e)| has(line, n) && e.as_ref().is_none_or(|e| has(line, e)))
    };
    text.split_inclusive('\n').filter(|line| !is_hidden(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_left_out_and_nothing_else() {
        let text = "# HELP a network=\"gone\"\na{network=\"gone\"} 1\na{network=\"gone-too\"} 2\na{x=\"1\",network=\"gone\",endpoint=\"e\"} 3\n\
                    a{network=\"eth\",endpoint=\"o\\\"ld\"} 4\na{network=\"eth\",endpoint=\"new\"} 5\nb{endpoint=\"o\\\"ld\"} 6\n\
                    a{other_network=\"gone\"} 7\n";
        let hidden = BTreeSet::from([("gone".to_owned(), None), ("eth".to_owned(), Some("o\"ld".to_owned()))]);
        let left = shown(text.to_owned(), &hidden);
        let values: Vec<&str> = left.lines().filter_map(|l| l.rsplit_once("} ")).map(|(_, v)| v).collect();
        assert_eq!(values, ["2", "5", "6", "7"], "{left}");
        assert!(left.starts_with("# HELP"));
        assert_eq!(shown(text.to_owned(), &BTreeSet::new()), text);
    }
}
