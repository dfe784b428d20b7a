//! Contract sources that are away, throttle, send pages, point elsewhere or say what does not fit: simulated servers in the shapes that
//! the real ones have.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use super::*;

/// What a server answers to its n-th question.
type Script = dyn Fn(usize, &str) -> Response + Send + Sync;

struct Server {
    at: SocketAddr,
    asked: Arc<AtomicUsize>,
    _runs: tokio_util::task::AbortOnDropHandle<()>,
}

impl Server {
    async fn start(script: impl Fn(usize, &str) -> Response + Send + Sync + 'static) -> Self {
        let asked: Arc<AtomicUsize> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let answer = |State((asked, script)): State<(Arc<AtomicUsize>, Arc<Script>)>, uri: Uri| async move {
            script(asked.fetch_add(1, Ordering::SeqCst), &uri.to_string())
        };
        let app = Router::new().fallback(any(answer)).with_state((asked.clone(), script));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let serve = async move { axum::serve(listener, app).await.expect("it serves") };
        Self { at, asked, _runs: tokio_util::task::AbortOnDropHandle::new(tokio::spawn(serve)) }
    }

    fn of(&self, kind: FactSource) -> SourceConfig {
        source(kind, &format!("http://{}", self.at))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn source(kind: FactSource, url: &str) -> SourceConfig {
    SourceConfig {
        kind,
        url: url.parse().expect("a URL"),
        key: Some(Secret::new("s3cret")),
        networks: None,
        per_second: 100.0,
        per_day: 1_000,
    }
}

fn json_of(status: u16, value: Value) -> Response {
    (StatusCode::from_u16(status).expect("a status"), axum::Json(value)).into_response()
}

/// An ABI with one function, and code that has its selector.
fn abi(function: &str) -> (Value, Bytes) {
    let abi = json!([{"type": "function", "name": function, "inputs": [], "outputs": [], "stateMutability": "view"}]);
    let selector = &alloy_primitives::keccak256(format!("{function}()"))[..4];
    (abi, Bytes::from([&[0x63][..], selector, &[0x14]].concat()))
}

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    /// What is found of a contract with this code within so many milliseconds.
    async fn ask(&self, sources: Vec<SourceConfig>, code: &Bytes, within: u64) -> Option<Verified> {
        let (to, wanted) = mpsc::channel(4);
        let (answers, mut answered) = mpsc::channel(4);
        let asking = tokio::spawn(run(sources, self.dir.path().join("cache"), wanted, answers));
        let network: Network = "eth".parse().expect("a slug");
        let wanted = Wanted { network, chain_id: 1, address: Address::repeat_byte(7), code: code.clone() };
        assert!(Queue::to(to.clone()).ask(wanted));
        let found = timeout(Duration::from_millis(within), answered.recv()).await.ok().flatten();
        drop(to);
        asking.abort();
        found.map(|answered| answered.said)
    }
}

fn etherscan(name: &str, abi: &Value) -> Value {
    json!({"status": "1", "message": "OK", "result": [{"SourceCode": "…", "ABI": abi.to_string(), "ContractName": name}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_that_has_something_counts_and_is_asked_once() {
    let (abi, code) = abi("total");
    let sourcify = Server::start(|_, uri| {
        assert!(uri.starts_with("/v2/contract/1/0x0707"), "{uri}");
        json_of(404, json!({"match": null, "chainId": "1"}))
    })
    .await;
    let of = abi.clone();
    let blockscout = Server::start(move |_, uri| {
        assert!(uri.starts_with("/api/v2/smart-contracts/0x0707"), "{uri}");
        json_of(200, json!({"abi": of, "name": "Vault\n", "is_verified": true}))
    })
    .await;
    let etherscan = Server::start(|_, _| json_of(500, json!({}))).await;
    let bench = Bench::new();
    let all = || {
        vec![
            sourcify.of(FactSource::Sourcify),
            blockscout.of(FactSource::Blockscout),
            etherscan.of(FactSource::Etherscan),
        ]
    };
    let said = bench.ask(all(), &code, 10_000).await.expect("found");
    assert_eq!((said.source, said.name.as_deref()), (FactSource::Blockscout, Some("Vault")));
    assert_eq!(said.host, blockscout.at.to_string());
    assert_eq!(serde_json::from_str::<Value>(&said.abi.clone().expect("an ABI")).expect("JSON"), abi);
    // Another process asks nobody: what was said is kept, that there was nothing too.
    assert_eq!(bench.ask(all(), &code, 10_000).await, Some(said));
    assert_eq!((sourcify.asked(), blockscout.asked(), etherscan.asked()), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_of_the_code_and_without_the_key() {
    let (abi, code) = abi("total");
    let sends_back = move |_: usize, uri: &str| {
        assert!(uri.contains("apikey=s3cret"), "{uri}");
        json_of(200, etherscan(&format!("Vault of {uri}"), &abi))
    };
    let server = Server::start(sends_back).await;
    let bench = Bench::new();
    let said = bench.ask(vec![server.of(FactSource::Etherscan)], &code, 10_000).await.expect("found");
    assert!(
        said.name.as_ref().is_some_and(|name| name.starts_with("Vault of /") && !name.contains("s3cret")),
        "{said:?}"
    );
    assert_eq!(bench.ask(vec![server.of(FactSource::Etherscan)], &code, 10_000).await, Some(said));
    assert_eq!(server.asked(), 1);
    // Another contract stands at the address now: what was said is not of it.
    let other = Bytes::from_static(&[0x60, 0x00]);
    assert_eq!(bench.ask(vec![server.of(FactSource::Etherscan)], &other, 1_000).await, None);
    assert_eq!(server.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_lies_is_no_answer_and_the_next_is_asked() {
    let (right, code) = abi("total");
    let (wrong, _) = abi("other");
    let liar = Server::start(move |_, _| json_of(200, etherscan("Liar", &wrong))).await;
    let honest = Server::start(move |_, _| json_of(200, etherscan("Vault", &right))).await;
    let mut sources = vec![liar.of(FactSource::Etherscan), honest.of(FactSource::Etherscan)];
    let bench = Bench::new();
    let said = bench.ask(sources.clone(), &code, 10_000).await.expect("found");
    assert_eq!((said.name.as_deref(), said.host), (Some("Vault"), honest.at.to_string()));
    sources.truncate(1);
    assert_eq!(bench.ask(sources, &code, 500).await, None);
    assert_eq!(liar.asked(), 1, "what it says is remembered as nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_slow_throttled_pages_and_redirects_are_left_alone() {
    let (abi, code) = abi("total");
    let elsewhere = Server::start(|_, _| panic!("it was asked behind the operator's back")).await;
    let other = format!("http://localhost:{}/", elsewhere.at.port());
    let page = || (StatusCode::OK, "<!DOCTYPE html><title>Sorry, you have been blocked</title>").into_response();
    let scripts: Vec<(&str, Box<Script>)> = vec![
        ("a page", Box::new(move |_, _| page())),
        ("no JSON", Box::new(|_, _| "Page not found".into_response())),
        ("a redirect", Box::new(move |_, _| (StatusCode::FOUND, [(header::LOCATION, other.clone())]).into_response())),
        (
            "throttled",
            Box::new(|_, _| {
                json_of(200, json!({"status": "0", "message": "NOTOK", "result": "Max rate limit reached"}))
            }),
        ),
        ("429", Box::new(|_, _| json_of(429, json!({"message": "Too many requests"})))),
        (
            "a refusal",
            Box::new(|_, _| json_of(200, json!({"status": "0", "message": "NOTOK", "result": "Invalid API Key"}))),
        ),
        ("too large", Box::new(|_, _| "x".repeat(limits::SOURCE_ANSWER_BYTES + 1).into_response())),
        ("a server's fault", Box::new(|_, _| json_of(502, json!({})))),
    ];
    let answers = move |_: usize, _: &str| json_of(200, etherscan("Vault", &abi));
    let honest = Server::start(answers).await;
    for (what, script) in scripts {
        let troubled = Server::start(script).await;
        let said = Bench::new()
            .ask(vec![troubled.of(FactSource::Etherscan), honest.of(FactSource::Etherscan)], &code, 10_000)
            .await;
        assert_eq!(said.and_then(|said| said.name).as_deref(), Some("Vault"), "{what}");
        assert_eq!(troubled.asked(), 1, "{what}: it is left alone");
    }
    // Nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let away = source(FactSource::Etherscan, &format!("http://{gone}"));
    let said = Bench::new().ask(vec![away, honest.of(FactSource::Etherscan)], &code, 10_000).await;
    assert!(said.is_some());
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asked_for_a_pause_is_asked_again_after_it() {
    let (abi, code) = abi("total");
    let server = Server::start(move |n, _| match n {
        0 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "{}").into_response(),
        _ => json_of(200, etherscan("Vault", &abi)),
    })
    .await;
    let began = std::time::Instant::now();
    let said = Bench::new().ask(vec![server.of(FactSource::Etherscan)], &code, 10_000).await;
    assert!(said.is_some() && server.asked() == 2 && began.elapsed() >= Duration::from_millis(990));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_within_the_host_is_followed() {
    let (abi, code) = abi("total");
    let server = Server::start(move |_, uri| match uri.starts_with("/moved") {
        false => (StatusCode::FOUND, [(header::LOCATION, "/moved")]).into_response(),
        true => json_of(200, etherscan("Vault", &abi)),
    })
    .await;
    assert!(Bench::new().ask(vec![server.of(FactSource::Etherscan)], &code, 10_000).await.is_some());
}

/// What explorers said of the deposit contract, as a client of theirs recorded it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_answers_are_taken() {
    let Some(data) = std::env::var_os("HEADWATER_DATA").map(std::path::PathBuf::from) else { return };
    let file = |kind: &str| {
        let name = "0x00000000219ab540356cbb839cbe05303d7705fa.json";
        let text = std::fs::read_to_string(data.join("foreign/block-explorers").join(kind).join(name)).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    };
    let (Some(abi), Some(sources)) = (file("abi"), file("sources")) else { return };
    // `deposit(bytes,bytes,bytes,bytes32)`, as the contract's code has it.
    let code = Bytes::from_static(&[0x63, 0x22, 0x89, 0x51, 0x18, 0x14]);
    let recorded = sources["data"].clone();
    let explorer =
        Server::start(move |_, _| json_of(200, json!({"status": "1", "message": "OK", "result": recorded}))).await;
    let said = Bench::new().ask(vec![explorer.of(FactSource::Etherscan)], &code, 10_000).await.expect("taken");
    assert_eq!(said.name.as_deref(), Some("DepositContract"));
    let recorded = abi["data"].clone();
    let blockscout = Server::start(move |_, _| json_of(200, json!({"abi": recorded, "name": "DepositContract"}))).await;
    let said = Bench::new().ask(vec![blockscout.of(FactSource::Blockscout)], &code, 10_000).await.expect("taken");
    assert!(said.abi.is_some_and(|abi| abi.contains("get_deposit_root")));
}
