//! Each failure once, whoever is killed and whoever takes over.

use std::time::Duration;

use schemas::records::CauseEvidence;

use crate::{
    bench::{Bench, contract, failed, fine, hash, once},
    node::Node,
};

/// Blocks of one or two failures between transactions that succeeded.
async fn blocks(bench: &mut Bench, node: &Node, heights: std::ops::Range<u64>) -> usize {
    let mut failures = 0;
    for height in heights {
        let (a, b) = (failed(height * 10, contract(height)), failed(height * 10 + 1, contract(height + 1)));
        let transactions = if height % 3 == 0 { vec![fine(height), a, b] } else { vec![a, fine(height)] };
        node.has(hash(height), &transactions, "not today");
        failures += transactions.iter().filter(|t| t.receipt_status == Some(0)).count();
        bench.apply(height, hash(height), transactions).await;
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_each_has_one_record() {
    let node = Node::start().await;
    node.be_slow(Duration::from_millis(15));
    let mut bench = Bench::with(&node).await;
    let (mut failures, mut height, mut kills) = (0, 1, 0);
    for round in 0..12_u64 {
        failures += blocks(&mut bench, &node, height..height + 12).await;
        height += 12;
        let running = bench.start();
        tokio::time::sleep(Duration::from_millis(40 + (round * 97) % 260)).await;
        running.kill().await;
        kills += 1;
        once(&bench.causes().await);
    }
    let between = bench.causes().await.len();
    let running = bench.start();
    let causes = bench.until(failures).await;
    assert!(causes.iter().all(|cause| cause.found_by == CauseEvidence::Trace), "nodes answered all the time");
    running.stop().await;
    eprintln!("{kills} kills: {between} of {failures} decided between them, each once; {} questions", node.asked());
    // All is decided: started again, it says nothing and asks nobody.
    let asked = node.asked();
    let running = bench.start();
    tokio::time::sleep(Duration::from_millis(700)).await;
    running.stop().await;
    assert_eq!((bench.causes().await.len(), node.asked()), (failures, asked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_position_stays_below_what_waits_and_what_is_decided_behind_it_is_remembered() {
    let node = Node::start().await;
    node.be_slow(Duration::from_secs(60));
    let mut bench = Bench::with(&node).await;
    // One block that is slow, and then many that are not: they are decided before it.
    failures_of(&mut bench, &node, 1).await;
    let running = bench.start();
    while node.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.be_slow(Duration::ZERO);
    for height in 2..40 {
        failures_of(&mut bench, &node, height).await;
    }
    bench.until(38).await;
    let first = bench.causes().await;
    assert!(first.iter().all(|cause| cause.height > 1), "the newest first");
    running.kill().await;
    let position = bench.position().await;
    assert!(position.is_none_or(|at| at == 0), "it would pass one that waits: {position:?}");
    let running = bench.start();
    bench.until(39).await;
    running.stop().await;
    assert!(bench.position().await.is_some_and(|at| at >= 39));
}

async fn failures_of(bench: &mut Bench, node: &Node, height: u64) {
    let transactions = vec![failed(height, contract(height))];
    node.has(hash(height), &transactions, "slow");
    bench.apply(height, hash(height), transactions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_hand_a_partition_over_and_each_has_one_record() {
    let node = Node::start().await;
    node.be_slow(Duration::from_millis(10));
    let mut bench = Bench::with(&node).await;
    let mut failures = blocks(&mut bench, &node, 1..60).await;
    let mut running = bench.start_as("a");
    // Each that comes takes something over, and each that goes gives it back, in an orderly way and not.
    for round in 0..6_u64 {
        let other = bench.start_as(if round % 2 == 0 { "b" } else { "c" });
        failures += blocks(&mut bench, &node, 100 + round * 20..120 + round * 20).await;
        tokio::time::sleep(Duration::from_millis(150 + round * 60)).await;
        if round % 3 == 0 {
            running.kill().await
        } else {
            running.stop().await
        }
        running = other;
    }
    let causes = bench.until(failures).await;
    assert!(causes.iter().all(|cause| cause.found_by == CauseEvidence::Trace));
    running.stop().await;
}
