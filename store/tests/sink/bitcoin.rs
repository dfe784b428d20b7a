//! Bitcoin's rows: what every view and question must show of a chain, whatever is reverted, killed or read again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy_primitives::U256;
use schemas::{BitcoinHash, Op, TimeMs, records::BitcoinDecoded};
use store::{
    Store,
    query::{
        BitcoinParts, Coverage, Metric, OverviewFilter, SeriesFilter, Sort, Source, Step, TransactionFilter, Value,
    },
    sink::{Keep, Keeping, batch::Event},
};

use crate::{
    bitcoin_chain::{Chain, address, coinbase, transactions},
    chain::Dice,
    chaos::start_over,
    harness::Running,
    setup::{RunningSink, TestLog, execute, rows, store_in, until, until_processed},
};

const TABLES: [&str; 4] = ["block_rows", "bitcoin_transaction_rows", "bitcoin_input_rows", "bitcoin_output_rows"];
const ALL: BitcoinParts = BitcoinParts { inputs_from: 0, outputs_from: 0, limit: 1_000 };

type TransactionSeen = (u64, u32, String, String, u32, u32, Option<u64>, u64);
type InputSeen = (u64, String, u32, String, u32, Option<u64>, Option<String>, String, String);
type OutputSeen = (u64, String, u32, u64, String, String, String, bool);
type ShownSeen = (u64, u32, String, String, Option<String>, String, Option<String>, u64, String);
type BlockSeen = (u64, String, u64, String, Option<u32>, Option<u64>, Option<String>);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Compares every view of a network with the model, row by row.
pub async fn compare(engine: &Running, store: &Store, chain: &Chain, when: &str) {
    let (mut blocks, mut all, mut inputs, mut outputs, mut shown) = (vec![], vec![], vec![], vec![], vec![]);
    for event in &chain.live {
        let (e, header) = (&event.block.envelope, event.block.bitcoin.as_ref().expect("a header"));
        let hash = e.block_hash.as_str().to_owned();
        let first = transactions(event).next();
        let (pays, pool) = (first.map(|t| t.output_value), first.and_then(|t| t.pool.clone()));
        let merkle = header.merkle_root.to_string();
        blocks.push((e.height, hash.clone(), e.sequence, merkle, header.transaction_count, pays, pool));
        for t in transactions(event) {
            let (txid, n) = (t.txid.to_string(), t.transaction_index);
            let count = u32::try_from(if t.is_coinbase { 0 } else { t.inputs.len() }).expect("small");
            let outs = u32::try_from(t.outputs.len()).expect("small");
            all.push((e.height, n, txid.clone(), t.wtxid.to_string(), count, outs, t.fee, t.output_value));
            let fee = t.fee.map(|fee| fee.to_string());
            let rate = t.fee_rate.map(|rate| rate.to_string());
            let value = t.output_value.to_string();
            shown.push((
                e.height,
                n,
                txid.clone(),
                value,
                fee,
                hash.clone(),
                rate,
                u64::from(t.virtual_size),
                named(t).join(","),
            ));
            for (i, input) in (0_u32..).zip(&t.inputs).filter(|_| !t.is_coinbase) {
                let spent = input.spent.as_ref();
                let (value, kind) = (spent.map(|s| s.value), spent.map(|s| s.kind.as_str().to_owned()));
                let addresses = spent.map(|s| s.addresses.join(",")).unwrap_or_default();
                let witness = input.witness.iter().map(|item| hex(item)).collect::<Vec<_>>().join(",");
                let of = input.spent_txid.to_string();
                inputs.push((e.height, txid.clone(), i, of, input.spent_index, value, kind, addresses, witness));
            }
            for (i, o) in (0_u32..).zip(&t.outputs) {
                let (kind, script) = (o.kind.as_str().to_owned(), hex(&o.script));
                outputs.push((e.height, txid.clone(), i, o.value, kind, o.addresses.join(","), script, t.is_coinbase));
            }
        }
    }
    let of = format!("WHERE network = '{}'", chain.network);
    let sql = format!(
        "SELECT number, hash, sequence, merkle_root, transaction_count, coinbase_value, CAST(pool, 'Nullable(String)') \
         FROM bitcoin_blocks {of} ORDER BY number"
    );
    assert_eq!(rows::<BlockSeen>(engine, store, &sql).await, blocks, "blocks {when}");
    let sql = format!(
        "SELECT block_number, `index`, hash, wtxid, input_count, output_count, fee, output_value FROM bitcoin_transactions {of} \
         ORDER BY block_number, `index`"
    );
    assert_eq!(rows::<TransactionSeen>(engine, store, &sql).await, all, "transactions {when}");
    let sql = format!(
        "SELECT block_number, transaction_hash, `index`, spent_transaction_hash, spent_output_index, value, \
         CAST(type, 'Nullable(String)'), arrayStringConcat(addresses, ','), arrayStringConcat(witness, ',') FROM bitcoin_inputs {of} ORDER BY block_number, transaction_index, `index`"
    );
    assert_eq!(rows::<InputSeen>(engine, store, &sql).await, inputs, "inputs {when}");
    let sql = format!(
        "SELECT block_number, transaction_hash, `index`, value, toString(type), arrayStringConcat(addresses, ','), script_hex, is_coinbase \
         FROM bitcoin_outputs {of} ORDER BY block_number, transaction_index, `index`"
    );
    assert_eq!(rows::<OutputSeen>(engine, store, &sql).await, outputs, "outputs {when}");
    let sql = format!(
        "SELECT block_number, transaction_index, hash, value_text, fee_text, block_hash, gas_price_text, gas_used, arrayStringConcat(contracts, ',') \
         FROM transactions {of} AND family = 'bitcoin' AND status = 'success' ORDER BY block_number, transaction_index"
    );
    assert_eq!(rows::<ShownSeen>(engine, store, &sql).await, shown, "the view of all families {when}");
    let sql = format!("SELECT sequence, toString(op), block_hash FROM block_events {of} ORDER BY sequence");
    assert_eq!(rows::<(u64, String, String)>(engine, store, &sql).await, chain.events, "block events {when}");
}

