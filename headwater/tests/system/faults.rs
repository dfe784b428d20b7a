//! The table of faults: how soon the next block is visible, and whether it is the right one, while the endpoint in use has a fault
//! or lies and two of other operators are well.
//!
//! Each fault has a network of its own, so that all are tried side by side in one process. The times are printed beside the aim; what is
//! asserted of them is generous, since two cores may compile beside it. What is not: every row is the chain's, no block of a lie was ever
//! published, and each liar is named.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::node::evm::{Clock, Config, Dataset, Endpoint, EndpointConfig, Simulator, spawn};
use serde_json::Value;

use crate::common::{Headwater, PATIENCE, expected, number, of_many, recorded};

/// Between two blocks of one network.
const PACE: Duration = Duration::from_secs(3);
/// How often it is asked what is visible.
const POLL: Duration = Duration::from_millis(40);
/// What the 95th of a hundred blocks is to take on a quiet machine …
const AIM: Duration = Duration::from_secs(2);
/// … and what it may take at most on any.
const BOUND: Duration = Duration::from_secs(15);
/// Blocks that are there before.
const HISTORY: u64 = 3;

/// Blocks of each network while its endpoint has the fault.
fn blocks() -> u64 {
    of_many(5, 8)
}

/// What is known of an endpoint afterwards.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// It is in quarantine: for what it said.
    Liar,
    /// It is no liar: whatever it did, it said nothing wrong.
    Honest,
    /// Either way.
    Any,
}
use Known::{Any, Honest, Liar};

/// What is tried: faults, one per word, as `--fault` takes them (`limit=` sets a limit); `*` is every third block.
const TABLE: [(&str, &str, Known); 38] = [
    ("nothing", "", Honest),
    ("credentials in the URL", "", Honest),
    ("slow by 3 s", "slow:3000", Honest),
    ("dripping, 200 bytes a second", "drip:200", Honest),
    ("silent", "silent", Honest),
    ("half-closed", "half-closed", Honest),
    ("closed", "closed", Honest),
    ("refused", "refused", Honest),
    ("403", "http403", Honest),
    ("429, Retry-After", "http429:5", Honest),
    ("10 a second, 429 bare", "limit=10/s:bare", Honest),
    ("1 in 2 s, inside HTTP 200", "limit=0.5/s:body", Honest),
    ("503", "http5xx", Honest),
    ("every second answer 502", "http502@0.5", Honest),
    ("HTML", "html", Honest),
    ("cut off", "truncated", Honest),
    ("truncated JSON", "truncated-json", Honest),
    ("interleaved JSON", "interleaved", Honest),
    ("nulls", "null", Any),
    ("old head", "stale-head:2", Honest),
    ("going backwards", "backwards", Any),
    ("two views", "two-views:3", Any),
    ("chain id 0x0 for 5 s", "wrong-chain:0@5s", Honest),
    ("receipts missing for a block", "null-receipts*", Any),
    ("receipts empty for a block", "empty-receipts*", Any),
    ("receipts doubled for a block", "doubled-receipts*", Any),
    ("receipts failing for a block", "rpc-error/eth_getBlockReceipts*", Honest),
    ("no eth_getBlockReceipts", "no-method/eth_getBlockReceipts", Honest),
    ("no batches, one by one", "no-batch no-method/eth_getBlockReceipts", Honest),
    ("batches cut", "cut-batch", Any),
    ("no `finalized`", "no-finalized", Honest),
    ("WebSocket drops", "ws-drop", Honest),
    ("lie: a receipt dropped", "dropped-receipt", Liar),
    ("lie: a log changed", "changed-log", Liar),
    ("lie: another block's receipts", "lying", Liar),
    ("lie: a forged header", "forged-header", Liar),
    ("lie: an old fork", "old-fork", Liar),
    ("lie: another chain", "other-chain", Liar),
];

struct Row {
    what: &'static str,
    fault: &'static str,
    known: Known,
    slug: String,
    node: Simulator,
    odd: Arc<Endpoint>,
    /// When each block came, by height, and how long it took until it was visible.
    came: HashMap<u64, Instant>,
    took: HashMap<u64, Duration>,
}

