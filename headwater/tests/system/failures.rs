//! Why transactions failed, in the real binary on a real EVM node (anvil, `scripts/fetch-anvil`): each failed transaction has its cause by
//! its trace, in the topic, in its row and in the view `causes`, over a kill and over a reorg, each block its own.

use std::process::Command;

use alloy_primitives::{hex, keccak256};
use loadtest::node::anvil::Anvil;
use serde_json::{Value, json};

use crate::common::{Headwater, Net, binary, number, text};

/// Reverts with what follows the first four bytes of its calldata.
const MIRROR: &str = "0x600b8060095f395ff3600436038060045f375ffd";
/// Always an invalid instruction.
const BURNER: &str = "0x60fe5f5360015ff3";
/// Never ends.
const SPINNER: &str = "0x60048060095f395ff35b5f56fe";

/// Calldata that makes the mirror revert with an error and its arguments, words as they are.
fn reverting(error: &str, arguments: &[u8]) -> String {
    format!("0xaaaaaaaa{}{}", hex::encode(&keccak256(error)[..4]), hex::encode(arguments))
}

fn word(n: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&n.to_be_bytes());
    word
}

/// `Error(string)`.
fn saying(said: &str) -> String {
    let mut arguments = [word(32), word(said.len() as u64)].concat();
    arguments.extend(said.as_bytes());
    arguments.resize(64 + said.len().div_ceil(32) * 32, 0);
    reverting("Error(string)", &arguments)
}

struct Chain {
    anvil: Anvil,
    from: Value,
}

impl Chain {
    /// Sends a transaction; its receipt.
    async fn send(&self, to: Option<&str>, data: &str) -> Value {
        let mut transaction = json!({"from": self.from, "data": data, "gas": "0x30d40"});
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let hash = self.anvil.call("eth_sendTransaction", json!([transaction])).await;
        self.anvil.receipt(&hash).await
    }

    async fn deploy(&self, code: &str) -> String {
        text(&self.send(None, code).await, "contractAddress")
    }

    /// A transaction that fails; its hash, and its block's.
    async fn fail(&self, to: &str, data: &str) -> (String, String) {
        let receipt = self.send(Some(to), data).await;
        assert_eq!(receipt["status"], "0x0", "{receipt}");
        (text(&receipt, "transactionHash"), text(&receipt, "blockHash"))
    }
}