/// The addresses of a transaction, each once.
fn named(t: &BitcoinDecoded) -> Vec<String> {
    let spent = t.inputs.iter().filter_map(|i| i.spent.as_ref()).flat_map(|s| &s.addresses);
    let mut found: Vec<String> = Vec::new();
    for address in spent.chain(t.outputs.iter().flat_map(|o| &o.addresses)) {
        if !found.contains(address) {
            found.push(address.clone());
        }
    }
    found
}

/// Asks for some of the transactions, and compares what is told with the model.
async fn ask(store: &Store, chain: &Chain) {
    let spent: BTreeMap<_, _> = chain.spent();
    for event in chain.live.iter().step_by(3) {
        let e = &event.block.envelope;
        for t in transactions(event) {
            let txid = t.txid.to_string();
            let found = store.bitcoin_transaction(&chain.network, &txid, &ALL).await.expect("an answer");
            assert_eq!(found.len(), 1, "{txid}");
            let (told, more) = (&found[0], &found[0].bitcoin);
            assert_eq!((told.transaction.block_number, told.transaction.family.as_str()), (e.height, "bitcoin"));
            assert_eq!(
                (more.wtxid.as_str(), more.sigops, more.lock_time),
                (&*t.wtxid.to_string(), t.sigops, t.lock_time)
            );
            assert_eq!((more.segwit, more.replaceable, more.pool.as_ref()), (t.segwit, t.replaceable, t.pool.as_ref()));
            let spends = if t.is_coinbase { Some(0) } else { t.input_value };
            assert_eq!((more.input_value, more.fee, more.fee_rate), (spends, t.fee, t.fee_rate));
            assert_eq!((told.inputs.len(), told.outputs.len()), (t.inputs.len(), t.outputs.len()));
            for (told, input) in told.inputs.iter().zip(&t.inputs) {
                assert_eq!(told.spent_txid, (!t.is_coinbase).then(|| input.spent_txid.to_string()));
                assert_eq!(told.spent_index, (!t.is_coinbase).then_some(input.spent_index));
                let of = input.spent.as_ref();
                assert_eq!((told.value, told.spent_height), (of.map(|s| s.value), of.and_then(|s| s.height)));
                assert_eq!(told.spent_script, of.map(|s| hex(&s.script)));
                assert_eq!((&told.script, told.sequence), (&hex(&input.script), input.sequence));
                assert_eq!((&told.envelope, told.witness.len()), (&input.envelope, input.witness.len()));
            }
            for (told, index) in told.outputs.iter().zip(0_u32..) {
                let by = told.spent_by.as_ref().map(|by| (by.txid.clone(), by.index, by.height));
                assert_eq!(by.as_ref(), spent.get(&(txid.clone(), index)), "{txid}:{index}");
            }
            // Behind the first of each.
            let rest = BitcoinParts { inputs_from: 1, outputs_from: 1, limit: 1 };
            let found = store.bitcoin_transaction(&chain.network, &txid, &rest).await.expect("an answer");
            let wanted = (t.inputs.len().saturating_sub(1).min(1), t.outputs.len().saturating_sub(1).min(1));
            assert_eq!((found[0].inputs.len(), found[0].outputs.len()), wanted);
        }
        let header =
            store.bitcoin_block(&chain.network, e.height, e.sequence).await.expect("an answer").expect("a block");
        let wanted = event.block.bitcoin.as_ref().expect("a header");
        assert_eq!((header.chain.as_str(), header.bits.as_str(), header.version), ("main", "1d00ffff", wanted.version));
        assert_eq!((header.median_time, header.chain_work), (wanted.median_time, wanted.chain_work));
        assert_eq!(header.nonce, format!("{:08x}", wanted.nonce));
        assert_eq!(header.coinbase_param, wanted.coinbase.as_ref().map(|script| hex(script)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_the_chains_whatever_is_reverted_killed_or_read_again() {
    let engine = Running::start().await;
    let store = store_in(&engine, "bitcoin");
    let (log, mut dice) = (TestLog::open().await, Dice(21));
    // Just below a boundary of partitions.
    let mut chain = Chain::new("bitcoin", 302_060);
    let mut sink = RunningSink::start(&store, &log);
    for _ in 0..40 {
        let events = chain.step(&mut dice);
        log.publish(&events).await;
        if dice.roll(5) == 0 {
            sink.kill().await;
            sink = RunningSink::start(&store, &log);
        }
    }
    until_processed(&store, &chain.network, chain.sequence).await;
    assert!(chain.events.iter().any(|(_, op, _)| op == "revert") && chain.spent().len() > 20);
    compare(&engine, &store, &chain, "after kills").await;
    ask(&store, &chain).await;

    // Inserts that were cut off arrive after the deletions: every reverted row again.
    for (table, keys) in [
        ("block_rows", "network, height"),
        ("bitcoin_transaction_rows", "network, height, transaction_index"),
        ("bitcoin_input_rows", "network, height, transaction_index, input_index"),
        ("bitcoin_output_rows", "network, height, transaction_index, output_index"),
    ] {
        let late = format!(
            "INSERT INTO {table} ({keys}, version, is_deleted, span) SELECT {keys}, 256 * sequence, 0, span FROM {table} WHERE is_deleted = 1"
        );
        execute(&engine, &store, &late).await;
    }
    compare(&engine, &store, &chain, "after late inserts").await;
    for table in TABLES {
        execute(&engine, &store, &format!("OPTIMIZE TABLE {table} FINAL")).await;
    }
    compare(&engine, &store, &chain, "after merges").await;

    // By address, as its case is; by a hash.
    let filter = TransactionFilter {
        network: Some(chain.network.clone()),
        address: Some(address(9)),
        sort: Sort::Oldest,
        limit: 1_000,
        ..TransactionFilter::default()
    };
    let page = store.transactions(&filter).await.expect("an answer");
    let found: Vec<String> = page.items.into_iter().map(|t| t.hash).collect();
    let all = || chain.live.iter().flat_map(transactions);
    let wanted: Vec<String> = all().filter(|t| named(t).contains(&address(9))).map(|t| t.txid.to_string()).collect();
    assert!(!wanted.is_empty());
    assert_eq!(found, wanted);
    let networks = [chain.network.clone()];
    assert_eq!(store.found_address(&address(9), &networks).await.expect("an answer"), ["bitcoin"]);
    assert!(store.found_address(&address(9).to_lowercase(), &networks).await.expect("an answer").is_empty());
    let last = chain.live.last().expect("a block");
    let hash = last.block.envelope.block_hash.as_str().to_owned();
    let txid = transactions(last).next().expect("a coinbase").txid.to_string();
    for (digits, kind) in [(&hash, "block"), (&txid, "transaction")] {
        let found = store.found_hash(digits, &networks).await.expect("an answer");
        assert!(found.len() == 1 && found[0].kind == kind, "{found:?}");
        let found = store.found_hash(&format!("0x{digits}"), &networks).await.expect("an answer");
        assert!(found.is_empty(), "that is how others write them: {found:?}");
    }
    let stored = store.network(&chain.network).await.expect("an answer").expect("a network");
    assert_eq!((stored.family.as_str(), stored.state.as_str()), ("bitcoin", "running"));

    // Everything once more: equal events change nothing. And the store is lost, the log is not.
    sink.stop().await.expect("a clean end");
    start_over(&log).await;
    let sink = RunningSink::start(&store, &log);
    log.publish(&[chain.apply(&mut dice)]).await;
    until_processed(&store, &chain.network, chain.sequence).await;
    sink.stop().await.expect("a clean end");
    compare(&engine, &store, &chain, "after a replay").await;
    let again = store_in(&engine, "bitcoin_again");
    let sink = RunningSink::start(&again, &log);
    log.publish(&[chain.apply(&mut dice)]).await;
    until_processed(&again, &chain.network, chain.sequence).await;
    sink.stop().await.expect("a clean end");
    compare(&engine, &again, &chain, "in a store filled again").await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_from_rows_are_the_chains_as_far_as_its_time_has_come() {
    const HOUR_MS: i64 = 3_600_000;
    // Begins an hour; the first block lies before it.
    const FROM: i64 = 1_699_999_200_000;
    let engine = Running::start().await;
    let store = store_in(&engine, "figures");
    let (log, mut dice) = (TestLog::open().await, Dice(25));
    let mut chain = Chain::new("bitcoin", 0);
    let events: Vec<Event> = (0..60).map(|_| chain.apply(&mut dice)).collect();
    for some in events.chunks(50) {
        log.publish(some).await;
    }
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;

    let tip = chain.live.last().expect("a block").block.bitcoin.as_ref().expect("a header");
    let median = tip.median_time.expect("it is known").0;
    let settled = (median - FROM) / HOUR_MS;
    assert!(settled >= 8, "{settled}");
    let filter = |contract: Option<String>| SeriesFilter {
        network: chain.network.clone(),
        contract,
        contract_windows: None,
        metrics: vec![Metric::GasPriceP50, Metric::Senders],
        step: Step::Hour,
        from: TimeMs(FROM),
        to: TimeMs(FROM + 12 * HOUR_MS),
    };
    let told = store.series(&filter(None)).await.expect("an answer").series;
    for (hour, (p50, senders)) in (0..).zip(told[0].points.iter().zip(&told[1].points)) {
        if hour >= settled {
            assert!(!p50.complete && !senders.complete && senders.value.is_none(), "hour {hour}: {senders:?}");
            continue;
        }
        let within = |event: &&Event| (event.block.envelope.block_time.0 - FROM).div_euclid(HOUR_MS) == hour;
        let all: Vec<&BitcoinDecoded> = chain.live.iter().filter(within).flat_map(transactions).collect();
        let mut rates: Vec<u64> = all.iter().filter(|t| t.fee > Some(0)).filter_map(|t| t.fee_rate).collect();
        rates.sort_unstable();
        let middle = rates.len().div_ceil(2).checked_sub(1).map(|at| Value::Amount(U256::from(rates[at])));
        let spent = all.iter().flat_map(|t| &t.inputs).filter_map(|input| input.spent.as_ref());
        let scripts: BTreeSet<&[u8]> = spent.map(|spent| &spent.script[..]).collect();
        assert!(p50.complete && senders.complete && senders.source == Source::Rows, "hour {hour}: {senders:?}");
        assert_eq!(p50.value, middle, "hour {hour}");
        assert_eq!(senders.value, Some(Value::Count(scripts.len() as u64)), "hour {hour}");
    }

    // What may still change is not told to be all.
    let overview = |to: i64| OverviewFilter {
        network: chain.network.clone(),
        contract: None,
        contract_windows: None,
        from: TimeMs(FROM),
        to: TimeMs(to),
    };
    let told = store.overview(&overview(FROM + settled * HOUR_MS)).await.expect("an answer");
    assert!(told.complete && told.source == Source::Rows && told.figures.senders > Some(0), "{told:?}");
    // A block has room for a million virtual bytes.
    let (room, used) = (told.figures.blocks as f64 * 1_000_000.0, told.figures.gas_used as f64);
    assert!(used > 0.0 && told.figures.fullness() == Some(used / room), "{told:?}");
    let told = store.overview(&overview(median + HOUR_MS)).await.expect("an answer");
    let says = |reason: &Option<String>, words: &str| reason.as_deref().is_some_and(|reason| reason.contains(words));
    assert!(!told.complete && says(&told.reason, "the median time past is"), "{told:?}");

    // An address is no contract.
    let told = store.series(&filter(Some(address(9)))).await.expect("an answer").series;
    for point in told.iter().flat_map(|series| &series.points) {
        assert!(!point.complete && point.value.is_none() && says(&point.reason, "no contracts"), "{point:?}");
    }
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_alone_are_a_range_of_their_own_and_nothing_is_said_of_transactions() {
    let engine = Running::start().await;
    let store = store_in(&engine, "headers");
    let (log, mut dice) = (TestLog::open().await, Dice(22));
    let mut chain = Chain::new("electrum", 100);
    let mut events: Vec<Event> = (0..4).map(|_| chain.apply_header(&mut dice)).collect();
    events.extend((0..2).filter_map(|_| chain.revert()));
    events.push(chain.apply_header(&mut dice));
    log.publish(&events).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;
    compare(&engine, &store, &chain, "of headers").await;
    let held = store.completeness(&chain.network).await.expect("an answer");
    let ranges: Vec<_> = held.ranges.iter().map(|r| (r.from_number, r.to_number, r.complete, r.coverage)).collect();
    assert_eq!((ranges, held.full_from()), (vec![(100, 102, false, Coverage::Header)], None));
    let block = store.block_by_height(&chain.network, 102).await.expect("an answer").expect("a block");
    assert_eq!((block.coverage.as_str(), block.weight, block.family.as_str()), ("header", None, "bitcoin"));

    // From some height on there is a node.
    log.publish(&(0..3).map(|_| chain.apply(&mut dice)).collect::<Vec<_>>()).await;
    until_processed(&store, &chain.network, chain.sequence).await;
    let held = store.completeness(&chain.network).await.expect("an answer");
    let ranges: Vec<_> = held.ranges.iter().map(|r| (r.from_number, r.to_number, r.complete, r.coverage)).collect();
    let wanted = vec![(100, 102, false, Coverage::Header), (103, 105, true, Coverage::Full)];
    assert_eq!((ranges, held.full_from()), (wanted, Some(103)));
    let sql = "SELECT from_number, to_number, complete, toString(coverage) FROM completeness ORDER BY from_number";
    let seen = rows::<(u64, u64, u8, String)>(&engine, &store, sql).await;
    assert_eq!(seen, [(100, 102, 0, "header".to_owned()), (103, 105, 1, "full".to_owned())]);
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_occurs_twice_has_two_rows_and_the_newest_comes_first() {
    let engine = Running::start().await;
    let store = store_in(&engine, "twice");
    let (log, mut dice) = (TestLog::open().await, Dice(23));
    let mut chain = Chain::new("bitcoin", 91_840);
    let twice = coinbase(&BitcoinHash([7; 32]), 5_000_000_000, &mut dice);
    let events: Vec<Event> =
        (0..2).map(|i| chain.push(91_840 + i, BitcoinHash([i as u8 + 1; 32]), vec![twice.clone()])).collect();
    assert!(events.iter().all(|event| event.block.envelope.op == Op::Apply));
    log.publish(&events).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;
    compare(&engine, &store, &chain, "with an id twice").await;
    let found = store.bitcoin_transaction(&chain.network, &twice.txid.to_string(), &ALL).await.expect("an answer");
    let heights: Vec<u64> = found.iter().map(|t| t.transaction.block_number).collect();
    assert_eq!(heights, [91_841, 91_840]);
    assert!(
        found.iter().all(|t| t.inputs.len() == 1 && t.inputs[0].spent_txid.is_none() && t.bitcoin.input_count == 0)
    );
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_goes_with_its_inputs_and_outputs() {
    let engine = Running::start().await;
    let store = store_in(&engine, "old");
    let (log, keeping, mut dice) = (TestLog::open().await, Keeping::default(), Dice(24));
    let mut chain = Chain::new("bitcoin", 1_000);
    let events: Vec<Event> = (0..290).map(|_| chain.apply(&mut dice)).collect();
    for some in events.chunks(50) {
        log.publish(some).await;
    }
    let sink = RunningSink::start_with(&store, log.log.clone(), |config| {
        let spans = BTreeMap::from([(chain.network.clone(), 1_024)]);
        config.spans = tokio::sync::watch::Sender::new(spans).subscribe();
        config.keep = keeping.clone();
    });
    until_processed(&store, &chain.network, chain.sequence).await;
    let old = TimeMs((1_700_000_000 + 1_100 * 600) * 1_000);
    let age = u64::try_from(TimeMs::now().0 - old.0).expect("it is past");
    keeping.set(Keep { everywhere: Some(Duration::from_millis(age)), ..Keep::default() });
    let parts = format!(
        "SELECT count() FROM system.parts WHERE database = '{}' AND active AND partition = '(\\'bitcoin\\',0)'",
        store.database()
    );
    until("the oldest partition to be gone", || async { rows::<u64>(&engine, &store, &parts).await == [0] }).await;
    chain.live.drain(..24);
    compare(&engine, &store, &chain, "when the oldest are gone").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
