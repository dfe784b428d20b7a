//! What is forbidden, put into every place of the grammar, and beside each attempt its harmless twin.
//!
//! The twin stands in the same place and is not refused: so the place is one of the grammar that the judge knows, and it was
//! what was put there that was refused, not the statement around it.

use super::{DENIED, Report, SETTING, UNKNOWN, places};
use crate::watched::Watched;
use std::collections::BTreeMap;
use std::time::Duration;

/// Codes that say that the judge has not let a statement through.
const NOT_JUDGED_FINE: &[u32] = &[46, 48, 62, 164, 452, 497];

/// Things to put into places.
struct Theme {
    name: &'static str,
    places: &'static [&'static str],
    codes: &'static [u32],
    /// Each stands for itself; places take them in turn.
    culprits: &'static [&'static str],
    twin: &'static str,
    /// How many culprits a place is tried with.
    each: usize,
}

/// Further wrappings of a scalar, so that a judge that looks only at the outermost call is seen.
const WRAPS: &[&str] =
    &["§", "if(1, §, 'x')", "(SELECT §)", "arrayMap(w -> §, [1])[1]", "concat('x', toString(§))", "[(1, §)][1].2"];

const FUNCTIONS: &[&str] = &[
    "hostName()",
    "FQDN()",
    "displayName()",
    "getServerSetting('path')",
    "getMacro('x')",
    "tcpPort()",
    "serverUUID()",
    "getOSKernelVersion()",
    "filesystemAvailable()",
    "sleep(0.001)",
    "sleepEachRow(0.001)",
    "showCertificate()",
    "getClientHTTPHeader('x')",
    "catboostEvaluate('x', 1)",
    "dictGet('x', 'y', 1)",
    "joinGet('x', 'y', 1)",
    "addressToLine(1)",
    "logTrace('x')",
    "aiGenerate('x')",
    "`hostName`()",
    "\"hostName\"()",
    "HOSTNAME()",
    "hasColumnInTable('system', 'one', 'dummy')",
];

const FILES: &[&str] = &[
    "file('{INSIDE}')",
    "file('{OUTSIDE}')",
    "FILE('{INSIDE}')",
    "`file`('{INSIDE}')",
    "file('{CREDENTIALS}', 'none')",
];

const NOBODYS: &[&str] = &["zzz_unknown(1)", "zzz_unknown()", "`zzz unknown`(1)", "zzz_unknownIf(1, 1)", "sum_zzz(1)"];

const TABLE_FUNCTIONS: &[&str] = &[
    "file('{INSIDE}', 'LineAsString')",
    "url('http://127.0.0.1:1/', 'CSV', 'a String')",
    "sqlite('{ENGINE}/metadata/evil.sql', 't')",
    "remote('127.0.0.1', system.one)",
    "executable('id', 'TSV', 'a String')",
    "merge('system', 'one')",
    "view(SELECT 1)",
    "s3('http://127.0.0.1:1/b/k', 'CSV', 'a String')",
    "mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "dictionary('x')",
    "cluster('default', system.one)",
    "viewExplain('EXPLAIN', '', (SELECT 1))",
    "mergeTreeIndex('headwater', 't')",
    "loop(system.one)",
    "filesystem('/')",
    "zzz_unknown(1)",
];

const SYSTEM_TABLES: &[&str] = &[
    "system.server_settings",
    "`system`.`errors`",
    "system.disks",
    "\"system\".query_log",
    "system.metrics",
    "system.stack_trace",
    "system.users",
    "SYSTEM.server_settings",
    "system.zzz_unknown",
    "information_schema.processlist",
];

const FOREIGN: &[&str] = &["{FOREIGN}", "other.zzz_unknown", "`other`.x", "default.x"];

const FORBIDDEN_SETTINGS: &[&str] = &[
    "readonly = 0",
    "`readonly` = 0",
    "allow_ddl = 1",
    "allow_introspection_functions = 1",
    "format_schema = 'x:y'",
    "format_template_row = '/etc/passwd'",
    "additional_table_filters = {'t': 'hostName()'}",
    "additional_result_filter = 'hostName()'",
    "use_skip_indexes_if_final_exact_mode = 0",
    "dialect = 'prql'",
    "enable_analyzer = 0",
    "compatibility = '18.1'",
    "max_parser_depth = 100000",
    "implicit_select = 1",
];

