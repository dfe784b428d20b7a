//! Six situations on simulated chains, each with an hour and a half of quiet before it: `/diagnosis` has the right word and the right
//! sentence for each. Each situation has a network of its own, so that all are looked at side by side in one process.

use std::{sync::Arc, time::Instant};

use loadtest::node::evm::{Clock, Config, Dataset, EndpointConfig, Look, Simulator, spawn};
use serde_json::Value;

use crate::common::{Headwater, PATIENCE, recorded, tail};

/// Blocks a second.
const RATE: f64 = 0.1;
/// Blocks that are there at the start: 100 minutes.
const HISTORY: u64 = 600;
/// The last so many of them are staged, and all that come while the test runs.
const STAGED: u64 = 40;
const TO_COME: u64 = 120;
/// A contract that is called three times in each block, and has a log in a fourth transaction.
const TOKEN: &str = "0xdac17f958d2ee523a2206206994597c13d831ec7";

/// A situation: the network's name, what is staged, the right word, and words of the right sentence.
struct Situation {
    slug: &'static str,
    look: Look,
    /// Faults of the first endpoint, from the start on.
    faults: &'static [&'static str],
    verdict: &'static str,
    words: &'static [&'static str],
}

fn situations() -> [Situation; 6] {
    let quiet = Look::QUIET;
    let failing = Look { failing: TOKEN.parse().ok(), ..quiet };
    let of = |slug, look, verdict, words| Situation { slug, look, faults: &[], verdict, words };
    [
        of("quiet", quiet, "nothing", &["Nothing stands out"]),
        of(
            "bad-contract",
            failing,
            "contract",
            &["The contract: 75 % of the transactions with Dollar failed", "usually 0 %"],
        ),
        of("full", Look { room: 1.0, ..quiet }, "chain", &["The chain: blocks are 100 % full, usually 50 %"]),
        of("dear", Look { base_fee: 1.0, ..quiet }, "chain", &["The chain: the base fee is 115 gwei, usually 29 gwei"]),
        Situation {
            faults: &["slow:3000"],
            ..of("slow", quiet, "provider", &["The provider: endpoint first is slow", "the other 2 are well"])
        },
        of("behind", quiet, "provider", &["The provider: the newest block that is known of any endpoint is", "old"]),
    ]
}

async fn node(situation: &Situation) -> Simulator {
    let looks = (0..HISTORY + 1 + TO_COME).map(|n| if n + STAGED > HISTORY { situation.look } else { Look::QUIET });
    let data = Dataset::staged(recorded().join("ethereum/14764013"), 12, looks).expect("a stage");
    let endpoint = |name: &str| EndpointConfig::new(name);
    let first = situation.faults.iter().fold(endpoint("first"), |e, fault| e.fault(fault).expect("a fault"));
    let endpoints = vec![first, endpoint("second"), endpoint("third")];
    let config = Config { clock: Clock::Rate(RATE), history: HISTORY, endpoints, ..Config::new(Arc::new(data)) };
    spawn(config).await.expect("a simulated node")
}

/// A network's part of the configuration.
fn network(slug: &str, node: &Simulator) -> String {
    let mut text =
        format!("[[network]]\nslug = \"{slug}\"\nfamily = \"evm\"\nchain_id = {}\nstart = 1\n", node.chain_id());
    for endpoint in &node.endpoints()[1..] {
        let (name, url, ws) = (endpoint.name(), endpoint.url(), endpoint.ws_url());
        text += &format!(
            "[[network.endpoint]]\nname = \"{name}\"\noperator = \"{name}\"\nurl = \"{url}\"\nws = \"{ws}\"\n"
        );
    }
    text + &format!("[[contract]]\nnetwork = \"{slug}\"\naddress = \"{TOKEN}\"\nname = \"Dollar\"\n")
}

fn is_right(answer: &Value, situation: &Situation) -> bool {
    let sentence = answer["sentence"].as_str().unwrap_or_default();
    // Where heads stand still, the last minutes are not whole, and the answer says so; else nothing is missing, a moment after the start.
    let whole = answer["missing"].as_array().is_some_and(Vec::is_empty) || situation.slug == "behind";
    answer["verdict"] == situation.verdict && whole && situation.words.iter().all(|word| sentence.contains(word))
}

/// Asks until the answer is right.
async fn until_right(headwater: &mut Headwater, situation: &Situation, target: &str) -> Value {
    let end = Instant::now() + PATIENCE;
    let mut last = Err("not asked".to_owned());
    while Instant::now() < end {
        last = headwater.get(target).await;
        if let Ok(answer) = &last
            && is_right(answer, situation)
        {
            return answer.clone();
        }
        assert_eq!(headwater.ended(), None, "{}", headwater.said());
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("{target} never said {} {:?}: {last:#?}\n{}", situation.verdict, situation.words, tail(&headwater.said()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_situations_get_the_right_sentence_each() {
    let situations = situations();
    let mut nodes = Vec::new();
    for situation in &situations {
        nodes.push(node(situation).await);
    }
    let mut headwater = Headwater::new(&[]);
    let parts: String = situations.iter().zip(&nodes).map(|(s, node)| network(s.slug, node)).collect();
    let config = std::fs::read_to_string(&headwater.config).expect("the configuration");
    std::fs::write(&headwater.config, format!("{config}[providers]\nprobe_every = \"5s\"\n{parts}"))
        .expect("write the configuration");
    headwater.start();
    for (situation, node) in situations.iter().zip(&nodes) {
        let what = format!("{} of {}", HISTORY, situation.slug);
        headwater
            .until(&what, async |h| {
                h.network(situation.slug).await?["processed_height"].as_u64().filter(|h| *h > HISTORY)
            })
            .await;
        if situation.slug == "behind" {
            for endpoint in node.endpoints() {
                endpoint.fault("stale-head:1".parse().expect("a fault"));
            }
        }
    }
    let mut report = String::new();
    for situation in &situations {
        let contract = if situation.slug == "bad-contract" { format!("&contract={TOKEN}") } else { String::new() };
        let answer =
            until_right(&mut headwater, situation, &format!("/diagnosis?network={}{contract}", situation.slug)).await;
        report += &format!("{}: {}\n", situation.slug, answer["sentence"].as_str().unwrap_or_default());
        let evidence = answer["evidence"].as_array().expect("a list");
        assert!(evidence.len() >= 6, "{answer:#}");
        assert_eq!(evidence[0]["verdict"].is_null(), situation.verdict == "nothing", "{answer:#}");
    }
    // Whoever asks about the network is told which contract it is.
    let of_network =
        Situation { words: &["failures of the last minutes called 0xdac17f95"], ..situations_of("bad-contract") };
    let answer = until_right(&mut headwater, &of_network, "/diagnosis?network=bad-contract").await;
    report += &format!("bad-contract, of the network: {}\n", answer["sentence"].as_str().unwrap_or_default());
    eprintln!("{report}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

fn situations_of(slug: &str) -> Situation {
    situations().into_iter().find(|situation| situation.slug == slug).expect("one of them")
}
