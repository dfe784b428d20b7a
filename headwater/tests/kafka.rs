//! The stages as processes of their own over a real Kafka, a real schema registry and one store: several of each, killed at
//! random while blocks arrive and forks happen, and at the end every row is there once. With three brokers
//! (`make chaos`) there are three of each stage, and brokers are killed too.

mod common;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Headwater, Net, binary, expected, number};
use loadtest::node::evm::{Clock, Config, Dataset, Simulator, spawn};
use serde_json::Value;

/// How long the chains grow while processes are killed, seconds; with three brokers.
const CHAOS: (u64, u64) = (40, 120);

/// How many brokers there are.
fn brokers() -> u64 {
    std::env::var("HEADWATER_BROKERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Kills a broker or starts it again, with the script that started it.
fn broker(what: &str, number: u64) {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
    let status = Command::new(script).args(["broker", what, &number.to_string()]).status().expect("scripts/services");
    assert!(status.success(), "scripts/services broker {what} {number}: {status}");
}

/// The servers; `None`, said loudly, where there are none. CI always has them.
#[allow(clippy::print_stderr)]
fn servers(test: &str) -> Option<(String, String)> {
    let found = std::env::var("HEADWATER_TEST_KAFKA").ok().zip(std::env::var("HEADWATER_TEST_REGISTRY").ok());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "HEADWATER_TEST_KAFKA is not set: run `scripts/services run …`");
        eprintln!("SKIPPED {test}: no Kafka; run it with `scripts/services run cargo test …`");
    }
    found
}

/// A store, and stages over Kafka, each a process.
struct Cluster {
    headwater: Headwater,
    config: PathBuf,
    children: BTreeMap<String, Child>,
}

