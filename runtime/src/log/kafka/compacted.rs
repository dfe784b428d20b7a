//! A compacted topic as ingest fills it, over a real broker: it stays small, and what is read of it is held a little at a time.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use schemas::limits::{COMPACTED_SEGMENT_BYTES, REORG_LIMIT_BLOCKS, STATE_POLL_RECORDS};

use super::{
    tests::{broker, config, unique},
    *,
};
use crate::log::{NewRecord, Transaction, conformance::Watched, fold};

const AT: TopicPartition = TopicPartition { topic: schemas::topics::INGEST_CHECKPOINTS.name, partition: 0 };
/// Blocks of a day at four a second, and bytes of one record of each: a checkpoint, and an entry of the ring.
const BLOCKS: u64 = 170_000;
const BYTES: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)] // how long it took: docs/kafka.md has figures
async fn a_chain_of_many_blocks_leaves_a_state_that_is_soon_read() {
    let Some(brokers) = broker("a_chain_of_many_blocks_leaves_a_state_that_is_soon_read") else { return };
    // As topics are made for operators, in nothing sooner.
    let config = KafkaConfig { topic_properties: Vec::new(), ..config(brokers, &unique("compacted")) };
    let log = KafkaLog::connect(config).await.expect("connect");
    log.ensure_topics(&[schemas::topics::INGEST_CHECKPOINTS], 1).await.expect("topic");
    let mut producer = log.producer("p").await.expect("producer");
    let mut random = 88_172_645_463_325_252_u64;
    let mut value = |n: u64| {
        let mut value = n.to_be_bytes().to_vec();
        while value.len() < BYTES {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            value.extend_from_slice(&random.to_be_bytes());
        }
        Some(Bytes::from(value))
    };
    let mut newest = BTreeMap::new();
    for chunk in 0..BLOCKS.div_ceil(1_000) {
        let mut records = Vec::new();
        for n in chunk * 1_000..(chunk + 1) * 1_000 {
            for key in ["eth".to_owned(), format!("eth#{}", n % REORG_LIMIT_BLOCKS)] {
                newest.insert(key.clone(), n);
                records.push(NewRecord { to: AT, key: Some(key.into()), value: value(n), headers: Vec::new() });
            }
        }
        producer.commit(Transaction { records, offsets: None }).await.expect("commit");
    }
    let written = 2 * BLOCKS as usize;
    assert!(written * BYTES > 3 * COMPACTED_SEGMENT_BYTES, "several segments were begun");

    // The broker cleans when it comes to it. What it never touches is the newest segment.
    let most = COMPACTED_SEGMENT_BYTES / BYTES + 2 * newest.len();
    let log: Arc<dyn Log> = log;
    let end = Instant::now() + Duration::from_secs(180);
    loop {
        let (watched, started) = (Watched::new(log.clone()), Instant::now());
        let (mut read, mut seen) = (0, BTreeMap::new());
        fold(&watched, AT, |record| {
            let number = record.value.as_deref().and_then(|v| v.first_chunk::<8>()).map(|n| u64::from_be_bytes(*n));
            let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            seen.extend(number.map(|n| (key, n)));
            read += 1;
            Ok::<(), LogError>(())
        })
        .await
        .expect("read");
        assert_eq!(seen, newest, "whatever was compacted, the newest of each key is there");
        assert!(watched.most() <= STATE_POLL_RECORDS, "{} records were held at a time", watched.most());
        eprintln!(
            "of {written} records {read} are there; read in {:?}, {} held at most",
            started.elapsed(),
            watched.most()
        );
        if read <= most {
            break;
        }
        assert!(
            Instant::now() < end,
            "{read} of {written} records are there still; {most} would be the newest segment"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
