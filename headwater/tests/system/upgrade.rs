//! Data directories that the version of commit 4a4a403 wrote (`headwater/tests/data/upgrade`) are opened by this one: every row and
//! record as before, sequences gapless, the chains followed on; also when the upgrade itself is killed again and again. What is of no
//! known format is refused before anything is touched. And what that version had in topics is read over Kafka.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use runtime::log::{
    Log as _, NewRecord, TopicPartition, Transaction,
    conformance::read_all,
    embedded::{EmbeddedConfig, EmbeddedLog},
    kafka::{KafkaConfig, KafkaLog},
};
use schemas::topics::{self, TopicSpec};
use serde_json::Value;

use crate::common::{
    Headwater, PATIENCE, binary,
    cluster::{Cluster, brokers, servers},
    expected,
    former::Former,
    number, tail,
};

/// Topics of that version.
const TOPICS: [TopicSpec; 9] = [
    topics::RAW_BLOCKS,
    topics::RAW_TRANSACTIONS,
    topics::INGEST_CHECKPOINTS,
    topics::INGEST_STATUS,
    topics::ENRICHED_TRANSACTIONS,
    topics::ENRICHED_BLOCKS,
    topics::ENRICH_STATUS,
    topics::CONTROL_CONFIG,
    topics::DEAD_LETTERS,
];

/// Every chain's head is visible, and every row is the chain's.
async fn assert_whole(headwater: &mut Headwater, former: &Former) {
    for (slug, node) in &former.nodes {
        let head = node.canonical(node.head()..=node.head()).remove(0);
        headwater.until_visible(slug, &head.hash.to_string()).await;
        expected::assert_canonical(headwater, slug, node).await;
    }
}

/// The chains grow, fork and grow.
async fn assert_goes_on(headwater: &mut Headwater, former: &Former) {
    for (_, node) in &former.nodes {
        node.advance(2).expect("advance");
    }
    assert_whole(headwater, former).await;
    for (_, node) in &former.nodes {
        // Across what the former version wrote.
        node.fork_and_advance(4, 1).expect("fork");
    }
    assert_whole(headwater, former).await;
}