const THEMES: &[Theme] = &[
    Theme {
        name: "a forbidden function",
        places: places::EXPRESSIONS,
        codes: DENIED,
        culprits: FUNCTIONS,
        twin: "toString(1)",
        each: 3,
    },
    Theme {
        name: "an unknown function",
        places: places::EXPRESSIONS,
        codes: DENIED,
        culprits: NOBODYS,
        twin: "toString(1)",
        each: 2,
    },
    Theme {
        name: "a scalar file()",
        places: places::EXPRESSIONS,
        codes: DENIED,
        culprits: FILES,
        twin: "toString(1)",
        each: 2,
    },
    Theme {
        name: "a forbidden table function in a subquery",
        places: places::EXPRESSIONS,
        codes: DENIED,
        culprits: TABLE_FUNCTIONS,
        twin: "numbers(1)",
        each: 2,
    },
    Theme {
        name: "a forbidden system table in a subquery",
        places: places::EXPRESSIONS,
        codes: DENIED,
        culprits: SYSTEM_TABLES,
        twin: "system.one",
        each: 2,
    },
    Theme {
        name: "a table of another database in a subquery",
        places: places::EXPRESSIONS,
        codes: DENIED,
        culprits: FOREIGN,
        twin: "headwater.t",
        each: 2,
    },
    Theme {
        name: "a forbidden setting in a subquery",
        places: places::EXPRESSIONS,
        codes: SETTING,
        culprits: FORBIDDEN_SETTINGS,
        twin: "max_threads = 1",
        each: 2,
    },
    Theme {
        name: "a forbidden table function",
        places: places::TABLES,
        codes: DENIED,
        culprits: TABLE_FUNCTIONS,
        twin: "numbers(1)",
        each: 8,
    },
    Theme {
        name: "a forbidden system table",
        places: places::TABLES,
        codes: DENIED,
        culprits: SYSTEM_TABLES,
        twin: "system.one",
        each: 6,
    },
    Theme {
        name: "a table of another database",
        places: places::TABLES,
        codes: DENIED,
        culprits: FOREIGN,
        twin: "headwater.t",
        each: 4,
    },
    Theme {
        name: "the name of a forbidden system table",
        places: places::NAMES,
        codes: DENIED,
        culprits: SYSTEM_TABLES,
        twin: "headwater.t",
        each: 10,
    },
    Theme {
        name: "the name of a table of another database",
        places: places::NAMES,
        codes: DENIED,
        culprits: FOREIGN,
        twin: "headwater.t",
        each: 4,
    },
    Theme {
        name: "a forbidden setting",
        places: places::SETTINGS,
        codes: SETTING,
        culprits: FORBIDDEN_SETTINGS,
        twin: "max_threads = 1",
        each: 14,
    },
    Theme {
        name: "the name of a forbidden function",
        places: places::FUNCTIONS,
        codes: DENIED,
        culprits: &[
            "hostName",
            "file",
            "`file`",
            "sleep",
            "FQDN",
            "displayName",
            "getServerSetting",
            "zzz_unknown",
            "getMacro",
        ],
        twin: "toString",
        each: 9,
    },
    Theme {
        name: "a forbidden format",
        places: places::FORMATS,
        codes: &[497, 48, 73],
        culprits: &["Protobuf", "ProtobufSingle", "ProtobufList", "CapnProto", "Template", "`Protobuf`", "ZzzUnknown"],
        twin: "JSON",
        each: 7,
    },
];

/// What stands at the place: for the themes of subqueries and settings the culprit needs something around it.
fn piece(theme: &Theme, culprit: &str, wrap: &str) -> String {
    let scalar = match theme.name {
        name if name.ends_with("in a subquery") && name.contains("setting") => {
            format!("(SELECT '1' SETTINGS {culprit})")
        }
        name if name.ends_with("in a subquery") => format!("(SELECT toString(count()) FROM {culprit})"),
        _ if theme.places.len() == places::EXPRESSIONS.len() => culprit.to_owned(),
        _ => return culprit.to_owned(),
    };
    wrap.replace('§', &scalar)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_place_what_is_forbidden_is_refused_and_its_twin_is_not() {
    let watched = Watched::start().await;
    let pid = watched.store.pid();
    let mut report = Report::default();
    let mut twins: BTreeMap<String, u32> = BTreeMap::new();
    let ask = |sql: &str| {
        watched.analyst.ask("/?max_execution_time=5&max_result_rows=5000", sql.as_bytes(), Duration::from_secs(60))
    };
    for theme in THEMES {
        let mut turn = 0;
        let mut attempts = 0;
        for place in theme.places {
            for _ in 0..theme.each {
                let (culprit, wrap) = (theme.culprits[turn % theme.culprits.len()], WRAPS[turn % WRAPS.len()]);
                turn += 1;
                // What nobody knows may also be said to be unknown.
                let codes =
                    if culprit.contains("zzz") { [theme.codes, UNKNOWN].concat() } else { theme.codes.to_vec() };
                let sql = watched.fill(&place.replace('§', &piece(theme, culprit, wrap)));
                let twin = watched.fill(&place.replace('§', &piece(theme, theme.twin, wrap)));
                match ask(&sql) {
                    Ok(answer) => report.judge(&watched, theme.name, &codes, sql.as_bytes(), &answer),
                    Err(silence) => report.wrong(format!("[{}] {silence:?}: {sql}", theme.name)),
                }
                attempts += 1;
                if twins.contains_key(&twin) {
                    continue;
                }
                match ask(&twin) {
                    Ok(answer) => {
                        let code = answer.code();
                        // No setting at all may stand within a statement: then the place is shown by the other themes' twins.
                        let within = twin.contains("(SELECT")
                            && twin.contains("SETTINGS")
                            && SETTING.contains(&code)
                            && answer.text().contains("setting");
                        if NOT_JUDGED_FINE.contains(&code) && !within {
                            report.wrong(format!(
                                "[{}] TWIN refused, {code}: {twin:?}: {}",
                                theme.name,
                                answer.brief()
                            ));
                        }
                        twins.insert(twin, code);
                    }
                    Err(silence) => report.wrong(format!("[{}] TWIN {silence:?}: {twin}", theme.name)),
                }
            }
        }
        eprintln!("{}: {attempts} attempts in {} places", theme.name, theme.places.len());
    }
    let fine = twins.values().filter(|code| **code == 0).count();
    eprintln!("{} twins, {fine} of them answered without an error", twins.len());
    if fine * 3 < twins.len() {
        report.wrong("fewer than a third of the twins run: the places are badly chosen".to_owned());
    }
    report.end(&watched, pid);
    watched.stop().await;
}
