//! Fees of the chains that charge otherwise than Ethereum, from the node to SQL and REST: every one, its parts and the blocks' sums
//! equal the recomputation from the JSON that the node served (`enrich/tests/recompute/fees.py`). Mantle's receipts are recorded ones,
//! served in blocks of both its eras; with `HEADWATER_DATA` all that were recorded.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::{Headwater, Net, recorded, text};
use loadtest::node::fixed::{self, FixedNode, Pair, stacked};
use serde_json::{Value, json};

/// When Arsia was activated on mainnet, seconds since 1970.
const ARSIA: u64 = 1_776_841_200;

fn read(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files of Mantle's receipts, by name.
fn files() -> BTreeMap<String, PathBuf> {
    let data = std::env::var_os("HEADWATER_DATA").map(|data| PathBuf::from(data).join("foreign/mantle"));
    let folders = [Some(recorded().join("../mantle")), data].into_iter().flatten();
    let list = folders.flat_map(|folder| fs::read_dir(folder).expect("a folder").map(|e| e.expect("a file").path()));
    list.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path)).collect()
}

/// A block of a file's receipts, in the header of another.
fn block_of(file: &Value) -> Pair {
    let mut pair = fixed::recorded("celo-fee-currency").expect("recorded blocks").remove(0);
    let mut receipts = file["receipts"].as_array().expect("receipts").clone();
    let transactions = receipts.iter_mut().enumerate().map(|(i, receipt)| {
        receipt["transactionIndex"] = json!(format!("{i:#x}"));
        let request = file["transactions"].as_array().into_iter().flatten();
        let request = request.clone().find(|t| t["hash"] == receipt["transactionHash"]).expect("its request");
        json!({
            "hash": receipt["transactionHash"], "transactionIndex": receipt["transactionIndex"], "type": receipt["type"],
            "from": receipt["from"], "to": receipt["to"], "value": request["value"], "nonce": request["nonce"],
            "gas": request["gas"], "input": request["input"],
        })
    });
    pair.block["transactions"] = transactions.collect();
    pair.receipts = receipts;
    pair
}

/// A chain of what was recorded of one, each block at its time. On mainnet the receipts of after Arsia stand before it too: the same
/// figures, another fee.
fn mantle(chain_id: u64) -> Vec<Pair> {
    let mut blocks = Vec::new();
    for (name, path) in files() {
        let file = read(&path);
        if file["chainId"] == chain_id {
            let at = file["broadcast_timestamp"].as_u64().expect("a time");
            blocks.push((if at > 100_000_000_000 { at / 1_000 } else { at }, block_of(&file)));
            if name.starts_with("mainnet-arsia-95278687") {
                blocks.push((ARSIA - 2, block_of(&file)));
            }
        }
    }
    blocks.sort_by_key(|(at, _)| *at);
    let (times, content): (Vec<u64>, Vec<Pair>) = blocks.into_iter().unzip();
    let heights: Vec<u64> = (1..=content.len() as u64).collect();
    let mut chain = stacked(&content, &heights, None, chain_id);
    for (pair, at) in chain.iter_mut().zip(times) {
        pair.block["timestamp"] = json!(format!("{at:#x}"));
    }
    chain
}

fn folder(name: &str) -> Vec<Pair> {
    let result = |file: &str| {
        let mut value = read(&recorded().join(name).join(file));
        if value["result"].is_null() { value } else { value["result"].take() }
    };
    vec![Pair { block: result("block.json"), receipts: result("receipts.json").as_array().expect("receipts").clone() }]
}

