//! Settings and names as parameters of the request.

use super::{DENIED, PASSES, Report, SETTING, attempt};
use crate::harness::encoded;
use crate::watched::Watched;

/// Parameters that are not the analyst's. A value that breaks out of its argument is `BAD_ARGUMENTS` as well.
const REFUSED: &[&str] = &[
    "readonly=0",
    "READONLY=0&readonly=0",
    "readonly=1&readonly=0",
    "readonly=2&readonly=0&readonly=1",
    "allow_ddl=1",
    "format_schema=x",
    "format_template_row=%2Fetc%2Fpasswd",
    "output_format_schema=x",
    "additional_table_filters=%7B't'%3A'hostName()'%7D",
    "additional_result_filter=hostName()",
    "dialect=prql",
    "enable_analyzer=0",
    "compatibility=18.1",
    "profile=default",
    "user_files_path=%2F",
    "allow_introspection_functions=1",
    "use_skip_indexes_if_final_exact_mode=0",
    "use_skip_indexes_if_final=0",
    "implicit_select=1",
    "max_ast_elements=0",
    "max_parser_depth=1000000",
    "workload=x",
    "session_timezone=UTC%20--readonly%3D0",
    "limit=1%0a--readonly%3D0",
    "limit=1%00--readonly%3D0",
    "--readonly=0",
    "%20readonly=0",
    "readonly%00=0",
    "path=%2Ftmp",
    "config-file=%2Ftmp%2Fx",
    "role=stages",
    "database=system",
    "database=other",
];

/// Names put in by parameters: judged like names that are written out.
const NAMES: &[(&str, &str)] = &[
    ("param_d=system&param_t=server_settings", "SELECT * FROM {d:Identifier}.{t:Identifier}"),
    ("param_t=system.server_settings", "SELECT * FROM {t:Identifier}"),
    ("param_t=server_settings", "SELECT * FROM system.{t:Identifier}"),
    ("param_t=server_settings", "DESCRIBE TABLE system.{t:Identifier}"),
    ("param_t=server_settings", "EXISTS TABLE system.{t:Identifier}"),
    ("param_t=server_settings", "SHOW CREATE TABLE system.{t:Identifier}"),
    ("param_t=server_settings", "SELECT 1 IN system.{t:Identifier}"),
    ("param_f=hostName", "SELECT {f:Identifier}()"),
    ("param_f=hostName", "SELECT * APPLY {f:Identifier} FROM t"),
    ("param_f=file", "SELECT * FROM {f:Identifier}('x')"),
    ("param_d=system", "SHOW COLUMNS FROM server_settings FROM {d:Identifier}"),
    ("param_x=1", "SELECT {x:UInt8}, hostName()"),
    ("param_x=hostName()", "SELECT {x:String} WHERE hostName() = {x:String}"),
];

/// Caps: above, and 0, which is no limit to the engine. Sent as parameter and in the statement.
const CAPS: &[(&str, &str, u64)] = &[
    ("max_execution_time", "61", 60),
    ("max_execution_time", "0", 60),
    ("max_memory_usage", "999999999999", 512 << 20),
    ("max_memory_usage", "0", 512 << 20),
    ("max_threads", "64", 4),
    ("max_rows_to_read", "0", 2_000_000_000),
    ("max_rows_to_read", "99999999999999", 2_000_000_000),
    ("max_temporary_data_on_disk_size_for_query", "0", 4 << 30),
    ("max_query_size", "0", 256 << 10),
];

