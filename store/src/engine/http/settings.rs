//! Which settings a request may change, and what a connection is told before its statement.
//!
//! Guarantee: an unknown setting is refused (the engine itself would ignore it silently). An analyst changes only what is on
//! a list: how results look, and limits downwards; a limit that is set above its cap is lowered to it, the API's likewise. What says
//! nothing about reading is taken and left out, since clients send it with every statement. Skip indexes under FINAL stay in exact mode for
//! everybody, so that a canonical row is never hidden by an index.

use super::super::config::Limits;
use super::super::ffi::Connection;
use super::auth::User;
use super::caps::{OF_SPILLING, Temporary, analyst_caps, api_caps, lowered};
use super::error::{Code, Failure};
use super::judge;
use schemas::limits::store as limits;
use std::collections::HashSet;

/// Names and values.
pub(super) type Pairs = Vec<(String, String)>;

/// The names that the engine knows.
pub(super) struct Known(HashSet<String>);

impl Known {
    /// Asks the engine.
    pub fn read(connection: &mut Connection) -> Result<Self, Failure> {
        let names = connection.query(b"SELECT name FROM system.settings", "TSVRaw", &[])?;
        Ok(Self(String::from_utf8_lossy(names.as_ref()).lines().map(str::to_owned).collect()))
    }

    /// Those that an analyst may change, or that are taken without effect.
    pub fn writable(&self, limits: &Limits) -> Vec<String> {
        let may = |name: &&String| {
            idle(name)
                || free(name)
                || bounded(name)
                || analyst_caps(limits, limits::ANALYST_TEMPORARY_BYTES).iter().any(|(cap, _)| cap == name)
        };
        let mut names: Vec<String> = self.0.iter().filter(may).cloned().collect();
        names.sort();
        names
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

/// What an analyst may set freely: how values are shown, how names and nulls are treated, how joins are made.
const ANALYST: &[&str] = &[
    "aggregate_functions_null_for_empty",
    "any_join_distinct_right_table_keys",
    "asterisk_include_alias_columns",
    "asterisk_include_materialized_columns",
    "bool_false_representation",
    "bool_true_representation",
    "cast_keep_nullable",
    "cross_to_inner_join_rewrite",
    "date_time_input_format",
    "date_time_output_format",
    "default_format",
    "describe_compact_output",
    "describe_include_subcolumns",
    "empty_result_for_aggregation_by_empty_set",
    "final",
    "format_csv_delimiter",
    "format_csv_null_representation",
    "format_tsv_null_representation",
    "group_by_use_nulls",
    "intersect_default_mode",
    "except_default_mode",
    "join_algorithm",
    "join_any_take_last_row",
    "join_default_strictness",
    "join_use_nulls",
    "limit",
    "offset",
    "optimize_read_in_order",
    "prefer_column_name_to_alias",
    "session_timezone",
    "totals_mode",
    "transform_null_in",
    "union_default_mode",
    judge::FILTERS,
];

/// Beginnings of the names of settings that say nothing about reading.
const IDLE_BEGINNINGS: &[&str] = &[
    "alter_",
    "async_insert",
    "azure_",
    "database_replicated_",
    "distributed_ddl_",
    "hdfs_",
    "http_",
    "input_format_",
    "insert_",
    "kafka_",
    "keeper_",
    "lightweight_",
    "max_insert_",
    "min_insert_",
    "mutations_",
    "replication_",
    "s3_",
    "wait_for_async_insert",
];

/// Others of that kind.
const IDLE: &[&str] = &[
    "allow_experimental_lightweight_delete",
    "allow_nondeterministic_mutations",
    "apply_mutations_on_fly",
    "connect_timeout",
    "connect_timeout_with_failover_ms",
    "connect_timeout_with_failover_secure_ms",
    "deduplicate_blocks_in_dependent_materialized_views",
    // Beside ARRAY JOIN in XML the engine falls over it.
    "extremes",
    "idle_connection_timeout",
    "interactive_delay",
    "log_formatted_queries",
    "log_profile_events",
    "log_queries",
    "log_query_settings",
    "log_query_threads",
    "log_query_views",
    "optimize_on_insert",
    "poll_interval",
    "receive_timeout",
    "select_sequential_consistency",
    "send_logs_level",
    "send_timeout",
    "tcp_keep_alive_timeout",
    "timeout_before_checking_execution_speed",
    "use_query_cache",
    "wait_end_of_query",
];

/// Whether an analyst's setting is taken and left out.
fn idle(name: &str) -> bool {
    OF_THE_INTERFACE.contains(&name)
        || IDLE.contains(&name)
        || IDLE_BEGINNINGS.iter().any(|begin| name.starts_with(begin))
}

/// Whether an analyst sets it as one likes.
fn free(name: &str) -> bool {
    let of_results = name.starts_with("output_format_")
        && !["schema", "path", "file", "confluent"].iter().any(|word| name.contains(word));
    of_results || ANALYST.contains(&name)
}

/// Whether an analyst sets it to some of its values.
fn bounded(name: &str) -> bool {
    matches!(name, "max_result_bytes" | "result_overflow_mode" | "read_overflow_mode" | "max_block_size")
}

/// What a request sets, judged.
pub(super) struct Settings<'s> {
    known: &'s Known,
    limits: &'s Limits,
    user: User,
    temporary: Temporary,
}

impl<'s> Settings<'s> {
    /// Judges by these names and limits.
    pub fn new(known: &'s Known, limits: &'s Limits, user: User, temporary: Temporary) -> Self {
        Self { known, limits, user, temporary }
    }

