//! The limits of readers' statements, which they lower and never raise.

use super::super::config::Limits;
use schemas::limits::store as limits;

/// What an analyst may lower: the setting and its highest value, by the store's limits.
pub(super) fn analyst_caps(limits: &Limits, temporary: u64) -> [(&'static str, u64); 9] {
    [
        ("max_execution_time", limits.analyst_time.as_secs()),
        ("max_memory_usage", limits.analyst_memory),
        ("max_rows_to_read", limits.analyst_rows),
        ("max_result_rows", limits::ANALYST_RESULT_ROWS),
        ("max_temporary_data_on_disk_size_for_query", temporary),
        ("max_query_size", limits::ANALYST_STATEMENT_BYTES as u64),
        ("max_threads", limits::ANALYST_THREADS),
        ("max_bytes_before_external_group_by", limits.analyst_memory / 2),
        ("max_bytes_before_external_sort", limits.analyst_memory / 2),
    ]
}

/// What the API may lower: likewise.
pub(super) fn api_caps(limits: &Limits) -> [(&'static str, u64); 3] {
    [
        ("max_execution_time", limits::API_TIME.as_secs()),
        ("max_memory_usage", limits.api_memory),
        ("max_threads", limits::API_THREADS),
    ]
}

/// The room on the disk for one statement's temporary files.
#[derive(Clone, Copy)]
pub(super) struct Temporary {
    /// What it may write, bytes; at least 1.
    pub share: u64,
    /// What it must leave free, bytes.
    pub floor: u64,
}

/// The API's statements keep to their memory and write no temporary files.
pub(super) const OF_SPILLING: &[(&str, &str)] = &[
    ("max_bytes_before_external_group_by", "0"),
    ("max_bytes_before_external_sort", "0"),
    ("max_bytes_ratio_before_external_group_by", "0"),
    ("max_bytes_ratio_before_external_sort", "0"),
    ("max_temporary_data_on_disk_size_for_query", "1"),
];

/// The value that a limit gets: one above its cap, and none at all (0), is lowered to it. `None`: it is no limit with a cap;
/// `Some(None)`: it is, and this is no value for it.
pub(super) fn lowered(caps: &[(&str, u64)], name: &str, value: &str) -> Option<Option<String>> {
    let (_, highest) = caps.iter().find(|(cap, _)| *cap == name)?;
    if name == "max_execution_time" {
        let wanted = value.parse::<f64>().ok().filter(|wanted| wanted.is_finite() && *wanted >= 0.0);
        // What rounds to no time is no limit to the engine.
        let given = |wanted: f64| match wanted >= 0.001 && wanted < *highest as f64 {
            true => value.to_owned(),
            false => highest.to_string(),
        };
        return Some(wanted.map(given));
    }
    // 0 means "no limit" to the engine.
    let wanted = value.parse::<u64>().ok();
    Some(wanted.map(|wanted| if wanted == 0 { *highest } else { wanted.min(*highest) }.to_string()))
}
