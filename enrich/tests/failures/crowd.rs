//! A contract that fails by the thousand: the budget is kept, groups are right, nobody else pays for it.

use std::{collections::HashMap, time::Duration};

use enrich::causes::{Budgets, Calls};
use runtime::log::{Log as _, PollLimits, Polled, TopicPartition};
use schemas::{
    limits::causes as limits,
    records::{CauseEvidence, EvmTransaction},
    topics,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, PARTITION, contract, failed, fine, hash, network},
    node::{CHAIN_ID, Node},
};

const SECONDS: u64 = 6;
const A_SECOND: u64 = 1_000;
const BLOCKS_A_SECOND: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_failures_a_second_cost_the_budget_and_no_more() {
    let node = Node::start().await;
    node.be_slow(Duration::from_millis(5));
    let mut bench = Bench::with(&node).await;
    let per_second = 5.0;
    bench.config.budgets = Budgets::new(Calls { per_second, per_day: 1_000_000 });
    let running = bench.start();
    let (crowded, began) = (contract(1), Instant::now());
    let mut others = 0;
    for block in 0..SECONDS * BLOCKS_A_SECOND {
        let mut transactions: Vec<EvmTransaction> = vec![fine(block)];
        let many = A_SECOND / BLOCKS_A_SECOND;
        transactions.extend((0..many).map(|n| failed(block * many + n, crowded)));
        // Somebody else fails too, now and then.
        if block % 4 == 0 {
            transactions.push(failed(1_000_000 + block, contract(100 + block)));
            others += 1;
        }
        node.has(hash(block + 1), &transactions, "too many");
        bench.apply(block + 1, hash(block + 1), transactions).await;
        let next = began + Duration::from_millis((block + 1) * 1_000 / BLOCKS_A_SECOND);
        tokio::time::sleep_until(next).await;
    }
    let all = (SECONDS * A_SECOND) as usize + others;
    let causes = bench.until(all).await;
    let took = began.elapsed();
    running.stop().await;
    let of = |found_by| causes.iter().filter(|cause| cause.found_by == found_by).count();
    let (traced, told) = (of(CauseEvidence::Trace), of(CauseEvidence::Budget));
    let asked = node.asked();
    eprintln!(
        "{all} failures in {SECONDS} s, all decided after {took:.1?}: {traced} traced, {told} by their group; {asked} questions"
    );
    // The day's first minute, or two of them: 20 of the crowd each; and everybody else.
    assert_eq!(traced + told, all);
    assert!((limits::SAMPLED as usize..=2 * limits::SAMPLED as usize + others).contains(&traced));
    for cause in causes.iter().filter(|cause| cause.contract != Some(crowded)) {
        assert_eq!(cause.found_by, CauseEvidence::Trace, "{cause:?}");
    }
    let model = causes.iter().find(|cause| cause.found_by == CauseEvidence::Trace).expect("one");
    for cause in causes.iter().filter(|cause| cause.found_by == CauseEvidence::Budget) {
        assert!(cause.approximate && cause.contract == Some(crowded) && cause.output.is_empty());
        assert_eq!((&cause.cause, cause.error_selector), (&model.cause, model.error_selector));
        let group = cause.group.as_deref().expect("what it was counted with");
        assert!(group.contains("looked at") && group.contains(&format!("{crowded:#x}")), "{group}");
    }
    assert!(asked as f64 <= per_second * took.as_secs_f64() + 2.0, "{asked} questions in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_told_and_none_is_passed_over() {
    let node = Node::start().await;
    node.be_away(true);
    let mut bench = Bench::with(&node).await;
    // Nobody answers, everything waits, and more comes than may wait.
    let all = limits::FAILURES_WAITING + 1_000;
    let per_block = 500;
    for block in 0..all / per_block {
        let transactions: Vec<EvmTransaction> =
            (0..per_block).map(|n| (block * per_block + n) as u64).map(|n| failed(n, contract(n))).collect();
        bench.apply(block as u64 + 1, hash(block as u64 + 1), transactions).await;
    }
    let running = bench.start();
    let causes = bench.until(1_000).await;
    assert!(causes.iter().all(|cause| cause.height <= 2), "the oldest go first");
    assert!(bench.position().await.is_none_or(|at| at <= 1_000));
    running.stop().await;
    // Later it is all decided.
    bench.config.failures.give_up_after = Duration::from_secs(1);
    let running = bench.start();
    let causes = bench.until(all).await;
    running.stop().await;
    assert_eq!(causes.len(), all);
}

/// Publishes a crowd of failures and says how long each block took until enrich had passed it on.
async fn delays(causes: bool) -> Vec<Duration> {
    let node = Node::start().await;
    let mut bench = Bench::with(&node).await;
    bench.config.budgets = Budgets::new(Calls { per_second: 5.0, per_day: 1_000_000 });
    let stop = CancellationToken::new();
    let settings = enrich::Config::new("enrich", HashMap::from([(network(), CHAIN_ID)]));
    let stream = tokio::spawn(enrich::run(settings, bench.log.clone(), bench.codec.clone(), stop.clone()));
    let running = causes.then(|| bench.start());
    let out = TopicPartition { topic: topics::ENRICHED_BLOCKS.name, partition: PARTITION };
    let mut reader = bench.log.reader(&[(out, 0)]).await.expect("a reader");
    let limits = PollLimits { records: 100, bytes: 1 << 20, wait: Duration::from_millis(5) };
    let (began, mut delays) = (Instant::now(), Vec::new());
    for block in 0..SECONDS * BLOCKS_A_SECOND {
        let many = A_SECOND / BLOCKS_A_SECOND;
        let transactions: Vec<EvmTransaction> = (0..many).map(|n| failed(block * many + n, contract(1))).collect();
        node.has(hash(block + 1), &transactions, "too many");
        let sent = Instant::now();
        bench.apply(block + 1, hash(block + 1), transactions).await;
        while let Polled::Records(records) = reader.poll(limits).await.expect("read") {
            if !records.is_empty() {
                break;
            }
            assert!(sent.elapsed() < Duration::from_secs(20), "nothing is passed on");
        }
        delays.push(sent.elapsed());
        tokio::time::sleep_until(began + Duration::from_millis((block + 1) * 1_000 / BLOCKS_A_SECOND)).await;
    }
    if let Some(running) = running {
        bench.until((SECONDS * A_SECOND) as usize).await;
        running.stop().await;
    }
    stop.cancel();
    stream.await.expect("it ends").expect("without an error");
    delays.sort();
    delays
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_is_as_fast_beside_a_crowd() {
    let (without, with) = (delays(false).await, delays(true).await);
    let (half, most) = (without.len() / 2, without.len() - 1);
    eprintln!(
        "{A_SECOND} failures/s: a block is passed on after {:.0?} (median; at most {:.0?}) without causes, {:.0?} ({:.0?}) beside them",
        without[half], without[most], with[half], with[most]
    );
    // Two stages share this machine here, and other tests too; a stream that waited for causes would be slower by seconds.
    assert!(with[half] < without[half] * 4 + Duration::from_secs(1), "{:?} instead of {:?}", with[half], without[half]);
}
