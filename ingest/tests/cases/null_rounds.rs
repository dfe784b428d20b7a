//! Heights without a block: passed on the proof of the next block's parent, whether the node says so or gives nothing.

use ingest::Start;
use loadtest::node::fixed::{Asked, FixedNode, Pair, Reply, recorded, stacked};
use serde_json::{Value, json};

use crate::run::{Run, Totals};

const CHAIN: u64 = 314;

/// Lotus' answer for a height without a block.
fn null_round(height: u64) -> Reply {
    Reply::Error(12, format!("requested epoch was a null round ({height})"), json!(height))
}

/// Says so for every height up to the head that has no block.
fn says_so(node: &FixedNode) {
    let head = node.blocks().last().map_or(0, Pair::height);
    node.quirk(move |asked, truth| {
        let height = asked.height().filter(|h| truth.is_null() && *h <= head)?;
        asked.method.starts_with("eth_getBlock").then(|| null_round(height))
    });
}

fn silent(_: &FixedNode) {}

const WAYS: [fn(&FixedNode); 2] = [says_so, silent];

fn heights(run: &Run) -> Vec<u64> {
    run.node.blocks().iter().map(Pair::height).collect()
}

/// A chain of its own with blocks at these heights.
fn chain(heights: &[u64]) -> Vec<Pair> {
    stacked(&recorded("filecoin-null-round").expect("blocks"), heights, None, 7)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_null_round_is_passed() {
    for way in WAYS {
        let mut run = Run::case("filecoin-null-round", CHAIN, way).await;
        let chain = run.whole().await;
        let right = Totals {
            blocks: 5,
            transactions: 15,
            logs: 73,
            gas: 2_586_361,
            fees: 135_683_049_213_345_602,
            tip: (20_000_005, "0x39f052e48ca28b38a50adfbd624464d4429154d8548081173a6f53eaf7105187".into()),
        };
        assert_eq!(Totals::of(&chain), right);
        assert_eq!((chain.sequence, chain.reverts), (5, 0), "sequences have no gap");
        assert_eq!(heights(&run), [20_000_000, 20_000_001, 20_000_003, 20_000_004, 20_000_005]);
        run.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_in_a_row_and_at_the_head_are_passed_as_the_chain_grows() {
    for way in WAYS {
        let mut run = Run::over(chain(&[100, 103, 104, 109]), CHAIN, way).await;
        assert_eq!(run.whole().await.sequence, 4);
        for next in [[110, 112], [116, 117], [121, 130]] {
            let top = run.node.blocks().pop().expect("a block").hash();
            run.node.replace(stacked(&chain(&[1]), &next, Some(&top), 7));
            run.node.behave();
            way(&run.node);
            run.whole().await;
        }
        // What is stored is enough to go on, and to go back.
        run.restart().await;
        let base = run.node.blocks()[3].hash();
        run.node.replace_from(110, stacked(&chain(&[1]), &[111, 114, 131], Some(&base), 8));
        run.node.behave();
        way(&run.node);
        let chain = run.whole().await;
        assert_eq!((chain.blocks.len(), chain.reverts), (7, 6));
        run.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_height_where_the_network_begins_may_have_none() {
    for way in WAYS {
        let blocks = chain(&[95, 98, 103, 104]);
        let mut run = Run::with(blocks, CHAIN, |config, node| {
            config.networks[0].start = Start::Height(100);
            way(node);
        })
        .await;
        let chain = run.whole().await;
        assert_eq!(chain.hashes().iter().map(|(height, _)| *height).collect::<Vec<_>>(), [103, 104]);
        run.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_edge_of_a_reorg_they_are_told_apart_from_blocks() {
    // Below 101 both chains are one.
    let branches: [(&[u64], &[u64]); 5] = [
        (&[102, 103, 104], &[104, 105]),
        (&[102, 103], &[103]),
        (&[104, 105], &[102, 103, 104, 105]),
        (&[103, 107], &[102, 107]),
        (&[102, 106], &[105, 111]),
    ];
    for way in WAYS {
        for (old, new) in branches {
            let below = chain(&[99, 100, 101]);
            let top = below[2].hash();
            let mut run = Run::over(below.clone(), CHAIN, |node| {
                node.replace(stacked(&below, old, Some(&top), 1));
                way(node);
            })
            .await;
            run.whole().await;
            run.node.replace_from(102, stacked(&below, new, Some(&top), 2));
            run.node.behave();
            way(&run.node);
            let chain = run.whole().await;
            assert_eq!((chain.reverts, chain.blocks.len()), (old.len(), 3 + new.len()), "{old:?} to {new:?}");
            run.stop().await;
        }
    }
}

/// A node that lacks a block for now, or calls it a null round, though there is one: nothing is passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_is_only_lacking_is_waited_for() {
    for said in [true, false] {
        let mut run = Run::over(chain(&[100, 101, 102, 103, 104]), CHAIN, |node| {
            node.quirk(move |asked: &Asked, _| {
                let lacks = asked.height() == Some(102) && asked.method.starts_with("eth_getBlock");
                lacks.then(|| if said { null_round(102) } else { Reply::Result(Value::Null) })
            });
        })
        .await;
        let words = run.state(schemas::records::NetworkState::Stalled).await.detail.expect("words");
        assert!(words.contains("102"), "{words}");
        let held = crate::common::read_chain(&*run.log).await;
        assert_eq!(held.tip().map(|(height, _)| height), Some(101), "nothing is applied over it");
        run.node.behave();
        assert_eq!(run.whole().await.sequence, 5);
        run.stop().await;
    }
}

/// Blocks that do not link, as of two nodes behind one name: nothing is made of them, and the node is asked at leisure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_blocks_do_not_link_is_asked_at_leisure() {
    let held = chain(&[100, 101, 102, 103]);
    let mut run = Run::over(held.clone(), CHAIN, silent).await;
    run.whole().await;
    // 104 stands on 101, while 102 and 103 are still those of the other chain.
    run.node.replace(stacked(&held, &[104, 105], Some(&held[1].hash()), 9));
    let before = run.node.calls().len();
    let words = run.state(schemas::records::NetworkState::Stalled).await.detail.expect("words");
    assert!(words.contains("is not the parent of block"), "{words}");
    let asked = run.node.calls().len() - before;
    assert!(asked < 400, "{asked} calls");
    run.node.replace_from(102, stacked(&held, &[104, 105], Some(&held[1].hash()), 9));
    let chain = run.whole().await;
    assert_eq!((chain.reverts, chain.blocks.len()), (2, 4));
    run.stop().await;
}
