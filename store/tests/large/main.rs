//! What is read of a store of ten million transactions, half of them in parts that no merge has touched: every question of the
//! API, the page and the sink has a bound on the rows that it may read, whatever the tables hold. A question that is new needs a line
//! here ([`every_question_has_a_bound`]). Beside them lies a week of windows of 50 networks with 200 contracts each, and
//! two months of alerts of two tenants, and two million transactions of a Bitcoin network.
//!
//! `HEADWATER_TEST_ROWS` makes it larger: the bounds stay.

#[path = "../sink/chain.rs"]
#[allow(dead_code)]
mod chain;
mod generate;
#[path = "../engine/harness.rs"]
#[allow(dead_code)]
mod harness;
mod of_alerts;
mod of_bitcoin;
mod of_windows;
mod questions;
#[path = "../sink/setup.rs"]
#[allow(dead_code)]
mod setup;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use generate::{Network, PER_BLOCK, fill, run};
use harness::Running;
use questions::Asked;
use store::{Store, StoreConfig};

/// Transactions, unless `HEADWATER_TEST_ROWS` says otherwise.
const ROWS: u64 = 10_000_000;

/// Questions that read everything by what they are: for checks, and not asked by the API, the page or the sink.
const OF_CHECKS: [&str; 1] = ["totals"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_reads_more_than_its_bound() {
    let engine = Running::start().await;
    let store = |user: &str, password: &str| {
        Store::connect(StoreConfig::new(engine.url.clone(), "headwater", user, password)).expect("a plain name")
    };
    let stages = store("headwater", engine.credentials.stages.expose());
    let rows = std::env::var("HEADWATER_TEST_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let blocks = rows / PER_BLOCK;
    let (a, b) = (Network { name: "a", blocks: blocks * 9 / 10 }, Network { name: "b", blocks: blocks / 10 });
    fill(&engine, &stages, a, b).await;
    let unmerged = "SELECT count() FROM system.parts WHERE table = 'evm_transaction_rows' AND active AND level = 0 AND rows <= 50000";
    assert!(
        run(&engine, unmerged, "").parse::<u64>().expect("a number") >= rows / 2 / 50_000,
        "half of it is not merged"
    );

    let api = store("api", engine.credentials.api.expose());
    let mut asked = Asked::new(&engine);
    questions::of_the_api(&mut asked, &api, a).await;
    questions::of_the_view(&mut asked, &engine, [a, b]);
    of_windows::all(&mut asked, &api, [a, b]).await;
    of_alerts::all(&mut asked, &stages, &api).await;
    questions::of_the_page(&mut asked, &api).await;
    questions::of_people(&mut asked, &engine);
    questions::of_the_sink(&mut asked, &stages).await;
    of_bitcoin::all(&mut asked, &api).await;
    asked.all_within_bounds();
    let names: BTreeSet<String> = asked.names().into_iter().chain(OF_CHECKS.map(str::to_owned)).collect();
    let without: Vec<String> = questions_of_the_store().into_iter().filter(|name| !names.contains(name)).collect();
    assert!(without.is_empty(), "questions without a bound: {without:?}; ask them in tests/large/questions.rs");
    engine.stop().await;
}

/// Every public question of `store::query`, by its function's name.
fn questions_of_the_store() -> BTreeSet<String> {
    let found: BTreeSet<String> = sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query"))
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.trim_start().strip_prefix("pub async fn ")?.split(['(', '<']).next())
        .map(str::to_owned)
        .collect();
    assert!(found.len() >= 15, "the questions are elsewhere: {found:?}");
    found
}

/// Every source file in `folder` and the folders in it, with its text.
fn sources_below(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn sources_are_read_from_folders_in_folders() {
    let read = sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/query"));
    for file in ["query/overview.rs", "query/by_rows/lines.rs"] {
        assert!(read.iter().any(|(path, text)| path.ends_with(file) && !text.is_empty()), "{file} was not read");
    }
}

/// Statements are made in the rooms that this test looks into, and nowhere else.
#[test]
fn every_question_has_a_bound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let mut strays = Vec::new();
    for (path, text) in ["api/src", "headwater/src"].iter().flat_map(|folder| sources_below(&root.join(folder))) {
        // A statement names a table or view of the store.
        let tables = ["_rows", "transactions", "blocks", "evm_logs", "block_events", "completeness"];
        let says = |line: &str| {
            line.split_once(" FROM ").is_some_and(|(before, rest)| {
                before.contains("SELECT") && tables.iter().any(|table| rest.contains(table))
            })
        };
        // The demo prints one for people to type.
        let shown = path.ends_with("demo.rs");
        strays
            .extend(text.lines().filter(|line| says(line) && !shown).map(|line| format!("{}: {line}", path.display())));
    }
    assert!(strays.is_empty(), "statements outside store/src: {strays:#?}");
}
