//! Monitors over a Bitcoin network: what is told is taken back with its block, and comes again with the next.

use std::collections::HashMap;

use schemas::{
    BitcoinHash, Family, Op,
    records::{
        BitcoinDecoded, BitcoinInput, BitcoinOutput, BitcoinSpent, BlockSummary, DefinitionKind, EnrichedBlock,
        EnrichedTransaction, MatchOp, Payload,
    },
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Bench, Chain, Event, network, stop};

const WATCHED: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
const OTHER: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";

/// A transaction that moves an amount, in satoshi, from one address to another.
fn payment(number: u8, from: &str, to: &str, value: u64) -> BitcoinDecoded {
    let fee = 500;
    let spent = BitcoinSpent { value: value + fee, addresses: vec![from.to_owned()], ..BitcoinSpent::default() };
    BitcoinDecoded {
        txid: BitcoinHash([number; 32]),
        wtxid: BitcoinHash([number; 32]),
        weight: 800,
        virtual_size: 200,
        input_value: Some(value + fee),
        output_value: value,
        fee: Some(fee),
        fee_rate: Some(fee * 5),
        inputs: vec![BitcoinInput { spent: Some(spent), ..BitcoinInput::default() }],
        outputs: vec![BitcoinOutput { value, addresses: vec![to.to_owned()], ..BitcoinOutput::default() }],
        ..BitcoinDecoded::default()
    }
}

/// A block of these.
fn block(chain: &mut Chain, payments: &[BitcoinDecoded], remaining: u32) -> Event {
    chain.time += 600_000;
    let mut envelope = chain.envelope(Op::Apply, remaining);
    // As Bitcoin's are written.
    let mut hash = [0; 32];
    hash[24..].copy_from_slice(&envelope.sequence.to_be_bytes());
    envelope.block_hash = BitcoinHash(hash).into();
    envelope.tx_count = u32::try_from(payments.len()).expect("few");
    let child = |tx: &BitcoinDecoded| EnrichedTransaction {
        envelope: envelope.child(),
        payload: Payload::Bitcoin(Box::new(tx.clone())),
    };
    let children: Vec<EnrichedTransaction> = payments.iter().map(child).collect();
    let summary = Some(BlockSummary { transactions: envelope.tx_count, ..BlockSummary::default() });
    let block = EnrichedBlock { envelope, evm: None, bitcoin: None, summary, facts_position: None };
    chain.blocks.push((block.clone(), children.clone()));
    (block, children)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bitcoin_block_gave_goes_with_it_and_comes_again() {
    let (bench, mut chain) = (Bench::new().await, Chain::new());
    let monitor = json!({
        "name": "Treasury", "network": "demo", "addresses": [{"address": WATCHED}], "group_by": ["transaction"],
        "match_conditions": {"transactions": [{"status": "Any", "expression": "value >= 1 btc AND fee_rate < 10_000"}]}
    });
    bench.define(DefinitionKind::Monitor, "m", 1, monitor).await;
    let families = watch::Sender::new(HashMap::from([(network(), Family::Bitcoin)])).subscribe();
    let running = bench.start_as(|config| config.families = families);
    let paid = payment(1, OTHER, WATCHED, 250_000_000);
    let first = [paid.clone(), payment(2, OTHER, WATCHED, 99_999_999), payment(3, OTHER, OTHER, 500_000_000)];
    bench.write(&[block(&mut chain, &first, 0)]).await;
    let told = bench.until("the payment", |matches| matches.len() == 1).await;
    let id = "01".repeat(32);
    assert_eq!((told[0].op, told[0].contract.as_deref()), (MatchOp::Match, Some(WATCHED)));
    assert_eq!((told[0].transaction(), told[0].group.get("transaction")), (Some(id.clone()), Some(&id)));
    let arguments = told[0].found.as_ref().map(|found| serde_json::from_str::<Value>(&found.arguments).expect("JSON"));
    let amounts = json!({
        "fee": "500", "fee_rate": "2500", "input_value": "250000500", "output_value": "250000000",
        "received": "250000000", "spent": "0"
    });
    assert_eq!(arguments, Some(amounts));

    // The other branch spends from it in its first block, and pays it in the next.
    let spends = payment(4, WATCHED, OTHER, 100_000_000);
    let branch =
        [chain.revert(2), block(&mut chain, &[spends], 1), block(&mut chain, &[paid, payment(5, OTHER, OTHER, 1)], 0)];
    bench.write(&branch).await;
    let told = bench.until("the branch", |matches| matches.len() == 5).await;
    let said: Vec<(MatchOp, Option<String>)> = told.iter().map(|one| (one.op, one.transaction())).collect();
    let (spends, paid) = (Some("04".repeat(32)), Some(id));
    let expected = [
        (MatchOp::Match, paid.clone()),
        (MatchOp::Retract, paid.clone()),
        (MatchOp::Match, spends),
        (MatchOp::IncludedAgain, paid),
        (MatchOp::Settled, None),
    ];
    assert_eq!(said, expected);
    assert_eq!((told[1].block_hash.clone(), told[3].height), (told[0].block_hash.clone(), 101));
    stop(running).await;
}
