//! What is asked of windows, and of rows where there are none: bounds on what is read, and how long it takes, which is printed.

use std::time::{Duration, Instant};

use schemas::{TimeMs, limits};
use store::{
    Store,
    query::{CausesFilter, ContractPast, DiagnosisFilter, Metric, OverviewFilter, SeriesFilter, Source, Step},
};

use crate::{
    chain::Dice,
    generate::{
        A_MINUTE, CONTRACTS, ENDPOINTS, FIRST_HEIGHT, METHODS, Network, PER_BLOCK, WINDOW_NETWORKS, contract,
        window_network, windows,
    },
    questions::{Asked, GRANULE, PARTS},
};

/// Rows of a granule of windows.
const WINDOW_GRANULE: u64 = 1_024;
/// Answers whose time is taken, of each kind.
const ROUNDS: usize = 300;

fn time(height: u64) -> i64 {
    1_700_000_000_000 + height as i64 * 12_000
}

/// Granules that so many windows of one length in a row may lie in, in all parts.
fn granules(windows: u64) -> u64 {
    (windows / WINDOW_GRANULE + 2) * WINDOW_GRANULE * PARTS
}

pub async fn all(asked: &mut Asked<'_>, api: &Store, [a, b]: [Network; 2]) {
    let tip = time(FIRST_HEIGHT + a.blocks - 1);
    windows(asked.engine, tip as u64 + 1);
    let end = Step::Minute.start(tip) + 60_000;
    overviews(asked, api, (a, end)).await;
    series(asked, api, (a, end), b).await;
    let by_cause = |contract: Option<String>| CausesFilter {
        network: a.name.parse().expect("a slug"),
        contract,
        step: Step::Hour,
        from: TimeMs(end - 86_400_000),
        to: TimeMs(end),
    };
    // As failures are, from rows, the newest first.
    for (about, filter) in [("a day", by_cause(None)), ("a day of a contract", by_cause(Some(emitter(7))))] {
        let most = 8 * limits::STORE_LIST_ROWS;
        let found = asked.ask("failures_by_cause", about, most, api.failures_by_cause(&filter)).await;
        let counted: u64 = found.counts.iter().map(|c| c.count).sum();
        assert!(counted > 0 || filter.contract.is_some(), "{about}");
    }
    for (about, contract, at, endpoints) in [
        ("of the network", None, end - 1, 0),
        ("of a contract", Some(contract(7)), end - 1, 0),
        (
            "now, long behind the last block",
            None,
            TimeMs::now().0,
            24 * 60 * ENDPOINTS * METHODS + 6 * ENDPOINTS * GRANULE,
        ),
    ] {
        let filter = DiagnosisFilter {
            network: a.name.parse().expect("a slug"),
            contract,
            contract_windows: Some(TimeMs(0)),
            step: Step::FiveMinutes,
            at: TimeMs(at),
        };
        let most = 12 * granules(600) + 12 * GRANULE * PARTS + endpoints;
        let found = asked.ask("diagnosis", about, most, api.diagnosis(&filter)).await;
        assert_eq!(found.network.complete, endpoints == 0, "{about}: {:?}", found.network);
        assert!(endpoints > 0 || found.usual_network.len() == 288, "{about}");
        assert!(filter.contract.is_none() || found.usual_contract.len() == 288, "{about}");
        assert_eq!(found.usual_endpoints.is_empty(), endpoints == 0, "{about}");
    }
    times(api, end).await;
}

/// A contract that transactions of `a` have logs of.
fn emitter(number: u64) -> String {
    format!("0x{:040x}", 2_000_000_000 + number)
}

fn overview(network: &str, contract: Option<String>, (from, to): (i64, i64)) -> OverviewFilter {
    OverviewFilter {
        network: network.parse().expect("a slug"),
        contract,
        contract_windows: Some(TimeMs(0)),
        from: TimeMs(from),
        to: TimeMs(to),
    }
}

async fn overviews(asked: &mut Asked<'_>, api: &Store, (a, end): (Network, i64)) {
    let edges = GRANULE * PARTS;
    for (about, minutes) in [("a minute", 1), ("five minutes", 5), ("an hour", 60), ("a day", 1_440)] {
        for contract in [None, Some(contract(7))] {
            let about = format!("{about}{}", if contract.is_some() { " of a contract" } else { "" });
            let filter = overview(a.name, contract, (end - (minutes + 1) * 60_000, end));
            let found = asked.ask("overview", about.clone(), 10 * granules(180), api.overview(&filter)).await;
            assert!(found.complete && found.source == Source::Windows, "{about}: {found:?}");
            if filter.contract.is_none() {
                assert_eq!(found.figures.transactions, (minutes as u64 + 1) * A_MINUTE.0, "{about}");
                assert!(found.figures.gas_price_p50.is_some() && found.figures.senders.is_some(), "{about}");
            }
        }
    }
    // A contract that nobody watches, from rows: its transactions, their neighbours, and the ledger's open end.
    let ledger = 2 * (limits::AUDIT_BUCKET_HEIGHTS * PER_BLOCK * 2 + 8 * edges);
    let filter =
        OverviewFilter { contract_windows: None, ..overview(a.name, Some(emitter(7)), (end - 3_600_000, end)) };
    let of_rows = 300 * PER_BLOCK + 20 * edges + ledger;
    let found = asked.ask("overview", "an hour from rows", of_rows, api.overview(&filter)).await;
    assert!(found.complete && found.source == Source::Rows && found.figures.transactions > 0, "{found:?}");
    // What a rule takes from before the contract was watched: the same rows, by their blocks' times.
    let (network, times) = (a.name.parse().expect("a slug"), (TimeMs(end - 3_600_000), TimeMs(end - 600_000)));
    let contract = emitter(7);
    let past = api.contract_past(&network, &contract, times, 1);
    let past = asked.ask("contract_past", "fifty minutes", 2 * of_rows, past).await;
    let ContractPast::Whole(past) = past else { panic!("{past:?}") };
    assert!(past.windows(2).all(|pair| pair[0].0 < pair[1].0), "{past:?}");
}

