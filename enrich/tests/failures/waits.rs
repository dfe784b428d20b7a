//! What becomes of those that wait: reverts, nodes that are away or have nothing, and the end of patience.

use std::time::Duration;

use schemas::records::CauseEvidence;

use crate::{
    bench::{Bench, contract, failed, fine, hash},
    node::Node,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_reverted_while_nodes_are_asked_is_told_by_its_receipt_and_the_next_branch_by_its_own() {
    let node = Node::start().await;
    node.be_slow(Duration::from_millis(6_000));
    let mut bench = Bench::with(&node).await;
    let transaction = failed(1, contract(1));
    node.has(hash(10), std::slice::from_ref(&transaction), "the first branch");
    let first = bench.apply(10, hash(10), vec![fine(7), transaction.clone()]).await;
    let running = bench.start();
    while node.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The answer is under way. The chain turns, and the same transaction fails otherwise.
    bench.revert(10, hash(10)).await;
    bench.until(1).await;
    node.be_slow(Duration::ZERO);
    node.has(hash(110), std::slice::from_ref(&transaction), "the second branch");
    let second = bench.apply(10, hash(110), vec![transaction.clone()]).await;
    bench.until(2).await;
    // And the first branch comes back: it is applied again, and gets its cause again, its own.
    bench.revert(10, hash(110)).await;
    node.has(hash(10), std::slice::from_ref(&transaction), "the first branch");
    let third = bench.apply(10, hash(10), vec![fine(7), transaction]).await;
    let causes = bench.until(3).await;
    tokio::time::sleep(Duration::from_millis(6_100)).await;
    assert_eq!(bench.causes().await.len(), 3, "the late answer changes nothing");
    running.stop().await;
    let told: Vec<_> = causes.iter().map(|c| (c.sequence, c.transaction_index, c.found_by)).collect();
    use CauseEvidence::{Receipt, Trace};
    assert_eq!(told, [(first, 1, Receipt), (second, 0, Trace), (third, 1, Trace)]);
    assert!(causes[0].output.is_empty() && causes[0].block_hash == hash(10).into());
    let text = |n: usize| String::from_utf8_lossy(&causes[n].output).into_owned();
    assert!(text(1).contains("the second branch") && !text(1).contains("first"), "{}", text(1));
    assert!(text(2).contains("the first branch") && causes[2].block_hash == hash(10).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_the_node_has_in_another_block_is_no_evidence() {
    let node = Node::start().await;
    let mut bench = Bench::with(&node).await;
    bench.config.failures.give_up_after = Duration::from_secs(5);
    let transaction = failed(1, contract(1));
    // The node is on another branch already, and the revert is still on its way.
    node.has(hash(999), std::slice::from_ref(&transaction), "of another block");
    bench.apply(10, hash(10), vec![transaction]).await;
    let running = bench.start();
    let causes = bench.until(1).await;
    running.stop().await;
    assert_eq!(causes[0].found_by, CauseEvidence::Receipt);
    assert!(causes[0].output.is_empty() && !causes[0].reason.contains("another block"), "{:?}", causes[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_behind_are_waited_for_longer_than_a_block_is_on_its_way() {
    let node = Node::start().await;
    node.be_behind(Some(9));
    let mut bench = Bench::with(&node).await;
    // A block of which nodes at its height know nothing is waited for a quarter of this: four seconds.
    bench.config.failures.give_up_after = Duration::from_secs(16);
    let one = vec![failed(1, contract(1))];
    let two = vec![failed(2, contract(2)), failed(3, contract(3))];
    node.has(hash(10), &one, "at last");
    node.has(hash(11), &two, "at last");
    bench.apply(10, hash(10), one).await;
    bench.apply(11, hash(11), two).await;
    let running = bench.start();
    tokio::time::sleep(Duration::from_millis(4_000)).await;
    let asked = node.asked();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(node.asked(), asked, "one question a block for the head, and none for traces, while they are behind");
    assert!(asked > 0 && bench.causes().await.is_empty(), "they were asked, and wait");
    node.be_behind(None);
    let causes = bench.until(3).await;
    running.stop().await;
    // What the nodes did not have is no fault of theirs: each is told by its trace, as soon as there is one.
    assert!(causes.iter().all(|cause| cause.found_by == CauseEvidence::Trace), "{causes:#?}");
    assert!(causes.iter().all(|cause| String::from_utf8_lossy(&cause.output).contains("at last")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_come_back_are_asked_for_what_waited_the_newest_first() {
    let node = Node::start().await;
    node.be_away(true);
    let mut bench = Bench::with(&node).await;
    for height in 1..=20 {
        let transactions = vec![failed(height, contract(height))];
        node.has(hash(height), &transactions, "away");
        bench.apply(height, hash(height), transactions).await;
    }
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(bench.causes().await.is_empty(), "they wait");
    assert!(bench.position().await.is_none_or(|at| at == 0), "and so does the position");
    node.be_away(false);
    let causes = bench.until(20).await;
    running.stop().await;
    assert!(causes.iter().all(|cause| cause.found_by == CauseEvidence::Trace));
    let first: u64 = causes.iter().take(5).map(|cause| cause.height).min().expect("some");
    assert!(first >= 14, "the newest first: {:?}", causes.iter().map(|c| c.height).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_long_enough_is_told_by_his_receipt_and_the_position_moves() {
    let node = Node::start().await;
    node.be_away(true);
    let mut bench = Bench::with(&node).await;
    bench.config.failures.give_up_after = Duration::from_secs(2);
    for height in 1..=5 {
        bench.apply(height, hash(height), vec![failed(height, contract(height)), fine(height)]).await;
    }
    let running = bench.start();
    let causes = bench.until(5).await;
    running.stop().await;
    // Whoever was never asked about says so.
    assert!(causes.iter().all(|c| matches!(c.found_by, CauseEvidence::Receipt | CauseEvidence::Budget)));
    assert!(causes.iter().any(|c| c.found_by == CauseEvidence::Receipt));
    assert!(bench.position().await.is_some_and(|at| at >= 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_traces_or_nodes_each_is_told_by_its_receipt_at_once() {
    let node = Node::start().await;
    for (traces, with_nodes) in [(false, true), (true, false)] {
        let mut bench = if with_nodes { Bench::with(&node).await } else { Bench::new().await };
        bench.config.failures.traces = traces;
        bench.apply(1, hash(1), vec![fine(1), failed(1, contract(1)), failed(2, contract(1))]).await;
        let running = bench.start();
        let causes = bench.until(2).await;
        running.stop().await;
        assert!(causes.iter().all(|cause| cause.found_by == CauseEvidence::Receipt));
        assert_eq!(causes.iter().map(|cause| cause.transaction_index).collect::<Vec<_>>(), [1, 2]);
    }
    assert_eq!(node.asked(), 0);
}