/// Settings that are not the analyst's and say nothing about reading: refused, or taken and ignored.
const IGNORED: &[(&str, &str)] = &[
    ("log_queries", "1"),
    ("log_comment", "mine"),
    ("use_query_cache", "1"),
    ("max_concurrent_queries_for_user", "77"),
    ("timeout_before_checking_execution_speed", "77"),
    ("max_insert_block_size", "77"),
    ("async_insert", "0"),
    ("async_insert", "1"),
    ("http_receive_timeout", "77"),
    ("priority", "77"),
    ("max_untracked_memory", "77"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_and_ignored_changes_nothing() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    let codes = [SETTING, &[PASSES]].concat();
    for (name, value) in IGNORED {
        let ask = format!("SELECT value FROM system.settings WHERE name = '{name}'");
        let before = watched.analyst.say(&ask).text();
        for (target, sql) in
            [(format!("/?{name}={value}"), ask.clone()), ("/".to_owned(), format!("{ask} SETTINGS {name} = '{value}'"))]
        {
            attempt(&watched, &mut report, "ignored", &codes, &target, &sql);
            let answer =
                watched.analyst.ask(&target, sql.as_bytes(), std::time::Duration::from_secs(20)).expect("answer");
            // The request's own id is the comment; any but the client's will do.
            let same = if *name == "log_comment" { answer.text().trim() != *value } else { answer.text() == before };
            if answer.code() == 0 && !same {
                report.wrong(format!("{target} {sql}: {} is in force, before it was {before}", answer.text()));
            }
        }
    }
    report.end(&watched, pid);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_judged_like_what_is_written_out() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    // 36 and 27 a value, 115 a name that no setting has, 81 a database that is not there.
    let codes = [SETTING, &[27, 36, 115, 81]].concat();
    for parameters in REFUSED {
        attempt(&watched, &mut report, "parameters", &codes, &format!("/?{parameters}"), "SELECT 1");
    }
    for format in ["Protobuf", "ProtobufList", "Template", "CapnProto"] {
        // 73: this engine does not have it.
        attempt(&watched, &mut report, "formats", &[497, 48, 73], &format!("/?default_format={format}"), "SELECT 1");
    }
    for (parameters, sql) in NAMES {
        // 62: the grammar has no parameter there. 456: it has a text there.
        let codes = [DENIED, &[62, 456]].concat();
        attempt(&watched, &mut report, "names", &codes, &format!("/?{parameters}"), sql);
    }
    let codes = [SETTING, &[PASSES]].concat();
    for (parameters, sql) in
        [("param_d=system", "SHOW TABLES FROM {d:Identifier}"), ("param_d=other", "SHOW TABLES FROM {d:Identifier}")]
    {
        attempt(&watched, &mut report, "names", &[497, 62, 456, PASSES], &format!("/?{parameters}"), sql);
    }
    for (name, value, cap) in CAPS {
        let ask = format!("SELECT value FROM system.settings WHERE name = '{name}'");
        let in_text = format!("{ask} SETTINGS {name} = {value}");
        for (target, sql) in [(format!("/?{name}={value}"), ask.clone()), ("/".to_owned(), in_text)] {
            attempt(&watched, &mut report, "caps", &codes, &target, &sql);
            let answer =
                watched.analyst.ask(&target, sql.as_bytes(), std::time::Duration::from_secs(20)).expect("answer");
            let in_force = answer.text().trim().parse::<u64>();
            if answer.code() == 0 && !in_force.as_ref().is_ok_and(|now| (1..=*cap).contains(now)) {
                report.wrong(format!("{target} {sql}: {in_force:?} is in force, the cap is {cap}"));
            }
        }
    }
    report.end(&watched, pid);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_parameter_is_judged_like_a_body() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    for (query, body) in [
        ("SELECT hostName()", ""),
        ("SELECT ", "hostName()"),
        ("SELECT 1, host", "Name()"),
        ("SELECT 1 --", "\n, hostName()"),
        ("SELECT 1 /*", "*/, hostName()"),
        ("SELECT '", "', hostName()"),
        ("SELECT 1;", "SELECT hostName()"),
    ] {
        let target = format!("/?query={}", encoded(query));
        attempt(&watched, &mut report, "query and body", &[497, 62], &target, body);
    }
    report.end(&watched, pid);
    watched.stop().await;
}
