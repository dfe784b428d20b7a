//! Random chains, reorgs, kills and replays against the model (rules 16 and 17).

use std::time::Duration;

use clickhouse::Row;
use runtime::log::{Log, Offsets, PollLimits, Polled, TopicPartition};
use schemas::{
    Status, TimeMs,
    records::{EnrichedCause, Payload},
};
use serde::Deserialize;
use store::{
    Store,
    sink::{
        fold::{Folded, fold},
        pipeline,
    },
};

use crate::{
    chain::{Chain, Dice, Live},
    harness::Running,
    setup::{PARTITIONS, RunningSink, TestLog, execute, long, rows, store_in, until_processed},
};

type BlockSeen = (String, u64, String, u64, u32, u32);
type TransactionSeen = (String, u64, u32, String, u64, String, u64, Option<String>, Option<String>);
/// A row of the view `causes`.
#[derive(Debug, PartialEq, Row, Deserialize)]
struct CauseSeen {
    network: String,
    block_number: u64,
    transaction_index: u32,
    transaction_hash: String,
    sequence: u64,
    revision: u8,
    cause: Option<String>,
    reason: Option<String>,
    found_by: Option<String>,
    approximate: u8,
    rule: Option<String>,
    cause_group: Option<String>,
    entry_address: Option<String>,
    frame_address: Option<String>,
    frame_depth: Option<u16>,
    error: Option<String>,
    error_selector: Option<String>,
    error_signature: Option<String>,
    error_arguments: Option<String>,
    output: Option<String>,
    calls: Option<String>,
    found_at: Option<TimeMs>,
}

type LogSeen = (String, u64, u32, u32, u64);
type EventSeen = (String, u64, String, String);
type ContractSeen = (String, u64, String, u64, u32, u32, u32, u64);

/// Compares every view with the model, row by row.
pub async fn compare(engine: &Running, store: &Store, chains: &[Chain], when: &str) {
    let mut sorted: Vec<&Chain> = chains.iter().collect();
    sorted.sort_by_key(|c| c.network.as_str().to_owned());
    let (mut blocks, mut transactions, mut logs, mut events) = (vec![], vec![], vec![], vec![]);
    let (mut contracts, mut causes) = (vec![], vec![]);
    for chain in sorted {
        let name = || chain.network.as_str().to_owned();
        for live in &chain.live {
            let e = &live.event.block.envelope;
            let failed = live.event.block.summary.as_ref().map_or(0, |s| s.failed);
            blocks.push((name(), e.height, e.block_hash.as_str().to_owned(), e.sequence, e.tx_count, failed));
            contracts.extend(crate::chain::contracts(&live.event.transactions).into_iter().map(|c| {
                let address = c.address.to_string().to_lowercase();
                (name(), e.height, address, e.sequence, c.transactions, c.failed, c.logs, c.gas_used)
            }));
            for t in &live.event.transactions {
                let Payload::Evm(both) = &t.payload else { continue };
                let status = if both.1.status == Status::Failed { "failed" } else { "success" };
                let hash = both.0.hash.to_string();
                let index = both.0.transaction_index;
                let folded = chain.folded.get(&(e.sequence, index));
                causes.extend(folded.map(|c| cause_seen(c, &hash)));
                let (cause, reason) = match folded {
                    Some(folded) => (Some(folded.cause.clone()), Some(folded.reason.clone())),
                    None => (both.1.failure_cause.clone(), both.1.failure_reason.clone()),
                };
                let gas = both.0.receipt_gas_used;
                transactions.push((name(), e.height, index, hash, e.sequence, status.into(), gas, cause, reason));
                logs.extend(both.0.logs.iter().map(|l| (name(), e.height, index, l.log_index, e.sequence)));
            }
        }
        events.extend(chain.events.iter().map(|(s, op, hash)| (name(), *s, op.clone(), hash.clone())));
    }
    let sql = "SELECT toString(network), number, hash, sequence, transaction_count, failed_count FROM blocks ORDER BY network, number";
    assert_eq!(rows::<BlockSeen>(engine, store, sql).await, blocks, "blocks {when}");
    let sql = "SELECT toString(network), block_number, transaction_index, hash, sequence, toString(status), gas_used, \
               CAST(failure_cause, 'Nullable(String)'), failure_reason \
               FROM transactions ORDER BY network, block_number, transaction_index";
    assert_eq!(rows::<TransactionSeen>(engine, store, sql).await, transactions, "transactions {when}");
    let sql = "SELECT network, block_number, transaction_index, transaction_hash, sequence, revision, cause, reason, found_by, \
               approximate, rule, cause_group, entry_address, frame_address, frame_depth, error, error_selector, error_signature, \
               error_arguments, output, calls, found_at FROM causes ORDER BY network, block_number, transaction_index";
    assert_eq!(rows::<CauseSeen>(engine, store, sql).await, causes, "causes {when}");
    let sql = "SELECT count() FROM transactions AS t FULL JOIN causes AS c \
               ON t.network = c.network AND t.block_number = c.block_number AND t.transaction_index = c.transaction_index \
               WHERE NOT (ifNull(t.found_by, '') = ifNull(c.found_by, '') AND ifNull(t.error_selector, '') = ifNull(c.error_selector, ''))";
    assert_eq!(rows::<u64>(engine, store, sql).await, [0], "found_by of transactions {when}");
    let sql = "SELECT toString(network), block_number, transaction_index, log_index, sequence FROM evm_logs \
               ORDER BY network, block_number, transaction_index, log_index";
    assert_eq!(rows::<LogSeen>(engine, store, sql).await, logs, "logs {when}");
    let sql = "SELECT toString(network), block_number, contract, sequence, transactions, failed, logs, gas_used \
               FROM contract_blocks ORDER BY network, block_number, contract";
    assert_eq!(rows::<ContractSeen>(engine, store, sql).await, contracts, "contracts {when}");
    let sql =
        "SELECT toString(network), sequence, toString(op), block_hash FROM block_events ORDER BY network, sequence";
    assert_eq!(rows::<EventSeen>(engine, store, sql).await, events, "block events {when}");
}

