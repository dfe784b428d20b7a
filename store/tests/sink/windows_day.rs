//! A day of windows equal to what SQL counts from the rows after reorgs; and what is answered from them, and from rows where there are none.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use schemas::{TimeMs, records::Payload};
use store::{
    query::{
        CauseCount, CausesFilter, ContractPast, DiagnosisFilter, Figures, Metric, OverviewFilter, Point, SeriesFilter,
        Source, Step, Value,
    },
    sink::batch::Event,
};

use crate::{
    chain::{Chain, Dice, is_watched},
    day,
    harness::Running,
    setup::{RunningSink, TestLog, rows, store_in, until, until_processed},
    windows::{tell, until_told},
};

/// Some of the contracts that the model's transactions touch.
const CONTRACT: Address = Address::repeat_byte(200);
/// One that is watched from the middle of the day on.
const LATE: Address = Address::repeat_byte(102);

/// A day and some hours of blocks with reorgs, all windows told at the end and some on the way.
async fn a_day(log: &TestLog, chain: &mut Chain, blocks: u64, watched: &BTreeMap<Address, i64>) -> Vec<Event> {
    let mut dice = Dice(7);
    let mut events: Vec<Event> = Vec::new();
    while (chain.live.len() as u64) < blocks {
        if dice.roll(150) == 0 {
            events.extend((0..1 + dice.roll(40)).filter_map(|_| chain.revert()));
        }
        events.push(day::apply(chain, &mut dice, watched));
    }
    for some in events.chunks(400) {
        log.publish(some).await;
    }
    events
}

/// Blocks of the long day: it ends a while after a whole day (UTC) of the model's times.
const BLOCKS: u64 = 7_900;
/// That day: 2023-11-15.
const DAY: (i64, i64) = (1_700_006_400_000, 1_700_092_800_000);

/// Complete windows of one length against what is counted from blocks and transactions: how many are there, how many differ, and some.
fn differences(seconds: u32) -> String {
    let start = |time: &str| format!("toStartOfInterval({time}, INTERVAL {seconds} SECOND, 'UTC')");
    let rank = |per_mille: u32| format!("toFloat64(if(t.n = 0, 0, t.prices[intDiv(t.n * {per_mille} + 999, 1000)]))");
    let near = |told: &str, exact: &str| format!("abs(toFloat64(ifNull({told}, 0)) - {exact}) <= {exact} / 64");
    let complete =
        format!("windows WHERE network = 'day' AND contract = '' AND window_seconds = {seconds} AND complete");
    format!(
        "SELECT count(), countIf(NOT same), toString(groupArrayIf(3)((start, told, counted), NOT same)) FROM \
         (SELECT b.start AS start, \
             toString((w.blocks, w.gas_limit, w.first_height, w.last_height, w.base_fee_min, w.base_fee_max, w.transactions, w.failed, \
                 w.unknown, w.logs, w.gas_used, w.fee_total, w.value_total, w.gas_price_avg, w.gas_price_min, w.gas_price_max, w.senders)) AS told, \
             toString((b.n, b.gas_limits, b.first, b.last, b.least, b.most, t.all, t.failures, t.unknowns, t.logs, t.gas, t.fees, \
                 t.moved, t.average, t.least, t.most, t.froms)) AS counted, \
             told = counted AND {} AND {} AS same \
          FROM (SELECT {} AS start, count() AS n, sum(gas_limit) AS gas_limits, min(base_fee_per_gas) AS least, \
                 max(base_fee_per_gas) AS most, min(number) AS first, max(number) AS last FROM blocks WHERE network = 'day' GROUP BY start) AS b \
          LEFT JOIN (SELECT * FROM {complete}) AS w ON w.window_start = b.start \
          LEFT JOIN (SELECT {} AS start, count() AS all, countIf(status = 'failed') AS failures, countIf(status = 'unknown') AS unknowns, \
                 sum(log_count) AS logs, sum(receipt_gas_used) AS gas, ifNull(sum(fee), 0) AS fees, sumIf(value, status != 'failed') AS moved, \
                 arraySort(groupArrayIf(assumeNotNull(receipt_effective_gas_price), ifNull(execution_fee > 0, 0))) AS prices, \
                 length(prices) AS n, if(n = 0, NULL, intDiv(arraySum(prices), greatest(n, 1))) AS average, \
                 if(n = 0, NULL, prices[1]) AS least, if(n = 0, NULL, prices[-1]) AS most, uniqExact(from_address) AS froms \
             FROM evm_transactions WHERE network = 'day' GROUP BY start) AS t ON t.start = b.start \
          WHERE b.start BETWEEN (SELECT min(window_start) FROM {complete}) AND (SELECT max(window_start) FROM {complete}))",
        near("w.gas_price_p50", &rank(500)),
        near("w.gas_price_p95", &rank(950)),
        start("block_time"),
        start("block_time"),
    )
}