impl Row {
    async fn new(n: usize, data: Arc<Dataset>) -> Self {
        let (what, fault, known) = TABLE[n];
        let odd = EndpointConfig {
            credentials: what.starts_with("credentials").then(|| "user:word".into()),
            path: what.starts_with("credentials").then(|| "/v3/key".into()),
            ..EndpointConfig::new("odd")
        };
        // The first that says which chain it is on comes into use.
        let well = |name| EndpointConfig::new(name).fault("slow:1500/eth_chainId").expect("a fault");
        let endpoints = vec![odd, well("well-1"), well("well-2")];
        let config = Config { clock: Clock::Manual, history: HISTORY, seed: n as u64, endpoints, ..Config::new(data) };
        let node = spawn(config).await.expect("simulator");
        let odd = node.endpoint("odd").expect("there");
        let slug = format!("fault-{n:02}");
        Self { what, fault, known, slug, node, odd, came: HashMap::new(), took: HashMap::new() }
    }

    /// Its part of the configuration.
    fn network(&self) -> String {
        let mut text = format!(
            "[[network]]\nslug = \"{}\"\nfamily = \"evm\"\nchain_id = {}\nstart = 1\n",
            self.slug,
            self.node.chain_id()
        );
        for endpoint in &self.node.endpoints()[1..] {
            let (name, url, ws) = (endpoint.name(), endpoint.url(), endpoint.ws_url());
            let priority = if name == "odd" { 1 } else { 2 };
            text += &format!(
                "[[network.endpoint]]\nname = \"{name}\"\noperator = \"{name}\"\npriority = {priority}\nurl = \"{url}\"\nws = \"{ws}\"\n"
            );
        }
        text
    }

    fn begin(&self) {
        self.node.endpoints()[2..].iter().for_each(|well| well.clear_faults());
        for word in self.fault.split_whitespace() {
            match word.strip_prefix("limit=") {
                Some(limit) => self.odd.set_limit(Some(limit.parse().expect(limit))),
                None => self.odd.fault(word.replace('*', "#%3").parse().expect(word)),
            }
        }
    }

    fn see(&mut self, visible: u64) {
        for (height, came) in &self.came {
            if *height <= visible {
                self.took.entry(*height).or_insert_with(|| came.elapsed());
            }
        }
    }

    /// The times of all blocks, ascending.
    fn times(&self) -> Vec<Duration> {
        let mut times: Vec<Duration> = self.took.values().copied().collect();
        times.sort_unstable();
        times
    }
}

/// The heights that are visible, by network.
async fn visible(headwater: &Headwater) -> HashMap<String, u64> {
    let Ok(health) = headwater.get("/health").await else { return HashMap::new() };
    let of = |n: &Value| Some((n["network"].as_str()?.to_owned(), n["processed_height"].as_u64()?));
    health["networks"].as_array().into_iter().flatten().filter_map(of).collect()
}

