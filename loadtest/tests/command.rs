//! The simulated node as a process: its URL on standard output, orders by JSON-RPC, killed and started again.

mod common;

use common::{call, folder};
use loadtest::node::evm::Canonical;
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A node that forks on a schedule, and the lines that it prints.
async fn start<const LINES: usize>(arguments: &[&str], origin: &Path) -> (Child, [String; LINES]) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .arg("node")
        .args(arguments)
        .args(["--rate", "0", "--history", "50", "--seed", "4", "--fork", "3", "--every", "20", "--origin"])
        .arg(origin)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut printed = [const { String::new() }; LINES];
    for line in &mut printed {
        *line = lines.next_line().await.expect("readable").expect("a line");
    }
    (child, printed)
}

/// Ends it as a supervisor does.
async fn terminate(mut child: Child) {
    let pid = rustix::process::Pid::from_raw(child.id().expect("running").cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    assert!(child.wait().await.expect("ended").success(), "SIGTERM ends it cleanly");
}

async fn canonical(url: &str) -> Vec<Canonical> {
    serde_json::from_value(call(url, "sim_canonical", json!([])).await).expect("a list")
}

#[tokio::test]
async fn a_killed_node_continues_its_chain() {
    let dir = tempfile::tempdir().expect("a folder");
    let origin = dir.path().join("origin.json");
    let data = folder("optimism");
    let arguments = ["evm", "--data", data.to_str().expect("text")];
    let (mut child, [url]) = start(&arguments, &origin).await;
    call(&url, "sim_advance", json!([13])).await;
    call(&url, "sim_fork", json!([10, 1])).await;
    let before = canonical(&url).await;
    assert_eq!(before.len(), 65);
    assert!(before.iter().any(|block| block.version > 1), "both kinds of fork meet");
    child.kill().await.expect("killed");

    let (child, [url]) = start(&arguments, &origin).await;
    assert_eq!(canonical(&url).await, before);
    terminate(child).await;
}

#[tokio::test]
async fn a_killed_bitcoin_node_continues_its_chain() {
    let dir = tempfile::tempdir().expect("a folder");
    let origin = dir.path().join("origin.json");
    let arguments = ["core", "--endpoint", "server,kind=electrum,protocol=1.4"];
    let (mut child, [url, server]) = start(&arguments, &origin).await;
    assert!(server.starts_with("server tcp://127.0.0.1:"), "{server}");
    call(&url, "sim_advance", json!([13])).await;
    call(&url, "sim_fork", json!([10, 1])).await;
    let before = call(&url, "sim_canonical", json!([])).await;
    assert_eq!(before.as_array().expect("a list").len(), 66);
    child.kill().await.expect("killed");

    let (child, [url, _]) = start(&arguments, &origin).await;
    assert_eq!(call(&url, "sim_canonical", json!([])).await, before);
    terminate(child).await;
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    for (arguments, say) in [
        (vec!["node", "evm"], "--data"),
        (vec!["node", "evm", "--embedded", "ethereum", "--fork", "3"], "--every"),
        (vec!["node", "evm", "--embedded", "ethereum", "--fault", "gone"], "null-receipts"),
        (vec!["node", "evm", "--embedded", "nowhere"], "polygon"),
        (vec!["node", "core", "--embedded", "nowhere"], "small"),
        (vec!["node", "electrum", "--fault", "gone"], "README"),
        (vec!["node", "core", "--endpoint", "a,kind=esplora"], "kind=core|electrum"),
        (vec!["node", "core", "--embedded", "first", "--fork", "1", "--every", "5"], "recorded chain"),
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_loadtest")).args(&arguments).output().await.expect("the program");
        assert!(!done.status.success());
        let text = String::from_utf8_lossy(&done.stderr);
        assert!(text.contains(say), "{arguments:?}: {text}");
    }
}
