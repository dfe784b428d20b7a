//! Trouble over a real Kafka, one after the other, with the stages as processes: each has its name, its metric and its place
//! in `/health`, and stays with the network that it concerns (rules 12 and 13). What was set aside is taken up by
//! `dead-letters replay`, after which every row is as if nothing had happened.

use std::{sync::Arc, time::Duration};

use crate::common::{
    Net, PATIENCE,
    cluster::{Cluster, recorded_chain, servers},
    expected, number,
};
use bytes::Bytes;
use loadtest::node::evm::{Config, Simulator};
use runtime::{
    log::{
        Log as _, LogErrorKind, NewRecord, TopicPartition, Transaction,
        conformance::read_all,
        kafka::{KafkaConfig, KafkaLog},
    },
    registry::{Missing, Registry},
};
use schemas::{
    BlockHash, Codec, Envelope, Op, Origin, Record, TimeMs,
    headers::ChainHeaders,
    records::{EvmHeader, RawBlock},
    topics,
};

/// What `raw.transactions` takes in the test: some recorded transactions are larger.
const SMALL: &str = "8000";
/// A value in the wire format, of a schema that no registry has.
const FROM_THE_FUTURE: &[u8] = &[0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3];

async fn chain(name: &str) -> Simulator {
    recorded_chain(name, |c| Config { history: 6, finality_depth: 2, safe_depth: 1, ..c }).await
}

/// Exit status, standard output and standard error.
type Told = (Option<i32>, String, String);

/// Partition of the second network: of 64 the one furthest from the first's, which is 0.
const OP: u32 = 32;

/// The test and its cluster.
struct Bench {
    cluster: Cluster,
    log: Arc<KafkaLog>,
    codec: Codec,
    eth: Simulator,
    op: Simulator,
}

impl Bench {
    /// Starts an API whose configuration has one more network, which nobody here follows: `/health` leaves out what nobody configures.
    fn api_that_names(&mut self, network: &str) {
        let of_all = self.cluster.config.clone();
        let more = format!(
            "\n[[network]]\nslug = \"{network}\"\nfamily = \"evm\"\nchain_id = 4242\n[[network.endpoint]]\nname = \"none\"\nurl = \"http://127.0.0.1:1\"\n"
        );
        self.cluster.config = of_all.with_file_name("api.toml");
        let text = std::fs::read_to_string(&of_all).expect("read");
        std::fs::write(&self.cluster.config, text + &more).expect("write");
        self.cluster.stage("api-1");
        self.cluster.config = of_all;
    }

    /// Another block of the Ethereum chain becomes visible.
    async fn eth_goes_on(&mut self) {
        self.eth.advance(1).expect("advance");
        self.cluster.until_visible("eth", &self.eth).await;
    }

    async fn write(&self, records: Vec<NewRecord>) {
        loop {
            let mut producer = self.log.producer("another.program").await.expect("producer");
            match producer.commit(Transaction { records: records.clone(), offsets: None }).await {
                Ok(()) => return,
                // A topic takes less than the producer puts together: the next one knows.
                Err(e) if e.kind == LogErrorKind::Aborted => {}
                Err(e) => panic!("commit: {e:?}"),
            }
        }
    }

    /// Dead letters: offset, network, reason.
    fn letters(&self) -> Vec<(u64, String, String)> {
        let (code, told, said) = self.cluster.run(&["dead-letters", "list"]);
        assert_eq!(code, Some(0), "{said}");
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        told.lines()
            .skip(1)
            .map(cells)
            .map(|c| (c[0].parse().expect("an offset"), c[3].clone(), c[6].clone()))
            .collect()
    }

    fn count(&self, network: &str, reason: &str) -> usize {
        self.letters().iter().filter(|(_, n, r)| n == network && r == reason).count()
    }

