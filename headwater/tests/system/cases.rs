//! What real nodes say otherwise than expected, from the node to SQL and REST: the same figures in both, none made up.

use crate::common::{Headwater, Net, text};
use loadtest::node::fixed::{FixedNode, Pair, recorded};
use serde_json::{Value, json};

fn case(name: &str) -> Vec<Pair> {
    recorded(name).expect("recorded blocks")
}

fn net(slug: &'static str, chain_id: u64, node: &FixedNode) -> Net {
    Net { slug, chain_id, start: "20000000".into(), url: node.url(), ws: None }
}

async fn serve(chain_id: u64, blocks: Vec<Pair>) -> FixedNode {
    FixedNode::spawn(chain_id, blocks).await.expect("a port")
}

async fn items(headwater: &Headwater, path: &str) -> Vec<Value> {
    let answer = headwater.get(path).await.unwrap_or_else(|e| panic!("{path}: {e}"));
    answer["items"].as_array().unwrap_or_else(|| panic!("{path}: {answer}")).clone()
}

async fn row(headwater: &Headwater, sql: &str) -> Value {
    headwater.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_the_same_in_sql_and_rest_and_none_is_made_up() {
    // A receipt of the block itself, with logs of no transaction.
    let mut epoch = case("celo-fee-currency");
    let mut own = epoch[2].receipts[0].clone();
    own["transactionHash"] = epoch[2].block["hash"].clone();
    epoch[2].receipts.push(own);
    let polygon = serve(137, case("bor-state-sync-typed")).await;
    let sei = serve(1329, case("sei-other-index")).await;
    let quorum = serve(1337, case("quorum-nanoseconds")).await;
    let celo = serve(42_220, case("celo-fee-currency")).await;
    let epoch = serve(42_220, epoch).await;
    let nodes = [
        ("polygon", 137, &polygon),
        ("sei", 1329, &sei),
        ("quorum", 1337, &quorum),
        ("celo", 42_220, &celo),
        ("epoch", 42_220, &epoch),
    ];
    let mut headwater = Headwater::new(&nodes.map(|(slug, chain_id, node)| net(slug, chain_id, node)));
    headwater.start();
    for (slug, _, node) in nodes {
        let head = node.blocks().last().map(Pair::hash).expect("a block");
        headwater.until_visible(slug, &head).await;
    }

    for (slug, transactions, logs, gas, fees) in [
        ("polygon", "9", "37", "1172665", "326414490587926270"),
        ("sei", "12", "67", "2291112", "90986722305483600"),
        ("quorum", "12", "67", "2291112", "90986722305483600"),
        ("celo", "9", "56", "1901800", "75377849535503350"),
    ] {
        let sql = format!(
            "SELECT toString(count()) AS transactions, toString(sum(receipt_gas_used)) AS gas, toString(sum(fee)) AS fees, \
             (SELECT toString(count()) FROM evm_logs WHERE network = '{slug}') AS logs, \
             (SELECT toString(sum(fee_total)) FROM blocks WHERE network = '{slug}') AS total, \
             (SELECT toString(min(complete)) FROM completeness WHERE network = '{slug}') AS complete, \
             toString(max(transaction_index)) AS last FROM evm_transactions WHERE network = '{slug}'"
        );
        let found = row(&headwater, &sql).await;
        let of = |name: &str| text(&found, name);
        assert_eq!([of("transactions"), of("logs"), of("gas"), of("fees")], [transactions, logs, gas, fees], "{slug}");
        assert_eq!([of("total"), of("complete"), of("last")], [fees, "1", "2"], "{slug}");
        let listed = items(&headwater, &format!("/txs?network={slug}&limit=100")).await;
        let sum: u128 = listed.iter().filter_map(|t| t["fee"].as_str()?.parse::<u128>().ok()).sum();
        assert_eq!((listed.len().to_string(), sum.to_string()), (of("transactions"), of("fees")), "{slug}");
    }

    // Nanoseconds are read as such, the milliseconds kept, and both say the same.
    let wanted = [546, 496, 446, 396].map(|ms| format!("2025-10-24T14:48:44.{ms}Z"));
    let times = |list: Vec<Value>| list.iter().map(|b| text(b, "block_time")).collect::<Vec<_>>();
    assert_eq!(times(items(&headwater, "/blocks?network=quorum").await), wanted);
    let sql = "SELECT concat(replaceOne(toString(timestamp), ' ', 'T'), 'Z') AS block_time FROM blocks \
               WHERE network = 'quorum' ORDER BY number DESC";
    assert_eq!(times(headwater.query(sql).await.expect("times")), wanted);
    let since = items(&headwater, "/txs?network=quorum&from=2025-10-24T14:48:44.500Z&to=2025-10-24T14:48:45Z").await;
    assert_eq!(since.len(), 3, "the last block's");
    let health = headwater.network("quorum").await.expect("health");
    assert_eq!(health["last_block_at"], json!(wanted[0]), "{health}");

    // What a token paid is told in the token.
    let hash = "0x215d1a66711e759cce37a450db5aacd84a01a2bf9f1281466eb378542d2543db";
    let token = "0x765de816845861e75a25fca122bb6898b8b1282a";
    let listed = items(&headwater, "/txs?network=celo").await;
    let paid: Vec<_> = listed.iter().filter(|t| t["fee"].is_null() || t["gas_price"].is_null()).collect();
    assert_eq!(paid.iter().map(|t| text(t, "hash")).collect::<Vec<_>>(), [hash]);
    let detail = headwater.get(&format!("/txs/celo/{hash}")).await.expect("a transaction");
    assert_eq!([&detail["fee"], &detail["gas_price"], &detail["fee_parts"]], [&Value::Null; 3]);
    assert_eq!((&detail["fee_reason"], &detail["fee_token"]), (&json!("token"), &json!(token)));
    assert_eq!(detail["fee_token_amount"], json!("197962000000000"));
    let sql = "SELECT hash, fee_reason, fee_token_amount_text FROM evm_transactions \
               WHERE network = 'celo' AND (fee_token IS NOT NULL OR fee IS NULL OR fee_reason IS NOT NULL)";
    let found = headwater.query(sql).await.expect("rows");
    assert_eq!(found, [json!({"hash": hash, "fee_reason": "token", "fee_token_amount_text": "197962000000000"})]);
    let other = headwater.get(&format!("/txs/celo/{}", text(&listed[0], "hash"))).await.expect("a transaction");
    assert!(other["fee"].is_string() && other["fee_reason"].is_null() && other["fee_token"].is_null(), "{other}");

    // Logs of no transaction have no row, and the ledger says so.
    let sql = "SELECT toString(from_number) AS at, toString(logs_expected - logs_stored) AS missing FROM completeness \
               WHERE network = 'epoch' AND NOT complete";
    let logs = epoch.blocks()[2].receipts[3]["logs"].as_array().expect("logs").len().to_string();
    assert_eq!(headwater.query(sql).await.expect("rows"), [json!({"at": "20000002", "missing": logs})]);
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_verified_is_the_configurations_choice() {
    let mut sender = case("bor-state-sync-typed");
    sender[0].block["transactions"][0]["from"] = json!("0x00000000000000000000000000000000000000aa");
    let mut value = case("bor-state-sync-typed");
    value[0].block["transactions"][0]["value"] = json!("0x1");
    let (truth, sender, value) =
        (serve(137, case("bor-state-sync-typed")).await, serve(137, sender).await, serve(137, value).await);
    let networks = [
        ("signatures-true", "signatures", &truth),
        ("signatures-lie", "signatures", &sender),
        ("profile-sender", "profile", &sender),
        ("profile-lie", "profile", &value),
        ("structure-lie", "structure", &value),
    ];
    let mut headwater = Headwater::new(&networks.map(|(slug, _, node)| net(slug, 137, node)));
    let mut config = std::fs::read_to_string(&headwater.config).expect("a configuration");
    for (slug, verify, _) in networks {
        let line = format!("slug = \"{slug}\"\n");
        config = config.replace(&line, &format!("{line}verify = \"{verify}\"\n"));
    }
    std::fs::write(&headwater.config, config).expect("written");
    headwater.start();
    let head = truth.blocks().last().map(Pair::hash).expect("a block");
    for slug in ["signatures-true", "profile-sender", "structure-lie"] {
        headwater.until_visible(slug, &head).await;
    }
    for (slug, says) in [("signatures-lie", "was signed by"), ("profile-lie", "does not hash")] {
        let detail = async |h: &Headwater| {
            let network = h.network(slug).await?;
            (network["state"] == "stalled").then(|| text(&network, "error"))
        };
        let detail = headwater.until(slug, detail).await;
        assert!(detail.contains(says), "{slug}: {detail}");
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
