//! What the embedded log costs per record: `cargo run --release -p runtime --example log_cost [DIR]`.
//!
//! 200 records of about 1.4 kB, a header and a checkpoint per transaction, synced; records are cut from a recorded block's
//! receipts with their hex turned into bytes, as the binary encoding has them. Prints CPU and wall time per record for committing,
//! for reading from the tail cache, and for reading from disk.

#![allow(clippy::print_stdout)] // its result

use std::time::{Duration, Instant};

use bytes::Bytes;
use runtime::log::{
    Log, NewRecord, PollLimits, Polled, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::topics;

const TRANSACTIONS: usize = 1_000;
const RECORDS: usize = 200;
const BYTES: usize = 1_400;

fn values() -> Vec<Bytes> {
    let json = include_str!("../../loadtest/data/evm/ethereum/17034869/receipts.json");
    let mut raw = Vec::new();
    for (i, part) in json.split('"').enumerate() {
        match part.strip_prefix("0x").and_then(|hex| const_hex::decode(hex).ok()) {
            Some(bytes) if i % 2 == 1 => raw.extend(bytes),
            _ => {}
        }
    }
    raw.chunks_exact(BYTES).map(Bytes::copy_from_slice).collect()
}

/// CPU time of this process so far, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn report(what: &str, records: usize, started: Instant, cpu_before: Duration) {
    let per = |d: Duration| d.as_secs_f64() * 1e6 / records as f64;
    println!("{what:<28} {:6.2} µs CPU, {:6.2} µs wall a record", per(cpu() - cpu_before), per(started.elapsed()));
}

async fn read_all(log: &EmbeddedLog, wanted: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = log.reader(&[(at(topics::RAW_TRANSACTIONS.name), 0)]).await?;
    let mut count = 0;
    while count < wanted {
        match reader.poll(PollLimits { records: 1000, bytes: 4 << 20, wait: Duration::from_secs(1) }).await? {
            Polled::Records(records) => count += records.len(),
            other => return Err(format!("{other:?}").into()),
        }
    }
    Ok(())
}

fn at(topic: &'static str) -> TopicPartition {
    TopicPartition { topic, partition: 0 }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("log_cost"), Into::into);
    let _ = std::fs::remove_dir_all(&dir);
    let config = EmbeddedConfig::new(&dir);
    let log = EmbeddedLog::open(config.clone()).await?;
    log.ensure_topics(&[topics::RAW_BLOCKS, topics::RAW_TRANSACTIONS, topics::INGEST_CHECKPOINTS], 1).await?;
    let values = values();
    let mut producer = log.producer("bench").await?;
    let name = |n: &str| std::sync::Arc::<str>::from(n);
    let names = [name("network"), name("sequence"), name("op"), name("index")];
    let mut latencies = Vec::with_capacity(TRANSACTIONS);
    let total = TRANSACTIONS * RECORDS;
    let (started, cpu_before) = (Instant::now(), cpu());
    let reading = {
        let log = log.clone();
        tokio::spawn(async move { read_all(&log, total).await.map_err(|e| e.to_string()) })
    };
    for n in 0..TRANSACTIONS {
        let record = |topic: &'static str, key: &'static str, index: usize, value: Bytes| NewRecord {
            to: at(topic),
            key: Some(Bytes::from_static(key.as_bytes())),
            value: Some(value),
            headers: vec![
                (names[0].clone(), Bytes::from_static(b"ethereum")),
                (names[1].clone(), Bytes::from(n.to_string())),
                (names[2].clone(), Bytes::from_static(b"apply")),
                (names[3].clone(), Bytes::from(index.to_string())),
            ],
        };
        let value = |i: usize| values[(n * 7 + i) % values.len()].clone();
        let mut records = vec![record(topics::RAW_BLOCKS.name, "ethereum", 0, value(0))];
        records.extend((0..RECORDS).map(|i| record(topics::RAW_TRANSACTIONS.name, "ethereum", i, value(i))));
        records.push(record(topics::INGEST_CHECKPOINTS.name, "ethereum", 0, value(1)));
        let before = Instant::now();
        producer.commit(Transaction { records, offsets: None }).await?;
        latencies.push(before.elapsed());
    }
    reading.await??;
    report("commit, read at the head", total, started, cpu_before);
    latencies.sort_unstable();
    println!("commit p50 {:?}, p99 {:?}", latencies[TRANSACTIONS / 2], latencies[TRANSACTIONS * 99 / 100]);
    log.close().await?;
    drop((producer, log));

    let log = EmbeddedLog::open(config).await?;
    let (started, cpu_before) = (Instant::now(), cpu());
    read_all(&log, total).await?;
    report("read from disk", total, started, cpu_before);
    log.close().await?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("VmHWM unknown"));
    Ok(())
}
