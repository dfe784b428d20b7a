//! Not a test: what connections cost that follow one network each, while all networks move.
//! `cargo test --release --workspace --test api many::measure -- --ignored --nocapture`; the clients are another process.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;

use crate::{
    chain::{Chain, recorded},
    world::World,
    ws::Ws,
};

const CONNECTIONS: usize = 10_000;
const NETWORKS: usize = 50;
const SECONDS: u64 = 20;
/// Tells the clients' process where the server is.
const AT: &str = "HEADWATER_API_TEST_AT";
/// The threads whose time counts.
const THREADS: &str = "measured-api";

fn slug(n: usize) -> String {
    format!("network-{n}")
}

/// Seconds of CPU that the API's threads have taken.
fn cpu() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
    let ticks: u64 = tasks
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == THREADS))
        .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
        .map(|stat| {
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap_or(0) + fields[12].parse::<u64>().unwrap_or(0)
        })
        .sum();
    ticks as f64 / 100.0
}

/// Established connections of a port of ours.
fn connections(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    let ours = format!(":{port:04X}");
    let of = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1).is_some_and(|local| local.ends_with(&ours)) && fields.get(3) == Some(&"01")
    };
    table.lines().filter(of).count()
}

#[test]
#[ignore = "a measurement"]
fn measure() {
    let others = tokio::runtime::Runtime::new().expect("a runtime");
    let measured = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(THREADS)
        .enable_all()
        .build()
        .expect("a runtime");
    let slugs: Vec<String> = (0..NETWORKS).map(slug).collect();
    let names: Vec<&str> = slugs.iter().map(String::as_str).collect();
    let world = Arc::new(others.block_on(World::without_sink(&names)));
    let for_api = Arc::clone(&world);
    let api = measured.block_on(async move { tokio::spawn(async move { for_api.api().await }).await.expect("an API") });
    let mut clients = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["many::clients", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(AT, api.at.to_string())
        .spawn()
        .expect("the clients");
    let mut chains: Vec<Chain> = names.iter().map(|n| Chain::new(n, recorded("arbitrum"))).collect();
    // They have all come when the last one of them is the server's.
    let port = api.at.port();
    while connections(port) < CONNECTIONS {
        std::thread::sleep(Duration::from_millis(500));
    }
    std::thread::sleep(Duration::from_secs(3));
    let (before, began) = (cpu(), Instant::now());
    let mut events = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        for chain in &mut chains {
            let event = chain.apply();
            others.block_on(world.publish(&[event]));
            events += 1;
            let due = Duration::from_secs_f64(f64::from(events) / NETWORKS as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    let (took, spent) = (began.elapsed().as_secs_f64(), cpu() - before);
    writeln!(
        std::io::stderr(),
        "{CONNECTIONS} connections, {NETWORKS} networks, {:.0} events/s: {:.2} cores in the API's threads",
        f64::from(events) / took,
        spent / took
    )
    .expect("written");
    drop(clients.kill());
    drop(clients.wait());
}

/// The clients' process.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the clients of `measure`, which starts them"]
async fn clients() {
    let Some(at) = std::env::var(AT).ok().and_then(|at| at.parse::<SocketAddr>().ok()) else { return };
    for n in 0..CONNECTIONS {
        let mut ws = Ws::connect(at).await;
        ws.subscribe(Some(&slug(n % NETWORKS)), &["blocks"], None).await;
        tokio::spawn(async move {
            let mut stream = ws.into_stream();
            while stream.next().await.is_some_and(|message| message.is_ok()) {}
        });
    }
    std::future::pending::<()>().await;
}