    /// What is to be set of what a client asked for. `in_force` tells a setting's present value: naming that is no change.
    pub fn asked(&self, requested: &Pairs, mut in_force: impl FnMut(&str) -> Option<String>) -> Result<Pairs, Failure> {
        let mut out = Pairs::new();
        for (name, value) in requested {
            if !self.known.0.contains(name) {
                return Err(Code::UnknownSetting.failure(format!("Unknown setting '{name}'")));
            }
            if OF_THE_INTERFACE.contains(&name.as_str()) {
                continue;
            }
            if FORCED.contains(&name.as_str()) {
                if !harmless(name, value) {
                    return Err(Code::Readonly.failure(format!("Cannot modify '{name}' setting: the store decides it")));
                }
                continue;
            }
            if value.contains('\0') {
                return Err(Code::BadArguments.failure(format!("The value of '{name}' holds a zero byte")));
            }
            match self.user {
                User::Stages => out.push((name.clone(), value.clone())),
                User::Api => match lowered(&api_caps(self.limits), name, value) {
                    Some(Some(value)) => out.push((name.clone(), value)),
                    Some(None) => return Err(Code::BadArguments.failure(format!("'{name}' is a limit, a number"))),
                    None if OF_SPILLING.iter().any(|(spilling, _)| spilling == name) => {}
                    None => out.push((name.clone(), value.clone())),
                },
                User::Analyst if idle(name) => {}
                User::Analyst => match analyst(&analyst_caps(self.limits, self.temporary.share), name, value) {
                    Some(value) => out.push((name.clone(), value)),
                    None if in_force(name).as_deref() == Some(value) => {}
                    None => {
                        return Err(Code::Readonly.failure(format!(
                            "Cannot modify '{name}' setting: it is not among those that an analyst may change, or not to this value"
                        )));
                    }
                },
            }
        }
        Ok(out)
    }

    /// What every statement gets besides its mark: `whole` bounds a result that is made in one piece. What a client sets later
    /// replaces it.
    pub fn standing(&self, whole: bool) -> Pairs {
        let mut out: Vec<(&str, String)> = vec![
            ("implicit_select", "0".to_owned()),
            ("use_skip_indexes_if_final", "1".to_owned()),
            ("use_skip_indexes_if_final_exact_mode", "1".to_owned()),
        ];
        if whole {
            out.push(("max_result_bytes", limits::WHOLE_RESULT_BYTES.to_string()));
        }
        if self.user != User::Analyst {
            // Results of stages and API are short: two more threads for one's text cost more than they save.
            out.push(("output_format_parallel_formatting", "0".to_owned()));
        }
        match self.user {
            User::Stages => out.push(("max_execution_time", self.limits.stages_time.as_secs().to_string())),
            User::Api => {
                out.extend(api_caps(self.limits).map(|(name, value)| (name, value.to_string())));
                out.extend(OF_SPILLING.iter().map(|(name, value)| (*name, (*value).to_owned())));
            }
            User::Analyst => {
                out.extend(
                    analyst_caps(self.limits, self.temporary.share).map(|(name, value)| (name, value.to_string())),
                );
                out.push(("min_free_disk_space_for_temporary_data", self.temporary.floor.to_string()));
                out.extend(
                    [
                        ("allow_ddl", "0"),
                        ("allow_introspection_functions", "0"),
                        ("max_ast_elements", "20000"),
                        // A condition of a join with many ORs is multiplied out, unheard by clock and memory.
                        ("allow_general_join_planning", "0"),
                        // Readers of JSON that have doubles only would round what is longer than 53 bits.
                        ("output_format_json_quote_64bit_integers", "1"),
                    ]
                    .map(|(name, value)| (name, value.to_owned())),
                );
            }
        }
        out.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The setting by which a running statement is found.
pub(super) const COMMENT: &str = "log_comment";

/// The first settings, with those of `later` in their place where both have one.
pub(super) fn replaced_by(first: Pairs, later: Pairs) -> Pairs {
    let kept = |(name, _): &(String, String)| later.iter().all(|(other, _)| other != name);
    let mut all: Pairs = first.into_iter().filter(kept).collect();
    all.extend(later);
    all
}

/// A forced setting given the value that it has anyway. `readonly` may be asked for: nothing is lost by it.
fn harmless(name: &str, value: &str) -> bool {
    match name {
        "readonly" => matches!(value, "1" | "2"),
        "implicit_select" => matches!(value, "0" | "false"),
        _ => matches!(value, "1" | "true"),
    }
}

/// The value that an analyst's setting gets: a limit is lowered to its cap. `None`: not for analysts.
fn analyst(caps: &[(&str, u64)], name: &str, value: &str) -> Option<String> {
    if value.len() > limits::ANALYST_SETTING_BYTES {
        return None;
    }
    if let Some(lowered) = lowered(caps, name, value) {
        return lowered;
    }
    let fits = match name {
        "max_result_bytes" => value.parse::<u64>().is_ok_and(|bytes| (1..=limits::WHOLE_RESULT_BYTES).contains(&bytes)),
        "max_block_size" => value.parse::<u64>().is_ok_and(|rows| (1..=1_000_000).contains(&rows)),
        "result_overflow_mode" | "read_overflow_mode" => matches!(value, "throw" | "break"),
        _ => free(name),
    };
    fits.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known(
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
                "enable_analyzer",
                "receive_timeout",
                "input_format_parallel_parsing",
            ]
            .map(str::to_owned)
            .into(),
        )
    }