/// The row of the view `causes` of a transaction in a block.
async fn cause(headwater: &mut Headwater, hash: &str, block: &str) -> Value {
    let sql = format!(
        "SELECT c.cause AS cause, c.reason AS reason, c.found_by AS found_by, c.revision AS revision, c.frame_address AS frame, \
         c.error_selector AS selector FROM causes AS c JOIN evm_transactions AS t ON t.network = c.network AND t.block_hash = \
         c.block_hash AND t.transaction_index = c.transaction_index WHERE t.hash = '{hash}' AND c.block_hash = '{block}'"
    );
    let rows = headwater
        .until(&format!("the cause of {hash}"), async |h| h.query(&sql).await.ok().filter(|rows| !rows.is_empty()))
        .await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

/// How many records the topic has, and of how many transactions of how many events.
fn records(headwater: &Headwater) -> (usize, usize) {
    let tail = ["tail", "enriched.causes", "--config"];
    let output = Command::new(binary()).args(tail).arg(&headwater.config).output().expect("tail");
    let lines = String::from_utf8(output.stdout).expect("text");
    let mut of: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|record| format!("{}/{}", record["key"], record["value"]["sequence"]))
        .collect();
    let all = of.len();
    of.sort();
    of.dedup();
    (all, of.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failed_transaction_has_its_own_cause() {
    let Some(anvil) = Anvil::start(runtime::cache::folder().as_deref()) else { return };
    let from = anvil.call("eth_accounts", json!([])).await[0].clone();
    let chain = Chain { anvil, from };
    let (mirror, burner) = (chain.deploy(MIRROR).await, chain.deploy(BURNER).await);
    let spinner = chain.deploy(SPINNER).await;

    let (height, head) = chain.anvil.head().await;
    let mut headwater = Headwater::new(&[Net {
        slug: "anvil",
        chain_id: 31_337,
        start: height.to_string(),
        url: chain.anvil.url(),
        ws: Some(chain.anvil.ws_url()),
    }]);
    let config = std::fs::read_to_string(&headwater.config).expect("the file");
    std::fs::write(&headwater.config, config + "\n[causes]\nlimit = \"50/s\"\n").expect("written");
    headwater.start();
    headwater.until_visible("anvil", &head).await;

    let panic = |code| reverting("Panic(uint256)", &word(code));
    let cases: Vec<(&str, String, &[&str])> = vec![
        (&mirror, saying("UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT"), &["slippage"]),
        (&mirror, saying("ERC20: transfer amount exceeds balance"), &["balance"]),
        (&mirror, saying("Ownable: caller is not the owner"), &["access"]),
        (&mirror, panic(0x11), &["math"]),
        (&mirror, panic(0x32), &["bounds"]),
        (&mirror, reverting("NobodyKnowsThisOne(uint256)", &word(7)), &["custom"]),
        (&mirror, "0xaaaaaaaa".to_owned(), &["opaque"]),
        (&burner, "0xaaaaaaaa".to_owned(), &["assert", "bad_code"]),
        (&spinner, "0xaaaaaaaa".to_owned(), &["gas_limit"]),
    ];
    let mut failed = Vec::new();
    for (to, data, classes) in &cases {
        failed.push((chain.fail(to, data).await, to, data, classes));
    }
    for ((hash, block), to, data, classes) in &failed {
        let row = cause(&mut headwater, hash, block).await;
        assert!(classes.contains(&text(&row, "cause").as_str()), "{data}: {row}");
        assert_eq!((row["found_by"].as_str(), number(&row, "revision")), (Some("trace"), 1), "{row}");
        assert_eq!(row["frame"].as_str(), Some(**to), "{row}");
        if data.len() > 18 {
            assert_eq!(text(&row, "selector"), format!("0x{}", &data[10..18]), "{row}");
        }
    }
    // The row itself has it, and so has REST.
    let ((hash, _), ..) = &failed[0];
    let sql =
        format!("SELECT failure_cause, found_by FROM evm_transactions WHERE network = 'anvil' AND hash = '{hash}'");
    let row = headwater
        .until("the row's cause", async |h| {
            h.query(&sql).await.ok().filter(|rows| rows.first().is_some_and(|row| row["found_by"] == "trace"))
        })
        .await;
    assert_eq!(row[0]["failure_cause"], "slippage");
    let detail = headwater.get(&format!("/txs/anvil/{hash}")).await.expect("a transaction");
    assert_eq!((&detail["cause"], &detail["failure"]["found_by"]), (&json!("slippage"), &json!("trace")), "{detail}");

    // Killed in the middle of it, and a reorg takes blocks back: each block has its own cause, and none two.
    let (hash, block) = chain.fail(&mirror, &saying("Pausable: paused")).await;
    headwater.kill();
    headwater.start();
    assert_eq!(text(&cause(&mut headwater, &hash, &block).await, "cause"), "paused");
    let (gone, former) = chain.fail(&mirror, &saying("UniswapV2Router: EXPIRED")).await;
    assert_eq!(text(&cause(&mut headwater, &gone, &former).await, "cause"), "deadline");
    let height =
        u64::from_str_radix(text(&chain.anvil.receipt(&json!(gone)).await, "blockNumber").trim_start_matches("0x"), 16);
    let depth = chain.anvil.head().await.0 - height.expect("a height") + 1;
    chain.anvil.call("anvil_reorg", json!([depth, []])).await;
    let (other, latter) = chain.fail(&mirror, &saying("ERC20: insufficient allowance")).await;
    assert_eq!(text(&cause(&mut headwater, &other, &latter).await, "cause"), "allowance");
    let sql = format!("SELECT count() AS n FROM causes WHERE network = 'anvil' AND block_hash = '{former}'");
    headwater
        .until("the former branch's cause is gone", async |h| {
            h.query(&sql).await.ok().filter(|rows| number(&rows[0], "n") == 0)
        })
        .await;
    let (all, different) = records(&headwater);
    assert_eq!((all, different), (cases.len() + 3, cases.len() + 3), "each once");

    let health = headwater.get("/health").await.expect("health");
    let stages = health["stages"].as_array().expect("stages");
    assert!(stages.iter().any(|s| s["stage"] == "causes" && s["state"] == "running"), "{health}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

#[test]
fn a_mistake_in_the_table_of_causes_stops_the_start() {
    let headwater = Headwater::new(&[]);
    let config = std::fs::read_to_string(&headwater.config).expect("the file");
    std::fs::write(&headwater.config, config + "\n[causes]\ntable = \"causes.toml\"\n").expect("written");
    let check = || {
        let output = Command::new(binary()).args(["check", "--config"]).arg(&headwater.config).output().expect("run");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = check();
    assert!(code == Some(78) && said.contains("causes.toml"), "it is not there: {code:?} {said}");
    std::fs::write(headwater.dir.path().join("causes.toml"), "[[text]\n").expect("written");
    let (code, said) = check();
    assert!(code == Some(78) && said.contains("causes.toml"), "{code:?} {said}");
    std::fs::write(headwater.dir.path().join("causes.toml"), "").expect("written");
    let (code, said) = check();
    assert!(code == Some(0) && said.contains("causes.toml"), "{code:?} {said}");
}
