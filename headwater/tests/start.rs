//! What people meet first: exit codes and messages, each naming what is wrong and what to do.

mod common;

use std::process::{Command, Output};

use common::{Headwater, Net, binary};
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
        let network = headwater.until(state, async |h| h.network(slug).await.filter(|n| n["state"] == state)).await;
        assert!(network["error"].as_str().is_some_and(|e| e.contains(words)), "{network}");
        // The recorded chain begins with a block without transactions, which needs no receipts.
        let last = if slug == "bare" { Value::from(1) } else { Value::Null };
        assert_eq!(network["processed_height"], last, "nothing is inferred: {network}");
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