/// How the view shows a cause.
fn cause_seen(c: &EnrichedCause, hash: &str) -> CauseSeen {
    let address = |address: Option<alloy_primitives::Address>| address.map(|a| format!("{a:#x}"));
    CauseSeen {
        network: c.network.as_str().to_owned(),
        block_number: c.height,
        transaction_index: c.transaction_index,
        transaction_hash: hash.to_owned(),
        sequence: c.sequence,
        revision: c.revision,
        cause: Some(c.cause.clone()),
        reason: Some(c.reason.clone()),
        found_by: Some(c.found_by.as_str().to_owned()),
        approximate: u8::from(c.approximate),
        rule: c.rule.clone(),
        cause_group: c.group.clone(),
        entry_address: address(c.entry),
        frame_address: address(c.frame_address),
        frame_depth: c.frame_depth,
        error: c.error.clone(),
        error_selector: c.error_selector.map(|s| format!("{s:#x}")),
        error_signature: c.error_signature.clone(),
        error_arguments: c.error_arguments.clone(),
        output: Some(&c.output).filter(|o| !o.is_empty()).map(|o| format!("{o:#x}")),
        calls: c.calls.clone(),
        found_at: Some(c.found_at),
    }
}

async fn all_processed(store: &Store, chains: &[Chain]) {
    for chain in chains {
        until_processed(store, &chain.network, chain.sequence).await;
    }
}

/// Folds random causes of live transactions, newer and older ones, some twice, whatever the sink is doing meanwhile.
async fn fold_some(store: &Store, chains: &mut [Chain], dice: &mut Dice) {
    for chain in chains {
        let mut causes: Vec<EnrichedCause> = (0..dice.roll(4)).filter_map(|_| chain.cause(dice)).collect();
        causes.extend(causes.first().cloned());
        let outcomes = fold(store, &chain.network, &causes).await.expect("causes");
        for (cause, outcome) in causes.into_iter().zip(outcomes) {
            let at = |live: &&Live| live.event.block.envelope.block_hash == cause.block_hash;
            let sequence = chain.live.iter().find(at).expect("a live block").event.block.envelope.sequence;
            let key = (sequence, cause.transaction_index);
            let held = chain.folded.get(&key).map(|held| held.revision);
            match outcome {
                Folded::Done => {
                    assert!(held.is_none_or(|held| held < cause.revision), "{cause:?} over {held:?}");
                    chain.folded.insert(key, cause);
                }
                Folded::Held => assert!(held.is_some_and(|held| held >= cause.revision), "{cause:?} over {held:?}"),
                Folded::NoRow => assert_eq!(held, None, "{cause:?}"),
            }
        }
    }
}

