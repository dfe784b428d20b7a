//! The views show of recorded blocks what they showed when the tables had the former layout: every column of every view, row by row.
//!
//! `shown.tsv` holds, for each column, the rows and a checksum over their texts, by the program of 7a61b88 (tables of text, migrations
//! up to 23), made by this very test with `HEADWATER_SHOWN_TO=FILE`, which writes instead of comparing; but for
//! `event` and `arguments` of logs, of which more is decoded since, and with names, and for the parts of Arbitrum's fees, of which the
//! one for L1 is told apart since, and for the class of transactions that used up their gas, which is called `gas_limit` since. With `HEADWATER_DATA` too,
//! the same can be done with other recorded blocks, before and after a change.

use std::{collections::BTreeMap, fmt::Write};

use store::Store;

use crate::{
    harness::Running,
    recorded::{event, recorded},
    setup::{RunningSink, TestLog, rows, store_in, until_processed},
};

const FORMER: &str = include_str!("shown.tsv");

/// Views, and what tells their rows apart.
const VIEWS: [(&str, &str); 6] = [
    ("blocks", "network, number"),
    ("block_events", "network, sequence"),
    ("transactions", "network, block_number, transaction_index"),
    ("evm_transactions", "network, block_number, transaction_index"),
    ("evm_logs", "network, block_number, transaction_index, log_index"),
    ("completeness", "network, from_number"),
];

/// A line for each column of each view.
async fn shown(engine: &Running, store: &Store) -> String {
    let mut shown = String::new();
    for (view, key) in VIEWS {
        let columns = format!(
            "SELECT name, type FROM system.columns WHERE database = '{}' AND table = '{view}' \
             AND name NOT IN ('observed_at', 'stored_at') ORDER BY position",
            store.database()
        );
        for (name, kind) in rows::<(String, String)>(engine, store, &columns).await {
            let sql = format!("SELECT count(), sum(sipHash64(ifNull(toString(`{name}`), '\\0'), {key})) FROM {view}");
            let (count, checksum) = rows::<(u64, u64)>(engine, store, &sql).await[0];
            writeln!(shown, "{view}\t{name}\t{kind}\t{count}\t{checksum}").expect("text");
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_show_what_they_showed_in_the_former_layout() {
    let engine = Running::start().await;
    let store = store_in(&engine, "shown");
    let log = TestLog::open().await;
    let sink = RunningSink::start(&store, &log);
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    for r in &recorded() {
        let sequence = sequences.entry(r.chain.clone()).or_default();
        *sequence += 1;
        log.publish(&[event(r, *sequence)]).await;
    }
    for (chain, sequence) in &sequences {
        until_processed(&store, &chain.parse().expect("a slug"), *sequence).await;
    }
    sink.stop().await.expect("a clean end");
    let shown = shown(&engine, &store).await;
    if let Some(to) = std::env::var_os("HEADWATER_SHOWN_TO") {
        std::fs::write(to, shown).expect("a file");
    } else if std::env::var_os("HEADWATER_DATA").is_none() {
        let now: Vec<&str> = shown.lines().collect();
        let lost: Vec<&str> = FORMER.lines().filter(|line| !now.contains(line)).collect();
        let rows: usize = FORMER.lines().filter_map(|line| line.split('\t').nth(3)?.parse::<usize>().ok()).sum();
        assert!(FORMER.lines().count() > 200 && rows > 100_000, "{} lines, {rows} rows", FORMER.lines().count());
        assert!(lost.is_empty(), "shown otherwise than before:\n{}\nnow:\n{shown}", lost.join("\n"));
    }
    engine.stop().await;
}
