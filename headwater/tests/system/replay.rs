//! `dead-letters replay` over the embedded log, through the process that holds it: the same of every family.

use std::process::Command;

use crate::common::{Headwater, binary, number};
use bytes::Bytes;
use runtime::log::{
    Log as _, NewRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog},
};
use schemas::{
    BitcoinHash, BlockHash, Codec, Envelope, Network, Op, Origin, Record, TimeMs,
    bitcoin::BitcoinChain,
    records::{
        BitcoinHeader, BitcoinTransaction, Checkpoint, CheckpointRecord, ContractFacts, Coverage, DeadLetter,
        EvmHeader, EvmTransaction, FactSource, Payload, RawBlock, RawTransaction, dead_letter::reason,
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

/// The coinbase of Bitcoin's first block.
const COINBASE: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d010445\
    5468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f75742066\
    6f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4c\
    ef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";

/// A block of one transaction, as its family writes it.
struct Block {
    hash: BlockHash,
    header: fn(Envelope) -> RawBlock,
    transaction: Payload<EvmTransaction, BitcoinTransaction>,
}

impl Block {
    /// Its transaction failed, and called a contract that facts are known of.
    fn evm() -> Self {
        let selector = &alloy_primitives::keccak256("headwaterReplayed(uint256)")[..4];
        let transaction = EvmTransaction {
            hash: alloy_primitives::B256::repeat_byte(9),
            to_address: Some(CALLED),
            input: [selector, &[0; 31], &[5]].concat().into(),
            gas: 50_000,
            receipt_status: Some(0),
            receipt_gas_used: 21_000,
            receipt_effective_gas_price: Some(alloy_primitives::U256::from(3)),
            ..Default::default()
        };
        Self {
            hash: BlockHash::from(alloy_primitives::B256::repeat_byte(7)),
            header: |envelope| RawBlock { envelope, evm: Some(Box::new(EvmHeader::default())), bitcoin: None },
            transaction: Payload::Evm(Box::new(transaction)),
        }
    }

    fn bitcoin() -> Self {
        let header = |envelope: Envelope| {
            let bitcoin = BitcoinHeader {
                chain: BitcoinChain::Regtest,
                coverage: Coverage::Full,
                version: 1,
                merkle_root: BitcoinHash::default(),
                time: 1_300_000_000,
                bits: 0x207f_ffff,
                nonce: 0,
                median_time: Some(envelope.block_time),
                chain_work: None,
                size: Some(285),
                stripped_size: Some(285),
                weight: Some(1_140),
                transaction_count: Some(1),
                coinbase: None,
            };
            RawBlock { envelope, evm: None, bitcoin: Some(Box::new(bitcoin)) }
        };
        let txid = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b".parse().expect("a hash");
        let raw = alloy_primitives::hex::decode(COINBASE).expect("digits").into();
        let transaction = BitcoinTransaction { transaction_index: 0, txid, raw, prevouts: Vec::new() };
        Self { hash: BitcoinHash([7; 32]).into(), header, transaction: Payload::Bitcoin(Box::new(transaction)) }
    }
}

/// A contract that the EVM block's transaction calls.
const CALLED: alloy_primitives::Address = alloy_primitives::Address::repeat_byte(0x55);

/// What is known of it before its block comes.
fn facts() -> ContractFacts {
    let abi = r#"[{"type":"function","name":"headwaterReplayed","inputs":[{"name":"it","type":"uint256"}],"outputs":[],"stateMutability":"nonpayable"}]"#;
    ContractFacts {
        revision: 1,
        abi: Some(abi.into()),
        abi_source: Some(FactSource::Etherscan),
        found_at: TimeMs::now(),
        ..ContractFacts::nothing("old".parse().expect("a slug"), CALLED)
    }
}

/// What ingest writes of a block whose only transaction was too large: a placeholder, a dead letter, and the checkpoint. Beside them is
/// a letter of the same place whose bytes say nothing.
fn a_block_with_a_placeholder(codec: &Codec, block: Block) -> Vec<NewRecord> {
    let network: Network = "old".parse().expect("a slug");
    let Block { hash, header, transaction } = block;
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
    let child = envelope.child();
    let original = RawTransaction { envelope: child.clone(), payload: transaction };
    let letter = |value: Bytes| DeadLetter {
        source_topic: topics::RAW_TRANSACTIONS.name.into(),
        source_partition: 0,
        source_offset: None,
        stage: "ingest".into(),
        network: Some(network.clone()),
        sequence: Some(1),
        index: Some(0),
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
        record(codec, &header(envelope)),
        record(codec, &RawTransaction { envelope: child, payload: placeholder }),
        record(codec, &letter(codec.encode(&original).expect("the original"))),
        record(codec, &letter(Bytes::from_static(b"not the original"))),
        record(codec, &checkpoint),
        record(codec, &facts()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_of_evm_is_taken_up_once_through_the_running_process() {
    let mut headwater = a_letter_is_taken_up_once(Block::evm(), ("failed", 1, 63_000)).await;
    // It is decoded with the facts that its block's other records were made with.
    let sql = "SELECT t.call AS call, b.facts_position AS position FROM evm_transactions AS t, blocks AS b WHERE t.network = 'old' AND b.network = 'old'";
    let row = headwater.query(sql).await.expect("rows").remove(0);
    assert!(row["call"] == "headwaterReplayed(uint256 it)" && number(&row, "position") > 0, "{row}");
    // The row got its cause from the stage that finds them, as any other that failed.
    let sql = "SELECT found_by, cause FROM causes WHERE network = 'old'";
    let ask = async |h: &Headwater| h.query(sql).await.ok().filter(|rows| !rows.is_empty());
    let causes = headwater.until("the cause", ask).await;
    assert!(causes.len() == 1 && causes[0]["found_by"] == "receipt", "{causes:?}");
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_of_bitcoin_is_taken_up_once_through_the_running_process() {
    let mut headwater = a_letter_is_taken_up_once(Block::bitcoin(), ("success", 0, 0)).await;
    let sql = "SELECT toUInt32(b.coinbase_value / 100000000) AS paid, (SELECT count() FROM bitcoin_outputs WHERE network = 'old') AS outputs \
               FROM bitcoin_blocks AS b WHERE b.network = 'old'";
    let row = headwater.query(sql).await.expect("rows").remove(0);
    assert_eq!((number(&row, "paid"), number(&row, "outputs")), (50, 1));
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}

/// The one transaction's status, how many failed, and the fees, once the letter was taken up.
async fn a_letter_is_taken_up_once(block: Block, (status, failed, fees): (&str, u64, u64)) -> Headwater {
    let mut headwater = Headwater::new(&[]);
    let log = EmbeddedLog::open(EmbeddedConfig::new(headwater.data().join("log"))).await.expect("a log");
    log.ensure_topics(&topics::ALL, 1).await.expect("topics");
    let mut producer = log.producer("test").await.expect("a producer");
    let records = a_block_with_a_placeholder(&Codec::builtin(), block);
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

    let (code, told, said) = replay(&["--dry-run"]);
    assert!(code == Some(1) && told.contains("\twould_insert\t"), "{told}{said}");
    let command = "`headwater backfill --config FILE --network old --from 100 --to 100 --again`";
    let refused = told.lines().find(|line| line.contains("\trefused\t")).expect("one whose bytes say nothing");
    assert!(refused.contains(command) && refused.contains("raise the topic's limit first"), "{told}");
    // Once the row is there, the letter beside it has nothing left to bring.
    let (code, told, said) = replay(&[]);
    assert!(code == Some(0) && told.contains("\tinserted\t") && told.contains("\talready_there\t"), "{told}{said}");
    assert!(said.contains("2 dead letters: 1 already_there, 1 inserted"), "{said}");
    let (code, told, said) = replay(&["--network", "old", "--reason", "too_large", "0"]);
    assert!(code == Some(0) && told.contains("\talready_there\t"), "{told}{said}");
    let (code, _, said) = replay(&["77"]);
    assert!(code == Some(1) && said.contains("no dead letter has offset 77"), "{said}");

    let after = ask(&headwater).await.expect("the block");
    assert_eq!((number(&after, "n"), number(&after, "failed"), number(&after, "fees")), (0, failed, fees));
    let row = headwater.query("SELECT status, sequence FROM transactions WHERE network = 'old'").await.expect("rows");
    assert!(row.len() == 1 && row[0]["status"] == status && number(&row[0], "sequence") == 1, "{row:?}");
    headwater
}
