//! The stages against a broker that wants TLS and a login and allows nothing by itself: each under a user of its own with exactly
//! the rights that `headwater topics acls` prints.
//!
//! Shown: with these rights everything flows, nothing is refused, and every right of the list is asked for (the broker's audit log
//! says which); what is refused (certificate, password, any right) is told with who, what and the command that grants it, no
//! password is ever printed; a stage that loses a right while it runs waits without spinning, goes on when it has it again, and
//! nothing is lost.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::common::{
    Net,
    acls::{self, Acl},
    expected,
    secure::{Broker, Cluster, PASSWORD, STAGES, chain, told},
};
use runtime::log::{Log as _, NewRecord, PollLimits, Polled, TopicPartition, Transaction, kafka::KafkaLog};
use schemas::{Codec, headers::ChainHeaders, records::EnrichedBlock, topics};

/// Runs them beside each other: each with the exit code and the words that are expected of it.
fn refused(cases: Vec<(Command, i32, Vec<String>)>, password: &str) {
    let started: Vec<_> = cases
        .into_iter()
        .map(|(mut command, code, words)| {
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start headwater");
            (format!("{command:?}"), child, code, words)
        })
        .collect();
    for (what, child, code, words) in started {
        let output = child.wait_with_output().expect("wait");
        let said = told(&output);
        assert_eq!(output.status.code(), Some(code), "{what}:\n{said}");
        let last = said.lines().last().unwrap_or_default();
        for word in &words {
            assert!(said.contains(word.as_str()), "{what} does not say `{word}`:\n{last}");
        }
        assert!(!said.contains(password), "{what} printed the password:\n{said}");
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

/// How a refusal of a right is told.
fn lacks(acl: &Acl) -> Vec<String> {
    let flag = format!("--{} {}", acl.kind, acl.name);
    vec!["lacks ".into(), "kafka-acls --bootstrap-server".into(), format!("--allow-principal {}", acl.principal), flag]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn stages_run_with_least_privileges_and_say_what_is_refused() {
    let Some(broker) = Broker::start("stages_run_with_least_privileges_and_say_what_is_refused") else { return };
    let started = Instant::now();
    let passed = |phase: &str| eprintln!("  {phase} ({:?})", started.elapsed());
    let admin = broker.admin().to_owned();
    let node = chain().await;
    let mut cluster = Cluster::new(broker, &[Net::of("eth", &node)]).await;
    let password = cluster.broker.env["PASSWORD"].clone();
    let prefix = cluster.prefix.clone();
    let name = |topic: topics::TopicSpec| format!("{prefix}{}", topic.name);

    // Who cannot come in.
    let mut wrong = cluster.as_user("topics-diff", &["topics", "diff"]);
    wrong.env(PASSWORD, format!("not-{password}"));
    let mut wrong_stage = cluster.as_stage("sink");
    wrong_stage.env(PASSWORD, format!("not-{password}"));
    let other_ca = format!("\"ssl.ca.location\" = \"{}\"\n", cluster.broker.env["CA"]);
    let untrusting = cluster.changed("tail", "untrusting", &other_ca, "");
    let plain = cluster.changed("tail", "plain", "SASL_SSL", "SASL_PLAINTEXT");
    let typo = cluster.changed("tail", "typo", "sasl.password", "sasl.pasword");
    let no_login = cluster.changed("tail", "no-login", "\"security.protocol\" = \"SASL_SSL\"\n", "");
    let with = |file: &Path, args: &[&str]| {
        let mut command = cluster.command(args);
        command.arg("--config").arg(file);
        command
    };
    refused(
        vec![
            (wrong, 1, words(&["invalid credentials", "User:topics-diff with SCRAM-SHA-512", "\"sasl.password\""])),
            (wrong_stage, 1, words(&["User:sink with PLAIN", "\"sasl.password\""])),
            (
                with(&untrusting, &["tail", "raw.blocks"]),
                1,
                words(&["certificate verify failed", "\"ssl.ca.location\""]),
            ),
            (with(&plain, &["tail", "raw.blocks"]), 1, words(&["cannot reach the brokers", "security.protocol"])),
            (with(&typo, &["check"]), 78, words(&["log.properties.sasl.pasword", "No such configuration property"])),
            (with(&no_login, &["check"]), 78, words(&["has no effect without SASL"])),
        ],
        &password,
    );

    passed("who cannot come in");
    // Who comes in and may do nothing.
    let mut cases: Vec<_> = STAGES
        .iter()
        .map(|stage| {
            let who = format!("kafka-acls --bootstrap-server {}", cluster.broker.env["KAFKA"]);
            let whom = format!("--allow-principal User:{stage} --operation");
            (
                cluster.as_stage(stage),
                1,
                vec![format!("User:{stage} lacks"), who, whom, format!("--topic {}", cluster.prefix)],
            )
        })
        .collect();
    for (user, args, what) in [
        ("topics-apply", &["topics", "apply"][..], "lacks Describe on topic"),
        ("topics-diff", &["topics", "diff"], "lacks Describe on topic"),
        ("tail", &["tail", "raw.blocks"], "on topic"),
        ("dead-letters", &["dead-letters", "list"], "on topic"),
    ] {
        cases.push((cluster.as_user(user, args), 1, vec![what.to_owned(), format!("--allow-principal User:{user}")]));
    }
    refused(cases, &password);

    passed("who may do nothing");
    // Topics: one right is not enough, then all are; partitions and properties are put right too.
    let missing = |acls: &[Acl], operation: &str| -> Vec<Acl> {
        acls.iter().filter(|a| a.operation != operation).cloned().collect()
    };
    let (apply, diff) = (cluster.acls("topics-apply", "topics-apply"), cluster.acls("topics-diff", "topics-diff"));
    acls::grant(&admin, &missing(&apply, "Create"));
    acls::grant(&admin, &diff);
    tokio::time::sleep(SETTLED).await;
    refused(
        vec![(cluster.as_user("topics-apply", &["topics", "apply"]), 1, words(&["lacks Create on topic"]))],
        &password,
    );
    let begun = cluster.broker.audit().len();
    acls::grant(&admin, &apply);
    tokio::time::sleep(SETTLED).await;
    let run = |user: &str, args: &[&str]| cluster.as_user(user, args).output().expect("run headwater");
    let applied = run("topics-apply", &["topics", "apply"]);
    assert!(applied.status.success(), "{}", told(&applied));
    let log = cluster.super_user().await;
    let short = topics::TopicSpec { retention: Some(Duration::from_secs(3600)), ..topics::RAW_BLOCKS };
    log.apply_topics(&[short], Some(1)).await.expect("another retention");
    for user in ["topics-apply", "topics-diff"] {
        let config = cluster.config(user);
        let text = std::fs::read_to_string(&config).expect("read").replace("partitions = 1", "partitions = 2");
        std::fs::write(&config, text).expect("write");
    }
    let differs = run("topics-diff", &["topics", "diff"]);
    let said = told(&differs);
    assert!(differs.status.code() == Some(1) && said.contains("retention.ms") && said.contains("partitions"), "{said}");
    let applied = run("topics-apply", &["topics", "apply"]);
    assert!(applied.status.success(), "{}", told(&applied));
    let same = run("topics-diff", &["topics", "diff"]);
    assert!(same.status.success(), "{}", told(&same));
    acls::revoke(&admin, &missing(&diff, "Describe"));
    tokio::time::sleep(SETTLED).await;
    let described = cluster.as_user("topics-diff", &["topics", "diff"]);
    let denied_from = cluster.broker.audit().len();
    refused(vec![(described, 1, words(&["lacks DescribeConfigs on topic"]))], &password);
    let denied_to = cluster.broker.audit().len();

    passed("topics");
    // Each stage under its own user: node → visible row.
    let mut listed: Vec<Acl> = [&apply[..], &diff].concat();
    for role in ["ingest", "enrich", "causes", "aggregate", "alerts", "sink", "api", "tail", "dead-letters", "requests"]
    {
        listed.extend(cluster.acls(role, role));
    }
    listed.extend(cluster.acls("lag", "api"));
    acls::grant(&admin, &listed);
    tokio::time::sleep(SETTLED).await;
    STAGES.iter().for_each(|stage| cluster.stage(stage));
    cluster.until_visible(&node).await;

    // A contract that somebody adds is published by the API.
    let at = TopicPartition { topic: topics::CONTROL_TENANTS.name, partition: 0 };
    let contracts = format!("{}/api/v1/contracts", cluster.headwater.api);
    let new = serde_json::json!({"network": "eth", "address": format!("{:#042x}", 1), "name": "one"});
    let made = reqwest::Client::new().post(contracts).json(&new).send().await.expect("an answer");
    assert_eq!(made.status().as_u16(), 201, "{:?}", made.text().await);
    let end = Instant::now() + crate::common::PATIENCE;
    while log.watermarks(at).await.expect("ends").high == 0 {
        assert!(Instant::now() < end, "the contract is not in the topic:\n{}", cluster.said("api"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Through an open door it is everybody's, and a fact of a contract.
    let facts = async || {
        let of = topics::CONTRACT_FACTS.name;
        let partitions = log.partitions(of).await.expect("partitions");
        let all: Vec<_> = (0..partitions).map(|partition| TopicPartition { topic: of, partition }).collect();
        log.ends(&all).await.expect("ends").iter().map(|ends| ends.high).sum::<u64>()
    };
    while facts().await == 0 {
        assert!(Instant::now() < end, "no fact is in the topic:\n{}", cluster.said("causes"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // A stage that comes back reads what it left: the state of ingest, what enrich said of itself, facts, windows, and what the API has published.
    let before = cluster.said("api").len();
    for stage in ["ingest", "enrich", "causes", "aggregate", "alerts", "api"] {
        cluster.kill(stage);
        cluster.stage(stage);
    }
    node.advance(1).expect("advance");
    cluster.until_visible(&node).await;

    let published = Instant::now() + crate::common::PATIENCE;
    while !cluster.said("api")[before..].contains("publishes what changes in the control store") {
        assert!(Instant::now() < published, "{}", cluster.said("api"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // What cannot be processed is put aside by enrich and by the sink, and read from outside.
    poison(&log).await;
    let end = Instant::now() + crate::common::PATIENCE;
    loop {
        let output = cluster.as_user("dead-letters", &["dead-letters", "list"]).output().expect("run headwater");
        let said = told(&output);
        assert!(output.status.success(), "{said}");
        if said.contains("\tenrich\t") && said.contains("\tsink\t") {
            break;
        }
        assert!(Instant::now() < end, "{said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let tail =
        cluster.as_user("tail", &["tail", "enriched.blocks", "--network", "eth"]).output().expect("run headwater");
    assert!(tail.status.success() && !tail.stdout.is_empty(), "{}", told(&tail));
    // What operators ask: heights once more, and a way on that is not needed.
    let fill = ["backfill", "--network", "eth", "--from", "1", "--to", "2", "--again"];
    loop {
        let output = cluster.as_user("requests", &fill).output().expect("run headwater");
        let said = told(&output);
        // Which blocks are final is heard within seconds.
        if output.status.code() != Some(2) {
            assert!(output.status.success() && said.contains("heights 1 to 2 are filled"), "{said}");
            break;
        }
        assert!(Instant::now() < end, "{said}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    refused(
        vec![(cluster.as_user("requests", &["accept-gap", "--network", "eth"]), 1, words(&["nothing to accept"]))],
        &password,
    );
    let lag = reqwest::get(format!("http://{}/lag", cluster.lag)).await.expect("the admin port");
    assert!(lag.status().is_success(), "{:?}", lag.text().await);

    // Enough: nothing was refused. Needed: each right was asked for.
    let audit = cluster.broker.audit();
    let denied: Vec<&String> =
        audit[begun..denied_from].iter().chain(&audit[denied_to..]).filter(|l| l.contains("is Denied")).collect();
    assert!(denied.is_empty(), "refused though all is granted: {denied:#?}");
    let unused: Vec<&Acl> = listed.iter().filter(|acl| !audit.iter().any(|line| asks_for(line, acl))).collect();
    // Ingest sets aside what is larger than the log takes: here nothing is. It asks how far readers are once it has filled more than a few
    // heights. Who asks to go on over what is gone looks for what is left: here nothing is gone. Nor has a former version made this
    // cluster.
    let rare = |acl: &&Acl| match acl.principal.as_str() {
        "User:ingest" => {
            let readers = [name(topics::ENRICHED_TRANSACTIONS), format!("{prefix}enrich"), format!("{prefix}sink")];
            acl.name == name(topics::DEAD_LETTERS) || readers.contains(&acl.name)
        }
        "User:requests" => {
            let chain =
                [topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS, topics::ENRICHED_BLOCKS, topics::ENRICHED_TRANSACTIONS];
            chain.iter().any(|topic| acl.name == name(*topic))
        }
        // Nobody has a rule here: nothing is looked up for one, and nothing is told but a self-test.
        "User:alerts" => {
            let of_rules = [
                topics::ENRICHED_CAUSES,
                topics::PROVIDERS_SAMPLES,
                topics::METRICS_WINDOWS,
                topics::ALERTS_RING,
                topics::ALERTS_STATE,
                topics::ALERTS_EVENTS,
                topics::ALERTS_DELIVERIES,
            ];
            of_rules.iter().any(|topic| acl.name == name(*topic))
        }
        // Nobody asks anything of alerts here.
        "User:api" => {
            let commands = [name(topics::ALERTS_COMMANDS), format!("{prefix}alerts.commands.")];
            topics::FORMER.iter().any(|topic| acl.name == name(*topic)) || commands.contains(&acl.name)
        }
        _ => false,
    };
    assert!(unused.iter().all(rare), "listed, and never asked for: {unused:#?}");

    passed("node to row, dead letters, audit");

    cluster.no_password_was_printed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_loses_a_right_waits_and_goes_on_when_it_has_it_again() {
    let Some(broker) = Broker::start("a_stage_that_loses_a_right_waits_and_goes_on_when_it_has_it_again") else {
        return;
    };
    let admin = broker.admin().to_owned();
    let node = chain().await;
    let mut cluster = Cluster::new(broker, &[Net::of("eth", &node)]).await;
    let prefix = cluster.prefix.clone();
    let name = |topic: topics::TopicSpec| format!("{prefix}{}", topic.name);
    let (raw, enriched) = (name(topics::RAW_TRANSACTIONS), name(topics::ENRICHED_TRANSACTIONS));
    cluster.super_user().await.apply_topics(&topics::ALL, Some(2)).await.expect("topics");
    let listed: Vec<Acl> = STAGES.iter().flat_map(|stage| cluster.acls(stage, stage)).collect();
    acls::grant(&admin, &listed);
    tokio::time::sleep(SETTLED).await;
    STAGES.iter().for_each(|stage| cluster.stage(stage));
    cluster.until_visible(&node).await;

    let group = |stage: &str| format!("{prefix}{stage}");
    let rounds: [Vec<(&str, &str, String)>; 3] = [
        vec![
            ("ingest", "Write", raw.clone()),
            ("enrich", "Read", raw),
            ("sink", "Read", enriched.clone()),
            ("api", "Read", enriched.clone()),
        ],
        // Here ingest goes on, so that enrich has something to write.
        vec![
            ("enrich", "Write", enriched),
            ("sink", "Read", group("sink")),
            ("api", "Read", name(topics::STAGE_STATUS)),
        ],
        vec![("ingest", "Write", group("ingest.")), ("enrich", "Read", group("enrich"))],
    ];
    for round in rounds {
        let lost: Vec<(&str, Acl)> = round
            .iter()
            .map(|(stage, operation, on)| {
                let principal = format!("User:{stage}");
                let of = |a: &&Acl| a.principal == principal && a.operation == *operation && a.name == *on;
                (*stage, listed.iter().find(of).unwrap_or_else(|| panic!("{stage} {operation} {on}")).clone())
            })
            .collect();
        let rights: Vec<Acl> = lost.iter().map(|(_, acl)| acl.clone()).collect();
        let from: Vec<usize> = lost.iter().map(|(stage, _)| cluster.said(stage).len()).collect();
        acls::revoke(&admin, &rights);
        node.fork_and_advance(1, 2).expect("fork");
        for ((stage, acl), from) in lost.iter().zip(from) {
            cluster.until_said(stage, from, &lacks(acl)).await;
        }
        let used = |cluster: &Cluster| -> Vec<(u64, usize)> {
            lost.iter().map(|(stage, _)| (cluster.ticks(stage), cluster.said(stage).lines().count())).collect()
        };
        let before = used(&cluster);
        tokio::time::sleep(Duration::from_secs(3)).await;
        for (((stage, acl), before), after) in lost.iter().zip(before).zip(used(&cluster)) {
            let (ticks, lines) = (after.0 - before.0, after.1 - before.1);
            assert!(ticks < 150 && lines < 60, "{stage} without {acl:?} spins: {ticks} ticks, {lines} lines in 3 s");
        }
        acls::grant(&admin, &rights);
        node.advance(1).expect("advance");
        cluster.until_visible(&node).await;
    }
    expected::assert_canonical(&cluster.headwater, "eth", &node).await;
    let end = Instant::now() + crate::common::PATIENCE;
    while cluster.headwater.network("eth").await.is_none_or(|n| n["lag_blocks"] != 0) {
        assert!(Instant::now() < end, "{:?}", cluster.headwater.network("eth").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.no_password_was_printed();
}

/// After this, what was granted holds: the broker answers before its authorizer has heard of it.
const SETTLED: Duration = Duration::from_millis(500);

/// Whether a line of the audit log is an answer to a question for this right, and no other that it implies.
fn asks_for(line: &str, acl: &Acl) -> bool {
    let operation: String = acl
        .operation
        .chars()
        .enumerate()
        .flat_map(|(i, c)| (i > 0 && c.is_uppercase()).then_some('_').into_iter().chain([c.to_ascii_uppercase()]))
        .collect();
    let kind = match acl.kind.as_str() {
        "topic" => "Topic",
        "group" => "Group",
        _ => "TransactionalId",
    };
    let resource = format!("on resource = {kind}:LITERAL:{}{}", acl.name, if acl.prefixed { "" } else { " " });
    line.starts_with(&format!("Principal = {} is Allowed operation = {operation} ", acl.principal))
        && line.contains(&resource)
}

/// A block that enrich cannot read, and one with a transaction that the sink cannot read, of networks that nobody follows.
async fn poison(log: &Arc<KafkaLog>) {
    let codec = Codec::builtin();
    let mut producer = log.producer("poison").await.expect("a producer");
    let bad: &[u8] = b"not Avro";
    let record = |topic: topics::TopicSpec, headers: &ChainHeaders, value: Vec<u8>| NewRecord {
        to: TopicPartition { topic: topic.name, partition: 0 },
        key: Some("poison".into()),
        value: Some(value.into()),
        headers: headers.to_pairs().into_iter().map(|(name, value)| (Arc::from(name), value)).collect(),
    };
    let at = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition: 0 };
    let mut reader = log.reader(&[(at, 0)]).await.expect("a reader");
    let mut block = loop {
        let limits = PollLimits { records: 1, bytes: 1 << 20, wait: Duration::from_secs(5) };
        let Polled::Records(records) = reader.poll(limits).await.expect("records") else { continue };
        if let Some(value) = records.first().and_then(|r| r.value.as_ref()) {
            break codec.decode::<EnrichedBlock>(value).expect("a block");
        }
    };
    (block.envelope.network, block.envelope.tx_count) = ("poison-sink".parse().expect("a slug"), 1);
    let header = ChainHeaders::of_block(&block.envelope);
    let child = ChainHeaders { index: Some(0), tx_count: None, log_count: None, ..header.clone() };
    let unreadable =
        ChainHeaders { network: "poison-enrich".parse().expect("a slug"), tx_count: Some(0), ..header.clone() };
    let value = codec.encode(&block).expect("encode").to_vec();
    let records = vec![
        record(topics::RAW_BLOCKS, &unreadable, bad.to_vec()),
        record(topics::ENRICHED_BLOCKS, &header, value),
        record(topics::ENRICHED_TRANSACTIONS, &child, bad.to_vec()),
    ];
    producer.commit(Transaction { records, offsets: None }).await.expect("commit");
}