async fn series(asked: &mut Asked<'_>, api: &Store, (a, end): (Network, i64), b: Network) {
    let filter = |network: &str, contract: Option<String>, metrics: &[Metric], step: Step, (from, to): (i64, i64)| {
        SeriesFilter {
            network: network.parse().expect("a slug"),
            contract,
            contract_windows: Some(TimeMs(0)),
            metrics: metrics.to_vec(),
            step,
            from: TimeMs(from),
            to: TimeMs(to),
        }
    };
    for (about, step, back) in [
        ("a day of minutes", Step::Minute, 86_400_000_i64),
        ("six days of five minutes", Step::FiveMinutes, 6 * 86_400_000),
        ("six days of hours", Step::Hour, 6 * 86_400_000),
        ("four days", Step::Day, 4 * 86_400_000),
    ] {
        for contract in [None, Some(contract(7))] {
            let about = format!("{about}{}", if contract.is_some() { " of a contract" } else { "" });
            let steps = (back / step.ms()) as u64;
            let until = step.ceil(end);
            let filter = filter(a.name, contract, &Metric::ALL, step, (until - back, until));
            let answer = asked.ask("series", about.clone(), 4 * granules(steps), api.series(&filter)).await;
            asked.ask("all_figures", about.clone(), 4 * granules(steps), api.all_figures(&filter)).await;
            let points = &answer.series[2].points;
            assert_eq!(points.len() as u64, steps, "{about}");
            let complete = points.iter().filter(|point| point.complete).count() as u64;
            assert!(complete >= steps - 1 && points.iter().all(|point| point.source == Source::Windows), "{about}");
        }
    }
    // From rows, of a network without windows: sums from its blocks, quantiles from its transactions.
    let (edges, last) = (GRANULE * PARTS, time(FIRST_HEIGHT + b.blocks - 1));
    let ledger = 2 * (limits::AUDIT_BUCKET_HEIGHTS * PER_BLOCK * 2 + 8 * edges);
    let (from, to) = (Step::Hour.ceil(last) - 6 * 3_600_000, Step::Hour.ceil(last));
    for (about, metric, most) in [
        ("six hours of sums from rows", Metric::Failed, 20 * edges + ledger),
        ("six hours of medians from rows", Metric::GasPriceP50, 6 * 300 * PER_BLOCK * 2 + 30 * edges + ledger),
    ] {
        let filter = filter(b.name, None, &[Metric::Transactions, metric], Step::Hour, (from, to));
        asked.ask("all_figures", about, most, api.all_figures(&filter)).await;
        let answer = asked.ask("series", about, most, api.series(&filter)).await;
        let points = &answer.series[0].points;
        assert!(
            points[..points.len() - 1].iter().all(|point| point.complete && point.source == Source::Rows),
            "{points:?}"
        );
    }
}

/// How long answers take, in an order that no cache knows.
async fn times(api: &Store, end: i64) {
    let mut dice = Dice(99);
    let (mut overviews, mut serieses) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let network = window_network(dice.roll(WINDOW_NETWORKS));
        let contract = (dice.roll(3) > 0).then(|| contract(dice.roll(CONTRACTS)));
        let back = [60_000, 300_000, 3_600_000, 86_400_000][dice.roll(4) as usize];
        let filter = overview(&network, contract.clone(), (end - 60_000 - back, end));
        let began = Instant::now();
        api.overview(&filter).await.expect("an overview");
        overviews.push(began.elapsed());
        let (step, back) =
            [(Step::Minute, 86_400_000), (Step::FiveMinutes, 6 * 86_400_000), (Step::Hour, 6 * 86_400_000)]
                [dice.roll(3) as usize];
        let filter = SeriesFilter {
            network: network.parse().expect("a slug"),
            contract,
            contract_windows: Some(TimeMs(0)),
            metrics: Metric::ALL.to_vec(),
            step,
            from: TimeMs(step.ceil(end) - back),
            to: TimeMs(step.ceil(end)),
        };
        let began = Instant::now();
        api.series(&filter).await.expect("a series");
        serieses.push(began.elapsed());
    }
    for (what, mut times) in [("overview", overviews), ("series", serieses)] {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() as f64 * share) as usize).min(times.len() - 1)];
        let (p50, p99, most): (Duration, Duration, Duration) = (at(0.5), at(0.99), at(1.0));
        eprintln!(
            "{what} over {WINDOW_NETWORKS} networks with {CONTRACTS} contracts: p50 {p50:.1?}, p99 {p99:.1?}, at most {most:.1?}"
        );
    }
}
