//! Which settings a request may change, and the arguments of the connection that it runs on.
//!
//! Guarantee: an unknown setting is refused (the engine itself would ignore it silently). An analyst changes only what is on
//! a list: how results look, and limits downwards. Skip indexes under FINAL stay in exact mode for everybody, so that a
//! canonical row is never hidden by an index.

use super::super::config::Limits;
use super::super::ffi::Connection;
use super::auth::User;
use super::error::{Code, Failure};
use schemas::limits::store as limits;
use std::collections::HashSet;

/// The names that the engine knows.
pub(super) struct Known(HashSet<String>);

impl Known {
    /// Asks the engine.
    pub fn read(connection: &mut Connection) -> Result<Self, Failure> {
        let names = connection.query(b"SELECT name FROM system.settings", "TSVRaw", &[])?;
        Ok(Self(String::from_utf8_lossy(names.as_ref()).lines().map(str::to_owned).collect()))
    }
}

/// Settings of ClickHouse's HTTP handler and client, which say nothing to the engine here: taken and not handed on.
const OF_THE_INTERFACE: &[&str] = &[
    "cancel_http_readonly_queries_on_client_close",
    "enable_http_compression",
    "http_headers_progress_interval_ms",
    "http_wait_end_of_query",
    "http_write_exception_in_output_format",
    "http_zlib_compression_level",
    "log_comment",
    "network_compression_method",
    "send_progress_in_http_headers",
    "http_response_buffer_size",
    "http_native_compression_disable_checksumming_on_decompress",
];

/// Settings that nobody changes from outside.
const FORCED: &[&str] =
    &["use_skip_indexes_if_final", "use_skip_indexes_if_final_exact_mode", "implicit_select", "readonly"];

/// What an analyst may set freely: how values are shown and how names and nulls are treated.
const ANALYST: &[&str] = &[
    "aggregate_functions_null_for_empty",
    "cast_keep_nullable",
    "date_time_input_format",
    "date_time_output_format",
    "default_format",
    "extremes",
    "final",
    "format_csv_delimiter",
    "group_by_use_nulls",
    "join_use_nulls",
    "limit",
    "offset",
    "prefer_column_name_to_alias",
    "session_timezone",
    "totals_mode",
    "transform_null_in",
    "union_default_mode",
    "bool_true_representation",
    "bool_false_representation",
];

