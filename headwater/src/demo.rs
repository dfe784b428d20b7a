//! `headwater demo`: `up` on simulated nodes that replay recorded blocks as live chains. The same folder continues the same
//! chains after a restart (rule 25). Each EVM network has three endpoints of three operators: one is well, one is slow, and one tells a
//! forged block now and then, comes into quarantine, and out of it again. The Bitcoin network has a node for blocks and two Electrum
//! servers for heads: one is slow, and one shows headers without work now and then.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use loadtest::node::{
    bitcoin,
    evm::{self, Blocks, Clock, Dataset, EndpointConfig, Fault, FaultKind, Latency, Origin, Schedule},
};
use store::engine::{Configured, Credentials};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{exit::Failure, origin, parts, stage, up};

/// The chains that the demo replays: slug, data set, how often a fork comes (blocks) and how deep it is.
const CHAINS: [(&str, &str, u64, u64); 3] =
    [("ethereum-demo", "ethereum", 40, 2), ("optimism-demo", "optimism", 60, 3), ("polygon-demo", "polygon", 25, 1)];

/// The Bitcoin chain: its slug, how many block times of the others its own is, how often a fork comes (blocks) and how deep it is.
const BITCOIN: (&str, f64, u64, u64) = ("bitcoin-demo", 5.0, 30, 2);

/// The Electrum server that shows headers without work, and for how long it does.
const WORKLESS: (&str, Duration) = ("electrum-liar", Duration::from_secs(20));

/// Blocks that each chain has when the demo starts for the first time.
const HISTORY: u64 = 30;

/// How long answers of the slow endpoint take: the median, and the deviation of the logarithm.
const SLOW: Latency = Latency::LogNormal { median: Duration::from_millis(600), sigma: 0.4 };

/// Seconds between two lies of an endpoint, so that one is seen within a minute.
const LIES_EVERY: f64 = 50.0;

/// How endpoints are looked after: a liar comes back before it lies again.
const PROVIDERS: &str = "[providers]\nprobe_every = \"5s\"\nquarantine = \"20s\"\n";

/// Arguments of `headwater demo`.
#[derive(Args)]
pub struct Demo {
    /// Where dashboard, REST and WebSocket listen [default: 127.0.0.1:8080, or a free port when it is taken]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where the demo keeps its data; the same folder continues the same chains [default: headwater-demo in the cache folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Seconds between blocks of each simulated chain
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub block_time: f64,
}

/// Runs until stopped.
pub fn run(args: Demo) -> Result<(), Failure> {
    if !(args.block_time.is_finite() && args.block_time > 0.0) {
        return Err(Failure::arguments("--block-time: write a number of seconds above 0, such as 2"));
    }
    let dir = args.dir.clone().map_or_else(default_dir, Ok)?;
    std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}; see --dir", dir.display()))?;
    let dir = dir.canonicalize()?;
    parts::block_on(demo(args, dir))?
}

fn default_dir() -> Result<PathBuf, Failure> {
    runtime::cache::folder()
        .map(|c| c.join("demo"))
        .ok_or_else(|| Failure::arguments("neither HOME nor XDG_CACHE_HOME is set; name a folder with --dir"))
}

