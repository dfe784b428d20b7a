//! A store that the last version of the former layout wrote (`former/`), and its upgrade: cut off at every statement, by two
//! processes at once, and followed by reorgs (rule 16).

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use schemas::{
    BlockHash, Envelope, Op, Origin, TimeMs,
    records::{EnrichedBlock, EnrichedTransaction, Payload},
};
use store::{
    Store,
    engine::{ChildCommand, RestartPolicy},
    sink::batch::Event,
};

use crate::{
    chain::{Chain, Dice, Live},
    door::{Door, Let},
    harness::{PROGRAM, Running},
    setup::{RunningSink, TestLog, execute, long, rows, store_in, until, until_processed},
};

/// Each view, what orders it, and what of it may differ.
const VIEWS: [(&str, &str); 6] = [
    ("blocks", "network, number"),
    ("block_events", "network, sequence"),
    ("transactions", "network, block_number, transaction_index"),
    ("evm_transactions", "network, block_number, transaction_index"),
    ("evm_logs", "network, block_number, transaction_index, log_index"),
    ("completeness", "network, from_number"),
];
const FORMER: &str = "SELECT name FROM system.tables WHERE database = currentDatabase() AND (name LIKE 'former_%' OR name LIKE 'coarse_%')";

/// The engine on a copy of the former store.
async fn former() -> Running {
    let dir = tempfile::tempdir().expect("temp dir");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sink/former/store.tar.gz");
    let unpacked = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir.path()).status().expect("tar");
    assert!(unpacked.success(), "{} cannot be unpacked", archive.display());
    let command = ChildCommand::new(PROGRAM, [dir.path()]);
    Running::start_in(dir, command, RestartPolicy::default()).await
}

/// Columns of each view of the former layout.
pub async fn columns(engine: &Running, store: &Store) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (view, _) in VIEWS {
        let sql = format!(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '{view}' \
             AND name != 'stored_at' ORDER BY position"
        );
        let names = rows::<String>(engine, store, &sql).await;
        assert!(names.len() > 9, "{view} has {names:?}");
        all.push(names);
    }
    all
}

/// When the rows of blocks were stored. Of two copies of a row under one version, which a replay leaves, a reading shows either; they
/// differ in nothing else.
async fn stored(engine: &Running, store: &Store, from: &str) -> Vec<String> {
    let sql = format!("SELECT DISTINCT toString((network, height, stored_at)) FROM {from}");
    rows::<String>(engine, store, &sql).await
}

/// All rows of these columns of all views as text, of these networks.
pub async fn shown(engine: &Running, store: &Store, columns: &[Vec<String>], networks: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for ((view, order), columns) in VIEWS.iter().zip(columns) {
        let columns = columns.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT toString(tuple({columns})) FROM {view} WHERE {networks} ORDER BY {order}");
        all.push(rows::<String>(engine, store, &sql).await);
    }
    all
}

pub fn assert_same(seen: &[Vec<String>], wanted: &[Vec<String>], when: &str) {
    for (((view, _), seen), wanted) in VIEWS.iter().zip(seen).zip(wanted) {
        for (seen, wanted) in seen.iter().zip(wanted) {
            assert_eq!(seen, wanted, "{view} {when}");
        }
        assert_eq!(seen.len(), wanted.len(), "rows of {view} {when}");
    }
}

pub async fn until_upgraded(engine: &Running, store: &Store) {
    until("the upgrade", || async {
        rows::<String>(engine, store, FORMER).await.is_empty() && is_new(engine, store).await
    })
    .await;
}

/// Whether the ledger says that the tables are of today.
async fn is_new(engine: &Running, store: &Store) -> bool {
    let last = store::ddl::MIGRATIONS.len() as u64;
    let sql = "SELECT toUInt64(max(number)) FROM schema_migrations";
    rows::<u64>(engine, store, sql).await == [last]
        && rows::<u64>(engine, store, "SELECT count() FROM upgrade_rows").await == [0]
}