/// Looks at what is visible until `end`; returns early once everything is.
async fn watch(headwater: &mut Headwater, rows: &mut [Row], end: Instant) {
    loop {
        let seen = visible(headwater).await;
        for row in rows.iter_mut() {
            row.see(seen.get(&row.slug).copied().unwrap_or(0));
        }
        assert_eq!(headwater.ended(), None, "headwater ended:\n{}", headwater.said());
        if Instant::now() >= end || rows.iter().all(|row| row.took.len() as u64 == blocks()) {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn endpoint(headwater: &Headwater, slug: &str) -> Value {
    let all = headwater.get(&format!("/providers/health?network={slug}&limit=100")).await.expect("providers");
    let items = all["items"].as_array().expect("items");
    items.iter().find(|item| item["name"] == "odd").cloned().unwrap_or_default()
}

/// What is known of each endpoint with a fault. Who contradicts the others is judged after a while (`nodes/src/evm/fleet/judge.rs`), so
/// that this waits until every liar is named, or for as long as a test waits.
async fn states(headwater: &Headwater, rows: &[Row]) -> Vec<Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut states = Vec::new();
        for row in rows {
            states.push(endpoint(headwater, &row.slug).await);
        }
        let named = |(row, state): (&Row, &Value)| row.known != Liar || state["state"] == "quarantined";
        if Instant::now() >= end || rows.iter().zip(&states).all(named) {
            return states;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The 95th percentile of some times, ascending.
fn p95(times: &[Duration]) -> Duration {
    times[(times.len() * 95).div_ceil(100).saturating_sub(1)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_endpoint_with_a_fault_costs_moments_and_never_a_false_record() {
    let data = Arc::new(Dataset::from_dir(recorded().join("optimism")).expect("recorded blocks"));
    let mut rows = Vec::new();
    for n in 0..TABLE.len() {
        rows.push(Row::new(n, data.clone()).await);
    }
    let mut headwater = Headwater::new(&[]);
    let mut config = std::fs::read_to_string(&headwater.config).expect("the configuration");
    config += "[providers]\nprobe_every = \"5s\"\n";
    rows.iter().for_each(|row| config += &row.network());
    std::fs::write(&headwater.config, config).expect("written");
    headwater.start();
    headwater
        .until("every network at its head", async |headwater| {
            let seen = visible(headwater).await;
            let there = rows.iter().filter(|row| seen.get(&row.slug).is_some_and(|at| *at >= row.node.head())).count();
            (there == rows.len()).then_some(())
        })
        .await;

    for row in &rows {
        let odd = endpoint(&headwater, &row.slug).await;
        assert_eq!(odd["in_use"], true, "{}: {odd}", row.what);
    }
    rows.iter().for_each(Row::begin);
    let gap = PACE / rows.len() as u32;
    for _ in 0..blocks() {
        for n in 0..rows.len() {
            let due = Instant::now() + gap;
            let height = rows[n].node.advance(1).expect("advance");
            rows[n].came.insert(height, Instant::now());
            watch(&mut headwater, &mut rows, due).await;
        }
    }
    watch(&mut headwater, &mut rows, Instant::now() + PATIENCE).await;

    let states = states(&headwater, &rows).await;
    eprintln!("{:<32} {:>8} {:>8} {:>8} {:>8}  {:<12} reason", "fault", "first", "p50", "p95", "of aim", "state");
    let mut within = 0;
    for (row, state) in rows.iter().zip(&states) {
        let times = row.times();
        let ms = |time: Option<&Duration>| time.map_or_else(|| "–".into(), |time| time.as_millis().to_string());
        let slowest = (!times.is_empty()).then(|| p95(&times));
        within += usize::from(slowest.is_some_and(|time| time <= AIM));
        let of_aim = slowest.map(|time| format!("{:.0} %", 100.0 * time.as_secs_f64() / AIM.as_secs_f64()));
        eprintln!(
            "{:<32} {:>8} {:>8} {:>8} {:>8}  {:<12} {}",
            row.what,
            ms(row.took.get(&(HISTORY + 2))),
            ms(times.get(times.len() / 2)),
            ms(slowest.as_ref()),
            of_aim.as_deref().unwrap_or("–"),
            state["state"].as_str().unwrap_or("–"),
            state["reason"].as_str().unwrap_or_default()
        );
    }
    eprintln!(
        "{within} of {} within the aim of {} ms, while {} blocks of each came",
        rows.len(),
        AIM.as_millis(),
        blocks()
    );

    for (row, state) in rows.iter().zip(&states) {
        let (what, slug) = (row.what, &row.slug);
        let times = row.times();
        assert_eq!(times.len() as u64, blocks(), "{what}: blocks of {slug} are not visible:\n{}", headwater.said());
        assert!(p95(&times) <= BOUND, "{what}: {times:?}");
        expected::assert_canonical(&headwater, slug, &row.node).await;
        // No lie was published, not even to be reverted.
        let sql =
            format!("SELECT countIf(op != 'apply') AS n, count() AS all FROM block_events WHERE network = '{slug}'");
        let events = headwater.query(&sql).await.expect("block_events").remove(0);
        assert_eq!((number(&events, "n"), number(&events, "all")), (0, row.node.head()), "{what}: {slug}");
        let named = state["state"] == "quarantined";
        match row.known {
            Liar => {
                assert!(named && state["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{what}: {state}");
                assert!(row.odd.faults().iter().any(|(_, hits)| *hits > 0), "{what}: it did not lie");
            }
            Honest => assert!(!named, "{what}: {state}"),
            Any => {}
        }
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
