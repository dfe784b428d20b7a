//! The stages as processes of their own over a real Kafka, a real schema registry and one store: several of each, killed at
//! random while blocks arrive and forks happen, and at the end every row is there once. With three brokers
//! (`make chaos`) there are three of each stage, and brokers are killed too.

mod common;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use common::{
    Net,
    cluster::{Cluster, brokers, recorded_chain, servers},
    expected,
};
use loadtest::node::evm::{Config, Simulator};
use serde_json::Value;

/// How long the chains grow while processes are killed, seconds; with three brokers.
const CHAOS: (u64, u64) = (40, 120);

/// Kills a broker or starts it again, with the script that started it.
fn broker(what: &str, number: u64) {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
    let status = Command::new(script).args(["broker", what, &number.to_string()]).status().expect("scripts/services");
    assert!(status.success(), "scripts/services broker {what} {number}: {status}");
}

async fn chain(name: &str) -> Simulator {
    recorded_chain(name, |c| Config { history: 80, ..c }).await
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
    assert!(code == Some(0) && ids.lines().count() == 9, "{said}");

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
