//! Polygon's state syncs, since Madhugiri (PIP-74) part of the roots, before in none of them.

use loadtest::node::fixed::{Pair, recorded};
use schemas::records::{NetworkState, Payload};
use serde_json::{Value, json};

use crate::run::{Run, Totals};

const CASE: &str = "bor-state-sync-typed";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_with_a_typed_state_sync_are_followed() {
    let mut run = Run::case(CASE, 137, |_| {}).await;
    let chain = run.whole().await;
    let totals = Totals::of(&chain);
    assert_eq!((totals.blocks, totals.transactions, totals.logs), (3, 9, 37));
    assert_eq!((totals.gas, totals.fees), (1_172_665, 326_414_490_587_926_270));
    let tip = "0x54cf921724f895a29c2c2c40966190353c8d30e4902668d3b6a5584f6540a257".to_owned();
    assert_eq!(totals.tip, (20_000_002, tip));
    let second = &chain.transactions[&chain.blocks[1].envelope.sequence];
    let Payload::Evm(sync) = &second[2].payload else { panic!("no transaction") };
    assert_eq!((sync.transaction_type, sync.receipt_gas_used, sync.logs.len()), (0x7f, 0, 1));
    run.stop().await;
}

/// Where such a block cannot be believed, the network says why and stays where it is; when the node is right again, it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_sync_hides_no_lie() {
    type Lie = fn(&mut Pair);
    fn transactions(pair: &mut Pair) -> &mut Vec<Value> {
        pair.block["transactions"].as_array_mut().expect("transactions")
    }
    let lies: [(&str, Lie); 6] = [
        ("signed, moves something", |p| transactions(p)[2]["value"] = json!("0x1")),
        ("signed, moves something", |p| {
            transactions(p)[2]["from"] = json!("0x00000000000000000000000000000000000000aa")
        }),
        ("not the last", |p| {
            transactions(p).swap(1, 2);
            p.receipts.swap(1, 2);
            for list in [p.block["transactions"].as_array_mut().expect("transactions"), &mut p.receipts] {
                for (i, item) in list.iter_mut().enumerate() {
                    item["transactionIndex"] = json!(format!("{i:#x}"));
                }
            }
        }),
        // Two of them: the first is not the last.
        ("not the last", |p| {
            let mut again = (transactions(p)[2].clone(), p.receipts[2].clone());
            again.0["transactionIndex"] = json!("0x3");
            again.1["transactionIndex"] = json!("0x3");
            again.0["hash"] = json!("0x00000000000000000000000000000000000000000000000000000000000000aa");
            again.1["transactionHash"] = again.0["hash"].clone();
            transactions(p).push(again.0);
            p.receipts.push(again.1);
        }),
        ("does not hash", |p| transactions(p)[0]["value"] = json!("0x1")),
        ("receipts have root", |p| p.receipts[2]["status"] = json!("0x0")),
    ];
    for (says, lie) in lies {
        let truth = recorded(CASE).expect("recorded blocks");
        let mut told = truth.clone();
        lie(&mut told[1]);
        let mut run = Run::over(told, 137, |_| {}).await;
        let status = run.state(NetworkState::Stalled).await;
        let detail = status.detail.expect("words");
        assert!(detail.contains(says), "{detail} should say {says}");
        run.node.replace(truth);
        assert_eq!(Totals::of(&run.whole().await).transactions, 9);
        run.stop().await;
    }
}
