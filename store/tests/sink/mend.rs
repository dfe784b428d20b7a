//! A placeholder's rows, inserted later: where the block stands, once, and never where it was reverted. The same for every family.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, U256};
use schemas::{
    Network,
    records::{EnrichedTransaction, Payload},
};
use store::{
    Store,
    sink::{
        batch::Event,
        mend::{self, Place},
    },
};

use crate::{
    bitcoin, bitcoin_chain,
    chain::{self, Dice, is_watched, touched},
    chaos,
    door::{Door, Let},
    harness::Running,
    setup::{RunningSink, TestLog, rows, store_in, until, until_processed},
};

/// A chain of a family, as far as mending looks at it.
trait Model: Sized {
    /// Begins at a height.
    fn begin(first: u64) -> Self;
    fn network(&self) -> Network;
    fn apply(&mut self, dice: &mut Dice) -> Event;
    fn revert(&mut self) -> Event;
    /// Takes the newest block back as if it had never been.
    fn forget(&mut self);
    /// Whether a block has everything that is to be mended.
    fn suits(event: &Event) -> bool;
    /// The watched contracts of a transaction.
    fn watched(t: &EnrichedTransaction) -> Vec<Address>;
    /// Every view is as the model says.
    async fn compare(self, engine: &Running, store: &Store);
}

impl Model for chain::Chain {
    fn begin(first: u64) -> Self {
        Self::new("a", first)
    }

    fn network(&self) -> Network {
        self.network.clone()
    }

    fn apply(&mut self, dice: &mut Dice) -> Event {
        Self::apply(self, dice)
    }

    fn revert(&mut self) -> Event {
        Self::revert(self).expect("a block")
    }

    fn forget(&mut self) {
        self.live.pop();
        self.events.pop();
        self.sequence -= 1;
    }

    fn suits(event: &Event) -> bool {
        let logs = |t: &EnrichedTransaction| matches!(&t.payload, Payload::Evm(t) if !t.0.logs.is_empty());
        event.transactions.len() > 1 && event.transactions.iter().any(logs)
    }

    fn watched(t: &EnrichedTransaction) -> Vec<Address> {
        let Payload::Evm(both) = &t.payload else { panic!("a placeholder") };
        touched(&both.0).into_iter().filter(is_watched).collect()
    }

    async fn compare(self, engine: &Running, store: &Store) {
        chaos::compare(engine, store, &[self], "after mending").await;
    }
}

impl Model for bitcoin_chain::Chain {
    fn begin(first: u64) -> Self {
        Self::new("bitcoin", first)
    }

    fn network(&self) -> Network {
        self.network.clone()
    }

    fn apply(&mut self, dice: &mut Dice) -> Event {
        Self::apply(self, dice)
    }

    fn revert(&mut self) -> Event {
        Self::revert(self).expect("a block")
    }

    fn forget(&mut self) {
        self.live.pop();
        self.events.pop();
        self.sequence -= 1;
    }

    /// A coinbase and what spends something.
    fn suits(event: &Event) -> bool {
        bitcoin_chain::transactions(event).any(|t| t.fee > Some(0) && !t.outputs.is_empty())
    }

    fn watched(_: &EnrichedTransaction) -> Vec<Address> {
        Vec::new()
    }

    async fn compare(self, engine: &Running, store: &Store) {
        bitcoin::compare(engine, store, &self, "after mending").await;
        let sql = "SELECT number, fee_total_text, fee_unknown_count, value_total_text, virtual_size FROM bitcoin_blocks ORDER BY number";
        let seen = rows::<(u64, String, u32, String, u64)>(engine, store, sql).await;
        let sums = |event: &Event| {
            let s = event.block.summary.clone().expect("a summary");
            let text = |n: U256| n.to_string();
            (event.block.envelope.height, text(s.fee_total), s.fee_unknown, text(s.value_total), s.gas_used)
        };
        assert_eq!(seen, self.live.iter().map(sums).collect::<Vec<_>>());
        // Prices are those that paid: what enrich would have said of the whole block.
        let sql = "SELECT height, toUInt64(gas_price_sum), gas_price_count, toUInt64(ifNull(gas_price_max, 0)) FROM block_rows FINAL \
                   WHERE height = 105";
        let seen = rows::<(u64, u64, u32, u64)>(engine, store, sql).await;
        let mended = self.live.iter().find(|event| event.block.envelope.height == 105).expect("the block");
        let paid = bitcoin_chain::transactions(mended).filter(|t| t.fee > Some(0)).filter_map(|t| t.fee_rate);
        let paid: Vec<u64> = paid.collect();
        let wanted = (
            105_u64,
            paid.iter().sum::<u64>(),
            u32::try_from(paid.len()).expect("few"),
            paid.iter().copied().max().unwrap_or(0),
        );
        assert_eq!(seen, [wanted]);
    }
}

