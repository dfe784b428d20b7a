//! A node without oddities gives the same values as those with them.

use crate::run::{Run, Totals};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_node_is_followed() {
    let mut run = Run::case("sei-block-receipts-error", 1329, |_| {}).await;
    let totals = Totals::of(&run.whole().await);
    assert_eq!((totals.blocks, totals.transactions, totals.logs), (5, 15, 73));
    assert_eq!((totals.gas, totals.fees), (2_586_361, 135_683_049_213_345_602));
    let tip = "0x3a25211f2b4641abbfd1dffb3f485d2f706b7c250f9405dfcbf82a48e61efd8f".to_owned();
    assert_eq!(totals.tip, (20_000_004, tip));
    assert_eq!(run.node.count("eth_getTransactionReceipt"), 0, "the faster way is used");
    run.stop().await;
}
