//! Networks and endpoints come, go and change while the real binary runs: by `headwater reload` and by SIGHUP, all or nothing.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use loadtest::node::evm::{Clock, Config, Dataset, Endpoint, EndpointConfig, MAIN, Simulator, spawn};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{
    Headwater, Net, PATIENCE, binary,
    cluster::{Cluster, servers},
    expected, number,
};

/// A chain of some blocks with more than one endpoint.
async fn node(data: &str, endpoints: &[&str]) -> Arc<Simulator> {
    let data = Dataset::embedded(data).expect("embedded data");
    let endpoints = endpoints.iter().map(|name| EndpointConfig::new(name)).collect();
    let config = Config { clock: Clock::Manual, history: 5, endpoints, ..Config::new(data) };
    Arc::new(spawn(config).await.expect("simulator"))
}

/// A network of a configuration, each endpoint with further lines.
fn network(slug: &str, node: &Simulator, endpoints: &[(&str, &str)]) -> String {
    let mut text =
        format!("[[network]]\nslug = \"{slug}\"\nfamily = \"evm\"\nchain_id = {}\nstart = 1\n", node.chain_id());
    for (name, more) in endpoints {
        let endpoint = named(node, name);
        text += &format!(
            "[[network.endpoint]]\nname = \"{name}\"\noperator = \"{name}\"\nurl = \"{}\"\nws = \"{}\"\n{more}\n",
            endpoint.url(),
            endpoint.ws_url()
        );
    }
    text
}

fn named(node: &Simulator, name: &str) -> Arc<Endpoint> {
    node.endpoint(name).expect("there is one of this name")
}

/// A process with a file that is written again and again.
struct Reloaded {
    headwater: Headwater,
    head: String,
}

impl Reloaded {
    fn new() -> Self {
        let headwater = Headwater::new(&[]);
        let head = std::fs::read_to_string(&headwater.config).expect("read");
        Self { headwater, head: head + "[providers]\nprobe_every = \"1s\"\n" }
    }

    fn write(&self, networks: &[String]) {
        std::fs::write(&self.headwater.config, self.head.clone() + &networks.concat()).expect("write");
    }

    /// Exit code, standard output and standard error of `headwater reload`.
    fn reload_with(&self, file: &Path) -> (Option<i32>, String, String) {
        let output = Command::new(binary()).args(["reload", "--config"]).arg(file).output().expect("run headwater");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// What was taken over, which these words must tell of.
    fn takes_over(&self, networks: &[String], words: &[&str]) {
        self.write(networks);
        let (code, told, said) = self.reload_with(&self.headwater.config);
        assert_eq!(code, Some(0), "{told}{said}\n{}", self.headwater.said());
        words.iter().for_each(|word| assert!(told.contains(word), "no {word} in {told}"));
    }

    fn hangup(&self, networks: &[String]) {
        self.write(networks);
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.headwater.pid()).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, Signal::HUP).expect("signal");
    }

    /// Waits until the log has all of these words.
    async fn until_said(&mut self, words: &[&str]) {
        let all = async |h: &Headwater| {
            let said = h.said();
            words.iter().all(|word| said.contains(word)).then_some(())
        };
        self.headwater.until(&format!("{words:?} in the log"), all).await;
    }

    async fn until_visible(&mut self, slug: &str, node: &Simulator) {
        let head = node.canonical(node.head()..=node.head()).remove(0);
        self.headwater.until_visible(slug, &head.hash.to_string()).await;
    }

    /// Waits until `/health` has exactly these networks, and nothing is wrong with any.
    async fn until_networks(&mut self, wanted: &[&str]) {
        let only = async |h: &Headwater| {
            let health = h.get("/health").await.ok()?;
            let mut slugs: Vec<String> = strings(&health["networks"], "network");
            slugs.sort_unstable();
            (slugs == wanted && health["status"] == "ok").then_some(())
        };
        self.headwater.until(&format!("exactly the networks {wanted:?}"), only).await;
    }

    /// Waits until `/providers/health`, and the view `endpoints`, have exactly these endpoints of a network.
    async fn until_endpoints(&mut self, slug: &str, wanted: &[&str]) {
        let only = async |h: &Headwater| {
            let page = h.get(&format!("/providers/health?network={slug}")).await.ok()?;
            let sql = format!("SELECT name FROM endpoints WHERE network = '{slug}' ORDER BY name");
            let rows = Value::from(h.query(&sql).await.ok()?);
            (strings(&page["items"], "name") == wanted && strings(&rows, "name") == wanted).then_some(())
        };
        self.headwater.until(&format!("exactly the endpoints {wanted:?} of {slug}"), only).await;
    }

    async fn metrics(&self) -> String {
        let answer = reqwest::get(format!("{}/metrics", self.headwater.admin)).await.expect("an answer");
        answer.text().await.expect("text")
    }

    async fn blocks(&self, slug: &str) -> u64 {
        let sql = format!("SELECT count() AS n FROM blocks WHERE network = '{slug}'");
        number(&self.headwater.query(&sql).await.expect("a count")[0], "n")
    }
}