    /// Waits until there are so many dead letters.
    async fn until_letters(&self, network: &str, reason: &str, wanted: usize) {
        let end = std::time::Instant::now() + PATIENCE;
        while self.count(network, reason) < wanted {
            assert!(std::time::Instant::now() < end, "{:?}", self.letters());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert_eq!(self.count(network, reason), wanted);
    }

    /// Waits for a state of a network in `/health`; what it says.
    async fn until_state(&mut self, network: &str, state: &str) -> String {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let seen = self.cluster.headwater.network(network).await;
            if let Some(n) = seen.as_ref().filter(|n| n["state"] == state) {
                return n["error"].as_str().unwrap_or_default().to_owned();
            }
            self.cluster.assert_running();
            assert!(std::time::Instant::now() < end, "{network} is not {state}: {seen:?}\n{}", self.cluster.tails());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Runs a replay until no block is in the way that is not final; watchers ask for finality now and then.
    async fn until_final(&self, replay: impl Fn(&Self) -> Told) -> Told {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let told = replay(self);
            if !told.1.contains("\tnot_yet\t") || std::time::Instant::now() > end {
                return told;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// A metric of enrich.
    async fn enrich_metric(&self, line: &str) -> bool {
        let url = format!("{}/metrics", self.cluster.headwater.admin);
        let text = reqwest::get(url).await.expect("metrics").text().await.expect("text");
        text.lines().any(|l| l.starts_with(line) && !l.ends_with(" 0"))
    }

    async fn missing(&self, network: &str) -> u64 {
        let sql = format!(
            "SELECT sum(transactions_expected) - sum(transactions_stored) AS n FROM completeness WHERE network = '{network}'"
        );
        number(&self.cluster.headwater.query(&sql).await.expect("completeness")[0], "n")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trouble_has_a_name_and_stays_with_its_network() {
    let Some(servers) = servers("every_trouble_has_a_name_and_stays_with_its_network") else { return };
    let (eth, op) = (chain("ethereum").await, chain("optimism").await);
    let cluster = Cluster::new(&[Net::of("eth", &eth), Net::of("op", &op)], &servers).await;
    let (code, _, said) = cluster.run(&["topics", "apply"]);
    assert_eq!(code, Some(0), "{said}");
    let config = KafkaConfig { prefix: cluster.prefix.clone(), ..KafkaConfig::new(&servers.0) };
    let log = KafkaLog::connect(config).await.expect("Kafka");
    log.set_property("raw.transactions", "max.message.bytes", SMALL).await.expect("a small limit");
    let registry = Registry::new(servers.1.parse().expect("a URL"), &cluster.prefix).expect("registry");
    let ids = registry.ids(Missing::Register).await.expect("ids");
    let codec = Codec::with_ids(ids.iter().map(|r| (r.topic, r.version, r.id))).expect("codec");
    let mut b = Bench { cluster, log, codec, eth, op };
    ["ingest-1", "sink-1"].iter().for_each(|name| b.cluster.stage(name));
    b.api_that_names("newer");
    let admin = b.cluster.headwater.admin.trim_start_matches("http://").to_owned();
    b.cluster.stage_at("enrich-1", &admin);
    b.cluster.until_visible("eth", &b.eth).await;
    b.cluster.until_visible("op", &b.op).await;

    too_large(&mut b).await;
    foreign(&mut b).await;
    from_the_future(&mut b).await;
    checkpoint_from_the_future(&mut b).await;
    overtaken(&mut b, &admin).await;
    topic_deleted(&mut b).await;
    all_taken_up(&mut b).await;
}

/// What the topic does not take: a placeholder, and a letter that is taken up once its block is final.
async fn too_large(b: &mut Bench) {
    let first: Vec<u64> = b.letters().iter().filter(|(_, n, r)| n == "eth" && r == "too_large").map(|l| l.0).collect();
    assert!(!first.is_empty(), "no recorded transaction is over {SMALL} bytes");
    assert_eq!(b.missing("eth").await as usize, first.len());
    let offsets: Vec<String> = first.iter().map(u64::to_string).collect();
    let offsets: Vec<&str> = offsets.iter().map(String::as_str).collect();
    let replay = |b: &Bench, more: &[&str]| b.cluster.run(&[&["dead-letters", "replay"][..], &offsets, more].concat());
    for _ in 0..4 {
        b.eth_goes_on().await;
    }
    let of = |told: &str, word: &str| told.lines().filter(|l| l.contains(&format!("\t{word}\t"))).count();
    let dry = ["--dry-run"];
    let (code, told, said) = b.until_final(|b| replay(b, &dry)).await;
    assert!(code == Some(0) && of(&told, "would_insert") == first.len(), "{told}{said}");
    let (code, told, said) = replay(b, &[]);
    assert!(code == Some(0) && of(&told, "inserted") == first.len(), "{told}{said}");
    let (code, told, said) = replay(b, &[]);
    assert!(code == Some(0) && of(&told, "already_there") == first.len(), "{told}{said}");
    let later = b.count("eth", "too_large") - first.len();
    assert_eq!(b.missing("eth").await as usize, later, "only letters of later blocks are left");
    assert_eq!(b.cluster.headwater.network("eth").await.expect("eth")["state"], "live");
}

/// Bytes of another program in our topics: letters, and the stream goes on.
async fn foreign(b: &mut Bench) {
    let at = ["raw.blocks", "raw.transactions", "enriched.blocks", "enriched.transactions"];
    let garbage = |topic, partition, key: Option<&'static str>| NewRecord {
        to: TopicPartition { topic, partition },
        key: key.map(Bytes::from),
        value: Some(Bytes::from_static(b"{\"not\": \"ours\"}")),
        headers: Vec::new(),
    };
    let records = at.into_iter().flat_map(|t| [garbage(t, 0, None), garbage(t, 0, Some("eth")), garbage(t, OP, None)]);
    b.write(records.collect()).await;
    // Compacted topics too, where only a key is asked for; read again when ingest starts anew.
    let keyed = [("ingest.checkpoints", "who knows"), ("ingest.checkpoints", "eth"), ("control.config", "who knows")];
    b.write(keyed.into_iter().map(|(topic, key)| garbage(topic, 0, Some(key))).collect()).await;
    b.eth_goes_on().await;
    b.op.advance(1).expect("advance");
    b.cluster.until_visible("op", &b.op).await;
    b.until_letters("-", "foreign", 12).await; // the sink buries after it has written
    assert!(b.enrich_metric("headwater_enrich_dead_letters_total{network=\"\",reason=\"foreign\"}").await);
    let (code, told, _) = b.cluster.run(&["dead-letters", "replay", "--reason", "foreign"]);
    assert!(code == Some(1) && told.lines().skip(1).all(|l| l.contains("\trefused\tanother program")), "{told}");
}

/// Records of a schema that this version does not know, in a network beside eth in its partition: a transaction is set aside, a
/// header halts its network, eth goes on.
async fn from_the_future(b: &mut Bench) {
    let hash = BlockHash::from(alloy_primitives::B256::repeat_byte(7));
    let envelope = |sequence| Envelope {
        network: "newer".parse().expect("a slug"),
        sequence,
        op: Op::Apply,
        origin: Origin::Live,
        height: sequence,
        block_hash: hash.clone(),
        parent_hash: hash.clone(),
        block_time: TimeMs::now(),
        observed_at: TimeMs::now(),
        safe_height: None,
        finalized_height: None,
        tx_count: 1,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    let record = |topic: &'static str, value: Bytes, headers: ChainHeaders| NewRecord {
        to: TopicPartition { topic, partition: 0 },
        key: Some(Bytes::from_static(b"newer")),
        value: Some(value),
        headers: headers.to_pairs().into_iter().map(|(n, v)| (n.into(), v)).collect(),
    };
    let event = |sequence, value: Option<Bytes>| {
        let block = RawBlock { envelope: envelope(sequence), evm: Some(Box::new(EvmHeader::default())), bitcoin: None };
        let value = value.unwrap_or_else(|| b.codec.encode(&block).expect("a header"));
        let child = ChainHeaders::of_child(&block.envelope.child(), Some(0));
        [
            record(RawBlock::TOPIC.name, value, ChainHeaders::of_block(&block.envelope)),
            record(topics::RAW_TRANSACTIONS.name, Bytes::from_static(FROM_THE_FUTURE), child),
        ]
    };
    b.write(event(1, None).into()).await;
    b.write(event(2, Some(Bytes::from_static(FROM_THE_FUTURE))).into()).await;
    let why = b.until_state("newer", "unreadable").await;
    assert!(why.contains("sequence 2") && why.contains("dead-letters"), "{why}");
    b.eth_goes_on().await;
    b.until_letters("newer", "unknown_schema", 2).await;
    assert_eq!(b.missing("newer").await, 1);
    assert!(b.enrich_metric("headwater_enrich_halted{network=\"newer\",state=\"unreadable\"}").await);
    let (code, told, _) = b.cluster.run(&["dead-letters", "replay", "--network", "newer"]);
    assert!(code == Some(1) && told.lines().skip(1).all(|l| l.contains("\trefused\t")), "{told}");
    let (_, screen, _) = b.cluster.run(&["status", "--api", &b.cluster.headwater.api]);
    assert!(screen.contains("newer") && screen.contains("unreadable"), "{screen}");
}

/// A checkpoint that a newer version wrote before it was rolled back: op stands still and says why, eth goes on.
async fn checkpoint_from_the_future(b: &mut Bench) {
    const AT: TopicPartition = TopicPartition { topic: "ingest.checkpoints", partition: OP };
    b.cluster.kill("ingest-1");
    let records = read_all(&*b.log, AT).await.expect("checkpoints");
    let ours = records.iter().rfind(|r| r.key.as_deref() == Some(b"op")).expect("a checkpoint of op");
    let record = |value: Bytes| NewRecord { to: AT, key: ours.key.clone(), value: Some(value), headers: Vec::new() };
    b.write(vec![record(Bytes::from_static(FROM_THE_FUTURE))]).await;
    b.cluster.stage("ingest-1");
    let why = b.until_state("op", "stalled").await;
    assert!(why.contains(&format!("ingest.checkpoints [{OP}]")) && why.contains("run that version"), "{why}");
    b.eth_goes_on().await;
    b.cluster.kill("ingest-1");
    b.write(vec![record(ours.value.clone().expect("a value"))]).await;
    b.cluster.stage("ingest-1");
    b.op.advance(1).expect("advance");
    b.cluster.until_visible("op", &b.op).await;
}

/// Retention passes enrich on the partition of op: op halts, eth goes on.
async fn overtaken(b: &mut Bench, admin: &str) {
    b.cluster.kill("enrich-1");
    let places = ["raw.blocks", "raw.transactions"].map(|topic| TopicPartition { topic, partition: OP });
    let before = b.log.watermarks(places[0]).await.expect("ends").high;
    b.op.advance(2).expect("advance");
    while b.log.watermarks(places[0]).await.expect("ends").high < before + 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for at in places {
        let high = b.log.watermarks(at).await.expect("ends").high;
        b.log.delete_records(at, high).await.expect("removed");
    }
    b.op.advance(1).expect("advance");
    b.cluster.stage_at("enrich-1", admin);
    let why = b.until_state("op", "overtaken").await;
    assert!(why.contains("retention"), "{why}");
    b.eth_goes_on().await;
    assert!(b.enrich_metric("headwater_enrich_halted{network=\"op\",state=\"overtaken\"}").await);
    given_up(b).await;
    // Enrich joined its group anew for it, and has to have seen eth since to know it again when its topic is gone.
    b.eth_goes_on().await;
}

/// An operator gives up what is gone, and nothing else: op goes on behind it, by itself, over enrich and the sink.
async fn given_up(b: &mut Bench) {
    let sql = "SELECT max(sequence) AS n FROM block_events WHERE network = 'op'";
    let last = number(&b.cluster.headwater.query(sql).await.expect("block_events")[0], "n");
    let command = "headwater accept-gap --config FILE --network op";
    assert!(b.until_state("op", "overtaken").await.contains(command));
    let (code, _, said) = b.cluster.run(&["accept-gap", "--network", "op"]);
    let gone = format!("sequences {} to {} of network `op`", last + 1, last + 2);
    assert!(code == Some(0) && said.contains(&gone), "{said}");
    b.cluster.until_visible("op", &b.op).await;
    b.until_state("op", "live").await;
    let held = number(&b.cluster.headwater.query(sql).await.expect("block_events")[0], "n");
    let sql = format!("SELECT count() AS n FROM block_events WHERE network = 'op' AND sequence > {last}");
    let rows = number(&b.cluster.headwater.query(&sql).await.expect("block_events")[0], "n");
    assert_eq!((held, rows), (last + 3, 1), "exactly what is gone is given up");
    let (code, _, said) = b.cluster.run(&["accept-gap", "--network", "op"]);
    assert!(code == Some(1) && said.contains("nothing to accept"), "{said}");
}

/// A topic is deleted under the running stages: they wait and say so, and go on when it is made again.
async fn topic_deleted(b: &mut Bench) {
    b.log.delete_topic("raw.blocks").await.expect("deleted");
    b.eth.advance(1).expect("advance");
    // A commit that was under way may have to be given up first, and is what is told until then.
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let why = b.until_state("eth", "stalled").await;
        if why.contains("raw.blocks") && why.contains("headwater topics apply") {
            break;
        }
        assert!(std::time::Instant::now() < end, "{why}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    b.cluster.assert_running();
    let (code, _, said) = b.cluster.run(&["topics", "apply"]);
    assert_eq!(code, Some(0), "{said}");
    b.cluster.until_visible("eth", &b.eth).await;
    b.eth_goes_on().await;
    b.until_state("eth", "live").await;
}

/// `topics apply` has put the limit right; a new process knows it. All letters of final blocks are taken up: eth is whole.
async fn all_taken_up(b: &mut Bench) {
    b.cluster.kill("ingest-1");
    b.cluster.stage("ingest-1");
    for _ in 0..4 {
        b.eth_goes_on().await;
    }
    let (code, told, said) = b.until_final(|b| b.cluster.run(&["dead-letters", "replay", "--network", "eth"])).await;
    assert_eq!(code, Some(0), "{told}{said}");
    assert_eq!(b.missing("eth").await, 0);
    expected::assert_canonical(&b.cluster.headwater, "eth", &b.eth).await;
}
