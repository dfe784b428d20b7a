//! Windows: from the topic into the store, the last word on each whatever is killed, away, read again or lost; and old ones go.

use std::{collections::BTreeMap, time::Duration};

use runtime::log::{Log, NewRecord, Offsets, PollLimits, Polled, TopicPartition};
use schemas::{
    TimeMs,
    codec::{Codec, Record},
    records::Window,
    topics,
};
use store::{
    Store,
    sink::{Keep, Keeping, windows},
};

use crate::{
    chain::{Chain, Dice},
    day,
    door::{Door, Let},
    harness::Running,
    setup::{PARTITIONS, RunningSink, TestLog, execute, partition_of, rows, store_in, until},
};

/// Writes windows, as the stage that merges them does.
pub async fn tell(log: &TestLog, windows: &[Window]) {
    let codec = Codec::builtin();
    let record = |window: &Window| NewRecord {
        to: TopicPartition { topic: topics::METRICS_WINDOWS.name, partition: partition_of(&window.network) },
        key: Some(window.key().into()),
        value: Some(codec.encode(window).expect("encodes")),
        headers: window.headers().into_iter().map(|(n, v)| (n.into(), v)).collect(),
    };
    for some in windows.chunks(2_000) {
        log.write(some.iter().map(record).collect()).await;
    }
}

/// Waits until the sink has all that was written.
pub async fn until_told(log: &TestLog) {
    until("the sink to have read all windows", || async {
        let lag = log.log.lag(windows::GROUP, &windows::TOPICS).await.expect("lag");
        lag.iter().all(|l| l.ends.high == 0 || l.position.is_some_and(|p| p >= l.ends.high))
    })
    .await;
}

/// Puts the group's positions back to the beginning.
async fn start_over(log: &TestLog) {
    let mut consumer = log.log.consumer(windows::GROUP, "test", &windows::TOPICS).await.expect("a member");
    let limits = PollLimits { records: 1, bytes: 1, wait: Duration::from_secs(1) };
    let mut held = 0;
    while held < PARTITIONS as usize {
        if let Polled::Assigned(list) = consumer.poll(limits).await.expect("an assignment") {
            held += list.len();
        }
    }
    let topic = windows::TOPICS[0];
    let offsets: Offsets = (0..PARTITIONS).map(|partition| (TopicPartition { topic, partition }, 0)).collect();
    consumer.commit(offsets).await.expect("a commit");
}

/// A window as its row is compared: key, sequence, complete, transactions, failed, fees, median, senders.
type Shown = (String, u64, u8, u64, u64, String, Option<String>, Option<u64>);

async fn shown(engine: &Running, store: &Store) -> Vec<Shown> {
    let sql = "SELECT concat(network, '/', contract, '/', toString(window_seconds), '/', toString(toUnixTimestamp64Milli(window_start))) AS key, \
               sequence, complete, transactions, failed, fee_total_text, gas_price_p50_text, senders FROM windows ORDER BY key";
    rows(engine, store, sql).await
}