const AUDITS: &str = "SELECT toString((network, from_height, stale, runs, first_parent, last_hash, audited_at)) FROM audit_rows FINAL \
                      ORDER BY network, from_height";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_former_version_wrote_shows_as_before_and_goes_on() {
    let engine = former().await;
    let store = store_in(&engine, "headwater");
    let columns = columns(&engine, &store).await;
    let before = shown(&engine, &store, &columns, "1").await;
    let times = stored(&engine, &store, "block_rows WHERE is_deleted = 0").await;
    let audits = rows::<String>(&engine, &store, AUDITS).await;
    assert!(before.iter().all(|rows| rows.len() > 9) && audits.len() > 1, "too little in the fixture");

    // By two processes at once.
    let (log, other) = (TestLog::open().await, TestLog::open().await);
    let sinks = [RunningSink::start(&store, &log), RunningSink::start(&store, &other)];
    until_upgraded(&engine, &store).await;
    for sink in sinks {
        until("readiness", || async { sink.config.board.not_ready().is_none() }).await;
        sink.stop().await.expect("a clean end");
    }
    assert_same(&shown(&engine, &store, &columns, "1").await, &before, "after the upgrade");
    let after = stored(&engine, &store, "blocks").await;
    assert!(after.len() > 9 && after.iter().all(|time| times.contains(time)), "{after:?} of {times:?}");
    // What was counted holds, and what was not is marked.
    let now = rows::<String>(&engine, &store, AUDITS).await;
    assert!(audits.iter().all(|count| now.contains(count)), "{now:?} of {audits:?}");
    assert!(now.iter().filter(|count| !audits.contains(count)).all(|count| count.contains(",1,[],")), "{now:?}");

    // What was deleted stays so: its rows once more, and merges.
    for (table, keys) in [
        ("block_rows", "network, height"),
        ("evm_transaction_rows", "network, height, transaction_index"),
        ("evm_log_rows", "network, height, transaction_index, log_index"),
    ] {
        let late = format!(
            "INSERT INTO {table} ({keys}, version, is_deleted, span) SELECT {keys}, version - 255, 0, span FROM {table} WHERE is_deleted = 1"
        );
        let deleted = format!("SELECT count() FROM {table} WHERE is_deleted = 1");
        assert!(rows::<u64>(&engine, &store, &deleted).await[0] > 9, "no deletion rows in {table}");
        execute(&engine, &store, &late).await;
    }
    assert_same(&shown(&engine, &store, &columns, "1").await, &before, "after late inserts");
    for table in ["block_rows", "evm_transaction_rows", "evm_log_rows", "block_event_rows"] {
        execute(&engine, &store, &format!("OPTIMIZE TABLE {table} FINAL")).await;
    }
    assert_same(&shown(&engine, &store, &columns, "1").await, &before, "after merges");

    goes_on(&engine, &store, &log, &columns).await;
    engine.stop().await;
}