/// Lines of an answer in SQL.
async fn ask(headwater: &Headwater, sql: &str) -> Vec<String> {
    let rows = headwater.query(&format!("{sql} FORMAT JSONCompactEachRow")).await;
    let cell = |value: &Value| match value {
        Value::Null => "\\N".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |row: Value| row.as_array().expect("a row").iter().map(cell).collect::<Vec<_>>().join("\t");
    rows.unwrap_or_else(|e| panic!("{sql}: {e}")).into_iter().map(line).collect()
}

/// Waits until no table of the former layout is left.
async fn until_upgraded(headwater: &mut Headwater) {
    let upgraded = async |h: &Headwater| h.said().contains(DONE).then_some(());
    headwater.until("the upgrade", upgraded).await;
}

/// Every record of a topic, decoded by `tail`.
fn records(config: &Path, topic: TopicSpec) -> Vec<Value> {
    let output = Command::new(binary()).args(["tail", topic.name, "--config"]).arg(config).output().expect("tail");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", topic.name);
    let lines = String::from_utf8(output.stdout).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stopped_is_opened_and_says_what_it_said() {
    let former = Former::unpack("stopped").await;
    let mut headwater = former.headwater();
    // Read from the files, before this version writes anything: every kind of record that there is.
    let mut held = 0;
    for topic in TOPICS {
        let records = records(&headwater.config, topic);
        assert!(records.iter().all(|r| !r["value"].is_null() && r["error"].is_null()), "{}: {records:?}", topic.name);
        held += records.len();
    }
    assert!(held > 500, "{held} records: too little in the directory");

    headwater.start();
    until_upgraded(&mut headwater).await;
    assert_whole(&mut headwater, &former).await;
    let answers = former.answers();
    assert!(answers.len() > 4 && answers.iter().all(|a| !a.lines.is_empty()), "too little in expected.json");
    for answer in &answers {
        assert_eq!(ask(&headwater, &answer.sql).await, answer.lines, "{}", answer.sql);
    }
    for (slug, _) in &former.nodes {
        let ranges = headwater.get(&format!("/networks/{slug}/completeness")).await.expect("completeness");
        let ranges = ranges["ranges"].as_array().expect("ranges").clone();
        assert!(ranges.len() == 1 && ranges[0]["complete"] == true, "{ranges:?}");
    }
    assert_goes_on(&mut headwater, &former).await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
    // Opened a second time there is nothing to do.
    let before = headwater.said().len();
    headwater.start();
    assert_whole(&mut headwater, &former).await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
    assert!(!headwater.said()[before..].contains("former version"), "{}", &headwater.said()[before..]);
}

const COPYING: &str = "rows are copied into today's";
const DONE: &str = "the store is upgraded";

/// What standard error says at the moments when the process is killed, in this order.
const MOMENTS: [&str; 7] = [
    "migrating the store number=12",
    "migrating the store number=24",
    "migrating the store number=29",
    "migrating the store number=33",
    "migrating the store number=45",
    COPYING,
    "upgrading the store: ",
];

/// Starts the process and kills it at each of these moments; how often that was while rows were being copied.
async fn cut_off(headwater: &mut Headwater) -> usize {
    let (mut seen, mut copying) = (0, 0);
    for moment in MOMENTS {
        headwater.start();
        let started = Instant::now();
        loop {
            let said = headwater.said();
            if said[seen..].contains(moment) || said[seen..].contains(DONE) {
                break;
            }
            // A moment is missed where a former life has gone further than its last line; then it comes to the end.
            if started.elapsed() > Duration::from_secs(5)
                && headwater.get("/health").await.is_ok_and(|health| health["status"] == "ok")
            {
                return copying;
            }
            assert!(headwater.ended().is_none(), "ended by itself before {moment:?}:\n{}", tail(&said));
            assert!(started.elapsed() < PATIENCE, "{moment:?} was not said:\n{}", tail(&said));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        headwater.kill();
        let said = headwater.said();
        copying += usize::from(said[seen..].contains(COPYING) && !said[seen..].contains(DONE));
        if said.contains(DONE) {
            return copying;
        }
        seen = said.len();
    }
    copying
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_killed_is_opened_though_the_upgrade_is_killed_again_and_again() {
    let mut tries = 0;
    let (former, mut headwater) = loop {
        let former = Former::unpack("killed").await;
        let mut headwater = former.headwater();
        // On a machine that is very busy the copy may be over before it is noticed that it began.
        if cut_off(&mut headwater).await > 0 {
            break (former, headwater);
        }
        tries += 1;
        assert!(tries < 5, "it was never killed while rows were copied:\n{}", tail(&headwater.said()));
    };
    let answer = former.answers().into_iter().find(|a| a.sql.contains("block_events")).expect("events");
    headwater.start();
    // The heads were never in the store of the former version: what is written behind the copy is visible when the copy is whole.
    assert_whole(&mut headwater, &former).await;
    // What the former version had shown stands, in the same order; what it had only in its log when it was killed follows.
    let events = ask(&headwater, &answer.sql).await;
    for slug in former.nodes.iter().map(|(slug, _)| format!("{slug}\t")) {
        let of = |lines: &[String]| lines.iter().filter(|l| l.starts_with(&slug)).cloned().collect::<Vec<_>>();
        let (now, then) = (of(&events), of(&answer.lines));
        assert!(!then.is_empty() && now.len() > then.len(), "{slug}: {} events, then {}", now.len(), then.len());
        assert_eq!(now[..then.len()], then, "{slug}");
    }
    assert_goes_on(&mut headwater, &former).await;
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_no_known_format_is_refused_before_anything_is_touched() {
    let former = Former::unpack("stopped").await;
    let mut headwater = former.headwater();
    for (part, text, words) in [
        ("log", "2\n", "run the newer version, or use another [data] dir"),
        ("log", "0\n", "never was released"),
        ("log", "of the future\n", "does not hold a format number"),
        ("store", "2\n", "run the newer release again, or use another [data] dir"),
        ("store", "0\n", "never released"),
        ("store", "of the future\n", "it should hold a version number"),
    ] {
        let file = headwater.data().join(part).join("FORMAT");
        let right = std::fs::read(&file).expect("FORMAT");
        std::fs::write(&file, text).expect("write");
        let journal = headwater.data().join("log/engine/0.jnl");
        let before = std::fs::read(&journal).expect("the log's journal");
        let output = Command::new(binary()).args(["up", "--config"]).arg(&headwater.config).output().expect("up");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{part} {text:?}: {said}");
        assert!(said.contains(words) && said.contains(part), "{part} {text:?}: {said}");
        assert!(
            std::fs::read(&journal).expect("the log's journal") == before,
            "{part} {text:?}: the log was written to"
        );
        std::fs::write(&file, right).expect("write");
    }
    // A database of a later version, in a folder whose format is known.
    headwater.start();
    until_upgraded(&mut headwater).await;
    assert_whole(&mut headwater, &former).await;
    let client = reqwest::Client::new();
    let password = headwater.stages_password(|| headwater.said()).await;
    let later = "INSERT INTO headwater.schema_migrations VALUES (9999, 'later', now64(3, 'UTC'))";
    let asked = client.post(&headwater.sql).basic_auth("headwater", Some(&password)).body(later).send().await;
    let answer = asked.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.text().await.expect("text"));
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
    let before = headwater.said().len();
    headwater.start();
    let code = headwater.until_ended("the refusal").await;
    let said = headwater.said().split_off(before);
    assert!(code == Some(1) && said.contains("run the newer program"), "{code:?}: {said}");
}

/// The records of one topic of the recorded log, for the same partition of another one.
async fn copies(log: &EmbeddedLog, topic: TopicSpec) -> Vec<NewRecord> {
    let mut copies = Vec::new();
    for partition in 0..log.partitions(topic.name).await.expect("partitions") {
        let at = TopicPartition { topic: topic.name, partition };
        for record in read_all(log, at).await.expect("records") {
            copies.push(NewRecord { to: at, key: record.key, value: record.value, headers: record.headers });
        }
    }
    copies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_topics_is_followed_on_over_kafka() {
    let Some(servers) = servers("what_was_in_topics_is_followed_on_over_kafka") else { return };
    let former = Former::unpack("killed").await;
    let mut cluster = Cluster::new(&former.nets(), &servers).await;
    // Ids of schemas are those of the built-in registry, which is what that version used where none was configured.
    let text = std::fs::read_to_string(&cluster.config).expect("read");
    let registry = format!("schema_registry = \"{}\"\n", servers.1);
    assert!(text.contains(&registry), "{text}");
    std::fs::write(&cluster.config, text.replace(&registry, "partitions = 8\n")).expect("write");
    let (code, _, said) = cluster.run(&["topics", "apply"]);
    assert_eq!(code, Some(0), "{said}");

    let old = EmbeddedLog::open(EmbeddedConfig::new(former.data().join("log"))).await.expect("the recorded log");
    let replication = i32::try_from(brokers()).expect("few brokers");
    let config = KafkaConfig { prefix: cluster.prefix.clone(), replication, ..KafkaConfig::new(&servers.0) };
    let kafka = KafkaLog::connect(config).await.expect("Kafka");
    kafka.ensure_topics(&[topics::INGEST_STATUS, topics::ENRICH_STATUS], 8).await.expect("topics of that version");
    let mut producer = kafka.producer("former").await.expect("a producer");
    for topic in TOPICS {
        let records = copies(&old, topic).await;
        if !records.is_empty() {
            producer.commit(Transaction { records, offsets: None }).await.expect("a commit");
        }
    }
    drop(producer);
    old.close().await.expect("closed");

    for stage in ["ingest-1", "enrich-1", "sink-1", "api-1"] {
        cluster.stage(stage);
    }
    for round in 0..2 {
        for (slug, node) in &former.nodes {
            if round == 1 {
                node.fork_and_advance(4, 1).expect("fork");
            }
            cluster.until_visible(slug, node).await;
            expected::assert_canonical(&cluster.headwater, slug, node).await;
        }
    }
    let events = "SELECT count() AS n FROM block_events WHERE op = 'revert'";
    let reverts = cluster.headwater.query(events).await.expect("events");
    assert!(number(&reverts[0], "n") > 8, "{reverts:?}");
}
