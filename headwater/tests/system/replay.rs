//! `dead-letters replay` over the embedded log, through the process that holds it.

use std::process::Command;

use crate::common::{Headwater, binary, number};
use bytes::Bytes;
use runtime::log::{
    Log as _, NewRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    BlockHash, Codec, Envelope, Op, Origin, Record, TimeMs,
    records::{
        Checkpoint, CheckpointRecord, DeadLetter, EvmHeader, EvmTransaction, Payload, RawBlock, RawTransaction,
        dead_letter::reason,
    },
    topics,
};

fn record<R: Record>(codec: &Codec, record: &R) -> NewRecord {
    NewRecord {
        to: TopicPartition { topic: R::TOPIC.name, partition: 0 },
        key: Some(record.key().into()),
        value: Some(codec.encode(record).expect("a record")),
        headers: record.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
    }
}

/// What ingest writes of a block whose only transaction was too large: a placeholder, a dead letter, and the checkpoint.
fn a_block_with_a_placeholder(codec: &Codec) -> Vec<NewRecord> {
    let hash = BlockHash::from(alloy_primitives::B256::repeat_byte(7));
    let network: schemas::Network = "old".parse().expect("a slug");
    let envelope = Envelope {
        network: network.clone(),
        sequence: 1,
        op: Op::Apply,
        origin: Origin::Live,
        height: 100,
        block_hash: hash.clone(),
        parent_hash: hash.clone(),
        block_time: TimeMs::now(),
        observed_at: TimeMs::now(),
        safe_height: Some(100),
        finalized_height: Some(100),
        tx_count: 1,
        log_count: 0,
        reverts_sequence: None,
        reorg_remaining: 0,
    };
    let transaction = EvmTransaction {
        hash: alloy_primitives::B256::repeat_byte(9),
        receipt_status: Some(0),
        receipt_gas_used: 21_000,
        receipt_effective_gas_price: Some(alloy_primitives::U256::from(3)),
        ..Default::default()
    };
    let child = envelope.child();
    let original = RawTransaction { envelope: child.clone(), payload: Payload::Evm(Box::new(transaction)) };
    let letter = |index, value: Bytes| DeadLetter {
        source_topic: topics::RAW_TRANSACTIONS.name.into(),
        source_partition: 0,
        source_offset: None,
        stage: "ingest".into(),
        network: Some(network.clone()),
        sequence: Some(1),
        index: Some(index),
        reason: reason::TOO_LARGE.into(),
        error: "too large".into(),
        key: None,
        value: Some(value),
        failed_at: TimeMs::now(),
    };
    let checkpoint = CheckpointRecord::Checkpoint(Checkpoint {
        network: network.clone(),
        sequence: 1,
        tip_height: Some(100),
        tip_hash: Some(hash),
        first_height: Some(100),
        highest_height: Some(100),
        reorg_remaining: 0,
        safe_height: Some(100),
        finalized_height: Some(100),
        chain_id: "1".into(),
        held: Vec::new(),
        reorg_too_deep: false,
        updated_at: TimeMs::now(),
        requests: Vec::new(),
    });
    let placeholder = Payload::Unreadable { index: 0, error: "too large".into() };
    vec![
        record(codec, &RawBlock { envelope, evm: Some(Box::new(EvmHeader::default())), bitcoin: None }),
        record(codec, &RawTransaction { envelope: child, payload: placeholder }),
        record(codec, &letter(0, codec.encode(&original).expect("the original"))),
        record(codec, &letter(1, Bytes::from_static(b"not the original"))),
        record(codec, &checkpoint),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_taken_up_once_through_the_running_process() {
    let mut headwater = Headwater::new(&[]);
    let log = EmbeddedLog::open(EmbeddedConfig::new(headwater.data().join("log"))).await.expect("a log");
    log.ensure_topics(&topics::ALL, 1).await.expect("topics");
    let mut producer = log.producer("test").await.expect("a producer");
    let records = a_block_with_a_placeholder(&Codec::builtin());
    producer.commit(Transaction { records, offsets: None }).await.expect("a commit");
    drop(producer);
    log.close().await.expect("closed");
    drop(log);

    let config = headwater.config.clone();
    let replay = |more: &[&str]| {
        let mut command = Command::new(binary());
        let output = command.args(["dead-letters", "replay"]).args(more).arg("--config").arg(&config).output();
        let output = output.expect("headwater");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    // Without a store there is nowhere to insert.
    let (code, told, said) = replay(&[]);
    assert!(code == Some(1) && told.is_empty() && said.contains("headwater up"), "{told}{said}");

    headwater.start();
    let sql = "SELECT unreadable_count AS n, failed_count AS failed, toString(fee_total) AS fees FROM blocks WHERE network = 'old'";
    let ask =
        async |h: &Headwater| h.query(sql).await.ok().filter(|rows| rows.len() == 1).map(|mut rows| rows.remove(0));
    let before = headwater.until("the block", ask).await;
    assert_eq!((number(&before, "n"), number(&before, "failed")), (1, 0));

    let (code, told, said) = replay(&["0", "--dry-run"]);
    assert!(code == Some(0) && told.contains("\twould_insert\t"), "{told}{said}");
    let (code, told, said) = replay(&[]);
    assert!(code == Some(1) && told.contains("\tinserted\t") && told.contains("\trefused\t"), "{told}{said}");
    assert!(said.contains("2 dead letters: 1 inserted, 1 refused"), "{said}");
    let (code, told, said) = replay(&["--network", "old", "--reason", "too_large", "0"]);
    assert!(code == Some(0) && told.contains("\talready_there\t"), "{told}{said}");
    let (code, _, said) = replay(&["77"]);
    assert!(code == Some(1) && said.contains("no dead letter has offset 77"), "{said}");

    let after = ask(&headwater).await.expect("the block");
    assert_eq!((number(&after, "n"), number(&after, "failed"), number(&after, "fees")), (0, 1, 63_000));
    let row = headwater.query("SELECT status, sequence FROM transactions WHERE network = 'old'").await.expect("rows");
    assert!(row.len() == 1 && row[0]["status"] == "failed" && number(&row[0], "sequence") == 1, "{row:?}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