impl Cluster {
    /// Starts the store and waits for it; writes the stages' configuration.
    async fn new(nets: &[Net], servers: &(String, String)) -> Self {
        let headwater = Headwater::new(nets);
        let config = headwater.dir.path().join("stages.toml");
        let mut cluster = Self { headwater, config, children: BTreeMap::new() };
        let store = ["store".to_owned(), "--config".into(), cluster.headwater.config.to_string_lossy().into_owned()];
        cluster.spawn("store", &store);
        let credentials = cluster.headwater.data().join("store/credentials.toml");
        let end = Instant::now() + common::PATIENCE;
        let password = loop {
            let text = std::fs::read_to_string(&credentials).unwrap_or_default();
            if let Some(line) = text.lines().find_map(|l| l.strip_prefix("stages_password = \"")) {
                break line.trim_end_matches('"').to_owned();
            }
            assert!(Instant::now() < end, "no credentials: {}", cluster.said("store"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos();
        let (kafka, registry) = servers;
        let text = std::fs::read_to_string(&cluster.headwater.config).expect("read");
        let listen = cluster.headwater.sql.trim_start_matches("http://").to_owned();
        let text = text
            .replace(&format!("[store]\nlisten = \"{listen}\"\n"), &format!("[store]\nurl = \"http://{listen}\"\npassword = \"{password}\"\n"))
            .replace(
                "[log]\nmin_free_bytes = 1048576\n",
                &format!("[log]\nkafka = \"{kafka}\"\nschema_registry = \"{registry}\"\nprefix = \"test-{now:x}.\"\nreplication = {}\n", brokers()),
            );
        std::fs::write(&cluster.config, text).expect("write");
        cluster
    }

    fn spawn(&mut self, name: &str, args: &[String]) {
        let log = self.headwater.dir.path().join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log).expect("log file");
        let child = Command::new(binary())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start headwater");
        self.children.insert(name.to_owned(), child);
    }

    /// Starts a stage under a name, such as `sink-2`.
    fn stage(&mut self, name: &str) {
        let stage = name.split('-').next().expect("a stage").to_owned();
        let config = self.config.to_string_lossy().into_owned();
        let args = ["--config", &config, "--instance", name, "--admin-listen", "127.0.0.1:0"].map(str::to_owned);
        self.spawn(name, &[&[stage][..], &args].concat());
    }

    fn kill(&mut self, name: &str) {
        let mut child = self.children.remove(name).expect("runs");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.headwater.dir.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output =
            Command::new(binary()).args(args).arg("--config").arg(&self.config).output().expect("run headwater");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// Waits until the block is visible; stages that ended by themselves are told.
    async fn until_visible(&mut self, slug: &str, node: &Simulator) {
        let head = node.canonical(node.head()..=node.head()).remove(0);
        let sql = format!("SELECT count() AS n FROM blocks WHERE network = '{slug}' AND hash = '{}'", head.hash);
        let end = Instant::now() + common::PATIENCE;
        loop {
            let rows = self.headwater.query(&sql).await;
            if rows.as_ref().is_ok_and(|r| number(&r[0], "n") == 1) {
                return;
            }
            let ended: Vec<String> = self
                .children
                .iter_mut()
                .filter_map(|(name, child)| child.try_wait().ok().flatten().map(|status| format!("{name}: {status}")))
                .collect();
            let logs = || {
                let tail = |name: &String| {
                    let said = self.said(name);
                    let lines: Vec<&str> = said.lines().collect();
                    format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(12)..].join("\n"))
                };
                self.children.keys().map(tail).collect::<String>()
            };
            assert!(ended.is_empty(), "ended by themselves: {ended:?}\n{}", logs());
            assert!(Instant::now() < end, "{slug} {} is not visible, {rows:?}\n{}", head.height, logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn chain(name: &str) -> Simulator {
    let data = Dataset::from_dir(common::recorded().join(name)).expect("recorded blocks");
    let config = Config { clock: Clock::Manual, history: 80, ..Config::new(data) };
    spawn(config).await.expect("simulator")
}

/// A small generator; the seed is printed and can be given again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes of kills: make chaos"]
#[allow(clippy::print_stderr)]
async fn stages_as_processes_survive_kills_and_forks() {
    let Some(servers) = servers("stages_as_processes_survive_kills_and_forks") else { return };
    let seed = std::env::var("HEADWATER_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").subsec_nanos().into()
    });
    eprintln!("HEADWATER_SEED={seed} plays this again");
    let mut dice = Dice(seed);
    let nodes = [("eth", chain("ethereum").await), ("op", chain("optimism").await)];
    let nets: Vec<Net> = nodes.iter().map(|(slug, node)| Net::of(slug, node)).collect();
    let mut cluster = Cluster::new(&nets, &servers).await;

    // The cluster and the registry are made ready by command, and it is told when they are.
    let (code, told, _) = cluster.run(&["topics", "diff"]);
    assert!(code == Some(1) && told.contains("raw.blocks"), "{told}");
    let (code, ..) = cluster.run(&["topics", "apply"]);
    assert_eq!(code, Some(0));
    let (code, _, said) = cluster.run(&["topics", "diff"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, ids, said) = cluster.run(&["schemas", "push"]);
    assert!(code == Some(0) && ids.lines().count() == 8, "{said}");

    let of_each = if brokers() >= 3 { 3 } else { 2 };
    let stages: Vec<String> =
        ["ingest", "enrich", "sink"].iter().flat_map(|s| (1..=of_each).map(move |n| format!("{s}-{n}"))).collect();
    stages.iter().for_each(|name| cluster.stage(name));
    cluster.stage("api-1");
    for (slug, node) in &nodes {
        cluster.until_visible(slug, node).await;
    }

    let lasting = if brokers() >= 3 { CHAOS.1 } else { CHAOS.0 };
    let end = Instant::now() + Duration::from_secs(lasting);
    let (mut recoveries, mut forks, mut broker_kills) = (Vec::new(), 0, 0);
    while Instant::now() < end {
        let calm = Instant::now() + Duration::from_millis(1_000 + dice.roll(4_000));
        while Instant::now() < calm {
            for (_, node) in &nodes {
                if dice.roll(6) == 0 {
                    // Mostly shallow, now and then as deep as 64.
                    let depth = 1 + if dice.roll(8) == 0 { dice.roll(64) } else { dice.roll(4) };
                    node.fork_and_advance(depth, dice.roll(3)).expect("fork");
                    forks += 1;
                }
                node.advance(1 + dice.roll(3)).expect("advance");
            }
            tokio::time::sleep(Duration::from_millis(100 + dice.roll(400))).await;
        }
        let victim = dice.roll(stages.len() as u64 + if brokers() >= 3 { 3 } else { 0 }) as usize;
        let away = Duration::from_millis(dice.roll(2_000));
        let killed = Instant::now();
        match stages.get(victim) {
            Some(name) => {
                cluster.kill(name);
                tokio::time::sleep(away).await;
                cluster.stage(name);
            }
            None => {
                let number = 1 + (victim - stages.len()) as u64;
                broker("kill", number);
                broker_kills += 1;
                let again = tokio::task::spawn_blocking(move || {
                    std::thread::sleep(away);
                    broker("start", number);
                });
                // Visible while it is away.
                for (slug, node) in &nodes {
                    node.advance(1).expect("advance");
                    cluster.until_visible(slug, node).await;
                }
                recoveries.push((killed.elapsed(), format!("broker {number}")));
                again.await.expect("the broker is back");
                continue;
            }
        }
        for (slug, node) in &nodes {
            node.advance(1).expect("advance");
            cluster.until_visible(slug, node).await;
        }
        recoveries.push((killed.elapsed(), stages[victim].clone()));
    }
    for (slug, node) in &nodes {
        node.advance(1).expect("advance");
        cluster.until_visible(slug, node).await;
        expected::assert_canonical(&cluster.headwater, slug, node).await;
    }
    recoveries.sort();
    let at =
        |part: f64| recoveries[((recoveries.len() as f64 * part).ceil() as usize).clamp(1, recoveries.len()) - 1].0;
    eprintln!(
        "{} kills ({broker_kills} of brokers), {forks} forks; from a kill to the next visible block of both chains: p50 {:?}, p95 {:?}, worst {:?}",
        recoveries.len(),
        at(0.5),
        at(0.95),
        recoveries.last()
    );
    assert!(recoveries.len() >= 4 && forks >= 5, "{} kills, {forks} forks", recoveries.len());

    // A process that stays away is replaced: its partitions move to the other.
    ["ingest-1", "enrich-1", "sink-1"].iter().for_each(|name| cluster.kill(name));
    for (slug, node) in &nodes {
        node.advance(5).expect("advance");
        cluster.until_visible(slug, node).await;
        expected::assert_canonical(&cluster.headwater, slug, node).await;
    }

    // The log is read from outside, by `tail`, with the registry's ids.
    let (code, lines, said) = cluster.run(&["tail", "enriched.blocks", "--network", "eth"]);
    assert_eq!(code, Some(0), "{said}");
    let sequences: Vec<u64> = lines
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).expect("JSON"))
        // A record of finality repeats the last sequence and is no event (rule 3).
        .filter(|record| record["value"]["op"] != "finality")
        .filter_map(|record| record["value"]["sequence"].as_u64())
        .collect();
    let gapless: Vec<u64> = (1..=sequences.len() as u64).collect();
    assert!(
        !sequences.is_empty() && sequences == gapless,
        "sequences as a read_committed reader sees them: {sequences:?}"
    );
    let (code, letters, said) = cluster.run(&["dead-letters", "list"]);
    assert!(code == Some(0) && letters.lines().count() == 1, "{letters}{said}");
    let health = cluster.headwater.get("/health").await.expect("health");
    assert_eq!(health["status"], "ok", "{health}");
}