/// Reverts and applies on top of what was upgraded, one across a boundary of partitions; and the event that was cut off comes again.
async fn goes_on(engine: &Running, store: &Store, log: &TestLog, columns: &[Vec<String>]) {
    let mut dice = Dice(5);
    let others = "network NOT IN ('net-0', 'net-1', 'audited')";
    let before = shown(engine, store, columns, others).await;
    for name in ["net-0", "net-1", "audited"] {
        log.publish(&past(engine, store, name).await).await;
    }
    let mut chains = Vec::new();
    for name in ["net-0", "net-1"] {
        let mut chain = continued(engine, store, name).await;
        assert!(chain.live.len() > 4, "{name} is too short");
        let mut events: Vec<Event> = (0..4).map(|_| chain.revert().expect("a block")).collect();
        events.extend((0..6).map(|_| chain.apply(&mut dice)));
        events.extend(chain.revert());
        log.publish(&events).await;
        chains.push(chain);
    }
    let mut cut = continued(engine, store, "audited").await;
    let unfinished = "SELECT DISTINCT block_number, block_hash FROM evm_transactions WHERE network = 'audited' AND sequence > \
                      (SELECT max(sequence) FROM block_events WHERE network = 'audited')";
    let (height, hash) = rows::<(u64, String)>(engine, store, unfinished).await[0].clone();
    let hash: BlockHash = hash.parse().expect("a hash");
    let mut event = cut.apply(&mut dice);
    (event.block.envelope.height, event.block.envelope.block_hash) = (height, hash.clone());
    for t in &mut event.transactions {
        (t.envelope.height, t.envelope.block_hash) = (height, hash.clone());
    }
    log.publish(&[event]).await;
    let sink = RunningSink::start(store, log);
    for chain in chains.iter().chain([&cut]) {
        until_processed(store, &chain.network, chain.sequence).await;
    }
    sink.stop().await.expect("a clean end");
    for chain in &chains {
        let name = chain.network.as_str();
        let sql = format!("SELECT number, hash, sequence FROM blocks WHERE network = '{name}' ORDER BY number");
        let wanted: Vec<(u64, String, u64)> = chain
            .live
            .iter()
            .map(|l| &l.event.block.envelope)
            .map(|e| (e.height, e.block_hash.as_str().to_owned(), e.sequence))
            .collect();
        assert_eq!(rows::<(u64, String, u64)>(engine, store, &sql).await, wanted, "{name}");
        // Each block has its own rows and no others'.
        for (view, count) in [("transactions", "transaction_count"), ("evm_logs", "log_count")] {
            let sql = format!(
                "SELECT countIf(b.sequence != r.sequence OR b.n != r.n) FROM \
                 (SELECT number, sequence, toUInt64({count}) AS n FROM blocks WHERE network = '{name}' AND n > 0) AS b FULL OUTER JOIN \
                 (SELECT block_number AS number, sequence, count() AS n FROM {view} WHERE network = '{name}' \
                  GROUP BY number, sequence) AS r USING (number)"
            );
            assert_eq!(rows::<u64>(engine, store, &sql).await, [0], "{view} of {name}");
        }
        let held = store.completeness(&chain.network).await.expect("completeness");
        assert!(held.ranges.len() == 1 && held.ranges[0].complete, "{held:?}");
    }
    assert_same(&shown(engine, store, columns, others).await, &before, "after others' reorgs");
}

fn envelope(
    chain: &Chain,
    (sequence, op): (u64, Op),
    height: u64,
    hash: &str,
    reverts_sequence: Option<u64>,
) -> Envelope {
    let hash: BlockHash = hash.parse().expect("a hash");
    Envelope {
        network: chain.network.clone(),
        sequence,
        op,
        origin: Origin::Live,
        height,
        block_hash: hash.clone(),
        parent_hash: hash,
        block_time: TimeMs(0),
        observed_at: TimeMs(0),
        safe_height: None,
        finalized_height: None,
        tx_count: 0,
        log_count: 0,
        reverts_sequence,
        reorg_remaining: 0,
    }
}

/// The events that the store holds, as the log still has them, without their transactions.
async fn past(engine: &Running, store: &Store, name: &str) -> Vec<Event> {
    let chain = Chain::new(name, 0);
    let sql = format!(
        "SELECT sequence, toString(op), height, block_hash, reverts_sequence FROM block_events WHERE network = '{name}' ORDER BY sequence"
    );
    let rows = rows::<(u64, String, u64, String, Option<u64>)>(engine, store, &sql).await;
    let event = |(sequence, op, height, hash, reverts): (u64, String, u64, String, Option<u64>)| {
        let op: Op = op.parse().expect("an op");
        let envelope = envelope(&chain, (sequence, op), height, &hash, reverts);
        let child = EnrichedTransaction { envelope: envelope.child(), payload: Payload::Revert };
        let transactions = if op == Op::Revert { vec![child] } else { Vec::new() };
        Event {
            block: EnrichedBlock { envelope, evm: None, bitcoin: None, summary: None, facts_position: None },
            transactions,
        }
    };
    rows.into_iter().map(event).collect()
}