/// What the recomputation says of a chain, by transaction; and its sums.
fn recomputed(chain_id: u64, blocks: &[Pair]) -> (BTreeMap<String, Value>, String, u64) {
    let root = tempfile::tempdir().expect("a folder");
    let of_chain = root.path().join(format!("cases/{chain_id}"));
    fs::create_dir_all(&of_chain).expect("made");
    let list: Vec<_> = blocks.iter().map(|p| json!({"block": p.block, "receipts": p.receipts})).collect();
    fs::write(of_chain.join("blocks.json"), json!(list).to_string()).expect("written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../enrich/tests/recompute/fees.py");
    let run = Command::new("python3").arg(script).arg("--json").arg(root.path()).output().expect("python3");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let (mut of_each, mut total, mut unknown) = (BTreeMap::new(), 0_u128, 0);
    for line in String::from_utf8(run.stdout).expect("text").lines() {
        let block: Value = serde_json::from_str(line).expect("a block");
        total += text(&block, "fee_total").parse::<u128>().expect("a number");
        unknown += block["fee_unknown"].as_u64().expect("a count");
        of_each.extend(block["transactions"].as_array().expect("a list").iter().map(|t| (text(t, "hash"), t.clone())));
    }
    (of_each, total.to_string(), unknown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fees_in_sql_and_rest_equal_recomputation_in_every_era() {
    let mut chains = vec![
        ("mantle", 5_000, mantle(5_000)),
        ("celo", 42_220, fixed::recorded("celo-fee-currency").expect("recorded blocks")),
        ("polygon", 137, fixed::recorded("bor-state-sync-typed").expect("recorded blocks")),
        ("arbitrum", 42_161, folder("arbitrum/150000000")),
    ];
    let sepolia = mantle(5_003);
    if !sepolia.is_empty() {
        chains.push(("mantle-sepolia", 5_003, sepolia));
    }
    let mut nodes = Vec::new();
    for (slug, chain_id, blocks) in &chains {
        nodes.push((*slug, *chain_id, FixedNode::spawn(*chain_id, blocks.clone()).await.expect("a port")));
    }
    let nets = nodes.iter().map(|(slug, chain_id, node)| {
        let start = node.blocks()[0].height().to_string();
        Net { slug, chain_id: *chain_id, start, url: node.url(), ws: None }
    });
    let mut headwater = Headwater::new(&nets.collect::<Vec<_>>());
    // The blocks around Mantle's receipts are made up.
    let mut config = fs::read_to_string(&headwater.config).expect("a configuration");
    for slug in ["mantle", "mantle-sepolia"] {
        let line = format!("slug = \"{slug}\"\n");
        config = config.replace(&line, &format!("{line}verify = \"structure\"\n"));
    }
    fs::write(&headwater.config, config).expect("written");
    headwater.start();

    let mut reasons = Vec::new();
    for (slug, chain_id, blocks) in &chains {
        headwater.until_visible(slug, &blocks.last().expect("a block").hash()).await;
        let (of_each, total, unknown) = recomputed(*chain_id, blocks);
        let sql = format!(
            "SELECT hash, fee_text, execution_fee_text, l1_fee_text, operator_fee_text, fee_reason, fee_token_amount_text \
             FROM evm_transactions WHERE network = '{slug}' ORDER BY block_number, transaction_index"
        );
        let rows = headwater.query(&sql).await.expect("rows");
        assert_eq!(rows.len(), of_each.len(), "{slug}");
        for row in &rows {
            let hash = text(row, "hash");
            let expected = &of_each[&hash];
            let parts = &expected["parts"];
            let wanted = [
                ("fee_text", &expected["total"]),
                ("execution_fee_text", &parts["execution"]),
                ("l1_fee_text", &parts["l1"]),
                ("operator_fee_text", &parts["operator"]),
                ("fee_reason", &expected["reason"]),
                ("fee_token_amount_text", &expected["token_amount"]),
            ];
            for (column, wanted) in wanted {
                assert_eq!(&row[column], wanted, "{slug} {hash} {column}");
            }
            let detail = headwater.get(&format!("/txs/{slug}/{hash}")).await.expect("a transaction");
            assert_eq!(
                (&detail["fee"], &detail["fee_reason"]),
                (&expected["total"], &expected["reason"]),
                "{slug} {hash}"
            );
            for part in ["execution", "l1", "operator"] {
                assert_eq!(detail["fee_parts"][part], parts[part], "{slug} {hash} {part}");
            }
            reasons.extend(expected["reason"].as_str().map(str::to_owned));
        }
        let sql = format!(
            "SELECT toString(sum(fee_total)) AS total, toString(sum(fee_unknown_count)) AS unknown FROM blocks \
             WHERE network = '{slug}'"
        );
        let sums = headwater.query(&sql).await.expect("sums");
        assert_eq!(sums, [json!({"total": total, "unknown": unknown.to_string()})], "{slug}");
    }
    assert!(reasons.iter().any(|r| r == "token"), "{reasons:?}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
