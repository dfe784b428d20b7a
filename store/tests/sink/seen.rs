//! Who has asked before is answered as who never did: where a head lay bounds what is looked through, and never what is found.

use schemas::TimeMs;
use store::{
    Store,
    query::{Metric, Overview, OverviewFilter, SeriesFilter, Step},
};

use crate::{
    harness::Running,
    setup::{execute, store_in},
};

/// Where the windows of the first network end, milliseconds since 1970, and the height of its block then.
const END: i64 = 1_800_000 * 1_000_000;
const TIP: i64 = 100_000;
const CONTRACT: &str = "0xcccccccccccccccccccccccccccccccccccccccc";
const MINUTE: i64 = 60_000;

/// Both answers of a network or its contract in the hour before a time, as they are told to who never asked and to one who did.
async fn asked(known: &Store, network: &str, contract: bool, to: i64) -> Overview {
    let fresh = Store::connect(known.config().clone()).expect("a plain name");
    let overview = OverviewFilter {
        network: network.parse().expect("a slug"),
        contract: contract.then(|| CONTRACT.to_owned()),
        contract_windows: Some(TimeMs(0)),
        from: TimeMs(to - 60 * MINUTE),
        to: TimeMs(to),
    };
    let series = SeriesFilter {
        network: overview.network.clone(),
        contract: overview.contract.clone(),
        contract_windows: overview.contract_windows,
        metrics: Metric::ALL.to_vec(),
        step: Step::Minute,
        from: overview.from,
        to: overview.to,
    };
    let wanted = fresh.overview(&overview).await.expect("an answer");
    assert_eq!(known.overview(&overview).await.expect("an answer"), wanted, "{overview:?}");
    let wanted_series = fresh.series(&series).await.expect("an answer");
    assert_eq!(known.series(&series).await.expect("an answer"), wanted_series, "{series:?}");
    wanted
}

/// Whole minutes of a network that end at a time, and with `contract` every tenth of them of it.
async fn windows(engine: &Running, store: &Store, network: &str, (end, minutes): (i64, i64), contract: bool) {
    let sql = format!(
        "INSERT INTO window_rows (network, contract, window_seconds, window_start, sequence, complete, watched_from, blocks, transactions) \
         SELECT '{network}', if(n % 2 = 0, '', '{CONTRACT}'), 60, fromUnixTimestamp64Milli(toInt64({end} - (intDiv(n, 2) + 1) * {MINUTE}), 'UTC'), \
         1000000 - intDiv(n, 2), 1, fromUnixTimestamp64Milli(toInt64({MINUTE}), 'UTC'), 5, 7 \
         FROM (SELECT number AS n FROM numbers({})) WHERE n % 2 = 0 OR {contract} AND intDiv(n, 2) % 10 = 0",
        2 * minutes
    );
    execute(engine, store, &sql).await;
}

/// Blocks of the first network, a block in twelve seconds: rows of these heights, or what takes them back.
async fn blocks(engine: &Running, store: &Store, (from, to): (i64, i64), deleted: bool) {
    let sql = format!(
        "INSERT INTO block_rows (network, height, version, is_deleted, origin, hash, block_time, span) \
         SELECT 'one', {from} + number AS h, h * 256 + {}, {}, 'live', '0x01', \
         fromUnixTimestamp64Milli(toInt64({END} + (toInt64(h) - {TIP}) * 12000), 'UTC'), 1000 FROM numbers({})",
        if deleted { 255 } else { 0 },
        u8::from(deleted),
        to - from
    );
    execute(engine, store, &sql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_head_was_seen_bounds_what_is_read_and_not_what_is_answered() {
    let engine = Running::start().await;
    let store = store_in(&engine, "heads_seen");
    store.migrate().await.expect("a schema");
    windows(&engine, &store, "one", (END, 600), true).await;
    blocks(&engine, &store, (TIP - 3_000, TIP), false).await;
    for contract in [false, true] {
        let found = asked(&store, "one", contract, END).await;
        assert!(found.complete, "{found:?}");
        assert_eq!(found.figures.transactions, if contract { 6 * 7 } else { 60 * 7 });
    }

    // A network that is ten days behind the one that was seen; one of which nothing is known.
    let late = END - 10 * 86_400_000;
    windows(&engine, &store, "two", (late, 600), true).await;
    for contract in [false, true] {
        assert!(asked(&store, "two", contract, late).await.complete);
        assert!(!asked(&store, "two", contract, END).await.complete, "its windows end before");
        assert!(!asked(&store, "three", contract, END).await.complete);
    }
    // One that is ahead.
    windows(&engine, &store, "four", (END + 86_400_000, 5), true).await;
    assert!(!asked(&store, "four", false, END).await.complete, "its windows begin later");

    // The contract is quiet for a day: since when it is watched is told by a window that lies far back.
    windows(&engine, &store, "one", (END + 86_400_000, 1_440), false).await;
    let found = asked(&store, "one", true, END + 43_200_000).await;
    assert!(found.complete && found.figures.transactions == 0, "{found:?}");
    assert!(asked(&store, "one", true, END + 86_400_000).await.complete);

    // Heads fall: windows by more than a day, blocks by more than a reorg may.
    execute(&engine, &store, "TRUNCATE TABLE window_rows").await;
    let end = END - 600 * MINUTE / 2;
    windows(&engine, &store, "one", (end, 200), true).await;
    let behind = asked(&store, "one", false, END).await;
    assert!(!behind.complete, "the newest block is five hours later: {behind:?}");
    blocks(&engine, &store, (TIP - 1_500, TIP), true).await;
    let fallen = asked(&store, "one", false, END).await;
    assert_ne!(fallen.reason, behind.reason, "blocks fell to where windows end");
    for contract in [false, true] {
        assert!(asked(&store, "one", contract, end).await.complete);
    }
    // They rise again, and what is about to go is hidden.
    blocks(&engine, &store, (TIP, TIP + 10), false).await;
    let risen = asked(&store, "one", false, END).await;
    assert!(!risen.complete && risen.reason != fallen.reason, "{risen:?}");
    let (first, last) = ((TIP - 3_000) / 1_000, TIP / 1_000);
    let hidden = format!(
        "INSERT INTO pruned_rows (network, pruned_below, first_part, version, end_part, gone) VALUES ('one', {TIP}, {first}, 1, {}, 0)",
        last + 1
    );
    execute(&engine, &store, &hidden).await;
    let hidden = asked(&store, "one", false, END).await;
    assert_ne!(hidden.reason, risen.reason, "no block is shown any more");
    engine.stop().await;
}