/// Puts the group's positions back to the beginning.
pub async fn start_over(log: &TestLog) {
    let mut consumer = log.log.consumer(pipeline::GROUP, "test", &pipeline::TOPICS).await.expect("a member");
    let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_secs(1) };
    let mut held = 0;
    while held < (PARTITIONS as usize) * 2 {
        if let Polled::Assigned(list) = consumer.poll(limits).await.expect("an assignment") {
            held += list.len();
        }
    }
    let zero = |topic| (0..PARTITIONS).map(move |partition| (TopicPartition { topic, partition }, 0));
    let offsets: Offsets = pipeline::TOPICS.into_iter().flat_map(zero).collect();
    consumer.commit(offsets).await.expect("a commit");
}

const CHAINS: u64 = 10;
const KILLS: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_equal_the_model_after_reorgs_kills_replays_and_late_inserts() {
    let engine = Running::start().await;
    for seed in 0..if long() { 6 } else { 1 } {
        let mut dice = Dice(seed);
        let store = store_in(&engine, &format!("chaos_{seed}"));
        // Causes are folded in beside the first sink, which may still be making the tables.
        store.migrate().await.expect("tables");
        let log = TestLog::open().await;
        // Some begin just below a boundary of partitions.
        let mut chains: Vec<Chain> =
            (0..CHAINS).map(|i| Chain::new(&format!("net-{i}"), if i % 3 == 0 { 999_998 } else { i })).collect();
        for _ in 0..KILLS {
            let sink = RunningSink::start(&store, &log);
            for _ in 0..4 {
                let mut events = Vec::new();
                for chain in &mut chains {
                    events.extend(chain.step(&mut dice));
                }
                log.publish(&events).await;
                tokio::time::sleep(Duration::from_millis(dice.roll(150))).await;
            }
            tokio::time::sleep(Duration::from_millis(dice.roll(600))).await;
            fold_some(&store, &mut chains, &mut dice).await;
            sink.kill().await;
            fold_some(&store, &mut chains, &mut dice).await;
        }
        let sink = RunningSink::start(&store, &log);
        all_processed(&store, &chains).await;
        sink.stop().await.expect("a clean end");
        fold_some(&store, &mut chains, &mut dice).await;
        let folded: usize = chains.iter().map(|chain| chain.folded.len()).sum();
        assert!(folded >= CHAINS as usize, "{folded} causes only");
        compare(&engine, &store, &chains, &format!("after kills, seed {seed}")).await;

        // Everything once more: equal events change nothing.
        start_over(&log).await;
        let marker = chains[0].apply(&mut dice);
        log.publish(std::slice::from_ref(&marker)).await;
        let sink = RunningSink::start(&store, &log);
        all_processed(&store, &chains).await;
        sink.stop().await.expect("a clean end");
        compare(&engine, &store, &chains, &format!("after a replay, seed {seed}")).await;

        // Inserts that were cut off arrive after the deletions: every reverted row again, with the version it had, and with those that
        // causes gave it.
        for (table, keys) in [
            ("block_rows", "network, height"),
            ("evm_transaction_rows", "network, height, transaction_index"),
            ("evm_log_rows", "network, height, transaction_index, log_index"),
        ] {
            let late = format!(
                "INSERT INTO {table} ({keys}, version, is_deleted, span) SELECT {keys}, 256 * sequence + arrayJoin([0, 1, 254]), 0, span \
                 FROM {table} WHERE is_deleted = 1"
            );
            execute(&engine, &store, &late).await;
        }
        // And rows as their events made them after causes were folded in.
        let late = "INSERT INTO evm_transaction_rows SELECT * REPLACE (256 * sequence AS version, 'late' AS failure_cause) \
                    FROM evm_transaction_rows FINAL WHERE version % 256 != 0";
        execute(&engine, &store, late).await;
        compare(&engine, &store, &chains, &format!("after late inserts, seed {seed}")).await;
        for table in ["block_rows", "evm_transaction_rows", "evm_log_rows", "block_event_rows"] {
            execute(&engine, &store, &format!("OPTIMIZE TABLE {table} FINAL")).await;
        }
        compare(&engine, &store, &chains, &format!("after merges, seed {seed}")).await;

        // The store is lost, the log is not: it is filled again from the beginning.
        let again = store_in(&engine, &format!("chaos_{seed}_again"));
        let marker = chains[0].apply(&mut dice);
        log.publish(std::slice::from_ref(&marker)).await;
        let others = chains.iter_mut().skip(1).map(|c| c.apply(&mut dice)).collect::<Vec<_>>();
        log.publish(&others).await;
        let sink = RunningSink::start(&again, &log);
        all_processed(&again, &chains).await;
        sink.stop().await.expect("a clean end");
        chains.iter_mut().for_each(|chain| chain.folded.clear());
        compare(&engine, &again, &chains, &format!("in a store filled again, seed {seed}")).await;
    }
    engine.stop().await;
}