fn strings(list: &Value, key: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| Some(item[key].as_str()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_come_and_go_and_one_mistake_changes_nothing() {
    let (a, b) = (node("ethereum", &[]).await, node("optimism", &[]).await);
    let (of_a, of_b) = (network("a", &a, &[(MAIN, "")]), network("b", &b, &[(MAIN, "")]));
    let mut hw = Reloaded::new();
    hw.write(std::slice::from_ref(&of_a));
    let (code, told, said) = hw.reload_with(&hw.headwater.config);
    assert!(code == Some(1) && told.is_empty() && said.contains("nothing answers"), "{code:?} {told}{said}");
    hw.headwater.start();
    hw.until_visible("a", &a).await;
    hw.takes_over(std::slice::from_ref(&of_a), &["nothing has changed"]);

    hw.takes_over(&[of_a.clone(), of_b.clone()], &["1 change taken over", "`network.b`: added, with main"]);
    hw.until_visible("b", &b).await;
    hw.until_networks(&["a", "b"]).await;

    // One mistake: the network stays although the file has it no more, and what is wrong is told with its line.
    let wrong = of_a.replace("start = 1", "start = 1\nconfirm_within = \"soon\"");
    hw.write(std::slice::from_ref(&wrong));
    let text = hw.head.clone() + &wrong;
    let line = 1 + text.lines().position(|line| line.starts_with("confirm_within")).expect("it is there");
    let (code, told, said) = hw.reload_with(&hw.headwater.config);
    assert!(code == Some(78) && told.is_empty(), "{code:?} {told}{said}");
    assert!(said.contains(&format!(":{line}:")) && said.contains("network[0].confirm_within"), "{said}");
    b.advance(2).expect("more blocks");
    hw.until_visible("b", &b).await;
    hw.until_networks(&["a", "b"]).await;

    // What needs a restart is told, and so is who asks for another file.
    let other_chain = of_b.replace(&format!("chain_id = {}", b.chain_id()), "chain_id = 7777");
    hw.takes_over(
        &[of_a.clone(), other_chain],
        &["nothing was taken over", "1 change needs a restart", "`network.b.chain_id`: 7777"],
    );
    let other = hw.headwater.dir.path().join("other.toml");
    std::fs::copy(&hw.headwater.config, &other).expect("copied");
    let (code, _, said) = hw.reload_with(&other);
    assert!(
        code == Some(1) && said.contains("this process runs with") && said.contains("other.toml"),
        "{code:?} {said}"
    );
    let page = reqwest::Client::new()
        .post(format!("{}/reload", hw.headwater.admin))
        .header("origin", "https://evil.example")
        .json(&serde_json::json!({ "file": hw.headwater.config }));
    assert_eq!(page.send().await.expect("an answer").status(), 403, "no web page can do it");

    // It goes, its rows stay, and nothing else stutters.
    let held = hw.blocks("b").await;
    hw.takes_over(std::slice::from_ref(&of_a), &["`network.b`: taken out"]);
    a.advance(3).expect("more blocks");
    b.advance(3).expect("more blocks");
    hw.until_visible("a", &a).await;
    hw.until_networks(&["a"]).await;
    hw.until_endpoints("b", &[]).await;
    assert_eq!(hw.blocks("b").await, held, "nobody follows it any more");
    let metrics = hw.metrics().await;
    assert!(metrics.contains("network=\"a\"") && !metrics.contains("network=\"b\""), "{metrics}");
    expected::assert_canonical(&hw.headwater, "a", &a).await;

    // Killed and begun again with the file, it is as it was.
    hw.headwater.kill();
    hw.headwater.start();
    a.advance(1).expect("a block");
    hw.until_visible("a", &a).await;
    hw.until_networks(&["a"]).await;
    assert_eq!(hw.blocks("b").await, held);

    // It comes back, goes on where it was, and is killed at once.
    hw.takes_over(&[of_a, of_b], &["`network.b`: added"]);
    hw.headwater.kill();
    hw.headwater.start();
    for (slug, node) in [("a", &a), ("b", &b)] {
        hw.until_visible(slug, node).await;
        expected::assert_canonical(&hw.headwater, slug, node).await;
    }
    hw.until_networks(&["a", "b"]).await;
    assert_eq!(hw.headwater.stop(), Some(0), "{}", hw.headwater.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_come_go_and_change_without_a_block_lost() {
    let node = node("ethereum", &["spare", "third"]).await;
    let with = |endpoints: &[(&str, &str)]| [network("a", &node, endpoints)];
    let mut hw = Reloaded::new();
    hw.write(&with(&[(MAIN, "")]));
    hw.headwater.start();
    hw.until_visible("a", &node).await;

    // The only one dies, and a live one comes in its place: blocks go on, whatever was still asked of the dead one.
    named(&node, MAIN).fault("silent".parse().expect("a fault"));
    node.advance(3).expect("more blocks");
    assert_eq!(hw.blocks("a").await, node.head() - 3, "nobody gives them");
    hw.hangup(&with(&[("spare", "")]));
    let words = ["2 changes taken over", "`network.a.endpoint.spare`: added", "`network.a.endpoint.main`: taken out"];
    hw.until_said(&words).await;
    hw.until_visible("a", &node).await;
    hw.until_endpoints("a", &["spare"]).await;
    named(&node, MAIN).clear_faults();

    // A mistake by SIGHUP changes nothing either.
    hw.hangup(&with(&[("spare", "limit = \"many\"")]));
    hw.until_said(&["nothing was changed", "network[0].endpoint[0].limit"]).await;
    hw.until_endpoints("a", &["spare"]).await;

    // Another limit holds for what is asked from then on.
    const LIMIT: f64 = 20.0;
    hw.takes_over(&with(&[("spare", "limit = \"20/s\"")]), &["endpoint.spare.limit`: 20/s; it was found out"]);
    let calls = || named(&node, "spare").counts().methods.values().sum::<u64>();
    let (before, began) = (calls(), Instant::now());
    node.advance(30).expect("more blocks");
    hw.until_visible("a", &node).await;
    let (asked, took) = ((calls() - before) as f64, began.elapsed().as_secs_f64());
    assert!(asked >= 30.0, "the blocks came from somewhere: {asked} calls");
    assert!(asked <= LIMIT * took + LIMIT / 2.0, "{asked} calls in {took} s, at most {LIMIT} a second");
    let metrics = hw.metrics().await;
    let limit = |metrics: &str| -> Option<String> {
        let line = metrics
            .lines()
            .find(|l| l.starts_with("headwater_endpoint_limit_per_second") && l.contains("endpoint=\"spare\""));
        Some(line?.rsplit(' ').next()?.to_owned())
    };
    assert_eq!(limit(&metrics).as_deref(), Some("19"), "with a little room");
    hw.takes_over(&with(&[("spare", "")]), &["endpoint.spare.limit`: found out; it was 20/s"]);
    let end = Instant::now() + Duration::from_secs(60);
    while limit(&hw.metrics().await).as_deref() != Some("inf") {
        assert!(Instant::now() < end, "no limit any more: {:?}", limit(&hw.metrics().await));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // While blocks come, and the chain forks, everything is exchanged again and again.
    let stop = Arc::new(AtomicBool::new(false));
    let live = tokio::spawn({
        let (node, stop) = (node.clone(), stop.clone());
        async move {
            for n in 1_u64.. {
                match n % 9 {
                    0 => drop(node.fork_and_advance(3, 1).expect("fork")),
                    _ => drop(node.advance(1).expect("a block")),
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let sets: [&[(&str, &str)]; 6] = [
        &[("third", "")],
        &[("third", "priority = 2"), ("spare", "")],
        &[(MAIN, ""), ("third", ""), ("spare", "per_day = 100000")],
        &[("spare", "priority = 2\nroles = [\"stream\"]"), (MAIN, "")],
        &[("third", "[network.endpoint.headers]\nx-key = \"1\"")],
        &[("third", ""), (MAIN, "")],
    ];
    for set in sets {
        hw.takes_over(&with(set), &["taken over"]);
        // Blocks go on before the next. Which ones, forks decide.
        let height = node.head();
        let sql = "SELECT max(number) AS n FROM blocks WHERE network = 'a'";
        let above = async |h: &Headwater| {
            let rows = h.query(sql).await.ok()?;
            (number(&rows[0], "n") > height).then_some(())
        };
        hw.headwater.until("the next block", above).await;
    }
    stop.store(true, Ordering::Relaxed);
    live.await.expect("no panic");
    hw.until_visible("a", &node).await;
    expected::assert_canonical(&hw.headwater, "a", &node).await;
    hw.until_endpoints("a", &[MAIN, "third"]).await;
    assert_eq!(hw.headwater.stop(), Some(0), "{}", hw.headwater.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_kafka_each_process_is_told_by_itself() {
    let Some(servers) = servers("over_kafka_each_process_is_told_by_itself") else { return };
    let (a, b) = (node("ethereum", &[]).await, node("optimism", &[]).await);
    let mut cluster = Cluster::new(&[Net::of("a", &a)], &servers).await;
    assert_eq!(cluster.run(&["topics", "apply"]).0, Some(0));
    let stages = ["enrich", "api", "sink", "ingest"];
    let admin = |_| format!("127.0.0.1:{}", loadtest::cluster::free_port().expect("a port"));
    let stages: Vec<(&str, String)> = stages.iter().map(|stage| (*stage, admin(stage))).collect();
    stages.iter().for_each(|(stage, admin)| cluster.stage_at(&format!("{stage}-1"), admin));
    cluster.until_visible("a", &a).await;

    let before = std::fs::read_to_string(&cluster.config).expect("read");
    std::fs::write(&cluster.config, before.clone() + &network("b", &b, &[(MAIN, "")])).expect("write");
    for (stage, admin) in &stages {
        let (code, told, said) = cluster.run(&["reload", "--admin", admin]);
        assert_eq!(code, Some(0), "{told}{said}{}", cluster.tails());
        assert!(told.contains(&format!("1 change taken over by {stage}")), "{told}");
        assert!(told.contains(&format!("This process runs {stage}.")) && told.contains("`network.b`: added"), "{told}");
    }
    cluster.until_visible("b", &b).await;
    expected::assert_canonical(&cluster.headwater, "b", &b).await;

    // Who still has it in its file is named until it is told, too.
    std::fs::write(&cluster.config, before).expect("write");
    let listed = async |cluster: &Cluster, wanted: &[&str], status: &str| {
        let end = Instant::now() + PATIENCE;
        loop {
            let health = cluster.headwater.get("/health").await.unwrap_or_default();
            if strings(&health["networks"], "network") == wanted && health["status"] == status {
                return health;
            }
            assert!(Instant::now() < end, "{wanted:?} {status}: {health}\n{}", cluster.tails());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    listed(&cluster, &["a", "b"], "ok").await;
    for (stage, admin) in stages.iter().rev() {
        let (code, told, said) = cluster.run(&["reload", "--admin", admin]);
        assert!(code == Some(0) && told.contains("`network.b`: taken out"), "{stage}: {told}{said}");
        if *stage == "ingest" {
            let health = listed(&cluster, &["a", "b"], "degraded").await;
            assert!(health["problems"].to_string().contains("does not name the network"), "{health}");
        }
    }
    listed(&cluster, &["a"], "ok").await;
    a.advance(2).expect("more blocks");
    cluster.until_visible("a", &a).await;
    expected::assert_canonical(&cluster.headwater, "a", &a).await;
}
