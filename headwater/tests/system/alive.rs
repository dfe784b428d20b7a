//! Every stage is heard again and again, and one that is not is named (rule 27): processes of their own over a real Kafka are killed
//! and kept away, one stage after the other, and `/health` says which, since when, and what to do; a process that is told to stop
//! leaves the list.

use std::time::{Duration, Instant};

use crate::common::{
    Net, PATIENCE,
    cluster::{Cluster, recorded_chain, servers},
};
use loadtest::node::evm::{Clock, Config};
use rustix::process::Signal;
use serde_json::Value;

/// Within this a stage that is gone is named: three periods of 5 s, and the time to ask.
const NAMED_WITHIN: Duration = Duration::from_secs(20);
/// What a machine that compiles beside the test may add.
const SLOWNESS: Duration = Duration::from_secs(20);

/// `/health`, once it is so.
async fn until(cluster: &Cluster, what: &str, patience: Duration, is: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + patience;
    loop {
        let health = cluster.headwater.get("/health").await;
        match health {
            Ok(health) if is(&health) => return health,
            other => assert!(Instant::now() < end, "{what}: {other:?}\n{}", cluster.tails()),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn is_ok(health: &Value) -> bool {
    health["status"] == "ok"
}

fn problem_of<'a>(health: &'a Value, stage: &str) -> Option<&'a Value> {
    health["problems"].as_array()?.iter().find(|p| p["stage"] == stage && p["network"].is_null())
}

fn instances(health: &Value, stage: &str) -> Vec<String> {
    let of = health["stages"].as_array().into_iter().flatten().find(|s| s["stage"] == stage);
    let all = of.and_then(|s| s["instances"].as_array()).into_iter().flatten();
    all.filter_map(|i| Some(format!("{} {}", i["instance"].as_str()?, i["state"].as_str()?))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_is_gone_is_named_and_so_is_what_to_do() {
    let Some(servers) = servers("a_stage_that_is_gone_is_named_and_so_is_what_to_do") else { return };
    let node = recorded_chain("ethereum", |c| Config { history: 10, clock: Clock::Rate(1.0), ..c }).await;
    let mut cluster = Cluster::new(&[Net::of("eth", &node)], &servers).await;
    assert_eq!(cluster.run(&["topics", "apply"]).0, Some(0));
    // Two sinks, so that one can go without anybody missing it.
    ["ingest-1", "enrich-1", "sink-1", "sink-2", "api-1"].iter().for_each(|name| cluster.stage(name));
    cluster.until_visible("eth", &node).await;
    until(&cluster, "all is well", PATIENCE, is_ok).await;

    // Told to stop, a process leaves the list, and nothing is wrong.
    cluster.signal("sink-2", Signal::TERM);
    cluster.ends("sink-2");
    let left = |health: &Value| instances(health, "sink") == ["sink-1 running"] && is_ok(health);
    until(&cluster, "sink-2 has left", PATIENCE, left).await;

    for stage in ["ingest", "enrich", "sink"] {
        let name = format!("{stage}-1");
        cluster.kill(&name);
        let killed = Instant::now();
        let health =
            until(&cluster, stage, NAMED_WITHIN + SLOWNESS, |health| problem_of(health, stage).is_some()).await;
        let took = killed.elapsed();
        eprintln!("{stage} was named after {took:?}");
        assert!(took < NAMED_WITHIN + SLOWNESS, "{stage} was named after {took:?}");
        assert_eq!(health["status"], "degraded");
        let problem = problem_of(&health, stage).expect("found");
        assert!(problem["since"].is_string(), "{problem}");
        let cure = problem["cure"].as_str().unwrap_or_default();
        assert!(cure.contains(&format!("headwater {stage}")) && cure.contains(&name), "{problem}");
        assert_eq!(instances(&health, stage), [format!("{name} silent")]);
        let network = &health["networks"][0];
        assert!(network["error"].as_str().is_some_and(|e| e.contains(stage)), "{network}");
        let (_, screen, said) = cluster.run(&["status", "--api", &cluster.headwater.api]);
        assert!(screen.contains("silent") && screen.contains(&format!("headwater {stage}")), "{screen}{said}");
        // And back.
        cluster.stage(&name);
        until(&cluster, "all is well again", PATIENCE, is_ok).await;
    }
    // What was missed meanwhile comes.
    cluster.until_visible("eth", &node).await;
    let (code, told, said) = cluster.run(&["tail", "stage.status", "--network", "eth"]);
    let last = told.lines().last().and_then(|l| serde_json::from_str::<Value>(l).ok());
    assert!(code == Some(0) && last.is_some_and(|l| l["value"]["network"] == "eth"), "{told}{said}");
}