/// The same of contracts: those that have windows, and those that a transaction touched though there is none.
fn differences_of_contracts(seconds: u32, late_from: i64) -> String {
    let start = format!("toStartOfInterval(block_time, INTERVAL {seconds} SECOND, 'UTC')");
    let watched = "bitTest(reinterpretAsUInt8(unhex(substring(contract, 3, 2))), 0) = 0";
    let complete =
        format!("windows WHERE network = 'day' AND contract = '' AND window_seconds = {seconds} AND complete");
    format!(
        "SELECT count(), countIf(NOT same), toString(groupArrayIf(3)((contract, start, told, counted), NOT same)) FROM \
         (SELECT t.contract AS contract, t.start AS start, \
             toString((w.transactions, w.failed, w.gas_used, w.fee_total, w.value_total, w.gas_price_avg, w.senders)) AS told, \
             toString((t.all, t.failures, t.gas, t.fees, t.moved, t.average, t.froms)) AS counted, told = counted AS same \
          FROM (SELECT arrayJoin(contracts) AS contract, {start} AS start, count() AS all, countIf(status = 'failed') AS failures, \
                 sum(receipt_gas_used) AS gas, ifNull(sum(fee), 0) AS fees, sumIf(value, status != 'failed') AS moved, \
                 countIf(execution_fee > 0) AS n, uniqExact(from_address) AS froms, \
                 if(n = 0, NULL, intDiv(sumIf(receipt_effective_gas_price, execution_fee > 0), greatest(n, 1))) AS average \
             FROM evm_transactions WHERE network = 'day' GROUP BY contract, start HAVING {watched}) AS t \
          LEFT JOIN (SELECT * FROM windows WHERE network = 'day' AND window_seconds = {seconds} AND complete) AS w \
              ON w.window_start = t.start AND w.contract = t.contract \
          WHERE t.start IN (SELECT window_start FROM {complete}) \
            AND NOT (t.contract = '{LATE:#x}' AND toUnixTimestamp64Milli(CAST(t.start, 'DateTime64(3)')) < {late_from}))"
    )
}

fn filter(chain: &Chain, contract: Option<Address>, step: Step, (from, to): (i64, i64)) -> SeriesFilter {
    SeriesFilter {
        network: chain.network.clone(),
        contract: contract.map(|c| format!("{c:#x}")),
        contract_windows: Some(TimeMs(0)),
        metrics: Metric::ALL.to_vec(),
        step,
        from: TimeMs(from),
        to: TimeMs(to),
    }
}

