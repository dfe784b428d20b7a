//! `compose/` says only what these binaries do: its command lines, configurations and names (`scripts/check-compose`); and the health
//! check of the image tells a process that lives from one that does not.

use std::{
    path::Path,
    process::{Command, Output},
};

use crate::common::{Headwater, binary};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Copies what the check looks at, so that a mistake can be made in it.
fn copy(to: &Path) {
    let mut copy = Command::new("cp");
    copy.args(["-r", "--parents", "compose", "scripts", "dashboard/package.json", "docs/clients.md"])
        .arg(to)
        .current_dir(root());
    let status = copy.status().expect("cp");
    assert!(status.success());
}

#[test]
#[allow(clippy::print_stderr)]
fn the_files_for_containers_say_what_is_there() {
    let loadtest = Path::new(binary()).with_file_name("loadtest");
    if !loadtest.is_file() && std::env::var_os("CI").is_none() {
        eprintln!("SKIPPED the_files_for_containers_say_what_is_there: {} is not built", loadtest.display());
        return;
    }
    let check = |at: &Path| {
        Command::new(at.join("scripts/check-compose")).arg(binary()).arg(&loadtest).output().expect("Python 3")
    };
    let output = check(root());
    if output.status.code() == Some(3) && std::env::var_os("CI").is_none() {
        eprintln!("SKIPPED the_files_for_containers_say_what_is_there: {}", said(&output));
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    // It finds what it is there for.
    for (file, right, wrong, words) in [
        ("docker-compose.yml", "command: [sink]", "command: [sync]", "`headwater sync` is not taken"),
        ("docker-compose.yml", "--fork, \"2\"", "--fork, deep", "is not taken"),
        ("docker-compose.yml", "\"127.0.0.1:${HEADWATER_PORT:-8080}:8080\"", "\"8080:8080\"", "beyond this machine"),
        ("docker-compose.yml", "\n  clickhouse: {}\n", "\n", "volume clickhouse"),
        ("docker-compose.yml", "node, core,", "node, coin,", "is not taken"),
        ("stages.toml", "kafka:9092", "kaffka:9092", "kaffka is no service"),
        ("stages.toml", "node-bitcoin:50001", "node-bitcoin:50002", "nothing listens on node-bitcoin:50002"),
        ("headwater.toml", "chain = \"regtest\"", "chain = \"regetst\"", "headwater.toml:"),
        ("headwater.toml", "start = 1", "begin = 1", "headwater.toml:"),
        (
            "clickhouse/users.sh",
            "headwater_tenants.* TO api",
            "headwater_tenants.* TO analyst",
            "clickhouse/users.sh lacks",
        ),
        ("Dockerfile", "USER 10001:10001", "USER root", "run by root"),
        ("Dockerfile", "\"healthz\"", "\"healthy\"", "HEALTHCHECK"),
    ] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        copy(dir.path());
        let path = dir.path().join("compose").join(file);
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.contains(right), "{file} has no {right}");
        std::fs::write(&path, text.replacen(right, wrong, 1)).expect("write");
        let output = check(dir.path());
        assert!(output.status.code() == Some(1) && said(&output).contains(words), "{wrong}: {}", said(&output));
    }
}

#[tokio::test]
async fn the_health_check_of_the_image_tells_who_lives() {
    let mut headwater = Headwater::new(&[]);
    let config = headwater.config.clone();
    let healthz = |more: &[&str]| {
        Command::new(binary()).arg("healthz").args(more).arg("--config").arg(&config).output().expect("healthz")
    };
    let dead = healthz(&[]);
    assert!(dead.status.code() == Some(1) && said(&dead).contains("[admin] listen"), "{}", said(&dead));
    headwater.start();
    headwater.until("readiness", async |_| healthz(&["--ready"]).status.success().then_some(())).await;
    let alive = healthz(&[]);
    assert!(alive.status.success() && alive.stdout.is_empty() && alive.stderr.is_empty(), "{alive:?}");
    // A process that lives and cannot work: alive, not ready, and it says why.
    let store = headwater.data().join("store");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
    std::fs::rename(store.join("engine"), store.join("kept")).expect("rename");
    std::fs::write(store.join("engine"), "no folder").expect("write");
    headwater.start();
    headwater.until("life", async |_| healthz(&[]).status.success().then_some(())).await;
    let unready = healthz(&["--ready"]);
    assert!(unready.status.code() == Some(1) && said(&unready).contains("store"), "{}", said(&unready));
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
