//! What people meet first: exit codes and messages, each naming what is wrong and what to do.

use std::process::{Command, Output};

use crate::common::{Headwater, Net, binary};
use loadtest::node::evm::{Clock, Config, Dataset, Fault, FaultKind, spawn};
use serde_json::Value;

fn run(args: &[&str]) -> Output {
    Command::new(binary()).args(args).output().expect("run headwater")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn node() -> loadtest::node::evm::Simulator {
    let data = Dataset::embedded("ethereum").expect("embedded data");
    spawn(Config { clock: Clock::Manual, history: 5, ..Config::new(data) }).await.expect("simulator")
}

#[test]
fn help_version_and_completions_are_results() {
    for args in [&["--help"][..], &["--version"], &["completions", "bash"], &["up", "--help"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn exit_codes_tell_arguments_from_configuration() {
    assert_eq!(run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(run(&["tail", "raw.blocks", "--from", "yesterday"]).status.code(), Some(2));
    let missing = run(&["check", "--config", "/no/such/file.toml"]);
    assert_eq!(missing.status.code(), Some(78));
    assert!(stderr(&missing).contains("/no/such/file.toml"), "{}", stderr(&missing));

    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("bad.toml");
    std::fs::write(&file, "[api]\nlissten = \"x\"\n[[network]]\nslug = \"a\"\n").expect("write");
    for command in ["check", "up", "store", "status"] {
        let output = run(&[command, "--config", &file.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(78), "{command}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("bad.toml:2:1") && said.contains("did you mean `listen`?"), "{said}");
        assert!(said.contains("bad.toml:3:") && said.contains("network[0].endpoint"), "{said}");
        assert!(output.stdout.is_empty());
    }
    assert!(!dir.path().join("data").exists(), "nothing is opened");
}

/// What `check` says of a file: its exit code and standard error.
fn checked(text: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().expect("folder");
    let file = dir.path().join("hw.toml");
    std::fs::write(&file, text).expect("write");
    let output = run(&["check", "--config", &file.to_string_lossy()]);
    assert!(output.stdout.is_empty());
    (output.status.code(), stderr(&output))
}

/// Rule 24: what a chain's profile rests on.
#[test]
fn check_says_what_each_network_s_profile_rests_on() {
    let network = |slug: &str, id: u64| {
        format!(
            "[[network]]\nslug = \"{slug}\"\nfamily = \"evm\"\nchain_id = {id}\n\
             [[network.endpoint]]\nurl = \"http://node.example\"\n"
        )
    };
    let chains = [("mantle", 5_000), ("bsc", 56), ("anvil", 31_337), ("own", 987_654_321)];
    let (code, told) = checked(&chains.map(|(slug, id)| network(slug, id)).concat());
    assert_eq!(code, Some(0), "{told}");
    for (slug, word) in [("mantle", "proved"), ("bsc", "unproven"), ("anvil", "development"), ("own", "unknown")] {
        assert!(told.contains(&format!("{slug} (1 endpoints, profile {word})")), "{told}");
        let noted = told.contains(&format!("note: {slug}: "));
        assert_eq!(noted, ["unproven", "unknown"].contains(&word), "{slug}: {told}");
    }
}

#[test]
fn check_finds_what_would_fail_or_be_ignored_later() {
    for (text, line, key) in [
        ("[api]\nlisten = \"127.0.0.1:9090\"\n", 2, "api.listen"),
        ("[data]\ndir = \"\"\n", 2, "data.dir"),
        ("[data]\ndir = \"/proc/headwater\"\n", 2, "data.dir"),
        ("[store]\nuser = \"analyst\"\n", 2, "store.user"),
        ("[log]\nkafka = \"a:9092\"\nmax_bytes = 1000\n", 3, "log.max_bytes"),
        ("[store]\nlisten = \"0.0.0.0:8123\"\nanalyst_password = \"x\"\n", 3, "store.analyst_password"),
        ("[api]\nhosts = [\"https://a.example\"]\n", 2, "api.hosts"),
        ("[api]\nlisten = \"0.0.0.0:8080\"\n", 2, "api.listen"),
        ("[api]\nrate_limit = \"many\"\n", 2, "api.rate_limit"),
    ] {
        let (code, told) = checked(text);
        assert!(code == Some(78) && told.contains("1 mistake "), "{text}: {code:?} {told}");
        assert!(told.contains(&format!("hw.toml:{line}:")) && told.contains(&format!(": `{key}`: ")), "{told}");
    }
    let (code, told) = checked("[store]\nlisten = \"0.0.0.0:8123\"\nhosts = [\"clickhouse.internal\"]\n");
    assert!(code == Some(0) && told.contains("warning: ") && told.contains("TLS"), "{told}");
    let (code, told) = checked("");
    assert!(code == Some(0) && !told.contains("warning"), "{told}");
    let (code, told) = checked("[data]\ndir = \"hw.toml/data\"\n");
    assert!(code == Some(78) && told.contains("hw.toml is no folder"), "{told}");
}

#[test]
fn each_stage_offers_only_what_it_has() {
    for stage in ["ingest", "enrich", "causes", "aggregate", "alerts", "sink", "api"] {
        let help = String::from_utf8(run(&[stage, "--help"]).stdout).expect("text");
        assert!(help.contains("--admin-listen"), "{help}");
        assert_eq!(help.contains("--listen"), stage == "api", "{stage}: {help}");
    }
    assert_eq!(run(&["sink", "--listen", "127.0.0.1:1"]).status.code(), Some(2));
}

/// The port of a running process says what each of its metrics is, answers its own names only, and refuses in words.
#[tokio::test]
async fn the_admin_port_explains_itself_and_commands_ask_it() {
    let node = node().await;
    let mut headwater = Headwater::new(&[Net::of("eth", &node)]);
    let mut text = std::fs::read_to_string(&headwater.config).expect("read");
    for section in ["[api]\n", "[admin]\n", "[store]\n"] {
        text = text
            .replace(section, &format!("{section}hosts = [\"{}.example\"]\n", section.trim_matches(['[', ']', '\n'])));
    }
    text = text.replace("[api]\n", "[api]\nallowed_origins = [\"https://ops.example\"]\n");
    std::fs::write(&headwater.config, text).expect("write");
    headwater.start();
    let head = node.canonical(node.head()..=node.head()).remove(0);
    headwater.until_visible("eth", &head.hash.to_string()).await;
    let client = reqwest::Client::new();
    let metrics = client.get(format!("{}/metrics", headwater.admin)).send().await.expect("metrics");
    let text = metrics.text().await.expect("text");
    let named = |kind: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind)?.split(' ').next().map(str::to_owned));
        lines.collect::<std::collections::BTreeSet<_>>()
    };
    let (types, helps) = (named("# TYPE "), named("# HELP "));
    assert!(types.len() > 20, "{types:?}");
    assert_eq!(types.difference(&helps).collect::<Vec<_>>(), Vec::<&String>::new(), "metrics without words");

    for (path, status, words) in [
        ("/log/raw.blocks", 400, "missing field `from`; write from=beginning"),
        ("/log/raw.blocks?from=yesterday", 400, "no place"),
        ("/log/nope?from=end", 404, "raw.blocks"),
        ("/nope", 404, "/metrics"),
    ] {
        let answer = client.get(format!("{}{path}", headwater.admin)).send().await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().expect("text").to_owned());
        assert_eq!(header("content-type").as_deref(), Some("application/problem+json"), "{path}");
        assert_eq!((answer.status().as_u16(), header("x-content-type-options").as_deref()), (status, Some("nosniff")));
        let problem: Value = answer.json().await.expect("JSON");
        assert!(problem["detail"].as_str().is_some_and(|d| d.contains(words)), "{path}: {problem}");
    }
    for (at, path) in [(&headwater.admin, "/lag"), (&headwater.api, "/api/v1/health"), (&headwater.sql, "/ping")] {
        let foreign = client.get(format!("{at}{path}")).header("host", "evil.example").send().await.expect("an answer");
        assert_eq!(foreign.status().as_u16(), 421, "{at}{path}");
        assert!(foreign.text().await.expect("text").contains("hosts"), "{at}{path} names the key");
    }

    for (at, path, host) in [
        (&headwater.admin, "/lag", "admin.example"),
        (&headwater.api, "/api/v1/health", "api.example:8080"),
        (&headwater.sql, "/ping", "store.example"),
    ] {
        let known = || client.get(format!("{at}{path}")).header("host", host);
        assert_eq!(known().send().await.expect("an answer").status().as_u16(), 200, "{at}{path}");
        // A page of a site that the API allows may read the API, and nothing else.
        let page = known().header("origin", "https://ops.example").send().await.expect("an answer");
        let allowed = page.headers().get("access-control-allow-origin").map(|v| v.to_str().expect("text").to_owned());
        let wanted = if at == &headwater.api { (200, true) } else { (403, false) };
        assert_eq!((page.status().as_u16(), allowed.is_some()), wanted, "{at}{path}: {allowed:?}");
    }

    let config = headwater.config.to_string_lossy().into_owned();
    let output = tokio::task::spawn_blocking(move || {
        let ask = |args: &[&str]| run(&[args, &["--config", config.as_str()]].concat());
        let status = ask(&["status", "--format", "json"]);
        let table = ask(&["status"]);
        let known = ask(&["tail", "raw.blocks", "--network", "eth"]);
        let unknown = ask(&["tail", "raw.blocks", "--network", "nope"]);
        let following = ask(&["tail", "raw.blocks", "--network", "nope", "--follow"]);
        (status, table, known, unknown, following)
    });
    let (status, table, known, unknown, following) = output.await.expect("run");
    let health: Value = serde_json::from_slice(&status.stdout).unwrap_or_else(|e| panic!("{e}: {}", stderr(&status)));
    assert_eq!(health["networks"][0]["network"], "eth");
    let groups: Vec<_> = health["lags"].as_array().expect("lags").iter().map(|l| l["group"].as_str()).collect();
    assert!(groups.contains(&Some("sink")) && groups.contains(&Some("enrich")), "{health}");
    assert!(String::from_utf8_lossy(&table.stdout).starts_with("status: "), "{table:?}");
    assert!(known.status.code() == Some(0) && !known.stdout.is_empty(), "{known:?}");
    for refused in [unknown, following] {
        let said = stderr(&refused);
        assert!(refused.status.code() == Some(1) && refused.stdout.is_empty(), "{said}");
        assert!(said.contains("`nope`") && said.contains("networks: eth"), "{said}");
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

/// What is measured and what is explained are one list, also where the test above sees no value.
#[test]
fn every_metric_of_the_sources_is_explained() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = 0;
    for room in
        ["runtime", "nodes", "ingest", "enrich", "enrich/src/causes", "aggregate", "alerts", "api", "store/src/sink"]
    {
        let file = match room.contains('/') {
            true => root.join(room).join("metrics.rs"),
            false => root.join(room).join("src/metrics.rs"),
        };
        let text = std::fs::read_to_string(&file).expect("metrics.rs");
        let (measured, explained) = text.split_once("pub fn describe()").expect("explanations");
        let names = |text: &str| {
            let quoted = text.split('"').filter(|part| part.starts_with("headwater_") && !part.contains(' '));
            quoted.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names(measured), names(explained), "{}", file.display());
        all += names(measured).len();
    }
    assert!(all > 50, "{all}");
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_key() {
    let node = node().await;
    let headwater = Headwater::new(&[Net::of("eth", &node)]);
    let taken = headwater.api.trim_start_matches("http://");
    let _holder = std::net::TcpListener::bind(taken).expect("free a moment ago");
    let output = tokio::task::spawn_blocking({
        let config = headwater.config.clone();
        move || run(&["up", "--config", &config.to_string_lossy()])
    })
    .await
    .expect("run");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(taken) && stderr(&output).contains("[api] listen"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused_by_name() {
    let node = node().await;
    let mut first = Headwater::new(&[Net::of("eth", &node)]);
    first.start();
    first.until("health", async |h| h.network("eth").await).await;
    let second = Headwater::new(&[Net::of("eth", &node)]);
    let text = std::fs::read_to_string(&second.config).expect("read");
    let shared = text.replace("dir = \"data\"", &format!("dir = \"{}\"", first.data().display()));
    std::fs::write(&second.config, shared).expect("write");
    let config = second.config.clone();
    let output =
        tokio::task::spawn_blocking(move || run(&["up", "--config", &config.to_string_lossy()])).await.expect("run");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains(&first.pid().to_string()), "names the holder: {}", stderr(&output));
    assert_eq!(first.stop(), Some(0), "{}", first.said());
}

#[tokio::test]
async fn a_wrong_chain_and_a_node_without_receipts_are_states_with_words_and_stop_no_other_network() {
    let (good, other) = (node().await, node().await);
    let bare = {
        let data = Dataset::embedded("ethereum").expect("embedded data");
        let faults = ["eth_getBlockReceipts", "eth_getTransactionReceipt"]
            .map(|method| Fault::always(FaultKind::NoMethod).on(method))
            .to_vec();
        spawn(Config { clock: Clock::Manual, history: 5, faults, ..Config::new(data) }).await.expect("simulator")
    };
    let mut headwater = Headwater::new(&[
        Net::of("good", &good),
        Net { chain_id: 5000, ..Net::of("wrong", &other) },
        Net::of("bare", &bare),
    ]);
    headwater.start();
    let head = good.canonical(good.head()..=good.head()).remove(0);
    headwater.until_visible("good", &head.hash.to_string()).await;
    for (slug, state, words) in [("wrong", "wrong_chain", "5000"), ("bare", "no_receipts", "receipts")] {
        // The recorded chain begins with a block without transactions, which needs no receipts; the sink tells it in its own time.
        let last = if slug == "bare" { Value::from(1) } else { Value::Null };
        let told = |n: &Value| n["state"] == state && (last.is_null() || !n["processed_height"].is_null());
        let network = headwater.until(state, async |h| h.network(slug).await.filter(told)).await;
        assert!(network["error"].as_str().is_some_and(|e| e.contains(words)), "{network}");
        assert_eq!(network["processed_height"], last, "nothing is inferred: {network}");
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