    fn of(user: User, settings: &[(&str, &str)]) -> Result<Pairs, u32> {
        let requested = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let in_force = |name: &str| (name == "enable_analyzer").then(|| "1".to_owned());
        let (known, limits) = (known(), Limits::default());
        Settings::new(&known, &limits, user, SOME).asked(&requested, in_force).map_err(|failure| failure.code)
    }

    const SOME: Temporary = Temporary { share: 7, floor: 9 };

    #[test]
    fn analysts_lower_limits_and_never_raise_them() {
        let one = |name: &str, value: &str| of(User::Analyst, &[(name, value)]).map(|pairs| pairs[0].1.clone());
        for (name, asked, given) in [
            ("max_execution_time", "100000", "60"),
            ("max_execution_time", "0", "60"),
            ("max_execution_time", "5", "5"),
            ("max_execution_time", "0.5", "0.5"),
            ("max_execution_time", "0.0000001", "60"),
            ("max_memory_usage", "99999999999", "536870912"),
            ("max_memory_usage", "0", "536870912"),
            ("max_threads", "1", "1"),
        ] {
            assert_eq!(one(name, asked).as_deref(), Ok(given), "{name}={asked}");
        }
        for (name, value) in [
            ("max_execution_time", "-1"),
            ("max_execution_time", "inf"),
            ("max_threads", "-1"),
            ("max_threads", "1 --readonly=0"),
            ("readonly", "0"),
            ("format_template_row", "/etc/passwd"),
            ("output_format_schema", "x"),
            ("use_skip_indexes_if_final", "0"),
            ("enable_analyzer", "0"),
        ] {
            assert_eq!(one(name, value), Err(164), "{name}={value}");
        }
        assert_eq!(of(User::Analyst, &[("nonsense", "1")]), Err(115));
    }

    #[test]
    fn what_says_nothing_about_reading_is_left_out() {
        for (name, value) in [
            ("async_insert", "1"),
            ("receive_timeout", "5"),
            ("input_format_parallel_parsing", "0"),
            ("enable_analyzer", "1"),
            ("readonly", "2"),
        ] {
            assert_eq!(of(User::Analyst, &[(name, value)]), Ok(vec![]), "{name}");
        }
        let kept = of(User::Analyst, &[("output_format_json_quote_64bit_integers", "0")]).expect("allowed");
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn the_api_lowers_its_limits_and_never_raises_them() {
        let one = |name: &str, value: &str| of(User::Api, &[(name, value)]).map(|pairs| pairs[0].1.clone());
        for (name, asked, given) in [
            ("max_execution_time", "15", "15"),
            ("max_execution_time", "600", "30"),
            ("max_memory_usage", "0", "134217728"),
            ("max_threads", "16", "2"),
            ("receive_timeout", "5", "5"),
        ] {
            assert_eq!(one(name, asked).as_deref(), Ok(given), "{name}={asked}");
        }
        assert_eq!(one("max_threads", "x"), Err(36));
        assert!(of(User::Api, &[("readonly", "0")]).is_err());
        let (known, limits) = (known(), Limits::default());
        let standing = Settings::new(&known, &limits, User::Api, SOME).standing(false);
        assert!(standing.contains(&("max_temporary_data_on_disk_size_for_query".to_owned(), "1".to_owned())));
    }

    #[test]
    fn stages_set_what_the_engine_knows_and_no_more() {
        assert_eq!(of(User::Stages, &[("async_insert", "1")]).map(|pairs| pairs.len()), Ok(1));
        assert!(of(User::Stages, &[("use_skip_indexes_if_final", "0")]).is_err());
        assert_eq!(of(User::Stages, &[("nonsense", "1")]), Err(115));
        assert_eq!(of(User::Stages, &[("log_comment", "mine")]), Ok(vec![]), "the request's own mark stays");
        let (known, limits) = (known(), Limits::default());
        let standing = Settings::new(&known, &limits, User::Analyst, SOME).standing(true);
        for (name, value) in [
            ("max_memory_usage", "536870912"),
            ("max_temporary_data_on_disk_size_for_query", "7"),
            ("min_free_disk_space_for_temporary_data", "9"),
        ] {
            assert!(standing.contains(&(name.to_owned(), value.to_owned())), "{name}");
        }
    }
}
