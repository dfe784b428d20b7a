//! What is judged, gathered from the store, and from what the stages say of endpoints.
//!
//! Guarantee: the present state of endpoints comes from memory, that of a time in the past from what their calls then told. What cannot be
//! had is missing in the answer, by name; only without figures of the network there is none.

use std::collections::BTreeMap;

use schemas::{Network, TimeMs, limits::metrics as limits};
use store::query::{DiagnosisFilter, EndpointAt, FailuresFilter, Overview, Usual};

use super::{Case, EndpointThen, Worst, judge, usual};
use crate::{app::App, error::ApiError, items::Diagnosis, windows::Whose};

/// Of a time that is at most so long ago the present state of endpoints tells, milliseconds.
const PRESENT_MS: i64 = 30_000;
/// A median latency that is slow, milliseconds, where only calls tell of it.
const SLOW_MS: u64 = 2_000;
/// Blocks that an endpoint may be behind (rule 23's `lag_ok`), where only calls tell of it.
const LAG_OK: u64 = 3;
/// Calls that tell something of an endpoint, at least.
const CALLS: u64 = 4;
/// Endpoints that are looked at.
const ENDPOINTS: usize = schemas::limits::ENDPOINTS_PER_NETWORK;

/// What likely is the matter, and the event that it was told at.
///
/// # Errors
/// The store is away.
pub async fn of(
    app: &App,
    whose: &Whose,
    called: Option<&str>,
    at: Option<TimeMs>,
) -> Result<(Diagnosis, u64), ApiError> {
    let now = TimeMs::now();
    let time = at.unwrap_or(now);
    let filter = DiagnosisFilter {
        network: whose.network.clone(),
        contract: whose.contract.clone(),
        contract_windows: whose.own,
        at: time,
    };
    let found = app.store.diagnosis(&filter).await.map_err(|e| ApiError::from_store(&e))?;
    let mut missing = Vec::new();
    missing.extend(lacking("the network's last minutes are not whole", &found.network));
    if let Some(contract) = &found.contract {
        missing.extend(lacking("the contract's last minutes are not whole", contract));
    }
    let endpoints = match now.0.saturating_sub(time.0) <= PRESENT_MS {
        true => present(app, &whose.network),
        false => of_calls(&found.endpoints),
    };
    let figures = |usual: Vec<Usual>| usual.into_iter().map(|usual| usual.figures).collect();
    let mut case = Case {
        contract: whose.contract.as_deref().map(|address| called.unwrap_or(address).to_owned()),
        at: time,
        now: found.network.figures,
        usual: figures(found.usual_network),
        contract_now: found.contract.map(|contract| contract.figures),
        contract_usual: figures(found.usual_contract),
        endpoints,
        worst: None,
        missing,
    };
    if whose.contract.is_none() && fails(&case) {
        case.worst = worst(app, &whose.network, (found.from, time)).await;
    }
    let judged = judge(&case);
    let answer = Diagnosis {
        network: whose.network.to_string(),
        contract: whose.contract.clone(),
        at: time.rfc3339(),
        verdict: judged.verdict.word().to_owned(),
        sentence: judged.sentence,
        evidence: judged.evidence,
        missing: judged.missing,
    };
    Ok((answer, found.sequence))
}

fn lacking(what: &str, found: &Overview) -> Option<String> {
    (!found.complete).then(|| match &found.reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    })
}

/// Whether more fails in the network than usual.
fn fails(case: &Case) -> bool {
    let now = &case.now;
    usual::failure_rates(&case.usual, now.transactions)
        .is_some_and(|range| usual::is_high_share(now.failed, now.transactions, range))
}

/// The contract that most failures of a time called; `None` where that cannot be told.
async fn worst(app: &App, network: &Network, (from, to): (TimeMs, TimeMs)) -> Option<Worst> {
    let filter = FailuresFilter {
        networks: vec![network.clone()],
        contract: None,
        causes: Vec::new(),
        methods: Vec::new(),
        from,
        to,
        limit: limits::DIAGNOSIS_GROUPS,
    };
    let found = match app.store.failures(&filter).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "a diagnosis does not know what was called by what failed");
            return None;
        }
    };
    let mut called: BTreeMap<&str, u64> = BTreeMap::new();
    for group in &found.groups {
        if let Some(contract) = group.contract.as_deref() {
            *called.entry(contract).or_default() += group.count;
        }
    }
    let (name, failed) = called.into_iter().max_by_key(|(_, count)| *count)?;
    Some(Worst { name: name.to_owned(), failed, of: found.failed })
}

/// The endpoints as they are.
fn present(app: &App, network: &Network) -> Vec<EndpointThen> {
    let (items, _) = app.providers.items(Some(network), None, ENDPOINTS);
    let then = |item: crate::items::ProviderItem| EndpointThen {
        name: item.name,
        state: item.state,
        reason: item.reason,
        latency_ms: item.latency_ms,
        lag_blocks: item.lag_blocks,
    };
    items.into_iter().map(then).collect()
}

/// The endpoints as their calls of a time tell.
fn of_calls(rows: &[EndpointAt]) -> Vec<EndpointThen> {
    let best = rows.iter().filter_map(|row| row.height).max();
    let then = |row: &EndpointAt| {
        let lag = best.zip(row.height).map(|(best, height)| best - height);
        let state = if row.lies > 0 {
            "quarantined"
        } else if row.calls < CALLS {
            "unknown"
        } else if row.failures * 2 >= row.calls {
            "failing"
        } else if lag.is_some_and(|lag| lag > LAG_OK) {
            "behind"
        } else if row.latency_ms.is_some_and(|latency| latency >= SLOW_MS) {
            "slow"
        } else {
            "ok"
        };
        EndpointThen {
            name: row.endpoint.clone(),
            state: state.to_owned(),
            reason: row.error.clone().filter(|_| state == "failing"),
            latency_ms: row.latency_ms,
            lag_blocks: lag,
        }
    };
    rows.iter().take(ENDPOINTS).map(then).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_tell_how_an_endpoint_was() {
        let row = |endpoint: &str, height: u64, calls: u64, failures: u64, latency: u64, lies: u64| EndpointAt {
            endpoint: endpoint.to_owned(),
            height: Some(height),
            lowest: None,
            calls,
            failures,
            latency_ms: Some(latency),
            lies,
            error: Some("HTTP 503".to_owned()),
            at: TimeMs(0),
        };
        let rows = [
            row("well", 100, 50, 1, 80, 0),
            row("slow", 99, 50, 0, 2_500, 0),
            row("behind", 90, 50, 0, 80, 0),
            row("failing", 100, 10, 6, 80, 0),
            row("lying", 100, 10, 0, 80, 1),
            row("seldom", 100, 2, 2, 80, 0),
        ];
        let told = of_calls(&rows);
        let states: Vec<&str> = told.iter().map(|endpoint| &*endpoint.state).collect();
        assert_eq!(states, ["ok", "slow", "behind", "failing", "quarantined", "unknown"]);
        assert_eq!(
            (told[2].lag_blocks, told[3].reason.as_deref(), &told[0].reason),
            (Some(10), Some("HTTP 503"), &None)
        );
    }
}