/// What an analyst may lower: the setting and its highest value, by the store's limits.
fn analyst_caps(limits: &Limits) -> [(&'static str, u64); 7] {
    [
        ("max_execution_time", limits.analyst_time.as_secs()),
        ("max_memory_usage", limits.analyst_memory),
        ("max_rows_to_read", limits.analyst_rows),
        ("max_temporary_data_on_disk_size_for_query", limits::ANALYST_TEMPORARY_BYTES),
        ("max_query_size", limits::ANALYST_STATEMENT_BYTES as u64),
        ("max_threads", 4),
        ("max_bytes_before_external_group_by", limits.analyst_memory / 2),
    ]
}

/// The connection's arguments for a request of `user`. `whole` bounds a result that is made in one piece.
pub(super) fn arguments(
    known: &Known,
    limits: &Limits,
    user: User,
    requested: &[(String, String)],
    request_id: &str,
    whole: bool,
    read_only: bool,
) -> Result<Vec<String>, Failure> {
    let mut out = vec![
        format!("--log_comment={request_id}"),
        "--implicit_select=0".to_owned(),
        "--use_skip_indexes_if_final=1".to_owned(),
        "--use_skip_indexes_if_final_exact_mode=1".to_owned(),
    ];
    let mut changed = HashSet::new();
    for (name, value) in requested {
        if !known.0.contains(name) {
            return Err(Code::UnknownSetting.failure(format!("Unknown setting '{name}'")));
        }
        if OF_THE_INTERFACE.contains(&name.as_str()) {
            continue;
        }
        if FORCED.contains(&name.as_str()) && !harmless(name, value) {
            return Err(Code::Readonly.failure(format!("Cannot modify '{name}' setting: the store decides it")));
        }
        if FORCED.contains(&name.as_str()) {
            continue;
        }
        if user == User::Analyst {
            check_analyst(limits, name, value)?;
        }
        if value.contains('\0') {
            return Err(Code::BadArguments.failure(format!("The value of '{name}' holds a zero byte")));
        }
        changed.insert(name.as_str());
        out.push(format!("--{name}={value}"));
    }
    let mut default = |name: &str, value: u64| {
        if !changed.contains(name) {
            out.push(format!("--{name}={value}"));
        }
    };
    if whole {
        default("max_result_bytes", limits::WHOLE_RESULT_BYTES);
    }
    match user {
        User::Stages => {
            default("max_execution_time", limits.stages_time.as_secs());
            if read_only {
                out.push("--readonly=2".to_owned());
            }
        }
        User::Analyst => {
            for (name, value) in analyst_caps(limits) {
                default(name, value);
            }
            default("max_bytes_before_external_sort", limits.analyst_memory / 2);
            out.extend(
                ["--allow_ddl=0", "--allow_introspection_functions=0", "--max_ast_elements=20000"].map(str::to_owned),
            );
            out.push("--readonly=1".to_owned()); // the last one: from here on nothing changes
        }
    }
    Ok(out)
}

/// A forced setting given the value that it has anyway. `readonly` may be asked for: nothing is lost by it.
fn harmless(name: &str, value: &str) -> bool {
    match name {
        "readonly" => matches!(value, "1" | "2"),
        "implicit_select" => matches!(value, "0" | "false"),
        _ => matches!(value, "1" | "true"),
    }
}

fn check_analyst(limits: &Limits, name: &str, value: &str) -> Result<(), Failure> {
    if let Some((_, highest)) = analyst_caps(limits).into_iter().find(|(cap, _)| *cap == name) {
        // 0 means "no limit" to the engine.
        return match value.parse::<u64>() {
            Ok(wanted) if (1..=highest).contains(&wanted) => Ok(()),
            _ => Err(Code::Readonly.failure(format!("Setting '{name}' should be between 1 and {highest}"))),
        };
    }
    let of_results = name.starts_with("output_format_") && !["schema", "path", "file"].iter().any(|w| name.contains(w));
    let lowered = matches!(name, "max_result_rows" | "max_result_bytes") && value != "0";
    let overflow = name == "result_overflow_mode" && matches!(value, "throw" | "break");
    if (of_results || lowered || overflow || ANALYST.contains(&name)) && value.len() <= 256 {
        return Ok(());
    }
    Err(Code::Readonly
        .failure(format!("Cannot modify '{name}' setting: it is not among those that an analyst may change")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: User, settings: &[(&str, &str)]) -> Result<Vec<String>, Failure> {
        let known = Known(
            [
                "max_threads",
                "max_execution_time",
                "readonly",
                "format_template_row",
                "output_format_schema",
                "log_comment",
                "output_format_json_quote_64bit_integers",
                "use_skip_indexes_if_final",
                "async_insert",
                "max_memory_usage",
            ]
            .map(str::to_owned)
            .into(),
        );
        let requested: Vec<_> = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        arguments(&known, &Limits::default(), user, &requested, "id", false, false)
    }

    #[test]
    fn analysts_lower_limits_and_never_raise_them() {
        for (name, value) in [
            ("max_execution_time", "100000"),
            ("max_execution_time", "0"),
            ("max_memory_usage", "99999999999"),
            ("max_threads", "-1"),
            ("readonly", "0"),
            ("format_template_row", "/etc/passwd"),
            ("output_format_schema", "x"),
            ("async_insert", "1"),
            ("use_skip_indexes_if_final", "0"),
            ("nonsense", "1"),
        ] {
            assert!(of(User::Analyst, &[(name, value)]).is_err(), "{name}={value}");
        }
        let arguments =
            of(User::Analyst, &[("max_execution_time", "5"), ("output_format_json_quote_64bit_integers", "0")])
                .expect("allowed");
        assert!(arguments.contains(&"--max_execution_time=5".to_owned()));
        assert_eq!(arguments.iter().filter(|a| a.starts_with("--max_execution_time=")).count(), 1);
        assert_eq!(arguments.last().map(String::as_str), Some("--readonly=1"));
    }

    #[test]
    fn stages_set_what_the_engine_knows_and_no_more() {
        assert!(of(User::Stages, &[("async_insert", "1")]).is_ok());
        assert!(of(User::Stages, &[("use_skip_indexes_if_final", "0")]).is_err());
        assert_eq!(of(User::Stages, &[("nonsense", "1")]).expect_err("unknown").code, 115);
        let arguments = of(User::Stages, &[("log_comment", "mine")]).expect("taken");
        assert!(!arguments.contains(&"--log_comment=mine".to_owned()), "the request's own id stays");
    }
}