/// The event with placeholders in its transactions' places, and these transactions.
fn with_placeholders(mut event: Event) -> (Event, Vec<EnrichedTransaction>) {
    let whole = event.transactions.clone();
    for (index, t) in (0..).zip(&mut event.transactions) {
        t.payload = Payload::Unreadable { index, error: "too large".into() };
    }
    let summary = event.block.summary.as_mut().expect("a summary");
    // Nothing of what they say was added up.
    *summary = schemas::records::BlockSummary {
        transactions: summary.transactions,
        unreadable: summary.transactions,
        ..schemas::records::BlockSummary::default()
    };
    (event, whole)
}

/// The next block that suits.
fn block<M: Model>(chain: &mut M, dice: &mut Dice) -> Event {
    loop {
        let event = chain.apply(dice);
        if M::suits(&event) {
            return event;
        }
        chain.forget();
    }
}

async fn a_missing_row_is_inserted_once_and_never_into_a_reverted_block<M: Model>(database: &str) {
    let engine = Running::start().await;
    let store = store_in(&engine, database);
    let (log, mut dice) = (TestLog::open().await, Dice(7));
    let mut chain = M::begin(100);
    let network = chain.network();
    let base: Vec<Event> = (0..5).map(|_| chain.apply(&mut dice)).collect();
    let (first, held) = with_placeholders(block(&mut chain, &mut dice));
    let (second, reverted) = with_placeholders(block(&mut chain, &mut dice));
    let gone = &reverted[reverted.len() - 1];
    log.publish(&base).await;
    log.publish(&[first]).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &network, 6).await;
    let index = |t: &EnrichedTransaction| match &t.payload {
        Payload::Evm(both) => both.0.transaction_index,
        Payload::Bitcoin(decoded) => decoded.transaction_index,
        Payload::Revert | Payload::Unreadable { .. } => panic!("a placeholder"),
    };
    let place = async |t: &EnrichedTransaction, finalized| {
        mend::place(&store, &t.envelope, index(t), finalized).await.expect("an answer")
    };
    assert_eq!(place(gone, Some(106)).await, Place::NotStored);
    log.publish(&[second]).await;
    until_processed(&store, &network, 7).await;
    let height = async |sequence| mend::height_of(&store, &network, sequence).await.expect("an answer");
    assert_eq!((height(7).await, height(70).await), (Ok(106), Err(Place::NotStored)));

    // Nothing is inserted into a block that may still be reverted.
    assert_eq!(place(&held[0], None).await, Place::NotFinal);
    assert_eq!(place(&held[0], Some(104)).await, Place::NotFinal);

    // Twice in a row, as two who run it at once would: the same rows. In any order.
    for t in held.iter().rev() {
        assert!(matches!(place(t, Some(105)).await, Place::Missing { .. }));
        assert_eq!(mend::insert(&store, t, &M::watched(t)).await.expect("an insert"), Place::Held);
        assert_eq!(mend::insert(&store, t, &M::watched(t)).await.expect("an insert"), Place::Held);
        assert_eq!(place(t, Some(105)).await, Place::Held);
        // Whoever was cut off behind the rows puts the sums right later.
        mend::sum_up(&store, &t.envelope, &M::watched(t)).await.expect("sums");
    }

    // A revert between look and insert: nothing stays.
    log.publish(&[chain.revert()]).await;
    until_processed(&store, &network, 8).await;
    assert_eq!(height(7).await, Err(Place::Reverted));
    for t in &reverted {
        assert_eq!(place(t, Some(106)).await, Place::Reverted);
        assert_eq!(mend::insert(&store, t, &M::watched(t)).await.expect("an insert"), Place::Reverted);
    }

    let range = &store.completeness(&network).await.expect("an answer").ranges[0];
    assert!(range.complete && range.transactions_stored == range.transactions_expected, "{range:?}");
    // Every view is as if there had never been a placeholder.
    chain.compare(&engine, &store).await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_evm_a_missing_row_is_inserted_once_and_never_into_a_reverted_block() {
    a_missing_row_is_inserted_once_and_never_into_a_reverted_block::<chain::Chain>("mended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_bitcoin_a_missing_row_is_inserted_once_and_never_into_a_reverted_block() {
    a_missing_row_is_inserted_once_and_never_into_a_reverted_block::<bitcoin_chain::Chain>("mended_bitcoin").await;
}

/// Rows of any table that a height has beside its block's.
async fn children(engine: &Running, store: &Store, network: &Network, height: u64) -> u64 {
    let tables = [
        "evm_transaction_rows",
        "evm_log_rows",
        "bitcoin_transaction_rows",
        "bitcoin_input_rows",
        "bitcoin_output_rows",
    ];
    let mut sum = 0;
    for table in tables {
        let sql = format!(
            "SELECT count() FROM {table} FINAL WHERE network = '{network}' AND height = {height} AND is_deleted = 0"
        );
        sum += rows::<u64>(engine, store, &sql).await.into_iter().sum::<u64>();
    }
    sum
}

async fn nothing_stays_of_what_is_inserted_while_its_block_is_deleted<M: Model>(database: &str) {
    let engine = Running::start().await;
    let store = store_in(&engine, database);
    let door = Door::before(&engine.url).await;
    let (log, mut dice) = (TestLog::open().await, Dice(9));
    let mut chain = M::begin(100);
    let network = chain.network();
    // Bitcoin's blocks need something to spend.
    let base: Vec<Event> = (0..5).map(|_| chain.apply(&mut dice)).collect();
    let (stays, held) = with_placeholders(block(&mut chain, &mut dice));
    let (goes, reverted) = with_placeholders(block(&mut chain, &mut dice));
    log.publish(&base).await;
    log.publish(&[stays, goes]).await;
    let sink = RunningSink::start(&door.store(&store), &log);
    until_processed(&store, &network, 7).await;
    for t in &held {
        assert_eq!(mend::insert(&store, t, &M::watched(t)).await.expect("an insert"), Place::Held);
    }
    let stood = children(&engine, &store, &network, 105).await;
    assert!(stood > 0 && children(&engine, &store, &network, 106).await == 0);

    // The sink has deleted what the block holds, and not the block.
    let came = Arc::new(AtomicBool::new(false));
    let seen = came.clone();
    door.rule(move |statement| {
        let is_block = statement.contains("INSERT INTO block_rows");
        seen.fetch_or(is_block, Ordering::SeqCst);
        if is_block { Let::Break } else { Let::Through }
    });
    log.publish(&[chain.revert()]).await;
    until("the block's deletion", || async { came.load(Ordering::SeqCst) }).await;
    let (t, meanwhile) = reverted.split_last().expect("placeholders");
    for t in meanwhile {
        assert_eq!(mend::insert(&store, t, &M::watched(t)).await.expect("an insert"), Place::Held);
    }
    assert!(children(&engine, &store, &network, 106).await > 0);
    door.rule(|_| Let::Through);
    until_processed(&store, &network, 8).await;
    assert_eq!(children(&engine, &store, &network, 106).await, 0);
    sink.stop().await.expect("a clean end");

    // Killed before the look whether the block stands: whoever comes again clears it away, and nothing of a block that stands.
    let door = Door::before(&engine.url).await;
    door.rule(|statement| {
        let looks = statement.contains("SELECT sequence, hash, base_fee_per_gas");
        if looks { Let::Hang } else { Let::Through }
    });
    let (cut_off, watched) = (door.store(&store), M::watched(t));
    let cut = tokio::time::timeout(Duration::from_secs(10), mend::insert(&cut_off, t, &watched)).await;
    assert!(!matches!(cut, Ok(Ok(_))), "it was not cut off");
    assert!(children(&engine, &store, &network, 106).await > 0);
    for t in held.iter().chain(&reverted) {
        mend::clear(&store, &t.envelope).await.expect("a clearing");
    }
    assert_eq!(children(&engine, &store, &network, 106).await, 0);
    assert_eq!(children(&engine, &store, &network, 105).await, stood);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_evm_nothing_stays_of_what_is_inserted_while_its_block_is_deleted() {
    nothing_stays_of_what_is_inserted_while_its_block_is_deleted::<chain::Chain>("mended_meanwhile").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_bitcoin_nothing_stays_of_what_is_inserted_while_its_block_is_deleted() {
    nothing_stays_of_what_is_inserted_while_its_block_is_deleted::<bitcoin_chain::Chain>("mended_meanwhile_bitcoin")
        .await;
}