/// The model of a chain as the store has it.
async fn continued(engine: &Running, store: &Store, name: &str) -> Chain {
    let sql = format!("SELECT number, hash, sequence FROM blocks WHERE network = '{name}' ORDER BY number");
    let blocks = rows::<(u64, String, u64)>(engine, store, &sql).await;
    let sql = format!("SELECT max(sequence) FROM block_events WHERE network = '{name}'");
    let mut chain = Chain::new(name, blocks[0].0);
    chain.sequence = rows::<u64>(engine, store, &sql).await[0];
    for (height, hash, sequence) in blocks {
        let envelope = envelope(&chain, (sequence, Op::Apply), height, &hash, None);
        let event = Event {
            block: EnrichedBlock { envelope, evm: None, bitcoin: None, summary: None, facts_position: None },
            transactions: Vec::new(),
        };
        chain.live.push(Live { event });
    }
    chain
}

/// A database with what the former store has of a network, in tables of the former layout.
async fn former_database(engine: &Running, name: &str, network: &str) -> Store {
    let store = store_in(engine, name);
    let server = store_in(engine, "headwater");
    execute(engine, &server, &format!("CREATE DATABASE {name}")).await;
    for table in
        ["block_rows", "evm_transaction_rows", "evm_log_rows", "block_event_rows", "audit_rows", "sink_status_rows"]
    {
        execute(engine, &server, &format!("CREATE TABLE {name}.{table} AS headwater.{table}")).await;
        let all = format!("INSERT INTO {name}.{table} SELECT * FROM headwater.{table} WHERE network = '{network}'");
        execute(engine, &server, &all).await;
    }
    // Views that are not made anew since, and the ledger.
    for migration in store::ddl::MIGRATIONS.iter().filter(|m| [14, 15].contains(&m.number)) {
        execute(engine, &store, migration.sql).await;
    }
    execute(engine, &server, &format!("CREATE TABLE {name}.schema_migrations AS headwater.schema_migrations")).await;
    let ledger = format!("INSERT INTO {name}.schema_migrations SELECT * FROM headwater.schema_migrations");
    execute(engine, &server, &ledger).await;
    store
}

/// Whether a statement changes something of the upgrade.
fn upgrades(statement: &str) -> bool {
    let writes = ["INSERT INTO", "DROP ", "RENAME ", "EXCHANGE ", "TRUNCATE ", "CREATE "];
    let writes = writes.iter().any(|word| statement.contains(word));
    writes && ["former_", "coarse_", "swap_", "upgrade_rows"].iter().any(|word| statement.contains(word))
}

