//! A letter whose bytes are gone: what is told instead of a replay is a command that brings the block.

use std::process::Command;

use loadtest::node::bitcoin::EndpointConfig;
use runtime::log::{
    Log as _, NewRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    Codec, Record as _, TimeMs,
    records::{DeadLetter, dead_letter::reason},
    topics,
};

use super::{assert_rows, chain, headwater, network, tip};
use crate::common::{Headwater, binary, number};

/// A height that is final: the head is more than a hundred blocks above.
const HEIGHT: u64 = 20;

/// Runs a command; its exit code and what it says.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary()).args(arguments).output().expect("headwater");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Writes what ingest does of a transaction that is too large even for the dead letters.
async fn bury(headwater: &Headwater, sequence: u64) {
    let log = EmbeddedLog::open(EmbeddedConfig::new(headwater.data().join("log"))).await.expect("a log");
    let letter = DeadLetter {
        source_topic: topics::RAW_TRANSACTIONS.name.into(),
        source_partition: 0,
        source_offset: None,
        stage: "ingest".into(),
        network: Some("btc".parse().expect("a slug")),
        sequence: Some(sequence),
        index: Some(9_999), // of which there is no row,
        reason: reason::TOO_LARGE.into(),
        error: "too large to be kept".into(),
        key: None,
        value: None,
        failed_at: TimeMs::now(),
    };
    let record = NewRecord {
        to: TopicPartition { topic: topics::DEAD_LETTERS.name, partition: 0 },
        key: Some(letter.key().into()),
        value: Some(Codec::builtin().encode(&letter).expect("a record")),
        headers: letter.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
    };
    let mut producer = log.producer("test").await.expect("a producer");
    producer.commit(Transaction { records: vec![record], offsets: None }).await.expect("a commit");
    drop(producer);
    log.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_that_a_refusal_names_brings_the_block_again() {
    let node = chain(vec![EndpointConfig::core("core")], 130).await;
    let mut headwater = headwater(&[network("btc", &node, "")]);
    headwater.start();
    headwater.until_visible("btc", &tip(&node)).await;
    let sql = format!("SELECT sequence FROM block_events WHERE network = 'btc' AND height = {HEIGHT} AND op = 'apply'");
    let sequence = number(&headwater.query(&sql).await.expect("events")[0], "sequence");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
    bury(&headwater, sequence).await;
    headwater.start();
    headwater.until_visible("btc", &tip(&node)).await;

    let config = headwater.config.to_str().expect("a path").to_owned();
    let replay = || run(&["dead-letters", "replay", "--config", &config]);
    let (code, told, said) = replay();
    assert!(code == Some(1) && told.contains("\trefused\t"), "{told}{said}");
    let command = told.split('`').find(|words| words.starts_with("headwater backfill ")).expect("a command");
    let words = command.split(' ').skip(1).map(|word| if word == "FILE" { config.as_str() } else { word });
    let (code, filled, said) = run(&words.collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{command}: {filled}{said}");

    // The block came again, every row once, and nothing is missing any more.
    let sql = format!("SELECT origin, sequence FROM blocks WHERE network = 'btc' AND number = {HEIGHT}");
    let rows = headwater.query(&sql).await.expect("blocks");
    assert!(rows.len() == 1 && rows[0]["origin"] == "backfill" && number(&rows[0], "sequence") > sequence, "{rows:?}");
    let (code, told, said) = replay();
    assert!(code == Some(0) && told.contains("\treverted\t"), "{told}{said}");
    assert_rows(&headwater, "btc", &node).await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