/// Whether two answers are equal, quantiles within their error, and of contracts what rows cannot tell aside.
fn alike(metric: Metric, a: &Point, b: &Point) -> bool {
    let number = |value: Option<Value>| match value {
        Some(Value::Amount(amount)) => Some(f64::from(amount)),
        Some(Value::Number(number)) => Some(number),
        Some(Value::Count(count)) => Some(count as f64),
        None => None,
    };
    match (metric, number(a.value), number(b.value)) {
        (Metric::GasPriceP50 | Metric::GasPriceP95, Some(a), Some(b)) => (a - b).abs() <= a.max(b) / 60.0,
        _ => a.value == b.value,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_windows_equals_what_sql_counts_after_reorgs_and_so_do_answers_from_rows() {
    let engine = Running::start().await;
    let store = store_in(&engine, "windows_day");
    let log = TestLog::open().await;
    let mut chain = Chain::new("day", 1);
    let late_from = DAY.0 + 10 * 3_600_000 + 90_000;
    let watched: BTreeMap<Address, i64> = [(LATE, late_from)].into();
    assert!(is_watched(&CONTRACT) && is_watched(&LATE));
    let events = a_day(&log, &mut chain, BLOCKS, &watched).await;
    assert!(events.iter().filter(|e| e.block.summary.is_none()).count() > 500, "reverts");
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;

    // Nothing was told yet: everything is computed from rows, once they are counted.
    let whole = filter(&chain, None, Step::Hour, DAY);
    until("the ledger to be full", || async {
        let answer = store.series(&whole).await.expect("an answer");
        answer.series[0].points.iter().all(|point| point.complete && point.source == Source::Rows)
    })
    .await;
    // Block by block, what a contract did before anybody watched it; beyond the last block nothing is known.
    let times = (TimeMs(DAY.0 + 60_001), TimeMs(DAY.0 + 7_200_001));
    let address = format!("{CONTRACT:#x}");
    let past = |times| store.contract_past(&chain.network, &address, times, chain.sequence);
    let ContractPast::Whole(past_of_it) = past(times).await.expect("an answer") else { panic!("the ledger is full") };
    let sql = format!(
        "SELECT toUInt64(uniqExact(block_number)), count(), countIf(status = 'failed') FROM evm_transactions \
         WHERE network = 'day' AND has(contracts, '{CONTRACT:#x}') AND toUnixTimestamp64Milli(block_timestamp) >= {} \
         AND toUnixTimestamp64Milli(block_timestamp) < {}",
        times.0.0, times.1.0
    );
    let counted: (u64, u64, u64) = rows(&engine, &store, &sql).await.swap_remove(0);
    // Not before all is there that whoever asks knows.
    let ahead = store.contract_past(&chain.network, &address, times, chain.sequence + 1).await.expect("an answer");
    assert!(matches!(ahead, ContractPast::Unknown(_)), "{ahead:?}");
    let sum = |of: fn(&Figures) -> u64| past_of_it.iter().map(|(_, figures)| of(figures)).sum::<u64>();
    assert_eq!((sum(|f| f.blocks), sum(|f| f.transactions), sum(|f| f.failed)), counted);
    assert!(counted.1 > 0 && past_of_it.iter().all(|(at, _)| (times.0..times.1).contains(at)));
    let head = chain.live.last().expect("a block").event.block.envelope.block_time;
    let open = past((TimeMs(head.0 - 60_000), TimeMs(head.0 + 1))).await.expect("an answer");
    assert!(matches!(open, ContractPast::Unknown(_)), "{open:?}");
    let steps =
        [(Step::Day, DAY), (Step::Hour, DAY), (Step::FiveMinutes, DAY), (Step::Minute, (DAY.0, DAY.0 + 7_200_000))];
    let mut of_rows = Vec::new();
    for contract in [None, Some(CONTRACT), Some(LATE)] {
        for (step, times) in steps {
            let answer = store.series(&filter(&chain, contract, step, times)).await.expect("an answer");
            assert_eq!(answer.sequence, answer.sequence.min(chain.sequence));
            of_rows.push(answer);
        }
    }
    let overview = |contract: Option<Address>, from: i64, to: i64| OverviewFilter {
        network: chain.network.clone(),
        contract: contract.map(|c| format!("{c:#x}")),
        contract_windows: Some(TimeMs(0)),
        from: TimeMs(from),
        to: TimeMs(to),
    };
    let last = chain.live.last().expect("a block").event.block.envelope.block_time.0;
    let times = [
        (last - 3_600_000, last + 1),
        (last - 86_400_000 + 60_000, last + 1),
        (DAY.0 + 60_000, DAY.1),
        (last - 300_000, last + 1),
    ];
    let mut overviews = Vec::new();
    for contract in [None, Some(CONTRACT)] {
        for (from, to) in times {
            let found = store.overview(&overview(contract, from, to)).await.expect("an answer");
            assert_eq!((found.complete, found.source, &found.reason), (true, Source::Rows, &None), "{from}");
            overviews.push(found);
        }
    }

    // Now they are told: some as they were in the middle, then all as they are.
    let all = day::windows(&chain, 0);
    let mut former = all[..all.len() / 3].to_vec();
    former.iter_mut().for_each(|window| {
        window.sequence -= 1;
        window.partial.transactions += 1;
        window.complete = false;
    });
    tell(&log, &former).await;
    tell(&log, &all).await;
    until_told(&log).await;
    for (seconds, least) in [(60, 1_500), (300, 300), (3_600, 24), (86_400, 1)] {
        for (sql, least) in [(differences(seconds), least), (differences_of_contracts(seconds, late_from), 4)] {
            let found: (u64, u64, String) = rows(&engine, &store, &sql).await.swap_remove(0);
            assert_eq!(found.1, 0, "windows of {seconds} s differ from rows: {}\n{sql}", found.2);
            assert!(found.0 >= least, "{} windows of {seconds} s", found.0);
        }
    }

    // The same answers, from windows; of a contract from when it was watched on.
    let mut of_rows = of_rows.into_iter();
    for contract in [None, Some(CONTRACT), Some(LATE)] {
        for (step, times) in steps {
            let (told, counted) = (
                store.series(&filter(&chain, contract, step, times)).await.expect("an answer"),
                of_rows.next().expect("as many"),
            );
            assert_eq!(told.sequence, chain.sequence);
            for (told, counted) in told.series.iter().zip(&counted.series) {
                assert_eq!(told.points.len(), counted.points.len());
                for (a, b) in told.points.iter().zip(&counted.points) {
                    let late = contract == Some(LATE) && a.at.0 < late_from;
                    assert_eq!(
                        a.source,
                        if late { Source::Rows } else { Source::Windows },
                        "{contract:?} {step} {a:?}"
                    );
                    let untold = contract.is_some() && told.metric == Metric::TokenTransfers;
                    assert!(untold || a.complete, "{contract:?} {step} {} {a:?}", told.metric);
                    assert!(untold || alike(told.metric, a, b), "{contract:?} {step} {}: {a:?}, {b:?}", told.metric);
                }
            }
        }
    }
    let mut overviews = overviews.into_iter();
    for contract in [None, Some(CONTRACT)] {
        for (from, to) in times {
            let found = store.overview(&overview(contract, from, to)).await.expect("an answer");
            let counted = overviews.next().expect("as many");
            assert_eq!((found.complete, found.source, &found.reason), (true, Source::Windows, &None), "{from}");
            let (a, b) = (&found.figures, &counted.figures);
            assert_eq!(
                (
                    a.transactions,
                    a.failed,
                    a.gas_used,
                    a.fee_total,
                    a.value_total,
                    a.gas_price_avg(),
                    a.senders,
                    a.first,
                    a.last
                ),
                (
                    b.transactions,
                    b.failed,
                    b.gas_used,
                    b.fee_total,
                    b.value_total,
                    b.gas_price_avg(),
                    b.senders,
                    b.first,
                    b.last
                ),
                "{contract:?} {from}"
            );
            for (a, b) in [(a.gas_price_p50, b.gas_price_p50), (a.gas_price_p95, b.gas_price_p95)] {
                let (a, b) = (f64::from(a.unwrap_or(U256::ZERO)), f64::from(b.unwrap_or(U256::ZERO)));
                assert!((a - b).abs() <= b / 60.0 && b > 0.0, "{a} and {b}");
            }
        }
    }
    // Whoever does not have the contract gets the same from rows, and no word of windows.
    let mut hidden = filter(&chain, Some(CONTRACT), Step::Hour, DAY);
    hidden.contract_windows = None;
    let answer = store.series(&hidden).await.expect("an answer");
    assert!(answer.series[0].points.iter().all(|point| point.complete && point.source == Source::Rows));

    // Failures by cause add up to the failures.
    let by_cause = CausesFilter {
        network: chain.network.clone(),
        contract: None,
        step: Step::Hour,
        from: TimeMs(DAY.0),
        to: TimeMs(DAY.1),
    };
    let causes = store.failures_by_cause(&by_cause).await.expect("causes");
    let failed = store.series(&filter(&chain, None, Step::Hour, DAY)).await.expect("an answer");
    for point in &failed.series[1].points {
        let sum: u64 = causes.counts.iter().filter(|c| c.at == point.at).map(|c| c.count).sum();
        assert_eq!(point.value, Some(Value::Count(sum)), "{point:?}");
    }
    let of =
        |contract: Option<Address>| CausesFilter { contract: contract.map(|c| format!("{c:#x}")), ..by_cause.clone() };
    let of_contract = store.failures_by_cause(&of(Some(CONTRACT))).await.expect("causes");
    let sum = |counts: &[CauseCount]| counts.iter().map(|c| c.count).sum::<u64>();
    assert!(sum(&of_contract.counts) > 0 && sum(&of_contract.counts) < sum(&causes.counts));
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_is_said_with_its_reason() {
    let engine = Running::start().await;
    let store = store_in(&engine, "windows_unknown");
    let (log, mut dice, watched) = (TestLog::open().await, Dice(3), BTreeMap::new());
    let mut chain = Chain::new("gap", 5_000);
    let mut events: Vec<Event> = (0..300).map(|_| day::apply(&mut chain, &mut dice, &watched)).collect();
    // One transaction cannot be read: its minute is not whole.
    let torn = events.iter_mut().skip(100).find(|e| !e.transactions.is_empty()).expect("transactions");
    let torn_at = Step::Minute.start(torn.block.envelope.block_time.0);
    torn.transactions[0].payload = Payload::Unreadable { index: 0, error: "cut off".into() };
    log.publish(&events).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;
    let (from, to) = (
        Step::Minute.start(events[0].block.envelope.block_time.0) - 120_000,
        Step::Minute.start(events[299].block.envelope.block_time.0) + 120_000,
    );
    let mut asked = filter(&chain, None, Step::Minute, (from, to));
    asked.metrics = vec![Metric::Transactions];
    let answer = store.series(&asked).await.expect("an answer");
    let points = &answer.series[0].points;
    let reason = |point: &Point| point.reason.clone().unwrap_or_default();
    // Before the first block, in its minute, where something is missing, and at the head.
    for at in [from, from + 60_000, from + 120_000, torn_at] {
        let point = points.iter().find(|point| point.at.0 == at).expect("a point");
        assert!(!point.complete && point.value.is_none(), "{point:?}");
        assert!(reason(point).contains("not all blocks of it are held with all their rows"), "{point:?}");
    }
    let head = points.iter().rev().nth(1).expect("the head");
    assert!(!head.complete && reason(head).contains("no later block is held yet"), "{head:?}");
    let whole = points.iter().filter(|point| point.complete).count();
    // The neighbours of what is torn may border on it.
    assert!((points.len() - 8..=points.len() - 6).contains(&whole), "{whole} of {}: {points:?}", points.len());

    // An overview of a time that is not whole has what windows tell, and says what is missing.
    let mut windows = day::windows(&chain, 0);
    windows.retain(|w| w.window_start.0 < torn_at || w.window_seconds > 60);
    tell(&log, &windows).await;
    until_told(&log).await;
    let asked = OverviewFilter {
        network: chain.network.clone(),
        contract: None,
        contract_windows: Some(TimeMs(0)),
        from: TimeMs(torn_at - 600_000),
        to: TimeMs(torn_at),
    };
    let found = store.overview(&asked).await.expect("an answer");
    assert!(found.complete && found.source == Source::Windows, "{found:?}");
    // Behind the newest window nothing is missing, before the first there is.
    let found = store.overview(&OverviewFilter { from: TimeMs(from), ..asked.clone() }).await.expect("an answer");
    assert!(!found.complete && found.figures.transactions > 0, "{found:?}");
    let words = found.reason.unwrap_or_default();
    assert!(words.contains("no window tells of it; not all blocks of it are held"), "{words}");
    // A time that nothing is known of, and times that cannot be.
    let nothing = OverviewFilter { from: TimeMs(1_000), to: TimeMs(61_000), ..asked.clone() };
    let found = store.overview(&nothing).await.expect("an answer");
    assert!(!found.complete && found.reason.is_some() && found.figures.transactions == 0, "{found:?}");
    for bad in [
        OverviewFilter { to: TimeMs(from - 1), from: TimeMs(from), ..asked.clone() },
        OverviewFilter { to: TimeMs(from), from: TimeMs(0), ..asked.clone() },
        OverviewFilter { contract: Some(String::new()), ..asked },
    ] {
        assert_eq!(store.overview(&bad).await.expect_err("refused").kind, store::StoreErrorKind::BadRequest, "{bad:?}");
    }

    // A verdict's evidence.
    let at = torn_at - 120_000;
    let evidence = DiagnosisFilter {
        network: chain.network.clone(),
        contract: Some(format!("{CONTRACT:#x}")),
        contract_windows: Some(TimeMs(0)),
        step: Step::FiveMinutes,
        at: TimeMs(at),
    };
    let found = store.diagnosis(&evidence).await.expect("evidence");
    assert!(found.network.complete && found.network.figures.transactions > 0, "{found:?}");
    let (contract, network) = (found.contract.expect("the contract's"), found.network.figures);
    assert!(contract.complete && contract.figures.transactions < network.transactions);
    assert!(!found.usual_network.is_empty() && found.usual_contract.len() <= found.usual_network.len());
    assert!(found.usual_network.iter().all(|usual| usual.at.0 < found.from.0 && usual.figures.blocks > 0));
    // By the hour, of a chain whose blocks come minutes apart.
    let hours = store.diagnosis(&DiagnosisFilter { step: Step::Hour, ..evidence }).await.expect("evidence");
    assert_eq!((found.from.0 - hours.from.0, hours.to), (55 * 60_000, found.to));
    assert!(hours.network.figures.transactions >= network.transactions && hours.usual_network.len() <= 24);
    assert!(hours.usual_network.iter().all(|usual| usual.at.0 % 3_600_000 == 0 && usual.at.0 < hours.from.0));
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