/// Starts a sink, kills it after so many statements. `false` when it had finished before.
pub async fn cut_off_after(statements: u64, engine: &Running, store: &Store, door: &Door, log: &TestLog) -> bool {
    let seen = Arc::new(AtomicU64::new(0));
    let counted = seen.clone();
    door.rule(move |statement| {
        let hangs = upgrades(statement) && counted.fetch_add(1, Ordering::SeqCst) >= statements;
        if hangs { Let::Hang } else { Let::Through }
    });
    let sink = RunningSink::start(&door.store(store), log);
    let give_up = Instant::now() + Duration::from_secs(120);
    let finished = loop {
        if seen.load(Ordering::SeqCst) > statements {
            break false;
        }
        if sink.config.board.not_ready().is_none() {
            break true;
        }
        assert!(Instant::now() < give_up, "neither finished nor cut off after {statements}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // What was let through just now may still be on its way.
    tokio::time::sleep(Duration::from_millis(50)).await;
    if !finished {
        honest(engine, store, &sink).await;
    }
    sink.kill().await;
    !finished
}

/// In the middle of it: every row once, and what is not there yet is told.
async fn honest(engine: &Running, store: &Store, sink: &RunningSink) {
    let begun = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'upgrade_rows'";
    if rows::<u64>(engine, store, begun).await == [0]
        || rows::<u64>(engine, store, "SELECT count() FROM upgrade_rows").await == [0]
    {
        return;
    }
    let why = sink.config.board.not_ready().expect("it is not ready");
    assert!(why.contains("layout"), "{why}");
    for (view, key) in [
        ("blocks", "number"),
        ("evm_transactions", "(block_number, transaction_index)"),
        ("evm_logs", "(block_number, transaction_index, log_index)"),
    ] {
        let sql = format!("SELECT count() - uniqExact({key}) FROM {view}");
        assert_eq!(rows::<i64>(engine, store, &sql).await, [0], "{view} shows a row twice");
    }
    // Blocks that are shown have all their rows, and those that are not are told as not complete. (A range that is cut off just before
    // its position is told is counted in both.)
    let all = rows::<u64>(engine, store, "SELECT count() FROM headwater.blocks WHERE network = 'net-0'").await[0];
    let told = rows::<u64>(engine, store, "SELECT sum(blocks) FROM completeness").await[0];
    assert!(told >= all, "{told} of {all} blocks are told of");
    let torn = "SELECT count() FROM completeness WHERE complete = 0 AND transactions_stored > 0";
    assert_eq!(rows::<u64>(engine, store, torn).await, [0]);
    let position = store.position("net-0").await;
    if position.as_ref().is_ok_and(|p| p.sequence == 0) {
        panic!("a store that is being upgraded says that it holds nothing");
    }
    let held = store.completeness(&"net-0".parse().expect("a slug")).await.expect("completeness");
    let blocks: u64 = held.ranges.iter().map(|r| r.blocks).sum();
    assert!(blocks >= all, "{held:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_at_any_statement_it_is_gone_on_with() {
    let engine = former().await;
    let former = store_in(&engine, "headwater");
    let columns = columns(&engine, &former).await;
    let before = shown(&engine, &former, &columns, "network = 'net-0'").await;
    let (log, mut dice) = (TestLog::open().await, Dice(46));
    let mut cuts = 0;
    loop {
        let store = former_database(&engine, &format!("cut_{cuts}"), "net-0").await;
        let door = Door::before(&engine.url).await;
        let was_cut = cut_off_after(cuts, &engine, &store, &door, &log).await;
        if was_cut {
            let sink = RunningSink::start(&store, &log);
            until_upgraded(&engine, &store).await;
            until("readiness", || async { sink.config.board.not_ready().is_none() }).await;
            sink.stop().await.expect("a clean end");
        }
        let after = shown(&engine, &store, &columns, "1").await;
        assert_same(&after, &before, &format!("cut off after {cuts} statements"));
        execute(&engine, &former, &format!("DROP DATABASE cut_{cuts}")).await;
        if !was_cut {
            break;
        }
        cuts += if long() { 1 } else { 5 + dice.roll(9) };
    }
    assert!(cuts > 25, "{cuts} statements only");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_dropped_while_the_copy_differs() {
    let engine = former().await;
    let former = store_in(&engine, "headwater");
    let columns = columns(&engine, &former).await;
    let before = shown(&engine, &former, &columns, "network = 'net-1'").await;
    let store = former_database(&engine, "differs", "net-1").await;
    store.migrate().await.expect("tables");
    let foreign = "INSERT INTO evm_transaction_rows (network, height, transaction_index, version, is_deleted, span) \
                   SELECT network, height, 99, version, 0, 302080 FROM former_block_rows LIMIT 1";
    execute(&engine, &store, foreign).await;
    let log = TestLog::open().await;
    let sink = RunningSink::start(&store, &log);
    let why = || sink.config.board.not_ready().unwrap_or_default();
    until("a difference", || async { why().contains("differs") }).await;
    assert_eq!(rows::<String>(&engine, &store, FORMER).await.len(), 5);
    let took_back = "INSERT INTO evm_transaction_rows (network, height, transaction_index, version, is_deleted, span) \
                     SELECT network, height, 99, version + 255, 1, span FROM evm_transaction_rows WHERE transaction_index = 99";
    execute(&engine, &store, took_back).await;
    until_upgraded(&engine, &store).await;
    sink.stop().await.expect("a clean end");
    assert_same(&shown(&engine, &store, &columns, "1").await, &before, "at last");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_store_has_nothing_to_upgrade() {
    let engine = Running::start().await;
    let store = store_in(&engine, "fresh");
    let log = TestLog::open().await;
    let sink = RunningSink::start(&store, &log);
    until("readiness", || async { sink.config.board.not_ready().is_none() }).await;
    until_upgraded(&engine, &store).await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
