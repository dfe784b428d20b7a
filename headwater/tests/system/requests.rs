//! What operators ask, by the commands that they have: back-fill over a running process and without one, and ways on.

mod under_way;
mod ways;

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use loadtest::node::evm::{Config, Simulator};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::common::{Headwater, Net, binary, cluster::recorded_chain, expected, number};

/// Exit status, standard output and standard error.
pub type Told = (Option<i32>, String, String);

fn command(headwater: &Headwater, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).arg("--config").arg(&headwater.config).stdin(Stdio::null());
    command
}

/// Runs a command to its end while the test goes on.
pub async fn run(headwater: &Headwater, args: &[&str]) -> Told {
    let mut command = command(headwater, args);
    let output = tokio::task::spawn_blocking(move || command.output().expect("run headwater")).await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The same, asked anew until what the nodes call final has been heard, which takes some seconds.
pub async fn once_final(headwater: &Headwater, args: &[&str]) -> Told {
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        let told = run(headwater, args).await;
        if told.0 != Some(2) || Instant::now() > until {
            return told;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A chain of small blocks.
async fn chain(history: u64, finality_depth: u64) -> Simulator {
    recorded_chain("arbitrum", |c| Config { history, finality_depth, safe_depth: 1, ..c }).await
}

/// Of a network that begins at the head.
fn from_the_head(slug: &'static str, node: &Simulator) -> Net {
    Net { start: "latest".into(), ..Net::of(slug, node) }
}

async fn up_to_the_head(headwater: &mut Headwater, slug: &str, node: &Simulator) {
    let head = node.canonical(node.head()..=node.head()).remove(0);
    headwater.until_visible(slug, &head.hash.to_string()).await;
}

async fn list(headwater: &Headwater) -> Vec<Value> {
    let (code, told, said) = run(headwater, &["backfill", "list", "--format", "json"]).await;
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str::<Value>(&told).expect("JSON")["items"].as_array().expect("items").clone()
}

/// The state of a request in the list.
async fn state_of(headwater: &Headwater, id: &str) -> Option<String> {
    let items = list(headwater).await;
    items.iter().find(|i| i["id"] == id).map(|i| i["state"].as_str().expect("a word").to_owned())
}

/// The blocks that SQL shows are the chain's, from a height to its head.
async fn assert_blocks(headwater: &Headwater, slug: &str, node: &Simulator, from: u64) {
    let sql = format!("SELECT number, hash FROM blocks WHERE network = '{slug}' ORDER BY number");
    let rows = headwater.query(&sql).await.expect("blocks");
    let seen: Vec<(u64, String)> =
        rows.iter().map(|r| (number(r, "number"), r["hash"].as_str().expect("a hash").to_owned())).collect();
    let chain = node.canonical(from..=node.head());
    let chain: Vec<(u64, String)> = chain.iter().map(|b| (b.height, b.hash.to_string())).collect();
    assert_eq!(seen, chain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_filled_by_the_process_that_runs() {
    let node = chain(120, 4).await;
    let mut headwater = Headwater::new(&[from_the_head("eth", &node)]);
    headwater.start();
    up_to_the_head(&mut headwater, "eth", &node).await;
    let head = node.head();
    let fill = |more: &[&'static str]| [&["backfill", "--network", "eth"][..], more].concat();

    // What is impossible is refused in words, with nothing written.
    for (args, words) in [
        (vec!["backfill", "--network", "nobody", "--from", "1", "--to", "2"], "the configured networks: eth"),
        (fill(&["--from", "9", "--to", "8"]), "above --to 8"),
        (fill(&["--from", "1", "--to", "999"]), "the highest height of network `eth` that is final"),
        (vec!["backfill", "pause", "eth-1"], "no request has the id"),
        (vec!["backfill", "--network", "eth"], "--from"),
    ] {
        let (code, told, said) = run(&headwater, &args).await;
        assert!(code == Some(2) && told.is_empty() && said.contains(words), "{args:?}: {code:?} {told}{said}");
    }
    for (command, words) in [("accept-gap", "nothing to accept"), ("accept-reorg", "nothing to accept")] {
        let (code, _, said) = run(&headwater, &[command, "--network", "eth"]).await;
        assert!(code == Some(1) && said.contains(words), "{said}");
    }
    assert!(list(&headwater).await.is_empty());

    // Filled, with totals.
    let (code, told, said) = run(&headwater, &fill(&["--from", "1", "--to", "60"])).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(told.starts_with("heights 1 to 60 are filled: 60 blocks with "), "{told}");
    assert!(said.contains("Ctrl-C leaves it"), "{said}");
    let rows = headwater.query("SELECT count() AS n FROM blocks WHERE number <= 60").await.expect("blocks");
    assert_eq!(number(&rows[0], "n"), 60, "the rows are visible when the command has ended");
    let (code, told, said) = run(&headwater, &fill(&["--from", "10", "--to", "60"])).await;
    assert!(code == Some(0) && told.is_empty() && said.contains("held already"), "{told}{said}");
    let items = list(&headwater).await;
    assert_eq!((items.len(), &items[0]["state"], &items[0]["done"]), (1, &"done".into(), &60.into()), "{items:?}");

    // By its id, when it is over.
    let (code, told, said) = run(&headwater, &fill(&["--from", "61", "--to", "110", "--detach"])).await;
    assert_eq!(code, Some(0), "{said}");
    let id = told.trim().to_owned();
    assert!(id.starts_with("eth-") && said.contains(&format!("headwater backfill cancel {id}")), "{told}{said}");
    let end = Instant::now() + crate::common::PATIENCE;
    while state_of(&headwater, &id).await.as_deref() != Some("done") {
        assert!(Instant::now() < end, "{:?}", list(&headwater).await);
    }
    let (code, _, said) = run(&headwater, &["backfill", "cancel", &id]).await;
    assert!(code == Some(1) && said.contains("is over: done"), "{said}");
    let (code, told, _) = run(&headwater, &["backfill", "list"]).await;
    assert!(code == Some(0) && told.contains("61-110") && told.contains("50 of 50 (100 %)"), "{told}");

    let (code, told, said) = run(&headwater, &fill(&["--from", "111", "--to", "116"])).await;
    assert!(code == Some(0) && told.contains("111 to 116"), "{told}{said}");
    let filled = format!("SELECT max(number) AS n FROM blocks WHERE number < {head}");
    let top = number(&headwater.query(&filled).await.expect("blocks")[0], "n");
    assert_eq!(top, 116);
    expected::assert_gapless(&headwater, "eth").await;
    assert_eq!(headwater.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_process_the_command_runs_the_stages_and_a_kill_loses_nothing() {
    let node = chain(120, 1).await;
    let mut headwater = Headwater::new(&[from_the_head("eth", &node)]);
    let fill = ["backfill", "--network", "eth", "--from", "1", "--to", "120"];
    // Nothing is there that could keep it.
    let (code, _, said) = run(&headwater, &[&fill[..], &["--detach"]].concat()).await;
    assert!(code == Some(1) && said.contains("start `headwater up`"), "{said}");

    // Asked, and killed at once: it is kept.
    let mut child = command(&headwater, &fill).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    let lines = BufReader::new(child.stderr.take().expect("standard error")).lines();
    let mut said = lines.map(|line| line.expect("a line"));
    let line = said.find(|line| line.contains("is kept; Ctrl-C leaves it")).expect("the request's id");
    let id = line.split_whitespace().find(|word| word.starts_with("eth-")).expect("an id").to_owned();
    child.kill().expect("kill");
    child.wait().expect("wait");
    std::thread::spawn(move || said.for_each(drop));
    let items = list(&headwater).await;
    assert!(items.iter().any(|i| i["id"] == id.as_str()), "{items:?}");

    // Interrupted: it stops in an orderly way and says where it is.
    let mut interrupted =
        command(&headwater, &fill).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start");
    let mut said = BufReader::new(interrupted.stderr.take().expect("standard error")).lines();
    let mut words = String::new();
    let full = loop {
        let Some(line) = said.next() else { break true };
        words += &(line.expect("a line") + "\n");
        if words.contains("following") {
            break false;
        }
    };
    if !full {
        let pid = Pid::from_raw(i32::try_from(interrupted.id()).expect("pid")).expect("pid");
        rustix::process::kill_process(pid, Signal::INT).expect("signal");
    }
    words += &said.map(|line| line.expect("a line") + "\n").collect::<String>();
    let code = interrupted.wait().expect("wait").code();
    // On a fast machine it may be full before the signal comes.
    assert!(code == Some(0) || code == Some(1) && words.contains("is kept"), "{code:?} {words}");

    let (code, told, said) = run(&headwater, &fill).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(told.contains("heights 1 to 120 are filled") || said.contains("held already"), "{told}{said}");
    headwater.start();
    node.advance(1).expect("advance");
    up_to_the_head(&mut headwater, "eth", &node).await;
    assert_blocks(&headwater, "eth", &node, 1).await;
    expected::assert_gapless(&headwater, "eth").await;
    assert_eq!(headwater.stop(), Some(0));
}