async fn demo(args: Demo, dir: PathBuf) -> Result<(), Failure> {
    let api = match args.listen {
        Some(address) => pick(address, false).await?,
        None => pick(([127, 0, 0, 1], 8080).into(), true).await?,
    };
    let admin = pick(([127, 0, 0, 1], 9090).into(), true).await?;
    let store = pick(([127, 0, 0, 1], 8123).into(), true).await?;

    // The URL comes first: it is what people wait for.
    writeln!(std::io::stdout(), "http://{api}")?;
    let file = dir.join("headwater.toml");
    let analyst = Credentials::load_or_create(&dir, Configured::default())?.analyst;
    eprintln!("the dashboard opens at http://{api} in a few seconds; stop with Ctrl-C; once it runs:");
    eprintln!("  REST    curl -s 'http://{api}/api/v1/txs?status=failed&limit=3'");
    eprintln!(
        "  SQL     curl -su analyst:{} 'http://{store}/?database=headwater' --data-binary 'SELECT network, count() FROM transactions GROUP BY network FORMAT PrettyCompact'",
        analyst.expose()
    );
    eprintln!("  topics  headwater tail enriched.transactions --from end --follow --config {}", file.display());
    eprintln!("  status  headwater status --config {}", file.display());

    let mut nodes = Vec::new();
    let mut text = format!("[data]\ndir = {}\n\n", quoted(&dir));
    let _ = writeln!(
        text,
        "{PROVIDERS}\n[api]\nlisten = \"{api}\"\n\n[admin]\nlisten = \"{admin}\"\n\n[store]\nlisten = \"{store}\"\n"
    );
    // Whoever tries alerts takes them in on this machine; where others can come in, private targets are allowed by nobody.
    if api.ip().is_loopback() {
        text.push_str("[alerts]\nallow_targets = [\"127.0.0.1\"]\n\n");
    }
    for (slug, data, every, depth) in CHAINS {
        let node = simulate(slug, data, every, depth, args.block_time, &dir).await?;
        let _ = writeln!(
            text,
            "[[network]]\nslug = \"{slug}\"\nfamily = \"evm\"\nchain_id = {}\nstart = 1",
            node.chain_id()
        );
        for endpoint in node.endpoints() {
            let _ = writeln!(
                text,
                "[[network.endpoint]]\nname = \"{name}\"\noperator = \"operator-of-{name}\"\nurl = \"{url}\"\nws = \"{ws}\"",
                name = if endpoint.name() == evm::MAIN { "steady" } else { endpoint.name() },
                url = endpoint.url(),
                ws = endpoint.ws_url(),
            );
        }
        text.push('\n');
        nodes.push(node);
    }
    let bitcoin = simulate_bitcoin(args.block_time, &dir).await?;
    let _ = writeln!(
        text,
        "[[network]]\nslug = \"{}\"\nfamily = \"bitcoin\"\nchain = \"{}\"\nstart = 1",
        BITCOIN.0,
        bitcoin.chain()
    );
    for endpoint in bitcoin.endpoints() {
        let _ = writeln!(
            text,
            "[[network.endpoint]]\nname = \"{name}\"\noperator = \"operator-of-{name}\"\nurl = \"{url}\"",
            name = endpoint.name(),
            url = endpoint.url(),
        );
        if let Some(zmq) = endpoint.zmq_url() {
            let _ = writeln!(text, "zmq = \"{zmq}\"");
        }
    }
    let lying = workless(&bitcoin, args.block_time);
    std::fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    let result = up::serve(runtime::config::load(&file)?, origin::Origin::of(file), &stage::ALL, None, None).await;
    lying.iter().for_each(JoinHandle::abort);
    bitcoin.shutdown().await;
    for node in nodes {
        node.shutdown().await;
    }
    result
}

/// A node, and two Electrum servers, of one chain.
async fn simulate_bitcoin(block_time: f64, dir: &Path) -> Result<bitcoin::Simulator, Failure> {
    let (slug, times, every, depth) = BITCOIN;
    let endpoints = vec![
        bitcoin::EndpointConfig { zmq: true, ..bitcoin::EndpointConfig::core("core") },
        bitcoin::EndpointConfig { latency: Some(SLOW), ..bitcoin::EndpointConfig::electrum("electrum-slow") },
        bitcoin::EndpointConfig::electrum(WORKLESS.0),
    ];
    let config = bitcoin::Config {
        history: HISTORY,
        clock: Clock::Rate(1.0 / (times * block_time)),
        forks: Some(Schedule { depth, every }),
        origin: Origin::File { path: dir.join(format!("{slug}.origin.json")), pause: true },
        ..bitcoin::Config::new(bitcoin::Dataset::embedded("small")?, endpoints)
    };
    Ok(bitcoin::spawn(config).await?)
}

/// Lets a server show headers without work now and then, for as long as a block or two take.
fn workless(node: &bitcoin::Simulator, block_time: f64) -> Option<JoinHandle<()>> {
    let (name, least) = WORKLESS;
    let server = node.endpoint(name)?;
    let lasting = least.max(Duration::from_secs_f64(1.5 * BITCOIN.1 * block_time));
    Some(tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs_f64(LIES_EVERY) + lasting).await;
            server.fault(bitcoin::Fault {
                when: bitcoin::When::For(lasting),
                ..bitcoin::Fault::always(bitcoin::FaultKind::NoWork)
            });
            tokio::time::sleep(lasting).await;
            server.clear_faults();
        }
    }))
}

async fn simulate(
    slug: &str,
    data: &str,
    every: u64,
    depth: u64,
    block_time: f64,
    dir: &Path,
) -> Result<evm::Simulator, Failure> {
    let lie = Fault::always(FaultKind::ForgedHeader).of(Blocks::Every(lies_every(block_time)));
    let config = evm::Config {
        endpoints: vec![
            EndpointConfig { latency: Some(SLOW), ..EndpointConfig::new("slow") },
            EndpointConfig { faults: vec![lie], ..EndpointConfig::new("liar") },
        ],
        history: HISTORY,
        clock: Clock::Rate(1.0 / block_time),
        forks: Some(Schedule { depth, every }),
        origin: Origin::File { path: dir.join(format!("{slug}.origin.json")), pause: true },
        ..evm::Config::new(Dataset::embedded(data)?)
    };
    Ok(evm::spawn(config).await?)
}

/// Blocks between two lies.
fn lies_every(block_time: f64) -> u64 {
    (LIES_EVERY / block_time).round().max(2.0) as u64
}

/// A TOML string.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\""))
}

/// The address, or, when it is taken and may be replaced, a free port on it.
async fn pick(address: SocketAddr, replace: bool) -> Result<SocketAddr, Failure> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener.local_addr()?),
        Err(_) if replace => Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?),
        Err(e) => Err(Failure::new(format!("cannot listen on {address}: {e}; name another address with --listen"))),
    }
}