/// The last word on each window of these.
fn last_words(told: &[Window]) -> Vec<Shown> {
    let mut last = BTreeMap::<String, &Window>::new();
    for window in told {
        let key = window.key();
        if last.get(&key).is_none_or(|held| held.sequence <= window.sequence) {
            last.insert(key, window);
        }
    }
    let row = |(key, w): (String, &Window)| {
        let (p, told) = (&w.partial, &w.told);
        let p50 = told.gas_price_p50.map(|price| price.to_string());
        (key, w.sequence, u8::from(w.complete), p.transactions, p.failed, p.fee_total.to_string(), p50, told.senders)
    };
    last.into_iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_word_on_each_window_stands_whatever_is_killed_away_read_again_or_lost() {
    let engine = Running::start().await;
    let store = store_in(&engine, "windows_told");
    let (log, mut dice) = (TestLog::open().await, Dice(19));
    let mut chains: Vec<Chain> = (0..3).map(|i| Chain::new(&format!("net-{i}"), 1 + i)).collect();
    let door = Door::before(&engine.url).await;
    let watched = BTreeMap::new();
    let mut told: Vec<Window> = Vec::new();
    for round in 0..5 {
        let config = |config: &mut store::sink::SinkConfig| config.windows_age = Duration::from_millis(20);
        let sink = RunningSink::start_with(&door.store(&store), log.log.clone(), config);
        for step in 0..4 {
            for chain in &mut chains {
                let depth = dice.roll(4);
                (0..depth).for_each(|_| drop(chain.revert()));
                let from = chain.live.last().map_or(0, |live| live.event.block.envelope.height);
                (0..depth + 1 + dice.roll(6)).for_each(|_| drop(day::apply(chain, &mut dice, &watched)));
                let windows = day::windows(chain, from);
                tell(&log, &windows).await;
                told.extend(windows);
            }
            match (round + step) % 4 {
                // The store is away for a moment, or hangs in the middle.
                0 => {
                    door.rule(|_| Let::Break);
                    tokio::time::sleep(Duration::from_millis(120)).await;
                    door.rule(|_| Let::Through);
                }
                1 => door.rule(
                    |statement| {
                        if statement.contains("INSERT INTO window_rows") { Let::Hang } else { Let::Through }
                    },
                ),
                _ => tokio::time::sleep(Duration::from_millis(dice.roll(80))).await,
            }
        }
        sink.kill().await;
        door.rule(|_| Let::Through);
    }
    // What is no window keeps nobody.
    let to = TopicPartition { topic: topics::METRICS_WINDOWS.name, partition: 0 };
    log.write(vec![NewRecord { to, key: Some("x".into()), value: Some("what?".into()), headers: Vec::new() }]).await;
    let wanted = last_words(&told);
    assert!(wanted.len() > 60, "{}", wanted.len());
    let sink = RunningSink::start(&store, &log);
    until_told(&log).await;
    assert_eq!(shown(&engine, &store).await, wanted);
    sink.stop().await.expect("a clean end");

    // Everything once more, from the oldest record on.
    start_over(&log).await;
    let sink = RunningSink::start(&store, &log);
    until_told(&log).await;
    assert_eq!(shown(&engine, &store).await, wanted, "after windows were read again");
    sink.stop().await.expect("a clean end");

    // The store is lost, the log is not, nor what the group has committed.
    let again = store_in(&engine, "windows_again");
    again.migrate().await.expect("tables");
    let sink = RunningSink::start(&again, &log);
    until("the windows to be in the new store", || async { shown(&engine, &again).await.len() == wanted.len() }).await;
    assert_eq!(shown(&engine, &again).await, wanted, "in a store filled again");
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_from_a_replaced_log_and_what_fails_for_long_is_said() {
    let engine = Running::start().await;
    let store = store_in(&engine, "windows_replaced");
    store.migrate().await.expect("tables");
    let (log, mut dice, watched) = (TestLog::open().await, Dice(11), BTreeMap::new());
    let mut chains: Vec<Chain> = (0..2).map(|i| Chain::new(&format!("net-{i}"), 1 + i)).collect();
    let state = async |state: &str, second: u32| {
        let row = format!("('net-0', 'evm', '{state}', '', toDateTime64('2026-01-01 00:00:0{second}', 3, 'UTC'))");
        let sql = format!("INSERT INTO sink_status_rows (network, family, state, message, at) VALUES {row}");
        execute(&engine, &store, &sql).await;
    };
    state("log_replaced", 1).await;
    let mut told = Vec::new();
    for chain in &mut chains {
        (0..6).for_each(|_| drop(day::apply(chain, &mut dice, &watched)));
        told.extend(day::windows(chain, 0));
    }
    tell(&log, &told).await;
    let door = Door::before(&engine.url).await;
    let sink = RunningSink::start_with(&door.store(&store), log.log.clone(), |config| {
        config.windows_age = Duration::from_millis(20);
        config.windows_patience = Duration::from_millis(300);
    });
    let of = |network: &str| {
        let prefix = format!("{network}/");
        let words = last_words(&told);
        words.into_iter().filter(|shown| shown.0.starts_with(&prefix)).collect::<Vec<_>>()
    };
    until("the other network's windows", || async { shown(&engine, &store).await == of("net-1") }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shown(&engine, &store).await, of("net-1"), "nothing of the replaced log");

    // The right log is back: what was passed by comes too, when something new does.
    state("running", 2).await;
    let last = of("net-0").len();
    assert!(last > 0);
    tell(&log, &told[told.len() - 1..]).await;
    until("all windows", || async { shown(&engine, &store).await == last_words(&told) }).await;

    // Windows alone do not get in: that is said, and the process is ready all the same.
    let said = || sink.config.board.said_of_the_process().unwrap_or_default();
    assert_eq!(said(), "");
    door.rule(|statement| match statement.contains("INSERT INTO window_rows") {
        true => Let::Break,
        false => Let::Through,
    });
    tell(&log, &told[..1]).await;
    until("a word", || async { said().contains("windows do not get into the store") }).await;
    assert!(sink.config.board.not_ready().is_none(), "blocks go on");
    door.rule(|_| Let::Through);
    until("no word", || async { said().is_empty() }).await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_windows_go_by_the_month_and_do_not_come_back() {
    let engine = Running::start().await;
    let store = store_in(&engine, "windows_keep");
    let (log, mut dice, watched) = (TestLog::open().await, Dice(9), BTreeMap::new());
    let mut chain = Chain::new("keep", 1);
    (0..20).for_each(|_| drop(day::apply(&mut chain, &mut dice, &watched)));
    let old = day::windows(&chain, 0);
    // The same, of now.
    let month = 30 * 86_400_000_u64;
    let now = TimeMs::now().0;
    let mut fresh = old.clone();
    fresh.iter_mut().for_each(|w| w.window_start = Window::start_of(TimeMs(now), w.window_seconds));
    fresh.sort_by_key(|w| (w.contract, w.window_seconds));
    fresh.dedup_by_key(|w| (w.contract, w.window_seconds));
    tell(&log, &old).await;
    tell(&log, &fresh).await;
    let keeping = Keeping::default();
    let start = || {
        RunningSink::start_with(&store, log.log.clone(), |config| {
            config.keep = keeping.clone();
            config.windows_age = Duration::from_millis(20);
        })
    };
    let sink = start();
    until_told(&log).await;
    let count = "SELECT count() FROM windows";
    let all = rows::<u64>(&engine, &store, count).await[0];
    assert_eq!(all as usize, last_words(&old).len() + fresh.len());

    keeping.set(Keep { windows: Some(Duration::from_millis(2 * month)), ..Keep::default() });
    until("old windows to be hidden", || async {
        rows::<u64>(&engine, &store, count).await[0] as usize == fresh.len()
    })
    .await;
    let parts = "SELECT count() FROM system.parts WHERE database = 'windows_keep' AND table = 'window_rows' AND active AND partition = '202311'";
    until("their month to be dropped", || async { rows::<u64>(&engine, &store, parts).await == [0] }).await;
    sink.stop().await.expect("a clean end");

    // Read again, they are not written; and what another process writes is hidden, and goes.
    start_over(&log).await;
    execute(&engine, &store, "TRUNCATE TABLE window_position_rows").await;
    let sink = start();
    until_told(&log).await;
    assert_eq!(rows::<u64>(&engine, &store, parts).await, [0]);
    let stray = "INSERT INTO window_rows (network, window_seconds, window_start) SELECT 'keep', 60, toDateTime64('2023-11-20 00:00:00', 3, 'UTC')";
    execute(&engine, &store, stray).await;
    assert_eq!(rows::<u64>(&engine, &store, count).await[0] as usize, fresh.len());
    until("the stray to go", || async { rows::<u64>(&engine, &store, parts).await == [0] }).await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
