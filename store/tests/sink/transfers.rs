//! `token_transfers` shows what `decode` tells of the same logs: of recorded blocks, and of logs that nearly are movements.

use alloy_primitives::{Address, B256, U256, keccak256};
use clickhouse::Row;
use decode::{WRAPPED, movements};
use schemas::records::{EvmLog, EvmTransaction, Payload};
use serde::Deserialize;
use store::{Store, ddl::MIGRATIONS, sink::batch::Event};

use crate::{
    chain::{Chain, Dice},
    harness::Running,
    recorded::{event, recorded},
    setup::{RunningSink, TestLog, rows, store_in, until_processed},
};

#[derive(Debug, PartialEq, Row, Deserialize)]
struct Told {
    log_index: u32,
    position: u32,
    standard: String,
    token_address: String,
    from_address: String,
    to_address: String,
    token_id_text: Option<String>,
    value_text: String,
}

/// What is told of an event's logs.
fn told(event: &Event) -> Vec<Told> {
    let mut told = Vec::new();
    for transaction in &event.transactions {
        let Payload::Evm(both) = &transaction.payload else { continue };
        for log in &both.0.logs {
            for (place, m) in movements(log.address, &log.topics, &log.data).enumerate() {
                let text = |address: Address| format!("{address:#x}");
                told.push(Told {
                    log_index: log.log_index,
                    position: place as u32,
                    standard: m.standard.as_str().to_owned(),
                    token_address: text(m.token),
                    from_address: text(m.from),
                    to_address: text(m.to),
                    token_id_text: m.id.map(|id| id.to_string()),
                    value_text: m.amount.unwrap_or(U256::from(1)).to_string(),
                });
            }
        }
    }
    told
}

/// What the view shows of a network's block.
async fn shown(engine: &Running, store: &Store, network: &str, sequence: u64) -> Vec<Told> {
    let sql = format!(
        "SELECT log_index, position, CAST(standard, 'String') AS standard, token_address, from_address, to_address, token_id_text, value_text \
         FROM token_transfers WHERE network = '{network}' AND sequence = {sequence} ORDER BY transaction_index, log_index, position"
    );
    rows(engine, store, &sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_movements_are_shown_as_they_are_decoded() {
    let engine = Running::start().await;
    let store = store_in(&engine, "transfers");
    let log = TestLog::open().await;
    let sink = RunningSink::start(&store, &log);
    let mut count = 0;
    for (at, r) in recorded().iter().enumerate() {
        // Each block is of a network of its own.
        let mut event = event(r, 1);
        let network: schemas::Network = format!("n{at}").parse().expect("a slug");
        event.block.envelope.network = network.clone();
        event.transactions.iter_mut().for_each(|t| t.envelope.network = network.clone());
        log.publish(std::slice::from_ref(&event)).await;
        until_processed(&store, &network, 1).await;
        let wanted = told(&event);
        count += wanted.len();
        assert_eq!(shown(&engine, &store, network.as_str(), 1).await, wanted, "{} {at}", r.chain);
    }
    assert!(count > 1_000, "{count}");
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// A log that is a movement, or differs from one in something.
fn nearly(dice: &mut Dice, index: u32) -> EvmLog {
    let mut word = |below: u64| B256::from(U256::from(dice.roll(below)));
    let [a, b, c, d] = [word(9), word(9), word(9), word(3)];
    let words = |numbers: &[u64]| numbers.iter().flat_map(|n| U256::from(*n).to_be_bytes::<32>()).collect::<Vec<u8>>();
    let (signature, topics, data) = match dice.roll(7) {
        0 => ("Transfer(address,address,uint256)", vec![a, b], words(&[7])),
        1 => ("Transfer(address,address,uint256)", vec![a, b, d], vec![]),
        2 => ("TransferSingle(address,address,address,uint256,uint256)", vec![a, b, c], words(&[7, u64::MAX])),
        3 => ("Deposit(address,uint256)", vec![a], words(&[7])),
        4 => ("Withdrawal(address,uint256)", vec![a], words(&[7])),
        5 => ("Nothing()", vec![a], words(&[7])),
        _ => {
            let n = dice.roll(4);
            let mut numbers = vec![64, 96 + 32 * n, n];
            numbers.extend((0..n).map(|i| i + 1));
            numbers.push(n);
            numbers.extend((0..n).map(|i| i + 100));
            ("TransferBatch(address,address,address,uint256[],uint256[])", vec![a, b, c], words(&numbers))
        }
    };
    let mut topics: Vec<B256> = [keccak256(signature)].into_iter().chain(topics).collect();
    let mut data = data;
    match dice.roll(8) {
        0 => topics.push(B256::ZERO),
        1 => drop(topics.pop()),
        2 => data.push(0),
        3 => drop(data.pop()),
        4 => {
            let at = dice.roll(topics.len() as u64 * 32) as usize;
            topics[at / 32].0[at % 32] ^= 1;
        }
        5 if !data.is_empty() => {
            let at = dice.roll(data.len() as u64) as usize;
            data[at] ^= [1, 32, 128][dice.roll(3) as usize];
        }
        _ => {}
    }
    topics.truncate(4);
    let address = if dice.roll(2) == 0 { WRAPPED[dice.roll(WRAPPED.len() as u64) as usize] } else { Address::ZERO };
    EvmLog { log_index: index, address, topics, data: data.into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_nearly_a_movement_is_none_in_both() {
    let engine = Running::start().await;
    let store = store_in(&engine, "transfers");
    let log = TestLog::open().await;
    let mut chain = Chain::new("a", 7);
    let mut dice = Dice(11);
    let mut event = chain.apply(&mut dice);
    while event.transactions.is_empty() {
        event = Chain::new("a", 7).apply(&mut dice);
    }
    event.transactions.truncate(1);
    let Payload::Evm(both) = &mut event.transactions[0].payload else { panic!("a placeholder") };
    let logs: Vec<EvmLog> = (0..8_000).map(|index| nearly(&mut dice, index)).collect();
    both.1.events = vec![None; logs.len()];
    both.0 = EvmTransaction { logs, ..EvmTransaction::default() };
    (event.block.envelope.tx_count, event.block.envelope.log_count) = (1, 8_000);
    log.publish(std::slice::from_ref(&event)).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, 1).await;
    let wanted = told(&event);
    for standard in ["erc20", "erc721", "erc1155", "wrapped"] {
        assert!(wanted.iter().filter(|t| t.standard == standard).count() > 100, "{standard}");
    }
    assert!(wanted.len() < 8_000, "{}", wanted.len());
    assert_eq!(shown(&engine, &store, "a", 1).await, wanted);
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

/// The view names the same wrapped coins.
#[test]
fn wrapped_coins_are_those_that_decode_knows() {
    let view = MIGRATIONS.iter().rev().find(|m| m.name == "token_transfers").expect("the view");
    let named: Vec<Address> =
        view.sql.split('\'').filter(|text| text.starts_with("0x")).filter_map(|text| text.parse().ok()).collect();
    assert_eq!(named, WRAPPED);
}
